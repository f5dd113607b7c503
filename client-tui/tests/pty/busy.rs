//! While a copy runs as fast as it can: keys are answered, the terminal may change its size, and a cancel is one.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::pty::Pty;
use crate::stage::{
    DOWN, F5, Folders, HOME, UP, agree, close, go_to, is_cursor_on, part_bytes, parts, quit, sparse,
    wait_for_disk, write,
};

/// A key is answered, and a cancel obeyed, within this, however busy the machine is with something else: half of the keys, and at least
/// one of a few cancels.
const AT_ONCE: Duration = Duration::from_millis(200);

/// A long file on its way to the server, and short ones beside it.
fn copying(folders: &Folders) -> (crate::towd::Towd, Pty) {
    sparse(folders.left("long"));
    let (towd, mut pty) = connected_beside_short_files(folders);
    start(folders, &mut pty);
    (towd, pty)
}

const LONG_FILES: u8 = 8;

/// A folder of so many long files on its way that they take seconds on a fast machine too.
fn copying_many(folders: &Folders) -> (crate::towd::Towd, Pty) {
    fs::create_dir(folders.left("long")).unwrap();
    for number in 0..LONG_FILES {
        sparse(folders.left(format!("long/{number}")));
    }
    let (towd, mut pty) = connected_beside_short_files(folders);
    go_to(&mut pty, "long");
    pty.press(F5);
    agree(&mut pty, "Copy");
    wait_for_disk(&pty, "a part of a long file", || file_bytes(&folders.right("long")) > 10_000_000);
    (towd, pty)
}

fn connected_beside_short_files(folders: &Folders) -> (crate::towd::Towd, Pty) {
    for number in 10..30 {
        write(folders.left(format!("short-{number}")), "");
    }
    folders.connected()
}

fn start(folders: &Folders, pty: &mut Pty) {
    go_to(pty, "long");
    pty.press(F5);
    agree(pty, "Copy");
    wait_for_disk(pty, "a part of the long file", || part_bytes(&folders.right("")) > 10_000_000);
}

/// Bytes of whole and unfinished files in a folder, none without the folder.
fn file_bytes(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries.filter_map(|entry| Some(entry.ok()?.metadata().ok()?.len())).sum()
}

fn cancel(pty: &mut Pty) {
    pty.press("w");
    pty.wait_for("╭ Jobs ─");
    pty.press("x");
    pty.wait_for("▸ Continue");
    pty.press("y");
}

#[test]
fn every_key_is_answered_while_a_copy_runs_at_full_speed() {
    let folders = Folders::new();
    let (_towd, mut pty) = copying_many(&folders);
    let copied = || file_bytes(&folders.right("long"));
    pty.press(HOME);
    let before = copied();
    let mut answers = Vec::new();
    // Down the folder, and up again.
    go_to(&mut pty, "short-10");
    let (down, up) = (11..30, (10..29).rev());
    for (key, number) in down.map(|number| (DOWN, number)).chain(up.map(|number| (UP, number))) {
        let pressed = Instant::now();
        pty.press(key);
        let name = format!("short-{number}");
        pty.wait_until(&format!("the cursor on {name}"), |screen| is_cursor_on(screen, &name));
        answers.push(pressed.elapsed());
    }
    assert!(copied() > before, "the copy stood still meanwhile");
    let is_there = |number| folders.right(format!("long/{number}")).exists();
    assert!(!(0..LONG_FILES).all(is_there), "the copy was done before the last key");
    answers.sort_unstable();
    assert!(answers[answers.len() / 2] < AT_ONCE, "{answers:?}");
    cancel(&mut pty);
    pty.wait_for("cancelled; until then");
    close(&mut pty);
    quit(pty);
}

#[test]
fn after_a_cancel_no_byte_moves_and_nothing_half_is_left() {
    let folders = Folders::new();
    let (_towd, mut pty) = copying(&folders);
    let mut moved_for = Vec::new();
    for attempt in 0..4 {
        if attempt > 0 {
            start(&folders, &mut pty);
        }
        pty.press("w");
        pty.wait_for("╭ Jobs ─");
        pty.press("x");
        pty.wait_for("▸ Continue");
        let (mut last_growth, mut bytes) = (Duration::ZERO, part_bytes(&folders.right("")));
        let pressed = Instant::now();
        pty.press("y");
        // Until the part is gone, how long it still grows.
        while !parts(&folders.right("")).is_empty() {
            let now = part_bytes(&folders.right(""));
            if now > bytes {
                (last_growth, bytes) = (pressed.elapsed(), now);
            }
            assert!(
                pressed.elapsed() < Duration::from_mins(1),
                "a part is left; the screen is\n{}",
                pty.contents()
            );
            thread::yield_now();
        }
        pty.wait_for("cancelled; until then nothing copied");
        assert!(!folders.right("long").exists() && folders.left("long").exists());
        moved_for.push(last_growth);
        close(&mut pty);
    }
    assert!(moved_for.iter().any(|moved_for| *moved_for < AT_ONCE), "{moved_for:?}");
    quit(pty);
}

#[test]
fn the_terminal_changes_its_size_while_a_copy_runs() {
    let folders = Folders::new();
    let (_towd, mut pty) = copying_many(&folders);
    for (columns, rows) in [(240, 70), (40, 10), (20, 3), (1, 1), (120, 40), (39, 9), (80, 24)] {
        pty.resize(columns, rows);
        pty.press(DOWN);
    }
    pty.wait_until("panes and a job at 80x24", |screen| {
        let contents = screen.contents();
        // A larger frame that came late would be cut off here, with its panes elsewhere.
        let middle = ["╮", "╭"]
            .iter()
            .zip(39..)
            .all(|(corner, column)| screen.cell(1, column).is_some_and(|cell| cell.contents() == *corner));
        middle && contents.contains("1 job") && contents.contains("short-1") && contents.contains("F1 Help")
    });
    cancel(&mut pty);
    pty.wait_for("cancelled; until then");
    close(&mut pty);
    quit(pty);
}

#[test]
fn to_quit_during_a_copy_is_asked_and_leaves_nothing_half() {
    let folders = Folders::new();
    let (_towd, mut pty) = copying(&folders);
    pty.press("q");
    pty.wait_for("1 job is running.");
    pty.press("n");
    pty.wait_until("the dialog closed", |screen| !screen.contents().contains("1 job is running."));
    pty.press("q");
    pty.wait_for("1 job is running.");
    pty.press("y");
    assert!(pty.wait_for_end().success(), "{}", pty.contents());
    pty.assert_given_back();
    assert!(!folders.right("long").exists());
    assert_eq!(parts(&folders.right("")), []);
}
