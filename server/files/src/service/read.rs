//! Read: bytes of a regular file, with their hash, and proof that nobody changed it meanwhile.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use bytes::Bytes;
use towpath_protocol::answer::{Data, FileWhole, ReadDone, ReadHead};
use towpath_protocol::entry::Version;
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::hash::{Hash, RangeHasher, is_subtree};
use towpath_protocol::limits::{DATA_BYTES_MAX, READ_BYTES_MAX, SMALL_FILE_BYTES_MAX};
use towpath_protocol::message::Answer;
use towpath_protocol::request::{Read, Wants};

use super::Service;
use super::buffers::Lender;
use crate::disk;
use crate::exchange::Exchange;

/// Bytes read from the disk at a time; sent on in frames of 64 KiB without another copy.
const READ_STEP_BYTES: usize = 4 * DATA_BYTES_MAX;

pub(super) async fn read(service: Arc<Service>, request: Read, exchange: Exchange) -> Result<Answer, Fault> {
    if request.len > READ_BYTES_MAX {
        return Err(Fault::new(FaultCode::LimitExceeded)
            .because(format!("more than {READ_BYTES_MAX} bytes at a time")));
    }
    let place = request.file.clone();
    if request.len > SMALL_FILE_BYTES_MAX as u64 {
        return service
            .blocking(&place, move |service| Source::open(service, &request)?.read(&request, &exchange))
            .await;
    }
    let opened = service.clone().brief(&place, move |service| {
        let source = Source::open(service, &request)?;
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

struct Source {
    file: OwnedFd,
    /// What the reader wants, or what was found.
    version: Version,
    grown: bool,
    buffers: Lender,
}

impl Source {
    fn open(service: &Service, request: &Read) -> Result<Self, Fault> {
        let file = service.root.open_file(&request.file)?;
        let found = disk::stat_open(&file)?.version();
        let version = request.version.unwrap_or(found);
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
        let mut offset = request.offset;
        while offset < end {
            if exchange.cancel.is_cancelled() {
                return Err(FaultCode::Cancelled.into());
            }
            let len = READ_STEP_BYTES.min((end - offset) as usize);
            let data = self.read_step(offset, len)?;
            if let Some(hasher) = &mut hasher {
                hasher.update(&data);
            }
            if request.wants == Wants::Data {
                send(exchange, offset, &data)?;
            }
            offset += len as u64;
        }
        self.check(disk::stat_open(&self.file)?.version())?;
        let hash = hasher.filter(|_| end > request.offset || is_whole);
        let hash = hash.map(|hasher| if is_whole { hasher.finish_whole() } else { hasher.finish_part() });
        Ok(ReadDone { len: end.saturating_sub(request.offset), hash, grown: self.grown }.into())
    }

    fn read_step(&self, offset: u64, len: usize) -> Result<Bytes, Fault> {
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
        self.check(disk::stat_open(&self.file)?.version())?;
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
