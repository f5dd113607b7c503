//! Clients' names and folders: given with the code, changed, told apart, and looked at before a client asks for them; and what towd says
//! of those who are paired, and of those who never asked for anything.

use std::io::Read as _;
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::log::put;
use super::tls::{House, Person};
use super::world::{State, Towd, folder, output_of, write};

/// The names in `towd clients`.
fn names(house: &House) -> Vec<String> {
    let listed = house.state.says(&["clients"]);
    let (head, rows) = listed.split_once('\n').unwrap();
    let (from, to) = (head.find("NAME").unwrap(), head.find("PAIRED").unwrap());
    rows.lines()
        .map(|row| row.chars().skip(from).take(to - from).collect::<String>().trim().to_owned())
        .collect()
}

/// The same program, for what is refused: exit code and standard error.
fn refused(state: &State, words: &[&str]) -> (Option<i32>, String) {
    let mut command = state.towd();
    command.args(words);
    let Output { status, stdout, stderr } = output_of(command);
    assert!(stdout.is_empty(), "{words:?}: {}", String::from_utf8_lossy(&stdout));
    (status.code(), String::from_utf8(stderr).unwrap())
}

#[test]
fn a_client_has_the_name_that_its_code_was_made_for_and_may_get_another() {
    let root = folder(&[]);
    let outside = folder(&[]);
    let audit = outside.path().join("audit.jsonl");
    let house = House::new(root.path(), &["--audit", audit.to_str().unwrap()]);
    let ann = house.paired("0@vm", &["--name", "ann's laptop"]);
    let bob = house.paired("bob@box", &[]);
    assert_eq!(names(&house), ["ann's laptop", "bob@box"]);
    // A code that is refused a name gives none away.
    for words in [&["pair", "--name", "bob@box"][..], &["clients", "rename", "1", "bob@box"]] {
        let (code, said) = refused(&house.state, words);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("client 2 is called bob@box already"), "{said}");
    }
    assert_eq!(house.state.says(&["clients", "rename", "2", "büro"]), "bob@box is called büro now\n");
    // Its own name again is no conflict.
    house.state.says(&["clients", "rename", "2", "büro"]);
    assert_eq!(names(&house), ["ann's laptop", "büro"]);
    let (code, said) = refused(&house.state, &["clients", "rename", "7", "x"]);
    assert_eq!((code, said.contains("no client has the number 7")), (Some(1), true), "{said}");
    for name in ["", " ", "a\u{1b}[2J", "a\u{202e}b", &"x".repeat(300)] {
        for words in [&["pair", "--name", name][..], &["clients", "rename", "1", name]] {
            let (code, said) = refused(&house.state, words);
            assert_eq!(code, Some(2), "{name:?}: {said}");
            assert!(!said.contains(['\u{1b}', '\u{202e}']), "{said}");
        }
    }
    // The keys are the same: both come in without a code, and the audit log has the new names.
    for person in [&ann, &bob] {
        house
            .meet(person, None)
            .unwrap()
            .call(put(if std::ptr::eq(person, &raw const ann) { "a" } else { "b" }, b"x"));
    }
    assert!(house.towd.stop().success());
    let text = std::fs::read_to_string(&audit).unwrap();
    let uploads: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let uploads = uploads.iter().filter(|line| line["event"] == "uploaded");
    let uploads: Vec<_> = uploads.map(|line| (line["client"].clone(), line["path"].clone())).collect();
    assert_eq!(uploads, [("ann's laptop".into(), "/a".into()), ("büro".into(), "/b".into())]);
}

/// Serves `root` in words for people until `ready` is printed; what was printed, and the process.
fn announced(state: &State, root: &Path, ready: &str) -> (String, Child) {
    let mut command = state.towd();
    command.args(["--listen", "127.0.0.1:0", "--root"]).arg(root);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut printed = Vec::new();
    while !String::from_utf8_lossy(&printed).contains(ready) {
        let mut bytes = [0; 512];
        let read = stdout.read(&mut bytes).unwrap();
        assert!(read > 0, "{}", String::from_utf8_lossy(&printed));
        printed.extend_from_slice(&bytes[..read]);
    }
    (String::from_utf8(printed).unwrap(), child)
}

fn end(mut child: Child) {
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    child.wait().unwrap();
}

#[test]
fn a_towd_that_prints_no_code_says_why() {
    let (root, state) = (folder(&[]), State::new());
    let house = House::with(state, root.path(), &[]);
    assert!(house.towd.listening["pair"].is_string() && house.towd.listening["paired"].is_null());
    house.paired("ann@box", &[]);
    let House { state, towd } = house;
    assert!(towd.stop().success());
    let (printed, child) = announced(&state, root.path(), "another client\n");
    end(child);
    assert!(
        printed.contains("no pairing code: ann@box is paired already; `towd pair` prints one"),
        "{printed}"
    );
    assert!(!printed.contains("tow1"), "{printed}");
    let house = House::with(state, root.path(), &[]);
    assert_eq!((&house.towd.listening["pair"], &house.towd.listening["paired"]), (&Value::Null, &1.into()));
    // With the last client the reason goes too, and that is said.
    let said = house.state.says(&["clients", "remove", "1"]);
    assert_eq!(
        said,
        "ann@box is removed; its sessions end; no client is paired now: `towd pair` prints a code\n"
    );
    let House { state, towd } = house;
    assert!(towd.stop().success());
    let (printed, child) = announced(&state, root.path(), "\n    tow1");
    end(child);
    assert!(printed.contains("pairing code, for one client"), "{printed}");
}

#[test]
fn who_closes_without_a_word_was_not_refused() {
    let root = folder(&[]);
    let outside = folder(&[]);
    let (audit, socket) = (outside.path().join("audit.jsonl"), outside.path().join("socket"));
    let arguments = ["--unix", socket.to_str().unwrap(), "--audit", audit.to_str().unwrap()];
    let house = House::new(root.path(), &arguments);
    for _ in 0..3 {
        let stream = TcpStream::connect(house.towd.address()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        // It has seen that there is nothing to come.
        assert_eq!((&stream).read(&mut [0; 64]).unwrap(), 0);
        let stream = UnixStream::connect(&socket).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut preamble = Vec::new();
        (&stream).read_to_end(&mut preamble).unwrap();
    }
    // A connection that sends anything is a client, and one without a code is refused.
    let eve = Person::new("eve@box");
    house.meet(&eve, None).err().unwrap();
    let refusals = |lines: &[String]| lines.iter().filter(|line| line.contains("\"refused\"")).count();
    house.towd.log.wait_for("\"refused\"");
    assert_eq!(refusals(&house.towd.log.all()), 1, "{:#?}", house.towd.log.all());
    assert!(house.towd.stop().success());
    let told: Vec<String> = std::fs::read_to_string(&audit).unwrap().lines().map(str::to_owned).collect();
    assert_eq!(refusals(&told), 1, "{told:#?}");
}

#[test]
fn a_clients_folder_is_looked_at_when_it_is_given() {
    let root = folder(&[("file", b"file")]);
    let outside = folder(&[]);
    rustix::fs::mkdir(root.path().join("photos"), rustix::fs::Mode::RWXU).unwrap();
    symlink(outside.path(), root.path().join("out")).unwrap();
    symlink("photos", root.path().join("link")).unwrap();
    let house = House::new(root.path(), &[]);
    house.paired("ann@box", &["--folder", "photos"]);
    let table = [
        ("missing", "no such file or folder"),
        ("file", "not a folder"),
        ("out", "outside"),
        ("photos/no", "no such"),
    ];
    let check = |state: &State, running: &str| {
        for words in [&["clients", "set", "1", "--folder"][..], &["pair", "--folder"]] {
            for (folder, why) in table {
                let (code, said) = refused(state, &[words, &[folder]].concat());
                assert_eq!(code, Some(1), "{running}: {words:?} {folder}: {said}");
                let place = format!("--folder /{folder} in {}", root.path().display());
                assert!(said.contains(&place) && said.contains(why), "{running}: {folder}: {said}");
            }
        }
    };
    check(&house.state, "running");
    assert!(house.state.says(&["clients"]).contains("/photos"), "nothing was changed");
    for good in ["link", "/", "photos"] {
        house.state.says(&["clients", "set", "1", "--folder", good]);
        house.code(&["--folder", good]);
    }
    // Options without a folder do not check one.
    std::fs::remove_dir(root.path().join("photos")).unwrap();
    house.state.says(&["clients", "set", "1", "--allow", "list"]);
    let House { state, towd } = house;
    assert!(towd.stop().success());
    check(&state, "after it has ended");
}

#[test]
fn of_several_towds_with_one_state_folder_those_that_run_count() {
    let (one, other) = (folder(&[]), folder(&[]));
    rustix::fs::mkdir(one.path().join("old"), rustix::fs::Mode::RWXU).unwrap();
    rustix::fs::mkdir(other.path().join("new"), rustix::fs::Mode::RWXU).unwrap();
    // Before one was ever started nothing is known, which is said.
    let state = State::new();
    let mut command = state.towd();
    command.args(["pair", "--folder", "any"]);
    let output = output_of(command);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && said.contains("--folder /any is not checked"), "{said}");

    let House { state, towd: first } = House::with(state, one.path(), &[]);
    let House { state, towd: second } = House::with(state, other.path(), &[]);
    for folder in ["old", "new"] {
        state.says(&["pair", "--folder", folder]);
    }
    assert!(first.stop().success());
    let (code, said) = refused(&state, &["pair", "--folder", "old"]);
    assert_eq!(code, Some(1), "{said}");
    state.says(&["pair", "--folder", "new"]);
    // One that was killed is still the last one.
    drop::<Towd>(second);
    let (code, said) = refused(&state, &["pair", "--folder", "old"]);
    assert_eq!(code, Some(1), "{said}");
    state.says(&["pair", "--folder", "new"]);
    // A root that is gone is told.
    write(&one.path().join("x"), b"x");
    drop(other);
    let (code, said) = refused(&state, &["pair", "--folder", "new"]);
    assert_eq!(code, Some(1), "{said}");
}
