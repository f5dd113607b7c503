//! The bulk lane on its way out, for whichever stream of the session has room for the next frame: small files, and the data of uploads. From
//! the moment on that a second stream is there each frame gets a number as it is taken, so that the server puts them in order again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::frame::{Encoded, HEADER_BYTES, encode_to_server};
use towpath_protocol::message::{Input, Lane, RequestId, ToServer};

use super::exchanges::Exchanges;
use super::writer::Inputs;

/// A frame, and its number where it has one.
pub(super) type Taken = (Encoded, Option<u64>);

/// One queue, many takers.
#[derive(Debug)]
pub(super) struct Bulk {
    line: Mutex<Inputs>,
    exchanges: Arc<Exchanges>,
    frame_bytes_max: usize,
    has_joined: AtomicBool,
    /// Taken while the line is held, so that they keep its order; but for what is not of the line.
    next_number: AtomicU64,
    /// Set once the first number is given. It goes to the primary stream, behind all frames that have none.
    is_numbered: CancellationToken,
}

impl Bulk {
    pub(super) fn new(inputs: Inputs, exchanges: Arc<Exchanges>, frame_bytes_max: usize) -> Self {
        Self {
            line: Mutex::new(inputs),
            exchanges,
            frame_bytes_max,
            has_joined: AtomicBool::new(false),
            next_number: AtomicU64::new(0),
            is_numbered: CancellationToken::new(),
        }
    }

    /// A second stream is there.
    pub(super) fn join(&self) {
        self.has_joined.store(true, Ordering::Release);
    }

    pub(super) fn has_joined(&self) -> bool {
        self.has_joined.load(Ordering::Acquire)
    }

    /// Returns once streams other than the primary may take.
    pub(super) async fn numbered(&self) {
        self.is_numbered.cancelled().await;
    }

    /// Waits for the next frame. Nothing is lost where this is dropped.
    pub(super) async fn next(&self) -> Taken {
        let mut line = self.line.lock().await;
        loop {
            if let Some(frame) = self.take(&mut line) {
                return frame;
            }
            tokio::select! {
                () = self.exchanges.bulk_work() => {}
                Some((id, input)) = line.recv() => {
                    if let Some(frame) = self.input(id, input) {
                        return frame;
                    }
                }
            }
        }
    }

    /// The next frame, where there is one and nobody waits for it.
    pub(super) fn try_next(&self) -> Option<Taken> {
        let mut line = self.line.try_lock().ok()?;
        self.take(&mut line)
    }

    /// Whether inputs wait to be taken; not where somebody is about to.
    pub(super) fn has_inputs(&self) -> bool {
        self.line.try_lock().is_ok_and(|line| !line.is_empty())
    }

    /// What the primary stream says by itself, behind all that was taken before.
    pub(super) fn behind(&self, frame: Encoded) -> Taken {
        self.number(frame)
    }

    fn take(&self, line: &mut Inputs) -> Option<Taken> {
        while let Some((id, message)) = self.exchanges.next_message(Lane::Bulk) {
            if let Some(frame) = encode(&self.exchanges, self.frame_bytes_max, id, &message) {
                return Some(self.number(frame));
            }
        }
        while let Ok((id, input)) = line.try_recv() {
            if let Some(frame) = self.input(id, input) {
                return Some(frame);
            }
        }
        None
    }

    /// What is said in an exchange that has ended meanwhile is said to nobody.
    fn input(&self, id: RequestId, input: Input) -> Option<Taken> {
        if !self.exchanges.is_wanted(id) {
            return None;
        }
        let frame = encode(&self.exchanges, self.frame_bytes_max, id, &ToServer::Input(input))?;
        Some(self.number(frame))
    }

    fn number(&self, frame: Encoded) -> Taken {
        if !self.has_joined() {
            return (frame, None);
        }
        let number = self.next_number.fetch_add(1, Ordering::AcqRel);
        if number == 0 {
            self.is_numbered.cancel();
        }
        (frame, Some(number))
    }
}

/// A message as bytes; none where it cannot be said, which ends its exchange.
pub(super) fn encode(
    exchanges: &Exchanges,
    frame_bytes_max: usize,
    id: RequestId,
    message: &ToServer,
) -> Option<Encoded> {
    match encode_to_server(id, message) {
        Ok(frame) if frame.len() - HEADER_BYTES <= frame_bytes_max => return Some(frame),
        Ok(frame) => {
            let detail = format!("{} bytes are too long for one message", frame.len());
            exchanges.refuse(id, Fault::new(FaultCode::LimitExceeded).because(detail));
        }
        Err(error) => {
            tracing::error!(%error, "a message cannot be encoded");
            exchanges.refuse(id, FaultCode::Internal.into());
        }
    }
    None
}
