//! Downloads, put together from the reads of their ranges.

use std::collections::HashMap;

use tokio::time::Instant;
use towpath_protocol::fault::Fault;
use towpath_protocol::hash::Hash;
use towpath_protocol::message::{Answer, Request};
use towpath_protocol::path::{Location, WirePath};

use super::{Act, Deed, Details, Outcome, Work};
use crate::memory::{Charge, Memory, Use};

/// Files of one session that were read in part and may be read on.
const PARTLY_READ_MAX: usize = 256;

/// One file that is being downloaded, range by range.
#[derive(Debug)]
struct Download {
    began: Instant,
    /// Its charge while no Read is open.
    charged: usize,
    reads_open: u32,
    bytes: u64,
    end_reached: bool,
    hash: Option<Hash>,
    fault: Option<Fault>,
}

impl Download {
    fn work(self, key: &Key) -> Work {
        let outcome = match self.fault {
            Some(fault) => Outcome::Failed(fault),
            None if self.end_reached => Outcome::Complete,
            None => Outcome::Partial,
        };
        Work {
            act: Act::Download,
            path: key.location().display(),
            to: None,
            details: Details { hash: self.hash, ..Details::default() },
            files: u64::from(outcome == Outcome::Complete),
            folders: 0,
            bytes: self.bytes,
            seconds: self.began.elapsed().as_secs_f64(),
            outcome,
        }
    }
}

/// A location in little memory: the names of base and path with separators that no name holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key(Box<[u8]>);

impl Key {
    fn of(location: &Location) -> Self {
        Self([location.base.to_bytes(), location.path.to_bytes()].join(&0).into())
    }

    fn location(&self) -> Location {
        let mut paths = self.0.split(|byte| *byte == 0).map(|path| WirePath::parse(path).unwrap_or_default());
        Location { base: paths.next().unwrap_or_default(), path: paths.next().unwrap_or_default() }
    }

    /// Memory of a partly read file.
    const fn bytes(&self) -> usize {
        self.0.len() + 2 * size_of::<Download>()
    }
}

/// Makes records of requests.
#[derive(Debug)]
pub(in crate::session) struct Records {
    downloads: HashMap<Key, Download>,
    /// Charge of the files without an open Read.
    charge: Charge,
}

impl Records {
    pub(in crate::session) fn new(memory: &Memory) -> Self {
        Self { downloads: HashMap::new(), charge: memory.nothing() }
    }

    pub(in crate::session) fn begin(&mut self, request: &Request) -> Deed {
        let deed = Deed::of(request);
        if deed.act == Act::Download {
            let download = self.downloads.entry(Key::of(&deed.location));
            download
                .or_insert_with(|| Download {
                    began: deed.began,
                    charged: 0,
                    reads_open: 0,
                    bytes: 0,
                    end_reached: false,
                    hash: None,
                    fault: None,
                })
                .reads_open += 1;
        }
        deed
    }

    /// The records that the final answer of `deed` completes.
    pub(in crate::session) fn end(&mut self, deed: &Deed, answer: &Answer) -> Vec<Work> {
        if deed.act != Act::Download {
            return if deed.is_nothing(answer) { Vec::new() } else { vec![deed.finished(answer)] };
        }
        let key = Key::of(&deed.location);
        let Some(download) = self.downloads.get_mut(&key) else { return Vec::new() };
        download.reads_open -= 1;
        download.bytes = download.bytes.saturating_add(deed.bytes);
        match answer {
            Answer::FileWhole(whole) => {
                download.bytes = download.bytes.saturating_add(whole.data.len() as u64);
                download.end_reached = true;
                download.hash = Some(whole.hash);
            }
            Answer::ReadDone(done) => {
                download.end_reached |=
                    deed.size.is_none_or(|size| deed.offset.saturating_add(done.len) >= size);
            }
            Answer::Fault(fault) => drop(download.fault.get_or_insert_with(|| fault.clone())),
            _ => {}
        }
        if download.reads_open > 0 {
            return Vec::new();
        }
        let is_over = download.end_reached || download.fault.is_some();
        if is_over || !self.rests(&key) {
            return self.take_out(&key).into_iter().collect();
        }
        self.evict()
    }

    /// Returns whether there is memory for a partly read file.
    fn rests(&mut self, key: &Key) -> bool {
        let Self { downloads, charge } = self;
        let Some(download) = downloads.get_mut(key) else { return false };
        if download.charged == 0 && charge.try_grow(key.bytes(), Use::Parked) {
            download.charged = key.bytes();
        }
        download.charged > 0
    }

    fn take_out(&mut self, key: &Key) -> Option<Work> {
        let download = self.downloads.remove(key)?;
        self.charge.set(self.charge.bytes().saturating_sub(download.charged));
        Some(download.work(key))
    }

    /// Keeps the number of files that are read in part within bounds: the oldest one goes.
    fn evict(&mut self) -> Vec<Work> {
        if self.downloads.len() <= PARTLY_READ_MAX {
            return Vec::new();
        }
        let resting = self.downloads.iter().filter(|(_, download)| download.reads_open == 0);
        let oldest = resting.min_by_key(|(_, download)| download.began).map(|(key, _)| key.clone());
        oldest.and_then(|oldest| self.take_out(&oldest)).into_iter().collect()
    }

    /// The files that were read in part and not to their end.
    pub(in crate::session) fn rest(&mut self) -> Vec<Work> {
        self.charge.set(0);
        self.downloads.drain().map(|(key, download)| download.work(&key)).collect()
    }
}

#[cfg(test)]
mod tests {
    use towpath_protocol::answer::ReadDone;
    use towpath_protocol::path::Name;
    use towpath_protocol::request::{Read, Wants};

    use super::*;
    use crate::memory::ClientMemory;

    fn location(number: u32) -> Location {
        let names = |count| vec![Name::new(format!("a name {number:05}").into_bytes()).unwrap(); count];
        Location { base: WirePath::new(names(2)).unwrap(), path: WirePath::new(names(100)).unwrap() }
    }

    /// The records of a Read of less than the whole file.
    fn read_in_part(records: &mut Records, number: u32) -> Vec<Work> {
        let read = Read {
            file: location(number),
            version: None,
            offset: 0,
            len: 10,
            wants: Wants::Data,
            holes: false,
        };
        let mut deed = records.begin(&read.into());
        deed.size = Some(100);
        deed.add_bytes(10);
        records.end(&deed, &ReadDone { len: 10, hash: None, grown: false }.into())
    }

    #[test]
    fn a_key_is_the_location_that_it_is_of() {
        let whole = Location::through(&WirePath::parse(b"a/b").unwrap());
        let split = Location::of(&WirePath::parse(b"a/b").unwrap());
        let root = Location::through(&WirePath::root());
        assert_ne!(Key::of(&whole), Key::of(&split));
        for location in [whole, split, root, location(7)] {
            assert_eq!(Key::of(&location).location(), location);
        }
    }

    #[test]
    fn f71_files_that_are_read_in_part_are_charged_and_told_of_at_once_where_there_is_no_memory() {
        let client = ClientMemory::of_server(1 << 20);
        let memory = client.session();
        let mut records = Records::new(&memory);
        for number in 0..2 * PARTLY_READ_MAX as u32 {
            let told = read_in_part(&mut records, number);
            assert!(told.len() <= 1);
            assert!(told.iter().all(|work| work.outcome == Outcome::Partial && work.bytes == 10));
        }
        let kept = records.downloads.len();
        assert!(kept > 10 && kept < PARTLY_READ_MAX, "{kept} of 1,400 bytes each in a mebibyte");
        assert_eq!(records.charge.bytes(), records.downloads.keys().map(Key::bytes).sum::<usize>());
        // Those that are known go on in one record.
        let known = records.downloads.keys().next().unwrap().location();
        let number = known.base.display()[7..12].parse().unwrap();
        assert_eq!(read_in_part(&mut records, number), Vec::new());
        assert_eq!(records.rest().len(), kept);
        assert_eq!(records.charge.bytes(), 0);
    }
}
