//! Nothing is done unseen: keys that come while a question is not on the screen, or before it is, answer nothing.

use std::fs;
use std::os::unix::fs::MetadataExt;

use crate::pty::Pty;
use crate::stage::{
    CTRL_A, DOWN, F5, F8, Folders, agree, go_to, holds, open_question, quit, wait_for_disk, write,
};

/// Files here, `tow` on them with the other folder beside, and the cursor on the first.
fn stage(folders: &Folders, names: &[&str]) -> Pty {
    for name in names {
        write(folders.left(name), "precious");
    }
    let right = folders.right("");
    let mut pty = Pty::start(folders.tow(&[".", right.to_str().unwrap()]), 120, 40);
    go_to(&mut pty, names[0]);
    pty
}

#[test]
fn f84_no_key_reaches_a_question_behind_the_words_that_the_window_is_too_small() {
    let folders = Folders::new();
    let mut pty = stage(&folders, &["one", "two"]);
    pty.press(F8);
    pty.wait_for("Deleted permanently");
    pty.resize(38, 9);
    pty.wait_for("tow needs 40 columns");
    pty.press("y");
    pty.wait_for("Keys do nothing");
    pty.resize(120, 40);
    pty.wait_for("Deleted permanently");
    assert!(holds(folders.left("one"), "precious"));
    // Visible again it takes the same key.
    pty.wait_for("▸ Cancel");
    pty.press("y");
    wait_for_disk(&pty, "that one is gone", || !folders.left("one").exists());
    pty.wait_for("deleted");
    quit(pty);
}

#[test]
fn f84_what_comes_in_one_piece_with_the_key_that_asks_is_no_answer() {
    let folders = Folders::new();
    let mut pty = stage(&folders, &["apple", "berry"]);
    for piece in ["dy", "dy\r", "Dylan\r", &format!("{F8}\x1b[C\r"), "d\ry"] {
        pty.press(piece);
        pty.wait_for("Deleted permanently");
        // It waits for a pause, and then it is there to be answered.
        pty.wait_for("▸ Cancel");
        assert!(holds(folders.left("apple"), "precious"), "{piece:?}");
        pty.press("n");
        pty.wait_until("no question", |screen| !screen.contents().contains("Deleted permanently"));
    }
    // Copies and names neither.
    for (piece, title) in [(format!("{F5}\r"), "╭ Copy ─"), ("rylan\r".to_owned(), "╭ Rename ─")] {
        pty.press(&piece);
        pty.wait_for(title);
        pty.wait_for("press it again");
        pty.press("\x03");
        pty.wait_until("no layer", |screen| !screen.contents().contains(title));
    }
    assert_eq!(fs::read_dir(folders.right("")).unwrap().count(), 0);
    assert!(holds(folders.left("apple"), "precious"));
    quit(pty);
}

#[test]
fn f84_what_is_pasted_over_the_panes_does_nothing_and_line_ends_in_it_glue_nothing_together() {
    let folders = Folders::new();
    let mut pty = stage(&folders, &["apple", "berry"]);
    let paste = |text: &str| format!("\x1b[200~{text}\x1b[201~");
    pty.press(&paste("dy\r\nDy\rMy"));
    pty.press("r");
    pty.wait_for("╭ Rename ─");
    pty.press("\x15");
    pty.press(&paste("one\ntwo\r\n"));
    pty.wait_for("one two");
    pty.press("\r");
    wait_for_disk(&pty, "the new name", || folders.left("one two").exists());
    pty.press(":");
    pty.press(&paste("mkdir a\nmkdir b\n"));
    pty.wait_for(":mkdir a");
    assert!(!pty.contents().contains("mkdir b"), "{}", pty.contents());
    pty.press("\x03");
    quit(pty);
}

#[test]
fn f84_what_is_in_the_way_of_a_copy_is_a_badge_and_overwritten_by_no_key_that_goes_on() {
    let folders = Folders::new();
    for name in ["s0", "s1", "s2"] {
        write(folders.right(name), "old and precious");
    }
    let mut pty = stage(&folders, &["s0", "s1", "s2"]);
    pty.press(CTRL_A);
    pty.press(F5);
    agree(&mut pty, "Copy");
    pty.wait_for("3 need an answer (o)");
    assert!(!pty.contents().contains("Already there"), "{}", pty.contents());
    // Held down: it opens the question, and answers nothing.
    for _ in 0..3 {
        pty.press("ooo");
    }
    pty.wait_for("╭ Already there · ");
    pty.press("\x03");
    pty.wait_until("no layer", |screen| !screen.contents().contains("Already there"));
    for name in ["s0", "s1", "s2"] {
        assert!(holds(folders.right(name), "old and precious"), "{name}");
    }
    open_question(&mut pty, "Skip");
    pty.press("a");
    pty.wait_for("[x] For all");
    pty.press("s");
    pty.wait_for("3 skipped");
    quit(pty);
}

#[test]
fn f84_marks_that_a_filter_hides_are_neither_deleted_nor_copied() {
    let folders = Folders::new();
    let mut pty = stage(&folders, &["a.txt", "b.txt", "img"]);
    pty.press("  ");
    pty.wait_for("2 of 3 marked");
    pty.press("fimg\r");
    pty.wait_for("filter: img · 2 marked hidden");
    for key in [F8, F5] {
        pty.press(key);
        pty.wait_for("2 marked entries are hidden by the filter: nothing done");
        pty.press(DOWN);
    }
    pty.press("\x1b");
    pty.wait_until("no filter", |screen| !screen.contents().contains("filter: img"));
    assert_eq!(fs::metadata(folders.left("a.txt")).unwrap().size(), 8);
    quit(pty);
}
