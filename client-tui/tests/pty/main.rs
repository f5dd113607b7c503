//! The shipped binaries as a person meets them: `tow` under a pseudo-terminal, `towd` on a real socket.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr,
    unreachable_pub,
    reason = "tests"
)]

mod asking;
mod busy;
mod carrying;
mod changing;
mod hanging;
mod keeping;
mod line;
#[path = "../support/names.rs"]
mod names;
mod opening;
mod progress;
#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../support/pty.rs"]
mod pty;
mod refusing;
mod screen;
mod sessions;
#[path = "../support/silent.rs"]
mod silent;
#[path = "../support/skip.rs"]
mod skip;
mod sleeping;
#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../support/sshd.rs"]
mod sshd;
mod stage;
mod stalled;
mod told;
#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../support/towd.rs"]
mod towd;
mod typed;
mod unseen;
mod words;
