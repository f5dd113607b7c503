//! Copy: a file, link or whole tree within the root, by the server alone. Files are written beside their place and renamed;
//! folders get their final mode and time when all in them is done.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use towpath_protocol::entry::{Attributes, Kind, Version};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::limits::SMALL_FILE_BYTES_MAX;
use towpath_protocol::message::Answer;
use towpath_protocol::metadata::Metadata;
use towpath_protocol::path::WirePath;
use towpath_protocol::request::{Copy, Durability, Existing};

use super::allowance::{Allowance, Hold};
use super::beside::{Held, Part, Policy, Reach, place_link};
use super::blocking_pool::Class;
use super::leftovers::Leftovers;
use super::lot::{Lot, Made};
use super::make::{FILLABLE, make_folder};
use super::metadata::{self, Wished};
use super::tally::Tally;
use super::tree::LEVEL_BYTES;
use super::{Service, at};
use crate::disk::metadata::Authority;
use crate::disk::mode::permitted_in;
use crate::disk::writing::{self, Inode, Pump};
use crate::disk::{self, holes};
use crate::exchange::Exchange;
use crate::memory::{Memory, Use};

/// Memory of a running copy besides its folders: its buffer, and what is made and not yet in place.
const COPY_BYTES: usize = 768 * 1024;
/// Bytes of a file that is written in a moment and need not be hidden meanwhile.
const SMALL: u64 = SMALL_FILE_BYTES_MAX as u64;

pub(super) async fn copy(service: Arc<Service>, request: Copy, exchange: Exchange) -> Result<Answer, Fault> {
    service
        .in_class(Class::Whole, &request.from.clone(), move |service| {
            let whole = request.from.whole().map_err(|_| FaultCode::NameTooLong)?;
            // Below `to` the names are those below `from`, and must be sayable as well.
            let target = request.to.whole().map_err(|_| FaultCode::NameTooLong)?;
            let from = Held::look_for(&service.root, &request.from)?;
            let to = Held::look_for(&service.root, &request.to).map_err(at(&request.to))?;
            let memory = service.memory.try_take(COPY_BYTES, Use::Passing);
            let _memory = memory.ok_or_else(|| Memory::refusal("the copy takes"))?;
            let mut copying = Copying {
                tally: Tally::new(&exchange, whole).keeping_out(service.root.kept().clone()),
                target,
                lot: Lot::new(request.durability, &service.open_files),
                existing: request.existing,
                expected: request.expected,
                pump: Pump::default(),
                own: [Inode::of_open(&*to.folder)?; 2],
                allowance: service.allowance.clone(),
                memory: service.memory.clone(),
                leftovers: service.leftovers.clone(),
                authority: request.preserve.then(|| metadata::authority(service)),
            };
            copying.start(&from, &to)?;
            let Copying { mut tally, lot, .. } = copying;
            lot.finish(&mut tally)?;
            Ok(tally.finish().into())
        })
        .await
}

/// A copy at work.
struct Copying {
    tally: Tally,
    /// The place of the copy.
    target: WirePath,
    lot: Lot,
    existing: Existing,
    /// What must be at the place of the copy itself; nobody has said anything about what may be below it.
    expected: Option<Version>,
    pump: Pump,
    /// The folder that the copy goes into, and the one that it makes: where they turn up in the source, by a mount, they stay out.
    own: [Inode; 2],
    allowance: Arc<Allowance>,
    leftovers: Arc<Leftovers>,
    memory: Memory,
    /// Where metadata is copied too: as far as this client may.
    authority: Option<Authority>,
}

impl Copying {
    /// A fault of the thing itself that was named is the whole copy's.
    fn start(&mut self, from: &Held, to: &Held) -> Result<(), Fault> {
        self.tally.check_answers(&*from.folder, &from.name)?;
        let source = disk::stat(&*from.folder, &from.name)?;
        if disk::is_part(&*from.folder, &from.name) {
            return Err(FaultCode::NotFound.into());
        }
        to.check_name()?;
        if source.kind == Kind::Folder {
            let inode = Inode::of(from.spot())?;
            if writing::lies_within(&to.folder, inode).map_err(disk::fault_of)? {
                return Err(FaultCode::IntoItself.into());
            }
        }
        self.thing(from, to)
    }

    fn entry(&mut self, from: &Held, to: &Held, may_be_folder: bool) -> Result<(), Fault> {
        if may_be_folder {
            self.tally.check_answers(&*from.folder, &from.name)?;
        }
        self.thing(from, to)
    }

    fn thing(&mut self, from: &Held, to: &Held) -> Result<(), Fault> {
        self.tally.step()?;
        self.tally.check_depth()?;
        let source = disk::stat(&*from.folder, &from.name)?;
        self.tally.check_kept(&*from.folder, &from.name)?;
        if source.kind != Kind::Folder {
            to.check(self.tally.kept())?;
        }
        let there = to.look()?;
        if there.as_ref().is_some_and(|there| there.identity == source.identity) {
            return Err(FaultCode::IntoItself.into());
        }
        match source.kind {
            Kind::File => self.file(from, to, there.as_ref()),
            Kind::Link => self.link(&source, from, to, there.as_ref()),
            Kind::Folder => self.folder(from, to),
            _ => Err(FaultCode::SpecialFile.into()),
        }
    }

    /// Names the place at the destination where that is what refuses.
    fn at_target(&self, fault: Fault) -> Fault {
        let is_refused = matches!(fault.code, FaultCode::PermissionDenied | FaultCode::ReadOnly);
        if is_refused && fault.path.is_none() { fault.at(self.tally.below(&self.target)) } else { fault }
    }

    /// What is on the disk is the lot's matter.
    const fn policy(&self, source: &Attributes) -> Policy {
        Policy {
            existing: self.existing,
            expected: self.expected,
            modified: source.modified,
            durability: Durability::Relaxed,
        }
    }

    fn file(&mut self, from: &Held, to: &Held, there: Option<&Attributes>) -> Result<(), Fault> {
        let file = disk::open_file(&*from.folder, &from.name)?;
        let source = disk::stat_open(&file)?;
        let policy = self.policy(&source);
        policy.allows_over(there)?;
        let goes = to.going(there, self.allowance.ledger());
        let needed = source.size.min(holes::stored_of(&file)?);
        let mut hold = self.allowance.hold(&*to.folder, needed, goes)?;
        let metadata = self.metadata(&file)?;
        let wished = Wished::from(metadata.as_ref());
        let reach = match source.size {
            _ if wished.is_any() => Reach::Secret,
            0..=SMALL => Reach::Final,
            _ => Reach::Hidden,
        };
        let owner = (self.allowance.client(), &*self.leftovers);
        let of = (source.size, source.modified, source.mode);
        let part = Part::begin_anew(to, there, of, reach, owner).map_err(|fault| self.at_target(fault))?;
        let copied = self.content(&file, &part, source.size, &mut hold)?;
        let after = disk::stat_open(&file)?.version();
        // One that is what it was and yet holds less than it says is no ordinary file (`/sys`): these are its bytes.
        if changed(&source.version(), &after) || (copied < source.size && after != source.version()) {
            return Err(FaultCode::Changed.into());
        }
        let unset = part.finish(source.mode, &policy, wished)?;
        self.tally.unset(unset);
        let made = Made::File { part, name: to.name.clone(), policy, hold, bytes: copied };
        self.lot.add(made, &mut self.tally)
    }

    /// Copies `size` bytes, or until the end of a file that says to be empty. Gives the bytes copied.
    fn content(&mut self, from: &OwnedFd, part: &Part, size: u64, hold: &mut Hold) -> Result<u64, Fault> {
        let to = part.file();
        if size > 0 && writing::share_content(from, to) {
            part.written(size.min(holes::stored_of(from)?));
            return Ok(disk::stat_open(to)?.size);
        }
        self.pump.restart();
        let mut end = if size == 0 { u64::MAX } else { size };
        let has_holes = size > 0 && holes::has_some(from)?;
        let mut copied = 0;
        loop {
            if copied == end && disk::holds_more(from, end)? {
                end = u64::MAX;
            }
            if copied >= end {
                break;
            }
            self.tally.step()?;
            let (hole, data) = if has_holes && copied < size {
                holes::hole_and_data(from, copied, end)?
            } else {
                (0, end - copied)
            };
            if hole > 0 {
                part.write_hole(hole)?;
            }
            let pumped = if data > 0 { self.pump.step(from, to, data)? } else { 0 };
            part.written(pumped);
            let step = hole + pumped;
            if step == 0 {
                break;
            }
            copied += step;
            hold.reach(to, part.stored())?;
            self.tally.bytes_under_way(step);
        }
        Ok(copied)
    }

    /// What is to be given to the copy of something open; none where only its attributes are copied.
    fn metadata(&self, thing: &OwnedFd) -> Result<Option<(Metadata, Authority)>, Fault> {
        let read = |authority| Ok((disk::metadata::read(thing, authority)?, authority));
        self.authority.map(read).transpose()
    }

    fn link(
        &mut self,
        source: &Attributes,
        from: &Held,
        to: &Held,
        there: Option<&Attributes>,
    ) -> Result<(), Fault> {
        let policy = self.policy(source);
        policy.allows_over(there)?;
        let target = source.link.as_ref().ok_or(FaultCode::Io)?;
        let metadata = match self.authority {
            Some(_) => self.metadata(&writing::look_at(&*from.folder, &from.name)?)?,
            None => None,
        };
        let wished = Wished::from(metadata.as_ref());
        let (_, unset) = place_link(to, &target.bytes, &policy, wished, &self.allowance)
            .map_err(|fault| self.at_target(fault))?;
        self.tally.unset(unset);
        self.lot.touch(&self.tally, &to.folder);
        self.tally.file(0);
        Ok(())
    }

    fn folder(&mut self, from: &Held, to: &Held) -> Result<(), Fault> {
        let source = Arc::new(writing::open_folder(&*from.folder, &from.name)?);
        let inode = Inode::of_open(&*source)?;
        if self.own.contains(&inode) {
            return Err(FaultCode::IntoItself.into());
        }
        let attributes = disk::stat_open(&*source)?;
        // Only the open levels hold something, and no folder's names.
        let level = self.memory.try_take(LEVEL_BYTES, Use::Parked);
        let _level = level.ok_or_else(|| Memory::refusal("the folders on the way take"))?;
        let entries = disk::each_entry(&source)?;
        // It has its final mode from the kernel, since some file systems let nobody change one; where it gets another owner, none but
        // ours before.
        let mode = if self.authority.is_some() { FILLABLE } else { attributes.mode };
        make_folder(to, mode, self.existing, self.tally.kept(), &self.allowance)
            .map_err(|fault| self.at_target(fault))?;
        self.expected = None;
        let target = Arc::new(writing::open_folder(&*to.folder, &to.name)?);
        if self.own[0] == self.own[1] {
            self.own[1] = Inode::of_open(&*target)?;
        }
        for entry in entries {
            let (name, may_be_folder) = match entry {
                Ok((name, _)) if disk::is_part(&*source, &name) => continue,
                Ok(entry) => entry,
                Err(fault) => {
                    self.tally.failed(fault)?;
                    continue;
                }
            };
            self.tally.enter(name.clone());
            let from = Held { folder: source.clone(), name: name.clone() };
            let to = Held { folder: target.clone(), name };
            if let Err(fault) = self.entry(&from, &to, may_be_folder) {
                self.tally.failed(fault)?;
            }
            self.tally.leave();
        }
        self.lot.touch(&self.tally, &to.folder);
        if to.check(self.tally.kept()).is_err() {
            // It was joined, and stays as it is.
            self.tally.folder();
            return Ok(());
        }
        let Attributes { mode, modified, .. } = attributes;
        let permitted = permitted_in(&*to.folder, mode);
        let (metadata, allowance) = (self.metadata(&source)?, self.allowance.clone());
        let made = Made::Folder { folder: target, mode, permitted, modified, metadata, allowance };
        self.lot.add(made, &mut self.tally)
    }
}

/// Whether a file was written to while it was read, other than at its end.
fn changed(before: &Version, after: &Version) -> bool {
    let touched = before.modified != after.modified || before.changed != after.changed;
    after.size < before.size || (after.size == before.size && touched)
}

#[cfg(test)]
mod tests {
    use towpath_protocol::time::Time;

    use super::*;

    #[test]
    fn a_file_that_only_grew_is_the_same_and_any_other_change_counts() {
        let after = |size, modified, changed| {
            let (modified, changed) = (Time::from_ns(modified), Time::from_ns(changed));
            Version { identity: 1, size, modified, changed }
        };
        let before = after(10, 100, 100);
        assert!(!changed(&before, &before));
        assert!(!changed(&before, &after(11, 200, 200)), "grown");
        assert!(changed(&before, &after(9, 200, 200)), "shrunk");
        assert!(changed(&before, &after(10, 200, 200)), "written to");
        assert!(changed(&before, &after(10, 100, 200)), "written to, and its time set back");
    }
}
