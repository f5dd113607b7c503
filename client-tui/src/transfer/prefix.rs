//! Whether what is at the destination is the beginning of the source, proven by the hash of these bytes on either side.

use futures_util::{StreamExt, TryStreamExt, stream};
use towpath_protocol::answer::ReadDone;
use towpath_protocol::entry::{Kind, Version};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::hash::{Hash, RangeHasher, RangeMerger};
use towpath_protocol::limits::RANGE_BYTES;
use towpath_protocol::message::Answer;
use towpath_protocol::path::Location;
use towpath_protocol::request::{Read, Wants};

use super::large::hash_of;
use super::shared::Shared;
use super::work::Step;
use crate::link::Link;

/// Bytes hashed in one request; a power of two MiB, so that ranges' hashes merge.
const HASHED_BYTES: u64 = 4 * RANGE_BYTES;
/// Ranges of a file asked for ahead.
const AHEAD: usize = 3;

/// Whether the destination's file is shorter than the source, and all of it is how that begins.
pub(super) async fn is_beginning(shared: &Shared, step: &Step) -> Result<bool, Fault> {
    let Step { from, to, attributes: here, there: Some(there), .. } = step else { return Ok(false) };
    if here.kind != Kind::File || there.kind != Kind::File || there.size >= here.size {
        return Ok(false);
    }
    if there.size == 0 {
        return Ok(true);
    }
    let hashing = async {
        tokio::try_join!(
            hash_of_first(&shared.job.source, from, here.version(), there.size),
            hash_of(&shared.job.destination, to, there.version()),
        )
    };
    let (here, there) = shared.unless_stopped(hashing).await??;
    Ok(here == there)
}

/// The hash of the first `len` bytes of a longer file, as if they were all of it. Less than a range of them crosses the line.
async fn hash_of_first(link: &Link, file: &Location, version: Version, len: u64) -> Result<Hash, Fault> {
    let whole_ranges = if len <= HASHED_BYTES { 0 } else { len / HASHED_BYTES };
    let mut parts = stream::iter(0..whole_ranges)
        .map(|range| {
            let range = (range * HASHED_BYTES, HASHED_BYTES);
            hash_of_range(link, read(file, version, range, Wants::Hash))
        })
        .buffered(AHEAD);
    let mut merger = RangeMerger::new();
    while let Some(part) = parts.try_next().await? {
        merger.push(part);
    }
    let rest = whole_ranges * HASHED_BYTES;
    if rest < len {
        // A range that ends within the file has no hash of its own: its bytes are hashed here.
        let hasher = read_and_hash(link, read(file, version, (rest, len - rest), Wants::Data)).await?;
        if rest == 0 {
            return Ok(hasher.finish_whole());
        }
        merger.push(hasher.finish_part());
    }
    merger.finish().ok_or_else(|| FaultCode::Malformed.into())
}

fn read(file: &Location, version: Version, (offset, len): (u64, u64), wants: Wants) -> Read {
    Read { file: file.clone(), version: Some(version), offset, len, wants, holes: false }
}

async fn hash_of_range(link: &Link, read: Read) -> Result<Hash, Fault> {
    let mut range = link.open(read);
    loop {
        match range.next().await? {
            // Data comes from one that has not learnt yet to leave it out.
            Answer::ReadHead(_) | Answer::Data(_) => {}
            Answer::ReadDone(ReadDone { hash: Some(hash), .. }) => return Ok(hash),
            _ => return Err(FaultCode::Malformed.into()),
        }
    }
}

async fn read_and_hash(link: &Link, read: Read) -> Result<RangeHasher, Fault> {
    let (offset, len) = (read.offset, read.len);
    let (mut hasher, mut read_len) = (RangeHasher::new(offset), 0);
    let mut range = link.open(read);
    loop {
        match range.next().await? {
            Answer::ReadHead(_) => {}
            Answer::Data(data)
                if data.offset == offset + read_len && data.data.len() as u64 <= len - read_len =>
            {
                hasher.update(&data.data);
                read_len += data.data.len() as u64;
            }
            Answer::ReadDone(_) if read_len == len => return Ok(hasher),
            _ => return Err(FaultCode::Malformed.into()),
        }
    }
}
