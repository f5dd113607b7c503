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
#[path = "support/towd.rs"]
mod towd;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use towd::Towd;

/// Longer than anything here takes; only so that a fault ends a test and does not hang it.
const PATIENCE: Duration = Duration::from_mins(3);
/// What moves: long enough under way for more streams to come.
const FILE_BYTES: usize = 12 * 1024 * 1024;
/// Bytes a second that a connection carries.
const RATE: u32 = 4_000_000;

/// A way to a server.
struct Line {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    moved: Arc<AtomicU64>,
    /// Ends the second connection, and only that, once so many bytes have moved.
    cut_at: Arc<AtomicU64>,
}

impl Line {
    /// With so much delay in each direction.
    async fn to(server: &str, delay: Duration) -> Self {
        let server: SocketAddr = server.parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (connections, moved) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicU64::new(0)));
        let cut_at = Arc::new(AtomicU64::new(u64::MAX));
        let line =
            Self { address, connections: connections.clone(), moved: moved.clone(), cut_at: cut_at.clone() };
        tokio::spawn(async move {
            loop {
                let (near, _) = listener.accept().await.unwrap();
                let far = TcpStream::connect(server).await.unwrap();
                let number = connections.fetch_add(1, Ordering::SeqCst);
                // Streams of differing speed.
                let rate = if number % 2 == 1 { RATE / 2 } else { RATE };
                let gate = Gate {
                    delay,
                    rate,
                    moved: moved.clone(),
                    cut_at: cut_at.clone(),
                    is_second: number == 1,
                };
                let cut = CancellationToken::new();
                let (near_reader, near_writer) = near.into_split();
                let (far_reader, far_writer) = far.into_split();
                tokio::spawn(gate.clone().pump(near_reader, far_writer, cut.clone()));
                tokio::spawn(gate.pump(far_reader, near_writer, cut));
            }
        });
        line
    }

    /// Bytes of all connections since this was asked last.
    fn moved(&self) -> u64 {
        self.moved.swap(0, Ordering::SeqCst)
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

#[derive(Clone)]
struct Gate {
    delay: Duration,
    rate: u32,
    moved: Arc<AtomicU64>,
    cut_at: Arc<AtomicU64>,
    is_second: bool,
}

impl Gate {
    async fn pump(
        self,
        mut reader: impl AsyncRead + Unpin + Send,
        mut writer: impl AsyncWrite + Unpin + Send,
        cut: CancellationToken,
    ) {
        let (sender, mut queue) = mpsc::channel::<(Instant, Vec<u8>)>(16);
        let reading = async {
            let mut bytes = vec![0; 16 * 1024];
            while let Ok(read @ 1..) = reader.read(&mut bytes).await {
                sleep(Duration::from_secs(1) * read as u32 / self.rate).await;
                let moved = self.moved.fetch_add(read as u64, Ordering::SeqCst);
                if self.is_second && moved >= self.cut_at.load(Ordering::SeqCst) {
                    cut.cancel();
                }
                if sender.send((Instant::now() + self.delay, bytes[..read].to_vec())).await.is_err() {
                    break;
                }
            }
            drop(sender);
        };
        let writing = async {
            while let Some((at, bytes)) = queue.recv().await {
                sleep_until(at).await;
                if writer.write_all(&bytes).await.is_err() {
                    break;
                }
            }
            let _ = writer.shutdown().await;
        };
        tokio::select! {
            () = cut.cancelled() => {}
            _ = async { tokio::join!(reading, writing) } => {}
        }
    }
}

/// A served folder, one beside it, and a client.
struct World {
    dir: TempDir,
    towd: Towd,
    line: Line,
}

impl World {
    async fn new(delay: Duration, limits: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["served", "here"] {
            fs::create_dir(dir.path().join(folder)).unwrap();
        }
        let towd = Towd::start_tls(&dir.path().join("served"), &dir.path().join("state"), limits);
        let line = Line::to(towd.address(), delay).await;
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
    world.line.cut_at.store(FILE_BYTES as u64 / 2, Ordering::SeqCst);
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
        assert!(world.tow(&["put", "--overwrite", "always", "file", &world.target("")]).await.success());
        let up = world.line.moved();
        assert_equal(&world.at("served/file"), &content);
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
