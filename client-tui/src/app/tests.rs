//! The thinking wing, held to its rules: keys in, state and effects out. Every step is followed by [`App::check`](super::App::check).
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod allowed;
mod carrying;
mod conflicts;
mod connect;
mod costs;
mod hands;
mod jobs;
mod keep;
mod keyboard;
mod marking;
mod mouse;
mod panes;
mod play;
mod prompt;
mod questions;
mod queue;
mod servers;
mod storm;
