//! What a panic leaves behind: a terminal that works, a few words, and the details in the log.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::Write;
use std::panic::PanicHookInfo;
use std::path::{Path, PathBuf};
use std::thread::{self, ThreadId};

use towpath_protocol::display::DisplayName;

use super::terminal;

/// From here on a panic of this thread, the one that owns the screen, gives the terminal back before anything is said; one of any
/// other thread goes to the log alone, since whoever waits for that thread reports it.
pub fn install(log: Option<PathBuf>) {
    let screen_thread = thread::current().id();
    std::panic::set_hook(Box::new(move |info| report(info, screen_thread, log.as_deref())));
}

fn report(info: &PanicHookInfo<'_>, screen_thread: ThreadId, log: Option<&Path>) {
    let what = info.payload_as_str().unwrap_or("no message");
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    let backtrace = Backtrace::capture();
    let ours = thread::current().id() == screen_thread;
    if ours {
        terminal::give_back();
    }
    tracing::error!(target: "towpath::panic", %place, %backtrace, "{what}");
    if ours {
        let _ = say(what, &place, log, &backtrace);
    }
}

fn say(what: &str, place: &str, log: Option<&Path>, backtrace: &Backtrace) -> std::io::Result<()> {
    let mut out = std::io::stderr().lock();
    let what = DisplayName::new(what.as_bytes());
    writeln!(out, "tow: stopped by an error in the program: {what} ({place})")?;
    writeln!(out, "No file was left half written; transfers that were running did not finish.")?;
    if let Some(log) = log {
        let log = DisplayName::new(log.as_os_str().as_encoded_bytes());
        writeln!(out, "The log may say more: {log}")?;
    }
    if backtrace.status() == BacktraceStatus::Captured {
        writeln!(out, "{backtrace}")?;
    }
    Ok(())
}
