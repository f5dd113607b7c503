//! The only place that makes system calls on people's files, and the one table from the system's errors to faults. It gets
//! descriptors of folders and single names, never paths, and follows no link. It may not know requests or answers.
#![allow(
    clippy::disallowed_methods,
    reason = "this module makes the calls on people's files, each on one name in an open folder"
)]

pub(crate) mod durable;
pub(crate) mod holes;
pub(crate) mod metadata;
pub(crate) mod mode;
mod mounts;
pub(crate) mod parts;
mod reading;
mod seal;
pub(crate) mod times;
pub(crate) mod unnamed;
pub(crate) mod writing;

use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::OnceLock;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use towpath_protocol::entry::{Attributes, Kind, LinkTarget};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::path::Name;
use towpath_protocol::time::Time;

pub(crate) use mounts::{check_answers, check_open_answers, is_mount, while_it_answers};
pub(crate) use parts::is_part;
pub(crate) use reading::{
    FolderReader, READ_FILE, each_entry, each_identity, each_name, holds_more, names, only_a_file, open_file,
    read_at, read_into, space,
};
pub(crate) use seal::{Home, identity_and_names, seal, seal_of_name};

/// The one table from the system's errors to fault codes. Where an error means something else in one call, that call says
/// so itself (`XDEV` and `LOOP` while a path is resolved).
pub(crate) const fn code_of(errno: Errno) -> FaultCode {
    match errno {
        Errno::NOENT => FaultCode::NotFound,
        Errno::ACCESS | Errno::PERM => FaultCode::PermissionDenied,
        Errno::EXIST => FaultCode::AlreadyExists,
        Errno::NOTDIR => FaultCode::NotAFolder,
        Errno::ISDIR => FaultCode::IsAFolder,
        Errno::NOTEMPTY => FaultCode::NotEmpty,
        Errno::NXIO | Errno::NODEV => FaultCode::SpecialFile,
        Errno::LOOP => FaultCode::OutsideRoot,
        Errno::NAMETOOLONG => FaultCode::NameTooLong,
        Errno::ROFS => FaultCode::ReadOnly,
        Errno::NOSPC | Errno::DQUOT => FaultCode::NoSpace,
        Errno::FBIG | Errno::OVERFLOW => FaultCode::FileTooLarge,
        Errno::OPNOTSUPP | Errno::INVAL | Errno::NOSYS | Errno::ILSEQ | Errno::MLINK => {
            FaultCode::NotSupportedHere
        }
        Errno::BUSY | Errno::TXTBSY | Errno::AGAIN => FaultCode::Busy,
        Errno::XDEV => FaultCode::OtherFileSystem,
        Errno::MFILE | Errno::NFILE => FaultCode::TooManyOpenFiles,
        Errno::STALE => FaultCode::Changed,
        _ => FaultCode::Io,
    }
}

/// A fault of no path; errors that the table has no word for keep the system's own.
pub(crate) fn fault_of(errno: Errno) -> Fault {
    let fault = Fault::new(code_of(errno));
    match fault.code {
        FaultCode::Io | FaultCode::NotSupportedHere => fault.because(errno.to_string()),
        // There may be much free, and not for this user.
        FaultCode::NoSpace if errno == Errno::DQUOT => fault.because("disk quota exceeded"),
        _ => fault,
    }
}

/// Attributes of one name in a folder, of a link itself. Where a link leads is read, what is there is not looked up.
pub(crate) fn stat(folder: impl AsFd, name: &Name) -> Result<Attributes, Fault> {
    let folder = folder.as_fd();
    let stat = rustix::fs::statat(folder, name.as_bytes(), AtFlags::SYMLINK_NOFOLLOW).map_err(fault_of)?;
    let mut attributes = attributes_of(&stat);
    if attributes.kind == Kind::Link {
        let bytes = rustix::fs::readlinkat(folder, name.as_bytes(), Vec::new()).map_err(fault_of)?;
        attributes.link = link_target(bytes.as_bytes());
    }
    Ok(attributes)
}

/// Attributes of something open; of a link too, where it was opened only to be looked at.
pub(crate) fn stat_open(thing: impl AsFd) -> Result<Attributes, Fault> {
    let thing = thing.as_fd();
    let mut attributes = attributes_of(&rustix::fs::fstat(thing).map_err(fault_of)?);
    if attributes.kind == Kind::Link {
        let bytes = rustix::fs::readlinkat(thing, b"".as_slice(), Vec::new()).map_err(fault_of)?;
        attributes.link = link_target(bytes.as_bytes());
    }
    Ok(attributes)
}

/// Like [`stat_open`], asked of the file system itself and not of what the kernel remembers: a network or FUSE mount may remember what
/// was changed by another way.
pub(crate) fn stat_open_anew(thing: impl AsFd) -> Result<Attributes, Fault> {
    #[cfg(target_os = "linux")]
    {
        let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_FORCE_SYNC | AtFlags::SYMLINK_NOFOLLOW;
        match rustix::fs::statx(&thing, c"", flags, rustix::fs::StatxFlags::BASIC_STATS) {
            // Older kernels, and sandboxes that know no statx.
            Ok(_) | Err(Errno::NOSYS | Errno::PERM | Errno::INVAL) => {}
            Err(errno) => return Err(fault_of(errno)),
        }
    }
    stat_open(thing)
}

/// The folder of `/proc` that holds this process's open things by their numbers.
pub(crate) fn open_things() -> Result<&'static OwnedFd, Errno> {
    static OPEN_THINGS: OnceLock<OwnedFd> = OnceLock::new();
    if let Some(folder) = OPEN_THINGS.get() {
        return Ok(folder);
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = rustix::fs::openat(CWD, "/proc/self/fd", flags, Mode::empty())?;
    Ok(OPEN_THINGS.get_or_init(|| folder))
}

/// The path of an open folder, as the system has it now.
#[cfg(target_os = "linux")]
pub(crate) fn path_of(folder: impl AsFd) -> Result<PathBuf, Fault> {
    use std::os::fd::AsRawFd;

    let handle = format!("/proc/self/fd/{}", folder.as_fd().as_raw_fd());
    let path = rustix::fs::readlink(handle, Vec::new()).map_err(fault_of)?;
    Ok(PathBuf::from(OsString::from_vec(path.into_bytes())))
}

#[cfg(target_vendor = "apple")]
pub(crate) fn path_of(folder: impl AsFd) -> Result<PathBuf, Fault> {
    let path = rustix::fs::getpath(folder).map_err(fault_of)?;
    Ok(PathBuf::from(OsString::from_vec(path.into_bytes())))
}

/// Some of `/proc`'s links have no text; the protocol knows no such target.
fn link_target(bytes: &[u8]) -> Option<LinkTarget> {
    (!bytes.is_empty()).then(|| LinkTarget { bytes: bytes.into(), kind: None })
}

const fn kind_of(kind: FileType) -> Kind {
    match kind {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Folder,
        FileType::Symlink => Kind::Link,
        FileType::Fifo => Kind::Fifo,
        FileType::Socket => Kind::Socket,
        FileType::CharacterDevice => Kind::CharacterDevice,
        FileType::BlockDevice => Kind::BlockDevice,
        FileType::Unknown => Kind::Other,
    }
}

fn attributes_of(stat: &Stat) -> Attributes {
    let kind = kind_of(FileType::from_raw_mode(stat.st_mode));
    Attributes {
        kind,
        size: if kind == Kind::File { stat.st_size as u64 } else { 0 },
        modified: Time::new(stat.st_mtime, stat.st_mtime_nsec as u32),
        changed: Time::new(stat.st_ctime, stat.st_ctime_nsec as u32),
        mode: (stat.st_mode & 0o7777) as u16,
        identity: identity(stat),
        is_unknown: false,
        link: None,
    }
}

/// One number for device and inode: different for any two inodes of one device.
#[allow(clippy::unnecessary_cast, reason = "their types differ from system to system")]
const fn identity(stat: &Stat) -> u64 {
    identity_of(stat.st_dev as u64, stat.st_ino as u64)
}

const fn identity_of(device: u64, inode: u64) -> u64 {
    mixed(mixed(device) ^ inode)
}

/// The finisher of `SplitMix64`: a permutation in which every bit depends on all others.
const fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// The reverse of [`mixed`].
const fn unmixed(number: u64) -> u64 {
    let number = number ^ (number >> 31) ^ (number >> 62);
    let number = number.wrapping_mul(0x3196_42b2_d24d_8ec3);
    let number = number ^ (number >> 27) ^ (number >> 54);
    let number = number.wrapping_mul(0x96de_1b17_3f11_9089);
    (number ^ (number >> 30) ^ (number >> 60)).wrapping_sub(0x9e37_79b9_7f4a_7c15)
}
