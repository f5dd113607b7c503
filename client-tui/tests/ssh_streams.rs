//! Several channels of one ssh connection for one session: with the shipped programs, the system's ssh, a real OpenSSH server, and a long
//! and thin line between them.
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
#[path = "support/sshd.rs"]
mod sshd;
#[allow(dead_code, reason = "other tests use more of it")]
#[path = "support/towd.rs"]
mod towd;
#[path = "support/trials.rs"]
mod trials;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use long_line::LongLine;
use sshd::{Sshd, children_of};

const BARE: &str = "/usr/bin:/bin";
/// Longer than anything here takes; only so that a fault ends a test and does not hang it.
const PATIENCE: Duration = Duration::from_mins(3);
/// What moves: long enough under way for more channels to come.
const FILE_BYTES: usize = 12 * 1024 * 1024;
/// Bytes a second that the connection carries.
const RATE: u32 = 4_000_000;
const FAR: Duration = Duration::from_millis(15);
/// What sshd says of each channel in which something is run, of each that it refuses, and of each client that it lets in.
const CHANNEL: &str = "Starting session: ";
const REFUSED: &str = "no more sessions";
const LET_IN: &str = "Accepted publickey for ";

fn main() -> ExitCode {
    let tests = trials![
        over_a_long_line_a_file_goes_by_several_channels_of_one_connection_and_arrives_whole,
        a_password_is_asked_for_once_however_many_channels_there_are,
        one_channel_is_enough_where_either_side_wants_no_more,
        where_a_further_channel_is_killed_the_repeat_completes,
        what_tow_has_started_ends_with_it_however_it_ends,
        whoever_shares_connections_by_a_configuration_of_their_own_keeps_that,
        where_tow_itself_serves_there_are_several_channels_too,
    ];
    trials::run(sshd::missing(), tests)
}

fn block_on(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(test);
}

/// A server, a long line to it, and a client.
struct World {
    sshd: Sshd,
    line: LongLine,
}

impl World {
    /// Where towd is in the `PATH`.
    async fn new(options: &[&str]) -> Self {
        let folder = towd::program().parent().unwrap().to_owned();
        Self::with_path(&format!("{}:{BARE}", folder.display()), options).await
    }

    async fn with_path(path_there: &str, options: &[&str]) -> Self {
        let sshd = Sshd::start_with(path_there, options);
        let line = LongLine::to(&format!("127.0.0.1:{}", sshd.port), FAR, RATE).await;
        // By whatever port.
        let host_key = fs::read_to_string(sshd.dir.path().join("host.pub")).unwrap();
        sshd.set_known_hosts(&format!("* {host_key}"));
        fs::write(sshd.dir.path().join("file"), noise(FILE_BYTES)).unwrap();
        Self { sshd, line }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.sshd.dir.path().join(path)
    }

    fn target(&self, host: &str, path: &str) -> String {
        format!("ssh://plain@{host}:{}/~/{path}", self.line.address.port())
    }

    /// `tow WORDS`, in the folder above the homes.
    fn tow(&self, words: &[&str]) -> Command {
        let mut tow = Command::new(env!("CARGO_BIN_EXE_tow"));
        tow.args(words).current_dir(self.sshd.dir.path());
        tow.env("TOW_SSH", self.sshd.ssh()).env("TOW_STATE_DIR", self.at("state"));
        tow.env("XDG_CONFIG_HOME", self.at("settings"))
            .env_remove("XDG_RUNTIME_DIR")
            .env_remove("SSH_ASKPASS");
        tow.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
        tow
    }

    async fn run(&self, words: &[&str]) -> ExitStatus {
        ended(self.tow(words).spawn().unwrap()).await
    }

    async fn put(&self, host: &str) {
        let there = self.at("plain/file");
        // What is the same already would not be sent.
        let _ = fs::remove_file(&there);
        assert!(self.run(&["put", "file", &self.target(host, "")]).await.success());
        assert_equal(&there, &noise(FILE_BYTES));
    }

    /// Moves a file there and back again.
    async fn there_and_back(&self, host: &str) {
        self.put(host).await;
        assert!(self.run(&["get", &self.target(host, "file"), "back"]).await.success());
        assert_equal(&self.at("back"), &noise(FILE_BYTES));
    }

    /// An upload under way by several channels.
    async fn putting(&self) -> Child {
        let tow = self.tow(&["put", "file", &self.target("box", "")]).stderr(Stdio::null()).spawn().unwrap();
        until("a further channel", || self.sshd.said(CHANNEL) > 1).await;
        tow
    }

    /// Nothing of any session is left on either side.
    async fn assert_gone(&self) {
        until("every connection served", || self.sshd.serving().is_empty()).await;
        until("no socket", || sockets_in(&self.at("state/client")).is_empty()).await;
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

async fn ended(mut tow: Child) -> ExitStatus {
    timeout(PATIENCE, tow.wait()).await.expect("tow hangs").unwrap()
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("never: {what}"));
}

fn sockets_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("tow-ssh-")).collect()
}

fn process(tow: &Child) -> Pid {
    Pid::from_raw(tow.id().unwrap() as i32).unwrap()
}

/// The ssh of a further channel of this one.
fn further_of(tow: &Child) -> Option<Pid> {
    children_of(process(tow)).into_iter().find(|child| {
        let arguments = fs::read(format!("/proc/{}/cmdline", child.as_raw_nonzero())).unwrap_or_default();
        String::from_utf8_lossy(&arguments).contains("ControlMaster=no")
    })
}

fn over_a_long_line_a_file_goes_by_several_channels_of_one_connection_and_arrives_whole() {
    block_on(async {
        let world = World::new(&[]).await;
        world.there_and_back("box").await;
        // Two sessions, each with a second channel at least.
        let channels = world.sshd.said(CHANNEL);
        assert!((4..=8).contains(&channels), "{channels}");
        assert_eq!((world.sshd.said(LET_IN), world.line.connections()), (2, 2));
        world.assert_gone().await;
    });
}

fn a_password_is_asked_for_once_however_many_channels_there_are() {
    block_on(async {
        let world = World::new(&[]).await;
        let (asks, asked) = (world.at("asks"), world.at("asked"));
        let script = format!("#!/bin/sh\necho asked >>{}\necho '{}'\n", asked.display(), sshd::PASSWORD);
        fs::write(&asks, script).unwrap();
        fs::set_permissions(&asks, fs::Permissions::from_mode(0o755)).unwrap();
        let mut tow = world.tow(&["put", "file", &world.target("by-password", "")]);
        tow.env("SSH_ASKPASS", &asks).env("SSH_ASKPASS_REQUIRE", "force");
        assert!(ended(tow.spawn().unwrap()).await.success());
        assert_equal(&world.at("plain/file"), &noise(FILE_BYTES));
        assert!(world.sshd.said(CHANNEL) > 1);
        assert_eq!(fs::read_to_string(asked).unwrap(), "asked\n");
        world.assert_gone().await;
    });
}

fn one_channel_is_enough_where_either_side_wants_no_more() {
    block_on(async {
        let world = World::new(&["MaxSessions=1"]).await;
        world.there_and_back("box").await;
        assert_eq!((world.sshd.said(CHANNEL), world.sshd.said(LET_IN)), (2, 2));
        assert_eq!(world.sshd.said(REFUSED), 2, "tried once in each session");
        let world = World::new(&[]).await;
        fs::create_dir_all(world.at("settings/towpath")).unwrap();
        fs::write(world.at("settings/towpath/config.toml"), "streams = 1\n").unwrap();
        world.there_and_back("box").await;
        assert_eq!((world.sshd.said(CHANNEL), world.sshd.said(LET_IN)), (2, 2));
    });
}

fn where_a_further_channel_is_killed_the_repeat_completes() {
    block_on(async {
        let world = World::new(&[]).await;
        let tow = world.putting().await;
        let further = further_of(&tow).expect("the ssh of a further channel");
        kill_process(further, Signal::KILL).unwrap();
        if !ended(tow).await.success() {
            assert!(!world.at("plain/file").exists(), "absent or whole");
            assert!(world.run(&["put", "file", &world.target("box", "")]).await.success());
        }
        assert_equal(&world.at("plain/file"), &noise(FILE_BYTES));
        world.assert_gone().await;
    });
}

fn what_tow_has_started_ends_with_it_however_it_ends() {
    block_on(async {
        let world = World::new(&[]).await;
        let mut tow = world.putting().await;
        let started = children_of(process(&tow));
        assert!(started.len() > 1, "{started:?}");
        tow.kill().await.unwrap();
        until("every ssh ended", || started.iter().all(|child| test_kill_process(*child).is_err())).await;
        world.assert_gone().await;
        assert!(!world.at("plain/file").exists(), "absent or whole");
    });
}

fn whoever_shares_connections_by_a_configuration_of_their_own_keeps_that() {
    block_on(async {
        let world = World::new(&[]).await;
        world.put("shared").await;
        assert!(world.sshd.said(CHANNEL) > 1);
        assert_eq!(world.sshd.said(LET_IN), 1);
        world.assert_gone().await;
        // A master that is there already is used, and left.
        let ssh = |words: &[&str]| {
            let mut ssh = Command::new(world.sshd.ssh());
            let port = world.line.address.port().to_string();
            ssh.args(["-p", &port, "-l", "plain"]).args(words).arg("shared").stdin(Stdio::null());
            ssh.stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
            ssh
        };
        let mut theirs = ssh(&["-N"]).spawn().unwrap();
        until("their master", || world.sshd.said(LET_IN) == 2).await;
        let before = world.sshd.said(CHANNEL);
        loop {
            if ssh(&["-O", "check"]).status().await.unwrap().success() {
                break;
            }
        }
        world.put("shared").await;
        assert!(world.sshd.said(CHANNEL) > before + 1);
        assert_eq!(world.sshd.said(LET_IN), 2);
        assert!(ssh(&["-O", "exit"]).status().await.unwrap().success(), "it was left");
        timeout(PATIENCE, theirs.wait()).await.unwrap().unwrap();
        world.assert_gone().await;
    });
}

fn where_tow_itself_serves_there_are_several_channels_too() {
    block_on(async {
        let world = World::with_path(BARE, &[]).await;
        // Not by the long line: the program is large.
        assert!(world.run(&["ls", "--install", "ssh://plain@box/~/"]).await.success());
        let before = world.sshd.said(CHANNEL);
        world.there_and_back("box").await;
        assert!(world.sshd.said(CHANNEL) >= before + 4);
        world.assert_gone().await;
    });
}
