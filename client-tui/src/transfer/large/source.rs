//! What comes next of a file of the source, in order, with several requests ahead: data, holes, and what the destination has already.

mod part;

use std::collections::VecDeque;
use std::convert::Infallible;

use tokio::task::spawn_blocking;
use towpath_protocol::answer::{Data, Hole, ReadDone};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::hash::{Hash, RangeHasher, RangeMerger};
use towpath_protocol::hello::Capability;
use towpath_protocol::input::{SpanOf, UploadSpan};
use towpath_protocol::limits::{READ_BYTES_MAX, SPAN_BYTES_MAX};
use towpath_protocol::message::Answer;
use towpath_protocol::request::{Read, Wants};

use self::part::{Asked, Came, Part};
use super::compare::{Compared, Comparison, Run};
use super::{READ_RANGE_BYTES, Side, window_bytes};

/// Parts of a file that wait to be passed on, of which no more are looked for then.
const PARTS_AHEAD: usize = 64;

/// A piece of a file, to be passed on.
#[derive(Debug)]
pub(super) enum Piece {
    Data(Data),
    /// The destination can do without its data.
    Span(UploadSpan),
}

impl Piece {
    pub(super) const fn offset(&self) -> u64 {
        match self {
            Self::Data(data) => data.offset,
            Self::Span(span) => span.offset,
        }
    }

    pub(super) const fn len(&self) -> u64 {
        match self {
            Self::Data(data) => data.data.len() as u64,
            Self::Span(span) => span.len,
        }
    }
}

/// A file of the source, read in order.
#[derive(Debug)]
pub(super) struct Source<'a> {
    side: Side<'a>,
    /// Its size as the system states it; 0 if the file holds other than that.
    size: u64,
    holes: bool,
    /// What was asked for, or need not be.
    asked: u64,
    /// Of what is before this only the hash is asked for.
    hashed_to: u64,
    /// Nothing from here on is asked for yet.
    stop_at: u64,
    /// What is before this and not asked for is a hole.
    hole_to: u64,
    parts: VecDeque<Part>,
    /// Bytes asked for of all parts, and how many that may be.
    ahead_bytes: u64,
    window_bytes: u64,
    comparison: Option<Comparison<'a>>,
    merger: RangeMerger,
    /// The values of the ranges from the start on, while they may have to prove that the destination has them: of how many, it will say.
    proving: Option<Vec<Hash>>,
    /// The hash of a file that is one range.
    whole: Option<Hash>,
    grown: bool,
}

impl<'a> Source<'a> {
    pub(super) fn new(side: Side<'a>) -> Self {
        Self {
            side,
            size: side.version.size,
            holes: false,
            asked: 0,
            hashed_to: 0,
            stop_at: u64::MAX,
            hole_to: 0,
            parts: VecDeque::new(),
            ahead_bytes: 0,
            window_bytes: window_bytes(side.link),
            comparison: None,
            merger: RangeMerger::new(),
            proving: None,
            whole: None,
            grown: false,
        }
    }

    /// It is read to its end, whatever size it says.
    pub(super) const fn read_to_the_end(&mut self) {
        self.size = 0;
    }

    /// Both sides can say what is a hole.
    pub(super) const fn leave_holes_out(&mut self) {
        self.holes = true;
    }

    /// Nobody wants its data; that of what does not say how long it is has to come nonetheless.
    pub(super) const fn hash_only(&mut self) {
        self.hashed_to = if self.size == 0 { 0 } else { u64::MAX };
    }

    /// Whether it knows how to hash without sending.
    pub(super) fn can_leave_data_out(&self) -> bool {
        self.side.link.welcome().has(Capability::BLOCKS)
    }

    pub(super) const fn size(&self) -> u64 {
        self.size
    }

    pub(super) const fn has_grown(&self) -> bool {
        self.grown
    }

    /// From here on only blocks come that are not the same at the other side.
    pub(super) fn compare_with(&mut self, basis: Side<'a>) {
        self.comparison = Some(Comparison::new(self.side, basis, self.asked));
    }

    /// Hashes the file from its start, ahead of being told how much of it the destination has: that takes it as long. Ends with being
    /// given up; [`begin_after`](Self::begin_after) or [`begin_anew`](Self::begin_anew) comes next.
    pub(super) async fn hash_ahead(&mut self) -> Infallible {
        self.proving.get_or_insert_default();
        self.hashed_to = u64::MAX;
        let failed = loop {
            match self.next().await {
                Ok(Some(_)) => {}
                Ok(None) => break false,
                Err(_) => break true,
            }
        };
        if failed {
            // It will fail again where it is asked for, and be told.
            self.begin_anew();
        }
        std::future::pending().await
    }

    /// Forgets what has come: all of it comes, from the start.
    pub(super) fn begin_anew(&mut self) {
        *self = Self { holes: self.holes, size: self.size, ..Self::new(self.side) };
    }

    /// Whether the first `offset` bytes, whole ranges, have this hash; what follows comes next. Else all of it comes, from the start.
    pub(super) async fn begin_after(&mut self, offset: u64, hash: Hash) -> Result<bool, Fault> {
        self.proving.get_or_insert_default();
        self.drop_behind(offset);
        (self.hashed_to, self.stop_at) = (offset, offset);
        // Data comes from one that has not learnt yet to leave it out.
        while self.next().await?.is_some() {}
        let values = self.proving.take().unwrap_or_default();
        for value in values.into_iter().take((offset / READ_RANGE_BYTES) as usize) {
            self.merger.push(value);
        }
        // Of one range the value within a larger file is not the hash of these bytes alone.
        let is_same = self.merger.clone().finish() == Some(hash);
        if !is_same {
            self.begin_anew();
        }
        self.stop_at = u64::MAX;
        Ok(is_same)
    }

    /// Drops what was asked for behind the first `offset` bytes.
    fn drop_behind(&mut self, offset: u64) {
        while self.parts.back().is_some_and(|part| part.end() > offset)
            && let Some(part) = self.parts.pop_back()
        {
            if let Part::Asked(asked) = &part {
                self.ahead_bytes -= asked.len;
            }
            self.asked = part.end() - part.len();
        }
        self.asked = self.asked.min(offset);
        // Known only of what comes behind a range that has come: of those to be asked for again it is not.
        self.hole_to = 0;
    }

    fn merge(&mut self, value: Hash) {
        match &mut self.proving {
            Some(values) => values.push(value),
            None => self.merger.push(value),
        }
    }

    /// Asks for what comes next, as far as there is room for it.
    pub(super) fn ask_ahead(&mut self) {
        if let Some(comparison) = &mut self.comparison {
            comparison.ask_ahead();
            if !comparison.has_ended() {
                return;
            }
            self.asked = comparison.asked();
            self.comparison = None;
        }
        let size = self.size();
        while self.parts.len() < (self.window_bytes / READ_RANGE_BYTES) as usize
            && self.asked < self.stop_at
            && (self.asked < size || self.asked == 0)
        {
            let zeros = self.zeros_ahead();
            if zeros > 0 {
                let offset = self.asked;
                let values = spawn_blocking(move || values_of_zeros(offset, zeros));
                self.parts.push_back(Part::Zeros { offset, len: zeros, values });
                self.asked += zeros;
                continue;
            }
            // What does not say how long it is is read in one go.
            let len = if size == 0 { READ_BYTES_MAX } else { READ_RANGE_BYTES };
            self.ask(self.asked, len, true);
            self.asked = self.asked.saturating_add(len);
        }
    }

    /// How many bytes, whole ranges, are known to be zeros without asking.
    fn zeros_ahead(&self) -> u64 {
        let known = self.hole_to.min(self.stop_at).saturating_sub(self.asked);
        let zeros = known.min(SPAN_BYTES_MAX);
        if self.asked + zeros == self.size() { zeros } else { zeros - zeros % READ_RANGE_BYTES }
    }

    fn ask(&mut self, offset: u64, len: u64, is_range: bool) {
        let Side { link, file, version } = self.side;
        let wants = if offset < self.hashed_to { Wants::Hash } else { Wants::Data };
        // A hole that is hashed need not be told.
        let holes = self.holes && wants == Wants::Data;
        let request = Read { file: file.clone(), version: Some(version), offset, len, wants, holes };
        let end = if self.size == 0 { len } else { offset.saturating_add(len).min(self.size) };
        let len = end - offset;
        self.ahead_bytes += len;
        self.parts.push_back(Part::Asked(Asked { exchange: link.open(request), len, end, is_range }));
    }

    /// The next piece in order; none at the end of the file. Nothing is lost where waiting for it is given up.
    pub(super) async fn next(&mut self) -> Result<Option<Piece>, Fault> {
        loop {
            self.ask_ahead();
            let has_room = self.ahead_bytes < self.window_bytes && self.parts.len() < PARTS_AHEAD;
            let came = match (self.comparison.as_mut().filter(|_| has_room), self.parts.front_mut()) {
                (Some(comparison), Some(first)) => tokio::select! {
                    biased;
                    compared = comparison.next() => Came::Compared(compared?),
                    came = first.next() => came?,
                },
                (Some(comparison), None) => Came::Compared(comparison.next().await?),
                (None, Some(first)) => first.next().await?,
                (None, None) => return Ok(None),
            };
            if let Some(piece) = self.take(came)? {
                return Ok(Some(piece));
            }
        }
    }

    fn take(&mut self, came: Came) -> Result<Option<Piece>, Fault> {
        match came {
            Came::Answer(answer) => self.answered(answer),
            Came::Ready(values) => Ok(self.is_ready(values)),
            Came::Compared(compared) => {
                if let Some(compared) = compared {
                    self.compared(compared);
                }
                Ok(None)
            }
        }
    }

    fn answered(&mut self, answer: Answer) -> Result<Option<Piece>, Fault> {
        match answer {
            Answer::ReadHead(_) => Ok(None),
            Answer::Data(data) => Ok(Some(Piece::Data(data))),
            Answer::Hole(hole) if self.holes => self.hole(hole).map(Some),
            Answer::ReadDone(done) => self.done(done).map(|()| None),
            Answer::FileWhole(file) => {
                (self.whole, self.grown) = (Some(file.hash), file.grown);
                self.parts.clear();
                self.ahead_bytes = 0;
                Ok(None)
            }
            _ => Err(FaultCode::Malformed.into()),
        }
    }

    fn hole(&mut self, Hole { offset, len, beyond }: Hole) -> Result<Piece, Fault> {
        let Some(Part::Asked(asked)) = self.parts.front() else { return Err(FaultCode::Malformed.into()) };
        let end = offset.checked_add(len).filter(|end| len > 0 && *end <= asked.end);
        let end = end.ok_or_else(|| Fault::new(FaultCode::Malformed).because("a hole beyond its range"))?;
        if end == asked.end && asked.is_range {
            self.hole_to = end.saturating_add(beyond).min(self.size());
        }
        Ok(Piece::Span(UploadSpan { offset, len, of: SpanOf::Zeros }))
    }

    fn done(&mut self, ReadDone { len, hash, grown }: ReadDone) -> Result<(), Fault> {
        if self.size == 0 && self.side.version.size > READ_BYTES_MAX && len >= READ_BYTES_MAX {
            // That was no more than its beginning.
            return Err(FaultCode::FileTooLarge.into());
        }
        self.grown |= grown;
        let Some(Part::Asked(asked)) = self.parts.pop_front() else {
            return Err(FaultCode::Malformed.into());
        };
        self.ahead_bytes -= asked.len;
        if !asked.is_range {
            return Ok(());
        }
        let hash =
            hash.ok_or_else(|| Fault::new(FaultCode::Malformed).because("a range came without its hash"))?;
        if self.size() <= READ_RANGE_BYTES {
            self.whole = Some(hash);
        } else {
            self.merge(hash);
        }
        Ok(())
    }

    fn is_ready(&mut self, values: Vec<Hash>) -> Option<Piece> {
        let (offset, len, of) = match self.parts.pop_front()? {
            Part::Same(Run { offset, len, .. }) => (offset, len, SpanOf::Basis),
            Part::Zeros { offset, len, .. } => (offset, len, SpanOf::Zeros),
            Part::Asked(_) => return None,
        };
        for value in values {
            self.merge(value);
        }
        Some(Piece::Span(UploadSpan { offset, len, of }))
    }

    fn compared(&mut self, Compared { value, grown, runs }: Compared) {
        self.grown |= grown;
        self.merger.push(value);
        for run in runs {
            if run.is_same {
                self.parts.push_back(Part::Same(run));
            } else {
                self.ask(run.offset, run.len, false);
            }
        }
    }

    /// The file's hash, once all of it has come.
    pub(super) fn hash(&mut self) -> Result<Hash, Fault> {
        let merger = std::mem::take(&mut self.merger);
        self.whole.or_else(|| merger.finish()).ok_or_else(|| FaultCode::Malformed.into())
    }
}

/// The values of a file's ranges from `offset` on that are zeros.
fn values_of_zeros(offset: u64, len: u64) -> Vec<Hash> {
    let end = offset + len;
    let ranges = (offset..end).step_by(READ_RANGE_BYTES as usize);
    ranges
        .map(|at| {
            let mut hasher = RangeHasher::new(at);
            hasher.update_zeros(READ_RANGE_BYTES.min(end - at));
            hasher.finish_part()
        })
        .collect()
}

/// Bytes that the disk stores of a file; `None` if that is all of it, or not known.
pub(super) async fn stored_bytes(side: Side<'_>) -> Result<Option<u64>, Fault> {
    let Side { link, file, version } = side;
    let (wants, version) = (Wants::Data, Some(version));
    let mut reading = link.open(Read { file: file.clone(), version, offset: 0, len: 1, wants, holes: true });
    let answer = reading.next().await?;
    reading.cancel();
    match answer {
        Answer::ReadHead(head) => Ok(head.stored_bytes.filter(|stored| *stored < side.version.size)),
        _ => Ok(None),
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "a fixture")]
mod tests {
    use std::fs;
    use std::os::unix::fs::FileExt;
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::time::timeout;
    use towpath_files::root::RootSpec;
    use towpath_files::service::{Service, ServiceConfig};
    use towpath_protocol::hello::Access;
    use towpath_protocol::path::{Location, WirePath};
    use towpath_protocol::request::Follow;

    use super::*;
    use crate::link::Link;

    const RANGES: u64 = 7;

    /// With a hole that begins and ends within ranges, and an end within one.
    fn content() -> Vec<u8> {
        let mut bytes = vec![0; (RANGES * READ_RANGE_BYTES - 321) as usize];
        let hole = (2 * READ_RANGE_BYTES + (1 << 20)) as usize..(5 * READ_RANGE_BYTES + 4096) as usize;
        blake3::Hasher::new().finalize_xof().fill(&mut bytes[..hole.start]);
        blake3::Hasher::new().update(b"end").finalize_xof().fill(&mut bytes[hole.end..]);
        bytes
    }

    fn hash(bytes: &[u8]) -> Hash {
        Hash(*blake3::hash(bytes).as_bytes())
    }

    /// What comes, from `from` on.
    async fn rest(source: &mut Source<'_>, from: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while let Some(piece) = source.next().await.unwrap() {
            assert_eq!(piece.offset(), (from + bytes.len()) as u64);
            match piece {
                Piece::Data(data) => bytes.extend_from_slice(&data.data),
                Piece::Span(span) => bytes.resize(bytes.len() + span.len as usize, 0),
            }
        }
        bytes
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn however_far_it_was_hashed_ahead_what_is_proven_is_what_the_destination_has() {
        let folder = tempfile::tempdir().unwrap();
        let content = content();
        let file = fs::File::create(folder.path().join("file")).unwrap();
        file.set_len(content.len() as u64).unwrap();
        for (at, block) in (0..).step_by(4096).zip(content.chunks(4096)) {
            if block.iter().any(|byte| *byte != 0) {
                file.write_all_at(block, at).unwrap();
            }
        }
        let config = ServiceConfig {
            root: RootSpec::Jailed(folder.path().to_owned()),
            access: Access::ReadOnly,
            home: WirePath::root(),
        };
        let link = Link::in_process(Arc::new(Service::new(config).unwrap()));
        let path = WirePath::parse(b"file").unwrap();
        let version = link.stat(&path, Follow::No).await.unwrap().version();
        let location = Location::of(&path);
        // From nothing at all to all of the file.
        for ahead in [0, 1, 3, RANGES as usize] {
            for (ranges, is_same, holes) in
                [(2, true, true), (3, true, true), (6, true, true), (6, false, true), (4, true, false)]
            {
                let mut source = Source::new(Side { link: &link, file: &location, version });
                if holes {
                    source.leave_holes_out();
                }
                while source.proving.as_ref().map_or(0, Vec::len) < ahead {
                    let _given_up = timeout(Duration::from_millis(1), source.hash_ahead()).await;
                }
                let offset = ranges * READ_RANGE_BYTES as usize;
                let kept = if is_same { hash(&content[..offset]) } else { hash(b"something else") };
                let what = format!("{ahead} ranges ahead of {ranges}, the same: {is_same}, holes: {holes}");
                assert_eq!(source.begin_after(offset as u64, kept).await, Ok(is_same), "{what}");
                let from = if is_same { offset } else { 0 };
                assert!(rest(&mut source, from).await == content[from..], "{what}");
                assert_eq!(source.hash(), Ok(hash(&content)), "{what}");
            }
        }
    }
}
