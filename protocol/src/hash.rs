//! BLAKE3 of whole files, computed in ranges that may be hashed apart, in any order, on either side, and merged.
//!
//! A file's hash is plain BLAKE3. A range of a power-of-two number of MiB that starts at a multiple of its own length is
//! a subtree of the hash's tree; its 32-byte chaining value can be computed from the range alone, and equal-sized
//! subtrees merge pairwise, as in section 2.1 of the BLAKE3 paper (<https://github.com/BLAKE3-team/BLAKE3-specs>).

use blake3::Hasher;
use blake3::hazmat::{HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root};

use crate::limits::{BLOCK_BYTES_LEAST, RANGE_BYTES};
use crate::wire::fixed_bytes;

fixed_bytes! {
    /// A BLAKE3 hash, or the chaining value of a subtree.
    pub struct Hash([u8; 32]);
}

impl Hash {
    /// BLAKE3 of `data`.
    pub fn of(data: &[u8]) -> Self {
        Self(*blake3::hash(data).as_bytes())
    }
}

/// Whether a file's hash can be told of each block of so many bytes: a power of two within bounds.
pub const fn is_block(bytes: u64) -> bool {
    bytes.is_power_of_two() && bytes >= BLOCK_BYTES_LEAST && bytes <= RANGE_BYTES
}

/// Whether a range of `len` bytes at `offset` is a subtree of the file's hash, whether the file goes on after it or ends within it,
/// as long as it is not the whole file.
pub const fn is_subtree(offset: u64, len: u64) -> bool {
    len >= RANGE_BYTES && len.is_power_of_two() && offset.is_multiple_of(len)
}

/// Hashes one range of a file.
#[derive(Debug)]
pub struct RangeHasher {
    hasher: Hasher,
    offset: u64,
}

impl RangeHasher {
    /// For a range that starts at `offset`, a multiple of [`RANGE_BYTES`]. Not more may go into it than the largest power of
    /// two that divides `offset` (for 0: anything), which holds for every range that [`is_subtree`] accepts; more panics.
    pub fn new(offset: u64) -> Self {
        let mut hasher = Hasher::new();
        if offset > 0 {
            hasher.set_input_offset(offset);
        }
        Self { hasher, offset }
    }

    pub fn update(&mut self, data: &[u8]) {
        self.hasher.update(data);
    }

    /// As [`update`](Self::update) with so many zeros. Where a chunk stands is part of its value, so they cannot be had for less than
    /// their hashing.
    pub fn update_zeros(&mut self, mut len: u64) {
        static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];
        while len > 0 {
            let bytes = len.min(ZEROS.len() as u64);
            self.hasher.update(&ZEROS[..bytes as usize]);
            len -= bytes;
        }
    }

    /// The range was the whole file: its BLAKE3.
    pub fn finish_whole(&self) -> Hash {
        debug_assert_eq!(self.offset, 0);
        Hash(*self.hasher.finalize().as_bytes())
    }

    /// The range was a part of the file: its chaining value.
    pub fn finish_part(&self) -> Hash {
        Hash(self.hasher.finalize_non_root())
    }
}

/// Merges the chaining values of equal-sized ranges, given in order, into the file's BLAKE3. Holds one value a level.
#[derive(Debug, Clone, Default)]
pub struct RangeMerger {
    /// Chaining values of complete subtrees, the largest first.
    stack: Vec<[u8; 32]>,
    count: u64,
}

impl RangeMerger {
    pub fn new() -> Self {
        Self::default()
    }

    /// The next range's chaining value. All ranges but the last have the same length. A file of one range never comes
    /// here: its hash is known already.
    pub fn push(&mut self, part: Hash) {
        // As in the reference implementation: the stack holds one subtree for each bit of the count. Merging waits for the
        // next range, since the topmost merge is another one (`finish`), and only then it is known not to be the top.
        while self.stack.len() > self.count.count_ones() as usize {
            self.merge_top();
        }
        self.stack.push(part.0);
        self.count += 1;
    }

    /// The chaining value of all of them as one range, which is itself a part of a file; none where none came.
    pub fn finish_part(mut self) -> Option<Hash> {
        while self.stack.len() > 1 {
            self.merge_top();
        }
        self.stack.pop().map(Hash)
    }

    /// How many ranges have come.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The file's BLAKE3; none where fewer than two ranges came.
    pub fn finish(mut self) -> Option<Hash> {
        while self.stack.len() > 2 {
            self.merge_top();
        }
        let [left, right] = self.stack.as_slice() else { return None };
        Some(Hash(*merge_subtrees_root(left, right, Mode::Hash).as_bytes()))
    }

    fn merge_top(&mut self) {
        if let (Some(right), Some(left)) = (self.stack.pop(), self.stack.pop()) {
            self.stack.push(merge_subtrees_non_root(&left, &right, Mode::Hash));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes without a period that a range could share.
    fn content(len: usize) -> Vec<u8> {
        let mut data = vec![0; len];
        Hasher::new().update(b"content").finalize_xof().fill(&mut data);
        data
    }

    fn parts(data: &[u8], range_bytes: u64) -> Vec<Hash> {
        let ranges = data.chunks(range_bytes as usize).zip((0..).step_by(range_bytes as usize));
        let part = |(range, offset): (&[u8], u64)| {
            assert!(is_subtree(offset, range_bytes));
            let mut hasher = RangeHasher::new(offset);
            // In pieces, as they come from a disk.
            for piece in range.chunks(100_000) {
                hasher.update(piece);
            }
            hasher.finish_part()
        };
        ranges.map(part).collect()
    }

    fn merged(parts: Vec<Hash>) -> Option<Hash> {
        let mut merger = RangeMerger::new();
        for part in parts {
            merger.push(part);
        }
        merger.finish()
    }

    #[test]
    fn merged_ranges_are_the_hash_of_the_whole() {
        let all = content(17 * RANGE_BYTES as usize + 12_345);
        let mut lens = vec![all.len()];
        for ranges in 1..=17 {
            let len = ranges * RANGE_BYTES as usize;
            lens.extend([len - 1024, len - 1, len, len + 1, len + 1024, len + 1025]);
        }
        for len in lens {
            let data = &all[..len];
            let whole = Hash::of(data);
            for range_bytes in [RANGE_BYTES, 2 * RANGE_BYTES, 4 * RANGE_BYTES, 16 * RANGE_BYTES] {
                let parts = parts(data, range_bytes);
                let expected = (parts.len() > 1).then_some(whole);
                assert_eq!(merged(parts), expected, "{len} bytes in ranges of {range_bytes}");
            }
        }
    }

    #[test]
    fn blocks_merge_into_the_value_of_their_range() {
        let data = content(3 * RANGE_BYTES as usize + 70_000);
        let range_bytes = RANGE_BYTES as usize;
        for block_bytes in [BLOCK_BYTES_LEAST as usize, 4 * BLOCK_BYTES_LEAST as usize, range_bytes] {
            let mut whole = RangeMerger::new();
            for (range, offset) in data.chunks(range_bytes).zip((0..).step_by(range_bytes)) {
                let mut merger = RangeMerger::new();
                for (block, at) in range.chunks(block_bytes).zip((offset..).step_by(block_bytes)) {
                    let mut hasher = RangeHasher::new(at);
                    hasher.update(block);
                    merger.push(hasher.finish_part());
                }
                whole.push(merger.finish_part().unwrap());
            }
            assert_eq!(whole.finish(), Some(Hash::of(&data)), "blocks of {block_bytes}");
        }
        assert_eq!(RangeMerger::new().finish_part(), None);
    }

    #[test]
    fn zeros_are_hashed_as_if_they_had_been_read() {
        for (before, zeros) in [(0, 1), (5, 70_000), (1024, 3 << 20)] {
            let mut data = content(before);
            let mut hasher = RangeHasher::new(0);
            hasher.update(&data);
            hasher.update_zeros(zeros);
            data.resize(before + zeros as usize, 0);
            assert_eq!(hasher.finish_whole(), Hash::of(&data));
        }
    }

    #[test]
    fn one_range_or_none_is_not_merged() {
        assert_eq!(RangeMerger::new().finish(), None);
        assert_eq!(merged(vec![Hash([1; 32])]), None);
    }

    #[test]
    fn ranges_in_another_order_are_another_file() {
        let data = content(3 * RANGE_BYTES as usize);
        let mut parts = parts(&data, RANGE_BYTES);
        parts.swap(0, 1);
        assert_ne!(merged(parts), Some(Hash::of(&data)));
    }

    #[test]
    fn a_whole_file_in_one_go_is_plain_blake3() {
        let data = content(3 * RANGE_BYTES as usize + 7);
        let mut hasher = RangeHasher::new(0);
        for piece in data.chunks(65_536) {
            hasher.update(piece);
        }
        assert_eq!(hasher.finish_whole(), Hash::of(&data));
    }

    #[test]
    fn only_aligned_powers_of_two_are_subtrees() {
        let mib = RANGE_BYTES;
        for (offset, len) in [(0, mib), (0, 4 * mib), (4 * mib, 4 * mib), (3 * mib, mib), (1 << 62, mib)] {
            assert!(is_subtree(offset, len), "{offset} {len}");
        }
        for (offset, len) in [(0, 0), (0, mib / 2), (0, 3 * mib), (mib, 2 * mib), (1, mib), (0, mib + 1)] {
            assert!(!is_subtree(offset, len), "{offset} {len}");
        }
    }
}
