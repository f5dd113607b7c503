//! The table of faults, on real programs: what kills a client or a server, what a disk refuses, what happens to a source meanwhile.
//! Each time a destination holds the old file, the new one or none; a listing shows no part; the exit code and the words are right; and
//! the same command again completes the work.
//!
//! `TOWPATH_FAULT_ROUNDS=50` is the long form: that many kills of each kind, and every n-th call that may fail, not some.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr,
    unreachable_pub,
    reason = "tests"
)]

mod disks;
#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../support/fault_link.rs"]
mod fault_link;
mod injected;
mod kills;
mod lines;
mod sources;
#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../support/towd.rs"]
mod towd;
mod world;
