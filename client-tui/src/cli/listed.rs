//! The names of `--files-from`.

use std::ffi::OsStr;
use std::io::Read;
use std::path::Path;

use towpath_protocol::display::DisplayName;
use towpath_protocol::path::WirePath;

use super::exit::Failure;
use crate::transfer::listed::Listed;

/// Bytes of a list of names, at most.
const LIST_BYTES_MAX: u64 = 64 << 20;

/// Reads a list of names from a file, or from standard input where that is `-`.
#[allow(clippy::disallowed_methods, reason = "a file that is named on this command line")]
pub(super) fn read(path: &Path) -> Result<Listed, Failure> {
    let shown = DisplayName::new(path.as_os_str().as_encoded_bytes()).to_string();
    let failed = |why: &str| Failure::usage(format!("--files-from {shown}: {why}"));
    let mut content = Vec::new();
    let read = if path.as_os_str() == OsStr::new("-") {
        std::io::stdin().lock().take(LIST_BYTES_MAX + 1).read_to_end(&mut content)
    } else {
        let opened = std::fs::File::open(path);
        opened.and_then(|file| file.take(LIST_BYTES_MAX + 1).read_to_end(&mut content))
    };
    read.map_err(|error| failed(&error.to_string()))?;
    if content.len() as u64 > LIST_BYTES_MAX {
        return Err(failed("is larger than 64 MiB"));
    }
    let names = names_in(&content).map(|(number, name)| {
        parsed(name).map_err(|why| {
            Failure::usage(format!("--files-from {shown}:{number}: {}: {why}", DisplayName::new(name)))
        })
    });
    Ok(Listed::new(names.collect::<Result<Vec<_>, _>>()?))
}

/// The names of a list with their numbers, from 1 on: what stands between NUL bytes, if there is one, else lines. Empty ones are passed
/// over.
fn names_in(content: &[u8]) -> Box<dyn Iterator<Item = (usize, &[u8])> + '_> {
    if content.contains(&0) {
        let names = (1..).zip(content.split(|byte| *byte == 0));
        return Box::new(names.filter(|(_, name)| !name.is_empty()));
    }
    let lines = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content).split(|byte| *byte == b'\n');
    let names = (1..).zip(lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line)));
    Box::new(names.filter(|(_, name)| !name.is_empty()))
}

fn parsed(name: &[u8]) -> Result<WirePath, String> {
    if name.starts_with(b"/") {
        return Err("an absolute name; write names relative to SOURCE".to_owned());
    }
    if name.split(|byte| *byte == b'/').any(|part| part == b"..") {
        return Err("names with .. lead out of SOURCE".to_owned());
    }
    WirePath::parse(name).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_lines_or_if_there_is_a_nul_byte_pieces_as_they_are() {
        let names = |content| names_in(content).collect::<Vec<_>>();
        assert_eq!(
            names(b"\xef\xbb\xbfa b \r\n\n# no comment\nlast"),
            [(1, &b"a b "[..]), (3, b"# no comment"), (4, b"last")]
        );
        assert_eq!(names(b"a\nb\0\0c\r\0"), [(1, &b"a\nb"[..]), (3, b"c\r")]);
        assert_eq!(names(b""), []);
    }

    #[test]
    fn names_stay_within_source() {
        let bytes = |name: &[u8]| parsed(name).map(|path| path.to_bytes());
        assert_eq!(bytes(b"./a//b/").unwrap(), b"a/b");
        assert_eq!(bytes(b".").unwrap(), b"");
        assert_eq!(bytes(b"a/..b/\xff").unwrap(), b"a/..b/\xff");
        for (name, why) in [(&b"/a"[..], "absolute"), (b"/", "absolute"), (b"a/../b", ".."), (b"..", "..")] {
            assert!(parsed(name).unwrap_err().contains(why));
        }
        assert!(parsed(&[b'x'; 300]).is_err());
    }
}
