//! What all streams of one session share, and the streams that joined it: they carry numbered frames of the bulk lane in both directions
//! and nothing else. Where one of them is lost the session is: what it carried may be.

use std::io::{self, IoSlice};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::frame::{Decoder, Frame, FrameError};
use towpath_protocol::message::Lane;
use towpath_protocol::outgoing::{Outgoing, SLICES_MAX};
use towpath_protocol::packing::Packing;
use towpath_protocol::sequence::{Piece, Pieces, Sequence};

use super::bulk::Bulk;
use super::exchanges::Exchanges;
use super::reader::{ROOM_BYTES, ROOM_BYTES_MIN, take};
use super::writer::{STALL, stalled};
use super::{REASON_TIME, lost};

/// One for each session, whether any stream joins it or not.
#[derive(Debug)]
pub(super) struct Streams {
    pub(super) exchanges: Arc<Exchanges>,
    pub(super) bulk: Bulk,
    /// Where frames may be packed, how long they may be without that.
    pub(super) unpacks: Option<usize>,
    /// Held while frames are passed on: so the order of their numbers is that of their arrival.
    sequence: Mutex<Sequence>,
    /// Turns have been taken: there may be room again.
    advanced: Notify,
    /// Bytes of all streams and both directions.
    moved: AtomicU64,
}

impl Streams {
    pub(super) fn new(exchanges: Arc<Exchanges>, bulk: Bulk, unpacks: Option<usize>) -> Self {
        let (sequence, advanced, moved) = Default::default();
        Self { exchanges, bulk, unpacks, sequence, advanced, moved }
    }

    fn sequence(&self) -> MutexGuard<'_, Sequence> {
        self.sequence.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn note_moved(&self, bytes: usize) {
        self.moved.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn moved(&self) -> u64 {
        self.moved.load(Ordering::Relaxed)
    }

    /// Passes a numbered frame on in its turn, and those that waited for it. Waits where there is no room for it yet: the stream that
    /// has the frame that all wait for does not come to this.
    pub(super) async fn pass(&self, number: u64, mut frame: Frame) -> Result<(), Fault> {
        loop {
            let mut advanced = std::pin::pin!(self.advanced.notified());
            advanced.as_mut().enable();
            match self.try_pass(number, frame)? {
                None => return Ok(()),
                Some(back) => frame = back,
            }
            advanced.await;
        }
    }

    fn try_pass(&self, number: u64, frame: Frame) -> Result<Option<Frame>, Fault> {
        let mut sequence = self.sequence();
        let back = sequence.put(number, frame).map_err(super::reader::broken)?;
        let mut passed = Ok(());
        while passed.is_ok()
            && let Some(frame) = sequence.take()
        {
            passed = take(self, frame);
            self.advanced.notify_waiters();
        }
        passed.map(|()| back)
    }
}

/// Carries frames over a stream that has joined, until the session ends; which it does where this stream fails.
pub(super) async fn carry(
    streams: Arc<Streams>,
    reader: impl AsyncRead + Unpin,
    mut writer: impl AsyncWrite + Unpin,
    decoder: Decoder,
) {
    let exchanges = &streams.exchanges;
    let why = tokio::select! {
        () = exchanges.gone() => None,
        why = read(&streams, reader, decoder) => Some(why),
        why = write(&streams, &mut writer) => Some(why),
    };
    if let Some(why) = why {
        // The primary stream may say why: that is worth more.
        tokio::select! {
            () = exchanges.gone() => {}
            () = sleep(REASON_TIME) => {}
        }
        exchanges.lose(why);
    }
    let _ = timeout(REASON_TIME, writer.shutdown()).await;
}

async fn read(streams: &Streams, reader: impl AsyncRead + Unpin, decoder: Decoder) -> Fault {
    match read_all(streams, reader, decoder).await {
        Ok(never) => match never {},
        Err(fault) => fault,
    }
}

async fn read_all(
    streams: &Streams,
    mut reader: impl AsyncRead + Unpin,
    decoder: Decoder,
) -> Result<std::convert::Infallible, Fault> {
    let mut pieces = Pieces::new(decoder);
    loop {
        while let Some(piece) = pieces.next_piece().map_err(super::reader::broken)? {
            match piece {
                Piece::Numbered(number, frame) => streams.pass(number, frame).await?,
                Piece::Plain(_) => return Err(super::reader::broken(FrameError::OutOfSequence)),
            }
        }
        let room = pieces.decoder().space(ROOM_BYTES_MIN, ROOM_BYTES);
        match reader.read_buf(room).await.map_err(lost)? {
            0 => return Err(Fault::new(FaultCode::Disconnected).because("one of its streams was cut")),
            read => streams.note_moved(read),
        }
    }
}

async fn write(streams: &Streams, writer: &mut (impl AsyncWrite + Unpin)) -> Fault {
    match write_all(streams, writer).await {
        Ok(never) => match never {},
        Err(fault) => fault,
    }
}

async fn write_all(
    streams: &Streams,
    writer: &mut (impl AsyncWrite + Unpin),
) -> Result<std::convert::Infallible, Fault> {
    streams.bulk.numbered().await;
    let mut outgoing = Outgoing::default();
    let mut progress = Instant::now();
    let mut packing = Packing::of_client(streams.unpacks.is_some());
    loop {
        while outgoing.has_room(Lane::Bulk) {
            let Some((frame, number)) = streams.bulk.try_next() else { break };
            outgoing.push(Lane::Bulk, packing.finish(frame, number));
        }
        if outgoing.is_empty() {
            packing.rest();
            timeout(STALL, writer.flush()).await.map_err(|_elapsed| stalled())?.map_err(lost)?;
            let (frame, number) = streams.bulk.next().await;
            outgoing.push(Lane::Bulk, packing.finish(frame, number));
            progress = Instant::now();
        }
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let count = outgoing.slices(&mut slices);
        let written = timeout_at(progress + STALL, writer.write_vectored(&slices[..count])).await;
        let written = written.map_err(|_elapsed| stalled())?.map_err(lost)?;
        if written == 0 {
            return Err(lost(io::ErrorKind::WriteZero.into()));
        }
        outgoing.advance(written);
        streams.note_moved(written);
        packing.wrote(written, progress.elapsed());
        progress = Instant::now();
    }
}
