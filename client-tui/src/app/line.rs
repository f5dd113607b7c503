//! One line of text being typed, with the keys of readline.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use unicode_segmentation::UnicodeSegmentation;

/// Text and a cursor in it, at a boundary between graphemes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line {
    pub text: String,
    /// Bytes before the cursor.
    pub cursor: usize,
    /// All of it is an offer: what is typed takes its place.
    pub is_selected: bool,
    /// The text that was cut last, for Ctrl-y.
    killed: String,
}

impl Line {
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { cursor: text.len(), text, ..Self::default() }
    }

    /// A text that is offered: selected, so that typing replaces it.
    pub fn offered(text: impl Into<String>) -> Self {
        let line = Self::new(text);
        Self { is_selected: !line.text.is_empty(), ..line }
    }

    pub fn insert(&mut self, text: &str) {
        let text: String = text.chars().filter(|c| !c.is_control()).collect();
        if text.is_empty() {
            return;
        }
        self.take_offer();
        self.text.insert_str(self.cursor, &text);
        self.cursor += text.len();
    }

    /// Pastes: line ends and tabs within it become blanks.
    pub fn paste(&mut self, text: &str) {
        let parts: Vec<&str> =
            text.split(['\n', '\r', '\t']).filter(|part| !part.trim().is_empty()).collect();
        match parts.as_slice() {
            [only] => self.insert(only),
            parts => self.insert(&parts.join(" ")),
        }
    }

    /// Whether the key meant something here.
    pub fn key(&mut self, key: KeyEvent) -> bool {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        let alt = key.modifiers.contains(KeyModifiers::ALT);
        let is_known = if control {
            self.control(key.code)
        } else if alt {
            self.alt(key.code)
        } else {
            self.plain(key.code)
        };
        // Moving the cursor deselects the offered text.
        self.is_selected &= !is_known;
        is_known
    }

    fn control(&mut self, code: KeyCode) -> bool {
        match code {
            KeyCode::Char('a') => self.cursor = 0,
            KeyCode::Char('e') => self.cursor = self.text.len(),
            KeyCode::Char('u') => self.kill(0, self.cursor),
            KeyCode::Char('k') => self.kill(self.cursor, self.text.len()),
            KeyCode::Char('w') => {
                let kept = self.text[..self.cursor].trim_end();
                let start = kept.rfind([' ', '/']).map_or(0, |at| at + 1);
                self.kill(start, self.cursor);
            }
            KeyCode::Char('y') => {
                let killed = self.killed.clone();
                self.insert(&killed);
            }
            KeyCode::Left => self.cursor = self.word_before(),
            KeyCode::Right => self.cursor = self.word_after(),
            _ => return false,
        }
        true
    }

    fn alt(&mut self, code: KeyCode) -> bool {
        match code {
            KeyCode::Char('b') | KeyCode::Left => self.cursor = self.word_before(),
            KeyCode::Char('f') | KeyCode::Right => self.cursor = self.word_after(),
            KeyCode::Char('d') => self.kill(self.cursor, self.word_after()),
            KeyCode::Backspace => self.kill(self.word_before(), self.cursor),
            _ => return false,
        }
        true
    }

    fn plain(&mut self, code: KeyCode) -> bool {
        match code {
            KeyCode::Char(c) => self.insert(c.encode_utf8(&mut [0; 4])),
            KeyCode::Left if self.is_selected => self.cursor = 0,
            KeyCode::Left => self.cursor = self.before(),
            KeyCode::Right => self.cursor = self.after(),
            KeyCode::Home => self.cursor = 0,
            KeyCode::End => self.cursor = self.text.len(),
            KeyCode::Backspace | KeyCode::Delete if self.take_offer() => {}
            KeyCode::Backspace => {
                let start = self.before();
                self.text.drain(start..self.cursor);
                self.cursor = start;
            }
            KeyCode::Delete => {
                let end = self.after();
                self.text.drain(self.cursor..end);
            }
            _ => return false,
        }
        true
    }

    /// An offer goes. Whether there was one.
    fn take_offer(&mut self) -> bool {
        let is_selected = std::mem::take(&mut self.is_selected);
        if is_selected {
            self.kill(0, self.text.len());
        }
        is_selected
    }

    fn kill(&mut self, start: usize, end: usize) {
        if start < end {
            self.killed = self.text.drain(start..end).collect();
            self.cursor = start;
        }
    }

    fn before(&self) -> usize {
        self.text[..self.cursor].grapheme_indices(true).next_back().map_or(0, |(at, _)| at)
    }

    fn after(&self) -> usize {
        self.cursor + self.text[self.cursor..].graphemes(true).next().map_or(0, str::len)
    }

    /// Where the word before the cursor begins.
    fn word_before(&self) -> usize {
        let words = self.text[..self.cursor].split_word_bound_indices();
        words.rev().find(|(_, word)| is_word(word)).map_or(0, |(at, _)| at)
    }

    /// Where the word at the cursor, or behind it, ends.
    fn word_after(&self) -> usize {
        let mut words = self.text[self.cursor..].split_word_bound_indices();
        words
            .find(|(_, word)| is_word(word))
            .map_or(self.text.len(), |(at, word)| self.cursor + at + word.len())
    }
}

fn is_word(text: &str) -> bool {
    text.chars().any(char::is_alphanumeric)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(line: &mut Line, keys: &[(KeyCode, KeyModifiers)]) {
        for (code, modifiers) in keys {
            assert!(line.key(KeyEvent::new(*code, *modifiers)), "{code:?}");
        }
    }

    #[test]
    fn words_are_moved_over_cut_and_put_back() {
        let (alt, control) = (KeyModifiers::ALT, KeyModifiers::CONTROL);
        let mut line = Line::new("one two/three");
        press(&mut line, &[(KeyCode::Char('b'), alt)]);
        assert_eq!(line.cursor, 8);
        press(&mut line, &[(KeyCode::Char('b'), alt), (KeyCode::Char('d'), alt)]);
        assert_eq!((line.text.as_str(), line.cursor), ("one /three", 4));
        press(&mut line, &[(KeyCode::Char('f'), alt), (KeyCode::Char('y'), control)]);
        assert_eq!(line.text, "one /threetwo");
        press(&mut line, &[(KeyCode::Char('a'), control), (KeyCode::Char('k'), control)]);
        press(&mut line, &[(KeyCode::Char('y'), control), (KeyCode::Backspace, alt)]);
        assert_eq!(line.text, "one /");
        // A letter with Alt is no letter.
        assert!(!line.key(KeyEvent::new(KeyCode::Char('x'), alt)));
        assert_eq!(line.text, "one /");
    }

    #[test]
    fn an_offer_is_replaced_by_what_is_typed_and_kept_by_whoever_moves_in_it() {
        let none = KeyModifiers::NONE;
        let mut line = Line::offered("*");
        press(&mut line, &[(KeyCode::Char('I'), none), (KeyCode::Char('*'), none)]);
        assert_eq!((line.text.as_str(), line.is_selected), ("I*", false));
        let mut line = Line::offered("name");
        press(&mut line, &[(KeyCode::End, none), (KeyCode::Char('2'), none)]);
        assert_eq!(line.text, "name2");
        let mut line = Line::offered("name");
        press(&mut line, &[(KeyCode::Backspace, none)]);
        assert_eq!(line.text, "");
        let mut line = Line::offered("name");
        press(&mut line, &[(KeyCode::Char('x'), none), (KeyCode::Char('y'), KeyModifiers::CONTROL)]);
        assert_eq!(line.text, "xname", "what was replaced is not lost");
    }

    #[test]
    fn line_ends_in_what_is_pasted_glue_nothing_together() {
        for (pasted, text) in
            [("one\ntwo", "one two"), ("new.txt\r\n", "new.txt"), ("a\tb", "a b"), ("\n", "")]
        {
            let mut line = Line::default();
            line.paste(pasted);
            assert_eq!(line.text, text, "{pasted:?}");
        }
    }
}
