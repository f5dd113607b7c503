//! Reading: files, folders, space. The same rules as `disk`: descriptors and single names only, no link is followed.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::buffer::spare_capacity;
use rustix::fs::{Dir, FileType, Mode, OFlags};
use rustix::io::Errno;
use towpath_protocol::answer::SpaceInfo;
use towpath_protocol::entry::{Attributes, Kind};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::limits::NAME_BYTES_MAX;
use towpath_protocol::path::{Name, PathError};

use super::parts::{has_part_form, is_part};
use super::writing::open_again;
use super::{code_of, fault_of, identity_of, kind_of, mounts, stat, stat_open};

/// How a file is opened for reading. It may be a fifo or a device: opening one must not wait nor become our terminal.
pub(crate) const READ_FILE: OFlags = OFlags::RDONLY
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Opens a regular file of a folder for reading.
pub(crate) fn open_file(folder: impl AsFd, name: &Name) -> Result<OwnedFd, Fault> {
    let file = rustix::fs::openat(folder, name.as_bytes(), READ_FILE, Mode::empty()).map_err(fault_of)?;
    only_a_file(file).map_err(Fault::new)
}

/// Refuses everything that was opened with [`READ_FILE`] and is not a regular file; reads of the rest may wait.
pub(crate) fn only_a_file(file: OwnedFd) -> Result<OwnedFd, FaultCode> {
    match stat_open(&file).map_err(|fault| fault.code)?.kind {
        Kind::File => {}
        Kind::Folder => return Err(FaultCode::IsAFolder),
        _ => return Err(FaultCode::SpecialFile),
    }
    rustix::fs::fcntl_setfl(&file, OFlags::empty()).map_err(code_of)?;
    Ok(file)
}

/// Reads the names in a folder as the disk gives them; unfinished files of ours, `.` and `..` are left out. Names that the protocol
/// cannot say are left out too, and end in a fault after all others.
#[derive(Debug)]
pub(crate) struct FolderReader {
    folder: Dir,
    has_unsayable: bool,
    /// Some of the unfinished files that were left out.
    parts: Vec<Name>,
    /// All of them, by identity and size, if requested.
    parts_met: Option<Vec<(u64, u64)>>,
}

/// Unfinished files that a reader remembers.
const PARTS_MAX: usize = 64;

impl FolderReader {
    /// Takes a folder that is open for reading and was not read from before.
    pub(crate) fn new(folder: OwnedFd) -> Result<Self, Fault> {
        let folder = Dir::new(folder).map_err(fault_of)?;
        Ok(Self { folder, has_unsayable: false, parts: Vec::new(), parts_met: None })
    }

    /// The folder itself, for looking at what is in it.
    pub(crate) fn folder(&self) -> Result<BorrowedFd<'_>, Fault> {
        self.folder.fd().map_err(fault_of)
    }

    /// From now on unfinished files are looked at too.
    pub(crate) fn look_at_parts(&mut self) {
        self.parts_met.get_or_insert_default();
    }

    /// Identities and sizes of unfinished files that were met since the last call.
    pub(crate) fn parts_met(&mut self) -> Vec<(u64, u64)> {
        self.parts_met.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Some of the unfinished files that were met and left out.
    pub(crate) fn parts(&self) -> &[Name] {
        &self.parts
    }

    /// `TimedOut` if a file system is mounted at this name and does not answer. To be called before that is looked at and opened.
    pub(crate) fn check_answers(&self, name: &Name, kind: Option<Kind>) -> Result<(), Fault> {
        if matches!(kind, None | Some(Kind::Folder)) {
            mounts::check_answers(self.folder()?, name, &|| false)
        } else {
            Ok(())
        }
    }

    /// Attributes of one name in it; none where that has vanished meanwhile. What is there but cannot be looked at (a mount of
    /// another user, a folder without the right to search) keeps its name, and its kind where the folder told it: the
    /// second value says why the rest is not known.
    pub(crate) fn look(
        &self,
        name: &Name,
        kind: Option<Kind>,
    ) -> Result<Option<(Attributes, Option<FaultCode>)>, Fault> {
        let folder = self.folder()?;
        // Only folders are mounted on, files apart that containers put in each other's place.
        let is_mount = matches!(kind, None | Some(Kind::Folder)) && mounts::is_mount(folder, name);
        match if is_mount { mounts::look(folder, name) } else { stat(folder, name) } {
            Ok(attributes) => Ok(Some((attributes, None))),
            Err(fault) if fault.code == FaultCode::NotFound => Ok(None),
            Err(fault) => Ok(Some((Attributes::unknown(kind.unwrap_or(Kind::Other)), Some(fault.code)))),
        }
    }
}

impl Iterator for FolderReader {
    /// The kind where the disk tells it together with the name. Err is the last item: there is more that does not come.
    type Item = Result<(Name, Option<Kind>), Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let entry = match self.folder.next() {
                Some(Ok(entry)) => entry,
                Some(Err(errno)) => return Some(Err(fault_of(errno))),
                None => return std::mem::take(&mut self.has_unsayable).then(|| Err(unsayable())),
            };
            let name = match Name::new(entry.file_name().to_bytes()) {
                Ok(name) => name,
                Err(error) => {
                    self.has_unsayable |= matches!(error, PathError::NameTooLong(_));
                    continue;
                }
            };
            if !has_part_form(&name) || !self.folder.fd().is_ok_and(|folder| is_part(folder, &name)) {
                let kind = entry.file_type();
                return Some(Ok((name, (kind != FileType::Unknown).then(|| kind_of(kind)))));
            }
            if let (Some(met), Ok(folder)) = (&mut self.parts_met, self.folder.fd())
                && let Ok(found) = stat(folder, &name)
            {
                met.push((found.identity, found.size));
            }
            if self.parts.len() < PARTS_MAX {
                self.parts.push(name);
            }
        }
    }
}

/// All names in a folder, unfinished files too, as the disk gives them, each with whether it may be a folder's. Err is the last item: there
/// is more that does not come.
pub(crate) fn each_entry(
    folder: &OwnedFd,
) -> Result<impl Iterator<Item = Result<(Name, bool), Fault>> + use<>, Fault> {
    let mut entries = Dir::read_from(folder).map_err(fault_of)?;
    let mut has_unsayable = false;
    Ok(std::iter::from_fn(move || {
        loop {
            let (name, kind) = match entries.next() {
                Some(Ok(entry)) => (Name::new(entry.file_name().to_bytes()), entry.file_type()),
                Some(Err(errno)) => return Some(Err(fault_of(errno))),
                None => return std::mem::take(&mut has_unsayable).then(|| Err(unsayable())),
            };
            match name {
                Ok(name) => {
                    return Some(Ok((name, matches!(kind, FileType::Directory | FileType::Unknown))));
                }
                Err(error) => has_unsayable |= matches!(error, PathError::NameTooLong(_)),
            }
        }
    }))
}

/// The names in a folder, each with the identity that the folder tells together with it: without a look at the thing. It is another one where
/// something is mounted, and on file systems that number things in two ways.
pub(crate) fn each_identity(
    folder: BorrowedFd<'_>,
) -> Result<impl Iterator<Item = Result<(Name, u64), Fault>> + use<>, Fault> {
    // It may be open only to be looked at, which is not enough to read it.
    let mut entries = Dir::new(open_again(folder)?).map_err(fault_of)?;
    #[allow(clippy::unnecessary_cast, reason = "its type differs from system to system")]
    let device = entries.stat().map_err(fault_of)?.st_dev as u64;
    Ok(std::iter::from_fn(move || {
        loop {
            let entry = match entries.next()? {
                Ok(entry) => entry,
                Err(errno) => return Some(Err(fault_of(errno))),
            };
            match Name::new(entry.file_name().to_bytes()) {
                Ok(name) => return Some(Ok((name, identity_of(device, entry.ino())))),
                Err(PathError::NameTooLong(_)) => return Some(Err(unsayable())),
                // `.` and `..`
                Err(_) => {}
            }
        }
    }))
}

/// The names alone.
pub(crate) fn each_name(
    folder: &OwnedFd,
) -> Result<impl Iterator<Item = Result<Name, Fault>> + use<>, Fault> {
    Ok(each_entry(folder)?.map(|entry| entry.map(|(name, _)| name)))
}

/// The same in one list: for folders of our own.
pub(crate) fn names(folder: &OwnedFd) -> Result<Vec<Name>, Fault> {
    each_name(folder)?.collect()
}

fn unsayable() -> Fault {
    Fault::new(FaultCode::NameTooLong)
        .because(format!("it holds a name of more than {NAME_BYTES_MAX} bytes, which is left out"))
}

/// Appends up to `len` bytes of a file from `offset` on to `buffer`, and says how many; fewer only at the end of the file.
pub(crate) fn read_at(
    file: impl AsFd,
    buffer: &mut Vec<u8>,
    offset: u64,
    len: usize,
) -> Result<usize, Fault> {
    let before = buffer.len();
    buffer.reserve(len);
    while buffer.len() - before < len {
        let read = buffer.len() - before;
        // The spare room may be larger than what is asked for; a read beyond it is cut off below.
        match rustix::io::pread(&file, spare_capacity(buffer), offset + read as u64) {
            Ok(0) => break,
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(fault_of(errno)),
        }
    }
    buffer.truncate(before + len);
    Ok(buffer.len() - before)
}

/// Reads a file from `offset` on into all of `buffer`, and says how many bytes; fewer only at the end of the file.
pub(crate) fn read_into(file: impl AsFd, buffer: &mut [u8], offset: u64) -> Result<usize, Fault> {
    let mut read = 0;
    while read < buffer.len() {
        match rustix::io::pread(&file, &mut buffer[read..], offset + read as u64) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(fault_of(errno)),
        }
    }
    Ok(read)
}

/// Returns whether a file holds bytes behind the size that it says, and goes on saying it: files that a system makes up may be longer than that.
pub(crate) fn holds_more(file: impl AsFd, size: u64) -> Result<bool, Fault> {
    // An error behind the end says nothing about the file.
    let is_more = read_into(&file, &mut [0], size).is_ok_and(|read| read == 1);
    Ok(is_more && stat_open(file)?.size == size)
}

/// Free and total bytes of the file system that something open is on.
pub(crate) fn space(thing: impl AsFd) -> Result<SpaceInfo, Fault> {
    let stat = rustix::fs::fstatvfs(thing).map_err(fault_of)?;
    let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
    Ok(SpaceInfo { free: bytes(stat.f_bavail), total: bytes(stat.f_blocks) })
}
