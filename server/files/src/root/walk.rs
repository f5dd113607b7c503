//! Resolving a path component by component, for systems without `openat2`: each folder is opened from the one before
//! without following anything, links are read and their text spliced in, `..` goes back to the folder that was held. It
//! keeps the kernel's rules and gives the kernel's errors.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, openat, readlinkat};
use rustix::io::Errno;
use towpath_protocol::path::{Name, WirePath};

use super::{LOOK_FOLDER, Links};

/// Links on one way; the number that Linux allows.
const LINKS_MAX: usize = 40;
/// Folders held open at a time.
const HELD_FOLDERS_MAX: usize = 256;

/// One step of a way.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// `/` in front of a link's text.
    Top,
    /// `..`
    Up,
    /// `.`, or nothing behind the last `/`: what comes before it must be a folder.
    Here,
    Down(Name),
}

/// Opens `path` below `start`.
pub(super) fn open(
    start: BorrowedFd<'_>,
    path: &WirePath,
    flags: OFlags,
    links: Links,
) -> Result<OwnedFd, Errno> {
    let mut way: VecDeque<Step> = path.names().iter().cloned().map(Step::Down).collect();
    let mut held: Vec<OwnedFd> = Vec::new();
    let mut links_met = 0;
    while let Some(step) = way.pop_front() {
        let here = held.last().map_or(start, AsFd::as_fd);
        match step {
            Step::Here => {}
            Step::Top if links == Links::Followed => held.clear(),
            Step::Up if links == Links::Followed || !held.is_empty() => drop(held.pop()),
            Step::Top | Step::Up => return Err(Errno::XDEV),
            Step::Down(name) => {
                let is_last = way.is_empty();
                let is_looked_at = is_last && flags.contains(OFlags::NOFOLLOW);
                match link_text(here, &name, links)? {
                    Some(_) if links == Links::Refused && !is_looked_at => return Err(Errno::LOOP),
                    Some(text) if !is_looked_at => {
                        links_met += 1;
                        if links_met > LINKS_MAX {
                            return Err(Errno::LOOP);
                        }
                        for step in steps(&text)?.into_iter().rev() {
                            way.push_front(step);
                        }
                    }
                    _ if is_last => return open_one(here, name.as_bytes(), flags | OFlags::NOFOLLOW),
                    _ if held.len() == HELD_FOLDERS_MAX => return Err(Errno::NAMETOOLONG),
                    _ => held.push(open_one(here, name.as_bytes(), LOOK_FOLDER | OFlags::NOFOLLOW)?),
                }
            }
        }
    }
    open_one(held.last().map_or(start, AsFd::as_fd), b".", flags)
}

fn open_one(folder: BorrowedFd<'_>, name: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    openat(folder, name, flags, Mode::empty())
}

/// The text of a link; none where the name is something else.
fn link_text(folder: BorrowedFd<'_>, name: &Name, links: Links) -> Result<Option<Vec<u8>>, Errno> {
    match readlinkat(folder, name.as_bytes(), Vec::new()) {
        Ok(text) => {
            let text = text.into_bytes();
            if links != Links::Refused && is_magic(folder, &text)? {
                Err(Errno::LOOP)
            } else {
                Ok(Some(text))
            }
        }
        Err(Errno::INVAL) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Whether a link leads to an open file, a process's folder or a namespace instead of to a path. Only `/proc` has such;
/// its other links are relative.
#[cfg(target_os = "linux")]
fn is_magic(folder: BorrowedFd<'_>, text: &[u8]) -> Result<bool, Errno> {
    const PROC_SUPER_MAGIC: u64 = 0x9fa0;
    let may_be = text.starts_with(b"/") || text.contains(&b':');
    Ok(may_be && rustix::fs::fstatfs(folder)?.f_type as u64 == PROC_SUPER_MAGIC)
}

#[cfg(not(target_os = "linux"))]
fn is_magic(_: BorrowedFd<'_>, _: &[u8]) -> Result<bool, Errno> {
    Ok(false)
}

fn steps(text: &[u8]) -> Result<Vec<Step>, Errno> {
    let is_absolute = text.starts_with(b"/");
    let top = is_absolute.then_some(Ok(Step::Top));
    let parts = text.split(|byte| *byte == b'/').map(|part| match part {
        b"" | b"." => Ok(Step::Here),
        b".." => Ok(Step::Up),
        name => Name::new(name).map(Step::Down).map_err(|_| Errno::NAMETOOLONG),
    });
    top.into_iter().chain(parts).collect()
}
