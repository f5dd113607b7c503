//! Moves with the shipped programs: no move ever loses the only copy, wherever source and destination are, and whenever it is killed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "tests"
)]

mod content;
mod durable;
#[allow(dead_code, unreachable_pub, reason = "other tests use more of it")]
#[path = "../support/folding.rs"]
mod folding;
#[allow(dead_code, unreachable_pub, reason = "other tests use more of it")]
#[path = "../support/image.rs"]
mod image;
mod itself;
mod killed;
mod many;
mod meanwhile;
mod placed;
mod power;
#[path = "../support/skip.rs"]
mod skip;
#[allow(dead_code, unreachable_pub, reason = "other tests use more of it")]
#[path = "../support/towd.rs"]
mod towd;
mod world;
