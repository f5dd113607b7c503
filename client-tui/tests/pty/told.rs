//! Messages of copies, conflicts and long names, and where the cursor stands at the start.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::pty::Pty;
use crate::stage::{
    CTRL_A, CTRL_U, F2, F5, F6, F8, Folders, UP, agree, go_to, holds, is_cursor_on, open_question, quit,
    wait_for_disk, write,
};

/// 2026-01-02T03:04:05Z.
const THEN: Duration = Duration::from_secs(1_767_323_045);

fn start(folders: &Folders) -> Pty {
    let right = folders.right("");
    let mut tow = folders.tow(&[".", right.to_str().unwrap()]);
    tow.env("TZ", "UTC");
    Pty::start(tow, 120, 40)
}

fn modified(path: &Path, at: Duration) {
    fs::File::options().write(true).open(path).unwrap().set_modified(SystemTime::UNIX_EPOCH + at).unwrap();
}

#[test]
fn the_cursor_begins_on_the_first_entry() {
    let folders = Folders::new();
    fs::create_dir_all(folders.left("album/inner")).unwrap();
    write(folders.left("berry.txt"), "");
    write(folders.right("olive.txt"), "");
    let mut pty = start(&folders);
    pty.wait_until("the cursor on the first", |screen| is_cursor_on(screen, "album"));
    pty.press("l");
    pty.wait_for("inner/");
    pty.press("l");
    pty.wait_for("inner ─");
    pty.press("\t");
    pty.wait_until("the cursor there on the first", |screen| is_cursor_on(screen, "olive.txt"));
    quit(pty);
    // Where a folder that a pane shows is gone, too.
    let mut pty = Pty::start(folders.tow(&["album/inner"]), 120, 40);
    pty.wait_for("inner ─");
    fs::remove_dir_all(folders.left("album")).unwrap();
    pty.press("\x12");
    pty.wait_for("showing the folder above");
    pty.wait_until("the cursor on the first", |screen| is_cursor_on(screen, "berry.txt"));
    quit(pty);
}

/// The window for a name stays until the disk has it, and takes the keys.
fn wait_for_panes(pty: &Pty) {
    pty.wait_until("the panes", |screen| !screen.contents().contains("New name of"));
}

#[test]
fn a_name_is_offered_and_typing_replaces_it() {
    let folders = Folders::new();
    write(folders.left("before.txt"), "content");
    let mut pty = start(&folders);
    go_to(&mut pty, "before.txt");
    pty.press(F2);
    pty.wait_for("New name of before.txt");
    pty.press("after.txt\r");
    wait_for_disk(&pty, "the new name", || holds(folders.left("after.txt"), "content"));
    wait_for_panes(&pty);
    // Moving in it first keeps it, to be edited.
    go_to(&mut pty, "after.txt");
    pty.press(F2);
    pty.wait_for("New name of after.txt");
    pty.press("\x1b[F2\r");
    wait_for_disk(&pty, "the edited name", || holds(folders.left("after.txt2"), "content"));
    wait_for_panes(&pty);
    quit(pty);
}

#[test]
fn what_is_older_is_skipped_as_asked_and_that_is_no_failure() {
    let folders = Folders::new();
    for name in ["s0", "s1", "s2"] {
        for (path, at) in [(folders.left(name), THEN), (folders.right(name), THEN + Duration::from_mins(1))] {
            write(&path, path.to_str().unwrap());
            modified(&path, at);
        }
    }
    let mut pty = start(&folders);
    pty.wait_for("s2");
    pty.press(CTRL_A);
    pty.press(F5);
    agree(&mut pty, "Copy");
    open_question(&mut pty, "Skip");
    pty.wait_for("3 sources older");
    pty.press("a");
    pty.wait_for("[x] For all");
    pty.press("w");
    pty.wait_for("3 skipped");
    let contents = pty.contents();
    let line = contents.lines().find(|line| line.contains("3 skipped")).unwrap();
    assert!(line.contains('✓') && !contents.contains('✗'), "{contents}");
    assert!(holds(folders.right("s0"), folders.right("s0").to_str().unwrap()));
    quit(pty);
}

#[test]
fn what_differs_by_less_than_is_shown_in_short_is_told_to_the_byte_and_the_second() {
    let folders = Folders::new();
    for (path, content, at) in [
        (folders.left("note"), "12345", THEN),
        (folders.right("note"), "1234567", THEN + Duration::from_secs(2)),
    ] {
        write(&path, content);
        modified(&path, at);
    }
    let mut pty = start(&folders);
    go_to(&mut pty, "note");
    pty.press(F5);
    agree(&mut pty, "Copy");
    open_question(&mut pty, "Skip");
    let contents = pty.contents();
    for (side, figures) in
        [("new ", ["5 B", "2026-01-02 03:04:05"]), ("there ", ["7 B", "2026-01-02 03:04:07"])]
    {
        let line = contents.lines().find(|line| line.contains(&format!("│ {side}"))).unwrap_or_default();
        assert!(figures.iter().all(|figure| line.contains(figure)), "{side}: {contents}");
    }
    pty.press("s");
    pty.wait_for("1 skipped");
    quit(pty);
}

#[test]
fn a_folder_that_moves_on_one_disk_is_told_with_what_it_holds() {
    let folders = Folders::new();
    fs::create_dir(folders.left("photos")).unwrap();
    for number in 0..84 {
        write(folders.left(format!("photos/IMG_{number}.jpg")), "jpg");
    }
    let mut pty = start(&folders);
    go_to(&mut pty, "photos");
    pty.press(F6);
    agree(&mut pty, "Move");
    pty.wait_for("moved photos (84 files)");
    assert!(!pty.contents().contains("verified"), "{}", pty.contents());
    assert_eq!(fs::read_dir(folders.right("photos")).unwrap().count(), 84);
    assert!(!folders.left("photos").exists());
    quit(pty);
}

#[test]
fn a_long_name_in_a_dialog_is_cut_in_its_middle_and_the_label_stays() {
    let folders = Folders::new();
    let name = format!("begin-{}-end.txt", "x".repeat(180));
    write(folders.left(&name), "");
    let mut pty = start(&folders);
    pty.resize(80, 24);
    pty.wait_until("the name in 80 columns", |screen| {
        screen.size().1.get() == 80 && screen.contents().contains("begin-")
    });
    go_to(&mut pty, "begin-");
    for (key, label, end) in [
        (F2, "New name of begin-", "-end.txt"),
        (F5, "Copy begin-", "-end.txt to"),
        (F8, "begin-", "-end.txt"),
    ] {
        pty.press(key);
        let is_whole = |screen: &vt100::Screen| {
            screen.contents().lines().any(|line| {
                let window = line.split('│').find(|part| part.contains(label));
                window.is_some_and(|part| part.contains('…') && part.trim_end().ends_with(end))
            })
        };
        pty.wait_until(&format!("{label}…{end}"), is_whole);
        pty.press("\x03");
        pty.wait_until("no window", |screen| !is_whole(screen));
    }
    quit(pty);
}

#[test]
fn a_pattern_is_no_name_of_a_folder_for_what_is_marked() {
    let folders = Folders::new();
    for name in ["IMG_1.jpg", "IMG_2.jpg"] {
        write(folders.left(name), "jpg");
    }
    let mut pty = start(&folders);
    pty.wait_for("IMG_2.jpg");
    pty.press(CTRL_A);
    pty.press(F5);
    pty.wait_for("Copy 2 files");
    pty.press(UP);
    pty.wait_until("the line", |screen| !screen.hide_cursor());
    pty.press(&format!("{CTRL_U}{}/trip-*.jpg", folders.right("").display()));
    pty.wait_for("trip-*.jpg");
    pty.press("\r");
    pty.wait_for("name patterns are not supported here");
    assert_eq!(fs::read_dir(folders.right("")).unwrap().count(), 0);
    pty.press("\x03");
    pty.wait_until("no window", |screen| !screen.contents().contains("╭ Copy ─"));
    quit(pty);
}
