//! What was found in a folder, in its order, in little memory: a listing of a million names may wait for its client. Knows no folder.

use towpath_protocol::entry::Kind;
use towpath_protocol::order::compare_numbered;
use towpath_protocol::path::Name;
use towpath_protocol::request::{Direction, SortKey};

/// Entries of one folder.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// All names in one piece.
    names: Vec<u8>,
    entries: Vec<Noted>,
    /// Entries that were taken already.
    taken: usize,
}

#[derive(Debug, Clone, Copy)]
struct Noted {
    /// What the order goes by beside the name.
    number: u64,
    name_at: u32,
    name_len: u8,
    kind: Option<Kind>,
}

impl Found {
    /// Notes an entry. False where there is no room for more names.
    pub(super) fn push(&mut self, name: &Name, kind: Option<Kind>, number: u64) -> bool {
        let Ok(name_at) = u32::try_from(self.names.len()) else { return false };
        let bytes = name.as_bytes();
        self.names.extend_from_slice(bytes);
        self.entries.push(Noted { number, name_at, name_len: bytes.len() as u8, kind });
        true
    }

    pub(super) fn sort(&mut self, sort: SortKey, direction: Direction) {
        let Self { names, entries, .. } = self;
        entries.sort_unstable_by(|a, b| compare_numbered(sort, direction, a.key(names), b.key(names)));
    }

    pub(super) const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no further entry.
    pub(super) const fn is_taken(&self) -> bool {
        self.taken >= self.entries.len()
    }

    /// The next entry in order.
    pub(super) fn take(&mut self) -> Option<(Name, Option<Kind>)> {
        let noted = self.entries.get(self.taken)?;
        self.taken += 1;
        Some((Name::new(noted.name(&self.names)).ok()?, noted.kind))
    }

    /// Memory that it holds.
    #[cfg(test)]
    pub(super) const fn bytes(&self) -> usize {
        self.names.capacity() + self.entries.capacity() * size_of::<Noted>()
    }
}

impl Noted {
    /// What decides where it stands.
    fn key<'a>(&self, names: &'a [u8]) -> (bool, u64, &'a [u8]) {
        (self.kind == Some(Kind::Folder), self.number, self.name(names))
    }

    fn name<'a>(&self, names: &'a [u8]) -> &'a [u8] {
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
            assert!(found.push(&name(&format!("name {number}")), Some(Kind::File), 1000 - number));
        }
        assert!(found.push(&name("folder"), Some(Kind::Folder), 0));
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
