//! Events to state and effects. It routes; what each means is decided in the room of its name.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use towpath_protocol::fault::Fault;
use towpath_protocol::path::WirePath;
use zeroize::Zeroizing;

use super::command::{Command, command_of};
use super::dialog::Awaited;
use super::effect::{Effect, Timer};
use super::event::Event;
use super::hands::Cause;
use super::pane::After;
use super::{
    App, Tone, answer, carry, changes, complete, conflicts, connect, delete, jobs, keyboard, keys, left,
    mouse, questions, servers,
};
use crate::model::number::counted;
use crate::model::size::megabytes_grouped;
use crate::model::{LinkId, Side};

/// Decides what an event means.
pub fn update(app: &mut App, event: Event) -> Vec<Effect> {
    let (before, cause) = ((app.front(), app.dialogs.len()), Cause::of(&event));
    let said = app.said;
    let mut effects = route(app, event);
    app.settle();
    effects.extend(app.mind_hands(before, cause));
    effects.extend(app.forget_news(said));
    effects.extend(app.look_on_later());
    effects.extend(app.keep_jobs());
    effects.extend(app.admit());
    effects
}

fn route(app: &mut App, event: Event) -> Vec<Effect> {
    match event {
        Event::Key(key) => return pressed(app, keyboard::meant(app, key)),
        Event::Paste(_) if !app.takes_pasted() => {}
        // It may have been a secret.
        Event::Paste(text) => return answer::pasted(app, &Zeroizing::new(text)),
        Event::Mouse { event, spot, at_ms } => return mouse::moved(app, event, spot, at_ms),
        Event::Resized { columns, rows } => app.screen = (columns, rows),
        Event::Drawn { is_whole } => app.drawn(is_whole),
        Event::LookedAtAgain => return looked_at_again(app),
        Event::Waited(timer) => return waited(app, timer),
        Event::Tick => app.ticks = app.ticks.wrapping_add(1),
        Event::Listed { generation, total, entries } => {
            if let Some(pane) = app.listing(generation) {
                pane.take_page(total, entries);
                changes::listed(app, generation);
            }
        }
        Event::ListEnded { generation, outcome } => return list_ended(app, generation, outcome),
        Event::Free { generation, bytes } => {
            if let Some(pane) = app.panes.iter_mut().find(|pane| pane.generation == generation) {
                pane.free = Some(bytes);
            }
        }
        Event::Measured { ticket, outcome } => delete::measured(app, ticket, outcome),
        Event::Looked { ticket, outcome } => return carry::looked(app, ticket, outcome),
        Event::Names { ticket, names } => complete::named(app, ticket, names),
        Event::Connected { link, name, path, round_trip_ms } => {
            return servers::connected(app, link, (&name, &path), round_trip_ms);
        }
        Event::TargetsKnown { recent, hosts } => connect::known(app, recent, &hosts),
        Event::CodeWanted { link } => servers::ask_code(app, link),
        Event::Questioned { link, question } => questions::come(app, link, question),
        Event::QuestionOver { ticket } => questions::over(app, ticket),
        Event::InstallOffered { link, system, text } => questions::offer(app, link, (system, text)),
        Event::Allowed { link, may } => app.allow(link, may),
        Event::NotConnected { link, why, outlook, at_ns } => {
            return servers::not_connected(app, link, (&why, outlook), at_ns);
        }
        Event::Disconnected { link, why, at_ns } => return servers::lost(app, link, why, at_ns),
        Event::JobProgress { id, now } => return jobs::progress(app, id, now),
        Event::JobConflict { id, conflict } => conflicts::found(app, id, conflict),
        Event::JobSettled { id, conflict } => conflicts::settled(app, id, conflict),
        Event::JobCompared { id, conflict, outcome } => conflicts::compared(app, id, conflict, outcome),
        Event::JobShort { id, needed, free } => conflicts::short(app, id, needed, free),
        Event::JobEnded { id, good, stopped, text, done } => {
            return jobs::ended(app, id, (good, stopped, text), &done);
        }
        Event::JobSaid { id, good, path, text } => jobs::said(app, id, good, (path, text)),
        Event::NoJournal(why) => left::not_kept(app, &why),
        Event::JobsLeft(jobs) => left::come(app, jobs),
        Event::Said { good, text } => app.say(if good { Tone::Good } else { Tone::Bad }, text),
        Event::Done { ticket, link, outcome } => changes::done(app, ticket, link, outcome),
        Event::Changed { link, paths, made } => return changed(app, link, &paths, made.as_ref()),
        Event::End => return vec![Effect::Quit],
    }
    Vec::new()
}

fn waited(app: &mut App, timer: Timer) -> Vec<Effect> {
    match timer {
        Timer::Digit => keys::escape_over(app),
        Timer::Hands => app.hear_again(),
        Timer::Held => app.let_go(),
        Timer::News => app.news = (Tone::Plain, String::new()),
        Timer::Answer => changes::go_on(app),
        Timer::Rows => app.look_on(),
        Timer::Reconnect(link) => return servers::retry(app, link),
    }
    Vec::new()
}

fn pressed(app: &mut App, key: KeyEvent) -> Vec<Effect> {
    if key.code == KeyCode::Char('z') && key.modifiers.contains(KeyModifiers::CONTROL) {
        return vec![Effect::Suspend];
    }
    if app.is_blank() {
        let leaves =
            app.dialogs.is_empty() && app.jobs.is_empty() && command_of(None, key) == Some(Command::Quit);
        if leaves {
            return vec![Effect::Quit];
        }
        app.hint("Keys do nothing in so small a window");
        return Vec::new();
    }
    if let Some(effects) = app.ignored(key) {
        return effects;
    }
    if !app.dialogs.is_empty() {
        return answer::pressed(app, key);
    }
    let side = app.active;
    let mut effects = keys::pressed(app, key);
    if key.code != KeyCode::Esc {
        effects.extend(servers::retry_at_once(app, side));
    }
    effects
}

/// Both panes are read again, as quietly as while a job fills them.
fn looked_at_again(app: &mut App) -> Vec<Effect> {
    let mut effects = Vec::new();
    for side in [Side::Left, Side::Right] {
        let pane = app.pane(side);
        if !pane.loading && !pane.rows.is_ranging() {
            effects.extend(app.reload(side));
            app.pane_mut(side).is_quiet = true;
        }
    }
    effects
}

fn list_ended(app: &mut App, generation: u64, outcome: Result<(), Fault>) -> Vec<Effect> {
    let Some(side) = app.side_of(generation).filter(|side| app.pane(*side).loading) else {
        return Vec::new();
    };
    let Err(fault) = outcome else {
        app.pane_mut(side).complete();
        announce(app, side);
        changes::listed(app, generation);
        return Vec::new();
    };
    let text = app.fault_text(app.pane(side).place.link, &fault);
    match app.pane_mut(side).fail(&fault, &text) {
        After::Returned if changes::refused(app, Awaited::Listing(generation), &text) => {}
        After::Stays | After::Returned => app.say(Tone::Bad, text),
        After::Climbs(place, name) => {
            app.say(Tone::Bad, format!("{text}; showing the folder above"));
            app.pane_mut(side).climb(place, name);
            return app.reload(side).into_iter().collect();
        }
    }
    Vec::new()
}

/// `ls` ends with the count and the folder's total.
fn announce(app: &mut App, side: Side) {
    let pane = app.pane_mut(side);
    if !std::mem::take(&mut pane.announces) {
        return;
    }
    let (count, bytes, place) = (pane.rows.entries.len(), pane.rows.bytes(), pane.place.clone());
    let items = counted(count as u64, "item", "items");
    let text = format!("{items}, {} MB in {}", megabytes_grouped(bytes), app.shown_place(&place));
    app.say(Tone::Good, text);
}

/// Panes that show one of these read their folder again; the active one's cursor goes to what is new.
fn changed(app: &mut App, link: LinkId, paths: &[WirePath], made: Option<&WirePath>) -> Vec<Effect> {
    let mut effects = Vec::new();
    for side in [Side::Left, Side::Right] {
        let is_active = side == app.active;
        let pane = app.pane_mut(side);
        let here = &pane.place.path;
        let is_shown = paths.iter().any(|path| pane.is_about(path));
        if pane.place.link == link && is_shown {
            // Of folders that were made in one go, the first.
            let new = made.filter(|path| is_active && path.starts_with(here));
            let new = new.and_then(|path| path.names().get(here.names().len())).cloned();
            if new.is_some() {
                pane.want(new);
            }
            effects.extend(app.reload(side));
        }
    }
    effects
}
