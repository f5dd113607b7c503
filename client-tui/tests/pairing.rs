//! Who gets in, and who does not: `tow` and a real `towd` over TLS, introduced to each other by a code.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr,
    unreachable_pub,
    reason = "tests"
)]

#[path = "pairing/again.rs"]
mod again;
#[allow(dead_code, reason = "other tests use more of it")]
#[path = "support/pty.rs"]
mod pty;
#[allow(dead_code, reason = "other tests use more of it")]
#[path = "support/towd.rs"]
mod towd;

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use pty::Pty;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::timeout;
use towd::Towd;
use towpath::link::Link;
use towpath::link::dial::{DialFault, dial};
use towpath::link::keyring::Keyring;
use towpath::model::target::Target;
use towpath_protocol::fault::FaultCode;
use towpath_protocol::pairing::{KeyHash, PairingCode, PairingSecret, SECRET_BYTES};
use towpath_protocol::path::WirePath;
use towpath_protocol::request::Space;

const PATIENCE: Duration = Duration::from_secs(30);

/// A served folder with one file, its server, and a state folder for each of several clients.
struct World {
    dir: TempDir,
    towd: Towd,
}

impl World {
    fn new() -> Self {
        Self::with(&[])
    }

    fn with(arguments: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        fs::create_dir(&root).unwrap();
        fs::write(root.join("there.txt"), "there").unwrap();
        let towd = Towd::start_tls(&root, &dir.path().join("towd"), arguments);
        Self { dir, towd }
    }

    fn state(&self, client: &str) -> PathBuf {
        self.dir.path().join(client)
    }

    async fn dial(&self, client: &str, code: Option<&str>) -> Result<Link, DialFault> {
        let target = self.towd.target("");
        let Ok(Target::Remote { server, .. }) = Target::parse(OsStr::new(&target)) else { panic!() };
        let keyring = Arc::new(Keyring::new(Some(self.state(client)), format!("{client}@box"), None));
        let code = code.map(|code| PairingCode::parse(code).unwrap());
        timeout(PATIENCE, dial(&server, &keyring, code)).await.expect("dialling hangs")
    }

    /// A code of this server with a secret that is not its own.
    fn wrong_code(&self) -> String {
        let server: KeyHash = self.towd.fingerprint().parse().unwrap();
        PairingCode::new(&server, PairingSecret::new([7; SECRET_BYTES].into())).text().to_string()
    }

    fn tow(&self, client: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tow"));
        command.args(arguments).env("TOW_STATE_DIR", self.state(client)).env_remove("TOW_PAIR");
        command.env("USER", client).stdin(Stdio::null());
        command
    }

    fn ls(&self, client: &str, pair: Option<&str>) -> Output {
        let mut command = self.tow(client, &["ls", &self.towd.target("")]);
        command.envs(pair.map(|code| ("TOW_PAIR", code))).output().unwrap()
    }
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

async fn works(link: &Link) {
    link.call(Space { path: WirePath::root() }).await.unwrap();
}

#[tokio::test]
async fn a_code_opens_the_door_once_and_the_key_ever_after() {
    let world = World::new();
    let code = world.towd.code();
    works(&world.dial("ann", Some(&code)).await.unwrap()).await;
    for _ in 0..2 {
        works(&world.dial("ann", None).await.unwrap()).await;
    }
    assert!(world.towd.says(&["clients"]).contains("ann@box"));
    // The same code is of no use to anybody else.
    let fault = world.dial("eve", Some(&code)).await.unwrap_err();
    assert!(matches!(fault, DialFault::WrongCode), "{fault}");
    assert!(matches!(world.dial("eve", None).await, Err(DialFault::CodeWanted)));
    assert!(!world.towd.says(&["clients"]).contains("eve@box"));
}

#[tokio::test]
async fn f56_without_a_code_a_server_learns_nothing_about_the_client() {
    let world = World::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = format!("tow://{}/", listener.local_addr().unwrap());
    let Ok(Target::Remote { server, .. }) = Target::parse(OsStr::new(&target)) else { panic!() };
    let keyring = Arc::new(Keyring::new(Some(world.state("ann")), "ann@box".to_owned(), None));
    let passing_on = async {
        let (stream, _) = listener.accept().await.unwrap();
        let (mut from_client, mut to_client) = stream.into_split();
        let stream = tokio::net::TcpStream::connect(world.towd.address()).await.unwrap();
        let (mut from_towd, mut to_towd) = stream.into_split();
        let hearing = async {
            let (mut heard, mut bytes) = (Vec::new(), vec![0; 4096]);
            while let Ok(count @ 1..) = from_client.read(&mut bytes).await {
                heard.extend_from_slice(&bytes[..count]);
                to_towd.write_all(&bytes[..count]).await.unwrap();
            }
            to_towd.shutdown().await.unwrap();
            heard
        };
        let (heard, _) = tokio::join!(hearing, tokio::io::copy(&mut from_towd, &mut to_client));
        heard
    };
    let (fault, heard) = tokio::join!(dial(&server, &keyring, None), passing_on);
    assert!(matches!(fault, Err(DialFault::CodeWanted)), "{fault:?}");
    // A ClientHello, and an alert at the server's key: what proves a client comes behind that.
    assert_eq!((heard[0], heard[5]), (22, 1));
    let hello_bytes = 5 + usize::from(u16::from_be_bytes([heard[3], heard[4]]));
    assert!(heard.len() - hello_bytes < 64, "{} bytes behind the ClientHello", heard.len() - hello_bytes);
    // No try was counted: the first code is still good.
    works(&world.dial("ann", Some(&world.towd.code())).await.unwrap()).await;
}

/// A port at which something else than towd listens, and how that is told.
struct Stranger {
    target: String,
    told: &'static str,
    _socket: Option<socket2::Socket>,
}

/// Answers each connection with `banner` and closes it, for as long as the test lasts.
fn stranger(banner: &'static [u8], told: &'static str) -> Stranger {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let target = format!("tow://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut stream = stream;
            let mut hello = [0; 4096];
            let _ = std::io::Read::read(&mut stream, &mut hello);
            let _ = stream.write_all(banner);
        }
    });
    Stranger { target, told, _socket: None }
}

fn strangers() -> Vec<Stranger> {
    // The port is bound and not listening: no other program can take it meanwhile.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    vec![
        stranger(b"HTTP/1.1 400 Bad Request\r\n\r\n", "a web server answers there, not towd"),
        stranger(b"SSH-2.0-OpenSSH_9.6\r\n", "an SSH server answers there"),
        stranger(b"", "closed the connection"),
        Stranger {
            target: format!("tow://{address}/"),
            told: "connection refused; is towd running?",
            _socket: Some(socket),
        },
    ]
}

#[test]
fn no_code_is_asked_for_before_it_is_known_that_a_towd_answers() {
    let dir = tempfile::tempdir().unwrap();
    for Stranger { target, told, .. } in &strangers() {
        // Whatever code was given beforehand, or none.
        for code in [None, Some(""), Some("tow1abc")] {
            let mut tow = Command::new(env!("CARGO_BIN_EXE_tow"));
            tow.args(["ls", target]).env("TOW_STATE_DIR", dir.path()).env_remove("TOW_PAIR");
            let output = tow.envs(code.map(|code| ("TOW_PAIR", code))).stdin(Stdio::null()).output().unwrap();
            assert_eq!(output.status.code(), Some(3), "{}", said(&output));
            assert!(said(&output).contains(told), "{target} {code:?}: {}", said(&output));
        }
        // On a terminal, at the prompt and in the panes.
        for (arguments, question) in [(["ls", target], "Pairing code"), (["--connect", target], "Pair with")]
        {
            let mut command = pty::command(env!("CARGO_BIN_EXE_tow"), dir.path());
            command.args(arguments);
            let pty = Pty::start(command, 200, 30);
            pty.wait_until("the fault, or the question", |screen| {
                let text = screen.contents();
                text.contains(told) || text.contains(question)
            });
            assert!(!pty.contents().contains(question), "{target}: {}", pty.contents());
        }
    }
}

#[tokio::test]
async fn f61_three_wrong_secrets_close_the_code() {
    let world = World::new();
    let (code, wrong) = (world.towd.code(), world.wrong_code());
    for _ in 0..3 {
        let fault = world.dial("eve", Some(&wrong)).await.unwrap_err();
        assert!(matches!(fault, DialFault::WrongCode), "{fault}");
    }
    assert!(matches!(world.dial("ann", Some(&code)).await, Err(DialFault::WrongCode)));
    works(&world.dial("ann", Some(&world.towd.code())).await.unwrap()).await;
}

#[tokio::test]
async fn f55_a_code_of_another_server_ends_it_before_anything_is_said() {
    let (world, other) = (World::new(), World::new());
    let (code, ours) = (other.towd.code(), world.towd.code());
    let fault = world.dial("ann", Some(&code)).await.unwrap_err();
    assert!(matches!(fault, DialFault::CodeOfAnother { .. }), "{fault}");
    assert!(fault.to_string().contains(world.towd.fingerprint()), "{fault}");
    // Neither server has counted a try, and the right code still opens the right door.
    works(&world.dial("ann", Some(&ours)).await.unwrap()).await;
    works(&other.dial("ann", Some(&code)).await.unwrap()).await;
}

#[tokio::test]
async fn f55_a_changed_key_stops_hard_and_shows_both_fingerprints() {
    let world = World::new();
    works(&world.dial("ann", Some(&world.towd.code())).await.unwrap()).await;
    let known_servers = world.state("ann").join("client/known_servers");
    let before = KeyHash([9; 32]).to_string();
    let content = fs::read_to_string(&known_servers).unwrap();
    fs::write(&known_servers, content.replace(world.towd.fingerprint(), &before)).unwrap();
    // No code of whatever server gets past it.
    for code in [None, Some(world.towd.code())] {
        let output = world.ls("ann", code.as_deref());
        let said = said(&output);
        assert_eq!(output.status.code(), Some(3), "{said}");
        assert!(said.contains(&before) && said.contains(world.towd.fingerprint()), "{said}");
        assert!(said.contains("HAS CHANGED") && said.contains("tow forget 127.0.0.1:"), "{said}");
        assert!(output.stdout.is_empty());
    }
    assert!(fs::read_to_string(&known_servers).unwrap().contains(&before), "nothing was replaced");
}

#[tokio::test]
async fn f64_who_is_removed_is_out_at_once() {
    let world = World::new();
    let ann = world.dial("ann", Some(&world.towd.code())).await.unwrap();
    let bob = world.dial("bob", Some(&world.towd.code())).await.unwrap();
    let said = world.towd.says(&["clients", "remove", "1"]);
    assert!(said.starts_with("ann@box is removed"), "{said}");
    let fault = timeout(PATIENCE, ann.lost()).await.expect("the session goes on");
    assert_eq!(fault.code, FaultCode::Disconnected);
    assert!(fault.detail.to_string().contains("removed"), "{fault}");
    works(&bob).await;
    assert!(matches!(world.dial("ann", None).await, Err(DialFault::CodeWanted)));
    // Back again by a code of the server that is known, and of no other.
    let fault = world.dial("ann", Some(&World::new().towd.code())).await.unwrap_err();
    assert!(matches!(fault, DialFault::CodeOfAnother { .. }), "{fault}");
    works(&world.dial("ann", Some(&world.towd.code())).await.unwrap()).await;
    assert!(!bob.is_lost());
}

#[test]
fn a_code_comes_from_the_environment_or_a_private_file() {
    let world = World::new();
    let output = world.ls("ann", Some(&world.towd.code()));
    assert!(output.status.success(), "{}", said(&output));
    // A client that is enrolled needs none, and a bad one does no harm.
    assert!(world.ls("ann", Some("nonsense")).status.success());
    let file = world.dir.path().join("code");
    fs::write(&file, world.towd.code()).unwrap();
    let with_file = |mode| {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let arguments = ["ls", &world.towd.target(""), "--pair-file", file.to_str().unwrap()];
        world.tow("bob", &arguments).output().unwrap()
    };
    let output = with_file(0o644);
    assert_eq!(output.status.code(), Some(3));
    assert!(said(&output).contains("others may read"), "{}", said(&output));
    assert!(with_file(0o600).status.success());
}

#[test]
fn a_code_that_is_missing_empty_malformed_or_wrong_exits_with_3() {
    let world = World::new();
    let wrong = world.wrong_code();
    for (pair, word) in [
        (None, "not paired"),
        (Some(""), "there is none"),
        (Some("tow1abc"), "60 letters"),
        (Some(wrong.as_str()), "wrong, used, older"),
    ] {
        let output = world.ls("ann", pair);
        assert_eq!(output.status.code(), Some(3), "{}", said(&output));
        assert!(said(&output).contains(word), "{}", said(&output));
    }
}

#[test]
fn a_quota_that_is_full_is_told_in_units() {
    let world = World::new();
    let code = world.towd.says(&["pair", "--quota", "1MiB"]);
    let file = world.dir.path().join("large");
    fs::write(&file, vec![7; 3_000_000]).unwrap();
    let arguments = ["put", file.to_str().unwrap(), &world.towd.target("")];
    let output = world.tow("ann", &arguments).env("TOW_PAIR", code.trim()).output().unwrap();
    assert!(!output.status.success() && said(&output).contains(" MB needed, "), "{}", said(&output));
    assert!(!said(&output).contains("bytes needed"), "{}", said(&output));
}

#[test]
fn f57_a_code_is_never_read_from_piped_input_nor_seen_in_the_process_list() {
    let world = World::new();
    let code = world.towd.code();
    let mut command = world.tow("ann", &["ls", &world.towd.target("")]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let _ = writeln!(child.stdin.take().unwrap(), "{code}");
    assert_eq!(child.wait().unwrap().code(), Some(3));

    let mut command = world.tow("ann", &["shell", "--connect", &world.towd.target("")]);
    let mut child =
        command.env("TOW_PAIR", &code).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    writeln!(stdin, "ls").unwrap();
    let mut stdout = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("there.txt") {
        line.clear();
        assert_ne!(std::io::BufRead::read_line(&mut stdout, &mut line).unwrap(), 0, "the session has ended");
    }
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let words = fs::read(process.path().join("cmdline")).unwrap_or_default();
        assert!(!words.windows(code.len()).any(|window| window == code.as_bytes()));
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

#[test]
fn f67_keys_are_for_their_owner_alone_or_not_used() {
    let world = World::new();
    assert!(world.ls("ann", Some(&world.towd.code())).status.success());
    let mode = |path: &Path| fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777;
    for folder in [world.state("ann").join("client"), world.state("towd").join("server")] {
        assert_eq!(mode(&folder), 0o700, "{}", folder.display());
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            // Records of what a move sets aside have a folder of their own.
            let expected = if path.is_dir() { 0o700 } else { 0o600 };
            assert_eq!(mode(&path), expected, "{}", path.display());
        }
    }
    let key = world.state("ann").join("client/identity.pem");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    let output = world.ls("ann", None);
    assert_eq!(output.status.code(), Some(3));
    assert!(said(&output).contains("identity.pem: others may read"), "{}", said(&output));
}

#[tokio::test]
async fn f65_a_connection_cut_in_the_middle_is_lost_and_not_ended() {
    let world = World::new();
    drop(world.dial("ann", Some(&world.towd.code())).await.unwrap());
    // Somebody on the way, who cuts.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = listener.local_addr().unwrap();
    let known_servers = world.state("ann").join("client/known_servers");
    let mut content = fs::read_to_string(&known_servers).unwrap();
    content.extend([&place.to_string(), " ", world.towd.fingerprint(), "\n"]);
    fs::write(&known_servers, content).unwrap();
    let address = world.towd.address().to_owned();
    let (cut, is_cut) = tokio::sync::oneshot::channel::<()>();
    let cutting = tokio::spawn(async move {
        let (mut ours, _) = listener.accept().await.unwrap();
        let mut theirs = tokio::net::TcpStream::connect(address).await.unwrap();
        tokio::select! {
            _ = tokio::io::copy_bidirectional(&mut ours, &mut theirs) => {}
            _ = is_cut => {}
        }
    });
    let Ok(Target::Remote { server, .. }) = Target::parse(OsStr::new(&format!("tow://{place}/"))) else {
        panic!()
    };
    let keyring = Arc::new(Keyring::new(Some(world.state("ann")), "ann@box".to_owned(), None));
    let link = dial(&server, &keyring, None).await.unwrap();
    works(&link).await;
    cut.send(()).unwrap();
    cutting.await.unwrap();
    let fault = timeout(PATIENCE, link.lost()).await.unwrap();
    assert_eq!((fault.code, &*fault.detail.to_string()), (FaultCode::Disconnected, "it was cut"));
}

#[test]
fn a_person_is_asked_at_a_prompt() {
    let world = World::new();
    fs::create_dir_all(world.state("ann")).unwrap();
    let mut command = pty::command(env!("CARGO_BIN_EXE_tow"), &world.state("ann"));
    command.args(["ls", &world.towd.target("")]);
    let mut pty = Pty::start(command, 120, 20);
    pty.wait_for("Pairing code (run `towd pair` on the server):");
    pty.press(&format!("{}\r", world.towd.code()));
    pty.wait_for("there.txt");
    assert_eq!(pty.wait_for_end().exit_code(), 0);
}

#[test]
fn a_person_is_asked_in_a_dialog_over_the_panes() {
    let world = World::new();
    fs::create_dir_all(world.state("ann")).unwrap();
    let mut command = pty::command(env!("CARGO_BIN_EXE_tow"), &world.state("ann"));
    command.args(["--connect", &world.towd.target("")]);
    let mut pty = Pty::start(command, 120, 30);
    pty.wait_for("Pair with");
    // Keys are taken once they have paused.
    pty.wait_until("the line", |screen| !screen.hide_cursor());
    pty.press("tow1nonsense\r");
    pty.wait_for("60 letters");
    pty.press("\x15");
    pty.press(&format!("{}\r", world.towd.code()));
    pty.wait_for("there.txt");
    pty.press("q");
    assert_eq!(pty.wait_for_end().exit_code(), 0);
}
