//! What crosses the line between the shipped programs, and what does not: counted in bytes and in frames, with a side that is older, and
//! after somebody was killed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "tests"
)]

mod frames;
mod only_changes;
mod resuming;
#[path = "../support/skip.rs"]
mod skip;
#[allow(dead_code, unreachable_pub, reason = "other tests use more of it")]
#[path = "../support/towd.rs"]
mod towd;

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Up,
    Down,
}

impl Way {
    /// Where the file comes from and where it goes.
    fn paths(self, dir: &Path) -> [PathBuf; 2] {
        let [here, there] = ["here", "there"].map(|folder| dir.join(folder).join("file"));
        if self == Self::Up { [here, there] } else { [there, here] }
    }
}

/// A folder here, and one to be served.
fn here_and_there() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for folder in ["here", "there"] {
        fs::create_dir(dir.path().join(folder)).unwrap();
    }
    dir
}
