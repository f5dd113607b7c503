//! One request's conversation, seen from the service: where its answers go, what the client says meanwhile, and whether
//! anybody still wants it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio_util::sync::CancellationToken;
use towpath_protocol::answer::Totals;
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::limits::{DATA_BYTES_MAX, UPLOAD_CREDIT_BYTES_MAX};
use towpath_protocol::message::{Answer, Input, RequestId};

use crate::memory::{self, Charge, Memory, Use};

/// Answers that may wait in an exchange's queue before the service waits for the reader.
pub const ANSWERS_QUEUED_MAX: usize = 32;
/// Inputs that may wait for the service: a full data frame for each of the largest credit, and once more as many.
pub const INPUTS_QUEUED_MAX: usize = 2 * (UPLOAD_CREDIT_BYTES_MAX as usize / DATA_BYTES_MAX);

/// How much of long work is done, whatever its final answer says: for whoever logs it. Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub struct Done(Arc<[AtomicU64; 4]>);

impl Done {
    pub(crate) fn tell(&self, totals: &Totals) {
        let counts = [totals.files, totals.folders, totals.bytes, totals.failed];
        self.0.iter().zip(counts).for_each(|(counter, count)| counter.store(count, Ordering::Relaxed));
    }

    /// The counts alone.
    pub fn totals(&self) -> Totals {
        let [files, folders, bytes, failed] =
            [0, 1, 2, 3].map(|at: usize| self.0[at].load(Ordering::Relaxed));
        Totals { files, folders, bytes, failed, ..Totals::default() }
    }
}

/// Sends one request's answers. Cheap to clone. Only async code waits for room; a blocking thread never does.
#[derive(Debug, Clone)]
pub struct Answers {
    id: RequestId,
    queue: mpsc::Sender<(RequestId, Answer)>,
    charged: Option<Charged>,
    done: Done,
}

/// What pays for the memory that answers take until they leave.
#[derive(Debug, Clone)]
struct Charged {
    memory: Memory,
    /// Set when nobody takes answers any more.
    lost: CancellationToken,
}

impl Answers {
    pub fn new(id: RequestId, queue: mpsc::Sender<(RequestId, Answer)>) -> Self {
        Self { id, queue, charged: None, done: Done::default() }
    }

    /// Answers that are charged until whoever takes them gives that back.
    pub(crate) fn charged_to(self, memory: Memory, lost: CancellationToken) -> Self {
        Self { charged: Some(Charged { memory, lost }), ..self }
    }

    /// What is done is told there.
    #[must_use]
    pub fn counted_in(self, done: Done) -> Self {
        Self { done, ..self }
    }

    pub(crate) const fn done(&self) -> &Done {
        &self.done
    }

    /// Waits for room. Err when nobody listens any more: the work can stop.
    pub async fn send(&self, answer: impl Into<Answer>) -> Result<(), Fault> {
        let answer = answer.into();
        let charge = match &self.charged {
            Some(charged) => charged.take(memory::of_answer(&answer)).await?,
            None => None,
        };
        let place = self.queue.reserve().await.map_err(|_| FaultCode::Cancelled)?;
        charge.into_iter().for_each(Charge::forget);
        place.send((self.id, answer));
        Ok(())
    }

    /// Sends if there is room at once; else gives the answer back, to be [sent](Self::send) by whoever can wait.
    pub fn try_send(&self, answer: impl Into<Answer>) -> Result<Option<Answer>, Fault> {
        let answer = answer.into();
        let bytes = memory::of_answer(&answer);
        let charge = match &self.charged {
            Some(charged) if bytes > 0 => match charged.memory.try_take(bytes, Use::Passing) {
                None => return Ok(Some(answer)),
                charge => charge,
            },
            _ => None,
        };
        match self.queue.try_send((self.id, answer)) {
            Ok(()) => {
                charge.into_iter().for_each(Charge::forget);
                Ok(None)
            }
            Err(TrySendError::Full((_, answer))) => Ok(Some(answer)),
            Err(TrySendError::Closed(_)) => Err(FaultCode::Cancelled.into()),
        }
    }

    /// Sends only if there is room at once: for progress, where the newest matters and a lost one does not.
    pub fn send_if_room(&self, answer: impl Into<Answer>) {
        let _ = self.queue.try_send((self.id, answer.into()));
    }
}

impl Charged {
    async fn take(&self, bytes: usize) -> Result<Option<Charge>, Fault> {
        if bytes == 0 {
            return Ok(None);
        }
        tokio::select! {
            biased;
            charge = self.memory.take(bytes) => Ok(Some(charge)),
            () = self.lost.cancelled() => Err(FaultCode::Cancelled.into()),
        }
    }
}

/// What the service gets together with a request.
#[derive(Debug)]
pub struct Exchange {
    pub answers: Answers,
    /// `More`, `UploadData`, `UploadSpan`, `CommitUpload`, `AbortUpload` for this request; `Cancel` comes as `cancel`. Closed when
    /// the connection is gone.
    pub inputs: mpsc::Receiver<Input>,
    /// Set by the client's `Cancel`, by the loss of the connection, and at the end of a drain. Work looks at it between steps and ends
    /// with `Cancelled`.
    pub cancel: CancellationToken,
    /// Set by the loss of the connection and at the end of a drain alone: what was begun may be wanted again.
    pub lost: CancellationToken,
}
