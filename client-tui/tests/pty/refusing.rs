//! Destinations that refuse a whole job: the result line says why, with sizes, however narrow the terminal and however long the path.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::geteuid;

use crate::pty::Pty;
use crate::skip::skip;
use crate::stage::{F5, F6, Folders, agree, go_to, quit, write};

/// A tmpfs, unmounted when dropped.
struct Small(PathBuf);

impl Small {
    fn mount(at: PathBuf) -> Option<Self> {
        fs::create_dir_all(&at).unwrap();
        if ran("mount", &["-t", "tmpfs", "-o", "size=8m", "none"], &at) {
            return Some(Self(at));
        }
        skip("no file system could be mounted");
        None
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        ran("umount", &["-l"], &self.0);
    }
}

fn ran(program: &str, words: &[&str], at: &Path) -> bool {
    Command::new(program).args(words).arg(at).output().is_ok_and(|output| output.status.success())
}

/// Copies `name` from the left folder to `to`, and returns the result line.
fn result(folders: &Folders, (name, to): (&str, &Path), key: &str, columns: u16) -> String {
    let mut pty = Pty::start(folders.tow(&[".", to.to_str().unwrap()]), columns, 24);
    go_to(&mut pty, name);
    pty.press(key);
    agree(&mut pty, if key == F5 { "Copy" } else { "Move" });
    pty.wait_until("the end of the job", |screen| {
        screen.contents().contains("✗ ") && !screen.contents().contains(" 1 job")
    });
    let screen = pty.contents();
    quit(pty);
    screen.lines().find(|line| line.contains("✗ ")).unwrap().trim().to_owned()
}

#[test]
fn a_disk_that_is_too_small_is_named_with_what_is_needed_and_free() {
    let folders = Folders::new();
    fs::write(folders.left("big"), vec![7; 30_000_000]).unwrap();
    let deep = format!("{}/photos", "a-folder-with-a-long-name/".repeat(4));
    for place in ["disk", &deep] {
        let Some(disk) = Small::mount(folders.right(place)) else { return };
        for (key, columns) in [(F5, 80), (F5, 160), (F6, 80)] {
            let line = result(&folders, ("big", &disk.0), key, columns);
            let sizes = "(30.00 MB needed, 8.39 MB free)";
            assert!(line.starts_with("✗ no space in /") && line.ends_with(sizes), "{columns}: {line}");
            let last = Path::new(place).file_name().unwrap().to_str().unwrap();
            assert!(line.contains(&format!("{last} {sizes}")), "{columns}: {line}");
            assert!(folders.left("big").exists() && !disk.0.join("big").exists());
        }
    }
}

#[test]
fn from_a_server_too() {
    let folders = Folders::new();
    fs::write(folders.left("big"), vec![7; 30_000_000]).unwrap();
    let Some(_disk) = Small::mount(folders.right("disk")) else { return };
    let towd = crate::towd::Towd::start(&folders.right(""), &folders.state(), &[]);
    let mut pty = Pty::start(folders.tow(&["--connect", &towd.target("disk")]), 80, 24);
    pty.wait_for("connected to");
    go_to(&mut pty, "big");
    pty.press(F5);
    agree(&mut pty, "Copy");
    // A server keeps a part of its disk free.
    pty.wait_until("the reason", |screen| {
        let line = |line: &str| {
            line.contains("✗ no space in ") && line.contains("disk (30.00 MB needed, 7.97 MB free)")
        };
        screen.contents().lines().any(line)
    });
    quit(pty);
}

#[test]
fn a_disk_that_takes_no_changes_and_a_folder_that_is_closed_are_named_too() {
    let folders = Folders::new();
    write(folders.left("note"), "text");
    if let Some(disk) = Small::mount(folders.right("disk"))
        && ran("mount", &["-o", "remount,ro"], &disk.0)
    {
        let line = result(&folders, ("note", &disk.0), F5, 80);
        assert!(line.contains("right/disk") && line.ends_with(": read-only"), "{line}");
    }
    let closed = folders.right("closed");
    fs::create_dir(&closed).unwrap();
    // Modes do not hold root back.
    let is_closed = if geteuid().is_root() {
        ran("chattr", &["+i"], &closed)
    } else {
        fs::set_permissions(&closed, std::os::unix::fs::PermissionsExt::from_mode(0o555)).is_ok()
    };
    if !is_closed {
        skip("no folder could be closed to changes");
        return;
    }
    let line = result(&folders, ("note", &closed), F5, 80);
    if geteuid().is_root() {
        ran("chattr", &["-i"], &closed);
    }
    assert!(line.contains("closed/note: permission denied"), "{line}");
    assert!(!line.contains("0 files") && !line.contains("nothing copied"), "{line}");
}
