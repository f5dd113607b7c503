//! Folders that are made and names that are changed, here and at the server.

use std::fs;

use crate::stage::{CTRL_U, F2, F7, Folders, go_to, holds, is_cursor_on, quit, wait_for_disk, write};

#[test]
fn a_folder_is_made_here_and_at_the_server() {
    let folders = Folders::new();
    write(folders.right("there"), "");
    let (_towd, mut pty) = folders.connected();
    for folder in [folders.left("made/deep"), folders.right("made/deep")] {
        pty.press(F7);
        pty.wait_for("older");
        pty.press("made/deep\r");
        wait_for_disk(&pty, "the folder", || folder.is_dir());
        pty.wait_until("the cursor on what was made", |screen| is_cursor_on(screen, "made"));
        pty.press("\t");
    }
    quit(pty);
}

#[test]
fn a_file_and_a_folder_are_renamed_here_and_at_the_server() {
    let folders = Folders::new();
    for side in [folders.left(""), folders.right("")] {
        write(side.join("before.txt"), "content");
        fs::create_dir(side.join("before")).unwrap();
        write(side.join("before/within"), "within");
    }
    let (_towd, mut pty) = folders.connected();
    for side in [folders.left(""), folders.right("")] {
        for (from, to) in [("before.txt", "after.txt"), ("before", "after")] {
            go_to(&mut pty, from);
            pty.press(F2);
            pty.wait_for("New name of");
            pty.press(CTRL_U);
            pty.press(&format!("{to}\r"));
            wait_for_disk(&pty, "the new name", || side.join(to).exists() && !side.join(from).exists());
            pty.wait_until("the cursor on the new name", |screen| is_cursor_on(screen, to));
        }
        assert!(holds(side.join("after.txt"), "content") && holds(side.join("after/within"), "within"));
        pty.press("\t");
    }
    quit(pty);
}

#[test]
fn a_name_that_is_taken_is_not_taken_from_another() {
    let folders = Folders::new();
    write(folders.right("one"), "one");
    write(folders.right("two"), "two");
    let (_towd, mut pty) = folders.connected();
    pty.press("\t");
    go_to(&mut pty, "one");
    pty.press(F2);
    pty.wait_for("New name of");
    pty.press(CTRL_U);
    pty.press("two\r");
    pty.wait_for("exists");
    assert!(holds(folders.right("one"), "one") && holds(folders.right("two"), "two"));
    quit(pty);
}
