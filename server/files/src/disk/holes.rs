//! Holes: what a file does not store since it is all zeros. Whole blocks of zeros are not written, and a copy passes over what is not
//! there. The same rules as `disk`: descriptors only.

use std::ops::Range;
use std::os::fd::AsFd;

use rustix::fs::{SeekFrom, ftruncate, seek};
use rustix::io::Errno;
use towpath_protocol::fault::Fault;
use towpath_protocol::limits::HOLE_BYTES_LEAST;

use super::fault_of;
use super::writing::write_all;

/// What most file systems store at once.
const BLOCK_BYTES: usize = 4096;
const BLOCK: u64 = BLOCK_BYTES as u64;
static ZEROS: [u8; BLOCK_BYTES] = [0; BLOCK_BYTES];

/// Counts what an appended file stores, in whole blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Stored {
    /// Where the next byte goes.
    at: u64,
    /// Everything before this offset is counted.
    counted_to: u64,
    bytes: u64,
}

impl Stored {
    /// For a file whose first `len` bytes exist already.
    pub(crate) fn of_open(file: impl AsFd, len: u64) -> Result<Self, Fault> {
        let bytes = in_blocks(len).min(stored_bytes(&rustix::fs::fstat(file).map_err(fault_of)?));
        Ok(Self { at: len, counted_to: in_blocks(len), bytes })
    }

    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// So many bytes of data follow.
    pub(crate) const fn data(&mut self, len: u64) {
        let first = self.at / BLOCK * BLOCK;
        let first = if first < self.counted_to { self.counted_to } else { first };
        self.at = self.at.saturating_add(len);
        let end = in_blocks(self.at);
        self.bytes = self.bytes.saturating_add(end.saturating_sub(first));
        self.counted_to = end;
    }

    /// So many zeros follow that are not stored.
    pub(crate) const fn hole(&mut self, len: u64) {
        self.at = self.at.saturating_add(len);
    }
}

/// The whole blocks that so many bytes take.
pub(crate) const fn in_blocks(bytes: u64) -> u64 {
    bytes.div_ceil(BLOCK).saturating_mul(BLOCK)
}

/// The bytes that the disk reports as stored.
fn stored_bytes(stat: &rustix::fs::Stat) -> u64 {
    const UNIT_BYTES: u64 = 512;

    u64::try_from(stat.st_blocks).unwrap_or_default().saturating_mul(UNIT_BYTES)
}

/// Bytes that the disk stores of something open: less than its length where it has holes.
pub(crate) fn stored_of(thing: impl AsFd) -> Result<u64, Fault> {
    rustix::fs::fstat(thing).map(|stat| stored_bytes(&stat)).map_err(fault_of)
}

/// Writes all of `data` at the position of a file that ends there. Whole blocks of zeros become holes; the file is as long as if
/// they had been written. `stored` is told.
pub(crate) fn append(file: impl AsFd, mut data: &[u8], stored: &mut Stored) -> Result<(), Fault> {
    while !data.is_empty() {
        let (bytes, is_hole) = first_run(data);
        if is_hole {
            append_hole(&file, bytes as u64, stored)?;
        } else {
            write_all(&file, &data[..bytes])?;
            stored.data(bytes as u64);
        }
        data = &data[bytes..];
    }
    Ok(())
}

/// How many bytes from the beginning on are blocks of zeros, or none of them is one.
fn first_run(data: &[u8]) -> (usize, bool) {
    let mut blocks = data.chunks(BLOCK_BYTES).map(|block| (block.len(), block == ZEROS));
    let Some((first, is_hole)) = blocks.next() else { return (0, false) };
    let further = blocks.take_while(|(_, is_zeros)| *is_zeros == is_hole).map(|(bytes, _)| bytes);
    (first + further.sum::<usize>(), is_hole)
}

/// Moves the position of a file that ends there by so many bytes, and its end with it.
pub(crate) fn append_hole(file: impl AsFd, bytes: u64, stored: &mut Stored) -> Result<(), Fault> {
    let by = i64::try_from(bytes).map_err(|_| fault_of(Errno::FBIG))?;
    let end = seek(&file, SeekFrom::Current(by)).map_err(fault_of)?;
    ftruncate(file, end).map_err(fault_of)?;
    stored.hole(bytes);
    Ok(())
}

/// Whether a file stores less than its length.
pub(crate) fn has_some(file: impl AsFd) -> Result<bool, Fault> {
    let stat = rustix::fs::fstat(file).map_err(fault_of)?;
    Ok(stored_bytes(&stat) < stat.st_size as u64)
}

/// How many bytes of a hole there are from `at` on, and how many of data behind it, as far as `end`. The file's position is then
/// where the data begins. Where the system does not tell, all is data.
pub(crate) fn hole_and_data(file: impl AsFd, at: u64, end: u64) -> Result<(u64, u64), Fault> {
    let data = match seek(&file, SeekFrom::Data(at)) {
        Ok(data) => data.min(end),
        // There is no more data.
        Err(Errno::NXIO) => end,
        Err(_) => at,
    };
    let hole = match seek(&file, SeekFrom::Hole(data)) {
        Ok(hole) if hole > data => hole.min(end),
        _ => end,
    };
    seek(file, SeekFrom::Start(data)).map_err(fault_of)?;
    Ok((data - at, hole - data))
}

/// A part of a file that is a hole, or is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) offset: u64,
    pub(crate) len: u64,
    pub(crate) is_hole: bool,
}

/// The parts of a range in order: holes that are worth telling apart, and what is to be read in steps of so many bytes at most.
#[derive(Debug, Clone)]
pub(crate) struct Runs {
    at: u64,
    end: u64,
    step: u64,
    is_sparse: bool,
    /// All before is to be read.
    data_to: u64,
}

impl Runs {
    /// Of a file of which nobody wants to know holes, or that has none, all is to be read.
    pub(crate) const fn new(range: Range<u64>, step: usize, is_sparse: bool) -> Self {
        let (at, end) = (range.start, range.end);
        Self { at, end, step: step as u64, is_sparse, data_to: if is_sparse { at } else { end } }
    }

    /// The next part of this file, whose position it moves.
    pub(crate) fn next(&mut self, file: impl AsFd) -> Result<Option<Run>, Fault> {
        let offset = self.at;
        if offset >= self.end {
            return Ok(None);
        }
        if self.is_sparse && offset >= self.data_to {
            let (hole, data) = hole_and_data(file, offset, self.end)?;
            self.data_to = offset + hole + data;
            if hole >= HOLE_BYTES_LEAST {
                self.at += hole;
                return Ok(Some(Run { offset, len: hole, is_hole: true }));
            }
        }
        let len = self.step.min(self.data_to - offset);
        self.at += len;
        Ok(Some(Run { offset, len, is_hole: false }))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek};

    use super::*;

    #[test]
    fn what_is_appended_is_there_whatever_of_it_is_zeros() {
        let block = BLOCK_BYTES;
        for pieces in [
            vec![(block, 0)],
            vec![(3 * block, 0), (1, 7)],
            vec![(block - 1, 0), (1, 0), (block, 1)],
            vec![(5, 1), (2 * block, 0), (5, 0)],
            vec![(block, 1), (block, 0), (block, 1), (16 * block + 3, 0)],
        ] {
            let content: Vec<u8> = pieces.iter().flat_map(|(len, byte)| vec![*byte; *len]).collect();
            for step in [content.len(), block, block + 1, 700] {
                let mut file = tempfile::tempfile().unwrap();
                let mut stored = Stored::default();
                for data in content.chunks(step) {
                    append(&file, data, &mut stored).unwrap();
                    assert_eq!(file.metadata().unwrap().len(), file.stream_position().unwrap());
                }
                let mut read = Vec::new();
                file.rewind().unwrap();
                file.read_to_end(&mut read).unwrap();
                assert!(read == content, "{pieces:?} in steps of {step}");
            }
        }
    }

    #[test]
    fn what_is_stored_is_counted_in_blocks_and_each_block_once() {
        let mut stored = Stored::default();
        for (len, is_hole, bytes) in [
            (1, false, BLOCK),
            (BLOCK - 1, false, BLOCK),
            (1, false, 2 * BLOCK),
            // The rest of that block, and the beginning of another one.
            (BLOCK, true, 2 * BLOCK),
            (1, false, 3 * BLOCK),
            (u64::MAX, true, 3 * BLOCK),
        ] {
            if is_hole {
                stored.hole(len);
            } else {
                stored.data(len);
            }
            assert_eq!(stored.bytes(), bytes);
        }
        // A byte in each block stores all of it.
        let mut stored = Stored::default();
        for _ in 0..100 {
            stored.data(1);
            stored.hole(BLOCK);
        }
        assert_eq!(stored.bytes(), 100 * BLOCK);
    }

    #[test]
    fn holes_and_data_follow_one_another_to_the_end() {
        let file = tempfile::tempfile().unwrap();
        let (hole, data) = (vec![0; 1 << 20], vec![1; 1 << 20]);
        for content in [&hole, &data, &hole] {
            append(&file, content, &mut Stored::default()).unwrap();
        }
        let end = 3 << 20;
        if !has_some(&file).unwrap() {
            crate::skip::skip("this file system has no holes");
            return;
        }
        assert_eq!(hole_and_data(&file, 0, end).unwrap(), (1 << 20, 1 << 20));
        assert_eq!(hole_and_data(&file, 1_500_000, end).unwrap(), (0, (2 << 20) - 1_500_000));
        assert_eq!(hole_and_data(&file, 2 << 20, end).unwrap(), (1 << 20, 0));
        assert_eq!(hole_and_data(&file, 0, 1000).unwrap(), (1000, 0));
        let runs = |range, is_sparse| -> Vec<(u64, u64, bool)> {
            let mut runs = Runs::new(range, 768 << 10, is_sparse);
            let runs = std::iter::from_fn(|| runs.next(&file).unwrap());
            runs.map(|run| (run.offset, run.len, run.is_hole)).collect()
        };
        let (mib, step) = (1 << 20, 768 << 10);
        let data = [(mib, step, false), (mib + step, mib - step, false)];
        assert_eq!(runs(0..end, true), [&[(0, mib, true)], &data[..], &[(2 * mib, mib, true)]].concat());
        assert_eq!(runs(mib - 1000..2 * mib + 1000, true)[0], (mib - 1000, step, false), "too short a hole");
        assert_eq!(runs(0..2 * step, false), [(0, step, false), (step, step, false)]);
        assert_eq!(runs(5..5, true), []);
    }
}
