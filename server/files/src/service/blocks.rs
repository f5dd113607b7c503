//! Blocks: the hash of each block of a range, so that two sides find out which blocks differ without moving any.

use std::ops::Range;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use towpath_protocol::answer::BlockHashes;
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::hash::{Hash, RangeHasher, is_block};
use towpath_protocol::limits::READ_BYTES_MAX;
use towpath_protocol::message::Answer;
use towpath_protocol::request::Blocks;

use super::blocking_pool::Class;
use super::read::{READ_STEP_BYTES, Source};
use super::turns::Turn;
use super::{Service, credit};
use crate::disk::holes::{self, Run, Runs};
use crate::exchange::Exchange;

pub(super) async fn blocks(
    service: Arc<Service>,
    request: Blocks,
    exchange: Exchange,
) -> Result<Answer, Fault> {
    check(&request).map_err(super::at(&request.file))?;
    let place = request.file.clone();
    let _open = service.open_files.read().await?;
    let hashes = (request.len / request.block_bytes) as usize;
    exchange.answers.pay_ahead(2 * size_of::<Hash>() * hashes).await?;
    let cancel = exchange.cancel.clone();
    let begin = move |service: &Service| {
        let source = Source::open(service, &request.file, request.version)?;
        let end = request.offset.saturating_add(request.len).min(source.version.size);
        let runs = Runs::new(request.offset..end, READ_STEP_BYTES, holes::has_some(&source.file)?);
        let hasher = BlockHasher::new(request.offset, request.block_bytes);
        Ok(Hashing { source, cancel, runs, hasher })
    };
    let hashing = service.clone().blocking(&place, begin).await?;
    let (_, answer) = service.in_turns(Class::Turn, &place, hashing, Hashing::go_on).await?;
    Ok(answer.into())
}

/// A file whose blocks are being hashed.
struct Hashing {
    source: Source,
    cancel: CancellationToken,
    runs: Runs,
    hasher: BlockHasher,
}

impl Hashing {
    fn go_on(_: &Service, hashing: &mut Self, turn: &Turn) -> Result<Option<BlockHashes>, Fault> {
        let Self { source, cancel, runs, hasher } = hashing;
        while let Some(Run { offset, len, is_hole }) = runs.next(&source.file)? {
            credit::check(cancel)?;
            if is_hole {
                hasher.take(len, |hasher, range| hasher.update_zeros(range.end - range.start));
            } else {
                let data = source.read_step(offset, len as usize)?;
                let update = |hasher: &mut RangeHasher, range: Range<u64>| {
                    hasher.update(&data[range.start as usize..range.end as usize]);
                };
                hasher.take(len, update);
            }
            if turn.is_over() {
                return Ok(None);
            }
        }
        source.check_again()?;
        Ok(Some(BlockHashes { hashes: hasher.finish(), grown: source.grown }))
    }
}

fn check(Blocks { offset, len, block_bytes, .. }: &Blocks) -> Result<(), Fault> {
    if *len > READ_BYTES_MAX {
        let why = format!("more than {READ_BYTES_MAX} bytes at a time");
        return Err(Fault::new(FaultCode::LimitExceeded).because(why));
    }
    if !is_block(*block_bytes) {
        return Err(Fault::new(FaultCode::Malformed).because(format!("blocks of {block_bytes} bytes")));
    }
    if *len == 0 || !len.is_multiple_of(*block_bytes) || !offset.is_multiple_of(*block_bytes) {
        let why = format!("{len} bytes at {offset} are no whole blocks of {block_bytes}");
        return Err(Fault::new(FaultCode::Malformed).because(why));
    }
    Ok(())
}

/// Cuts what comes into blocks.
struct BlockHasher {
    block_bytes: u64,
    /// Where the block begins that is being hashed.
    offset: u64,
    hasher: RangeHasher,
    /// Bytes of it so far.
    filled: u64,
    hashes: Vec<Hash>,
}

impl BlockHasher {
    fn new(offset: u64, block_bytes: u64) -> Self {
        Self { block_bytes, offset, hasher: RangeHasher::new(offset), filled: 0, hashes: Vec::new() }
    }

    /// Hashes the next `len` bytes with `update`, which is told which of them are the block's.
    fn take(&mut self, len: u64, update: impl Fn(&mut RangeHasher, Range<u64>)) {
        let mut at = 0;
        while at < len {
            let bytes = (self.block_bytes - self.filled).min(len - at);
            update(&mut self.hasher, at..at + bytes);
            (self.filled, at) = (self.filled + bytes, at + bytes);
            if self.filled == self.block_bytes {
                self.next();
            }
        }
    }

    fn next(&mut self) {
        self.hashes.push(self.hasher.finish_part());
        self.offset += self.block_bytes;
        (self.hasher, self.filled) = (RangeHasher::new(self.offset), 0);
    }

    fn finish(&mut self) -> Vec<Hash> {
        if self.filled > 0 {
            self.next();
        }
        std::mem::take(&mut self.hashes)
    }
}
