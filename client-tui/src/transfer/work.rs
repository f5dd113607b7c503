//! What the plan hands to those who do it: files to carry, and folders of which everything has been carried.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;
use towpath_protocol::entry::{Attributes, Version};
use towpath_protocol::path::Location;
use towpath_protocol::request::Existing;

/// Something to do. No two of them depend on each other's order.
#[derive(Debug)]
pub(super) enum Work {
    Carry(Step),
    Finish(Filled),
}

/// A file or link to carry over.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) from: Location,
    pub(super) to: Location,
    /// As they were when the source was walked.
    pub(super) attributes: Attributes,
    /// What was at the destination; if it is to be replaced it must still be that.
    pub(super) there: Option<Attributes>,
    pub(super) existing: Existing,
    /// The same size and time on both sides, the same content, or the same size where contents decide. In a copy only the mode is set; in
    /// a move, where the content is the same as well, only the source is removed.
    pub(super) is_twin: bool,
    /// Another source of the job has the same place, or one that the destination takes for the same.
    pub(super) clashes: bool,
    /// The place was given to this source and to no other one of the job.
    pub(super) is_claimed: bool,
    /// Held until the step has ended: a folder gets its mode and time when nobody holds it any more.
    pub(super) folder: Option<Arc<Folder>>,
}

impl Step {
    /// What must still be at the destination for it to be replaced.
    pub(super) fn expected(&self) -> Option<Version> {
        self.there.as_ref().filter(|_| self.existing != Existing::Keep).map(Attributes::version)
    }
}

/// What came of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Carried {
    pub(super) bytes: u64,
    /// The file had grown since it was listed; what it had then was copied.
    pub(super) grown: bool,
    /// What was copied, and is still at the source; none where that is gone with the move.
    pub(super) source: Option<Version>,
    /// The copy, where the destination told.
    pub(super) there: Option<Attributes>,
}

/// A folder of the destination that is being filled. When the last step in it has ended, it is handed on as [`Filled`]; children
/// before parents, since each holds its parent.
#[derive(Debug)]
pub(super) struct Folder {
    from: Location,
    to: Location,
    attributes: Attributes,
    /// Of the folder at the destination.
    pub(super) identity: u64,
    /// Made by us: nothing in it can be in the way.
    pub(super) is_new: bool,
    /// Only what is in it was named: a move leaves it.
    pub(super) is_way: bool,
    /// The mode of a folder that was joined and that its owner may not change, until it is opened up.
    pub(super) closed_mode: Option<u16>,
    /// Whether anything has to be done when it is complete.
    wants_finish: AtomicBool,
    parent: Option<Arc<Self>>,
    hand_over: Arc<HandOver>,
}

/// A folder whose content is complete. Holds its parent, which so is finished later.
#[derive(Debug)]
pub(super) struct Filled {
    pub(super) from: Location,
    pub(super) to: Location,
    pub(super) attributes: Attributes,
    /// Of the folder at the destination.
    pub(super) identity: u64,
    /// Only what is in it was named: a move leaves it.
    pub(super) is_way: bool,
    _parent: Option<Arc<Folder>>,
}

/// Folders that are complete and wait to be finished. As many as there are folders in a page and above it, at most: the plan takes them
/// out after each page, and waits until there is room for them among the work.
#[derive(Debug, Default)]
pub(super) struct HandOver {
    filled: Mutex<Vec<Filled>>,
    /// Told whenever there is something.
    some: Notify,
}

impl Folder {
    /// `there` is what it joins. A folder in which nothing changes, and that has mode and time already, is left alone.
    pub(super) fn new(
        (from, to): (Location, Location),
        attributes: Attributes,
        there: Option<&Attributes>,
        parent: Option<Arc<Self>>,
        hand_over: &Arc<HandOver>,
    ) -> Self {
        let is_same = there.is_some_and(|there| {
            there.modified == attributes.modified && there.mode & 0o777 == attributes.mode & 0o777
        });
        if let Some(parent) = &parent
            && there.is_none()
        {
            parent.touch();
        }
        Self {
            from,
            to,
            attributes,
            identity: there.map_or(0, |there| there.identity),
            is_new: there.is_none(),
            is_way: false,
            closed_mode: there.map(|there| there.mode & 0o777).filter(|mode| mode & 0o300 != 0o300),
            wants_finish: AtomicBool::new(!is_same),
            parent,
            hand_over: hand_over.clone(),
        }
    }

    /// Its place at the destination.
    pub(super) const fn place(&self) -> &Location {
        &self.to
    }

    /// Something in it is about to change, and its time with it.
    pub(super) fn touch(&self) {
        self.wants_finish.store(true, Ordering::Relaxed);
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.wants_finish.load(Ordering::Relaxed) {
            return;
        }
        let filled = Filled {
            from: self.from.clone(),
            to: self.to.clone(),
            attributes: self.attributes.clone(),
            identity: self.identity,
            is_way: self.is_way,
            _parent: self.parent.take(),
        };
        self.hand_over.put(filled);
    }
}

impl HandOver {
    fn put(&self, filled: Filled) {
        self.filled.lock().unwrap_or_else(PoisonError::into_inner).push(filled);
        self.some.notify_one();
    }

    pub(super) fn take(&self) -> Vec<Filled> {
        std::mem::take(&mut *self.filled.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until there may be something to take.
    pub(super) async fn some(&self) {
        self.some.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use towpath_protocol::entry::Kind;
    use towpath_protocol::path::WirePath;
    use towpath_protocol::time::Time;

    use super::*;

    fn location(path: &str) -> Location {
        Location::of(&WirePath::parse(path.as_bytes()).unwrap())
    }

    const fn attributes(modified: i64) -> Attributes {
        let (modified, changed) = (Time::from_ns(modified), Time::from_ns(0));
        let (size, mode, identity, is_unknown, link) = (0, 0o755, 1, false, None);
        Attributes { kind: Kind::Folder, size, modified, changed, mode, identity, is_unknown, link }
    }

    fn folder(
        path: &str,
        there: Option<i64>,
        parent: Option<Arc<Folder>>,
        hand_over: &Arc<HandOver>,
    ) -> Arc<Folder> {
        let there = there.map(attributes);
        let places = (location(path), location(path));
        Arc::new(Folder::new(places, attributes(1), there.as_ref(), parent, hand_over))
    }

    fn taken(hand_over: &HandOver) -> Vec<(String, Filled)> {
        hand_over.take().into_iter().map(|filled| (filled.to.display(), filled)).collect()
    }

    #[test]
    fn a_folder_is_complete_when_nobody_holds_it_and_its_parent_after_it() {
        let hand_over = Arc::default();
        let top = folder("top", None, None, &hand_over);
        let sub = folder("top/sub", None, Some(top.clone()), &hand_over);
        let step = sub.clone();
        drop((top, sub));
        assert!(hand_over.take().is_empty());
        drop(step);
        let first = taken(&hand_over);
        assert_eq!(first[0].0, "top/sub");
        assert!(hand_over.take().is_empty(), "the parent waits until its child is finished");
        drop(first);
        assert_eq!(taken(&hand_over)[0].0, "top");
    }

    #[test]
    fn a_folder_in_which_nothing_changed_is_left_alone() {
        let hand_over = Arc::default();
        drop(folder("same", Some(1), None, &hand_over));
        assert!(hand_over.take().is_empty());
        drop(folder("other time", Some(2), None, &hand_over));
        assert_eq!(hand_over.take().len(), 1);
        let touched = folder("touched", Some(1), None, &hand_over);
        drop(folder("touched/new", None, Some(touched), &hand_over));
        drop(hand_over.take());
        assert_eq!(taken(&hand_over)[0].0, "touched");
    }
}
