//! The shipped binaries as a person meets them: `tow` under a pseudo-terminal, `towd` on a real socket.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr,
    unreachable_pub,
    reason = "tests"
)]

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

const END: &str = "\x1b[F";
const F7: &str = "\x1b[18~";

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
    let deadline = std::time::Instant::now() + std::time::Duration::from_mins(1);
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
fn a_target_that_is_none_is_refused_before_the_screen() {
    let folders = Folders::new();
    let mut pty = Pty::start(folders.tow(&["--connect", "tow://"]), 80, 24);
    assert_eq!(pty.wait_for_end().exit_code(), 2);
    assert!(pty.contents().starts_with("tow: "), "{}", pty.contents());
    pty.wait_until("no mode of the terminal touched", |screen| !screen.alternate_screen());
}
