//! What a session did, for a log: one record a file or tree, not one a message. Ranges of one file are put together.

mod downloads;

use tokio::time::Instant;
use towpath_protocol::answer::Totals;
use towpath_protocol::display::{DisplayName, PeerText};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::hash::Hash;
use towpath_protocol::message::{Answer, Request};
use towpath_protocol::metadata::{Metadata, Owner};
use towpath_protocol::path::{Location, WirePath};
use towpath_protocol::time::Time;

use super::SessionEnd;
use crate::exchange::Done;
pub(super) use downloads::Records;

/// Told what happens in a session. Called from the session's own task: must not block.
pub trait SessionLog: Send + Sync {
    fn record(&self, event: SessionEvent<'_>);
}

/// Writes nothing down.
#[derive(Debug, Clone, Copy)]
pub struct Unlogged;

impl SessionLog for Unlogged {
    fn record(&self, _event: SessionEvent<'_>) {}
}

/// What happens in a session.
#[derive(Debug)]
pub enum SessionEvent<'a> {
    /// Hello was answered. `agent` is what the peer calls itself: at most 512 bytes, raw.
    Connected {
        agent: PeerText,
    },
    /// Instead of `Connected`, and the last event: this stream is a further one of a session that has said so already.
    Joined,
    Done(&'a Work),
    /// The last event of every session, also of one that never was connected.
    Left {
        end: &'a SessionEnd,
        seconds: f64,
    },
}

/// What was done to a file or tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    Download,
    Upload,
    Remove,
    MakeFolder,
    MakeLink,
    Rename,
    Copy,
    SetMode,
    SetTimes,
    SetMetadata,
    /// Recorded only where it was refused, as is the next.
    Look,
    Flush,
}

/// How it came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Complete,
    /// A file of which only some ranges were read.
    Partial,
    /// A tree in which this many things could not be done.
    Failures(u64),
    /// Work that did not come to its end, of which some was done.
    Stopped(Fault),
    Failed(Fault),
}

/// One piece of work, finished.
#[derive(Debug, Clone, PartialEq)]
pub struct Work {
    pub act: Act,
    /// Relative to the root, escaped for people; the root is the empty text.
    pub path: String,
    /// Where to, for a Rename or Copy; likewise.
    pub to: Option<String>,
    pub details: Details,
    pub files: u64,
    pub folders: u64,
    pub bytes: u64,
    pub seconds: f64,
    pub outcome: Outcome,
}

/// Further requested attributes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Details {
    /// Where a link leads, escaped for people.
    pub target: Option<String>,
    /// With setuid, setgid and sticky bits where those were asked for.
    pub mode: Option<u16>,
    /// The time that was set.
    pub modified: Option<Time>,
    /// Numbers, with names where they were told, escaped.
    pub owner: Option<String>,
    pub group: Option<String>,
    /// Names of extended attributes, escaped; the first of them.
    pub attributes: Vec<String>,
    /// The hash of content that was stored, or read at once.
    pub hash: Option<Hash>,
}

/// Attributes that a record names.
const ATTRIBUTES_NAMED_MAX: usize = 8;

impl Details {
    fn of(request: &Request) -> Self {
        match request {
            Request::Put(put) => {
                Self { hash: Some(put.hash), ..Self::with(put.store.mode, put.store.metadata.as_deref()) }
            }
            Request::BeginUpload(upload) => Self::with(upload.store.mode, upload.store.metadata.as_deref()),
            Request::SetMode(set) => Self { mode: Some(set.mode), ..Self::default() },
            Request::SetTimes(set) => Self { modified: Some(set.modified), ..Self::default() },
            Request::SetMetadata(set) => Self::with(set.mode, Some(&set.metadata)),
            Request::MakeFolder(make) => Self { mode: Some(make.mode), ..Self::default() },
            Request::MakeLink(make) => Self {
                target: Some(DisplayName::new(&make.target).to_string()),
                mode: None,
                ..Self::with(0, make.metadata.as_deref())
            },
            _ => Self::default(),
        }
    }

    /// Without metadata a mode is what is usual.
    fn with(mode: u16, metadata: Option<&Metadata>) -> Self {
        let Some(metadata) = metadata else { return Self::default() };
        let named = |owner: &Owner| match &owner.name {
            Some(name) => format!("{} ({})", owner.number, DisplayName::new(name.as_bytes())),
            None => owner.number.to_string(),
        };
        let names = metadata.extended.iter().take(ATTRIBUTES_NAMED_MAX);
        Self {
            mode: Some(mode),
            owner: metadata.owner.as_ref().map(named),
            group: metadata.group.as_ref().map(named),
            attributes: names.map(|extended| DisplayName::new(&extended.name).to_string()).collect(),
            ..Self::default()
        }
    }
}

/// A request, while it runs.
#[derive(Debug)]
pub(super) struct Deed {
    act: Act,
    location: Location,
    to: Option<Location>,
    details: Details,
    /// Progress of long work.
    done: Done,
    began: Instant,
    bytes: u64,
    /// For a Read: where it starts.
    offset: u64,
    /// For a Read: how large the file is, once that is known.
    size: Option<u64>,
}

impl Deed {
    fn of(request: &Request) -> Self {
        let (act, location, to) = match request {
            Request::Read(read) => (Act::Download, read.file.clone(), None),
            Request::Put(put) => (Act::Upload, put.file.clone(), None),
            Request::BeginUpload(upload) => (Act::Upload, upload.file.clone(), None),
            Request::Remove(remove) => (Act::Remove, remove.thing.clone(), None),
            Request::MakeFolder(make) => (Act::MakeFolder, make.folder.clone(), None),
            Request::MakeLink(make) => (Act::MakeLink, make.link.clone(), None),
            Request::Rename(rename) => (Act::Rename, rename.from.clone(), Some(rename.to.clone())),
            Request::Copy(copy) => (Act::Copy, copy.from.clone(), Some(copy.to.clone())),
            Request::SetMode(set) => (Act::SetMode, set.thing.clone(), None),
            Request::SetTimes(set) => (Act::SetTimes, set.thing.clone(), None),
            Request::List(list) => (Act::Look, list.folder.clone(), None),
            Request::Walk(walk) => (Act::Look, walk.start.clone(), None),
            Request::Stat(stat) => (Act::Look, Location::through(&stat.base), None),
            Request::Blocks(blocks) => (Act::Look, blocks.file.clone(), None),
            Request::ReadMetadata(read) => (Act::Look, read.thing.clone(), None),
            Request::SetMetadata(set) => (Act::SetMetadata, set.thing.clone(), None),
            Request::Flush(flush) => (Act::Flush, flush.folder.clone(), None),
            Request::Space(space) => (Act::Look, Location::through(&space.path), None),
            Request::Measure(measure) => {
                let first = measure.things.first().cloned();
                (Act::Look, first.unwrap_or_else(|| Location::through(&WirePath::root())), None)
            }
        };
        let (offset, bytes) = match request {
            Request::Read(read) => (read.offset, 0),
            Request::Put(put) => (0, put.data.len() as u64),
            _ => (0, 0),
        };
        let (details, done, began) = (Details::of(request), Done::default(), Instant::now());
        Self { act, location, to, details, done, began, bytes, offset, size: None }
    }

    /// Whether `answer` leaves nothing to be recorded.
    fn is_nothing(&self, answer: &Answer) -> bool {
        matches!(self.act, Act::Look | Act::Flush)
            && !matches!(answer, Answer::Fault(fault) if is_refusal(fault.code))
    }

    pub(super) const fn add_bytes(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes as u64);
    }

    pub(super) const fn set_hash(&mut self, hash: Hash) {
        self.details.hash = Some(hash);
    }

    pub(super) fn done(&self) -> Done {
        self.done.clone()
    }

    /// Takes note of an answer that is not the final one.
    pub(super) fn note(&mut self, answer: &Answer) {
        match answer {
            Answer::ReadHead(head) => self.size = Some(head.attributes.size),
            Answer::Data(data) => self.add_bytes(data.data.len()),
            _ => {}
        }
    }

    fn work(&self, outcome: Outcome, totals: &Totals) -> Work {
        Work {
            act: self.act,
            path: self.location.display(),
            to: self.to.as_ref().map(Location::display),
            details: self.details.clone(),
            files: totals.files,
            folders: totals.folders,
            bytes: totals.bytes,
            seconds: self.began.elapsed().as_secs_f64(),
            outcome,
        }
    }

    /// The record of anything but a Read, or none where its final answer is not one of a change.
    fn finished(&self, answer: &Answer) -> Work {
        let one = |files, folders| Totals { files, folders, bytes: self.bytes, ..Totals::default() };
        match answer {
            Answer::Fault(fault) => self.failed(fault),
            Answer::Totals(totals) if totals.failed > 0 => {
                self.work(Outcome::Failures(totals.failed), totals)
            }
            Answer::Totals(totals) => self.work(Outcome::Complete, totals),
            // An upload that ends so was aborted by the client.
            Answer::Done(_) if self.act == Act::Upload => self.work(Outcome::Partial, &one(0, 0)),
            _ if self.act == Act::MakeFolder => self.work(Outcome::Complete, &one(0, 1)),
            _ if matches!(
                self.act,
                Act::SetMode | Act::SetTimes | Act::SetMetadata | Act::Look | Act::Flush
            ) =>
            {
                self.work(Outcome::Complete, &one(0, 0))
            }
            _ => self.work(Outcome::Complete, &one(1, 0)),
        }
    }
}

impl Deed {
    /// Work that failed may have done some of what it was to do: a removal that was cancelled has removed.
    fn failed(&self, fault: &Fault) -> Work {
        let mut done = self.done.totals();
        if done.things() > 0 || done.failed > 0 {
            return self.work(Outcome::Stopped(fault.clone()), &done);
        }
        done.bytes = self.bytes;
        self.work(Outcome::Failed(fault.clone()), &done)
    }
}

/// Whether a fault says that the client may not do what it asked for.
const fn is_refusal(code: FaultCode) -> bool {
    matches!(
        code,
        FaultCode::PermissionDenied | FaultCode::ReadOnly | FaultCode::OutsideRoot | FaultCode::LimitExceeded
    )
}
