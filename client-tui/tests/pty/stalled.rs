//! Terminals that are slow, stop reading, say no size, or go away without a word.

use rustix::fs::OFlags;
use rustix::process::Signal;

use crate::line::Line;
use crate::stage::{CTRL_A, F5, Folders, write};

const SIZE: (u16, u16) = (240, 70);

/// Names that fill large frames.
fn crowded() -> Folders {
    let folders = Folders::new();
    for number in 0..400 {
        write(folders.left(format!("file-{number:04}-{}.txt", "x".repeat(60))), "");
    }
    folders
}

#[test]
fn a_terminal_that_does_not_read_holds_no_signal_up_and_is_given_back() {
    for (signal, code) in [(Signal::TERM, 143), (Signal::HUP, 129)] {
        let folders = crowded();
        let mut line = Line::start(&folders, &[".", "."], SIZE, OFlags::empty());
        line.read_until("file-0001");
        line.stall();
        line.signal(signal);
        assert_eq!(line.wait_for_end().code(), Some(code));
        line.read_to_end();
        let screen = line.emulator.screen();
        assert!(!screen.alternate_screen() && !screen.hide_cursor() && !screen.bracketed_paste());
        assert_eq!(screen.mouse_protocol_mode(), vt100::MouseProtocolMode::None);
    }
}

#[test]
fn a_copy_goes_on_while_the_terminal_does_not_read_and_then_the_screen_is_right() {
    let folders = crowded();
    for number in 0..20 {
        write(folders.left(format!("aa-{number:02}")), vec![7; 200_000]);
    }
    let right = folders.right("");
    let mut line = Line::start(&folders, &[".", right.to_str().unwrap()], SIZE, OFlags::empty());
    line.read_until("file-0001");
    // Slow enough to be still under way when the terminal stops; each window is there before it is answered.
    line.press("w");
    line.read_until("╭ Jobs ");
    line.press("L");
    line.read_until("for all jobs");
    line.press("1");
    line.press("\r");
    line.read_until("all jobs: at most 1");
    line.press("\x1b");
    line.read_until_not("╭ Jobs ");
    line.press(CTRL_A);
    line.read_until("420 of 420");
    line.press(F5);
    line.read_until("╭ Copy ");
    line.read_until("Cancel");
    line.press("\r");
    line.stall();
    let count = || std::fs::read_dir(&right).unwrap().count();
    let deadline = std::time::Instant::now() + std::time::Duration::from_mins(2);
    while count() < 420 {
        assert!(std::time::Instant::now() < deadline, "{} of 420 came", count());
        std::thread::park_timeout(std::time::Duration::from_millis(20));
    }
    line.read_until("verified: 420 files");
    line.press("q");
    line.read_to_end();
    assert_eq!(line.wait_for_end().code(), Some(0));
}

#[test]
fn a_line_that_was_left_non_blocking_loses_nothing_and_ends_nothing() {
    let folders = crowded();
    let mut line = Line::start(&folders, &[".", "."], SIZE, OFlags::NONBLOCK);
    line.read_until("file-0001");
    line.stall();
    assert!(line.is_running());
    line.press("\x1b[F");
    line.read_until("file-0399");
    line.press("q");
    line.read_to_end();
    assert_eq!(line.wait_for_end().code(), Some(0));
}

#[test]
fn a_terminal_that_says_no_size_has_the_one_in_the_environment_or_that_of_old() {
    let folders = Folders::new();
    write(folders.left("apple.txt"), "");
    let said: &[(&str, &str)] = &[("COLUMNS", "100"), ("LINES", "30")];
    let table: [(_, _, u16, u16); 3] =
        [((0, 0), &said[..0], 80, 24), ((0, 0), said, 100, 30), ((90, 0), &said[..0], 90, 24)];
    for (says, environment, columns, rows) in table {
        let mut line = Line::start_in(&folders, &[], says, OFlags::empty(), environment);
        line.read_until("apple.txt");
        line.read_until("q Quit");
        let screen = line.emulator.screen();
        // The frame's right upper corner, and the keys on the last row.
        let corner = screen.cell(1, columns - 1).unwrap().contents();
        assert!(["╮", "┐"].contains(&corner), "{says:?}:\n{}", screen.contents());
        assert!(screen.rows(0, 100).nth(usize::from(rows) - 1).unwrap().contains("F1"), "{says:?}");
    }
}

#[test]
fn a_terminal_that_says_more_than_a_screen_can_have_costs_no_more() {
    let folders = Folders::new();
    write(folders.left("apple.txt"), "");
    let mut line = Line::start(&folders, &[], (u16::MAX, u16::MAX), OFlags::empty());
    // No emulator is that large; the bytes tell.
    line.read_until_bytes(b"apple.txt");
    line.press("q");
    line.read_to_end();
    assert_eq!(line.wait_for_end().code(), Some(0));
}

#[test]
fn the_end_of_the_line_is_noticed_though_no_signal_tells() {
    let folders = Folders::new();
    write(folders.left("apple.txt"), "");
    let mut line = Line::start(&folders, &[], (80, 24), OFlags::empty());
    line.read_until("apple.txt");
    assert_eq!(line.go_away().code(), Some(129));
}
