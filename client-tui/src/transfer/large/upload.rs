//! A file of the destination that is being filled with what comes of the source, as far as the destination grants.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use towpath_protocol::answer::UploadReady;
use towpath_protocol::credit::Charges;
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::hash::Hash;
use towpath_protocol::input::{AbortUpload, CommitUpload, SpanOf, UploadData, UploadSpan};
use towpath_protocol::limits::{SPAN_BYTES_MAX, SPAN_CREDIT_BYTES, UPLOAD_CREDIT_BYTES_MAX};
use towpath_protocol::message::{Answer, Input};
use towpath_protocol::request::BeginUpload;

use super::source::{Piece, Source};
use super::{READ_RANGE_BYTES, Side};
use crate::link::{Exchange, Link};
use crate::transfer::shared::STOP_TIME;
use crate::transfer::tally::UnderWay;
use crate::transfer::throttle::Throttle;

/// Messages sent and not acknowledged, at least. For no message, however short, less than [`SPAN_CREDIT_BYTES`] of the credit are
/// counted: a server holds as many.
const IN_FLIGHT_LEAST: u64 = 16;
/// Bytes of the file said and not acknowledged, most of them without their data: what the destination has to do before it hears that
/// somebody gives up. As much as four of the longest spans.
const SPANNED_AHEAD_BYTES: u64 = 4 * SPAN_BYTES_MAX;

/// A destination that takes longer than its line to say that it is ready is hashing what an earlier upload left there.
const READY_TIME: Duration = Duration::from_millis(5);

#[derive(Debug)]
pub(super) struct Upload {
    exchange: Exchange,
    /// How long it takes to be ready where an earlier upload left nothing; none where that is not asked for.
    ready_after: Option<Duration>,
    /// Where it went on with what an earlier one had left.
    resumed: u64,
    /// The bytes before this one are there, or on their way.
    sent: u64,
    received: u64,
    credit: u64,
    charges: Charges,
}

impl Upload {
    pub(super) fn open(link: &Link, request: BeginUpload) -> Self {
        Self {
            ready_after: request.resume.map(|_| 2 * link.round_trip_min() + READY_TIME),
            exchange: link.open(request),
            resumed: 0,
            sent: 0,
            received: 0,
            credit: 0,
            charges: Charges::default(),
        }
    }

    pub(super) const fn sent(&self) -> u64 {
        self.sent
    }

    pub(super) const fn resumed(&self) -> u64 {
        self.resumed
    }

    /// Passes all of a file on; its hash, and whether it had grown. What `basis` has already is not sent again.
    pub(super) async fn fill<'a>(
        &mut self,
        source: &mut Source<'a>,
        basis: Option<Side<'a>>,
        under_way: &UnderWay<'_>,
        throttle: &Throttle,
    ) -> Result<(Hash, bool), Fault> {
        let ready = self.ready(source).await?;
        self.credit = ready.credit_bytes;
        self.go_on_after(ready, source).await?;
        under_way.took_up(self.resumed);
        if let Some(basis) = basis.filter(|_| ready.basis) {
            source.compare_with(basis);
        }
        loop {
            // What the destination says comes first: it may have failed already.
            let piece = tokio::select! {
                biased;
                answer = self.exchange.next() => {
                    self.acknowledged(&answer?)?;
                    continue;
                }
                piece = source.next() => piece?,
            };
            let Some(piece) = piece else { break };
            let moved = if matches!(piece, Piece::Data(_)) { piece.len() } else { 0 };
            throttle.pass(moved).await;
            self.pass_on(piece, under_way).await?;
        }
        if self.sent != source.size() && source.size() > 0 {
            return Err(FaultCode::Changed.into());
        }
        Ok((source.hash()?, source.has_grown()))
    }

    /// Waits until the destination is ready; where that takes long, the source does meanwhile what it will be asked for next.
    async fn ready(&mut self, source: &mut Source<'_>) -> Result<UploadReady, Fault> {
        let ready_after = self.ready_after.filter(|_| source.can_leave_data_out());
        let hashing = async {
            match ready_after {
                Some(ready_after) => sleep(ready_after).await,
                None => std::future::pending().await,
            }
            source.hash_ahead().await
        };
        let answer = tokio::select! {
            biased;
            answer = self.exchange.next() => answer?,
            never = hashing => match never {},
        };
        match answer {
            Answer::UploadReady(ready) => Ok(ready),
            _ => Err(FaultCode::Malformed.into()),
        }
    }

    /// Goes on where an earlier upload was cut off, if what it left is the beginning of the source as it is now.
    async fn go_on_after(&mut self, ready: UploadReady, source: &mut Source<'_>) -> Result<(), Fault> {
        let UploadReady { offset, kept, .. } = ready;
        match kept {
            None if offset == 0 && self.ready_after.is_some() => source.begin_anew(),
            None if offset == 0 => {}
            Some(hash) if offset <= source.size() && offset.is_multiple_of(READ_RANGE_BYTES) => {
                if source.begin_after(offset, hash).await? {
                    (self.resumed, self.sent, self.received) = (offset, offset, offset);
                }
            }
            _ => return Err(Fault::new(FaultCode::Malformed).because("nobody left that much of the file")),
        }
        Ok(())
    }

    async fn pass_on(&mut self, piece: Piece, under_way: &UnderWay<'_>) -> Result<(), Fault> {
        if piece.offset() != self.sent {
            return Err(Fault::new(FaultCode::Malformed).because("data came out of its order"));
        }
        let len = piece.len();
        let (input, charge, saved): (Input, _, _) = match piece {
            Piece::Data(data) => (UploadData { offset: data.offset, data: data.data }.into(), len, 0),
            Piece::Span(span @ UploadSpan { of: SpanOf::Basis, .. }) => (span.into(), SPAN_CREDIT_BYTES, len),
            Piece::Span(span) => (span.into(), SPAN_CREDIT_BYTES, 0),
        };
        while self.is_full(len, charge) {
            let answer = self.exchange.next().await?;
            self.acknowledged(&answer)?;
        }
        if let Err(fault) = self.exchange.send(input).await {
            return Err(self.why_ended(fault).await);
        }
        self.sent += len;
        self.charges.add(self.sent, charge);
        under_way.moved(len);
        under_way.saved(saved);
        Ok(())
    }

    /// Whether the destination has enough to do before so much more.
    fn is_full(&self, len: u64, charge: u64) -> bool {
        let ahead = self.sent - self.received + len;
        self.charges.total() + charge > self.credit
            || self.charges.count() as u64 >= self.in_flight_max()
            || (ahead > SPANNED_AHEAD_BYTES && self.charges.count() > 0)
    }

    fn in_flight_max(&self) -> u64 {
        (self.credit.min(UPLOAD_CREDIT_BYTES_MAX) / SPAN_CREDIT_BYTES).max(IN_FLIGHT_LEAST)
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
                self.charges.acknowledge(ack.received);
                Ok(())
            }
            _ => Err(FaultCode::Malformed.into()),
        }
    }

    pub(super) async fn commit(&mut self, len: u64, hash: Hash) -> Result<Answer, Fault> {
        if let Err(fault) = self.exchange.send(CommitUpload { len, hash }).await {
            return Err(self.why_ended(fault).await);
        }
        loop {
            match self.exchange.next().await? {
                stored @ Answer::Stored(_) => return Ok(stored),
                answer => self.acknowledged(&answer)?,
            }
        }
    }

    /// Gives up, and waits until nothing is left of it at the destination, or until what there is waits for the same copy.
    pub(super) async fn stop(mut self, waits: bool) {
        if !waits || self.exchange.send(AbortUpload { keep: true }).await.is_err() {
            self.exchange.cancel();
        }
        let _ = timeout(STOP_TIME, async { while self.exchange.next().await.is_ok() {} }).await;
    }
}
