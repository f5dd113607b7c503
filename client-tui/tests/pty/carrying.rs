//! Copies and moves: up, down, whole trees, names of every kind, and what is in the way.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use crate::names::nasty_names;
use crate::pty::Pty;
use crate::stage::{
    CTRL_A, F5, F6, F8, Folders, HOME, agree, go_to, holds, open_question, quit, wait_for_disk, write,
};
use crate::towd::Towd;

fn names_in(folder: &Path) -> BTreeSet<Vec<u8>> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_vec()).collect()
}

#[test]
fn over_tls_a_file_goes_up_another_comes_down_and_a_third_is_deleted() {
    let folders = Folders::new();
    write(folders.left("up.txt"), "goes up");
    write(folders.right("down.txt"), "comes down");
    write(folders.right("gone.txt"), "goes for good");
    let towd = Towd::start_tls(&folders.right(""), &folders.state().join("towd"), &[]);
    let mut tow = folders.tow(&["--connect", &towd.target("")]);
    tow.env("TOW_PAIR", towd.first_code().unwrap());
    let mut pty = Pty::start(tow, 120, 40);
    pty.wait_for("down.txt");

    go_to(&mut pty, "up.txt");
    pty.press(F5);
    agree(&mut pty, "Copy");
    wait_for_disk(&pty, "up.txt at the server", || holds(folders.right("up.txt"), "goes up"));
    pty.wait_for("✓ copied and verified: 1 file");
    pty.wait_until("up.txt in both panes", |screen| screen.contents().matches("up.txt").count() == 2);

    pty.press("\t");
    go_to(&mut pty, "down.txt");
    pty.press(F5);
    agree(&mut pty, "Copy");
    wait_for_disk(&pty, "down.txt here", || holds(folders.left("down.txt"), "comes down"));

    go_to(&mut pty, "gone.txt");
    pty.press(F8);
    pty.wait_for("1 file    <0.01 MB");
    pty.wait_for("Deleted permanently. Cannot be undone.");
    // The safe answer has the focus.
    pty.press("\r");
    pty.wait_until("the dialog closed", |screen| !screen.contents().contains("Deleted permanently"));
    assert!(folders.right("gone.txt").exists());
    pty.press(F8);
    pty.wait_for("Deleted permanently. Cannot be undone.");
    pty.press("y");
    pty.wait_for("✓ deleted gone.txt");
    assert_eq!(names_in(&folders.right("")), BTreeSet::from([b"down.txt".to_vec(), b"up.txt".to_vec()]));
    quit(pty);
    assert!(towd.stop().success());
}

#[test]
fn a_tree_is_walked_and_copied_whole() {
    let folders = Folders::new();
    fs::create_dir_all(folders.left("tree/inner/empty")).unwrap();
    for number in 0..300 {
        write(folders.left(format!("tree/inner/file-{number:03}")), "x".repeat(number * 7));
    }
    let (_towd, mut pty) = folders.connected();
    go_to(&mut pty, "tree");
    pty.press("\r");
    pty.wait_for("inner");
    pty.press("\x7f");
    pty.wait_until("the folder above", |screen| !screen.contents().contains("inner"));
    pty.press(F5);
    agree(&mut pty, "Copy");
    pty.wait_for("✓ copied and verified: 300 files");
    assert!(folders.right("tree/inner/empty").is_dir());
    assert_eq!(names_in(&folders.right("tree/inner")).len(), 301);
    assert_eq!(fs::metadata(folders.right("tree/inner/file-299")).unwrap().len(), 299 * 7);
    quit(pty);
}

#[test]
fn things_are_moved_to_the_other_pane() {
    let folders = Folders::new();
    fs::create_dir(folders.left("tree")).unwrap();
    write(folders.left("tree/within"), "within");
    write(folders.left("alone"), "alone");
    write(folders.left("stays"), "stays");
    let (_towd, mut pty) = folders.connected();
    go_to(&mut pty, "tree");
    pty.press(" ");
    go_to(&mut pty, "alone");
    pty.press(" ");
    pty.press(F6);
    pty.wait_for("Move 1 file (0.000005 MB) and 1 folder to");
    agree(&mut pty, "Move");
    pty.wait_for("✓ moved and verified: 2 files");
    assert!(holds(folders.right("tree/within"), "within") && holds(folders.right("alone"), "alone"));
    assert_eq!(names_in(&folders.left("")), BTreeSet::from([b"stays".to_vec()]));
    quit(pty);
}

#[test]
fn names_that_are_hard_on_terminals_are_shown_copied_and_deleted() {
    let folders = Folders::new();
    let names: BTreeSet<Vec<u8>> = nasty_names().into_iter().collect();
    for name in &names {
        write(folders.left(OsStr::from_bytes(name)), name);
    }
    let (_towd, mut pty) = folders.connected();
    // Those with a leading dot too.
    pty.press(".");
    pty.wait_for(&format!("{} items", names.len()));
    pty.press(CTRL_A);
    pty.wait_for(&format!("{0} of {0} marked", names.len()));
    pty.press(F5);
    agree(&mut pty, "Copy");
    pty.wait_for(&format!("✓ copied and verified: {} files", names.len()));
    assert_eq!(names_in(&folders.right("")), names);
    for name in &names {
        assert_eq!(&fs::read(folders.right(OsStr::from_bytes(name))).unwrap(), name);
    }
    pty.press("\t.");
    pty.wait_until("all names on both sides", |screen| {
        screen.contents().matches(&format!("{} items", names.len())).count() == 2
    });
    pty.press(HOME);
    pty.press(CTRL_A);
    pty.wait_until("all marked there", |screen| {
        screen.contents().contains(&format!("{0} of {0} marked", names.len()))
    });
    pty.press(F8);
    pty.wait_for(&format!("{} files", names.len()));
    pty.wait_for("Deleted permanently");
    pty.press("y");
    pty.wait_for(&format!("✓ deleted {} files", names.len()));
    assert_eq!(names_in(&folders.right("")), BTreeSet::new());
    assert_eq!(names_in(&folders.left("")), names);
    quit(pty);
}

#[test]
fn what_is_in_the_way_is_asked_about_and_what_fails_is_named() {
    let folders = Folders::new();
    write(folders.left("same-name"), "new");
    write(folders.right("same-name"), "old and longer");
    fs::create_dir(folders.left("folder-and-file")).unwrap();
    write(folders.left("folder-and-file/within"), "within");
    write(folders.right("folder-and-file"), "a file");
    write(folders.left("free"), "free");
    let (_towd, mut pty) = folders.connected();
    pty.press(CTRL_A);
    pty.press(F5);
    agree(&mut pty, "Copy");
    open_question(&mut pty, "Skip");
    pty.wait_for("╭ Already there · ");
    wait_for_disk(&pty, "the rest", || holds(folders.right("free"), "free"));
    // The file is newer or as old, as it happens.
    pty.wait_for(" · 1 folder and file");
    // The folder comes first or last, as it happens.
    pty.press("\x1b[H");
    for _ in 0..2 {
        pty.wait_for("▸ Skip");
        let is_file = pty.contents().contains("Overwrite o");
        // Keep the file beside, leave the folder.
        pty.press(if is_file { "b" } else { "s" });
        pty.wait_until("the next one", |screen| screen.contents().contains("Overwrite o") != is_file);
    }
    wait_for_disk(&pty, "both", || holds(folders.right("same-name (2)"), "new"));
    pty.wait_for("1 skipped");
    assert!(holds(folders.right("folder-and-file"), "a file"));
    assert!(holds(folders.right("same-name"), "old and longer"));
    pty.press("E");
    pty.wait_for("folder-and-file: skipped");
    pty.press("\r");
    quit(pty);
}
