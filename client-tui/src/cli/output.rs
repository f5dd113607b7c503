//! The only place that prints. Results go to standard output, errors, questions and progress to standard error; whatever
//! came from a disk or a peer has been through `DisplayName` before it gets here.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the client's one output module")]

use std::ffi::OsStr;
use std::io::{self, IsTerminal, Write};
use std::os::unix::ffi::OsStrExt;
use std::sync::{Mutex, PoisonError};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;
use towpath_protocol::answer::Totals;
use towpath_protocol::display::DisplayName;
use towpath_protocol::fault::Fault;

use super::args::OutputArgs;
use super::exit::{Failure, why};
use super::ls::put_name;
use super::place::Place;
use super::planned::put_path;

/// How a command speaks.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    pub json: bool,
    pub quiet: bool,
    /// Whether progress is shown at all.
    pub progress: bool,
}

impl Output {
    /// Progress is on by default only where standard error is a terminal.
    pub fn new(args: OutputArgs) -> Self {
        let progress = args.progress || (!args.quiet && !args.json && io::stderr().is_terminal());
        Self { json: args.json, quiet: args.quiet, progress }
    }

    /// A line of result for people; nothing with `--quiet` or `--json`.
    pub fn line(self, text: &str) -> io::Result<()> {
        if self.quiet || self.json { Ok(()) } else { write_line(text) }
    }

    /// A JSON object on a line of its own; nothing without `--json`.
    pub fn object(self, object: &Value) -> io::Result<()> {
        if self.json { write_line(&json_text(object)) } else { Ok(()) }
    }

    /// Names an operand that failed: on standard error, and with `--json` as an object.
    pub fn failed(self, operand: &OsStr, failure: &Failure) -> io::Result<()> {
        if !failure.message.is_empty() {
            error(&failure.message);
        }
        self.failed_object(Some(operand), failure)
    }

    /// The object alone.
    pub fn failed_object(self, operand: Option<&OsStr>, failure: &Failure) -> io::Result<()> {
        let mut reason = failure.message.as_str();
        let mut object = Map::new();
        object.insert("event".into(), "failed".into());
        if let Some(operand) = operand {
            let shown = DisplayName::new(operand.as_bytes()).to_string();
            reason = reason.strip_prefix(&shown).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(reason);
            put_name(&mut object, "path", operand.as_bytes(), &shown);
        }
        object.insert("reason".into(), reason.into());
        self.object(&Value::Object(object))
    }

    /// The same of something within an operand, named as people write it: with the `/` or the server in front.
    fn fault(self, place: &Place, fault: &Fault) -> io::Result<()> {
        let reason = why(fault);
        let mut object = Map::new();
        object.insert("event".into(), "failed".into());
        match &fault.path {
            Some(path) => {
                error(&format!("{}: {reason}", place.name_of(path)));
                put_path(&mut object, "path", place, path);
            }
            None => error(&format!("{}: {reason}", place.typed)),
        }
        object.insert("reason".into(), reason.into());
        self.object(&Value::Object(object))
    }

    /// Failures within an operand, and the number of further ones.
    pub(super) fn faults(self, totals: &Totals, place: &Place) -> io::Result<()> {
        totals.faults.iter().try_for_each(|fault| self.fault(place, fault))?;
        let unnamed = totals.failed.saturating_sub(totals.faults.len() as u64);
        if unnamed == 0 {
            return Ok(());
        }
        let reason = format!("{unnamed} more failed");
        error(&format!("{}: {reason}", place.typed));
        self.object(&json!({ "event": "failed", "path": place.typed, "reason": reason, "count": unnamed }))
    }

    /// A line of JSON made by hand, where a number must be written as people write it.
    pub fn object_text(self, object: &str) -> io::Result<()> {
        if self.json { write_line(object) } else { Ok(()) }
    }
}

/// JSON in which whatever a terminal must not see raw is written as an escape; whoever parses it gets the same text.
pub(super) fn json_text(object: &Value) -> String {
    use std::fmt::Write as _;

    let mut text = String::new();
    for c in object.to_string().chars() {
        let mut buffer = [0; 4];
        let shown = DisplayName::new(c.encode_utf8(&mut buffer).as_bytes()).to_string();
        if shown.starts_with(c) {
            text.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a String cannot fail.
                let _ = write!(text, "\\u{unit:04x}");
            }
        }
    }
    text
}

/// A line on standard output. A reader that has gone away (`tow ls | head`) is an error of kind `BrokenPipe`; a standard output that
/// was closed from the start takes nothing either.
pub fn write_line(text: &str) -> io::Result<()> {
    if towpath_stdio::stdout_was_closed() {
        return Err(Errno::BADF.into());
    }
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.write_all(b"\n")
}

/// `tow: WHAT` on standard error, whatever is quoted in it made safe once more. That nobody reads it is no reason to stop.
pub fn error(what: &str) {
    let lines: Vec<_> = what.lines().map(|line| DisplayName::new(line.as_bytes()).to_string()).collect();
    let text = lines.join("\n");
    let _ = writeln!(io::stderr().lock(), "tow: {text}");
    let mut errors = ERRORS.lock().unwrap_or_else(PoisonError::into_inner);
    match errors.first {
        Some(_) => errors.more = errors.more.saturating_add(1),
        None => errors.first = Some(text),
    }
}

/// The errors of this process, for the log.
#[derive(Debug, Clone, Default)]
pub struct Errors {
    pub first: Option<String>,
    pub more: u64,
}

static ERRORS: Mutex<Errors> = Mutex::new(Errors { first: None, more: 0 });

/// The errors that were printed so far.
pub fn errors() -> Errors {
    ERRORS.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// A line on standard error that is no error.
pub fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Replaces the current line of the terminal on standard error, or leaves it empty.
pub fn progress_line(text: &str) {
    let mut err = io::stderr().lock();
    let _ = write!(err, "\r\x1b[K{text}");
    let _ = err.flush();
}

/// The terminal no longer marks what is pasted, as it does for whoever edits a line.
pub fn end_of_paste_mode() {
    let mut out = io::stdout().lock();
    let _ = out.write_all(b"\x1b[?2004l\r\n");
    let _ = out.flush();
}

/// A question on standard error, its answer from the terminal on standard input; none at the end of the input. Dropped before it is
/// answered, it takes no line from whoever asks next.
pub async fn ask(question: &str) -> io::Result<Option<String>> {
    {
        let mut err = io::stderr().lock();
        write!(err, "{question} ")?;
        err.flush()?;
    }
    let given_up = CancellationToken::new();
    let _guard = given_up.clone().drop_guard();
    let answer = tokio::task::spawn_blocking(move || answer(&given_up)).await;
    answer.unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// A terminal has something to read when a line is complete.
fn answer(given_up: &CancellationToken) -> io::Result<Option<String>> {
    let wait = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
    loop {
        let stdin = io::stdin();
        let ready = poll(&mut [PollFd::new(&stdin, PollFlags::IN)], Some(&wait));
        if given_up.is_cancelled() {
            return Ok(None);
        }
        match ready {
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => break,
            Err(errno) => return Err(errno.into()),
        }
    }
    let mut answer = String::new();
    let bytes = io::stdin().read_line(&mut answer)?;
    Ok((bytes > 0).then(|| answer.trim().to_owned()))
}

/// Whether a person can be asked: standard input and standard error are a terminal.
pub fn is_interactive() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_never_carries_what_a_terminal_would_obey() {
        let name = "a\u{9b}31m\u{202e}b\x1b\u{e0001}ü\\";
        let text = json_text(&serde_json::json!({ "name": name }));
        assert!(text.is_ascii() || text.contains('ü'));
        assert!(!text.contains(['\u{9b}', '\u{202e}', '\x1b', '\u{e0001}']));
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["name"], name);
    }
}
