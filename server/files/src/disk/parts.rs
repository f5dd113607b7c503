//! Unfinished files: their names, and those that were cut off and wait for somebody to go on with them: found again, locked while
//! somebody is at them, and swept when nobody came. The same rules as `disk`: an open folder and a name in it.
//!
//! A name proves whose it is. It has an exact form, `.towpath-part-ID-TAG`, and its tag is a hash over the ID and the thing itself: over
//! inode number and time of birth of a file, over the target of a link. So a copy, a restored backup, or a file that a person made under
//! such a name proves nothing: it is the person's, listed and copied like any other, and never swept. Nothing needs to be written inside
//! or beside it, so this holds where there are no extended attributes, and at every moment of a crash.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, Dir, FileType, FlockOperation, Mode, OFlags, SeekFrom, Stat};
use rustix::io::Errno;
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::hash::Hash;
use towpath_protocol::path::Name;
use towpath_protocol::time::Time;

use super::writing::{self, Spot};
use super::{fault_of, unnamed};

/// The names of unfinished files begin with this.
const PREFIX: &[u8] = b".towpath-part-";
const ID_BYTES: usize = 6;
const TAG_BYTES: usize = 8;

/// A link cannot be locked. Younger ones are left alone, however little is kept.
const LINK_AGE_LEAST: Duration = Duration::from_mins(1);

/// Names unfinished things of one purpose: those of one upload that can go on, or one of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct PartId([u8; ID_BYTES]);

impl PartId {
    /// Not to be guessed.
    pub(crate) fn random() -> Result<Self, Fault> {
        let mut random = [0_u8; ID_BYTES];
        getrandom::fill(&mut random)
            .map_err(|_| Fault::new(FaultCode::Internal).because("no random numbers"))?;
        Ok(Self(random))
    }

    /// Under which what was received of a file is found again: by one client, of one place, size and time of modification. Another
    /// client's is another one, whatever that client asks for.
    pub(crate) fn of_upload(client: u32, place: &Name, size: u64, modified: Time) -> Self {
        Self::of(b"/", client, place, (size, modified))
    }

    /// As [`of_upload`](Self::of_upload), of a file that always begins at its beginning: what was received of another one stays apart.
    pub(crate) fn of_copy(client: u32, place: &Name, size: u64, modified: Time) -> Self {
        Self::of(b"/copy/", client, place, (size, modified))
    }

    fn of(what: &[u8], client: u32, place: &Name, (size, modified): (u64, Time)) -> Self {
        let of: [&[u8]; 5] = [
            &client.to_be_bytes(),
            place.as_bytes(),
            what,
            &size.to_be_bytes(),
            &modified.wide_ns().to_be_bytes(),
        ];
        let of = of.concat();
        let mut short = [0; ID_BYTES];
        short.copy_from_slice(&Hash::of(&of).0[..ID_BYTES]);
        Self(short)
    }

    /// The ID in a name of our form.
    fn in_name(name: &Name) -> Option<Self> {
        let digits = name.as_bytes().strip_prefix(PREFIX)?;
        let (id, tag) = (digits.get(..2 * ID_BYTES)?, digits.get(2 * ID_BYTES..)?);
        let tag = tag.strip_prefix(b"-")?;
        let is_hex = |digits: &[u8]| digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        if tag.len() != 2 * TAG_BYTES || !is_hex(tag) || !is_hex(id) {
            return None;
        }
        let mut bytes = [0; ID_BYTES];
        for (byte, digits) in bytes.iter_mut().zip(id.chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        }
        Some(Self(bytes))
    }

    /// The name of what `of` describes.
    fn name(self, of: &[u8]) -> Result<Name, Fault> {
        let tag = Hash::of(&[b"towpath part ".as_slice(), &self.0, of].concat());
        let hex = |byte: &u8| [byte >> 4, byte & 15].map(|digit| b"0123456789abcdef"[usize::from(digit)]);
        // A file has two such names in its life, and small files come by the thousand.
        let mut name = Vec::with_capacity(PREFIX.len() + 2 * (ID_BYTES + TAG_BYTES) + 1);
        name.extend_from_slice(PREFIX);
        name.extend(self.0.iter().flat_map(hex));
        name.push(b'-');
        name.extend(tag.0[..TAG_BYTES].iter().flat_map(hex));
        Name::new(name).map_err(|_| FaultCode::Internal.into())
    }

    /// A name for a new file until its own name is known. The file is empty: nothing is lost with it.
    fn newborn_name(self) -> Result<Name, Fault> {
        self.name(b"new")
    }

    pub(crate) fn file_name(self, file: impl AsFd) -> Result<Name, Fault> {
        let (inode, seconds, nanoseconds) = origin(file).map_err(fault_of)?;
        let of =
            [b"file".as_slice(), &inode.to_be_bytes(), &seconds.to_be_bytes(), &nanoseconds.to_be_bytes()];
        self.name(&of.concat())
    }

    /// A name for a link that is not yet in place.
    pub(crate) fn link_name(self, target: &[u8]) -> Result<Name, Fault> {
        self.name(&[b"link".as_slice(), target].concat())
    }
}

/// The inode number of a file, and the time at which it was made, 0 where the file system does not say.
#[cfg(target_os = "linux")]
fn origin(file: impl AsFd) -> Result<(u64, i64, u32), Errno> {
    use rustix::fs::{StatxFlags, statx};
    let asked = StatxFlags::INO | StatxFlags::BTIME;
    let told = statx(file, c"", AtFlags::EMPTY_PATH, asked)?;
    let is_told = StatxFlags::from_bits_retain(told.stx_mask).contains(StatxFlags::BTIME);
    let (seconds, nanoseconds) =
        if is_told { (told.stx_btime.tv_sec, told.stx_btime.tv_nsec) } else { (0, 0) };
    Ok((told.stx_ino, seconds, nanoseconds))
}

#[cfg(not(target_os = "linux"))]
fn origin(file: impl AsFd) -> Result<(u64, i64, u32), Errno> {
    rustix::fs::fstat(file).map(|stat| (stat.st_ino, 0, 0))
}

/// Returns whether a name has the exact form of ours.
pub(crate) fn has_part_form(name: &Name) -> bool {
    PartId::in_name(name).is_some()
}

/// Returns whether the file or link of this name is provably an unfinished one of ours.
pub(crate) fn is_part(folder: impl AsFd, name: &Name) -> bool {
    has_part_form(name) && writing::look_at(folder, name).is_ok_and(|thing| proves_part(name, thing))
}

/// Like [`is_part`], for an open file.
pub(crate) fn proves_part(name: &Name, thing: impl AsFd) -> bool {
    let Some(id) = PartId::in_name(name) else { return false };
    let thing = thing.as_fd();
    let Ok(stat) = rustix::fs::fstat(thing) else { return false };
    let ours = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => return is_of_file(id, name, thing, &stat),
        FileType::Symlink => match rustix::fs::readlinkat(thing, b"".as_slice(), Vec::new()) {
            Ok(target) => id.link_name(target.as_bytes()),
            Err(_) => return false,
        },
        _ => return false,
    };
    ours.is_ok_and(|ours| ours == *name)
}

fn is_of_file(id: PartId, name: &Name, file: BorrowedFd<'_>, stat: &Stat) -> bool {
    let is_newborn = stat.st_size == 0 && id.newborn_name().is_ok_and(|newborn| newborn == *name);
    is_newborn || id.file_name(file).is_ok_and(|own| own == *name)
}

/// Removes a link that is provably an unfinished one of ours, however young. False if there is none.
pub(crate) fn remove_link(folder: impl AsFd, name: &Name) -> bool {
    let Ok(link) = writing::look_at(&folder, name) else { return false };
    let is_ours = rustix::fs::fstat(&link).is_ok_and(|stat| is_ours_to_sweep(&stat));
    is_ours && proves_part(name, &link) && writing::remove_file(&folder, name).is_ok()
}

/// Creates a file with what this folder gives of `mode`, and locks it. Fails with `AlreadyExists` where the name is taken, as whatever it may be.
pub(crate) fn create(folder: impl AsFd, id: PartId, mode: u16) -> Result<(Name, OwnedFd), Fault> {
    let newborn = id.newborn_name()?;
    let file = writing::create_new(&folder, &newborn, mode)?;
    // Nobody else can have it; where there are no locks, nobody else locks either.
    let _ = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive);
    let named = id.file_name(&file).and_then(|name| {
        writing::rename_new(Spot::new(&folder, &newborn), Spot::new(&folder, &name)).map(|()| name)
    });
    match named {
        Ok(name) => Ok((name, file)),
        Err(fault) => {
            let _ = writing::remove_file(&folder, &newborn);
            Err(fault)
        }
    }
}

/// Gives a file without a name that of a part, and locks it.
pub(crate) fn give_name(folder: impl AsFd, id: PartId, file: impl AsFd) -> Result<Name, Fault> {
    let _ = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive);
    let name = id.file_name(&file)?;
    unnamed::give_name(&file, Spot::new(&folder, &name)).map(|()| name)
}

/// The result of a search for an interrupted upload.
#[derive(Debug)]
pub(crate) enum Found {
    Nothing,
    Waiting(Name, OwnedFd),
    /// Another upload has it open.
    Taken,
}

/// Opens what was received of a file, to go on with it, where that is provably ours alone. Removes a part of ours that others may have
/// open.
pub(crate) fn take_up(folder: &OwnedFd, id: PartId) -> Result<Found, Fault> {
    let mut found = Found::Nothing;
    for name in super::names(folder)?.into_iter().filter(|name| PartId::in_name(name) == Some(id)) {
        match lock(folder, &name, OFlags::RDWR) {
            Ok((file, stat)) if is_ours_alone(&stat) => return Ok(Found::Waiting(name, file)),
            // Killed before others were kept out of it, or after it got its final mode: it makes room.
            Ok((_locked, stat)) if stat.st_nlink == 1 => {
                let _ = writing::remove_file(folder, &name);
            }
            Err(Errno::WOULDBLOCK) => found = Found::Taken,
            // Its final mode may be one without the right to write.
            Err(Errno::ACCESS) => sweep_now(folder, &name),
            // It is not the part that we left.
            Ok(_) | Err(Errno::NOENT | Errno::LOOP | Errno::ISDIR | Errno::NXIO) => {}
            Err(errno) => return Err(fault_of(errno)),
        }
    }
    Ok(found)
}

/// Opens and locks a file of ours: still under that name then, so that nobody finished or removed it in between. `WOULDBLOCK` where
/// another upload has it open, `ACCESS` if it is not provably ours.
fn lock(folder: impl AsFd, name: &Name, access: OFlags) -> Result<(OwnedFd, Stat), Errno> {
    let flags = access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = rustix::fs::openat(&folder, name.as_bytes(), flags, Mode::empty())?;
    let stat = rustix::fs::fstat(&file)?;
    let id = PartId::in_name(name).ok_or(Errno::ACCESS)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile
        || !is_ours_to_sweep(&stat)
        || !is_of_file(id, name, file.as_fd(), &stat)
    {
        return Err(Errno::ACCESS);
    }
    // Where there are no locks, nobody can know that nobody is at it.
    rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|_| Errno::WOULDBLOCK)?;
    let there = rustix::fs::statat(folder, name.as_bytes(), AtFlags::SYMLINK_NOFOLLOW)?;
    if (there.st_dev, there.st_ino) == (stat.st_dev, stat.st_ino) {
        Ok((file, stat))
    } else {
        Err(Errno::NOENT)
    }
}

/// Removes an unfinished file, unless another upload has it open.
pub(crate) fn sweep_now(folder: &OwnedFd, name: &Name) {
    sweep(folder, name, Duration::ZERO);
}

/// Up to `most` names of our form among the first `looked_at` of a folder.
pub(crate) fn in_folder(folder: &OwnedFd, looked_at: usize, most: usize) -> Vec<(PartId, Name)> {
    let Ok(entries) = Dir::read_from(folder) else { return Vec::new() };
    let names = entries.take(looked_at).map_while(Result::ok);
    let names = names.filter(|entry| entry.file_name().to_bytes().starts_with(PREFIX));
    let names = names.filter_map(|entry| Name::new(entry.file_name().to_bytes()).ok());
    names.filter_map(|name| Some((PartId::in_name(&name)?, name))).take(most).collect()
}

/// One that was about to be put in place may have its final owner, whom only root gives it.
fn is_ours_to_sweep(stat: &Stat) -> bool {
    is_ours(stat) || rustix::process::geteuid().is_root()
}

fn is_ours(stat: &Stat) -> bool {
    stat.st_uid == rustix::process::geteuid().as_raw()
}

/// Whether only we can have written it: others may have put something under a name that they can guess.
fn is_ours_alone(stat: &Stat) -> bool {
    let others = Mode::from_raw_mode(stat.st_mode).intersection(Mode::RWXG | Mode::RWXO);
    is_ours(stat) && stat.st_nlink == 1 && others.is_empty()
}

/// Cuts a part off after `bytes`, where writing goes on.
pub(crate) fn cut_off(file: impl AsFd, bytes: u64) -> Result<(), Fault> {
    rustix::fs::ftruncate(&file, bytes).map_err(fault_of)?;
    rustix::fs::seek(&file, SeekFrom::Start(bytes)).map(drop).map_err(fault_of)
}

/// Removes something unfinished that nobody has touched for `age`, and that nobody is at: a file, also one that was about to be put in
/// place and has its final mode, or a link, once it is a minute old. Gives its size.
pub(crate) fn sweep(folder: impl AsFd, name: &Name, age: Duration) -> Option<u64> {
    sweep_at(folder, name, age, SystemTime::now())
}

fn sweep_at(folder: impl AsFd, name: &Name, age: Duration, now: SystemTime) -> Option<u64> {
    let folder = folder.as_fd();
    let stat = rustix::fs::statat(folder, name.as_bytes(), AtFlags::SYMLINK_NOFOLLOW).ok()?;
    // A link is made and put in place within a moment: an old one is nobody's.
    let is_link = FileType::from_raw_mode(stat.st_mode) == FileType::Symlink
        && is_ours_to_sweep(&stat)
        && is_part(folder, name);
    let age = if is_link { age.max(LINK_AGE_LEAST) } else { age };
    // The time of change cannot be set back, as that of modification is when a file is about to be put in place.
    let changed = UNIX_EPOCH + Duration::from_secs(u64::try_from(stat.st_ctime).unwrap_or(0));
    now.duration_since(changed).ok().filter(|untouched| *untouched >= age)?;
    // The lock is held until the name is gone.
    let _locked = if is_link { None } else { Some(lock(folder, name, OFlags::RDONLY).ok()?) };
    rustix::fs::unlinkat(folder, name.as_bytes(), AtFlags::empty()).ok()?;
    u64::try_from(stat.st_size).ok()
}

#[cfg(test)]
mod tests;
