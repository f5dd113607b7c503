//! What all streams of one session share, and the streams that joined it: they carry numbered frames of the bulk lane in both directions
//! and nothing else. Where one of them is lost the session is: what it carried may be.

use std::io::{self, IoSlice};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use towpath_protocol::frame::{Decoder, Frame, FrameError};
use towpath_protocol::hello::{Capability, Welcome};
use towpath_protocol::message::{Answer, Lane, RequestId};
use towpath_protocol::outgoing::{Outgoing, SLICES_MAX};
use towpath_protocol::packing::Packing;
use towpath_protocol::sequence::{Piece, Pieces, Sequence, Watch};

use super::bulk::Bulk;
use super::exchanges::Exchanges;
use super::intake::Intake;
use super::{LANE_ANSWERS_QUEUED_MAX, LAST_WORDS_SECONDS_MAX, SessionEnd, SessionOptions};
use crate::fair::{Share, Step};
use crate::memory::{Charge, Memory, Use};

/// One for each session, whether any stream joins it or not.
#[derive(Debug)]
pub(super) struct Streams {
    pub(super) exchanges: Arc<Exchanges>,
    pub(super) bulk: Bulk,
    /// What every stream's Hello is answered with.
    pub(super) welcome: Welcome,
    pub(super) memory: Memory,
    pub(super) share: Share,
    stall: Duration,
    sequence: Mutex<Sequence>,
    /// A frame's turn has come.
    ready: Notify,
    /// Turns have been taken: there may be room again.
    advanced: Notify,
    /// Set when the session ends: nothing more is taken in.
    ending: CancellationToken,
    /// Whether what streams have taken already is still wanted then.
    ends_in_order: AtomicBool,
    /// Set when the other side has had time to hear the last words.
    closed: CancellationToken,
    /// Streams that still have something to write.
    writing: TaskTracker,
    lost: Mutex<Option<SessionEnd>>,
    is_lost: CancellationToken,
}

/// The way of the bulk lane into the session.
pub(super) type BulkSender = mpsc::Sender<(RequestId, Answer)>;

impl Streams {
    pub(super) fn new(
        welcome: Welcome,
        narrows: bool,
        (memory, share): (Memory, Share),
        options: &SessionOptions,
    ) -> (Arc<Self>, BulkSender) {
        let (sender, queue) = mpsc::channel(LANE_ANSWERS_QUEUED_MAX);
        let open_max = welcome.limits.requests_in_flight as usize;
        let exchanges = Exchanges::new(open_max, narrows, memory.clone(), options.log.clone());
        let exchanges = Arc::new(exchanges);
        let streams = Self {
            bulk: Bulk::new(queue, exchanges.clone()),
            exchanges,
            welcome,
            memory,
            share,
            stall: options.stall,
            sequence: Mutex::default(),
            ready: Notify::new(),
            advanced: Notify::new(),
            ending: CancellationToken::new(),
            ends_in_order: AtomicBool::new(false),
            closed: CancellationToken::new(),
            writing: TaskTracker::new(),
            lost: Mutex::default(),
            is_lost: CancellationToken::new(),
        };
        (Arc::new(streams), sender)
    }

    /// Whether both sides know of packed frames.
    pub(super) fn packs(&self) -> bool {
        self.welcome.has(Capability::ZSTD)
    }

    fn sequence(&self) -> MutexGuard<'_, Sequence> {
        self.sequence.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a numbered frame in, or gives it back where it has to wait for [`advanced`](Self::advanced).
    pub(super) fn put(&self, number: u64, frame: Frame) -> Result<Option<Frame>, FrameError> {
        let mut sequence = self.sequence();
        let bytes = frame.len();
        // Awaited frames pass at once.
        let is_next = sequence.next() == number;
        let charge = self.memory.try_take(bytes, Use::Passing);
        if charge.is_none() && !is_next {
            return Ok(Some(frame));
        }
        let rest = sequence.put(number, frame)?;
        if rest.is_none() {
            charge.map_or_else(|| self.memory.add_anyway(bytes), Charge::forget);
            self.ready.notify_one();
        }
        Ok(rest)
    }

    /// The frame whose turn it is.
    pub(super) fn take(&self) -> Option<Frame> {
        let frame = self.sequence().take();
        if let Some(frame) = &frame {
            self.memory.give_back(frame.len());
            self.advanced.notify_waiters();
        }
        frame
    }

    /// Returns at once where a frame was put in since the last call.
    pub(super) async fn ready(&self) {
        self.ready.notified().await;
    }

    /// How a stream that joined was lost; and with it the session.
    pub(super) async fn lost(&self) -> SessionEnd {
        self.is_lost.cancelled().await;
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        lost.take().unwrap_or(SessionEnd::Lost(None))
    }

    fn lose(&self, end: SessionEnd) {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(end);
        self.is_lost.cancel();
    }

    /// The session ends: streams take nothing more, and stay open. What they have taken is still written where it ends in order; else
    /// only the frame that they are at.
    pub(super) fn end(&self, in_order: bool) {
        self.ends_in_order.store(in_order, Ordering::Release);
        self.ending.cancel();
        self.writing.close();
    }

    /// Waits until that is so.
    pub(super) async fn written(&self) {
        self.writing.wait().await;
    }

    /// Closes the streams.
    pub(super) fn close(&self) {
        self.ending.cancel();
        self.writing.close();
        self.closed.cancel();
    }

    /// Carries frames over a stream that has just joined, until the session ends.
    pub(super) async fn carry(
        &self,
        reader: &mut (impl AsyncRead + Unpin),
        writer: &mut (impl AsyncWrite + Unpin),
        decoder: Decoder,
    ) {
        let writing = self.writing.token();
        self.bulk.join();
        tokio::select! {
            biased;
            () = self.closed.cancelled() => {}
            end = self.read(reader, decoder) => self.lose(end),
            end = self.write(writer, writing) => self.lose(end),
            end = self.hangs() => self.lose(end),
        }
        let _ = timeout(Duration::from_secs(LAST_WORDS_SECONDS_MAX), writer.shutdown()).await;
    }

    async fn read(&self, reader: &mut (impl AsyncRead + Unpin), decoder: Decoder) -> SessionEnd {
        let mut pieces = Pieces::new(decoder);
        let mut intake = Intake::new(self.memory.clone());
        let mut step = Step::begin();
        loop {
            step.pause().await;
            loop {
                match pieces.next_piece() {
                    Ok(Some(Piece::Numbered(number, frame))) => {
                        if let Err(error) = self.put_in_time(number, frame).await {
                            return SessionEnd::Broken(error);
                        }
                    }
                    Ok(Some(Piece::Plain(_))) => return SessionEnd::Broken(FrameError::OutOfSequence),
                    Ok(None) => break,
                    Err(error) => return SessionEnd::Broken(error),
                }
            }
            match intake.read(reader, pieces.decoder()).await {
                Ok(0) => return SessionEnd::Lost(None),
                Ok(_) => {}
                Err(error) => return SessionEnd::Lost(Some(error)),
            }
        }
    }

    /// Returns once all streams have waited for too long for what one of them does not bring.
    async fn hangs(&self) -> SessionEnd {
        let mut watch = Watch::default();
        let mut looks = interval(self.stall / Watch::LOOKS);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            let awaited = self.sequence().awaited();
            if watch.is_hanging(awaited) {
                return SessionEnd::Hanging { seconds: self.stall.as_secs() };
            }
        }
    }

    /// Waits until there is room: the stream that has the frame that all wait for does not come to this.
    async fn put_in_time(&self, number: u64, mut frame: Frame) -> Result<(), FrameError> {
        loop {
            let mut advanced = std::pin::pin!(self.advanced.notified());
            advanced.as_mut().enable();
            match self.put(number, frame)? {
                None => return Ok(()),
                Some(back) => frame = back,
            }
            advanced.await;
        }
    }

    /// Until the stream fails. At the session's end what was taken is written, and `writing` dropped.
    async fn write(&self, writer: &mut (impl AsyncWrite + Unpin), writing: TaskTrackerToken) -> SessionEnd {
        let mut outgoing = Outgoing::new(Packing::of_server(self.packs()));
        // Frames taken from the queue were charged there.
        let mut held = self.memory.nothing();
        match self.write_all(writer, &mut outgoing, &mut held).await {
            Ok(()) => {
                drop(writing);
                std::future::pending().await
            }
            Err(end) => end,
        }
    }

    async fn write_all(
        &self,
        writer: &mut (impl AsyncWrite + Unpin),
        outgoing: &mut Outgoing,
        held: &mut Charge,
    ) -> Result<(), SessionEnd> {
        let is_ending = tokio::select! {
            () = self.bulk.numbered() => false,
            () = self.ending.cancelled() => true,
        };
        let mut is_ending = is_ending;
        let (mut progress, mut step) = (Instant::now(), Step::begin());
        loop {
            step.pause().await;
            is_ending |= self.ending.is_cancelled();
            if is_ending && !self.ends_in_order.load(Ordering::Acquire) {
                outgoing.drop_waiting();
            }
            while !is_ending && outgoing.has_room(Lane::Bulk) {
                let Some((frame, number)) = self.bulk.try_next() else { break };
                outgoing.push(Lane::Bulk, frame, number);
            }
            held.set(outgoing.bytes());
            if !outgoing.is_empty() {
                write_some(writer, outgoing, progress, self.stall).await?;
                progress = Instant::now();
                continue;
            }
            outgoing.rest();
            flush(writer, self.stall).await?;
            if is_ending {
                return Ok(());
            }
            tokio::select! {
                () = self.ending.cancelled() => {}
                frame = self.bulk.next() => match frame {
                    Some((frame, number)) => outgoing.push(Lane::Bulk, frame, number),
                    None => return Ok(()),
                },
            }
            progress = Instant::now();
        }
    }
}

/// One write, of what has been ready `since` then, and no later than after `stall`.
async fn write_some(
    writer: &mut (impl AsyncWrite + Unpin),
    outgoing: &mut Outgoing,
    since: Instant,
    stall: Duration,
) -> Result<(), SessionEnd> {
    let mut slices = [IoSlice::new(&[]); SLICES_MAX];
    let count = outgoing.slices(&mut slices);
    match timeout_at(since + stall, writer.write_vectored(&slices[..count])).await {
        Err(_elapsed) => Err(SessionEnd::Stalled),
        Ok(Err(error)) => Err(SessionEnd::Lost(Some(error))),
        Ok(Ok(0)) => Err(SessionEnd::Lost(Some(io::ErrorKind::WriteZero.into()))),
        Ok(Ok(written)) => {
            outgoing.wrote(written, since.elapsed());
            Ok(())
        }
    }
}

/// What the stream holds goes out, within the time.
pub(super) async fn flush(writer: &mut (impl AsyncWrite + Unpin), stall: Duration) -> Result<(), SessionEnd> {
    match timeout(stall, writer.flush()).await {
        Err(_elapsed) => Err(SessionEnd::Stalled),
        Ok(Err(error)) => Err(SessionEnd::Lost(Some(error))),
        Ok(Ok(())) => Ok(()),
    }
}
