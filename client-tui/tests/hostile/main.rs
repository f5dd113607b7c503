//! Peers that mean harm, against the programs as they are shipped: an evil server for `tow`, an evil client for `towd`, a line that
//! damages what it carries, and names that a terminal would obey. After each: nothing is changed that should not be, the program
//! ends or goes on in order, its memory stays small, and whoever is honest is told in words.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "tests"
)]

mod bombs;
mod clients;
mod evil;
mod lines;
mod memory;
#[path = "../support/names.rs"]
#[allow(unreachable_pub, reason = "shared by several tests")]
mod names;
mod pack;
#[allow(dead_code, unreachable_pub, reason = "shared by several tests, each of which uses a part")]
#[path = "../support/pty.rs"]
mod pty;
mod resources;
mod servers;
mod shown;
#[path = "../support/skip.rs"]
mod skip;
#[allow(dead_code, unreachable_pub, reason = "shared by several tests, each of which uses a part")]
#[path = "../support/towd.rs"]
mod towd;
