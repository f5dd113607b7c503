//! What each command does, and each word of the command line.

use std::os::unix::ffi::OsStrExt;

use towpath_protocol::path::{Name, WirePath};
use towpath_protocol::request::{Direction, Hidden, SortKey};

use super::command::Command;
use super::dialog::{Dialog, Line, Purpose};
use super::effect::Effect;
use super::{App, Tone, Unit, update};
use crate::model::words::split;
use crate::model::{Carry, JobId, JobView, LinkId, Place, Side};

/// Rows of a page; the screen's own height is the drawing's business.
const PAGE_ROWS: isize = 20;

/// The words of the command line, what follows them, and what they do.
pub(super) const WORDS: [(&str, &str, &str); 11] = [
    ("connme", "[TARGET]", "connect the right pane, or say to what it is connected"),
    ("ls", "[PATH]", "show a folder"),
    ("size", "[NAME]", "how many megabytes"),
    ("upload", "NAME…", "copy from here to the other pane"),
    ("download", "NAME…", "copy from the other pane to here"),
    ("rm", "NAME…", "delete, after a question"),
    ("byebye", "", "end the connection of this pane, or of the other"),
    ("cd", "PATH", "go to a folder"),
    ("mkdir", "NAME", "make a folder"),
    ("help", "", "every key"),
    ("quit", "", "leave"),
];

/// Does what a person means.
pub(super) fn obey(app: &mut App, command: Command) -> Vec<Effect> {
    let side = app.active;
    match command {
        Command::Up => app.here_mut().move_by(-1),
        Command::Down => app.here_mut().move_by(1),
        Command::PageUp => app.here_mut().move_by(-PAGE_ROWS),
        Command::PageDown => app.here_mut().move_by(PAGE_ROWS),
        Command::HalfUp => app.here_mut().move_by(-PAGE_ROWS / 2),
        Command::HalfDown => app.here_mut().move_by(PAGE_ROWS / 2),
        Command::Top => app.here_mut().cursor = 0,
        Command::Bottom => app.here_mut().move_by(isize::MAX),
        Command::Open => return open(app),
        Command::Parent => return parent(app),
        Command::OtherPane => app.active = side.other(),
        Command::SwapPanes => return swap(app),
        Command::SameFolder => {
            let place = app.here().place.clone();
            return vec![app.pane_mut(side.other()).go(side.other(), place, None)];
        }
        Command::Back => return app.here_mut().travel(side, false).into_iter().collect(),
        Command::Forward => return app.here_mut().travel(side, true).into_iter().collect(),
        Command::GoTo => ask(app, "Go to", "Path", "", Purpose::GoTo),
        Command::Home => {
            return go(app, |app| {
                if app.here().place.link == LinkId::LOCAL { app.home.clone() } else { WirePath::root() }
            });
        }
        Command::Root => return go(app, |_| WirePath::root()),
        Command::Mark => {
            app.here_mut().toggle_mark();
            app.here_mut().move_by(1);
        }
        Command::MarkAll => mark_all(app),
        Command::Invert => invert(app),
        Command::MarkPattern => ask(app, "Mark", "Pattern", "*", Purpose::Mark(true)),
        Command::UnmarkPattern => ask(app, "Unmark", "Pattern", "*", Purpose::Mark(false)),
        Command::Copy => return ask_carry(app, Carry::Copy),
        Command::Move => return ask_carry(app, Carry::Move),
        Command::Rename => ask_rename(app),
        Command::MakeFolder => ask(app, "New folder", "Name", "", Purpose::MakeFolder),
        Command::MakeFile => ask(app, "New file", "Name", "", Purpose::MakeFile),
        Command::Delete => return ask_delete(app),
        Command::Find => ask(app, "Find", "Name", "", Purpose::Find),
        Command::FindNext => find(app, 1),
        Command::FindPrevious => find(app, -1),
        Command::Filter => {
            let filter = app.here().filter.clone();
            ask(app, "Filter", "Name", &filter, Purpose::Filter);
        }
        Command::SortName => return sort(app, SortKey::Name),
        Command::SortSize => return sort(app, SortKey::Size),
        Command::SortTime => return sort(app, SortKey::Modified),
        Command::SortExtension => return sort(app, SortKey::Extension),
        Command::Hidden => {
            let pane = app.here_mut();
            pane.hidden = if pane.hidden == Hidden::Shown { Hidden::LeftOut } else { Hidden::Shown };
            return vec![app.reload(side)];
        }
        Command::Unit => app.unit = next_unit(app.unit),
        Command::Refresh => return vec![app.reload(side)],
        Command::FolderSize => return measure(app),
        Command::CancelJob => {
            return app.jobs.last().map(|job| Effect::CancelJob(job.id)).into_iter().collect();
        }
        Command::Connect => ask(app, "Command", ":", "connme ", Purpose::Command),
        Command::CommandLine => ask(app, "Command", ":", "", Purpose::Command),
        Command::Log => app.dialogs.push(Dialog::Log { scroll: 0 }),
        Command::Help => app.dialogs.push(Dialog::Help { scroll: 0 }),
        Command::Suspend => return vec![Effect::Suspend],
        Command::Quit => return quit(app),
    }
    Vec::new()
}

fn quit(app: &mut App) -> Vec<Effect> {
    if app.jobs.is_empty() {
        return vec![Effect::Quit];
    }
    app.dialogs.push(Dialog::Quit { yes: false });
    Vec::new()
}

const fn next_unit(unit: Unit) -> Unit {
    match unit {
        Unit::Megabytes => Unit::Human,
        Unit::Human => Unit::Bytes,
        Unit::Bytes => Unit::Megabytes,
    }
}

fn ask(app: &mut App, title: &str, label: &str, text: &str, purpose: Purpose) {
    let (title, label, line) = (title.to_owned(), label.to_owned(), Line::new(text));
    app.dialogs.push(Dialog::Input { title, label, line, purpose });
}

fn go(app: &mut App, path: impl Fn(&App) -> WirePath) -> Vec<Effect> {
    let place = Place { link: app.here().place.link, path: path(app) };
    let side = app.active;
    vec![app.here_mut().go(side, place, None)]
}

fn open(app: &mut App) -> Vec<Effect> {
    let (side, pane) = (app.active, app.here());
    let Some(entry) = pane.current() else { return parent(app) };
    if !entry.attributes.leads_to_folder() {
        app.say(Tone::Plain, "not a folder; F5 copies it to the other pane");
        return Vec::new();
    }
    match pane.place.path.join(&entry.name) {
        Ok(path) => {
            let place = Place { link: pane.place.link, path };
            vec![app.here_mut().go(side, place, None)]
        }
        Err(error) => {
            app.say(Tone::Bad, error.to_string());
            Vec::new()
        }
    }
}

fn parent(app: &mut App) -> Vec<Effect> {
    let side = app.active;
    let Some((place, name)) = app.here().parent() else { return Vec::new() };
    vec![app.here_mut().go(side, place, name)]
}

fn swap(app: &mut App) -> Vec<Effect> {
    app.panes.swap(0, 1);
    app.active = app.active.other();
    vec![app.reload(Side::Left), app.reload(Side::Right)]
}

fn mark_all(app: &mut App) {
    let pane = app.here_mut();
    if pane.marks.is_empty() {
        let names = pane.shown.iter().map(|index| pane.entries[*index as usize].name.clone());
        pane.marks = names.collect();
    } else {
        pane.marks.clear();
    }
}

fn invert(app: &mut App) {
    let pane = app.here_mut();
    let shown = pane.shown.iter().map(|index| &pane.entries[*index as usize].name);
    pane.marks = shown.filter(|name| !pane.marks.contains(*name)).cloned().collect();
}

fn sort(app: &mut App, sort: SortKey) -> Vec<Effect> {
    let side = app.active;
    let pane = app.here_mut();
    pane.direction = match (pane.sort == sort, pane.direction) {
        (true, Direction::Ascending) => Direction::Descending,
        (false, _) if matches!(sort, SortKey::Size | SortKey::Modified) => Direction::Descending,
        _ => Direction::Ascending,
    };
    pane.sort = sort;
    vec![app.reload(side)]
}

fn find(app: &mut App, step: isize) {
    if !app.here_mut().find_next(step, false) {
        app.say(Tone::Plain, "nothing found");
    }
}

fn measure(app: &App) -> Vec<Effect> {
    let pane = app.here();
    let link = pane.place.link;
    let paths = pane.chosen().into_iter().filter_map(|entry| pane.place.path.join(&entry.name).ok());
    paths
        .map(|path| Effect::Measure { link, paths: vec![path.clone()], about: Place { link, path } })
        .collect()
}

/// What is chosen, as paths; words where nothing is, or the pane is not connected.
fn chosen(app: &mut App, side: Side) -> Option<(Place, Vec<Name>)> {
    let pane = app.pane(side);
    let place = pane.place.clone();
    let names: Vec<Name> = pane.chosen().into_iter().map(|entry| entry.name.clone()).collect();
    if app.server(place.link).is_some_and(|server| server.lost) {
        app.say(Tone::Bad, "this pane is not connected; C connects again");
        return None;
    }
    if names.is_empty() {
        app.say(Tone::Plain, "nothing is chosen");
        return None;
    }
    Some((place, names))
}

fn ask_carry(app: &mut App, carry: Carry) -> Vec<Effect> {
    let Some((place, names)) = chosen(app, app.active) else { return Vec::new() };
    let from: Vec<WirePath> = names.iter().filter_map(|name| place.path.join(name).ok()).collect();
    let what =
        if from.len() == 1 { names[0].display().to_string() } else { format!("{} things", from.len()) };
    let title = format!("{} {what} to", if carry == Carry::Copy { "Copy" } else { "Move" });
    let there = &app.there().place;
    let server = app.server(there.link).map(|server| server.name.clone()).unwrap_or_default();
    let (label, text) = (server, format!("/{}", there.path.display()));
    ask(app, &title, &label, &text, Purpose::Carry { carry, source: place.link, from });
    Vec::new()
}

/// Starts a job that brings things into a folder, each under its own name.
pub(super) fn carry(
    app: &mut App,
    carry: Carry,
    (source, from): (LinkId, Vec<WirePath>),
    to: &Place,
) -> Vec<Effect> {
    let mut items = Vec::new();
    for path in from {
        let Some(target) = path.name().and_then(|name| to.path.join(name).ok()) else { continue };
        if source == to.link && target.starts_with(&path) {
            let text = format!("{}: cannot go onto itself or into itself", path.display());
            app.say(Tone::Bad, text);
            return Vec::new();
        }
        items.push((path, target));
    }
    let names = match items.as_slice() {
        [(path, _)] => path.name().map(|name| name.display().to_string()).unwrap_or_default(),
        many => format!("{} things", many.len()),
    };
    let arrow = if source == LinkId::LOCAL { "↑" } else { "↓" };
    let job = new_job(app, format!("{arrow} {names} → {}", app_path(app, to)));
    vec![Effect::Carry { job, carry, source, items, destination: to.link }]
}

fn app_path(app: &App, place: &Place) -> String {
    let server = app.server(place.link).map(|server| server.name.clone()).unwrap_or_default();
    format!("{server}/{}", place.path.display())
}

pub(super) fn new_job(app: &mut App, title: String) -> JobId {
    let id = JobId(app.next_job);
    app.next_job += 1;
    let current = None;
    app.jobs.push(JobView {
        id,
        title,
        files: 0,
        files_total: 0,
        bytes: 0,
        bytes_total: 0,
        growing: true,
        current,
        elapsed_ms: 0,
    });
    id
}

fn ask_rename(app: &mut App) {
    let Some(name) = app.here().current().map(|entry| entry.name.clone()) else { return };
    let text = name.display().to_string();
    ask(app, "Rename", "Name", &text, Purpose::Rename(name));
}

fn ask_delete(app: &mut App) -> Vec<Effect> {
    let Some((place, names)) = chosen(app, app.active) else { return Vec::new() };
    confirm_delete(app, place, names)
}

fn confirm_delete(app: &mut App, place: Place, names: Vec<Name>) -> Vec<Effect> {
    let paths = names.iter().filter_map(|name| place.path.join(name).ok()).collect();
    let effect = Effect::Measure { link: place.link, paths, about: place.clone() };
    app.dialogs.push(Dialog::Delete { place, names, totals: None, yes: false });
    vec![effect]
}

/// A line of the command line.
pub(super) fn obey_line(app: &mut App, text: &str) -> Vec<Effect> {
    app.history.push(text.to_owned());
    let words = match split(text.as_bytes()) {
        Ok(words) => words,
        Err(error) => {
            app.say(Tone::Bad, error.to_string());
            return Vec::new();
        }
    };
    let Some((word, operands)) = words.split_first() else { return Vec::new() };
    let word = word.to_string_lossy().into_owned();
    let names: Vec<Name> = operands.iter().filter_map(|name| Name::new(name.as_bytes()).ok()).collect();
    let rest = operands.first().map(|path| path.to_string_lossy().into_owned());
    match (word.as_str(), rest) {
        ("connme", None) => connected_to(app),
        ("connme", Some(target)) => {
            app.say(Tone::Plain, format!("connecting to {target} …"));
            vec![Effect::Connect { side: Side::Right, target }]
        }
        ("ls" | "cd", Some(path)) => update::go_to(app, &path),
        ("ls", None) => obey(app, Command::Refresh),
        ("size", _) => say_size(app, &names),
        ("upload", _) => carry_named(app, app.active, names),
        ("download", _) => carry_named(app, app.active.other(), names),
        ("rm", _) if !names.is_empty() => confirm_delete(app, app.here().place.clone(), names),
        ("rm", _) => ask_delete(app),
        ("mkdir", Some(name)) => {
            let folder = app.here().place.clone();
            let path = update::below(app, &folder.path, &name);
            path.map(|path| Effect::MakeFolder(Place { link: folder.link, path })).into_iter().collect()
        }
        ("byebye", _) => byebye(app),
        ("help", _) => obey(app, Command::Help),
        ("quit" | "exit", _) => quit(app),
        (other, _) => {
            app.say(Tone::Bad, format!("{other}: no such word; help lists them"));
            Vec::new()
        }
    }
}

fn connected_to(app: &mut App) -> Vec<Effect> {
    let live = app.servers.iter().filter(|server| !server.lost).map(|server| server.name.clone());
    let live: Vec<String> = live.collect();
    if live.is_empty() {
        app.say(Tone::Plain, "not connected; connme TARGET connects");
    } else {
        app.say(Tone::Good, format!("connected to {}", live.join(", ")));
    }
    Vec::new()
}

fn say_size(app: &mut App, names: &[Name]) -> Vec<Effect> {
    let pane = app.here();
    let entries = pane.entries.iter().filter(|entry| names.contains(&entry.name));
    let named: Vec<_> = if names.is_empty() { pane.chosen() } else { entries.collect() };
    let files = named.iter().map(|entry| entry.attributes.size).sum::<u64>();
    let text = format!("{} MB ({files} bytes)", crate::model::size::megabytes(files));
    if named.iter().any(|entry| entry.attributes.leads_to_folder()) {
        return measure(app);
    }
    app.say(
        if named.is_empty() { Tone::Bad } else { Tone::Good },
        if named.is_empty() { "no such name here".to_owned() } else { text },
    );
    Vec::new()
}

fn carry_named(app: &mut App, from: Side, names: Vec<Name>) -> Vec<Effect> {
    let (place, names) = if names.is_empty() {
        let Some(chosen) = chosen(app, from) else { return Vec::new() };
        chosen
    } else {
        (app.pane(from).place.clone(), names)
    };
    let paths = names.iter().filter_map(|name| place.path.join(name).ok()).collect();
    let to = app.pane(from.other()).place.clone();
    carry(app, Carry::Copy, (place.link, paths), &to)
}

fn byebye(app: &mut App) -> Vec<Effect> {
    let sides = [app.active, app.active.other()];
    let Some(side) = sides.into_iter().find(|side| app.pane(*side).place.link != LinkId::LOCAL) else {
        app.say(Tone::Plain, "not connected");
        return Vec::new();
    };
    let link = app.pane(side).place.link;
    app.servers.retain(|server| server.link != link);
    app.say(Tone::Good, "connection closed");
    let home = Place { link: LinkId::LOCAL, path: app.home.clone() };
    let mut effects = vec![Effect::Disconnect(link)];
    for side in sides {
        if app.pane(side).place.link == link {
            effects.push(app.pane_mut(side).go(side, home.clone(), None));
            app.pane_mut(side).back.clear();
        }
    }
    effects
}
