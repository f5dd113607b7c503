//! The terminal itself: its size, its colours, stopping and continuing, signals, and how little is written to it.

use rustix::process::Signal;

use crate::pty::{Pty, command};
use crate::stage::{
    CTRL_Z, DOWN, F5, F8, Folders, agree, go_to, holds, is_cursor_on, quit, wait_for_disk, write,
};

#[test]
fn the_terminal_is_resized_at_any_time() {
    let folders = Folders::new();
    for number in 0..200 {
        write(folders.left(format!("file-{number:03}")), "");
    }
    let mut pty = Pty::start(folders.tow(&[]), 80, 24);
    pty.wait_for("file-000");
    for (columns, rows) in [(240, 70), (40, 10), (20, 3), (1, 1), (120, 40), (39, 9), (80, 24)] {
        pty.resize(columns, rows);
        pty.press(DOWN);
    }
    pty.wait_for("file-000");
    // With a question open, too.
    pty.press(F8);
    pty.wait_for("Deleted permanently");
    pty.resize(39, 24);
    pty.wait_for("tow needs 40 columns and 10 rows");
    pty.resize(40, 10);
    pty.wait_for("Delete");
    pty.press("n");
    pty.resize(120, 40);
    pty.wait_until("the lower right corner in use", |screen| {
        screen.rows(0, 120).nth(39).is_some_and(|row| row.trim().len() > 60)
            && screen.contents().contains("file-000")
    });
    quit(pty);
}

#[test]
fn a_terminal_that_says_it_is_huge_costs_no_memory_for_it() {
    let folders = Folders::new();
    write(folders.left("up.txt"), "");
    let pty = Pty::start(folders.tow(&[]), 80, 24);
    pty.wait_for("up.txt");
    let before = pty.bytes_written();
    pty.claim_size(u16::MAX, u16::MAX);
    // A whole frame.
    pty.wait_for_bytes("\x1b[2J");
    let deadline = std::time::Instant::now() + std::time::Duration::from_mins(1);
    while pty.bytes_written() < before + 10_000 && std::time::Instant::now() < deadline {
        std::thread::park_timeout(std::time::Duration::from_millis(20));
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", pty.process().as_raw_nonzero())).unwrap();
    let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let most: u64 = most.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(most < 200 * 1024, "{most} KiB");
    pty.claim_size(80, 24);
    pty.wait_for("up.txt");
    quit(pty);
}

#[test]
fn the_smallest_screen_is_enough_to_work_on() {
    let folders = Folders::new();
    write(folders.left("up.txt"), "goes up");
    std::fs::create_dir(folders.left("sub")).unwrap();
    let right = folders.right("");
    let mut pty = Pty::start(folders.tow(&[".", right.to_str().unwrap()]), 40, 10);
    go_to(&mut pty, "up.txt");
    pty.press(F5);
    agree(&mut pty, "Copy");
    wait_for_disk(&pty, "up.txt there", || holds(folders.right("up.txt"), "goes up"));
    pty.wait_until("up.txt in both panes", |screen| screen.contents().matches("up.txt").count() == 2);
    pty.wait_for("copied: 1 file");
    pty.press("\t");
    go_to(&mut pty, "up.txt");
    pty.press(F8);
    pty.wait_for("Delete y");
    pty.press("y");
    wait_for_disk(&pty, "that up.txt is gone", || !folders.right("up.txt").exists());
    assert!(folders.left("up.txt").exists());
    // Whoever quits earlier is asked what is to become of the job.
    pty.wait_for("deleted up.txt");
    quit(pty);
}

#[test]
fn no_color_is_honoured() {
    let folders = Folders::new();
    std::fs::create_dir(folders.left("folder")).unwrap();
    write(folders.left("a.txt"), "a");
    let has_colour = |screen: &vt100::Screen| {
        let (rows, columns) = screen.size();
        let cell = |at: u16| screen.cell(at / columns, at % columns);
        (0..rows.get() * columns.get())
            .filter_map(cell)
            .any(|cell| [cell.fgcolor(), cell.bgcolor()].iter().any(|color| *color != vt100::Color::Default))
    };
    for (value, is_colourful) in [("", true), ("1", false)] {
        let mut tow = folders.tow(&[]);
        tow.env("NO_COLOR", value);
        let mut pty = Pty::start(tow, 80, 24);
        go_to(&mut pty, "a.txt");
        pty.press(F8);
        pty.wait_for("Deleted permanently");
        pty.wait_until("colours as they are wanted", |screen| has_colour(screen) == is_colourful);
        pty.press("n");
        quit(pty);
    }
}

#[test]
fn a_terminal_that_says_it_is_light_gets_a_light_theme_and_one_that_was_spoken_for_is_not_asked() {
    let folders = Folders::new();
    write(folders.left("a.txt"), "a");
    let frame = |screen: &vt100::Screen| screen.cell(1, 0).map(vt100::Cell::fgcolor);
    let tow = |name: &str, value: &str| {
        let mut tow = folders.tow(&[]);
        tow.env("COLORTERM", "truecolor");
        tow.env(name, value);
        tow
    };
    let mut pty = Pty::start(tow("TERM", "xterm-256color"), 80, 24);
    // The first frame waits for no answer.
    pty.wait_for("a.txt");
    pty.wait_for_bytes("\x1b]11;?\x1b\\\x1b[c");
    let mut dark = None;
    pty.wait_until("a frame", |screen| frame(screen).is_some());
    pty.wait_until("its colour", |screen| frame(screen).is_some_and(|color| color != vt100::Color::Default));
    pty.look(|screen| dark = frame(screen));
    pty.press("\x1b]11;rgb:fdfd/f6f6/e3e3\x1b\\\x1b[?62;22c");
    pty.wait_until("another colour", |screen| frame(screen) != dark);
    pty.press("\x1b]11;rgb:0000/2b2b/3636\x07");
    pty.wait_until("the dark one again", |screen| frame(screen) == dark);
    quit(pty);
    for (name, value) in [("COLORFGBG", "0;15"), ("NO_COLOR", "1"), ("TERM", "linux")] {
        let pty = Pty::start(tow(name, value), 80, 24);
        pty.wait_for("a.txt");
        pty.wait_for("q Quit");
        assert!(!String::from_utf8_lossy(&pty.written()).contains("]11;?"), "{name}");
        quit(pty);
    }
}

#[test]
fn a_signal_gives_the_terminal_back() {
    let folders = Folders::new();
    write(folders.left("a.txt"), "a");
    // All that would end it by default, of those that one can be sent.
    let signals = [
        (Signal::TERM, 143),
        (Signal::INT, 130),
        (Signal::HUP, 129),
        (Signal::QUIT, 131),
        (Signal::USR1, 138),
        (Signal::USR2, 140),
        (Signal::ALARM, 142),
        (Signal::XCPU, 152),
    ];
    for (signal, code) in signals {
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
    write(folders.left("a.txt"), "a");
    let mut shell = command("/bin/bash", &folders.state());
    shell.args(["--norc", "--noprofile", "-i"]);
    shell.env("PS1", "ready> ");
    shell.cwd(folders.left(""));
    let mut pty = Pty::start(shell, 100, 30);
    pty.wait_for("ready>");
    pty.press(&format!("{}\r", env!("CARGO_BIN_EXE_tow")));
    let has_panes = |screen: &vt100::Screen| screen.alternate_screen() && screen.contents().contains("a.txt");
    for round in 0..2 {
        pty.wait_until("the panes", has_panes);
        // Files made meanwhile show without a key.
        let made = format!("made-{round}.txt");
        pty.press(CTRL_Z);
        pty.wait_until("the shell", |screen| {
            !screen.alternate_screen() && screen.contents().contains("Stopped") && !screen.hide_cursor()
        });
        write(folders.left(&made), "");
        pty.press("clear; fg\r");
        pty.wait_until("what was made", |screen| {
            has_panes(screen) && screen.contents().matches(&made).count() == 2
        });
    }
    pty.wait_until("the panes", has_panes);
    pty.forget_bytes();
    pty.press("q");
    // Its prompt of now: what is typed before that may still be tow's.
    pty.wait_for_bytes("ready> ");
    pty.press("exit\r");
    pty.wait_for_end();
    pty.assert_given_back();
}

#[test]
fn a_terminal_that_is_looked_at_again_shows_what_was_made_meanwhile() {
    let folders = Folders::new();
    write(folders.left("before.txt"), "");
    let mut pty = Pty::start(folders.tow(&[]), 100, 30);
    pty.wait_for("before.txt");
    write(folders.left("meanwhile.txt"), "");
    pty.press("\x1b[O\x1b[I");
    pty.wait_until("it in both panes", |screen| screen.contents().matches("meanwhile.txt").count() == 2);
    quit(pty);
}

#[test]
fn little_is_written_for_a_step() {
    let folders = Folders::new();
    for number in 0..1000 {
        write(folders.left(format!("file-{number:04}")), "");
    }
    let mut pty = Pty::start(folders.tow(&[]), 120, 40);
    go_to(&mut pty, "file-0000");
    // What else is still to be drawn (free space, the other pane) comes with some of the steps, and not with all.
    let least = (1..20)
        .map(|step| {
            pty.forget_bytes();
            pty.press(DOWN);
            pty.wait_until("the next row", |screen| is_cursor_on(screen, &format!("file-{step:04}")));
            pty.bytes_written()
        })
        .min();
    assert!(least.is_some_and(|bytes| bytes < 1500), "{least:?} bytes for one step of the cursor");
    quit(pty);
}
