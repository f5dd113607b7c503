//! Copying and moving: what is chosen or was yanked, to where the dialog's line says. What makes no sense is refused there, in words.

use std::collections::HashSet;

use towpath_protocol::entry::Kind;
use towpath_protocol::fault::Fault;
use towpath_protocol::path::{Name, WirePath};

use super::dialog::{Ask, CarryPlan, Dialog, Label, Line, Purpose};
use super::effect::Effect;
use super::jobs::Work;
use super::obey::chosen;
use super::typed::{check_not_remote, is_folder_text, place_of};
use super::{App, Tone};
use crate::model::number::counted;
use crate::model::size::megabytes_grouped;
use crate::model::words::{escaped, unescaped};
use crate::model::{Carry, LinkId, Place};

/// What was yanked or cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clipboard {
    pub carry: Carry,
    pub link: LinkId,
    pub from: Vec<WirePath>,
}

/// F5 and F6: asks where to; the other pane is offered.
pub(super) fn ask(app: &mut App, carry: Carry) {
    let Some((place, names)) = chosen(app) else { return };
    let from = names.iter().filter_map(|name| place.path.join(name).ok()).collect();
    let to = app.there().place.clone();
    if app.is_usable(to.link) {
        offer(app, carry, (place.link, from), &to, false);
    }
}

/// `y` and `x`.
pub(super) fn remember(app: &mut App, carry: Carry) {
    let Some((place, names)) = chosen(app) else { return };
    let word = if carry == Carry::Copy { "yanked" } else { "cut" };
    app.hint(format!("{} {word}; p pastes it", things(&names)));
    let from = names.iter().filter_map(|name| place.path.join(name).ok()).collect();
    app.clipboard = Some(Clipboard { carry, link: place.link, from });
}

/// `p`: asks, and offers the folder of the active pane.
pub(super) fn paste(app: &mut App) {
    let Some(Clipboard { carry, link, from }) = app.clipboard.clone() else {
        app.hint("nothing to paste; y yanks, x cuts");
        return;
    };
    let to = app.here().place.clone();
    if app.is_usable(link) && app.is_usable(to.link) {
        offer(app, carry, (link, from), &to, carry == Carry::Move);
    }
}

fn things(names: &[Name]) -> String {
    match names {
        [name] => name.display().to_string(),
        many => format!("{} items", many.len()),
    }
}

pub(super) fn things_at(paths: &[WirePath]) -> String {
    match paths {
        [path] => path.name().map(|name| name.display().to_string()).unwrap_or_default(),
        many => format!("{} items", many.len()),
    }
}

/// The label of the items to copy or move: a name, or how many files and folders there are and what the files hold.
fn counted_at(app: &App, link: LinkId, from: &[WirePath]) -> String {
    let [first, _, ..] = from else { return things_at(from) };
    let folder = first.parent();
    let pane =
        app.panes.iter().find(|pane| pane.place.link == link && Some(&pane.place.path) == folder.as_ref());
    let Some(pane) = pane else { return things_at(from) };
    let names: HashSet<&Name> = from.iter().filter_map(WirePath::name).collect();
    let entries: Vec<_> = pane.rows.entries.iter().filter(|entry| names.contains(&entry.name)).collect();
    if entries.len() != from.len() {
        return things_at(from);
    }
    let (folders, files): (Vec<_>, Vec<_>) =
        entries.into_iter().partition(|entry| entry.attributes.kind == Kind::Folder);
    let bytes = files.iter().map(|entry| entry.attributes.size).fold(0, u64::saturating_add);
    let files = (!files.is_empty()).then(|| {
        format!("{} ({} MB)", counted(files.len() as u64, "file", "files"), megabytes_grouped(bytes))
    });
    let folders = (!folders.is_empty()).then(|| counted(folders.len() as u64, "folder", "folders"));
    files.into_iter().chain(folders).collect::<Vec<_>>().join(" and ")
}

fn offer(app: &mut App, carry: Carry, (source, from): (LinkId, Vec<WirePath>), to: &Place, is_cut: bool) {
    let server = app.server(to.link).map(|server| server.name.clone()).unwrap_or_default();
    let mut text = format!("{server}/{}", escaped(&to.path.to_bytes()));
    if !to.path.is_root() {
        text.push('/');
    }
    if let [path] = from.as_slice() {
        text.push_str(&path.name().map(|name| escaped(name.as_bytes())).unwrap_or_default());
    }
    let plan =
        CarryPlan { carry, source, from, offered: text.clone(), base: to.clone(), looking: None, is_cut };
    let purpose = Purpose::Carry(plan.clone());
    let verb = if carry == Carry::Copy { "Copy " } else { "Move " };
    let label = Label::of(verb, &counted_at(app, source, &plan.from), " to");
    let mut ask = Ask::new(purpose.action(), label, Line::offered(text), purpose);
    ask.focus = Some(0);
    // Told at once, not only after Enter.
    if let Ok((place, _)) = destination(app, &plan, &ask.line.text)
        && let Err(problem) = items(&plan, &place, is_many(&plan))
    {
        // The offered destination is not valid: the user edits it.
        ask.line.is_selected = false;
        (ask.problem, ask.focus) = (Some(problem), None);
    }
    app.dialogs.push(Dialog::Ask(ask));
}

const fn is_many(plan: &CarryPlan) -> bool {
    plan.from.len() != 1
}

/// Where the line leads, and whether that is a folder to carry into: none where only a look will tell.
fn destination(app: &App, plan: &CarryPlan, text: &str) -> Result<(Place, Option<bool>), String> {
    if text.trim().is_empty() {
        return Err("enter a destination".to_owned());
    }
    let name = |text: &str| text.rsplit('/').next().unwrap_or_default().to_owned();
    if name(text) != name(&plan.offered) && name(text).contains(['*', '?']) {
        // A copy under a name with a star in it is hardly ever meant.
        return Err("name patterns are not supported here; write \\x2a for a * and \\x3f for a ?".to_owned());
    }
    let typed = unescaped(text);
    if text != plan.offered {
        check_not_remote(app, &plan.base, &typed)?;
    }
    let place = place_of(app, &plan.base, LinkId::LOCAL, &typed)?;
    let into = if is_many(plan) || is_folder_text(&typed) || place.path.is_root() {
        Some(true)
    } else if text == plan.offered {
        Some(false)
    } else if app.panes.iter().any(|pane| pane.place == place) {
        Some(true)
    } else {
        None
    };
    Ok((place, into))
}

/// What goes where. Err in words where something would go onto or into itself.
fn items(plan: &CarryPlan, place: &Place, into: bool) -> Result<Vec<(WirePath, WirePath)>, String> {
    let mut items = Vec::new();
    for path in &plan.from {
        let to = match path.name() {
            Some(name) if into => place.path.join(name).map_err(|error| error.to_string())?,
            _ => place.path.clone(),
        };
        let name = path.name().map(|name| name.display().to_string()).unwrap_or_default();
        if plan.source == place.link && to == *path {
            return Err(format!("{name}: source and destination are the same"));
        }
        if plan.source == place.link && to.starts_with(path) {
            return Err(format!("{name} cannot go into itself"));
        }
        items.push((path.clone(), to));
    }
    Ok(items)
}

/// The dialog says go. It stays open with words where that makes no sense, or until it is known whether the destination is a folder.
pub(super) fn confirmed(app: &mut App) -> Vec<Effect> {
    let Some(Dialog::Ask(Ask { line, purpose: Purpose::Carry(plan), .. })) = app.dialogs.last() else {
        return Vec::new();
    };
    let (text, plan) = (line.text.clone(), plan.clone());
    let (place, into) = match destination(app, &plan, &text) {
        Ok(found) => found,
        Err(problem) => return refuse(app, problem),
    };
    for link in [plan.source, place.link] {
        if !app.is_usable(link) {
            return refuse(app, "not connected".to_owned());
        }
    }
    if let Some(into) = into {
        return launch(app, &plan, &place, into);
    }
    let ticket = app.next_ticket();
    if let Some(Dialog::Ask(Ask { purpose: Purpose::Carry(plan), .. })) = app.dialogs.last_mut() {
        plan.looking = Some(ticket);
    }
    app.looks.push((ticket, place.clone()));
    vec![Effect::Look { ticket, place }]
}

/// It is known whether a destination is a folder.
pub(super) fn looked(app: &mut App, ticket: u64, outcome: Result<Option<bool>, Fault>) -> Vec<Effect> {
    let Some(at) = app.looks.iter().position(|(known, _)| *known == ticket) else { return Vec::new() };
    let (_, place) = app.looks.remove(at);
    let Some(Dialog::Ask(Ask { purpose: Purpose::Carry(plan), .. })) = app.dialogs.last() else {
        return Vec::new();
    };
    if plan.looking != Some(ticket) {
        return Vec::new();
    }
    let plan = plan.clone();
    match outcome {
        Ok(kind) => launch(app, &plan, &place, kind == Some(true)),
        Err(fault) => refuse(app, app.fault_text(place.link, &fault)),
    }
}

fn launch(app: &mut App, plan: &CarryPlan, place: &Place, into: bool) -> Vec<Effect> {
    match items(plan, place, into) {
        Ok(items) => {
            app.dialogs.pop();
            start(app, plan, items, place, into);
            Vec::new()
        }
        Err(problem) => refuse(app, problem),
    }
}

/// The line has the focus, and words say what is wrong with it.
fn refuse(app: &mut App, problem: String) -> Vec<Effect> {
    if let Some(Dialog::Ask(ask)) = app.dialogs.last_mut() {
        (ask.problem, ask.focus) = (Some(problem), None);
        if let Purpose::Carry(plan) = &mut ask.purpose {
            plan.looking = None;
        }
    }
    Vec::new()
}

fn start(app: &mut App, plan: &CarryPlan, items: Vec<(WirePath, WirePath)>, place: &Place, into: bool) {
    let mut to = app.shown_place(place);
    if into && !to.ends_with('/') {
        to.push('/');
    }
    let title = format!("{} → {to}", things_at(&plan.from));
    let mut job = app.new_job(title, Work::Carry(plan.carry));
    (job.source, job.destination) = (plan.source, place.link);
    (job.sources, job.targets) = items.iter().cloned().unzip();
    job.is_cut = plan.is_cut;
    let (carry, source, destination) = (plan.carry, plan.source, place.link);
    job.effect = Some(Effect::Carry { job: job.id, carry, source, items, destination, existing: None });
    app.enqueue(job);
}

/// `upload` and `download`: no dialog, since all is said.
pub(super) fn carry_into(app: &mut App, source: LinkId, from: Vec<WirePath>, folder: &Place) -> Vec<Effect> {
    let (offered, base) = (String::new(), folder.clone());
    let plan = CarryPlan { carry: Carry::Copy, source, from, offered, base, looking: None, is_cut: false };
    match items(&plan, folder, true) {
        Ok(items) => start(app, &plan, items, folder, true),
        Err(problem) => app.say(Tone::Bad, problem),
    }
    Vec::new()
}
