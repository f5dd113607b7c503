//! Keys over the panes: sequences, Esc and digits as function keys, and what each key means.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::command::{command_of, is_for_later};
use super::effect::{Effect, Timer};
use super::obey::obey;
use super::servers;
use super::{App, Tone};

/// Stands for Esc where a second key may follow.
const ESC: char = '\x1b';
/// How long a digit after Esc may take.
const DIGIT_MS: u64 = 500;

/// A key while no layer is open.
pub(super) fn pressed(app: &mut App, key: KeyEvent) -> Vec<Effect> {
    let pending = app.pending.take();
    if pending.is_some_and(|first| first != ESC) {
        app.hint("");
    }
    let has_alt = key.modifiers.contains(KeyModifiers::ALT);
    if let KeyCode::Char(c @ '0'..='9') = key.code
        && (pending == Some(ESC) || has_alt)
    {
        let number = if c == '0' { 10 } else { c as u8 - b'0' };
        return pressed(app, KeyEvent::new(KeyCode::F(number), KeyModifiers::NONE));
    }
    if key.code == KeyCode::Esc {
        if pending == Some(ESC) {
            return Vec::new();
        }
        app.pending = Some(ESC);
        let mut effects = escape(app);
        effects.push(Effect::Wait { timer: Timer::Digit, ms: DIGIT_MS });
        return effects;
    }
    let first = pending.filter(|first| *first != ESC);
    if first.is_none()
        && let KeyCode::Char(c @ ('g' | ',')) = key.code
        && key.modifiers.is_empty()
    {
        app.pending = Some(c);
        app.hint(if c == 'g' {
            "g: to the first row   h: home   /: root   Space: go to a path"
        } else {
            "sort by n: name   s: size   t: time   e: extension   (again: the other way round)"
        });
        return Vec::new();
    }
    match command_of(first, key) {
        Some(command) => obey(app, command),
        None if first.is_none() && is_for_later(key) => {
            app.say(Tone::Plain, "not available yet");
            Vec::new()
        }
        None if key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL) => {
            app.hint("q quits; w shows the jobs, and cancels them one by one");
            Vec::new()
        }
        None => Vec::new(),
    }
}

/// The half second after Esc is over.
pub(super) fn escape_over(app: &mut App) {
    if app.pending == Some(ESC) {
        app.pending = None;
    }
}

/// Closes what is open over a pane: a range, a filter, a connection that is being made, a folder that has not answered. Never a job, never
/// a connection.
fn escape(app: &mut App) -> Vec<Effect> {
    let rows = &mut app.here_mut().rows;
    if rows.end_range() {
        return Vec::new();
    }
    if !rows.filter.is_empty() {
        rows.set_filter("");
        return Vec::new();
    }
    let given_up = servers::give_up(app);
    if given_up.is_none() && app.here_mut().turn_back() {
        app.hint("Stayed here: that folder has not answered");
    }
    given_up.unwrap_or_default()
}
