//! The time of modification: set, looked at afterwards, and told if it did not hold. The same rules as `disk`: descriptors and single names
//! only.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{AtFlags, Stat, Timespec, Timestamps, UTIME_OMIT};
use rustix::io::Errno;
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::path::Name;
use towpath_protocol::time::Time;

use super::fault_of;

/// Sets the time of modification of an open file or folder. `NotSupportedHere` if the file system keeps another one.
pub(crate) fn set_open_modified(thing: impl AsFd, modified: Time) -> Result<(), Fault> {
    set(&Target { at: thing.as_fd(), name: None }, modified)
}

/// Like [`set_open_modified`], by name; also for a link itself.
pub(crate) fn set_modified(folder: impl AsFd, name: &Name, modified: Time) -> Result<(), Fault> {
    set(&Target { at: folder.as_fd(), name: Some(name) }, modified)
}

struct Target<'a> {
    at: BorrowedFd<'a>,
    /// `None` if `at` is the thing itself.
    name: Option<&'a Name>,
}

fn set(target: &Target<'_>, modified: Time) -> Result<(), Fault> {
    let wanted = timespec(modified);
    let alone =
        Timestamps { last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT }, last_modification: wanted };
    let done = target.set(&alone);
    let now = target.stat().map_err(fault_of)?;
    if done.is_ok() && is_kept(modified, &now) {
        return Ok(());
    }
    // Some file systems set one time only together with the other.
    let access = Timespec { tv_sec: now.st_atime, tv_nsec: now.st_atime_nsec as i64 };
    target
        .set(&Timestamps { last_access: access, last_modification: wanted })
        .map_err(|errno| fault_of(done.err().unwrap_or(errno)))?;
    if is_kept(modified, &target.stat().map_err(fault_of)?) {
        return Ok(());
    }
    Err(Fault::new(FaultCode::NotSupportedHere).because("the file system keeps another time"))
}

impl Target<'_> {
    fn set(&self, times: &Timestamps) -> Result<(), Errno> {
        match self.name {
            Some(name) => rustix::fs::utimensat(self.at, name.as_bytes(), times, AtFlags::SYMLINK_NOFOLLOW),
            None => rustix::fs::futimens(self.at, times),
        }
    }

    fn stat(&self) -> Result<Stat, Errno> {
        match self.name {
            Some(name) => rustix::fs::statat(self.at, name.as_bytes(), AtFlags::SYMLINK_NOFOLLOW),
            None => rustix::fs::fstat(self.at),
        }
    }
}

const fn timespec(time: Time) -> Timespec {
    Timespec { tv_sec: time.seconds(), tv_nsec: time.nanoseconds() as i64 }
}

/// Returns whether a file has the time that it was given, or the one that its file system rounds it to.
fn is_kept(wanted: Time, now: &Stat) -> bool {
    Time::new(now.st_mtime, now.st_mtime_nsec as u32).is_rounded_from(wanted)
}
