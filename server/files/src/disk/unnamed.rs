//! Files that get their name when they are complete (`O_TMPFILE`). Nothing remains of one whose program is killed, no listing shows it, and
//! nobody else can open it meanwhile. It also costs fewer system calls than a name beside its place and a rename. Not every file system has
//! them (NFS, most of FUSE, FAT): each is tried once. The same rules as `disk`: an open folder and a name in it.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{AtFlags, Dev, Mode, OFlags};
use rustix::io::Errno;
use towpath_protocol::fault::{Fault, FaultCode};

use super::parts::PartId;
use super::writing::{Inode, Spot};
use super::{fault_of, open_things};

/// File systems that are remembered.
const KNOWN_MAX: usize = 64;

/// Devices of file systems that were tried, and whether each has such files.
static KNOWN: Mutex<Vec<(Dev, bool)>> = Mutex::new(Vec::new());

/// The system gives a name by `/proc` alone: before Linux 6.10 the other way is root's.
static BY_PROC: AtomicBool = AtomicBool::new(false);

/// Creates a file with what this folder gives of `mode`. `None` where it has to have a name from the beginning; then that says why not. A
/// name of `id` is tried once a file system.
pub(crate) fn create((folder, inode): (impl AsFd, Inode), id: PartId, mode: u16) -> Option<OwnedFd> {
    let folder = folder.as_fd();
    is_able(folder, inode, id).then(|| create_in(folder, mode).ok()).flatten()
}

/// Gives the file its name, in the folder in which it was created; `AlreadyExists` where the name is taken.
pub(crate) fn give_name(file: impl AsFd, to: Spot<'_>) -> Result<(), Fault> {
    link(file.as_fd(), to).map_err(|errno| match errno {
        Errno::EXIST => FaultCode::AlreadyExists.into(),
        errno => fault_of(errno),
    })
}

fn create_in(folder: BorrowedFd<'_>, mode: u16) -> Result<OwnedFd, Errno> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    rustix::fs::openat(folder, ".", flags, Mode::from_raw_mode(mode.into()))
}

fn link(file: BorrowedFd<'_>, to: Spot<'_>) -> Result<(), Errno> {
    let name = to.name.as_bytes();
    if !BY_PROC.load(Ordering::Relaxed) {
        match rustix::fs::linkat(file, c"", to.folder, name, AtFlags::EMPTY_PATH) {
            Err(Errno::NOENT | Errno::PERM) => {}
            done => return done,
        }
    }
    let number = rustix::path::DecInt::new(file.as_raw_fd());
    rustix::fs::linkat(open_things()?, number.as_c_str(), to.folder, name, AtFlags::SYMLINK_FOLLOW)?;
    BY_PROC.store(true, Ordering::Relaxed);
    Ok(())
}

fn is_able(folder: BorrowedFd<'_>, inode: Inode, id: PartId) -> bool {
    let device = inode.device();
    let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, is_able)) = known().iter().find(|(known, _)| *known == device) {
        return *is_able;
    }
    let Some(is_able) = tried(folder, id) else { return false };
    let mut known = known();
    if known.len() >= KNOWN_MAX {
        known.remove(0);
    }
    known.push((device, is_able));
    is_able
}

/// Makes such a file, gives it a name, and removes that again. `None` if this folder or a full disk is to blame, and not the file system.
fn tried(folder: BorrowedFd<'_>, id: PartId) -> Option<bool> {
    let file = match create_in(folder, 0o600) {
        Ok(file) => file,
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOSYS) => return Some(false),
        Err(_) => return None,
    };
    let name = id.file_name(&file).ok()?;
    let spot = Spot::new(&folder, &name);
    match link(file.as_fd(), spot) {
        Ok(()) => {}
        Err(Errno::NOSPC | Errno::DQUOT | Errno::MFILE | Errno::NFILE) => return None,
        Err(_) => return Some(false),
    }
    let is_it = Inode::of(spot).is_ok_and(|named| Inode::of_open(&file).is_ok_and(|own| own == named));
    let is_removed = super::writing::remove_file(folder, &name).is_ok();
    Some(is_it && is_removed)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use towpath_protocol::path::Name;

    use super::*;

    fn folder() -> (tempfile::TempDir, OwnedFd) {
        let folder = tempfile::tempdir().unwrap();
        let opened = rustix::fs::open(folder.path(), OFlags::RDONLY, Mode::empty()).unwrap();
        (folder, opened)
    }

    fn inode(folder: &OwnedFd) -> Inode {
        Inode::of_open(folder).unwrap()
    }

    fn id() -> PartId {
        PartId::random().unwrap()
    }

    #[test]
    fn a_file_has_no_name_until_it_gets_one_and_never_another_ones() {
        let (folder, opened) = folder();
        let Some(file) = create((&opened, inode(&opened)), id(), 0o640) else { return };
        super::super::writing::write_all(&file, b"content").unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let (name, taken) = (Name::try_from("name").unwrap(), Name::try_from("taken").unwrap());
        std::fs::write(folder.path().join("taken"), "other").unwrap();
        let fault = give_name(&file, Spot::new(&opened, &taken)).unwrap_err();
        assert_eq!(fault.code, FaultCode::AlreadyExists);
        give_name(&file, Spot::new(&opened, &name)).unwrap();
        let made = std::fs::metadata(folder.path().join("name")).unwrap();
        assert_eq!((made.nlink(), made.len()), (1, 7));
        assert_eq!(std::fs::read(folder.path().join("taken")).unwrap(), b"other");
    }

    #[test]
    fn by_way_of_proc_a_file_gets_its_name_too() {
        let (folder, opened) = folder();
        let Some(file) = create((&opened, inode(&opened)), id(), 0o600) else { return };
        let number = rustix::path::DecInt::new(file.as_raw_fd());
        let flags = AtFlags::SYMLINK_FOLLOW;
        rustix::fs::linkat(open_things().unwrap(), number.as_c_str(), &opened, "name", flags).unwrap();
        assert_eq!(std::fs::metadata(folder.path().join("name")).unwrap().nlink(), 1);
    }

    #[test]
    fn a_file_system_without_such_files_is_told_apart() {
        let proc = rustix::fs::open("/proc/self", OFlags::RDONLY, Mode::empty()).unwrap();
        assert!(create((&proc, inode(&proc)), id(), 0o600).is_none());
    }
}
