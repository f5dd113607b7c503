//! The ledger on the disk: records of one length, each with a check of its own, appended as things happen. A record that was cut off is
//! no record, and nothing behind it counts. Written anew, as short as it can be, at each start and when it has grown long.
//! Devices get other numbers when a system starts again: what is written is a thing's number on the device of the root.

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

/// Why the ledger cannot be kept.
pub(in crate::service) type JournalFault = PrivateFault;

/// One step.
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
}

/// The file.
#[derive(Debug)]
pub(in crate::service) struct Journal {
    folder: PrivateFolder,
    name: String,
    home: Home,
    /// `None` while it cannot be written.
    file: Option<Appending>,
    records: usize,
}

impl Journal {
    /// A journal for `root`, under a text that names it. `home` is the device that most of it is on.
    pub(in crate::service) fn new(folder: PrivateFolder, root: &str, home: Home) -> Self {
        let Hash(hash) = Hash::of(root.as_bytes());
        let number = hash.first_chunk().map_or(0, |first| u64::from_be_bytes(*first));
        Self { folder, name: format!("ledger-{number:016x}"), home, file: None, records: 0 }
    }

    /// The complete records.
    pub(super) fn read(&mut self) -> Result<Vec<Record>, JournalFault> {
        let content = self.folder.read_up_to(&self.name, FILE_BYTES_MAX)?.unwrap_or_default();
        let (records, _) = content.as_chunks::<RECORD_BYTES>();
        Ok(records.iter().map_while(|record| Record::unpack(record, self.home)).collect())
    }

    #[cfg(test)]
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) const fn records(&self) -> usize {
        self.records
    }

    pub(super) fn append(&mut self, record: &Record) {
        self.records += 1;
        let Some(file) = &mut self.file else { return };
        if let Err(fault) = file.append(&record.pack(self.home)) {
            self.lost(&fault);
        }
    }

    pub(super) fn rewrite(&mut self, records: &[Record]) {
        self.records = records.len();
        let content: Vec<u8> = records.iter().flat_map(|record| record.pack(self.home)).collect();
        let written = self.folder.lock().and_then(|locked| locked.write(&self.name, &content));
        match written.and_then(|()| self.folder.append_to(&self.name)) {
            Ok(file) => self.file = Some(file),
            Err(fault) => self.lost(&fault),
        }
    }

    /// Records that were not written have no owner after the next start; the next rewrite has all of them.
    fn lost(&mut self, fault: &dyn std::fmt::Display) {
        if self.file.take().is_some() || self.records == 0 {
            tracing::warn!(%fault, "who stored what cannot be written down");
        }
    }
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
        let Hash(expected) = Hash::of(content);
        let ([version, kind], rest) = content.split_first_chunk::<2>()?;
        if *check != expected[..CHECK_BYTES] || *version != VERSION {
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
