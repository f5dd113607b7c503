//! What an upload's messages take of its credit until they are acknowledged, for both sides: one counts what it sent, the other what
//! came.

use std::collections::VecDeque;

/// Messages of one upload that are not acknowledged.
#[derive(Debug, Default)]
pub struct Charges {
    /// Where in the file each ends, and what it takes.
    waiting: VecDeque<(u64, u64)>,
    total: u64,
}

impl Charges {
    /// A message that ends at `end`, behind all before it, takes `charge` bytes.
    pub fn add(&mut self, end: u64, charge: u64) {
        self.waiting.push_back((end, charge));
        self.total += charge;
    }

    /// All before `received` is written: what ends there or before takes nothing any more.
    pub fn acknowledge(&mut self, received: u64) {
        while let Some((end, charge)) = self.waiting.front().copied()
            && end <= received
        {
            self.waiting.pop_front();
            self.total -= charge;
        }
    }

    /// Bytes that are taken.
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// Messages that take them.
    pub fn count(&self) -> usize {
        self.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_takes_its_credit_until_all_of_it_is_acknowledged() {
        let mut charges = Charges::default();
        charges.add(100, 100);
        charges.add(1_000_000, 32);
        charges.add(1_000_001, 1);
        for (received, total, count) in
            [(0, 133, 3), (99, 133, 3), (100, 33, 2), (999_999, 33, 2), (1_000_001, 0, 0)]
        {
            charges.acknowledge(received);
            assert_eq!((charges.total(), charges.count()), (total, count), "{received}");
        }
    }
}
