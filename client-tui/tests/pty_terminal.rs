//! The terminal is given back when the program panics. The panic happens in this test's own program, started again under a
//! pseudo-terminal: the shipped one has no switch for it.

#[allow(dead_code, unreachable_pub, reason = "shared by several tests, each of which uses a part")]
#[path = "support/pty.rs"]
mod pty;

use std::path::PathBuf;

use pty::{Pty, command};
use towpath::shell::panic;
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
    let mut terminal = Terminal::take().unwrap();
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
