//! The file that an upload replaces, as the place where it takes parts over from.

use std::ops::Range;
use std::os::fd::OwnedFd;

use tokio_util::sync::CancellationToken;
use towpath_protocol::entry::Version;
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::hash::RangeHasher;

use crate::disk;
use crate::disk::holes::{self, Run, Runs};
use crate::service::beside::{Held, Part};
use crate::service::read::READ_STEP_BYTES;

/// Held open: whatever becomes of its name, it is that file.
#[derive(Debug)]
pub(super) struct Basis {
    file: OwnedFd,
    version: Version,
    is_sparse: bool,
    is_used: bool,
    buffer: Vec<u8>,
}

impl Basis {
    /// None where it is not that version, or cannot be read: then everything is sent.
    pub(super) fn open(place: &Held, version: Version) -> Option<Self> {
        let file = disk::open_file(&*place.folder, &place.name).ok()?;
        let found = disk::stat_open(&file).ok()?.version();
        let is_sparse = holes::has_some(&file).ok()?;
        let is_it = found.is_named_by(&version);
        is_it.then(|| Self { file, version: found, is_sparse, is_used: false, buffer: Vec::new() })
    }

    pub(super) const fn size(&self) -> u64 {
        self.version.size
    }

    /// Writes and hashes what is there, and gives how much: less only where nobody wants it any more. Its holes stay holes.
    pub(super) fn copy(
        &mut self,
        range: Range<u64>,
        part: &Part,
        hasher: &mut RangeHasher,
        cancel: &CancellationToken,
    ) -> Result<u64, Fault> {
        self.is_used = true;
        let mut copied = 0;
        let mut runs = Runs::new(range, READ_STEP_BYTES, self.is_sparse);
        while let Some(Run { offset, len, is_hole }) = runs.next(&self.file)? {
            if cancel.is_cancelled() {
                break;
            }
            copied += len;
            if is_hole {
                part.write_hole(len)?;
                hasher.update_zeros(len);
                continue;
            }
            self.buffer.resize(READ_STEP_BYTES, 0);
            let data = &mut self.buffer[..len as usize];
            if disk::read_into(&self.file, data, offset)? < data.len() {
                return Err(FaultCode::Changed.into());
            }
            part.write(data)?;
            hasher.update(data);
        }
        Ok(copied)
    }

    /// `Changed` where what was taken from it may not have been what the client compared.
    pub(super) fn check(&self) -> Result<(), Fault> {
        let is_same = !self.is_used || disk::stat_open(&self.file)?.version() == self.version;
        if is_same { Ok(()) } else { Err(FaultCode::Changed.into()) }
    }
}
