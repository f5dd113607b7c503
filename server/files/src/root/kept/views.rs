//! A second view of what is kept: bindfs, an overlay or a network mount of this machine can show the same folders again, under another
//! device and other inode numbers. By its names and by what is in it such a view is recognised, wherever a thing was reached by a mount
//! other than the one on which that which is kept lies. Where a name is that of something kept and nothing tells the two apart, it is kept.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::look::{Looked, Mount, folder_at, has, if_there, path_of};
use super::{FOLDERS_DEEP_MAX, Guarded, Kept, Names, Spot};

/// Files shorter than this are alike too often: they prove nothing.
const PROVING_BYTES_MIN: i64 = 64;
/// Bytes of two files that are compared.
const COMPARED_BYTES_MAX: usize = 64 * 1024;
/// Names of one folder that are looked for in the other.
const NAMES_MAX: usize = 256;
/// Time that the verdict on the top of a mount holds: only who may mount can change it.
const TOP_REMEMBERED: Duration = Duration::from_secs(1);
const TOPS_MAX: usize = 64;

/// The tops of mounts that were met a moment ago.
#[derive(Debug, Default)]
pub(super) struct Tops(Mutex<Vec<Top>>);

#[derive(Debug, Clone)]
struct Top {
    mount: Mount,
    path: PathBuf,
    /// True if its file system may show files of another one.
    shows_others: bool,
    guarded: Option<Guarded>,
    looked_at: Instant,
}

/// The relation of two folders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Alike {
    /// A file that no other folder has.
    Proven,
    Unknown,
    Different,
}

impl Kept {
    /// Returns whether a thing is kept, or lies in what is, by another mount.
    pub(super) fn holds_view(&self, thing: &Looked, path: &Path) -> Result<bool, Errno> {
        let mut elsewhere = self.kept().filter(|spot| !spot.mount.is(thing.mount)).peekable();
        if elsewhere.peek().is_none() {
            return Ok(false);
        }
        let top = self.top_of(thing, path)?;
        if top.guarded == Some(Guarded::Kept) {
            return Ok(true);
        }
        for spot in elsewhere.filter(|spot| top.shows_others || spot.is_view || spot.is_near(thing)) {
            if spot.is_met_on(path, &self.spots)? || spot.has_twin(thing)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns how much is kept of a thing that is itself the top of a mount.
    pub(super) fn guards_top(&self, thing: &Looked, path: &Path) -> Result<Option<Guarded>, Errno> {
        if self.spots.iter().all(|spot| spot.mount.is(thing.mount)) {
            return Ok(None);
        }
        let top = self.top_of(thing, path)?;
        Ok(top.guarded.filter(|guarded| *guarded == Guarded::Kept || top.path == path))
    }

    fn top_of(&self, thing: &Looked, path: &Path) -> Result<Top, Errno> {
        let mut tops = self.tops.0.lock().unwrap_or_else(PoisonError::into_inner);
        tops.retain(|top| top.looked_at.elapsed() < TOP_REMEMBERED);
        // The system may have given the number of a mount that is gone to another one.
        let is_known = |top: &&Top| top.mount.is(thing.mount) && path.starts_with(&top.path);
        if let Some(known) = tops.iter().find(is_known) {
            return Ok(known.clone());
        }
        // It may take a while: nobody waits for it.
        drop(tops);
        let path = top_path(thing, path)?;
        let top = Top {
            mount: thing.mount,
            shows_others: may_show_others(&path),
            guarded: self.judge(thing.mount, &path)?,
            path,
            looked_at: Instant::now(),
        };
        let mut tops = self.tops.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tops.len() < TOPS_MAX {
            tops.push(top.clone());
        }
        Ok(top)
    }

    /// Returns whether a mount shows what is kept, something in it or on the way to it, and none of the names above.
    fn judge(&self, mount: Mount, top: &Path) -> Result<Option<Guarded>, Errno> {
        let Some(theirs) = readable(folder_at(CWD, top.as_os_str().as_encoded_bytes()))? else {
            return Ok(None);
        };
        let (shows_others, device) = (may_show_others(top), rustix::fs::fstat(&theirs)?.st_dev);
        let may_show =
            |spot: &&Arc<Spot>| !spot.mount.is(mount) && (shows_others || spot.is_view || spot.is_on(device));
        for spot in self.kept().filter(may_show) {
            let ours = readable(folder_at(&spot.folder, spot.name.as_encoded_bytes()))?;
            if ours.map_or(Ok(false), |ours| shows(&theirs, &ours, FOLDERS_DEEP_MAX))? {
                return Ok(Some(Guarded::Kept));
            }
        }
        for spot in self.spots.iter().filter(|spot| spot.is_way_by_folder()).filter(may_show) {
            if spot.may_lead(&self.spots, top)? {
                return Ok(Some(Guarded::Way));
            }
        }
        Ok(None)
    }
}

impl Spot {
    fn is_called_by(&self, path: &Path) -> bool {
        path.file_name().is_some_and(|name| self.is_one_of_its_names(name.as_encoded_bytes()))
    }

    /// Returns whether this path, by another mount, may lead by this spot's thing.
    fn is_met_on(&self, path: &Path, all: &[Arc<Self>]) -> Result<bool, Errno> {
        // Most paths have no such name in them.
        if self.is_named_in(path) {
            for above in path.ancestors().filter(|above| self.is_called_by(above)) {
                if self.may_be(all, above)? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    fn is_way_by_folder(&self) -> bool {
        self.guarded == Guarded::Way && !self.is_link
    }

    /// Returns whether what has this path, by another mount, may be this spot's thing. The name is one of its names.
    pub(super) fn may_be(&self, all: &[Arc<Self>], path: &Path) -> Result<bool, Errno> {
        if self.is_way_by_folder() {
            return self.may_lead(all, path);
        }
        if !self.may_be_shown_at(path)? {
            return Ok(false);
        }
        let name = match (self.names, path.file_name()) {
            (Names::Numbered, Some(name)) => name,
            _ => &self.name,
        };
        let theirs = look_at(path)?;
        let Some(ours) = Looked::at(&self.folder, name.as_encoded_bytes())? else {
            // Whoever made it there would have made it here.
            return if theirs.is_some() { Ok(false) } else { self.may_be_its_folder(path) };
        };
        let Some(theirs) = theirs.filter(|theirs| theirs.kind == ours.kind) else { return Ok(false) };
        if theirs.mount.device() == ours.mount.device() {
            return Ok(theirs.inode == ours.inode);
        }
        let names = (name.as_encoded_bytes(), path.as_os_str().as_encoded_bytes());
        match theirs.kind {
            FileType::Directory => {
                let folders =
                    (readable(folder_at(&self.folder, names.0))?, readable(folder_at(CWD, names.1))?);
                let (Some(ours), Some(theirs)) = folders else { return Ok(true) };
                Ok(alike(&ours, &theirs, FOLDERS_DEEP_MAX)? != Alike::Different)
            }
            FileType::Symlink => {
                let text = rustix::fs::readlinkat(&self.folder, names.0, Vec::new())?;
                Ok(text == rustix::fs::readlinkat(CWD, names.1, Vec::new())?)
            }
            FileType::RegularFile => is_one_content((&self.folder, names.0), (CWD, names.1)),
            _ => Ok(true),
        }
    }

    /// Returns false if this lies on one file system and the path on another, and neither shows anything but itself.
    fn may_be_shown_at(&self, path: &Path) -> Result<bool, Errno> {
        if self.is_view {
            return Ok(true);
        }
        for there in path.ancestors() {
            if let Some(looked) = look_at(there)? {
                return Ok(self.is_near(&looked) || may_show_others(there));
            }
        }
        Ok(true)
    }

    /// Of something absent: whether the folder that would hold it there may be the one that would hold it here.
    fn may_be_its_folder(&self, path: &Path) -> Result<bool, Errno> {
        let Some(above) = path.parent() else { return Ok(false) };
        let Some(looked) = look_at(above)? else { return Ok(false) };
        if self.folder_inode.is_on(looked.mount.device()) {
            return Ok(self.folder_inode == looked.inode);
        }
        let ours = readable(folder_at(&self.folder, b"."))?;
        let theirs = readable(folder_at(CWD, above.as_os_str().as_encoded_bytes()))?;
        let (Some(ours), Some(theirs)) = (ours, theirs) else { return Ok(true) };
        Ok(alike(&ours, &theirs, 0)? != Alike::Different)
    }

    /// Returns whether what this spot leads to is met by the same names below `path`.
    fn may_lead(&self, all: &[Arc<Self>], path: &Path) -> Result<bool, Errno> {
        let own = path_of(&self.folder)?.join(&self.name);
        for spot in all.iter().filter(|spot| !spot.is_way_by_folder()) {
            let target = path_of(&spot.folder)?.join(&spot.name);
            let below = target.strip_prefix(&own).ok().filter(|below| below.iter().next().is_some());
            if let Some(below) = below
                && spot.may_be(all, &path.join(below))?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns whether a thing with a second name, met by another mount, may have its first one here.
    pub(super) fn has_twin(&self, thing: &Looked) -> Result<bool, Errno> {
        if !thing.has_more_names() || self.mount.is(thing.mount) {
            return Ok(false);
        }
        let is_twin =
            |there: &Looked| there.has_more_names() && there.kind == thing.kind && there.size == thing.size;
        if self.now()?.is_some_and(|now| is_twin(&now)) {
            return Ok(true);
        }
        let is_it = |there: &Stat| is_twin(&Looked::from(there));
        has(&self.folder, self.name.as_encoded_bytes(), FOLDERS_DEEP_MAX, &is_it)
    }
}

/// The highest folder on the way to a thing that belongs to its mount.
fn top_path(thing: &Looked, path: &Path) -> Result<PathBuf, Errno> {
    let mut top = path;
    for above in path.ancestors().skip(1) {
        match Looked::at_path(above) {
            Ok(Some(looked)) if looked.mount.is_alike(thing.mount) => top = above,
            Ok(Some(_)) => break,
            // Renamed in the meantime, or out of this user's sight.
            Ok(None) | Err(Errno::ACCESS | Errno::NOTDIR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(top.to_owned())
}

/// Returns false for a file system that keeps its files on a disk of its own or in memory. All others may show files of another one: FUSE,
/// overlays, network mounts.
#[cfg(target_os = "linux")]
pub(super) fn may_show_others(path: &Path) -> bool {
    // ext2 to ext4, XFS, Btrfs, F2FS, ZFS, FAT, exFAT, NTFS, HFS+, ISO 9660, UDF, SquashFS, EROFS, tmpfs, ramfs, proc, sysfs.
    const OWN: [u64; 17] = [
        0xef53,
        0x5846_5342,
        0x9123_683e,
        0xf2f5_2010,
        0x2fc1_2fc1,
        0x4d44,
        0x2011_bab0,
        0x7366_746e,
        0x482b,
        0x9660,
        0x1501_3346,
        0x7371_7368,
        0xe0f5_e1e2,
        0x0102_1994,
        0x8584_58f6,
        0x9fa0,
        0x6265_6572,
    ];
    !rustix::fs::statfs(path).is_ok_and(|told| OWN.contains(&(told.f_type as u64)))
}

#[cfg(not(target_os = "linux"))]
pub(super) fn may_show_others(_path: &Path) -> bool {
    true
}

fn look_at(path: &Path) -> Result<Option<Looked>, Errno> {
    match Looked::at_path(path) {
        Err(Errno::NOTDIR) => Ok(None),
        looked => looked,
    }
}

/// Returns whether `theirs` shows `ours` or a folder in it.
fn shows(theirs: &OwnedFd, ours: &OwnedFd, deep: usize) -> Result<bool, Errno> {
    if alike(ours, theirs, FOLDERS_DEEP_MAX)? == Alike::Proven {
        return Ok(true);
    }
    if deep == 0 {
        return Ok(false);
    }
    for entry in Dir::read_from(ours)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        let is_folder = matches!(entry.file_type(), FileType::Directory | FileType::Unknown);
        if is_folder
            && !matches!(name, b"." | b"..")
            && let Some(inner) = readable(folder_at(ours, name))?
            && shows(theirs, &inner, deep - 1)?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Compares two folders: on one device by their numbers, else by what is in the first.
fn alike(ours: &OwnedFd, theirs: &OwnedFd, deep: usize) -> Result<Alike, Errno> {
    let (here, there) = (rustix::fs::fstat(ours)?, rustix::fs::fstat(theirs)?);
    if here.st_dev == there.st_dev {
        return Ok(if here.st_ino == there.st_ino { Alike::Proven } else { Alike::Different });
    }
    let mut outcome = Alike::Unknown;
    for entry in Dir::read_from(ours)?.take(NAMES_MAX) {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if matches!(name, b"." | b"..") {
            continue;
        }
        match alike_in(ours, theirs, (name, entry.file_type()), deep)? {
            Alike::Proven => return Ok(Alike::Proven),
            Alike::Different => outcome = Alike::Different,
            Alike::Unknown => {}
        }
    }
    Ok(outcome)
}

fn alike_in(
    ours: &OwnedFd,
    theirs: &OwnedFd,
    (name, kind): (&[u8], FileType),
    deep: usize,
) -> Result<Alike, Errno> {
    let look = |folder: &OwnedFd| if_there(rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW));
    let Some(there) = look(theirs)? else {
        // It was removed from both, perhaps.
        let is_here = (kind == FileType::Directory && deep == 0) || look(ours)?.is_some();
        return Ok(if is_here { Alike::Different } else { Alike::Unknown });
    };
    if !matches!(kind, FileType::RegularFile | FileType::Unknown) {
        // Not looked at where it need not be: something may be mounted there that does not answer.
        if kind != FileType::Directory || deep == 0 {
            return Ok(Alike::Unknown);
        }
        let (Some(ours), Some(theirs)) =
            (readable(folder_at(ours, name))?, readable(folder_at(theirs, name))?)
        else {
            return Ok(Alike::Unknown);
        };
        return alike(&ours, &theirs, deep - 1);
    }
    let is_proving = |stat: &Stat| {
        FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile && stat.st_size >= PROVING_BYTES_MIN
    };
    if !look(ours)?.is_some_and(|here| is_proving(&here)) || !is_proving(&there) {
        return Ok(Alike::Unknown);
    }
    Ok(match (start_of(ours, name)?, start_of(theirs, name)?) {
        (Some(ours), Some(theirs)) if is_one_start(&ours, &theirs) => Alike::Proven,
        (Some(_), Some(_)) => Alike::Different,
        _ => Alike::Unknown,
    })
}

/// True where one of them cannot be read.
fn is_one_content<A: std::os::fd::AsFd, B: std::os::fd::AsFd>(
    ours: (A, &[u8]),
    theirs: (B, &[u8]),
) -> Result<bool, Errno> {
    Ok(match (start_of(ours.0, ours.1)?, start_of(theirs.0, theirs.1)?) {
        (Some(ours), Some(theirs)) => is_one_start(&ours, &theirs),
        _ => true,
    })
}

/// A log grows meanwhile.
fn is_one_start(one: &[u8], other: &[u8]) -> bool {
    let len = one.len().min(other.len());
    one[..len] == other[..len]
}

/// The first bytes of a regular file; none where this user may not read it, or it is gone.
fn start_of(folder: impl std::os::fd::AsFd, name: &[u8]) -> Result<Option<Vec<u8>>, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(folder, name, flags, Mode::empty()) {
        Err(Errno::NOENT | Errno::LOOP | Errno::NXIO) => return Ok(None),
        file => match readable(file.map(Some))? {
            Some(file) => file,
            None => return Ok(None),
        },
    };
    let mut start = vec![0; COMPARED_BYTES_MAX];
    let mut filled = 0;
    while filled < start.len() {
        match rustix::io::read(&file, &mut start[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    start.truncate(filled);
    Ok(Some(start))
}

/// None for what this user may not read: it proves nothing.
fn readable<T>(opened: Result<Option<T>, Errno>) -> Result<Option<T>, Errno> {
    match opened {
        Err(Errno::ACCESS | Errno::PERM) => Ok(None),
        opened => opened,
    }
}
