//! TCP, unix sockets, standard input and output: who gets in, and who does not.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use towpath_protocol::hello::{PREAMBLE, RootKind};
use towpath_protocol::message::{Answer, Bye, Session, ToServer};
use towpath_protocol::path::WirePath;
use towpath_protocol::request::{Read, Space, Wants};

use super::world::{Client, Towd, at, folder, run, towd};

/// Waits until somebody listens there.
pub(crate) fn wait_for_socket(path: &Path) {
    let end = Instant::now() + Duration::from_secs(30);
    while UnixStream::connect(path).is_err() {
        assert!(Instant::now() < end, "nobody listens on {}", path.display());
        std::thread::yield_now();
    }
}

fn metadata(path: &Path) -> Option<std::fs::Metadata> {
    std::fs::symlink_metadata(path).ok()
}

fn space() -> Space {
    Space { path: WirePath::root() }
}

fn bye() -> ToServer {
    ToServer::Session(Session::Bye(Bye {}))
}

#[test]
fn whoever_speaks_no_tls_on_the_port_is_told_what_it_is() {
    let root = folder(&[]);
    let towd = Towd::on_tcp(root.path());
    for said in [&b"GET /\x1b[2J HTTP/1.1\r\nHost: localhost\r\n\r\n"[..], PREAMBLE] {
        let mut stranger = TcpStream::connect(towd.address()).unwrap();
        stranger.write_all(said).unwrap();
        let mut answer = String::new();
        stranger.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "This is towd. It speaks TLS 1.3 with tow, and nothing else.\n");
    }
    let line = towd.log.wait_for("GET /");
    assert!(line.contains("refused") && line.contains("not a Towpath client"), "{line}");
    assert!(!line.contains('\x1b'));
    towd.log.wait_for("TOWPATH1");
}

#[test]
fn somebody_who_says_nothing_keeps_nobody_out() {
    let root = folder(&[]);
    let socket = root.path().join("socket");
    let towd = Towd::start(root.path(), ["--listen", "127.0.0.1:0", "--unix", socket.to_str().unwrap()]);
    let _silent: Vec<_> = (0..60).map(|_| TcpStream::connect(towd.address()).unwrap()).collect();
    towd.connect().call(space());
}

#[test]
fn a_unix_socket_is_for_this_user_and_gone_at_the_end() {
    let root = folder(&[]);
    let socket = root.path().join("socket");
    let towd = Towd::start(root.path(), [Path::new("--unix"), &socket]);
    assert_eq!(towd.listening["unix"], socket.to_str().unwrap());
    assert_eq!(towd.listening["connect"], format!("unix:{}", socket.display()));
    assert_eq!(towd.listening.get("address"), None);
    assert_eq!(metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    Client::over_unix(&socket).call(space());
    towd.log.wait_for("\"connected\"");
    assert!(towd.stop().success());
    assert!(metadata(&socket).is_none());
}

#[test]
fn a_unix_socket_comes_beside_tcp() {
    let root = folder(&[]);
    let socket = root.path().join("socket");
    let towd = Towd::start(root.path(), ["--listen", "127.0.0.1:0", "--unix", socket.to_str().unwrap()]);
    towd.connect().call(space());
    assert_eq!(towd.listening["connect"], format!("tow://{}/", towd.address()));
}

#[test]
fn a_socket_that_lives_is_not_taken_and_a_dead_one_is() {
    let root = folder(&[]);
    let socket = root.path().join("socket");
    let first = Towd::start(root.path(), [Path::new("--unix"), &socket]);
    let output = run([Path::new("--unix"), &socket]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("already in use"), "{said}");
    Client::over_unix(&socket).call(space());
    // Killed, it leaves its socket behind.
    drop(first);
    assert!(metadata(&socket).unwrap().file_type().is_socket());
    let second = Towd::start(root.path(), [Path::new("--unix"), &socket]);
    Client::over_unix(&socket).call(space());
    assert!(second.stop().success());
}

#[test]
fn what_is_not_a_socket_is_left_alone() {
    let root = folder(&[("file", b"precious")]);
    let file = root.path().join("file");
    let output = run([Path::new("--unix"), &file]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("not a socket"));
    assert_eq!(metadata(&file).unwrap().len(), 8);
}

#[test]
fn a_socket_that_somebody_else_put_there_meanwhile_stays() {
    let root = folder(&[]);
    let socket = root.path().join("socket");
    let towd = Towd::start(root.path(), [Path::new("--unix"), &socket]);
    rustix::fs::unlink(&socket).unwrap();
    let _other = UnixListener::bind(&socket).unwrap();
    assert!(towd.stop().success());
    assert!(metadata(&socket).is_some());
}

#[test]
fn standard_input_and_output_are_one_session_on_the_whole_file_system() {
    let root = folder(&[("file", b"hello")]);
    let mut child = towd()
        .arg("--stdio")
        .env("HOME", root.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut client = Client::greet(child.stdout.take().unwrap(), child.stdin.take().unwrap());
    let welcome = client.welcome.clone().unwrap();
    assert_eq!(welcome.root_kind, RootKind::Whole);
    let home = root.path().to_str().unwrap();
    assert_eq!(welcome.home, WirePath::parse(home.as_bytes()).unwrap());
    let read = Read {
        file: at(&format!("{home}/file")),
        version: None,
        offset: 0,
        len: 100,
        wants: Wants::Data,
        holes: false,
    };
    // A folder of the test's own may lie behind a link; the base is where links resolve.
    let read = Read { file: towpath_protocol::path::Location::of(&read.file.path), ..read };
    match client.call(read).1 {
        Answer::FileWhole(whole) => assert_eq!(whole.data, b"hello"),
        other => panic!("{other:?}"),
    }
    client.say(0, &bye());
    assert_eq!(client.hear(), Some((0, Bye {}.into())));
    assert_eq!(client.hear(), None);
    drop(client);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(log.contains("stdio connected") && log.contains("stdio left"), "{log}");
}

#[test]
fn standard_input_and_output_may_be_a_socket() {
    let root = folder(&[]);
    let (ours, theirs) = UnixStream::pair().unwrap();
    let theirs = std::os::fd::OwnedFd::from(theirs);
    let mut child = towd()
        .arg("--stdio")
        .arg("--root")
        .arg(root.path())
        .stdin(theirs.try_clone().unwrap())
        .stdout(theirs)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut client = Client::on(ours);
    assert_eq!(client.welcome.as_ref().unwrap().root_kind, RootKind::Jailed);
    client.call(space());
    drop(client);
    assert!(child.wait().unwrap().success());
}

#[test]
fn standard_input_that_ends_at_once_ends_it_at_once() {
    let output = run(["--stdio"]);
    assert_eq!(output.stdout, PREAMBLE);
}
