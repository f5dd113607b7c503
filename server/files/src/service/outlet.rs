//! Where work in a thread puts its answers: they leave at once as long as there is room, and where there is none the work's turn ends,
//! so that no thread waits for a client.

use std::collections::VecDeque;

use tokio_util::sync::CancellationToken;
use towpath_protocol::fault::Fault;
use towpath_protocol::message::Answer;

use super::credit::check;
use crate::exchange::{Answers, Exchange};

/// Answers of one request, in order.
#[derive(Debug)]
pub(super) struct Outlet {
    answers: Answers,
    cancel: CancellationToken,
    waiting: VecDeque<Answer>,
}

/// Why work pauses.
#[derive(Debug)]
pub(super) enum Pause {
    /// Answers wait for room: they are to be [settled](Outlet::settle).
    Full,
    /// This is its final answer.
    Done(Answer),
}

impl Outlet {
    pub(super) fn new(exchange: &Exchange) -> Self {
        let (answers, cancel) = (exchange.answers.clone(), exchange.cancel.clone());
        Self { answers, cancel, waiting: VecDeque::new() }
    }

    /// `Cancelled` once the request is cancelled.
    pub(super) fn check(&self) -> Result<(), Fault> {
        check(&self.cancel)
    }

    pub(super) fn put(&mut self, answer: impl Into<Answer>) {
        self.waiting.push_back(answer.into());
    }

    /// Sends what there is room for. False where some waits.
    pub(super) fn flush(&mut self) -> Result<bool, Fault> {
        while let Some(answer) = self.waiting.pop_front() {
            if let Some(back) = self.answers.try_send(answer)? {
                self.waiting.push_front(back);
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Waits until all that waits is sent.
    pub(super) async fn settle(&mut self) -> Result<(), Fault> {
        while let Some(answer) = self.waiting.pop_front() {
            self.answers.send(answer).await?;
        }
        Ok(())
    }
}
