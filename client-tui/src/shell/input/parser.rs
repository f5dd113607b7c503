//! Bytes from a terminal to input, one byte at a time.
//!
//! A state machine after ECMA-48 as terminals speak it. No input can make it fail: a sequence that it does not know, or one with
//! numbers out of range, is swallowed up to its final byte and means nothing. A sequence never turns into the keys of its letters, however
//! slowly its bytes arrive and wherever they are split. The parser holds no clock; its owner waits for `patience` and calls `give_up`.

use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::Input;
use super::sequences;

/// A lone Esc is the Esc key once nothing follows it for this long. Slow lines deliver the bytes of one key up to 50 ms apart.
const ESC_PATIENCE: Duration = Duration::from_millis(100);
/// The beginning of a sequence with nothing behind it may be Alt and a key: the next key must not be taken for its rest.
const BEGINNING_PATIENCE: Duration = Duration::from_millis(500);
/// A sequence that has begun in earnest is the terminal's, never typed: its rest is awaited for longer.
const REST_PATIENCE: Duration = Duration::from_secs(5);
/// Keys that are typed behind the beginning of a text are swallowed with it: its end is not awaited for long.
const TEXT_PATIENCE: Duration = Duration::from_secs(1);
/// The same of a paste.
const PASTE_PATIENCE: Duration = Duration::from_millis(500);
/// Bytes that come at once from fingers, at most. More of them behind a paste that paused are its rest.
const TYPED_BYTES_MAX: usize = 16;
/// Bytes of a sequence that are kept; longer ones mean nothing to us.
const SEQUENCE_BYTES_MAX: usize = 256;
/// Bytes of a paste that are kept; the rest is dropped.
const PASTE_BYTES_MAX: usize = 1 << 20;
const PASTE_END: &[u8] = b"\x1b[201~";
const ESC: u8 = 0x1b;
const CANCEL: u8 = 0x18;
const SUBSTITUTE: u8 = 0x1a;
const BELL: u8 = 0x07;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Ground,
    /// Within a character of several bytes, `left` of which are still to come.
    Utf8 {
        left: u8,
        alt: bool,
    },
    /// Behind an Esc.
    Escape,
    /// Behind `ESC O`.
    Ss3,
    /// Behind `ESC [`. A broken one means nothing, whatever its final byte.
    Csi {
        broken: bool,
    },
    /// Behind `ESC [ [`, which the Linux console sends for F1 to F5.
    Console,
    /// Within `ESC [ M` and three more bytes, the oldest form of a mouse report.
    OldMouse,
    /// Within OSC, DCS, APC, PM or SOS.
    Text {
        is_osc: bool,
    },
    /// Behind an Esc in one of those.
    TextEscape {
        is_osc: bool,
    },
    /// Within a paste, with this many bytes of its end mark seen.
    Paste {
        seen: usize,
    },
}

/// The parser, between two bytes.
#[derive(Debug)]
pub struct Parser {
    state: State,
    /// The sequence, character or paste at hand.
    bytes: Vec<u8>,
    /// A paste paused, and its end has not come.
    is_paste_open: bool,
}

impl Default for Parser {
    fn default() -> Self {
        Self { state: State::Ground, bytes: Vec::new(), is_paste_open: false }
    }
}

impl Parser {
    /// Takes bytes in and hands over the input that they complete.
    pub fn feed(&mut self, bytes: &[u8], out: &mut impl FnMut(Input)) {
        if std::mem::take(&mut self.is_paste_open) && is_rest_of_paste(bytes) {
            self.begin(State::Paste { seen: 0 });
        }
        for byte in bytes {
            self.take(*byte, out);
        }
    }

    /// Drops what has begun: a Ctrl-C that came alone was typed, and belongs to no sequence and no paste.
    pub fn interrupt(&mut self) {
        self.is_paste_open = false;
        self.begin(State::Ground);
    }

    /// Time to wait for the next byte before `give_up`; `None` if nothing has begun.
    pub fn patience(&self) -> Option<Duration> {
        match self.state {
            State::Ground => None,
            State::Escape => Some(ESC_PATIENCE),
            State::Paste { .. } => Some(PASTE_PATIENCE),
            State::TextEscape { .. } => Some(BEGINNING_PATIENCE),
            State::Text { .. } if !self.bytes.is_empty() => Some(TEXT_PATIENCE),
            State::Console | State::OldMouse | State::Csi { broken: true } => Some(REST_PATIENCE),
            _ if !self.bytes.is_empty() => Some(REST_PATIENCE),
            _ => Some(BEGINNING_PATIENCE),
        }
    }

    /// Nothing came for as long as `patience` says: an Esc at the end is a key, a paste ends, and any other beginning is dropped.
    pub fn give_up(&mut self, out: &mut impl FnMut(Input)) {
        let state = self.state;
        if let State::Paste { .. } = state {
            self.is_paste_open = true;
            if !self.bytes.is_empty() {
                self.end_paste(out);
            }
        }
        self.begin(State::Ground);
        if matches!(state, State::Escape | State::TextEscape { .. } | State::Paste { seen: 1 }) {
            out(key(KeyCode::Esc));
        }
    }

    fn begin(&mut self, state: State) {
        self.state = state;
        self.bytes.clear();
    }

    fn take(&mut self, byte: u8, out: &mut impl FnMut(Input)) {
        match self.state {
            State::Ground => self.ground(byte, false, out),
            State::Utf8 { left, alt } => self.character(byte, left, alt, out),
            State::Escape => self.escape(byte, out),
            State::Ss3 => self.ss3(byte, out),
            State::Csi { broken } => self.csi(byte, broken, out),
            State::Console => self.console(byte, out),
            State::OldMouse => self.old_mouse(byte, out),
            State::Text { is_osc } => self.text(byte, is_osc, out),
            State::TextEscape { is_osc } => self.text_escape(byte, is_osc, out),
            State::Paste { seen } => self.paste(byte, seen, out),
        }
    }

    fn ground(&mut self, byte: u8, alt: bool, out: &mut impl FnMut(Input)) {
        self.begin(State::Ground);
        let modifiers = if alt { KeyModifiers::ALT } else { KeyModifiers::NONE };
        let left = match byte {
            ESC => return self.begin(State::Escape),
            0x80..=0x9f => return self.c1(byte),
            0xc2..=0xdf => 1,
            0xe0..=0xef => 2,
            0xf0..=0xf4 => 3,
            0xa0..=0xff => return,
            _ => {
                let event = sequences::single(byte);
                return out(Input::Key(KeyEvent { modifiers: event.modifiers | modifiers, ..event }));
            }
        };
        self.state = State::Utf8 { left, alt };
        self.bytes.push(byte);
    }

    fn character(&mut self, byte: u8, left: u8, alt: bool, out: &mut impl FnMut(Input)) {
        if !(0x80..=0xbf).contains(&byte) {
            // The sequence that it ends is lost; the byte itself begins a new one.
            return self.ground(byte, false, out);
        }
        self.bytes.push(byte);
        if left > 1 {
            self.state = State::Utf8 { left: left - 1, alt };
            return;
        }
        let c = std::str::from_utf8(&self.bytes).ok().and_then(|text| text.chars().next());
        self.begin(State::Ground);
        match c {
            Some(c @ '\u{80}'..='\u{9f}') => self.c1(c as u8),
            Some(c) => {
                let event = sequences::typed(c);
                let alt = if alt { KeyModifiers::ALT } else { KeyModifiers::NONE };
                out(Input::Key(KeyEvent { modifiers: event.modifiers | alt, ..event }));
            }
            None => {}
        }
    }

    /// A control of the upper half stands for Esc and a letter.
    fn c1(&mut self, byte: u8) {
        let state = match byte {
            0x8f => State::Ss3,
            0x9b => State::Csi { broken: false },
            0x9d => State::Text { is_osc: true },
            0x90 | 0x98 | 0x9e | 0x9f => State::Text { is_osc: false },
            _ => State::Ground,
        };
        self.begin(state);
    }

    fn escape(&mut self, byte: u8, out: &mut impl FnMut(Input)) {
        match byte {
            // Twice: the first was a key.
            ESC => out(key(KeyCode::Esc)),
            b'O' => self.begin(State::Ss3),
            b'[' => self.begin(State::Csi { broken: false }),
            b']' => self.begin(State::Text { is_osc: true }),
            b'P' | b'X' | b'^' | b'_' => self.begin(State::Text { is_osc: false }),
            // The end of a text that we saw no beginning of.
            b'\\' => self.begin(State::Ground),
            _ => self.ground(byte, true, out),
        }
    }

    /// Handles a control within any sequence but a text; `true` if it was one.
    fn breaks_off(&mut self, byte: u8) -> bool {
        match byte {
            ESC => self.begin(State::Escape),
            CANCEL | SUBSTITUTE => self.begin(State::Ground),
            _ => return false,
        }
        true
    }

    fn keep(&mut self, byte: u8) {
        if self.bytes.len() < SEQUENCE_BYTES_MAX {
            self.bytes.push(byte);
        }
    }

    fn ss3(&mut self, byte: u8, out: &mut impl FnMut(Input)) {
        if self.breaks_off(byte) {
            return;
        }
        match byte {
            b'0'..=b'9' | b';' => self.keep(byte),
            0x40..=0x7e => self.end(out, |bytes| sequences::ss3(bytes, byte)),
            _ => self.begin(State::Ground),
        }
    }

    fn csi(&mut self, byte: u8, broken: bool, out: &mut impl FnMut(Input)) {
        if self.breaks_off(byte) {
            return;
        }
        let is_full = self.bytes.len() == SEQUENCE_BYTES_MAX;
        match byte {
            // rxvt ends a key with Shift so; everybody else has more parameters before it, and a final byte behind it.
            b'$' if !broken && sequences::is_number(&self.bytes) => {
                self.end(out, |bytes| sequences::csi(bytes, byte));
            }
            b' '..=b'?' if !is_full => self.bytes.push(byte),
            b'[' if self.bytes.is_empty() && !broken => self.begin(State::Console),
            b'M' if self.bytes.is_empty() && !broken => self.begin(State::OldMouse),
            0x40..=0x7e if broken || is_full => self.begin(State::Ground),
            b'~' if self.bytes == b"200" => self.begin(State::Paste { seen: 0 }),
            0x40..=0x7e => self.end(out, |bytes| sequences::csi(bytes, byte)),
            _ => self.state = State::Csi { broken: true },
        }
    }

    fn console(&mut self, byte: u8, out: &mut impl FnMut(Input)) {
        if !self.breaks_off(byte) {
            self.end(out, |_| sequences::console(byte));
        }
    }

    fn old_mouse(&mut self, byte: u8, out: &mut impl FnMut(Input)) {
        self.bytes.push(byte);
        if self.bytes.len() == 3 {
            self.end(out, sequences::old_mouse);
        }
    }

    fn text(&mut self, byte: u8, is_osc: bool, out: &mut impl FnMut(Input)) {
        match byte {
            ESC => self.state = State::TextEscape { is_osc },
            CANCEL | SUBSTITUTE => self.begin(State::Ground),
            BELL if is_osc => self.end(out, sequences::osc),
            0x9c if std::str::from_utf8(&self.bytes).is_ok() => self.end_text(is_osc, out),
            _ => self.keep(byte),
        }
    }

    fn text_escape(&mut self, byte: u8, is_osc: bool, out: &mut impl FnMut(Input)) {
        if byte == b'\\' {
            return self.end_text(is_osc, out);
        }
        // The text was broken off, and something else begins.
        self.begin(State::Escape);
        if byte != ESC {
            self.escape(byte, out);
        }
    }

    fn end_text(&mut self, is_osc: bool, out: &mut impl FnMut(Input)) {
        self.end(out, |bytes| is_osc.then(|| sequences::osc(bytes)).flatten());
    }

    fn end(&mut self, out: &mut impl FnMut(Input), meaning: impl FnOnce(&[u8]) -> Option<Input>) {
        let meaning = meaning(&self.bytes);
        self.begin(State::Ground);
        meaning.into_iter().for_each(out);
    }

    fn paste(&mut self, byte: u8, seen: usize, out: &mut impl FnMut(Input)) {
        let seen = if PASTE_END.get(seen) == Some(&byte) {
            seen + 1
        } else {
            // Only its first byte is an Esc: what looked like the end was text, and at most this byte begins it again.
            self.keep_pasted(&PASTE_END[..seen]);
            if byte == ESC {
                1
            } else {
                self.keep_pasted(&[byte]);
                0
            }
        };
        self.state = State::Paste { seen };
        if seen == PASTE_END.len() {
            self.end_paste(out);
        }
    }

    fn keep_pasted(&mut self, bytes: &[u8]) {
        if self.bytes.len() + bytes.len() <= PASTE_BYTES_MAX {
            self.bytes.extend_from_slice(bytes);
        }
    }

    fn end_paste(&mut self, out: &mut impl FnMut(Input)) {
        let text = String::from_utf8_lossy(&self.bytes).into_owned();
        self.begin(State::Ground);
        // It may have been long; what comes next is not.
        self.bytes.shrink_to(SEQUENCE_BYTES_MAX);
        out(Input::Paste(text));
    }
}

/// Returns whether bytes behind a paste that paused are its rest: fingers type less at once, or keys that begin with an Esc.
fn is_rest_of_paste(bytes: &[u8]) -> bool {
    let has_end = bytes.windows(PASTE_END.len()).any(|window| window == PASTE_END);
    has_end || bytes.len() > TYPED_BYTES_MAX && bytes[0] != ESC
}

const fn key(code: KeyCode) -> Input {
    Input::Key(KeyEvent::new(code, KeyModifiers::NONE))
}
