//! What a copy keeps, and what it keeps only on request: the real `tow` and `towd`, over TLS and on one machine, as root and as a user
//! who may give nothing away.
#![allow(clippy::disallowed_methods, reason = "tests look at the disk behind the programs' back")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "all of this is tests, helpers too"
)]

mod large;
#[path = "../support/skip.rs"]
mod skip;
#[allow(dead_code, unreachable_pub, reason = "other tests need more of it")]
#[path = "../support/towd.rs"]
mod towd;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown, symlink};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, XattrFlags};
use tempfile::TempDir;
use towd::Towd;

const SOMEBODY: u32 = 54_321;
const SOME_GROUP: u32 = 54_322;
const NOBODY: u32 = 65_534;

/// A served folder and a local one, on a disk that may have extended attributes.
struct World {
    dir: TempDir,
    towd: Towd,
}

impl World {
    /// Whoever comes with the first code may do what `allow` says.
    fn new(allow: Option<&str>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for folder in ["served", "local"] {
            fs::create_dir(dir.path().join(folder)).unwrap();
        }
        let towd = Towd::start_tls(&dir.path().join("served"), &dir.path().join("state of towd"), &[]);
        let world = Self { dir, towd };
        let code = match allow {
            Some(allow) => world.towd.says(&["pair", "--allow", allow]),
            None => world.towd.code(),
        };
        let paired = world.tow_with_code(&["ls", &world.served("")], code.trim());
        assert!(paired.status.success(), "{}", told(&paired));
        world
    }

    /// `served/…` and `local/…` on the disk.
    fn at(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    fn served(&self, path: &str) -> String {
        self.towd.target(path)
    }

    fn command(&self, words: &[&str], state: &str) -> Command {
        let mut tow = Command::new(env!("CARGO_BIN_EXE_tow"));
        tow.args(words)
            .current_dir(self.at("local"))
            .env("TOW_STATE_DIR", self.at(state))
            .env("LANG", "C.UTF-8")
            .stdin(Stdio::null());
        tow
    }

    fn tow(&self, words: &[&str]) -> Output {
        self.command(words, "state").output().unwrap()
    }

    fn tow_with_code(&self, words: &[&str], code: &str) -> Output {
        self.command(words, "state").env("TOW_PAIR", code).output().unwrap()
    }

    #[track_caller]
    fn done(&self, words: &[&str]) -> Output {
        let output = self.tow(words);
        assert_eq!(output.status.code(), Some(0), "{}", told(&output));
        output
    }

    /// A tree with all that is kept on request, and all that is kept anyway.
    fn make_tree(&self, tree: &str) {
        let at = |path: &str| self.at(&format!("{tree}/{path}"));
        for folder in ["empty", "shut/deep", "shared"] {
            fs::create_dir_all(at(folder)).unwrap();
        }
        fs::write(at("program"), "#!/bin/true").unwrap();
        fs::write(at("shut/file"), "in a folder that takes no files").unwrap();
        fs::write(at("shut/deep/large"), vec![7; 3_000_000]).unwrap();
        fs::write(at("shared/file"), "").unwrap();
        symlink("program", at("link")).unwrap();
        symlink("/nowhere/at all", at("dangling")).unwrap();
        for path in ["program", "shut/deep/large", "shared"] {
            let _ = rustix::fs::setxattr(at(path), "user.comment", path.as_bytes(), XattrFlags::empty());
        }
        if rustix::process::geteuid().is_root() {
            for path in ["program", "shut", "shut/deep/large", "shared"] {
                chown(at(path), Some(SOMEBODY), Some(SOME_GROUP)).unwrap();
            }
            lchown(at("link"), Some(SOMEBODY), Some(SOME_GROUP)).unwrap();
        }
        for (path, mode) in [
            ("program", 0o6755),
            ("shared", 0o3775),
            ("shared/file", 0o666),
            ("shut/deep", 0o500),
            ("shut", 0o555),
        ] {
            fs::set_permissions(at(path), fs::Permissions::from_mode(mode)).unwrap();
        }
        for (number, path) in
            ["program", "link", "shut/deep/large", "shut/file", "shut/deep", "shut", "shared", "empty", ""]
                .into_iter()
                .enumerate()
        {
            set_modified(&at(path), 1_600_000_000 + number as i64, 123_456_789);
        }
    }
}

fn set_modified(path: &Path, seconds: i64, nanoseconds: i64) {
    let time = Timespec { tv_sec: seconds, tv_nsec: nanoseconds };
    let times = Timestamps { last_access: time, last_modification: time };
    rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

fn told(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("output: {}\nerrors: {}", text(&output.stdout), text(&output.stderr))
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// All that there is to say of each thing of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Kept {
    owner: (u32, u32),
    mode: u32,
    modified: (i64, i64),
    comment: Option<Vec<u8>>,
    content: Vec<u8>,
}

fn kept(folder: &Path) -> BTreeMap<PathBuf, Kept> {
    let mut all = BTreeMap::new();
    let mut left = vec![folder.to_owned()];
    while let Some(path) = left.pop() {
        let metadata = fs::symlink_metadata(&path).unwrap();
        let content = if metadata.is_dir() {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            Vec::new()
        } else if metadata.is_symlink() {
            fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
        } else {
            fs::read(&path).unwrap()
        };
        let mut comment = vec![0; 256];
        let len = rustix::fs::lgetxattr(&path, "user.comment", &mut comment[..]).ok();
        let thing = Kept {
            owner: (metadata.uid(), metadata.gid()),
            mode: metadata.mode() & 0o7777,
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            comment: len.map(|len| comment[..len].to_vec()),
            content,
        };
        all.insert(path.strip_prefix(folder).unwrap().to_owned(), thing);
    }
    all
}

fn umask() -> u32 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let octal = status.lines().find_map(|line| line.strip_prefix("Umask:")).unwrap();
    u32::from_str_radix(octal.trim(), 8).unwrap()
}

/// What comes of a tree where nothing was asked for.
fn plainly(tree: &BTreeMap<PathBuf, Kept>, owner: (u32, u32)) -> BTreeMap<PathBuf, Kept> {
    let plain = |thing: &Kept| {
        let is_link = thing.mode == 0o777;
        let mode = if is_link { thing.mode } else { thing.mode & 0o777 & !umask() };
        Kept { owner, mode, comment: None, ..thing.clone() }
    };
    tree.iter().map(|(path, thing)| (path.clone(), plain(thing))).collect()
}

fn ours() -> (u32, u32) {
    (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())
}

#[track_caller]
fn assert_same(left: &BTreeMap<PathBuf, Kept>, right: &BTreeMap<PathBuf, Kept>) {
    for (path, thing) in left {
        let short = |thing: &Kept| Kept {
            content: thing.content.iter().copied().take(40).collect(),
            ..thing.clone()
        };
        assert_eq!(Some(short(thing)), right.get(path).map(short), "{}", path.display());
        assert!(thing.content == right[path].content, "{}", path.display());
    }
    assert_eq!(left.len(), right.len());
}

#[test]
fn with_preserve_all_of_a_tree_is_kept_both_ways_and_without_it_as_much_as_ever() {
    if !rustix::process::geteuid().is_root() {
        skip::skip("only root gives files away");
        return;
    }
    let world = World::new(Some("list,read,write,delete,owner"));
    world.make_tree("local/tree");
    let tree = kept(&world.at("local/tree"));
    let output = world.done(&["put", "--preserve", "tree", &world.served("up")]);
    assert_eq!(errors(&output), "");
    assert_same(&tree, &kept(&world.at("served/up")));
    let output = world.done(&["get", "-p", &world.served("up"), "down"]);
    assert_eq!(errors(&output), "");
    assert_same(&tree, &kept(&world.at("local/down")));
    // On one side alone, by the server and by ourselves.
    world.done(&["cp", "--preserve", &world.served("up"), &world.served("copy")]);
    world.done(&["cp", "--preserve", "tree", "copy"]);
    for copy in ["served/copy", "local/copy"] {
        assert_same(&tree, &kept(&world.at(copy)));
    }
    // Without being asked.
    world.done(&["put", "tree", &world.served("plain")]);
    world.done(&["get", &world.served("up"), "plain"]);
    world.done(&["cp", "tree", "plain copy"]);
    world.done(&["cp", &world.served("up"), &world.served("plain copy")]);
    for copy in ["served/plain", "local/plain", "local/plain copy", "served/plain copy"] {
        assert_same(&plainly(&tree, ours()), &kept(&world.at(copy)));
    }
    // Files that are the same already get what else they were to have.
    let output = world.done(&["put", "--preserve", "-T", "tree", &world.served("plain")]);
    assert!(told(&output).contains("unchanged"), "{}", told(&output));
    assert_same(
        &tree
            .iter()
            .filter(|(_, thing)| thing.mode != 0o777)
            .map(|(path, thing)| (path.clone(), thing.clone()))
            .collect(),
        &kept(&world.at("served/plain")).into_iter().filter(|(_, thing)| thing.mode != 0o777).collect(),
    );
    // A move to the other side.
    world.done(&["mv", "--preserve", "copy", &world.served("moved")]);
    assert_same(&tree, &kept(&world.at("served/moved")));
    assert!(!world.at("local/copy").exists());
}

#[test]
fn f33_a_server_gives_no_owner_and_no_setuid_because_a_client_says_so_and_that_is_told_once() {
    let world = World::new(None);
    world.make_tree("local/tree");
    let tree = kept(&world.at("local/tree"));
    let output = world.done(&["put", "--preserve", "tree", &world.served("up")]);
    let said = errors(&output);
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("not kept: ") && said.contains("setuid"), "{said}");
    let plain = plainly(&tree, ours());
    let up = kept(&world.at("served/up"));
    for (path, thing) in &up {
        let Kept { owner, mode, .. } = &plain[path];
        assert_eq!((thing.owner, thing.mode), (*owner, *mode), "{}", path.display());
        assert_eq!(thing.comment, tree[path].comment, "everybody may have those: {}", path.display());
    }
    let output = world.done(&[
        "put",
        "--json",
        "--preserve",
        "--overwrite",
        "always",
        "tree/program",
        &world.served("one"),
    ]);
    let line = String::from_utf8(output.stdout).unwrap();
    assert!(line.contains(r#""failed":0"#) && line.contains(r#""unset":1"#), "{line}");
}

#[test]
fn a_user_who_gives_nothing_away_keeps_what_they_may_and_is_told_the_rest() {
    if !rustix::process::geteuid().is_root() {
        skip::skip("needs another user");
        return;
    }
    let world = World::new(None);
    world.make_tree("local/tree");
    // What nobody may not read is another matter.
    fs::set_permissions(world.at("local/tree/shut/deep"), fs::Permissions::from_mode(0o555)).unwrap();
    set_modified(&world.at("local/tree/shut/deep"), 1_600_000_000, 5);
    let tree = kept(&world.at("local/tree"));
    fs::create_dir(world.at("theirs")).unwrap();
    chown(world.at("theirs"), Some(NOBODY), Some(NOBODY)).unwrap();
    let mut tow = world.command(&["cp", "--preserve"], "theirs/state");
    let output =
        tow.arg(world.at("local/tree")).arg(world.at("theirs/copy")).uid(NOBODY).gid(NOBODY).output();
    let output = match output {
        Err(error) => {
            skip::skip(&format!("nobody may not run this program: {error}"));
            return;
        }
        Ok(output) => output,
    };
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    assert!(errors(&output).contains("owner"), "{}", told(&output));
    let copy = kept(&world.at("theirs/copy"));
    assert_eq!(copy.len(), tree.len());
    for (path, thing) in &copy {
        assert_eq!(thing.owner, (NOBODY, NOBODY), "{}", path.display());
        assert_eq!(thing.mode & 0o6000, 0, "{}", path.display());
        assert_eq!(
            (thing.modified, &thing.comment),
            (tree[path].modified, &tree[path].comment),
            "{}",
            path.display()
        );
        assert_eq!(thing.mode & 0o1777, tree[path].mode & 0o1777, "{}", path.display());
    }
}

#[test]
fn special_files_are_skipped_by_name_and_hard_links_become_files() {
    let world = World::new(None);
    world.make_tree("local/tree");
    fs::set_permissions(world.at("local/tree/shut"), fs::Permissions::from_mode(0o755)).unwrap();
    let fifo = Mode::from_raw_mode(0o644);
    rustix::fs::mkfifoat(CWD, world.at("local/tree/fifo"), fifo).unwrap();
    let _socket = UnixListener::bind(world.at("local/tree/socket")).unwrap();
    let mut special = vec!["fifo", "socket"];
    let device = world.at("local/tree/device");
    if rustix::fs::mknodat(CWD, &device, FileType::CharacterDevice, fifo, rustix::fs::makedev(1, 3)).is_ok() {
        special.push("device");
    } else {
        skip::skip("no devices without root");
    }
    fs::hard_link(world.at("local/tree/shared/file"), world.at("local/tree/second name")).unwrap();
    let [up, copy] = [world.served("up"), world.served("copy")];
    for (words, to) in [
        (["put", "tree", &up], "served/up"),
        (["cp", "tree", "copy"], "local/copy"),
        (["put", "tree", &copy], "served/copy"),
    ] {
        let output = world.tow(&words);
        assert_eq!(output.status.code(), Some(1), "{}", told(&output));
        let said = errors(&output);
        for name in &special {
            let is_named = said.lines().any(|line| line.contains(name) && line.contains("skipped"));
            assert!(is_named, "{words:?} {name}: {said}");
            assert!(!world.at(&format!("{to}/{name}")).exists());
        }
        assert_eq!(said.lines().count(), special.len(), "{said}");
        let [first, second] = ["shared/file", "second name"]
            .map(|name| fs::metadata(world.at(&format!("{to}/{name}"))).unwrap());
        assert_ne!(first.ino(), second.ino());
        assert_eq!((first.nlink(), second.nlink()), (1, 1));
        assert!(world.at(&format!("{to}/empty")).is_dir());
    }
}

#[test]
fn f36_times_of_any_age_are_copied_both_ways_and_shown() {
    let world = World::new(None);
    // A file system that has such times is only sometimes at hand.
    let far = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let files =
        [("before", -1_000_000_001, 1), ("zero", 0, 0), ("second", -1, 999_999_999), ("far", 1 << 40, 5)];
    for (name, seconds, nanoseconds) in files {
        let path = far.path().join(name);
        fs::write(&path, name).unwrap();
        set_modified(&path, seconds, nanoseconds);
    }
    let folder = far.path().join("folder");
    fs::create_dir(&folder).unwrap();
    set_modified(&folder, 1 << 40, 0);
    set_modified(far.path(), -1, 0);
    let source = far.path().to_str().unwrap();
    world.done(&["put", "-T", source, &world.served("up")]);
    world.done(&["get", &world.served("up"), "down"]);
    let shown = world.done(&["ls", "-l", source]);
    assert!(told(&shown).contains("far"), "{}", told(&shown));
    for side in ["served/up", "local/down"] {
        for (name, seconds, nanoseconds) in files {
            let metadata = fs::metadata(world.at(&format!("{side}/{name}"))).unwrap();
            if name == "far" {
                // The protocol ends in 2262, this disk perhaps elsewhere.
                assert!(metadata.mtime() > 1 << 33, "{}", metadata.mtime());
            } else {
                assert_eq!(
                    (metadata.mtime(), metadata.mtime_nsec()),
                    (seconds, nanoseconds),
                    "{side} {name}"
                );
            }
        }
    }
}
