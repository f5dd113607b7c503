//! The table of faults, on real programs: what kills a client or a server, what a disk refuses, what happens to a source meanwhile.
//! Each time a destination holds the old file, the new one or none; a listing shows no part; the exit code and the words are right; and
//! the same command again completes the work.
//!
//! | fault | shown by | in CI | the long form |
//! | --- | --- | --- | --- |
//! | a line cut at a random byte | `lines` | 60 seeds, 1 to 3 cuts each | `TOWPATH_FAULT_SEEDS=1000`; `TOWPATH_FAULT_SEED=N` is one alone |
//! | a stream of several, over TLS, cut at a random byte; one that hangs | `streams` | 24 seeds, 1 or 2 cuts each | the same variables |
//! | client or server killed at a random moment | `kills` | 4 of each, three ways; 2 with several streams | `TOWPATH_FAULT_ROUNDS=50` |
//! | the n-th call fails, in client or server | `injected` | n = 1, 2, 3, 6, 12 … until none fails | `TOWPATH_FAULT_ROUNDS`: every n |
//! | no byte, no inode, no longer file, read-only disk | `disks` | some sizes | `TOWPATH_FAULT_ROUNDS`: every page |
//! | no byte of a quota that the disk keeps | `quotas` | put, get, cp | |
//! | a source that shrinks, grows, vanishes, is replaced | `sources` | in the middle, and 3 moments | `TOWPATH_FAULT_ROUNDS=50` moments |
//! | either side stopped for a while, as a laptop that slept | `../pty/sleeping.rs` | 4 seconds | `TOWPATH_TOWD_STOPPED_SECONDS=70` |
//! | power cut | `../durable.rs` | 5 cuts | `TOWPATH_POWER_CUTS=50` |
//! | a kill, and how much goes on after it | `../resume.rs`, `../transfer/resuming.rs` | all | |
//! | memory, whatever the size of the tree | `../planner.rs` | 300,000 files | `TOWPATH_PLANNED_FILES=10000000` |
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr,
    unreachable_pub,
    reason = "tests"
)]

mod disks;
mod far;
#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../support/fault_link.rs"]
mod fault_link;
#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../support/image.rs"]
mod image;
mod injected;
mod kills;
mod lines;
#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../support/long_line.rs"]
mod long_line;
mod quotas;
mod round;
#[path = "../support/skip.rs"]
mod skip;
mod sources;
mod strace;
mod streams;
#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../support/towd.rs"]
mod towd;
mod world;
