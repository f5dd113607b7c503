//! Things that are made beside their place and put there when they are complete: whoever looks sees what was there before,
//! or the new thing, never half of it. Knows the policies for what exists already; knows no request and no connection.

mod part;

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use towpath_protocol::entry::{Attributes, Kind, Version};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::metadata::{self, Parts};
use towpath_protocol::path::{Location, Name};
use towpath_protocol::request::{Durability, Existing, StoreAs};
use towpath_protocol::time::Time;

use super::allowance::{Allowance, Gone};
use super::ledger::{Identity, Ledger};
use super::metadata::{Wished, unless};
use crate::disk::parts::PartId;
use crate::disk::writing::{self, Spot};
use crate::disk::{self, durable, holes, parts, times};
use crate::root::{Guarded, Kept, Root};
pub(super) use part::{Part, Reach};

/// Names tried before giving up; one is enough unless somebody plays with us.
const NAMES_TRIED_MAX: usize = 8;

/// A folder, held open, and a name in it: where something is, or is to be.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) folder: Arc<OwnedFd>,
    pub(super) name: Name,
}

/// What may be replaced at the destination, by something that was modified when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Policy {
    pub(super) existing: Existing,
    pub(super) expected: Option<Version>,
    pub(super) modified: Time,
    pub(super) durability: Durability,
}

impl From<&StoreAs> for Policy {
    fn from(store: &StoreAs) -> Self {
        Self {
            existing: store.existing,
            expected: store.expected,
            modified: store.modified,
            durability: store.durability,
        }
    }
}

impl Policy {
    /// Whether a file or link may go where `there` is, or where nothing is.
    pub(super) fn allows_over(&self, there: Option<&Attributes>) -> Result<(), Fault> {
        let Some(there) = there else {
            return match (self.existing, self.expected) {
                (Existing::Replace | Existing::ReplaceOlder, Some(_)) => Err(FaultCode::Changed.into()),
                _ => Ok(()),
            };
        };
        match self.existing {
            Existing::Keep => return Err(FaultCode::AlreadyExists.into()),
            Existing::Replace | Existing::ReplaceOlder if there.kind == Kind::Folder => {
                return Err(FaultCode::IsAFolder.into());
            }
            Existing::Replace | Existing::ReplaceOlder if there.kind.is_special() => {
                return Err(FaultCode::SpecialFile.into());
            }
            Existing::ReplaceOlder if self.modified <= there.modified => {
                return Err(Fault::new(FaultCode::AlreadyExists).because("and is not older"));
            }
            Existing::Replace | Existing::ReplaceOlder => {}
        }
        match self.expected {
            Some(expected) if !there.version().is_named_by(&expected) => Err(FaultCode::Changed.into()),
            _ => Ok(()),
        }
    }
}

impl Held {
    /// Something that may be there and is to be changed, or taken from.
    pub(super) fn find(root: &Root, location: &Location) -> Result<Self, Fault> {
        let held = Self::look_for(root, location)?;
        held.check(root.kept())?;
        if disk::is_part(&*held.folder, &held.name) {
            return Err(FaultCode::NotFound.into());
        }
        Ok(held)
    }

    /// Something that is to be made, or replaced.
    pub(super) fn find_new(root: &Root, location: &Location) -> Result<Self, Fault> {
        let held = Self::look_for(root, location)?;
        held.check(root.kept())?;
        held.check_name()?;
        Ok(held)
    }

    /// Something that is to be made where nothing is: whatever has the name already stays, also where it is kept.
    pub(super) fn find_free(root: &Root, location: &Location) -> Result<Self, Fault> {
        let held = Self::look_for(root, location)?;
        if root.kept().has_name(&held.name) {
            held.check(root.kept())?;
        }
        held.check_name()?;
        Ok(held)
    }

    /// Like [`find`](Self::find), for an unchanged file: it only has to be reachable.
    pub(super) fn look_for(root: &Root, location: &Location) -> Result<Self, Fault> {
        let (folder, name) = root.parent_of(location)?;
        Ok(Self { folder: Arc::new(folder), name })
    }

    /// Err where the program keeps this for itself, or where it leads to what it keeps.
    pub(super) fn check(&self, kept: &Kept) -> Result<(), Fault> {
        check_kept(kept, &*self.folder, &self.name)
    }

    /// Err where only unfinished files have such names.
    pub(super) fn check_name(&self) -> Result<(), Fault> {
        if parts::has_part_form(&self.name) {
            return Err(Fault::new(FaultCode::PermissionDenied)
                .because("names of this form are kept for unfinished files; choose another"));
        }
        Ok(())
    }

    /// What is there now, looked at itself where it is a link.
    pub(super) fn look(&self) -> Result<Option<Attributes>, Fault> {
        match disk::stat(&*self.folder, &self.name) {
            Ok(attributes) => Ok(Some(attributes)),
            Err(fault) if fault.code == FaultCode::NotFound => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    pub(super) fn spot(&self) -> Spot<'_> {
        Spot::new(&*self.folder, &self.name)
    }

    /// The existing file, if the ledger knows it and the disk frees it once this name is replaced.
    pub(super) fn going(&self, there: Option<&Attributes>, ledger: &Ledger) -> Option<Identity> {
        let there = there.filter(|there| ledger.knows(there.identity))?;
        let found = writing::look_at(&*self.folder, &self.name).ok()?;
        let (identity, names) = disk::identity_and_names(found).ok()?;
        (there.kind != Kind::Folder && identity == there.identity && names == 1).then_some(identity)
    }

    /// To be called before this name is made to lead elsewhere, or nowhere.
    pub(super) fn leaving(&self) -> Leaving {
        Leaving(writing::look_at(&*self.folder, &self.name).ok())
    }
}

/// A thing that is about to lose a name.
#[derive(Debug)]
pub(super) struct Leaving(Option<OwnedFd>);

impl Leaving {
    /// Returns whether that was its last name: then its blocks are free.
    pub(super) fn gone(self) -> Gone {
        let found = self.0.and_then(|thing| disk::identity_and_names(thing).ok());
        Gone(found.filter(|(_, names)| *names == 0).map(|(identity, _)| identity))
    }
}

/// Err where the program keeps for itself what has this name, or where it leads to what it keeps.
pub(super) fn check_kept(kept: &Kept, folder: impl AsFd, name: &Name) -> Result<(), Fault> {
    match kept.guards(folder, name)? {
        None => Ok(()),
        Some(Guarded::Kept) => Err(kept_fault()),
        Some(Guarded::Way) => Err(Fault::new(FaultCode::PermissionDenied)
            .because("it leads to what the server keeps for itself, and stays as it is")),
    }
}

/// Why a client does not get at what is the program's own.
pub(super) fn kept_fault() -> Fault {
    Fault::new(FaultCode::PermissionDenied).because("the server keeps it for itself")
}

/// Something under a temporary name, removed when dropped unless it was put in place.
#[derive(Debug)]
struct Beside {
    folder: Arc<OwnedFd>,
    name: Name,
    placed: bool,
}

impl Beside {
    /// Makes it with `make`, under a name of that ID; fails where the name exists.
    fn make<T>(
        folder: &Arc<OwnedFd>,
        make: impl Fn(&OwnedFd, PartId) -> Result<(Name, T), Fault>,
    ) -> Result<(Self, T), Fault> {
        for _ in 0..NAMES_TRIED_MAX {
            match make(folder, PartId::random()?) {
                Ok((name, made)) => return Ok((Self { folder: folder.clone(), name, placed: false }, made)),
                Err(fault) if fault.code == FaultCode::AlreadyExists => {}
                Err(fault) => return Err(fault),
            }
        }
        Err(FaultCode::AlreadyExists.into())
    }

    /// Makes a link. What the same copy left when it was killed before goes.
    fn link(folder: &Arc<OwnedFd>, id: PartId, target: &[u8]) -> Result<Self, Fault> {
        let name = id.link_name(target)?;
        match writing::make_link(&**folder, &name, target) {
            Err(fault) if fault.code == FaultCode::AlreadyExists && parts::remove_link(&**folder, &name) => {
                writing::make_link(&**folder, &name, target)?;
            }
            made => made?,
        }
        Ok(Self { folder: folder.clone(), name, placed: false })
    }

    /// Renames it to its final name, in the same folder, and has that on the disk where the policy wants it so.
    fn place(self, name: &Name, policy: &Policy) -> Result<Gone, Fault> {
        let folder = self.folder.clone();
        let gone = self.put_in_place(name, policy)?;
        if policy.durability == Durability::Synced {
            durable::flush_folder(&*folder)?;
        }
        Ok(gone)
    }

    /// Renames it to its final name, in the same folder.
    fn put_in_place(mut self, name: &Name, policy: &Policy) -> Result<Gone, Fault> {
        let to = Held { folder: self.folder.clone(), name: name.clone() };
        let from = Spot::new(&*self.folder, &self.name);
        let mut gone = Gone::default();
        if policy.existing == Existing::Keep {
            writing::rename_new(from, to.spot())?;
        } else {
            policy.allows_over(to.look()?.as_ref())?;
            let leaving = to.leaving();
            writing::rename_over(from, to.spot())?;
            gone = leaving.gone();
        }
        self.placed = true;
        Ok(gone)
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        if self.placed {
            return;
        }
        if let Err(fault) = writing::remove_file(&*self.folder, &self.name) {
            tracing::warn!(part = %self.name.display(), %fault, "a part file could not be removed");
        }
    }
}

/// Puts a symbolic link in place, its time set. Tells what it could not be given besides.
pub(super) fn place_link(
    to: &Held,
    target: &[u8],
    policy: &Policy,
    wished: Wished<'_>,
    allowance: &Arc<Allowance>,
) -> Result<(Attributes, Parts), Fault> {
    let goes = to.going(to.look()?.as_ref(), allowance.ledger());
    let hold = allowance.hold(&*to.folder, link_bytes(target), goes)?;
    let place = |beside: Beside| {
        let unset = wished.give_link(&beside.folder, &beside.name)?;
        let timed = times::set_modified(&*beside.folder, &beside.name, policy.modified);
        Ok((beside.place(&to.name, policy)?, unset.and_also(unless(metadata::Part::Modified, timed))))
    };
    let id = PartId::of_copy(allowance.client().0, &to.name, target.len() as u64, policy.modified);
    let placed = match Beside::link(&to.folder, id, target) {
        // Another copy of the same link is at it.
        Err(fault) if fault.code == FaultCode::AlreadyExists => Err(FaultCode::NotFound.into()),
        made => made.and_then(place),
    };
    let (gone, unset) = match placed {
        Err(fault) if fault.code == FaultCode::NotFound => {
            let (beside, ()) = Beside::make(&to.folder, |folder, id| {
                let name = id.link_name(target)?;
                writing::make_link(folder, &name, target).map(|()| (name, ()))
            })?;
            place(beside)?
        }
        placed => placed?,
    };
    let made = disk::stat(&*to.folder, &to.name)?;
    hold.store(&made, disk::seal_of_name(&*to.folder, &to.name, &made), link_bytes(target), gone);
    Ok((made, unset))
}

/// Bytes of a link on disk besides its inode, in which a short target has room.
const fn link_bytes(target: &[u8]) -> u64 {
    const BYTES_IN_INODE: usize = 59;

    if target.len() > BYTES_IN_INODE { holes::in_blocks(target.len() as u64) } else { 0 }
}
