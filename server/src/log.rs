//! The server's log: one line an event on standard error, for people or as JSON. A thread of its own writes it, so that a
//! terminal or pipe that takes nothing never holds up a session; lines that find no room are counted.

use std::fmt;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use serde_json::{Map, Value, json};
use towpath_files::session::{Act, Outcome, SessionEnd, SessionEvent, SessionLog, Work};
use towpath_protocol::display::DisplayName;
use towpath_protocol::fault::Fault;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};

use crate::listen::Seat;

/// Lines that may wait for standard error.
const LINES_QUEUED_MAX: usize = 4096;
/// How long lines are gathered before they are written: thousands of small files a second wake the log's thread no oftener.
const GATHER_TIME: Duration = Duration::from_millis(2);
/// What the last lines have to get out at the end.
const FLUSH_TIME: Duration = Duration::from_secs(1);
/// Names what else is logged, as `RUST_LOG` does for others: warnings and errors if unset.
const FILTER_VARIABLE: &str = "TOWD_LOG";

/// A way to the log. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    lines: SyncSender<Vec<u8>>,
    lost: Arc<AtomicU64>,
    json: bool,
}

/// Keeps the log's thread; to be ended once all that was to be said is said.
#[derive(Debug)]
pub(crate) struct LogThread {
    lines: SyncSender<Vec<u8>>,
    thread: Option<JoinHandle<()>>,
}

impl Log {
    /// Starts the log, and takes panics and what libraries trace into it.
    pub(crate) fn start(json: bool) -> std::io::Result<(Self, LogThread)> {
        let (lines, queue) = sync_channel(LINES_QUEUED_MAX);
        let log = Self { lines: lines.clone(), lost: Arc::default(), json };
        let lost = log.lost.clone();
        let thread =
            std::thread::Builder::new().name("log".to_owned()).spawn(move || write_lines(&queue, &lost))?;
        let filter = EnvFilter::try_from_env(FILTER_VARIABLE).unwrap_or_else(|_unset| EnvFilter::new("warn"));
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(Traced(log.clone()))
            .with_ansi(false)
            .with_target(false);
        // There is none before; and a log that lacks the libraries' warnings is a log.
        let _ = if json { subscriber.json().try_init() } else { subscriber.try_init() };
        let panicked = log.clone();
        std::panic::set_hook(Box::new(move |panic| {
            let place = panic.location().map(ToString::to_string).unwrap_or_default();
            panicked.error(&format!("a fault in towd itself, at {place}; please report it"));
        }));
        Ok((log, LogThread { lines, thread: Some(thread) }))
    }

    pub(crate) fn warning(&self, message: &str) {
        self.message("warning", message);
    }

    pub(crate) fn error(&self, message: &str) {
        self.message("error", message);
    }

    pub(crate) fn info(&self, message: &str) {
        self.message("info", message);
    }

    /// Somebody who did not come as far as a session.
    pub(crate) fn turned_away(&self, peer: &str, why: &str) {
        if self.json {
            self.object(json!({ "event": "refused", "peer": peer, "reason": why }));
        } else {
            self.text(&format_args!("{peer} was not let in: {why}"));
        }
    }

    fn message(&self, level: &str, message: &str) {
        if self.json {
            self.object(json!({ "event": level, "message": message }));
        } else if level == "info" {
            self.text(&format_args!("towd: {message}"));
        } else {
            self.text(&format_args!("towd: {level}: {message}"));
        }
    }

    /// A line for people, behind the time.
    fn text(&self, line: &dyn fmt::Display) {
        self.line(format!("{} {line}", now()));
    }

    /// A JSON object with these fields and the time; those without a value are left out.
    fn object(&self, fields: Value) {
        let mut object = Map::from_iter([("time".to_owned(), Value::from(now()))]);
        if let Value::Object(fields) = fields {
            object.extend(fields.into_iter().filter(|(_, value)| !value.is_null()));
        }
        self.line(Value::Object(object).to_string());
    }

    fn line(&self, mut line: String) {
        line.push('\n');
        self.bytes(line.into_bytes());
    }

    fn bytes(&self, bytes: Vec<u8>) {
        if self.lines.try_send(bytes).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl LogThread {
    /// Waits a moment until what was logged is written.
    pub(crate) fn end(mut self) {
        // An empty line says that no more will come: clones of the sender may live on in work that did not stop.
        let deadline = Instant::now() + FLUSH_TIME;
        while self.lines.try_send(Vec::new()).is_err() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        let Some(thread) = self.thread.take() else { return };
        while !thread.is_finished() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn write_lines(queue: &Receiver<Vec<u8>>, lost: &AtomicU64) {
    let mut stderr = std::io::stderr();
    while let Ok(mut lines) = queue.recv() {
        let mut ended = lines.is_empty();
        if !ended {
            std::thread::sleep(GATHER_TIME);
        }
        while let Ok(more) = queue.try_recv() {
            ended |= more.is_empty();
            lines.extend_from_slice(&more);
        }
        let lost = lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            lines
                .extend_from_slice(format!("{} towd: {lost} lines of the log were lost\n", now()).as_bytes());
        }
        // Whoever closed standard error wants no log.
        let _ = stderr.write_all(&lines);
        if ended {
            return;
        }
    }
}

/// UTC, as RFC 3339.
fn now() -> String {
    let mut text = String::new();
    let _ = SystemTime.format_time(&mut Writer::new(&mut text));
    text
}

/// A moment, in seconds since 1970, as RFC 3339.
pub(crate) fn time_of(seconds: u64) -> String {
    i64::try_from(seconds)
        .ok()
        .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok())
        .map(|time| time.to_string())
        .unwrap_or_default()
}

/// A path for people.
pub(crate) fn shown(path: &Path) -> String {
    DisplayName::new(path.as_os_str().as_encoded_bytes()).to_string()
}

/// Takes what is traced into the log.
#[derive(Debug, Clone)]
struct Traced(Log);

impl std::io::Write for Traced {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.bytes(bytes.to_vec());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Traced {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// The log of one session: every line names its peer. Gives the place among those that are not let in back
/// when its peer is.
#[derive(Debug)]
pub(crate) struct PeerLog {
    log: Log,
    peer: String,
    seat: Mutex<Option<Seat>>,
    connected: std::sync::atomic::AtomicBool,
}

impl PeerLog {
    pub(crate) const fn new(log: Log, peer: String, seat: Option<Seat>) -> Self {
        let connected = std::sync::atomic::AtomicBool::new(false);
        Self { log, peer, seat: Mutex::new(seat), connected }
    }

    fn connected(&self, agent: &str) {
        self.connected.store(true, Ordering::Relaxed);
        drop(self.seat.lock().unwrap_or_else(PoisonError::into_inner).take());
        let agent = DisplayName::new(agent.as_bytes());
        if self.log.json {
            let agent = agent.to_string();
            self.log.object(json!({ "event": "connected", "peer": self.peer, "agent": agent }));
        } else {
            self.log.text(&format_args!("{} connected ({agent})", self.peer));
        }
    }

    fn left(&self, end: &SessionEnd, seconds: f64) {
        let connected = self.connected.load(Ordering::Relaxed);
        if self.log.json {
            let event = if connected { "left" } else { "refused" };
            self.log.object(json!({
                "event": event, "peer": self.peer, "seconds": rounded(seconds), "reason": end.to_string(),
            }));
        } else if connected {
            self.log.text(&format_args!("{} left after {seconds:.1} s: {end}", self.peer));
        } else {
            self.log.text(&format_args!("{} was not let in: {end}", self.peer));
        }
    }

    fn done(&self, work: &Work) {
        if !self.log.json {
            self.log.text(&format_args!("{} {}", self.peer, Told(work)));
            return;
        }
        let (outcome, failures, fault) = match &work.outcome {
            Outcome::Complete => ("complete", None, None),
            Outcome::Partial => ("partial", None, None),
            Outcome::Failures(count) => ("failures", Some(*count), None),
            Outcome::Failed(fault) => ("failed", None, Some(why(fault, &work.path))),
        };
        let event = words(work.act).0.replace(' ', "_");
        let event = if fault.is_some() { format!("not_{event}") } else { event };
        self.log.object(json!({
            "event": event, "peer": self.peer, "path": path(&work.path), "to": work.to.as_deref().map(path),
            "files": work.files, "folders": work.folders, "bytes": work.bytes, "seconds": rounded(work.seconds),
            "outcome": outcome, "failures": failures, "fault": fault,
        }));
    }
}

impl SessionLog for PeerLog {
    fn record(&self, event: SessionEvent<'_>) {
        match event {
            SessionEvent::Connected { agent } => self.connected(&agent),
            SessionEvent::Done(work) => self.done(work),
            SessionEvent::Left { end, seconds } => self.left(end, seconds),
        }
    }
}

/// What was done, and the verb for where it was not.
const fn words(act: Act) -> (&'static str, &'static str) {
    match act {
        Act::Download => ("downloaded", "download"),
        Act::Upload => ("uploaded", "upload"),
        Act::Remove => ("deleted", "delete"),
        Act::MakeFolder => ("made folder", "make folder"),
        Act::MakeLink => ("made link", "make link"),
        Act::Rename => ("renamed", "rename"),
        Act::Copy => ("copied", "copy"),
    }
}

fn path(path: &str) -> &str {
    if path.is_empty() { "/" } else { path }
}

/// Why something failed; what it is about is not said twice.
fn why(fault: &Fault, what: &str) -> String {
    let mut fault = fault.clone();
    fault.path = fault.path.filter(|path| path.display() != what);
    fault.to_string()
}

fn counted(count: u64, word: &str) -> String {
    if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
}

/// To the millisecond.
fn rounded(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

/// A piece of work for people: `uploaded a/b: 12 bytes in 0.001 s`.
struct Told<'a>(&'a Work);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Work { act, path: what, to, files, folders, bytes, seconds, outcome } = self.0;
        let (done, verb) = words(*act);
        if let Outcome::Failed(fault) = outcome {
            return write!(f, "could not {verb} {}: {}", path(what), why(fault, what));
        }
        write!(f, "{done} {}", path(what))?;
        if let Some(to) = to {
            write!(f, " to {}", path(to))?;
        }
        match act {
            Act::Download | Act::Upload => write!(f, ": {bytes} bytes in {seconds:.3} s")?,
            Act::Remove | Act::Copy => {
                let files = counted(*files, "file");
                let folders = counted(*folders, "folder");
                write!(f, ": {files}, {folders}, {bytes} bytes in {seconds:.3} s")?;
            }
            Act::MakeFolder | Act::MakeLink | Act::Rename => {}
        }
        match outcome {
            Outcome::Partial => f.write_str(", not to its end"),
            Outcome::Failures(count) => write!(f, ", {count} failed"),
            Outcome::Complete | Outcome::Failed(_) => Ok(()),
        }
    }
}
