//! Everything that changes files, through the service's door and on a real file system. May run as root.
#![allow(clippy::disallowed_methods, reason = "fixtures are built and looked at with std::fs")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "all of this is tests, helpers too"
)]

mod attacks;
mod copies;
mod full_disk;
mod grants;
mod links;
mod metadata;
mod modes;
mod own;
mod owned;
mod quotas;
mod removals;
mod renames;
mod repeats;
mod resuming;
mod shapes;
#[path = "../../../../client-tui/tests/support/skip.rs"]
mod skip;
mod spans;
mod uploads;
mod world;
mod writes;
