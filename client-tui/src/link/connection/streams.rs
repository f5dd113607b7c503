//! What all streams of one session share, and the streams that joined it: they carry numbered frames of the bulk lane in both directions
//! and nothing else. Where one of them is lost the session is: what it carried may be.

use std::io::{self, IoSlice};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout, timeout_at};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::frame::{Decoder, Frame, FrameError};
use towpath_protocol::message::Lane;
use towpath_protocol::outgoing::{Outgoing, SLICES_MAX};
use towpath_protocol::packing::Packing;
use towpath_protocol::sequence::{Piece, Pieces, Sequence, Watch};

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
    /// The server is to be asked whether all of the bulk arrives.
    asks_in_turn: AtomicBool,
}

impl Streams {
    pub(super) fn new(exchanges: Arc<Exchanges>, bulk: Bulk, unpacks: Option<usize>) -> Self {
        let (sequence, advanced, moved, asks_in_turn) = Default::default();
        Self { exchanges, bulk, unpacks, sequence, advanced, moved, asks_in_turn }
    }

    /// Has the primary stream ask, behind all of the bulk that was taken before, whether that arrives.
    pub(super) fn ask_in_turn(&self) {
        self.asks_in_turn.store(true, Ordering::Release);
        self.exchanges.wake();
    }

    /// Whether that is to be asked; once for each time.
    pub(super) fn takes_asking(&self) -> bool {
        self.bulk.has_joined() && self.asks_in_turn.swap(false, Ordering::AcqRel)
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

    /// After the end of the primary stream, for a moment: what waits there for frames that other streams still bring, as a Bye does, is
    /// taken in its turn.
    pub(super) async fn drained(&self) {
        let drained = async {
            loop {
                let mut advanced = std::pin::pin!(self.advanced.notified());
                advanced.as_mut().enable();
                if self.sequence().is_empty() {
                    return;
                }
                advanced.await;
            }
        };
        let _ = timeout(REASON_TIME, drained).await;
    }

    /// Returns once all streams have waited for too long for what one of them does not bring.
    async fn hangs(&self) -> Fault {
        let mut watch = Watch::default();
        let mut looks = interval(STALL / Watch::LOOKS);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            let awaited = self.sequence().awaited();
            if watch.is_hanging(awaited) {
                let detail =
                    format!("one of its streams has brought nothing for {} seconds", STALL.as_secs());
                return Fault::new(FaultCode::Disconnected).because(detail);
            }
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
        why = streams.hangs() => Some(why),
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
    let mut outgoing = Outgoing::new(Packing::of_client(streams.unpacks.is_some()));
    let mut progress = Instant::now();
    loop {
        while outgoing.has_room(Lane::Bulk) {
            let Some((frame, number)) = streams.bulk.try_next() else { break };
            outgoing.push(Lane::Bulk, frame, number);
        }
        if outgoing.is_empty() {
            outgoing.rest();
            timeout(STALL, writer.flush()).await.map_err(|_elapsed| stalled())?.map_err(lost)?;
            let (frame, number) = streams.bulk.next().await;
            outgoing.push(Lane::Bulk, frame, number);
            progress = Instant::now();
        }
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let count = outgoing.slices(&mut slices);
        let written = timeout_at(progress + STALL, writer.write_vectored(&slices[..count])).await;
        let written = written.map_err(|_elapsed| stalled())?.map_err(lost)?;
        if written == 0 {
            return Err(lost(io::ErrorKind::WriteZero.into()));
        }
        outgoing.wrote(written, progress.elapsed());
        streams.note_moved(written);
        progress = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{duplex, split};
    use tokio::sync::mpsc;
    use towpath_protocol::answer::Done;
    use towpath_protocol::frame::{HEADER_BYTES, Undecodable, encode_answer};
    use towpath_protocol::limits::FRAME_BYTES_MAX;
    use towpath_protocol::message::{Answer, Bye, NUMBERED_BY_SERVER, Pong, RequestId, Session, ToServer};
    use towpath_protocol::path::WirePath;
    use towpath_protocol::request::Space;

    use super::super::reader::Reader;
    use super::super::writer::Writer;
    use super::*;

    fn streams() -> Arc<Streams> {
        let exchanges = Arc::new(Exchanges::new(4, Some(Duration::ZERO)));
        let bulk = Bulk::new(mpsc::channel(1).1, exchanges.clone(), FRAME_BYTES_MAX);
        Arc::new(Streams::new(exchanges, bulk, None))
    }

    fn frame() -> Frame {
        let pong = encode_answer(RequestId(7), &Answer::Pong(Pong {})).unwrap();
        Frame::from(bytes::Bytes::from(pong.head[HEADER_BYTES..].to_vec()))
    }

    #[tokio::test(start_paused = true)]
    async fn f48_a_stream_that_hangs_ends_the_session_and_one_that_is_slow_does_not() {
        let streams = streams();
        let (ours, _theirs) = duplex(64);
        let (reader, writer) = split(ours);
        tokio::spawn(carry(streams.clone(), reader, writer, Decoder::new()));
        for number in 0..5 {
            streams.pass(2 * number + 1, frame()).await.unwrap();
            sleep(STALL * 3 / 4).await;
            streams.pass(2 * number, frame()).await.unwrap();
        }
        sleep(STALL * 2).await;
        assert!(!streams.exchanges.is_gone(), "nothing is missing");
        streams.pass(11, frame()).await.unwrap();
        let began = Instant::now();
        streams.exchanges.gone().await;
        assert!((STALL..STALL * 5 / 4).contains(&began.elapsed()), "{:?}", began.elapsed());
        let fault = streams.exchanges.loss();
        assert_eq!(fault.code, FaultCode::Disconnected);
        assert_eq!(fault.detail, "one of its streams has brought nothing for 120 seconds");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_on_its_way_on_another_stream_is_not_lost_by_the_end_of_the_primary_one() {
        let streams = streams();
        let space = Space { path: WirePath::root() };
        let (id, mut answers) = streams.exchanges.open(space.into());
        streams.exchanges.next_message(Lane::Control).unwrap();
        let (ours, mut theirs) = duplex(1024);
        let (reader, exchanges) =
            (Reader::new(split(ours).0, Decoder::new(), streams.clone()), streams.exchanges.clone());
        tokio::spawn(async move { exchanges.lose(reader.run().await) });
        let bye = encode_answer(RequestId::NONE, &Answer::Bye(Bye {})).unwrap();
        theirs.write_all(&bye.numbered(NUMBERED_BY_SERVER, 1).head).await.unwrap();
        drop(theirs);
        sleep(REASON_TIME / 2).await;
        let done = encode_answer(id, &Answer::Done(Done {})).unwrap();
        let done = Frame::from(bytes::Bytes::from(done.head[HEADER_BYTES..].to_vec()));
        assert_eq!(streams.pass(0, done).await.unwrap_err().detail, "the other side ended it");
        assert!(matches!(answers.recv().await, Some((_, Answer::Done(_)))));
        streams.exchanges.gone().await;
    }

    #[tokio::test(start_paused = true)]
    async fn once_streams_have_joined_the_server_is_asked_whether_all_of_the_bulk_arrives() {
        let streams = streams();
        let (ours, mut theirs) = duplex(64 * 1024);
        let (reader, writer) = split(ours);
        let (_control, control) = mpsc::channel(1);
        tokio::spawn(Reader::new(reader, Decoder::new(), streams.clone()).run());
        tokio::spawn(Writer::new(writer, streams.clone(), control, FRAME_BYTES_MAX).run());
        let mut pieces = Pieces::new(Decoder::new());
        let mut asked = Vec::new();
        for has_joined in [false, true] {
            if has_joined {
                streams.bulk.join();
            }
            asked.clear();
            let until = Instant::now() + Duration::from_secs(16);
            while let Ok(read) = timeout_at(until, theirs.read_buf(pieces.decoder().space(64, 64))).await {
                assert!(read.unwrap() > 0);
                while let Some(piece) = pieces.next_piece().unwrap() {
                    let (number, frame) = match piece {
                        Piece::Plain(frame) => (None, frame),
                        Piece::Numbered(number, frame) => (Some(number), frame),
                    };
                    let message: Result<_, Undecodable> = frame.to_server().unwrap().message;
                    assert!(matches!(message, Ok(ToServer::Session(Session::Ping(_)))));
                    asked.push(number);
                }
            }
            // No second one while the first is not answered.
            let expected: &[_] = if has_joined { &[Some(0)] } else { &[None] };
            assert_eq!(asked, expected);
        }
    }
}
