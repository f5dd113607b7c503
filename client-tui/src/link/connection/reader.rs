//! The reader of the session's primary stream: takes answers in and passes them on. It never waits for whoever they are for. It also keeps the
//! connection's pulse: asks a silent server whether it is there, and gives up on one that stays silent.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::{Instant, sleep_until};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::frame::{Decoder, Frame, FrameError, Undecodable};
use towpath_protocol::message::{Answer, RequestId};
use towpath_protocol::packing::unpack;
use towpath_protocol::sequence::{Piece, Pieces};

use super::exchanges::Exchanges;
use super::lost;
use super::streams::Streams;

/// Bytes of room taken for reading at a time; data frames stay where they were read, so it is not filled twice.
pub(super) const ROOM_BYTES: usize = 512 * 1024;
/// With less room than this, new room is taken.
pub(super) const ROOM_BYTES_MIN: usize = 64 * 1024;
/// How often the server is asked whether it is there.
const PING_EVERY: Duration = Duration::from_secs(15);
/// So often in a row not a word has come since the time before. That is counted, and no clock is read: whoever was stopped meanwhile, as
/// a laptop that slept, asks first.
const SILENT_MAX: u32 = 3;

#[derive(Debug)]
pub(super) struct Reader<R> {
    stream: R,
    pieces: Pieces,
    streams: Arc<Streams>,
    ping_at: Instant,
    /// Whether anything was heard since the server was asked last.
    is_heard: bool,
    silent: u32,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    pub(super) fn new(stream: R, decoder: Decoder, streams: Arc<Streams>) -> Self {
        let ping_at = Instant::now() + PING_EVERY;
        Self { stream, pieces: Pieces::new(decoder), streams, ping_at, is_heard: false, silent: 0 }
    }

    /// Reads until the connection ends. Returns why it did.
    pub(super) async fn run(mut self) -> Fault {
        match self.read_all().await {
            Ok(never) => match never {},
            Err(fault) => fault,
        }
    }

    async fn read_all(&mut self) -> Result<std::convert::Infallible, Fault> {
        loop {
            while let Some(piece) = self.pieces.next_piece().map_err(broken)? {
                match piece {
                    Piece::Plain(frame) => take(&self.streams, frame)?,
                    Piece::Numbered(number, frame) => self.streams.pass(number, frame).await?,
                }
            }
            let room = self.pieces.decoder().space(ROOM_BYTES_MIN, ROOM_BYTES);
            tokio::select! {
                read = self.stream.read_buf(room) => match read.map_err(lost)? {
                    0 => {
                        self.streams.drained().await;
                        return Err(ended(&self.streams.exchanges, self.pieces.is_empty()));
                    }
                    read => {
                        self.streams.note_moved(read);
                        self.is_heard = true;
                    }
                },
                () = sleep_until(self.ping_at) => self.pulse()?,
            }
        }
    }

    fn pulse(&mut self) -> Result<(), Fault> {
        self.silent = if std::mem::take(&mut self.is_heard) { 0 } else { self.silent + 1 };
        if self.silent >= SILENT_MAX {
            let seconds = (PING_EVERY * SILENT_MAX).as_secs();
            let detail = format!("nothing was heard for {seconds} seconds");
            return Err(Fault::new(FaultCode::Disconnected).because(detail));
        }
        self.streams.exchanges.ping();
        self.streams.ask_in_turn();
        self.ping_at = Instant::now() + PING_EVERY;
        Ok(())
    }
}

/// Takes what the server says.
pub(super) fn take(streams: &Streams, frame: Frame) -> Result<(), Fault> {
    let exchanges = &streams.exchanges;
    let unpacked = match streams.unpacks {
        Some(frame_bytes_max) => unpack(frame, frame_bytes_max),
        None => Ok(frame),
    };
    let incoming = unpacked.and_then(|frame| frame.answer()).map_err(broken)?;
    let id = incoming.id;
    match incoming.message {
        Ok(Answer::Bye(_)) => Err(ended(exchanges, true)),
        Ok(Answer::Fault(fault)) if id == RequestId::NONE => {
            let why =
                if fault.detail.is_empty() { fault.code.text().to_owned() } else { fault.detail.to_string() };
            Err(Fault::new(FaultCode::Disconnected).because(format!("the server ended it: {why}")))
        }
        // It was packed without leave, or more than once.
        Ok(Answer::Packed(_)) => Err(broken(FrameError::BadlyPacked)),
        // Numbers were taken off the frames before they came here.
        Ok(Answer::Numbered(_)) => Err(broken(FrameError::OutOfSequence)),
        Ok(answer) => exchanges.answer(id, answer).map_err(|fault| broken(fault.detail)),
        Err(undecodable) => {
            let fault = match undecodable {
                Undecodable::UnknownKind(kind) => {
                    Fault::new(FaultCode::Unsupported).because(format!("an answer of kind {kind}"))
                }
                Undecodable::BadBody(kind) => {
                    Fault::new(FaultCode::Malformed).because(format!("in an answer of kind {kind}"))
                }
            };
            exchanges.undecodable(id, fault);
            Ok(())
        }
    }
}

fn ended(exchanges: &Exchanges, is_whole: bool) -> Fault {
    let why = match (exchanges.is_ending(), is_whole) {
        (true, _) => "the session was ended",
        (false, true) => "the other side ended it",
        (false, false) => "it was cut in the middle of a message",
    };
    Fault::new(FaultCode::Disconnected).because(why)
}

/// The server speaks, but not the protocol.
pub(super) fn broken(why: impl std::fmt::Display) -> Fault {
    Fault::new(FaultCode::Disconnected).because(format!("the server broke the protocol: {why}"))
}
