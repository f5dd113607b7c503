//! Dialogs that come by themselves come under typing fingers: for a moment they take no keys and no clicks, so that nobody answers a
//! question that nobody has read.

use super::App;
use super::dialog::Dialog;
use super::effect::{Effect, Timer};
use crate::model::{JobId, LinkId};

/// How long fingers take to stop.
const DEAF_MS: u64 = 500;

/// A question that came by itself. `Left`: what an earlier `tow` left.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Guest {
    /// Of a job, about what is in its way.
    Conflicts(JobId),
    /// Of a job, about room.
    Short(JobId),
    /// Of ssh.
    Question(u64),
    Install(LinkId),
    Left,
}

impl App {
    /// Whether what lies on top takes no keys yet.
    pub const fn is_deaf(&self) -> bool {
        self.is_deaf
    }

    /// What lies on top, where it came by itself.
    pub(super) fn guest(&self) -> Option<Guest> {
        match self.dialogs.last()? {
            Dialog::Conflicts(conflicts) => Some(Guest::Conflicts(conflicts.job)),
            Dialog::Short(short) => Some(Guest::Short(short.job)),
            Dialog::Question(asked) => Some(Guest::Question(asked.question.ticket)),
            Dialog::Left(_) => Some(Guest::Left),
            Dialog::Install(install) => Some(Guest::Install(install.link)),
            _ => None,
        }
    }

    /// After an event before which `before` lay on top.
    pub(super) fn mind_hands(&mut self, before: Option<&Guest>) -> Option<Effect> {
        let now = self.guest();
        if now.is_none() {
            self.is_deaf = false;
        }
        let is_new = now.is_some() && now.as_ref() != before;
        self.is_deaf |= is_new;
        is_new.then_some(Effect::Wait { timer: Timer::Hands, ms: DEAF_MS })
    }

    /// The moment is over.
    pub(super) const fn hear_again(&mut self) {
        self.is_deaf = false;
    }
}
