//! What a job is, and what it reports: plain data.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use towpath_protocol::entry::Kind;
use towpath_protocol::fault::Fault;
use towpath_protocol::path::WirePath;
use towpath_protocol::request::Durability;

use super::excludes::Excludes;
use super::placed::Placed;
use super::throttle::Throttle;
use super::undecided::Undecided;
use crate::link::Link;
use crate::model::conflict::{Choice, Conflict, ConflictKind};

/// Facts that may wait for whoever shows them.
pub const FACTS_QUEUED_MAX: usize = 256;

/// Whether the sources stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    Copy,
    Move,
}

/// Policy for a file that exists at the destination and differs. One of the same size and time is unchanged, and no conflict, but
/// where contents decide: [`Choice::Overwrite`] for all sends it, [`Choice::Different`] for all compares it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExistingPolicy {
    /// Each is told as [`Fact::Conflict`] and waits for a decision, while everything else goes on.
    Ask,
    /// The same for all.
    Always(Choice),
}

/// What a copy does only where it was asked for.
#[allow(clippy::struct_excessive_bools, reason = "each is an option of its own")]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OnRequest {
    /// Keeps owner and group, the bits setuid, setgid and sticky, and extended attributes, as far as the destination may give them.
    pub metadata: bool,
    /// Copies links to files and folders as what they lead to, where that lies within this. Others stay links, which is told. No move
    /// follows a link.
    pub follow: Option<Within>,
    /// Compares contents of files of one size, whatever their times say: the same content is unchanged, another one a conflict.
    pub checksum: bool,
    /// Counts fifos, sockets and devices apart from what was skipped.
    pub skips_special: bool,
    /// Fails an item whose folder at the destination is missing, instead of making that folder.
    pub needs_folder: bool,
}

/// What a link that is followed may not lead out of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Within {
    /// The item that it is in.
    Item,
    /// The folder that holds the items, where all of its content is meant.
    Folder,
}

/// One thing to copy or move, with all below it, and the path that it is to have.
#[derive(Debug, Clone)]
pub struct Item {
    pub from: WirePath,
    pub to: WirePath,
}

/// A transfer: things of one link to paths of another, or of the same.
#[derive(Debug, Clone)]
pub struct Job {
    pub verb: Verb,
    pub source: Link,
    pub destination: Link,
    pub items: Vec<Item>,
    pub existing: ExistingPolicy,
    /// Patterns of paths below SOURCE that are left out.
    pub excludes: Excludes,
    /// What is known of a file before it counts as done. A move always waits until the copy is on the disk, since its source goes.
    pub durability: Durability,
    pub on_request: OnRequest,
    /// Whether what came of a large file waits for the same copy to be made again where this one is cancelled, as it does where
    /// a connection is lost.
    pub is_resumed: bool,
    /// Nothing is changed on either side: what would be done is told as [`Fact::Planned`].
    pub is_dry: bool,
    /// The places that other jobs of the same command have given away, and this one gives away; none where it is alone.
    pub placed: Option<Arc<Placed>>,
}

/// How far a job is. The newest is all that matters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    pub files: u64,
    pub bytes: u64,
    /// Of the bytes done, those of whole files.
    pub arrived_bytes: u64,
    /// Found so far, those already done included.
    pub files_total: u64,
    pub bytes_total: u64,
    /// Of the bytes done, those that the destination had in the file that is replaced, and that did not move.
    pub saved: u64,
    /// Bytes that an interrupted copy had left there.
    pub resumed: u64,
    /// Bytes of renamed files.
    pub renamed: u64,
    /// Whether the totals still grow.
    pub growing: bool,
    /// Of the large files under way the one that was begun first, else a small one that was done lately: its path at the source,
    /// bytes done, bytes in all.
    pub current: Option<(WirePath, u64, u64)>,
    pub elapsed: Duration,
    /// Over the last few seconds.
    pub bytes_per_second: u64,
    /// How long the rest will take at that rate; none while the total grows or nothing moves.
    pub left: Option<Duration>,
}

/// Something that happened to one path of the source.
#[derive(Debug)]
pub enum Fact {
    Failed(Fault),
    /// Left as it was, and why: the path at the source of what is never copied, at the destination of what was in the way.
    Skipped(WirePath, &'static str),
    /// A folder that was missing above an item's place was made.
    Made(WirePath),
    /// So many more failed below this path; the service names the first ones only.
    Unnamed(WirePath, u64),
    /// Copied, but this is worth knowing.
    Noticed(WirePath, Cow<'static, str>),
    /// Something is in the way and waits to be decided by [`Undecided::decide`]; to nobody who listens it means skip.
    Conflict(Conflict),
    /// That conflict does not wait any more.
    Settled(u64),
    /// So many bytes are needed at the destination by what was found so far, and so few were free. Told once; the job goes on.
    Short {
        needed: u64,
        free: u64,
    },
    /// What a job that changes nothing would do.
    Planned(Planned),
}

/// What would be done with one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    pub action: Action,
    /// None of a folder that nothing at the source is copied to.
    pub from: Option<WirePath>,
    pub to: WirePath,
    /// What would come; not how it is done where both are one machine.
    pub kind: Kind,
    pub size: u64,
    /// Why it is not simply copied, where it is not.
    pub reason: Option<&'static str>,
}

/// What a job would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A folder is missing above an item's place. Told for each item that it is missing for.
    Make,
    /// Nothing is there.
    Copy,
    Replace,
    Unchanged,
    Skip,
    /// A fifo, socket or device of a job that counts these apart.
    SkipSpecial,
    Ask(ConflictKind),
}

/// The ways from a job to whoever started it.
#[derive(Debug, Clone)]
pub struct Reports {
    pub progress: Arc<watch::Sender<Progress>>,
    pub facts: mpsc::Sender<Fact>,
    pub cancel: CancellationToken,
    /// Set before the job is cancelled so that it can go on later: what came of its files waits, whatever [`Job::is_resumed`] says.
    pub leave: CancellationToken,
    /// Holds the job's bytes back.
    pub throttle: Arc<Throttle>,
    /// Takes decisions about what is in the way.
    pub undecided: Arc<Undecided>,
}

/// How a job ended.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Summary {
    /// Files and links that arrived.
    pub files: u64,
    /// Files that were verified: a hash of what was read equals the hash of what was written. What a service copies or
    /// renames alone is not.
    pub verified: u64,
    pub bytes: u64,
    pub seconds: f64,
    /// Of those, bytes that an earlier copy had left when it was cut off.
    pub resumed: u64,
    /// Of those, bytes that the destination had in the files that were replaced, and that did not move.
    pub saved: u64,
    /// Files that were renamed; a renamed folder counts as one.
    pub renamed: u64,
    /// Bytes of renamed files.
    pub renamed_bytes: u64,
    /// The same at both ends already.
    pub unchanged: u64,
    /// Unchanged files whose content was compared.
    pub compared: u64,
    pub skipped: u64,
    /// Fifos, sockets and devices that stayed where they are, of a job that counts them apart.
    pub special: u64,
    /// Things that arrived without all of the mode, time and metadata that were to be kept.
    pub unset: u64,
    pub failed: u64,
    pub cancelled: bool,
    /// Why it stopped before its end, where it did.
    pub stopped: Option<Fault>,
}

impl Summary {
    /// Adds what came next of the same command.
    pub fn add(&mut self, next: Self) {
        let sums = [
            (&mut self.files, next.files),
            (&mut self.verified, next.verified),
            (&mut self.bytes, next.bytes),
            (&mut self.resumed, next.resumed),
            (&mut self.saved, next.saved),
            (&mut self.renamed, next.renamed),
            (&mut self.renamed_bytes, next.renamed_bytes),
            (&mut self.unchanged, next.unchanged),
            (&mut self.compared, next.compared),
            (&mut self.skipped, next.skipped),
            (&mut self.special, next.special),
            (&mut self.unset, next.unset),
            (&mut self.failed, next.failed),
        ];
        for (sum, more) in sums {
            *sum = sum.saturating_add(more);
        }
        self.seconds += next.seconds;
        self.cancelled |= next.cancelled;
        self.stopped = next.stopped;
    }

    /// Bytes that moved: what counts as speed.
    pub const fn moved_bytes(&self) -> u64 {
        let Self { bytes, resumed, saved, renamed_bytes, .. } = self;
        bytes.saturating_sub(*resumed).saturating_sub(*saved).saturating_sub(*renamed_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_there_already_and_what_was_renamed_did_not_move() {
        let summary = Summary { bytes: 100, resumed: 20, saved: 30, renamed_bytes: 40, ..Summary::default() };
        assert_eq!(summary.moved_bytes(), 10);
        assert_eq!(Summary { resumed: 200, ..summary }.moved_bytes(), 0);
    }
}
