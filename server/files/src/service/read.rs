//! Read: bytes of a regular file, with their hash, and proof that it did not change meanwhile. Hashes of its blocks alone: `blocks`. While
//! what was read waits for its client, no thread does.

use std::os::fd::OwnedFd;
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
use super::blocking_pool::Class;
use super::buffers::Lender;
use super::outlet::{Outlet, Pause};
use super::turns::Turn;
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
    let _open = service.open_files.read().await?;
    let is_small = request.len <= SMALL_FILE_BYTES_MAX as u64;
    let outlet = Outlet::new(&exchange);
    let answers = exchange.answers.clone();
    if is_small {
        let size = request.version.map_or(request.len, |version| request.len.min(version.size));
        answers.pay_ahead(2 * size as usize).await?;
    }
    let open = move |service: &Service| Opened::open(service, &request, outlet);
    let opened = if is_small {
        service.clone().in_class(Class::Brief, &place, open).await?
    } else {
        service.clone().blocking(&place, open).await?
    };
    if let Opened::Whole(answer) = opened {
        return Ok(answer);
    }
    // The bytes of one read, until they are sent.
    let _step = if is_small { None } else { answers.hold(READ_STEP_BYTES).await? };
    match opened {
        Opened::Whole(answer) => Ok(answer),
        Opened::Range(reading) => to_the_end(&service, &place, reading).await,
        Opened::Endless(reading) => to_the_end(&service, &place, reading).await,
    }
}

/// Reads on whenever there is room for what is read.
async fn to_the_end<R: Piecewise>(
    service: &Arc<Service>,
    place: &Location,
    mut reading: Box<R>,
) -> Result<Answer, Fault> {
    loop {
        let go_on = |_: &Service, reading: &mut Box<R>, turn: &Turn| reading.go_on(turn);
        let (back, pause) = service.in_turns(Class::Prompt, place, reading, go_on).await?;
        reading = back;
        match pause {
            Pause::Full => reading.outlet().settle().await?,
            Pause::Done(answer) => return Ok(answer),
        }
    }
}

/// Reads a file in pieces.
trait Piecewise: Send + 'static {
    /// Reads and sends for one turn, or until it has to wait.
    fn go_on(&mut self, turn: &Turn) -> Result<Option<Pause>, Fault>;

    fn outlet(&mut self) -> &mut Outlet;
}

/// A file that is to be read.
enum Opened {
    /// It was read already, in one message.
    Whole(Answer),
    Range(Box<Reading>),
    Endless(Box<Endless>),
}

impl Opened {
    fn open(service: &Service, request: &Read, outlet: Outlet) -> Result<Self, Fault> {
        let source = Source::open(service, &request.file, request.version)?;
        if source.is_small_and_whole(request) {
            return source.read_whole(request.len, outlet);
        }
        Reading::begin(source, request, outlet).map(|reading| Self::Range(Box::new(reading)))
    }
}

/// A range of a file that is being read.
struct Reading {
    source: Source,
    outlet: Outlet,
    runs: Runs,
    hasher: Option<RangeHasher>,
    wants: Wants,
    start: u64,
    end: u64,
    is_whole: bool,
    /// All of the file is asked for, whatever size it says.
    to_the_end: bool,
    /// The file has been found to end here.
    has_ended: bool,
}

impl Reading {
    fn begin(source: Source, request: &Read, mut outlet: Outlet) -> Result<Self, Fault> {
        let start = request.offset;
        let is_whole = start == 0 && request.len >= source.version.size;
        let end = start.saturating_add(request.len).min(source.version.size);
        let is_hashed = is_whole || is_subtree(start, request.len);
        let hasher = is_hashed.then(|| RangeHasher::new(start));
        let is_sparse = (request.holes || request.wants == Wants::Hash) && holes::has_some(&source.file)?;
        let stored_bytes =
            (is_sparse && request.holes).then(|| holes::stored_of(&source.file)).transpose()?;
        outlet.put(ReadHead { attributes: disk::stat_open(&source.file)?, stored_bytes });
        let runs = Runs::new(start..end, READ_STEP_BYTES, is_sparse);
        let wants = request.wants;
        let to_the_end = start == 0 && request.len == READ_BYTES_MAX && wants == Wants::Data;
        let has_ended = false;
        Ok(Self { source, outlet, runs, hasher, wants, start, end, is_whole, to_the_end, has_ended })
    }

    fn step(&mut self, Run { offset, len, is_hole }: Run) -> Result<(), Fault> {
        let Self { source, outlet, hasher, wants, end, .. } = self;
        if is_hole {
            if let Some(hasher) = hasher {
                hasher.update_zeros(len);
            }
            if *wants == Wants::Data {
                let beyond = source.hole_from(offset + len, *end)?;
                outlet.put(Hole { offset, len, beyond });
            }
            return Ok(());
        }
        let data = match source.read_step(offset, len as usize) {
            Err(fault) if fault.code == FaultCode::Changed && self.start == 0 && source.is_as_it_was()? => {
                let mut rest = Vec::with_capacity(len as usize);
                disk::read_at(&source.file, &mut rest, offset, len as usize)?;
                *end = offset + rest.len() as u64;
                (self.is_whole, self.has_ended) = (true, true);
                self.runs = Runs::new(*end..*end, READ_STEP_BYTES, false);
                rest.into()
            }
            data => data?,
        };
        if let Some(hasher) = hasher {
            hasher.update(&data);
        }
        if *wants == Wants::Data {
            put(outlet, offset, &data);
        }
        Ok(())
    }

    /// Returns whether there is more behind the size that the file says.
    fn goes_on(&mut self) -> Result<bool, Fault> {
        let size = self.source.version.size;
        if self.has_ended || self.end < size || self.wants != Wants::Data {
            return Ok(false);
        }
        if self.end == size && !disk::holds_more(&self.source.file, size)? {
            self.has_ended = true;
            return Ok(false);
        }
        if !self.to_the_end {
            return Err(Fault::new(FaultCode::Changed).because("it holds more bytes than its size says"));
        }
        Ok(true)
    }

    /// Reads on behind the size that the file says.
    fn read_on(&mut self) -> Result<(), Fault> {
        let mut data = Vec::with_capacity(READ_STEP_BYTES);
        let read = disk::read_at(&self.source.file, &mut data, self.end, READ_STEP_BYTES)?;
        self.has_ended = read == 0;
        if self.end + read as u64 > READ_BYTES_MAX {
            return Err(too_long(READ_BYTES_MAX));
        }
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&data);
        }
        put(&mut self.outlet, self.end, &data.into());
        self.end += read as u64;
        Ok(())
    }

    fn finish(&mut self) -> Result<Answer, Fault> {
        self.source.check_again()?;
        let Self { start, end, is_whole, .. } = *self;
        let hash = self.hasher.take().filter(|_| end > start || is_whole);
        let hash = hash.map(|hasher| if is_whole { hasher.finish_whole() } else { hasher.finish_part() });
        Ok(ReadDone { len: end.saturating_sub(start), hash, grown: self.source.grown }.into())
    }
}

impl Piecewise for Reading {
    fn go_on(&mut self, turn: &Turn) -> Result<Option<Pause>, Fault> {
        loop {
            self.outlet.check()?;
            if !self.outlet.flush()? {
                return Ok(Some(Pause::Full));
            }
            match self.runs.next(&self.source.file)? {
                Some(run) => self.step(run)?,
                None if self.goes_on()? => self.read_on()?,
                None => return self.finish().map(|answer| Some(Pause::Done(answer))),
            }
            if turn.is_over() {
                return Ok(None);
            }
        }
    }

    fn outlet(&mut self) -> &mut Outlet {
        &mut self.outlet
    }
}

/// A file that does not say how long it is, read as far as `most` bytes.
struct Endless {
    source: Source,
    outlet: Outlet,
    hasher: RangeHasher,
    offset: u64,
    most: u64,
    /// Bytes that were read and not sent.
    data: Bytes,
}

impl Endless {
    /// `data` is what has been read of it.
    fn begin(source: Source, data: Bytes, most: u64, mut outlet: Outlet) -> Result<Self, Fault> {
        if most > SMALL_FILE_BYTES_MAX as u64 {
            outlet.put(ReadHead { attributes: disk::stat_open(&source.file)?, stored_bytes: None });
        }
        Ok(Self { source, outlet, hasher: RangeHasher::new(0), offset: 0, most, data })
    }

    fn finish(&mut self) -> Result<Answer, Fault> {
        self.source.check_again()?;
        if self.source.grown {
            // It has a size by now, and which of these bytes belong to it is unknown.
            return Err(FaultCode::Changed.into());
        }
        Ok(ReadDone { len: self.offset, hash: Some(self.hasher.finish_whole()), grown: false }.into())
    }
}

impl Piecewise for Endless {
    fn go_on(&mut self, turn: &Turn) -> Result<Option<Pause>, Fault> {
        let Self { source, outlet, hasher, offset, most, data } = self;
        loop {
            outlet.check()?;
            if !outlet.flush()? {
                return Ok(Some(Pause::Full));
            }
            if data.is_empty() {
                return self.finish().map(|answer| Some(Pause::Done(answer)));
            }
            if *offset + data.len() as u64 > *most {
                return Err(too_long(*most));
            }
            hasher.update(data);
            put(outlet, *offset, data);
            *offset += data.len() as u64;
            let mut next = Vec::with_capacity(READ_STEP_BYTES);
            disk::read_at(&source.file, &mut next, *offset, READ_STEP_BYTES)?;
            *data = next.into();
            if turn.is_over() {
                return Ok(None);
            }
        }
    }

    fn outlet(&mut self) -> &mut Outlet {
        &mut self.outlet
    }
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
        let version = version.filter(|named| !found.is_named_by(named)).unwrap_or(found);
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

    /// Returns whether the file is still what the reader wants, by all that the system says of it.
    fn is_as_it_was(&self) -> Result<bool, Fault> {
        Ok(!self.grown && disk::stat_open(&self.file)?.version() == self.version)
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

    /// A small file in one message. One that the system makes up may hold more than it says (`/proc`): it is read to its end.
    fn read_whole(mut self, most: u64, outlet: Outlet) -> Result<Opened, Fault> {
        let size = self.version.size as usize;
        let mut data = Vec::with_capacity(size + 1);
        let mut read = disk::read_at(&self.file, &mut data, 0, size + 1)?;
        if read > size {
            read += disk::read_at(&self.file, &mut data, read as u64, SMALL_FILE_BYTES_MAX + 1 - read)?;
        }
        let attributes = disk::stat_open(&self.file)?;
        self.check(attributes.version())?;
        // One that is what it was and yet holds less than it says is no ordinary file (`/sys`): these are its bytes.
        if read < size && self.grown {
            return Err(FaultCode::Changed.into());
        }
        if self.grown {
            data.truncate(size);
        }
        if data.len() > SMALL_FILE_BYTES_MAX {
            return Endless::begin(self, data.into(), most, outlet)
                .map(|reading| Opened::Endless(Box::new(reading)));
        }
        Ok(Opened::Whole(FileWhole { attributes, hash: Hash::of(&data), grown: self.grown, data }.into()))
    }
}

fn too_long(most: u64) -> Fault {
    let why = format!("it does not say how long it is, and is longer than {most} bytes");
    Fault::new(FaultCode::FileTooLarge).because(why)
}

/// Sends the bytes read at `offset`, in as many frames as needed.
fn put(outlet: &mut Outlet, offset: u64, data: &Bytes) {
    for start in (0..data.len()).step_by(DATA_BYTES_MAX) {
        let part = data.slice(start..data.len().min(start + DATA_BYTES_MAX));
        outlet.put(Data { offset: offset + start as u64, data: part });
    }
}
