//! Carries one file or link from a reader to a writer: a small one in one message each way, a large one through the pump. Tries
//! once more where it changed or arrived damaged. The writer compares with the hash that the reader's side computed.

use towpath_protocol::answer::FileWhole;
use towpath_protocol::entry::{Attributes, Kind};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::limits::SMALL_FILE_BYTES_MAX;
use towpath_protocol::message::Answer;
use towpath_protocol::path::Location;
use towpath_protocol::request::{MakeLink, Put, Read, Wants};
use towpath_protocol::time::Time;

use super::alone::{self, Outcome};
use super::large::{self, hash_of};
use super::leaving::{TRIES_MAX, is_touched_only};
use super::metadata;
use super::plan::look_at;
use super::shared::Shared;
use super::work::{Carried, Step};
use crate::link::Link;
use crate::link::calls::operation_id;
use crate::model::Conflict;

/// Copies one file or link; within one root a move takes its source with it. A file that changed or arrived damaged is tried once
/// more, as it is then; one of which another name came or went, more often.
pub(super) async fn carry(shared: &Shared, step: &mut Step) -> Result<Carried, Fault> {
    let mut alone = None;
    for tries in 1.. {
        match carry_once(shared, step).await {
            Err(fault) if matches!(fault.code, FaultCode::Changed | FaultCode::HashMismatch) => {
                let attributes = look_at(&shared.job.source, &step.from).await?;
                let is_touched = is_touched_only(&step.attributes, &attributes);
                let tries_max = if is_touched { TRIES_MAX } else { 2 };
                if tries >= tries_max || attributes.kind != step.attributes.kind {
                    return Err(fault);
                }
                if is_touched && alone.is_none() {
                    alone = Some(shared.again.lock().await);
                }
                shared.tally.resized(step.attributes.size, attributes.size);
                step.attributes = attributes;
            }
            outcome => return outcome,
        }
    }
    Err(FaultCode::Internal.into())
}

async fn carry_once(shared: &Shared, step: &Step) -> Result<Carried, Fault> {
    if shared.stop.is_cancelled() {
        return Err(FaultCode::Cancelled.into());
    }
    // What travels in one message passes at once, a large file message by message.
    let size = step.attributes.size;
    let is_by_message = size <= SMALL_FILE_BYTES_MAX as u64 && !is_servers_alone(shared);
    let at_once = if is_by_message { size } else { 0 };
    shared.unless_stopped(shared.reports.throttle.pass(at_once)).await?;
    let source = Some(step.attributes.version());
    if shared.is_one_root() {
        match alone::file(shared, step).await? {
            Outcome::Copied { bytes } => return Ok(Carried { bytes, grown: false, source, there: None }),
            Outcome::Renamed => {
                return Ok(Carried { bytes: step.attributes.size, grown: false, source: None, there: None });
            }
            // Byte by byte, like between two machines.
            Outcome::GaveWay => {}
        }
    }
    match (&step.attributes.link, step.attributes.kind) {
        (Some(link), _) => link_to(shared, step, &link.bytes).await,
        (None, Kind::File) if step.attributes.size <= SMALL_FILE_BYTES_MAX as u64 => {
            match small(shared, step).await {
                // It has more than it says, and more than one message holds.
                Err(fault) if fault.code == FaultCode::FileTooLarge => {
                    Box::pin(large::carry_to_the_end(shared, step)).await
                }
                carried => carried,
            }
        }
        // Boxed: its state is large, and most files are small.
        (None, Kind::File) => Box::pin(large::carry(shared, step)).await,
        (None, Kind::Link) => {
            Err(Fault::new(FaultCode::Io).because("where the link leads to could not be read"))
        }
        _ => Err(FaultCode::SpecialFile.into()),
    }
}

/// Returns whether a server elsewhere copies files by itself.
fn is_servers_alone(shared: &Shared) -> bool {
    shared.is_one_root() && !shared.job.destination.is_in_process()
}

async fn link_to(shared: &Shared, step: &Step, target: &[u8]) -> Result<Carried, Fault> {
    let version = step.attributes.version();
    let request = MakeLink {
        operation: operation_id()?,
        link: step.to.clone(),
        target: target.to_vec(),
        modified: step.attributes.modified,
        existing: step.existing,
        expected: step.expected(),
        metadata: metadata::of(shared, &step.from, version).await?,
    };
    let there =
        stored(shared, step, shared.job.destination.call(request).await?, (0, step.attributes.modified))?;
    Ok(Carried { bytes: 0, grown: false, source: Some(version), there: Some(there) })
}

async fn small(shared: &Shared, step: &Step) -> Result<Carried, Fault> {
    let version = step.attributes.version();
    let (file, len) = (step.from.clone(), SMALL_FILE_BYTES_MAX as u64);
    let reading = shared.job.source.call(Read {
        file,
        version: Some(version),
        offset: 0,
        len,
        wants: Wants::Data,
        holes: false,
    });
    let reading = async { tokio::try_join!(reading, metadata::of(shared, &step.from, version)) };
    let (answer, metadata) = shared.unless_stopped(reading).await??;
    let Answer::FileWhole(FileWhole { attributes, hash, grown, data }) = answer else {
        return Err(FaultCode::Malformed.into());
    };
    let bytes = data.len() as u64;
    let store = shared.store_as(step, &attributes, metadata);
    let request = Put { operation: operation_id()?, file: step.to.clone(), store, hash, data };
    let there =
        stored(shared, step, shared.job.destination.call(request).await?, (bytes, attributes.modified))?;
    shared.tally.small_moved(&step.from, bytes);
    Ok(Carried { bytes, grown, source: Some(version), there: Some(there) })
}

/// Checks that the destination's report matches what was sent.
pub(super) fn stored(
    shared: &Shared,
    step: &Step,
    answer: Answer,
    (bytes, modified): (u64, Time),
) -> Result<Attributes, Fault> {
    metadata::stored(shared, &answer, modified);
    let Answer::Stored(stored) = answer else { return Err(FaultCode::Malformed.into()) };
    let there = stored.attributes;
    let target = |attributes: &Attributes| attributes.link.as_ref().map(|link| link.bytes.clone());
    if there.kind != step.attributes.kind || there.size != bytes || target(&there) != target(&step.attributes)
    {
        let what = format!("{bytes} bytes were sent, and the destination says that it stored {}", there.size);
        return Err(Fault::new(FaultCode::HashMismatch).because(what));
    }
    Ok(there)
}

/// Whether both sides of a conflict hold the same bytes (or, of links, the same target), as their hashes say.
pub async fn is_same_content(source: &Link, destination: &Link, conflict: &Conflict) -> Result<bool, Fault> {
    let Conflict { from, to, source: here, there: Some(there), .. } = conflict else { return Ok(false) };
    is_same(source, destination, (from, here), (to, there)).await
}

/// The same for what a step is about. One of which another name came or went meanwhile is compared as it is then.
pub(super) async fn holds_same(shared: &Shared, step: &mut Step) -> Result<bool, Fault> {
    let (source, destination) = (&shared.job.source, &shared.job.destination);
    let mut alone = None;
    for tries in 1.. {
        let Step { from, to, attributes: here, there: Some(there), .. } = &*step else { return Ok(false) };
        let same = shared.unless_stopped(is_same(source, destination, (from, here), (to, there))).await?;
        match same {
            Err(fault) if fault.code == FaultCode::Changed && tries < TRIES_MAX => {
                let now = look_at(source, from).await?;
                if !is_touched_only(here, &now) {
                    return Err(fault);
                }
                if alone.is_none() {
                    alone = Some(shared.again.lock().await);
                }
                step.attributes = now;
            }
            same => return same,
        }
    }
    Err(FaultCode::Internal.into())
}

pub(super) async fn is_same(
    source: &Link,
    destination: &Link,
    (from, here): (&Location, &Attributes),
    (to, there): (&Location, &Attributes),
) -> Result<bool, Fault> {
    if here.kind != there.kind || here.size != there.size {
        return Ok(false);
    }
    if let (Some(here), Some(there)) = (&here.link, &there.link) {
        return Ok(here.bytes == there.bytes);
    }
    if here.kind != Kind::File {
        return Ok(false);
    }
    let (here, there) =
        tokio::try_join!(hash_of(source, from, here.version()), hash_of(destination, to, there.version()))?;
    Ok(here == there)
}
