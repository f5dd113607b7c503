//! What a server lets this client do: what it does not is shown dim, and refused here in words. That is a hint: the refusal itself is
//! up to the server.

use towpath_protocol::hello::Access;
use towpath_protocol::path::Name;
use towpath_protocol::permissions::{Permission, Permissions};

use super::command::Command;
use super::effect::Effect;
use super::{App, Tone};
use crate::model::LinkId;

/// What a command needs in the pane that it is given in, and in the other one.
const fn needs(command: Command) -> (Permissions, Permissions) {
    use Permission::{Delete, Read, Write};
    const fn only(permission: Permission) -> Permissions {
        Permissions::NONE.with(permission)
    }
    match command {
        Command::Copy => (only(Read), only(Write)),
        Command::Move => (only(Delete), only(Write)),
        Command::Yank => (only(Read), Permissions::NONE),
        Command::Cut | Command::Delete => (only(Delete), Permissions::NONE),
        Command::Paste | Command::MakeFolder | Command::Make | Command::MakeFile => {
            (only(Write), Permissions::NONE)
        }
        Command::Rename => (only(Write).with(Delete), Permissions::NONE),
        _ => (Permissions::NONE, Permissions::NONE),
    }
}

impl App {
    /// What may be done at a link.
    fn may(&self, link: LinkId) -> Permissions {
        self.server(link).map_or(Permissions::ALL, |server| server.may)
    }

    /// A server has said what this client may do.
    pub(super) fn allow(&mut self, link: LinkId, may: Permissions) {
        if let Some(server) = self.server_mut(link) {
            server.may = may;
        }
    }

    /// Where a command may not be done, and what may be done there; none where it may.
    fn forbidden_at(&self, command: Command) -> Option<(LinkId, Permissions)> {
        let (here, there) = needs(command);
        let panes = [(self.here().place.link, here), (self.there().place.link, there)];
        let found = panes.into_iter().find(|(link, needed)| !self.may(*link).cover(*needed));
        found.map(|(link, _)| (link, self.may(link)))
    }

    /// Whether a server lets this client do that.
    pub fn is_allowed(&self, command: Command) -> bool {
        self.forbidden_at(command).is_none()
    }

    /// Says why a command is not allowed. The effect asks the server, which may write down what it refuses. `None` where the command is
    /// allowed.
    pub(super) fn refusal(&mut self, command: Command) -> Option<Effect> {
        let (link, may) = self.forbidden_at(command)?;
        let name = self.server(link).map(|server| server.name.clone()).unwrap_or_default();
        let why = if may.access() == Access::ReadOnly { "read-only" } else { "not allowed" };
        self.say(Tone::Bad, format!("{name}: {why}: you may {}", may.in_words()));
        let (here, there) = needs(command);
        let is_here = self.here().place.link == link && !may.cover(here);
        let missing = if is_here { here } else { there };
        let permission = missing.iter().find(|permission| !may.allow(*permission))?;
        let folder = if is_here { &self.here().place.path } else { &self.there().place.path };
        // A new thing has no name yet.
        let chosen = if is_here && permission == Permission::Write { None } else { self.first_chosen() };
        let path = chosen.and_then(|name| folder.join(name).ok()).unwrap_or_else(|| folder.clone());
        Some(Effect::AskRefused { link, permission, path })
    }

    /// The first item that a command would handle.
    fn first_chosen(&self) -> Option<&Name> {
        self.here().rows.chosen().first().map(|entry| &entry.name)
    }
}
