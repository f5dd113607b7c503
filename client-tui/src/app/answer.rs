//! Keys and clicks while a layer is open: they go to the topmost, and to nothing below it.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use globset::Glob;

use super::carry;
use super::delete;
use super::dialog::{Answer, Ask, Confirm, Dialog, Doomed, Purpose, Questioned, Stop, Then};
use super::effect::{Effect, Timer};
use super::hands::is_cancel;
use super::typed::{is_remote, place_of};
use super::{App, changes, conflicts, connect, left, prompt, questions, queue, servers};
use crate::model::kept::KeptId;
use crate::model::words::unescaped;
use crate::model::{Place, QuestionKind};

/// Rows that a page key moves in a text.
const PAGE_ROWS: usize = 10;
/// Rows that a line of the log takes at most, for all that is known here.
const LOG_LINE_ROWS_MAX: usize = 3;

/// A key for the topmost layer.
pub(super) fn pressed(app: &mut App, key: KeyEvent) -> Vec<Effect> {
    let key = if is_cancel(key) { KeyEvent::new(KeyCode::Esc, KeyModifiers::NONE) } else { key };
    match app.dialogs.last() {
        Some(Dialog::Prompt(_)) => prompt::pressed(app, key),
        Some(Dialog::Ask(ask)) if ask.focus.is_none() || ask.is_busy() => line_pressed(app, key),
        Some(Dialog::Help { .. } | Dialog::Log { .. } | Dialog::Words { .. }) => text_pressed(app, key),
        Some(Dialog::Jobs { .. }) => queue::pressed(app, key),
        Some(Dialog::Connect(_)) => connect::pressed(app, key),
        Some(Dialog::Question(_)) => questions::pressed(app, key),
        Some(Dialog::Conflicts(_)) => conflicts::pressed(app, key),
        Some(_) => buttons_pressed(app, key),
        None => Vec::new(),
    }
}

/// What is pasted goes into the line.
pub(super) fn pasted(app: &mut App, text: &str) -> Vec<Effect> {
    match app.dialogs.last_mut() {
        Some(Dialog::Prompt(_)) => prompt::pasted(app, text),
        Some(Dialog::Connect(_)) => connect::pasted(app, text),
        Some(Dialog::Question(_)) => questions::pasted(app, text),
        Some(Dialog::Ask(ask)) if !ask.is_busy() => {
            ask.line.paste(text);
            edited(ask);
        }
        _ => {}
    }
    Vec::new()
}

/// The line has the focus: letters are letters.
fn line_pressed(app: &mut App, key: KeyEvent) -> Vec<Effect> {
    let Some(Dialog::Ask(ask)) = app.dialogs.last_mut() else { return Vec::new() };
    match key.code {
        KeyCode::Esc => {
            changes::give_up(app);
            return answer(app, Answer::No);
        }
        _ if ask.is_busy() => {}
        KeyCode::Enter => return answer(app, Answer::Yes),
        KeyCode::Tab | KeyCode::Down => ask.focus = Some(0),
        KeyCode::BackTab | KeyCode::Up => ask.focus = Some(1),
        _ => {
            if ask.line.key(key) {
                edited(ask);
            }
        }
    }
    Vec::new()
}

fn edited(ask: &mut Ask) {
    ask.problem = None;
    ask.focus = None;
    if let Purpose::Carry(plan) = &mut ask.purpose {
        plan.looking = None;
    }
}

/// A button has the focus: letters are buttons.
pub(super) fn buttons_pressed(app: &mut App, key: KeyEvent) -> Vec<Effect> {
    if key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT) {
        return Vec::new();
    }
    let Some(dialog) = app.dialogs.last_mut() else { return Vec::new() };
    let buttons = dialog.buttons();
    match key.code {
        KeyCode::Left | KeyCode::BackTab | KeyCode::Up => move_focus(dialog, buttons.len(), false),
        KeyCode::Right | KeyCode::Tab | KeyCode::Down => move_focus(dialog, buttons.len(), true),
        KeyCode::Enter => {
            let focused = buttons.iter().find(|button| button.is_focused).map(|button| button.answer);
            return focused.map_or_else(Vec::new, |focused| answer(app, focused));
        }
        KeyCode::Char('y' | 'Y') => return answer(app, Answer::Yes),
        KeyCode::Esc if matches!(dialog, Dialog::Short(_)) => drop(app.dialogs.pop()),
        KeyCode::Esc | KeyCode::Char('n' | 'N') => return answer(app, Answer::No),
        KeyCode::Char(c) => {
            let meant = buttons.iter().find(|button| button.key == Some(c)).map(|button| button.answer);
            return match meant {
                Some(meant) => answer(app, meant),
                None => vec![app.wait_for_a_pause()],
            };
        }
        _ => {}
    }
    Vec::new()
}

fn move_focus(dialog: &mut Dialog, buttons: usize, is_forward: bool) {
    let step = |focus: usize| (focus + if is_forward { 1 } else { buttons - 1 }) % buttons.max(1);
    match dialog {
        Dialog::Delete(delete) => delete.focus = step(delete.focus),
        Dialog::Conflicts(conflicts) => conflicts.focus = step(conflicts.focus),
        Dialog::Short(short) => short.focus = step(short.focus),
        Dialog::Stop(stop) => stop.focus = step(stop.focus),
        Dialog::Left(left) => left.focus = step(left.focus),
        Dialog::Confirm(confirm) => confirm.focus = step(confirm.focus),
        Dialog::Install(install) => install.focus = step(install.focus),
        Dialog::Question(Questioned { focus, question, .. }) if question.kind != QuestionKind::Secret => {
            *focus = Some(focus.map_or(0, step));
        }
        Dialog::Ask(Ask { focus, .. }) | Dialog::Question(Questioned { focus, .. }) => {
            // The line is one more that can have the focus.
            let at = focus.map_or(0, |focus| focus + 1);
            let all = buttons + 1;
            *focus = ((at + if is_forward { 1 } else { all - 1 }) % all).checked_sub(1);
        }
        _ => {}
    }
}

/// A button of the topmost layer was taken.
pub(super) fn answer(app: &mut App, answer: Answer) -> Vec<Effect> {
    match (app.dialogs.last_mut(), answer) {
        (Some(Dialog::Conflicts(_)), Answer::Choose(choice)) => conflicts::chosen(app, choice),
        (Some(Dialog::Conflicts(_)), Answer::Reach(reach)) => conflicts::reached(app, reach),
        (Some(Dialog::Conflicts(_)), Answer::Compare) => conflicts::compare(app),
        (Some(Dialog::Conflicts(_)), _) => Vec::new(),
        (Some(Dialog::Short(short)), meant) => {
            let id = short.job;
            app.dialogs.pop();
            if meant == Answer::Yes {
                return queue::cancel(app, id);
            }
            conflicts::goes_on(app, id);
            Vec::new()
        }
        (Some(Dialog::Ask(Ask { purpose: Purpose::Carry(_), .. })), Answer::Yes) => carry::confirmed(app),
        (Some(Dialog::Ask(_)), Answer::Yes) => entered(app),
        (Some(Dialog::Delete(_)), Answer::Yes) => match app.dialogs.pop() {
            Some(Dialog::Delete(question)) => delete::confirmed(app, question),
            _ => Vec::new(),
        },
        (Some(Dialog::Stop(Stop { then, .. })), Answer::Yes | Answer::Keep) => {
            let (then, end_job) = (*then, if answer == Answer::Keep { queue::leave } else { queue::cancel });
            app.dialogs.pop();
            match then {
                Then::Quit => quit(app, answer == Answer::Keep),
                Then::Bye(link) => servers::leave(app, link, end_job),
            }
        }
        (Some(Dialog::Left(_)), Answer::Yes) => {
            app.dialogs.pop();
            left::go_on(app)
        }
        (Some(Dialog::Left(_)), Answer::Forget) => {
            app.dialogs.push(Dialog::Confirm(Confirm { what: Doomed::Left, focus: 0 }));
            Vec::new()
        }
        (Some(Dialog::Left(_)), _) => {
            app.dialogs.pop();
            app.hint("They wait; o opens the question again");
            Vec::new()
        }
        (Some(Dialog::Confirm(_)), Answer::Yes) => match app.dialogs.pop() {
            Some(Dialog::Confirm(confirm)) => given_up(app, confirm.what),
            _ => Vec::new(),
        },
        (Some(Dialog::Question(_)), Answer::Yes) => questions::answered(app),
        (Some(Dialog::Question(_)), _) => questions::refused(app),
        (Some(Dialog::Install(_)), Answer::Yes) => questions::agreed(app),
        (Some(Dialog::Install(_)), _) => questions::declined(app),
        (Some(Dialog::Ask(Ask { purpose: Purpose::Pair(link), .. })), _) => {
            let link = *link;
            app.dialogs.pop();
            servers::stop_trying(app, link, "not paired");
            vec![Effect::Disconnect(link)]
        }
        _ => {
            app.dialogs.pop();
            Vec::new()
        }
    }
}

/// It is agreed that something goes.
fn given_up(app: &mut App, what: Doomed) -> Vec<Effect> {
    match what {
        Doomed::Job(id) => queue::cancel(app, id),
        Doomed::Left => left::forget(app),
        Doomed::Bookmark { name, target } => connect::remove_bookmark(app, name, &target),
    }
}

/// Ends the program. What is kept stays in the journal, and what came of it stays where it is.
fn quit(app: &mut App, keeps: bool) -> Vec<Effect> {
    app.hint(if keeps { "keeping the jobs for next time …" } else { "stopping the jobs …" });
    let mut effects = Vec::new();
    for job in &app.jobs {
        match (keeps, job.is_waiting()) {
            (true, true) => {}
            (true, false) => effects.push(Effect::LeaveJob(job.id)),
            (false, _) => effects.push(Effect::Forget(KeptId::Job(job.id))),
        }
    }
    effects.push(Effect::Quit);
    effects
}

/// A typed line is to be taken. Where it makes no sense the window stays.
fn entered(app: &mut App) -> Vec<Effect> {
    let Some(Dialog::Ask(Ask { line, purpose, .. })) = app.dialogs.last() else { return Vec::new() };
    let (text, purpose) = (line.text.clone(), purpose.clone());
    let done = match &purpose {
        Purpose::Pair(link) => servers::pair(app, *link, &text),
        Purpose::Limit(job) => queue::limit(app, *job, &text),
        Purpose::Bookmark(target) => connect::keep(app, text.trim(), target),
        Purpose::Mark | Purpose::Unmark => mark_pattern(app, &text, purpose == Purpose::Mark),
        _ => named(app, &text, &purpose),
    };
    match done {
        Ok(mut effects) if changes::is_awaited(&purpose) && changes::wait_for(app, &effects) => {
            effects.push(Effect::Wait { timer: Timer::Answer, ms: changes::PATIENCE_MS });
            effects
        }
        Ok(effects) => {
            // The window may lie below one that was opened just now.
            if let Some(at) = app.dialogs.iter().rposition(|dialog| matches!(dialog, Dialog::Ask(_))) {
                app.dialogs.remove(at);
            }
            effects
        }
        Err(problem) => {
            if let Some(Dialog::Ask(ask)) = app.dialogs.last_mut() {
                (ask.problem, ask.focus) = (Some(problem), None);
            }
            Vec::new()
        }
    }
}

/// What is typed names a place.
fn named(app: &mut App, text: &str, purpose: &Purpose) -> Result<Vec<Effect>, String> {
    let here = app.here().place.clone();
    if text.trim().is_empty() {
        return Err("a name is missing".to_owned());
    }
    if *purpose == Purpose::GoTo && is_remote(&app.bookmarks.expanded(text)) {
        return Ok(servers::connect(app, app.active, text));
    }
    if !app.is_usable(here.link) {
        return Err("not connected".to_owned());
    }
    let place = place_of(app, &here, here.link, &unescaped(text))?;
    Ok(match purpose {
        Purpose::GoTo => app.go(app.active, place, None),
        Purpose::MakeFile if !text.ends_with('/') => vec![changes::make_file(app, place)],
        Purpose::Rename(name) => {
            let from = here.path.join(name).map_err(|error| error.to_string())?;
            let Place { link, path: to } = place;
            if link != here.link {
                return Err("that is another machine; F6 moves there".to_owned());
            }
            if from == to {
                return Ok(Vec::new());
            }
            vec![changes::rename(app, Place { link, path: from }, Place { link, path: to })]
        }
        _ => vec![changes::make_folder(app, place)],
    })
}

fn mark_pattern(app: &mut App, pattern: &str, marks: bool) -> Result<Vec<Effect>, String> {
    let matcher = Glob::new(pattern).map_err(|_| format!("{pattern}: not a pattern"))?.compile_matcher();
    let is_meant = |name: &towpath_protocol::path::Name| matcher.is_match(name.display().to_string());
    let changed = app.here_mut().rows.set_marks(marks, is_meant);
    app.hint(format!("{changed} {}", if marks { "marked" } else { "unmarked" }));
    Ok(Vec::new())
}

/// A text that is only read.
fn text_pressed(app: &mut App, key: KeyEvent) -> Vec<Effect> {
    let Some(Dialog::Help { scroll } | Dialog::Log { scroll } | Dialog::Words { scroll }) =
        app.dialogs.last_mut()
    else {
        return Vec::new();
    };
    match key.code {
        KeyCode::Down | KeyCode::Char('j') => *scroll += 1,
        KeyCode::Up | KeyCode::Char('k') => *scroll = scroll.saturating_sub(1),
        KeyCode::PageDown | KeyCode::Char(' ') => *scroll += PAGE_ROWS,
        KeyCode::PageUp => *scroll = scroll.saturating_sub(PAGE_ROWS),
        KeyCode::Home | KeyCode::Char('g') => *scroll = 0,
        _ => drop(app.dialogs.pop()),
    }
    limit_scroll(app);
    Vec::new()
}

/// Nobody scrolls past the end of a text.
pub(super) fn limit_scroll(app: &mut App) {
    // A long line of the log takes several rows.
    let (help, log) = (super::command::TABLE.len(), app.log.len() * LOG_LINE_ROWS_MAX);
    match app.dialogs.last_mut() {
        Some(Dialog::Help { scroll }) => *scroll = (*scroll).min(help.saturating_sub(1)),
        Some(Dialog::Log { scroll }) => *scroll = (*scroll).min(log.saturating_sub(1)),
        Some(Dialog::Words { scroll }) => *scroll = (*scroll).min(prompt::WORDS.len() - 1),
        _ => {}
    }
}
