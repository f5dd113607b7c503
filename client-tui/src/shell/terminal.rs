//! The terminal: taken for the screen, and given back whatever happens: after quit, a panic, a signal, and around Ctrl-Z.
//!
//! It knows how to get a frame to the terminal in one piece, and nothing of what is in it.

use std::cell::RefCell;
use std::io::{self, IsTerminal, Write};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::terminal::{disable_raw_mode, enable_raw_mode};
use ratatui::backend::CrosstermBackend;
use ratatui::{Frame, Terminal as Ratatui};
use towpath_protocol::display::DisplayName;

/// Alternate screen; mouse buttons, drags and wheel (no bare motion: it would wake us for nothing), SGR coordinates; bracketed paste;
/// hidden cursor.
const TAKE: &[u8] = b"\x1b[?1049h\x1b[?1000h\x1b[?1002h\x1b[?1006h\x1b[?2004h\x1b[?25l";
/// The same backwards, after the end of a frame that may have been cut short.
const GIVE_BACK: &[u8] =
    b"\x1b[?2026l\x1b[?2004l\x1b[?1006l\x1b[?1002l\x1b[?1000l\x1b[0m\x1b[?1049l\x1b[?25h";
/// Between these two a terminal that knows them shows nothing half drawn; others ignore them.
const FRAME_BEGIN: &[u8] = b"\x1b[?2026h";
const FRAME_END: &[u8] = b"\x1b[?2026l";

/// The bell, and the notice that many terminals show when they are not looked at (OSC 9). `text` is escaped once more.
pub(super) fn ring(text: &str) {
    if TAKEN.load(Ordering::Acquire) {
        let text = DisplayName::new(text.as_bytes()).to_string();
        // A terminal that is gone is told nothing.
        let _ = io::stdout().lock().write_all(format!("\x1b]9;tow: {text}\x07\x07").as_bytes());
        let _ = io::stdout().lock().flush();
    }
}

/// Whether the terminal is ours now. One process has one terminal.
static TAKEN: AtomicBool = AtomicBool::new(false);

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
    ratatui: Ratatui<CrosstermBackend<FrameBytes>>,
    bytes: FrameBytes,
}

impl std::fmt::Debug for Terminal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Terminal").finish_non_exhaustive()
    }
}

impl Terminal {
    /// Takes standard input and output for the screen; both must be a terminal.
    pub fn take() -> Result<Self, TerminalError> {
        for (name, is_terminal) in
            [("standard input", io::stdin().is_terminal()), ("standard output", io::stdout().is_terminal())]
        {
            if !is_terminal {
                return Err(TerminalError::NotATerminal(name));
            }
        }
        take()?;
        let (ratatui, bytes) = blank().inspect_err(|_| give_back())?;
        Ok(Self { ratatui, bytes })
    }

    /// Draws a frame: only what differs from the last one, in one write.
    pub fn draw(&mut self, render: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        self.ratatui.draw(render)?;
        self.bytes.send(&mut io::stdout().lock())
    }

    /// Takes the terminal again after it was given back or somebody else may have written on it. The next frame is drawn whole.
    pub fn take_again(&mut self) -> io::Result<()> {
        give_back();
        take()?;
        self.clear()
    }

    /// The next frame is drawn whole, on a screen that it wipes itself.
    pub fn clear(&mut self) -> io::Result<()> {
        // Not `Ratatui::clear`: it asks the terminal where the cursor is, and the answer would come in between the keys.
        (self.ratatui, self.bytes) = blank()?;
        self.bytes.write_all(b"\x1b[0m\x1b[2J")
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        give_back();
    }
}

/// A screen on which nothing was drawn.
fn blank() -> io::Result<(Ratatui<CrosstermBackend<FrameBytes>>, FrameBytes)> {
    let bytes = FrameBytes::default();
    Ok((Ratatui::new(CrosstermBackend::new(bytes.clone()))?, bytes))
}

fn take() -> io::Result<()> {
    enable_raw_mode()?;
    TAKEN.store(true, Ordering::SeqCst);
    let mut out = io::stdout().lock();
    out.write_all(TAKE).and_then(|()| out.flush()).inspect_err(|_| give_back())
}

/// Gives the terminal back, if it is ours. What cannot be undone (the terminal is gone) is left.
pub fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        let mut out = io::stdout().lock();
        let _ = out.write_all(GIVE_BACK).and_then(|()| out.flush());
        let _ = disable_raw_mode();
    }
}

/// Collects what a frame writes, until it is sent whole: no flush in between, no half frame on the screen.
#[derive(Debug, Clone, Default)]
struct FrameBytes(Rc<RefCell<Vec<u8>>>);

impl FrameBytes {
    fn send(&self, out: &mut impl Write) -> io::Result<()> {
        let mut bytes = self.0.borrow_mut();
        bytes.extend_from_slice(FRAME_END);
        out.write_all(&bytes)?;
        bytes.clear();
        out.flush()
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
        let mut out = Vec::new();
        bytes.send(&mut out).unwrap();
        assert_eq!(out, b"\x1b[?2026honetwo\x1b[?2026l");
        bytes.write_all(b"three").unwrap();
        out.clear();
        bytes.send(&mut out).unwrap();
        assert_eq!(out, b"\x1b[?2026hthree\x1b[?2026l");
    }

    #[test]
    fn what_is_taken_is_given_back_in_reverse() {
        let modes = |bytes: &[u8], last: char| {
            String::from_utf8_lossy(bytes)
                .split('\x1b')
                .filter_map(|part| part.strip_prefix("[?")?.strip_suffix(last).map(str::to_owned))
                .collect::<Vec<_>>()
        };
        // What is switched on is switched off; the cursor alone is the other way round.
        let mut on = modes(TAKE, 'h');
        let off = modes(GIVE_BACK, 'l');
        on.reverse();
        assert_eq!(off, ["2026".to_owned()].into_iter().chain(on).collect::<Vec<_>>());
        assert!(TAKE.ends_with(b"\x1b[?25l"));
        assert!(GIVE_BACK.ends_with(b"\x1b[?25h"));
    }
}
