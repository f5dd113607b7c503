//! Bringing what was written to the disk: single things, and many in one pass. The same rules as `disk`: descriptors only. An error of a
//! flush means that data is lost; nobody tries it again, since a second try may succeed with the data gone.

#[cfg(target_os = "linux")]
use std::num::NonZeroU64;
#[cfg(target_os = "linux")]
use std::os::fd::OwnedFd;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::io::Errno;
use towpath_protocol::fault::{Fault, FaultCode};

use super::fault_of;

/// More things than this on one file system are flushed with all that waits there, in one go.
const ONE_BY_ONE_MAX: usize = 3;
/// So much of a large file is begun to be brought to the disk at a time.
#[cfg(target_os = "linux")]
const AHEAD_BYTES: u64 = 16 * 1024 * 1024;

/// Something to be flushed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Flushed<'a> {
    /// Content and attributes.
    File(BorrowedFd<'a>),
    /// Entries and attributes.
    Folder(BorrowedFd<'a>),
}

impl<'a> Flushed<'a> {
    const fn fd(self) -> BorrowedFd<'a> {
        match self {
            Self::File(fd) | Self::Folder(fd) => fd,
        }
    }

    fn flush(self) -> Result<(), Fault> {
        match self {
            Self::File(file) => flush(file),
            Self::Folder(folder) => flush_folder(folder),
        }
    }
}

/// Flushes a file's content and attributes to the disk.
pub(crate) fn flush(file: impl AsFd) -> Result<(), Fault> {
    rustix::fs::fsync(file).map_err(fault_of)
}

/// Lets the system begin to bring a growing file to the disk while more of it comes, so that little is left for the flush at its end.
/// `before` and `now` are its length before what was just written and with it. Waits for nothing; what goes wrong, that flush tells.
#[cfg(target_os = "linux")]
pub(crate) fn begin_flush(file: impl AsFd, before: u64, now: u64) {
    let begun = |len: u64| len - len % AHEAD_BYTES;
    if let Some(len) = NonZeroU64::new(begun(now).saturating_sub(begun(before))) {
        // Of what is not on the disk yet, this begins the writing; nothing of it is let go.
        let _ = rustix::fs::fadvise(file, begun(before), Some(len), rustix::fs::Advice::DontNeed);
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn begin_flush(_file: impl AsFd, _before: u64, _now: u64) {}

/// Flushes a folder's entries. Where the folder cannot be flushed by itself, its whole file system is: on one that does not flush
/// folders, and in a folder that this user may not read, which is open to be looked at only. Never Ok where nothing was flushed.
pub(crate) fn flush_folder(folder: impl AsFd) -> Result<(), Fault> {
    match rustix::fs::fsync(&folder) {
        Err(Errno::INVAL | Errno::BADF) => flush_file_system(folder.as_fd()),
        done => done.map_err(fault_of),
    }
}

/// Flushes all that was changed on the file system that a folder is on; where that cannot be told from other machines' disks, the
/// folder alone.
pub(crate) fn flush_all(folder: impl AsFd) -> Result<(), Fault> {
    let folder = folder.as_fd();
    if !flushes_whole(folder) {
        return flush_folder(folder);
    }
    match flush_file_system(folder) {
        Err(fault) if fault.code == FaultCode::PermissionDenied => flush_folder(folder),
        done => done,
    }
}

/// Flushes things that were opened in this order; what became of each, in the same order.
pub(crate) fn flush_together(things: &[Flushed<'_>]) -> Vec<Result<(), Fault>> {
    let devices: Vec<_> =
        things.iter().map(|thing| rustix::fs::fstat(thing.fd()).map(|stat| stat.st_dev)).collect();
    let mut done: Vec<Option<Result<(), Fault>>> = vec![None; things.len()];
    for first in 0..things.len() {
        if done[first].is_some() {
            continue;
        }
        let same: Vec<usize> =
            (first..things.len()).filter(|other| devices[*other] == devices[first]).collect();
        if same.len() > ONE_BY_ONE_MAX && devices[first].is_ok() && flushes_whole(things[first].fd()) {
            // It tells of errors since the descriptor was opened: the oldest one misses none.
            let flushed = flush_file_system(things[first].fd());
            for index in same {
                done[index] = Some(flushed.clone());
            }
        } else {
            for index in same {
                done[index] = Some(things[index].flush());
            }
        }
    }
    done.into_iter().flatten().collect()
}

/// Whether to flush the whole file system does for each thing what a flush of its own would do. It does not where the disk is
/// another machine's, or another program's.
#[cfg(target_os = "linux")]
fn flushes_whole(thing: BorrowedFd<'_>) -> bool {
    const EXT: u64 = 0xef53;
    const XFS: u64 = 0x5846_5342;
    const BTRFS: u64 = 0x9123_683e;
    const TMPFS: u64 = 0x0102_1994;
    const F2FS: u64 = 0xf2f5_2010;

    let kind = rustix::fs::fstatfs(thing).map(|stat| stat.f_type as u64 & 0xffff_ffff);
    matches!(kind, Ok(EXT | XFS | BTRFS | TMPFS | F2FS))
}

#[cfg(target_os = "linux")]
fn flush_file_system(thing: BorrowedFd<'_>) -> Result<(), Fault> {
    match rustix::fs::syncfs(thing) {
        // A descriptor that was only opened to be looked at; its path leads to one that can be used.
        Err(Errno::BADF) => rustix::fs::syncfs(open_in(thing)?).map_err(fault_of),
        done => done.map_err(fault_of),
    }
}

/// Opens something on a folder's file system that can be flushed: the folder, or, in one that this user may not read, a file without a
/// name that is gone once it is closed.
#[cfg(target_os = "linux")]
fn open_in(folder: BorrowedFd<'_>) -> Result<OwnedFd, Fault> {
    use rustix::fs::{Mode, OFlags, openat};

    match openat(folder, c".", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
        Err(Errno::ACCESS) => {}
        opened => return opened.map_err(fault_of),
    }
    match openat(folder, c".", OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC, Mode::RUSR) {
        // Not every file system has such files.
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOENT) => {
            let (name, file) = super::parts::create(folder, super::parts::PartId::random()?, 0o600)?;
            super::writing::remove_file(folder, &name)?;
            Ok(file)
        }
        opened => opened.map_err(fault_of),
    }
}

#[cfg(not(target_os = "linux"))]
fn flushes_whole(_thing: BorrowedFd<'_>) -> bool {
    false
}

#[cfg(not(target_os = "linux"))]
fn flush_file_system(thing: BorrowedFd<'_>) -> Result<(), Fault> {
    flush(thing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn f80_a_folder_that_can_only_be_looked_at_is_flushed_and_what_cannot_be_flushed_is_told() {
        use rustix::fs::{CWD, Mode, OFlags, openat};

        let folder = tempfile::tempdir().unwrap();
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let looked_at = openat(CWD, folder.path(), flags, Mode::empty()).unwrap();
        assert_eq!(rustix::fs::fsync(&looked_at), Err(Errno::BADF), "or this shows nothing");
        assert_eq!(flush_folder(&looked_at), Ok(()));
        let file = tempfile::NamedTempFile::new().unwrap();
        let not_a_folder = openat(CWD, file.path(), OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap();
        assert!(flush_folder(&not_a_folder).is_err(), "nothing was flushed");
    }

    #[test]
    fn a_pass_flushes_each_thing_and_says_which_could_not_be() {
        let folder = tempfile::tempdir().unwrap();
        let opened = std::fs::File::open(folder.path()).unwrap();
        let files: Vec<_> = (0..9).map(|_| tempfile::tempfile_in(folder.path()).unwrap()).collect();
        let (pipe, _other_end) = std::io::pipe().unwrap();
        for count in [1, 9] {
            let mut things: Vec<_> = files[..count].iter().map(|file| Flushed::File(file.as_fd())).collect();
            things.push(Flushed::Folder(opened.as_fd()));
            things.push(Flushed::File(pipe.as_fd()));
            let done = flush_together(&things);
            assert_eq!(done.len(), count + 2);
            assert!(done[..=count].iter().all(Result::is_ok), "{done:?}");
            assert!(done[count + 1].is_err(), "nobody can flush a pipe");
        }
    }
}
