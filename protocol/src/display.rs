//! Names and other foreign bytes, made safe for a terminal, a log or an error message. Everything that this project
//! prints of somebody else's bytes goes through [`DisplayName`].

use std::fmt::{self, Write};

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::limits::TEXT_BYTES_MAX;

/// Shows bytes as text with everything escaped that could move a cursor, or hide, reorder or imitate text: C0 and C1
/// controls and DEL (`\x1b`), bytes that are not UTF-8 (`\xff`), and as `\u{202e}` bidi marks, zero-width and other
/// invisible characters, separators and blanks other than the space and the ideographic space, private use, and what is not
/// assigned. Not reversible: a backslash of the name itself stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DisplayName<'a>(&'a [u8]);

impl<'a> DisplayName<'a> {
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for DisplayName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                if c.is_control() {
                    write!(f, "\\x{:02x}", c as u32)?;
                } else if is_visible(c) {
                    f.write_char(c)?;
                } else {
                    write!(f, "\\u{{{:x}}}", c as u32)?;
                }
            }
            chunk.invalid().iter().try_for_each(|byte| write!(f, "\\x{byte:02x}"))?;
        }
        Ok(())
    }
}

/// A text that a peer said, at most `MAX` bytes. It prints escaped, in every way to print it, and has no other text: its bytes are there to
/// be compared and kept.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct PeerText<const MAX: usize = TEXT_BYTES_MAX>(String);

impl<const MAX: usize> PeerText<MAX> {
    pub const EMPTY: Self = Self(String::new());

    /// `text` cut to the limit.
    pub fn new(text: &str) -> Self {
        Self(text[..text.floor_char_boundary(MAX)].to_owned())
    }

    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub const fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl<const MAX: usize> From<&str> for PeerText<MAX> {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl<const MAX: usize> From<String> for PeerText<MAX> {
    fn from(mut text: String) -> Self {
        text.truncate(text.floor_char_boundary(MAX));
        Self(text)
    }
}

impl<const MAX: usize> PartialEq<str> for PeerText<MAX> {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl<const MAX: usize> PartialEq<&str> for PeerText<MAX> {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

/// Escaped.
impl<const MAX: usize> fmt::Display for PeerText<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&DisplayName::new(self.as_bytes()), f)
    }
}

/// Escaped, in quotes.
impl<const MAX: usize> fmt::Debug for PeerText<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl<const MAX: usize> Serialize for PeerText<MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for PeerText<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text<const MAX: usize>;

        impl<const MAX: usize> Visitor<'_> for Text<MAX> {
            type Value = PeerText<MAX>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a text of at most {MAX} bytes")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<PeerText<MAX>, E> {
                if text.len() > MAX {
                    return Err(E::invalid_length(text.len(), &self));
                }
                Ok(PeerText(text.to_owned()))
            }
        }

        deserializer.deserialize_str(Text::<MAX>)
    }
}

/// Whether a character has a shape of its own and a known meaning.
fn is_visible(c: char) -> bool {
    c.is_ascii() || c == '\u{3000}' || (is_printable(c) && !is_blank_letter(c))
}

/// Whether the standard library's tables know the character as one to print: not a format character (bidi marks,
/// zero-width joiners, tags, U+FEFF), a separator, private use, a noncharacter, or unassigned.
fn is_printable(c: char) -> bool {
    // Asked behind a letter, where a combining mark, which is fine, is printable too.
    let mut text = [b'a'; 5];
    let len = 1 + c.encode_utf8(&mut text[1..]).len();
    std::str::from_utf8(&text[..len]).is_ok_and(|text| text.escape_debug().count() == 2)
}

/// Letters, marks and symbols that show nothing: fillers, the braille blank, joiners, variation selectors.
const fn is_blank_letter(c: char) -> bool {
    matches!(c,
        '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{2800}'
        | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{e0100}'..='\u{e01ef}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(bytes: &[u8]) -> String {
        DisplayName::new(bytes).to_string()
    }

    #[test]
    fn what_could_deceive_is_escaped() {
        let cases: &[(&[u8], &str)] = &[
            (b"\x1b]52;c;\x07", r"\x1b]52;c;\x07"),
            (b"a\nb\tc\rd\x00", r"a\x0ab\x09c\x0dd\x00"),
            (b"\x7f", r"\x7f"),
            ("\u{80}\u{9b}31m\u{9f}".as_bytes(), r"\x80\x9b31m\x9f"),
            (b"\xff\xc3(\xed\xa0\x80", r"\xff\xc3(\xed\xa0\x80"),
            (b"cut \xf0\x9f\x98", r"cut \xf0\x9f\x98"),
        ];
        for (bytes, expected) in cases {
            assert_eq!(shown(bytes), *expected);
        }
        let invisible = [
            0xa0, 0xad, 0x34f, 0x600, 0x61c, 0x115f, 0x1160, 0x180e, 0x200b, 0x200c, 0x200d, 0x200e, 0x200f,
            0x2028, 0x2029, 0x202a, 0x202b, 0x202c, 0x202d, 0x202e, 0x202f, 0x2060, 0x2066, 0x2067, 0x2068,
            0x2069, 0x206f, 0x2800, 0x3164, 0xe000, 0xf8ff, 0xfdd0, 0xfe0f, 0xfeff, 0xffa0, 0xfff9, 0xfffe,
            0xffff, 0x1d173, 0x1fffe, 0xe0001, 0xe0041, 0xe0100, 0xf_0000, 0x10_ffff,
        ];
        for code in invisible {
            let c = char::from_u32(code).unwrap();
            assert_eq!(shown(format!("a{c}b").as_bytes()), format!("a\\u{{{code:x}}}b"));
        }
    }

    #[test]
    fn f73_a_peers_text_has_no_way_to_be_printed_raw() {
        let said = "\u{1b}]52;c;aGk=\u{7}\u{202e}\n";
        let text = PeerText::<64>::new(said);
        for printed in [format!("{text}"), format!("{text:?}"), format!("{text:#?}"), format!("{text:>80}")] {
            assert!(!printed.contains(['\u{1b}', '\u{7}', '\u{202e}', '\n']), "{printed:?}");
            assert!(printed.contains(r"\x1b]52;c;aGk=\x07\u{202e}\x0a"), "{printed}");
        }
        assert_eq!(text, said);
        assert_eq!(PeerText::<4>::new("123é").as_bytes(), b"123");
        assert_eq!(PeerText::<4>::from("123é".to_owned()), "123");
    }

    #[test]
    fn what_is_not_assigned_is_escaped() {
        for code in [0x378, 0x530, 0x2fe0, 0x1_0fff, 0x4_0000, 0xd_ffff] {
            let c = char::from_u32(code).unwrap();
            assert_eq!(shown(c.to_string().as_bytes()), format!("\\u{{{code:x}}}"));
        }
    }

    #[test]
    fn what_people_write_is_shown_as_it_is() {
        let names = [
            "read me.txt",
            r#"it's "so" \x1b"#,
            "-rf",
            "日本　語",
            "Ελληνικά",
            "עברית",
            "العربية",
            "हिन्दी",
            "한국어",
            "e\u{301}",
            "\u{301}",
            "🦀🎉",
            "½ ≠ ☃",
            "\u{fffd}",
        ];
        for name in names {
            assert_eq!(shown(name.as_bytes()), name);
        }
    }

    #[test]
    fn nothing_shown_contains_a_control_character() {
        for c in (0..=0x10_ffff).filter_map(char::from_u32) {
            let text = shown(c.to_string().as_bytes());
            assert!(!text.is_empty() && !text.chars().any(char::is_control), "U+{:04X}", c as u32);
        }
    }
}
