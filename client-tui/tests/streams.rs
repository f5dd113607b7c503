//! Several connections for one session, with the shipped programs over real sockets: a line between them delays what crosses it, lets each
//! connection carry only so much, and counts.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr,
    unreachable_pub,
    reason = "tests"
)]

#[allow(dead_code, reason = "other tests use more of it")]
#[path = "support/fault_link.rs"]
mod fault_link;
#[allow(dead_code, reason = "other tests use more of it")]
#[path = "support/long_line.rs"]
mod long_line;
#[allow(dead_code, reason = "other tests use more of it")]
#[path = "support/towd.rs"]
mod towd;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::timeout;

use fault_link::Cut;
use long_line::{Cutting, LongLine, Victims};
use towd::Towd;

/// Longer than anything here takes; only so that a fault ends a test and does not hang it.
const PATIENCE: Duration = Duration::from_mins(3);
/// What moves: long enough under way for more streams to come.
const FILE_BYTES: usize = 12 * 1024 * 1024;
/// Bytes a second that a connection carries.
const RATE: u32 = 4_000_000;

/// A served folder, one beside it, and a client.
struct World {
    dir: TempDir,
    towd: Towd,
    line: LongLine,
}

impl World {
    async fn new(delay: Duration, limits: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["served", "here"] {
            fs::create_dir(dir.path().join(folder)).unwrap();
        }
        let towd = Towd::start_tls(&dir.path().join("served"), &dir.path().join("state"), limits);
        let line = LongLine::to(towd.address(), delay, RATE).await;
        Self { dir, towd, line }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    fn target(&self, path: &str) -> String {
        format!("tow://{}/{path}", self.line.address)
    }

    fn configure(&self, text: &str) {
        fs::create_dir_all(self.at("config/towpath")).unwrap();
        fs::write(self.at("config/towpath/config.toml"), text).unwrap();
    }

    /// `tow WORDS`, in the folder beside the served one.
    async fn tow(&self, words: &[&str]) -> ExitStatus {
        let mut tow = Command::new(env!("CARGO_BIN_EXE_tow"));
        tow.args(words).current_dir(self.at("here")).env_remove("NO_COLOR");
        tow.env("TOW_STATE_DIR", self.at("client")).env("XDG_CONFIG_HOME", self.at("config"));
        tow.env("TOW_PAIR", self.towd.first_code().unwrap());
        tow.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
        timeout(PATIENCE, tow.status()).await.expect("tow hangs").unwrap()
    }

    /// Moves a file there and back again.
    async fn there_and_back(&self) {
        let content = noise(FILE_BYTES);
        fs::write(self.at("here/file"), &content).unwrap();
        assert!(self.tow(&["put", "file", &self.target("")]).await.success());
        assert_equal(&self.at("served/file"), &content);
        assert!(self.tow(&["get", &self.target("file"), "back"]).await.success());
        assert_equal(&self.at("here/back"), &content);
    }
}

fn assert_equal(path: &Path, content: &[u8]) {
    let found = blake3::hash(&fs::read(path).unwrap());
    assert_eq!(found, blake3::hash(content), "{}", path.display());
}

/// Bytes that repeat nowhere near.
fn noise(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes
}

const FAR: Duration = Duration::from_millis(15);

#[tokio::test(flavor = "multi_thread")]
async fn over_a_long_line_a_file_goes_by_several_connections_and_arrives_whole() {
    let world = World::new(FAR, &[]).await;
    world.there_and_back().await;
    // Two sessions, each with a second connection at least.
    let connections = world.line.connections();
    assert!((4..=8).contains(&connections), "{connections}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_is_enough_where_either_side_wants_no_more() {
    let world = World::new(FAR, &["--limit", "streams=1"]).await;
    world.there_and_back().await;
    assert_eq!(world.line.connections(), 2, "the server lets none join");
    let world = World::new(FAR, &[]).await;
    world.configure("streams = 1\n");
    world.there_and_back().await;
    assert_eq!(world.line.connections(), 2, "the client opens none");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_one_connection_is_cut_the_repeat_completes() {
    let world = World::new(FAR, &[]).await;
    let content = noise(FILE_BYTES);
    fs::write(world.at("here/file"), &content).unwrap();
    world.line.set(Some(Cutting { victims: Victims::One(1), at: FILE_BYTES as u64 / 6, how: Cut::End }));
    let first = world.tow(&["put", "file", &world.target("")]).await;
    let connections = world.line.connections();
    assert!(connections >= 2, "{connections}");
    if first.success() {
        assert!(connections >= 3, "it has connected again by itself");
    } else {
        assert!(!world.at("served/file").exists(), "absent or whole");
        assert!(world.tow(&["put", "file", &world.target("")]).await.success());
    }
    assert_equal(&world.at("served/file"), &content);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_slow_line_what_gets_smaller_is_packed_and_arrives_whole() {
    let world = World::new(Duration::ZERO, &["--limit", "streams=1"]).await;
    let content = b"what repeats gets smaller, ".repeat(FILE_BYTES / 27);
    let len = content.len() as u64;
    fs::write(world.at("here/file"), &content).unwrap();
    for (configured, is_packed) in [("", true), ("compress = \"never\"\n", false)] {
        world.configure(configured);
        world.line.set(None);
        assert!(world.tow(&["put", "--overwrite", "always", "file", &world.target("")]).await.success());
        let up = world.line.moved();
        assert_equal(&world.at("served/file"), &content);
        world.line.set(None);
        assert!(world.tow(&["get", "--overwrite", "always", &world.target("file"), "back"]).await.success());
        let down = world.line.moved();
        assert_equal(&world.at("here/back"), &content);
        for moved in [up, down] {
            assert_eq!(moved < len, is_packed, "{moved} of {len} bytes crossed");
        }
        for copy in ["served/file", "here/back"] {
            fs::remove_file(world.at(copy)).unwrap();
        }
    }
}
