//! A home folder that is served, `cd ~ && towd`: what towd rests on lies in it, and clients get no more rights by way of it.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::process::{Pid, Signal, kill_process};
use towpath_protocol::fault::FaultCode;
use towpath_protocol::hash::Hash;
use towpath_protocol::message::{Answer, Request};
use towpath_protocol::path::WirePath;
use towpath_protocol::request::{
    Copy, Depth, Durability, Existing, MakeFolder, MakeLink, OperationId, Put, Read, Remove, Rename, SetMode,
    SetTimes, Stat, StoreAs, Wants,
};
use towpath_protocol::time::Time;

use super::log::put;
use super::world::{Client, Towd, at, towd, write};

/// With its state below, by way of a link, its configuration, log and socket in it, and what an attacker would like to be there.
fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    for folder in [".config", ".local", "disk/state", "mine/towpath/server"] {
        fs::create_dir_all(home.path().join(folder)).unwrap();
    }
    symlink("../disk/state", home.path().join(".local/state")).unwrap();
    write(&home.path().join("mine/towpath/server/clients.json"), b"{\"last_id\":1,\"clients\":[]}");
    write(
        &home.path().join(".config/towd.toml"),
        b"root = \"..\"\nlisten = \"127.0.0.1:0\"\nunix = \"../socket\"\n",
    );
    write(&home.path().join("file"), b"file");
    home
}

fn command(home: &Path) -> std::process::Command {
    let mut command = towd();
    command.env_remove("TOW_STATE_DIR").env_remove("XDG_STATE_HOME").env("HOME", home).current_dir(home);
    command
}

/// Of an operation that no other has.
pub(crate) fn id() -> OperationId {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut id = [0; 16];
    id[..8].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    OperationId(id)
}

/// Every way to bring something else to `path`, or to take away or change what is there.
fn attacks(path: &str) -> Vec<Request> {
    let store = StoreAs { existing: Existing::Replace, ..put(path, b"").store };
    let data = b"mine".to_vec();
    vec![
        Put { operation: id(), file: at(path), store, hash: Hash::of(&data), data }.into(),
        MakeFolder { operation: id(), folder: at(path), mode: 0o777, existing: Existing::Keep }.into(),
        MakeLink {
            operation: id(),
            link: at(path),
            target: b"mine".to_vec(),
            modified: Time::from_ns(0),
            existing: Existing::Replace,
            expected: None,
            metadata: None,
        }
        .into(),
        rename(path, "taken"),
        rename("mine", path),
        rename("file", path),
        Copy {
            operation: id(),
            from: at("mine/towpath/server/clients.json"),
            to: at(path),
            existing: Existing::Replace,
            durability: Durability::Relaxed,
            expected: None,
            preserve: false,
        }
        .into(),
        SetMode { thing: at(path), mode: 0o777 }.into(),
        SetTimes { thing: at(path), modified: Time::from_ns(5) }.into(),
        Remove { operation: id(), thing: at(path), depth: Depth::Tree, expected: None, aside: false }.into(),
    ]
}

pub(crate) fn rename(from: &str, to: &str) -> Request {
    Rename { operation: id(), from: at(from), to: at(to), existing: Existing::Replace, expected: None }.into()
}

/// What is where, and in which mode. A log is one that grows.
fn look(home: &Path, path: &str) -> Option<(u64, u32, i64, Vec<u8>)> {
    let there = fs::symlink_metadata(home.join(path)).ok()?;
    let is_log = path.contains("log") || path.contains("audit");
    let content = if is_log { Vec::new() } else { fs::read(home.join(path)).unwrap_or_default() };
    let modified = if is_log { i64::from(there.mtime() > 5) } else { there.mtime_nsec() };
    Some((there.ino(), there.permissions().mode(), modified, content))
}

#[track_caller]
pub(crate) fn changes_nothing<R: std::io::Read, W: std::io::Write>(
    client: &mut Client<R, W>,
    home: &Path,
    paths: &[&str],
) {
    let look_at_all = || paths.iter().map(|path| look(home, path)).collect::<Vec<_>>();
    for path in paths {
        for attack in attacks(path) {
            let (shown, before) = (format!("{path}: {attack:?}"), look_at_all());
            match client.call(attack).1 {
                Answer::Fault(_) => {}
                Answer::Totals(totals) if totals.failed > 0 => {}
                other => panic!("{shown}: {other:?}"),
            }
            assert_eq!(look_at_all(), before, "{shown}");
        }
    }
    let read = |path: &&str| Read {
        file: at(path),
        version: None,
        offset: 0,
        len: 100,
        wants: Wants::Data,
        holes: false,
    };
    for path in paths {
        client.refused(read(path));
    }
}

const OWN: [&str; 13] = [
    ".local",
    ".local/state",
    "disk",
    "disk/state",
    "disk/state/towpath",
    "disk/state/towpath/server",
    "disk/state/towpath/server/clients.json",
    "disk/state/towpath/client",
    "disk/state/towpath/client/known",
    ".config",
    ".config/towd.toml",
    "socket",
    "second list",
];

#[test]
fn f72_clients_of_a_home_folder_do_not_get_at_what_towd_rests_on() {
    let home = home();
    let mut serve = command(home.path());
    serve.args(["--json", "--config"]).arg(home.path().join(".config/towd.toml"));
    let towd = Towd::spawn(serve);
    // A list there is, and somebody gave it a second name.
    let listed = command(home.path()).args(["pair"]).output().unwrap();
    assert!(listed.status.success());
    let server = home.path().join("disk/state/towpath/server");
    write(&server.join("clients.json"), b"{\"last_id\":0,\"clients\":[]}");
    fs::hard_link(server.join("clients.json"), home.path().join("second list")).unwrap();
    let mut client = Client::over_unix(&home.path().join("socket"));
    changes_nothing(&mut client, home.path(), &OWN);
    // It is there, and what lies beside it is everybody's.
    let stat = Stat {
        base: WirePath::root(),
        paths: vec![at(".local/state").path, at("disk/state").path],
        follow: towpath_protocol::request::Follow::No,
    };
    let Answer::Stats(stats) = client.call(stat).1 else { panic!("no stats") };
    assert!(stats.items.iter().all(|item| item.0.is_ok()));
    let beside = Put { operation: id(), ..put("disk/state/mine", b"mine") };
    assert!(matches!(client.call(beside).1, Answer::Stored(_)));
    assert!(matches!(client.call(rename("disk/state/mine", ".config/mine")).1, Answer::Done(_)));
    drop(towd);
}

#[test]
fn f72_a_session_on_standard_input_that_serves_a_folder_keeps_it_too_even_while_it_is_absent() {
    let home = home();
    let log = home.path().join("towd.log");
    let mut serve = command(home.path());
    serve.args(["--stdio", "--root", "."]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = serve.stderr(fs::File::create(&log).unwrap()).spawn().unwrap();
    let mut client = Client::greet(child.stdout.take().unwrap(), child.stdin.take().unwrap());
    changes_nothing(
        &mut client,
        home.path(),
        &[".local", ".local/state", "disk", "disk/state", "disk/state/towpath", "towd.log"],
    );
    drop(client);
    child.wait().unwrap();
}

#[test]
fn a_session_on_the_whole_file_system_is_the_users_own_and_keeps_nothing_from_them() {
    let home = home();
    fs::create_dir_all(home.path().join("disk/state/towpath/server")).unwrap();
    let mut serve = command(home.path());
    serve.arg("--stdio").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = serve.stderr(Stdio::null()).spawn().unwrap();
    let mut client = Client::greet(child.stdout.take().unwrap(), child.stdin.take().unwrap());
    let place = |path: &str| home.path().join(path).to_str().unwrap().trim_start_matches('/').to_owned();
    let moved = client.call(rename(&place("disk/state/towpath"), &place("backup"))).1;
    assert!(matches!(moved, Answer::Done(_)), "{moved:?}");
    assert!(home.path().join("backup/server").exists());
    drop(client);
    child.wait().unwrap();
}

#[test]
fn f72_the_audit_log_and_its_older_files_are_kept_where_a_link_leads_to_the_root() {
    let home = home();
    // Outside by its name, inside by where that leads later: the folder of the log is a link that its owner turns round.
    let outside = tempfile::tempdir().unwrap();
    let logs = outside.path().join("logs");
    fs::create_dir(&logs).unwrap();
    let mut serve = command(home.path());
    serve.args(["--json", "--unix"]).arg(outside.path().join("socket"));
    serve.arg("--root").arg(home.path()).arg("--audit").arg(logs.join("audit.jsonl"));
    let towd = Towd::spawn(serve);
    fs::rename(&logs, home.path().join("logs")).unwrap();
    let mut client = towd.connect();
    changes_nothing(
        &mut client,
        home.path(),
        &["logs/audit.jsonl", "logs/audit.jsonl.1", "logs/audit.jsonl.17"],
    );
    let beside = Put { operation: id(), ..put("logs/other", b"mine") };
    assert!(matches!(client.call(beside).1, Answer::Stored(_)));
}

/// strace at a running `towd`: it makes calls fail. Dropped, it lets go.
pub(crate) struct Tracer(std::process::Child);

impl Tracer {
    /// Makes calls of one kind fail with EIO wherever they name one of `folders`. None, and said so, if that cannot be tried here.
    fn attach(towd: &Towd, call: &str, folders: &[&Path]) -> Option<Self> {
        let mut arguments = vec!["-e".to_owned(), format!("inject={call}:error=EIO")];
        for folder in folders {
            arguments.extend(["-P".to_owned(), folder.canonicalize().unwrap().display().to_string()]);
        }
        Self::with(towd, &arguments)
    }

    /// None, and said so, if `towd` cannot be traced here.
    pub(crate) fn with(towd: &Towd, arguments: &[String]) -> Option<Self> {
        let mut strace = std::process::Command::new("strace");
        strace.args(["-f", "-p", &towd.pid().to_string()]).args(arguments);
        let Ok(mut child) = strace.stdin(Stdio::null()).stderr(Stdio::piped()).spawn() else {
            crate::skip::skip("there is no strace");
            return None;
        };
        let (mut said, mut stderr) = (String::new(), BufReader::new(child.stderr.take().unwrap()));
        stderr.read_line(&mut said).unwrap();
        if said.contains("attached") {
            std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
            return Some(Self(child));
        }
        child.wait().unwrap();
        crate::skip::skip(&format!("towd cannot be traced here: {said}"));
        None
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.0), Signal::TERM);
        let _ = self.0.wait();
    }
}

/// Every verb that would reach `path` answers with an error of the disk, and with a refusal once the disk is well again.
fn gives_nothing(towd: &Towd, home: &Path, path: &str, (call, folder): (&str, &str)) {
    let look = || (look(home, path), fs::read(home.join("file")).unwrap());
    let before = look();
    let verbs = || {
        let read =
            Read { file: at(path), version: None, offset: 0, len: 9, wants: Wants::Data, holes: false };
        [
            read.into(),
            rename(path, "taken"),
            rename("file", path),
            SetMode { thing: at(path), mode: 0o666 }.into(),
            SetTimes { thing: at(path), modified: Time::from_ns(5) }.into(),
            Remove { operation: id(), thing: at(path), depth: Depth::Single, expected: None, aside: false }
                .into(),
        ]
    };
    let mut client = Client::over_unix(&home.join("socket"));
    let Some(tracer) = Tracer::attach(towd, call, &[&home.join(folder)]) else { return };
    let refusals: Vec<_> = verbs().into_iter().map(|verb: Request| client.refused(verb)).collect();
    assert!(refusals.contains(&FaultCode::Io), "{call} of {folder} did not fail: {refusals:?}");
    drop(tracer);
    for verb in verbs() {
        assert_eq!(client.refused(verb), FaultCode::PermissionDenied, "{call} of {folder}");
    }
    assert_eq!(look(), before);
}

#[test]
fn f72_an_error_of_the_disk_on_the_way_to_what_is_kept_opens_nothing() {
    let home = home();
    let mut serve = command(home.path());
    serve.args(["--json", "--config"]).arg(home.path().join(".config/towd.toml"));
    let towd = Towd::spawn(serve);
    // A second name of what lies in the state folder: that is found by reading the folder and looking at each name.
    let server = home.path().join("disk/state/towpath/server");
    write(&server.join("clients.json"), b"the list");
    fs::hard_link(server.join("clients.json"), home.path().join("second list")).unwrap();
    for call in ["getdents64", "newfstatat"] {
        gives_nothing(&towd, home.path(), "second list", (call, "disk/state/towpath/server"));
    }
    // A second name of a file that its owner has replaced since: that is found by the name's place.
    write(&home.path().join("new"), b"root = \"/\"");
    fs::rename(home.path().join("new"), home.path().join(".config/towd.toml")).unwrap();
    fs::hard_link(home.path().join(".config/towd.toml"), home.path().join("second config")).unwrap();
    gives_nothing(&towd, home.path(), "second config", ("newfstatat", ".config"));
}

#[test]
fn f72_the_state_folder_that_another_towd_of_this_user_has_is_kept_too() {
    let home = home();
    let state = tempfile::tempdir().unwrap();
    let named = state.path().join("state");
    for variable in [None, Some("disk/other")] {
        let mut serve = command(home.path());
        serve.args(["--json", "--config"]).arg(home.path().join(".config/towd.toml"));
        serve.arg("--state-dir").arg(&named);
        // One by the variable, and one without a word.
        let mut own = vec![".local", ".local/state", "disk/state/towpath", "disk/state/towpath/server"];
        if let Some(other) = variable {
            fs::create_dir_all(home.path().join(other)).unwrap();
            serve.env("TOW_STATE_DIR", home.path().join(other));
            own.extend([other, "disk/other/server"]);
        }
        let towd = Towd::spawn(serve);
        let mut client = Client::over_unix(&home.path().join("socket"));
        changes_nothing(&mut client, home.path(), &own);
        let beside = Put { operation: id(), ..put("disk/state/mine", b"mine") };
        assert!(matches!(client.call(beside).1, Answer::Stored(_)));
        assert!(matches!(client.call(rename("disk/state/mine", ".config/mine")).1, Answer::Done(_)));
        drop(towd);
    }
}

#[test]
fn f72_a_second_name_of_what_lies_outside_the_root_is_kept_behind_the_wall_too() {
    let (root, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for kept in ["server/clients.json", "client/key"] {
        fs::create_dir(state.path().join(kept).parent().unwrap()).unwrap();
        write(&state.path().join(kept), b"secret");
    }
    fs::hard_link(state.path().join("server/clients.json"), root.path().join("list")).unwrap();
    fs::hard_link(state.path().join("client/key"), root.path().join("key")).unwrap();
    // One that has two names, and is nothing of the kind.
    write(&root.path().join("file"), b"file");
    fs::hard_link(root.path().join("file"), root.path().join("second")).unwrap();
    let socket = root.path().join("socket");
    let mut serve = command(root.path());
    serve.args(["--json", "--root", ".", "--unix"]).arg(&socket).arg("--state-dir").arg(state.path());
    let towd = Towd::spawn(serve);
    let mut client = Client::over_unix(&socket);
    let read = |path: &str| Read {
        file: at(path),
        version: None,
        offset: 0,
        len: 9,
        wants: Wants::Data,
        holes: false,
    };
    for path in ["list", "key"] {
        assert_eq!(client.refused(read(path)), FaultCode::PermissionDenied, "{path}");
        assert_eq!(client.refused(SetMode { thing: at(path), mode: 0o666 }), FaultCode::PermissionDenied);
        assert_eq!(client.refused(rename(path, "taken")), FaultCode::PermissionDenied, "{path}");
    }
    let whole = |answer| matches!(answer, Answer::FileWhole(_));
    assert!(whole(client.call(read("file")).1) && whole(client.call(read("second")).1));
    assert!(matches!(client.call(rename("second", "third")).1, Answer::Done(_)));
    drop(towd);
}
