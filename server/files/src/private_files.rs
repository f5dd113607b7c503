//! Our own state on the disk: keys, who is paired with whom, journals. A folder and files that belong to this user alone, checked each
//! time they are opened; what is written is written beside, made durable and renamed: absent, old or complete. Writers take
//! turns by a lock. It knows nothing of what is in the files, and no path that a peer names ever comes here.
#![allow(clippy::disallowed_methods, reason = "our own files, which no peer can name")]

use std::fmt;
use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, CWD, Dir, FileType, FlockOperation, Mode, OFlags, Stat};
use rustix::io::Errno;
use rustix::process::geteuid;
use towpath_protocol::display::DisplayName;
use zeroize::Zeroizing;

use crate::disk::durable::flush_folder;
use crate::root::LOOK;

/// More than this is none of our files.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Most of what is shown of why a file cannot be understood.
const WHY_BYTES_MAX: usize = 300;
/// How long a writer waits for another one.
const LOCK_TIME: Duration = Duration::from_secs(5);
const LOCK_PAUSE: Duration = Duration::from_millis(5);
/// The file that writers lock. Never removed: whoever holds it open would lock nothing.
const LOCK_NAME: &str = "lock";
const FOLDER_MODE: Mode = Mode::RWXU;
const FILE_MODE: Mode = Mode::RUSR.union(Mode::WUSR);
/// What a folder or file of ours may not grant.
const OTHERS: Mode = Mode::RWXG.union(Mode::RWXO);

/// Why our own state cannot be used: `PATH: WHY`, safe for a terminal.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {why}")]
pub struct PrivateFault {
    path: String,
    pub why: Why,
}

/// What is wrong with a folder or file of ours.
#[derive(Debug, thiserror::Error)]
pub enum Why {
    #[error(
        "others may read or change it (mode {mode:04o}): `chmod {right}` it if nobody did, remove it if somebody may have"
    )]
    NotPrivate { mode: u32, right: &'static str },
    #[error("belongs to another user ({0})")]
    NotOurs(u32),
    #[error("is a symbolic link, or not a {0}")]
    WrongKind(&'static str),
    #[error("is too large to be ours")]
    TooLarge,
    #[error("another program holds the lock beside it for too long")]
    Locked,
    #[error("cannot be understood ({0})")]
    NotUnderstood(String),
    #[error("{0}")]
    System(std::io::Error),
}

/// A file's identity and time: another one after every write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStamp(u64, i64, i64);

impl FileStamp {
    /// When it was written, in seconds since 1970.
    pub const fn written_seconds(self) -> i64 {
        self.1
    }
}

/// A folder for this user alone.
pub struct PrivateFolder {
    folder: OwnedFd,
    path: PathBuf,
}

impl fmt::Debug for PrivateFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateFolder({})", self.path.display())
    }
}

impl PrivateFolder {
    /// Opens it; makes it, and what is missing above it, with mode 0700. Refuses a folder of another user, one that others may
    /// enter, and a link in its place.
    pub fn open(path: &Path) -> Result<Self, PrivateFault> {
        let fault = |why| PrivateFault { path: shown(path), why };
        make_folders(path).map_err(|errno| fault(system(errno)))?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = rustix::fs::openat(CWD, path, flags, Mode::empty()).map_err(|errno| match errno {
            Errno::NOTDIR | Errno::LOOP => fault(Why::WrongKind("folder")),
            errno => fault(system(errno)),
        })?;
        let stat = rustix::fs::fstat(&folder).map_err(|errno| fault(system(errno)))?;
        check_private(&stat, "700").map_err(fault)?;
        Ok(Self { folder, path: path.to_owned() })
    }

    /// Where a file of this name is, for people.
    pub fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The content; none where there is no such file. Refuses links, what others may read, and files of other users.
    pub fn read(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, PrivateFault> {
        match read_at(self.folder.as_fd(), Path::new(name)) {
            Ok(content) => Ok(Some(content)),
            Err(Why::System(error)) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(why) => Err(self.fault(name, why)),
        }
    }

    /// Like [`read`](Self::read), for a file of at most `bytes_max` bytes.
    pub fn read_up_to(&self, name: &str, bytes_max: u64) -> Result<Option<Zeroizing<Vec<u8>>>, PrivateFault> {
        match read_at_most(self.folder.as_fd(), Path::new(name), bytes_max) {
            Ok(content) => Ok(Some(content)),
            Err(Why::System(error)) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(why) => Err(self.fault(name, why)),
        }
    }

    /// Opens a file that is there, to write behind its end.
    pub fn append_to(&self, name: &str) -> Result<Appending, PrivateFault> {
        let fault = |errno| self.fault(name, system(errno));
        let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.folder, name, flags, Mode::empty()).map_err(fault)?;
        let stat = rustix::fs::fstat(&file).map_err(fault)?;
        check_private(&stat, "600").map_err(|why| self.fault(name, why))?;
        Ok(Appending { file: File::from(file), path: shown(&self.path_of(name)) })
    }

    /// None where there is no such file.
    pub fn stamp(&self, name: &str) -> Option<FileStamp> {
        let stat = rustix::fs::statat(&self.folder, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        #[allow(
            clippy::useless_conversion,
            clippy::unnecessary_cast,
            reason = "other types on other systems"
        )]
        Some(FileStamp(stat.st_ino as u64, stat.st_mtime as i64, stat.st_mtime_nsec as i64))
    }

    /// The names of what is in it, `most` at most, in no order. What is not UTF-8 is none of ours, and left out. Blocks.
    pub fn names(&self, most: usize) -> Result<Vec<String>, PrivateFault> {
        let fault = |errno| PrivateFault { path: shown(&self.path), why: system(errno) };
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.folder).map_err(fault)? {
            if names.len() == most {
                break;
            }
            if let Ok(name) = entry.map_err(fault)?.file_name().to_str()
                && !matches!(name, "." | "..")
            {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    /// Makes a file that this process holds, durably: it is there with all of its content or not at all, and held from the first moment.
    pub fn make_held(&self, name: &str, content: &[u8]) -> Result<Held, PrivateFault> {
        let (folder, beside) = (&self.folder, format!("{name}.new"));
        let make = || -> std::io::Result<Held> {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let mut file = File::from(rustix::fs::openat(folder, &beside, flags, FILE_MODE)?);
            rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)?;
            file.write_all(content)?;
            file.sync_all()?;
            rustix::fs::renameat(folder, &beside, folder, name)?;
            rustix::fs::fsync(folder)?;
            Ok(Held { _file: file.into() })
        };
        make().map_err(|error| {
            let _ = rustix::fs::unlinkat(folder, &beside, AtFlags::empty());
            self.fault(name, Why::System(error))
        })
    }

    /// Removes a file that this process holds.
    pub fn remove_held(&self, name: &str, held: Held) -> Result<(), PrivateFault> {
        let removed = rustix::fs::unlinkat(&self.folder, name, AtFlags::empty());
        drop(held);
        removed.map_err(|errno| self.fault(name, system(errno)))
    }

    /// Waits for other writers, for five seconds at most. Blocks.
    pub fn lock(&self) -> Result<Locked<'_>, PrivateFault> {
        let fault = |errno| self.fault(LOCK_NAME, system(errno));
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let lock = rustix::fs::openat(&self.folder, LOCK_NAME, flags, FILE_MODE).map_err(fault)?;
        let end = Instant::now() + LOCK_TIME;
        loop {
            match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Locked { folder: self, _lock: lock }),
                Err(Errno::WOULDBLOCK | Errno::INTR) if Instant::now() < end => {
                    std::thread::sleep(LOCK_PAUSE);
                }
                Err(Errno::WOULDBLOCK | Errno::INTR) => return Err(self.fault(LOCK_NAME, Why::Locked)),
                Err(errno) => return Err(fault(errno)),
            }
        }
    }

    /// That a file of ours is not what it should be. `why` may quote what is in it: it is shown escaped, and not all of it.
    pub fn not_understood(&self, name: &str, why: impl fmt::Display) -> PrivateFault {
        let mut why = DisplayName::new(why.to_string().as_bytes()).to_string();
        why.truncate(why.floor_char_boundary(WHY_BYTES_MAX));
        self.fault(name, Why::NotUnderstood(why))
    }

    fn fault(&self, name: &str, why: Why) -> PrivateFault {
        PrivateFault { path: shown(&self.path_of(name)), why }
    }
}

/// A file of ours that only grows.
#[derive(Debug)]
pub struct Appending {
    file: File,
    path: String,
}

impl Appending {
    /// Writes `content` behind the end: on the disk when the system writes it there, in the file when this process ends, however it ends.
    pub fn append(&mut self, content: &[u8]) -> Result<(), PrivateFault> {
        let written = self.file.write_all(content);
        written.map_err(|error| PrivateFault { path: self.path.clone(), why: Why::System(error) })
    }

    /// One that takes nothing: it is open for reading.
    #[cfg(test)]
    #[allow(clippy::expect_used, reason = "a test's")]
    pub(crate) fn in_vain() -> Self {
        Self { file: File::open("/dev/null").expect("every system has one"), path: "/dev/null".to_owned() }
    }
}

/// A private folder that nobody else writes to meanwhile.
#[derive(Debug)]
pub struct Locked<'a> {
    folder: &'a PrivateFolder,
    _lock: OwnedFd,
}

impl Locked<'_> {
    /// As [`PrivateFolder::read`].
    pub fn read(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, PrivateFault> {
        self.folder.read(name)
    }

    /// Replaces the file, durably: afterwards it holds the old content or the new, whatever happens.
    pub fn write(&self, name: &str, content: &[u8]) -> Result<(), PrivateFault> {
        let fault = |error: std::io::Error| self.folder.fault(name, Why::System(error));
        let (folder, beside) = (&self.folder.folder, format!("{name}.new"));
        let write = || -> std::io::Result<()> {
            // Of a writer that did not come to its end.
            match rustix::fs::unlinkat(folder, &beside, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(errno) => return Err(errno.into()),
            }
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let mut file = File::from(rustix::fs::openat(folder, &beside, flags, FILE_MODE)?);
            file.write_all(content)?;
            file.sync_all()?;
            rustix::fs::renameat(folder, &beside, folder, name)?;
            Ok(rustix::fs::fsync(folder)?)
        };
        write().map_err(|error| {
            // On a full disk what was written of it would take the room that others need.
            let _ = rustix::fs::unlinkat(folder, &beside, AtFlags::empty());
            fault(error)
        })
    }

    /// Gives a file another name, durably; what has that name is replaced.
    pub fn rename(&self, from: &str, to: &str) -> Result<(), PrivateFault> {
        let folder = &self.folder.folder;
        let renamed = rustix::fs::renameat(folder, from, folder, to).and_then(|()| rustix::fs::fsync(folder));
        renamed.map_err(|errno| self.folder.fault(from, system(errno)))
    }

    /// A file that stands for this process as long as it holds it: made where it is not there, and given up when the process ends,
    /// however it ends. None where another process holds it.
    pub fn hold(&self, name: &str) -> Result<Option<Held>, PrivateFault> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fault = |errno| self.folder.fault(name, system(errno));
        let file = rustix::fs::openat(&self.folder.folder, name, flags, FILE_MODE).map_err(fault)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Held { _file: file })),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(errno) => Err(fault(errno)),
        }
    }

    /// No error where there is none.
    pub fn remove(&self, name: &str) -> Result<(), PrivateFault> {
        match rustix::fs::unlinkat(&self.folder.folder, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(self.folder.fault(name, system(errno))),
        }
    }
}

/// A file that nobody else can hold meanwhile. Dropped, it is given up.
#[derive(Debug)]
pub struct Held {
    _file: OwnedFd,
}

/// A file that a person names, with something in it that others may not know: refused as those of [`PrivateFolder::read`].
pub fn read_private(path: &Path) -> Result<Zeroizing<Vec<u8>>, PrivateFault> {
    read_at(CWD, path).map_err(|why| PrivateFault { path: shown(path), why })
}

fn read_at(folder: BorrowedFd<'_>, name: &Path) -> Result<Zeroizing<Vec<u8>>, Why> {
    read_at_most(folder, name, FILE_BYTES_MAX)
}

fn read_at_most(folder: BorrowedFd<'_>, name: &Path, bytes_max: u64) -> Result<Zeroizing<Vec<u8>>, Why> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::openat(folder, name, flags, Mode::empty()).map_err(|errno| match errno {
        Errno::LOOP => Why::WrongKind("file"),
        errno => system(errno),
    })?;
    let stat = rustix::fs::fstat(&file).map_err(system)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(Why::WrongKind("file"));
    }
    check_private(&stat, "600")?;
    let len = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
    if len > bytes_max {
        return Err(Why::TooLarge);
    }
    // Never grown, so that no copy of a secret is left behind.
    let mut content = Zeroizing::new(Vec::with_capacity(len as usize));
    File::from(file).take(len).read_to_end(&mut content).map_err(Why::System)?;
    Ok(content)
}

/// Makes the folder and those above it that are missing, durably: what is flushed into one later is of no use if the folder itself is
/// gone after a power cut.
fn make_folders(path: &Path) -> Result<(), Errno> {
    match make_folder(path) {
        Err(Errno::NOENT) => match path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            Some(parent) => {
                make_folders(parent)?;
                make_folder(path)
            }
            None => Err(Errno::NOENT),
        },
        made => made,
    }
}

fn make_folder(path: &Path) -> Result<(), Errno> {
    match rustix::fs::mkdirat(CWD, path, FOLDER_MODE) {
        Ok(()) => {
            // The folder above may be one that this user cannot read.
            let above =
                path.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
            let open = |access| {
                rustix::fs::openat(CWD, above, access | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            };
            let above = open(OFlags::RDONLY).or_else(|_| open(LOOK))?;
            flush_folder(above).map_err(|_| Errno::IO)
        }
        Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(errno),
    }
}

fn check_private(stat: &Stat, right: &'static str) -> Result<(), Why> {
    if stat.st_uid != geteuid().as_raw() {
        return Err(Why::NotOurs(stat.st_uid));
    }
    let mode = Mode::from_raw_mode(stat.st_mode);
    if mode.intersects(OTHERS) {
        #[allow(clippy::useless_conversion, reason = "a narrower type on other systems")]
        return Err(Why::NotPrivate { mode: u32::from(mode.bits()) & 0o7777, right });
    }
    Ok(())
}

fn system(errno: Errno) -> Why {
    Why::System(errno.into())
}

fn shown(path: &Path) -> String {
    DisplayName::new(path.as_os_str().as_encoded_bytes()).to_string()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
    }

    fn chmod(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn f67_what_is_written_is_private_and_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state/towpath/server");
        let folder = PrivateFolder::open(&path).unwrap();
        assert_eq!(folder.read("keys").unwrap(), None);
        assert_eq!(folder.stamp("keys"), None);
        for content in [&b"first"[..], b"", b"and third"] {
            let before = folder.stamp("keys");
            folder.lock().unwrap().write("keys", content).unwrap();
            assert_eq!(folder.read("keys").unwrap().unwrap().as_slice(), content);
            assert_ne!(folder.stamp("keys"), before);
        }
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o700, 0o700));
        assert_eq!(mode(&path.join("keys")), 0o600);
        let mut names: Vec<_> =
            fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["keys", "lock"]);
        let locked = folder.lock().unwrap();
        locked.remove("keys").unwrap();
        locked.remove("keys").unwrap();
        assert_eq!(locked.read("keys").unwrap(), None);
    }

    #[test]
    fn f67_what_others_may_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        let folder = PrivateFolder::open(&path).unwrap();
        folder.lock().unwrap().write("keys", b"secret").unwrap();
        for wide in [0o640, 0o604, 0o660, 0o644] {
            chmod(&path.join("keys"), wide);
            let fault = folder.read("keys").unwrap_err();
            assert!(matches!(fault.why, Why::NotPrivate { .. }), "{fault}");
            assert!(fault.to_string().contains(&format!("{wide:04o}")), "{fault}");
        }
        chmod(&path.join("keys"), 0o400);
        folder.read("keys").unwrap();
        for wide in [0o750, 0o705, 0o711, 0o777] {
            chmod(&path, wide);
            let fault = PrivateFolder::open(&path).unwrap_err();
            assert!(matches!(fault.why, Why::NotPrivate { .. }), "{fault}");
        }
        chmod(&path, 0o700);
        PrivateFolder::open(&path).unwrap();
    }

    #[test]
    fn f67_links_and_other_kinds_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        let folder = PrivateFolder::open(&path).unwrap();
        fs::write(dir.path().join("elsewhere"), "x").unwrap();
        chmod(&dir.path().join("elsewhere"), 0o600);
        symlink(dir.path().join("elsewhere"), path.join("link")).unwrap();
        fs::create_dir(path.join("folder")).unwrap();
        for name in ["link", "folder"] {
            let fault = folder.read(name).unwrap_err();
            assert!(matches!(fault.why, Why::WrongKind(_)), "{fault}");
        }
        // What stands in the way of a write is replaced, not followed.
        symlink(dir.path().join("elsewhere"), path.join("keys.new")).unwrap();
        folder.lock().unwrap().write("keys", b"new").unwrap();
        folder.lock().unwrap().write("link", b"new").unwrap();
        assert_eq!(fs::read(dir.path().join("elsewhere")).unwrap(), b"x");
        assert_eq!(folder.read("link").unwrap().unwrap().as_slice(), b"new");
        symlink(&path, dir.path().join("state-link")).unwrap();
        let fault = PrivateFolder::open(&dir.path().join("state-link")).unwrap_err();
        assert!(matches!(fault.why, Why::WrongKind(_)), "{fault}");
        let fault = PrivateFolder::open(&dir.path().join("elsewhere")).unwrap_err();
        assert!(matches!(fault.why, Why::WrongKind(_)), "{fault}");
    }

    #[test]
    fn writers_take_turns() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        PrivateFolder::open(&path).unwrap().lock().unwrap().write("count", b"0").unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let folder = PrivateFolder::open(&path).unwrap();
                    for _ in 0..10 {
                        let locked = folder.lock().unwrap();
                        let count = locked.read("count").unwrap().unwrap();
                        let count: u32 = std::str::from_utf8(&count).unwrap().parse().unwrap();
                        locked.write("count", (count + 1).to_string().as_bytes()).unwrap();
                    }
                });
            }
        });
        let folder = PrivateFolder::open(&path).unwrap();
        assert_eq!(folder.read("count").unwrap().unwrap().as_slice(), b"40");
    }

    #[test]
    fn what_one_holds_nobody_else_can_until_it_is_given_up() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        let [one, two] = [(); 2].map(|()| PrivateFolder::open(&path).unwrap());
        let held = one.lock().unwrap().hold("living").unwrap();
        assert!(held.is_some());
        assert!(two.lock().unwrap().hold("living").unwrap().is_none());
        drop(held);
        assert!(two.lock().unwrap().hold("living").unwrap().is_some());
        two.lock().unwrap().rename("living", "left").unwrap();
        let mut names = one.names(10).unwrap();
        names.sort();
        assert_eq!(names, ["left", "lock"]);
        assert_eq!(one.names(1).unwrap().len(), 1);
    }

    #[test]
    fn a_path_is_shown_without_its_escapes() {
        let dir = tempfile::tempdir().unwrap();
        let fault = PrivateFolder::open(&dir.path().join("a\x1b[2J\0")).unwrap_err();
        assert!(!fault.to_string().contains('\x1b'), "{fault}");
    }
}
