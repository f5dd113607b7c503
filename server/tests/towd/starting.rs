//! What towd prints when it is ready, what it takes from its configuration, and what it says when it cannot start.

use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Stdio;

use serde_json::json;
use towpath_protocol::fault::FaultCode;
use towpath_protocol::hello::{Access, RootKind};
use towpath_protocol::message::Answer;
use towpath_protocol::pairing::{KeyHash, PairingCode};
use towpath_protocol::request::{Existing, MakeFolder, OperationId, Stat};

use super::world::{Client, State, Towd, at, folder, run, towd, write};

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn the_json_line_is_all_that_a_script_needs() {
    let (root, state) = (folder(&[("file", b"12345")]), State::new());
    let mut command = state.towd();
    command.args(["--json", "--listen", "127.0.0.1:0", "--root"]).arg(root.path());
    let towd = Towd::spawn(command);
    let address = towd.address().to_owned();
    assert!(address.starts_with("127.0.0.1:") && !address.ends_with(":0"), "{address}");
    let text = |key: &str| towd.listening[key].as_str().unwrap();
    let (fingerprint, pair) = (text("fingerprint"), text("pair"));
    assert!(fingerprint.parse::<KeyHash>().is_ok() && PairingCode::parse(pair).is_ok());
    assert_eq!(
        towd.listening,
        json!({
            "event": "listening", "address": address, "addresses": [address], "fingerprint": fingerprint, "pair": pair,
            "root": root.path().to_str().unwrap(), "connect": format!("tow://{address}/"),
        })
    );
    assert!(towd.stop().success());
}

#[test]
fn a_session_begins_with_what_the_server_is() {
    let root = folder(&[("file", b"12345")]);
    let towd = Towd::on_socket(root.path());
    let mut client = towd.connect();
    let welcome = client.welcome.clone().unwrap();
    assert_eq!((welcome.root_kind, welcome.access), (RootKind::Jailed, Access::ReadWrite));
    assert_eq!(welcome.root_name, root.path().to_str().unwrap());
    let stat = Stat {
        base: towpath_protocol::path::WirePath::root(),
        paths: vec![at("file").path],
        follow: towpath_protocol::request::Follow::No,
    };
    match client.call(stat).1 {
        Answer::Stats(stats) => assert_eq!(stats.items[0].0.as_ref().unwrap().size, 5),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_person_reads_root_address_a_line_to_paste_and_the_code() {
    let (root, state) = (folder(&[]), State::new());
    let mut child = state
        .towd()
        .args(["--listen", "localhost:0", "--read-only"])
        .current_dir(root.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut said = String::new();
    while !said.contains("tow1") || !said.ends_with('\n') {
        let mut bytes = [0; 256];
        let read = stdout.read(&mut bytes).unwrap();
        assert_ne!(read, 0, "{said}");
        said.push_str(&text(&bytes[..read]));
    }
    let shown = root.path().to_str().unwrap();
    assert!(said.contains(&format!("serves {shown} (read-only)\n")), "{said}");
    let target = said.split("tow --connect ").nth(1).unwrap().lines().next().unwrap();
    let address = target.strip_prefix("tow://").and_then(|target| target.strip_suffix('/')).unwrap();
    assert!(said.contains(&format!("listening on {address}\n")), "{said}");
    assert!(PairingCode::parse(said.lines().last().unwrap()).is_ok(), "{said}");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_server_for_reading_takes_no_changes() {
    let root = folder(&[]);
    let socket = root.path().join("socket");
    let towd = Towd::start(root.path(), [Path::new("--read-only"), Path::new("--unix"), &socket]);
    let make = MakeFolder {
        operation: OperationId([1; 16]),
        folder: at("new"),
        mode: 0o755,
        existing: Existing::Keep,
    };
    assert_eq!(towd.connect().refused(make), FaultCode::ReadOnly);
}

#[test]
fn every_address_that_is_asked_for_is_served() {
    let root = folder(&[]);
    let towd = Towd::start(root.path(), ["--listen", "127.0.0.1:0", "--listen", "127.0.0.2:0"]);
    let addresses = towd.listening["addresses"].as_array().unwrap();
    assert_eq!(addresses.len(), 2);
    assert_eq!(addresses[0], towd.listening["address"]);
    for address in addresses {
        TcpStream::connect(address.as_str().unwrap()).unwrap();
    }
}

#[test]
fn addresses_that_other_machines_reach_are_served_too() {
    let root = folder(&[]);
    for wide in ["0.0.0.0:0", "[::]:0"] {
        let towd = Towd::start(root.path(), ["--listen", wide]);
        let port = towd.address().rsplit(':').next().unwrap();
        TcpStream::connect(format!("localhost:{port}")).unwrap();
    }
}

#[test]
fn f62_without_a_private_place_for_its_key_it_does_not_listen() {
    let (root, state) = (folder(&[]), State::new());
    let output =
        state.towd().env_remove("TOW_STATE_DIR").env_remove("HOME").env_remove("XDG_STATE_HOME").output();
    let said = text(&output.unwrap().stderr);
    assert!(said.contains("no folder for towd's key"), "{said}");
    state.says(&["clients"]);
    rustix::fs::chmod(state.path().join("server"), rustix::fs::Mode::from_raw_mode(0o755)).unwrap();
    let output = state.towd().arg("--root").arg(root.path()).output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("others may read") && output.stdout.is_empty(), "{said}");
}

#[test]
fn f68_no_thread_of_it_can_gain_rights_and_a_kernel_without_a_wall_is_named() {
    let root = folder(&[]);
    let towd = Towd::on_socket(root.path());
    towd.connect();
    let tasks = std::fs::read_dir(format!("/proc/{}/task", towd.child.id())).unwrap();
    let mut threads = 0;
    for task in tasks {
        let status = std::fs::read_to_string(task.unwrap().path().join("status")).unwrap();
        assert!(status.contains("NoNewPrivs:\t1"), "{status}");
        threads += 1;
    }
    assert!(threads > 1);
    let active = std::fs::read_to_string("/sys/kernel/security/lsm").unwrap_or_default();
    let missing = towd.log.all().iter().any(|line| line.contains("Landlock"));
    if active.split(',').any(|name| name.trim() == "landlock") {
        assert!(!missing, "{:?}", towd.log.all());
    }
}

#[test]
fn wrong_usage_is_named_and_exits_with_2() {
    for (arguments, word) in [
        (&["--listen", "7171"][..], "--listen 7171"),
        (&["--listen", "127.0.0.1:99999"], "--listen 127.0.0.1:99999"),
        (&["--no-such"], "--no-such"),
        (&["--stdio", "--listen", "127.0.0.1:0"], "--stdio"),
        (&["--config", "no such file.toml"], "no such file.toml"),
    ] {
        let output = run(arguments);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(word), "{said}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn help_and_version_are_answers_and_no_errors() {
    for flag in ["--help", "--version"] {
        let output = run([flag]);
        assert!(output.status.success() && output.stderr.is_empty());
        assert!(text(&output.stdout).contains("towd") || flag == "--help");
    }
}

#[test]
fn a_root_that_cannot_be_served_is_named() {
    let root = folder(&[("file", b"")]);
    let file = root.path().join("file");
    for (path, why) in [
        (Path::new("/no/such\x1bfolder"), r"/no/such\x1bfolder: no such folder"),
        (file.as_path(), "not a folder"),
    ] {
        let output = run([Path::new("--root"), path, Path::new("--listen"), Path::new("127.0.0.1:0")]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(why), "{said}");
        assert!(!said.contains('\x1b'));
    }
}

#[test]
fn a_busy_port_is_named_with_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = run(["--listen", &address]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains(&format!("{address}: address already in use")), "{said}");
    assert!(said.contains("--listen 127.0.0.1:0"), "{said}");
    assert!(output.stdout.is_empty());
}

#[test]
fn a_configuration_file_says_what_arguments_do_not() {
    let root = folder(&[]);
    let other = folder(&[]);
    let config = root.path().join("towd.toml");
    write(&config, b"root = \".\"\nlisten = [\"127.0.0.1:0\", \"127.0.0.1:0\"]\nread_only = true\n");
    let with = |arguments: &[&str]| {
        let mut command = towd();
        command.arg("--json").arg("--config").arg(&config).args(arguments).current_dir("/");
        Towd::spawn(command)
    };
    let socket = root.path().join("socket");
    let plain = with(&["--unix", socket.to_str().unwrap()]);
    assert_eq!(plain.listening["addresses"].as_array().unwrap().len(), 2);
    let welcome = plain.connect().welcome.unwrap();
    assert_eq!(welcome.access, Access::ReadOnly);
    assert!(Path::new(&welcome.root_name.to_string()).starts_with(root.path()), "{}", welcome.root_name);

    let overruled = with(&["--root", other.path().to_str().unwrap(), "--listen", "127.0.0.1:0"]);
    assert_eq!(overruled.listening["addresses"].as_array().unwrap().len(), 1);
    assert_eq!(overruled.listening["root"], other.path().to_str().unwrap());
}

#[test]
fn a_configuration_file_with_a_mistake_is_named_with_the_key() {
    let root = folder(&[]);
    let config = root.path().join("towd.toml");
    for (content, word) in [
        (&b"listn = \"127.0.0.1:0\"\n"[..], "listn"),
        (b"read_only = 3\n", "read_only"),
        (b"listen = 7171\n", "listen"),
        (b"root = \n", "root"),
    ] {
        write(&config, content);
        let output = run([Path::new("--config"), &config]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(config.to_str().unwrap()) && said.contains(word), "{said}");
    }
}

#[test]
fn a_standard_output_that_nobody_reads_is_no_reason_to_stop() {
    let root = folder(&[]);
    let socket = root.path().join("socket");
    let mut command = towd();
    command.arg("--root").arg(root.path()).arg("--unix").arg(&socket);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    drop(child.stderr.take());
    super::doors::wait_for_socket(&socket);
    Client::over_unix(&socket);
    assert!(child.try_wait().unwrap().is_none());
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn output_that_is_lost_is_no_success() {
    let (root, state) = (folder(&[]), State::new());
    state.says(&["pair"]);
    let said = |words: &str, redirect: &str| {
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", &format!("exec \"$0\" {words} {redirect}")]).arg(env!("CARGO_BIN_EXE_towd"));
        shell.env("TOW_STATE_DIR", state.path()).current_dir(root.path()).stdin(Stdio::null());
        let output = shell.output().unwrap();
        (output.status.code(), text(&output.stderr))
    };
    for words in ["--version", "--help", "clients", "pair"] {
        for redirect in [">/dev/full", ">&-"] {
            let (exit, said) = said(words, redirect);
            assert_eq!(exit, Some(1), "{words} {redirect}: {said}");
            assert!(said.contains("towd: cannot write the output: "), "{words} {redirect}: {said}");
        }
    }
    // The lines that could not be written: its address, and the code.
    let (exit, said) = said("--listen 127.0.0.1:0", ">/dev/full");
    assert!(exit == Some(1) && said.contains("cannot write the output"), "{said}");
}

#[test]
fn an_errands_word_stands_behind_options_too_and_options_of_serving_are_not_for_it() {
    let state = State::new();
    let folder = state.path().into_os_string().into_string().unwrap();
    let output =
        towd().env_remove("TOW_STATE_DIR").args(["--state-dir", &folder, "clients"]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("no clients are paired"));
    let output = run(["--read-only", "pair"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("--read-only is for serving, not for 'pair'"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn an_empty_variable_is_as_good_as_none() {
    let (home, root) = (folder(&[]), folder(&[]));
    let mut command = towd();
    command.current_dir(root.path()).env("HOME", home.path()).args(["clients"]);
    command.env("TOW_STATE_DIR", "").env("XDG_STATE_HOME", "");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(home.path().join(".local/state/towpath").exists() && !root.path().join("server").exists());
}
