//! The orders of a listing. Folders come first in every order and both directions; a link to a folder is a link.

use std::cmp::Ordering;

use crate::entry::{Attributes, Entry, Kind};
use crate::request::{Direction, SortKey};

/// Compares two entries of one folder. Equal only if their names are.
pub fn compare(sort: SortKey, direction: Direction, a: &Entry, b: &Entry) -> Ordering {
    let folders_first = is_folder(&b.attributes).cmp(&is_folder(&a.attributes));
    let by_key = match sort {
        SortKey::Name => Ordering::Equal,
        SortKey::Size => a.attributes.size.cmp(&b.attributes.size),
        SortKey::Modified => a.attributes.modified_ns.cmp(&b.attributes.modified_ns),
        SortKey::Extension => extension(a.name.as_bytes()).cmp(extension(b.name.as_bytes())),
    };
    let ascending = by_key.then_with(|| name_order(a.name.as_bytes(), b.name.as_bytes()));
    folders_first.then(match direction {
        Direction::Ascending => ascending,
        Direction::Descending => ascending.reverse(),
    })
}

const fn is_folder(attributes: &Attributes) -> bool {
    matches!(attributes.kind, Kind::Folder)
}

/// Natural and without regard to case: ASCII letters as lower case, runs of ASCII digits by their number, all else by its bytes; names
/// that are alike in that by their bytes.
pub fn name_order(a: &[u8], b: &[u8]) -> Ordering {
    natural(a, b).then_with(|| a.cmp(b))
}

fn natural(mut a: &[u8], mut b: &[u8]) -> Ordering {
    loop {
        match (a.first(), b.first()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(x), Some(y)) if x.is_ascii_digit() && y.is_ascii_digit() => {
                let (x, y) = (digits(&mut a), digits(&mut b));
                let order = x.len().cmp(&y.len()).then_with(|| x.cmp(y));
                if order != Ordering::Equal {
                    return order;
                }
            }
            (Some(x), Some(y)) => {
                let order = x.to_ascii_lowercase().cmp(&y.to_ascii_lowercase());
                if order != Ordering::Equal {
                    return order;
                }
                (a, b) = (&a[1..], &b[1..]);
            }
        }
    }
}

/// Takes a run of digits off the front; without its leading zeros, so that the longer one is the larger number.
fn digits<'a>(name: &mut &'a [u8]) -> &'a [u8] {
    let end = name.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(name.len());
    let (run, rest) = name.split_at(end);
    *name = rest;
    let zeros = run.iter().take_while(|digit| **digit == b'0').count();
    &run[zeros..]
}

/// What follows the last dot that is not the name's first byte; empty where there is none.
pub fn extension(name: &[u8]) -> &[u8] {
    match name.iter().rposition(|byte| *byte == b'.') {
        None | Some(0) => b"",
        Some(dot) => &name[dot + 1..],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::Name;

    fn entry(name: &str, kind: Kind, size: u64) -> Entry {
        let attributes =
            Attributes { kind, size, modified_ns: 0, changed_ns: 0, mode: 0, identity: 0, link: None };
        Entry { name: Name::try_from(name).unwrap(), attributes }
    }

    #[test]
    fn names_sort_as_people_count() {
        let sorted = ["", ".a", "1", "02", "2", "10", "a", "A", "a2", "A10", "b", "é"];
        for (index, a) in sorted.iter().enumerate() {
            for (other, b) in sorted.iter().enumerate() {
                let expected = if (*a, *b) == ("a", "A") || (*a, *b) == ("A", "a") {
                    a.cmp(b)
                } else {
                    index.cmp(&other)
                };
                assert_eq!(name_order(a.as_bytes(), b.as_bytes()), expected, "{a} {b}");
            }
        }
    }

    #[test]
    fn folders_come_first_in_both_directions() {
        let (folder, file) = (entry("z", Kind::Folder, 0), entry("a", Kind::File, 9));
        for direction in Direction::ALL {
            for sort in SortKey::ALL {
                assert_eq!(compare(*sort, *direction, &folder, &file), Ordering::Less);
            }
        }
        let small = entry("b", Kind::File, 1);
        assert_eq!(compare(SortKey::Size, Direction::Ascending, &small, &file), Ordering::Less);
        assert_eq!(compare(SortKey::Size, Direction::Descending, &small, &file), Ordering::Greater);
    }

    #[test]
    fn an_extension_is_behind_the_last_dot_that_is_not_the_first_byte() {
        for (name, expected) in
            [("a.tar.gz", "gz"), (".profile", ""), ("none", ""), (".a.b", "b"), ("end.", "")]
        {
            assert_eq!(extension(name.as_bytes()), expected.as_bytes(), "{name}");
        }
    }
}
