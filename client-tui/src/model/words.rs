//! A typed line as words: blanks part them; quotes and backslashes keep them together, as in a shell, and nothing else
//! has a meaning.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use towpath_protocol::display::DisplayName;

/// Why a line could not be taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WordsError {
    #[error("a quote is not closed")]
    OpenQuote,
    #[error("a backslash at the end of the line")]
    OpenBackslash,
}

/// The words of `line`. `\xNN` is the byte NN, so that every name that is shown can be typed.
pub fn split(line: &[u8]) -> Result<Vec<OsString>, WordsError> {
    match take_apart(line) {
        (_, End::Open(error)) => Err(error),
        (words, _) => Ok(words.into_iter().map(|(_, word)| OsString::from_vec(word)).collect()),
    }
}

/// The words of a line that may not be complete, each with the byte that it begins at. A last, empty one stands for the word that is
/// about to be typed.
pub fn split_unfinished(line: &[u8]) -> Vec<(usize, Vec<u8>)> {
    let (mut words, end) = take_apart(line);
    if end == End::BetweenWords {
        words.push((line.len(), Vec::new()));
    }
    words
}

/// A name as one word: [`split`] gives it back.
pub fn quote(name: &[u8]) -> String {
    let mut text = String::new();
    for chunk in name.utf8_chunks() {
        for c in chunk.valid().chars() {
            if matches!(c, ' ' | '\'' | '"' | '\\') {
                text.push('\\');
                text.push(c);
            } else {
                push_visible(c, &mut text);
            }
        }
        push_bytes(chunk.invalid(), &mut text);
    }
    text
}

/// A path to be edited: what cannot be seen is `\xNN`, a backslash is doubled. [`unescaped`] gives it back.
pub fn escaped(path: &[u8]) -> String {
    let mut text = String::new();
    for chunk in path.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c == '\\' { text.push_str("\\\\") } else { push_visible(c, &mut text) }
        }
        push_bytes(chunk.invalid(), &mut text);
    }
    text
}

/// What a typed path means: `\xNN` is the byte NN, `\\` a backslash, everything else itself.
pub fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes().iter().copied();
    while let Some(byte) = rest.next() {
        let mut ahead = rest.clone();
        match (byte, ahead.next()) {
            (b'\\', Some(b'\\')) => {
                rest.next();
                bytes.push(b'\\');
            }
            (b'\\', Some(b'x')) if hex_pair(ahead.clone()).is_some() => {
                bytes.extend(hex_pair(ahead));
                rest.nth(2);
            }
            _ => bytes.push(byte),
        }
    }
    bytes
}

/// A character that a terminal shows as itself, or its bytes.
fn push_visible(c: char, text: &mut String) {
    let mut bytes = [0; 4];
    let bytes = c.encode_utf8(&mut bytes).as_bytes();
    if DisplayName::new(bytes).to_string().starts_with(c) {
        text.push(c);
    } else {
        push_bytes(bytes, text);
    }
}

fn push_bytes(bytes: &[u8], text: &mut String) {
    text.extend(bytes.iter().map(|byte| format!("\\x{byte:02x}")));
}

const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// How a line ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    BetweenWords,
    InWord,
    Open(WordsError),
}

/// The words, each with the byte that it begins at.
fn take_apart(line: &[u8]) -> (Vec<(usize, Vec<u8>)>, End) {
    let mut words = Vec::new();
    let mut word: Option<(usize, Vec<u8>)> = None;
    let mut quote = None;
    let mut bytes = line.iter().copied().enumerate();
    while let Some((at, byte)) = bytes.next() {
        if is_blank(byte) && quote.is_none() {
            words.extend(word.take());
            continue;
        }
        let (_, text) = word.get_or_insert((at, Vec::new()));
        match (byte, quote) {
            (b'\\', None | Some(b'"')) => {
                let Some((_, next)) = bytes.next() else {
                    words.extend(word);
                    return (words, End::Open(WordsError::OpenBackslash));
                };
                match (next, hex_pair(bytes.clone().map(|(_, byte)| byte))) {
                    (b'x', Some(value)) => {
                        bytes.nth(1);
                        text.push(value);
                    }
                    _ => text.push(next),
                }
            }
            (_, Some(open)) if byte == open => quote = None,
            (b'\'' | b'"', None) => quote = Some(byte),
            _ => text.push(byte),
        }
    }
    let end = match (quote, &word) {
        (Some(_), _) => End::Open(WordsError::OpenQuote),
        (None, Some(_)) => End::InWord,
        (None, None) => End::BetweenWords,
    };
    words.extend(word);
    (words, end)
}

fn hex_pair(mut bytes: impl Iterator<Item = u8>) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let (high, low) = (digit(bytes.next()?)?, digit(bytes.next()?)?);
    Some((high * 16 + low) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_part_as_in_a_shell() {
        let table: [(&str, &[&[u8]]); 9] = [
            ("", &[]),
            ("  ls  a.txt ", &[b"ls", b"a.txt"]),
            ("rm 'two words' x", &[b"rm", b"two words", b"x"]),
            (r#"rm "a \"b\"" c\ d"#, &[b"rm", b"a \"b\"", b"c d"]),
            ("rm ''", &[b"rm", b""]),
            (r"rm caf\xe9", &[b"rm", b"caf\xe9"]),
            (r"rm \xzz", &[b"rm", b"xzz"]),
            (r"rm 'a\xe9'", &[b"rm", br"a\xe9"]),
            ("rm a'b'c", &[b"rm", b"abc"]),
        ];
        for (line, expected) in table {
            let words: Vec<_> =
                split(line.as_bytes()).unwrap().into_iter().map(OsStringExt::into_vec).collect();
            assert_eq!(words, expected, "{line}");
        }
        assert_eq!(split(b"rm 'a"), Err(WordsError::OpenQuote));
        assert_eq!(split(b"rm a\\"), Err(WordsError::OpenBackslash));
    }

    #[test]
    fn a_quoted_name_is_one_word_again() {
        let names: [&[u8]; 8] = [
            b"a",
            b"two words",
            b"it's",
            b"a\\x41",
            b"\xff\xfe",
            b"\x1b[31m",
            "caf\u{e9} \u{202e}".as_bytes(),
            b" ",
        ];
        for name in names {
            let words: Vec<_> =
                split(quote(name).as_bytes()).unwrap().into_iter().map(OsStringExt::into_vec).collect();
            assert_eq!(words, [name], "{}", quote(name));
            assert_eq!(unescaped(&escaped(name)), name, "{}", escaped(name));
        }
    }

    #[test]
    fn a_line_that_is_being_typed_has_a_last_word() {
        type Words<'a> = &'a [(usize, &'a [u8])];
        let table: [(&str, Words<'_>); 7] = [
            ("", &[(0, b"")]),
            ("rm", &[(0, b"rm")]),
            ("rm ", &[(0, b"rm"), (3, b"")]),
            ("rm  a\\ b", &[(0, b"rm"), (4, b"a b")]),
            ("rm a\\ ", &[(0, b"rm"), (3, b"a ")]),
            ("rm 'two w", &[(0, b"rm"), (3, b"two w")]),
            ("rm 'two ", &[(0, b"rm"), (3, b"two ")]),
        ];
        for (line, expected) in table {
            let words = split_unfinished(line.as_bytes());
            let words: Vec<(usize, &[u8])> =
                words.iter().map(|(start, word)| (*start, word.as_slice())).collect();
            assert_eq!(words, expected, "{line}");
        }
    }
}
