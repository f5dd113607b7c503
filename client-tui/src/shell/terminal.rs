//! The terminal: taken for the screen, and given back whatever happens: after quit, a panic, a signal, and around Ctrl-Z.
//!
//! It knows how to get a frame to the terminal in one piece, and nothing of what is in it.

use std::cell::RefCell;
use std::io::{self, IsTerminal, Write};
use std::rc::Rc;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ratatui::layout::Rect;
use ratatui::{Frame, Terminal as Ratatui, TerminalOptions, Viewport};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use towpath_protocol::display::DisplayName;

use super::cells::Cells;
use super::output;

/// Alternate screen; mouse buttons, drags and wheel (no bare motion: it would wake us for nothing), SGR coordinates; focus; bracketed paste;
/// hidden cursor; and what is wider than we think goes on no further row.
const TAKE: &[u8] = b"\x1b[?1049h\x1b[?1000h\x1b[?1002h\x1b[?1006h\x1b[?1004h\x1b[?2004h\x1b[?25l\x1b[?7l";
/// The same backwards, after the end of a frame that may have been cut short.
const GIVE_BACK: &[u8] =
    b"\x1b[?2026l\x1b[?2004l\x1b[?1004l\x1b[?1006l\x1b[?1002l\x1b[?1000l\x1b[0m\x1b[?1049l\x1b[?7h\x1b[?25h";
/// Between these two a terminal that knows them shows nothing half drawn; others ignore them.
const FRAME_BEGIN: &[u8] = b"\x1b[?2026h";
const FRAME_END: &[u8] = b"\x1b[?2026l";

/// Asks which background the terminal has; and what it is, which every terminal answers, and after everything that was asked before.
const ASK: &[u8] = b"\x1b]11;?\x1b\\\x1b[c";
/// Time after a query in which its answers may arrive.
const ANSWERS_PATIENCE: Duration = Duration::from_secs(1);

/// A screen that says it is larger is used in part: each cell costs memory, several times.
const SIZE_MAX: (u16, u16) = (1_000, 300);

/// The bell, and the notice that many terminals show when they are not looked at (OSC 9). `text` is escaped once more. A terminal that is
/// gone, or does not read, is told nothing.
pub(super) fn ring(text: &str) {
    if lock(&OURS.0).is_some() {
        let text = DisplayName::new(text.as_bytes()).to_string();
        output::send_if_there_is_room(format!("\x1b]9;tow: {text}\x07\x07").as_bytes());
    }
}

/// While the terminal is ours: its modes of before. One process has one terminal.
static OURS: (Mutex<Option<Termios>>, Condvar) = (Mutex::new(None), Condvar::new());

/// When the terminal was asked something, until it has answered.
static ASKED: (Mutex<Option<Instant>>, Condvar) = (Mutex::new(None), Condvar::new());

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits until the terminal is ours, if it is not; `true` if it was not.
pub(super) fn wait_until_taken() -> bool {
    let (modes, changed) = &OURS;
    let mut ours = lock(modes);
    let waits = ours.is_none();
    while ours.is_none() {
        ours = changed.wait(ours).unwrap_or_else(PoisonError::into_inner);
    }
    waits
}

fn ask() {
    *lock(&ASKED.0) = Some(Instant::now());
    output::send(ASK);
}

/// All answers have come.
pub(super) fn answered() {
    *lock(&ASKED.0) = None;
    ASKED.1.notify_all();
}

/// Waits for answers that are still on their way, for a short while after the question: the next program would take them for keys.
fn wait_for_answers() {
    let mut asked = lock(&ASKED.0);
    while let Some(at) = *asked {
        let left = ANSWERS_PATIENCE.saturating_sub(at.elapsed());
        if left.is_zero() {
            *asked = None;
            return;
        }
        asked = ASKED.1.wait_timeout(asked, left).unwrap_or_else(PoisonError::into_inner).0;
    }
}

/// Why the terminal cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum TerminalError {
    #[error("{0} is not a terminal; the one-job commands (tow ls, get, put, ...) work without one")]
    NotATerminal(&'static str),
    #[error("the terminal does not work: {0}")]
    Io(#[from] io::Error),
}

/// The terminal while it is ours. Dropped, it is given back.
pub struct Terminal {
    ratatui: Ratatui<Cells<FrameBytes>>,
    bytes: FrameBytes,
    /// Columns and rows where the terminal says none.
    otherwise: (u16, u16),
    /// It is asked for its background whenever it is taken: that may be another then.
    asked: bool,
}

impl std::fmt::Debug for Terminal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Terminal").finish_non_exhaustive()
    }
}

impl Terminal {
    /// Takes standard input and output for the screen; both must be a terminal. `otherwise` is the size of one that says none.
    pub fn take(otherwise: (u16, u16)) -> Result<Self, TerminalError> {
        for (name, is_terminal) in
            [("standard input", io::stdin().is_terminal()), ("standard output", io::stdout().is_terminal())]
        {
            if !is_terminal {
                return Err(TerminalError::NotATerminal(name));
            }
        }
        output::start()?;
        take()?;
        let (ratatui, bytes) = blank(size(otherwise)).inspect_err(|_| give_back())?;
        Ok(Self { ratatui, bytes, otherwise, asked: false })
    }

    /// Asks which background it has. The answer comes among the keys, if ever.
    pub(super) fn ask_background(&mut self) {
        self.asked = true;
        ask();
    }

    /// Columns and rows.
    pub fn size(&self) -> (u16, u16) {
        size(self.otherwise)
    }

    /// Draws a frame: only what differs from the last one, in one piece. Call it once the last one is out.
    pub fn draw(&mut self, render: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        self.ratatui.draw(render)?;
        output::send(&self.bytes.take());
        Ok(())
    }

    /// Takes the terminal again after it was given back or somebody else may have written on it. The next frame is drawn whole.
    pub fn take_again(&mut self) -> io::Result<()> {
        give_back();
        take()?;
        if self.asked {
            ask();
        }
        self.clear()
    }

    /// The next frame is drawn whole, on a screen that it wipes itself, and is as large as the terminal is now.
    pub fn clear(&mut self) -> io::Result<()> {
        // Not `Ratatui::clear`: it asks the terminal where the cursor is, and the answer would come in between the keys.
        (self.ratatui, self.bytes) = blank(self.size())?;
        self.bytes.write_all(b"\x1b[0m\x1b[2J")
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        give_back();
    }
}

/// The size that the terminal reports. Serial lines and containers often report 0.
fn size(otherwise: (u16, u16)) -> (u16, u16) {
    let says = tcgetwinsize(rustix::stdio::stdout()).or_else(|_| tcgetwinsize(rustix::stdio::stdin()));
    let says = says.map_or((0, 0), |size| (size.ws_col, size.ws_row));
    let known = |says: u16, otherwise: u16, most: u16| if says > 0 { says } else { otherwise }.clamp(1, most);
    (known(says.0, otherwise.0, SIZE_MAX.0), known(says.1, otherwise.1, SIZE_MAX.1))
}

/// A screen on which nothing was drawn.
fn blank((columns, rows): (u16, u16)) -> io::Result<(Ratatui<Cells<FrameBytes>>, FrameBytes)> {
    let bytes = FrameBytes::default();
    let area = Rect::new(0, 0, columns, rows);
    let viewport = Viewport::Fixed(area);
    let ratatui = Ratatui::with_options(Cells::new(bytes.clone(), area), TerminalOptions { viewport })?;
    Ok((ratatui, bytes))
}

fn take() -> io::Result<()> {
    let (modes, changed) = &OURS;
    let mut ours = lock(modes);
    let before = ours.clone().map_or_else(|| tcgetattr(rustix::stdio::stdin()), Ok)?;
    let mut raw = before.clone();
    raw.make_raw();
    tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, &raw)?;
    *ours = Some(before);
    drop(ours);
    changed.notify_all();
    output::send(TAKE);
    Ok(())
}

/// Gives the terminal back, if it is ours. What cannot be undone (the terminal is gone, or does not read) is left.
pub fn give_back() {
    wait_for_answers();
    let before = lock(&OURS.0).take();
    if let Some(before) = before {
        output::send_last(GIVE_BACK);
        let _ = tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, &before);
    }
}

/// Collects what a frame writes, until it is taken whole: no flush in between, no half frame on the screen.
#[derive(Debug, Clone, Default)]
struct FrameBytes(Rc<RefCell<Vec<u8>>>);

impl FrameBytes {
    fn take(&self) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut *self.0.borrow_mut());
        bytes.extend_from_slice(FRAME_END);
        bytes
    }
}

impl Write for FrameBytes {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        let mut bytes = self.0.borrow_mut();
        if bytes.is_empty() {
            bytes.extend_from_slice(FRAME_BEGIN);
        }
        bytes.extend_from_slice(part);
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_goes_out_in_one_piece_however_often_it_is_flushed() {
        let mut bytes = FrameBytes::default();
        bytes.write_all(b"one").unwrap();
        bytes.flush().unwrap();
        bytes.write_all(b"two").unwrap();
        assert_eq!(bytes.take(), b"\x1b[?2026honetwo\x1b[?2026l");
        bytes.write_all(b"three").unwrap();
        assert_eq!(bytes.take(), b"\x1b[?2026hthree\x1b[?2026l");
    }

    #[test]
    fn what_is_taken_is_given_back_in_reverse() {
        let modes = |bytes: &[u8], last: char| {
            String::from_utf8_lossy(bytes)
                .split('\x1b')
                .filter_map(|part| part.strip_prefix("[?")?.strip_suffix(last).map(str::to_owned))
                .collect::<Vec<_>>()
        };
        // Modes that were set are reset; the cursor and line ends alone are set again.
        let mut on = modes(TAKE, 'h');
        let off = modes(GIVE_BACK, 'l');
        on.reverse();
        assert_eq!(off, ["2026".to_owned()].into_iter().chain(on).collect::<Vec<_>>());
        assert!(TAKE.ends_with(b"\x1b[?25l\x1b[?7l"));
        assert!(GIVE_BACK.ends_with(b"\x1b[?7h\x1b[?25h"));
    }
}
