//! Sessions that come back, as a person sees them: `tow` under a pseudo-terminal, a real `towd` that is killed and started again.
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
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use pty::{Pty, command};
use tempfile::TempDir;
use towd::Towd;

const F7: &str = "\x1b[18~";
const DOWN: &str = "\x1b[B";

/// Folders of this machine, of the server, and of the programs' state.
struct Stage {
    dir: TempDir,
}

impl Stage {
    fn new() -> Self {
        let stage = Self { dir: tempfile::tempdir().unwrap() };
        for name in ["here", "there", "state"] {
            fs::create_dir(stage.at(name)).unwrap();
        }
        stage
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str) {
        fs::write(self.at(name), name).unwrap();
    }

    /// Always on the same socket.
    fn server(&self) -> Towd {
        Towd::start(&self.at("there"), &self.at("state"), &[])
    }

    fn tow(&self, target: &str) -> Pty {
        let mut command = command(env!("CARGO_BIN_EXE_tow"), &self.at("state"));
        command.args(["--connect", target]);
        command.cwd(self.at("here"));
        Pty::start(command, 140, 40)
    }
}

/// Closes the layer that is open, and waits for that: keys right behind an Esc would be Alt and that key.
fn close(pty: &mut Pty) {
    let titles = ["╭ Jobs ", "╭ Connect ", "╭ Rename "];
    pty.press("\x1b");
    pty.wait_until("no layer", |screen| !titles.iter().any(|title| screen.contents().contains(title)));
}

fn quit(mut pty: Pty) {
    pty.press("q");
    let status = pty.wait_for_end();
    assert!(status.success(), "{status:?}\n{}", pty.contents());
    pty.assert_given_back();
}

#[test]
fn a_server_that_was_killed_is_connected_to_again_by_itself_and_the_pane_takes_up_where_it_was() {
    let stage = Stage::new();
    fs::create_dir(stage.at("there/folder")).unwrap();
    for name in ["there/folder/first", "there/folder/second", "here/mine"] {
        stage.write(name);
    }
    let server = stage.server();
    let mut pty = stage.tow(&server.target("folder"));
    pty.wait_for("second");
    // The cursor on the second, the first marked.
    pty.press(&format!("\t{DOWN} "));
    pty.wait_for("1 of 2 selected");
    pty.press("\t");
    server.kill();
    pty.wait_for("lost today");
    pty.wait_for("nothing listens there");
    assert!(pty.contents().contains("second") && pty.contents().contains("mine"), "{}", pty.contents());
    stage.write("there/folder/zwischenzeit");
    let server = stage.server();
    pty.wait_for("connected again");
    pty.wait_for("zwischenzeit");
    pty.wait_for("1 of 3 selected");
    // The cursor is where it was: what F2 names is the second.
    pty.press("\t\x1bOQ");
    pty.wait_for("New name of second");
    close(&mut pty);
    drop(server);
    quit(pty);
}

#[test]
fn a_lost_pane_takes_no_changes_and_a_key_in_it_tries_at_once() {
    let stage = Stage::new();
    stage.write("there/a");
    let server = stage.server();
    let mut pty = stage.tow(&server.target(""));
    pty.wait_for("1 item");
    server.kill();
    pty.wait_for("nothing listens there");
    pty.press(&format!("\t{F7}"));
    pty.wait_for("not connected; trying again");
    assert!(!pty.contents().contains("New folder"), "{}", pty.contents());
    pty.wait_for("again in");
    let _server = stage.server();
    pty.press("j");
    pty.wait_for("connected again");
    quit(pty);
}

#[test]
fn esc_stops_the_attempts_until_somebody_asks() {
    let stage = Stage::new();
    stage.write("there/a");
    let server = stage.server();
    let mut pty = stage.tow(&server.target(""));
    pty.wait_for("1 item");
    server.kill();
    pty.wait_for("lost today");
    pty.press("\t\x1b");
    pty.wait_for("given up; C connects again");
    let _server = stage.server();
    pty.press("C");
    pty.wait_for("connected again");
    quit(pty);
}

#[test]
fn a_server_that_says_nothing_is_given_up_by_esc_at_once() {
    let stage = Stage::new();
    let socket = stage.at("silent");
    let _silent = UnixListener::bind(&socket).unwrap();
    let mut pty = stage.tow(&format!("unix:{}", socket.display()));
    pty.wait_for("connecting");
    let pressed = Instant::now();
    pty.press("\x1b");
    pty.wait_for("given up");
    // Far less than it would take to give up by itself.
    assert!(pressed.elapsed() < Duration::from_secs(5), "{:?}", pressed.elapsed());
    quit(pty);
}

#[test]
fn tow_connect_asks_where_to_and_knows_bookmarks_and_the_hosts_of_ssh() {
    let stage = Stage::new();
    stage.write("there/far");
    let server = stage.server();
    fs::create_dir_all(stage.at("state/.ssh")).unwrap();
    fs::write(stage.at("state/.ssh/config"), "Host web-1 *.example\n  User ann\n").unwrap();
    fs::create_dir_all(stage.at("state/.config/towpath")).unwrap();
    let config = format!("[bookmarks]\nbox = \"{}\"\n", server.target(""));
    fs::write(stage.at("state/.config/towpath/config.toml"), config).unwrap();
    let mut command = command(env!("CARGO_BIN_EXE_tow"), &stage.at("state"));
    command.arg("connect");
    command.cwd(stage.at("here"));
    let mut pty = Pty::start(command, 120, 40);
    pty.wait_for("ssh://web-1");
    assert!(!pty.contents().contains("*.example"), "{}", pty.contents());
    pty.press("box\r");
    pty.wait_for("far");
    // It is one of the targets of late now, and a bookmark of another name is kept in the file.
    pty.press("m");
    pty.wait_for("Name for");
    pty.press("\x15again\r");
    pty.wait_for("again: stands for");
    pty.press("'");
    pty.wait_for("connected");
    close(&mut pty);
    let kept = || fs::read_to_string(stage.at("state/.config/towpath/config.toml")).unwrap();
    let deadline = Instant::now() + Duration::from_mins(1);
    while !kept().contains("again = ") {
        assert!(Instant::now() < deadline, "{}", kept());
        std::thread::park_timeout(Duration::from_millis(5));
    }
    assert!(kept().contains("box = "), "{}", kept());
    quit(pty);
}

#[test]
fn folders_are_made_with_those_above_them() {
    let stage = Stage::new();
    let server = stage.server();
    let mut pty = stage.tow(&server.target(""));
    pty.wait_for("connected to");
    pty.press(&format!("\t{F7}"));
    pty.wait_for("New folder");
    pty.press("a/b/c\r");
    pty.wait_for("a/");
    pty.wait_until("the cursor on the new folder", |screen| screen.contents().contains("1 item"));
    assert!(stage.at("there/a/b/c").is_dir());
    quit(pty);
}

/// Four files of 2 MB in a folder here, and `tow` in a state to copy them to the server slowly.
fn copying_slowly(stage: &Stage, server: &Towd) -> Pty {
    fs::create_dir(stage.at("here/many")).unwrap();
    for number in 0..4_u8 {
        fs::write(stage.at("here/many").join(format!("{number}.bin")), vec![number; 2_000_000]).unwrap();
    }
    let mut pty = stage.tow(&server.target(""));
    pty.wait_for("connected to");
    // The rate of all together first: without it a copy is over before anybody has looked.
    pty.press("wL");
    pty.wait_for("MB a second for all jobs together");
    pty.press("1\r");
    pty.wait_for("all jobs: at most 1 MB/s");
    close(&mut pty);
    pty.press(&format!("{DOWN}\x1b[15~"));
    pty.wait_for("Copy many to");
    pty.press("\r");
    pty.wait_for("many → ");
    pty
}

fn is_whole(stage: &Stage) -> bool {
    (0..4_u8).all(|number| {
        let there = fs::read(stage.at("there/many").join(format!("{number}.bin")));
        there.is_ok_and(|bytes| bytes == vec![number; 2_000_000])
    })
}

#[test]
fn a_copy_that_a_lost_connection_cut_off_goes_on_when_it_is_back() {
    let stage = Stage::new();
    let server = stage.server();
    let mut pty = copying_slowly(&stage, &server);
    server.kill();
    pty.wait_for("lost today");
    pty.wait_for("waits");
    let _server = stage.server();
    pty.wait_for("connected again");
    pty.press("wL\x15\r");
    pty.wait_for("all jobs: as fast as it goes");
    pty.wait_for("copied and verified");
    assert!(is_whole(&stage), "{}", pty.contents());
    close(&mut pty);
    quit(pty);
}

#[test]
fn a_copy_is_paused_and_goes_on_and_stays_in_the_view_until_it_is_cleared() {
    let stage = Stage::new();
    let server = stage.server();
    let mut pty = copying_slowly(&stage, &server);
    pty.press("wp");
    pty.wait_for("· paused");
    pty.press("L\x15\r");
    pty.wait_for("all jobs: as fast as it goes");
    assert!(!is_whole(&stage), "it was paused");
    pty.press("p");
    pty.wait_for("copied and verified: 4 files");
    assert!(is_whole(&stage));
    // What is over stays until it is cleared.
    pty.wait_for("✓ ↑ many");
    pty.press("c");
    pty.wait_for("nothing runs");
    close(&mut pty);
    quit(pty);
}

#[test]
fn a_server_that_is_met_for_the_first_time_is_paired_with_in_a_dialog_and_known_afterwards() {
    let stage = Stage::new();
    stage.write("there/far");
    let server = Towd::start_tls(&stage.at("there"), &stage.at("server"), &[]);
    let start = || {
        let mut command = command(env!("CARGO_BIN_EXE_tow"), &stage.at("state"));
        command.arg("connect");
        command.cwd(stage.at("here"));
        Pty::start(command, 120, 40)
    };
    let mut pty = start();
    pty.wait_for("╭ Connect ");
    pty.press(&format!("{}\r", server.target("")));
    pty.wait_for("Pair with");
    pty.press("nonsense\r");
    pty.wait_until("a word against it, and the dialog still there", |screen| {
        screen.contents().contains("Pair with") && screen.contents().contains("code")
    });
    pty.press(&format!("\x15{}\r", server.first_code().unwrap()));
    pty.wait_for("connected to");
    pty.wait_for("far");
    quit(pty);
    // It is among the targets of late, and asks for nothing any more.
    let mut pty = start();
    pty.wait_for("recent");
    pty.press(DOWN);
    pty.press("\r");
    pty.wait_for("connected to");
    pty.wait_for("far");
    quit(pty);
}
