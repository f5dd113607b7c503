//! The command line: one-job commands and the prompt, for people and for scripts.
//!
//! It knows links and transfers, and nothing of the screen. What it prints, and its exit codes, are a promise to other
//! people's scripts.

pub mod args;
