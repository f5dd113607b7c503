//! Uploads: a file of any size, in pieces, within one exchange. What arrives is
//! written to a part file and hashed by a blocking thread while more arrives; the part becomes the file only when length
//! and hash agree, and is removed whatever else happens.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use towpath_protocol::answer::{Done, Stored, UploadAck, UploadReady};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::hash::RangeHasher;
use towpath_protocol::input::{CommitUpload, UploadData};
use towpath_protocol::limits::{DATA_BYTES_MAX, UPLOAD_CREDIT_BYTES_MAX};
use towpath_protocol::message::{Answer, Input};
use towpath_protocol::request::{BeginUpload, UploadToken};

use super::Service;
use super::allowance::Hold;
use super::beside::{Held, Part, Policy};
use super::room::{SHARE_BYTES_MAX, Share};
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
    last: Option<Step>,
}

/// What to do next with an upload.
#[derive(Debug)]
enum Step {
    Write(Vec<Bytes>),
    Commit(CommitUpload),
    Abort,
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
    let begin = request.clone();
    let mut upload = service
        .clone()
        .blocking(&request.file, move |service| Upload::begin(service, &begin).map(Box::new))
        .await?;
    let mut arrived = Arrived::after(upload.received, service.room.share());
    let ready =
        UploadReady { token: upload.token, offset: upload.received, credit_bytes: arrived.share.bytes() };
    exchange.answers.send(ready).await?;
    loop {
        let step = arrived.next(upload.received, &mut exchange).await;
        let ours = request.clone();
        // A fault is looked at there as well: the part goes with the upload, and to remove a large file takes its time.
        let after = service.clone().blocking(&request.file, move |_| upload.take(step?, &ours)).await?;
        match after {
            After::More(more) => upload = more,
            After::End(answer) => return Ok(answer),
        }
    }
}

impl Upload {
    fn begin(service: &Service, request: &BeginUpload) -> Result<Self, Fault> {
        let to = Held::find(&service.root, &request.file)?;
        Policy::from(&request.store).allows_over(to.look()?.as_ref())?;
        let hold = service.allowance.hold(&*to.folder, request.size)?;
        let mut token = [0; 16];
        getrandom::fill(&mut token)
            .map_err(|_| Fault::new(FaultCode::Internal).because("no random numbers"))?;
        let part = Part::create(&to.folder)?;
        Ok(Self { token: UploadToken(token), to, part, hold, hasher: RangeHasher::new(0), received: 0 })
    }

    fn take(mut self: Box<Self>, step: Step, request: &BeginUpload) -> Result<After, Fault> {
        match step {
            Step::Write(batch) => {
                let more: usize = batch.iter().map(Bytes::len).sum();
                self.hold.reach(&*self.to.folder, self.received + more as u64)?;
                for data in batch {
                    self.part.write(&data)?;
                    self.hasher.update(&data);
                    self.received += data.len() as u64;
                }
                Ok(After::More(self))
            }
            Step::Commit(commit) => self.commit(commit, request).map(After::End),
            Step::Abort => Ok(After::End(Done {}.into())),
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

impl Arrived {
    const fn after(received: u64, share: Share) -> Self {
        Self { share, data: VecDeque::new(), end: received, acknowledged: received, last: None }
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
            Input::AbortUpload(_) => self.last = Some(Step::Abort),
            Input::More(_) => return Err(Fault::new(FaultCode::OutOfOrder).because("an upload has no pages")),
            Input::Cancel(_) => return Err(FaultCode::Cancelled.into()),
        }
        Ok(())
    }

    fn accept_data(&mut self, UploadData { offset, data }: UploadData) -> Result<(), Fault> {
        if data.is_empty() || data.len() > DATA_BYTES_MAX {
            return Err(Fault::new(FaultCode::Malformed).because(format!("{} bytes of data", data.len())));
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
