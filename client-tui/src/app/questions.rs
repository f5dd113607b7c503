//! What ssh asks on the way to a server, and the offer to put this program there: dialogs of connections that a person wants. Whoever
//! refuses gives the connection up; the panes stay as they are.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::App;
use super::answer;
use super::dialog::{Dialog, Install, Questioned};
use super::effect::Effect;
use super::servers::{self, State};
use crate::model::{LinkId, Question, QuestionKind, Secret};

/// A question. It comes beneath whatever a person is typing: what is typed there is no answer.
pub(super) fn come(app: &mut App, link: LinkId, question: Question) {
    // A line is there to be typed into, and the safe answer has the focus; Enter alone gives no connection up.
    let focus = (question.kind == QuestionKind::Confirm).then_some(0);
    app.dialogs.insert(0, Dialog::Question(Questioned { link, question, typed: Secret::default(), focus }));
}

pub(super) fn over(app: &mut App, ticket: u64) {
    app.dialogs
        .retain(|dialog| !matches!(dialog, Dialog::Question(asked) if asked.question.ticket == ticket));
}

pub(super) fn offer(app: &mut App, link: LinkId, (system, text): (String, String)) {
    app.dialogs.retain(|dialog| link_of(dialog) != Some(link));
    app.dialogs.insert(0, Dialog::Install(Install { link, system, text, focus: 0 }));
}

/// Only where a person waits for the connection is anybody asked for it.
pub(super) fn settle(app: &mut App) {
    let App { dialogs, servers, .. } = app;
    dialogs.retain(|dialog| {
        let Some(link) = link_of(dialog) else { return true };
        let server = servers.iter().find(|server| server.link == link);
        server.is_some_and(|server| matches!(server.state, State::Connecting { by_itself: false, .. }))
    });
}

const fn link_of(dialog: &Dialog) -> Option<LinkId> {
    match dialog {
        Dialog::Question(Questioned { link, .. }) | Dialog::Install(Install { link, .. }) => Some(*link),
        _ => None,
    }
}

/// A key for ssh's question.
pub(super) fn pressed(app: &mut App, key: KeyEvent) -> Vec<Effect> {
    let Some(Dialog::Question(asked)) = app.dialogs.last_mut() else { return Vec::new() };
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    let has_line = asked.question.kind == QuestionKind::Secret && asked.focus.is_none();
    match key.code {
        // As where ssh asks on the terminal.
        KeyCode::Char('c') if control => return refused(app),
        KeyCode::Enter if has_line => return answered(app),
        KeyCode::Char('u') if control && has_line => asked.typed.clear(),
        KeyCode::Backspace if has_line => asked.typed.pop(),
        KeyCode::Char(c) if has_line && !control => asked.typed.push(c.encode_utf8(&mut [0; 4])),
        _ => return answer::buttons_pressed(app, key),
    }
    Vec::new()
}

pub(super) fn pasted(app: &mut App, text: &str) {
    if let Some(Dialog::Question(asked)) = app.dialogs.last_mut()
        && asked.question.kind == QuestionKind::Secret
    {
        // No answer has a second line.
        asked.typed.push(text.lines().next().unwrap_or_default());
        asked.focus = None;
    }
}

/// What is typed, or yes, goes to ssh.
pub(super) fn answered(app: &mut App) -> Vec<Effect> {
    let Some(Dialog::Question(asked)) = app.dialogs.last_mut() else { return Vec::new() };
    let answer = match asked.question.kind {
        QuestionKind::Secret => std::mem::take(&mut asked.typed),
        QuestionKind::Confirm => Secret::of("yes"),
        // It is not for the keyboard to say that it was done.
        QuestionKind::Notice => return Vec::new(),
    };
    let ticket = asked.question.ticket;
    app.dialogs.pop();
    vec![Effect::Reply { ticket, answer }]
}

/// No answer: no connection.
pub(super) fn refused(app: &mut App) -> Vec<Effect> {
    let Some(Dialog::Question(asked)) = app.dialogs.pop() else { return Vec::new() };
    servers::stop_trying(app, asked.link, "given up");
    vec![Effect::Disconnect(asked.link)]
}

pub(super) fn agreed(app: &mut App) -> Vec<Effect> {
    let Some(Dialog::Install(Install { link, system, .. })) = app.dialogs.pop() else { return Vec::new() };
    let Some(target) = app.server(link).map(|server| server.target.clone()) else { return Vec::new() };
    app.hint(format!("copying this tow to {target} …  Esc gives up"));
    vec![Effect::Install { link, target, system }]
}

pub(super) fn declined(app: &mut App) -> Vec<Effect> {
    let Some(Dialog::Install(Install { link, .. })) = app.dialogs.pop() else { return Vec::new() };
    servers::stop_trying(app, link, "nothing was copied there; it needs towd, or this tow");
    vec![Effect::Disconnect(link)]
}
