//! What a copy has made and not yet put in place: brought to the disk in one flush, then put in place in the order in which it was
//! made, a folder after all that is in it. What names that gave is brought to the disk with the content of the next lot, and with a
//! flush of its own in the end. Knows no request.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use towpath_protocol::fault::Fault;
use towpath_protocol::metadata::{Metadata, Part};
use towpath_protocol::path::{Name, WirePath};
use towpath_protocol::request::Durability;
use towpath_protocol::time::Time;

use super::allowance::{Allowance, Hold};
use super::beside::{self, Policy};
use super::metadata::{Wished, unless};
use super::open_files::OpenFiles;
use super::tally::Tally;
use crate::disk;
use crate::disk::durable::{Flushed, flush_together};
use crate::disk::metadata::Authority;
use crate::disk::times;
use crate::memory;

/// Things of one lot; each has a descriptor or two open.
const THINGS_MAX: usize = 256;
/// Bytes of one lot: as many may be written and not yet counted as copied.
const BYTES_MAX: u64 = 64 << 20;
/// Memory of one lot: paths and extended attributes. A single thing may have more.
const MEMORY_BYTES_MAX: usize = 256 << 10;
/// Charge of an entry besides these.
const THING_BYTES: usize = 512;

/// Empty at first, and again when it was settled. Dropped, it removes what was not put in place.
#[derive(Debug)]
pub(super) struct Lot {
    durability: Durability,
    /// As many as may be open.
    things_max: usize,
    waiting: Vec<(WirePath, Made)>,
    bytes: u64,
    memory_bytes: usize,
    /// Folders in which something was put in place, or changed, since the last flush.
    touched: Vec<(WirePath, Arc<OwnedFd>)>,
}

/// Complete, and not yet in place.
#[derive(Debug)]
pub(super) enum Made {
    File {
        part: beside::Part,
        name: Name,
        policy: Policy,
        hold: Hold,
        bytes: u64,
    },
    /// All that is in it was made; its mode and time come last.
    Folder {
        folder: Arc<OwnedFd>,
        mode: u16,
        /// The mode that its folder permits.
        permitted: u16,
        modified: Time,
        metadata: Option<(Metadata, Authority)>,
        allowance: Arc<Allowance>,
    },
}

impl Lot {
    pub(super) fn new(durability: Durability, open_files: &OpenFiles) -> Self {
        let things_max = open_files.of_copy(THINGS_MAX);
        Self { durability, things_max, waiting: Vec::new(), bytes: 0, memory_bytes: 0, touched: Vec::new() }
    }

    /// Adds what the work is at. It is counted when it is in place; Err where the rest cannot be done either.
    pub(super) fn add(&mut self, made: Made, tally: &mut Tally) -> Result<(), Fault> {
        if let Made::File { bytes, .. } = &made {
            self.bytes = self.bytes.saturating_add(*bytes);
        }
        let here = tally.here();
        self.memory_bytes += THING_BYTES + memory::of_path(&here) + made.attribute_bytes();
        self.waiting.push((here, made));
        let is_full = self.waiting.len() >= self.things_max
            || self.bytes >= BYTES_MAX
            || self.memory_bytes >= MEMORY_BYTES_MAX;
        if is_full || self.durability == Durability::Relaxed { self.settle(tally) } else { Ok(()) }
    }

    /// In `folder`, where the work is, something was put in place by others.
    pub(super) fn touch(&mut self, tally: &Tally, folder: &Arc<OwnedFd>) {
        touch(&mut self.touched, tally.here(), folder);
    }

    /// Puts in place what waits, and returns when that is on the disk too.
    pub(super) fn finish(mut self, tally: &mut Tally) -> Result<(), Fault> {
        self.settle(tally)?;
        self.flush(tally).map(drop)
    }

    fn settle(&mut self, tally: &mut Tally) -> Result<(), Fault> {
        let flushed = self.flush(tally)?;
        (self.bytes, self.memory_bytes) = (0, 0);
        for ((at, made), flushed) in self.waiting.drain(..).zip(flushed) {
            let placed = flushed.and_then(|()| made.put_in_place(tally));
            match placed {
                Ok(folder) => touch(&mut self.touched, at, &folder),
                Err(fault) => tally.failed_at(at, fault)?,
            }
        }
        Ok(())
    }

    /// Brings to the disk what was touched and the content of what waits; what became of each that waits.
    fn flush(&mut self, tally: &mut Tally) -> Result<Vec<Result<(), Fault>>, Fault> {
        if self.durability == Durability::Relaxed {
            self.touched.clear();
            return Ok(vec![Ok(()); self.waiting.len()]);
        }
        let touched = std::mem::take(&mut self.touched);
        let things: Vec<_> = touched
            .iter()
            .map(|(_, folder)| Flushed::Folder(folder.as_fd()))
            .chain(self.waiting.iter().filter_map(|(_, made)| made.content()))
            .collect();
        let mut flushed = flush_together(&things).into_iter();
        for (at, _) in touched {
            if let Some(Err(fault)) = flushed.next() {
                tally.failed_at(at, fault)?;
            }
        }
        let of_each = |(_, made): &(WirePath, Made)| match made.content() {
            Some(_) => flushed.next().unwrap_or(Ok(())),
            None => Ok(()),
        };
        Ok(self.waiting.iter().map(of_each).collect())
    }
}

fn touch(touched: &mut Vec<(WirePath, Arc<OwnedFd>)>, at: WirePath, folder: &Arc<OwnedFd>) {
    if !touched.last().is_some_and(|(_, last)| Arc::ptr_eq(last, folder)) {
        touched.push((at, folder.clone()));
    }
}

impl Made {
    /// Charge of its extended attributes.
    fn attribute_bytes(&self) -> usize {
        match self {
            Self::Folder { metadata: Some((metadata, _)), .. } => {
                metadata.extended.iter().map(|extended| 2 * extended.bytes()).sum()
            }
            Self::Folder { .. } | Self::File { .. } => 0,
        }
    }

    fn content(&self) -> Option<Flushed<'_>> {
        match self {
            Self::File { part, .. } => Some(Flushed::File(part.file().as_fd())),
            Self::Folder { .. } => None,
        }
    }

    /// Gives the folder that this changed.
    fn put_in_place(self, tally: &mut Tally) -> Result<Arc<OwnedFd>, Fault> {
        match self {
            Self::File { part, name, policy, hold, bytes } => {
                let folder = part.folder().clone();
                part.put_in_place(&name, &policy, hold)?;
                tally.file(bytes);
                Ok(folder)
            }
            Self::Folder { folder, mode, permitted, modified, metadata, allowance } => {
                let is_own = allowance.is_own(&*folder, &disk::stat_open(&*folder)?);
                let unset = Wished::from(metadata.as_ref()).give_folder(&*folder, mode, permitted)?;
                let timed = unless(Part::Modified, times::set_open_modified(&*folder, modified));
                tally.unset(unset.and_also(timed));
                if is_own {
                    allowance.changed(&*folder)?;
                }
                tally.folder();
                Ok(folder)
            }
        }
    }
}
