//! The line at the bottom: the command line with its words and its history, finding and filtering while one types.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use crossterm::event::{KeyCode, KeyEvent};
use towpath_protocol::display::DisplayName;
use towpath_protocol::path::WirePath;

use super::command::Command;
use super::dialog::{Dialog, Line, Prompt, PromptKind};
use super::effect::Effect;
use super::obey::{hidden_text, obey, quit};
use super::sift::Found;
use super::typed::{check_not_remote, is_remote, place_of};
use super::{App, Tone, carry, changes, complete, connect, delete, servers};
use crate::model::words::split;
use crate::model::{LinkId, Place, Side};

/// Lines that the history keeps.
const HISTORY_LINES_MAX: usize = 200;

/// The words of the command line, what follows them, and what they do.
pub const WORDS: [(&str, &str, &str); 13] = [
    ("connme", "[TARGET]", "connects the right pane, or says where it is connected"),
    ("connect", "", "shows bookmarks, recent targets and ssh hosts"),
    ("ls", "[PATH]", "shows a folder of the server, and how much is in it"),
    ("size", "[PATH…]", "says how many megabytes"),
    ("upload", "[PATH…] [FOLDER/]", "copies from this machine's pane to the server's"),
    ("download", "[PATH…] [FOLDER/]", "copies from the server's pane to this machine's"),
    ("rm", "[PATH…]", "deletes on the server, after confirmation"),
    ("byebye", "", "ends the connection"),
    ("cd", "PATH", "goes to a folder in this pane"),
    ("mkdir", "PATH…", "makes folders in this pane"),
    ("jobs", "", "shows the jobs"),
    ("help", "", "shows these words; F1 shows every key"),
    ("quit", "", "quits"),
];

/// A key for the line.
pub(super) fn pressed(app: &mut App, key: KeyEvent) -> Vec<Effect> {
    let Some(Dialog::Prompt(prompt)) = app.dialogs.last_mut() else { return Vec::new() };
    match (key.code, prompt.kind) {
        (KeyCode::Esc, kind) => {
            app.dialogs.pop();
            if kind == PromptKind::Filter {
                app.here_mut().rows.set_filter("");
            }
            Vec::new()
        }
        (KeyCode::Enter, kind) => {
            let (text, problem) = (std::mem::take(&mut prompt.line.text), prompt.problem);
            app.dialogs.pop();
            if let Some(problem) = problem {
                app.say(Tone::Bad, format!("{text}: {problem}"));
            }
            if kind == PromptKind::Command { obey_line(app, &text) } else { Vec::new() }
        }
        (KeyCode::Tab, PromptKind::Command) => complete::complete(app, true),
        (KeyCode::BackTab, PromptKind::Command) => complete::complete(app, false),
        (KeyCode::Up, PromptKind::Command) => recall(app, true),
        (KeyCode::Down, PromptKind::Command) => recall(app, false),
        (KeyCode::Backspace, _) if prompt.line.text.is_empty() => {
            app.dialogs.pop();
            Vec::new()
        }
        (KeyCode::Down, PromptKind::Find) => search(app, 1),
        (KeyCode::Up, PromptKind::Find) => search(app, -1),
        (KeyCode::Down, PromptKind::Filter) => walk(app, 1),
        (KeyCode::Up, PromptKind::Filter) => walk(app, -1),
        _ => {
            if prompt.line.key(key) {
                edited(app);
            }
            Vec::new()
        }
    }
}

pub(super) fn pasted(app: &mut App, text: &str) {
    let Some(Dialog::Prompt(prompt)) = app.dialogs.last_mut() else { return };
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    match (prompt.kind, lines.as_slice()) {
        // Two commands in one line would be a third one.
        (PromptKind::Command, [first, _, ..]) => {
            prompt.line.paste(first);
            app.hint(format!("Pasted the first of {} lines", lines.len()));
        }
        _ => prompt.line.paste(text),
    }
    edited(app);
}

/// Filter and find follow what is typed.
fn edited(app: &mut App) {
    let Some(Dialog::Prompt(prompt)) = app.dialogs.last_mut() else { return };
    (prompt.completion, prompt.recalled) = (None, None);
    let (kind, text) = (prompt.kind, prompt.line.text.clone());
    let pane = app.here_mut();
    match kind {
        PromptKind::Command => {}
        PromptKind::Filter => pane.rows.set_filter(&text),
        PromptKind::Find => {
            let found = pane.rows.find_next(&text, 1, true);
            pane.find = text;
            tell_whether_found(app, &found);
        }
    }
}

/// A search that found nothing says so where it is typed.
pub(super) fn tell_whether_found(app: &mut App, found: &Found) {
    if let Some(Dialog::Prompt(prompt @ Prompt { kind: PromptKind::Find, .. })) = app.dialogs.last_mut() {
        prompt.problem = matches!(found, Found::No { .. }).then_some("no match");
    }
}

/// The next one found, while the line stays open.
fn search(app: &mut App, step: isize) -> Vec<Effect> {
    let pane = app.here_mut();
    let text = pane.find.clone();
    let found = pane.rows.find_next(&text, step, false);
    tell_whether_found(app, &found);
    Vec::new()
}

fn walk(app: &mut App, rows: isize) -> Vec<Effect> {
    app.here_mut().rows.move_by(rows);
    Vec::new()
}

/// An older line of the history, or a newer one; at its end stands what was typed.
fn recall(app: &mut App, is_older: bool) -> Vec<Effect> {
    let Some(Dialog::Prompt(Prompt { line, recalled, completion, .. })) = app.dialogs.last_mut() else {
        return Vec::new();
    };
    let (at, draft) = recalled.take().unwrap_or_else(|| (app.history.len(), line.text.clone()));
    let at = if is_older { at.saturating_sub(1) } else { (at + 1).min(app.history.len()) };
    *line = Line::new(app.history.get(at).unwrap_or(&draft).clone());
    *recalled = Some((at, draft));
    *completion = None;
    Vec::new()
}

/// A line of the command line.
pub(super) fn obey_line(app: &mut App, text: &str) -> Vec<Effect> {
    let words = match split(text.as_bytes()) {
        Ok(words) => words,
        Err(error) => {
            app.say(Tone::Bad, error.to_string());
            return Vec::new();
        }
    };
    let Some((word, operands)) = words.split_first() else { return Vec::new() };
    if app.history.last().is_none_or(|last| last != text) {
        app.history.push(text.to_owned());
        if app.history.len() > HISTORY_LINES_MAX {
            app.history.remove(0);
        }
    }
    let word = word.to_string_lossy().to_lowercase();
    match word.as_str() {
        "connme" => match operands.first() {
            Some(target) => servers::connect(app, Side::Right, &target.to_string_lossy()),
            None => servers::connected_to(app),
        },
        "connect" => connect::open(app),
        "ls" => list(app, operands),
        "size" => size(app, operands),
        "upload" => transfer(app, "upload", operands),
        "download" => transfer(app, "download", operands),
        "rm" => remove(app, operands),
        "byebye" => servers::byebye(app),
        "cd" => go(app, app.active, operands.first()),
        "mkdir" => make_folders(app, operands),
        "jobs" => obey(app, Command::Jobs),
        "help" | "?" => {
            app.dialogs.push(Dialog::Words { scroll: 0 });
            Vec::new()
        }
        "quit" | "exit" => quit(app),
        other => {
            let text = format!("{}: no such word; help lists them", DisplayName::new(other.as_bytes()));
            app.say(Tone::Bad, text);
            Vec::new()
        }
    }
}

/// This machine's pane and the server's, in the order of an upload: from the active one where both are the same kind.
pub(super) fn near_and_far(app: &App) -> (Side, Side) {
    let is_remote = |side: Side| app.pane(side).place.link != LinkId::LOCAL;
    match (is_remote(Side::Left), is_remote(Side::Right)) {
        (true, false) => (Side::Right, Side::Left),
        (false, true) => (Side::Left, Side::Right),
        _ => (app.active, app.active.other()),
    }
}

/// The pane that `ls`, `size` and `rm` are about: the server's, or the active one.
pub(super) fn far(app: &App) -> Side {
    let is_remote = |side: Side| app.pane(side).place.link != LinkId::LOCAL;
    if is_remote(app.active) == is_remote(app.active.other()) { app.active } else { near_and_far(app).1 }
}

/// A word's path in a pane; words where there is none.
fn place_in(app: &mut App, side: Side, operand: &OsString) -> Option<Place> {
    let here = app.pane(side).place.clone();
    if !app.is_usable(here.link) {
        return None;
    }
    match place_of(app, &here, here.link, operand.as_bytes()) {
        Ok(place) => Some(place),
        Err(error) => {
            app.say(Tone::Bad, error);
            None
        }
    }
}

fn places_in(app: &mut App, side: Side, operands: &[OsString]) -> Option<Vec<Place>> {
    operands.iter().map(|operand| place_in(app, side, operand)).collect()
}

/// What is chosen in a pane, as paths.
fn chosen_in(app: &mut App, side: Side) -> Option<Vec<Place>> {
    let place = app.pane(side).place.clone();
    if !app.is_usable(place.link) {
        return None;
    }
    let rows = &app.pane(side).rows;
    let paths: Vec<WirePath> =
        rows.chosen().iter().filter_map(|entry| place.path.join(&entry.name).ok()).collect();
    let hidden = hidden_text(rows);
    if paths.is_empty() {
        app.say(
            Tone::Bad,
            hidden.map_or_else(|| "which PATH?".to_owned(), |hidden| format!("{hidden}: nothing done")),
        );
        return None;
    }
    if let Some(hidden) = hidden {
        app.say(Tone::Plain, format!("{hidden} and left out"));
    }
    Some(paths.into_iter().map(|path| Place { link: place.link, path }).collect())
}

fn places_or_chosen(app: &mut App, side: Side, operands: &[OsString]) -> Option<Vec<Place>> {
    if operands.is_empty() { chosen_in(app, side) } else { places_in(app, side, operands) }
}

fn go(app: &mut App, side: Side, operand: Option<&OsString>) -> Vec<Effect> {
    let Some(operand) = operand else {
        let place = Place { link: LinkId::LOCAL, path: app.home.clone() };
        return app.go(side, place, None);
    };
    let typed = operand.to_string_lossy();
    if is_remote(&app.bookmarks.expanded(&typed)) {
        return servers::connect(app, side, &typed);
    }
    place_in(app, side, operand).map_or_else(Vec::new, |place| app.go(side, place, None))
}

fn list(app: &mut App, operands: &[OsString]) -> Vec<Effect> {
    let side = far(app);
    let effects = if let Some(operand) = operands.first() {
        go(app, side, Some(operand))
    } else {
        let link = app.pane(side).place.link;
        if app.is_usable(link) { app.reload(side).into_iter().collect() } else { Vec::new() }
    };
    app.pane_mut(side).announces = !effects.is_empty();
    effects
}

fn size(app: &mut App, operands: &[OsString]) -> Vec<Effect> {
    let side = far(app);
    places_or_chosen(app, side, operands).map_or_else(Vec::new, |places| delete::measure(app, places))
}

/// One question for each: the first lies on top.
fn remove(app: &mut App, operands: &[OsString]) -> Vec<Effect> {
    let side = far(app);
    let last = |operand: &OsString| {
        operand.as_bytes().split(|byte| *byte == b'/').rfind(|part| !part.is_empty()).map(<[u8]>::to_vec)
    };
    if operands.iter().any(|operand| matches!(last(operand).as_deref(), None | Some(b"." | b".." | b"~"))) {
        app.say(Tone::Bad, "rm: refusing to remove '.', '..' or a home folder; name the folder itself");
        return Vec::new();
    }
    let Some(places) = places_or_chosen(app, side, operands) else { return Vec::new() };
    places.into_iter().rev().map(|place| delete::ask_about(app, place.link, vec![place.path])).collect()
}

fn make_folders(app: &mut App, operands: &[OsString]) -> Vec<Effect> {
    if operands.is_empty() {
        app.say(Tone::Bad, "mkdir: which PATH?");
    }
    let places = places_in(app, app.active, operands).unwrap_or_default();
    places.into_iter().map(|place| changes::make_folder(app, place)).collect()
}

fn transfer(app: &mut App, word: &str, operands: &[OsString]) -> Vec<Effect> {
    let (near, far) = near_and_far(app);
    let (from, to) = if word == "upload" { (near, far) } else { (far, near) };
    let (sources, folder) = match operands.split_last() {
        Some((last, sources)) if !sources.is_empty() && last.as_bytes().ends_with(b"/") => {
            (sources, Some(last))
        }
        _ => (operands, None),
    };
    let Some(places) = places_or_chosen(app, from, sources) else { return Vec::new() };
    let here = app.pane(to).place.clone();
    let folder = match folder {
        Some(folder) => match check_not_remote(app, &here, folder.as_bytes()) {
            Ok(()) => place_in(app, to, folder),
            Err(why) => {
                app.say(Tone::Bad, why);
                None
            }
        },
        None => app.is_usable(here.link).then_some(here),
    };
    let Some(folder) = folder else { return Vec::new() };
    let Some(link) = places.first().map(|place| place.link) else { return Vec::new() };
    if places.iter().any(|place| place.link != link) {
        app.say(Tone::Bad, format!("{word}: one machine at a time"));
        return Vec::new();
    }
    carry::carry_into(app, link, places.into_iter().map(|place| place.path).collect(), &folder)
}
