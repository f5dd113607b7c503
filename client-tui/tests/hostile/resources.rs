//! A server whose system gives it less: no descriptors, no certainty that anything is on the disk, no `openat2`.

use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;
use towpath_protocol::fault::FaultCode;
use towpath_protocol::hash::Hash;
use towpath_protocol::message::{Answer, Request, ToServer};
use towpath_protocol::path::{Location, WirePath};
use towpath_protocol::request::{
    Copy, Depth, Durability, Existing, MakeFolder, OperationId, Put, Read as ReadFile, Remove, Rename,
    SetMode, SetTimes, Space, StoreAs, Wants,
};
use towpath_protocol::time::Time;

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
            // What watches towd may end without it.
            .process_group(0)
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
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
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
        modified: Time::from_ns(0),
        existing: Existing::Replace,
        expected: None,
        durability: Durability::Synced,
        metadata: None,
    };
    let file = Location { base: WirePath::root(), path: WirePath::parse(name.as_bytes()).unwrap() };
    let data = b"content".to_vec();
    ToServer::Request(
        Put { operation: OperationId([number; 16]), file, store, hash: Hash::of(&data), data }.into(),
    )
}

/// Threads that a server has for short work, and some.
const HANDS_MOST: u8 = 80;

#[test]
fn f52_what_could_not_be_flushed_is_not_there_and_not_flushed_again() {
    if !has_strace() {
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
    // Another time everything is written anew. strace counts each thread's calls, so another one may still have its first before it.
    let stored = (2..=HANDS_MOST).find(|number| match client.ask(&put("old", *number)) {
        Some(Answer::Stored(_)) => true,
        Some(Answer::Fault(fault)) => {
            assert_eq!(fault.code, FaultCode::Io);
            assert_eq!(fs::read_to_string(served.join("old")).unwrap(), "old");
            false
        }
        other => panic!("{other:?}"),
    });
    assert!(stored.is_some(), "every flush fails");
    assert_eq!(fs::read_to_string(served.join("old")).unwrap(), "content");
}

fn has_strace() -> bool {
    let has = Command::new("strace").arg("-V").output().is_ok();
    if !has {
        crate::skip::skip("there is no strace");
    }
    has
}

/// Requests about `sub/file`, which is there only while `sub` is the link.
fn about_file(round: usize) -> Vec<Request> {
    let at =
        |path: &str| Location { base: WirePath::root(), path: WirePath::parse(path.as_bytes()).unwrap() };
    let in_base = Location { base: at("sub").path, path: at("file").path };
    let operation = |verb: u8| {
        let mut id = [verb; 16];
        id[..8].copy_from_slice(&(round as u64).to_be_bytes());
        OperationId(id)
    };
    let (keep, replace) = (Existing::Keep, Existing::Replace);
    let mut requests = Vec::new();
    for (way, file) in [at("sub/file"), in_base].into_iter().enumerate() {
        let way = way as u8 * 10;
        let taken = at(&format!("taken{way}"));
        requests.extend([
            ReadFile {
                file: file.clone(),
                version: None,
                offset: 0,
                len: 65_536,
                wants: Wants::Data,
                holes: false,
            }
            .into(),
            SetMode { thing: file.clone(), mode: 0o777 }.into(),
            SetTimes { thing: file.clone(), modified: Time::from_ns(1) }.into(),
            Rename {
                operation: operation(way),
                from: file.clone(),
                to: taken.clone(),
                existing: replace,
                expected: None,
            }
            .into(),
            Copy {
                operation: operation(way + 1),
                from: file.clone(),
                to: taken,
                existing: replace,
                durability: Durability::Relaxed,
                expected: None,
                preserve: false,
            }
            .into(),
            MakeFolder { operation: operation(way + 2), folder: file.clone(), mode: 0o755, existing: keep }
                .into(),
            Remove {
                operation: operation(way + 3),
                thing: file,
                depth: Depth::Tree,
                expected: None,
                aside: false,
            }
            .into(),
        ]);
    }
    requests
}

#[test]
fn f06_f07_without_openat2_a_link_that_is_swapped_in_leads_nowhere_either() {
    if !has_strace() {
        return;
    }
    // The walk is what is left, as on other systems.
    let script = "exec strace -f -qq -o /dev/null -e trace=openat2 -e inject=openat2:error=ENOSYS \"$@\"";
    let towd = Towd::under(script);
    let (served, outside) = (towd.dir.path().join("served"), towd.dir.path().join("outside"));
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("file"), "secret").unwrap();
    fs::create_dir(served.join("sub")).unwrap();
    std::os::unix::fs::symlink(&outside, served.join("trap")).unwrap();
    let before = fs::metadata(outside.join("file")).unwrap();
    let stop = AtomicBool::new(false);
    let mut client = towd.client();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (sub, trap) = (served.join("sub"), served.join("trap"));
            while !stop.load(Ordering::Relaxed) {
                renameat_with(CWD, &sub, CWD, &trap, RenameFlags::EXCHANGE).unwrap();
                std::thread::yield_now();
            }
        });
        for round in 0..500 {
            for request in about_file(round) {
                let answer = client.ask(&ToServer::Request(request));
                let told = matches!(answer, Some(Answer::FileWhole(_) | Answer::ReadHead(_)));
                assert!(!told, "what is outside was told: {answer:?}");
                assert!(answer.is_some(), "the server is gone");
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(fs::read_to_string(outside.join("file")).unwrap(), "secret");
    let after = fs::metadata(outside.join("file")).unwrap();
    assert_eq!((before.ctime(), before.ctime_nsec()), (after.ctime(), after.ctime_nsec()), "it was touched");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1, "something was made outside");
}
