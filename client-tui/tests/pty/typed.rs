//! Bytes that a terminal sends: keys in pieces, reports and replies that were not requested.

use std::time::Duration;

use rustix::process::Signal;

use crate::pty::{Pty, command};
use crate::stage::{CTRL_Z, DOWN, F5, Folders, agree, go_to, is_cursor_on, quit, wait_for_disk, write};

fn letters() -> Folders {
    let folders = Folders::new();
    for letter in 'a'..='z' {
        write(folders.left(format!("{letter}.txt")), "");
    }
    folders
}

#[test]
fn f85_reports_and_replies_are_no_keys_and_the_next_key_answers() {
    let folders = letters();
    let mut pty = Pty::start(folders.tow(&[]), 120, 40);
    go_to(&mut pty, "a.txt");
    let foreign: &[&[u8]] = &[
        // The mouse at column 0 and beyond what its form can say.
        b"\x1b[<64;0;5M",
        b"\x1b[<32;7;0M",
        b"\x1b[32;0;0M",
        b"\x1b[M`\x00!",
        b"\x1b[<32;-3;-7M",
        // Late answers to what another program asked.
        b"\x1b[0;0R",
        b"\x1b[?1;1R",
        b"\x1b[?997;1n",
        b"\x1b[?2026;2$y",
        b"\x1b[>0;276;0c",
        b"\x1bP!|00000000\x1b\\",
        b"\x1bP>|tmux 3.3a\x1b\\",
        b"\x1b]10;rgb:d0d0/dddd/d0d0\x07",
        b"\x1b]11;rgb:1e1e/1e1e/2e2e\x1b\\",
        b"\x1b]52;c;ZHlkeQ==\x07",
        b"\x1b_Gi=31;OK\x1b\\",
        b"\x9b5;7R",
        b"\x1b[28$",
        // No characters.
        b"\xff\xfe\x80",
    ];
    for (bytes, letter) in foreign.iter().zip('b'..='z') {
        pty.press_bytes(&[*bytes, DOWN.as_bytes()].concat());
        pty.wait_until(&format!("the cursor one further after {}", bytes.escape_ascii()), |screen| {
            is_cursor_on(screen, &format!("{letter}.txt"))
        });
    }
    quit(pty);
}

#[test]
fn f85_a_key_whose_bytes_come_one_by_one_is_that_key() {
    let folders = letters();
    let mut pty = Pty::start(folders.tow(&[]), 120, 40);
    go_to(&mut pty, "a.txt");
    for letter in 'b'..='f' {
        for byte in DOWN.bytes() {
            pty.press_bytes(&[byte]);
        }
        pty.wait_until("the next row", |screen| is_cursor_on(screen, &format!("{letter}.txt")));
    }
    quit(pty);
}

#[test]
fn f85_a_paste_or_title_that_never_ends_leaves_the_keys_working() {
    let folders = letters();
    let mut pty = Pty::start(folders.tow(&[]), 120, 40);
    go_to(&mut pty, "b.txt");
    for begun in ["\x1b[200~lost", "\x1b]0;lost", "\x1bPlost"] {
        // Back to the top.
        pty.press("gg");
        pty.wait_until("the cursor at the top", |screen| {
            !('b'..='z').any(|letter| is_cursor_on(screen, &format!("{letter}.txt")))
        });
        pty.press_bytes(begun.as_bytes());
        // Fingers that try again and again: what waits longer for its end than they do swallows all that they type.
        let works = (0..20).any(|_| {
            pty.press("j");
            std::thread::park_timeout(Duration::from_millis(1500));
            let mut has_moved = false;
            pty.look(|screen| {
                has_moved = ('b'..='z').any(|letter| is_cursor_on(screen, &format!("{letter}.txt")));
            });
            has_moved
        });
        assert!(works, "deaf after {}", begun.escape_debug());
    }
    quit(pty);
}

#[test]
fn backspace_is_backspace_whichever_byte_the_terminal_sends_for_it() {
    let folders = Folders::new();
    std::fs::create_dir(folders.left("sub")).unwrap();
    write(folders.left("sub/inside.txt"), "");
    let mut tow = folders.tow(&["sub"]);
    tow.env("COLUMNS", "120");
    let mut pty = Pty::start(tow, 120, 40);
    for backspace in ["\x08", "\x7f"] {
        pty.wait_for("inside.txt");
        pty.press(&format!("/xy{backspace}{backspace}ins"));
        pty.wait_until("the text that is left", |screen| screen.contents().contains("ins"));
        pty.press(&format!("\r{backspace}"));
        pty.wait_for("sub/");
        pty.press("\r");
    }
    quit(pty);
}

#[test]
fn ctrl_z_does_nothing_where_nobody_could_continue_and_a_copy_goes_on() {
    let folders = Folders::new();
    write(folders.left("apple.txt"), "apple");
    write(folders.left("berry.txt"), "berry");
    let right = folders.right("");
    let mut shell = command("/bin/sh", &folders.state());
    let line = format!("{} . {}; true", env!("CARGO_BIN_EXE_tow"), right.display());
    shell.args(["-c", &line]);
    shell.cwd(folders.left(""));
    let mut pty = Pty::start(shell, 120, 40);
    go_to(&mut pty, "apple.txt");
    pty.press(CTRL_Z);
    // From elsewhere, too.
    rustix::process::kill_process_group(pty.foreground_process().unwrap(), Signal::TSTP).ok();
    pty.press(F5);
    agree(&mut pty, "Copy");
    wait_for_disk(&pty, "the copy", || folders.right("apple.txt").exists());
    pty.wait_for("copied: 1 file");
    quit(pty);
}
