//! Tells a standard output that was closed when the program began (`tow ls >&-`). The runtime opens `/dev/null` in its place before
//! `main`, so that everything printed is lost in silence; this asks before the runtime does.
#![allow(unsafe_code, reason = "one attribute, which runs a safe function early; there is no unsafe block")]

use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::{Errno, fcntl_getfd};
use rustix::stdio::stdout;

static WAS_CLOSED: AtomicBool = AtomicBool::new(false);

/// The loader calls what is listed here before it calls the runtime.
#[cfg(target_os = "linux")]
#[used]
#[unsafe(link_section = ".init_array")]
static AT_START: extern "C" fn() = {
    extern "C" fn look() {
        WAS_CLOSED.store(fcntl_getfd(stdout()) == Err(Errno::BADF), Ordering::Relaxed);
    }
    look
};

/// Returns whether standard output was closed at the start.
pub fn stdout_was_closed() -> bool {
    WAS_CLOSED.load(Ordering::Relaxed)
}
