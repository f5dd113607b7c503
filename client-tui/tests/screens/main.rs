//! The screen: every state at three sizes as text and as a grid of styles, and what holds for any state at any size.
//!
//! `INSTA_UPDATE=no cargo test` writes nothing; `cargo insta review` shows what changed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "all of this is tests, helpers too"
)]

mod any;
#[path = "../support/names.rs"]
mod names;
mod picture;
mod states;
mod world;
