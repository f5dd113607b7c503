//! A folder's entries, sorted, in little memory: a listing of a million names may wait for its client. Knows no folder.

use towpath_protocol::entry::Kind;
use towpath_protocol::order::compare_numbered;
use towpath_protocol::path::Name;
use towpath_protocol::request::{Direction, SortKey};

/// Least room that is made for more.
const NAMES_GROWTH: usize = 4 * 1024;

/// Entries of one folder.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// All names in one piece, each behind its number where the order goes by numbers.
    names: Vec<u8>,
    entries: Vec<Noted>,
    /// Entries that were taken already.
    taken: usize,
}

#[derive(Debug, Clone, Copy)]
struct Noted {
    /// Behind what the order goes by besides, if it goes by a number.
    name_at: u32,
    name_len: u8,
    kind: Option<Kind>,
}

impl Found {
    /// Notes an entry; the number where the order goes by one, as it does for all entries of a folder or for none. False where there is no
    /// room for more names.
    pub(super) fn push(&mut self, name: &Name, kind: Option<Kind>, number: Option<u64>) -> bool {
        let number = number.map(u64::to_ne_bytes);
        let number: &[u8] = number.as_ref().map_or(&[], |bytes| bytes);
        let bytes = name.as_bytes();
        let Ok(name_at) = u32::try_from(self.names.len() + number.len()) else { return false };
        grow(&mut self.names, number.len() + bytes.len(), NAMES_GROWTH);
        self.names.extend_from_slice(number);
        self.names.extend_from_slice(bytes);
        grow(&mut self.entries, 1, NAMES_GROWTH / size_of::<Noted>());
        self.entries.push(Noted { name_at, name_len: bytes.len() as u8, kind });
        true
    }

    pub(super) fn sort(&mut self, sort: SortKey, direction: Direction) {
        let Self { names, entries, .. } = self;
        let by_number = matches!(sort, SortKey::Size | SortKey::Modified);
        let key = |noted: &Noted| noted.key(names, by_number);
        entries.sort_unstable_by(|a, b| compare_numbered(sort, direction, key(a), key(b)));
    }

    pub(super) const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Further entries.
    pub(super) const fn left(&self) -> usize {
        self.entries.len().saturating_sub(self.taken)
    }

    /// Returns whether there is no further entry.
    pub(super) const fn is_taken(&self) -> bool {
        self.left() == 0
    }

    /// The next entry in order.
    pub(super) fn take(&mut self) -> Option<(Name, Option<Kind>)> {
        let noted = self.entries.get(self.taken)?;
        self.taken += 1;
        Some((Name::new(noted.name(&self.names)).ok()?, noted.kind))
    }

    /// Memory that it holds.
    pub(super) const fn bytes(&self) -> usize {
        self.names.capacity() + self.entries.capacity() * size_of::<Noted>()
    }
}

/// Makes room for more by an eighth: twice as much would be charged, and not used.
fn grow<T>(list: &mut Vec<T>, more: usize, least: usize) {
    if list.capacity() - list.len() < more {
        list.reserve_exact(more.max(least).max(list.len() / 8));
    }
}

impl Noted {
    /// The sort key.
    fn key(self, names: &[u8], by_number: bool) -> (bool, u64, &[u8]) {
        let before = names.get(..self.name_at as usize).filter(|_| by_number);
        let number =
            before.and_then(|before| before.last_chunk()).map_or(0, |bytes| u64::from_ne_bytes(*bytes));
        (self.kind == Some(Kind::Folder), number, self.name(names))
    }

    fn name(self, names: &[u8]) -> &[u8] {
        let at = self.name_at as usize;
        names.get(at..at + self.name_len as usize).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::try_from(text).unwrap()
    }

    #[test]
    fn entries_come_back_in_order_and_take_little() {
        let mut found = Found::default();
        for number in 0..1000_u64 {
            assert!(found.push(&name(&format!("name {number}")), Some(Kind::File), Some(1000 - number)));
        }
        assert!(found.push(&name("folder"), Some(Kind::Folder), Some(0)));
        assert!(found.bytes() < 64 * 1024, "{} bytes", found.bytes());
        found.sort(SortKey::Size, Direction::Ascending);
        assert_eq!(found.take(), Some((name("folder"), Some(Kind::Folder))));
        assert_eq!(found.take(), Some((name("name 999"), Some(Kind::File))));
        found.taken = 1;
        found.sort(SortKey::Name, Direction::Ascending);
        assert_eq!(found.take(), Some((name("name 0"), Some(Kind::File))));
        assert_eq!(found.len(), 1001);
        while found.take().is_some() {}
    }
}
