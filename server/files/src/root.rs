//! The only way from a path on the wire to something that the system opens. The root is opened once and kept; every path
//! is resolved below that descriptor, so that nothing that happens to names above or below it leads anywhere else.
//!
//! Whoever changes or looks at one thing asks for [`Root::parent_of`] and then makes `*at()` calls on that one name.
//! It may not know what is done with the things it opens, nor any message of the protocol.
#![allow(clippy::disallowed_methods, reason = "this module is where paths become files")]

mod kept;
mod kernel;
mod walk;

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use towpath_protocol::display::DisplayName;
use towpath_protocol::entry::Kind;
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::hello::RootKind;
use towpath_protocol::path::{Location, Name, WirePath};

use crate::disk::parts::proves_part;
use crate::disk::{self, code_of};
use kept::Names;
pub(crate) use kept::{Guarded, Kept};

/// Which part of the file system is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RootSpec {
    /// All that this user sees; the path `[]` is `/`.
    Whole,
    /// One folder; the path `[]` is that folder, and nothing leads out of it.
    Jailed(PathBuf),
}

/// Why a folder cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    #[error("{}: no such folder", show(.0))]
    Missing(PathBuf),
    #[error("{}: is a file, not a folder", show(.0))]
    NotAFolder(PathBuf),
    #[error("{}: permission denied", show(.0))]
    PermissionDenied(PathBuf),
    #[error("{}: cannot be opened: {}", show(.0), .1)]
    Other(PathBuf, std::io::Error),
}

fn show(path: &Path) -> DisplayName<'_> {
    DisplayName::new(path.as_os_str().as_bytes())
}

/// What symbolic links on the way mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Links {
    /// They lead where the system would go.
    Followed,
    /// They lead where the system would go, as long as that is not above the start.
    Beneath,
    /// There are none: one that is met is a fault.
    Refused,
}

/// How a path is resolved. Both ways give the same outcome for every shape of path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Resolver {
    /// One `openat2` call.
    Kernel,
    /// Component by component: for systems without `openat2`.
    Walk,
}

/// To look at a thing or to name what is in it, without opening it: works without the right to read, and never waits for a
/// fifo or wakes a device.
#[cfg(target_os = "linux")]
pub(crate) const LOOK: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);
#[cfg(not(target_os = "linux"))]
pub(crate) const LOOK: OFlags =
    OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);
const READ_FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
const LOOK_FOLDER: OFlags = LOOK.union(OFlags::DIRECTORY);

/// The folder that a service serves, held open.
#[derive(Debug)]
pub struct Root {
    folder: OwnedFd,
    kind: RootKind,
    resolver: Resolver,
    kept: Kept,
}

impl Root {
    /// Opens the root. What its own path means is decided here, once, by the system.
    pub fn open(spec: &RootSpec) -> Result<Self, RootError> {
        let (kind, path) = match spec {
            RootSpec::Whole => (RootKind::Whole, Path::new("/")),
            RootSpec::Jailed(path) => (RootKind::Jailed, path.as_path()),
        };
        let folder = match rustix::fs::openat(CWD, path, READ_FOLDER, Mode::empty()) {
            // One that may be searched and not read is served too, but for its own list.
            Err(Errno::ACCESS) => rustix::fs::openat(CWD, path, LOOK_FOLDER, Mode::empty()),
            opened => opened,
        };
        let folder = folder.map_err(|errno| match errno {
            Errno::NOENT => RootError::Missing(path.to_owned()),
            Errno::NOTDIR => RootError::NotAFolder(path.to_owned()),
            Errno::ACCESS | Errno::PERM => RootError::PermissionDenied(path.to_owned()),
            other => RootError::Other(path.to_owned(), other.into()),
        })?;
        let resolver = if kernel::is_able(folder.as_fd()) { Resolver::Kernel } else { Resolver::Walk };
        Ok(Self { folder, kind, resolver, kept: Kept::default() })
    }

    /// Keeps a thing from everybody who comes through this root, wherever it lies and whatever leads there.
    pub(crate) fn keep(&mut self, path: &Path) -> Result<(), RootError> {
        self.keep_names(path, Names::This)
    }

    /// Like [`keep`](Self::keep), for a log and its rotated files.
    pub(crate) fn keep_log(&mut self, path: &Path) -> Result<(), RootError> {
        self.keep_names(path, Names::Numbered)
    }

    fn keep_names(&mut self, path: &Path, names: Names) -> Result<(), RootError> {
        self.kept.add(path, names)?;
        self.kept.look_from(&self.folder);
        Ok(())
    }

    pub(crate) const fn kept(&self) -> &Kept {
        &self.kept
    }

    /// A folder below as a root of its own, that nothing leads out of. The root itself stays what it is.
    pub(crate) fn within(&self, folder: &WirePath) -> Result<Self, Fault> {
        let kind = if folder.is_root() { self.kind } else { RootKind::Jailed };
        let folder = self.open_folder(&Location::through(folder))?;
        let mut kept = self.kept.clone();
        kept.look_from(&folder);
        Ok(Self { folder, kind, resolver: self.resolver, kept })
    }

    pub(crate) const fn kind(&self) -> RootKind {
        self.kind
    }

    /// The root itself, as it was opened.
    pub(crate) fn folder(&self) -> BorrowedFd<'_> {
        self.folder.as_fd()
    }

    /// Opens a folder for reading its content.
    pub fn open_folder(&self, folder: &Location) -> Result<OwnedFd, Fault> {
        self.open_as(folder, READ_FOLDER).map_err(|code| self.fault_at(code, folder))
    }

    /// Like [`fault_at`], but names a root that was removed.
    fn fault_at(&self, code: FaultCode, location: &Location) -> Fault {
        let fault = fault_at(code, location);
        if code == FaultCode::NotFound && self.is_gone() {
            fault.because("the served folder is gone")
        } else {
            fault
        }
    }

    /// Returns whether the root itself was removed while it was held open.
    fn is_gone(&self) -> bool {
        rustix::fs::fstat(&self.folder).is_ok_and(|stat| stat.st_nlink == 0)
    }

    /// The folder that holds a thing, and the thing's name in it: for `*at()` calls that follow no link. The folder is open
    /// for reading where this user may read it, and for looking only where not. The root itself is held by nothing
    /// (`Busy`), and what is named by its base alone is not one name in one folder (`Malformed`).
    pub fn parent_of(&self, thing: &Location) -> Result<(OwnedFd, Name), Fault> {
        let (Some(parent), Some(name)) = (thing.path.parent(), thing.path.name()) else {
            let is_root = thing.base.is_root();
            let code = if is_root { FaultCode::Busy } else { FaultCode::Malformed };
            let why =
                if is_root { "the root itself" } else { "names what a path leads to, not the thing itself" };
            return Err(fault_at(code, thing).because(why));
        };
        let parent = Location { base: thing.base.clone(), path: parent };
        let folder = match self.open_as(&parent, READ_FOLDER) {
            Err(FaultCode::PermissionDenied) => self.open_as(&parent, LOOK_FOLDER),
            opened => opened,
        };
        Ok((folder.map_err(|code| self.fault_at(code, &parent))?, name.clone()))
    }

    /// Opens a thing only to look at it (`fstat`, `readlinkat` with an empty name, `fstatvfs`); a root and, for a location
    /// without a path, what it leads to included. `TimedOut` for a mount that does not answer.
    pub fn thing(&self, thing: &Location) -> Result<OwnedFd, Fault> {
        // A thing that no mount leads to always answers.
        let answers = |opened: &OwnedFd| disk::check_open_answers(opened).map_err(|fault| fault.code);
        let opened = self.open_if(thing, LOOK | OFlags::NOFOLLOW, answers);
        opened.map_err(|code| self.fault_at(code, thing))
    }

    /// Opens a regular file for reading; never waits for a fifo, never wakes a device.
    pub fn open_file(&self, file: &Location) -> Result<OwnedFd, Fault> {
        let opened = self.open_as(file, disk::READ_FILE).and_then(disk::only_a_file);
        opened.map_err(|code| self.fault_at(code, file))
    }

    /// Opens what a path leads to, all links followed as far as they stay in the root. `None` if it leads nowhere, or to a mount that does not
    /// answer. `near`: the open folder that holds the path's last name, and that name.
    pub fn kind_behind(&self, path: &WirePath, near: Option<(BorrowedFd<'_>, &Name)>) -> Option<Kind> {
        let leads_away = match (self.kind, near) {
            (RootKind::Whole, Some((folder, name))) => {
                let name = WirePath::new(vec![name.clone()]).ok()?;
                kernel::leads_away(folder, &name, Links::Followed)
            }
            (RootKind::Whole, None) => kernel::leads_away(self.folder.as_fd(), path, Links::Followed),
            (RootKind::Jailed, _) => kernel::leads_away(self.folder.as_fd(), path, Links::Beneath),
        };
        let path = Location::through(path);
        if self.resolver == Resolver::Walk || !leads_away {
            return self.kind_at(&path);
        }
        let (folder, kept) = (rustix::io::fcntl_dupfd_cloexec(&self.folder, 0).ok()?, self.kept.clone());
        let root = Self { folder, kind: self.kind, resolver: self.resolver, kept };
        disk::while_it_answers(move || root.kind_at(&path)).flatten()
    }

    fn kind_at(&self, path: &Location) -> Option<Kind> {
        let thing = self.open_as(path, LOOK | OFlags::NOFOLLOW).ok()?;
        Some(disk::stat_open(thing).ok()?.kind)
    }

    /// `NOFOLLOW` among the flags concerns the last name of a path, never that of a base.
    fn open_as(&self, thing: &Location, flags: OFlags) -> Result<OwnedFd, FaultCode> {
        self.open_if(thing, flags, |_| Ok(()))
    }

    /// As [`open_as`](Self::open_as), unless what may be on another mount is refused by `check`.
    fn open_if(
        &self,
        thing: &Location,
        flags: OFlags,
        check: impl FnOnce(&OwnedFd) -> Result<(), FaultCode>,
    ) -> Result<OwnedFd, FaultCode> {
        if let Some(opened) = self.open_away(thing, flags) {
            let opened = opened.map_err(|errno| fault_code(errno, Links::Refused))?;
            let is_kept = self.kept.holds_away(&opened);
            return checked(thing, opened, is_kept);
        }
        let opened = self.open_anywhere(thing, flags)?;
        check(&opened)?;
        self.checked(thing, opened)
    }

    /// Opens what lies away from all that is kept, as most things do. None where it may not.
    fn open_away(&self, thing: &Location, flags: OFlags) -> Option<Result<OwnedFd, Errno>> {
        let is_away = self.resolver == Resolver::Kernel
            && !thing.path.is_root()
            && thing.base.is_root()
            && self.kept.is_away(&thing.path);
        match is_away.then(|| kernel::open_here(self.folder.as_fd(), &thing.path, flags)) {
            Some(Err(Errno::XDEV)) => None,
            opened => opened,
        }
    }

    /// Refuses what was opened if no client may have it.
    fn checked(&self, thing: &Location, opened: OwnedFd) -> Result<OwnedFd, FaultCode> {
        if thing.path.is_root() && thing.base.is_root() && self.is_gone() {
            return Err(FaultCode::NotFound);
        }
        let is_kept = self.kept.holds(&opened);
        checked(thing, opened, is_kept)
    }

    fn open_anywhere(&self, thing: &Location, flags: OFlags) -> Result<OwnedFd, FaultCode> {
        let links = match self.kind {
            RootKind::Whole => Links::Followed,
            RootKind::Jailed => Links::Beneath,
        };
        if thing.path.is_root() {
            return self.resolve(self.folder.as_fd(), &thing.base, flags - OFlags::NOFOLLOW, links);
        }
        if thing.base.is_root() {
            return self.resolve(self.folder.as_fd(), &thing.path, flags, Links::Refused);
        }
        let base = self.resolve(self.folder.as_fd(), &thing.base, LOOK_FOLDER, links)?;
        self.resolve(base.as_fd(), &thing.path, flags, Links::Refused)
    }

    fn resolve(
        &self,
        start: BorrowedFd<'_>,
        path: &WirePath,
        flags: OFlags,
        links: Links,
    ) -> Result<OwnedFd, FaultCode> {
        let opened = match self.resolver {
            Resolver::Kernel => kernel::open(start, path, flags, links),
            Resolver::Walk => walk::open(start, path, flags, links),
        };
        opened.map_err(|errno| fault_code(errno, links))
    }
}

/// Refuses what was opened if it is kept, or an unfinished file.
fn checked(thing: &Location, opened: OwnedFd, is_kept: Result<bool, Errno>) -> Result<OwnedFd, FaultCode> {
    match is_kept {
        Ok(false) => {}
        // The system hides the paths of all open files: no reason to suspect this one.
        Ok(true) | Err(Errno::NOENT) => return Err(FaultCode::PermissionDenied),
        Err(errno) => return Err(code_of(errno)),
    }
    // Hidden, like in a listing.
    if thing.path.name().or_else(|| thing.base.name()).is_some_and(|name| proves_part(name, &opened)) {
        return Err(FaultCode::NotFound);
    }
    Ok(opened)
}

fn fault_code(errno: Errno, links: Links) -> FaultCode {
    match (errno, links) {
        (Errno::XDEV, _) | (Errno::LOOP, Links::Refused) => FaultCode::OutsideRoot,
        (Errno::LOOP, _) => FaultCode::LinkLoop,
        (errno, _) => code_of(errno),
    }
}

/// A fault about the whole of a location.
pub(crate) fn fault_at(code: FaultCode, location: &Location) -> Fault {
    let fault = Fault::new(code);
    location.whole().map_or_else(|_| fault.clone(), |path| fault.clone().at(path))
}

/// A path that a person typed on this machine, as a path below [`RootSpec::Whole`]: relative to the working folder. What
/// stands before its last `..` is resolved by the system, which alone knows where that leads; the rest stays as typed, and so
/// does a link in the last place. `~` is a shell's business.
pub fn local_path(typed: &Path) -> Result<WirePath, Fault> {
    if typed.as_os_str().is_empty() {
        return Err(FaultCode::NotFound.into());
    }
    let mut path = if typed.is_absolute() { PathBuf::from("/") } else { working_path()? };
    path.push(typed);
    let components: Vec<Component<'_>> = path.components().collect();
    let after_dots = components.iter().rposition(|c| *c == Component::ParentDir).map_or(0, |last| last + 1);
    let (dots, plain) = components.split_at(after_dots);
    let mut resolved = match dots {
        [] => PathBuf::from("/"),
        dots => canonical(&dots.iter().collect::<PathBuf>())?,
    };
    resolved.extend(plain);
    wire_path(resolved.as_os_str())
}

/// The user's home folder, as a path below [`RootSpec::Whole`]: from `HOME` unless that is empty, else from the system's list of users;
/// the root if neither names one.
pub fn home_folder() -> WirePath {
    let set = std::env::var_os("HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
    let listed = || nix::unistd::User::from_uid(nix::unistd::Uid::effective()).ok()?.map(|user| user.dir);
    set.or_else(listed).and_then(|home| local_path(&home).ok()).unwrap_or_default()
}

/// The folder that this program was started in, as a path below [`RootSpec::Whole`].
pub fn working_folder() -> Result<WirePath, Fault> {
    wire_path(working_path()?.as_os_str())
}

/// The nearest folder at or above the one that this program was started in that is still there.
pub fn nearest_working_folder() -> WirePath {
    let Err(_) = working_path() else { return working_folder().unwrap_or_default() };
    // Linux tells where a removed one was.
    let gone = std::fs::read_link("/proc/self/cwd").unwrap_or_default();
    let nearest = gone.ancestors().skip(1).find(|above| above.is_absolute() && above.is_dir());
    nearest.and_then(|above| wire_path(above.as_os_str()).ok()).unwrap_or_default()
}

fn working_path() -> Result<PathBuf, Fault> {
    let bytes = rustix::process::getcwd(Vec::new()).map_err(|errno| {
        let fault = Fault::new(code_of(errno));
        if errno == Errno::NOENT { fault.because("the working folder is gone") } else { fault }
    })?;
    Ok(PathBuf::from(std::ffi::OsString::from_vec(bytes.into_bytes())))
}

fn canonical(path: &Path) -> Result<PathBuf, Fault> {
    path.canonicalize().map_err(|error| {
        let code = Errno::from_io_error(&error).map_or(FaultCode::NotFound, code_of);
        Fault::new(code)
    })
}

fn wire_path(path: &OsStr) -> Result<WirePath, Fault> {
    Ok(WirePath::parse(path.as_bytes())?)
}

#[cfg(test)]
mod tests;
