//! Carries one file from a reader to a writer. A small one in one message each way; a large one in ranges, several of them
//! asked for ahead, passed on as they come. The writer gets the hash that the reader's side computed, and compares.

use std::collections::VecDeque;
use std::time::Duration;

use towpath_protocol::answer::{Data, FileWhole, ReadDone, UploadReady};
use towpath_protocol::entry::{Attributes, Kind, Version};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::hash::{Hash, RangeMerger};
use towpath_protocol::input::{CommitUpload, UploadData};
use towpath_protocol::limits::{RANGE_BYTES, SMALL_FILE_BYTES_MAX};
use towpath_protocol::message::Answer;
use towpath_protocol::path::Location;
use towpath_protocol::request::{BeginUpload, Copy, Durability, MakeLink, Put, Read, Rename, StoreAs};

use super::job::Verb;
use super::plan::Step;
use super::run::Shared;
use crate::link::calls::operation_id;
use crate::link::{Exchange, Link};

/// Bytes of a range; a power of two MiB, so that ranges' hashes merge.
const READ_RANGE_BYTES: u64 = 4 * RANGE_BYTES;
/// Ranges asked for ahead: what is in flight at most is their product.
const READ_RANGES_AHEAD: usize = 4;
/// How long a cancelled upload may take to remove what it has written.
const STOP_TIME: Duration = Duration::from_secs(2);

/// What came of a step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Carried {
    pub(super) bytes: u64,
    /// The file had grown since it was listed; what it had then was copied.
    pub(super) grown: bool,
}

/// Does a step: copies or moves one file or link. A file that changed or arrived damaged is tried once more as it is now.
pub(super) async fn carry(shared: &Shared, step: &Step) -> Result<Carried, Fault> {
    match carry_once(shared, step).await {
        Err(fault) if matches!(fault.code, FaultCode::Changed | FaultCode::HashMismatch) => {
            let path = step.from.whole().map_err(|_| FaultCode::NameTooLong)?;
            let attributes = shared.job.source.stat(&path, towpath_protocol::request::Follow::No).await?;
            carry_once(shared, &Step { attributes, ..step.clone() }).await
        }
        outcome => outcome,
    }
}

async fn carry_once(shared: &Shared, step: &Step) -> Result<Carried, Fault> {
    if shared.reports.cancel.is_cancelled() {
        return Err(FaultCode::Cancelled.into());
    }
    if shared.is_same_root() {
        return within(shared, step).await;
    }
    let carried = match &step.attributes.link {
        Some(link) => make_link(shared, step, &link.bytes).await?,
        None if step.attributes.kind != Kind::File => return Err(FaultCode::SpecialFile.into()),
        None if step.attributes.size <= SMALL_FILE_BYTES_MAX as u64 => small(shared, step).await?,
        None => large(shared, step).await?,
    };
    if shared.job.verb == Verb::Move {
        remove_source(shared, step).await?;
    }
    Ok(carried)
}

/// Both in one root: the service does it, no byte comes here.
async fn within(shared: &Shared, step: &Step) -> Result<Carried, Fault> {
    let Step { from, to, existing, .. } = step.clone();
    let link = &shared.job.destination;
    if shared.job.verb == Verb::Move {
        let (operation, from, to) = (operation_id()?, from.clone(), to.clone());
        match link.call(Rename { operation, from, to, existing }).await {
            Err(fault) if fault.code == FaultCode::OtherFileSystem => {}
            moved => return moved.map(|_| Carried { bytes: step.attributes.size, grown: false }),
        }
    }
    let durability = shared.durability();
    let answer = link.call(Copy { operation: operation_id()?, from, to, existing, durability }).await?;
    let Answer::Totals(totals) = answer else { return Err(FaultCode::Malformed.into()) };
    if let Some(fault) = totals.faults.into_iter().next() {
        return Err(fault);
    }
    if shared.job.verb == Verb::Move {
        remove_source(shared, step).await?;
    }
    shared.moved(totals.bytes);
    Ok(Carried { bytes: totals.bytes, grown: false })
}

async fn make_link(shared: &Shared, step: &Step, target: &[u8]) -> Result<Carried, Fault> {
    let request = MakeLink {
        operation: operation_id()?,
        link: step.to.clone(),
        target: target.to_vec(),
        modified_ns: step.attributes.modified_ns,
        existing: step.existing,
    };
    shared.job.destination.call(request).await.map(|_| Carried::default())
}

/// Removes what was copied, and only that.
async fn remove_source(shared: &Shared, step: &Step) -> Result<(), Fault> {
    let request = towpath_protocol::request::Remove {
        operation: operation_id()?,
        thing: step.from.clone(),
        depth: towpath_protocol::request::Depth::Single,
        expected: Some(step.attributes.version()),
    };
    let kept = |fault: Fault| fault.because("copied, but the source stays");
    shared.job.source.call(request).await.map(drop).map_err(kept)
}

fn store_as(shared: &Shared, step: &Step, there: &Attributes) -> StoreAs {
    StoreAs {
        mode: there.mode,
        modified_ns: there.modified_ns,
        existing: step.existing,
        expected: step.there.as_ref().map(Attributes::version),
        durability: shared.durability(),
    }
}

async fn small(shared: &Shared, step: &Step) -> Result<Carried, Fault> {
    let version = Some(step.attributes.version());
    let request = Read { file: step.from.clone(), version, offset: 0, len: SMALL_FILE_BYTES_MAX as u64 };
    let Answer::FileWhole(FileWhole { attributes, hash, grown, data }) =
        shared.job.source.call(request).await?
    else {
        return Err(FaultCode::Malformed.into());
    };
    if shared.reports.cancel.is_cancelled() {
        return Err(FaultCode::Cancelled.into());
    }
    let bytes = data.len() as u64;
    let store = store_as(shared, step, &attributes);
    let request = Put { operation: operation_id()?, file: step.to.clone(), store, hash, data };
    shared.job.destination.call(request).await?;
    shared.moved(bytes);
    Ok(Carried { bytes, grown })
}

async fn large(shared: &Shared, step: &Step) -> Result<Carried, Fault> {
    shared.begin(step);
    let size = step.attributes.size;
    let request = BeginUpload {
        operation: operation_id()?,
        file: step.to.clone(),
        store: store_as(shared, step, &step.attributes),
        size,
    };
    let mut upload = Upload::begin(&shared.job.destination, request).await?;
    let moved = tokio::select! {
        moved = upload.fill(shared, step) => moved,
        () = shared.reports.cancel.cancelled() => Err(FaultCode::Cancelled.into()),
    };
    match moved {
        Ok((hash, grown)) => {
            upload.commit(size, hash).await?;
            Ok(Carried { bytes: size, grown })
        }
        Err(fault) => {
            shared.unmoved(upload.sent);
            upload.stop().await;
            Err(fault)
        }
    }
}

/// A file of the source, read range by range.
struct Ranges<'a> {
    link: &'a Link,
    file: &'a Location,
    version: Version,
    asked: u64,
    open: VecDeque<Exchange>,
}

impl<'a> Ranges<'a> {
    fn new(link: &'a Link, file: &'a Location, version: Version) -> Self {
        Self { link, file, version, asked: 0, open: VecDeque::new() }
    }

    /// Asks ahead, and gives the next range in order; none at the end of the file.
    fn next(&mut self) -> Option<Exchange> {
        while self.open.len() < READ_RANGES_AHEAD && self.asked < self.version.size {
            let request = Read {
                file: self.file.clone(),
                version: Some(self.version),
                offset: self.asked,
                len: READ_RANGE_BYTES,
            };
            self.open.push_back(self.link.open(request));
            self.asked = self.asked.saturating_add(READ_RANGE_BYTES);
        }
        self.open.pop_front()
    }
}

/// A file of the destination that is being filled.
struct Upload {
    exchange: Exchange,
    sent: u64,
    received: u64,
    credit: u64,
}

impl Upload {
    async fn begin(link: &Link, request: BeginUpload) -> Result<Self, Fault> {
        let mut exchange = link.open(request);
        match exchange.next().await? {
            Answer::UploadReady(UploadReady { offset: 0, credit_bytes, .. }) => {
                Ok(Self { exchange, sent: 0, received: 0, credit: credit_bytes })
            }
            _ => Err(FaultCode::Malformed.into()),
        }
    }

    /// Passes all of a file on; its hash, and whether it had grown.
    async fn fill(&mut self, shared: &Shared, step: &Step) -> Result<(Hash, bool), Fault> {
        let version = step.attributes.version();
        let mut ranges = Ranges::new(&shared.job.source, &step.from, version);
        let (mut merger, mut grown) = (RangeMerger::new(), false);
        let mut whole = None;
        while let Some(mut range) = ranges.next() {
            let done = loop {
                // A hundred frames at a time may pass without a wait: acknowledgements are looked at in between.
                let answer = tokio::select! {
                    biased;
                    answer = self.exchange.next() => {
                        self.acknowledged(&answer?)?;
                        continue;
                    }
                    answer = range.next() => answer?,
                };
                match answer {
                    Answer::ReadHead(_) => {}
                    Answer::Data(data) => self.pass_on(shared, data).await?,
                    Answer::ReadDone(done) => break done,
                    _ => return Err(FaultCode::Malformed.into()),
                }
            };
            let ReadDone { hash, grown: range_grown, .. } = done;
            let hash = hash
                .ok_or_else(|| Fault::new(FaultCode::Malformed).because("a range came without its hash"))?;
            grown |= range_grown;
            if version.size <= READ_RANGE_BYTES { whole = Some(hash) } else { merger.push(hash) }
        }
        if self.sent != version.size {
            return Err(FaultCode::Changed.into());
        }
        let hash = whole.or_else(|| merger.finish()).ok_or(FaultCode::Malformed)?;
        Ok((hash, grown))
    }

    async fn pass_on(&mut self, shared: &Shared, Data { offset, data }: Data) -> Result<(), Fault> {
        if offset != self.sent {
            return Err(Fault::new(FaultCode::Malformed).because("data came out of its order"));
        }
        let len = data.len() as u64;
        while self.sent + len > self.received.saturating_add(self.credit) {
            let answer = self.exchange.next().await?;
            self.acknowledged(&answer)?;
        }
        self.exchange.send(UploadData { offset, data }).await?;
        self.sent += len;
        shared.moved(len);
        Ok(())
    }

    fn acknowledged(&mut self, answer: &Answer) -> Result<(), Fault> {
        match answer {
            Answer::UploadAck(ack) if (self.received..=self.sent).contains(&ack.received) => {
                (self.received, self.credit) = (ack.received, ack.credit_bytes);
                Ok(())
            }
            _ => Err(FaultCode::Malformed.into()),
        }
    }

    async fn commit(&mut self, len: u64, hash: Hash) -> Result<(), Fault> {
        self.exchange.send(CommitUpload { len, hash }).await?;
        loop {
            match self.exchange.next().await? {
                Answer::Stored(_) => return Ok(()),
                answer => self.acknowledged(&answer)?,
            }
        }
    }

    /// Gives up, and waits until nothing is left of it at the destination.
    async fn stop(mut self) {
        self.exchange.cancel();
        let _ = tokio::time::timeout(STOP_TIME, async { while self.exchange.next().await.is_ok() {} }).await;
    }
}

/// Whether both sides hold the same bytes (or, of links, the same target), as their hashes say.
pub(super) async fn is_same_content(shared: &Shared, step: &Step, there: &Attributes) -> Result<bool, Fault> {
    let here = &step.attributes;
    if here.kind != there.kind || here.size != there.size {
        return Ok(false);
    }
    if let (Some(here), Some(there)) = (&here.link, &there.link) {
        return Ok(here.bytes == there.bytes);
    }
    let (source, destination) = tokio::join!(
        hash_of(&shared.job.source, &step.from, here.version()),
        hash_of(&shared.job.destination, &step.to, there.version()),
    );
    Ok(source? == destination?)
}

async fn hash_of(link: &Link, file: &Location, version: Version) -> Result<Hash, Fault> {
    let mut ranges = Ranges::new(link, file, version);
    let (mut merger, mut whole) = (RangeMerger::new(), Hash::of(b""));
    while let Some(mut range) = ranges.next() {
        let hash = loop {
            match range.next().await? {
                Answer::FileWhole(file) => break file.hash,
                Answer::ReadDone(done) => break done.hash.ok_or(FaultCode::Malformed)?,
                Answer::ReadHead(_) | Answer::Data(_) => {}
                _ => return Err(FaultCode::Malformed.into()),
            }
        };
        if version.size <= READ_RANGE_BYTES { whole = hash } else { merger.push(hash) }
    }
    Ok(if version.size <= READ_RANGE_BYTES { whole } else { merger.finish().ok_or(FaultCode::Malformed)? })
}

impl Shared {
    /// A move is not over before the copy is on the disk, since its source goes.
    fn durability(&self) -> Durability {
        if self.job.verb == Verb::Move { Durability::Synced } else { Durability::Relaxed }
    }
}
