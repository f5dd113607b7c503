//! The system calls that change people's files. Each works on an open folder and one checked name in it, follows no link in
//! that name, and knows nothing of policies, requests or answers.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Access, AtFlags, Dev, Mode, OFlags, RenameFlags, Stat};
use rustix::io::Errno;
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::path::Name;

use super::fault_of;

/// Bytes of one `copy_file_range` or `read`: small enough that a cancel is noticed at once.
pub(crate) const COPY_STEP_BYTES_MAX: usize = 4 * 1024 * 1024;
const COPY_BUFFER_BYTES: usize = 256 * 1024;

/// Creates a file with what this folder gives of `mode`; fails where the name exists, as whatever it may be.
pub(crate) fn create_new(folder: impl AsFd, name: &Name, mode: u16) -> Result<OwnedFd, Fault> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(folder, name.as_bytes(), flags, Mode::from_raw_mode(mode.into())).map_err(fault_of)
}

/// Writes all of `data` at the file's position.
pub(crate) fn write_all(file: impl AsFd, mut data: &[u8]) -> Result<(), Fault> {
    while !data.is_empty() {
        match rustix::io::write(&file, data) {
            Ok(0) => return Err(FaultCode::Io.into()),
            Ok(written) => data = &data[written..],
            Err(Errno::INTR) => {}
            Err(errno) => return Err(fault_of(errno)),
        }
    }
    Ok(())
}

/// Makes a folder with what its parent gives of these permission bits; fails where the name exists.
pub(crate) fn make_folder(folder: impl AsFd, name: &Name, mode: u16) -> Result<(), Fault> {
    rustix::fs::mkdirat(folder, name.as_bytes(), Mode::from_raw_mode(mode.into())).map_err(fault_of)
}

/// Makes a symbolic link; fails where the name exists.
pub(crate) fn make_link(folder: impl AsFd, name: &Name, target: &[u8]) -> Result<(), Fault> {
    rustix::fs::symlinkat(target, folder, name.as_bytes()).map_err(fault_of)
}

/// Removes a file, link or special file.
pub(crate) fn remove_file(folder: impl AsFd, name: &Name) -> Result<(), Fault> {
    rustix::fs::unlinkat(folder, name.as_bytes(), AtFlags::empty()).map_err(fault_of)
}

/// Removes an empty folder.
pub(crate) fn remove_folder(folder: impl AsFd, name: &Name) -> Result<(), Fault> {
    rustix::fs::unlinkat(folder, name.as_bytes(), AtFlags::REMOVEDIR).map_err(|errno| match errno {
        Errno::EXIST | Errno::NOTEMPTY => FaultCode::NotEmpty.into(),
        errno => fault_of(errno),
    })
}

/// Opens whatever has this name, a link itself too, only to look at it.
pub(crate) fn look_at(folder: impl AsFd, name: &Name) -> Result<OwnedFd, Fault> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(folder, name.as_bytes(), flags, Mode::empty()).map_err(fault_of)
}

/// Where something is: an open folder and a name in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spot<'a> {
    pub(crate) folder: BorrowedFd<'a>,
    pub(crate) name: &'a Name,
}

impl<'a> Spot<'a> {
    pub(crate) fn new(folder: &'a impl AsFd, name: &'a Name) -> Self {
        Self { folder: folder.as_fd(), name }
    }
}

/// Returns whether the permission bits let this process add and remove names in a folder.
pub(crate) fn may_change(folder: impl AsFd) -> bool {
    rustix::fs::accessat(folder, ".", Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS).is_ok()
}

/// Renames over what is there, atomically. The system itself refuses a file over a folder.
pub(crate) fn rename_over(from: Spot<'_>, to: Spot<'_>) -> Result<(), Fault> {
    rustix::fs::renameat(from.folder, from.name.as_bytes(), to.folder, to.name.as_bytes())
        .map_err(rename_fault)
}

/// Renames only where the new name is free, else `AlreadyExists`.
pub(crate) fn rename_new(from: Spot<'_>, to: Spot<'_>) -> Result<(), Fault> {
    let (old, new) = (from.name.as_bytes(), to.name.as_bytes());
    match rustix::fs::renameat_with(from.folder, old, to.folder, new, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => rename_new_in_steps(from, to),
        done => done.map_err(rename_fault),
    }
}

/// As [`rename_new`], on file systems that cannot do it in one (NFS, some of FUSE): a second hard link fails where the name
/// exists, just as well. Only where there are no hard links either, it looks first.
fn rename_new_in_steps(from: Spot<'_>, to: Spot<'_>) -> Result<(), Fault> {
    let (old, new) = (from.name.as_bytes(), to.name.as_bytes());
    match rustix::fs::linkat(from.folder, old, to.folder, new, AtFlags::empty()) {
        Ok(()) => remove_file(from.folder, from.name),
        Err(Errno::PERM | Errno::NOSYS | Errno::OPNOTSUPP | Errno::MLINK) => {
            match rustix::fs::statat(to.folder, new, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(_) => Err(FaultCode::AlreadyExists.into()),
                Err(Errno::NOENT) => rename_over(from, to),
                Err(errno) => Err(fault_of(errno)),
            }
        }
        Err(errno) => Err(rename_fault(errno)),
    }
}

fn rename_fault(errno: Errno) -> Fault {
    match errno {
        Errno::XDEV => FaultCode::OtherFileSystem.into(),
        Errno::INVAL => FaultCode::IntoItself.into(),
        Errno::EXIST | Errno::NOTEMPTY => FaultCode::AlreadyExists.into(),
        errno => fault_of(errno),
    }
}

/// Tells one thing from another within this system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Inode {
    device: Dev,
    number: u64,
}

impl Inode {
    /// Of what has this name, a link itself too.
    pub(crate) fn of(spot: Spot<'_>) -> Result<Self, Fault> {
        let stat = rustix::fs::statat(spot.folder, spot.name.as_bytes(), AtFlags::SYMLINK_NOFOLLOW);
        stat.map(|stat| Self::from(&stat)).map_err(fault_of)
    }

    pub(crate) const fn new(device: Dev, number: u64) -> Self {
        Self { device, number }
    }

    pub(crate) const fn device(self) -> Dev {
        self.device
    }

    /// Whether it is on this device.
    pub(crate) fn is_on(self, device: Dev) -> bool {
        self.device == device
    }

    pub(crate) fn of_open(thing: impl AsFd) -> Result<Self, Fault> {
        rustix::fs::fstat(thing).map(|stat| Self::from(&stat)).map_err(fault_of)
    }
}

impl From<&Stat> for Inode {
    fn from(stat: &Stat) -> Self {
        Self { device: stat.st_dev, number: stat.st_ino }
    }
}

/// Opens a folder within a folder, not through a link.
pub(crate) fn open_folder(folder: impl AsFd, name: &Name) -> Result<OwnedFd, Fault> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(folder, name.as_bytes(), flags, Mode::empty()).map_err(fault_of)
}

/// As [`open_folder`], and `OtherFileSystem` where something is mounted on it.
pub(crate) fn open_folder_here(folder: impl AsFd, name: &Name) -> Result<OwnedFd, Fault> {
    let opened = open_folder_unmounted(&folder, name)?;
    if rustix::fs::fstat(&opened).map_err(fault_of)?.st_dev
        != rustix::fs::fstat(folder).map_err(fault_of)?.st_dev
    {
        return Err(FaultCode::OtherFileSystem.into());
    }
    Ok(opened)
}

/// Notices a bind mount too, which has the same device on both sides.
#[cfg(target_os = "linux")]
fn open_folder_unmounted(folder: impl AsFd, name: &Name) -> Result<OwnedFd, Fault> {
    use rustix::fs::ResolveFlags;

    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS;
    match rustix::fs::openat2(&folder, name.as_bytes(), flags, Mode::empty(), resolve) {
        Err(Errno::XDEV) => Err(FaultCode::OtherFileSystem.into()),
        // Older kernels, and sandboxes that know no openat2.
        Err(Errno::NOSYS | Errno::PERM) => open_folder(folder, name),
        opened => opened.map_err(fault_of),
    }
}

#[cfg(not(target_os = "linux"))]
fn open_folder_unmounted(folder: impl AsFd, name: &Name) -> Result<OwnedFd, Fault> {
    open_folder(folder, name)
}

/// Opens a folder for reading that is open in any way.
pub(crate) fn open_again(folder: impl AsFd) -> Result<OwnedFd, Fault> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(folder, c".", flags, Mode::empty()).map_err(fault_of)
}

/// Opens the folder that holds this one.
pub(crate) fn open_parent(folder: impl AsFd) -> Result<OwnedFd, Fault> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(folder, c"..", flags, Mode::empty()).map_err(fault_of)
}

/// Returns whether `folder` is `ancestor` or lies below it, whatever names lead there. It looks as far up as this user may search; on the way the
/// right to read is not needed.
pub(crate) fn lies_within(folder: &OwnedFd, ancestor: Inode) -> Result<bool, Errno> {
    let mut inode = Inode::from(&rustix::fs::fstat(folder)?);
    let mut at = None;
    while inode != ancestor {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let above = match rustix::fs::openat(at.as_ref().unwrap_or(folder), c"..", flags, Mode::empty()) {
            Err(Errno::ACCESS) => return Ok(false),
            above => above?,
        };
        let above_inode = Inode::from(&rustix::fs::fstat(&above)?);
        if above_inode == inode {
            return Ok(false);
        }
        (inode, at) = (above_inode, Some(above));
    }
    Ok(true)
}

/// Makes `to`, empty until now, share all content of `from`. False where the file system cannot.
#[cfg(target_os = "linux")]
pub(crate) fn share_content(from: impl AsFd, to: impl AsFd) -> bool {
    rustix::fs::ioctl_ficlone(to, from).is_ok()
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn share_content(_from: impl AsFd, _to: impl AsFd) -> bool {
    false
}

/// Moves bytes from one open file to another, each at its own position, in the cheapest way that the system offers.
#[derive(Debug, Default)]
pub(crate) struct Pump {
    /// The system does not copy these two by itself.
    by_hand: bool,
    buffer: Vec<u8>,
}

impl Pump {
    /// To be called before another pair of files.
    pub(crate) const fn restart(&mut self) {
        self.by_hand = false;
    }

    /// Copies up to `len` bytes, at most [`COPY_STEP_BYTES_MAX`]. 0 is the end of the file.
    pub(crate) fn step(&mut self, from: impl AsFd, to: impl AsFd, len: u64) -> Result<u64, Fault> {
        let len = usize::try_from(len).unwrap_or(COPY_STEP_BYTES_MAX).min(COPY_STEP_BYTES_MAX);
        if !self.by_hand {
            match copy_in_kernel(&from, &to, len) {
                Err(errno @ (Errno::NOSPC | Errno::DQUOT | Errno::IO)) => return Err(fault_of(errno)),
                // Files under /proc and the like answer 0 here, and have content nonetheless.
                Ok(0) | Err(_) => self.by_hand = true,
                Ok(copied) => return Ok(copied as u64),
            }
        }
        self.buffer.resize(COPY_BUFFER_BYTES, 0);
        let room = len.min(self.buffer.len());
        loop {
            match rustix::io::read(&from, &mut self.buffer[..room]) {
                Ok(read) => {
                    write_all(&to, &self.buffer[..read])?;
                    return Ok(read as u64);
                }
                Err(Errno::INTR) => {}
                Err(errno) => return Err(fault_of(errno)),
            }
        }
    }
}

#[cfg(target_os = "linux")]
fn copy_in_kernel(from: impl AsFd, to: impl AsFd, len: usize) -> Result<usize, Errno> {
    rustix::fs::copy_file_range(from, None, to, None, len)
}

#[cfg(not(target_os = "linux"))]
fn copy_in_kernel(_from: impl AsFd, _to: impl AsFd, _len: usize) -> Result<usize, Errno> {
    Err(Errno::NOSYS)
}

/// What is free on a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Free {
    /// Bytes that this user may still write.
    pub(crate) bytes: u64,
    /// Bytes of the whole file system.
    pub(crate) total: u64,
    /// Inodes that this user may still make, and all that there are; `None` where their number has no bound.
    pub(crate) inodes: Option<(u64, u64)>,
}

/// What is free on the file system of something open; `None` where it does not say.
pub(crate) fn free_space(place: impl AsFd) -> Result<Option<Free>, Fault> {
    let space = rustix::fs::fstatvfs(place).map_err(fault_of)?;
    // What is kept back for root is root's.
    let is_root = rustix::process::geteuid().is_root();
    let (blocks, inodes) =
        if is_root { (space.f_bfree, space.f_ffree) } else { (space.f_bavail, space.f_favail) };
    let inodes = (space.f_files > 0).then_some((inodes, space.f_files));
    let bytes = |blocks: u64| blocks.saturating_mul(space.f_frsize);
    Ok((space.f_blocks > 0).then(|| Free { bytes: bytes(blocks), total: bytes(space.f_blocks), inodes }))
}
