//! Pages that the client has room for. Whoever sends pages takes one credit for each, and waits here when there is none.

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::limits::PAGES_CREDIT_MAX;
use towpath_protocol::message::{Answer, Input};

use crate::exchange::{Answers, Exchange};

/// Sends an exchange's pages from a blocking thread, at most as many as the client has granted.
#[derive(Debug)]
pub(super) struct Pages {
    answers: Answers,
    inputs: mpsc::Receiver<Input>,
    cancel: CancellationToken,
    runtime: Handle,
    granted: u32,
}

impl Pages {
    /// Must be called within the runtime.
    pub(super) fn new(exchange: Exchange, granted: u32) -> Result<Self, Fault> {
        let Exchange { answers, inputs, cancel, .. } = exchange;
        let mut pages = Self { answers, inputs, cancel, runtime: Handle::current(), granted: 0 };
        pages.grant(granted)?;
        Ok(pages)
    }

    /// `Cancelled` once nobody wants the rest.
    pub(super) fn check(&self) -> Result<(), Fault> {
        if self.cancel.is_cancelled() { Err(FaultCode::Cancelled.into()) } else { Ok(()) }
    }

    /// Sends a page as soon as there is credit for it.
    pub(super) fn send(&mut self, page: impl Into<Answer>) -> Result<(), Fault> {
        while let Ok(input) = self.inputs.try_recv() {
            self.take(&input)?;
        }
        while self.granted == 0 {
            let input = self.runtime.block_on(async {
                tokio::select! {
                    biased;
                    () = self.cancel.cancelled() => None,
                    input = self.inputs.recv() => input,
                }
            });
            self.take(&input.ok_or(FaultCode::Cancelled)?)?;
        }
        self.check()?;
        self.granted -= 1;
        self.answers.send_blocking(page)
    }

    fn take(&mut self, input: &Input) -> Result<(), Fault> {
        match input {
            Input::More(more) => self.grant(more.pages),
            _ => Err(Fault::new(FaultCode::OutOfOrder).because("only More and Cancel belong here")),
        }
    }

    fn grant(&mut self, pages: u32) -> Result<(), Fault> {
        self.granted =
            self.granted.checked_add(pages).filter(|pages| *pages <= PAGES_CREDIT_MAX).ok_or_else(|| {
                Fault::new(FaultCode::LimitExceeded)
                    .because(format!("more than {PAGES_CREDIT_MAX} pages granted"))
            })?;
        Ok(())
    }
}
