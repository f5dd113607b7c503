//! A file that is written beside its place, under a name that proves it ours, or without one where it is new. See [`beside`](super).

use std::cell::Cell;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use towpath_protocol::entry::Attributes;
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::metadata::{self, Parts};
use towpath_protocol::path::Name;
use towpath_protocol::request::{Durability, Existing};
use towpath_protocol::time::Time;

use super::super::allowance::{Gone, Hold};
use super::super::grant::ClientId;
use super::super::leftovers::Leftovers;
use super::super::metadata::{Wished, unless};
use super::{Beside, Held, Policy};
use crate::disk::holes::Stored;
use crate::disk::parts::{Found, PartId};
use crate::disk::writing::Inode;
use crate::disk::{self, durable, holes, mode, parts, times, unnamed};

/// The owner's permissions of a part while it is written.
const OURS: u16 = 0o600;

/// A file that is being written beside its place.
#[derive(Debug)]
pub(in crate::service) struct Part {
    // Closed before the name goes.
    file: OwnedFd,
    spot: PartSpot,
    stored: Cell<Stored>,
    has_attributes: Cell<bool>,
    /// Permission bits, and those that it is to have in place.
    modes: (u16, u16),
}

#[derive(Debug)]
enum PartSpot {
    Named(Beside),
    /// It has no name yet, in this folder. Where it has to go over another file, it gets the name of such a part first.
    Unnamed(Arc<OwnedFd>, PartId),
}

/// Permissions of others on a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::service) enum Reach {
    /// Permissions of others on the final file.
    Final,
    /// Nothing once it has content, if the file system can keep them out.
    Hidden,
    /// Nothing at any time: the file in place may be another owner's.
    Secret,
}

impl Part {
    /// The system itself says which of the bits of `mode` a new file gets in this folder.
    fn create(folder: &Arc<OwnedFd>, mode: u16, reach: Reach) -> Result<Self, Fault> {
        let asked = asked(mode, reach);
        let (beside, file) = Beside::make(folder, |folder, id| parts::create(folder, id, asked))?;
        Ok(Self::begun(file, beside, mode, reach))
    }

    fn begun(file: OwnedFd, beside: Beside, mode: u16, reach: Reach) -> Self {
        if reach == Reach::Secret {
            let permitted = mode::permitted_in(&*beside.folder, mode);
            return Self::of(file, beside, (OURS, permitted));
        }
        let given = given(&file, asked(mode, reach));
        let is_hidden = reach == Reach::Hidden && given != OURS && mode::set_open_mode(&file, OURS).is_ok();
        Self::of(file, beside, (if is_hidden { OURS } else { given }, given & (mode | !OURS)))
    }

    fn of(file: OwnedFd, beside: Beside, modes: (u16, u16)) -> Self {
        Self::at(PartSpot::Named(beside), file, modes)
    }

    fn at(spot: PartSpot, file: OwnedFd, modes: (u16, u16)) -> Self {
        Self { file, spot, stored: Cell::default(), has_attributes: Cell::default(), modes }
    }

    /// Nobody else reaches it before it is in place: it need not be hidden. One that may get another owner has a name from the beginning: the
    /// system may not let others than its owner name it later.
    fn unnamed((to, inode): (&Held, Inode), id: PartId, mode: u16, reach: Reach) -> Option<Self> {
        if reach == Reach::Secret {
            return None;
        }
        let asked = asked(mode, reach);
        let file = unnamed::create((&*to.folder, inode), id, asked)?;
        let given = given(&file, asked);
        Some(Self::at(PartSpot::Unnamed(to.folder.clone(), id), file, (given, given & (mode | !OURS))))
    }

    /// A part that another upload can take up, since it knows its ID: the existing one, if it is ours and not open,
    /// else a new one; one of another ID if it is open.
    pub(in crate::service) fn take_up(
        folder: &Arc<OwnedFd>,
        id: PartId,
        mode: u16,
        reach: Reach,
    ) -> Result<Self, Fault> {
        let beside = |name| Beside { folder: folder.clone(), name, placed: false };
        match parts::take_up(folder, id)? {
            Found::Waiting(name, file) => {
                let modes = (OURS, mode::permitted_in(&**folder, mode));
                return Ok(Self::of(file, beside(name), modes));
            }
            Found::Taken => return Self::create(folder, mode, reach),
            Found::Nothing => {}
        }
        match parts::create(&**folder, id, asked(mode, reach)) {
            Ok((name, file)) => Ok(Self::begun(file, beside(name), mode, reach)),
            Err(fault) if fault.code == FaultCode::AlreadyExists => Self::create(folder, mode, reach),
            Err(fault) => Err(fault),
        }
    }

    /// A part of a file that begins at its beginning, without a name where the file system can do that and nothing `there` is to be
    /// replaced. What the same copy left when it was killed before goes.
    pub(in crate::service) fn begin_anew(
        to: &Held,
        there: Option<&Attributes>,
        (size, modified, mode): (u64, Time, u16),
        reach: Reach,
        (client, leftovers): (ClientId, &Leftovers),
    ) -> Result<Self, Fault> {
        let id = PartId::of_copy(client.0, &to.name, size, modified);
        let inode = Inode::of_open(&*to.folder)?;
        leftovers.remove((&to.folder, inode), id);
        if there.is_none()
            && let Some(part) = Self::unnamed((to, inode), id, mode, reach)
        {
            return Ok(part);
        }
        match parts::create(&*to.folder, id, asked(mode, reach)) {
            Ok((name, file)) => {
                let beside = Beside { folder: to.folder.clone(), name, placed: false };
                Ok(Self::begun(file, beside, mode, reach))
            }
            // Another copy of the same file is at it.
            Err(fault) if matches!(fault.code, FaultCode::AlreadyExists | FaultCode::NotFound) => {
                Self::create(&to.folder, mode, reach)
            }
            Err(fault) => Err(fault),
        }
    }

    /// Leaves it where it is, to be taken up.
    pub(in crate::service) fn keep(mut self) {
        if let PartSpot::Named(beside) = &mut self.spot {
            beside.placed = true;
        }
    }

    pub(in crate::service) const fn file(&self) -> &OwnedFd {
        &self.file
    }

    /// Writes further; what is zeros becomes a hole.
    pub(in crate::service) fn write(&self, data: &[u8]) -> Result<(), Fault> {
        let mut stored = self.stored.get();
        let written = holes::append(&self.file, data, &mut stored);
        self.stored.set(stored);
        written
    }

    /// As [`write`](Self::write) of so many zeros.
    pub(in crate::service) fn write_hole(&self, bytes: u64) -> Result<(), Fault> {
        let mut stored = self.stored.get();
        let written = holes::append_hole(&self.file, bytes, &mut stored);
        self.stored.set(stored);
        written
    }

    /// So many bytes were written to the file by others.
    pub(in crate::service) fn written(&self, bytes: u64) {
        let mut stored = self.stored.get();
        stored.data(bytes);
        self.stored.set(stored);
    }

    /// Cuts it off after `bytes`, where writing goes on.
    pub(in crate::service) fn cut_off(&self, bytes: u64) -> Result<(), Fault> {
        parts::cut_off(&self.file, bytes)?;
        self.stored.set(Stored::of_open(&self.file, bytes)?);
        Ok(())
    }

    /// Bytes that it takes of the disk.
    pub(in crate::service) const fn stored(&self) -> u64 {
        self.stored.get().bytes()
    }

    pub(in crate::service) const fn folder(&self) -> &Arc<OwnedFd> {
        match &self.spot {
            PartSpot::Named(Beside { folder, .. }) | PartSpot::Unnamed(folder, _) => folder,
        }
    }

    /// Gives the complete file its mode, what it is to have besides, and its time. Returns what it could not be given.
    pub(in crate::service) fn finish(
        &self,
        mode: u16,
        policy: &Policy,
        wished: Wished<'_>,
    ) -> Result<Parts, Fault> {
        let (is, permitted) = self.modes;
        let is_done = is == permitted && !wished.is_any();
        let unset = if is_done { Parts::NONE } else { wished.give(&self.file, mode, permitted)? };
        self.has_attributes.set(wished.is_any());
        let timed = times::set_open_modified(&self.file, policy.modified);
        Ok(unset.and_also(unless(metadata::Part::Modified, timed)))
    }

    /// Gives the finished file its final name, whatever is on the disk of it, and enters it in the ledger.
    pub(in crate::service) fn put_in_place(
        self,
        name: &Name,
        policy: &Policy,
        hold: Hold,
    ) -> Result<Attributes, Fault> {
        self.place_as(name, policy, hold, Durability::Relaxed)
    }

    /// As [`put_in_place`](Self::put_in_place), on the disk where the policy wants it so.
    pub(in crate::service) fn place(
        self,
        name: &Name,
        policy: &Policy,
        hold: Hold,
    ) -> Result<Attributes, Fault> {
        if policy.durability == Durability::Synced {
            durable::flush(&self.file)?;
        }
        self.place_as(name, policy, hold, policy.durability)
    }

    fn place_as(
        self,
        name: &Name,
        policy: &Policy,
        hold: Hold,
        of_the_name: Durability,
    ) -> Result<Attributes, Fault> {
        let folder = self.folder().clone();
        let Self { file, spot, stored, has_attributes, .. } = self;
        let gone = match spot {
            PartSpot::Named(beside) => beside.put_in_place(name, policy)?,
            PartSpot::Unnamed(folder, id) => {
                give_name(&file, &Held { folder, name: name.clone() }, id, policy)?
            }
        };
        if of_the_name == Durability::Synced {
            durable::flush_folder(&*folder)?;
        }
        let made = disk::stat_open(&file)?;
        let attributes = if has_attributes.get() { disk::metadata::extended_bytes(&file) } else { 0 };
        let bytes = stored.get().bytes().saturating_add(attributes);
        hold.store(&made, disk::seal(&file, &made), bytes, gone);
        Ok(made)
    }
}

/// Puts a file in place that has no name yet.
fn give_name(file: &OwnedFd, to: &Held, id: PartId, policy: &Policy) -> Result<Gone, Fault> {
    match unnamed::give_name(file, to.spot()) {
        // Something came there since.
        Err(fault) if fault.code == FaultCode::AlreadyExists && policy.existing != Existing::Keep => {}
        given => return given.map(|()| Gone::default()),
    }
    policy.allows_over(to.look()?.as_ref())?;
    let name = parts::give_name(&*to.folder, id, file)?;
    Beside { folder: to.folder.clone(), name, placed: false }.put_in_place(&to.name, policy)
}

/// Permission bits that a new file got.
fn given(file: &OwnedFd, asked: u16) -> u16 {
    disk::stat_open(file).map_or(asked, |made| made.mode & 0o777)
}

/// Permission bits to create a part with.
const fn asked(mode: u16, reach: Reach) -> u16 {
    match reach {
        Reach::Final | Reach::Hidden => OURS | mode & 0o777,
        Reach::Secret => OURS,
    }
}
