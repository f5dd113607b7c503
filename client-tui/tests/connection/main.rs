//! The client's end of a session, against a server that a test plays frame by frame, with paused time; and against a real session over
//! a link that delays, cuts and stalls by a seed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr,
    unreachable_pub,
    reason = "tests"
)]

mod exchanges;
#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../support/fault_link.rs"]
mod fault_link;
mod faults;
mod greeting;
mod lanes;
mod pages;
mod peer;
mod pulse;
