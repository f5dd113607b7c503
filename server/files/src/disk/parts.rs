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

/// A link cannot be locked. Younger ones are left alone, however little is kept.
const LINK_AGE_LEAST: Duration = Duration::from_mins(1);

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
    match lock(folder, name, OFlags::RDWR) {
        Ok((file, stat)) => Ok(is_ours_alone(&stat).then_some(file)),
        // Whatever it is, it is not what we left; or somebody is at it.
        Err(Errno::NOENT | Errno::LOOP | Errno::ACCESS | Errno::ISDIR | Errno::NXIO | Errno::WOULDBLOCK) => {
            Ok(None)
        }
        Err(errno) => Err(fault_of(errno)),
    }
}

/// Opens and locks a file of ours: still under that name then, so that nobody finished or removed it in between. `WOULDBLOCK` where
/// somebody is at it.
fn lock(folder: impl AsFd, name: &Name, access: OFlags) -> Result<(OwnedFd, Stat), Errno> {
    let flags = access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = rustix::fs::openat(&folder, name.as_bytes(), flags, Mode::empty())?;
    let stat = rustix::fs::fstat(&file)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile || !is_ours_to_sweep(&stat) {
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

/// Bytes of an unfinished file that nobody is at; none of anything else.
pub(crate) fn waiting_bytes(folder: impl AsFd, name: &Name) -> u64 {
    lock(folder, name, OFlags::RDONLY).map_or(0, |(_, stat)| u64::try_from(stat.st_size).unwrap_or(0))
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
    let is_link = is_ours_to_sweep(&stat) && FileType::from_raw_mode(stat.st_mode) == FileType::Symlink;
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
        // One that was cut off between its mode and its name.
        let made = create(&folder, &name).unwrap();
        rustix::fs::fchmod(&made, Mode::from_raw_mode(0o444)).unwrap();
        drop(made);
        assert_eq!((take_up(&folder, &name).unwrap().is_some(), waiting_bytes(&folder, &name)), (false, 0));
        assert_eq!(sweep(&folder, &name, Duration::ZERO), Some(0));
        symlink("elsewhere", dir.path().join(std::str::from_utf8(name.as_bytes()).unwrap())).unwrap();
        assert_eq!(sweep(&folder, &name, Duration::ZERO), None, "it may be on its way to its place");
        let later = SystemTime::now() + 2 * LINK_AGE_LEAST;
        assert_eq!(sweep_at(&folder, &name, Duration::from_hours(1), later), None, "it is kept for longer");
        assert_eq!(sweep_at(&folder, &name, Duration::ZERO, later), Some(9));
    }
}
