//! TCP, unix sockets, standard input and output: who gets in, and who does not.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use towpath_protocol::frame::encode_to_server;
use towpath_protocol::hello::{Capability, Hello, PREAMBLE, RootKind, Ticket};
use towpath_protocol::message::{Answer, Bye, RequestId, Session, ToServer};
use towpath_protocol::path::WirePath;
use towpath_protocol::request::{Read, Space, Wants};

use super::world::{Client, Towd, at, folder, hello, run, towd};

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

/// `towd ARGUMENTS` on pipes.
fn piped(arguments: &[&str]) -> (Child, ChildStdout, ChildStdin) {
    let mut towd = towd();
    towd.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = towd.spawn().unwrap();
    let (reader, writer) = (child.stdout.take().unwrap(), child.stdin.take().unwrap());
    (child, reader, writer)
}

fn hello_with_streams(join: Option<Ticket>) -> Hello {
    Hello { capabilities: vec![Capability::new(Capability::STREAMS)], join, ..hello() }
}

/// What `towd --join` says on standard error where it finds no session.
fn refused(begin: &[u8]) -> String {
    let (child, mut reader, mut writer) = piped(&["--join"]);
    writer.write_all(begin).unwrap();
    drop(writer);
    let mut said = Vec::new();
    reader.read_to_end(&mut said).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((said.as_slice(), output.status.code()), (&b""[..], Some(1)));
    String::from_utf8(output.stderr).unwrap()
}

fn bytes_of(hello: Hello) -> Vec<u8> {
    let hello = encode_to_server(RequestId(1), &ToServer::Session(Session::Hello(hello))).unwrap();
    [PREAMBLE, &hello.head[..]].concat()
}

#[test]
#[cfg(target_os = "linux")]
fn another_programs_standard_input_and_output_become_a_further_stream_of_the_session() {
    let root = folder(&[]);
    let (mut first, reader, writer) = piped(&["--stdio", "--root", root.path().to_str().unwrap()]);
    let mut client = Client::say_hello(reader, writer, hello_with_streams(None)).unwrap();
    let ticket = client.welcome.as_ref().unwrap().ticket.expect("a ticket");
    let (mut second, reader, writer) = piped(&["--join"]);
    let further = Client::say_hello(reader, writer, hello_with_streams(Some(ticket))).unwrap();
    // The first serves it, behind its wall.
    let welcome = further.welcome.as_ref().unwrap();
    assert_eq!((welcome.root_kind, welcome.ticket), (RootKind::Jailed, None));
    client.call(space());
    assert!(second.try_wait().unwrap().is_none(), "it stays as long as its stream does");
    // With a stream the session is lost, and with the session all its streams.
    drop(further);
    assert_eq!(client.hear(), None);
    drop(client);
    assert!(first.wait().unwrap().success());
    assert!(second.wait().unwrap().success());
    let gone = refused(&bytes_of(hello_with_streams(Some(ticket))));
    assert!(gone.contains("no session of this user has that ticket"), "{gone}");
}

/// No user that anybody is.
const ANOTHER: &str = "65531";

#[test]
#[cfg(target_os = "linux")]
fn f58_another_user_neither_joins_a_session_nor_takes_what_was_meant_for_it() {
    if !rustix::process::geteuid().is_root() || !Path::new("/usr/bin/setpriv").exists() {
        crate::skip::skip("it takes root and setpriv to be another user");
        return;
    }
    let root = folder(&[]);
    let (mut first, reader, writer) = piped(&["--stdio", "--root", root.path().to_str().unwrap()]);
    let mut client = Client::say_hello(reader, writer, hello_with_streams(None)).unwrap();
    let ticket = client.welcome.as_ref().unwrap().ticket.expect("a ticket");
    // Where another user may run it.
    let copy = root.path().join("towd");
    std::fs::copy(towd().get_program(), &copy).unwrap();
    std::fs::set_permissions(root.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let as_another = |program: &Path, arguments: &[&str]| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", ANOTHER, "--regid", ANOTHER, "--clear-groups"]).arg(program).args(arguments);
        command.current_dir("/").env_remove("TOW_STATE_DIR").env("HOME", root.path().join("no home"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    // One that has the ticket, however it came by it.
    let mut joining = as_another(&copy, &["--join"]);
    let stdin = joining.stdin.take().unwrap();
    (&stdin).write_all(&bytes_of(hello_with_streams(Some(ticket)))).unwrap();
    let output = joining.wait_with_output().unwrap();
    assert_eq!((output.stdout.as_slice(), output.status.code()), (&b""[..], Some(1)));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("no session of this user has that ticket"), "{said}");
    // One that has the socket's name, which everybody can see, and sees to it by itself.
    let names = std::fs::read_to_string("/proc/net/unix").unwrap();
    let names: Vec<&str> =
        names.lines().filter_map(|line| line.split_once(" @towpath-")).map(|(_, name)| name).collect();
    assert!(!names.is_empty());
    let hex = ticket.0.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    let script = "import socket, sys\nfor name in sys.argv[1:]:\n s = socket.socket(socket.AF_UNIX)\n try:\n  s.connect('\\0towpath-' + name)\n except ConnectionRefusedError:\n  continue\n sys.stdout.buffer.write(s.recv(8))";
    let output = as_another(Path::new("/usr/bin/python3"), &[&["-c", script], &names[..]].concat())
        .wait_with_output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.stdout, b"");
    assert!(names.iter().all(|name| !name.contains(&hex[..8])), "a name gives a ticket away");
    // The session does not mind.
    client.call(space());
    drop(client);
    assert!(first.wait().unwrap().success());
}

#[test]
fn whoever_joins_without_a_session_is_told_why() {
    let never = bytes_of(hello_with_streams(Some(Ticket([7; 16]))));
    let table = [
        (&never[..], "no session of this user has that ticket"),
        (&bytes_of(hello_with_streams(None)), "does not say which session to join"),
        (&never[..20], "does not say which session to join"),
        (b"GET / HTTP/1.1\r\n", "does not say which session to join"),
        (b"", "does not say which session to join"),
    ];
    for (begin, words) in table {
        let said = refused(begin);
        assert!(said.starts_with("towd: ") && said.contains(words), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    let limited = run(["--join", "--stdio"]);
    assert_eq!(limited.status.code(), Some(2));
}

#[test]
fn standard_input_and_output_take_no_further_stream_where_the_limit_is_one() {
    let (_towd, reader, writer) = piped(&["--stdio", "--limit", "streams=1"]);
    let client = Client::say_hello(reader, writer, hello_with_streams(None)).unwrap();
    assert_eq!(client.welcome.unwrap().ticket, None);
}

#[test]
fn standard_input_that_ends_at_once_ends_it_at_once() {
    let output = run(["--stdio"]);
    assert_eq!(output.stdout, PREAMBLE);
}
