//! Names of one folder that a file system which folds case, or composes accents, takes for one.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use unicode_normalization::UnicodeNormalization;

/// Names remembered at a time, of all folders down to where the walk is. What is in larger folders is left to the destination.
const NAMES_MAX: usize = 1 << 20;

/// The names of the folders down to where a walk is, as hashes.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// By depth.
    folders: Vec<HashSet<u64>>,
    hasher: RandomState,
}

impl Names {
    /// Whether another name in the same folder, so many levels down, was the same but for case or accents. Names come in the order of a
    /// walk.
    pub(super) fn clashes(&mut self, depth: usize, name: &[u8]) -> bool {
        self.folders.truncate(depth + 1);
        self.folders.resize_with(depth + 1, HashSet::default);
        let count: usize = self.folders.iter().map(HashSet::len).sum();
        let hash = self.hash(name);
        self.folders
            .get_mut(depth)
            .is_some_and(|names| if count < NAMES_MAX { !names.insert(hash) } else { names.contains(&hash) })
    }

    fn hash(&self, name: &[u8]) -> u64 {
        self.hasher.hash_one(folded_bytes(name).as_slice())
    }
}

/// The same for all names that some file system takes for one.
pub(super) fn folded_bytes(name: &[u8]) -> Vec<u8> {
    match std::str::from_utf8(name) {
        Ok(text) if !text.is_ascii() => folded(text).into_bytes(),
        // Bytes that are no text are not folded by anybody.
        _ => name.to_ascii_lowercase(),
    }
}

/// Decomposed, in small letters; by way of the capitals, since some small letters share theirs.
fn folded(text: &str) -> String {
    text.nfd().flat_map(char::to_uppercase).flat_map(char::to_lowercase).nfd().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_clash_within_a_folder_and_nowhere_else() {
        let mut names = Names::default();
        let walk: [(usize, &str, bool); 12] = [
            (0, "README", false),
            (0, "readme", true),
            (0, "sub", false),
            (1, "readme", false),
            (1, "\u{e9}t\u{e9}", false),
            (1, "E\u{301}te\u{301}", true),
            (0, "Sub", true),
            (1, "readme", false),
            (0, "stra\u{df}e", false),
            (0, "STRASSE", true),
            (0, "\u{3c3}", false),
            (0, "\u{3c2}", true),
        ];
        for (depth, name, clashes) in walk {
            assert_eq!(names.clashes(depth, name.as_bytes()), clashes, "{depth} {name}");
        }
        assert!(!names.clashes(0, b"\xff"));
        assert!(names.clashes(0, b"\xff"));
    }

    #[test]
    fn what_is_remembered_of_a_large_folder_is_bounded() {
        let mut names = Names::default();
        for number in 0..2 * NAMES_MAX {
            assert!(!names.clashes(0, number.to_string().as_bytes()));
        }
        assert_eq!(names.folders[0].len(), NAMES_MAX);
        assert!(names.clashes(0, b"0"));
    }
}
