//! Goes through a tree, parents before what is in them, as the disk gives it: one open folder a level, nothing else held.
//! Follows no link below its start. Walk and Measure read it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use towpath_protocol::entry::{Attributes, Entry, Kind};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::limits::PATH_COMPONENTS_MAX;
use towpath_protocol::path::Location;

use super::Service;
use super::beside::kept_fault;
use super::open_files::{Counted, OF_FOLDER, OpenFiles};
use crate::disk::writing::open_folder;
use crate::disk::{self, FolderReader};
use crate::memory::{Charge, Memory, Use};
use crate::root::{Guarded, Kept};

/// Charge of a folder that is open for reading: what the system told of it at a time, and a part of the open files that there may be.
pub(super) const LEVEL_BYTES: usize = 16 * 1024;

/// One thing in a tree.
#[derive(Debug)]
pub(super) struct Met {
    /// 0 for the start itself.
    pub(super) depth: usize,
    pub(super) entry: Entry,
    /// Why a folder's content does not follow, or not all of it, or why no more than name and kind of a thing is known.
    pub(super) fault: Option<FaultCode>,
    /// It is a folder that was met before: reading it failed after some of its content, and the rest does not follow.
    pub(super) is_again: bool,
}

/// A folder whose content is being read.
#[derive(Debug)]
struct Level {
    reader: FolderReader,
    /// None of a start without a name of its own.
    entry: Option<Entry>,
    _open: Counted,
}

/// The way through a tree.
#[derive(Debug)]
pub(super) struct Tree {
    start: Option<Met>,
    /// The folders whose content is being read, outermost first.
    levels: Vec<Level>,
    /// Its content is skipped.
    kept: Kept,
    /// Charge of the open folders.
    charge: Charge,
    open_files: OpenFiles,
    /// Identities and sizes of unfinished files, if requested.
    parts: Option<Vec<(u64, u64)>>,
    is_kept: bool,
}

impl Tree {
    /// Looks at unfinished files too, which are not met. To be called before the first step.
    pub(super) fn looking_at_parts(mut self) -> Self {
        self.levels.iter_mut().for_each(|level| level.reader.look_at_parts());
        Self { parts: Some(Vec::new()), ..self }
    }

    /// Identities and sizes of unfinished files in folders that were read to their end since the last call.
    pub(super) fn parts(&mut self) -> Vec<(u64, u64)> {
        self.parts.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// True if the last entry has a fault because it is the program's own.
    pub(super) const fn is_kept(&self) -> bool {
        self.is_kept
    }

    /// A start without a name of its own (a root, or what a base leads to) is not met itself; its content has depth 1.
    pub(super) fn open(service: &Service, start: &Location) -> Result<Self, Fault> {
        let root = &*service.root;
        let charge = service.memory.nothing();
        let Some(name) = start.path.name() else {
            let is_folder = disk::stat_open(root.thing(start)?)?.kind == Kind::Folder;
            if !is_folder {
                return Self::of_file_behind(service, start, charge);
            }
            return Self::within(service, root.open_folder(start)?);
        };
        let (parent, _) = root.parent_of(start)?;
        if disk::is_part(&parent, name) {
            return Err(FaultCode::NotFound.into());
        }
        disk::check_answers(&parent, name, &|| false)?;
        let entry = Entry { name: name.clone(), attributes: disk::stat(&parent, name)? };
        let kept = root.kept().clone();
        let (levels, open_files) = (Vec::new(), service.open_files.clone());
        let mut tree = Self { start: None, levels, kept, charge, open_files, parts: None, is_kept: false };
        let content = content_of(&parent, &entry, 0, &tree.kept);
        tree.start = Some(tree.meet(content, entry, 0));
        Ok(tree)
    }

    /// The content of a folder that is open for reading and was not read from; it has depth 1.
    pub(super) fn within(service: &Service, folder: OwnedFd) -> Result<Self, Fault> {
        let open = service.open_files.park(OF_FOLDER)?;
        let reader = FolderReader::new(folder)?;
        let mut charge = service.memory.nothing();
        if !charge.try_grow(LEVEL_BYTES, Use::Parked) {
            return Err(Memory::refusal("the open folder takes"));
        }
        Ok(Self {
            start: None,
            levels: vec![Level { reader, entry: None, _open: open }],
            kept: service.root.kept().clone(),
            charge,
            open_files: service.open_files.clone(),
            parts: None,
            is_kept: false,
        })
    }

    /// The folder whose content follows: the one that was met last, if it was met without a fault.
    pub(super) fn folder(&self) -> Option<BorrowedFd<'_>> {
        self.levels.last()?.reader.folder().ok()
    }

    /// A base that leads to a file is met under the base's own name.
    fn of_file_behind(service: &Service, start: &Location, charge: Charge) -> Result<Self, Fault> {
        let attributes = disk::stat_open(service.root.thing(start)?)?;
        let name = start.base.name().cloned().ok_or(FaultCode::NotAFolder)?;
        let met = Met { depth: 0, entry: Entry { name, attributes }, fault: None, is_again: false };
        Ok(Self {
            start: Some(met),
            levels: Vec::new(),
            kept: Kept::default(),
            charge,
            open_files: service.open_files.clone(),
            parts: None,
            is_kept: false,
        })
    }

    /// What is met, and its content opened for the next steps where it is a folder.
    fn meet(&mut self, content: Result<Option<FolderReader>, Fault>, entry: Entry, depth: usize) -> Met {
        let content = match content {
            Ok(Some(_)) if !self.charge.try_grow(LEVEL_BYTES, Use::Parked) => {
                Err(Memory::refusal("the folders on the way take"))
            }
            Ok(Some(reader)) => self.open_files.park(OF_FOLDER).map(|open| Some((reader, open))),
            Ok(None) => Ok(None),
            Err(fault) => Err(fault),
        };
        self.is_kept = matches!(&content, Err(fault) if *fault == kept_fault());
        let fault = match content {
            Ok(content) => {
                self.levels.extend(content.map(|(mut reader, open)| {
                    if self.parts.is_some() {
                        reader.look_at_parts();
                    }
                    Level { reader, entry: Some(entry.clone()), _open: open }
                }));
                None
            }
            Err(fault) => Some(fault.code),
        };
        Met { depth, entry, fault, is_again: false }
    }

    /// The content of the folder that was being read ends here.
    fn leave(&mut self) -> Option<Level> {
        let mut level = self.levels.pop()?;
        if let Some(parts) = &mut self.parts {
            parts.extend(level.reader.parts_met());
        }
        self.charge.set(self.levels.len() * LEVEL_BYTES);
        Some(level)
    }

    /// Reading a folder failed after some of its content: it is met once more, and what comes after it goes on. Err for a start that
    /// cannot be met.
    fn broke_off(&mut self, fault: Fault) -> Result<Met, Fault> {
        let Some(Entry { name, attributes }) = self.leave().and_then(|level| level.entry) else {
            return Err(fault);
        };
        let attributes = Attributes { is_unknown: true, ..attributes };
        let (depth, entry) = (self.levels.len(), Entry { name, attributes });
        self.is_kept = false;
        Ok(Met { depth, entry, fault: Some(fault.code), is_again: true })
    }
}

/// The content of a folder that was met at `depth`; none of what is no folder.
fn content_of(
    parent: impl AsFd,
    entry: &Entry,
    depth: usize,
    kept: &Kept,
) -> Result<Option<FolderReader>, Fault> {
    if entry.attributes.kind != Kind::Folder {
        return Ok(None);
    }
    if kept.guards(&parent, &entry.name)? == Some(Guarded::Kept) {
        return Err(kept_fault());
    }
    if depth >= PATH_COMPONENTS_MAX {
        return Err(FaultCode::NameTooLong.into());
    }
    FolderReader::new(open_folder(parent, &entry.name)?).map(Some)
}

impl Iterator for Tree {
    /// Err at the end, if the start has no name of its own and reading it failed.
    type Item = Result<Met, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(start) = self.start.take() {
            return Some(Ok(start));
        }
        loop {
            let depth = self.levels.len();
            let level = self.levels.last_mut()?;
            let (name, kind) = match level.reader.next() {
                None => {
                    self.leave();
                    continue;
                }
                Some(Err(fault)) => return Some(self.broke_off(fault)),
                Some(Ok(entry)) => entry,
            };
            let answers = level.reader.check_answers(&name, kind);
            let (attributes, fault) = match answers.map_or_else(
                |fault| Ok(Some((Attributes::unknown(Kind::Folder), Some(fault.code)))),
                |()| level.reader.look(&name, kind),
            ) {
                Ok(Some(looked_at)) => looked_at,
                // It vanished between its name and now.
                Ok(None) => continue,
                Err(fault) => return Some(self.broke_off(fault)),
            };
            let entry = Entry { name, attributes };
            self.is_kept = false;
            if fault.is_some() {
                return Some(Ok(Met { depth, entry, fault, is_again: false }));
            }
            let folder = level.reader.folder();
            let content = folder.and_then(|folder| content_of(folder, &entry, depth, &self.kept));
            return Some(Ok(self.meet(content, entry, depth)));
        }
    }
}
