//! towd's own state, met by other names: by a second mount of the same folders, and where case does not count. And what it costs to look.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use towpath_protocol::message::Answer;
use towpath_protocol::request::{Put, SetMode};

use super::log::put;
use super::own::{Tracer, changes_nothing, id, rename};
use super::skip::skip;
use super::world::{Client, Towd, at, towd, write};

/// A folder to be served, with a home folder in it, whose `.local/state` is where towd's state is; and one where it can be shown again.
struct Served {
    root: tempfile::TempDir,
    socket: tempfile::TempDir,
}

impl Served {
    fn new(home: &str) -> Self {
        let served = Self { root: tempfile::tempdir().unwrap(), socket: tempfile::tempdir().unwrap() };
        for folder in ["mine/towpath/server", "view", "lower", "work", home] {
            fs::create_dir_all(served.at(folder)).unwrap();
        }
        write(&served.at("mine/towpath/server/clients.json"), b"{\"last_id\":1,\"clients\":[]}");
        write(&served.at("file"), b"file");
        served
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    fn fill(&self, home: &str) -> PathBuf {
        let state = self.at(home).join(".local/state/towpath");
        fs::create_dir_all(state.join("server/asides")).unwrap();
        write(&state.join("server/identity.pem"), "a key that no other folder has ".repeat(8).as_bytes());
        write(&state.join("server/clients.json"), b"{\"last_id\":0,\"clients\":[]}");
        fs::hard_link(state.join("server/clients.json"), self.at(home).join("second list")).unwrap();
        state
    }

    fn serve(&self, state: &Path) -> Towd {
        let mut command = towd();
        command.arg("--json").arg("--root").arg(self.root.path()).arg("--state-dir").arg(state);
        command.env("TOW_STATE_DIR", state).arg("--unix").arg(self.socket.path().join("socket"));
        Towd::spawn(command)
    }
}

/// Taken away when dropped.
struct Mounted(PathBuf);

impl Mounted {
    /// None, and said so, where this machine cannot do it.
    fn try_new(mut command: Command, at: PathBuf) -> Option<Self> {
        let ran = command.arg(&at).stdin(Stdio::null()).output();
        if ran.as_ref().is_ok_and(|ran| ran.status.success()) {
            return Some(Self(at));
        }
        skip(&format!("{command:?}: {ran:?}"));
        None
    }

    fn bindfs(from: &Path, at: PathBuf) -> Option<Self> {
        let mut command = Command::new("bindfs");
        command.arg(from);
        Self::try_new(command, at)
    }

    fn overlay(served: &Served, upper: &str, at: PathBuf) -> Option<Self> {
        let [lower, upper, work] =
            ["lower", upper, "work"].map(|folder| served.at(folder).display().to_string());
        let mut command = Command::new("mount");
        command.args(["-t", "overlay", "overlay", "-o"]);
        command.arg(format!("lowerdir={lower},upperdir={upper},workdir={work}"));
        Self::try_new(command, at)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

const OWN: [&str; 9] = [
    ".local",
    ".local/state",
    ".LOCAL/state",
    ".local/state/towpath",
    ".local/state/towpath/server",
    ".local/state/towpath/server/identity.pem",
    ".local/state/towpath/server/clients.json",
    ".local/state/towpath/client",
    "second list",
];

/// All of it by both ways, and what lies beside stays everybody's.
fn gives_nothing(served: &Served, state: &Path, [kept, shown]: [&str; 2]) {
    let towd = served.serve(state);
    let mut client = Client::over_unix(&served.socket.path().join("socket"));
    let paths: Vec<_> = [shown, kept].iter().flat_map(|top| OWN.map(|own| format!("{top}/{own}"))).collect();
    changes_nothing(&mut client, served.root.path(), &paths.iter().map(String::as_str).collect::<Vec<_>>());
    for place in ["", ".local/", ".local/state/"] {
        let new = format!("{shown}/{place}new");
        assert!(
            matches!(client.call(Put { operation: id(), ..put(&new, b"mine") }).1, Answer::Stored(_)),
            "{new}"
        );
        assert!(matches!(client.call(SetMode { thing: at(&new), mode: 0o600 }).1, Answer::Done(_)), "{new}");
        let moved = client.call(rename(&new, &format!("{shown}/moved"))).1;
        assert!(matches!(moved, Answer::Done(_)), "{new}: {moved:?}");
    }
    drop(towd);
}

#[test]
fn f72_a_second_view_of_the_state_folder_by_bindfs_gives_nothing() {
    let served = Served::new("home");
    let Some(_view) = Mounted::bindfs(&served.at("home"), served.at("view")) else { return };
    gives_nothing(&served, &served.fill("home"), ["home", "view"]);
}

#[test]
fn f72_a_second_view_of_the_state_folder_by_an_overlay_gives_nothing_in_either_direction() {
    let served = Served::new("home");
    let state = served.fill("home");
    let Some(view) = Mounted::overlay(&served, "home", served.at("view")) else { return };
    gives_nothing(&served, &state, ["home", "view"]);
    drop(view);
    let served = Served::new("upper");
    let Some(_view) = Mounted::overlay(&served, "upper", served.at("view")) else { return };
    let state = served.fill("view");
    gives_nothing(&served, &state, ["view", "upper"]);
}

/// The top of a mount has a name of its own: it is known by what is in it.
#[test]
fn f72_a_mount_that_shows_the_state_folder_under_another_name_gives_nothing() {
    for (shown, own) in [
        (
            ".local",
            &["view", "view/state", "view/state/towpath", "view/state/towpath/server/identity.pem"][..],
        ),
        (
            ".local/state",
            &["view", "view/towpath", "view/towpath/server/clients.json", "view/towpath/client"],
        ),
        (".local/state/towpath", &["view", "view/server", "view/server/identity.pem", "view/new"]),
        (".local/state/towpath/server", &["view", "view/identity.pem", "view/clients.json", "view/new"]),
    ] {
        let served = Served::new("home");
        let state = served.fill("home");
        let Some(_view) = Mounted::bindfs(&served.at("home").join(shown), served.at("view")) else { return };
        let towd = served.serve(&state);
        let mut client = Client::over_unix(&served.socket.path().join("socket"));
        changes_nothing(&mut client, served.root.path(), own);
        drop(towd);
    }
}

#[test]
fn a_mount_with_the_same_names_and_another_content_is_everybodys() {
    let served = Served::new("home");
    let state = served.fill("home");
    let other = tempfile::tempdir().unwrap();
    fs::create_dir_all(other.path().join(".local/state/towpath/server/asides")).unwrap();
    let key = other.path().join(".local/state/towpath/server/identity.pem");
    write(&key, "another machine's key, as long as a key is ".repeat(4).as_bytes());
    let Some(_view) = Mounted::bindfs(other.path(), served.at("view")) else { return };
    let towd = served.serve(&state);
    let mut client = Client::over_unix(&served.socket.path().join("socket"));
    let shown = "view/.local/state/towpath/server/identity.pem";
    let stored = client.call(Put { operation: id(), ..put("view/.local/state/towpath/new", b"mine") }).1;
    assert!(matches!(stored, Answer::Stored(_)), "{stored:?}");
    assert!(matches!(client.call(SetMode { thing: at(shown), mode: 0o600 }).1, Answer::Done(_)));
    assert!(matches!(client.call(rename("view/.local", "view/backup")).1, Answer::Done(_)));
    drop(towd);
}

/// As on a file system where case does not count, or what stands behind the last letter, and each spelling has an inode number of its own.
#[test]
fn f72_another_spelling_of_any_name_on_the_way_gives_nothing() {
    let served = Served::new("home");
    let state = served.fill("home");
    for spelling in [".Local/State/towpath/server", ".local/STATE/Towpath/server", ".local./state /towpath"] {
        fs::create_dir_all(served.at("home").join(spelling)).unwrap();
    }
    let towd = served.serve(&state);
    let mut client = Client::over_unix(&served.socket.path().join("socket"));
    let own = [
        "home/.Local",
        "home/.Local/State",
        "home/.Local/State/towpath",
        "home/.Local/State/towpath/server",
        "home/.Local/State/TOWPATH",
        "home/.local/STATE",
        "home/.local/STATE/Towpath",
        "home/.local/STATE/Towpath/server/new",
        "home/.local./state ",
        "home/.local./state /towpath",
        "HOME/.local",
    ];
    changes_nothing(&mut client, served.root.path(), &own);
    // The same names where they lead to nothing.
    let beside = Put { operation: id(), ..put("mine/towpath/server/new", b"mine") };
    assert!(matches!(client.call(beside).1, Answer::Stored(_)));
    assert!(matches!(client.call(rename("mine/towpath", "mine/.local")).1, Answer::Done(_)));
    drop(towd);
}

/// The calls that tell what a thing is and where it lies. A descriptor's attributes (`fstat`) are not among them: they cost hardly anything.
const LOOKS: [&str; 4] = ["statx", "newfstatat", "readlinkat", "readlink"];
const FILES: usize = 200;

#[test]
fn f72_a_stored_file_costs_few_looks_at_what_is_kept() {
    let served = Served::new("home");
    let state = served.fill("home");
    let towd = served.serve(&state);
    let mut client = Client::over_unix(&served.socket.path().join("socket"));
    let told = served.socket.path().join("calls");
    let arguments =
        ["-e".into(), format!("trace=openat2,{}", LOOKS.join(",")), "-o".into(), told.display().to_string()];
    let Some(tracer) = Tracer::with(&towd, &arguments) else { return };
    for index in 0..FILES {
        let stored = client.call(Put { operation: id(), ..put(&format!("mine/{index}"), b"mine") }).1;
        assert!(matches!(stored, Answer::Stored(_)), "{stored:?}");
    }
    drop(tracer);
    let told = fs::read_to_string(&told).unwrap();
    let looks = LOOKS.map(|call| told.matches(&format!("{call}(")).count());
    assert!(told.matches("openat2(").count() >= FILES, "nothing was traced: {told}");
    // Once a second or so for other reasons.
    assert!(looks.iter().sum::<usize>() <= FILES / 10, "{LOOKS:?}: {looks:?}");
}

/// towd's home is empty, so that what it would keep there is absent: nothing that is mounted tells that it holds the same.
#[test]
fn f72_a_disk_or_a_folder_that_is_mounted_again_is_everybodys_at_its_top_too() {
    let served = Served::new("home");
    let state = served.fill("home");
    let nobody = tempfile::tempdir().unwrap();
    for folder in ["again", "disk"] {
        fs::create_dir(served.at(folder)).unwrap();
    }
    write(&served.at("again/file"), b"file");
    let mount = |words: &[&std::ffi::OsStr], at: &str| {
        let mut command = Command::new("mount");
        command.args(words);
        Mounted::try_new(command, served.at(at))
    };
    let again = served.at("again");
    let Some(_again) = mount(&["--bind".as_ref(), again.as_os_str()], "again") else { return };
    let Some(_disk) = mount(&["-t", "tmpfs", "tmpfs"].map(AsRef::as_ref), "disk") else { return };
    // Names of folders on the way to what is kept, and of a file that is, with another content.
    for path in ["disk/home", "disk/.local/state", "again/home"] {
        fs::create_dir_all(served.at(path)).unwrap();
    }
    let mut command = towd();
    command.arg("--json").arg("--root").arg(served.root.path()).arg("--state-dir").arg(&state);
    command.env("HOME", nobody.path()).env("TOW_STATE_DIR", &state).env_remove("XDG_STATE_HOME");
    command.arg("--unix").arg(served.socket.path().join("socket"));
    let towd = Towd::spawn(command);
    let mut client = Client::over_unix(&served.socket.path().join("socket"));
    for path in ["again", "disk", "disk/home", "disk/.local", "disk/.local/state", "again/home"] {
        let set = client.call(SetMode { thing: at(path), mode: 0o750 }).1;
        assert!(matches!(set, Answer::Done(_)), "{path}: {set:?}");
    }
    for path in ["disk/home", "again/home"] {
        let moved = client.call(rename(path, &format!("{path} moved"))).1;
        assert!(matches!(moved, Answer::Done(_)), "{path}: {moved:?}");
    }
    for path in ["again", "disk"] {
        let said = match client.call(rename(path, "moved")).1 {
            Answer::Fault(fault) => fault.to_string(),
            other => panic!("{other:?}"),
        };
        assert!(!said.contains("the server keeps"), "{said}");
    }
    drop(towd);
}
