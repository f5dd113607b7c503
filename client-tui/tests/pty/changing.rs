//! Folders that are made and names that are changed, here and at the server.

use std::fs;

use crate::pty::Pty;
use crate::stage::{CTRL_U, F2, F7, Folders, go_to, holds, is_cursor_on, quit, wait_for_disk, write};

#[test]
fn a_folder_is_made_here_and_at_the_server() {
    let folders = Folders::new();
    write(folders.right("there"), "");
    let (_towd, mut pty) = folders.connected();
    for folder in [folders.left("made/deep"), folders.right("made/deep")] {
        pty.press(F7);
        pty.wait_for("╭ New folder ─");
        pty.press("made/deep\r");
        wait_for_disk(&pty, "the folder", || folder.is_dir());
        pty.wait_until("the cursor on what was made, and no window", |screen| {
            is_cursor_on(screen, "made") && !screen.contents().contains("╭ New folder ─")
        });
        pty.press("\t");
    }
    quit(pty);
}

#[test]
fn a_file_and_a_folder_are_renamed_here_and_at_the_server() {
    let folders = Folders::new();
    for side in [folders.left(""), folders.right("")] {
        write(side.join("before.txt"), "content");
        // The other pane's cursor is on none of the names that change.
        fs::create_dir(side.join("a")).unwrap();
        fs::create_dir(side.join("folder")).unwrap();
        write(side.join("folder/within"), "within");
    }
    let (_towd, mut pty) = folders.connected();
    for side in [folders.left(""), folders.right("")] {
        for (from, to) in [("before.txt", "after.txt"), ("folder", "renamed")] {
            go_to(&mut pty, from);
            pty.press(F2);
            pty.wait_for("New name of");
            pty.press(CTRL_U);
            pty.press(&format!("{to}\r"));
            wait_for_disk(&pty, "the new name", || side.join(to).exists() && !side.join(from).exists());
            pty.wait_until("the cursor on the new name, and no window", |screen| {
                is_cursor_on(screen, to) && !screen.contents().contains("╭ Rename ─")
            });
        }
        assert!(holds(side.join("after.txt"), "content") && holds(side.join("renamed/within"), "within"));
        pty.press("\t");
    }
    quit(pty);
}

/// Keys are taken: a window that has just said something against its text waits for a pause.
fn wait_for_cursor(pty: &Pty) {
    pty.wait_until("the line", |screen| !screen.hide_cursor());
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
    // The window stays, with its text, and takes another.
    pty.wait_for("exists");
    pty.wait_for("╭ Rename ─");
    assert!(holds(folders.right("one"), "one") && holds(folders.right("two"), "two"));
    pty.press("3");
    pty.wait_for("two3");
    wait_for_cursor(&pty);
    pty.press("\r");
    wait_for_disk(&pty, "the new name", || holds(folders.right("two3"), "one"));
    pty.wait_for("renamed one to unix:");
    // So does one for a folder, and one for a path.
    for (key, title) in [(F7, "╭ New folder ─"), ("\x0c", "╭ Go to ─")] {
        pty.press(key);
        pty.wait_for(title);
        pty.press("two/none\r");
        pty.wait_until("a word against it", |screen| {
            let text = screen.contents();
            text.contains(title)
                && text.contains("not a folder")
                && text.contains("two/none")
                && !text.contains("working")
        });
        pty.press("\x03");
        pty.wait_until("no layer", |screen| !screen.contents().contains(title));
    }
    quit(pty);
}
