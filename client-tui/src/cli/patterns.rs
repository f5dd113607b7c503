//! The patterns of `--exclude`, `--include` and `--exclude-from`, in the order of the command line.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::ArgMatches;
use towpath_protocol::display::DisplayName;

use super::exit::Failure;
use crate::transfer::excludes::{Excludes, Verdict};

/// Bytes of a file of patterns, at most.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// One of those options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PatternArg {
    Pattern(Verdict, String),
    ExcludeFrom(PathBuf),
}

/// A pattern, and where it stands.
#[derive(Debug, PartialEq, Eq)]
struct Given {
    verdict: Verdict,
    pattern: String,
    at: String,
}

/// Takes the options of one command in their order, which clap's own fields do not keep.
pub(super) fn in_order(matches: &ArgMatches) -> Vec<PatternArg> {
    let excludes = of_option(matches, "exclude", |text| PatternArg::Pattern(Verdict::Exclude, text));
    let includes = of_option(matches, "include", |text| PatternArg::Pattern(Verdict::Include, text));
    let files = of_option(matches, "exclude_from", PatternArg::ExcludeFrom);
    let mut all: Vec<_> = excludes.chain(includes).chain(files).collect();
    all.sort_by_key(|(index, _)| *index);
    all.into_iter().map(|(_, arg)| arg).collect()
}

fn of_option<'a, T: Clone + Send + Sync + 'static>(
    matches: &'a ArgMatches,
    id: &str,
    arg: impl Fn(T) -> PatternArg + 'a,
) -> impl Iterator<Item = (usize, PatternArg)> + 'a {
    let values = matches.get_many::<T>(id).into_iter().flatten().cloned();
    matches.indices_of(id).into_iter().flatten().zip(values.map(arg))
}

/// Reads the files of patterns. Fails if one cannot be read, and on a pattern that can match nothing.
pub(super) fn excludes(args: &[PatternArg]) -> Result<Excludes, Failure> {
    let mut all = Vec::new();
    for arg in args {
        match arg {
            PatternArg::Pattern(verdict, pattern) => {
                let option = if *verdict == Verdict::Exclude { "--exclude" } else { "--include" };
                let at = format!("{option} {}", DisplayName::new(pattern.as_bytes()));
                all.push(Given { verdict: *verdict, pattern: pattern.clone(), at });
            }
            PatternArg::ExcludeFrom(file) => all.extend(read(file)?),
        }
    }
    let patterns = all.iter().map(|given| (given.verdict, given.pattern.as_str()));
    Excludes::new(patterns).map_err(|(pattern, fault)| {
        let at = all.iter().find(|given| given.pattern == pattern).map_or("", |given| &given.at);
        Failure::usage(format!("{at}: {fault}"))
    })
}

#[allow(clippy::disallowed_methods, reason = "a file that is named on this command line")]
fn read(path: &Path) -> Result<Vec<Given>, Failure> {
    let shown = DisplayName::new(path.as_os_str().as_encoded_bytes()).to_string();
    let failed = |why: &str| Failure::usage(format!("--exclude-from {shown}: {why}"));
    let mut content = Vec::new();
    let opened = std::fs::File::open(path);
    let read = opened.and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut content));
    read.map_err(|error| failed(&error.to_string()))?;
    if content.len() as u64 > FILE_BYTES_MAX {
        return Err(failed("is larger than 1 MiB"));
    }
    let mut all = Vec::new();
    for (number, pattern) in patterns_in(&content) {
        let Ok(pattern) = std::str::from_utf8(&pattern).map(str::to_owned) else {
            return Err(failed(&format!("pattern {number} is not UTF-8")));
        };
        let at = format!("{shown}:{number}: {}", DisplayName::new(pattern.as_bytes()));
        all.push(Given { verdict: Verdict::Exclude, pattern, at });
    }
    Ok(all)
}

/// The patterns of a file with their numbers, from 1 on: lines as in `.gitignore`, with comments, or, if there is a NUL byte, what stands
/// between such bytes, as it is.
fn patterns_in(content: &[u8]) -> Vec<(usize, Vec<u8>)> {
    let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
    if content.contains(&0) {
        let pieces = (1..).zip(content.split(|byte| *byte == 0));
        return pieces
            .filter(|(_, piece)| !piece.is_empty())
            .map(|(at, piece)| (at, piece.to_vec()))
            .collect();
    }
    let lines = (1..).zip(content.split(|byte| *byte == b'\n'));
    let patterns =
        lines.map(|(number, line)| (number, without_blanks(line.strip_suffix(b"\r").unwrap_or(line))));
    patterns.filter(|(_, line)| !line.is_empty() && !line.starts_with(b"#")).collect()
}

/// Without the blanks at its end, but for one behind a backslash.
fn without_blanks(line: &[u8]) -> Vec<u8> {
    let kept = line.iter().rposition(|byte| *byte != b' ').map_or(0, |last| last + 1);
    let backslashes = line[..kept].iter().rev().take_while(|byte| **byte == b'\\').count();
    let is_escaped = kept < line.len() && !backslashes.is_multiple_of(2);
    line[..kept + usize::from(is_escaped)].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &[u8]) -> Vec<(usize, String)> {
        let patterns = patterns_in(content).into_iter();
        patterns.map(|(number, pattern)| (number, String::from_utf8(pattern).unwrap())).collect()
    }

    #[test]
    fn a_file_has_lines_as_gitignore_has_them_or_pieces_between_nul_bytes() {
        let of = |number: usize, pattern: &str| (number, pattern.to_owned());
        for (content, expected) in [
            (
                &b"*.o\n\n  # indented\n# comment\n\\#x\r\ny/  \nz\\ \nlast"[..],
                vec![
                    of(1, "*.o"),
                    of(3, "  # indented"),
                    of(5, "\\#x"),
                    of(6, "y/"),
                    of(7, "z\\ "),
                    of(8, "last"),
                ],
            ),
            (b"\xef\xbb\xbfa\r\nb\\\\  \r\n", vec![of(1, "a"), of(2, "b\\\\")]),
            (b"# no comment\0a b \0\0c\n\0", vec![of(1, "# no comment"), of(2, "a b "), of(4, "c\n")]),
            (b"", vec![]),
            (b"   \n", vec![]),
        ] {
            assert_eq!(read(content), expected, "{content:?}");
        }
    }
}
