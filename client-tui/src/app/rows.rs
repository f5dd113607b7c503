//! The rows of a pane: a folder's entries, which of them pass the filter, the cursor, what is scrolled out, and the marks. It knows no
//! place and no link. A key costs what it moves over, not what the folder holds.

use std::collections::{HashMap, HashSet};

use towpath_protocol::entry::{Entry, Kind};
use towpath_protocol::path::Name;

use super::marking::Range;
use super::marks::Marks;
use super::sift::{Search, Sifting, passes};

/// Rows that stay visible above and below the cursor, where there is room.
const MARGIN_ROWS: usize = 2;

/// A list on the screen.
#[derive(Debug, Default)]
pub struct Rows {
    /// Rows before the entries: one for `../`, except at a root.
    pub up: usize,
    pub entries: Vec<Entry>,
    /// Indices of the entries that pass the filter, in order.
    pub shown: Vec<u32>,
    pub marks: Marks,
    /// Sizes of all entries as far as they are known. Whatever a server says, sums do not overflow.
    bytes: u128,
    pub(super) marked_bytes: u128,
    /// Number of marks that the filter hides.
    pub(super) marks_hidden: usize,
    pub filter: String,
    /// A row; `../` counts.
    pub cursor: usize,
    /// The first row on the screen.
    pub top: usize,
    /// What folders hold, once it was asked.
    pub measured: HashMap<Name, u64>,
    pub(super) range: Option<Range>,
    /// The name that the cursor is to stand on once it has come.
    wanted: Option<Name>,
    /// The cursor is to stand on the first entry once there is one.
    wants_first: bool,
    /// A filter, and a search, that have not come to the end of the list.
    pub(super) sifting: Option<Sifting>,
    pub(super) search: Option<Search>,
}

impl Rows {
    /// Nothing yet; the cursor will stand on `wanted`.
    pub fn new(up: usize, wanted: Option<Name>) -> Self {
        Self { up, wanted, ..Self::default() }
    }

    /// Nothing yet, of a folder that is entered: the cursor will stand on `wanted`, else on the first entry.
    pub fn entered(up: usize, wanted: Option<Name>) -> Self {
        Self { wants_first: true, ..Self::new(up, wanted) }
    }

    /// The cursor will stand on this name when the folder has been read again.
    pub(super) fn want(&mut self, name: Option<Name>) {
        self.wanted = name;
    }

    /// Rows in all.
    pub const fn len(&self) -> usize {
        self.up + self.shown.len()
    }

    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The index of the entry in a row; none for `../`.
    pub fn index(&self, row: usize) -> Option<usize> {
        self.shown.get(row.checked_sub(self.up)?).map(|index| *index as usize)
    }

    /// The entry in a row; none for `../`.
    pub fn entry(&self, row: usize) -> Option<&Entry> {
        self.entries.get(self.index(row)?)
    }

    pub fn is_marked(&self, row: usize) -> bool {
        self.index(row).is_some_and(|index| self.marks.contains(index))
    }

    pub fn current(&self) -> Option<&Entry> {
        self.entry(self.cursor)
    }

    /// The marked entries that show, in their order; the one under the cursor if none is marked, shown or not.
    pub fn chosen(&self) -> Vec<&Entry> {
        if self.marks.is_empty() {
            return self.current().into_iter().collect();
        }
        let marked = self.marks.iter().filter_map(|index| self.entries.get(index));
        marked.filter(|entry| passes(entry, &self.filter)).collect()
    }

    /// Marked entries that the filter hides.
    pub const fn marks_hidden(&self) -> usize {
        self.marks_hidden
    }

    pub(super) fn count_hidden_marks(&self) -> usize {
        let marked = self.marks.iter().filter_map(|index| self.entries.get(index));
        marked.filter(|entry| !passes(entry, &self.filter)).count()
    }

    pub fn find(&self, name: &Name) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.name == *name)
    }

    /// A file's size, or a folder's once it was measured.
    pub fn size_of(&self, entry: &Entry) -> Option<u64> {
        match entry.attributes.kind {
            Kind::Folder => self.measured.get(&entry.name).copied(),
            _ => Some(entry.attributes.size),
        }
    }

    pub(super) fn known_bytes(&self, entry: &Entry) -> u128 {
        self.size_of(entry).map_or(0, u128::from)
    }

    /// Sizes of all entries, as far as they are known.
    pub fn bytes(&self) -> u64 {
        u64::try_from(self.bytes).unwrap_or(u64::MAX)
    }

    pub fn marked_bytes(&self) -> u64 {
        u64::try_from(self.marked_bytes).unwrap_or(u64::MAX)
    }

    /// More entries at the end.
    pub fn append(&mut self, entries: Vec<Entry>) {
        let first = self.entries.len();
        self.bytes += entries.iter().map(|entry| self.known_bytes(entry)).sum::<u128>();
        self.entries.extend(entries);
        let first_shown = self.shown.len();
        let (entries, filter) = (&self.entries, &self.filter);
        if let Some(sifting) = &mut self.sifting {
            sifting.append(first..entries.len());
        } else {
            let passing = (first..entries.len()).filter(|index| passes(&entries[*index], filter));
            self.shown.extend(passing.map(|index| index as u32));
        }
        if self.wants_first && !self.shown.is_empty() {
            (self.cursor, self.wants_first) = (self.up, false);
        }
        if let Some(wanted) = &self.wanted
            && let Some(row) = self.shown[first_shown..]
                .iter()
                .position(|index| self.entries[*index as usize].name == *wanted)
        {
            self.cursor = self.up + first_shown + row;
            self.wanted = None;
        }
        self.clamp();
    }

    /// The same folder as it is now: cursor and marks stay on their names, and where the cursor's is gone it goes to its next neighbour
    /// that is still there.
    pub fn replace(&mut self, entries: Vec<Entry>) {
        let offset = self.cursor.saturating_sub(self.top);
        let old = std::mem::replace(self, Self::new(self.up, None));
        self.filter = old.filter;
        self.measured = old.measured;
        self.append(entries);
        if !old.marks.is_empty() {
            let marked: HashSet<&Name> = old.marks.iter().map(|index| &old.entries[index].name).collect();
            for index in 0..self.entries.len() {
                if marked.contains(&self.entries[index].name) {
                    self.mark(index);
                }
            }
        }
        let wanted = old.wanted.and_then(|name| self.row_of(&name));
        self.cursor = match (wanted, old.cursor.checked_sub(self.up)) {
            (Some(row), _) => row,
            (None, None) => 0,
            (None, Some(at)) => self.row_like(&old.entries, &old.shown, at),
        };
        self.top = self.cursor.saturating_sub(offset);
        self.complete();
        self.clamp();
    }

    fn row_of(&self, name: &Name) -> Option<usize> {
        let row = self.shown.iter().position(|index| self.entries[*index as usize].name == *name)?;
        Some(self.up + row)
    }

    /// The row of what stood at `at` in an older list, or of the nearest that is still there, the following ones first.
    fn row_like(&self, entries: &[Entry], shown: &[u32], at: usize) -> usize {
        let name = |index: &u32| &entries[*index as usize].name;
        let Some(here) = shown.get(at).map(name) else { return 0 };
        if let Some(row) = self.row_of(here) {
            return row;
        }
        let rows: HashMap<&Name, usize> = self
            .shown
            .iter()
            .enumerate()
            .map(|(row, index)| (&self.entries[*index as usize].name, row))
            .collect();
        let near = shown[at..].iter().chain(shown[..at].iter().rev()).find_map(|index| rows.get(name(index)));
        near.map_or(0, |row| row + self.up)
    }

    /// No more will come.
    pub fn complete(&mut self) {
        (self.wanted, self.wants_first) = (None, false);
        self.entries.shrink_to_fit();
        self.shown.shrink_to_fit();
    }

    /// Moves the cursor by rows, the range with it.
    pub fn move_by(&mut self, rows: isize) {
        self.go_to(self.cursor.saturating_add_signed(rows));
    }

    /// Moves the cursor to a row, the range with it.
    pub fn go_to(&mut self, row: usize) {
        (self.wanted, self.wants_first) = (None, false);
        self.look_up_to(row);
        let from = std::mem::replace(&mut self.cursor, row);
        self.clamp();
        self.follow_plainly(from);
    }

    /// Moves the screen over the list; the cursor stays on it.
    pub fn scroll_by(&mut self, rows: isize, height: usize) {
        self.top = self.top.saturating_add_signed(rows).min(self.len().saturating_sub(height));
        let margin = margin_rows(height);
        let first = if self.top == 0 { 0 } else { self.top + margin };
        let is_end = self.top + height >= self.len();
        let last = (self.top + height).saturating_sub(if is_end { 1 } else { margin + 1 });
        let row = self.cursor.clamp(first, last.max(first));
        if row != self.cursor {
            self.go_to(row);
        }
    }

    /// Keeps the cursor within what the screen shows.
    pub fn settle(&mut self, height: usize) {
        self.clamp();
        self.top = self.first_row(height);
    }

    /// The first row that a screen of this height shows.
    pub fn first_row(&self, height: usize) -> usize {
        let margin = margin_rows(height);
        let highest = self.cursor.saturating_sub(margin);
        let lowest = (self.cursor + margin + 1).saturating_sub(height);
        self.top.clamp(lowest.min(highest), highest).min(self.len().saturating_sub(height))
    }

    pub(super) fn clamp(&mut self) {
        self.cursor = self.cursor.min(self.len().saturating_sub(1));
    }

    /// What a folder holds is known now.
    pub fn measure(&mut self, name: &Name, bytes: u64) {
        let before = u128::from(self.measured.insert(name.clone(), bytes).unwrap_or(0));
        let bytes = u128::from(bytes);
        // A folder that changes while it is read, or a careless server, may list a name twice.
        for (index, entry) in self.entries.iter().enumerate() {
            if entry.attributes.kind == Kind::Folder && entry.name == *name {
                self.bytes = self.bytes - before + bytes;
                if self.marks.contains(index) {
                    self.marked_bytes = self.marked_bytes - before + bytes;
                }
            }
        }
    }

    /// Sorts the folders of known size, which stand first, by it.
    pub fn sort_folders(&mut self, is_largest_first: bool) {
        let folders = self.entries.iter().take_while(|entry| entry.attributes.kind == Kind::Folder).count();
        let key = |entry: &Entry| self.measured.get(&entry.name).copied();
        let mut sorted: Vec<(Option<u64>, usize)> =
            self.entries[..folders].iter().map(key).zip(0..folders).collect();
        sorted.sort_by_key(|(bytes, _)| {
            bytes.map_or((1, 0), |bytes| (0, if is_largest_first { u64::MAX - bytes } else { bytes }))
        });
        if sorted.iter().enumerate().all(|(at, (_, index))| at == *index) {
            return;
        }
        let mut entries: Vec<Entry> = sorted.iter().map(|(_, index)| self.entries[*index].clone()).collect();
        entries.extend(self.entries[folders..].iter().cloned());
        self.replace(entries);
    }

    /// What must always hold.
    pub(super) fn check(&self) {
        assert!(self.cursor < self.len().max(1), "the cursor is outside its list");
        assert!(self.shown.is_sorted_by(|a, b| a < b), "rows are out of order");
        assert!(
            self.shown.last().is_none_or(|last| (*last as usize) < self.entries.len()),
            "a row has no entry"
        );
        assert!(
            self.shown.iter().all(|index| passes(&self.entries[*index as usize], &self.filter)),
            "a row does not pass"
        );
        assert!(self.marks.iter().all(|index| index < self.entries.len()), "a mark has no entry");
        assert_eq!(self.marks.iter().count(), self.marks.len(), "marks are counted wrong");
        assert_eq!(self.marks_hidden, self.count_hidden_marks(), "hidden marks are counted wrong");
        let marked = self.marks.iter().map(|index| self.known_bytes(&self.entries[index])).sum::<u128>();
        assert_eq!(self.marked_bytes, marked, "marked bytes are counted wrong");
        assert_eq!(
            self.bytes,
            self.entries.iter().map(|entry| self.known_bytes(entry)).sum::<u128>(),
            "bytes are counted wrong"
        );
        assert!(
            self.range.as_ref().is_none_or(|range| range.is_within(self.len())),
            "a range begins nowhere"
        );
    }
}

fn margin_rows(height: usize) -> usize {
    MARGIN_ROWS.min(height.saturating_sub(1) / 2)
}
