//! A server whose system gives it nothing more: no descriptors, no certainty that anything is on the disk.

use std::fs;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use towpath_protocol::fault::FaultCode;
use towpath_protocol::hash::Hash;
use towpath_protocol::message::{Answer, ToServer};
use towpath_protocol::path::{Location, WirePath};
use towpath_protocol::request::{Durability, Existing, OperationId, Put, Space, StoreAs};

use super::clients::world::Client;
use super::memory::PATIENCE;
use super::towd::program;

/// A server that is started by `sh -c SCRIPT`, where `"$@"` is its command line.
struct Towd {
    dir: TempDir,
    child: Child,
}

impl Towd {
    fn under(script: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("served")).unwrap();
        let mut child = Command::new("sh")
            .args(["-c", script, "sh"])
            .arg(program())
            .args(["--json", "--unix"])
            .arg(dir.path().join("socket"))
            .arg("--root")
            .arg(dir.path().join("served"))
            .env("TOW_STATE_DIR", dir.path().join("state"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut ready = [0; 1];
        child.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
        Self { dir, child }
    }

    fn client(&self) -> Client {
        Client::greet(&self.dir.path().join("socket"))
    }

    /// Hundredths of a second that it has worked.
    fn worked(&self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }
}

impl Drop for Towd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn is_answered(client: &mut Client) -> bool {
    let space = ToServer::Request(Space { path: WirePath::root() }.into());
    matches!(client.ask(&space), Some(Answer::SpaceInfo(_)))
}

#[test]
fn f49_a_server_without_descriptors_waits_for_some_and_goes_on() {
    let towd = Towd::under("ulimit -n 40; exec \"$@\"");
    let socket = towd.dir.path().join("socket");
    assert!(is_answered(&mut towd.client()));
    // More than it can have; the rest waits in the system's queue.
    let many: Vec<_> = (0..60).map(|_| std::os::unix::net::UnixStream::connect(&socket).unwrap()).collect();
    std::thread::sleep(Duration::from_millis(200));
    let before = towd.worked();
    std::thread::sleep(Duration::from_secs(1));
    let worked = towd.worked() - before;
    assert!(worked < 50, "it worked for {worked} hundredths of a second while it could do nothing");
    drop(many);
    assert!(is_answered(&mut towd.client()), "it does not go on");
}

fn put(name: &str, number: u8) -> ToServer {
    let store = StoreAs {
        mode: 0o644,
        modified_ns: 0,
        existing: Existing::Replace,
        expected: None,
        durability: Durability::Synced,
    };
    let file = Location { base: WirePath::root(), path: WirePath::parse(name.as_bytes()).unwrap() };
    let data = b"content".to_vec();
    ToServer::Request(
        Put { operation: OperationId([number; 16]), file, store, hash: Hash::of(&data), data }.into(),
    )
}

#[test]
fn f52_what_could_not_be_flushed_is_not_there_and_not_flushed_again() {
    if Command::new("strace").arg("-V").output().is_err() {
        eprintln!("skipped: there is no strace");
        return;
    }
    // The first flush fails, as a disk that is worn out fails; every other one would succeed.
    let towd =
        Towd::under("exec strace -f -qq -o /dev/null -e trace=fsync -e inject=fsync:error=EIO:when=1 \"$@\"");
    let mut client = towd.client();
    let served = towd.dir.path().join("served");
    fs::write(served.join("old"), "old").unwrap();
    match client.ask(&put("old", 1)) {
        Some(Answer::Fault(fault)) => assert_ne!(fault.code, FaultCode::Internal, "{fault}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(fs::read_to_string(served.join("old")).unwrap(), "old");
    let began = Instant::now();
    while fs::read_dir(&served).unwrap().count() > 1 {
        assert!(began.elapsed() < PATIENCE, "a part is left");
        std::thread::sleep(Duration::from_millis(5));
    }
    // Another time everything is written anew.
    match client.ask(&put("old", 2)) {
        Some(Answer::Stored(_)) => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(fs::read_to_string(served.join("old")).unwrap(), "content");
}
