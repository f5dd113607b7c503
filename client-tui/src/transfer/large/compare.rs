//! Which blocks of a file the destination has already: both sides tell the hashes of their blocks, several ranges ahead.

use std::collections::VecDeque;

use towpath_protocol::answer::BlockHashes;
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::hash::{Hash, RangeMerger};
use towpath_protocol::limits::BLOCK_BYTES_LEAST;
use towpath_protocol::message::Answer;
use towpath_protocol::request::Blocks;

use super::{READ_RANGE_BYTES, Side};
use crate::link::Exchange;

/// What is compared at a time. An edit in place costs one of these; larger ones would cost fewer hashes, 32 bytes each.
const BLOCK_BYTES: u64 = BLOCK_BYTES_LEAST;
/// Ranges compared ahead. At 40 ms of delay, this many let 1.6 GB/s through; a server works on twice as many at a time.
const COMPARED_AHEAD: usize = 16;
/// After so much of which hardly anything was the same, the rest is taken for another file's.
const GIVEN_UP_BYTES: u64 = 64 << 20;
/// What is hardly anything.
const SAME_LEAST_PART: u64 = 16;

/// A part of a range that is the same on both sides, or is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) offset: u64,
    pub(super) len: u64,
    pub(super) is_same: bool,
}

/// What was found of a range.
#[derive(Debug)]
pub(super) struct Compared {
    /// Of the source's range, for the hash of the whole.
    pub(super) value: Hash,
    pub(super) grown: bool,
    pub(super) runs: Vec<Run>,
}

/// Ranges of a file at two places.
#[derive(Debug)]
pub(super) struct Comparison<'a> {
    source: Side<'a>,
    basis: Side<'a>,
    asked: u64,
    /// Nothing from here on is compared.
    end: u64,
    open: VecDeque<Range>,
    compared: u64,
    same: u64,
}

/// A range that both sides were asked about.
#[derive(Debug)]
struct Range {
    offset: u64,
    source: Exchange,
    basis: Exchange,
    /// What the source said.
    found: Option<BlockHashes>,
}

impl<'a> Comparison<'a> {
    /// From `offset` on, where a range begins, as far as both files go.
    pub(super) const fn new(source: Side<'a>, basis: Side<'a>, offset: u64) -> Self {
        let (here, there) = (source.version.size, basis.version.size);
        let end = if here < there { here } else { there };
        Self { source, basis, asked: offset, end, open: VecDeque::new(), compared: 0, same: 0 }
    }

    pub(super) fn ask_ahead(&mut self) {
        while self.open.len() < COMPARED_AHEAD && self.asked < self.end {
            let offset = self.asked;
            let ask = |Side { link, file, version }: Side<'_>| {
                let (file, len, block_bytes) = (file.clone(), READ_RANGE_BYTES, BLOCK_BYTES);
                link.open(Blocks { file, version: Some(version), offset, len, block_bytes })
            };
            let (source, basis) = (ask(self.source), ask(self.basis));
            self.open.push_back(Range { offset, source, basis, found: None });
            self.asked += READ_RANGE_BYTES;
        }
    }

    /// Whether all was told that was asked for, and no more will be.
    pub(super) fn has_ended(&self) -> bool {
        self.open.is_empty() && self.asked >= self.end
    }

    /// How far it has come.
    pub(super) const fn asked(&self) -> u64 {
        self.asked
    }

    /// What was found of the next range; none where none was asked for. Nothing is lost where waiting for it is given up.
    pub(super) async fn next(&mut self) -> Result<Option<Compared>, Fault> {
        let Some(range) = self.open.front_mut() else { return Ok(None) };
        if range.found.is_none() {
            range.found = Some(blocks(range.source.next().await?)?);
        }
        // Where it cannot be told what is there, all is sent; the upload says what is wrong, if anything is.
        let there = range.basis.next().await.and_then(blocks).map(|blocks| blocks.hashes);
        let Some(Range { offset, found: Some(here), .. }) = self.open.pop_front() else { return Ok(None) };
        if there.is_err() {
            self.give_up();
        }
        let len = READ_RANGE_BYTES.min(self.source.version.size - offset);
        if here.hashes.len() as u64 != len.div_ceil(BLOCK_BYTES) {
            return Err(
                Fault::new(FaultCode::Malformed).because("another number of blocks than were asked for")
            );
        }
        let runs = runs(offset, len, &here.hashes, &there.unwrap_or_default());
        self.compared += len;
        self.same += runs.iter().filter(|run| run.is_same).map(|run| run.len).sum::<u64>();
        if self.compared >= GIVEN_UP_BYTES && self.same < self.compared / SAME_LEAST_PART {
            self.give_up();
        }
        let mut merger = RangeMerger::new();
        here.hashes.into_iter().for_each(|hash| merger.push(hash));
        let value = merger.finish_part().ok_or(FaultCode::Malformed)?;
        Ok(Some(Compared { value, grown: here.grown, runs }))
    }

    /// No more is asked for.
    const fn give_up(&mut self) {
        self.end = 0;
    }
}

fn blocks(answer: Answer) -> Result<BlockHashes, Fault> {
    match answer {
        Answer::BlockHashes(blocks) => Ok(blocks),
        _ => Err(FaultCode::Malformed.into()),
    }
}

/// Puts blocks together that follow one another and are the same, or are not. One block alone between two others is not worth two
/// requests.
fn runs(offset: u64, len: u64, here: &[Hash], there: &[Hash]) -> Vec<Run> {
    let mut same: Vec<bool> =
        here.iter().enumerate().map(|(index, hash)| there.get(index) == Some(hash)).collect();
    for index in 1..same.len().saturating_sub(1) {
        same[index] &= same[index - 1] || same[index + 1];
    }
    let mut runs: Vec<Run> = Vec::new();
    for (index, is_same) in same.into_iter().enumerate() {
        let at = index as u64 * BLOCK_BYTES;
        let bytes = BLOCK_BYTES.min(len - at);
        match runs.last_mut() {
            Some(run) if run.is_same == is_same => run.len += bytes,
            _ => runs.push(Run { offset: offset + at, len: bytes, is_same }),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The runs of a range of whole blocks and a short one, of which some differ.
    fn found(blocks: &str) -> String {
        let here: Vec<Hash> = (0..blocks.len()).map(|index| Hash([index as u8; 32])).collect();
        let mut there = here.clone();
        for (index, _) in blocks.match_indices('x') {
            there[index] = Hash([0xff; 32]);
        }
        there.truncate(blocks.trim_end_matches('-').len());
        let len = blocks.len() as u64 * BLOCK_BYTES - 5;
        let runs = runs(7 * BLOCK_BYTES, len, &here, &there);
        let mut next = 7 * BLOCK_BYTES;
        for run in &runs {
            assert_eq!(run.offset, next, "they follow one another");
            next += run.len;
        }
        assert_eq!(next, 7 * BLOCK_BYTES + len);
        let shown = |run: &Run| {
            let shown = if run.is_same { "." } else { "x" };
            shown.repeat(run.len.div_ceil(BLOCK_BYTES) as usize)
        };
        runs.iter().map(shown).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn blocks_that_are_alike_are_one_run() {
        for (blocks, expected) in [
            (".", "."),
            ("x", "x"),
            ("....", "...."),
            (".x", ". x"),
            ("..xx..x", ".. xx .. x"),
            ("x.x.x", "xxxxx"),
            ("x..x", "x .. x"),
            (".x.x.", ". xxx ."),
            ("...---", "... xxx"),
        ] {
            assert_eq!(found(blocks), expected, "{blocks}");
        }
    }
}
