//! A change of something that is there: of what this client made itself and left so with the right to write, of all else with the right to
//! delete, since what was there before is lost. A folder is a client's own for a change as long as that concerns nothing that others have put
//! into it. What is stored there between the look and the change is not seen.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use towpath_protocol::entry::{Attributes, Kind};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::permissions::Permission;

use super::Service;
use super::tree::{Met, Tree};
use crate::disk::{self, writing};

/// Things that are looked at in a folder before access to it is changed: some milliseconds. One that holds more is not the client's own.
const THINGS_MAX: usize = 20_000;

/// Begun, and allowed.
#[derive(Debug)]
pub(super) struct Change {
    thing: OwnedFd,
    found: Attributes,
    is_own: bool,
}

/// The part of a folder that a change concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// The folder, which is what its entries make of it: its time, and what somebody notes on it.
    Itself,
    /// All that is met through it: who may get at that.
    Content,
}

impl Change {
    /// An open file, looked at on demand.
    pub(super) fn begin(service: &Service, thing: OwnedFd) -> Result<Self, Fault> {
        let found = disk::stat_open(&thing)?;
        let is_own = service.allowance.is_own(&thing, &found);
        if !is_own && !may_delete(service) {
            let why = "this client did not make it, or it was changed since, and the client may not delete";
            return Err(Fault::new(FaultCode::PermissionDenied).because(why));
        }
        Ok(Self { thing, found, is_own })
    }

    /// Err where this change of a folder concerns what others have put there. To be called before it is made.
    pub(super) fn check_reach(&self, service: &Service, reach: Reach) -> Result<(), Fault> {
        if self.found.kind != Kind::Folder || may_delete(service) {
            return Ok(());
        }
        let is_alone = match reach {
            Reach::Itself => self.has_only_own_entries(service),
            Reach::Content => self.has_only_own_content(service),
        };
        if is_alone? {
            return Ok(());
        }
        let why = "not all that is in it is known to be this client's, and the client may not delete";
        Err(Fault::new(FaultCode::PermissionDenied).because(why))
    }

    /// Goes by what the folder tells by itself: a look at each of its things would cost as much as to store some of them.
    fn has_only_own_entries(&self, service: &Service) -> Result<bool, Fault> {
        let allowance = &service.allowance;
        for entry in disk::each_identity(self.thing())? {
            let (name, identity) = entry?;
            if !allowance.is_by_client(identity)
                && !disk::is_part(&self.thing, &name)
                && !disk::stat(&self.thing, &name).is_ok_and(|there| allowance.is_by_client(there.identity))
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Looks at all that is in the folder at any depth, unfinished files too.
    fn has_only_own_content(&self, service: &Service) -> Result<bool, Fault> {
        let allowance = &service.allowance;
        let mut tree = Tree::within(service, writing::open_again(&self.thing)?)?.looking_at_parts();
        for _ in 0..=THINGS_MAX {
            let met = tree.next();
            if !tree.parts().iter().all(|(part, _)| allowance.is_by_client(*part)) {
                return Ok(false);
            }
            let Some(met) = met else { return Ok(true) };
            let Ok(Met { entry, fault: None, is_again: false, .. }) = met else { return Ok(false) };
            let thing = match entry.attributes.kind {
                Kind::Folder => tree.folder(),
                _ => Some(self.thing()),
            };
            if !thing.is_some_and(|thing| allowance.is_own(thing, &entry.attributes)) {
                return Ok(false);
            }
        }
        Ok(false)
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

const fn may_delete(service: &Service) -> bool {
    service.welcome.permissions().allow(Permission::Delete)
}
