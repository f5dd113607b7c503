//! The ledger on the disk: records of one length, each with a check of its own, appended as things happen. What is no record is skipped,
//! said, and kept in a file beside. Written anew, as short as it can be, at each start, when it has grown long, and after it could not be
//! written for a while; until then it has a name that says so.
//! Devices get other numbers when a system starts again: what is written is a thing's number on the device of the root.

use std::time::{Duration, Instant};

use towpath_protocol::display::DisplayName;
use towpath_protocol::hash::Hash;

use super::{Charge, Identity, Thing};
use crate::disk::Home;
use crate::private_files::{Appending, PrivateFault, PrivateFolder};
use crate::service::grant::ClientId;

/// Records beyond twice those that are needed, before the file is written anew.
pub(super) const RECORDS_SPARE: usize = 16 * 1024;
/// Bytes of a file that is read: more than any that is written.
const FILE_BYTES_MAX: u64 = 64 << 20;
const RECORD_BYTES: usize = 36;
const CHECK_BYTES: usize = 4;
const VERSION: u8 = 1;
/// Time between two attempts to write a journal that could not be written.
const RETRY_TIME: Duration = Duration::from_secs(10);

/// Why the ledger cannot be kept.
pub(in crate::service) type JournalFault = PrivateFault;

/// One step, or the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Record {
    Made {
        identity: Identity,
        thing: Thing,
    },
    Gone {
        identity: Identity,
    },
    /// Not known any more, and counts on.
    Forgotten {
        identity: Identity,
    },
    Settled {
        client: ClientId,
        charge: Charge,
    },
    /// The first record: so many were written together with it.
    Begins {
        records: u64,
    },
}

/// The records of a file.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) records: Vec<Record>,
    /// What the owner should know of it.
    pub(super) said: Option<String>,
}

/// The file.
#[derive(Debug)]
pub(in crate::service) struct Journal {
    folder: PrivateFolder,
    name: String,
    home: Home,
    /// `None` while it cannot be written.
    file: Option<Appending>,
    /// When it was last written anew in vain.
    tried: Option<Instant>,
    /// Records are missing on the disk, and that was said.
    is_behind: bool,
    retry_time: Duration,
    records: usize,
}

impl Journal {
    /// A journal for `root`, under a text that names it. `home` is the device that most of it is on.
    pub(in crate::service) fn new(folder: PrivateFolder, root: &str, home: Home) -> Self {
        let Hash(hash) = Hash::of(root.as_bytes());
        let number = hash.first_chunk().map_or(0, |first| u64::from_be_bytes(*first));
        let name = format!("ledger-{number:016x}");
        let (file, tried, is_behind, retry_time) = (None, None, false, RETRY_TIME);
        Self { folder, name, home, file, tried, is_behind, retry_time, records: 0 }
    }

    /// All sound records, and what is wrong with the file.
    pub(super) fn read(&self) -> Result<Found, JournalFault> {
        let named = self.folder.read_up_to(&self.name, FILE_BYTES_MAX)?;
        let is_complete = named.is_some();
        let name = if is_complete { self.name.clone() } else { self.incomplete() };
        let content = match named {
            Some(content) => content,
            None => match self.folder.read_up_to(&name, FILE_BYTES_MAX)? {
                Some(content) => content,
                None => return Ok(Found::default()),
            },
        };
        let (records, is_sound) = understood(&content, self.home, is_complete);
        let what = match (is_sound, is_complete) {
            (true, true) => return Ok(Found { records, said: None }),
            (true, false) => "is not complete: it could not be written while the server ran".to_owned(),
            (false, _) => format!("is damaged, and {}", self.keep_damaged(&content)),
        };
        let (path, count) = (self.path_of(&name), records.len());
        let said = format!(
            "{path} {what}; {count} records of who stored what are used, and what the others were about counts for no client: quotas \
             may allow more than they should until it is removed"
        );
        Ok(Found { records, said: Some(said) })
    }

    /// Puts a copy beside, in the place of an earlier one: the ledger itself stays until it is written anew.
    fn keep_damaged(&self, content: &[u8]) -> String {
        let name = format!("{}.damaged", self.name);
        match self.folder.lock().and_then(|locked| locked.write(&name, content)) {
            Ok(()) => format!("is kept as {name}"),
            Err(fault) => format!("cannot be kept ({fault})"),
        }
    }

    /// The name of a file that lacks records.
    fn incomplete(&self) -> String {
        format!("{}.incomplete", self.name)
    }

    #[cfg(test)]
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// From now on nothing can be appended, and only a rewrite helps.
    #[cfg(test)]
    pub(super) fn break_off(&mut self, retry_time: Duration) {
        (self.file, self.retry_time) = (Some(Appending::in_vain()), retry_time);
    }

    pub(super) const fn is_behind(&self) -> bool {
        self.is_behind
    }

    /// Returns whether to write it anew, where it needs to hold `things`.
    pub(super) fn is_rewrite_due(&self, things: usize) -> bool {
        let is_long = self.records > 2 * things + RECORDS_SPARE;
        let is_retry_due = self.tried.is_none_or(|tried| tried.elapsed() >= self.retry_time);
        (self.is_behind || is_long) && is_retry_due
    }

    /// Returns what is to be said.
    pub(super) fn append(&mut self, record: &Record) -> Option<String> {
        self.records += 1;
        let fault = self.file.as_mut()?.append(&record.pack(self.home)).err()?;
        (self.file, self.tried) = (None, Some(Instant::now()));
        self.fall_behind(&fault)
    }

    /// Returns what is to be said.
    pub(super) fn rewrite(&mut self, records: &[Record]) -> Option<String> {
        match self.write_anew(records) {
            Ok(file) => {
                (self.file, self.tried, self.records) = (Some(file), None, records.len());
                let was_behind = std::mem::take(&mut self.is_behind);
                was_behind
                    .then(|| format!("{}: who stored what is written down again", self.path_of(&self.name)))
            }
            Err(fault) => {
                self.tried = Some(Instant::now());
                // Where there is no room for another file, the one that is there is good. It may be the new one already.
                let is_small = (self.records as u64) < FILE_BYTES_MAX / RECORD_BYTES as u64 / 2;
                let is_good = self.file.is_some() && is_small;
                self.file = if is_good { self.folder.append_to(&self.name).ok() } else { None };
                if self.file.is_some() { None } else { self.fall_behind(&fault) }
            }
        }
    }

    fn write_anew(&self, records: &[Record]) -> Result<Appending, JournalFault> {
        let begins = Record::Begins { records: records.len() as u64 };
        let content: Vec<u8> =
            std::iter::once(&begins).chain(records).flat_map(|record| record.pack(self.home)).collect();
        let locked = self.folder.lock()?;
        locked.write(&self.name, &content)?;
        locked.remove(&self.incomplete())?;
        self.folder.append_to(&self.name)
    }

    /// Records are missing from now on. The name says so after a restart: to give a name needs no room.
    fn fall_behind(&mut self, fault: &dyn std::fmt::Display) -> Option<String> {
        // There may be none of this name.
        let _ = self.folder.lock().and_then(|locked| locked.rename(&self.name, &self.incomplete()));
        let is_known = std::mem::replace(&mut self.is_behind, true);
        (!is_known).then(|| {
            format!(
                "{}: who stored what cannot be written down ({fault}); this is tried again when something changes and when the \
                 server ends, and if it fails until then, quotas will allow more than they should",
                self.path_of(&self.name)
            )
        })
    }

    fn path_of(&self, name: &str) -> String {
        DisplayName::new(self.folder.path_of(name).as_os_str().as_encoded_bytes()).to_string()
    }
}

/// The records in `content`, and whether it is what was written: nothing is skipped, and all that were written together are there. A
/// record may be anywhere, since bytes may be missing or inserted before it.
///
/// Where a record is cut off at the end, the disk was full: this is no damage of a file that is not complete.
fn understood(content: &[u8], home: Home, is_complete: bool) -> (Vec<Record>, bool) {
    let (mut rest, mut records, mut skipped) = (content, Vec::new(), 0);
    while let Some((record, behind)) = rest.split_first_chunk() {
        if let Some(record) = Record::unpack(record, home) {
            records.push(record);
            rest = behind;
        } else {
            skipped += 1;
            rest = &rest[1..];
        }
    }
    let is_cut_off = is_complete && !rest.is_empty();
    let is_sound = skipped == 0
        && !is_cut_off
        && match records.first() {
            Some(Record::Begins { records: count }) => *count < records.len() as u64,
            // Written by an earlier version, which left an empty file where there was nothing.
            Some(_) => true,
            None => false,
        };
    records.retain(|record| !matches!(record, Record::Begins { .. }));
    (records, is_sound)
}

impl Record {
    fn pack(&self, home: Home) -> [u8; RECORD_BYTES] {
        let (kind, client, identity, seal, charge) = match *self {
            Self::Made { identity, thing: Thing { client, seal, charge } } => {
                (if seal.is_some() { 1 } else { 2 }, client.0, identity, seal.unwrap_or_default(), charge)
            }
            Self::Gone { identity } => (3, 0, identity, 0, Charge::default()),
            Self::Forgotten { identity } => (4, 0, identity, 0, Charge::default()),
            Self::Settled { client, charge } => (5, client.0, 0, 0, charge),
            Self::Begins { records } => (6, 0, 0, records, Charge::default()),
        };
        let mut record = [0; RECORD_BYTES];
        let inodes = u16::try_from(charge.inodes);
        // The inodes of all that one client stored may be many: then they stand where no identity and no seal does.
        let seal = if kind == 5 { charge.inodes } else { seal };
        let fields: [&[u8]; 6] = [
            &[VERSION, kind],
            &inodes.unwrap_or(u16::MAX).to_be_bytes(),
            &client.to_be_bytes(),
            &home.number_of(identity).to_be_bytes(),
            &seal.to_be_bytes(),
            &charge.bytes.to_be_bytes(),
        ];
        let content = fields.concat();
        record[..content.len()].copy_from_slice(&content);
        let Hash(check) = Hash::of(&record[..RECORD_BYTES - CHECK_BYTES]);
        record[RECORD_BYTES - CHECK_BYTES..].copy_from_slice(&check[..CHECK_BYTES]);
        record
    }

    /// `None` for what is no whole record.
    fn unpack(record: &[u8; RECORD_BYTES], home: Home) -> Option<Self> {
        let (content, check) = record.split_at(RECORD_BYTES - CHECK_BYTES);
        let ([version, kind], rest) = content.split_first_chunk::<2>()?;
        if *version != VERSION {
            return None;
        }
        let Hash(expected) = Hash::of(content);
        if *check != expected[..CHECK_BYTES] {
            return None;
        }
        let (inodes, rest) = rest.split_first_chunk()?;
        let (client, rest) = rest.split_first_chunk()?;
        let (identity, rest) = rest.split_first_chunk()?;
        let (seal, rest) = rest.split_first_chunk()?;
        let (bytes, _) = rest.split_first_chunk()?;
        let client = ClientId(u32::from_be_bytes(*client));
        let identity = home.identity_of(u64::from_be_bytes(*identity));
        let seal = u64::from_be_bytes(*seal);
        let bytes = u64::from_be_bytes(*bytes);
        let charge = Charge { bytes, inodes: u16::from_be_bytes(*inodes).into() };
        Some(match kind {
            1 => Self::Made { identity, thing: Thing { client, seal: Some(seal), charge } },
            2 => Self::Made { identity, thing: Thing { client, seal: None, charge } },
            3 => Self::Gone { identity },
            4 => Self::Forgotten { identity },
            5 => Self::Settled { client, charge: Charge { bytes, inodes: seal } },
            6 => Self::Begins { records: seal },
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_what_was_written_or_none() {
        let (home, charge) = (Home::of_device(7), Charge { bytes: u64::MAX, inodes: 1 });
        let (identity, client) = (0x1234_5678_9abc_def0, ClientId(u32::MAX));
        for record in [
            Record::Made { identity, thing: Thing { client, seal: Some(9), charge } },
            Record::Made { identity, thing: Thing { client, seal: None, charge } },
            Record::Gone { identity },
            Record::Forgotten { identity },
            Record::Settled { client, charge: Charge { bytes: 5, inodes: u64::MAX } },
            Record::Begins { records: 9 },
        ] {
            let packed = record.pack(home);
            assert_eq!(Record::unpack(&packed, home), Some(record));
            for at in 0..RECORD_BYTES {
                let mut damaged = packed;
                damaged[at] ^= 1;
                assert_eq!(Record::unpack(&damaged, home), None, "byte {at} of {record:?}");
            }
        }
    }
}
