//! Frames made smaller for a line that is slower than that, with zstd: where both sides have the capability, a frame may travel within
//! a `Packed`. Whether it does is the sender's own choice, frame by frame, and nobody else's business. Pure: it knows no stream and no
//! clock.

use std::time::Duration;

use bytes::Bytes;
use zstd::bulk::Compressor;

use crate::frame::{Encoded, Frame, FrameError, HEADER_BYTES};
use crate::message::{Lane, NUMBERED_BY_CLIENT, NUMBERED_BY_SERVER, PACKED_BY_CLIENT, PACKED_BY_SERVER};
use crate::pace::Pace;

/// zstd's fastest of the usual levels: what is too slow for the line is no gain.
const LEVEL: i32 = 1;
/// Shorter frames stay as they are.
const PACKED_BYTES_LEAST: usize = 1024;
/// A frame that does not get smaller by so much, in percent, goes as it is.
const GAIN_PERCENT: usize = 10;
/// After one of those, so many are not tried; twice as many after each further one, up to a most: at 64 KiB, 16 MiB.
const SKIPPED_LEAST: u32 = 8;
const SKIPPED_MOST: u32 = 256;

/// The last step of the frames of one stream before they are written: packed where that pays, then numbered.
#[derive(Debug)]
pub struct Packing {
    /// Kinds of the frames that it makes: numbers, and packed ones.
    kinds: (u16, u16),
    /// Whether the other side knows of packed frames.
    is_agreed: bool,
    pace: Pace,
    /// Of the control lane, and of the bulk lane: what is in a file says nothing about listings.
    sampling: [Sampling; 2],
    compressor: Option<Packer>,
}

struct Packer(Compressor<'static>);

impl std::fmt::Debug for Packer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Packer")
    }
}

impl Packing {
    /// Of a client's frames; packed only where that is agreed.
    pub const fn of_client(is_agreed: bool) -> Self {
        Self::new((NUMBERED_BY_CLIENT, PACKED_BY_CLIENT), is_agreed)
    }

    /// Of a server's.
    pub const fn of_server(is_agreed: bool) -> Self {
        Self::new((NUMBERED_BY_SERVER, PACKED_BY_SERVER), is_agreed)
    }

    const fn new(kinds: (u16, u16), is_agreed: bool) -> Self {
        Self {
            kinds,
            is_agreed,
            pace: Pace::new(),
            sampling: [Sampling::new(), Sampling::new()],
            compressor: None,
        }
    }

    /// Takes note of a write: bytes that were taken, and how long that took.
    pub fn wrote(&mut self, bytes: usize, took: Duration) {
        self.pace.wrote(bytes, took);
    }

    /// Gives back what is needed only while there is much to send.
    pub fn rest(&mut self) {
        self.compressor = None;
    }

    /// What is known of the line.
    pub const fn pace(&self) -> &Pace {
        &self.pace
    }

    /// The frame as it is to travel, with its number if it has one.
    pub fn finish(&mut self, lane: Lane, frame: Encoded, number: Option<u64>) -> Encoded {
        let frame = self.pack(lane, frame);
        match number {
            Some(number) => frame.numbered(self.kinds.0, number),
            None => frame,
        }
    }

    fn pack(&mut self, lane: Lane, frame: Encoded) -> Encoded {
        if !self.is_agreed || !self.pace.is_slow() {
            return frame;
        }
        if frame.len() < PACKED_BYTES_LEAST || !self.sampling(lane).is_tried() {
            return frame;
        }
        let packed = self.smaller(&frame);
        self.sampling(lane).tried(packed.is_some());
        packed.map_or(frame, |packed| Encoded::packed(self.kinds.1, packed))
    }

    const fn sampling(&mut self, lane: Lane) -> &mut Sampling {
        let [control, bulk] = &mut self.sampling;
        match lane {
            Lane::Control => control,
            Lane::Bulk => bulk,
        }
    }

    /// The frame's content, compressed, where that is enough of a gain.
    fn smaller(&mut self, frame: &Encoded) -> Option<Bytes> {
        if self.compressor.is_none() {
            self.compressor = Compressor::new(LEVEL).ok().map(Packer);
        }
        let Packer(compressor) = self.compressor.as_mut()?;
        let content = [&frame.head[HEADER_BYTES..], &frame.data[..]].concat();
        let mut packed = Vec::with_capacity(content.len() - content.len() * GAIN_PERCENT / 100);
        // What does not fit into that is not worth it.
        compressor.compress_to_buffer(&content, &mut packed).ok()?;
        packed.shrink_to_fit();
        Some(packed.into())
    }
}

/// What is in a frame that was packed; any other frame as it is. What it unpacks to is at most `frame_bytes_max` long, and neither packed
/// again nor a number.
pub fn unpack(frame: Frame, frame_bytes_max: usize) -> Result<Frame, FrameError> {
    let Some(packed) = frame.packed()? else { return Ok(frame) };
    let content = expand(&packed, frame_bytes_max).ok_or(FrameError::BadlyPacked)?;
    let frame = Frame::from(content);
    if frame.packed()?.is_some() || frame.number()?.is_some() {
        return Err(FrameError::BadlyPacked);
    }
    Ok(frame)
}

/// One whole zstd frame that says beforehand how long its content is, and is right. No more is allocated than is allowed.
fn expand(packed: &[u8], bytes_max: usize) -> Option<Bytes> {
    let is_one = zstd::zstd_safe::find_frame_compressed_size(packed).ok() == Some(packed.len());
    let announced = zstd::zstd_safe::get_frame_content_size(packed).ok().flatten()?;
    let len = usize::try_from(announced).ok().filter(|len| is_one && (1..=bytes_max).contains(len))?;
    let content = zstd::bulk::decompress(packed, len).ok()?;
    (content.len() == len).then(|| content.into())
}

/// Which frames are tried: after some that did not get smaller, few.
#[derive(Debug)]
struct Sampling {
    skip: u32,
    skip_next: u32,
}

impl Sampling {
    const fn new() -> Self {
        Self { skip: 0, skip_next: SKIPPED_LEAST }
    }

    const fn is_tried(&mut self) -> bool {
        let is_tried = self.skip == 0;
        self.skip = self.skip.saturating_sub(1);
        is_tried
    }

    fn tried(&mut self, is_smaller: bool) {
        if is_smaller {
            *self = Self::new();
        } else {
            self.skip = self.skip_next;
            self.skip_next = (self.skip_next * 2).min(SKIPPED_MOST);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::answer::Data;
    use crate::frame::{Decoder, encode_answer};
    use crate::limits::FRAME_BYTES_MAX;
    use crate::message::{Answer, Packed, RequestId};

    const SECOND: Duration = Duration::from_secs(1);

    /// On a line that has turned out to be slow.
    fn slow() -> Packing {
        let mut packing = Packing::of_server(true);
        packing.wrote(1_000_000, SECOND);
        packing
    }

    fn data(content: Vec<u8>) -> Encoded {
        encode_answer(RequestId(7), &Answer::Data(Data { offset: 5, data: content.into() })).unwrap()
    }

    fn noise(len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        blake3::Hasher::new().finalize_xof().fill(&mut bytes);
        bytes
    }

    fn received(frame: &Encoded) -> Frame {
        let mut decoder = Decoder::new();
        decoder.allow_frames_up_to(FRAME_BYTES_MAX);
        decoder.push(&[&frame.head[..], &frame.data[..]].concat());
        decoder.next_frame().unwrap().expect("one whole frame")
    }

    fn is_packed(frame: &Encoded) -> bool {
        received(frame).packed().unwrap().is_some()
    }

    /// A frame that holds these bytes.
    fn holding(packed: Vec<u8>) -> Frame {
        received(&encode_answer(RequestId::NONE, &Answer::Packed(Packed { frame: packed })).unwrap())
    }

    proptest! {
        #[test]
        fn what_is_packed_unpacks_to_the_same(seed in prop::collection::vec(any::<u8>(), 1..50), times in 1..1300_usize) {
            let frame = data(seed.repeat(times));
            let (plain, packed) = (received(&frame), slow().pack(Lane::Bulk, frame));
            prop_assert_eq!(unpack(received(&packed), FRAME_BYTES_MAX), Ok(plain));
        }

        #[test]
        fn whatever_is_said_to_be_packed_is_refused_or_a_frame(mut packed in prop::collection::vec(any::<u8>(), 0..100), is_zstd in any::<bool>()) {
            if is_zstd {
                packed.splice(0..0, [0x28, 0xb5, 0x2f, 0xfd]);
            }
            if let Ok(frame) = unpack(holding(packed), FRAME_BYTES_MAX) {
                prop_assert!(frame.len() <= FRAME_BYTES_MAX);
            }
        }
    }

    #[test]
    fn only_a_slow_line_and_a_peer_that_knows_of_it_get_packed_frames() {
        let content = || data(vec![7; 60_000]);
        assert!(is_packed(&slow().pack(Lane::Bulk, content())));
        let mut fast = Packing::of_server(true);
        assert!(!is_packed(&fast.pack(Lane::Bulk, content())), "nothing is known yet");
        fast.wrote(100_000_000, SECOND);
        assert!(!is_packed(&fast.pack(Lane::Bulk, content())));
        fast.wrote(1_000, SECOND);
        assert!(is_packed(&fast.pack(Lane::Bulk, content())), "it became slow");
        fast.wrote(100_000_000, SECOND);
        assert!(!is_packed(&fast.pack(Lane::Bulk, content())), "and fast again");
        let mut old = Packing::of_server(false);
        old.wrote(1, SECOND);
        assert!(!is_packed(&old.pack(Lane::Bulk, content())));
        assert!(!is_packed(&slow().pack(Lane::Bulk, data(vec![7; 100]))), "small ones stay");
    }

    #[test]
    fn what_does_not_get_smaller_goes_as_it_is_and_is_soon_hardly_tried() {
        let mut packing = slow();
        let noise = data(noise(64 * 1024));
        let mut tried = 0;
        for _ in 0..1000 {
            tried += usize::from(packing.sampling(Lane::Bulk).skip == 0);
            assert!(!is_packed(&packing.pack(Lane::Bulk, noise.clone())));
        }
        assert!(tried <= 10, "{tried}");
        // What can be packed again is found, if not at once.
        let first = (0..300).position(|_| is_packed(&packing.pack(Lane::Bulk, data(vec![1; 60_000]))));
        assert!(first.is_some_and(|first| first <= SKIPPED_MOST as usize), "{first:?}");
        assert!(is_packed(&packing.pack(Lane::Bulk, data(vec![1; 60_000]))));
    }

    #[test]
    fn a_listing_is_packed_beside_a_file_that_is_not_worth_it() {
        let mut packing = slow();
        let noise = data(noise(64 * 1024));
        for _ in 0..100 {
            assert!(!is_packed(&packing.pack(Lane::Bulk, noise.clone())));
        }
        assert!(is_packed(&packing.pack(Lane::Control, data(vec![7; 5000]))));
    }

    #[test]
    fn f40_a_bomb_is_refused_before_it_goes_off() {
        let bomb = zstd::bulk::compress(&vec![0; 64 << 20], 19).unwrap();
        assert!(bomb.len() < 16 * 1024);
        assert_eq!(unpack(holding(bomb), FRAME_BYTES_MAX), Err(FrameError::BadlyPacked));
        // One that does not say how large it is, and one that says too little.
        let silent = zstd::stream::encode_all(&vec![0; 64 << 20][..], 1).unwrap();
        assert_eq!(unpack(holding(silent), FRAME_BYTES_MAX), Err(FrameError::BadlyPacked));
        let mut liar = zstd::bulk::compress(&vec![0; 60_000], 1).unwrap();
        liar[5..7].copy_from_slice(&1_u16.to_le_bytes());
        assert_eq!(unpack(holding(liar), FRAME_BYTES_MAX), Err(FrameError::BadlyPacked));
    }

    #[test]
    fn only_one_frame_that_is_no_envelope_itself_is_packed() {
        let inner = received(&data(vec![7; 2000]));
        let packed = |content: &[u8]| zstd::bulk::compress(content, 1).unwrap();
        let once = packed(inner.bytes());
        assert_eq!(unpack(holding(once.clone()), FRAME_BYTES_MAX).as_ref(), Ok(&inner));
        let number = data(vec![1; 10]).numbered(NUMBERED_BY_SERVER, 3);
        let number = received(&number);
        for bad in [
            packed(holding(once.clone()).bytes()),
            packed(number.bytes()),
            [&once[..], &once[..]].concat(),
            [&once[..], &[0]].concat(),
            once[..once.len() - 1].to_vec(),
            packed(b""),
            Vec::new(),
        ] {
            assert_eq!(unpack(holding(bad), FRAME_BYTES_MAX), Err(FrameError::BadlyPacked));
        }
        assert_eq!(
            unpack(holding(once), 1000),
            Err(FrameError::BadlyPacked),
            "longer than this session allows"
        );
    }
}
