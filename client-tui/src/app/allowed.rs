//! What a server lets this client do: what it does not is shown dim, and refused here in words, before anything is asked.

use towpath_protocol::permissions::{Permission, Permissions};

use super::command::Command;
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

    /// As [`is_allowed`](Self::is_allowed), and says why not.
    pub(super) fn is_let(&mut self, command: Command) -> bool {
        let Some((link, may)) = self.forbidden_at(command) else { return true };
        let name = self.server(link).map(|server| server.name.clone()).unwrap_or_default();
        self.say(Tone::Bad, format!("{name}: not allowed; this client may {may} there"));
        false
    }
}
