//! The pump for files that do not fit in one message: ranges of the source, several asked for ahead, passed on to an upload as
//! they come, in order, as far as the destination grants. Their hashes merge into the one that the destination compares.

use std::collections::VecDeque;

use tokio::time::timeout;
use towpath_protocol::answer::{Data, ReadDone, UploadReady};
use towpath_protocol::entry::Version;
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::hash::{Hash, RangeMerger};
use towpath_protocol::input::{AbortUpload, CommitUpload, UploadData};
use towpath_protocol::limits::{RANGE_BYTES, READ_BYTES_MAX};
use towpath_protocol::message::Answer;
use towpath_protocol::path::Location;
use towpath_protocol::request::{BeginUpload, Read, Wants};

use super::shared::{STOP_TIME, Shared};
use super::tally::UnderWay;
use super::throttle::Throttle;
use super::work::{Carried, Step};
use crate::link::calls::operation_id;
use crate::link::{Exchange, Link};

/// Bytes of a range; a power of two MiB, so that ranges' hashes merge.
const READ_RANGE_BYTES: u64 = 4 * RANGE_BYTES;
/// Ranges of a file asked for ahead. At 40 ms of delay, this window lets 300 MB/s through.
const READ_RANGES_AHEAD: usize = 3;
/// Smaller files are begun anew where they were cut off: there is little to save, and it takes a round trip to ask.
const RESUMED_BYTES_LEAST: u64 = 4 * READ_RANGE_BYTES;
/// Most bytes that one file has asked for and not yet passed on.
pub(super) const WINDOW_BYTES: u64 = READ_RANGE_BYTES * READ_RANGES_AHEAD as u64;

/// Copies a file of more than one message, or one that does not say how long it is.
pub(super) async fn carry(shared: &Shared, step: &Step) -> Result<Carried, Fault> {
    let (size, version) = (step.attributes.size, step.attributes.version());
    let under_way = shared.tally.begin(&step.from, size);
    let mut ranges = Ranges::new(&shared.job.source, &step.from, version);
    let store = shared.store_as(step, &step.attributes);
    let resume = (size >= RESUMED_BYTES_LEAST).then_some(READ_RANGE_BYTES);
    let request =
        BeginUpload { operation: operation_id()?, file: step.to.clone(), store, size, resume, basis: None };
    let mut upload = Upload::open(&shared.job.destination, request);
    if resume.is_none() {
        // Asked for before the upload is granted: that saves a round trip.
        ranges.ask_ahead();
    }
    match shared
        .unless_stopped(upload.fill(&mut ranges, &under_way, &shared.reports.throttle))
        .await
        .flatten()
    {
        Ok((hash, grown)) => {
            let (bytes, resumed) = (upload.sent, upload.resumed);
            upload.commit(bytes, hash).await?;
            under_way.arrived();
            shared.tally.resumed(resumed);
            Ok(Carried { bytes, grown, source: Some(version) })
        }
        Err(fault) => {
            let waits = match fault.code {
                FaultCode::Disconnected | FaultCode::ShuttingDown => true,
                FaultCode::Cancelled => shared.is_resumed(),
                _ => false,
            };
            upload.stop(waits).await;
            Err(fault)
        }
    }
}

/// A file of the source, read range by range.
#[derive(Debug)]
struct Ranges<'a> {
    link: &'a Link,
    file: &'a Location,
    version: Version,
    asked: u64,
    /// Of what is before this only the hash is asked for.
    hashed_to: u64,
    open: VecDeque<Exchange>,
    merger: RangeMerger,
    /// The hash of a file that is one range.
    whole: Option<Hash>,
    grown: bool,
}

impl<'a> Ranges<'a> {
    fn new(link: &'a Link, file: &'a Location, version: Version) -> Self {
        let (open, merger) = (VecDeque::new(), RangeMerger::new());
        Self { link, file, version, asked: 0, hashed_to: 0, open, merger, whole: None, grown: false }
    }

    fn ask_ahead(&mut self) {
        while self.open.len() < READ_RANGES_AHEAD && (self.asked < self.version.size || self.asked == 0) {
            let (file, version) = (self.file.clone(), Some(self.version));
            // What does not say how long it is is read in one go.
            let len = if self.version.size == 0 { READ_BYTES_MAX } else { READ_RANGE_BYTES };
            let wants = if self.asked < self.hashed_to { Wants::Hash } else { Wants::Data };
            self.open.push_back(self.link.open(Read {
                file,
                version,
                offset: self.asked,
                len,
                wants,
                holes: false,
            }));
            self.asked = self.asked.saturating_add(len);
        }
    }

    /// Whether the first `offset` bytes, whole ranges, have this hash; what follows comes next. Else all of it comes, from the start.
    async fn begin_after(&mut self, offset: u64, hash: Hash) -> Result<bool, Fault> {
        self.hashed_to = offset;
        self.ask_ahead();
        while self.merger.count() < offset / READ_RANGE_BYTES {
            let Some(range) = self.open.front_mut() else { return Err(FaultCode::Malformed.into()) };
            match range.next().await? {
                // Data comes from one that has not learnt yet to leave it out.
                Answer::ReadHead(_) | Answer::Data(_) => {}
                Answer::ReadDone(done) => self.range_done(done)?,
                _ => return Err(FaultCode::Malformed.into()),
            }
        }
        // Of one range the value within a larger file is not the hash of these bytes alone.
        let is_same = self.merger.clone().finish() == Some(hash);
        if !is_same {
            let (link, file, version) = (self.link, self.file, self.version);
            *self = Self::new(link, file, version);
            self.ask_ahead();
        }
        Ok(is_same)
    }

    /// The next data in order; none at the end of the file.
    async fn next(&mut self) -> Result<Option<Data>, Fault> {
        loop {
            let Some(range) = self.open.front_mut() else { return Ok(None) };
            match range.next().await? {
                Answer::ReadHead(_) => {}
                Answer::Data(data) => return Ok(Some(data)),
                Answer::ReadDone(done) => self.range_done(done)?,
                Answer::FileWhole(file) => {
                    (self.whole, self.grown) = (Some(file.hash), file.grown);
                    self.open.clear();
                }
                _ => return Err(FaultCode::Malformed.into()),
            }
        }
    }

    fn range_done(&mut self, ReadDone { hash, grown, .. }: ReadDone) -> Result<(), Fault> {
        let hash =
            hash.ok_or_else(|| Fault::new(FaultCode::Malformed).because("a range came without its hash"))?;
        self.grown |= grown;
        if self.version.size <= READ_RANGE_BYTES {
            self.whole = Some(hash);
        } else {
            self.merger.push(hash);
        }
        self.open.pop_front();
        self.ask_ahead();
        Ok(())
    }

    /// The file's hash, once all its data has come.
    fn hash(&mut self) -> Result<Hash, Fault> {
        let merger = std::mem::take(&mut self.merger);
        self.whole.or_else(|| merger.finish()).ok_or_else(|| FaultCode::Malformed.into())
    }
}

/// A file of the destination that is being filled.
#[derive(Debug)]
struct Upload {
    exchange: Exchange,
    /// Where it went on with what an earlier one had left.
    resumed: u64,
    /// The bytes before this one are there, or on their way.
    sent: u64,
    received: u64,
    credit: u64,
}

impl Upload {
    fn open(link: &Link, request: BeginUpload) -> Self {
        Self { exchange: link.open(request), resumed: 0, sent: 0, received: 0, credit: 0 }
    }

    /// Passes all of a file on; its hash, and whether it had grown.
    async fn fill(
        &mut self,
        ranges: &mut Ranges<'_>,
        under_way: &UnderWay<'_>,
        throttle: &Throttle,
    ) -> Result<(Hash, bool), Fault> {
        let Answer::UploadReady(ready) = self.exchange.next().await? else {
            return Err(FaultCode::Malformed.into());
        };
        self.credit = ready.credit_bytes;
        self.go_on_after(ready, ranges).await?;
        under_way.moved(self.resumed);
        loop {
            // What the destination says comes first: it may have failed already.
            let data = tokio::select! {
                biased;
                answer = self.exchange.next() => {
                    self.acknowledged(&answer?)?;
                    continue;
                }
                data = ranges.next() => data?,
            };
            let Some(data) = data else { break };
            throttle.pass(data.data.len() as u64).await;
            self.pass_on(data, under_way).await?;
        }
        if self.sent != ranges.version.size && ranges.version.size > 0 {
            return Err(FaultCode::Changed.into());
        }
        Ok((ranges.hash()?, ranges.grown))
    }

    /// Goes on where an earlier upload was cut off, if what it left is the beginning of the source as it is now.
    async fn go_on_after(&mut self, ready: UploadReady, ranges: &mut Ranges<'_>) -> Result<(), Fault> {
        let UploadReady { offset, kept, .. } = ready;
        match kept {
            None if offset == 0 => ranges.ask_ahead(),
            Some(hash) if offset <= ranges.version.size && offset.is_multiple_of(READ_RANGE_BYTES) => {
                if ranges.begin_after(offset, hash).await? {
                    (self.resumed, self.sent, self.received) = (offset, offset, offset);
                }
            }
            _ => return Err(Fault::new(FaultCode::Malformed).because("nobody left that much of the file")),
        }
        Ok(())
    }

    async fn pass_on(&mut self, Data { offset, data }: Data, under_way: &UnderWay<'_>) -> Result<(), Fault> {
        if offset != self.sent {
            return Err(Fault::new(FaultCode::Malformed).because("data came out of its order"));
        }
        let len = data.len() as u64;
        while self.sent + len > self.received.saturating_add(self.credit) {
            let answer = self.exchange.next().await?;
            self.acknowledged(&answer)?;
        }
        if let Err(fault) = self.exchange.send(UploadData { offset, data }).await {
            return Err(self.why_ended(fault).await);
        }
        self.sent += len;
        under_way.moved(len);
        Ok(())
    }

    /// The destination takes no more: its last answer says why.
    async fn why_ended(&mut self, fault: Fault) -> Fault {
        loop {
            match self.exchange.next().await {
                Ok(answer) if answer.is_final() => return fault,
                Ok(_) => {}
                Err(why) => return why,
            }
        }
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
        if let Err(fault) = self.exchange.send(CommitUpload { len, hash }).await {
            return Err(self.why_ended(fault).await);
        }
        loop {
            match self.exchange.next().await? {
                Answer::Stored(_) => return Ok(()),
                answer => self.acknowledged(&answer)?,
            }
        }
    }

    /// Gives up, and waits until nothing is left of it at the destination, or until what there is waits for the same copy.
    async fn stop(mut self, waits: bool) {
        if !waits || self.exchange.send(AbortUpload { keep: true }).await.is_err() {
            self.exchange.cancel();
        }
        let _ = timeout(STOP_TIME, async { while self.exchange.next().await.is_ok() {} }).await;
    }
}

/// The hash of a file that must be of this version.
pub(super) async fn hash_of(link: &Link, file: &Location, version: Version) -> Result<Hash, Fault> {
    let mut ranges = Ranges::new(link, file, version);
    // Of what does not say how long it is, the data has to come.
    ranges.hashed_to = if version.size == 0 { 0 } else { u64::MAX };
    ranges.ask_ahead();
    while ranges.next().await?.is_some() {}
    ranges.hash()
}
