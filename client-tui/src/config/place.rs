//! Where the configuration file really is, and how it is read and replaced.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags, flock};
use towpath_protocol::display::DisplayName;

/// No configuration is longer.
const BYTES_MAX: u64 = 1 << 20;
/// Symbolic links that lead to it, as the kernel has it.
const LINKS_MAX: usize = 40;

/// Reads the text at `path`. A pipe or a folder is refused: opening the one would wait for a writer.
pub(super) fn read(path: &Path) -> io::Result<String> {
    text_of(&open(path)?)
}

/// Returns whether nothing can be seen at `path`, which does not prevent the start.
#[allow(clippy::disallowed_methods, reason = "our own configuration, nothing that a server names")]
pub(super) fn is_absent(path: &Path, error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || std::fs::metadata(path).is_err()
}

#[allow(clippy::disallowed_methods, reason = "our own configuration, nothing that a server names")]
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    let kind = file.metadata()?.file_type();
    // A device is `/dev/null`, which says that there is to be none.
    if kind.is_file() || kind.is_char_device() {
        return Ok(file);
    }
    let kind = if kind.is_dir() { "a folder" } else { "a pipe, socket or device" };
    Err(io::Error::other(format!("{kind}, not a file")))
}

fn text_of(file: &File) -> io::Result<String> {
    let mut text = String::new();
    if file.take(BYTES_MAX + 1).read_to_string(&mut text)? as u64 > BYTES_MAX {
        return Err(io::Error::other(format!("longer than {BYTES_MAX} bytes")));
    }
    Ok(text)
}

/// The file, or the place for it, to be read, edited and replaced. Another `tow` that edits it waits meanwhile.
pub(super) struct ConfigPlace {
    path: PathBuf,
    folder: File,
    before: Option<File>,
}

#[allow(clippy::disallowed_methods, reason = "our own configuration, nothing that a server names")]
impl ConfigPlace {
    /// Follows links to the end, also where nothing is there yet. Err if what is there is no file, or may not be written.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let folder = path.parent().unwrap_or_else(|| Path::new("/"));
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let path = followed(path)?;
        let folder = File::open(path.parent().unwrap_or_else(|| Path::new("/")))?;
        flock(&folder, FlockOperation::LockExclusive)?;
        let before = match open(&path) {
            Ok(file) if file.metadata()?.is_file() => Some(file),
            Ok(_) => return Err(io::Error::other("a device, not a file")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        if before.is_some() {
            // A file that its owner has made read-only is not to be replaced either.
            OpenOptions::new().write(true).open(&path)?;
        }
        Ok(Self { path, folder, before })
    }

    pub(super) fn text(&self) -> io::Result<String> {
        self.before.as_ref().map_or_else(|| Ok(String::new()), text_of)
    }

    /// Replaces the file atomically: readers find the old text or the new one, also after a power cut. A file with another name is written
    /// in place, as editors do: replaced, it would no longer be the same as that.
    pub(super) fn replace(&self, text: &str) -> io::Result<()> {
        if let Some(before) = &self.before
            && before.metadata()?.nlink() > 1
        {
            return self.write_in_place(before, text);
        }
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let number = getrandom::u64().map_err(io::Error::other)?;
        let beside = self.path.with_file_name(format!(".{name}.{number:016x}"));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        let written = self.take_after(&file).and_then(|()| {
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&beside, &self.path)?;
            self.folder.sync_all()
        });
        if written.is_err() {
            // It may be in its place already.
            let _ = std::fs::remove_file(&beside);
        }
        written
    }

    /// Until it is done, the text of before lies beside.
    fn write_in_place(&self, before: &File, text: &str) -> io::Result<()> {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let number = getrandom::u64().map_err(io::Error::other)?;
        let saved = self.path.with_file_name(format!("{name}.{number:016x}.before"));
        let mut copy = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&saved)?;
        let written = copy
            .write_all(text_of(&open(&self.path)?)?.as_bytes())
            .and_then(|()| copy.sync_all())
            .and_then(|()| self.folder.sync_all());
        if let Err(error) = written {
            let _ = std::fs::remove_file(&saved);
            return Err(error);
        }
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        let write = || {
            let mut file =
                OpenOptions::new().write(true).custom_flags(flags.bits().cast_signed()).open(&self.path)?;
            let (known, found) = (before.metadata()?, file.metadata()?);
            if (known.dev(), known.ino()) != (found.dev(), found.ino()) {
                return Err(io::Error::other("another file took its place meanwhile"));
            }
            file.write_all(text.as_bytes())?;
            file.set_len(text.len() as u64)?;
            file.sync_all()
        };
        write().map_err(|error| {
            let saved = DisplayName::new(saved.as_os_str().as_bytes()).to_string();
            io::Error::new(error.kind(), format!("{error}; the text of before is in {saved}"))
        })?;
        std::fs::remove_file(&saved)
    }

    /// Owner and mode as before. A mode for a group that could not be kept is for the owner alone.
    fn take_after(&self, file: &File) -> io::Result<()> {
        let Some(before) = &self.before else { return Ok(()) };
        let (before, new) = (before.metadata()?, file.metadata()?);
        let is_same = (before.uid(), before.gid()) == (new.uid(), new.gid());
        let is_kept = is_same || fchown(file, Some(before.uid()), Some(before.gid())).is_ok();
        let mode = before.mode() & if is_kept { 0o777 } else { 0o700 };
        // Where a file system keeps no modes it is as private as that has it.
        let _ = file.set_permissions(Permissions::from_mode(mode));
        Ok(())
    }
}

/// Where links lead, step by step.
#[allow(clippy::disallowed_methods, reason = "our own configuration, nothing that a server names")]
fn followed(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..LINKS_MAX {
        match std::fs::read_link(&path) {
            Ok(target) => path = path.parent().unwrap_or_else(|| Path::new("/")).join(target),
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::other("too many symbolic links"))
}
