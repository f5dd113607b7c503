//! Moves files between links: uploads, downloads, copies here and copies there are one code, a reader on one link and a
//! writer on another. It knows no screen and no command line.
//!
//! `plan` walks a source, compares it with the destination in batches and sends steps; `conflicts` asks about what is in
//! the way while the rest runs; `pump` carries one file; `run` is a job's life.

mod conflicts;
pub mod job;
mod plan;
mod pump;
mod run;

pub use run::run;
