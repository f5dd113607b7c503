//! Read: bytes of a regular file, with their hash, and proof that nobody changed it meanwhile. Hashes of its blocks alone: `blocks`.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use bytes::Bytes;
use towpath_protocol::answer::{Data, FileWhole, Hole, ReadDone, ReadHead};
use towpath_protocol::entry::Version;
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::hash::{Hash, RangeHasher, is_subtree};
use towpath_protocol::limits::{DATA_BYTES_MAX, READ_BYTES_MAX, SMALL_FILE_BYTES_MAX};
use towpath_protocol::message::Answer;
use towpath_protocol::path::Location;
use towpath_protocol::request::{Read, Wants};

use super::Service;
use super::buffers::Lender;
use crate::disk;
use crate::disk::holes::{self, Run, Runs};
use crate::exchange::Exchange;

/// Bytes read from the disk at a time; sent on in frames of 64 KiB without another copy.
pub(super) const READ_STEP_BYTES: usize = 4 * DATA_BYTES_MAX;

pub(super) async fn read(service: Arc<Service>, request: Read, exchange: Exchange) -> Result<Answer, Fault> {
    if request.len > READ_BYTES_MAX {
        return Err(Fault::new(FaultCode::LimitExceeded)
            .because(format!("more than {READ_BYTES_MAX} bytes at a time")));
    }
    let place = request.file.clone();
    if request.len > SMALL_FILE_BYTES_MAX as u64 {
        return service
            .blocking(&place, move |service| {
                Source::open(service, &request.file, request.version)?.read(&request, &exchange)
            })
            .await;
    }
    let opened = service.clone().brief(&place, move |service| {
        let source = Source::open(service, &request.file, request.version)?;
        if source.is_small_and_whole(&request) {
            source.read_whole(&request, &exchange).map(Opened::Read)
        } else {
            Ok(Opened::Larger(source, request, exchange))
        }
    });
    match opened.await? {
        Opened::Read(answer) => Ok(answer),
        // Its data waits for the client.
        Opened::Larger(source, request, exchange) => {
            service.blocking(&place, move |_| source.read(&request, &exchange)).await
        }
    }
}

/// What a Read of a few bytes found.
enum Opened {
    Read(Answer),
    Larger(Source, Read, Exchange),
}

pub(super) struct Source {
    pub(super) file: OwnedFd,
    /// What the reader wants, or what was found.
    pub(super) version: Version,
    pub(super) grown: bool,
    buffers: Lender,
}

impl Source {
    pub(super) fn open(service: &Service, place: &Location, version: Option<Version>) -> Result<Self, Fault> {
        let file = service.root.open_file(place)?;
        let found = disk::stat_open(&file)?.version();
        let version = version.unwrap_or(found);
        let mut source = Self { file, version, grown: false, buffers: service.buffers.lender() };
        source.check(found)?;
        Ok(source)
    }

    /// A file that only grew still has the bytes it had; all else is another file.
    fn check(&mut self, found: Version) -> Result<(), Fault> {
        let grown = found.identity == self.version.identity && found.size > self.version.size;
        self.grown |= grown;
        if grown || found == self.version { Ok(()) } else { Err(FaultCode::Changed.into()) }
    }

    /// After reading: whether what was read is of the version that it must be.
    pub(super) fn check_again(&mut self) -> Result<(), Fault> {
        self.check(disk::stat_open(&self.file)?.version())
    }

    /// Whether the request is answered in one message.
    const fn is_small_and_whole(&self, request: &Read) -> bool {
        request.offset == 0
            && matches!(request.wants, Wants::Data)
            && request.len >= self.version.size
            && self.version.size <= SMALL_FILE_BYTES_MAX as u64
    }

    fn read(mut self, request: &Read, exchange: &Exchange) -> Result<Answer, Fault> {
        if self.is_small_and_whole(request) {
            return self.read_whole(request, exchange);
        }
        let is_whole = request.offset == 0 && request.len >= self.version.size;
        let end = request.offset.saturating_add(request.len).min(self.version.size);
        let is_hashed = is_whole || is_subtree(request.offset, request.len);
        let mut hasher = is_hashed.then(|| RangeHasher::new(request.offset));
        exchange.answers.send_blocking(ReadHead { attributes: disk::stat_open(&self.file)? })?;
        let is_sparse = (request.holes || request.wants == Wants::Hash) && holes::has_some(&self.file)?;
        for run in Runs::new(self.file.as_fd(), request.offset..end, READ_STEP_BYTES, is_sparse) {
            let Run { offset, len, is_hole } = run?;
            if exchange.cancel.is_cancelled() {
                return Err(FaultCode::Cancelled.into());
            }
            if is_hole {
                if let Some(hasher) = &mut hasher {
                    hasher.update_zeros(len);
                }
                if request.wants == Wants::Data {
                    let beyond = self.hole_from(offset + len, end)?;
                    exchange.answers.send_blocking(Hole { offset, len, beyond })?;
                }
                continue;
            }
            let data = self.read_step(offset, len as usize)?;
            if let Some(hasher) = &mut hasher {
                hasher.update(&data);
            }
            if request.wants == Wants::Data {
                send(exchange, offset, &data)?;
            }
        }
        self.check_again()?;
        let hash = hasher.filter(|_| end > request.offset || is_whole);
        let hash = hash.map(|hasher| if is_whole { hasher.finish_whole() } else { hasher.finish_part() });
        Ok(ReadDone { len: end.saturating_sub(request.offset), hash, grown: self.grown }.into())
    }

    /// How far the file goes on as a hole after one that ended at `at`, if that was the `end` of what was asked for.
    fn hole_from(&self, at: u64, end: u64) -> Result<u64, Fault> {
        let size = self.version.size;
        if at < end || at >= size { Ok(0) } else { Ok(holes::hole_and_data(&self.file, at, size)?.0) }
    }

    pub(super) fn read_step(&self, offset: u64, len: usize) -> Result<Bytes, Fault> {
        if len < READ_STEP_BYTES / 2 {
            // A block that changed: a buffer that was used before would be filled to its end for it.
            let mut buffer = vec![0; len];
            let read = disk::read_into(&self.file, &mut buffer, offset)?;
            return if read < len { Err(FaultCode::Changed.into()) } else { Ok(buffer.into()) };
        }
        self.buffers.fill(|buffer| match disk::read_at(&self.file, buffer, offset, len)? {
            read if read < len => Err(FaultCode::Changed.into()),
            _ => Ok(()),
        })
    }

    /// A small file in one message. One that says it is empty may not be (`/proc`): it is read to its end.
    fn read_whole(mut self, request: &Read, exchange: &Exchange) -> Result<Answer, Fault> {
        let size = self.version.size as usize;
        let wanted = if size == 0 { SMALL_FILE_BYTES_MAX + 1 } else { size };
        let mut data = Vec::with_capacity(wanted);
        let read = disk::read_at(&self.file, &mut data, 0, wanted)?;
        let attributes = disk::stat_open(&self.file)?;
        self.check(attributes.version())?;
        if read < size {
            return Err(FaultCode::Changed.into());
        }
        if self.grown {
            data.truncate(size);
        }
        if data.len() > SMALL_FILE_BYTES_MAX {
            return self.read_to_end(data, request.len, exchange);
        }
        Ok(FileWhole { attributes, hash: Hash::of(&data), grown: self.grown, data }.into())
    }

    /// A file that does not say how long it is, as far as `most` bytes; `data` is what has been read of it.
    fn read_to_end(mut self, data: Vec<u8>, most: u64, exchange: &Exchange) -> Result<Answer, Fault> {
        let mut hasher = RangeHasher::new(0);
        let (mut offset, mut data) = (0, Bytes::from(data));
        if most > SMALL_FILE_BYTES_MAX as u64 {
            exchange.answers.send_blocking(ReadHead { attributes: disk::stat_open(&self.file)? })?;
        }
        while !data.is_empty() {
            if exchange.cancel.is_cancelled() {
                return Err(FaultCode::Cancelled.into());
            }
            if offset + data.len() as u64 > most {
                let why = format!("it does not say how long it is, and is longer than {most} bytes");
                return Err(Fault::new(FaultCode::FileTooLarge).because(why));
            }
            hasher.update(&data);
            send(exchange, offset, &data)?;
            offset += data.len() as u64;
            let mut next = Vec::with_capacity(READ_STEP_BYTES);
            disk::read_at(&self.file, &mut next, offset, READ_STEP_BYTES)?;
            data = next.into();
        }
        self.check_again()?;
        if self.grown {
            // It has a size by now, and what of this belongs to it nobody knows.
            return Err(FaultCode::Changed.into());
        }
        Ok(ReadDone { len: offset, hash: Some(hasher.finish_whole()), grown: false }.into())
    }
}

/// Sends what was read at `offset`, in as many frames as that needs.
fn send(exchange: &Exchange, offset: u64, data: &Bytes) -> Result<(), Fault> {
    for start in (0..data.len()).step_by(DATA_BYTES_MAX) {
        let part = data.slice(start..data.len().min(start + DATA_BYTES_MAX));
        exchange.answers.send_blocking(Data { offset: offset + start as u64, data: part })?;
    }
    Ok(())
}
