//! Looking at things for what keeps them: which one it is, by which mount it was reached, and where the system says that it lies.

use std::ffi::OsString;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dev, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::disk::open_things;
use crate::disk::writing::Inode;

/// A thing as one system call tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Looked {
    pub(super) inode: Inode,
    pub(super) mount: Mount,
    pub(super) kind: FileType,
    pub(super) size: u64,
    has_more_names: bool,
}

/// By which mount a thing was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mount {
    /// None if the system does not tell.
    id: Option<u64>,
    device: Dev,
}

impl Looked {
    pub(super) fn at_open(thing: impl AsFd) -> Result<Self, Errno> {
        match told(&thing, b"", AtFlags::EMPTY_PATH) {
            Some(looked) => looked,
            None => rustix::fs::fstat(thing).map(|stat| Self::from(&stat)),
        }
    }

    /// None where nothing has the name.
    pub(super) fn at(folder: impl AsFd, name: &[u8]) -> Result<Option<Self>, Errno> {
        let looked = match told(&folder, name, AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT) {
            Some(looked) => looked,
            None => rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).map(|stat| Self::from(&stat)),
        };
        if_there(looked)
    }

    /// As [`at`](Self::at), by a path from the top.
    pub(super) fn at_path(path: &Path) -> Result<Option<Self>, Errno> {
        Self::at(CWD, path.as_os_str().as_bytes())
    }

    pub(super) fn has_more_names(&self) -> bool {
        !self.is_folder() && self.has_more_names
    }

    pub(super) fn is_folder(&self) -> bool {
        self.kind == FileType::Directory
    }
}

impl From<&Stat> for Looked {
    fn from(stat: &Stat) -> Self {
        Self {
            inode: Inode::from(stat),
            mount: Mount { id: None, device: stat.st_dev },
            kind: FileType::from_raw_mode(stat.st_mode),
            size: u64::try_from(stat.st_size).unwrap_or_default(),
            has_more_names: stat.st_nlink > 1,
        }
    }
}

impl Mount {
    /// Returns whether both are known to be the same.
    pub(super) fn is(self, other: Self) -> bool {
        self.id.is_some() && self.id == other.id
    }

    /// As [`is`](Self::is), or on one device where the system does not tell.
    pub(super) fn is_alike(self, other: Self) -> bool {
        self.is(other) || (self.id.is_none() && self == other)
    }

    pub(super) const fn device(self) -> Dev {
        self.device
    }
}

/// None where the system or a sandbox knows no `statx`.
#[cfg(target_os = "linux")]
fn told(at: impl AsFd, name: &[u8], flags: AtFlags) -> Option<Result<Looked, Errno>> {
    use rustix::fs::{StatxFlags, makedev, statx};
    let told = match statx(at, name, flags, StatxFlags::BASIC_STATS | StatxFlags::MNT_ID) {
        Err(Errno::NOSYS | Errno::PERM | Errno::INVAL) => return None,
        Err(errno) => return Some(Err(errno)),
        Ok(told) => told,
    };
    let has_mount = StatxFlags::from_bits_retain(told.stx_mask).contains(StatxFlags::MNT_ID);
    let device = makedev(told.stx_dev_major, told.stx_dev_minor);
    Some(Ok(Looked {
        inode: Inode::new(device, told.stx_ino),
        mount: Mount { id: has_mount.then_some(told.stx_mnt_id), device },
        kind: FileType::from_raw_mode(told.stx_mode.into()),
        size: told.stx_size,
        has_more_names: told.stx_nlink > 1,
    }))
}

#[cfg(not(target_os = "linux"))]
fn told(_at: impl AsFd, _name: &[u8], _flags: AtFlags) -> Option<Result<Looked, Errno>> {
    None
}

/// Returns `None` for what is absent, and every other error as it is: it says nothing of what is there.
pub(super) fn if_there<T>(looked: Result<T, Errno>) -> Result<Option<T>, Errno> {
    match looked {
        Err(Errno::NOENT) => Ok(None),
        looked => looked.map(Some),
    }
}

/// Where the system says that an open thing lies.
pub(super) fn path_of(opened: impl AsFd) -> Result<PathBuf, Errno> {
    let number = rustix::path::DecInt::new(opened.as_fd().as_raw_fd());
    let path = rustix::fs::readlinkat(open_things()?, number.as_c_str(), Vec::new())?;
    Ok(OsString::from_vec(path.into_bytes()).into())
}

/// Opens a folder to read what is in it; none where there is none.
pub(super) fn folder_at(folder: impl AsFd, name: &[u8]) -> Result<Option<OwnedFd>, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat(folder, name, flags, Mode::empty()) {
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
        folder => folder.map(Some),
    }
}

/// Returns whether something in a folder that has `name` is what is looked for, so many folders deep.
pub(super) fn has(
    folder: &OwnedFd,
    name: &[u8],
    deep: usize,
    is_it: &dyn Fn(&Stat) -> bool,
) -> Result<bool, Errno> {
    let folder = match folder_at(folder, name) {
        // One that this process may not look into: then no client comes to it through this process either.
        Ok(None) | Err(Errno::ACCESS) => return Ok(false),
        Ok(Some(folder)) => folder,
        Err(errno) => return Err(errno),
    };
    for entry in Dir::read_from(&folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let there = if_there(rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW))?;
        let Some(there) = there else { continue };
        let is_folder = FileType::from_raw_mode(there.st_mode) == FileType::Directory;
        if is_it(&there) || (is_folder && deep > 0 && has(&folder, name.to_bytes(), deep - 1, is_it)?) {
            return Ok(true);
        }
    }
    Ok(false)
}
