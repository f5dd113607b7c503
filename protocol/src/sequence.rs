//! The frames of a session with several streams, in the order in which they were said. Each stream keeps its own order; a number
//! before a frame says where it stands among those of all streams. Pure: it knows no stream, and never waits.
//!
//! What must wait for an earlier frame is held here within a bound. Beyond it the stream that brings the frame has to wait, which
//! holds nobody up for ever: numbers go up on each stream, so the one that has the next frame has nothing before it.

use std::collections::BTreeMap;

use crate::frame::{Decoder, Frame, FrameError};
use crate::limits::HELD_BYTES_MAX;

/// What holding a frame costs besides its bytes.
const FRAME_COST: usize = 256;

/// What a stream brings.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    /// To be taken at once.
    Plain(Frame),
    /// To be taken in its turn.
    Numbered(u64, Frame),
}

/// Takes a stream's frames together with their numbers.
#[derive(Debug, Default)]
pub struct Pieces {
    decoder: Decoder,
    /// Of the frame that comes next.
    announced: Option<u64>,
    /// The lowest number that the next numbered frame of this stream may have.
    least: u64,
}

impl Pieces {
    /// With what the decoder holds already.
    pub const fn new(decoder: Decoder) -> Self {
        Self { decoder, announced: None, least: 0 }
    }

    /// Where the stream's bytes go.
    pub const fn decoder(&mut self) -> &mut Decoder {
        &mut self.decoder
    }

    /// Whether the stream could end here without cutting anything.
    pub fn is_empty(&self) -> bool {
        self.decoder.is_empty() && self.announced.is_none()
    }

    /// The next one; none while its bytes are incomplete. Err where numbers do not go up, or none follows on one.
    pub fn next_piece(&mut self) -> Result<Option<Piece>, FrameError> {
        loop {
            let Some(frame) = self.decoder.next_frame()? else { return Ok(None) };
            match (frame.number()?, self.announced.take()) {
                (None, None) => return Ok(Some(Piece::Plain(frame))),
                (None, Some(number)) => return Ok(Some(Piece::Numbered(number, frame))),
                (Some(number), None) if number >= self.least && number < u64::MAX => {
                    self.least = number + 1;
                    self.announced = Some(number);
                }
                (Some(_), _) => return Err(FrameError::OutOfSequence),
            }
        }
    }
}

/// Numbered frames of all streams, on their way to their turn.
#[derive(Debug, Default)]
pub struct Sequence {
    next: u64,
    held: BTreeMap<u64, Frame>,
    cost: usize,
}

impl Sequence {
    /// Takes a frame in, or gives it back where there is no room for it until earlier ones have come. Err for a number that was there.
    pub fn put(&mut self, number: u64, frame: Frame) -> Result<Option<Frame>, FrameError> {
        if number < self.next || self.held.contains_key(&number) {
            return Err(FrameError::OutOfSequence);
        }
        let cost = frame.len() + FRAME_COST;
        if number > self.next && self.cost + cost > HELD_BYTES_MAX {
            return Ok(Some(frame));
        }
        self.cost += cost;
        let frame = if number > self.next { frame.detached() } else { frame };
        self.held.insert(number, frame);
        Ok(None)
    }

    /// The frame whose turn it is.
    pub fn take(&mut self) -> Option<Frame> {
        let frame = self.held.remove(&self.next)?;
        self.next += 1;
        self.cost -= frame.len() + FRAME_COST;
        Some(frame)
    }

    /// The number whose turn it is.
    pub const fn next(&self) -> u64 {
        self.next
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// The number that all others wait for; none where nothing waits.
    pub fn awaited(&self) -> Option<u64> {
        (!self.is_empty()).then_some(self.next)
    }
}

/// Notices a stream that hangs: it has a frame that others wait for, and does not bring it. Looks are counted, and no clock is read: a
/// program that was stopped for a while has not waited meanwhile.
#[derive(Debug, Default)]
pub struct Watch {
    awaited: Option<u64>,
    looks: u32,
}

impl Watch {
    /// Looks at equal intervals within the time that a number may be waited for.
    pub const LOOKS: u32 = 8;

    /// To be called at each of them. Whether the same number has been waited for at all of them.
    pub fn is_hanging(&mut self, awaited: Option<u64>) -> bool {
        if awaited.is_none() || awaited != self.awaited {
            *self = Self { awaited, looks: 0 };
            return false;
        }
        self.looks += 1;
        self.looks >= Self::LOOKS
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::frame::{encode_answer, encode_to_server};
    use crate::message::{Answer, NUMBERED_BY_SERVER, Pong, RequestId, Session, ToServer};

    /// A frame that says which one it is.
    fn pong(id: u32) -> Vec<u8> {
        encode_answer(RequestId(id), &Answer::Pong(Pong {})).unwrap().head
    }

    fn numbered(number: u64) -> Vec<u8> {
        let pong = encode_answer(RequestId(number as u32), &Answer::Pong(Pong {})).unwrap();
        pong.numbered(NUMBERED_BY_SERVER, number).head
    }

    fn open() -> Decoder {
        let mut decoder = Decoder::new();
        decoder.allow_frames_up_to(usize::MAX);
        decoder
    }

    fn pieces(bytes: &[u8]) -> Result<Vec<Piece>, FrameError> {
        let mut pieces = Pieces::new(open());
        pieces.decoder().push(bytes);
        std::iter::from_fn(|| pieces.next_piece().transpose()).collect()
    }

    fn frame(len: usize) -> Frame {
        let content = vec![0; len];
        let mut decoder = open();
        decoder.push(&[&(len as u32).to_be_bytes()[..], &content].concat());
        decoder.next_frame().unwrap().unwrap()
    }

    fn id(frame: &Frame) -> u32 {
        frame.answer().unwrap().id.0
    }

    proptest! {
        /// Whatever stream a frame goes by, and however the streams come in, all come out in order.
        #[test]
        fn any_interleaving_gives_the_order(streams in prop::collection::vec(0..4_usize, 0..200), turns in prop::collection::vec(0..4_usize, 400)) {
            let mut bytes = vec![Vec::new(); 4];
            for (number, stream) in streams.iter().enumerate() {
                bytes[*stream].extend(numbered(number as u64));
            }
            let mut lines: Vec<_> = bytes.iter().map(|bytes| pieces(bytes).unwrap().into_iter().peekable()).collect();
            let (mut sequence, mut out) = (Sequence::default(), Vec::new());
            for turn in turns.into_iter().chain((0..4).cycle().take(1600)) {
                if let Some(Piece::Numbered(number, frame)) = lines[turn].next() {
                    prop_assert_eq!(sequence.put(number, frame), Ok(None));
                }
                out.extend(std::iter::from_fn(|| sequence.take()).map(|frame| id(&frame)));
            }
            prop_assert_eq!(out, (0..streams.len() as u32).collect::<Vec<_>>());
            prop_assert!(sequence.is_empty());
        }
    }

    #[test]
    fn f44_what_is_held_is_bounded_and_the_next_frame_always_finds_room() {
        for len in [1, 40_000, 1 << 20] {
            let mut sequence = Sequence::default();
            let held =
                (1..100_000).take_while(|number| sequence.put(*number, frame(len)) == Ok(None)).count();
            assert!(held * (len + FRAME_COST) <= HELD_BYTES_MAX, "{held} frames of {len} bytes");
            assert!(sequence.take().is_none());
            assert_eq!(sequence.put(0, frame(1 << 20)), Ok(None), "the one that all wait for");
            assert_eq!(std::iter::from_fn(|| sequence.take()).count(), held + 1);
            assert_eq!(sequence.put(held as u64 + 1, frame(len)), Ok(None));
        }
    }

    #[test]
    fn a_number_that_was_there_is_refused() {
        let mut sequence = Sequence::default();
        assert_eq!(sequence.put(0, frame(1)), Ok(None));
        assert_eq!(sequence.put(0, frame(1)), Err(FrameError::OutOfSequence), "held");
        assert!(sequence.take().is_some());
        assert_eq!(sequence.put(0, frame(1)), Err(FrameError::OutOfSequence), "taken");
    }

    #[test]
    fn only_a_number_that_is_waited_for_all_the_while_is_one_that_hangs() {
        let mut sequence = Sequence::default();
        let mut watch = Watch::default();
        assert!((0..100).all(|_| !watch.is_hanging(sequence.awaited())), "nothing waits");
        for number in (1..100).step_by(2) {
            assert_eq!(sequence.put(number, frame(1)), Ok(None));
        }
        for number in (0..10).step_by(2) {
            assert!((0..Watch::LOOKS).all(|_| !watch.is_hanging(sequence.awaited())), "{number}");
            assert_eq!(sequence.put(number, frame(1)), Ok(None));
            assert_eq!(std::iter::from_fn(|| sequence.take()).count(), 2);
        }
        assert!((0..Watch::LOOKS).all(|_| !watch.is_hanging(sequence.awaited())));
        assert!(watch.is_hanging(sequence.awaited()));
    }

    #[test]
    fn on_one_stream_numbers_go_up_and_each_has_a_frame() {
        let two = [numbered(3), pong(9), numbered(4)].concat();
        let [Piece::Numbered(3, _), Piece::Plain(plain), Piece::Numbered(4, _)] = &pieces(&two).unwrap()[..]
        else {
            panic!("{two:?}");
        };
        assert_eq!(id(plain), 9);
        let announced = &numbered(5)[..numbered(5).len() - pong(5).len()];
        for bytes in [
            [numbered(4), numbered(4)].concat(),
            [numbered(4), numbered(3)].concat(),
            [announced, &numbered(6)[..]].concat(),
            numbered(u64::MAX),
        ] {
            assert_eq!(pieces(&bytes), Err(FrameError::OutOfSequence));
        }
        let mut cut = Pieces::new(open());
        cut.decoder().push(announced);
        assert_eq!(cut.next_piece(), Ok(None));
        assert!(!cut.is_empty(), "its frame is missing");
    }

    #[test]
    fn a_clients_number_is_read_as_well() {
        let ping = ToServer::Session(Session::Ping(crate::message::Ping {}));
        let ping =
            encode_to_server(RequestId(7), &ping).unwrap().numbered(crate::message::NUMBERED_BY_CLIENT, 2);
        assert!(matches!(pieces(&ping.head).unwrap()[..], [Piece::Numbered(2, _)]));
    }
}
