//! BLAKE3 of whole files, computed in ranges that may be hashed apart, in any order, on either side, and merged.
//!
//! A file's hash is plain BLAKE3. A range of a power-of-two number of MiB that starts at a multiple of its own length is
//! a subtree of the hash's tree; its 32-byte chaining value can be computed from the range alone, and equal-sized
//! subtrees merge pairwise, as in section 2.1 of the BLAKE3 paper (<https://github.com/BLAKE3-team/BLAKE3-specs>).

use blake3::Hasher;
use blake3::hazmat::{HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root};

use crate::limits::RANGE_BYTES;
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
#[derive(Debug, Default)]
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

    #[test]
    fn merged_ranges_are_the_hash_of_the_whole() {
        let data: Vec<u8> = (0..9 * RANGE_BYTES as usize + 12_345).map(|i| (i * 31 % 251) as u8).collect();
        for ranges in 2..=9_u64 {
            for tail in [1, 1024, 12_345] {
                let data = &data[..(ranges * RANGE_BYTES) as usize + tail];
                let mut merger = RangeMerger::new();
                for (index, range) in data.chunks(RANGE_BYTES as usize).enumerate() {
                    let mut hasher = RangeHasher::new(index as u64 * RANGE_BYTES);
                    hasher.update(range);
                    merger.push(hasher.finish_part());
                }
                assert_eq!(merger.finish(), Some(Hash::of(data)), "{ranges} ranges and {tail} bytes");
            }
            let data = &data[..(ranges * RANGE_BYTES) as usize];
            let mut merger = RangeMerger::new();
            for (index, range) in data.chunks(RANGE_BYTES as usize).enumerate() {
                let mut hasher = RangeHasher::new(index as u64 * RANGE_BYTES);
                hasher.update(range);
                merger.push(hasher.finish_part());
            }
            assert_eq!(merger.finish(), Some(Hash::of(data)), "{ranges} ranges exactly");
        }
    }
}
