//! Which entries of a list are marked: a bit an entry, so that marking one, or all, of a hundred thousand costs next to nothing.

/// A set of indices.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks {
    bits: Vec<u64>,
    count: usize,
}

impl Marks {
    pub fn contains(&self, index: usize) -> bool {
        self.bits.get(index / 64).is_some_and(|word| word & bit(index) != 0)
    }

    /// Whether it is new.
    pub fn insert(&mut self, index: usize) -> bool {
        let is_new = !self.contains(index);
        if is_new {
            if self.bits.len() <= index / 64 {
                self.bits.resize(index / 64 + 1, 0);
            }
            self.bits[index / 64] |= bit(index);
            self.count += 1;
        }
        is_new
    }

    /// Whether it was there.
    pub fn remove(&mut self, index: usize) -> bool {
        let was_there = self.contains(index);
        if was_there {
            self.bits[index / 64] &= !bit(index);
            self.count -= 1;
        }
        was_there
    }

    pub fn clear(&mut self) {
        self.bits.clear();
        self.count = 0;
    }

    pub const fn len(&self) -> usize {
        self.count
    }

    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The lowest first.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        let words = self.bits.iter().enumerate().filter(|(_, word)| **word != 0);
        words.flat_map(|(at, word)| {
            (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| at * 64 + bit)
        })
    }
}

const fn bit(index: usize) -> u64 {
    1 << (index % 64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_a_set_in_order() {
        let mut marks = Marks::default();
        for index in [64, 3, 200, 3] {
            marks.insert(index);
        }
        assert_eq!((marks.len(), marks.iter().collect::<Vec<_>>()), (3, vec![3, 64, 200]));
        assert!(marks.remove(64) && !marks.remove(64) && !marks.remove(100_000));
        assert_eq!(marks.iter().collect::<Vec<_>>(), [3, 200]);
        marks.clear();
        assert!(marks.is_empty() && !marks.contains(3));
    }
}
