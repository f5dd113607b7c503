//! The real `towd`, started as a person or a script starts it, spoken to in frames over its real doors.
#![allow(clippy::disallowed_methods, reason = "fixtures are built and looked at by their paths")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod audit;
mod doors;
mod hostile;
mod leaving;
mod ledger;
mod limits;
mod load;
mod log;
mod naming;
mod own;
mod page;
mod rights;
#[path = "../../../client-tui/tests/support/skip.rs"]
mod skip;
mod starting;
mod starving;
mod streams;
mod tls;
mod views;
mod world;
