//! Two folders, a state folder, `tow` in a terminal over them, and what one does there all the time.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use portable_pty::CommandBuilder;
use tempfile::TempDir;

use crate::pty::{Pty, command};
use crate::towd::Towd;

pub(crate) const UP: &str = "\x1b[A";
pub(crate) const DOWN: &str = "\x1b[B";
pub(crate) const HOME: &str = "\x1b[H";
pub(crate) const END: &str = "\x1b[F";
pub(crate) const F2: &str = "\x1bOQ";
pub(crate) const F5: &str = "\x1b[15~";
pub(crate) const F6: &str = "\x1b[17~";
pub(crate) const F7: &str = "\x1b[18~";
pub(crate) const F8: &str = "\x1b[19~";
pub(crate) const CTRL_A: &str = "\x01";
pub(crate) const CTRL_U: &str = "\x15";
pub(crate) const CTRL_Z: &str = "\x1a";

const PATIENCE: Duration = Duration::from_mins(1);

/// Folders for the left pane, the right pane, and the program's state.
pub(crate) struct Folders {
    dir: TempDir,
}

impl Folders {
    pub(crate) fn new() -> Self {
        let folders = Self { dir: tempfile::tempdir().unwrap() };
        for name in ["left", "right", "state"] {
            fs::create_dir(folders.dir.path().join(name)).unwrap();
        }
        folders
    }

    /// Below the left pane's folder.
    pub(crate) fn left(&self, path: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join("left").join(path)
    }

    /// Below the right pane's folder, or the server's.
    pub(crate) fn right(&self, path: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join("right").join(path)
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// `tow ARGUMENTS`, standing in the left folder.
    pub(crate) fn tow(&self, arguments: &[&str]) -> CommandBuilder {
        let mut command = command(env!("CARGO_BIN_EXE_tow"), &self.state());
        command.args(arguments);
        command.cwd(self.left(""));
        command
    }

    /// The left folder beside the right one, which a server serves on a unix socket.
    pub(crate) fn connected(&self) -> (Towd, Pty) {
        let towd = Towd::start(&self.right(""), &self.state(), &[]);
        let pty = Pty::start(self.tow(&["--connect", &towd.target("")]), 120, 40);
        pty.wait_for("✓ connected to");
        (towd, pty)
    }
}

pub(crate) fn write(path: impl AsRef<Path>, content: impl AsRef<[u8]>) {
    fs::write(path, content).unwrap();
}

/// A file that takes long to copy, without taking room on the disk.
pub(crate) fn sparse(path: impl AsRef<Path>) {
    fs::File::create(path).unwrap().set_len(4 << 30).unwrap();
}

/// Unfinished files in a folder, and how long they are.
pub(crate) fn parts(folder: &Path) -> Vec<(PathBuf, u64)> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let parts = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(".towpath-part-"));
    // One that vanishes meanwhile is none.
    parts.filter_map(|entry| Some((entry.path(), entry.metadata().ok()?.len()))).collect()
}

/// Bytes that unfinished files hold, none without any.
pub(crate) fn part_bytes(folder: &Path) -> u64 {
    parts(folder).iter().map(|(_, bytes)| bytes).sum()
}

/// Waits for what the disk should hold, which comes a moment after the screen says so, or before.
pub(crate) fn wait_for_disk(pty: &Pty, what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what} never came; the screen is\n{}", pty.contents());
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

pub(crate) fn holds(path: impl AsRef<Path>, content: &str) -> bool {
    fs::read_to_string(path).is_ok_and(|found| found == content)
}

/// Puts the active pane's cursor on `name`.
pub(crate) fn go_to(pty: &mut Pty, name: &str) {
    pty.wait_for(name);
    // The other pane may have its cursor on such a name: what is awaited is the end of the line, too.
    pty.press(&format!("/{name}"));
    pty.wait_until("the line to search with", |screen| !screen.hide_cursor());
    pty.press("\r");
    pty.wait_until(&format!("the cursor on {name}"), |screen| {
        screen.hide_cursor() && is_cursor_on(screen, name)
    });
}

/// Whether a pane's cursor is on the row of `name`. No dialog is open.
pub(crate) fn is_cursor_on(screen: &vt100::Screen, name: &str) -> bool {
    let (rows, columns) = (screen.size().0.get(), screen.size().1.get());
    let half = columns / 2;
    let is_marked = |row: u16, column: u16| {
        screen.cell(row, column).is_some_and(|cell| cell.inverse() || cell.bgcolor() != vt100::Color::Default)
    };
    [0, half].into_iter().any(|left| {
        let texts = screen.rows(left, half).enumerate().take(usize::from(rows.saturating_sub(3))).skip(2);
        texts.into_iter().any(|(row, text)| {
            is_marked(row as u16, left + 2) && is_marked(row as u16, left + 4) && text.contains(name)
        })
    })
}

/// Takes the dialog's offer, once it shows.
pub(crate) fn agree(pty: &mut Pty, title: &str) {
    pty.wait_for(&format!("╭ {title} ─"));
    pty.press("\r");
    pty.wait_until("the dialog closed", |screen| !screen.contents().contains(&format!("╭ {title} ─")));
}

/// A line of the command line, sent once it shows.
pub(crate) fn say(pty: &mut Pty, line: &str) {
    pty.press(&format!(":{line}"));
    pty.wait_until("the line", |screen| {
        !screen.hide_cursor() && screen.contents().contains(&format!(":{line}"))
    });
    pty.press("\r");
}

/// Opens the jobs.
pub(crate) fn open_jobs(pty: &mut Pty) {
    pty.press("w");
    pty.wait_for("╭ Jobs ");
}

/// Opens what needs an answer, and waits until its safe answer has the focus.
pub(crate) fn open_question(pty: &mut Pty, safe: &str) {
    pty.wait_for("an answer (o)");
    pty.press("o");
    pty.wait_for(&format!("▸ {safe}"));
}

/// Closes the layer that is open, and waits for that: keys right behind an Esc would be Alt and that key.
pub(crate) fn close(pty: &mut Pty) {
    let titles = ["╭ Jobs ", "╭ Connect ", "╭ Rename "];
    pty.press("\x1b");
    pty.wait_until("no layer", |screen| !titles.iter().any(|title| screen.contents().contains(title)));
}

pub(crate) fn quit(mut pty: Pty) {
    pty.press("q");
    let status = pty.wait_for_end();
    assert!(status.success(), "{status:?}\n{}", pty.contents());
    pty.assert_given_back();
}
