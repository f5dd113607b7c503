//! Everything that only looks at files, through the service's door and on a real file system. May run as root.
#![allow(clippy::disallowed_methods, reason = "fixtures are built and looked at with std::fs")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "all of this is tests, helpers too"
)]
#![allow(clippy::print_stdout, reason = "a test that cannot run here says so")]

mod blocks;
mod files;
mod holes;
mod listings;
mod measures;
mod permissions;
#[path = "../../../../client-tui/tests/support/skip.rs"]
mod skip;
mod stats;
mod walks;
#[allow(dead_code, reason = "shared with the tests of changes, which use other parts of it")]
#[path = "../changes/world.rs"]
mod world;
