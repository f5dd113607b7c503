//! One request's conversation, seen from the service: where its answers go, what the client says meanwhile, and whether
//! anybody still wants it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio_util::sync::CancellationToken;
use towpath_protocol::answer::Totals;
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::limits::{DATA_BYTES_MAX, SPAN_CREDIT_BYTES, UPLOAD_CREDIT_BYTES_MAX};
use towpath_protocol::message::{Answer, Input, RequestId};

use crate::memory::{self, Charge, Memory, Use};
use crate::queue::{Queue, QueueSender, queue};

/// Answers that may wait in an exchange's queue before the service waits for the reader.
pub const ANSWERS_QUEUED_MAX: usize = 32;
/// Inputs that may wait for the service: a full data frame for each of the largest credit, and once more as many.
pub const INPUTS_QUEUED_MAX: usize = 2 * (UPLOAD_CREDIT_BYTES_MAX as usize / DATA_BYTES_MAX);
/// Inputs that a request pays for itself.
const INPUTS_PAID: usize = 16;
/// Memory of a queued input, besides its data.
const INPUT_BYTES: usize = 256;

/// The queue of an exchange's inputs, which are charged beyond the first.
pub(crate) fn inputs(memory: &Memory) -> (QueueSender<Input>, Inputs) {
    queue(memory, INPUTS_QUEUED_MAX, INPUTS_PAID, INPUT_BYTES)
}

/// Inputs that an upload pays for, where its client has so much credit: two for a span and the data beside it.
pub(crate) const fn inputs_paid_with(credit_bytes: u64) -> usize {
    INPUTS_PAID + 2 * (credit_bytes / SPAN_CREDIT_BYTES) as usize
}

/// Their charge.
pub(crate) const fn input_bytes_of(credit_bytes: u64) -> usize {
    inputs_paid_with(credit_bytes) * INPUT_BYTES
}

/// Progress of long work, for the log. Cheap to clone; all clones share it.
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

/// The budget that queued answers are charged to.
#[derive(Debug, Clone)]
struct Charged {
    memory: Memory,
    /// Cancelled when the client takes no more answers.
    lost: CancellationToken,
    /// Charge of the request until its work has ended, also after the session.
    _request: Arc<Charge>,
    /// Taken before the next answer was made.
    ahead: Arc<Mutex<Option<Charge>>>,
}

impl Answers {
    pub fn new(id: RequestId, queue: mpsc::Sender<(RequestId, Answer)>) -> Self {
        Self { id, queue, charged: None, done: Done::default() }
    }

    /// Answers of a charged request, charged until the session has sent them.
    pub(crate) fn charged_to(self, memory: Memory, request: Arc<Charge>, lost: CancellationToken) -> Self {
        Self { charged: Some(Charged { memory, lost, _request: request, ahead: Arc::default() }), ..self }
    }

    /// Waits for memory for an answer of about so many bytes that is to be made, and keeps it for the next one that is sent.
    pub(crate) async fn pay_ahead(&self, bytes: usize) -> Result<(), Fault> {
        let Some(charged) = &self.charged else { return Ok(()) };
        let paid = charged.take(bytes, Use::Passing).await?;
        *charged.ahead() = paid;
        Ok(())
    }

    /// Waits for memory that work holds until this is dropped, while it sends answers.
    pub(crate) async fn hold(&self, bytes: usize) -> Result<Option<Charge>, Fault> {
        match &self.charged {
            Some(charged) => charged.take(bytes, Use::Held).await,
            None => Ok(None),
        }
    }

    /// Memory for something that is kept for an answer; false if there is none. It is added to what is paid ahead.
    pub(crate) fn try_pay_ahead(&self, bytes: usize) -> bool {
        let Some(charged) = &self.charged else { return true };
        let mut ahead = charged.ahead();
        ahead.get_or_insert_with(|| charged.memory.nothing()).try_grow(bytes, Use::Passing)
    }

    /// The place for progress.
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
        let bytes = memory::of_answer(&answer);
        let charge = match &self.charged {
            Some(charged) => match charged.paid_ahead(bytes) {
                None => charged.take(bytes, Use::Passing).await?,
                paid => paid,
            },
            None => None,
        };
        let place = self.queue.reserve().await.map_err(|_| FaultCode::Cancelled)?;
        charge.into_iter().for_each(Charge::forget);
        place.send((self.id, answer));
        Ok(())
    }

    /// Sends if there is room at once; else gives the answer back, to be [sent](Self::send) by a caller that can wait.
    pub fn try_send(&self, answer: impl Into<Answer>) -> Result<Option<Answer>, Fault> {
        let answer = answer.into();
        let bytes = memory::of_answer(&answer);
        let charge = match &self.charged {
            Some(charged) => match charged.paid_ahead(bytes) {
                None if bytes > 0 => match charged.memory.try_take(bytes, Use::Passing) {
                    None => return Ok(Some(answer)),
                    charge => charge,
                },
                paid => paid,
            },
            None => None,
        };
        match self.queue.try_send((self.id, answer)) {
            Ok(()) => {
                charge.into_iter().for_each(Charge::forget);
                Ok(None)
            }
            Err(TrySendError::Full((_, answer))) => {
                // It stays paid until it is sent.
                if let Some(charged) = &self.charged {
                    *charged.ahead() = charge;
                }
                Ok(Some(answer))
            }
            Err(TrySendError::Closed(_)) => Err(FaultCode::Cancelled.into()),
        }
    }

    /// Sends only if there is room at once: for progress, where the newest matters and a lost one does not.
    pub fn send_if_room(&self, answer: impl Into<Answer>) {
        let _ = self.queue.try_send((self.id, answer.into()));
    }
}

impl Charged {
    fn ahead(&self) -> MutexGuard<'_, Option<Charge>> {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The charge of an answer of this size.
    fn paid_ahead(&self, bytes: usize) -> Option<Charge> {
        let mut paid = self.ahead().take()?;
        paid.set(bytes);
        Some(paid)
    }

    async fn take(&self, bytes: usize, what: Use) -> Result<Option<Charge>, Fault> {
        if bytes == 0 {
            return Ok(None);
        }
        if let Some(charge) = self.memory.take_now(bytes, what) {
            return Ok(Some(charge));
        }
        // Boxed, since it is large and seldom needed: each small file has futures that would hold it.
        Box::pin(async {
            tokio::select! {
                biased;
                charge = self.memory.take(bytes, what) => Ok(Some(charge)),
                () = self.lost.cancelled() => Err(FaultCode::Cancelled.into()),
            }
        })
        .await
    }
}

/// A client's message within an exchange, for the service.
pub type Inputs = Queue<Input>;

/// What the service gets together with a request.
#[derive(Debug)]
pub struct Exchange {
    pub answers: Answers,
    /// `More`, `UploadData`, `UploadSpan`, `CommitUpload`, `AbortUpload` for this request; `Cancel` comes as `cancel`. Closed when
    /// the connection is gone.
    pub inputs: Inputs,
    /// Set by the client's `Cancel`, by the loss of the connection, and at the end of a drain. Work looks at it between steps and ends
    /// with `Cancelled`.
    pub cancel: CancellationToken,
    /// Set by the loss of the connection and at the end of a drain alone: what was begun may be wanted again.
    pub lost: CancellationToken,
}
