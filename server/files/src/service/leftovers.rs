//! Unfinished files that a killed program left of its copies. A folder is looked through for them once, when the first file comes into it;
//! then the copy that left one removes it when it is given again.

use std::collections::{HashMap, VecDeque};
use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};

use towpath_protocol::path::Name;

use crate::disk::parts::{self, PartId};
use crate::disk::writing::Inode;

/// Folders that are remembered.
const FOLDERS_MAX: usize = 256;
/// Names of a folder that are looked at, at most: a larger one is left to the sweep.
const NAMES_MAX: usize = 64 * 1024;
/// Unfinished files of a folder that are remembered.
const FOUND_MAX: usize = 1024;

type Found = HashMap<PartId, Vec<Name>>;

/// Unfinished files by folder and by what they are of.
#[derive(Debug, Default)]
pub(super) struct Leftovers(Mutex<VecDeque<(Inode, Found)>>);

impl Leftovers {
    /// Removes the part of an ID, unless an upload has it open. The names are from the first call for this folder: this program
    /// itself leaves none.
    pub(super) fn remove(&self, (folder, inode): (&OwnedFd, Inode), id: PartId) {
        for name in self.take(folder, inode, id) {
            parts::sweep_now(folder, &name);
        }
    }

    fn take(&self, folder: &OwnedFd, inode: Inode, id: PartId) -> Vec<Name> {
        let mut folders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Mostly the one that was asked for last.
        let known = folders.iter_mut().rev().find(|(known, _)| *known == inode);
        if let Some((_, found)) = known {
            return found.remove(&id).unwrap_or_default();
        }
        drop(folders);
        let mut found = Found::default();
        for (id, name) in parts::in_folder(folder, NAMES_MAX, FOUND_MAX) {
            found.entry(id).or_default().push(name);
        }
        let ours = found.remove(&id).unwrap_or_default();
        let mut folders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if folders.len() >= FOLDERS_MAX {
            folders.pop_front();
        }
        folders.push_back((inode, found));
        ours
    }
}
