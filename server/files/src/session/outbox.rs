//! The writer of the session's primary stream. It takes answers from their queues (the session's own replies, the control lane, the bulk
//! lane, which it may share with other streams), and writes what is ready with one vectored write, without copying data. While the stream
//! takes nothing, a control answer that comes in still goes before the bulk that waits.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use towpath_protocol::frame::encode_answer;
use towpath_protocol::message::{Answer, Lane, RequestId};
use towpath_protocol::outgoing::{Outgoing, SLICES_MAX};
use towpath_protocol::packing::Packing;

use super::SessionEnd;
use super::bulk::Taken;
use super::streams::{Streams, flush};
use crate::fair::Step;
use crate::memory::Charge;
use crate::queue::Queue;

type Replies = Queue<(RequestId, Answer)>;
type Answers = mpsc::Receiver<(RequestId, Answer)>;

/// What the outbox has to itself.
#[derive(Debug)]
pub(super) struct Queues {
    pub(super) replies: Replies,
    pub(super) in_turn: Replies,
    pub(super) control: Answers,
}

/// Queues in, frames out.
#[derive(Debug)]
pub(super) struct Outbox {
    replies: Replies,
    /// Replies that go behind the bulk, with a number.
    in_turn: Replies,
    control: Answers,
    streams: Arc<Streams>,
    outgoing: Outgoing,
    /// Charge of a frame that has left the queues.
    held: Charge,
    stall: Duration,
    /// When the stream last took bytes, or last had nothing to take.
    progress: Instant,
}

/// Which queue an answer came from.
#[derive(Clone, Copy)]
enum Origin {
    Session,
    Exchange,
}

impl Outbox {
    pub(super) fn new(queues: Queues, streams: Arc<Streams>, stall: Duration) -> Self {
        let packing = Packing::of_server(streams.packs());
        let Queues { replies, in_turn, control } = queues;
        let held = streams.memory.nothing();
        Self {
            replies,
            in_turn,
            control,
            held,
            streams,
            outgoing: Outgoing::new(packing),
            stall,
            progress: Instant::now(),
        }
    }

    /// Writes until the stream fails or takes nothing for too long.
    pub(super) async fn write_to(&mut self, writer: &mut (impl AsyncWrite + Unpin)) -> SessionEnd {
        let mut step = Step::begin();
        loop {
            step.pause().await;
            self.take_what_is_ready();
            self.held.set(self.outgoing.bytes());
            let step =
                if self.outgoing.is_empty() { self.rest(writer).await } else { self.write(writer).await };
            if let Err(end) = step {
                return end;
            }
        }
    }

    /// Finishes the frame that has begun and says one last thing, before all that still waits. Where the exchanges have ended,
    /// as before a Bye, nothing waits but what was taken from the queues already; that is written first.
    pub(super) async fn say_last(
        &mut self,
        writer: &mut (impl AsyncWrite + Unpin),
        id: RequestId,
        last: &Answer,
    ) -> io::Result<()> {
        // Nothing may have been written for long.
        self.progress = Instant::now();
        let mut last_frame = (encode_answer(id, last).map_err(io::Error::other)?, None);
        if self.streams.exchanges.is_empty() {
            self.take_what_is_ready();
            if matches!(last, Answer::Bye(_)) {
                last_frame = self.streams.bulk.behind(last_frame.0);
            }
        } else {
            self.outgoing.drop_waiting();
        }
        self.push_bulk(last_frame);
        while !self.outgoing.is_empty() {
            self.write_some(writer).await?;
        }
        writer.flush().await
    }

    /// After the end: takes the answers that still come, so that no work waits for room, until all work has stopped. The
    /// caller has dropped its own ends of the queues.
    pub(super) async fn run_out(&mut self) {
        loop {
            tokio::select! {
                Some((id, answer)) = self.control.recv() => drop(self.streams.exchanges.answered(id, answer)),
                true = self.streams.bulk.drop_next() => {}
                else => return,
            }
        }
    }

    /// Nothing to write: flushes what the stream holds, then waits for an answer.
    async fn rest(&mut self, writer: &mut (impl AsyncWrite + Unpin)) -> Result<(), SessionEnd> {
        self.outgoing.rest();
        flush(writer, self.stall).await?;
        tokio::select! {
            biased;
            Some((id, answer)) = self.replies.recv() => self.encode(Origin::Session, id, answer),
            Some((id, answer)) = self.control.recv() => self.encode(Origin::Exchange, id, answer),
            Some((id, answer)) = self.in_turn.recv() => self.encode_in_turn(id, &answer),
            Some(taken) = self.streams.bulk.next() => self.push_bulk(taken),
            // All senders are gone: the router has ended, and with it this future.
            else => std::future::pending().await,
        }
        self.progress = Instant::now();
        Ok(())
    }

    /// One write, or one more control answer while the stream takes nothing.
    async fn write(&mut self, writer: &mut (impl AsyncWrite + Unpin)) -> Result<(), SessionEnd> {
        let room = self.outgoing.has_room(Lane::Control);
        let deadline = self.progress + self.stall;
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let count = self.outgoing.slices(&mut slices);
        let (origin, id, answer) = tokio::select! {
            biased;
            written = timeout_at(deadline, writer.write_vectored(&slices[..count])) => {
                let written = match written {
                    Err(_elapsed) => return Err(SessionEnd::Stalled),
                    Ok(Err(error)) => return Err(SessionEnd::Lost(Some(error))),
                    Ok(Ok(0)) => return Err(SessionEnd::Lost(Some(io::ErrorKind::WriteZero.into()))),
                    Ok(Ok(written)) => written,
                };
                self.outgoing.wrote(written, self.progress.elapsed());
                self.progress = Instant::now();
                return Ok(());
            }
            Some((id, answer)) = self.replies.recv(), if room => (Origin::Session, id, answer),
            Some((id, answer)) = self.control.recv(), if room => (Origin::Exchange, id, answer),
        };
        self.encode(origin, id, answer);
        Ok(())
    }

    async fn write_some(&mut self, writer: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let count = self.outgoing.slices(&mut slices);
        match writer.write_vectored(&slices[..count]).await? {
            0 => Err(io::ErrorKind::WriteZero.into()),
            written => {
                self.outgoing.wrote(written, self.progress.elapsed());
                self.progress = Instant::now();
                Ok(())
            }
        }
    }

    /// Fills one write from the queues, without waiting, control before bulk.
    fn take_what_is_ready(&mut self) {
        while self.outgoing.has_room(Lane::Control) {
            if let Ok((id, answer)) = self.replies.try_recv() {
                self.encode(Origin::Session, id, answer);
            } else if let Ok((id, answer)) = self.control.try_recv() {
                self.encode(Origin::Exchange, id, answer);
            } else {
                break;
            }
        }
        while self.outgoing.has_room(Lane::Bulk) {
            if let Ok((id, answer)) = self.in_turn.try_recv() {
                self.encode_in_turn(id, &answer);
            } else if let Some(taken) = self.streams.bulk.try_next() {
                self.push_bulk(taken);
            } else {
                return;
            }
        }
    }

    fn push_bulk(&mut self, (frame, number): Taken) {
        self.outgoing.push(Lane::Bulk, frame, number);
    }

    /// A reply of the session, behind the bulk that other streams have taken.
    fn encode_in_turn(&mut self, id: RequestId, answer: &Answer) {
        match encode_answer(id, answer) {
            Ok(frame) => self.push_bulk(self.streams.bulk.behind(frame)),
            Err(error) => tracing::error!(kind = answer.name(), %error, "an answer cannot be encoded"),
        }
    }

    /// Of the control lane.
    fn encode(&mut self, origin: Origin, id: RequestId, answer: Answer) {
        let answer = match origin {
            Origin::Session => answer,
            Origin::Exchange => self.streams.exchanges.answered(id, answer),
        };
        match encode_answer(id, &answer) {
            Ok(frame) => self.outgoing.push(Lane::Control, frame, None),
            Err(error) => tracing::error!(kind = answer.name(), %error, "an answer cannot be encoded"),
        }
    }
}
