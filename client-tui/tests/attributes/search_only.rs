//! Folders that may be searched and not read, at the root of what is served and on the way below it, for a real `towd` of another user.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use super::{NOBODY, Stage, errors, told, towd};

/// `towd` of a user who owns nothing here. Ended when it is dropped.
struct Served(Child, String);

impl Served {
    fn start(stage: &Stage, root: &str) -> Self {
        let socket = stage.at("state/socket");
        let mut command = Command::new(towd::program());
        command.arg("--json").arg("--unix").arg(&socket).arg("--root").arg(stage.at(root));
        command
            .env("TOW_STATE_DIR", stage.at("state"))
            .env("HOME", stage.at("state"))
            .uid(NOBODY)
            .gid(NOBODY);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.contains("listening"), "{line}");
        Self(child, format!("unix:{}", socket.display()))
    }

    fn target(&self, path: &str) -> String {
        format!("{}?path={path}", self.1)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `srv` and `srv/way` may only be searched; `srv/way/open` is the other user's; into `srv/drop` things can be put and not seen.
fn planted() -> Option<Stage> {
    let stage = Stage::new();
    let nobody = stage.nobody()?;
    for path in ["srv/file", "srv/way/file", "srv/way/open/file", "srv/way/open/tree/sub/deep"] {
        stage.write(path, path);
    }
    nobody.owns("srv/way/open");
    fs::create_dir(stage.at("srv/drop")).unwrap();
    fs::create_dir(stage.at("mine")).unwrap();
    nobody.owns("mine");
    for (path, mode) in [("srv", 0o711), ("srv/way", 0o711), ("srv/drop", 0o733), ("", 0o711)] {
        stage.mode(path, mode);
    }
    Some(stage)
}

#[test]
fn a_root_that_may_only_be_searched_is_served_and_so_is_what_lies_behind_such_folders() {
    let Some(stage) = planted() else { return };
    let Some(nobody) = stage.nobody() else { return };
    let towd = Served::start(&stage, "srv");
    let at = |path: &str| towd.target(path);
    stage.write("mine/new", "new");
    nobody.owns("mine");
    for words in [
        ["get", &at("file"), "mine/file"],
        ["get", &at("way/file"), "mine/second"],
        ["get", &at("way/open"), "mine/open"],
        ["put", "mine/new", &at("way/open/new")],
        ["put", "mine/new", &at("drop/put")],
        ["put", "mine/open", &at("drop/tree")],
        ["cp", &at("way/open/tree"), &at("way/open/copied")],
        ["cp", &at("way/open/tree"), &at("drop/copied")],
        ["mv", &at("way/open/copied"), &at("way/open/moved")],
        ["mv", &at("way/open/file"), &at("drop/moved")],
        ["mv", "mine/second", &at("drop/second")],
        ["rm", "-ry", &at("way/open/moved")],
        ["ls", "-l", &at("way/open")],
        ["size", "--json", &at("way/open")],
    ] {
        let output = nobody.tow(&words);
        assert_eq!(output.status.code(), Some(0), "{words:?}: {}", told(&output));
    }
    for (path, content) in [
        ("mine/file", "srv/file"),
        ("mine/open/tree/sub/deep", "srv/way/open/tree/sub/deep"),
        ("srv/way/open/new", "new"),
        ("srv/drop/put", "new"),
        ("srv/drop/tree/file", "srv/way/open/file"),
        ("srv/drop/copied/sub/deep", "srv/way/open/tree/sub/deep"),
        ("srv/drop/moved", "srv/way/open/file"),
        ("srv/drop/second", "srv/way/file"),
    ] {
        assert_eq!(fs::read_to_string(stage.at(path)).unwrap(), content, "{path}");
    }
    for path in ["srv/way/open/moved", "srv/way/open/file", "mine/second"] {
        assert!(!stage.at(path).exists(), "{path}");
    }
    let left: Vec<_> =
        fs::read_dir(stage.at("srv/drop")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with('.')), "{left:?}");
    // Their lists are what cannot be had, and that is said of them.
    for path in ["", "way", "drop"] {
        let listed = nobody.tow(&["ls", &at(path)]);
        assert_eq!(listed.status.code(), Some(5), "{path}: {}", told(&listed));
        assert!(errors(&listed).contains("permission denied"), "{path}: {}", told(&listed));
    }
    let into_itself = nobody.tow(&["cp", &at("way/open/tree"), &at("way/open/tree/sub/copy")]);
    assert_ne!(into_itself.status.code(), Some(0), "{}", told(&into_itself));
    assert!(!stage.at("srv/way/open/tree/sub/copy").exists());
}

#[test]
fn a_folder_that_may_only_be_searched_is_no_obstacle_on_this_machine() {
    let Some(stage) = planted() else { return };
    let Some(nobody) = stage.nobody() else { return };
    for words in [
        ["cp", "srv/way/file", "mine/"],
        ["cp", "srv/way/open", "mine/copied"],
        ["cp", "mine/copied/file", "srv/drop/copied"],
        ["mv", "srv/way/open/tree", "srv/drop/tree"],
        ["mv", "mine/copied", "srv/drop/folder"],
    ] {
        let output = nobody.tow(&words);
        assert_eq!(output.status.code(), Some(0), "{words:?}: {}", told(&output));
    }
    for path in ["mine/file", "srv/drop/copied", "srv/drop/tree/sub/deep", "srv/drop/folder/tree/sub/deep"] {
        assert!(stage.at(path).exists(), "{path}");
    }
    assert!(!stage.at("mine/copied").exists() && !stage.at("srv/way/open/tree").exists());
    // A folder that is read and copied, with one in it that may only be searched: the one is named, the rest arrives.
    let all = nobody.tow(&["cp", "srv/way/open/..", "mine/all"]);
    assert_ne!(all.status.code(), Some(0), "{}", told(&all));
}
