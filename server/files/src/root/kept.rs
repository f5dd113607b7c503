//! What a program keeps from everybody who comes through its root, although it may lie there: its own keys, lists and logs. Each is kept
//! by what it is and by the name that leads to it, while it is absent too; and so is every name on the way, links included, since to
//! replace one of those is to replace what it leads to.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use towpath_protocol::fault::Fault;
use towpath_protocol::path::Name;

use super::{LOOK_FOLDER, RootError};
use crate::disk::fault_of;
use crate::disk::writing::{Inode, lies_within};

/// Links followed on the way to what is kept, as many as the system follows.
const LINKS_MAX: usize = 40;

/// Folders within a folder that is kept, in which a thing is looked for that has a second name.
const FOLDERS_DEEP_MAX: usize = 2;

/// How much of a thing is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guarded {
    /// Nobody reads or changes it, nor anything in it.
    Kept,
    /// It leads to what is kept: it stays what and where it is. What else lies in it is everybody's.
    Way,
}

/// What names of a log are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    This,
    /// `NAME.1`, `NAME.2` and so on as well.
    Numbered,
}

/// All that is kept. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Kept(Vec<Arc<Spot>>);

/// A name in a folder, as it was found at the start.
#[derive(Debug)]
struct Spot {
    folder: OwnedFd,
    folder_inode: Inode,
    name: OsString,
    names: Names,
    guarded: Guarded,
    /// None while it is absent.
    found: Option<Inode>,
}

impl Kept {
    /// Keeps what `path` names, and all names that lead there, whether they are there or not.
    pub(super) fn add(&mut self, path: &Path, names: Names) -> Result<(), RootError> {
        let told = |error: std::io::Error| RootError::Other(path.to_owned(), error);
        let absolute = std::path::absolute(path).map_err(told)?;
        let way = way_to(&absolute, names).map_err(|errno| match errno {
            Errno::ACCESS => RootError::PermissionDenied(path.to_owned()),
            errno => told(errno.into()),
        })?;
        self.0.extend(way.into_iter().map(Arc::new));
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether an open thing is kept or lies in what is. Where the system cannot tell, it may, and why not is said.
    pub(super) fn holds(&self, opened: &OwnedFd) -> Result<bool, Errno> {
        if self.is_empty() {
            return Ok(false);
        }
        let stat = rustix::fs::fstat(opened)?;
        if !self.is_near(&stat) {
            return Ok(false);
        }
        let path = path_of(opened);
        for spot in self.kept() {
            if spot.is_now(Inode::from(&stat))? || spot.contains(opened, &stat, &path)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// How much of an open thing is kept that is about to be changed.
    pub(crate) fn guards_open(&self, opened: &OwnedFd) -> Option<Guarded> {
        let Ok(inode) = Inode::of_open(opened) else { return Some(Guarded::Kept) };
        if self.holds(opened).unwrap_or(true) {
            return Some(Guarded::Kept);
        }
        self.0.iter().any(|spot| spot.found == Some(inode)).then_some(Guarded::Way)
    }

    /// Returns how much of a name is kept, whether something has the name already or is about to get it. The folder was opened through
    /// the root. Returns the system's error if it cannot tell: then the caller leaves the name alone.
    pub(crate) fn guards(&self, folder: impl AsFd, name: &Name) -> Result<Option<Guarded>, Fault> {
        self.look_up(folder, name).map_err(fault_of)
    }

    fn look_up(&self, folder: impl AsFd, name: &Name) -> Result<Option<Guarded>, Errno> {
        if self.is_empty() {
            return Ok(None);
        }
        let folder_stat = rustix::fs::fstat(&folder)?;
        if !self.is_near(&folder_stat) {
            return Ok(None);
        }
        let there = if_there(rustix::fs::statat(&folder, name.as_bytes(), AtFlags::SYMLINK_NOFOLLOW))?;
        let folder = Inode::from(&folder_stat);
        let mut found = None;
        for spot in &self.0 {
            let is_it = spot.is_called(folder, name.as_bytes())
                || there.as_ref().map_or(Ok(false), |there| spot.is_now(Inode::from(there)))?;
            match spot.guarded {
                Guarded::Kept if is_it => return Ok(Some(Guarded::Kept)),
                Guarded::Way if is_it => found = Some(Guarded::Way),
                Guarded::Kept | Guarded::Way => {}
            }
        }
        // A second name of a file that lies in a folder that is kept.
        if let Some(there) = there.filter(has_more_names) {
            for spot in self.kept() {
                if spot.has(Inode::from(&there))? {
                    return Ok(Some(Guarded::Kept));
                }
            }
        }
        Ok(found)
    }

    fn kept(&self) -> impl Iterator<Item = &Arc<Spot>> {
        self.0.iter().filter(|spot| spot.guarded == Guarded::Kept)
    }

    /// What lies on another file system is none of it. A folder that is kept stays on its own.
    fn is_near(&self, stat: &Stat) -> bool {
        let is_on = |inode: Inode| inode.is_on(stat.st_dev);
        self.0.iter().any(|spot| is_on(spot.folder_inode) || spot.found.is_some_and(is_on))
    }
}

impl Spot {
    /// Whether a thing is this one: the one that was found, or the one that has its place now.
    fn is_now(&self, inode: Inode) -> Result<bool, Errno> {
        if self.found == Some(inode) {
            return Ok(true);
        }
        Ok(self.guarded == Guarded::Kept && self.now()? == Some(inode))
    }

    fn now(&self) -> Result<Option<Inode>, Errno> {
        let there = if_there(rustix::fs::statat(&self.folder, &self.name, AtFlags::SYMLINK_NOFOLLOW))?;
        Ok(there.as_ref().map(Inode::from))
    }

    fn is_called(&self, folder: Inode, name: &[u8]) -> bool {
        self.folder_inode == folder && self.is_one_of_its_names(name)
    }

    /// Case does not count: where it does not on the disk, another case is the same name.
    fn is_one_of_its_names(&self, name: &[u8]) -> bool {
        let (name, ours) = (folded(name), folded(self.name.as_bytes()));
        let is_number = |rest: &str| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit());
        name == ours
            || (self.names == Names::Numbered
                && name.strip_prefix(&ours).and_then(|rest| rest.strip_prefix('.')).is_some_and(is_number))
    }

    /// Whether an open thing lies at this name or below it, as things are named now.
    fn contains(&self, opened: &OwnedFd, stat: &Stat, path: &Result<PathBuf, Errno>) -> Result<bool, Errno> {
        let (path, folder) = match (path, path_of(&self.folder)) {
            (Ok(path), Ok(folder)) => (path, folder),
            _ if cfg!(not(target_os = "linux")) => return Ok(false),
            (Err(errno), _) => return Err(*errno),
            (_, Err(errno)) => return Err(errno),
        };
        if let Ok(below) = path.strip_prefix(&folder)
            && let Some(Component::Normal(first)) = below.components().next()
            && self.is_one_of_its_names(first.as_bytes())
        {
            return Ok(true);
        }
        // By a second name, or by way of another mount.
        let is_folder = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        if !has_more_names(stat) && is_one_mount(opened, &self.folder) {
            return Ok(false);
        }
        match self.now()? {
            Some(inode) if is_folder && lies_within(opened, inode)? => Ok(true),
            Some(_) => self.has(Inode::from(stat)),
            None => Ok(false),
        }
    }

    /// Whether a thing is one of those in this folder.
    fn has(&self, inode: Inode) -> Result<bool, Errno> {
        has(&self.folder, self.name.as_bytes(), inode, FOLDERS_DEEP_MAX)
    }
}

fn has(folder: &OwnedFd, name: &[u8], inode: Inode, deep: usize) -> Result<bool, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = match rustix::fs::openat(folder, name, flags, Mode::empty()) {
        // It is absent, or holds nothing, or is one that this process may not look into: then nobody comes to it through us either.
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::ACCESS) => return Ok(false),
        folder => folder?,
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
        if Inode::from(&there) == inode
            || (is_folder && deep > 0 && has(&folder, name.to_bytes(), inode, deep - 1)?)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns `None` for what is absent, and every other error as it is: it says nothing of what is there.
fn if_there(looked: Result<Stat, Errno>) -> Result<Option<Stat>, Errno> {
    match looked {
        Err(Errno::NOENT) => Ok(None),
        looked => looked.map(Some),
    }
}

/// All names that are met on the way to a path, links followed one by one; the last is what it names, or the first that is absent.
fn way_to(path: &Path, names: Names) -> Result<Vec<Spot>, Errno> {
    let top = || rustix::fs::openat(CWD, "/", LOOK_FOLDER, Mode::empty());
    let mut left: VecDeque<OsString> = components_of(path);
    let (mut at, mut links, mut way) = (top()?, 0, Vec::new());
    while let Some(name) = left.pop_front() {
        if name == ".." {
            at = rustix::fs::openat(&at, "..", LOOK_FOLDER, Mode::empty())?;
            continue;
        }
        let there = if_there(rustix::fs::statat(&at, &name, AtFlags::SYMLINK_NOFOLLOW))?;
        let kind = there.map(|there| FileType::from_raw_mode(there.st_mode));
        let is_way = match kind {
            Some(FileType::Symlink) => true,
            Some(FileType::Directory) => !left.is_empty(),
            _ => false,
        };
        let folder = at.try_clone().map_err(|_| Errno::MFILE)?;
        way.push(Spot {
            folder_inode: Inode::of_open(&folder).map_err(|_| Errno::IO)?,
            folder,
            name: name.clone(),
            names: if left.is_empty() { names } else { Names::This },
            guarded: if is_way { Guarded::Way } else { Guarded::Kept },
            found: there.as_ref().map(Inode::from),
        });
        match kind {
            Some(FileType::Symlink) => {
                links += 1;
                if links > LINKS_MAX {
                    return Err(Errno::LOOP);
                }
                let target = rustix::fs::readlinkat(&at, &name, Vec::new())?;
                let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
                if target.is_absolute() {
                    at = top()?;
                }
                components_of(&target).into_iter().rev().for_each(|name| left.push_front(name));
            }
            Some(FileType::Directory) if is_way => {
                at = rustix::fs::openat(&at, &name, LOOK_FOLDER | OFlags::NOFOLLOW, Mode::empty())?;
            }
            _ => break,
        }
    }
    Ok(way)
}

fn components_of(path: &Path) -> VecDeque<OsString> {
    let names = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name),
        Component::ParentDir => Some(OsStr::new("..")),
        _ => None,
    });
    names.map(OsStr::to_owned).collect()
}

fn folded(name: &[u8]) -> String {
    String::from_utf8_lossy(name).to_uppercase().to_lowercase()
}

fn has_more_names(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) != FileType::Directory && stat.st_nlink > 1
}

/// Where the system says that an open thing lies.
fn path_of(opened: impl AsFd) -> Result<PathBuf, Errno> {
    let link = format!("/proc/self/fd/{}", opened.as_fd().as_raw_fd());
    let path = rustix::fs::readlinkat(CWD, link, Vec::new())?;
    Ok(OsString::from_vec(path.into_bytes()).into())
}

/// False if the system does not tell by which mount something was opened.
fn is_one_mount(one: impl AsFd, other: impl AsFd) -> bool {
    matches!((mount_of(one), mount_of(other)), (Some(one), Some(other)) if one == other)
}

/// Returns by which mount something was opened; `None` if the system does not tell.
#[cfg(target_os = "linux")]
fn mount_of(opened: impl AsFd) -> Option<u64> {
    use rustix::fs::{StatxFlags, statx};
    let told = statx(opened, c"", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID).ok()?;
    StatxFlags::from_bits_retain(told.stx_mask).contains(StatxFlags::MNT_ID).then_some(told.stx_mnt_id)
}

#[cfg(not(target_os = "linux"))]
fn mount_of(_opened: impl AsFd) -> Option<u64> {
    None
}
