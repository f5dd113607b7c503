//! Pages that the client has room for. They are made and sent in a thread, one after the other, as long as there is credit, memory and room
//! for them; what is missing is waited for here: as a task, in no thread.

use tokio_util::sync::CancellationToken;
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::limits::PAGES_CREDIT_MAX;
use towpath_protocol::message::{Answer, Input};

use crate::exchange::{Answers, Exchange, Inputs};
use crate::memory;

/// The outcome of a turn of sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    All,
    Until(Missing),
}

/// Sends an exchange's pages, at most as many as the client has granted.
#[derive(Debug)]
pub(super) struct Pages {
    answers: Answers,
    inputs: Inputs,
    cancel: CancellationToken,
    granted: u32,
    /// True if memory for the next page was taken.
    is_paid: bool,
    /// A page that there was no room for.
    waiting: Option<Answer>,
}

/// Why no page can be made, or sent, at present.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    Credit,
    /// For a page of so many entries.
    Memory(usize),
    /// For the page that was made.
    Room,
}

impl Pages {
    pub(super) fn new(exchange: Exchange, granted: u32) -> Result<Self, Fault> {
        let Exchange { answers, inputs, cancel, .. } = exchange;
        let mut pages = Self { answers, inputs, cancel, granted: 0, is_paid: false, waiting: None };
        pages.grant(granted)?;
        Ok(pages)
    }

    /// `Cancelled` once the request is cancelled.
    pub(super) fn check(&self) -> Result<(), Fault> {
        check(&self.cancel)
    }

    /// Takes what a page of so many entries needs that is to be made now. Asked again before it was sent, it takes nothing more.
    pub(super) fn begin(&mut self, entries: usize) -> Result<Option<Missing>, Fault> {
        while let Ok(input) = self.inputs.try_recv() {
            self.take(&input)?;
        }
        if self.granted == 0 {
            return Ok(Some(Missing::Credit));
        }
        // Taken no earlier than now: of very many listings hardly any make a page at a time.
        self.is_paid = self.is_paid || self.answers.try_pay_ahead(memory::of_page(entries));
        Ok((!self.is_paid).then_some(Missing::Memory(entries)))
    }

    /// Sends a page that was [begun](Self::begin), or keeps it until there is room for it.
    pub(super) fn send(&mut self, page: impl Into<Answer>) -> Result<Option<Missing>, Fault> {
        self.granted -= 1;
        self.is_paid = false;
        self.waiting = self.answers.try_send(page)?;
        Ok(self.waiting.is_some().then_some(Missing::Room))
    }

    /// Waits for what is missing. `Cancelled` once the request is cancelled.
    pub(super) async fn wait_for(&mut self, missing: Missing) -> Result<(), Fault> {
        match missing {
            Missing::Credit => self.credit().await?,
            Missing::Memory(entries) => {
                self.answers.pay_ahead(memory::of_page(entries)).await?;
                self.is_paid = true;
            }
            Missing::Room => {
                if let Some(page) = self.waiting.take() {
                    self.answers.send(page).await?;
                }
            }
        }
        self.check()
    }

    async fn credit(&mut self) -> Result<(), Fault> {
        while self.granted == 0 {
            let input = tokio::select! {
                biased;
                () = self.cancel.cancelled() => None,
                input = self.inputs.recv() => input,
            };
            self.take(&input.ok_or(FaultCode::Cancelled)?)?;
        }
        Ok(())
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
