//! Uploads: a file of any size, in pieces, within one exchange. What arrives is
//! written to a part file and hashed by a blocking thread while more arrives; the part becomes the file only when length
//! and hash agree. It is removed whatever else happens, but where the upload was cut off and another may go on with it.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;
use towpath_protocol::answer::{Done, Stored, UploadAck, UploadReady};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::hash::RangeHasher;
use towpath_protocol::input::{AbortUpload, CommitUpload, UploadData};
use towpath_protocol::limits::{DATA_BYTES_MAX, RANGE_BYTES, READ_BYTES_MAX, UPLOAD_CREDIT_BYTES_MAX};
use towpath_protocol::message::{Answer, Input};
use towpath_protocol::request::{BeginUpload, Durability, UploadToken};

use super::Service;
use super::allowance::Hold;
use super::beside::{Held, Part, Policy};
use super::room::{SHARE_BYTES_MAX, Share};
use crate::disk::{self, durable, parts};
use crate::exchange::Exchange;

/// Bytes written and hashed in one go, between two looks at what else has arrived.
const WRITE_BYTES_TARGET: usize = 1024 * 1024;

const _: () = assert!(SHARE_BYTES_MAX <= UPLOAD_CREDIT_BYTES_MAX);

/// An unfinished upload: all that outlives a message.
#[derive(Debug)]
struct Upload {
    token: UploadToken,
    to: Held,
    part: Part,
    hold: Hold,
    hasher: RangeHasher,
    /// Bytes written and hashed.
    received: u64,
    /// What was received may wait for another upload, if it is at least so much.
    waits_from: Option<u64>,
}

/// What has arrived and is not yet written.
#[derive(Debug)]
struct Arrived {
    /// How far the client may be ahead of what is written.
    share: Share,
    data: VecDeque<Bytes>,
    /// Where the next data must start.
    end: u64,
    /// Bytes that the client knows to be written.
    acknowledged: u64,
    /// Nothing has come yet: the client may begin anew, and not go on with what was kept.
    is_fresh: bool,
    begins_anew: bool,
    last: Option<Step>,
}

/// What to do next with an upload.
#[derive(Debug)]
enum Step {
    Write(Vec<Bytes>),
    BeginAnew,
    Commit(CommitUpload),
    Abort { keep: bool },
}

/// An upload after a step.
#[derive(Debug)]
enum After {
    More(Box<Upload>),
    End(Answer),
}

pub(super) async fn upload(
    service: Arc<Service>,
    request: BeginUpload,
    mut exchange: Exchange,
) -> Result<Answer, Fault> {
    let _place = service.allowance.upload().map_err(super::at(&request.file))?;
    let request = Arc::new(request);
    let (begin, cancel) = (request.clone(), exchange.cancel.clone());
    let mut upload = service
        .clone()
        .blocking(&request.file, move |service| Upload::begin(service, &begin, &cancel).map(Box::new))
        .await?;
    let mut arrived = Arrived::after(upload.received, service.room.share());
    let ready = UploadReady {
        token: upload.token,
        offset: upload.received,
        kept: (upload.received > 0).then(|| upload.hasher.finish_whole()),
        credit_bytes: arrived.share.bytes(),
    };
    // Whoever does not hear this any more says nothing either, and that ends it in the same way as later on.
    let _ = exchange.answers.send(ready).await;
    loop {
        let step = arrived.next(upload.received, &mut exchange).await;
        let (ours, lost) = (request.clone(), exchange.lost.clone());
        // A fault is looked at there as well: the part goes with the upload, and to remove a large file takes its time.
        let taken = service.clone().blocking(&request.file, move |_| match step {
            Ok(step) => upload.take(step, &ours),
            Err(fault) => {
                if lost.is_cancelled() {
                    upload.wait_for_another()?;
                }
                Err(fault)
            }
        });
        let after = taken.await?;
        match after {
            After::More(more) => upload = more,
            After::End(answer) => return Ok(answer),
        }
    }
}

impl Upload {
    fn begin(service: &Service, request: &BeginUpload, cancel: &CancellationToken) -> Result<Self, Fault> {
        let to = Held::find(&service.root, &request.file)?;
        Policy::from(&request.store).allows_over(to.look()?.as_ref())?;
        let mut token = [0; 16];
        getrandom::fill(&mut token)
            .map_err(|_| Fault::new(FaultCode::Internal).because("no random numbers"))?;
        let is_kept = !service.allowance.limits().parts_kept.is_zero();
        let waits_from = request.resume.filter(|_| is_kept).map(piece_bytes).transpose()?;
        let part = match waits_from {
            Some(_) => {
                let name = parts::resumable_name(&to.name, request.size, request.store.modified_ns)?;
                Part::take_up(&to.folder, &name)?
            }
            None => Part::create(&to.folder)?,
        };
        let there = disk::stat_open(part.file())?.size;
        let hold = match service.allowance.hold_on(&*to.folder, request.size, there) {
            Ok(hold) => hold,
            Err(fault) => {
                if waits_from.is_some_and(|least| there >= least) {
                    part.keep();
                }
                return Err(fault);
            }
        };
        let (token, hasher) = (UploadToken(token), RangeHasher::new(0));
        let mut upload = Self { token, to, part, hold, hasher, received: 0, waits_from };
        let kept = waits_from.map_or(0, |piece| there.min(request.size) / piece * piece);
        match upload.learn_kept(kept, cancel) {
            Ok(()) => Ok(upload),
            Err(fault) => {
                upload.wait_for_another()?;
                Err(fault)
            }
        }
    }

    /// Hashes what an earlier upload received, as far as `kept`; the rest goes.
    fn learn_kept(&mut self, kept: u64, cancel: &CancellationToken) -> Result<(), Fault> {
        let mut buffer = Vec::new();
        while self.received < kept {
            if cancel.is_cancelled() {
                return Err(FaultCode::Cancelled.into());
            }
            buffer.clear();
            let len = WRITE_BYTES_TARGET.min((kept - self.received) as usize);
            if disk::read_at(self.part.file(), &mut buffer, self.received, len)? < len {
                return Err(FaultCode::Changed.into());
            }
            self.hasher.update(&buffer);
            self.received += len as u64;
        }
        parts::cut_off(self.part.file(), kept)
    }

    /// What was received stays where another upload of the same file finds it.
    fn wait_for_another(self) -> Result<(), Fault> {
        let there = disk::stat_open(self.part.file())?.size;
        if self.waits_from.is_some_and(|least| there >= least) {
            self.part.keep();
            self.hold.keep(there);
        }
        Ok(())
    }

    fn take(mut self: Box<Self>, step: Step, request: &BeginUpload) -> Result<After, Fault> {
        match step {
            Step::Write(batch) => {
                let more: usize = batch.iter().map(Bytes::len).sum();
                let before = self.received;
                self.hold.reach(&*self.to.folder, before + more as u64)?;
                for data in batch {
                    self.part.write(&data)?;
                    self.hasher.update(&data);
                    self.received += data.len() as u64;
                }
                if request.store.durability == Durability::Synced {
                    durable::begin_flush(self.part.file(), before, self.received);
                }
                Ok(After::More(self))
            }
            Step::Commit(commit) => self.commit(commit, request).map(After::End),
            Step::BeginAnew => {
                parts::cut_off(self.part.file(), 0)?;
                (self.hasher, self.received) = (RangeHasher::new(0), 0);
                Ok(After::More(self))
            }
            Step::Abort { keep } => {
                if keep {
                    self.wait_for_another()?;
                }
                Ok(After::End(Done {}.into()))
            }
        }
    }

    fn commit(self, commit: CommitUpload, request: &BeginUpload) -> Result<Answer, Fault> {
        if commit.len != self.received {
            let detail = format!("{} bytes announced, {} arrived", commit.len, self.received);
            return Err(Fault::new(FaultCode::HashMismatch).because(detail));
        }
        if commit.hash != self.hasher.finish_whole() {
            return Err(FaultCode::HashMismatch.into());
        }
        let policy = Policy::from(&request.store);
        let attributes = self.part.place(&self.to.name, request.store.mode, &policy)?;
        self.hold.keep(self.received);
        Ok(Stored { attributes }.into())
    }
}

/// The size of pieces that a client asks for, if its hashes can be merged from such.
fn piece_bytes(piece: u64) -> Result<u64, Fault> {
    if piece.is_power_of_two() && (RANGE_BYTES..=READ_BYTES_MAX).contains(&piece) {
        return Ok(piece);
    }
    Err(Fault::new(FaultCode::Malformed).because(format!("pieces of {piece} bytes")))
}

impl Arrived {
    const fn after(received: u64, share: Share) -> Self {
        let data = VecDeque::new();
        let (end, acknowledged) = (received, received);
        Self { share, data, end, acknowledged, is_fresh: true, begins_anew: false, last: None }
    }

    /// Acknowledges what is written, waits until there is something to do, and takes everything in that has arrived.
    async fn next(&mut self, received: u64, exchange: &mut Exchange) -> Result<Step, Fault> {
        let cancel = exchange.cancel.clone();
        tokio::select! {
            biased;
            () = cancel.cancelled() => Err(FaultCode::Cancelled.into()),
            step = self.next_unless_cancelled(received, exchange) => step,
        }
    }

    async fn next_unless_cancelled(&mut self, received: u64, exchange: &mut Exchange) -> Result<Step, Fault> {
        if received > self.acknowledged {
            exchange.answers.send(UploadAck { received, credit_bytes: self.share.bytes() }).await?;
            self.acknowledged = received;
        }
        if self.data.is_empty() && self.last.is_none() {
            // Closed where the connection is lost.
            let input = exchange.inputs.recv().await.ok_or(FaultCode::Cancelled)?;
            self.accept(input)?;
        }
        while let Ok(input) = exchange.inputs.try_recv() {
            self.accept(input)?;
        }
        Ok(self.step())
    }

    fn accept(&mut self, input: Input) -> Result<(), Fault> {
        if self.last.is_some() {
            return Err(Fault::new(FaultCode::OutOfOrder).because("the upload has ended already"));
        }
        match input {
            Input::UploadData(data) => self.accept_data(data)?,
            Input::CommitUpload(commit) => self.last = Some(Step::Commit(commit)),
            Input::AbortUpload(AbortUpload { keep }) => self.last = Some(Step::Abort { keep }),
            Input::More(_) => return Err(Fault::new(FaultCode::OutOfOrder).because("an upload has no pages")),
            Input::Cancel(_) => return Err(FaultCode::Cancelled.into()),
        }
        Ok(())
    }

    fn accept_data(&mut self, UploadData { offset, data }: UploadData) -> Result<(), Fault> {
        if data.is_empty() || data.len() > DATA_BYTES_MAX {
            return Err(Fault::new(FaultCode::Malformed).because(format!("{} bytes of data", data.len())));
        }
        if std::mem::take(&mut self.is_fresh) && offset == 0 && self.end > 0 {
            (self.end, self.acknowledged, self.begins_anew) = (0, 0, true);
        }
        if offset != self.end {
            let detail = format!("data for offset {offset}, expected {}", self.end);
            return Err(Fault::new(FaultCode::OutOfOrder).because(detail));
        }
        self.end += data.len() as u64;
        if self.end - self.acknowledged > self.share.bytes() {
            return Err(Fault::new(FaultCode::LimitExceeded).because("more data than the credit allows"));
        }
        self.data.push_back(data);
        Ok(())
    }

    /// What comes first of all that has arrived; an empty batch where nothing has.
    fn step(&mut self) -> Step {
        if std::mem::take(&mut self.begins_anew) {
            return Step::BeginAnew;
        }
        if self.data.is_empty()
            && let Some(last) = self.last.take()
        {
            return last;
        }
        let mut bytes = 0;
        let mut batch = Vec::new();
        while bytes < WRITE_BYTES_TARGET
            && let Some(data) = self.data.pop_front()
        {
            bytes += data.len();
            batch.push(data);
        }
        Step::Write(batch)
    }
}
