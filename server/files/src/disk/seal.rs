//! Numbers by which things are known again: a seal that breaks when a file changes, and what an identity is on the device of the
//! root. The same rules as `disk`.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::Stat;
use towpath_protocol::entry::{Attributes, Kind};
use towpath_protocol::fault::Fault;
use towpath_protocol::path::Name;

use super::{fault_of, identity, mixed, unmixed};

/// The seal of an open file; see [`seal_of`].
pub(crate) fn seal(thing: impl AsFd, attributes: &Attributes) -> u64 {
    seal_of(attributes, || made_by(thing.as_fd(), b""))
}

/// The seal of a name in a folder; see [`seal_of`].
pub(crate) fn seal_of_name(folder: impl AsFd, name: &Name, attributes: &Attributes) -> u64 {
    seal_of(attributes, || made_by(folder.as_fd(), name.as_bytes()))
}

/// A number that changes with its file: of a file or link anything at all, of a folder its mode or owner, since
/// what is in it changes all the time. A folder that takes another one's place differs too, where the file system says when it was made.
fn seal_of(attributes: &Attributes, made_by: impl FnOnce() -> [u64; 2]) -> u64 {
    let numbers = if attributes.kind == Kind::Folder {
        let [owners, born] = made_by();
        [attributes.mode.into(), owners, born]
    } else {
        [attributes.size, attributes.modified.wide_ns() as u64, attributes.changed.wide_ns() as u64]
    };
    numbers.into_iter().fold(attributes.identity, |seal, number| mixed(seal ^ number))
}

/// Whose it is, and when it was made; zeros for what the system does not say.
#[cfg(target_os = "linux")]
fn made_by(folder: BorrowedFd<'_>, name: &[u8]) -> [u64; 2] {
    use rustix::fs::{AtFlags, StatxFlags, statx};

    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::EMPTY_PATH;
    let wanted = StatxFlags::UID | StatxFlags::GID | StatxFlags::BTIME;
    let Ok(found) = statx(folder, name, flags, wanted) else { return [0, 0] };
    let is_told = StatxFlags::from_bits_retain(found.stx_mask).contains(StatxFlags::BTIME);
    let born = (found.stx_btime.tv_sec as u64).wrapping_mul(1_000_000_000);
    let born = born.wrapping_add(found.stx_btime.tv_nsec.into());
    [(u64::from(found.stx_uid) << 32) | u64::from(found.stx_gid), if is_told { born } else { 0 }]
}

#[cfg(not(target_os = "linux"))]
fn made_by(_folder: BorrowedFd<'_>, _name: &[u8]) -> [u64; 2] {
    [0, 0]
}

/// The device that most of what is served is on. It may have another number when the system starts again, while the numbers of what is
/// on it stay.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Home {
    device: u64,
}

impl Home {
    /// That of something open.
    #[allow(clippy::unnecessary_cast, reason = "its type differs from system to system")]
    pub(crate) fn of(thing: impl AsFd) -> Result<Self, Fault> {
        let stat: Stat = rustix::fs::fstat(thing).map_err(fault_of)?;
        Ok(Self::of_device(stat.st_dev as u64))
    }

    pub(crate) const fn of_device(device: u64) -> Self {
        Self { device }
    }

    /// A device-independent number of an inode. The reverse of [`identity_of`](Self::identity_of).
    pub(crate) const fn number_of(self, identity: u64) -> u64 {
        unmixed(identity) ^ mixed(self.device)
    }

    pub(crate) const fn identity_of(self, number: u64) -> u64 {
        mixed(number ^ mixed(self.device))
    }
}

/// Identity and link count.
pub(crate) fn identity_and_names(thing: impl AsFd) -> Result<(u64, u64), Fault> {
    let stat = rustix::fs::fstat(thing).map_err(fault_of)?;
    #[allow(clippy::unnecessary_cast, reason = "its type differs from system to system")]
    let names = stat.st_nlink as u64;
    Ok((identity(&stat), names))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_outlives_another_number_of_its_device() {
        for identity in [0, 1, u64::MAX, 0x1234_5678_9abc_def0] {
            assert_eq!(unmixed(mixed(identity)), identity);
        }
        let (before, after) = (Home::of_device(0xfe01), Home::of_device(0x29));
        let inode = 12_345;
        let identity = |device| mixed(mixed(device) ^ inode);
        assert_eq!(after.identity_of(before.number_of(identity(0xfe01))), identity(0x29));
        assert_eq!(before.number_of(identity(0xfe01)), inode);
    }
}
