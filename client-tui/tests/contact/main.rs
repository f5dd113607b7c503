//! First contact and what comes of it, with the real programs: who pairs and under which name, which server is known and forgotten, what
//! a server that audits hears of refusals, and what a command that failed leaves in the log.
#![allow(clippy::disallowed_methods, reason = "tests look at the disk behind the programs' back")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "all of this is tests, helpers too"
)]

mod failures;
mod first;
#[allow(dead_code, unreachable_pub, reason = "other tests need more of it")]
#[path = "../support/pty.rs"]
mod pty;
mod refused;
mod sharing;
#[allow(dead_code, unreachable_pub, reason = "other tests need more of it")]
#[path = "../support/towd.rs"]
mod towd;
mod world;
