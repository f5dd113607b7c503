//! Input grace: which keys, pastes and clicks the topmost layer takes.
//!
//! A key acts only on what a frame has shown: the layer, and the question in it, as they are when the key comes. A layer that opens by itself,
//! and one that keys reached before it was drawn, takes nothing until no input has come for half a second. Where the window is too small
//! to show anything, nothing is done at all.

use std::mem::{Discriminant, discriminant};

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::App;
use super::dialog::{Ask, Dialog, PromptKind, Purpose, Questioned};
use super::effect::{Effect, Timer};
use super::event::Event;
use super::layout::Layout;
use crate::model::QuestionKind;

/// Milliseconds without input after which fingers have stopped.
const PAUSE_MS: u64 = 500;
/// Milliseconds after which a key is no longer held down: keyboards wait up to 660 before they repeat one.
const HELD_MS: u64 = 700;

/// The topmost layer and what it asks; nothing of both while the panes take the keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Front {
    layer: (Option<Discriminant<Dialog>>, Option<Discriminant<Purpose>>, u64),
    /// The thing that an answer would be about.
    question: u64,
}

/// Timing of keys, and the frame that they can refer to.
#[derive(Debug, Default)]
pub(super) struct Hands {
    /// The layer that the newest frame showed; `None` once another layer opened.
    seen: Option<Front>,
    /// Nothing is taken until the fingers pause.
    is_deaf: bool,
    /// The key that opened the topmost layer, as long as it may still be held down.
    held: Option<(KeyCode, KeyModifiers)>,
}

/// Why something else came to the front.
#[derive(Debug, Clone, Copy)]
pub(super) enum Cause {
    Key(KeyCode, KeyModifiers),
    Mouse,
    /// A key or click that no layer takes.
    Itself,
}

/// The effect of a key on a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    /// Closes it, and changes nothing.
    Close,
    /// Edits a line that was not sent yet.
    Type,
    /// Moves a cursor or the focus.
    Move,
    Act,
}

impl Cause {
    pub(super) const fn of(event: &Event) -> Self {
        match event {
            Event::Key(key) => Self::Key(key.code, key.modifiers),
            Event::Mouse { .. } | Event::Paste(_) => Self::Mouse,
            _ => Self::Itself,
        }
    }
}

impl App {
    /// Whether what lies on top takes no keys yet.
    pub const fn is_deaf(&self) -> bool {
        self.hands.is_deaf
    }

    pub(super) fn front(&self) -> Front {
        let Some(dialog) = self.dialogs.last() else { return Front { layer: (None, None, 0), question: 0 } };
        let (purpose, about, question) = match dialog {
            Dialog::Ask(ask) => (
                Some(discriminant(&ask.purpose)),
                0,
                u64::from(ask.problem.is_some()) + 2 * u64::from(ask.is_busy()),
            ),
            Dialog::Prompt(prompt) => (None, prompt.kind as u64, 0),
            Dialog::Delete(delete) => (None, delete.ticket, 0),
            Dialog::Conflicts(shown) => (None, shown.job.0.into(), shown.cursor),
            Dialog::Short(short) => (None, short.job.0.into(), 0),
            Dialog::Connect(screen) => (None, 0, screen.cursor.map_or(0, |row| row as u64 + 1)),
            Dialog::Question(asked) => (None, asked.question.ticket, 0),
            Dialog::Install(install) => (None, install.link.0.into(), 0),
            Dialog::Left(_) => (None, 0, self.left.len() as u64),
            Dialog::Jobs { cursor } => (None, 0, self.job_in(*cursor).map_or(0, |job| job.id.0.into())),
            Dialog::Stop(_)
            | Dialog::Confirm(_)
            | Dialog::Help { .. }
            | Dialog::Log { .. }
            | Dialog::Words { .. } => (None, 0, 0),
        };
        Front { layer: (Some(discriminant(dialog)), purpose, about), question }
    }

    /// A frame has come to the screen. `is_whole`: the topmost layer shows with all its buttons.
    pub(super) fn drawn(&mut self, is_whole: bool) {
        self.hands.seen = is_whole.then(|| self.front());
    }

    /// Returns whether the window is too small to draw.
    pub(super) fn is_blank(&self) -> bool {
        Layout::of(self, self.screen).is_none()
    }

    /// Returns whether the topmost layer takes pasted text.
    pub(super) fn takes_pasted(&self) -> bool {
        let is_asked_for = |dialog: &Dialog| !dialog.opens_by_itself();
        !self.is_blank() && (self.dialogs.last().is_some_and(is_asked_for) || self.is_meant())
    }

    /// Returns whether a click is on the topmost layer.
    pub(super) fn is_meant(&self) -> bool {
        !self.is_blank()
            && (self.dialogs.is_empty() || !self.hands.is_deaf && self.hands.seen == Some(self.front()))
    }

    /// None if the topmost layer takes the key; else what follows from that it does not.
    pub(super) fn ignored(&mut self, key: KeyEvent) -> Option<Vec<Effect>> {
        let dialog = self.dialogs.last()?;
        let (used, front, seen) = (use_of(dialog, key), self.front(), self.hands.seen);
        let is_asked_for = !dialog.opens_by_itself();
        let is_again = self.hands.held == Some((key.code, key.modifiers)) || key.kind == KeyEventKind::Repeat;
        let is_layer_seen = seen.is_some_and(|seen| seen.layer == front.layer);
        let is_taken = match used {
            Use::Close | Use::Type if is_asked_for => true,
            Use::Move if is_asked_for && is_layer_seen => true,
            _ if self.hands.is_deaf => false,
            Use::Close | Use::Type | Use::Move => is_layer_seen,
            Use::Act => seen == Some(front) && !is_again,
        };
        if is_taken {
            if !is_again {
                self.hands.held = None;
            }
            return None;
        }
        if is_again && !self.hands.is_deaf && seen == Some(front) {
            return Some(vec![Effect::Wait { timer: Timer::Held, ms: HELD_MS }]);
        }
        if is_asked_for && !self.hands.is_deaf && matches!(dialog, Dialog::Ask(_) | Dialog::Prompt(_)) {
            self.hint("That key came before this was shown: press it again");
        }
        Some(vec![self.wait_for_a_pause()])
    }

    /// A key that means nothing to a question was meant for something else, and so may be the next ones.
    pub(super) fn wait_for_a_pause(&mut self) -> Effect {
        self.hands.is_deaf = true;
        Effect::Wait { timer: Timer::Hands, ms: PAUSE_MS }
    }

    /// After an event, before which `before` was in front and so many layers were open.
    pub(super) fn mind_hands(&mut self, (before, depth): (Front, usize), cause: Cause) -> Vec<Effect> {
        let now = self.front();
        if now == before {
            return Vec::new();
        }
        let is_same_layer = before.layer == now.layer;
        self.hands.seen = self.hands.seen.filter(|seen| is_same_layer && seen.layer == now.layer);
        if let (Some(Dialog::Ask(Ask { problem: None, waits: None, .. })), Cause::Key(..) | Cause::Mouse) =
            (self.dialogs.last(), cause)
            && self.hands.seen == Some(before)
        {
            // Who edits what was wrong has seen that it was, and sees what is typed.
            self.hands.seen = Some(now);
        }
        let Some(dialog) = self.dialogs.last() else {
            (self.hands.is_deaf, self.hands.held) = (false, None);
            return Vec::new();
        };
        let is_new = now.layer != before.layer;
        let comes_by_itself = match cause {
            Cause::Itself => is_new || !dialog.buttons().is_empty(),
            // It waited beneath what a person has closed.
            Cause::Key(..) | Cause::Mouse => {
                is_new && self.dialogs.len() <= depth && dialog.opens_by_itself()
            }
        };
        let is_opened = is_new && self.dialogs.len() > depth;
        if is_new {
            (self.hands.is_deaf, self.hands.held) = (false, None);
        }
        if comes_by_itself {
            return vec![self.wait_for_a_pause()];
        }
        match cause {
            Cause::Key(code, modifiers) if is_opened => {
                self.hands.held = Some((code, modifiers));
                vec![Effect::Wait { timer: Timer::Held, ms: HELD_MS }]
            }
            _ => Vec::new(),
        }
    }

    /// The fingers have paused.
    pub(super) const fn hear_again(&mut self) {
        self.hands.is_deaf = false;
    }

    /// The key that opened the topmost layer is not held down any more.
    pub(super) const fn let_go(&mut self) {
        self.hands.held = None;
    }
}

impl Dialog {
    /// Returns whether it opens without a key: questions of ssh or a server while a connection is made.
    pub(super) const fn opens_by_itself(&self) -> bool {
        matches!(
            self,
            Self::Question(_) | Self::Install(_) | Self::Ask(Ask { purpose: Purpose::Pair(_), .. })
        )
    }
}

/// Returns whether a key cancels any open layer.
pub(super) fn is_cancel(key: KeyEvent) -> bool {
    key.code == KeyCode::Esc
        || key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL)
}

fn use_of(dialog: &Dialog, key: KeyEvent) -> Use {
    use KeyCode::{BackTab, Char, Delete, Down, End, Enter, Home, Left, PageDown, PageUp, Right, Tab, Up};
    let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
    let acts_if = |acts: bool| if acts { Use::Act } else { Use::Type };
    match dialog {
        _ if is_cancel(key) => Use::Close,
        Dialog::Prompt(prompt) => acts_if(key.code == Enter && prompt.kind == PromptKind::Command),
        Dialog::Ask(Ask { focus: None, .. }) => acts_if(key.code == Enter),
        Dialog::Question(Questioned { focus: None, question, .. })
            if question.kind == QuestionKind::Secret =>
        {
            acts_if(key.code == Enter)
        }
        Dialog::Connect(screen) => acts_if(match key.code {
            Enter => true,
            Delete => screen.cursor.is_some(),
            Char('b' | 'd') => is_control,
            _ => false,
        }),
        Dialog::Help { .. } | Dialog::Log { .. } | Dialog::Words { .. } => Use::Move,
        Dialog::Jobs { .. } => match key.code {
            Enter | Char('w' | 'q') => Use::Close,
            Up | Down | Home | End | Char('j' | 'k' | 'g' | 'G') => Use::Move,
            _ => Use::Act,
        },
        Dialog::Conflicts(_) => match key.code {
            Up
            | Down
            | Left
            | Right
            | Tab
            | BackTab
            | PageUp
            | PageDown
            | Home
            | End
            | Char('j' | 'k' | 'g' | 'G') => Use::Move,
            _ => Use::Act,
        },
        Dialog::Ask(_)
        | Dialog::Delete(_)
        | Dialog::Short(_)
        | Dialog::Question(_)
        | Dialog::Install(_)
        | Dialog::Stop(_)
        | Dialog::Left(_)
        | Dialog::Confirm(_) => match key.code {
            Up | Down | Left | Right | Tab | BackTab => Use::Move,
            _ => Use::Act,
        },
    }
}
