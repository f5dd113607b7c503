//! The command's word: it wins wherever it stands, and one that is mistyped is told the nearest.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use clap::{Arg, Command};
use towpath_protocol::display::DisplayName;

use super::exit::{Exit, Failure};

/// Words of other programs, and what they are here.
const ELSEWHERE: &[(&str, &str)] = &[
    ("copy", "cp"),
    ("scp", "cp"),
    ("move", "mv"),
    ("rename", "mv"),
    ("delete", "rm"),
    ("del", "rm"),
    ("remove", "rm"),
    ("unlink", "rm"),
    ("rmdir", "rm -r"),
    ("list", "ls"),
    ("dir", "ls"),
    ("ll", "ls -l"),
    ("md", "mkdir"),
    ("download", "get"),
    ("upload", "put"),
    ("connme", "connect"),
    ("version", "--version"),
    ("pair", "towd pair"),
    ("clients", "towd clients"),
];

/// Moves the options that stand before the command's word behind it: `tow --json ls x` is `tow ls --json x`.
pub(super) fn word_first(command: &Command, typed: &[OsString]) -> Vec<OsString> {
    let is_version = |word: &OsString| word == "--version" || word == "-V";
    match first_word(command, typed) {
        Some(at) if is_command(command, &typed[at]) && !typed[..at].iter().any(is_version) => {
            [&typed[..1], &typed[at..=at], &typed[1..at], &typed[at + 1..]].concat()
        }
        _ => typed.to_vec(),
    }
}

/// The first word that is neither an option nor an option's value; behind `--` nothing is a command.
pub(super) fn first_word(command: &Command, typed: &[OsString]) -> Option<usize> {
    let mut at = 1;
    loop {
        at += match typed.get(at)?.as_bytes() {
            b"--" => return None,
            [b'-', b'-', long @ ..] => {
                let is_long = |arg: &Arg| arg.get_long().is_some_and(|known| known.as_bytes() == long);
                1 + usize::from(takes_value(command, is_long))
            }
            [b'-', _, ..] => {
                let shorts = typed.get(at)?.to_string_lossy().into_owned();
                let is_valued = |c: char| takes_value(command, |arg| arg.get_short() == Some(c));
                // The rest of the word behind a short option is its value.
                let valued = shorts.chars().skip(1).position(is_valued);
                1 + usize::from(valued.is_some_and(|index| index + 2 == shorts.chars().count()))
            }
            _ => return Some(at),
        };
    }
}

/// The command that was typed, for the log: its word, or `tow` for the panes and for what is no command.
pub fn name(command: &Command, typed: &[OsString]) -> String {
    let word = first_word(command, typed).and_then(|at| typed[at].to_str());
    let word = word.filter(|word| command.find_subcommand(word).is_some());
    word.map_or_else(|| "tow".to_owned(), |word| format!("tow {word}"))
}

/// The state folder that a command line names which cannot be read as a whole.
pub fn named_state_dir(typed: &[OsString]) -> Option<PathBuf> {
    let words = typed.iter().take_while(|word| *word != "--");
    let found = words.enumerate().find_map(|(at, word)| match word.as_bytes().strip_prefix(b"--state-dir") {
        Some([]) => typed.get(at + 1).cloned(),
        Some([b'=', path @ ..]) => Some(OsStr::from_bytes(path).to_owned()),
        _ => None,
    });
    found.map(PathBuf::from)
}

fn takes_value(command: &Command, is_it: impl Fn(&Arg) -> bool) -> bool {
    let all = std::iter::once(command).chain(command.get_subcommands()).flat_map(Command::get_arguments);
    all.filter(|arg| is_it(arg)).any(|arg| arg.get_action().takes_values())
}

pub(super) fn is_command(command: &Command, word: &OsStr) -> bool {
    command.find_subcommand(word).is_some()
}

/// Refuses a first operand that can only be a command's word, and is none. The caller has seen that no folder or bookmark has its name.
pub fn no_command(command: &Command, word: &OsStr) -> Option<Failure> {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-' || *byte == b'_';
    let bytes = word.as_bytes();
    if !bytes.first().is_some_and(u8::is_ascii_alphabetic) || !bytes.iter().all(is_part) {
        return None;
    }
    let shown = DisplayName::new(bytes).to_string();
    Some(match nearest(command, &shown) {
        Some(meant) => Failure::usage(format!(
            "{shown}: no command of that name, and no folder; did you mean '{meant}'?"
        )),
        None => Failure {
            exit: Exit::NotFound,
            message: format!("{shown}: no such file or folder, and no command of that name; see tow --help"),
        },
    })
}

fn nearest(command: &Command, word: &str) -> Option<String> {
    let word = word.to_ascii_lowercase();
    if let Some((_, meant)) = ELSEWHERE.iter().find(|(known, _)| *known == word) {
        let program = if meant.starts_with("towd") { "" } else { "tow " };
        return Some(format!("{program}{meant}"));
    }
    let known = command.get_subcommands().filter(|known| !known.is_hide_set()).map(Command::get_name);
    nearest_of(&word, known).map(|name| format!("tow {name}"))
}

/// The word that `word` may be a misspelling of.
pub(super) fn nearest_of<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let far_max = if word.len() <= 4 { 1 } else { 2 };
    let (far, name) = known.map(|known| (distance(word, known), known)).min_by_key(|(far, _)| *far)?;
    (far <= far_max).then_some(name)
}

/// Letters to insert, remove, replace or swap with the next one.
fn distance(from: &str, to: &str) -> usize {
    let (from, to) = (from.as_bytes(), to.as_bytes());
    let mut rows = vec![vec![0; to.len() + 1]; from.len() + 1];
    for i in 0..=from.len() {
        for j in 0..=to.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let replaced = rows[i - 1][j - 1] + usize::from(from[i - 1] != to[j - 1]);
                let one = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                let is_swapped = i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1];
                if is_swapped { one.min(rows[i - 2][j - 2] + 1) } else { one }
            };
        }
    }
    rows[from.len()][to.len()]
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::super::args::Args;
    use super::*;

    fn words(text: &str) -> Vec<OsString> {
        text.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn options_before_the_word_go_behind_it() {
        for (typed, ordered) in [
            ("tow ls x", "tow ls x"),
            ("tow --state-dir s ls x", "tow ls --state-dir s x"),
            ("tow --state-dir=s ls x", "tow ls --state-dir=s x"),
            ("tow --install --json ls x", "tow ls --install --json x"),
            ("tow --overwrite always -n cp a b", "tow cp --overwrite always -n a b"),
            ("tow -nT cp a b", "tow cp -nT a b"),
            ("tow --connect t shell", "tow shell --connect t"),
            ("tow --help ls", "tow ls --help"),
            // The value is no command, nor is anything behind a folder or --.
            ("tow --state-dir ls", "tow --state-dir ls"),
            ("tow --state-dir ls put a b", "tow put --state-dir ls a b"),
            ("tow x ls", "tow x ls"),
            ("tow -- ls", "tow -- ls"),
            ("tow --version ls", "tow --version ls"),
        ] {
            assert_eq!(word_first(&Args::command(), &words(typed)), words(ordered), "{typed}");
        }
    }

    #[test]
    fn the_log_knows_the_command_and_the_state_folder_of_what_makes_no_sense() {
        for (typed, command, state_dir) in [
            ("tow ls --nope", "tow ls", None),
            ("tow --state-dir s ls --nope", "tow ls", Some("s")),
            ("tow cp --state-dir=s/t", "tow cp", Some("s/t")),
            ("tow lss", "tow", None),
            ("tow get -- --state-dir s", "tow get", None),
            ("tow get --state-dir", "tow get", None),
        ] {
            assert_eq!(name(&Args::command(), &words(typed)), command, "{typed}");
            assert_eq!(named_state_dir(&words(typed)), state_dir.map(PathBuf::from), "{typed}");
        }
    }

    #[test]
    fn a_mistyped_word_is_told_the_nearest() {
        for (word, meant) in [
            ("lss", Some("tow ls")),
            ("sl", Some("tow ls")),
            ("copy", Some("tow cp")),
            ("version", Some("tow --version")),
            ("mkdri", Some("tow mkdir")),
            ("shel", Some("tow shell")),
            ("conect", Some("tow connect")),
            ("COPY", Some("tow cp")),
            ("pair", Some("towd pair")),
            ("photos", None),
            ("quit", None),
            ("x", None),
        ] {
            assert_eq!(nearest(&Args::command(), word).as_deref(), meant, "{word}");
        }
        for word in ["./lss", "a.txt", "lss/", ".", "-x", "a:b"] {
            assert!(no_command(&Args::command(), OsStr::new(word)).is_none(), "{word}");
        }
    }
}
