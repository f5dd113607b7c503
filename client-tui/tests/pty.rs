//! The shipped binaries as a person meets them: `tow` under a pseudo-terminal, `towd` on a real socket.
#![allow(clippy::disallowed_methods, reason = "fixtures and what became of them")]

#[allow(dead_code, unreachable_pub, reason = "shared by several tests, each of which uses a part")]
#[path = "support/pty.rs"]
mod pty;
#[allow(dead_code, unreachable_pub, reason = "shared by several tests, each of which uses a part")]
#[path = "support/towd.rs"]
mod towd;

use std::fs;
use std::path::{Path, PathBuf};

use portable_pty::CommandBuilder;
use pty::{Pty, command};
use rustix::process::Signal;
use tempfile::TempDir;
use towd::Towd;

const UP: &str = "\x1b[A";
const DOWN: &str = "\x1b[B";
const END: &str = "\x1b[F";
const F5: &str = "\x1b[15~";
const F7: &str = "\x1b[18~";
const F8: &str = "\x1b[19~";
const CTRL_Z: &str = "\x1a";

/// Folders for the left pane, the right pane, and the program's state.
struct Folders {
    dir: TempDir,
}

impl Folders {
    fn new() -> Self {
        let folders = Self { dir: tempfile::tempdir().unwrap() };
        for name in ["left", "right", "state"] {
            fs::create_dir(folders.dir.path().join(name)).unwrap();
        }
        folders
    }

    fn left(&self) -> PathBuf {
        self.dir.path().join("left")
    }

    fn right(&self) -> PathBuf {
        self.dir.path().join("right")
    }

    fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// `tow ARGUMENTS`, standing in the left folder.
    fn tow(&self, arguments: &[&str]) -> CommandBuilder {
        let mut command = command(env!("CARGO_BIN_EXE_tow"), &self.state());
        command.args(arguments);
        command.cwd(self.left());
        command
    }
}

fn write(path: &Path, content: &str) {
    fs::write(path, content).unwrap();
}

/// Waits for what the disk should hold, which comes a moment after the screen says so, or before.
fn wait_for_disk(pty: &Pty, what: &str, is_so: impl Fn() -> bool) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !is_so() {
        assert!(std::time::Instant::now() < deadline, "{what} never came; the screen is\n{}", pty.contents());
        std::thread::park_timeout(std::time::Duration::from_millis(5));
    }
}

fn quit(mut pty: Pty) {
    pty.press("q");
    let status = pty.wait_for_end();
    assert!(status.success(), "{status:?}\n{}", pty.contents());
    pty.assert_given_back();
}

#[test]
fn both_panes_open_on_the_current_folder_and_q_gives_the_terminal_back() {
    let folders = Folders::new();
    write(&folders.left().join("a.txt"), "a");
    let pty = Pty::start(folders.tow(&[]), 100, 30);
    pty.wait_until("the file in both panes", |screen| screen.contents().matches("a.txt").count() == 2);
    quit(pty);
    assert!(folders.state().join("state/tow.log").is_file());
}

#[test]
fn a_file_goes_up_and_another_comes_down_and_a_third_is_deleted() {
    let folders = Folders::new();
    write(&folders.left().join("up.txt"), "goes up");
    write(&folders.right().join("down.txt"), "comes down");
    let server = Towd::start(&folders.right(), &folders.state(), &[]);
    let mut pty = Pty::start(folders.tow(&["--connect", &server.target("")]), 120, 40);
    pty.wait_for("up.txt");
    pty.wait_for("down.txt");

    pty.press(END);
    pty.press(F5);
    pty.wait_for("Copy");
    pty.press("\r");
    wait_for_disk(&pty, "up.txt at the server", || folders.right().join("up.txt").is_file());
    assert_eq!(fs::read_to_string(folders.right().join("up.txt")).unwrap(), "goes up");
    pty.wait_until("up.txt in both panes", |screen| {
        screen.contents().lines().any(|line| line.matches("up.txt").count() == 2)
            || screen.contents().matches("up.txt").count() >= 2
    });

    // Names are sorted: ../ if there is one, then down.txt, then up.txt.
    pty.press("\t");
    pty.press(END);
    pty.press(UP);
    pty.press(F5);
    pty.wait_for("Copy");
    pty.press("\r");
    wait_for_disk(&pty, "down.txt here", || folders.left().join("down.txt").is_file());
    assert_eq!(fs::read_to_string(folders.left().join("down.txt")).unwrap(), "comes down");

    pty.press(END);
    pty.press(F8);
    pty.wait_for("Delete");
    pty.press("y");
    wait_for_disk(&pty, "that up.txt is gone", || !folders.right().join("up.txt").exists());
    assert!(folders.left().join("up.txt").is_file());
    quit(pty);
    assert!(server.stop().success());
}

#[test]
fn a_tree_is_walked_and_copied_whole() {
    let folders = Folders::new();
    let tree = folders.left().join("tree");
    fs::create_dir_all(tree.join("inner/empty")).unwrap();
    for number in 0..300 {
        write(&tree.join(format!("inner/file-{number:03}")), &"x".repeat(number * 7));
    }
    let server = Towd::start(&folders.right(), &folders.state(), &[]);
    let mut pty = Pty::start(folders.tow(&["--connect", &server.target("")]), 120, 40);
    pty.wait_for("tree");
    pty.press(END);
    pty.press("\r");
    pty.wait_for("inner");
    pty.press("\x7f");
    pty.wait_for("tree");
    pty.press(F5);
    pty.wait_for("Copy");
    pty.press("\r");
    let last = folders.right().join("tree/inner/file-299");
    wait_for_disk(&pty, "the tree at the server", || {
        last.metadata().is_ok_and(|file| file.len() == 299 * 7)
            && folders.right().join("tree/inner/empty").is_dir()
            && fs::read_dir(folders.right().join("tree/inner")).is_ok_and(|files| files.count() == 301)
    });
    quit(pty);
}

#[test]
fn a_folder_is_made_at_the_server() {
    let folders = Folders::new();
    let server = Towd::start(&folders.right(), &folders.state(), &[]);
    write(&folders.right().join("there"), "");
    let mut pty = Pty::start(folders.tow(&["--connect", &server.target("")]), 120, 40);
    pty.wait_for("there");
    pty.press("\t");
    pty.press(F7);
    pty.wait_for("older");
    pty.press("made\r");
    wait_for_disk(&pty, "the folder", || folders.right().join("made").is_dir());
    pty.wait_for("made");
    quit(pty);
}

#[test]
fn the_terminal_is_resized_at_any_time() {
    let folders = Folders::new();
    for number in 0..200 {
        write(&folders.left().join(format!("file-{number:03}")), "");
    }
    let mut pty = Pty::start(folders.tow(&[]), 80, 24);
    pty.wait_for("file-000");
    for (columns, rows) in [(240, 70), (40, 10), (20, 3), (1, 1), (120, 40), (39, 9), (80, 24)] {
        pty.resize(columns, rows);
        pty.press(DOWN);
    }
    pty.wait_for("file-000");
    pty.resize(120, 40);
    pty.wait_until("the lower right corner in use", |screen| {
        screen.rows(0, 120).nth(39).is_some_and(|row| row.trim().len() > 60)
            && screen.contents().contains("file-000")
    });
    quit(pty);
}

#[test]
fn a_signal_gives_the_terminal_back() {
    let folders = Folders::new();
    write(&folders.left().join("a.txt"), "a");
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130), (Signal::HUP, 129)] {
        let mut pty = Pty::start(folders.tow(&[]), 80, 24);
        pty.wait_for("a.txt");
        pty.signal(signal);
        assert_eq!(pty.wait_for_end().exit_code(), code);
        pty.assert_given_back();
    }
}

#[test]
fn ctrl_z_gives_the_terminal_to_the_shell_and_fg_draws_it_again() {
    let folders = Folders::new();
    write(&folders.left().join("a.txt"), "a");
    let mut shell = command("/bin/bash", &folders.state());
    shell.args(["--norc", "--noprofile", "-i"]);
    shell.env("PS1", "ready> ");
    shell.cwd(folders.left());
    let mut pty = Pty::start(shell, 100, 30);
    pty.wait_for("ready>");
    pty.press(&format!("{}\r", env!("CARGO_BIN_EXE_tow")));
    for _ in 0..2 {
        pty.wait_until("the panes", |screen| {
            screen.alternate_screen() && screen.contents().contains("a.txt")
        });
        pty.press(CTRL_Z);
        pty.wait_until("the shell", |screen| {
            !screen.alternate_screen() && screen.contents().contains("Stopped") && !screen.hide_cursor()
        });
        pty.press("fg\r");
    }
    pty.wait_until("the panes", |screen| screen.alternate_screen() && screen.contents().contains("a.txt"));
    pty.press("q");
    pty.wait_until("the shell", |screen| !screen.alternate_screen());
    pty.press("exit\r");
    pty.wait_for_end();
    pty.assert_given_back();
}

#[test]
fn a_server_that_is_lost_costs_neither_the_program_nor_the_other_pane() {
    let folders = Folders::new();
    write(&folders.left().join("here.txt"), "");
    write(&folders.right().join("there.txt"), "");
    let server = Towd::start(&folders.right(), &folders.state(), &[]);
    let mut pty = Pty::start(folders.tow(&["--connect", &server.target("")]), 120, 40);
    pty.wait_for("there.txt");
    server.kill();
    pty.wait_until("word of the loss", |screen| {
        let text = screen.contents().to_lowercase();
        text.contains("lost") || text.contains("disconnected")
    });
    pty.press(END);
    pty.wait_for("here.txt");
    quit(pty);
}

#[test]
fn a_server_that_is_not_there_is_named_and_the_program_goes_on() {
    let folders = Folders::new();
    write(&folders.left().join("here.txt"), "");
    let pty = Pty::start(folders.tow(&["--connect", "tow://127.0.0.1:1/"]), 120, 40);
    pty.wait_for("here.txt");
    pty.wait_for("127.0.0.1:1");
    pty.wait_until("why it failed", |screen| screen.contents().to_lowercase().contains("refused"));
    quit(pty);
}

#[test]
fn a_target_that_is_none_is_refused_before_the_screen() {
    let folders = Folders::new();
    let mut pty = Pty::start(folders.tow(&["--connect", "tow://"]), 80, 24);
    assert_eq!(pty.wait_for_end().exit_code(), 2);
    assert!(pty.contents().starts_with("tow: "), "{}", pty.contents());
    pty.wait_until("no mode of the terminal touched", |screen| !screen.alternate_screen());
}

#[test]
fn without_a_terminal_it_says_so() {
    let folders = Folders::new();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_tow"))
        .env("TOW_STATE_DIR", folders.state())
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "");
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(words.contains("is not a terminal"), "{words}");
}

#[test]
fn nothing_is_written_while_nothing_happens_and_little_for_a_step() {
    let folders = Folders::new();
    for number in 0..1000 {
        write(&folders.left().join(format!("file-{number:04}")), "");
    }
    let mut pty = Pty::start(folders.tow(&[]), 120, 40);
    pty.wait_for("file-0000");
    pty.wait_for("1000");
    // A step down and up again ends where it began; both were drawn once the second is.
    pty.press(DOWN);
    pty.wait_for("file-0001");
    pty.forget_bytes();
    pty.press(DOWN);
    pty.wait_for_bytes("\x1b[?2026l");
    let bytes = pty.bytes_written();
    assert!(bytes < 1500, "{bytes} bytes for one step of the cursor");
    quit(pty);
}
