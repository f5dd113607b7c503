//! Filtering and finding. A million names take longer to look at than a frame may, so that a key looks at some of them, and the rest
//! follows in parts, each between two frames: what passes shows as it is found. It knows rows and no pane.

use std::ops::Range;

use towpath_protocol::entry::Entry;

use super::effect::{Effect, Timer};
use super::rows::Rows;
use super::{App, prompt};

/// Names that are looked at in one go: a few milliseconds' worth.
const NAMES_AT_ONCE: usize = 100_000;

/// A filter that has more names to look at.
#[derive(Debug)]
pub(super) struct Sifting {
    rest: Rest,
    /// The entry that the cursor stood on, and stands on again where it passes.
    here: Option<usize>,
}

/// Which entries, in order.
#[derive(Debug)]
enum Rest {
    /// All from this one on.
    From(usize),
    /// Those of the list from this place of it on.
    Of(Vec<u32>, usize),
}

/// A search that has more rows to look at.
#[derive(Debug)]
pub(super) struct Search {
    text: String,
    step: isize,
    /// The row that it began at, `../` not counted, and how many it has gone from there.
    start: isize,
    gone: isize,
    /// Whether it is worth a word that nothing was found.
    is_told: bool,
}

/// How a search goes.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    Yes,
    /// There are more rows to look at.
    NotYet,
    /// It is in none, and whether that is worth a word.
    No {
        is_told: bool,
    },
}

impl Sifting {
    /// More entries have come.
    pub(super) fn append(&mut self, new: Range<usize>) {
        if let Rest::Of(indices, _) = &mut self.rest {
            indices.extend(new.map(|index| index as u32));
        }
    }
}

impl Rest {
    /// With what was looked at already, since less passes now.
    fn behind(self, seen: Vec<u32>, entries: usize) -> Self {
        let mut all = seen;
        match self {
            Self::From(at) => all.extend((at..entries).map(|index| index as u32)),
            Self::Of(indices, at) => all.extend_from_slice(&indices[at..]),
        }
        Self::Of(all, 0)
    }
}

impl Rows {
    /// Shows only names that hold `filter`, whatever their case. Typing further only looks at what still shows.
    pub fn set_filter(&mut self, filter: &str) {
        self.end_range();
        self.search = None;
        let before = self.sifting.take();
        let here = before.as_ref().and_then(|sifting| sifting.here).or_else(|| self.index(self.cursor));
        let seen = std::mem::take(&mut self.shown);
        let rest = match before {
            _ if !filter.starts_with(&self.filter) => Rest::From(0),
            Some(sifting) => sifting.rest.behind(seen, self.entries.len()),
            None => Rest::Of(seen, 0),
        };
        filter.clone_into(&mut self.filter);
        self.marks_hidden = self.count_hidden_marks();
        self.cursor = self.up;
        self.sifting = Some(Sifting { rest, here });
        self.sift(if filter.is_empty() { usize::MAX } else { NAMES_AT_ONCE });
    }

    /// Moves the cursor to the next name that holds `text`; from the cursor's own row on, or from the one behind it.
    pub fn find_next(&mut self, text: &str, step: isize, from_here: bool) -> Found {
        self.sift(usize::MAX);
        // From `../` the way down begins at the first entry, and the way up at the last.
        let start = self.cursor as isize - self.up as isize;
        let start = if from_here || step < 0 { start.max(0) } else { start };
        let gone = isize::from(!from_here);
        self.search = Some(Search { text: text.to_owned(), step, start, gone, is_told: !from_here });
        self.search_on()
    }

    /// Whether a filter or a search has more to look at.
    pub const fn is_looking(&self) -> bool {
        self.sifting.is_some() || self.search.is_some()
    }

    /// Looks at some more of it.
    pub fn look_on(&mut self) -> Found {
        self.sift(NAMES_AT_ONCE);
        self.search_on()
    }

    /// A row that a filter has not come to yet is looked for at once; the cursor stays where it is put.
    pub(super) fn look_up_to(&mut self, row: usize) {
        self.search = None;
        if row >= self.len() {
            self.sift(usize::MAX);
        }
        if let Some(sifting) = &mut self.sifting {
            sifting.here = None;
        }
    }

    /// Puts so many more names to the filter.
    pub(super) fn sift(&mut self, names: usize) {
        let Some(mut sifting) = self.sifting.take() else { return };
        let (entries, filter) = (&self.entries, &self.filter);
        let is_passing = |index: &u32| passes(&entries[*index as usize], filter);
        let is_over = match &mut sifting.rest {
            Rest::From(at) => {
                let end = at.saturating_add(names).min(entries.len());
                self.shown.extend((*at as u32..end as u32).filter(is_passing));
                *at = end;
                end == entries.len()
            }
            Rest::Of(indices, at) => {
                let end = at.saturating_add(names).min(indices.len());
                self.shown.extend(indices[*at..end].iter().filter(|index| is_passing(index)));
                *at = end;
                end == indices.len()
            }
        };
        if let Some(here) = sifting.here
            && let Ok(row) = self.shown.binary_search(&(here as u32))
        {
            self.cursor = self.up + row;
            sifting.here = None;
        }
        self.sifting = (!is_over).then_some(sifting);
        self.clamp();
    }

    fn search_on(&mut self) -> Found {
        let Some(mut search) = self.search.take() else { return Found::No { is_told: false } };
        let rows = self.shown.len() as isize;
        let end = search.gone.saturating_add(NAMES_AT_ONCE as isize).min(rows + 1);
        for gone in search.gone..end {
            let row = (search.start + gone * search.step).rem_euclid(rows.max(1)) as usize + self.up;
            if self.entry(row).is_some_and(|entry| passes(entry, &search.text)) {
                self.go_to(row);
                return Found::Yes;
            }
        }
        if end > rows {
            return Found::No { is_told: search.is_told };
        }
        search.gone = end;
        self.search = Some(search);
        Found::NotYet
    }
}

impl App {
    /// Where there is more to look at, it is looked at once a frame could be drawn.
    pub(super) fn look_on_later(&mut self) -> Option<Effect> {
        let is_new = !self.looks_on && self.panes.iter().any(|pane| pane.rows.is_looking());
        self.looks_on |= is_new;
        is_new.then_some(Effect::Wait { timer: Timer::Rows, ms: 0 })
    }

    pub(super) fn look_on(&mut self) {
        self.looks_on = false;
        for at in 0..self.panes.len() {
            let was_searching = self.panes[at].rows.search.is_some();
            let found = self.panes[at].rows.look_on();
            if found == (Found::No { is_told: true }) {
                self.hint(format!("{}: no match", self.panes[at].find));
            }
            if was_searching && at == self.active as usize {
                prompt::tell_whether_found(self, &found);
            }
        }
    }
}

/// Whether the name holds the text, whatever their case.
pub(super) fn passes(entry: &Entry, text: &str) -> bool {
    if text.is_empty() {
        return true;
    }
    let name = entry.name.as_bytes();
    if text.is_ascii() {
        // The first byte decides almost everywhere.
        let (first, text) = (text.as_bytes()[0].to_ascii_lowercase(), text.as_bytes());
        return name
            .windows(text.len())
            .any(|part| part[0].to_ascii_lowercase() == first && part.eq_ignore_ascii_case(text));
    }
    String::from_utf8_lossy(name).to_lowercase().contains(&text.to_lowercase())
}
