//! Every limit of the table in `towd --help`, and those of the protocol, met on the running server.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use towpath_protocol::fault::FaultCode;
use towpath_protocol::frame::encode_to_server;
use towpath_protocol::hello::{Limits, PREAMBLE};
use towpath_protocol::limits::{
    DEPTH_MAX, FRAME_BYTES_LEAST, FRAME_BYTES_MAX_BEFORE_HELLO, PATHS_MAX, READ_BYTES_MAX,
};
use towpath_protocol::message::{Answer, Bye, RequestId, ToServer};
use towpath_protocol::path::WirePath;
use towpath_protocol::request::{
    BeginUpload, Copy, Durability, Existing, Follow, OperationId, Read, Space, Stat, Wants,
};

use super::log::put;
use super::tls::{House, Person};
use super::world::{Client, Towd, at, folder, hello, run, towd, write};

const MIB: u64 = 1024 * 1024;
/// Half-open connections of the flood; by hand with more (`TOWD_FLOOD`).
const FLOOD: usize = 2000;

/// A server on a socket with these limits, and a folder with one file.
fn limited(limits: &[&str]) -> (tempfile::TempDir, Towd) {
    let root = folder(&[("file", b"content")]);
    let arguments: Vec<_> = limits.iter().flat_map(|limit| ["--limit", limit]).collect();
    let towd = Towd::on_socket_with(root.path(), &arguments);
    (root, towd)
}

fn space() -> Space {
    Space { path: WirePath::root() }
}

fn begin(operation: u8, size: u64) -> BeginUpload {
    let store = put("", b"").store;
    let file = at(&format!("upload-{operation}"));
    BeginUpload {
        operation: OperationId([operation; 16]),
        file,
        store,
        size,
        resume: None,
        basis: None,
        window_bytes: None,
        stored_bytes: None,
    }
}

/// That the server closes without another word, and how long that took.
fn ends(stream: &mut impl std::io::Read) -> Duration {
    let began = Instant::now();
    let mut rest = Vec::new();
    // A connection with bytes that nobody has read ends with a reset.
    let _ = stream.read_to_end(&mut rest);
    began.elapsed()
}

pub(crate) fn allow_open_files(count: u64) {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_some_and(|current| current < count) {
        setrlimit(Resource::Nofile, Rlimit { current: Some(count), maximum }).unwrap();
    }
}

pub(crate) fn resident_bytes(towd: &Towd) -> u64 {
    bytes_of(towd, "VmRSS:")
}

/// The most that it ever had.
pub(crate) fn peak_bytes(towd: &Towd) -> u64 {
    bytes_of(towd, "VmHWM:")
}

fn bytes_of(towd: &Towd, what: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", towd.child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(what)).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}

/// Threads that a server has.
pub(crate) fn threads(towd: &Towd) -> usize {
    std::fs::read_dir(format!("/proc/{}/task", towd.child.id())).unwrap().count()
}

#[test]
fn f48_a_flood_of_half_open_connections_keeps_no_paired_client_out() {
    let flood = std::env::var("TOWD_FLOOD").ok().and_then(|text| text.parse().ok()).unwrap_or(FLOOD);
    allow_open_files(2 * flood as u64);
    let root = folder(&[]);
    let house = House::new(root.path(), &[]);
    let ann = house.paired("ann@box", &[]);
    let before = resident_bytes(&house.towd);
    // Half of them say what a handshake begins with, and no more.
    let connect = |number: usize| {
        let mut stream = TcpStream::connect(house.towd.address()).unwrap();
        if number.is_multiple_of(2) {
            let _ = stream.write_all(&[22, 3, 1, 2, 0]);
        }
        stream
    };
    let silent: Vec<_> = (0..flood).map(connect).collect();
    house.meet(&ann, None).unwrap().call(space());
    // And while it goes on.
    std::thread::scope(|scope| {
        let flooding = scope.spawn(|| (0..flood / 2).map(connect).collect::<Vec<_>>());
        while !flooding.is_finished() {
            house.meet(&ann, None).unwrap().call(space());
        }
    });
    let grown = resident_bytes(&house.towd).saturating_sub(before);
    assert!(grown < 48 * MIB, "{grown} bytes for those who are not let in");
    house.towd.log.wait_for("dropped to make place for others");
    drop(silent);
}

#[test]
fn f48_handshakes_that_only_begin_push_nobody_out_who_comes_from_the_same_address() {
    let root = folder(&[]);
    let house = House::new(root.path(), &["--limit", "greeting=64"]);
    let ann = house.paired("ann@box", &[]);
    let hello = house.hello_of(&Person::new("eve@box"));
    // Each is heard: it is answered.
    let begin = |_| {
        let mut stream = TcpStream::connect(house.towd.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream.write_all(&hello).unwrap();
        assert!(stream.read(&mut [0; 1]).unwrap() > 0);
        stream
    };
    let mut flood: Vec<_> = (0..64).map(begin).collect();
    let arrived = house.arrive(&ann);
    flood.extend((0..64).map(begin));
    house.meet_on(arrived, &ann, None).unwrap().call(space());
    drop(flood);
}

#[test]
fn f48_one_session_too_many_is_told_so_until_another_ends() {
    let (_root, towd) = limited(&["sessions=2"]);
    let mut sessions = [towd.connect(), towd.connect()];
    let socket = towd.listening["unix"].as_str().unwrap().to_owned();
    let ask = || Client::ask_in(UnixStream::connect(&socket).unwrap(), hello());
    let fault = ask().err().unwrap();
    assert_eq!(fault.code, FaultCode::LimitExceeded);
    assert!(fault.detail.to_string().contains("as many sessions as it takes"), "{fault}");
    sessions[0].call(space());
    drop(sessions);
    let end = Instant::now() + Duration::from_secs(30);
    while ask().is_err() {
        assert!(Instant::now() < end, "the places are not given back");
    }
}

#[test]
fn f48_one_client_does_not_take_all_sessions() {
    let root = folder(&[]);
    let house = House::new(root.path(), &["--limit", "sessions_per_client=2"]);
    let (ann, bob) = (house.paired("ann@box", &[]), house.paired("bob@box", &[]));
    let end = Instant::now() + Duration::from_secs(30);
    let open = || loop {
        match house.meet(&ann, None) {
            Ok(session) => return session,
            // The session of the pairing may take a moment to end.
            Err(fault) => assert!(Instant::now() < end, "{fault}"),
        }
    };
    let sessions = [open(), open()];
    let fault = house.meet(&ann, None).err().unwrap();
    assert_eq!(fault.code, FaultCode::LimitExceeded);
    assert!(fault.detail.to_string().contains("this client has 2 sessions"), "{fault}");
    house.meet(&bob, None).unwrap().call(space());
    drop(sessions);
    open().call(space());
}

#[test]
fn f45_whoever_does_not_get_in_in_time_is_out() {
    let root = folder(&[]);
    let house = House::new(root.path(), &["--limit", "greeting_seconds=1"]);
    let mut silent = TcpStream::connect(house.towd.address()).unwrap();
    let mut slow = TcpStream::connect(house.towd.address()).unwrap();
    slow.write_all(&[22, 3, 1]).unwrap();
    for stream in [&mut silent, &mut slow] {
        assert!(ends(stream) < Duration::from_secs(8));
    }
    let (_root, towd) = limited(&["greeting_seconds=1"]);
    let mut stream = UnixStream::connect(towd.listening["unix"].as_str().unwrap()).unwrap();
    stream.write_all(&PREAMBLE[..3]).unwrap();
    assert!(ends(&mut stream) < Duration::from_secs(8));
    towd.log.wait_for("no greeting in time");
}

#[test]
fn f48_who_says_nothing_for_too_long_is_told_goodbye() {
    let (_root, towd) = limited(&["idle_seconds=1"]);
    let mut client = towd.connect();
    let began = Instant::now();
    assert_eq!(client.hear(), Some((0, Bye {}.into())));
    assert!(began.elapsed() >= Duration::from_millis(900), "{:?}", began.elapsed());
    towd.log.wait_for("nothing was said for too long");
}

#[test]
fn f48_who_takes_nothing_is_left() {
    let (root, towd) = limited(&["stall_seconds=1"]);
    write(&root.path().join("big"), &vec![1; 8 * MIB as usize]);
    let mut client = towd.connect();
    client.begin(Read {
        file: at("big"),
        version: None,
        offset: 0,
        len: READ_BYTES_MAX,
        wants: Wants::Data,
        holes: false,
    });
    towd.log.wait_for("the client takes no data");
}

#[test]
fn f39_frames_have_their_limit_before_and_after_the_greeting() {
    let (_root, towd) = limited(&["frame_bytes=512KiB"]);
    let mut stream = UnixStream::connect(towd.listening["unix"].as_str().unwrap()).unwrap();
    stream.write_all(PREAMBLE).unwrap();
    stream.write_all(&(FRAME_BYTES_MAX_BEFORE_HELLO as u32 + 1).to_be_bytes()).unwrap();
    assert!(ends(&mut stream) < Duration::from_secs(8));

    let mut client = towd.connect();
    assert_eq!(client.welcome.as_ref().unwrap().limits.frame_bytes, FRAME_BYTES_LEAST as u32);
    client.bytes(&(FRAME_BYTES_LEAST as u32 + 1).to_be_bytes());
    assert!(matches!(client.hear(), Some((0, Answer::Fault(fault))) if fault.code == FaultCode::Malformed));
    assert_eq!(client.hear(), None);
}

#[test]
fn f46_a_peer_lowers_limits_and_raises_none() {
    let (_root, towd) = limited(&["requests=100", "upload_credit_bytes=2MiB"]);
    let ask = |limits| {
        let stream = UnixStream::connect(towd.listening["unix"].as_str().unwrap()).unwrap();
        let client = Client::try_greet(stream.try_clone().unwrap(), stream, limits, None).unwrap();
        client.welcome.unwrap().limits
    };
    let ours = Limits { requests_in_flight: 100, upload_credit_bytes: 2 * MIB, ..Limits::OURS };
    let none = Limits { frame_bytes: 0, requests_in_flight: 0, upload_credit_bytes: 0 };
    let most = Limits { frame_bytes: u32::MAX, requests_in_flight: u32::MAX, upload_credit_bytes: u64::MAX };
    for raised in [Limits::OURS, none, most] {
        assert_eq!(ask(raised), ours);
    }
    let lower = Limits { frame_bytes: 600_000, requests_in_flight: 7, upload_credit_bytes: MIB };
    assert_eq!(ask(lower), lower);
}

#[test]
fn f48_one_request_too_many_is_refused_and_the_session_lives() {
    let (_root, towd) = limited(&["requests=4", "uploads=3"]);
    let mut client = towd.connect();
    for operation in 1..=3 {
        client.begin(begin(operation, 1));
        assert!(matches!(client.hear(), Some((_, Answer::UploadReady(_)))));
    }
    let fourth = client.begin(begin(4, 1));
    match client.hear() {
        Some((id, Answer::Fault(fault))) => {
            assert_eq!((id, fault.code), (fourth, FaultCode::LimitExceeded));
            assert!(fault.detail.to_string().contains("3 uploads are open"), "{fault}");
        }
        other => panic!("{other:?}"),
    }
    let (mut over, mut last) = (0, 0);
    for _ in 0..50 {
        last = client.begin(Read {
            file: at("file"),
            version: None,
            offset: 0,
            len: 1,
            wants: Wants::Data,
            holes: false,
        });
        let second = client.begin(Read {
            file: at("file"),
            version: None,
            offset: 0,
            len: 1,
            wants: Wants::Data,
            holes: false,
        });
        for _ in 0..2 {
            if let Some((id, Answer::Fault(fault))) = client.hear_final() {
                assert_eq!((id, fault.code), (second, FaultCode::LimitExceeded));
                over += 1;
            }
        }
    }
    assert!(over > 0 && last > 0, "two requests at a time never met");
    client.call(space());
}

#[test]
fn f44_an_upload_is_not_ahead_of_the_disk_by_more_than_its_credit() {
    let (_root, towd) = limited(&["upload_credit_bytes=1MiB", "upload_room_bytes=1MiB"]);
    let mut client = towd.connect();
    client.begin(begin(1, MIB));
    match client.hear() {
        Some((_, Answer::UploadReady(ready))) => assert!(ready.credit_bytes <= MIB / 2, "{ready:?}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn f40_sequences_and_nesting_have_their_limits() {
    let (_root, towd) = limited(&[]);
    let mut client = towd.connect();
    let stat = |paths| Stat { base: WirePath::root(), paths, follow: Follow::No };
    let file = at("file").path;
    assert_eq!(client.refused(stat(vec![file.clone(); PATHS_MAX + 1])), FaultCode::Malformed);
    match client.call(stat(vec![file; PATHS_MAX])).1 {
        Answer::Stats(stats) => assert_eq!(stats.items.len(), PATHS_MAX),
        other => panic!("{other:?}"),
    }
    // A Space whose path is an array in an array in an array.
    let encoded = encode_to_server(RequestId(77), &ToServer::Request(space().into())).unwrap();
    let mut frame = encoded.head[4..].to_vec();
    assert_eq!(frame.pop(), Some(0x90));
    frame.extend(vec![0x91; DEPTH_MAX]);
    frame.push(0x90);
    client.bytes(&(frame.len() as u32).to_be_bytes());
    client.bytes(&frame);
    assert!(matches!(client.hear(), Some((77, Answer::Fault(fault))) if fault.code == FaultCode::Malformed));
    client.call(space());
}

/// A small disk in memory; needs the right to mount.
pub(super) struct SmallDisk(pub(super) tempfile::TempDir);

impl SmallDisk {
    pub(super) fn of(size: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = std::process::Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "none"]).arg(folder.path());
        let is_mounted =
            mount.stderr(std::process::Stdio::null()).status().is_ok_and(|status| status.success());
        is_mounted.then_some(Self(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn f51_of_a_small_disk_no_more_than_a_twentieth_is_kept_free_unless_the_owner_says_so() {
    let Some(disk) = SmallDisk::of("20m") else { return super::skip::skip("nothing can be mounted here") };
    let towd = Towd::on_socket(disk.0.path());
    let mut client = towd.connect();
    let free = |client: &mut Client<_, _>| match client.call(space()).1 {
        Answer::SpaceInfo(space) => space.free,
        other => panic!("{other:?}"),
    };
    assert_eq!(free(&mut client), 19 * MIB);
    let content = vec![7; 64 * 1024];
    let stored = (0..1000).take_while(|number| {
        let mut put = put(&format!("{number}"), &content);
        put.operation.0[..4].copy_from_slice(&u32::to_be_bytes(*number));
        matches!(client.call(put).1, Answer::Stored(_))
    });
    assert_eq!(stored.count(), 19 * 16);
    assert_eq!((free(&mut client), client.refused(begin(1, 1))), (0, FaultCode::NoSpace));
    // A client that asks for more gets it.
    let towd = Towd::on_socket_with(disk.0.path(), &["--limit", "disk_reserve_bytes=2MiB"]);
    let mut client = towd.connect();
    (0..19 * 16).for_each(|number| std::fs::remove_file(disk.0.path().join(number.to_string())).unwrap());
    assert_eq!(free(&mut client), 18 * MIB);
}

#[test]
fn f51_the_reserve_of_the_disk_is_kept_free() {
    let (_root, towd) = limited(&["disk_reserve_bytes=1000000TiB"]);
    let mut client = towd.connect();
    assert_eq!(client.refused(put("new", b"new")), FaultCode::NoSpace);
    assert_eq!(client.refused(begin(1, 1)), FaultCode::NoSpace);
    let copy = Copy {
        operation: OperationId([3; 16]),
        from: at("file"),
        to: at("copy"),
        existing: Existing::Keep,
        durability: Durability::Relaxed,
        expected: None,
        preserve: false,
    };
    assert_eq!(client.refused(copy), FaultCode::NoSpace);
}

#[test]
fn f61_who_guesses_codes_is_not_listened_to_for_a_while() {
    let root = folder(&[]);
    let limits = ["--limit", "pairing_failures=2", "--limit", "pairing_forgiven_seconds=2"];
    let house = House::new(root.path(), &limits);
    let ann = house.paired("ann@box", &[]);
    let mut eve = Person::new("eve@box");
    for _ in 0..2 {
        let fault = house.meet(&eve, Some(&house.wrong_code())).err().unwrap();
        assert_eq!((fault.code, &*fault.detail.to_string()), (FaultCode::PairingFailed, ""));
    }
    // Not even the right one is looked at, nor closed by that; and whoever is paired comes in from there as ever.
    let code = house.code(&[]);
    let fault = house.meet(&eve, Some(&code)).err().unwrap();
    assert!(fault.detail.to_string().contains("try again in"), "{fault}");
    house.meet(&ann, None).unwrap().call(space());
    let mut bob = Person::new("bob@box");
    bob.from = Ipv4Addr::new(127, 0, 0, 2);
    house.meet(&bob, Some(&code)).unwrap().call(space());
    // It is forgiven with time.
    let code = house.code(&[]);
    let end = Instant::now() + Duration::from_secs(30);
    while house.meet(&eve, Some(&code)).is_err() {
        assert!(Instant::now() < end, "it is never forgiven");
    }
    eve.from = Ipv4Addr::new(127, 0, 0, 3);
    house.meet(&eve, None).unwrap();
}

#[test]
fn every_limit_stands_in_the_help_with_its_default() {
    let help = String::from_utf8(run(["--help"]).stdout).unwrap();
    for (name, default) in [
        ("greeting", "256"),
        ("greeting_seconds", "10"),
        ("sessions", "1024"),
        ("sessions_per_client", "64"),
        ("idle_seconds", "600"),
        ("stall_seconds", "120"),
        ("frame_bytes", "1MiB"),
        ("requests", "512"),
        ("uploads", "512"),
        ("upload_credit_bytes", "32MiB"),
        ("upload_room_bytes", "40MiB"),
        ("memory_bytes", "96MiB"),
        ("disk_reserve_bytes", "64MiB"),
        ("quota_bytes", "none"),
        ("pairing_failures", "5"),
        ("pairing_forgiven_seconds", "60"),
        ("audit_bytes", "16MiB"),
        ("audit_files", "8"),
    ] {
        let row = help.lines().map(|line| line.split_whitespace().take(2).collect::<Vec<_>>());
        assert!(row.clone().any(|row| row == [name, default]), "{name} {default}: {help}");
    }
}

#[test]
fn limits_come_from_the_configuration_file_too_and_arguments_win() {
    let root = folder(&[]);
    let config = root.path().join("towd.toml");
    let socket = root.path().join("socket");
    let text = format!("unix = {socket:?}\n[limits]\nrequests = 50\nupload_credit_bytes = \"2 MiB\"\n");
    write(&config, text.as_bytes());
    let mut command = towd();
    command.args(["--json", "--limit", "requests=60", "--config"]).arg(&config);
    let towd = Towd::spawn(command);
    let limits = towd.connect().welcome.unwrap().limits;
    assert_eq!(limits, Limits { requests_in_flight: 60, upload_credit_bytes: 2 * MIB, ..Limits::OURS });
    for (content, word) in [
        (&b"[limits]\nrequest = 50\n"[..], "no limit is called 'request'"),
        (b"[limits]\nrequests = 0\n", "not within 4 and 512"),
        (b"[limits]\nrequests = -1\n", "limits.requests"),
        (b"[limits]\nsessions = \"many\"\n", "'many' is no number"),
    ] {
        write(&config, content);
        let output = run([std::path::Path::new("--config"), &config]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(word) || said.contains("requests"), "{said}");
    }
    let output = run(["--limit", "sessions=0"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("sessions: 0 is not within 1 and 64KiB"), "{said}");
}
