//! The answers of the bulk lane on their way out, for whichever stream of the session has room for the next one. From the moment on that
//! a second stream is there each gets a number as it is taken, so that the other side puts them in order again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;
use towpath_protocol::fault::FaultCode;
use towpath_protocol::frame::{Encoded, encode_answer};
use towpath_protocol::message::{Answer, RequestId};

use super::exchanges::Exchanges;

type Queue = mpsc::Receiver<(RequestId, Answer)>;

/// A frame, and its number where it has one.
pub(super) type Taken = (Encoded, Option<u64>);

/// One queue, many takers.
#[derive(Debug)]
pub(super) struct Bulk {
    line: Mutex<Queue>,
    exchanges: Arc<Exchanges>,
    has_joined: AtomicBool,
    /// Taken while the line is held, so that they keep its order; but for what is not of the line.
    next_number: AtomicU64,
    /// Set once the first number is given. It goes to the primary stream, behind all frames that have none.
    is_numbered: CancellationToken,
}

impl Bulk {
    pub(super) fn new(queue: Queue, exchanges: Arc<Exchanges>) -> Self {
        Self {
            line: Mutex::new(queue),
            exchanges,
            has_joined: AtomicBool::new(false),
            next_number: AtomicU64::new(0),
            is_numbered: CancellationToken::new(),
        }
    }

    /// A second stream is there.
    pub(super) fn join(&self) {
        self.has_joined.store(true, Ordering::Release);
    }

    /// Returns once streams other than the primary may take.
    pub(super) async fn numbered(&self) {
        self.is_numbered.cancelled().await;
    }

    /// Waits for the next frame; none once no more can come. Nothing is lost where this is dropped.
    pub(super) async fn next(&self) -> Option<Taken> {
        let mut line = self.line.lock().await;
        let (id, answer) = line.recv().await?;
        Some(self.frame(id, answer))
    }

    /// The next frame, where there is one and nobody waits for it.
    pub(super) fn try_next(&self) -> Option<Taken> {
        let mut line = self.line.try_lock().ok()?;
        let (id, answer) = line.try_recv().ok()?;
        Some(self.frame(id, answer))
    }

    /// What the primary stream says by itself, behind all that was taken before.
    pub(super) fn behind(&self, frame: Encoded) -> Taken {
        self.number(frame)
    }

    /// Takes an answer that nobody is there for any more. False once no more can come.
    pub(super) async fn drop_next(&self) -> bool {
        let next = self.line.lock().await.recv().await;
        next.map(|(id, answer)| drop(self.exchanges.answered(id, answer))).is_some()
    }

    /// While the line is held: so both the numbers and what is known of the exchange keep the order of the queue.
    fn frame(&self, id: RequestId, answer: Answer) -> Taken {
        let answer = self.exchanges.answered(id, answer);
        let frame = encode_answer(id, &answer).unwrap_or_else(|error| {
            tracing::error!(kind = answer.name(), %error, "an answer cannot be encoded");
            encode_answer(id, &Answer::Fault(FaultCode::Internal.into())).unwrap_or_default()
        });
        self.number(frame)
    }

    fn number(&self, frame: Encoded) -> Taken {
        if !self.has_joined.load(Ordering::Acquire) {
            return (frame, None);
        }
        let number = self.next_number.fetch_add(1, Ordering::AcqRel);
        if number == 0 {
            self.is_numbered.cancel();
        }
        (frame, Some(number))
    }
}
