//! A change of something that is there: of what this client made itself and left so with the right to write, of all else with the right to
//! delete, since what was there before is lost.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use towpath_protocol::entry::Attributes;
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::permissions::Permission;

use super::Service;
use crate::disk;

/// Begun, and allowed.
#[derive(Debug)]
pub(super) struct Change {
    thing: OwnedFd,
    found: Attributes,
    is_own: bool,
}

impl Change {
    /// An open file, looked at on demand.
    pub(super) fn begin(service: &Service, thing: OwnedFd) -> Result<Self, Fault> {
        let found = disk::stat_open(&thing)?;
        let is_own = service.allowance.is_own(&thing, &found);
        if !is_own && !service.welcome.permissions().allow(Permission::Delete) {
            let why = "this client did not make it, or it was changed since, and the client may not delete";
            return Err(Fault::new(FaultCode::PermissionDenied).because(why));
        }
        Ok(Self { thing, found, is_own })
    }

    pub(super) fn thing(&self) -> BorrowedFd<'_> {
        self.thing.as_fd()
    }

    pub(super) const fn found(&self) -> &Attributes {
        &self.found
    }

    /// It is done: what was this client's own still is.
    pub(super) fn end(&self, service: &Service) -> Result<(), Fault> {
        if self.is_own { service.allowance.changed(&self.thing) } else { Ok(()) }
    }
}
