//! One pane: a folder, its entries as they arrive, what of them shows, the cursor and the marks.

use std::collections::HashSet;

use towpath_protocol::entry::{Entry, Kind};
use towpath_protocol::path::{Name, WirePath};
use towpath_protocol::request::{Direction, Hidden, SortKey};

use super::effect::Effect;
use crate::model::{Place, Side};

/// A folder on the screen.
#[derive(Debug)]
pub struct Pane {
    pub place: Place,
    pub entries: Vec<Entry>,
    /// Indices of the entries that pass the filter.
    pub shown: Vec<u32>,
    /// A row: `../` is row 0 where there is one.
    pub cursor: usize,
    pub marks: HashSet<Name>,
    pub filter: String,
    pub find: String,
    pub sort: SortKey,
    pub direction: Direction,
    pub hidden: Hidden,
    pub generation: u64,
    pub loading: bool,
    pub total: u64,
    pub free: Option<u64>,
    pub measured: Vec<(Name, u64)>,
    pub fault: Option<String>,
    /// The name that the cursor is to stand on once it has come.
    wanted: Option<Name>,
    /// The next page is a listing's first.
    is_fresh: bool,
    pub back: Vec<Place>,
    pub forward: Vec<Place>,
}

impl Pane {
    pub fn new(place: Place) -> Self {
        Self {
            place,
            entries: Vec::new(),
            shown: Vec::new(),
            cursor: 0,
            marks: HashSet::new(),
            filter: String::new(),
            find: String::new(),
            sort: SortKey::Name,
            direction: Direction::Ascending,
            hidden: Hidden::LeftOut,
            generation: 0,
            loading: false,
            total: 0,
            free: None,
            measured: Vec::new(),
            fault: None,
            wanted: None,
            is_fresh: true,
            back: Vec::new(),
            forward: Vec::new(),
        }
    }

    /// Rows for `../`: one, except at a root.
    pub fn up_rows(&self) -> usize {
        usize::from(!self.place.path.is_root())
    }

    pub fn rows(&self) -> usize {
        self.up_rows() + self.shown.len()
    }

    /// The entry in a row; none for `../`.
    pub fn entry(&self, row: usize) -> Option<&Entry> {
        let index = *self.shown.get(row.checked_sub(self.up_rows())?)?;
        self.entries.get(index as usize)
    }

    pub fn current(&self) -> Option<&Entry> {
        self.entry(self.cursor)
    }

    /// The marked entries in their order, or the one under the cursor.
    pub fn chosen(&self) -> Vec<&Entry> {
        if self.marks.is_empty() {
            return self.current().into_iter().collect();
        }
        self.entries.iter().filter(|entry| self.marks.contains(&entry.name)).collect()
    }

    /// Asks for the folder again, from its beginning.
    pub fn begin_listing(&mut self, side: Side) -> Effect {
        self.wanted = self.wanted.take().or_else(|| self.current().map(|entry| entry.name.clone()));
        self.generation += 1;
        (self.loading, self.is_fresh) = (true, true);
        self.fault = None;
        Effect::List {
            side,
            generation: self.generation,
            place: self.place.clone(),
            sort: self.sort,
            direction: self.direction,
            hidden: self.hidden,
        }
    }

    /// Goes to another folder; the cursor will stand on `wanted`.
    pub fn go(&mut self, side: Side, place: Place, wanted: Option<Name>) -> Effect {
        self.back.push(std::mem::replace(&mut self.place, place));
        self.forward.clear();
        self.leave(side, wanted)
    }

    /// Back or forward in where this pane has been.
    pub fn travel(&mut self, side: Side, forward: bool) -> Option<Effect> {
        let (from, to) =
            if forward { (&mut self.forward, &mut self.back) } else { (&mut self.back, &mut self.forward) };
        to.push(std::mem::replace(&mut self.place, from.pop()?));
        Some(self.leave(side, None))
    }

    fn leave(&mut self, side: Side, wanted: Option<Name>) -> Effect {
        self.entries.clear();
        self.shown.clear();
        self.marks.clear();
        self.measured.clear();
        self.filter.clear();
        (self.cursor, self.total, self.wanted) = (0, 0, wanted);
        self.begin_listing(side)
    }

    /// A page has come. The first of a listing replaces what was shown.
    pub fn take_page(&mut self, total: u64, entries: Vec<Entry>) {
        if std::mem::take(&mut self.is_fresh) {
            self.entries.clear();
            self.shown.clear();
        }
        self.total = total;
        let first_new = self.entries.len();
        self.entries.extend(entries);
        for index in first_new..self.entries.len() {
            if passes(&self.entries[index], &self.filter) {
                self.shown.push(index as u32);
            }
        }
        if let Some(wanted) = &self.wanted {
            let up = self.up_rows();
            let row = self.shown.iter().position(|index| self.entries[*index as usize].name == *wanted);
            if let Some(row) = row {
                self.cursor = up + row;
                self.wanted = None;
            }
        }
        self.clamp();
    }

    pub fn end_listing(&mut self) {
        self.loading = false;
        self.wanted = None;
        let names: HashSet<&Name> = self.entries.iter().map(|entry| &entry.name).collect();
        self.marks.retain(|name| names.contains(name));
        self.clamp();
    }

    /// Shows only names that hold `filter`, whatever their case. Typing further only looks at what still shows.
    pub fn set_filter(&mut self, filter: &str) {
        let wanted = self.current().map(|entry| entry.name.clone());
        let narrows = filter.starts_with(&self.filter);
        let filter = filter.to_owned();
        if narrows {
            let entries = &self.entries;
            self.shown.retain(|index| passes(&entries[*index as usize], &filter));
        } else {
            let passing = self.entries.iter().enumerate().filter(|(_, entry)| passes(entry, &filter));
            self.shown = passing.map(|(index, _)| index as u32).collect();
        }
        self.filter = filter;
        let row = wanted
            .and_then(|name| self.shown.iter().position(|index| self.entries[*index as usize].name == name));
        self.cursor = row.map_or_else(|| self.up_rows(), |row| row + self.up_rows());
        self.clamp();
    }

    /// Moves the cursor to the next name that holds what is looked for.
    pub fn find_next(&mut self, step: isize, from_here: bool) -> bool {
        let (rows, up) = (self.shown.len() as isize, self.up_rows() as isize);
        let start = self.cursor as isize - up;
        for distance in isize::from(!from_here)..=rows {
            let row = (start + distance * step).rem_euclid(rows.max(1));
            let found = self.entry((row + up) as usize).is_some_and(|entry| passes(entry, &self.find));
            if found {
                self.cursor = (row + up) as usize;
                return true;
            }
        }
        false
    }

    pub fn move_by(&mut self, rows: isize) {
        self.cursor = self.cursor.saturating_add_signed(rows);
        self.clamp();
    }

    pub fn clamp(&mut self) {
        self.cursor = self.cursor.min(self.rows().saturating_sub(1));
    }

    pub fn toggle_mark(&mut self) {
        if let Some(name) = self.current().map(|entry| entry.name.clone())
            && !self.marks.remove(&name)
        {
            self.marks.insert(name);
        }
    }

    /// Where `path`'s own folder row leads: the parent, with the cursor on where one came from.
    pub fn parent(&self) -> Option<(Place, Option<Name>)> {
        let path: WirePath = self.place.path.parent()?;
        Some((Place { link: self.place.link, path }, self.place.path.name().cloned()))
    }

    pub fn marked_bytes(&self) -> u64 {
        let marked = self.entries.iter().filter(|entry| self.marks.contains(&entry.name));
        marked.map(|entry| self.size_of(entry).unwrap_or(0)).sum()
    }

    /// A file's size, or a folder's once it was measured.
    pub fn size_of(&self, entry: &Entry) -> Option<u64> {
        match entry.attributes.kind {
            Kind::Folder => {
                self.measured.iter().find(|(name, _)| *name == entry.name).map(|(_, bytes)| *bytes)
            }
            _ => Some(entry.attributes.size),
        }
    }
}

fn passes(entry: &Entry, filter: &str) -> bool {
    if filter.is_empty() {
        return true;
    }
    let (name, filter) = (entry.name.as_bytes(), filter.as_bytes());
    name.windows(filter.len()).any(|part| part.eq_ignore_ascii_case(filter))
}
