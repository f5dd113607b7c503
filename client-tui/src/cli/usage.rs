//! Wrong usage in one line: clap's paragraphs, and options that other programs have and this one calls otherwise.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use clap::Command;
use clap::error::{ContextKind, ContextValue, Error, ErrorKind};
use towpath_protocol::display::DisplayName;

use super::command_word;

/// Options of the usual programs that mean something here under another name: the commands, the option, and what to write.
const HABITS: &[(&[&str], &[&str], &str)] = &[
    (&["rm"], &["-f", "--force"], "write tow rm -r -y to remove folders without confirmation"),
    (&["rm"], &["-i"], "it asks for confirmation on a terminal, and -y answers it"),
    (&["ls"], &["-t"], "write --sort time"),
    (&["ls"], &["-S"], "write --sort size"),
    (&["ls"], &["-r"], "write --reverse"),
    (&["ls"], &["-A"], "write -a"),
    (&["ls"], &["-1"], "each entry has its own line"),
    (&["ls"], &["-d", "-R", "--recursive"], "it lists one folder; tow size counts all below it"),
    (COPYING, &["-f", "--force"], "write --overwrite always"),
    (COPYING, &["-i", "--interactive"], "write --overwrite ask"),
    (COPYING, &["-u", "--update"], "write --overwrite newer"),
    (COPYING, &["--no-clobber", "--ignore-existing"], "write --overwrite never"),
    (COPYING, &["-c"], "write --checksum"),
    (COPYING, &["-L", "--dereference", "--copy-links"], "write --follow"),
    (COPYING, &["-v", "--verbose"], "--dry-run lists what would be done, --progress shows how far it is"),
    (COPYING, &["-P", "--partial", "--append"], "interrupted copies resume when the command is given again"),
    (COPYING, &["-z", "--compress"], "slow lines are compressed without it"),
    (COPYING, &["--delete"], "nothing is removed at the destination in this version"),
];

const COPYING: &[&str] = &["get", "put", "cp", "mv"];

/// `WHAT: WHY; what to do`. `is_there` tells whether this machine has a file or folder of that name here.
pub(super) fn in_one_line(
    root: &Command,
    error: &Error,
    typed: &[OsString],
    is_there: impl Fn(&OsStr) -> bool,
) -> String {
    let word = command_word::first_word(root, typed).and_then(|at| typed[at].to_str());
    let command = word.filter(|word| root.find_subcommand(word).is_some());
    let refused = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(refused)) => refused.as_str(),
        _ => "",
    };
    if let Some(command) = command
        && let Some(habit) = habit(command, refused)
    {
        return habit;
    }
    if error.kind() == ErrorKind::MissingRequiredArgument
        && let Some(command) = command
    {
        let operands = operands(command);
        return format!(
            "{command}: {operands} missing; write tow {command} {operands}; see tow {command} --help"
        );
    }
    let rendered = error.render().to_string();
    let paragraphs = rendered.trim_start_matches("error: ").split("\n\n").map(str::trim);
    let told = paragraphs.filter(|paragraph| {
        !paragraph.is_empty()
            && !paragraph.starts_with("Usage:")
            && !paragraph.starts_with("For more information")
            && !suggests_hidden(root, paragraph)
            && !paragraph.starts_with("tip: to pass")
    });
    let mut told: Vec<String> =
        told.map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let is_file = |word: &&OsString| {
        !refused.is_empty() && word.as_bytes().starts_with(refused.as_bytes()) && is_there(word)
    };
    if let Some(file) = typed.iter().find(is_file) {
        told.push(format!("for the file write ./{}", DisplayName::new(file.as_bytes())));
    }
    let program = command.map_or_else(|| "tow".to_owned(), |command| format!("tow {command}"));
    let what = command.map_or_else(String::new, |command| format!("{command}: "));
    format!("{what}{}; see {program} --help", told.join("; "))
}

/// What a command needs, as its help writes it.
fn operands(command: &str) -> &'static str {
    match command {
        copying if COPYING.contains(&copying) => "SOURCE… DEST",
        "forget" => "HOST…",
        _ => "TARGET…",
    }
}

fn habit(command: &str, refused: &str) -> Option<String> {
    let is_it = |(commands, options, _): &&(&[&str], &[&str], &str)| {
        commands.contains(&command) && options.contains(&refused)
    };
    let (.., instead) = HABITS.iter().find(is_it)?;
    Some(format!("{command}: there is no {refused}: {instead}"))
}

/// Returns whether a tip names an option that no help shows.
fn suggests_hidden(root: &Command, paragraph: &str) -> bool {
    let all = std::iter::once(root).chain(root.get_subcommands()).flat_map(Command::get_arguments);
    let mut hidden = all.filter(|arg| arg.is_hide_set()).filter_map(clap::Arg::get_long);
    paragraph.starts_with("tip:") && hidden.any(|long| paragraph.contains(&format!("'--{long}'")))
}
