//! The server's log: one line an event on standard error, for people or as JSON. A thread of its own writes it, so that a
//! terminal or pipe that takes nothing never holds up a session; lines that find no room are counted. What belongs there goes into the
//! audit log (`audit`) as well; `peer` is the log of one session.

pub(crate) mod audit;
mod peer;

use std::fmt;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use serde_json::{Map, Value, json};
use towpath_protocol::display::DisplayName;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};

use audit::Audit;
pub(crate) use peer::PeerLog;

/// Lines that may wait for standard error.
const LINES_QUEUED_MAX: usize = 4096;
/// How long lines are gathered before they are written: thousands of small files a second wake the log's thread no oftener.
const GATHER_TIME: Duration = Duration::from_millis(2);
/// Bytes of one text in a line that is an object: a path may have 4,096, and four times as many once it is escaped.
const TEXT_BYTES_MAX: usize = 1024;
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
    audit: Option<Audit>,
}

/// Keeps the log's thread; to be ended once all that was to be said is said.
#[derive(Debug)]
pub(crate) struct LogThread {
    lines: SyncSender<Vec<u8>>,
    thread: Option<JoinHandle<()>>,
}

impl Log {
    /// Starts the log, and takes panics and what libraries trace into it.
    pub(crate) fn start(json: bool, audit: Option<Audit>) -> std::io::Result<(Self, LogThread)> {
        let (lines, queue) = sync_channel(LINES_QUEUED_MAX);
        let log = Self { lines: lines.clone(), lost: Arc::default(), json, audit };
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

    /// One that nobody reads.
    #[cfg(test)]
    fn nowhere() -> Self {
        Self { lines: sync_channel(1).0, lost: Arc::default(), json: false, audit: None }
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
        let fields = json!({ "event": "refused", "peer": peer, "reason": why });
        self.audit(&fields);
        self.event(fields, &format_args!("{peer} was not let in: {why}"));
    }

    /// What happened: as an object where the log is JSON, else in words.
    fn event(&self, fields: Value, words: &dyn fmt::Display) {
        if self.json {
            self.line(object(fields));
        } else {
            self.text(words);
        }
    }

    /// What belongs into the audit log, where there is one.
    fn audit(&self, fields: &Value) {
        if let Some(audit) = &self.audit {
            audit.tell(fields);
        }
    }

    fn message(&self, level: &str, message: &str) {
        let fields = json!({ "event": level, "message": message });
        if level == "info" {
            self.event(fields, &format_args!("towd: {message}"));
        } else {
            self.event(fields, &format_args!("towd: {level}: {message}"));
        }
    }

    /// A line for people, behind the time.
    fn text(&self, line: &dyn fmt::Display) {
        self.line(format!("{} {line}", now()));
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

/// A JSON object with these fields and the time; those without a value are left out, and of long texts the middle is.
fn object(fields: Value) -> String {
    let mut object = Map::from_iter([("time".to_owned(), Value::from(now()))]);
    if let Value::Object(fields) = fields {
        let fields = fields.into_iter().filter(|(_, value)| !value.is_null());
        object.extend(fields.map(|(name, value)| match value {
            Value::String(text) => (name, shortened(text).into()),
            value => (name, value),
        }));
    }
    Value::Object(object).to_string()
}

/// A text of which no more than [`TEXT_BYTES_MAX`] are told: its beginning and its end, and how much is missing between them.
fn shortened(text: String) -> String {
    if text.len() <= TEXT_BYTES_MAX {
        return text;
    }
    let head = text.floor_char_boundary(TEXT_BYTES_MAX / 2);
    let tail = text.ceil_char_boundary(text.len() - TEXT_BYTES_MAX / 2);
    format!("{}…({} bytes)…{}", &text[..head], tail - head, &text[tail..])
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
