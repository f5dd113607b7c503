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

/// Opens `path` below `start`.
#[cfg(target_os = "linux")]
pub(super) fn open(
    start: BorrowedFd<'_>,
    path: &WirePath,
    flags: OFlags,
    links: Links,
) -> Result<OwnedFd, Errno> {
    use rustix::fs::{Mode, ResolveFlags, openat2};

    let rules = ResolveFlags::NO_MAGICLINKS
        | match links {
            Links::Followed => ResolveFlags::empty(),
            Links::Beneath => ResolveFlags::BENEATH,
            Links::Refused => ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
        };
    let bytes = if path.is_root() { b".".to_vec() } else { path.to_bytes() };
    for _ in 0..RACES_MAX {
        match openat2(start, &*bytes, flags, Mode::empty(), rules) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            outcome => return outcome,
        }
    }
    super::walk::open(start, path, flags, links)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn open(_: BorrowedFd<'_>, _: &WirePath, _: OFlags, _: Links) -> Result<OwnedFd, Errno> {
    Err(Errno::NOSYS)
}
