//! Files that do not fit in one message: ranges of the source, several asked for ahead, passed on to an upload as they come, in order,
//! as far as the destination grants. Their hashes merge into the one that the destination compares.
//!
//! `source` gives what comes next of a file; `compare` finds which blocks of it the destination has already, so that only the others
//! move; `upload` passes it on.

mod compare;
mod source;
mod upload;

use towpath_protocol::entry::{Kind, Version};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::hash::Hash;
use towpath_protocol::hello::Capability;
use towpath_protocol::limits::RANGE_BYTES;
use towpath_protocol::path::Location;
use towpath_protocol::permissions::Permission;
use towpath_protocol::request::{BeginUpload, Existing};

use self::source::Source;
use self::upload::Upload;
use super::carry;
use super::metadata;
use super::plan::look_at;
use super::shared::Shared;
use super::work::{Carried, Step};
use crate::link::Link;
use crate::link::calls::operation_id;

/// Bytes of a range; a power of two MiB, so that ranges' hashes merge.
const READ_RANGE_BYTES: u64 = 4 * RANGE_BYTES;
/// Ranges of a file asked for ahead at least: one that comes, one that is on its way, one that is asked for.
const READ_RANGES_LEAST: u64 = 3;
/// The same at most, over a long line: 600 MB/s where an answer takes 40 ms.
const READ_RANGES_MOST: u64 = 6;
/// Smaller files are begun anew where they were cut off: there is little to save, and it takes a round trip to ask.
const RESUMED_BYTES_LEAST: u64 = 4 * READ_RANGE_BYTES;

/// A file on one of the sides, as it must still be.
#[derive(Debug, Clone, Copy)]
struct Side<'a> {
    link: &'a Link,
    file: &'a Location,
    version: Version,
}

/// Most bytes of one file that are asked for and not yet passed on: what the line holds, within bounds.
pub(super) fn window_bytes(source: &Link) -> u64 {
    let ranges = source.line_bytes().div_ceil(READ_RANGE_BYTES);
    ranges.clamp(READ_RANGES_LEAST, READ_RANGES_MOST) * READ_RANGE_BYTES
}

/// Copies a file of more than one message. One that is as it was and yet holds more or fewer bytes than it says is read to its end.
pub(super) async fn carry(shared: &Shared, step: &Step) -> Result<Carried, Fault> {
    let fault = match carry_bytes(shared, step, step.attributes.size).await {
        Err(fault) if fault.code == FaultCode::Changed && step.attributes.size > 0 => fault,
        carried => return carried,
    };
    let looked = shared.unless_stopped(look_at(&shared.job.source, &step.from)).await??;
    if looked.version() != step.attributes.version() {
        return Err(fault);
    }
    match carry_to_the_end(shared, step).await {
        // Then it is no file of that kind.
        Err(too_large) if too_large.code == FaultCode::FileTooLarge => Err(fault),
        carried => carried,
    }
}

/// Copies a file that does not say how long it is.
pub(super) async fn carry_to_the_end(shared: &Shared, step: &Step) -> Result<Carried, Fault> {
    carry_bytes(shared, step, 0).await
}

/// `size` is 0 if it is not known.
async fn carry_bytes(shared: &Shared, step: &Step, size: u64) -> Result<Carried, Fault> {
    let version = step.attributes.version();
    let under_way = shared.tally.begin(&step.from, size);
    let (from, to) = (&shared.job.source, &shared.job.destination);
    let side = Side { link: from, file: &step.from, version };
    let basis = basis_of(shared, step).filter(|_| size > 0);
    let metadata = shared.unless_stopped(metadata::of(shared, &step.from, version)).await??;
    let resume = (size >= RESUMED_BYTES_LEAST).then_some(READ_RANGE_BYTES);
    let mut request = BeginUpload {
        operation: operation_id()?,
        file: step.to.clone(),
        store: shared.store_as(step, &step.attributes, metadata),
        size,
        resume,
        basis: basis.map(|basis| basis.version),
        window_bytes: Some(to.line_bytes()),
        stored_bytes: None,
    };
    let passes_holes = from.welcome().has(Capability::HOLES) && to.welcome().has(Capability::HOLES);
    loop {
        let mut source = Source::new(side);
        if size == 0 {
            source.read_to_the_end();
        } else if passes_holes {
            source.leave_holes_out();
        }
        let mut upload = Upload::open(to, request.clone());
        if resume.is_none() && basis.is_none() {
            // Asked for before the upload is granted: that saves a round trip.
            source.ask_ahead();
        }
        let filling = upload.fill(&mut source, basis, &under_way, &shared.reports.throttle);
        let fault = match shared.unless_stopped(filling).await.flatten() {
            Ok((hash, grown)) => {
                let (bytes, resumed) = (upload.sent(), upload.resumed());
                let stored = upload.commit(bytes, hash).await?;
                let there = carry::stored(shared, step, stored, (bytes, step.attributes.modified))?;
                under_way.arrived();
                shared.tally.resumed(resumed);
                return Ok(Carried { bytes, grown, source: Some(version), there: Some(there) });
            }
            Err(fault) => fault,
        };
        // There may be room for what the source stores, if not for all of its length. Only the source knows, and it is asked only now.
        let may_fit =
            fault.code == FaultCode::NoSpace && request.stored_bytes.is_none() && passes_holes && size > 0;
        if may_fit
            && upload.sent() == 0
            && let Ok(Ok(Some(stored))) = shared.unless_stopped(source::stored_bytes(side)).await
        {
            request.stored_bytes = Some(stored);
            request.operation = operation_id()?;
            continue;
        }
        let waits = match fault.code {
            FaultCode::Disconnected | FaultCode::ShuttingDown => true,
            FaultCode::Cancelled => shared.is_resumed(),
            _ => false,
        };
        upload.stop(waits).await;
        return Err(fault);
    }
}

/// What is to be replaced, where it is worth looking at what of it is the same, and both sides know how.
fn basis_of<'a>(shared: &'a Shared, step: &'a Step) -> Option<Side<'a>> {
    let there = step.there.as_ref().filter(|_| step.existing != Existing::Keep)?;
    // A file of one range has no hashes that merge.
    let is_large = step.attributes.size > READ_RANGE_BYTES && there.size >= READ_RANGE_BYTES;
    let (from, to) = (&shared.job.source, &shared.job.destination);
    let can = |link: &Link| link.welcome().has(Capability::BLOCKS);
    let may = to.welcome().permissions().allow(Permission::Read);
    let is_compared = there.kind == Kind::File && is_large && can(from) && can(to) && may;
    is_compared.then(|| Side { link: to, file: &step.to, version: there.version() })
}

/// Bytes that the source's disk stores of a file, where that is less than its length and the source says so.
pub(super) async fn stored_bytes(link: &Link, file: &Location, version: Version) -> Option<u64> {
    if !link.welcome().has(Capability::HOLES) {
        return None;
    }
    source::stored_bytes(Side { link, file, version }).await.ok().flatten()
}

/// The hash of a file that must be of this version.
pub(super) async fn hash_of(link: &Link, file: &Location, version: Version) -> Result<Hash, Fault> {
    let mut source = Source::new(Side { link, file, version });
    source.hash_only();
    while source.next().await?.is_some() {}
    source.hash()
}
