//! What each command does.

use towpath_protocol::path::{Name, WirePath};
use towpath_protocol::request::{Direction, Hidden, SortKey};

use super::command::Command;
use super::dialog::{Ask, Dialog, Label, Line, Prompt, PromptKind, Purpose, Stop, Then};
use super::effect::Effect;
use super::rows::Rows;
use super::sift::Found;
use super::{App, Tone, Unit, badge, carry, connect, delete, servers};
use crate::model::number::counted;
use crate::model::{Carry, LinkId, Place};

/// Does what a person means.
#[allow(clippy::too_many_lines, reason = "a table: a line a command")]
pub(super) fn obey(app: &mut App, command: Command) -> Vec<Effect> {
    if let Some(ask) = app.refusal(command) {
        return vec![ask];
    }
    let side = app.active;
    let page = app.page_rows(side) as isize;
    let rows = &mut app.here_mut().rows;
    match command {
        Command::Up => rows.move_by(-1),
        Command::Down => rows.move_by(1),
        Command::PageUp => rows.move_by(-page),
        Command::PageDown => rows.move_by(page),
        Command::HalfUp => rows.move_by(-(page / 2).max(1)),
        Command::HalfDown => rows.move_by((page / 2).max(1)),
        Command::Top => rows.go_to(0),
        Command::Bottom => rows.go_to(usize::MAX),
        Command::Mark => {
            rows.toggle_mark();
            rows.move_by(1);
        }
        Command::Range => rows.toggle_range(),
        Command::ExtendUp => rows.extend_by(-1),
        Command::ExtendDown => rows.extend_by(1),
        Command::MarkAll => rows.mark_all(),
        Command::Invert => rows.invert_marks(),
        Command::Open => return open(app),
        Command::Enter => return enter(app),
        Command::Parent => return parent(app),
        Command::OtherPane => app.active = side.other(),
        Command::SwapPanes => {
            app.panes.swap(0, 1);
            app.active = side.other();
        }
        Command::SameFolder => return same_folder(app),
        Command::Back => return travel(app, false),
        Command::Forward => return travel(app, true),
        Command::GoTo => ask(app, "Go to", "Path", "", Purpose::GoTo),
        Command::Home => return home(app),
        Command::Root => {
            let place = Place { link: app.here().place.link, path: WirePath::root() };
            return app.go(side, place, None);
        }
        Command::MarkPattern => ask(app, "Mark", "Pattern", "*", Purpose::Mark),
        Command::UnmarkPattern => ask(app, "Unmark", "Pattern", "*", Purpose::Unmark),
        Command::Copy => carry::ask(app, Carry::Copy),
        Command::Move => carry::ask(app, Carry::Move),
        Command::Yank => carry::remember(app, Carry::Copy),
        Command::Cut => carry::remember(app, Carry::Move),
        Command::Paste => carry::paste(app),
        Command::Rename => ask_rename(app),
        Command::MakeFolder => ask_new(app, "New folder", Purpose::MakeFolder),
        Command::Make => ask_new(app, "New file or folder/", Purpose::MakeFile),
        Command::MakeFile => ask_new(app, "New file", Purpose::MakeFile),
        Command::Delete => return delete::ask(app),
        Command::Find => prompt(app, PromptKind::Find, ""),
        Command::FindNext => find(app, 1),
        Command::FindPrevious => find(app, -1),
        Command::Filter => {
            let filter = app.here().rows.filter.clone();
            prompt(app, PromptKind::Filter, &filter);
        }
        Command::SortName => return sort(app, SortKey::Name),
        Command::SortSize => return sort(app, SortKey::Size),
        Command::SortTime => return sort(app, SortKey::Modified),
        Command::SortExtension => return sort(app, SortKey::Extension),
        Command::Hidden => return toggle_hidden(app),
        Command::Unit => app.unit = next_unit(app.unit),
        Command::Refresh => return refresh(app),
        Command::FolderSize => return delete::measure_chosen(app),
        Command::Jobs => app.dialogs.push(Dialog::Jobs { cursor: 0 }),
        Command::Answer => badge::open(app, None),
        Command::Connect => return reconnect_or_ask(app),
        Command::Bookmarks => return connect::open(app),
        Command::Bookmark => connect::bookmark_here(app),
        Command::CommandLine => prompt(app, PromptKind::Command, ""),
        Command::Log => app.dialogs.push(Dialog::Log { scroll: 0 }),
        Command::Help => app.dialogs.push(Dialog::Help { scroll: 0 }),
        Command::Suspend => return vec![Effect::Suspend],
        Command::Quit => return quit(app),
    }
    Vec::new()
}

pub(super) fn quit(app: &mut App) -> Vec<Effect> {
    if app.jobs.is_empty() {
        return vec![Effect::Quit];
    }
    let can_keep = app.jobs.iter().any(|job| app.can_keep(job));
    app.dialogs.push(Dialog::Stop(Stop { then: Then::Quit, can_keep, focus: 0 }));
    Vec::new()
}

const fn next_unit(unit: Unit) -> Unit {
    match unit {
        Unit::Megabytes => Unit::Human,
        Unit::Human => Unit::Bytes,
        Unit::Bytes => Unit::Megabytes,
    }
}

/// Opens a window with a line.
fn ask(app: &mut App, title: &str, label: &str, text: &str, purpose: Purpose) {
    ask_labelled(app, title, Label::of(label, "", ""), text, purpose);
}

fn ask_labelled(app: &mut App, title: &str, label: Label, text: &str, purpose: Purpose) {
    app.dialogs.push(Dialog::Ask(Ask::new(title, label, Line::offered(text), purpose)));
}

/// Opens a line at the bottom.
pub(super) fn prompt(app: &mut App, kind: PromptKind, text: &str) {
    let line = Line::offered(text);
    app.dialogs.push(Dialog::Prompt(Prompt { kind, line, completion: None, recalled: None, problem: None }));
}

fn open(app: &mut App) -> Vec<Effect> {
    let (side, pane) = (app.active, app.here());
    let Some(entry) = pane.rows.current() else { return parent(app) };
    if !entry.attributes.leads_to_folder() {
        let name = entry.name.display().to_string();
        app.hint(format!("{name} is a file"));
        return Vec::new();
    }
    match pane.place.path.join(&entry.name) {
        Ok(path) => {
            let place = Place { link: pane.place.link, path };
            app.go(side, place, None)
        }
        Err(error) => {
            app.say(Tone::Bad, error.to_string());
            Vec::new()
        }
    }
}

/// Like [`open`], but never up: on `../` it goes into the first entry.
fn enter(app: &mut App) -> Vec<Effect> {
    let rows = &mut app.here_mut().rows;
    if rows.current().is_none() {
        if rows.shown.is_empty() {
            return Vec::new();
        }
        rows.go_to(rows.up);
    }
    open(app)
}

fn parent(app: &mut App) -> Vec<Effect> {
    let side = app.active;
    let Some((place, name)) = app.here().parent() else { return Vec::new() };
    app.go(side, place, name)
}

fn same_folder(app: &mut App) -> Vec<Effect> {
    let place = app.here().place.clone();
    let on = app.here().rows.current().map(|entry| entry.name.clone());
    app.go(app.active.other(), place, on)
}

fn home(app: &mut App) -> Vec<Effect> {
    let link = app.here().place.link;
    let path = if link == LinkId::LOCAL { app.home.clone() } else { WirePath::root() };
    app.go(app.active, Place { link, path }, None)
}

fn travel(app: &mut App, is_forward: bool) -> Vec<Effect> {
    let Some(link) = app.here().next_place(is_forward).map(|place| place.link) else {
        app.hint(if is_forward { "nothing further on" } else { "nothing further back" });
        return Vec::new();
    };
    if !app.is_usable(link) {
        return Vec::new();
    }
    app.here_mut().travel(is_forward);
    app.reload(app.active).into_iter().collect()
}

fn refresh(app: &mut App) -> Vec<Effect> {
    if is_here_usable(app) { app.reload(app.active).into_iter().collect() } else { Vec::new() }
}

fn is_here_usable(app: &mut App) -> bool {
    let link = app.here().place.link;
    app.is_usable(link)
}

fn toggle_hidden(app: &mut App) -> Vec<Effect> {
    if !is_here_usable(app) {
        return Vec::new();
    }
    let pane = app.here_mut();
    pane.hidden = if pane.hidden == Hidden::Shown { Hidden::LeftOut } else { Hidden::Shown };
    refresh(app)
}

fn sort(app: &mut App, sort: SortKey) -> Vec<Effect> {
    if !is_here_usable(app) {
        return Vec::new();
    }
    let pane = app.here_mut();
    pane.direction = match (pane.sort == sort, pane.direction) {
        (true, Direction::Ascending) => Direction::Descending,
        (false, _) if matches!(sort, SortKey::Size | SortKey::Modified) => Direction::Descending,
        _ => Direction::Ascending,
    };
    pane.sort = sort;
    refresh(app)
}

fn find(app: &mut App, step: isize) {
    let pane = app.here_mut();
    let text = pane.find.clone();
    if text.is_empty() {
        app.hint("/ finds a name first");
    } else if matches!(pane.rows.find_next(&text, step, false), Found::No { .. }) {
        app.hint(format!("{text}: no match"));
    }
}

fn reconnect_or_ask(app: &mut App) -> Vec<Effect> {
    servers::connect_again(app).unwrap_or_else(|| connect::open(app))
}

/// What is chosen, as names; words where nothing is, or the pane is not connected.
pub(super) fn chosen(app: &mut App) -> Option<(Place, Vec<Name>)> {
    let place = app.here().place.clone();
    if !app.is_usable(place.link) {
        return None;
    }
    let rows = &app.here().rows;
    let names: Vec<Name> = rows.chosen().into_iter().map(|entry| entry.name.clone()).collect();
    let hidden = hidden_text(rows);
    match (names.is_empty(), hidden) {
        (true, Some(hidden)) => {
            app.say(Tone::Bad, format!("{hidden}: nothing done; Esc clears the filter"));
            return None;
        }
        (true, None) => {
            app.hint("Nothing marked");
            return None;
        }
        (false, Some(hidden)) => app.say(Tone::Plain, format!("{hidden} and left out")),
        (false, None) => {}
    }
    Some((place, names))
}

/// The marks that a filter hides, in words.
pub(super) fn hidden_text(rows: &Rows) -> Option<String> {
    let hidden = rows.marks_hidden() as u64;
    (hidden > 0).then(|| {
        format!("{} by the filter", counted(hidden, "marked entry is hidden", "marked entries are hidden"))
    })
}

fn ask_new(app: &mut App, title: &str, purpose: Purpose) {
    let place = app.here().place.clone();
    if app.is_usable(place.link) {
        let label = Label::of("Name, in ", &app.shown_place(&place), "");
        ask_labelled(app, title, label, "", purpose);
    }
}

fn ask_rename(app: &mut App) {
    let place = app.here().place.clone();
    let Some(name) = app.here().rows.current().map(|entry| entry.name.clone()) else { return };
    if app.is_usable(place.link) {
        let text = crate::model::words::escaped(name.as_bytes());
        let label = Label::of("New name of ", &name.display().to_string(), "");
        ask_labelled(app, "Rename", label, &text, Purpose::Rename(name));
    }
}
