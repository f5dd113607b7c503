//! Mount points within a folder. The file system behind one may not answer (a dead server, a stopped FUSE program), and a look at it would
//! wait with it for ever: it is looked at by a thread of its own, and is unknown if that takes too long.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, Dir, StatxAttributes, StatxFlags, statx};
use towpath_protocol::entry::{Attributes, Kind};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::path::Name;

use super::writing::open_folder;
use super::{fault_of, stat, stat_open};

/// Time that a mount may take to say what it is, ...
const PATIENCE: Duration = Duration::from_millis(500);
/// ... and how long while an earlier question was not answered in time.
const LITTLE_PATIENCE: Duration = Duration::from_millis(50);
/// The same before the content of a mount is read or copied: a disk may have to start, ...
const LONG_PATIENCE: Duration = Duration::from_secs(10);
/// ... and while an earlier question was not answered in time.
const LESS_PATIENCE: Duration = Duration::from_secs(1);
/// Time after which cancelled work stops to wait.
const CANCELLED_AFTER: Duration = Duration::from_millis(50);
/// Threads that may wait for mounts at a time; the next mount is unknown at once.
const WAITING_MAX: usize = 8;

static WAITING: AtomicUsize = AtomicUsize::new(0);
/// Of the threads that wait, those that have waited too long.
static LATE: AtomicUsize = AtomicUsize::new(0);

/// Returns whether another file system is mounted at this name. Does not ask that file system.
pub(crate) fn is_mount(folder: impl AsFd, name: &Name) -> bool {
    has_mount_root(folder, name.as_bytes(), AtFlags::SYMLINK_NOFOLLOW)
}

fn has_mount_root(folder: impl AsFd, name: &[u8], flags: AtFlags) -> bool {
    let flags = flags | AtFlags::NO_AUTOMOUNT | AtFlags::STATX_DONT_SYNC;
    statx(folder, name, flags, StatxFlags::empty())
        .is_ok_and(|told| told.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

/// Attributes of a mount point; `TimedOut` if it does not answer.
pub(crate) fn look(folder: impl AsFd, name: &Name) -> Result<Attributes, Fault> {
    let folder = rustix::io::fcntl_dupfd_cloexec(folder, 0).map_err(fault_of)?;
    let name = name.clone();
    while_it_answers(move || stat(&folder as &OwnedFd, &name))
        .unwrap_or_else(|| Err(FaultCode::TimedOut.into()))
}

/// Returns once what is mounted at this name, if anything is, says what it is and, of a folder, what is in it; `TimedOut` if it does not
/// answer, `Cancelled` if `is_cancelled` says so first. To be called before the content is opened.
pub(crate) fn check_answers(
    folder: impl AsFd,
    name: &Name,
    is_cancelled: &dyn Fn() -> bool,
) -> Result<(), Fault> {
    if !is_mount(&folder, name) {
        return Ok(());
    }
    let folder = rustix::io::fcntl_dupfd_cloexec(folder, 0).map_err(fault_of)?;
    let name = name.clone();
    wait_for(is_cancelled, move || {
        // Other faults are met again by the work itself.
        if stat(&folder, &name).is_ok_and(|there| there.kind == Kind::Folder)
            && let Ok(opened) = open_folder(&folder, &name)
        {
            let _ = Dir::new(opened).map(|mut entries| entries.next());
        }
    })
}

/// As [`check_answers`], of an open thing: only for its attributes.
pub(crate) fn check_open_answers(thing: impl AsFd) -> Result<(), Fault> {
    if !has_mount_root(&thing, b"", AtFlags::EMPTY_PATH) {
        return Ok(());
    }
    let thing = rustix::io::fcntl_dupfd_cloexec(thing, 0).map_err(fault_of)?;
    wait_for(&|| false, move || drop(stat_open(&thing)))
}

fn wait_for(is_cancelled: &dyn Fn() -> bool, ask: impl FnOnce() + Send + 'static) -> Result<(), Fault> {
    let is_first = LATE.load(Ordering::Acquire) == 0;
    let patience = if is_first { LONG_PATIENCE } else { LESS_PATIENCE };
    let until = Instant::now() + patience;
    let goes_on = || !is_cancelled() && Instant::now() < until;
    match asked((&WAITING, &LATE), CANCELLED_AFTER, &goes_on, ask) {
        Some(()) => Ok(()),
        None if is_cancelled() => Err(FaultCode::Cancelled.into()),
        None => Err(FaultCode::TimedOut.into()),
    }
}

/// Runs `task`, which asks other mounts. `None` if they do not answer.
pub(crate) fn while_it_answers<T: Send + 'static>(task: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let is_first = LATE.load(Ordering::Acquire) == 0;
    in_time((&WAITING, &LATE), if is_first { PATIENCE } else { LITTLE_PATIENCE }, task)
}

/// Returns the result of `task`, or `None` if it takes too long or too many others do already.
fn in_time<T: Send + 'static>(
    counts: (&'static AtomicUsize, &'static AtomicUsize),
    patience: Duration,
    task: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    asked(counts, patience, &|| false, task)
}

/// As [`in_time`], with another `patience` as long as `goes_on`. The thread ends with its task, whenever that is.
fn asked<T: Send + 'static>(
    (waiting, late): (&'static AtomicUsize, &'static AtomicUsize),
    patience: Duration,
    goes_on: &dyn Fn() -> bool,
    task: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    if waiting.fetch_add(1, Ordering::AcqRel) >= WAITING_MAX {
        waiting.fetch_sub(1, Ordering::AcqRel);
        return None;
    }
    let (sender, receiver) = sync_channel(1);
    // Set by the end of the task, or by the end of the patience: the second of them finds it set.
    let is_over = Arc::new(AtomicBool::new(false));
    let has_ended = is_over.clone();
    let run = move || {
        let done = task();
        if has_ended.swap(true, Ordering::AcqRel) {
            late.fetch_sub(1, Ordering::AcqRel);
        }
        waiting.fetch_sub(1, Ordering::AcqRel);
        // The waiter may have given up.
        let _ = sender.send(done);
    };
    if std::thread::Builder::new().name("mount".into()).spawn(run).is_err() {
        waiting.fetch_sub(1, Ordering::AcqRel);
        return None;
    }
    let done = loop {
        match receiver.recv_timeout(patience) {
            Err(RecvTimeoutError::Timeout) if goes_on() => {}
            done => break done.ok(),
        }
    };
    if done.is_none() && !is_over.swap(true, Ordering::AcqRel) {
        late.fetch_add(1, Ordering::AcqRel);
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_that_does_not_answer_is_left_and_only_so_many_wait() {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        static LATE: AtomicUsize = AtomicUsize::new(0);
        let counts = (&COUNT, &LATE);
        let (release, held) = sync_channel::<()>(0);
        let held = Arc::new(std::sync::Mutex::new(held));
        assert_eq!(in_time(counts, Duration::from_mins(1), || 7), Some(7));
        for _ in 0..WAITING_MAX {
            let held = held.clone();
            let stuck = move || held.lock().unwrap().recv().is_err();
            assert_eq!(in_time(counts, Duration::from_millis(1), stuck), None);
        }
        assert_eq!(in_time(counts, Duration::from_mins(1), || 7), None, "too many wait");
        assert_eq!(LATE.load(Ordering::Acquire), WAITING_MAX);
        drop(release);
        // They end with their tasks, and others may wait again.
        while COUNT.load(Ordering::Acquire) > 0 {
            std::thread::yield_now();
        }
        assert_eq!(LATE.load(Ordering::Acquire), 0);
        assert_eq!(in_time(counts, Duration::from_mins(1), || 7), Some(7));
    }

    #[test]
    fn a_mount_is_told_from_a_folder() {
        let open = |path: &str| {
            let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::DIRECTORY;
            rustix::fs::openat(rustix::fs::CWD, path, flags, rustix::fs::Mode::empty()).unwrap()
        };
        let name = |text: &str| Name::new(text.as_bytes()).unwrap();
        assert!(is_mount(open("/"), &name("proc")));
        assert!(
            !is_mount(open("/proc"), &name("self"))
                && !is_mount(open("/"), &name("usr/none".split('/').next().unwrap()))
        );
    }
}
