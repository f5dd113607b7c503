//! What an upload's messages take of its credit until they are acknowledged, for both sides: one counts what it sent, the other what
//! came.

use std::collections::VecDeque;

use crate::limits::DATA_BYTES_MAX;

/// More bytes of data than one message can hold are not kept as one.
const MERGED_BYTES_MAX: u64 = DATA_BYTES_MAX as u64;

/// Messages of one upload that are not acknowledged. Small ones that follow one another are kept as one, so the memory that this takes is
/// bounded by the credit, whatever the number of messages.
#[derive(Debug, Default)]
pub struct Charges {
    waiting: VecDeque<Waiting>,
    /// Where the last message ends.
    end: u64,
    total: u64,
    messages: usize,
}

/// One message, or data of several that follow one another.
#[derive(Debug)]
struct Waiting {
    /// Where in the file it ends.
    end: u64,
    /// Its charge.
    charge: u64,
    /// Each of its bytes takes one.
    is_data: bool,
    messages: usize,
}

impl Charges {
    /// A message that ends at `end`, behind all before it, takes `charge` bytes.
    pub fn add(&mut self, end: u64, charge: u64) {
        let is_data = end.checked_sub(self.end) == Some(charge);
        (self.end, self.total, self.messages) = (end, self.total + charge, self.messages + 1);
        match self.waiting.back_mut() {
            Some(last) if is_data && last.is_data && last.charge + charge <= MERGED_BYTES_MAX => {
                *last = Waiting { end, charge: last.charge + charge, is_data, messages: last.messages + 1 };
            }
            _ => self.waiting.push_back(Waiting { end, charge, is_data, messages: 1 }),
        }
    }

    /// All before `received` is written: what ends there or before takes nothing any more.
    pub fn acknowledge(&mut self, received: u64) {
        while let Some(first) = self.waiting.front_mut() {
            let left = first.end.saturating_sub(received);
            // A message is charged whole, or not at all.
            let left = if left == 0 || first.messages > 1 { left.min(first.charge) } else { first.charge };
            self.total -= first.charge - left;
            first.charge = left;
            if left > 0 {
                return;
            }
            self.messages -= first.messages;
            self.waiting.pop_front();
        }
    }

    /// Bytes that are taken.
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// Messages that take them, and small ones before these.
    pub const fn count(&self) -> usize {
        self.messages
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

    #[test]
    fn f71_however_small_the_messages_are_their_number_is_bounded_by_what_they_take() {
        let mut charges = Charges::default();
        for end in 1..=1_000_000 {
            charges.add(end, 1);
        }
        assert_eq!((charges.total(), charges.count()), (1_000_000, 1_000_000));
        assert!(charges.waiting.len() <= 1 + 1_000_000 / DATA_BYTES_MAX, "{}", charges.waiting.len());
        charges.acknowledge(999_999);
        assert_eq!((charges.total(), charges.waiting.len()), (1, 1));
        charges.add(2_000_000, 32);
        charges.add(2_000_001, 1);
        assert_eq!(charges.waiting.len(), 3, "a span is no data");
        charges.acknowledge(2_000_001);
        assert_eq!((charges.total(), charges.count()), (0, 0));
    }
}
