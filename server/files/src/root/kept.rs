//! What a program keeps from everybody who comes through its root, although it may lie there: its own keys, lists and logs. Each is kept
//! by what it is and by the name that leads to it, while it is absent too; and so is every name on the way, links included, since to
//! replace one of those is to replace what it leads to.

mod look;
mod views;

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, CWD, Dev, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use towpath_protocol::fault::Fault;
use towpath_protocol::path::{Name, WirePath};

use self::look::{Looked, Mount, has, if_there, path_of};
use self::views::{Tops, may_show_others};
use super::{LOOK, LOOK_FOLDER, RootError};
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
pub(crate) struct Kept {
    spots: Vec<Arc<Spot>>,
    tops: Arc<Tops>,
    /// True if all of it lies on the root's mount, and no name on the way to the root is that of something kept.
    is_near: bool,
}

/// A name in a folder, as it was found at the start.
#[derive(Debug)]
struct Spot {
    folder: OwnedFd,
    folder_inode: Inode,
    /// By which the folder was reached. It stays the same as long as the folder is open.
    mount: Mount,
    name: OsString,
    names: Names,
    guarded: Guarded,
    /// None while it is absent.
    found: Option<Inode>,
    /// What was found, open: so no other thing gets its inode number once it was removed or replaced. None if it cannot be opened.
    _held: Option<OwnedFd>,
    is_link: bool,
    /// Its file system may show files of another one.
    is_view: bool,
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
        for spot in way {
            // Ways begin alike.
            if !self.spots.iter().any(|known| known.keeps_the_same(&spot)) {
                self.spots.push(Arc::new(spot));
            }
        }
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.spots.is_empty()
    }

    /// To be called when all is added, with the root's folder.
    pub(super) fn look_from(&mut self, root: impl AsFd) {
        let is_near = || {
            let (looked, path) = (Looked::at_open(&root).ok()?, path_of(&root).ok()?);
            Some(self.kept().all(|spot| spot.mount.is(looked.mount) && !spot.is_named_in(&path)))
        };
        self.is_near = is_near() == Some(true);
    }

    /// Returns whether no name of this path below the root may be one of something kept. What is reached by such a path, by no link and
    /// across no mount, does not lie in what is kept by its name: the system need not be asked where it lies, which is most of what
    /// opening a small file costs. A `~` is in the second names of FAT and its kind, and letters beyond ASCII have several forms.
    pub(super) fn is_away(&self, path: &WirePath) -> bool {
        let is_away = |name: &Name| {
            let name = name.as_bytes();
            name.is_ascii()
                && !name.contains(&b'~')
                && !self.kept().any(|spot| spot.is_one_of_its_names(name))
        };
        self.is_near && path.names().iter().all(is_away)
    }

    /// Returns whether a name may be that of something kept, in some folder.
    pub(crate) fn has_name(&self, name: &Name) -> bool {
        self.spots.iter().any(|spot| spot.is_one_of_its_names(name.as_bytes()))
    }

    /// As [`holds`](Self::holds), of what was reached by a path that [is away](Self::is_away), by no link and across no mount.
    pub(super) fn holds_away(&self, opened: &OwnedFd) -> Result<bool, Errno> {
        let thing = Looked::from(&rustix::fs::fstat(opened)?);
        if thing.has_more_names() {
            return self.holds(opened);
        }
        Ok(self.kept().any(|spot| spot.found == Some(thing.inode)))
    }

    /// Returns whether an open thing is kept or lies in what is. Where the system cannot tell, it may, and why not is said.
    pub(super) fn holds(&self, opened: &OwnedFd) -> Result<bool, Errno> {
        if self.is_empty() {
            return Ok(false);
        }
        let thing = Looked::at_open(opened)?;
        self.holds_at(opened, &thing, path_of(opened).as_deref().map_err(|errno| *errno))
    }

    fn holds_at(&self, opened: &OwnedFd, thing: &Looked, path: Result<&Path, Errno>) -> Result<bool, Errno> {
        for spot in self.kept() {
            if spot.found == Some(thing.inode) || spot.contains(opened, thing, path)? {
                return Ok(true);
            }
        }
        path.map_or(Ok(false), |path| self.holds_view(thing, path))
    }

    /// How much of an open thing is kept that is about to be changed.
    pub(crate) fn guards_open(&self, opened: &OwnedFd) -> Option<Guarded> {
        if self.is_empty() {
            return None;
        }
        self.look_at(opened).unwrap_or(Some(Guarded::Kept))
    }

    fn look_at(&self, opened: &OwnedFd) -> Result<Option<Guarded>, Errno> {
        let thing = Looked::at_open(opened)?;
        let path = path_of(opened);
        if self.holds_at(opened, &thing, path.as_deref().map_err(|errno| *errno))? {
            return Ok(Some(Guarded::Kept));
        }
        for spot in &self.spots {
            let is_way = spot.found == Some(thing.inode)
                || path.as_deref().map_or(Ok(false), |path| spot.is_called(&self.spots, &thing, path))?;
            if is_way {
                return Ok(Some(Guarded::Way));
            }
        }
        path.map_or(Ok(None), |path| self.guards_top(&thing, &path))
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
        let there = Looked::at(&folder, name.as_bytes())?;
        let mut found = None;
        for spot in &self.spots {
            let is_it = there.is_some_and(|there| spot.found == Some(there.inode))
                || (spot.is_one_of_its_names(name.as_bytes()) && spot.is_at(&self.spots, &folder, name)?);
            match spot.guarded {
                Guarded::Kept if is_it => return Ok(Some(Guarded::Kept)),
                Guarded::Way if is_it => found = Some(Guarded::Way),
                Guarded::Kept | Guarded::Way => {}
            }
        }
        let Some(there) = there else { return Ok(found) };
        for spot in self.kept() {
            // By a second name, or mounted there.
            let is_it = spot.may_be_elsewhere(&there) && (spot.is_now(&there)? || spot.has(&there)?);
            if is_it || spot.has_twin(&there)? {
                return Ok(Some(Guarded::Kept));
            }
        }
        if found.is_some() || self.spots.iter().all(|spot| spot.mount.is(there.mount)) {
            return Ok(found);
        }
        if !Looked::at_open(&folder)?.mount.is(there.mount) {
            return self.guards_top(&there, &path_in(&folder, name)?);
        }
        Ok(found)
    }

    fn kept(&self) -> impl Iterator<Item = &Arc<Spot>> {
        self.spots.iter().filter(|spot| spot.guarded == Guarded::Kept)
    }
}

impl Spot {
    fn keeps_the_same(&self, other: &Self) -> bool {
        let all = |spot: &Self| (spot.folder_inode, spot.mount, spot.names, spot.guarded, spot.found);
        all(self) == all(other) && self.name == other.name
    }

    fn now(&self) -> Result<Option<Looked>, Errno> {
        let there = rustix::fs::statat(&self.folder, &self.name, AtFlags::SYMLINK_NOFOLLOW);
        Ok(if_there(there)?.as_ref().map(Looked::from))
    }

    /// Returns whether a thing is the one that has its place now.
    fn is_now(&self, thing: &Looked) -> Result<bool, Errno> {
        Ok(self.now()?.is_some_and(|now| now.inode == thing.inode))
    }

    /// Nothing on another file system is kept. A folder that is kept stays on its own.
    fn is_near(&self, thing: &Looked) -> bool {
        self.is_on(thing.mount.device())
    }

    fn is_on(&self, device: Dev) -> bool {
        self.folder_inode.is_on(device) || self.found.is_some_and(|found| found.is_on(device))
    }

    /// Returns whether this thing, or one in it, can be met at a path that does not lead by its name.
    fn may_be_elsewhere(&self, thing: &Looked) -> bool {
        self.is_near(thing) && (thing.has_more_names() || !self.mount.is(thing.mount))
    }

    /// Case does not count: where it does not on the disk, another case is the same name.
    fn is_one_of_its_names(&self, name: &[u8]) -> bool {
        let ours = self.name.as_bytes();
        match self.names {
            Names::This => is_one_name(name, ours),
            Names::Numbered => {
                is_one_name(name, ours) || without_number(name).is_some_and(|name| is_one_name(name, ours))
            }
        }
    }

    /// Returns whether a name in an open folder, which is one of its names, is this spot's.
    fn is_at(&self, all: &[Arc<Self>], folder: impl AsFd, name: &Name) -> Result<bool, Errno> {
        let looked = Looked::at_open(&folder)?;
        if looked.inode == self.folder_inode {
            return Ok(true);
        }
        match path_in(&folder, name) {
            Err(_) if cfg!(not(target_os = "linux")) => Ok(false),
            path => self.is_called(all, &looked, &path?),
        }
    }

    /// Returns whether this path is the spot's, as things are named now, or may be by the mount by which `reached` was.
    fn is_called(&self, all: &[Arc<Self>], reached: &Looked, path: &Path) -> Result<bool, Errno> {
        let Some(name) = path.file_name().filter(|name| self.is_one_of_its_names(name.as_bytes())) else {
            return Ok(false);
        };
        let ours = path_of(&self.folder)?.join(name);
        Ok(is_one_path(path, &ours) || (!self.mount.is(reached.mount) && self.may_be(all, path)?))
    }

    /// Whether an open thing lies at this name or below it, as things are named now.
    fn contains(&self, opened: &OwnedFd, thing: &Looked, path: Result<&Path, Errno>) -> Result<bool, Errno> {
        let path = match path {
            Err(_) if cfg!(not(target_os = "linux")) => return Ok(false),
            path => path?,
        };
        if self.leads_to(path)? {
            return Ok(true);
        }
        if !self.may_be_elsewhere(thing) {
            return Ok(false);
        }
        match self.now()? {
            Some(now) if now.inode == thing.inode => Ok(true),
            Some(now) if thing.is_folder() && lies_within(opened, now.inode)? => Ok(true),
            Some(_) => self.has(thing),
            None => Ok(false),
        }
    }

    /// Returns whether one of its names is on the way to a path of the system's.
    fn is_named_in(&self, path: &Path) -> bool {
        // Asked for each small file: faster than the components of a path that may be unclean.
        let mut names = path.as_os_str().as_bytes().split(|byte| *byte == b'/');
        names.any(|name| !name.is_empty() && self.is_one_of_its_names(name))
    }

    fn leads_to(&self, path: &Path) -> Result<bool, Errno> {
        // Most paths have no such name in them, and nothing more is asked.
        if !self.is_named_in(path) {
            return Ok(false);
        }
        let folder = path_of(&self.folder)?;
        let mut names = path.iter();
        let is_below = folder
            .iter()
            .all(|ours| names.next().is_some_and(|name| is_one_name(name.as_bytes(), ours.as_bytes())));
        Ok(is_below && names.next().is_some_and(|name| self.is_one_of_its_names(name.as_bytes())))
    }

    /// Returns whether a thing is one of those in this folder.
    fn has(&self, thing: &Looked) -> Result<bool, Errno> {
        let is_it = |there: &Stat| Inode::from(there) == thing.inode;
        has(&self.folder, self.name.as_bytes(), FOLDERS_DEEP_MAX, &is_it)
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
        let held = rustix::fs::openat(&at, &name, LOOK | OFlags::NOFOLLOW, Mode::empty()).ok();
        let there = match &held {
            Some(held) => Some(rustix::fs::fstat(held)?),
            None => if_there(rustix::fs::statat(&at, &name, AtFlags::SYMLINK_NOFOLLOW))?,
        };
        let kind = there.map(|there| FileType::from_raw_mode(there.st_mode));
        let is_way = match kind {
            Some(FileType::Symlink) => true,
            Some(FileType::Directory) => !left.is_empty(),
            _ => false,
        };
        let folder = at.try_clone().map_err(|_| Errno::MFILE)?;
        let looked = Looked::at_open(&folder)?;
        way.push(Spot {
            folder_inode: looked.inode,
            mount: looked.mount,
            folder,
            name: name.clone(),
            names: if left.is_empty() { names } else { Names::This },
            guarded: if is_way { Guarded::Way } else { Guarded::Kept },
            found: there.as_ref().map(Inode::from),
            _held: held,
            is_link: kind == Some(FileType::Symlink),
            is_view: path_of(&at).map_or(true, |path| may_show_others(&path)),
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

/// Returns whether two names are one where neither case counts nor what stands behind the last letter, as on some file systems.
fn is_one_name(one: &[u8], other: &[u8]) -> bool {
    // Most names differ from the first letter on.
    if let (Some(one), Some(other)) = (one.first(), other.first())
        && one.is_ascii()
        && other.is_ascii()
        && !one.eq_ignore_ascii_case(other)
    {
        return false;
    }
    let (one, other) = (trimmed(one), trimmed(other));
    if one.is_ascii() && other.is_ascii() {
        return one.eq_ignore_ascii_case(other);
    }
    folded(one) == folded(other)
}

fn is_one_path(one: &Path, other: &Path) -> bool {
    let (mut one, mut other) = (one.iter(), other.iter());
    loop {
        match (one.next(), other.next()) {
            (None, None) => return true,
            (Some(one), Some(other)) if is_one_name(one.as_bytes(), other.as_bytes()) => {}
            _ => return false,
        }
    }
}

fn trimmed(name: &[u8]) -> &[u8] {
    let end = name.iter().rposition(|byte| !matches!(byte, b'.' | b' '));
    end.map_or(name, |last| &name[..=last])
}

fn folded(name: &[u8]) -> String {
    String::from_utf8_lossy(name).to_uppercase().to_lowercase()
}

/// `NAME` of `NAME.12`.
fn without_number(name: &[u8]) -> Option<&[u8]> {
    let name = trimmed(name);
    let digits = name.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let (name, number) = name.split_at(name.len() - digits);
    name.strip_suffix(b".").filter(|_| !number.is_empty())
}

fn path_in(folder: impl AsFd, name: &Name) -> Result<PathBuf, Errno> {
    Ok(path_of(folder)?.join(OsStr::from_bytes(name.as_bytes())))
}
