//! Events to state and effects. It routes; what a command does is in `obey`.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use towpath_protocol::path::{Name, WirePath};

use super::command::{command_of, is_for_later};
use super::dialog::{CHOICES, Dialog, Line, Purpose};
use super::effect::Effect;
use super::event::Event;
use super::obey::{obey, obey_line};
use super::{App, Server, Tone};
use crate::model::{Choice, JobId, Place, Side};

/// Decides what an event means.
pub fn update(app: &mut App, event: Event) -> Vec<Effect> {
    match event {
        Event::Key(key) => on_key(app, key),
        Event::Paste(text) => on_paste(app, &text),
        Event::EscapeOver => escape_over(app),
        Event::Listed { side, generation, total, entries } => {
            let pane = app.pane_mut(side);
            if pane.generation == generation {
                pane.take_page(total, entries);
            }
            Vec::new()
        }
        Event::ListEnded { side, generation, outcome } => list_ended(app, side, generation, outcome.err()),
        Event::Free { side, generation, bytes } => {
            let pane = app.pane_mut(side);
            if pane.generation == generation {
                pane.free = Some(bytes);
            }
            Vec::new()
        }
        Event::Measured { place, files, folders, bytes } => measured(app, &place, (files, folders, bytes)),
        Event::Connected { side, link, name, path, round_trip_ms } => {
            app.say(Tone::Good, format!("connected to {name}"));
            app.servers.push(Server { link, name, round_trip_ms, lost: false });
            vec![app.pane_mut(side).go(side, Place { link, path }, None)]
        }
        Event::Disconnected { link, why } => {
            if let Some(server) = app.servers.iter_mut().find(|server| server.link == link && !server.lost) {
                server.lost = true;
                let text = format!("{}: {why}; C connects again", server.name);
                app.say(Tone::Bad, text);
            }
            Vec::new()
        }
        Event::JobProgress(view) => {
            if let Some(job) = app.jobs.iter_mut().find(|job| job.id == view.id) {
                let title = std::mem::take(&mut job.title);
                *job = crate::model::JobView { title, ..view };
            }
            Vec::new()
        }
        Event::JobConflict { id, to, source, there } => {
            app.dialogs.push(Dialog::Conflict { job: id, to, source, there, focus: 1, for_all: false });
            Vec::new()
        }
        Event::JobEnded { id, good, text } => job_ended(app, id, good, text),
        Event::Said { good, text } => {
            app.say(if good { Tone::Good } else { Tone::Bad }, text);
            Vec::new()
        }
        Event::Changed { link } => refresh(app, |pane_link| pane_link == link),
        Event::End => vec![Effect::Quit],
    }
}

/// Reads the panes again whose link is meant.
fn refresh(app: &mut App, is_meant: impl Fn(crate::model::LinkId) -> bool) -> Vec<Effect> {
    let sides = [Side::Left, Side::Right];
    let meant = sides.into_iter().filter(|side| is_meant(app.pane(*side).place.link)).collect::<Vec<_>>();
    meant.into_iter().map(|side| app.reload(side)).collect()
}

fn job_ended(app: &mut App, id: JobId, good: bool, text: String) -> Vec<Effect> {
    app.jobs.retain(|job| job.id != id);
    app.dialogs.retain(|dialog| !matches!(dialog, Dialog::Conflict { job, .. } if *job == id));
    app.say(if good { Tone::Good } else { Tone::Bad }, text);
    for pane in &mut app.panes {
        pane.marks.clear();
    }
    refresh(app, |_| true)
}

fn list_ended(
    app: &mut App,
    side: Side,
    generation: u64,
    fault: Option<towpath_protocol::fault::Fault>,
) -> Vec<Effect> {
    let pane = app.pane_mut(side);
    if pane.generation != generation {
        return Vec::new();
    }
    pane.end_listing();
    if let Some(fault) = fault {
        pane.fault = Some(fault.to_string());
        app.say(Tone::Bad, fault.to_string());
    }
    Vec::new()
}

fn measured(app: &mut App, place: &Place, totals: (u64, u64, u64)) -> Vec<Effect> {
    for dialog in &mut app.dialogs {
        if let Dialog::Delete { place: about, totals: shown, .. } = dialog
            && about == place
        {
            *shown = Some(totals);
            return Vec::new();
        }
    }
    let (Some(folder), Some(name)) = (place.path.parent(), place.path.name()) else { return Vec::new() };
    for pane in &mut app.panes {
        if pane.place.link == place.link && pane.place.path == folder {
            pane.measured.retain(|(known, _)| known != name);
            pane.measured.push((name.clone(), totals.2));
        }
    }
    Vec::new()
}

fn on_paste(app: &mut App, text: &str) -> Vec<Effect> {
    if let Some(Dialog::Input { line, .. }) = app.dialogs.last_mut() {
        line.insert(text);
        typed(app);
    }
    Vec::new()
}

fn escape_over(app: &mut App) -> Vec<Effect> {
    if app.pending == Some('\x1b') {
        app.pending = None;
    }
    Vec::new()
}

fn on_key(app: &mut App, key: KeyEvent) -> Vec<Effect> {
    if key.code == KeyCode::Char('z') && key.modifiers.contains(KeyModifiers::CONTROL) {
        return vec![Effect::Suspend];
    }
    match app.dialogs.last() {
        None => pane_key(app, key),
        Some(Dialog::Input { .. }) => input_key(app, key),
        Some(_) => dialog_key(app, key),
    }
}

fn pane_key(app: &mut App, key: KeyEvent) -> Vec<Effect> {
    let pending = app.pending.take();
    let digit = match key.code {
        KeyCode::Char(c @ '0'..='9')
            if pending == Some('\x1b') || key.modifiers.contains(KeyModifiers::ALT) =>
        {
            c.to_digit(10)
        }
        _ => None,
    };
    if let Some(digit) = digit {
        let code = KeyCode::F(if digit == 0 { 10 } else { digit as u8 });
        return pane_key(app, KeyEvent::new(code, KeyModifiers::NONE));
    }
    if key.code == KeyCode::Esc {
        app.pending = Some('\x1b');
        let pane = app.here_mut();
        if !pane.filter.is_empty() {
            pane.set_filter("");
        }
        return vec![Effect::WaitForDigit];
    }
    let pending = pending.filter(|first| *first != '\x1b');
    if pending.is_none()
        && let KeyCode::Char(c @ ('g' | ',')) = key.code
        && key.modifiers.is_empty()
    {
        app.pending = Some(c);
        return Vec::new();
    }
    match command_of(pending, key) {
        Some(command) => obey(app, command),
        None if is_for_later(key) => {
            app.say(Tone::Plain, "not available yet");
            Vec::new()
        }
        None => Vec::new(),
    }
}

fn input_key(app: &mut App, key: KeyEvent) -> Vec<Effect> {
    let Some(Dialog::Input { line, purpose, .. }) = app.dialogs.last_mut() else { return Vec::new() };
    match key.code {
        KeyCode::Esc => {
            let clears = *purpose == Purpose::Filter;
            app.dialogs.pop();
            if clears {
                app.here_mut().set_filter("");
            }
            Vec::new()
        }
        KeyCode::Enter => {
            let Some(Dialog::Input { line, purpose, .. }) = app.dialogs.pop() else { return Vec::new() };
            entered(app, &line.text, purpose)
        }
        KeyCode::Tab if *purpose == Purpose::Command => {
            complete(line);
            Vec::new()
        }
        KeyCode::Up if *purpose == Purpose::Command => {
            if let Some(last) = app.history.last() {
                *line = Line::new(last.clone());
            }
            Vec::new()
        }
        _ => {
            if line.key(key) {
                typed(app);
            }
            Vec::new()
        }
    }
}

/// Completes the word that a command line begins with.
fn complete(line: &mut Line) {
    let words = super::obey::WORDS.iter().map(|(word, ..)| *word);
    let mut fitting = words.filter(|word| word.starts_with(&line.text));
    if let (Some(word), None) = (fitting.next(), fitting.next()) {
        *line = Line::new(format!("{word} "));
    }
}

/// Filter and find follow what is typed.
fn typed(app: &mut App) {
    let Some(Dialog::Input { line, purpose, .. }) = app.dialogs.last() else { return };
    let (text, purpose) = (line.text.clone(), purpose.clone());
    match purpose {
        Purpose::Filter => app.here_mut().set_filter(&text),
        Purpose::Find => {
            let pane = app.here_mut();
            pane.find = text;
            pane.find_next(1, true);
        }
        _ => {}
    }
}

fn entered(app: &mut App, text: &str, purpose: Purpose) -> Vec<Effect> {
    let side = app.active;
    let place = app.here().place.clone();
    match purpose {
        Purpose::Filter | Purpose::Find => Vec::new(),
        Purpose::Command => obey_line(app, text),
        Purpose::GoTo => go_to(app, text),
        Purpose::MakeFolder | Purpose::MakeFile => {
            let is_folder = purpose == Purpose::MakeFolder || text.ends_with('/');
            let Some(path) = below(app, &place.path, text) else { return Vec::new() };
            let new = Place { link: place.link, path };
            vec![if is_folder { Effect::MakeFolder(new) } else { Effect::MakeFile(new) }]
        }
        Purpose::Rename(name) => {
            let (Ok(from), Some(to)) = (place.path.join(&name), below(app, &place.path, text)) else {
                return Vec::new();
            };
            if from == to { Vec::new() } else { vec![Effect::Rename { link: place.link, from, to }] }
        }
        Purpose::Mark(marks) => {
            mark_pattern(app, side, text, marks);
            Vec::new()
        }
        Purpose::Carry { carry, source, from } => {
            let destination = app.there().place.clone();
            let folder = if text.starts_with('/') {
                WirePath::parse(&unescaped(text)).ok()
            } else {
                below(app, &destination.path, text)
            };
            let Some(folder) = folder else {
                app.say(Tone::Bad, format!("{text}: not a path"));
                return Vec::new();
            };
            super::obey::carry(app, carry, (source, from), &Place { link: destination.link, path: folder })
        }
    }
}

pub(super) fn go_to(app: &mut App, text: &str) -> Vec<Effect> {
    let (side, place) = (app.active, app.here().place.clone());
    let path = if text.starts_with('/') {
        WirePath::parse(&unescaped(text)).ok()
    } else {
        below(app, &place.path, text)
    };
    match path {
        Some(path) => vec![app.pane_mut(side).go(side, Place { link: place.link, path }, None)],
        None => Vec::new(),
    }
}

/// A typed path below a folder; `..` and `~` are taken as people mean them.
pub(super) fn below(app: &mut App, folder: &WirePath, text: &str) -> Option<WirePath> {
    let mut path = folder.clone();
    for part in unescaped(text).split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => path = path.parent().unwrap_or_default(),
            b"~" => path = app.home.clone(),
            name => match Name::new(name).and_then(|name| path.join(&name)) {
                Ok(further) => path = further,
                Err(error) => {
                    app.say(Tone::Bad, format!("{text}: {error}"));
                    return None;
                }
            },
        }
    }
    Some(path)
}

/// `\xNN` is a byte, as names that are not UTF-8 are shown.
pub(super) fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("\\x") {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        let digits = rest.get(at + 2..at + 4).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match digits {
            Some(byte) => bytes.push(byte),
            None => bytes.extend_from_slice(b"\\x"),
        }
        rest = &rest[at + if digits.is_some() { 4 } else { 2 }..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}

fn mark_pattern(app: &mut App, side: Side, pattern: &str, marks: bool) {
    let Ok(glob) = globset::Glob::new(pattern) else {
        app.say(Tone::Bad, format!("{pattern}: not a pattern"));
        return;
    };
    let matcher = glob.compile_matcher();
    let pane = app.pane_mut(side);
    for index in &pane.shown {
        let name = &pane.entries[*index as usize].name;
        if matcher.is_match(name.display().to_string()) {
            if marks {
                pane.marks.insert(name.clone())
            } else {
                pane.marks.remove(name)
            };
        }
    }
}

fn dialog_key(app: &mut App, key: KeyEvent) -> Vec<Effect> {
    let Some(dialog) = app.dialogs.last_mut() else { return Vec::new() };
    match dialog {
        Dialog::Help { scroll } | Dialog::Log { scroll } => {
            match key.code {
                KeyCode::Down | KeyCode::Char('j') => *scroll += 1,
                KeyCode::Up | KeyCode::Char('k') => *scroll = scroll.saturating_sub(1),
                KeyCode::PageDown | KeyCode::Char(' ') => *scroll += 10,
                KeyCode::PageUp => *scroll = scroll.saturating_sub(10),
                _ => drop(app.dialogs.pop()),
            }
            Vec::new()
        }
        Dialog::Delete { yes, .. } | Dialog::Quit { yes } => match key.code {
            KeyCode::Left | KeyCode::Right | KeyCode::Tab | KeyCode::BackTab => {
                *yes = !*yes;
                Vec::new()
            }
            KeyCode::Char('y' | 'Y') => confirmed(app),
            KeyCode::Enter if *yes => confirmed(app),
            KeyCode::Enter | KeyCode::Esc | KeyCode::Char('n' | 'N') => {
                app.dialogs.pop();
                Vec::new()
            }
            _ => Vec::new(),
        },
        Dialog::Conflict { focus, for_all, .. } => {
            match key.code {
                KeyCode::Left | KeyCode::BackTab => *focus = (*focus + CHOICES.len() - 1) % CHOICES.len(),
                KeyCode::Right | KeyCode::Tab => *focus = (*focus + 1) % CHOICES.len(),
                KeyCode::Char('a' | ' ') => *for_all = !*for_all,
                KeyCode::Enter => return choose(app, None),
                KeyCode::Esc | KeyCode::Char('n') => return choose(app, Some('s')),
                KeyCode::Char('y') => return choose(app, Some('o')),
                KeyCode::Char(c) if CHOICES.iter().any(|(_, key)| *key == c) => return choose(app, Some(c)),
                _ => {}
            }
            Vec::new()
        }
        Dialog::Input { .. } => Vec::new(),
    }
}

fn confirmed(app: &mut App) -> Vec<Effect> {
    match app.dialogs.pop() {
        Some(Dialog::Delete { place, names, .. }) => {
            let title = format!("✕ {} things from {}", names.len(), place.path.display());
            let job = super::obey::new_job(app, title);
            vec![Effect::Remove { job, link: place.link, folder: place.path, names }]
        }
        Some(Dialog::Quit { .. }) => vec![Effect::Quit],
        _ => Vec::new(),
    }
}

fn choose(app: &mut App, key: Option<char>) -> Vec<Effect> {
    let Some(Dialog::Conflict { job, focus, for_all, .. }) = app.dialogs.pop() else { return Vec::new() };
    let at = key.and_then(|key| CHOICES.iter().position(|(_, known)| *known == key)).unwrap_or(focus);
    let choice = [Choice::Overwrite, Choice::Skip, Choice::KeepBoth, Choice::NewerOnly][at];
    vec![Effect::Answer { job, choice, for_all }]
}
