//! The audit log: one JSON line for each session, refusal, transfer and change, in a file that only this user may read, turned over when
//! it is full, and no oftener than it may be. A thread of its own writes it; lines that find no room, or no room on the disk, are counted
//! and the count is written once there is some; `budget` sums what one client does too often. It knows no session: the caller has
//! escaped the names.
#![allow(
    clippy::disallowed_methods,
    reason = "the file that was named on the command line, nothing that a client names"
)]

mod budget;

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::fs::OFlags;
use serde_json::{Value, json};

use super::{Log, now, object, shown};
use crate::limits::AuditLimits;
use budget::{Budgets, Verdict};

/// Lines that may wait for the disk.
const LINES_QUEUED_MAX: usize = 8192;
/// How long lines are gathered before they are written.
const GATHER_TIME: Duration = Duration::from_millis(2);
/// Interval of looking for due sums.
const SUMS_PAUSE: Duration = Duration::from_millis(250);
/// What the last lines have to get out at the end.
const FLUSH_TIME: Duration = Duration::from_secs(2);
/// How often the log is told that the audit log cannot be written.
const TELL_EVERY: Duration = Duration::from_mins(1);

/// A way to the audit log. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Audit {
    lines: SyncSender<Said>,
    lost: Arc<AtomicU64>,
    budgets: Arc<Mutex<Budgets>>,
}

/// Messages to the thread.
#[derive(Debug)]
enum Said {
    Line(String),
    /// Something is summed, and to be told within a second.
    Summed,
    /// No more will come.
    End,
}

/// Keeps the thread that writes; to be ended once all is said.
#[derive(Debug)]
pub(crate) struct AuditThread {
    lines: SyncSender<Said>,
    thread: JoinHandle<()>,
}

/// The file that is written to, and how it is turned over.
#[derive(Debug)]
pub(crate) struct AuditFile {
    path: PathBuf,
    limits: AuditLimits,
    file: File,
    bytes: u64,
    /// When it took the place of the one before.
    turned: Option<Instant>,
}

/// Returns whether a line was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    Whole,
    /// The file is full, and may not be turned over yet.
    Not,
}

impl Audit {
    /// Never waits.
    pub(super) fn tell(&self, fields: &Value) {
        let line = object(fields.clone());
        let verdict = lock(&self.budgets).judge(fields, line.len(), Instant::now());
        let said = match verdict {
            Verdict::Told => Said::Line(line),
            Verdict::FirstSummed => Said::Summed,
            Verdict::Summed => return,
        };
        let is_line = matches!(said, Said::Line(_));
        if self.lines.try_send(said).is_err() && is_line {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// With its thread, which has not begun.
    pub(crate) fn new(file: AuditFile) -> (Self, AuditStart) {
        let (lines, queue) = sync_channel(LINES_QUEUED_MAX);
        let budgets = Arc::new(Mutex::new(Budgets::new(file.limits.client_bytes_per_hour)));
        let audit = Self { lines, lost: Arc::default(), budgets };
        (audit.clone(), AuditStart { audit, queue, file })
    }
}

/// A thread that is about to begin, once it knows where to complain.
#[derive(Debug)]
pub(crate) struct AuditStart {
    audit: Audit,
    queue: Receiver<Said>,
    file: AuditFile,
}

impl AuditStart {
    pub(crate) fn run(self, log: Log) -> std::io::Result<AuditThread> {
        let Self { audit: Audit { lines, lost, budgets }, queue, file } = self;
        let thread = std::thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || Writer { file, lost, budgets, log, told: None }.run(&queue))?;
        Ok(AuditThread { lines, thread })
    }
}

impl AuditThread {
    /// Waits a moment until what was said is written.
    pub(crate) fn end(self) {
        let deadline = Instant::now() + FLUSH_TIME;
        // Clones of the sender may live on in work that did not stop.
        while self.lines.try_send(Said::End).is_err() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        while !self.thread.is_finished() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl AuditFile {
    /// Opens it, or makes it, for this user alone. Not through a link.
    pub(crate) fn open(path: &Path, limits: AuditLimits) -> anyhow::Result<Self> {
        let (file, bytes) = open(path).with_context(|| format!("--audit {}", shown(path)))?;
        Ok(Self { path: path.to_owned(), limits, file, bytes, turned: None })
    }

    /// Writes a whole line; first turns over where it would be too long. A line is never cut in two files.
    fn write(&mut self, line: &str) -> std::io::Result<Written> {
        let len = line.len() as u64;
        if self.bytes > 0 && self.bytes.saturating_add(len) > self.limits.bytes_max {
            if self.turned.is_some_and(|turned| turned.elapsed() < self.limits.turn_time) {
                return Ok(Written::Not);
            }
            self.turn_over()?;
            self.turned = Some(Instant::now());
        }
        self.bytes = self.bytes.saturating_add(len);
        self.file.write_all(line.as_bytes())?;
        Ok(Written::Whole)
    }

    /// FILE becomes FILE.1, FILE.1 becomes FILE.2 and so on; the oldest goes.
    fn turn_over(&mut self) -> std::io::Result<()> {
        for number in (1..self.limits.files_max).rev() {
            match std::fs::rename(self.older(number), self.older(number + 1)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        std::fs::rename(&self.path, self.older(1))?;
        (self.file, self.bytes) = open(&self.path)?;
        Ok(())
    }

    fn older(&self, number: u64) -> PathBuf {
        let mut name = OsString::from(&self.path);
        name.push(format!(".{number}"));
        name.into()
    }
}

fn open(path: &Path) -> std::io::Result<(File, u64)> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits();
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o600).custom_flags(flags.cast_signed());
    let file = options.open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_file() { Ok((file, metadata.len())) } else { Err(std::io::Error::other("is not a file")) }
}

/// State of the thread.
struct Writer {
    file: AuditFile,
    lost: Arc<AtomicU64>,
    budgets: Arc<Mutex<Budgets>>,
    log: Log,
    /// When the log was told last that the audit log cannot be written.
    told: Option<Instant>,
}

impl Writer {
    fn run(mut self, queue: &Receiver<Said>) {
        loop {
            let has_sums = lock(&self.budgets).has_sums();
            let first =
                if has_sums { queue.recv_timeout(SUMS_PAUSE) } else { Ok(queue.recv().unwrap_or(Said::End)) };
            let mut ends = false;
            match first {
                Ok(first) => {
                    std::thread::sleep(GATHER_TIME);
                    for said in std::iter::once(first).chain(queue.try_iter()) {
                        match said {
                            Said::Line(line) => self.write(line),
                            Said::Summed => {}
                            Said::End => ends = true,
                        }
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => ends = true,
            }
            let sums = lock(&self.budgets).sums(Instant::now(), ends);
            for sum in sums {
                self.write(object(sum));
            }
            if ends {
                return;
            }
        }
    }

    fn write(&mut self, mut line: String) {
        line.push('\n');
        let missing = self.lost.swap(0, Ordering::Relaxed);
        let told = if missing > 0 { self.file.write(&missing_line(missing)) } else { Ok(Written::Whole) };
        let lost = match told {
            Ok(Written::Whole) => 1,
            _ => missing.saturating_add(1),
        };
        match told.and_then(|told| if told == Written::Whole { self.file.write(&line) } else { Ok(told) }) {
            Ok(Written::Whole) => {}
            Ok(Written::Not) => {
                self.lost.fetch_add(lost, Ordering::Relaxed);
            }
            Err(error) => {
                self.lost.fetch_add(lost, Ordering::Relaxed);
                if self.told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
                    self.told = Some(Instant::now());
                    self.log.error(&format!(
                        "the audit log cannot be written: {error}; its lines are counted until it can"
                    ));
                }
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn missing_line(count: u64) -> String {
    format!("{}\n", json!({ "time": now(), "event": "lost", "lines": count }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &Path) -> String {
        std::fs::read_to_string(path).unwrap_or_default()
    }

    fn limits(bytes_max: u64, files_max: u64) -> AuditLimits {
        AuditLimits { bytes_max, files_max, turn_time: Duration::ZERO, client_bytes_per_hour: u64::MAX }
    }

    #[test]
    fn it_is_turned_over_by_size_and_the_oldest_goes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.jsonl");
        let mut file = AuditFile::open(&path, limits(20, 2)).unwrap();
        for number in 0..9 {
            file.write(&format!("line {number:04}\n")).unwrap();
        }
        assert_eq!(read(&path), "line 0008\n");
        assert_eq!(read(&file.older(1)), "line 0006\nline 0007\n");
        assert_eq!(read(&file.older(2)), "line 0004\nline 0005\n");
        assert!(!file.older(3).exists());
        // What is there is gone on with; a line that is longer than a file has one of its own.
        let mut file = AuditFile::open(&path, limits(20, 2)).unwrap();
        let long = format!("{}\n", "x".repeat(50));
        file.write(&long).unwrap();
        assert_eq!((read(&path), read(&file.older(1))), (long, "line 0008\n".to_owned()));
    }

    #[test]
    fn f74_a_full_file_is_turned_over_no_oftener_than_it_may_be_and_what_finds_no_room_is_counted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.jsonl");
        let slow = AuditLimits { turn_time: Duration::from_hours(1), ..limits(20, 2) };
        let mut file = AuditFile::open(&path, slow).unwrap();
        let written: Vec<_> =
            (0..9).map(|number| file.write(&format!("line {number:04}\n")).unwrap()).collect();
        assert_eq!(written.iter().filter(|written| **written == Written::Whole).count(), 4);
        assert_eq!(read(&file.older(1)), "line 0000\nline 0001\n");
        assert_eq!(read(&path), "line 0002\nline 0003\n");
        assert!(!file.older(2).exists());
    }

    #[test]
    fn nobody_else_may_read_it_and_no_link_is_followed() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.jsonl");
        AuditFile::open(&path, limits(100, 1)).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        for wrong in
            [link.as_path(), dir.path(), Path::new("/dev/null"), dir.path().join("missing/audit").as_path()]
        {
            let fault = AuditFile::open(wrong, limits(100, 1)).unwrap_err();
            assert!(format!("{fault:#}").starts_with("--audit "), "{fault:#}");
        }
    }

    #[test]
    fn lines_that_find_no_room_are_counted_and_nobody_waits() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.jsonl");
        let (audit, start) = Audit::new(AuditFile::open(&path, limits(64 * 1024 * 1024, 1)).unwrap());
        let began = Instant::now();
        for _ in 0..LINES_QUEUED_MAX + 5 {
            audit.tell(&json!({ "event": "uploaded" }));
        }
        assert!(began.elapsed() < Duration::from_secs(5));
        start.run(Log::nowhere()).unwrap().end();
        let text = read(&path);
        assert_eq!(text.lines().filter(|line| line.contains("uploaded")).count(), LINES_QUEUED_MAX);
        let lost: Vec<_> = text.lines().filter(|line| line.contains("lost")).collect();
        assert!(lost.len() == 1 && lost[0].ends_with(r#""event":"lost","lines":5}"#), "{lost:?}");
    }
}
