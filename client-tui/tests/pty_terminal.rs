//! The terminal is given back when the program panics or is stopped. It happens to this test's own program, started again under a
//! pseudo-terminal: the shipped one has no switch for a panic.
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

use std::path::PathBuf;

use pty::{Pty, command};
use rustix::process::{Signal, kill_process};
use towpath::shell::panic;
use towpath::shell::signals::{Asked, Signals};
use towpath::shell::terminal::Terminal;

/// Set for the program that is to panic.
const PLAYS_CHILD: &str = "TOWPATH_TEST_PANICS";

/// Takes the terminal and panics, where this is the program that should; else an empty test.
#[test]
fn takes_the_terminal_and_panics() {
    if std::env::var_os(PLAYS_CHILD).is_none() {
        return;
    }
    panic::install(Some(PathBuf::from("/state/tow.log")));
    let mut terminal = Terminal::take((80, 24)).unwrap();
    terminal.draw(|frame| frame.render_widget("the screen", frame.area())).unwrap();
    panic!("an \x1b[31mexample");
}

#[test]
fn a_panic_gives_the_terminal_back_and_says_where_the_log_is() {
    let state = tempfile::tempdir().unwrap();
    for (backtrace, shown) in [("0", false), ("1", true)] {
        let mut program = command(std::env::current_exe().unwrap(), state.path());
        program.args(["--exact", "takes_the_terminal_and_panics", "--nocapture"]);
        program.env(PLAYS_CHILD, "1");
        program.env("RUST_BACKTRACE", backtrace);
        let mut pty = Pty::start(program, 100, 40);
        assert!(!pty.wait_for_end().success());
        pty.assert_given_back();
        let contents = pty.contents();
        assert!(!contents.contains("the screen"), "{contents}");
        if !shown {
            assert!(contents.contains(r"an error in the program: an \x1b[31mexample"), "{contents}");
            assert!(contents.contains("The log may say more: /state/tow.log"), "{contents}");
        }
        assert_eq!(contents.contains("rust_begin_unwind") || contents.contains("std::"), shown, "{contents}");
    }
}

/// Set for the program that is to hold the terminal until it is told to end.
const HOLDS: &str = "TOWPATH_TEST_HOLDS";

/// Takes the terminal, and answers signals as the real program does, where this is the program that should; else an empty test.
#[tokio::test]
async fn holds_the_terminal() {
    if std::env::var_os(HOLDS).is_none() {
        return;
    }
    let mut signals = Signals::listen().unwrap();
    let mut terminal = Terminal::take((80, 24)).unwrap();
    loop {
        terminal.draw(|frame| frame.render_widget("the screen", frame.area())).unwrap();
        match signals.next().await {
            Asked::End(_) => return,
            Asked::Suspend => signals.suspend(&mut terminal).await.unwrap(),
            Asked::Continued => terminal.take_again().unwrap(),
            Asked::Resized => terminal.clear().unwrap(),
        }
    }
}

#[test]
fn stopping_gives_the_terminal_to_the_shell_and_continuing_takes_and_draws_it_again() {
    let state = tempfile::tempdir().unwrap();
    let mut shell = command("/bin/bash", state.path());
    shell.args(["--norc", "--noprofile", "-i"]);
    shell.env("PS1", "ready> ");
    let mut pty = Pty::start(shell, 100, 30);
    pty.wait_for("ready>");
    let program = std::env::current_exe().unwrap();
    pty.press(&format!("{HOLDS}=1 {} --exact holds_the_terminal --nocapture\r", program.display()));
    let is_held = |screen: &vt100::Screen| {
        screen.alternate_screen() && screen.hide_cursor() && screen.contents().contains("the screen")
    };
    for _ in 0..3 {
        pty.wait_until("the screen", is_held);
        let job = pty.foreground_process().unwrap();
        kill_process(job, Signal::TSTP).unwrap();
        pty.wait_until("the shell", |screen| {
            !screen.alternate_screen() && !screen.hide_cursor() && screen.contents().contains("Stopped")
        });
        pty.press("clear; fg\r");
    }
    pty.wait_until("the screen", is_held);
    kill_process(pty.foreground_process().unwrap(), Signal::TERM).unwrap();
    pty.wait_until("the shell", |screen| !screen.alternate_screen());
    pty.press("exit\r");
    pty.wait_for_end();
    pty.assert_given_back();
}
