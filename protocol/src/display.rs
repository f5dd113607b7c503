//! Names and other foreign bytes, made safe for a terminal, a log or an error message. Everything that this project
//! prints of somebody else's bytes goes through [`DisplayName`].

use std::fmt::{self, Write};

/// Shows bytes as text with everything escaped that could move a cursor, hide or reorder text, or make two names look
/// alike: C0 and C1 controls and DEL (`\x1b`), bytes that are not UTF-8 (`\xff`), bidi marks, zero-width and other
/// invisible characters, line and paragraph separators, private use and noncharacters (`\u{202e}`).
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
                if (c as u32) < 0x100 && c.is_control() {
                    write!(f, "\\x{:02x}", c as u32)?;
                } else if is_invisible(c) {
                    write!(f, "\\u{{{:x}}}", c as u32)?;
                } else {
                    f.write_char(c)?;
                }
            }
            chunk.invalid().iter().try_for_each(|byte| write!(f, "\\x{byte:02x}"))?;
        }
        Ok(())
    }
}

/// Whether a character has no shape of its own, or changes the place of others.
const fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}' | '\u{e000}'..='\u{f8ff}'
        | '\u{fdd0}'..='\u{fdef}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{10ffff}')
}
