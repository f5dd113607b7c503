//! Resolving a path in one `openat2` call, where the kernel itself keeps to the rules. It knows no root and no request.

use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::OFlags;
use rustix::io::Errno;
use towpath_protocol::path::WirePath;

use super::Links;

/// How often a resolution that raced with a rename is tried again before the walk takes over, which cannot race.
#[cfg(target_os = "linux")]
const RACES_MAX: usize = 8;

/// Whether the system has `openat2` and allows it.
pub(super) fn is_able(folder: BorrowedFd<'_>) -> bool {
    open(folder, &WirePath::root(), super::LOOK_FOLDER, Links::Beneath).is_ok()
}

/// Returns whether the way leads onto another mount, or out of `start` where it must not. Asks no other file system. False if the system cannot tell.
#[cfg(target_os = "linux")]
pub(super) fn leads_away(start: BorrowedFd<'_>, path: &WirePath, links: Links) -> bool {
    use rustix::fs::{Mode, ResolveFlags, openat2};

    let within = if links == Links::Followed { ResolveFlags::empty() } else { ResolveFlags::BENEATH };
    let rules = ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV | within;
    openat2(start, &*path.to_bytes(), super::LOOK, Mode::empty(), rules)
        .is_err_and(|errno| errno == Errno::XDEV)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn leads_away(_: BorrowedFd<'_>, _: &WirePath, _: Links) -> bool {
    false
}

/// Opens `path` below `start`.
#[cfg(target_os = "linux")]
pub(super) fn open(
    start: BorrowedFd<'_>,
    path: &WirePath,
    flags: OFlags,
    links: Links,
) -> Result<OwnedFd, Errno> {
    use rustix::fs::ResolveFlags;

    let within = match links {
        Links::Followed => ResolveFlags::empty(),
        Links::Beneath => ResolveFlags::BENEATH,
        Links::Refused => ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
    };
    let raced = || super::walk::open(start, path, flags, links);
    tried(start, path, flags, within).unwrap_or_else(raced)
}

/// As [`open`] with [`Links::Refused`], and `EXDEV` where another mount is met on the way, or the system cannot tell.
#[cfg(target_os = "linux")]
pub(super) fn open_here(start: BorrowedFd<'_>, path: &WirePath, flags: OFlags) -> Result<OwnedFd, Errno> {
    use rustix::fs::ResolveFlags;

    let within = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    tried(start, path, flags, within).unwrap_or(Err(Errno::XDEV))
}

/// None where it raced with renames all the time.
#[cfg(target_os = "linux")]
fn tried(
    start: BorrowedFd<'_>,
    path: &WirePath,
    flags: OFlags,
    within: rustix::fs::ResolveFlags,
) -> Option<Result<OwnedFd, Errno>> {
    use rustix::fs::{Mode, ResolveFlags, openat2};

    let bytes = if path.is_root() { b".".to_vec() } else { path.to_bytes() };
    for _ in 0..RACES_MAX {
        match openat2(start, &*bytes, flags, Mode::empty(), ResolveFlags::NO_MAGICLINKS | within) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            outcome => return Some(outcome),
        }
    }
    None
}

#[cfg(not(target_os = "linux"))]
pub(super) fn open(_: BorrowedFd<'_>, _: &WirePath, _: OFlags, _: Links) -> Result<OwnedFd, Errno> {
    Err(Errno::NOSYS)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn open_here(_: BorrowedFd<'_>, _: &WirePath, _: OFlags) -> Result<OwnedFd, Errno> {
    Err(Errno::XDEV)
}
