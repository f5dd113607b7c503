//! A folder that nobody reaches through a root although it may lie in it: where a program keeps its own keys. Found by what it is and by
//! where the system says that an open thing lies, not by the names that led there.

use std::ffi::OsString;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode};
use rustix::io::Errno;

use super::{LOOK_FOLDER, RootError};
use crate::disk;

#[derive(Debug)]
pub(super) struct Kept {
    folder: OwnedFd,
    pub(super) identity: u64,
}

impl Kept {
    pub(super) fn open(path: &Path) -> Result<Self, RootError> {
        let folder = rustix::fs::openat(CWD, path, LOOK_FOLDER, Mode::empty());
        let folder = folder.map_err(|errno| match errno {
            Errno::NOENT => RootError::Missing(path.to_owned()),
            errno => RootError::Other(path.to_owned(), errno.into()),
        })?;
        let there = disk::stat_open(&folder).map_err(|_| RootError::PermissionDenied(path.to_owned()))?;
        Ok(Self { folder, identity: there.identity })
    }

    /// Whether an open thing is this folder or lies in it, as things are named now. Where the system cannot tell, it may.
    pub(super) fn holds(&self, opened: &OwnedFd) -> bool {
        match (path_of(opened), path_of(&self.folder)) {
            (Some(opened), Some(folder)) => opened.starts_with(folder),
            _ => cfg!(target_os = "linux"),
        }
    }
}

fn path_of(opened: impl AsFd) -> Option<PathBuf> {
    let link = format!("/proc/self/fd/{}", opened.as_fd().as_raw_fd());
    let path = rustix::fs::readlinkat(CWD, link, Vec::new()).ok()?;
    Some(OsString::from_vec(path.into_bytes()).into())
}
