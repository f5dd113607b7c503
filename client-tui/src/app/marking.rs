//! Marking rows: one by one, along with the cursor, all, by what is meant. Counts and totals go along with every mark.

use std::collections::HashSet;

use towpath_protocol::path::Name;

use super::marks::Marks;
use super::rows::Rows;
use super::sift::passes;

/// Marks follow the cursor from an anchor.
#[derive(Debug)]
pub(super) struct Range {
    /// A row.
    anchor: usize,
    /// Begun with `v`, it goes on over plain moves.
    stays: bool,
    /// Marked by this range, and to be taken back where it shrinks.
    added: Marks,
}

impl Range {
    pub(super) fn is_within(&self, rows: usize) -> bool {
        self.anchor < rows.max(1)
    }
}

impl Rows {
    /// A plain move: the range goes along, if it is one that stays.
    pub(super) fn follow_plainly(&mut self, from: usize) {
        if self.range.as_ref().is_some_and(|range| !range.stays) {
            self.range = None;
        }
        self.follow(from);
    }

    /// The range grows or shrinks to the cursor, which came from `from`.
    fn follow(&mut self, from: usize) {
        let Some(mut range) = self.range.take() else { return };
        let old = range.anchor.min(from)..=range.anchor.max(from);
        let new = range.anchor.min(self.cursor)..=range.anchor.max(self.cursor);
        for row in from.min(self.cursor)..=from.max(self.cursor) {
            let Some(index) = self.index(row) else { continue };
            if new.contains(&row) {
                if self.mark(index) {
                    range.added.insert(index);
                }
            } else if old.contains(&row) && range.added.remove(index) {
                self.unmark(index);
            }
        }
        self.range = Some(range);
    }

    /// Begins a range at the cursor, or ends the one that is; its marks stay.
    pub fn toggle_range(&mut self) {
        if self.range.take().is_none() {
            self.begin_range(true);
        }
    }

    /// Marks from here to where the cursor goes.
    pub fn extend_by(&mut self, rows: isize) {
        if self.range.is_none() {
            self.begin_range(false);
        }
        let from = self.cursor;
        self.cursor = from.saturating_add_signed(rows);
        self.clamp();
        self.follow(from);
    }

    fn begin_range(&mut self, stays: bool) {
        self.range = Some(Range { anchor: self.cursor, stays, added: Marks::default() });
        self.follow(self.cursor);
    }

    /// Whether there was one. Its marks stay.
    pub fn end_range(&mut self) -> bool {
        self.range.take().is_some_and(|range| range.stays)
    }

    /// Whether `v` marks as the cursor moves.
    pub fn is_ranging(&self) -> bool {
        self.range.as_ref().is_some_and(|range| range.stays)
    }

    pub fn toggle_mark(&mut self) {
        self.end_range();
        if let Some(index) = self.index(self.cursor)
            && !self.mark(index)
        {
            self.unmark(index);
        }
    }

    /// Marks all that show; unmarks them if all are marked. What a filter hides stays as it is.
    pub fn mark_all(&mut self) {
        self.end_range();
        self.sift(usize::MAX);
        let are_all = self.shown.iter().all(|index| self.marks.contains(*index as usize));
        if are_all {
            self.set_marks(false, |_| true);
        } else {
            self.set_marks(true, |_| true);
        }
    }

    /// What shows and is marked is not any more, and the other way round.
    pub fn invert_marks(&mut self) {
        self.end_range();
        self.sift(usize::MAX);
        for at in 0..self.shown.len() {
            let index = self.shown[at] as usize;
            if !self.mark(index) {
                self.unmark(index);
            }
        }
    }

    /// Marks or unmarks what shows and is meant; how many there were.
    pub fn set_marks(&mut self, marks: bool, is_meant: impl Fn(&Name) -> bool) -> usize {
        self.end_range();
        self.sift(usize::MAX);
        let mut changed = 0;
        for at in 0..self.shown.len() {
            let index = self.shown[at] as usize;
            if is_meant(&self.entries[index].name) {
                changed += usize::from(if marks { self.mark(index) } else { self.unmark(index) });
            }
        }
        changed
    }

    /// Takes the marks of these names away.
    pub fn unmark_names(&mut self, names: &HashSet<&Name>) {
        let gone: Vec<usize> =
            self.marks.iter().filter(|index| names.contains(&self.entries[*index].name)).collect();
        for index in gone {
            self.unmark(index);
        }
    }

    pub fn unmark_all(&mut self) {
        self.end_range();
        self.marks.clear();
        (self.marked_bytes, self.marks_hidden) = (0, 0);
    }

    pub(super) fn mark(&mut self, index: usize) -> bool {
        let is_new = self.marks.insert(index);
        if is_new {
            self.marked_bytes += self.known_bytes(&self.entries[index]);
            self.marks_hidden += usize::from(!passes(&self.entries[index], &self.filter));
        }
        is_new
    }

    fn unmark(&mut self, index: usize) -> bool {
        let was_there = self.marks.remove(index);
        if was_there {
            self.marked_bytes -= self.known_bytes(&self.entries[index]);
            self.marks_hidden -= usize::from(!passes(&self.entries[index], &self.filter));
        }
        was_there
    }
}
