//! Uploads: a file of any size, in pieces, within one exchange. What arrives is
//! written to a part file and hashed by a blocking thread while more arrives; the part becomes the file only when length
//! and hash agree. It is removed whatever else happens, but where the upload was cut off and another may go on with it.
//! `arrived` judges what comes, `basis` is the file that parts are taken over from.

mod arrived;
mod basis;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use towpath_protocol::answer::{Done, Stored, UploadReady};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::hash::RangeHasher;
use towpath_protocol::input::{CommitUpload, SpanOf, UploadSpan};
use towpath_protocol::limits::{RANGE_BYTES, READ_BYTES_MAX};
use towpath_protocol::message::Answer;
use towpath_protocol::request::{BeginUpload, Durability, UploadToken};

use super::allowance::Hold;
use super::beside::{Held, Part, Policy, Reach};
use super::blocking_pool::Class;
use super::metadata::Wished;
use super::open_files::OF_UPLOAD;
use super::read::READ_STEP_BYTES;
use super::room::Share;
use super::turns::Turn;
use super::{Service, credit};
use crate::disk::parts::PartId;
use crate::disk::{self, durable, holes};
use crate::exchange::{Exchange, input_bytes_of};
use crate::memory::{Charge, Use};
use arrived::{Arrived, Piece, Step};
use basis::Basis;

/// Bytes of what an earlier upload left that are hashed in one go.
const HASH_STEP_BYTES: usize = 256 * 1024;

/// An unfinished upload: all that outlives a message.
#[derive(Debug)]
struct Upload {
    token: UploadToken,
    to: Held,
    part: Part,
    basis: Option<Basis>,
    hold: Hold,
    hasher: RangeHasher,
    /// Bytes written and hashed.
    received: u64,
    /// What was received may wait for another upload, if it is at least so much.
    waits_from: Option<u64>,
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
    let _open = service.open_files.park(OF_UPLOAD).map_err(super::at(&request.file))?;
    let request = Arc::new(request);
    let (begin, cancel) = (request.clone(), exchange.cancel.clone());
    let begun = service.clone().blocking(&request.file, move |service| Upload::begin(service, &begin));
    let learning = Learning { upload: Some(Box::new(begun.await?)), size: request.size, cancel };
    let (_, mut upload) =
        service.turn_by_turn(Class::Turn, None, &request.file, learning, Learning::go_on).await?;
    let basis = upload.basis.as_ref().map(Basis::size);
    let (share, _charge) = match room_for(&service, &request, &exchange.cancel).await {
        Ok(room) => room,
        Err(fault) => {
            let giving_up = move |_: &Service| upload.wait_for_another();
            service.certainly(&request.file, giving_up).await?;
            return Err(fault);
        }
    };
    let mut arrived = Arrived::after(upload.received, request.size, basis, share);
    let ready = UploadReady {
        token: upload.token,
        offset: upload.received,
        kept: (upload.received > 0).then(|| upload.hasher.finish_whole()),
        credit_bytes: arrived.credit_bytes(),
        basis: basis.is_some(),
    };
    // Whoever does not hear this any more says nothing either, and that ends it in the same way as later on.
    let _ = exchange.answers.send(ready).await;
    loop {
        let step = arrived.next(upload.received, &mut exchange).await;
        let (ours, cancel, lost) = (request.clone(), exchange.cancel.clone(), exchange.lost.clone());
        // A fault is looked at there as well: the part goes with the upload, and to remove a large file takes its time.
        let taken = service.clone().certainly(&request.file, move |service| match step {
            Ok(step) => upload.take(step, &ours, &cancel, service),
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

/// An upload that learns what an earlier one received: hashes it as far as whole pieces go, and cuts off the rest.
struct Learning {
    /// None once it has failed.
    upload: Option<Box<Upload>>,
    /// The hash of the whole file.
    size: u64,
    cancel: CancellationToken,
}

impl Learning {
    fn go_on(_: &Service, learning: &mut Self, turn: &Turn) -> Result<Option<Box<Upload>>, Fault> {
        let Self { upload: slot, size, cancel } = learning;
        let mut upload = slot.take().ok_or(FaultCode::Internal)?;
        match upload.learn_kept(*size, cancel, turn) {
            Ok(true) => Ok(Some(upload)),
            Ok(false) => {
                *slot = Some(upload);
                Ok(None)
            }
            Err(fault) => {
                upload.wait_for_another()?;
                Err(fault)
            }
        }
    }
}

/// The client's lead over the disk, and its charge: as much as is free, but not less than the minimum of an upload. Waits for
/// that much.
async fn room_for(
    service: &Service,
    request: &BeginUpload,
    cancel: &CancellationToken,
) -> Result<(Share, Charge), Fault> {
    let copies = if request.basis.is_some() { READ_STEP_BYTES } else { 0 };
    let share = service.room.share(request.window_bytes);
    let bytes_of = |share: &Share| share.bytes() as usize + copies + input_bytes_of(share.bytes());
    let bytes = bytes_of(&share);
    if let Some(charge) = service.memory.try_take(bytes, Use::Passing) {
        return Ok((share, charge));
    }
    let least = share.least();
    tokio::select! {
        biased;
        charge = service.memory.take(bytes_of(&least), Use::Passing) => Ok((least, charge)),
        () = cancel.cancelled() => Err(FaultCode::Cancelled.into()),
    }
}

impl Upload {
    fn begin(service: &Service, request: &BeginUpload) -> Result<Self, Fault> {
        let to = Held::find_new(&service.root, &request.file)?;
        let there = to.look()?;
        Policy::from(&request.store).allows_over(there.as_ref())?;
        let goes = to.going(there.as_ref(), service.allowance.ledger());
        let basis = request.basis.and_then(|version| Basis::open(&to, version));
        let mut token = [0; 16];
        getrandom::fill(&mut token)
            .map_err(|_| Fault::new(FaultCode::Internal).because("no random numbers"))?;
        let is_kept = !service.allowance.limits().parts_kept.is_zero();
        let waits_from = request.resume.filter(|_| is_kept).map(piece_bytes).transpose()?;
        let mode = request.store.mode;
        let reach = if request.store.metadata.is_some() { Reach::Secret } else { Reach::Hidden };
        let client = service.allowance.client();
        let part = if waits_from.is_some() {
            let id = PartId::of_upload(client.0, &to.name, request.size, request.store.modified);
            Part::take_up(&to.folder, id, mode, reach)?
        } else {
            let of = (request.size, request.store.modified, mode);
            Part::begin_anew(&to, there.as_ref(), of, reach, (client, &service.leftovers))?
        };
        let left = disk::stat_open(part.file())?;
        let there = left.size;
        let needed = request.stored_bytes.map_or(request.size, |stored| stored.min(request.size));
        let needed = needed.saturating_add(Wished::of(service, request.store.metadata.as_deref()).bytes());
        let stored = holes::in_blocks(there).min(holes::stored_of(part.file())?);
        // It counts as what is being stored again.
        service.allowance.ledger().gone(left.identity);
        let hold = match service.allowance.hold_on(&*to.folder, needed, stored, goes) {
            Ok(hold) => hold,
            Err(fault) => {
                if waits_from.is_some_and(|least| there >= least) {
                    service.allowance.part_stays(left.identity, stored);
                    part.keep();
                }
                return Err(fault);
            }
        };
        let (token, hasher) = (UploadToken(token), RangeHasher::new(0));
        Ok(Self { token, to, part, basis, hold, hasher, received: 0, waits_from })
    }

    /// Returns whether all received bytes are hashed.
    fn learn_kept(&mut self, size: u64, cancel: &CancellationToken, turn: &Turn) -> Result<bool, Fault> {
        let Some(piece) = self.waits_from else { return self.part.cut_off(0).map(|()| true) };
        let there = disk::stat_open(self.part.file())?.size;
        let kept = there.min(size) / piece * piece;
        let mut buffer = Vec::new();
        while self.received < kept {
            credit::check(cancel)?;
            buffer.clear();
            let len = HASH_STEP_BYTES.min((kept - self.received) as usize);
            if disk::read_at(self.part.file(), &mut buffer, self.received, len)? < len {
                return Err(FaultCode::Changed.into());
            }
            self.hasher.update(&buffer);
            self.received += len as u64;
            if turn.is_over() {
                return Ok(false);
            }
        }
        self.part.cut_off(kept)?;
        Ok(true)
    }

    /// What was received stays where another upload of the same file finds it.
    fn wait_for_another(self) -> Result<(), Fault> {
        let there = disk::stat_open(self.part.file())?;
        if self.waits_from.is_some_and(|least| there.size >= least) {
            let stored = holes::in_blocks(there.size).min(holes::stored_of(self.part.file())?);
            self.hold.store_part(there.identity, stored.max(self.part.stored()));
            self.part.keep();
        }
        Ok(())
    }

    fn take(
        mut self: Box<Self>,
        step: Step,
        request: &BeginUpload,
        cancel: &CancellationToken,
        service: &Service,
    ) -> Result<After, Fault> {
        match step {
            Step::Write(batch) => {
                let more = batch.iter().map(Piece::data_len).fold(0, u64::saturating_add);
                let before = self.received;
                self.hold.reach(&*self.to.folder, self.part.stored().saturating_add(more))?;
                for piece in batch {
                    self.write(&piece, cancel)?;
                    if cancel.is_cancelled() {
                        // The next look at what has arrived ends it, and what was received may wait.
                        break;
                    }
                }
                if request.store.durability == Durability::Synced {
                    durable::begin_flush(self.part.file(), before, self.received);
                }
                Ok(After::More(self))
            }
            Step::Commit(commit) => self.commit(commit, request, service).map(After::End),
            Step::BeginAnew => {
                self.part.cut_off(0)?;
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

    /// What is hashed is what is written, wherever it comes from.
    fn write(&mut self, piece: &Piece, cancel: &CancellationToken) -> Result<(), Fault> {
        match piece {
            Piece::Data(data) => self.write_data(data)?,
            Piece::Gathered(data) => self.write_data(data)?,
            Piece::Span(UploadSpan { len, of: SpanOf::Zeros, .. }) => {
                self.part.write_hole(*len)?;
                self.hasher.update_zeros(*len);
                self.received += piece.len();
            }
            Piece::Span(UploadSpan { offset, len, of: SpanOf::Basis }) => {
                let Some(basis) = &mut self.basis else { return Err(FaultCode::OutOfOrder.into()) };
                self.received += basis.copy(*offset..*offset + *len, &self.part, &mut self.hasher, cancel)?;
            }
        }
        Ok(())
    }

    fn write_data(&mut self, data: &[u8]) -> Result<(), Fault> {
        self.part.write(data)?;
        self.hasher.update(data);
        self.received += data.len() as u64;
        Ok(())
    }

    fn commit(self, commit: CommitUpload, request: &BeginUpload, service: &Service) -> Result<Answer, Fault> {
        if commit.len != self.received {
            let detail = format!("{} bytes announced, {} arrived", commit.len, self.received);
            return Err(Fault::new(FaultCode::HashMismatch).because(detail));
        }
        if let Some(basis) = &self.basis {
            basis.check()?;
        }
        if commit.hash != self.hasher.finish_whole() {
            return Err(FaultCode::HashMismatch.into());
        }
        let policy = Policy::from(&request.store);
        let wished = Wished::of(service, request.store.metadata.as_deref());
        let unset = self.part.finish(request.store.mode, &policy, wished)?;
        let attributes = self.part.place(&self.to.name, &policy, self.hold)?;
        Ok(Stored { attributes, unset }.into())
    }
}

/// The size of pieces that a client asks for, if its hashes can be merged from such.
fn piece_bytes(piece: u64) -> Result<u64, Fault> {
    if piece.is_power_of_two() && (RANGE_BYTES..=READ_BYTES_MAX).contains(&piece) {
        return Ok(piece);
    }
    Err(Fault::new(FaultCode::Malformed).because(format!("pieces of {piece} bytes")))
}
