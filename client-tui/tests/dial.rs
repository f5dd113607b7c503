//! Dialling: what is met at a place is told in words; a program at the far end of pipes ends with its link.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr,
    unreachable_pub,
    reason = "tests"
)]

#[path = "support/skip.rs"]
mod skip;
#[allow(dead_code, reason = "other tests use more of it")]
#[path = "support/towd.rs"]
mod towd;

use std::ffi::OsStr;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use skip::skip;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, UnixListener};
use tokio::process::Command;
use tokio::time::timeout;
use towpath::link::dial::{DialFault, child, dial};
use towpath::link::keyring::Keyring;
use towpath::link::{GreetingFault, Link};
use towpath::model::target::{Server, Target};
use towpath_protocol::fault::FaultCode;
use towpath_protocol::pairing::{KeyHash, PairingCode, PairingSecret, SECRET_BYTES};

const PATIENCE: Duration = Duration::from_secs(30);

/// With a code of some server.
async fn dial_typed(typed: &str) -> Result<Link, DialFault> {
    let Ok(Target::Remote { server, .. }) = Target::parse(OsStr::new(typed)) else { panic!("{typed}") };
    let state = tempfile::tempdir().unwrap();
    let secret = PairingSecret::new([7; SECRET_BYTES].into());
    dial(&server, &keyring(state.path()), Some(PairingCode::new(&KeyHash([1; 32]), secret))).await
}

fn keyring(folder: &Path) -> Arc<Keyring> {
    Arc::new(Keyring::new(Some(folder.join("state")), "ann@box".to_owned(), None))
}

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

/// `towd --stdio` on a folder, its process id written to `folder/pid`.
async fn towd_child(folder: &Path) -> (Link, Pid) {
    let mut command = shell(r#"echo $$ > pid && exec "$0" --stdio --root ."#);
    command.arg(towd::program()).current_dir(folder).env("TOW_STATE_DIR", folder.join("state"));
    let link = child(command).await.unwrap();
    let pid = fs::read_to_string(folder.join("pid")).unwrap().trim().parse().unwrap();
    (link, Pid::from_raw(pid).unwrap())
}

/// Waits until the process is gone, and reaped: a zombie still is there.
async fn gone(pid: Pid) {
    let gone = timeout(PATIENCE, async {
        while test_kill_process(pid).is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    gone.await.expect("the program is still there");
}

#[tokio::test]
async fn where_nobody_listens_towd_is_asked_for() {
    // Bound, so that nobody else takes the port meanwhile, and not listened on.
    let silent = TcpSocket::new_v4().unwrap();
    silent.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = silent.local_addr().unwrap().port();
    let fault = dial_typed(&format!("tow://127.0.0.1:{port}/")).await.unwrap_err();
    assert_eq!(fault.to_string(), "connection refused; is towd running?");
}

#[tokio::test]
async fn a_web_server_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = format!("tow://{}/", listener.local_addr().unwrap());
    let answering = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_u8().await.unwrap();
        // Closed with bytes unread: the client may see a reset behind the answer.
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
    };
    let (fault, ()) = tokio::join!(dial_typed(&place), answering);
    assert!(matches!(fault.unwrap_err(), DialFault::Greeting(GreetingFault::WebServer)));
}

#[tokio::test]
async fn a_towd_that_does_not_encrypt_is_told_and_learns_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = format!("tow://{}/", listener.local_addr().unwrap());
    let answering = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"TOWPATH1").await.unwrap();
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said).await;
        said
    };
    let (fault, said) = tokio::join!(dial_typed(&place), answering);
    assert!(matches!(fault.unwrap_err(), DialFault::Greeting(GreetingFault::NotEncrypted)));
    assert_eq!(said[0], 22, "a TLS handshake and nothing else");
}

#[tokio::test]
async fn a_socket_that_is_not_there_or_not_served_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("socket");
    let server = Server::Unix { socket: socket.as_os_str().as_bytes().to_vec() };
    assert!(matches!(dial(&server, &keyring(dir.path()), None).await, Err(DialFault::NoSocket)));
    drop(UnixListener::bind(&socket).unwrap());
    assert!(matches!(dial(&server, &keyring(dir.path()), None).await, Err(DialFault::Refused)));
}

#[tokio::test]
async fn a_program_that_fails_is_told_in_its_own_words_made_safe() {
    let fault = child(Command::new("/no/such/program")).await.unwrap_err();
    assert!(matches!(fault, DialFault::NoProgram(_)), "{fault}");
    let fault = child(shell(r"printf 'first\n\033[2Jsecond\n' >&2; exit 1")).await.unwrap_err();
    assert!(matches!(fault, DialFault::ProgramFailed { .. }), "{fault}");
    let text = "it closed the connection at once; is that towd?; it said: first / \\x1b[2Jsecond";
    assert_eq!(fault.to_string(), text);
}

#[tokio::test]
async fn a_program_ends_with_its_link_and_is_reaped() {
    let dir = tempfile::tempdir().unwrap();
    let (link, pid) = towd_child(dir.path()).await;
    link.bye().await;
    gone(pid).await;
    let (link, pid) = towd_child(dir.path()).await;
    drop(link);
    gone(pid).await;
}

#[tokio::test]
async fn a_program_that_dies_takes_its_link_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let (link, pid) = towd_child(dir.path()).await;
    kill_process(pid, Signal::KILL).unwrap();
    let fault = timeout(PATIENCE, link.lost()).await.unwrap();
    assert_eq!(fault.code, FaultCode::Disconnected);
    gone(pid).await;
}

#[tokio::test]
async fn what_a_program_said_last_explains_the_loss() {
    let dir = tempfile::tempdir().unwrap();
    // A shell gives its input to a job in the background only if it is told to; and it must not hold the pipes itself.
    let mut command = shell(
        r#"exec 3<&0 4>&1 <&- >&-
        "$0" --stdio --root . <&3 >&4 2>/dev/null & echo $! > pid
        exec 3<&- 4>&-
        wait; echo 'the line broke' >&2"#,
    );
    command.arg(towd::program()).current_dir(dir.path()).env("TOW_STATE_DIR", dir.path().join("state"));
    let link = child(command).await.unwrap();
    let pid = fs::read_to_string(dir.path().join("pid")).unwrap().trim().parse().unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    let fault = timeout(PATIENCE, link.lost()).await.unwrap();
    assert!(fault.detail.to_string().ends_with("it said: the line broke"), "{fault}");
}

#[test]
#[cfg(target_os = "linux")]
fn f68_where_tow_is_the_server_none_of_its_threads_can_gain_rights() {
    use std::process::{Command, Stdio};

    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tow"));
    let mut tow = command
        .arg("--stdio")
        // Whoever has set that there is served too.
        .env("TOW_STATE_DIR", dir.path().join("not made"))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let threads = || {
        let tasks = fs::read_dir(format!("/proc/{}/task", tow.id())).unwrap();
        // One that ends meanwhile says nothing.
        tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("status")).ok()).collect::<Vec<_>>()
    };
    let end = std::time::Instant::now() + Duration::from_secs(30);
    while threads().len() < 2 {
        assert!(std::time::Instant::now() < end, "it has no threads");
        std::thread::park_timeout(Duration::from_millis(5));
    }
    let all = threads();
    tow.kill().unwrap();
    tow.wait().unwrap();
    for status in all {
        assert!(status.contains("NoNewPrivs:\t1"), "{status}");
    }
}

/// An address that takes no connection and refuses none: its queue is full, and no program accepts.
struct Silent {
    address: SocketAddr,
    _listener: socket2::Socket,
    _queued: Vec<std::net::TcpStream>,
}

impl Silent {
    fn new(ip: IpAddr) -> std::io::Result<Self> {
        let address = SocketAddr::new(ip, 0);
        let listener =
            socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::STREAM, None)?;
        listener.bind(&address.into())?;
        listener.listen(0)?;
        let address = listener.local_addr()?.as_socket().unwrap();
        let mut queued = Vec::new();
        while let Ok(stream) = std::net::TcpStream::connect_timeout(&address, Duration::from_secs(2)) {
            queued.push(stream);
            assert!(queued.len() < 100, "a queue without an end");
        }
        Ok(Self { address, _listener: listener, _queued: queued })
    }
}

/// `tow ls` of a host whose first address is silent, by the names that `nss_wrapper` gives. `None` if there is none here.
fn listed_by_its_second_address(silent: IpAddr, answering: &str) -> Option<std::process::Output> {
    let wrapper = ["/usr/lib/x86_64-linux-gnu/libnss_wrapper.so", "/usr/lib64/libnss_wrapper.so"];
    let wrapper = wrapper.into_iter().find(|wrapper| Path::new(wrapper).exists())?;
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    fs::create_dir(&root).unwrap();
    fs::write(root.join("there.txt"), "there").unwrap();
    // A port that is free on both addresses.
    let (silent, port) = (0..20).find_map(|_| {
        let silent = Silent::new(silent).ok()?;
        let port = silent.address.port();
        std::net::TcpListener::bind((answering, port)).ok().map(|_| (silent, port))
    })?;
    let address = SocketAddr::new(answering.parse().unwrap(), port).to_string();
    let towd = towd::Towd::start_tls_again(&address, &root, &dir.path().join("towd"), &[]);
    let hosts = dir.path().join("hosts");
    fs::write(&hosts, format!("{} box.test\n{answering} box.test\n", silent.address.ip())).unwrap();
    let listed = std::process::Command::new(env!("CARGO_BIN_EXE_tow"))
        .args(["ls", &format!("tow://box.test:{port}/")])
        .env("LD_PRELOAD", wrapper)
        .env("NSS_WRAPPER_HOSTS", &hosts)
        .env("TOW_STATE_DIR", dir.path().join("tow"))
        .env("TOW_PAIR", towd.first_code().unwrap())
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    assert_eq!(towd.says(&["clients"]).lines().count(), 2, "one client was paired, once");
    Some(listed)
}

#[test]
fn a_silent_first_address_does_not_keep_the_second_from_answering() {
    for (silent, answering) in [("::1", "127.0.0.1"), ("127.0.0.1", "::1"), ("127.0.0.2", "127.0.0.1")] {
        let Some(listed) = listed_by_its_second_address(silent.parse().unwrap(), answering) else {
            skip("needs nss_wrapper and IPv6");
            return;
        };
        let said = String::from_utf8_lossy(&listed.stderr);
        assert!(String::from_utf8_lossy(&listed.stdout).contains("there.txt"), "{silent}: {said}");
    }
}
