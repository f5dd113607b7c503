//! Frames on their way out, for both sides: which bytes come next. Control goes before bulk at each frame's end; a frame that
//! has begun is finished first; and the slower the line, the fewer bytes are written at a time, for what is written nothing overtakes.
//! Pure: it knows no stream.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::time::Duration;

use crate::frame::Encoded;
use crate::message::Lane;
use crate::packing::Packing;

/// Bytes that are gathered for one write, of which a slow line gets a part at a time.
pub const BATCH_BYTES: usize = 256 * 1024;
/// Slices for one write; a frame has two at most.
pub const SLICES_MAX: usize = 64;

/// Frames that wait for the stream, in two lanes.
#[derive(Debug)]
pub struct Outgoing {
    packing: Packing,
    /// A frame of which some bytes were written: how many.
    begun: Option<(Encoded, usize)>,
    control: VecDeque<Encoded>,
    bulk: VecDeque<Encoded>,
    /// Bytes of all of them that are not written yet.
    bytes: usize,
    /// Bytes of the frames in `control`.
    control_bytes: usize,
}

impl Outgoing {
    pub const fn new(packing: Packing) -> Self {
        Self {
            packing,
            begun: None,
            control: VecDeque::new(),
            bulk: VecDeque::new(),
            bytes: 0,
            control_bytes: 0,
        }
    }

    /// `number` is the frame's, where it has one.
    pub fn push(&mut self, lane: Lane, frame: Encoded, number: Option<u64>) {
        let frame = self.packing.finish(lane, frame, number);
        self.bytes += frame.len();
        match lane {
            Lane::Control => {
                self.control_bytes += frame.len();
                self.control.push_back(frame);
            }
            Lane::Bulk => self.bulk.push_back(frame),
        }
    }

    /// Bytes of all frames that are not written yet.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    pub const fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Whether another frame of this lane may come. Bulk fills one write; control may come although bulk has filled it.
    pub fn has_room(&self, lane: Lane) -> bool {
        match lane {
            Lane::Control => self.control_bytes < BATCH_BYTES && self.control.len() < SLICES_MAX,
            Lane::Bulk => self.bytes < BATCH_BYTES && self.control.len() + self.bulk.len() < SLICES_MAX / 2,
        }
    }

    /// The bytes that come next, in order, as many as may be written at a time; the number of slices.
    pub fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>; SLICES_MAX]) -> usize {
        let begun = self.begun.iter().flat_map(|(frame, written)| {
            let head = frame.head.get(*written..).unwrap_or_default();
            let data = frame.data.get(written.saturating_sub(frame.head.len())..).unwrap_or_default();
            [head, data]
        });
        let whole =
            self.control.iter().chain(&self.bulk).flat_map(|frame| [&frame.head[..], &frame.data[..]]);
        let mut left = self.packing.pace().ahead_bytes().unwrap_or(BATCH_BYTES);
        let parts = begun.chain(whole).map(|part| {
            let part = &part[..part.len().min(left)];
            left -= part.len();
            part
        });
        let parts = parts.filter(|part| !part.is_empty());
        slices.iter_mut().zip(parts).map(|(slice, part)| *slice = IoSlice::new(part)).count()
    }

    /// Takes note that the first `written` of those bytes were written, and how long that took.
    pub fn wrote(&mut self, written: usize, took: Duration) {
        self.packing.wrote(written, took);
        self.advance(written);
    }

    fn advance(&mut self, mut written: usize) {
        self.bytes = self.bytes.saturating_sub(written);
        while written > 0 {
            let Some((frame, before)) = self.begun.take().or_else(|| self.pop().map(|frame| (frame, 0)))
            else {
                return;
            };
            let left = frame.len() - before;
            if written < left {
                self.begun = Some((frame, before + written));
                return;
            }
            written -= left;
        }
    }

    fn pop(&mut self) -> Option<Encoded> {
        let Some(frame) = self.control.pop_front() else { return self.bulk.pop_front() };
        self.control_bytes -= frame.len();
        Some(frame)
    }

    /// Nothing is to be written for a while: gives back what is needed only while there is.
    pub fn rest(&mut self) {
        self.packing.rest();
    }

    /// Forgets all frames but the one that has begun.
    pub fn drop_waiting(&mut self) {
        self.control.clear();
        self.bulk.clear();
        self.control_bytes = 0;
        self.bytes = self.begun.as_ref().map_or(0, |(frame, written)| frame.len() - written);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn frame(head: &[u8], data: &'static [u8]) -> Encoded {
        Encoded { head: head.to_vec(), data: Bytes::from_static(data) }
    }

    fn outgoing() -> Outgoing {
        Outgoing::new(Packing::of_client(false))
    }

    fn next_bytes(outgoing: &Outgoing) -> Vec<u8> {
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let count = outgoing.slices(&mut slices);
        slices[..count].iter().flat_map(|slice| slice.to_vec()).collect()
    }

    #[test]
    fn control_goes_before_bulk_but_never_into_a_frame_that_has_begun() {
        let mut outgoing = outgoing();
        outgoing.push(Lane::Bulk, frame(b"b1", b"ulk1"), None);
        outgoing.push(Lane::Bulk, frame(b"b2", b"ulk2"), None);
        outgoing.advance(3);
        outgoing.push(Lane::Control, frame(b"CONTROL", b""), None);
        assert_eq!(next_bytes(&outgoing), b"lk1CONTROLb2ulk2");
    }

    #[test]
    fn every_way_of_cutting_the_writes_gives_the_same_bytes() {
        for step in 1..=20 {
            let mut outgoing = outgoing();
            outgoing.push(Lane::Bulk, frame(b"head-1:", b"data-1"), None);
            outgoing.push(Lane::Bulk, frame(b"head-2:", b""), None);
            outgoing.push(Lane::Bulk, frame(b"head-3:", b"data-3"), None);
            let mut out = Vec::new();
            while !outgoing.is_empty() {
                let bytes = next_bytes(&outgoing);
                let count = step.min(bytes.len());
                out.extend_from_slice(&bytes[..count]);
                outgoing.advance(count);
            }
            assert_eq!(out, b"head-1:data-1head-2:head-3:data-3", "in steps of {step}");
        }
    }

    #[test]
    fn dropping_what_waits_keeps_the_frame_that_has_begun() {
        let mut outgoing = outgoing();
        outgoing.push(Lane::Bulk, frame(b"b1", b"ulk1"), None);
        outgoing.push(Lane::Bulk, frame(b"b2", b"ulk2"), None);
        outgoing.advance(1);
        outgoing.drop_waiting();
        assert_eq!(next_bytes(&outgoing), b"1ulk1");
        outgoing.advance(5);
        assert!(outgoing.is_empty());
    }

    #[test]
    fn a_slow_line_gets_little_at_a_time_and_a_fast_one_much() {
        static DATA: [u8; 60_000] = [7; 60_000];
        let mut outgoing = outgoing();
        for _ in 0..10 {
            outgoing.push(Lane::Bulk, frame(b"head", &DATA), None);
        }
        let fast = next_bytes(&outgoing).len();
        outgoing.wrote(0, Duration::from_secs(1));
        let slow = next_bytes(&outgoing).len();
        assert!(slow == 4 * 1024 && fast == BATCH_BYTES, "{slow} and {fast} bytes");
        outgoing.push(Lane::Control, frame(b"CONTROL", b""), None);
        assert_eq!(&next_bytes(&outgoing)[..11], b"CONTROLhead", "and it goes ahead of all that waits");
    }
}
