//! Permission bits: what a new thing gets in a folder, and setting them. The same rules as `disk`: descriptors and single names only.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::OnceLock;

use rustix::fs::{FileType, Mode, OFlags, RawMode};
use rustix::io::Errno;
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::path::Name;

use super::fault_of;
use super::metadata::value_of;
use super::writing::look_at;

/// A folder's access list for what is made in it.
const DEFAULT_LIST: &[u8] = b"system.posix_acl_default";
/// Bytes of an access list that are read; the kernel allows no longer one.
const LIST_BYTES_MAX: usize = 64 * 1024;

/// Permission bits that the system gives a new thing of `mode` in `folder`: what the folder's default access list allows, or, if it has
/// none, all but the process's umask.
pub(crate) fn permitted_in(folder: impl AsFd, mode: u16) -> u16 {
    let mode = mode & 0o777;
    // Most folders have no list: 132 bytes hold sixteen entries.
    let mut short = [0; 132];
    let list = match value_of(folder.as_fd(), DEFAULT_LIST, &mut short) {
        Ok(len) => allowed_by(&short[..len], mode),
        Err(Errno::RANGE) => {
            let mut long = vec![0; LIST_BYTES_MAX];
            let len = value_of(folder.as_fd(), DEFAULT_LIST, &mut long);
            len.ok().and_then(|len| allowed_by(&long[..len], mode))
        }
        Err(_) => None,
    };
    list.unwrap_or_else(|| mode & !umask())
}

/// Masks `mode` by a default access list, as `posix_acl_create_masq` of Linux computes it. `None` if it is no such list.
fn allowed_by(list: &[u8], mode: u16) -> Option<u16> {
    const VERSION: [u8; 4] = 2_u32.to_le_bytes();
    const OWNER: u16 = 0x01;
    const GROUP: u16 = 0x04;
    const MASK: u16 = 0x10;
    const OTHER: u16 = 0x20;
    let entries = list.strip_prefix(&VERSION)?;
    let (mut owner, mut group, mut mask, mut other) = (None, None, None, None);
    for entry in entries.as_chunks::<8>().0 {
        let [tag, bits] =
            [u16::from_le_bytes([entry[0], entry[1]]), u16::from_le_bytes([entry[2], entry[3]])];
        match tag {
            OWNER => owner = Some(bits),
            GROUP => group = Some(bits),
            MASK => mask = Some(bits),
            OTHER => other = Some(bits),
            _ => {}
        }
    }
    let allowed = owner? << 6 | mask.or(group)? << 3 | other?;
    Some(mode & allowed & 0o777)
}

/// Sets permission bits of an open file, exactly these.
pub(crate) fn set_open_mode(thing: impl AsFd, mode: u16) -> Result<(), Fault> {
    change(thing.as_fd(), mode.into()).map_err(fault_of)
}

/// Like [`set_open_mode`], for a folder: keeps the setgid and sticky bits that it has here. Where nothing differs, nothing is set.
pub(crate) fn set_open_folder_mode(folder: impl AsFd, mode: u16) -> Result<(), Fault> {
    let now = rustix::fs::fstat(&folder).map_err(fault_of)?.st_mode;
    if now & 0o777 == RawMode::from(mode) & 0o777 {
        return Ok(());
    }
    change(folder.as_fd(), RawMode::from(mode) | now & 0o7000).map_err(fault_of)
}

/// Sets the mode of what is open, also if it was opened only to be looked at.
pub(super) fn change(thing: BorrowedFd<'_>, mode: RawMode) -> Result<(), Errno> {
    let mode = Mode::from_raw_mode(mode);
    match rustix::fs::fchmod(thing, mode) {
        Err(Errno::BADF) => rustix::fs::chmod(handle(thing), mode),
        set => set,
    }
}

/// Most calls refuse a descriptor that was opened only to look. The name under /proc leads to the very inode.
pub(super) fn handle(thing: BorrowedFd<'_>) -> String {
    format!("/proc/self/fd/{}", thing.as_raw_fd())
}

/// Sets permission bits of a file or folder; refuses a link. A folder keeps the setgid and sticky bits that it has here, since they are
/// this system's, not the client's. Where nothing differs, nothing is set.
pub(crate) fn set_mode(folder: impl AsFd, name: &Name, mode: u16) -> Result<(), Fault> {
    let thing = look_at(&folder, name)?;
    let stat = rustix::fs::fstat(&thing).map_err(fault_of)?;
    let kept = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Symlink => {
            return Err(Fault::new(FaultCode::NotSupportedHere).because("a link has no mode of its own"));
        }
        FileType::Directory => stat.st_mode & 0o7000,
        _ => 0,
    };
    let mode = RawMode::from(mode) | kept;
    if stat.st_mode & 0o7777 == mode {
        return Ok(());
    }
    match change(thing.as_fd(), mode) {
        Err(Errno::NOENT | Errno::NOTDIR) => set_mode_by_opening(folder.as_fd(), name, mode),
        done => done.map_err(fault_of),
    }
}

/// Like [`set_mode`], if /proc is not mounted.
fn set_mode_by_opening(folder: BorrowedFd<'_>, name: &Name, mode: RawMode) -> Result<(), Fault> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let thing = rustix::fs::openat(folder, name.as_bytes(), flags, Mode::empty()).map_err(fault_of)?;
    rustix::fs::fchmod(thing, Mode::from_raw_mode(mode)).map_err(fault_of)
}

/// Reads the process's umask, once for all.
pub(crate) fn learn_umask() {
    umask();
}

/// The process's umask, read once.
fn umask() -> u16 {
    static UMASK: OnceLock<u16> = OnceLock::new();
    *UMASK.get_or_init(|| umask_from_proc().unwrap_or_else(umask_by_setting))
}

/// Linux tells it without a moment in which it is another one.
fn umask_from_proc() -> Option<u16> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let octal = status.lines().find_map(|line| line.strip_prefix("Umask:"))?;
    u16::from_str_radix(octal.trim(), 8).ok()
}

fn umask_by_setting() -> u16 {
    let umask = rustix::process::umask(Mode::from_raw_mode(0o077));
    rustix::process::umask(umask);
    (umask.as_raw_mode() & 0o777) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(entries: &[(u16, u16)]) -> Vec<u8> {
        let entry =
            |(tag, bits): &(u16, u16)| [&tag.to_le_bytes()[..], &bits.to_le_bytes(), &[0xff; 4]].concat();
        [&2_u32.to_le_bytes()[..], &entries.iter().flat_map(entry).collect::<Vec<_>>()].concat()
    }

    #[test]
    fn a_default_list_takes_away_what_it_does_not_allow() {
        let short = list(&[(1, 7), (4, 5), (0x20, 0)]);
        assert_eq!(allowed_by(&short, 0o666), Some(0o640));
        assert_eq!(allowed_by(&short, 0o755), Some(0o750));
        // A named user, and a mask for the group bits.
        let masked = list(&[(1, 7), (2, 7), (4, 0), (0x10, 6), (0x20, 1)]);
        assert_eq!(allowed_by(&masked, 0o777), Some(0o761));
        for wrong in [list(&[(1, 7)]), Vec::new(), vec![1, 0, 0, 0], vec![2, 0]] {
            assert_eq!(allowed_by(&wrong, 0o777), None, "{wrong:?}");
        }
    }
}
