//! Pages that the client has room for. A sender takes one credit a page, and waits here if there is none: as a task, in no
//! thread.

use tokio_util::sync::CancellationToken;
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::limits::PAGES_CREDIT_MAX;
use towpath_protocol::message::{Answer, Input};

use crate::exchange::{Answers, Exchange, Inputs};
use crate::memory;

/// Sends an exchange's pages, at most as many as the client has granted.
#[derive(Debug)]
pub(super) struct Pages {
    answers: Answers,
    inputs: Inputs,
    cancel: CancellationToken,
    granted: u32,
}

impl Pages {
    pub(super) fn new(exchange: Exchange, granted: u32) -> Result<Self, Fault> {
        let Exchange { answers, inputs, cancel, .. } = exchange;
        let mut pages = Self { answers, inputs, cancel, granted: 0 };
        pages.grant(granted)?;
        Ok(pages)
    }

    /// For work in a thread, which ends with `Cancelled` once the request is cancelled.
    pub(super) fn cancel(&self) -> CancellationToken {
        self.cancel.clone()
    }

    /// For work in a thread that makes pages.
    pub(super) fn answers(&self) -> Answers {
        self.answers.clone()
    }

    /// Waits until there is credit for a page. `Cancelled` once the request is cancelled.
    pub(super) async fn credit(&mut self) -> Result<(), Fault> {
        while let Ok(input) = self.inputs.try_recv() {
            self.take(&input)?;
        }
        while self.granted == 0 {
            let input = tokio::select! {
                biased;
                () = self.cancel.cancelled() => None,
                input = self.inputs.recv() => input,
            };
            self.take(&input.ok_or(FaultCode::Cancelled)?)?;
        }
        check(&self.cancel)
    }

    /// Waits for memory for a page that is to be made, of so many entries at most.
    pub(super) async fn pay_ahead(&self, entries: usize) -> Result<(), Fault> {
        self.answers.pay_ahead(memory::of_page(entries)).await
    }

    /// Sends a page that there is credit for.
    pub(super) async fn send(&mut self, page: impl Into<Answer>) -> Result<(), Fault> {
        self.granted -= 1;
        self.answers.send(page).await
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

/// `Cancelled` once it is.
pub(super) fn check(cancel: &CancellationToken) -> Result<(), Fault> {
    if cancel.is_cancelled() { Err(FaultCode::Cancelled.into()) } else { Ok(()) }
}
