//! The command line as a promise to scripts: the real `tow` against a real `towd`, one row a promise, and the few promises that
//! need more than a row.
#![allow(clippy::disallowed_methods, reason = "tests look at the disk behind the programs' back")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "all of this is tests, helpers too"
)]
#![allow(clippy::print_stdout, reason = "a test that cannot run here says so")]

mod again;
mod following;
mod items;
mod listed;
mod listing;
mod output;
mod overwriting;
mod own_names;
mod placing;
mod planning;
#[allow(dead_code, unreachable_pub, reason = "other tests need more of it")]
#[path = "../support/pty.rs"]
mod pty;
mod refusals;
mod removing;
mod shell;
mod signals;
#[path = "../support/skip.rs"]
mod skip;
mod stage;
#[allow(dead_code, unreachable_pub, reason = "other tests need more of it")]
#[path = "../support/towd.rs"]
mod towd;
mod typing;
