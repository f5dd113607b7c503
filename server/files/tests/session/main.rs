//! The session, spoken to in raw frames over a pipe. The requests are answered by the tests themselves, so that each decides
//! when what happens; time is paused, so that deadlines cost none.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod ends;
mod greeting;
mod hanging;
mod lanes;
mod records;
mod requests;
mod streams;
mod world;
