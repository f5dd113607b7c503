//! What arrives of an upload and is not yet written: judged as it comes, by order and by credit, and handed on in steps. Knows no disk.

use std::collections::VecDeque;

use bytes::Bytes;
use towpath_protocol::answer::UploadAck;
use towpath_protocol::credit::Charges;
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::input::{AbortUpload, CommitUpload, SpanOf, UploadData, UploadSpan};
use towpath_protocol::limits::{DATA_BYTES_MAX, SPAN_BYTES_MAX, SPAN_CREDIT_BYTES};
use towpath_protocol::message::Input;

use crate::exchange::Exchange;
use crate::service::room::Share;

/// Bytes written and hashed in one go, between two looks at what else has arrived.
const WRITE_BYTES_TARGET: u64 = 1024 * 1024;
/// Longest part of a span that is copied at once, so that others have their turn.
const SPAN_STEP_BYTES: u64 = 8 * 1024 * 1024;

/// Data shorter than this is gathered.
const GATHERED_BYTES_MAX: usize = 4 * 1024;

/// A part of the file: sent, or said to be had without.
#[derive(Debug)]
pub(super) enum Piece {
    Data(Bytes),
    /// Data of several messages that were short.
    Gathered(Vec<u8>),
    Span(UploadSpan),
}

impl Piece {
    pub(super) const fn len(&self) -> u64 {
        match self {
            Self::Data(data) => data.len() as u64,
            Self::Gathered(data) => data.len() as u64,
            Self::Span(span) => span.len,
        }
    }

    /// Cuts a span off that is to be copied, and gives the rest.
    fn split(self) -> (Self, Option<Self>) {
        match self {
            Self::Span(UploadSpan { offset, len, of: SpanOf::Basis }) if len > SPAN_STEP_BYTES => {
                let first = UploadSpan { offset, len: SPAN_STEP_BYTES, of: SpanOf::Basis };
                let rest = UploadSpan {
                    offset: offset + SPAN_STEP_BYTES,
                    len: len - SPAN_STEP_BYTES,
                    of: SpanOf::Basis,
                };
                (Self::Span(first), Some(Self::Span(rest)))
            }
            piece => (piece, None),
        }
    }

    /// Bytes that it may store.
    pub(super) const fn data_len(&self) -> u64 {
        match self {
            Self::Span(UploadSpan { of: SpanOf::Zeros, .. }) => 0,
            Self::Data(_) | Self::Gathered(_) | Self::Span(_) => self.len(),
        }
    }

    /// What it takes of the credit.
    const fn charge(&self) -> u64 {
        match self {
            Self::Data(_) | Self::Gathered(_) => self.len(),
            Self::Span(_) => SPAN_CREDIT_BYTES,
        }
    }
}

/// What has arrived and is not yet written.
#[derive(Debug)]
pub(super) struct Arrived {
    /// How far the client may be ahead of what is written.
    share: Share,
    size: u64,
    basis: Option<u64>,
    pieces: VecDeque<Piece>,
    /// Where the next piece must start.
    end: u64,
    /// Bytes that the client knows to be written.
    acknowledged: u64,
    charges: Charges,
    /// Nothing has come yet: the client may begin anew, and not go on with what was kept.
    is_fresh: bool,
    begins_anew: bool,
    last: Option<Step>,
}

/// What to do next with an upload.
#[derive(Debug)]
pub(super) enum Step {
    Write(Vec<Piece>),
    BeginAnew,
    Commit(CommitUpload),
    Abort { keep: bool },
}

impl Arrived {
    /// Of an upload that goes on after `received` bytes, of a file of `size` bytes as far as the client knows; `basis` is how large the
    /// file is that parts may be taken from, if there is one.
    pub(super) fn after(received: u64, size: u64, basis: Option<u64>, share: Share) -> Self {
        Self {
            share,
            size,
            basis,
            pieces: VecDeque::new(),
            end: received,
            acknowledged: received,
            charges: Charges::default(),
            is_fresh: true,
            begins_anew: false,
            last: None,
        }
    }

    /// How far the client may be ahead of what is acknowledged.
    pub(super) fn credit_bytes(&self) -> u64 {
        self.share.bytes()
    }

    /// Acknowledges what is written, waits until there is something to do, and takes everything in that has arrived.
    pub(super) async fn next(&mut self, received: u64, exchange: &mut Exchange) -> Result<Step, Fault> {
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
            self.acknowledge(received);
        }
        if self.pieces.is_empty() && self.last.is_none() {
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
            Input::UploadSpan(span) => self.accept_span(span)?,
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
        self.append(offset, Piece::Data(data))
    }

    fn accept_span(&mut self, span: UploadSpan) -> Result<(), Fault> {
        let UploadSpan { offset, len, of } = span;
        if !(1..=SPAN_BYTES_MAX).contains(&len) {
            return Err(Fault::new(FaultCode::Malformed).because(format!("a span of {len} bytes")));
        }
        self.check_order(offset)?;
        let end = offset.saturating_add(len);
        // It costs the client nothing to say more than there can be room for.
        if end > self.size {
            let why = format!("a span beyond the {} bytes that were announced", self.size);
            return Err(Fault::new(FaultCode::LimitExceeded).because(why));
        }
        if of == SpanOf::Basis {
            let none = || Fault::new(FaultCode::OutOfOrder).because("there is no basis to take it from");
            let size = self.basis.ok_or_else(none)?;
            if end > size {
                let why = format!("a span beyond the {size} bytes of the basis");
                return Err(Fault::new(FaultCode::Malformed).because(why));
            }
        }
        self.append(offset, Piece::Span(span))
    }

    fn check_order(&self, offset: u64) -> Result<(), Fault> {
        if offset == self.end || (self.is_fresh && offset == 0) {
            return Ok(());
        }
        let detail = format!("data for offset {offset}, expected {}", self.end);
        Err(Fault::new(FaultCode::OutOfOrder).because(detail))
    }

    fn append(&mut self, offset: u64, piece: Piece) -> Result<(), Fault> {
        self.check_order(offset)?;
        if std::mem::take(&mut self.is_fresh) && offset == 0 && self.end > 0 {
            (self.end, self.acknowledged, self.begins_anew) = (0, 0, true);
        }
        self.end += piece.len();
        self.charges.add(self.end, piece.charge());
        if self.charges.total() > self.share.bytes() {
            return Err(Fault::new(FaultCode::LimitExceeded).because("more data than the credit allows"));
        }
        self.keep(piece);
        Ok(())
    }

    /// Short data that follows on short data is put together with it: so what is kept takes little more than what the credit allows.
    fn keep(&mut self, piece: Piece) {
        let Piece::Data(data) = &piece else { return self.pieces.push_back(piece) };
        match self.pieces.back_mut() {
            _ if data.len() >= GATHERED_BYTES_MAX => self.pieces.push_back(piece),
            Some(Piece::Gathered(gathered)) if gathered.len() + data.len() <= DATA_BYTES_MAX => {
                gathered.extend_from_slice(data);
            }
            _ => self.pieces.push_back(Piece::Gathered(data.to_vec())),
        }
    }

    /// The client knows that so much is written, and may send as much again.
    fn acknowledge(&mut self, received: u64) {
        self.acknowledged = received;
        self.charges.acknowledge(received);
    }

    /// What comes first of all that has arrived; an empty batch where nothing has.
    fn step(&mut self) -> Step {
        if std::mem::take(&mut self.begins_anew) {
            return Step::BeginAnew;
        }
        if self.pieces.is_empty()
            && let Some(last) = self.last.take()
        {
            return last;
        }
        let mut bytes = 0;
        let mut batch = Vec::new();
        while bytes < WRITE_BYTES_TARGET
            && let Some(piece) = self.pieces.pop_front()
        {
            let (piece, rest) = piece.split();
            if let Some(rest) = rest {
                self.pieces.push_front(rest);
            }
            bytes += piece.len();
            batch.push(piece);
        }
        Step::Write(batch)
    }
}
