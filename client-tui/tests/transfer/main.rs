//! Transfers, watched from outside: real files, real services, in this process and over a socket.
#![allow(clippy::disallowed_methods, reason = "tests look at the disk behind the service's back")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "all of this is tests, helpers too"
)]
#![allow(clippy::print_stdout, reason = "a test that cannot run here says so")]

mod changes;
mod conflicts;
mod copies;
mod endings;
mod flow;
mod following;
mod held;
mod itself;
mod moves;
mod order;
mod plan;
mod resuming;
#[path = "../support/skip.rs"]
mod skip;
mod sources;
mod sparse;
mod systems;
mod world;
