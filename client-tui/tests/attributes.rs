//! Modes, times and rights that are not as they should be, on real file systems and with the shipped program: what can be copied is, what
//! cannot be kept or looked at is told. What takes root says so where there is none.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr,
    unreachable_pub,
    reason = "tests"
)]

#[path = "support/folding.rs"]
mod folding;
#[allow(dead_code, reason = "other tests use more of it")]
#[path = "support/image.rs"]
mod image;
#[path = "attributes/made_up.rs"]
mod made_up;
#[path = "attributes/search_only.rs"]
mod search_only;
#[allow(dead_code, reason = "other tests use more of it")]
#[path = "support/skip.rs"]
mod skip;
#[path = "attributes/torn.rs"]
mod torn;
#[allow(dead_code, reason = "other tests use more of it")]
#[path = "support/towd.rs"]
mod towd;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, UNIX_EPOCH};

use serde_json::Value;
use tempfile::TempDir;

const NOBODY: u32 = 65_534;

struct Stage(TempDir);

/// An unprivileged user. `None`, with a note, if this test may not switch to it.
struct Nobody<'a>(&'a Stage);

impl Stage {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let stage = Self(dir);
        fs::create_dir(stage.at("state")).unwrap();
        stage
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
        fs::write(self.at(path), content).unwrap();
    }

    fn mode(&self, path: &str, mode: u32) {
        fs::set_permissions(self.at(path), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut tow = Command::new(env!("CARGO_BIN_EXE_tow"));
        tow.args(words).current_dir(self.0.path()).stdin(Stdio::null());
        tow.env("TOW_STATE_DIR", self.at("state")).env("HOME", self.0.path()).env("LANG", "C.UTF-8");
        tow
    }

    fn tow(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    fn nobody(&self) -> Option<Nobody<'_>> {
        let runs = || {
            let mut tow = self.command(&["--version"]);
            tow.uid(NOBODY).gid(NOBODY).output().is_ok_and(|output| output.status.success())
        };
        if rustix::process::geteuid().is_root() && runs() {
            chown(self.at("state"), Some(NOBODY), Some(NOBODY)).unwrap();
            return Some(Nobody(self));
        }
        skip::skip("it takes root, and a program that others may run");
        None
    }
}

impl Nobody<'_> {
    fn owns(&self, path: &str) {
        for entry in fs::read_dir(self.0.at(path)).into_iter().flatten().flatten() {
            self.owns(entry.path().to_str().unwrap());
        }
        chown(self.0.at(path), Some(NOBODY), Some(NOBODY)).unwrap();
    }

    fn tow(&self, words: &[&str]) -> Output {
        self.0.command(words).uid(NOBODY).gid(NOBODY).output().unwrap()
    }
}

fn done(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find(|line| line.contains(r#""event":"done""#));
    serde_json::from_str(line.unwrap_or_else(|| panic!("{}", told(output)))).unwrap()
}

fn told(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}\n{}{}", output.status, text(&output.stdout), text(&output.stderr))
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn at_time(path: &Path, time: Duration) {
    fs::File::open(path).unwrap().set_modified(UNIX_EPOCH + time).unwrap();
}

#[test]
fn f83_in_a_folder_of_somebody_else_the_content_arrives_and_what_is_not_kept_is_told_once() {
    let stage = Stage::new();
    let Some(nobody) = stage.nobody() else { return };
    for name in ["tree/a", "tree/sub/b"] {
        stage.write(&format!("from/{name}"), name);
        stage.write(&format!("move/{name}"), name);
    }
    for side in ["from", "move"] {
        at_time(&stage.at(&format!("{side}/tree/sub")), Duration::from_secs(1_000_000_000));
        nobody.owns(side);
    }
    for to in ["copied", "moved"] {
        fs::create_dir_all(stage.at(&format!("{to}/tree/sub"))).unwrap();
        for path in ["", "/tree", "/tree/sub"] {
            stage.mode(&format!("{to}{path}"), 0o777);
        }
    }
    for (words, to) in [
        (["cp", "--json", "from/tree", "copied/"], "copied"),
        (["mv", "--json", "move/tree", "moved/"], "moved"),
    ] {
        let output = nobody.tow(&words);
        assert_eq!(output.status.code(), Some(0), "{}", told(&output));
        let done = done(&output);
        assert_eq!((&done["files"], &done["failed"], &done["not_kept"]), (&2.into(), &0.into(), &2.into()));
        let said = errors(&output);
        assert!(said.contains("not kept: mode, modification time, of 2 things"), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert_eq!(fs::read_to_string(stage.at(&format!("{to}/tree/sub/b"))).unwrap(), "tree/sub/b");
    }
    assert!(!stage.at("move/tree").exists(), "the move is complete");
}

#[test]
fn f83_where_no_mode_can_be_changed_things_have_those_of_their_creation() {
    let stage = Stage::new();
    let Some(_disk) = folding::Folding::mount(&stage.at("m"), &["no-chmod"]) else { return };
    stage.write("from/a", "a");
    stage.write("from/large", vec![7; 300 << 10]);
    stage.write("from/sub/b", "b");
    let modes = [
        ("from", 0o755),
        ("from/sub", 0o750),
        ("from/a", 0o644),
        ("from/sub/b", 0o640),
        ("from/large", 0o755),
    ];
    for (path, mode) in modes {
        stage.mode(path, mode);
    }
    fs::create_dir(stage.at("state of towd")).unwrap();
    let towd = towd::Towd::start(&stage.at("m"), &stage.at("state of towd"), &[]);
    let put = towd.target("put");
    for (words, to) in [
        (vec!["cp", "--json", "from", "m/copied"], "m/copied"),
        (vec!["cp", "--json", "--exclude", "no such name", "from", "m/walked"], "m/walked"),
        (vec!["put", "--json", "from", &put], "m/put"),
        (vec!["cp", "--json", &put, &towd.target("again")], "m/again"),
        (vec!["mv", "--json", "from", "m/moved"], "m/moved"),
    ] {
        let output = stage.tow(&words);
        assert_eq!(output.status.code(), Some(0), "{words:?}: {}", told(&output));
        assert_eq!(done(&output)["not_kept"], 0, "{words:?}: {}", told(&output));
        for (path, mode) in modes {
            let path = path.replacen("from", to, 1);
            assert_eq!(stage.at(&path).metadata().unwrap().mode() & 0o777, mode, "{words:?}: {path}");
        }
    }
}

#[test]
fn a_second_copy_into_ones_own_read_only_folder_updates_it_and_leaves_it_read_only() {
    let stage = Stage::new();
    let Some(nobody) = stage.nobody() else { return };
    stage.write("from/mod/a", "1");
    stage.write("from/mod/pkg/b", "2");
    fs::create_dir(stage.at("to")).unwrap();
    stage.mode("from/mod/pkg", 0o555);
    stage.mode("from/mod", 0o555);
    nobody.owns("from");
    nobody.owns("to");
    let first = nobody.tow(&["cp", "from/mod", "to/"]);
    assert_eq!(first.status.code(), Some(0), "{}", told(&first));
    stage.mode("from/mod", 0o755);
    stage.write("from/mod/a", "changed");
    stage.write("from/mod/new", "new");
    stage.write("from/mod/newer folder/c", "3");
    stage.mode("from/mod", 0o555);
    nobody.owns("from");
    let again = nobody.tow(&["cp", "--overwrite", "always", "from/mod", "to/"]);
    assert_eq!(again.status.code(), Some(0), "{}", told(&again));
    for (path, content) in [("a", "changed"), ("new", "new"), ("newer folder/c", "3"), ("pkg/b", "2")] {
        assert_eq!(fs::read_to_string(stage.at(&format!("to/mod/{path}"))).unwrap(), content, "{path}");
    }
    for path in ["to/mod", "to/mod/pkg"] {
        assert_eq!(stage.at(path).metadata().unwrap().mode() & 0o777, 0o555, "{path}");
    }
}

#[test]
fn one_entry_that_cannot_be_read_or_named_keeps_nothing_else_from_arriving() {
    let stage = Stage::new();
    let Some(nobody) = stage.nobody() else { return };
    for path in ["from/good", "from/shut/inside", "from/listed/inside", "from/z/good"] {
        stage.write(path, path);
    }
    stage.mode("from/shut", 0o000);
    stage.mode("from/listed", 0o444);
    let long = format!("from/deep/{}", vec!["x".repeat(200); 13].join("/"));
    stage.write(&format!("{long}/too deep"), "deep");
    stage.write("from/deep/good", "good");
    fs::create_dir(stage.at("to")).unwrap();
    nobody.owns("from");
    nobody.owns("to");
    let deep_folder = format!("to/{}", vec!["y".repeat(200); 8].join("/"));
    fs::create_dir_all(stage.at(&deep_folder)).unwrap();
    nobody.owns("to");
    for name in ["copied alone", "walked"] {
        let far = format!("{deep_folder}/{name}");
        let mut words = vec!["cp", "from", &far];
        if name == "walked" {
            words.extend(["--exclude", "no such name"]);
        }
        let output = nobody.tow(&words);
        assert_eq!(output.status.code(), Some(1), "{}", told(&output));
        for path in ["good", "z/good", "deep/good"] {
            assert!(stage.at(&format!("{far}/{path}")).exists(), "{name} {path}: {}", told(&output));
        }
        let said = errors(&output);
        assert!(said.contains("from/shut") && said.contains("from/listed"), "{said}");
        // Folder by folder no path is too long; of one that is, the first that has no place any more is named, and nothing in it.
        let too_long = said.lines().filter(|line| line.contains("from/deep/")).collect::<Vec<_>>();
        match too_long.as_slice() {
            [] => assert_ne!(name, "walked", "{said}"),
            [line] => assert!(name == "walked" && line.contains("too long"), "{said}"),
            _ => panic!("{said}"),
        }
    }
    let size = nobody.tow(&["size", "--json", "from"]);
    assert_eq!(size.status.code(), Some(1));
    assert!(errors(&size).contains("from/shut") && !size.stdout.is_empty(), "{}", told(&size));
    let removed = nobody.tow(&["rm", "-r", "-y", "from"]);
    assert_eq!(removed.status.code(), Some(5), "{}", told(&removed));
    assert!(!stage.at("from/z").exists() && !stage.at("from/good").exists(), "{}", told(&removed));
}

#[test]
fn what_cannot_be_looked_at_is_told_as_unknown() {
    let stage = Stage::new();
    let Some(nobody) = stage.nobody() else { return };
    stage.write("listed/inside", "secret");
    nobody.owns("listed");
    stage.mode("listed", 0o444);
    let output = nobody.tow(&["ls", "--json", "listed"]);
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    let entry: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&entry["name"], &entry["kind"]), (&"inside".into(), &"file".into()));
    for key in ["size", "modified", "mode"] {
        assert_eq!(entry.get(key), Some(&Value::Null), "{key}: {}", told(&output));
    }
    assert!(errors(&output).contains("cannot look at 1 of 1 entry: permission denied"), "{}", told(&output));
    let long = nobody.tow(&["ls", "-l", "listed"]);
    let said = told(&long);
    assert!(said.contains("unknown") && !said.contains("1970"), "{said}");
}

#[test]
fn what_the_system_makes_up_arrives_with_its_bytes() {
    let stage = Stage::new();
    fs::create_dir(stage.at("to")).unwrap();
    let made_up = ["/proc/version", "/sys/class/net/lo/mtu", "/sys/kernel/mm/transparent_hugepage/enabled"];
    let mut tried = 0;
    for path in made_up {
        let Ok(content) = fs::read(path) else { continue };
        tried += 1;
        let output = stage.tow(&["cp", path, "to/"]);
        assert_eq!(output.status.code(), Some(0), "{}", told(&output));
        let copied = fs::read(stage.at("to").join(Path::new(path).file_name().unwrap())).unwrap();
        assert_eq!(copied, content, "{path}");
    }
    assert!(tried > 0, "none of {made_up:?} is here");
}

#[test]
fn a_second_copy_to_a_disk_with_coarse_times_finds_all_unchanged() {
    let stage = Stage::new();
    fs::File::create(stage.at("image")).unwrap().set_len(60 << 20).unwrap();
    fs::create_dir(stage.at("disk")).unwrap();
    let mut make = Command::new("mkfs.ext4");
    make.args(["-q", "-F", "-I", "128"]).arg(stage.at("image"));
    let mut mount = Command::new("mount");
    mount.args(["-o", "loop"]).arg(stage.at("image")).arg(stage.at("disk"));
    if !rustix::process::geteuid().is_root() || !image::ran(&mut make) || !image::ran(&mut mount) {
        skip::skip("it takes root, mkfs.ext4 and a loop device");
        return;
    }
    let tried = std::panic::catch_unwind(|| copy_twice_to_coarse_times(&stage));
    image::ran(Command::new("umount").arg("-l").arg(stage.at("disk")));
    tried.unwrap();
}

fn copy_twice_to_coarse_times(stage: &Stage) {
    stage.write("from/f", "one");
    stage.write("from/g", "two");
    at_time(&stage.at("from/f"), Duration::new(1_714_885_505, 123_456_789));
    at_time(&stage.at("from/g"), Duration::new(1_714_885_507, 900_000_000));
    let first = stage.tow(&["cp", "--json", "from", "disk/to"]);
    assert_eq!((first.status.code(), &done(&first)["not_kept"]), (Some(0), &0.into()), "{}", told(&first));
    assert_eq!(stage.at("disk/to/f").metadata().unwrap().mtime_nsec(), 0, "its times are coarse");
    for how in ["never", "newer", "different"] {
        let again = stage.tow(&["cp", "--json", "--overwrite", how, "-T", "from", "disk/to"]);
        let done = done(&again);
        assert_eq!(
            (again.status.code(), &done["unchanged"]),
            (Some(0), &2.into()),
            "{how}: {}",
            told(&again)
        );
        assert_eq!(done["files"], 0, "{how}");
    }
    // Another content, of a moment that the disk cannot tell apart: newer, and copied.
    stage.write("from/f", "new");
    at_time(&stage.at("from/f"), Duration::new(1_714_885_505, 999_999_999));
    let newer = stage.tow(&["cp", "--json", "--overwrite", "newer", "-T", "from", "disk/to"]);
    assert_eq!(
        (&done(&newer)["files"], &done(&newer)["unchanged"]),
        (&1.into(), &1.into()),
        "{}",
        told(&newer)
    );
    assert_eq!(fs::read_to_string(stage.at("disk/to/f")).unwrap(), "new");
    // Attributes that the disk cannot hold are reported.
    at_time(&stage.at("from/g"), Duration::from_hours(2_892_720));
    stage.write("from/late", "late");
    at_time(&stage.at("from/late"), Duration::from_hours(2_892_720));
    let late = stage.tow(&["cp", "--json", "from/late", "disk/"]);
    assert_eq!((late.status.code(), &done(&late)["not_kept"]), (Some(0), &1.into()), "{}", told(&late));
    assert!(errors(&late).contains("not kept: modification time, of 1 thing"), "{}", told(&late));
}
