//! Unfinished files: their names, and those that were cut off and wait for somebody to go on with them: found again, locked while
//! somebody is at them, and swept when nobody came. The same rules as `disk`: an open folder and a name in it.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags, SeekFrom, Stat};
use rustix::io::Errno;
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::hash::Hash;
use towpath_protocol::path::Name;

use super::fault_of;

/// What the names of unfinished files begin with, beside the place where they will be. They are never shown.
const PREFIX: &[u8] = b".towpath-part-";

/// Whether a name is that of an unfinished file of ours.
pub(crate) fn is_part(name: &Name) -> bool {
    name.as_bytes().starts_with(PREFIX)
}

/// A new name for something that is not yet in place: short, whatever the final name, and not to be guessed.
pub(crate) fn random_name() -> Result<Name, Fault> {
    let mut random = [0_u8; 6];
    getrandom::fill(&mut random).map_err(|_| Fault::new(FaultCode::Internal).because("no random numbers"))?;
    named(random)
}

/// The name under which what was received of a file is found again: of one place, size and time of modification.
pub(crate) fn resumable_name(place: &Name, size: u64, modified_ns: i64) -> Result<Name, Fault> {
    let of = [place.as_bytes(), b"/", &size.to_be_bytes(), &modified_ns.to_be_bytes()].concat();
    let mut short = [0; 6];
    short.copy_from_slice(&Hash::of(&of).0[..6]);
    named(short)
}

fn named(id: [u8; 6]) -> Result<Name, Fault> {
    let digits = id.map(|byte| format!("{byte:02x}")).concat();
    Name::new([PREFIX, digits.as_bytes()].concat()).map_err(|_| FaultCode::Internal.into())
}

/// Creates a file that nobody else can open, and locks it; fails where the name exists, as whatever it may be.
pub(crate) fn create(folder: impl AsFd, name: &Name) -> Result<OwnedFd, Fault> {
    let file = super::writing::create_new(folder, name)?;
    // Nobody else can have it; where there are no locks, nobody else locks either.
    let _ = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive);
    Ok(file)
}

/// Opens what was received of a file, to go on with it. None where there is none that is ours alone, or where somebody is at it.
pub(crate) fn take_up(folder: impl AsFd, name: &Name) -> Result<Option<OwnedFd>, Fault> {
    let folder = folder.as_fd();
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(folder, name.as_bytes(), flags, Mode::empty()) {
        Ok(file) => file,
        // Whatever it is, it is not what we left.
        Err(Errno::NOENT | Errno::LOOP | Errno::ACCESS | Errno::ISDIR | Errno::NXIO) => return Ok(None),
        Err(errno) => return Err(fault_of(errno)),
    };
    let stat = rustix::fs::fstat(&file).map_err(fault_of)?;
    let is_free = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok();
    // Locked by us, and still under that name: nobody finished or removed it in between.
    Ok((is_ours_alone(&stat) && is_free && is_named(folder, name, &stat)).then_some(file))
}

/// Bytes of an unfinished file that nobody is at; none of anything else.
pub(crate) fn waiting_bytes(folder: impl AsFd, name: &Name) -> u64 {
    let file = take_up(folder, name).ok().flatten();
    let stat = file.and_then(|file| rustix::fs::fstat(file).ok());
    stat.map_or(0, |stat| u64::try_from(stat.st_size).unwrap_or(0))
}

/// Whether only we can have written it: others may have put something under a name that they can guess.
fn is_ours_alone(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
        && stat.st_uid == rustix::process::geteuid().as_raw()
        && stat.st_nlink == 1
        && Mode::from_raw_mode(stat.st_mode).intersection(Mode::RWXG | Mode::RWXO).is_empty()
}

fn is_named(folder: impl AsFd, name: &Name, file: &Stat) -> bool {
    rustix::fs::statat(folder, name.as_bytes(), AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|there| (there.st_dev, there.st_ino) == (file.st_dev, file.st_ino))
}

/// Cuts a part off after `bytes`, where writing goes on.
pub(crate) fn cut_off(file: impl AsFd, bytes: u64) -> Result<(), Fault> {
    rustix::fs::ftruncate(&file, bytes).map_err(fault_of)?;
    rustix::fs::seek(&file, SeekFrom::Start(bytes)).map(drop).map_err(fault_of)
}

/// Removes an unfinished file that nobody has touched for `age`, and that nobody is at; gives its size.
pub(crate) fn sweep(folder: impl AsFd, name: &Name, age: Duration) -> Option<u64> {
    let folder = folder.as_fd();
    let stat = rustix::fs::statat(folder, name.as_bytes(), AtFlags::SYMLINK_NOFOLLOW).ok()?;
    // The time of change cannot be set back, as that of modification is when a file is about to be put in place.
    let changed = UNIX_EPOCH + Duration::from_secs(u64::try_from(stat.st_ctime).unwrap_or(0));
    SystemTime::now().duration_since(changed).ok().filter(|untouched| *untouched >= age)?;
    // The lock is held until the name is gone.
    let _locked = take_up(folder, name).ok()??;
    rustix::fs::unlinkat(folder, name.as_bytes(), AtFlags::empty()).ok()?;
    u64::try_from(stat.st_size).ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_part_is_found_by_what_it_is_of() {
        let [one, two] = ["one", "two"].map(|name| Name::try_from(name).unwrap());
        let name = |place, size, modified_ns| resumable_name(place, size, modified_ns).unwrap();
        assert_eq!(name(&one, 1, 2), name(&one, 1, 2));
        for other in [name(&two, 1, 2), name(&one, 3, 2), name(&one, 1, -2)] {
            assert_ne!(name(&one, 1, 2), other);
            assert!(is_part(&other));
        }
    }

    #[test]
    fn only_what_is_ours_alone_is_taken_up() {
        let dir = tempfile::tempdir().unwrap();
        let folder = std::fs::File::open(dir.path()).unwrap();
        let name = resumable_name(&Name::try_from("file").unwrap(), 7, 0).unwrap();
        let at = dir.path().join(std::str::from_utf8(name.as_bytes()).unwrap());
        assert!(take_up(&folder, &name).unwrap().is_none(), "nothing is there");
        let made = create(&folder, &name).unwrap();
        assert!(take_up(&folder, &name).unwrap().is_none(), "somebody is at it");
        drop(made);
        let taken = take_up(&folder, &name).unwrap();
        assert!(taken.is_some());
        drop(taken);
        std::fs::hard_link(&at, dir.path().join("second name")).unwrap();
        assert!(take_up(&folder, &name).unwrap().is_none(), "it has a second name");
        std::fs::remove_file(dir.path().join("second name")).unwrap();
        std::fs::set_permissions(&at, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(take_up(&folder, &name).unwrap().is_none(), "others may read it");
        std::fs::remove_file(&at).unwrap();
        symlink("elsewhere", &at).unwrap();
        assert!(take_up(&folder, &name).unwrap().is_none(), "a link");
        std::fs::remove_file(&at).unwrap();
        std::fs::create_dir(&at).unwrap();
        assert!(take_up(&folder, &name).unwrap().is_none(), "a folder");
    }

    #[test]
    fn only_what_is_old_and_left_is_swept() {
        let dir = tempfile::tempdir().unwrap();
        let folder = std::fs::File::open(dir.path()).unwrap();
        let name = random_name().unwrap();
        let made = create(&folder, &name).unwrap();
        rustix::io::write(&made, b"half").unwrap();
        assert_eq!(sweep(&folder, &name, Duration::ZERO), None, "somebody is at it");
        drop(made);
        assert_eq!(sweep(&folder, &name, Duration::from_hours(1)), None, "it is not old");
        assert_eq!(sweep(&folder, &name, Duration::ZERO), Some(4));
        assert_eq!(sweep(&folder, &name, Duration::ZERO), None, "it is gone");
    }
}
