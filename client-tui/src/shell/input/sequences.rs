//! Complete sequences to their meaning. `None` if a sequence means nothing to us.

use crossterm::event::{
    KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
};

use super::Input;
use crate::config::Background;

/// Modifiers as terminals add them up, one less than the number they send.
const SHIFT: u32 = 1;
const ALT: u32 = 2;
const CONTROL: u32 = 4;
/// Super, Hyper and Meta: what is typed with them is for the window manager, never for us.
const FOREIGN: u32 = 8 | 16 | 32;

/// One byte of the lower half.
pub(super) fn single(byte: u8) -> KeyEvent {
    let control = |c: u8| KeyEvent::new(KeyCode::Char(char::from(c)), KeyModifiers::CONTROL);
    match byte {
        b'\r' => plain(KeyCode::Enter),
        b'\t' => plain(KeyCode::Tab),
        // Which of the two Backspace sends is the terminal's choice, and `stty erase` often does not know it.
        0x08 | 0x7f => plain(KeyCode::Backspace),
        0 => control(b' '),
        0x1b => plain(KeyCode::Esc),
        0x01..=0x1a => control(byte - 1 + b'a'),
        0x1c..=0x1f => control(byte - 0x1c + b'4'),
        _ => typed(char::from(byte)),
    }
}

/// A character as it was typed; capital letters come with Shift.
pub(super) fn typed(c: char) -> KeyEvent {
    let shift = if c.is_uppercase() { KeyModifiers::SHIFT } else { KeyModifiers::NONE };
    KeyEvent::new(KeyCode::Char(c), shift)
}

const fn plain(code: KeyCode) -> KeyEvent {
    KeyEvent::new(code, KeyModifiers::NONE)
}

const fn key(code: KeyCode, modifiers: KeyModifiers) -> Input {
    Input::Key(KeyEvent::new(code, modifiers))
}

pub(super) fn is_number(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(u8::is_ascii_digit)
}

/// Behind `ESC O`: function keys, and the keypad if another program left it in application mode.
pub(super) fn ss3(parameters: &[u8], last: u8) -> Option<Input> {
    let held = modifiers(Numbers::of(parameters).last(0));
    let code = match last {
        b'p'..=b'y' => KeyCode::Char(char::from(last - b'p' + b'0')),
        b'j'..=b'o' => KeyCode::Char(char::from(last - b'j' + b'*')),
        b'X' => KeyCode::Char('='),
        b'M' => KeyCode::Enter,
        b'I' => KeyCode::Tab,
        b'a'..=b'd' => return Some(key(arrow(last.to_ascii_uppercase())?, KeyModifiers::CONTROL)),
        b'R' => KeyCode::F(3),
        _ => arrow(last)?,
    };
    Some(key(code, held?))
}

/// Behind `ESC [ [`.
pub(super) fn console(last: u8) -> Option<Input> {
    matches!(last, b'A'..=b'E').then(|| Input::Key(plain(KeyCode::F(last - b'A' + 1))))
}

fn arrow(last: u8) -> Option<KeyCode> {
    Some(match last {
        b'A' => KeyCode::Up,
        b'B' => KeyCode::Down,
        b'C' => KeyCode::Right,
        b'D' => KeyCode::Left,
        b'H' => KeyCode::Home,
        b'F' => KeyCode::End,
        b'P' => KeyCode::F(1),
        b'Q' => KeyCode::F(2),
        b'S' => KeyCode::F(4),
        _ => return None,
    })
}

/// Behind `ESC [`, with what stood before the final byte.
pub(super) fn csi(parameters: &[u8], last: u8) -> Option<Input> {
    if let Some(report) = parameters.strip_prefix(b"<") {
        return matches!(last, b'M' | b'm').then(|| mouse(report, 0, last == b'm')).flatten();
    }
    if parameters.starts_with(b"?") && last == b'c' {
        return Some(Input::Attributes);
    }
    // All else with a private mark or an intermediate byte answers a query to the terminal.
    if !parameters.iter().all(|byte| matches!(byte, b'0'..=b'9' | b';' | b':')) {
        return None;
    }
    let numbers = Numbers::of(parameters);
    Some(match last {
        b'I' | b'O' if parameters.is_empty() => Input::Focus(last == b'I'),
        b'Z' => key(KeyCode::BackTab, KeyModifiers::SHIFT),
        b'M' => return mouse(parameters, 32, false),
        b'~' if numbers.at(0) == Some(27) => {
            return character(numbers.at(2)?, None, None, modifiers(numbers.at(1))?, numbers.kind());
        }
        b'~' => Input::Key(with_kind(function(numbers.at(0)?)?, modifiers(numbers.at(1))?, numbers.kind()?)),
        b'$' => key(function(numbers.at(0)?)?, KeyModifiers::SHIFT),
        b'^' => key(function(numbers.at(0)?)?, KeyModifiers::CONTROL),
        b'@' => key(function(numbers.at(0)?)?, KeyModifiers::CONTROL | KeyModifiers::SHIFT),
        b'u' => {
            let (shifted, latin) = (numbers.sub(0, 1), numbers.sub(0, 2));
            return character(numbers.at(0)?, shifted, latin, modifiers(numbers.at(1))?, numbers.kind());
        }
        b'a'..=b'd' if parameters.is_empty() => key(arrow(last.to_ascii_uppercase())?, KeyModifiers::SHIFT),
        // Cursor reports too, which are never requested: only the form of F3 with modifiers is a key.
        b'R' if numbers.at(0) == Some(1) && numbers.at(1).is_some_and(|held| (2..=16).contains(&held)) => {
            key(KeyCode::F(3), modifiers(numbers.at(1))?)
        }
        b'A'..=b'H' | b'P'..=b'S' if numbers.at(0).unwrap_or(1) == 1 => {
            Input::Key(with_kind(arrow(last)?, modifiers(numbers.last(1))?, numbers.kind()?))
        }
        _ => return None,
    })
}

const fn with_kind(code: KeyCode, modifiers: KeyModifiers, kind: KeyEventKind) -> KeyEvent {
    KeyEvent::new_with_kind(code, modifiers, kind)
}

fn function(number: u32) -> Option<KeyCode> {
    Some(match number {
        1 | 7 => KeyCode::Home,
        2 => KeyCode::Insert,
        3 => KeyCode::Delete,
        4 | 8 => KeyCode::End,
        5 => KeyCode::PageUp,
        6 => KeyCode::PageDown,
        11..=15 => KeyCode::F(number as u8 - 10),
        17..=21 => KeyCode::F(number as u8 - 11),
        23..=26 => KeyCode::F(number as u8 - 12),
        28 | 29 => KeyCode::F(number as u8 - 13),
        31..=34 => KeyCode::F(number as u8 - 14),
        _ => return None,
    })
}

/// A key by its character's number (`CSI u`, `modifyOtherKeys`): with what Shift makes of it, and what stands there on a Latin keyboard.
fn character(
    number: u32,
    shifted: Option<u32>,
    latin: Option<u32>,
    held: KeyModifiers,
    kind: Option<KeyEventKind>,
) -> Option<Input> {
    let kind = kind?;
    let code = match number {
        9 if held.contains(KeyModifiers::SHIFT) => KeyCode::BackTab,
        9 => KeyCode::Tab,
        13 | 57414 => KeyCode::Enter,
        27 => KeyCode::Esc,
        8 | 127 => KeyCode::Backspace,
        // The keypad in its own numbers.
        57399..=57408 => KeyCode::Char(char::from((number - 57399) as u8 + b'0')),
        57409 => KeyCode::Char('.'),
        57410 => KeyCode::Char('/'),
        57411 => KeyCode::Char('*'),
        57412 => KeyCode::Char('-'),
        57413 => KeyCode::Char('+'),
        57415 => KeyCode::Char('='),
        57417..=57426 => KEYPAD.get((number - 57417) as usize).copied()?,
        // Modifiers by themselves, keys of players, and what is still to be invented.
        0..=31 | 0x80..=0x9f | 0xe000..=0xf8ff => return None,
        _ => {
            let c = char::from_u32(number)?;
            return Some(Input::Key(KeyEvent { kind, ..letter(c, shifted, latin, held) }));
        }
    };
    Some(Input::Key(with_kind(code, held, kind)))
}

const KEYPAD: [KeyCode; 10] = [
    KeyCode::Left,
    KeyCode::Right,
    KeyCode::Up,
    KeyCode::Down,
    KeyCode::PageUp,
    KeyCode::PageDown,
    KeyCode::Home,
    KeyCode::End,
    KeyCode::Insert,
    KeyCode::Delete,
];

fn letter(c: char, shifted: Option<u32>, latin: Option<u32>, held: KeyModifiers) -> KeyEvent {
    let is_command = held.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT);
    let latin = latin.and_then(char::from_u32).filter(|latin| is_command && latin.is_ascii_graphic());
    let c = match (latin, shifted.and_then(char::from_u32)) {
        (Some(latin), _) => latin,
        (None, Some(shifted)) if held.contains(KeyModifiers::SHIFT) && !shifted.is_control() => shifted,
        _ if held.contains(KeyModifiers::SHIFT) => c.to_uppercase().next().unwrap_or(c),
        _ => c,
    };
    let event = typed(c);
    KeyEvent { modifiers: (held - KeyModifiers::SHIFT) | event.modifiers, ..event }
}

/// `None` if a modifier is held that makes the key none of ours.
fn modifiers(sent: Option<u32>) -> Option<KeyModifiers> {
    let bits = sent.unwrap_or(1).saturating_sub(1);
    let flag = |bit: u32, flag: KeyModifiers| if bits & bit == 0 { KeyModifiers::NONE } else { flag };
    (bits & FOREIGN == 0).then(|| {
        flag(SHIFT, KeyModifiers::SHIFT) | flag(ALT, KeyModifiers::ALT) | flag(CONTROL, KeyModifiers::CONTROL)
    })
}

/// The parameters of a sequence.
struct Numbers<'a>(&'a [u8]);

impl<'a> Numbers<'a> {
    const fn of(parameters: &'a [u8]) -> Self {
        Self(parameters)
    }

    fn at(&self, index: usize) -> Option<u32> {
        self.sub(index, 0)
    }

    fn sub(&self, index: usize, sub: usize) -> Option<u32> {
        let parameter = self.0.split(|byte| *byte == b';').nth(index)?;
        number(parameter.split(|byte| *byte == b':').nth(sub)?)
    }

    /// The last one, unless it stands before `from`.
    fn last(&self, from: usize) -> Option<u32> {
        let count = self.0.split(|byte| *byte == b';').count();
        (count > from).then(|| self.at(count - 1)).flatten()
    }

    /// Pressed, repeated or released; `None` if it is none of these.
    fn kind(&self) -> Option<KeyEventKind> {
        match self.sub(1, 1) {
            None | Some(1) => Some(KeyEventKind::Press),
            Some(2) => Some(KeyEventKind::Repeat),
            Some(3) => Some(KeyEventKind::Release),
            Some(_) => None,
        }
    }
}

fn number<N: std::str::FromStr>(text: &[u8]) -> Option<N> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// `button;column;row`, counted from 1. Terminals report what lies outside as 0 or less, or as more than a screen can have.
fn mouse(report: &[u8], button_base: u32, is_release: bool) -> Option<Input> {
    let mut parts = report.split(|byte| *byte == b';');
    let button = number::<u32>(parts.next()?)?.checked_sub(button_base)?;
    let column = number::<i64>(parts.next()?)?;
    let row = number::<i64>(parts.next()?)?;
    let at = |place: i64| place.saturating_sub(1).clamp(0, i64::from(u16::MAX)) as u16;
    mouse_event(button, at(column), at(row), is_release)
}

/// Three bytes, each 32 more than it says. 0 stands for what they have no room for.
pub(super) fn old_mouse(bytes: &[u8]) -> Option<Input> {
    let [button, column, row] = bytes.try_into().ok()?;
    let at = |byte: u8| byte.checked_sub(33).map(u16::from);
    mouse_event(u32::from(button.checked_sub(32)?), at(column)?, at(row)?, false)
}

fn mouse_event(button: u32, column: u16, row: u16, is_release: bool) -> Option<Input> {
    let number = button & 3 | (button & 0xc0) >> 4;
    let moves = button & 32 != 0;
    let which = match number {
        0 => MouseButton::Left,
        1 => MouseButton::Middle,
        _ => MouseButton::Right,
    };
    let kind = match (number, moves) {
        (0..=2, _) if is_release => MouseEventKind::Up(which),
        (0..=2, false) => MouseEventKind::Down(which),
        (0..=2, true) => MouseEventKind::Drag(which),
        // The old forms do not say which one.
        (3, false) => MouseEventKind::Up(MouseButton::Left),
        (3, true) => MouseEventKind::Moved,
        (4, false) => MouseEventKind::ScrollUp,
        (5, false) => MouseEventKind::ScrollDown,
        (6, false) => MouseEventKind::ScrollLeft,
        (7, false) => MouseEventKind::ScrollRight,
        _ => return None,
    };
    let held = (button & 4) >> 2 | (button & 8) >> 2 | (button & 16) >> 2;
    Some(Input::Mouse(MouseEvent { kind, column, row, modifiers: modifiers(Some(held + 1))? }))
}

/// The terminal's background, if that is what it tells (`11;rgb:1e1e/1e1e/2e2e`).
pub(super) fn osc(text: &[u8]) -> Option<Input> {
    let text = std::str::from_utf8(text).ok()?.strip_prefix("11;")?;
    let parts: Vec<f64> =
        if let Some(parts) = text.strip_prefix("rgb:").or_else(|| text.strip_prefix("rgba:")) {
            parts.split('/').map(share).collect::<Option<_>>()?
        } else {
            let digits = text.strip_prefix('#').filter(|text| text.is_ascii() && text.len() % 3 == 0)?;
            let each = digits.len() / 3;
            let parts = [0, 1, 2].into_iter().map(|at| share(digits.get(at * each..(at + 1) * each)?));
            parts.collect::<Option<_>>()?
        };
    let [red, green, blue, ..] = parts[..] else { return None };
    let brightness = 0.299 * red + 0.587 * green + 0.114 * blue;
    Some(Input::Background(if brightness > 0.5 { Background::Light } else { Background::Dark }))
}

/// One to four hexadecimal digits as a share of the most that so many can say.
fn share(digits: &str) -> Option<f64> {
    let is_one = (1..=4).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let value = is_one.then(|| u32::from_str_radix(digits, 16).ok()).flatten()?;
    Some(f64::from(value) / f64::from((1_u32 << (4 * digits.len())) - 1))
}
