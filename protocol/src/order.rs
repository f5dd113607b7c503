//! The orders of a listing, as a pure comparison. The service sorts with it, and whoever merges or keeps a listing in order
//! elsewhere uses the same, so that both sides agree on every row. PROTOCOL.md tells it in prose.

use std::cmp::Ordering;

use crate::entry::{Entry, Kind};
use crate::request::{Direction, SortKey};

/// Compares two entries of one folder. Total: two entries with different names are never equal.
///
/// Folders come first whatever the direction; only [`Kind::Folder`] counts, a link that leads to a folder stands among the
/// files. Within each group the key decides, smallest, oldest or first in [`name_order`] at the top for
/// [`Direction::Ascending`], the other way round for [`Direction::Descending`]. What ties in size, time or extension
/// stands in ascending [`name_order`] in both directions.
pub fn compare(sort: SortKey, direction: Direction, a: &Entry, b: &Entry) -> Ordering {
    let by_key = match sort {
        SortKey::Name | SortKey::Extension => Ordering::Equal,
        SortKey::Size => a.attributes.size.cmp(&b.attributes.size),
        SortKey::Modified => a.attributes.modified.cmp(&b.attributes.modified),
    };
    arrange(sort, direction, by_key, named(a), named(b))
}

/// [`compare`] by a number that stands for size or time and is larger where that is. Each side is whether it is a folder, the number, and
/// its name.
pub fn compare_numbered(
    sort: SortKey,
    direction: Direction,
    (a_is_folder, a_number, a): (bool, u64, &[u8]),
    (b_is_folder, b_number, b): (bool, u64, &[u8]),
) -> Ordering {
    arrange(sort, direction, a_number.cmp(&b_number), (a_is_folder, a), (b_is_folder, b))
}

fn named(entry: &Entry) -> (bool, &[u8]) {
    (entry.attributes.kind == Kind::Folder, entry.name.as_bytes())
}

fn arrange(
    sort: SortKey,
    direction: Direction,
    by_number: Ordering,
    (a_is_folder, a): (bool, &[u8]),
    (b_is_folder, b): (bool, &[u8]),
) -> Ordering {
    let by_key = match sort {
        SortKey::Name => name_order(a, b),
        SortKey::Extension => folded_order(extension(a), extension(b)),
        SortKey::Size | SortKey::Modified => by_number,
    };
    let directed = match direction {
        Direction::Ascending => by_key,
        Direction::Descending => by_key.reverse(),
    };
    b_is_folder.cmp(&a_is_folder).then(directed).then_with(|| name_order(a, b))
}

/// Compares two names as people do: digit runs by their value (`a9` before `a10`), ASCII letters without their case,
/// all else by its bytes; a name before what it begins. Where that leaves a tie (`A`, `a`; `1`, `01`), the raw bytes decide.
pub fn name_order(a: &[u8], b: &[u8]) -> Ordering {
    folded_order(a, b).then_with(|| a.cmp(b))
}

/// The bytes after the last dot that is not the name's first byte; empty where there is none.
pub fn extension(name: &[u8]) -> &[u8] {
    match name.iter().rposition(|byte| *byte == b'.') {
        Some(dot) if dot > 0 => &name[dot + 1..],
        _ => &[],
    }
}

/// [`name_order`] without its last word. Both sides are read as the same kind of pieces, digit runs and single bytes, so
/// the order is transitive.
fn folded_order(mut a: &[u8], mut b: &[u8]) -> Ordering {
    loop {
        let (Some(first), Some(second)) = (a.first(), b.first()) else { return a.len().cmp(&b.len()) };
        let order = if first.is_ascii_digit() && second.is_ascii_digit() {
            compare_numbers(take_number(&mut a), take_number(&mut b))
        } else {
            (a, b) = (&a[1..], &b[1..]);
            first.to_ascii_lowercase().cmp(&second.to_ascii_lowercase())
        };
        if order.is_ne() {
            return order;
        }
    }
}

/// Cuts the leading digits off.
fn take_number<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, after) = rest.split_at(digits);
    *rest = after;
    number
}

/// By value, however long: without leading zeros, the longer one is larger.
fn compare_numbers(a: &[u8], b: &[u8]) -> Ordering {
    let without_zeros = |number: &[u8]| number.iter().take_while(|digit| **digit == b'0').count();
    let (a, b) = (&a[without_zeros(a)..], &b[without_zeros(b)..]);
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::entry::Attributes;
    use crate::path::Name;
    use crate::time::Time;

    fn entry(name: &str, kind: Kind, size: u64, modified: i64) -> Entry {
        let name = Name::try_from(name).unwrap();
        let attributes = Attributes {
            kind,
            size,
            modified: Time::from_ns(modified),
            mode: 0o644,
            ..Attributes::unknown(kind)
        };
        Entry { name, attributes }
    }

    fn sorted(sort: SortKey, direction: Direction, entries: &[Entry]) -> String {
        let mut entries = entries.to_vec();
        entries.sort_by(|a, b| compare(sort, direction, a, b));
        entries.iter().map(|entry| entry.name.display().to_string()).collect::<Vec<_>>().join(" ")
    }

    fn some_entries() -> Vec<Entry> {
        vec![
            entry("b.txt", Kind::File, 10, 30),
            entry("zoo", Kind::Folder, 0, 20),
            entry("Lib.d", Kind::Folder, 0, 40),
            entry("a10.TXT", Kind::File, 10, 10),
            entry("a9.rs", Kind::File, 5, 50),
            entry("link", Kind::Link, 0, 60),
            entry(".rc", Kind::File, 7, 30),
        ]
    }

    #[test]
    fn names_stand_as_people_expect_them() {
        let expected = [
            ".a",
            "0",
            "00",
            "01",
            "1",
            "1a",
            "2",
            "10",
            "99999999999999999999998",
            "99999999999999999999999",
            "A",
            "a",
            "a-1",
            "a01",
            "a1",
            "a1b",
            "a2",
            "a10",
            "AB",
            "aB",
            "ab",
            "B",
            "readme",
            "README.md",
            "z",
            "{",
            "É",
            "é",
            "日本",
        ];
        let mut names = expected;
        names.reverse();
        names.sort_by(|a, b| name_order(a.as_bytes(), b.as_bytes()));
        assert_eq!(names, expected);
    }

    #[test]
    fn folders_come_first_in_both_directions_and_links_are_no_folders() {
        let (entries, up, down) = (some_entries(), Direction::Ascending, Direction::Descending);
        assert_eq!(sorted(SortKey::Name, up, &entries), "Lib.d zoo .rc a9.rs a10.TXT b.txt link");
        assert_eq!(sorted(SortKey::Name, down, &entries), "zoo Lib.d link b.txt a10.TXT a9.rs .rc");
    }

    #[test]
    fn ties_stand_by_name_in_both_directions() {
        let (entries, up, down) = (some_entries(), Direction::Ascending, Direction::Descending);
        assert_eq!(sorted(SortKey::Size, up, &entries), "Lib.d zoo link a9.rs .rc a10.TXT b.txt");
        assert_eq!(sorted(SortKey::Size, down, &entries), "Lib.d zoo a10.TXT b.txt .rc a9.rs link");
        assert_eq!(sorted(SortKey::Modified, up, &entries), "zoo Lib.d a10.TXT .rc b.txt a9.rs link");
        assert_eq!(sorted(SortKey::Modified, down, &entries), "Lib.d zoo link a9.rs .rc b.txt a10.TXT");
        assert_eq!(sorted(SortKey::Extension, up, &entries), "zoo Lib.d .rc link a9.rs a10.TXT b.txt");
        assert_eq!(sorted(SortKey::Extension, down, &entries), "Lib.d zoo a10.TXT b.txt a9.rs .rc link");
    }

    #[test]
    fn an_extension_is_what_follows_the_last_dot_but_a_leading_one() {
        let cases: &[(&str, &str)] = &[
            ("a.txt", "txt"),
            ("a.tar.gz", "gz"),
            (".rc", ""),
            (".rc.bak", "bak"),
            ("a.", ""),
            ("a", ""),
            ("...", ""),
        ];
        for (name, expected) in cases {
            assert_eq!(extension(name.as_bytes()), expected.as_bytes(), "{name}");
        }
    }

    fn name_strategy() -> impl Strategy<Value = Vec<u8>> {
        // Few letters, so that ties and near ties are common.
        proptest::collection::vec(proptest::sample::select(&b"aAbB0019./-z\xc3\xff"[..]), 1..8)
    }

    proptest! {
        #[test]
        fn the_order_of_names_is_total(a in name_strategy(), b in name_strategy(), c in name_strategy()) {
            prop_assert_eq!(name_order(&a, &b), name_order(&b, &a).reverse());
            prop_assert_eq!(name_order(&a, &b).is_eq(), a == b);
            if name_order(&a, &b).is_le() && name_order(&b, &c).is_le() {
                prop_assert!(name_order(&a, &c).is_le());
            }
        }
    }
}
