//! A typed line as words: blanks part them; quotes and backslashes keep them together, as in a shell, and nothing else
//! has a meaning.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

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
    let mut words = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut quote = None;
    let mut bytes = line.iter().copied();
    while let Some(byte) = bytes.next() {
        match (byte, quote) {
            (b'\\', None | Some(b'"')) => {
                let next = bytes.next().ok_or(WordsError::OpenBackslash)?;
                let word = word.get_or_insert_default();
                match (next, hex_pair(bytes.clone())) {
                    (b'x', Some(value)) => {
                        bytes.nth(1);
                        word.push(value);
                    }
                    _ => word.push(next),
                }
            }
            (_, Some(open)) if byte == open => quote = None,
            (b'\'' | b'"', None) => {
                quote = Some(byte);
                word.get_or_insert_default();
            }
            (b' ' | b'\t' | b'\r' | b'\n', None) => words.extend(word.take()),
            _ => word.get_or_insert_default().push(byte),
        }
    }
    if quote.is_some() {
        return Err(WordsError::OpenQuote);
    }
    words.extend(word);
    Ok(words.into_iter().map(OsString::from_vec).collect())
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
}
