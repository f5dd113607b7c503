//! Small changes and ways that a window with a line asks for: the window closes once they are done, and keeps its text where they fail.

use towpath_protocol::fault::Fault;

use super::dialog::{Ask, Awaited, Dialog, Purpose};
use super::effect::Effect;
use super::{App, Tone};
use crate::model::{LinkId, Place};

/// Time that a window waits for its answer. After it the panes take the keys again, since a disk or a server may never answer.
pub(super) const PATIENCE_MS: u64 = 1_000;

/// A change that is under way, and what is said once it is done.
#[derive(Debug)]
pub(super) struct Change {
    ticket: u64,
    done: String,
}

impl Ask {
    /// A confirmed change is being carried out.
    pub const fn is_busy(&self) -> bool {
        self.waits.is_some()
    }
}

impl App {
    fn begin_change(&mut self, done: String) -> u64 {
        let ticket = self.next_ticket();
        self.changes.push(Change { ticket, done });
        ticket
    }
}

pub(super) fn make_folder(app: &mut App, place: Place) -> Effect {
    let ticket = app.begin_change(format!("created {}/", app.shown_place(&place)));
    Effect::MakeFolder { ticket, place }
}

pub(super) fn make_file(app: &mut App, place: Place) -> Effect {
    let ticket = app.begin_change(format!("created {}", app.shown_place(&place)));
    Effect::MakeFile { ticket, place }
}

pub(super) fn rename(app: &mut App, from: Place, to: Place) -> Effect {
    let name = from.path.name().map(|name| name.display().to_string()).unwrap_or_default();
    let ticket = app.begin_change(format!("renamed {name} to {}", app.shown_place(&to)));
    Effect::Rename { ticket, link: from.link, from: from.path, to: to.path }
}

/// The window in front has asked for these: it waits for what comes of them. False where there is nothing to wait for.
pub(super) fn wait_for(app: &mut App, effects: &[Effect]) -> bool {
    let waits = effects.iter().find_map(|effect| match effect {
        Effect::MakeFolder { ticket, .. }
        | Effect::MakeFile { ticket, .. }
        | Effect::Rename { ticket, .. } => Some(Awaited::Change(*ticket)),
        Effect::List { generation, .. } => Some(Awaited::Listing(*generation)),
        _ => None,
    });
    if let (Some(Dialog::Ask(ask)), Some(_)) = (app.dialogs.last_mut(), waits) {
        (ask.waits, ask.problem) = (waits, None);
    }
    waits.is_some()
}

/// A change is done, or cannot be.
pub(super) fn done(app: &mut App, ticket: u64, link: LinkId, outcome: Result<(), Fault>) {
    let Some(at) = app.changes.iter().position(|change| change.ticket == ticket) else { return };
    let change = app.changes.remove(at);
    match outcome {
        Ok(()) => {
            close(app, Awaited::Change(ticket));
            app.say(Tone::Good, change.done);
        }
        Err(fault) => {
            let text = app.fault_text(link, &fault);
            if !refused(app, Awaited::Change(ticket), &text) {
                app.say(Tone::Bad, text);
            }
        }
    }
}

/// A folder has answered: the pane that asked for it shows it.
pub(super) fn listed(app: &mut App, generation: u64) {
    close(app, Awaited::Listing(generation));
}

/// A confirmed change failed: the window says why and keeps its text. Returns false if the window is closed.
pub(super) fn refused(app: &mut App, waits: Awaited, why: &str) -> bool {
    let waiting = app.dialogs.iter_mut().find_map(|dialog| match dialog {
        Dialog::Ask(ask) if ask.waits == Some(waits) => Some(ask),
        _ => None,
    });
    let Some(ask) = waiting else { return false };
    (ask.waits, ask.problem, ask.focus) = (None, Some(why.to_owned()), None);
    true
}

/// Closes a window whose answer takes too long. The outcome is shown once it is known.
pub(super) fn go_on(app: &mut App) {
    let windows = app.dialogs.len();
    app.dialogs.retain(|dialog| !matches!(dialog, Dialog::Ask(ask) if ask.is_busy()));
    if app.dialogs.len() < windows {
        app.hint("No answer yet: tow goes on waiting, and says what comes of it");
    }
}

/// The window in front closes before its folder has answered: the pane stays where it was.
pub(super) fn give_up(app: &mut App) {
    if let Some(Dialog::Ask(Ask { waits: Some(Awaited::Listing(generation)), .. })) = app.dialogs.last() {
        let generation = *generation;
        if let Some(pane) = app.listing(generation) {
            pane.turn_back();
        }
    }
}

fn close(app: &mut App, waits: Awaited) {
    app.dialogs.retain(|dialog| !matches!(dialog, Dialog::Ask(ask) if ask.waits == Some(waits)));
}

/// Returns whether the window stays open until its change is done.
pub(super) const fn is_awaited(purpose: &Purpose) -> bool {
    matches!(purpose, Purpose::GoTo | Purpose::MakeFolder | Purpose::MakeFile | Purpose::Rename(_))
}
