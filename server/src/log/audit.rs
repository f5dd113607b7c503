//! The audit log: one JSON line for each session, refusal, transfer and change, in a file that only this user may read, turned over when
//! it is full. A thread of its own writes it; lines that find no room, or no room on the disk, are counted and the count is written
//! once there is some. It knows no session: whoever tells it has escaped the names.
#![allow(
    clippy::disallowed_methods,
    reason = "the file that was named on the command line, nothing that a client names"
)]

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::fs::OFlags;
use serde_json::json;

use super::{Log, now, shown};

/// Lines that may wait for the disk.
const LINES_QUEUED_MAX: usize = 8192;
/// How long lines are gathered before they are written.
const GATHER_TIME: Duration = Duration::from_millis(2);
/// What the last lines have to get out at the end.
const FLUSH_TIME: Duration = Duration::from_secs(2);
/// How often the log is told that the audit log cannot be written.
const TELL_EVERY: Duration = Duration::from_mins(1);

/// A way to the audit log. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Audit {
    lines: SyncSender<String>,
    lost: Arc<AtomicU64>,
}

/// Keeps the thread that writes; to be ended once all is said.
#[derive(Debug)]
pub(crate) struct AuditThread {
    lines: SyncSender<String>,
    thread: JoinHandle<()>,
}

/// The file that is written to, and how it is turned over.
#[derive(Debug)]
pub(crate) struct AuditFile {
    path: PathBuf,
    bytes_max: u64,
    /// Older ones that are kept.
    files_max: u64,
    file: File,
    bytes: u64,
}

impl Audit {
    /// Never waits.
    pub(super) fn line(&self, line: String) {
        if self.lines.try_send(line).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// With its thread, which has not begun.
    pub(crate) fn new(file: AuditFile) -> (Self, AuditStart) {
        let (lines, queue) = sync_channel(LINES_QUEUED_MAX);
        let audit = Self { lines, lost: Arc::default() };
        (audit.clone(), AuditStart { audit, queue, file })
    }
}

/// A thread that is about to begin, once it knows where to complain.
#[derive(Debug)]
pub(crate) struct AuditStart {
    audit: Audit,
    queue: Receiver<String>,
    file: AuditFile,
}

impl AuditStart {
    pub(crate) fn run(self, log: Log) -> std::io::Result<AuditThread> {
        let Self { audit: Audit { lines, lost }, queue, mut file } = self;
        let thread = std::thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || write_lines(&mut file, &queue, &lost, &log))?;
        Ok(AuditThread { lines, thread })
    }
}

impl AuditThread {
    /// Waits a moment until what was said is written.
    pub(crate) fn end(self) {
        let deadline = Instant::now() + FLUSH_TIME;
        // An empty line says that no more will come: clones of the sender may live on in work that did not stop.
        while self.lines.try_send(String::new()).is_err() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        while !self.thread.is_finished() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl AuditFile {
    /// Opens it, or makes it, for this user alone. Not through a link.
    pub(crate) fn open(path: &Path, bytes_max: u64, files_max: u64) -> anyhow::Result<Self> {
        let (file, bytes) = open(path).with_context(|| format!("--audit {}", shown(path)))?;
        Ok(Self { path: path.to_owned(), bytes_max, files_max, file, bytes })
    }

    /// Writes a whole line; first turns over where it would be too long. A line is never cut in two files.
    fn write(&mut self, line: &str) -> std::io::Result<()> {
        let len = line.len() as u64;
        if self.bytes > 0 && self.bytes + len > self.bytes_max {
            self.turn_over()?;
        }
        self.bytes += len;
        self.file.write_all(line.as_bytes())
    }

    /// FILE becomes FILE.1, FILE.1 becomes FILE.2 and so on; the oldest goes.
    fn turn_over(&mut self) -> std::io::Result<()> {
        for number in (1..self.files_max).rev() {
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

fn write_lines(file: &mut AuditFile, queue: &Receiver<String>, lost: &AtomicU64, log: &Log) {
    let mut told: Option<Instant> = None;
    while let Ok(first) = queue.recv() {
        std::thread::sleep(GATHER_TIME);
        let mut ended = false;
        for mut line in std::iter::once(first).chain(queue.try_iter()) {
            if line.is_empty() {
                ended = true;
                continue;
            }
            line.push('\n');
            let missing = lost.swap(0, Ordering::Relaxed);
            let written = if missing > 0 { file.write(&missing_line(missing)) } else { Ok(()) };
            if let Err(error) = written.and_then(|()| file.write(&line)) {
                lost.fetch_add(missing + 1, Ordering::Relaxed);
                if told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
                    told = Some(Instant::now());
                    log.error(&format!(
                        "the audit log cannot be written: {error}; its lines are counted until it can"
                    ));
                }
            }
        }
        if ended {
            return;
        }
    }
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

    #[test]
    fn it_is_turned_over_by_size_and_the_oldest_goes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.jsonl");
        let mut file = AuditFile::open(&path, 20, 2).unwrap();
        for number in 0..9 {
            file.write(&format!("line {number:04}\n")).unwrap();
        }
        assert_eq!(read(&path), "line 0008\n");
        assert_eq!(read(&file.older(1)), "line 0006\nline 0007\n");
        assert_eq!(read(&file.older(2)), "line 0004\nline 0005\n");
        assert!(!file.older(3).exists());
        // What is there is gone on with; a line that is longer than a file has one of its own.
        let mut file = AuditFile::open(&path, 20, 2).unwrap();
        let long = format!("{}\n", "x".repeat(50));
        file.write(&long).unwrap();
        assert_eq!((read(&path), read(&file.older(1))), (long, "line 0008\n".to_owned()));
    }

    #[test]
    fn nobody_else_may_read_it_and_no_link_is_followed() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.jsonl");
        AuditFile::open(&path, 100, 1).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        for wrong in
            [link.as_path(), dir.path(), Path::new("/dev/null"), dir.path().join("missing/audit").as_path()]
        {
            let fault = AuditFile::open(wrong, 100, 1).unwrap_err();
            assert!(format!("{fault:#}").starts_with("--audit "), "{fault:#}");
        }
    }

    #[test]
    fn lines_that_find_no_room_are_counted_and_nobody_waits() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.jsonl");
        let (audit, start) = Audit::new(AuditFile::open(&path, 64 * 1024 * 1024, 1).unwrap());
        let began = Instant::now();
        for _ in 0..LINES_QUEUED_MAX + 5 {
            audit.line("{}".to_owned());
        }
        assert!(began.elapsed() < Duration::from_secs(5));
        start.run(Log::nowhere()).unwrap().end();
        let text = read(&path);
        assert_eq!(text.lines().filter(|line| *line == "{}").count(), LINES_QUEUED_MAX);
        let lost: Vec<_> = text.lines().filter(|line| line.contains("lost")).collect();
        assert!(lost.len() == 1 && lost[0].ends_with(r#""event":"lost","lines":5}"#), "{lost:?}");
    }
}
