//! What a server answers. [`Answer::is_final`](crate::message::Answer::is_final) tells which ones end an exchange.

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::entry::{Attributes, Entry};
use crate::fault::{Fault, FaultCode};
use crate::hash::Hash;
use crate::limits::{BLOCKS_MAX, FAULTS_MAX, PAGE_ENTRIES_MAX, PATHS_MAX, SMALL_FILE_BYTES_MAX};
use crate::metadata::Parts;
use crate::request::{UploadToken, bytes_up_to};
use crate::wire::{bounded, is_default};

/// Ends an exchange that has nothing more to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {}

/// Part of a listing, in the order asked for. The first page comes even for an empty folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListPage {
    /// Entries of the whole listing, known from the first page on. Entries that vanish while the listing runs are left
    /// out, so fewer may come.
    pub total: u64,
    /// At most 1,024.
    #[serde(deserialize_with = "bounded::<_, _, PAGE_ENTRIES_MAX>")]
    pub entries: Vec<Entry>,
}

/// One thing met on a walk: `[depth, entry, fault | nil]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalkItem {
    /// 0 for the walk's start; an item's parent is the nearest earlier folder with `depth - 1`.
    pub depth: u16,
    /// The start is named by its own last name; a root that has none is left out, and its content begins at depth 1.
    pub entry: Entry,
    /// Why a folder's content does not follow, where it could not be read.
    pub fault: Option<FaultCode>,
}

impl Serialize for WalkItem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.depth, &self.entry, self.fault).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for WalkItem {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (depth, entry, fault) = Deserialize::deserialize(deserializer)?;
        Ok(Self { depth, entry, fault })
    }
}

/// Part of a walk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WalkPage {
    /// At most 1,024.
    #[serde(deserialize_with = "bounded::<_, _, PAGE_ENTRIES_MAX>")]
    pub items: Vec<WalkItem>,
}

/// What one path of a Stat is: `[attributes | nil, fault | nil]`, exactly one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatItem(pub Result<Attributes, FaultCode>);

impl Serialize for StatItem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.0.as_ref().ok(), self.0.as_ref().err()).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for StatItem {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Deserialize::deserialize(deserializer)? {
            (Some(attributes), None) => Ok(Self(Ok(attributes))),
            (None, Some(code)) => Ok(Self(Err(code))),
            _ => Err(serde::de::Error::custom("a stat item is either attributes or a fault")),
        }
    }
}

/// Answers a Stat: one item a path, in the same order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    #[serde(deserialize_with = "bounded::<_, _, PATHS_MAX>")]
    pub items: Vec<StatItem>,
}

/// A whole small file in one message; final.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileWhole {
    pub attributes: Attributes,
    /// BLAKE3 of `data`.
    pub hash: Hash,
    /// Whether the file had grown since the version named in the request; `data` ends at the old size.
    pub grown: bool,
    #[serde(
        serialize_with = "serde_bytes::serialize",
        deserialize_with = "bytes_up_to::<_, SMALL_FILE_BYTES_MAX>"
    )]
    pub data: Vec<u8>,
}

impl std::fmt::Debug for FileWhole {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileWhole")
            .field("hash", &self.hash)
            .field("bytes", &self.data.len())
            .finish_non_exhaustive()
    }
}

/// Begins the answer to a Read of more than a small file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadHead {
    pub attributes: Attributes,
    /// Bytes that the disk stores of the file, where that is less than its size and `holes` were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored_bytes: Option<u64>,
}

/// Bytes of a file: `[offset, bytes]`, 1 byte to 64 KiB. They follow one another without gaps, which the receiver checks; `offset +
/// data.len()` may overflow here.
#[derive(Clone, PartialEq, Eq)]
pub struct Data {
    pub offset: u64,
    pub data: Bytes,
}

impl Serialize for Data {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.offset, serde_bytes::Bytes::new(&self.data)).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (offset, data): (u64, &serde_bytes::Bytes) = Deserialize::deserialize(deserializer)?;
        Ok(Self { offset, data: Bytes::copy_from_slice(data) })
    }
}

impl std::fmt::Debug for Data {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Data").field("offset", &self.offset).field("bytes", &self.data.len()).finish()
    }
}

/// A part of a file that stores nothing and reads as zeros; stands in for as many bytes of data. It comes only where a Read asked for
/// holes, and is at least [`HOLE_BYTES_LEAST`](crate::limits::HOLE_BYTES_LEAST) long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hole {
    pub offset: u64,
    pub len: u64,
    /// Where it reaches the end of the range: how many bytes behind that, up to the end of the file, are a hole as well.
    #[serde(default, skip_serializing_if = "is_default")]
    pub beyond: u64,
}

/// Hashes of a file's blocks; final.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockHashes {
    /// The chaining value of each block as a subtree of the file's BLAKE3, in order; at most 1,024. Fewer blocks than asked for, and a
    /// last one that is shorter, only at the end of the file. On the wire one byte string.
    #[serde(serialize_with = "joined", deserialize_with = "apart")]
    pub hashes: Vec<Hash>,
    /// Whether the file had grown since the version named in the request; the blocks end at the old size.
    pub grown: bool,
}

impl std::fmt::Debug for BlockHashes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlockHashes").field("blocks", &self.hashes.len()).field("grown", &self.grown).finish()
    }
}

fn joined<S: Serializer>(hashes: &[Hash], serializer: S) -> Result<S::Ok, S::Error> {
    let bytes: Vec<u8> = hashes.iter().flat_map(|hash| hash.0).collect();
    serializer.serialize_bytes(&bytes)
}

fn apart<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Hash>, D::Error> {
    let bytes = <&serde_bytes::Bytes>::deserialize(deserializer)?;
    let (hashes, rest) = bytes.as_chunks::<32>();
    if !rest.is_empty() || hashes.len() > BLOCKS_MAX {
        return Err(serde::de::Error::invalid_length(bytes.len(), &"up to 1,024 hashes of 32 bytes"));
    }
    Ok(hashes.iter().copied().map(Hash).collect())
}

/// Ends a Read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadDone {
    /// Bytes sent; fewer than asked for only at the end of the file.
    pub len: u64,
    /// Where the range is the whole file: its BLAKE3. Else, where the range is aligned (`offset` a multiple of the asked `len`, and that a
    /// power of two MiB): its chaining value as a subtree of the file's BLAKE3. Else none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<Hash>,
    /// Whether the file had grown since the version named in the request; the bytes end at the old size.
    pub grown: bool,
}

/// An upload may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadReady {
    pub token: UploadToken,
    /// Where to go on: what is before was received by an earlier upload that was cut off. 0 where there is nothing of that.
    pub offset: u64,
    /// BLAKE3 of those bytes, where there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<Hash>,
    /// How far beyond the acknowledged bytes the client may send.
    pub credit_bytes: u64,
    /// Whether the file that `basis` of the request named is there, and spans of it may be taken over.
    #[serde(default, skip_serializing_if = "is_default")]
    pub basis: bool,
}

/// All bytes up to here were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadAck {
    pub received: u64,
    /// How far beyond `received` the client may send.
    pub credit_bytes: u64,
}

/// A file, folder or link is in place; final.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    pub attributes: Attributes,
    /// Of the metadata that it was to have, what it could not be given.
    #[serde(default, skip_serializing_if = "is_default")]
    pub unset: Parts,
}

/// A thing has its mode, and of its metadata all but this; final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetadataSet {
    #[serde(default, skip_serializing_if = "is_default")]
    pub unset: Parts,
}

/// Things that could not be given all of their metadata.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unset {
    /// What one or another of them lacks.
    pub parts: Parts,
    pub things: u64,
}

/// How far long work has come; about ten a second at most.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    pub files: u64,
    pub folders: u64,
    pub bytes: u64,
    pub failed: u64,
}

/// Ends long work. Links and special files count as files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    pub files: u64,
    pub folders: u64,
    pub bytes: u64,
    /// Items that failed, of which `faults` names the first 64.
    pub failed: u64,
    #[serde(
        default,
        deserialize_with = "bounded::<_, _, FAULTS_MAX>",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub faults: Vec<Fault>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub unset: Unset,
}

impl Progress {
    /// Files and folders.
    pub const fn things(&self) -> u64 {
        self.files.saturating_add(self.folders)
    }
}

impl Totals {
    /// Files and folders.
    pub const fn things(&self) -> u64 {
        self.files.saturating_add(self.folders)
    }

    /// Adds the counts of further work, not its faults. Sums that do not fit stay at the largest number: a peer may say anything,
    /// and so may a disk (a sparse file of 8 EiB costs nothing).
    pub const fn add(&mut self, more: &Self) {
        self.files = self.files.saturating_add(more.files);
        self.folders = self.folders.saturating_add(more.folders);
        self.bytes = self.bytes.saturating_add(more.bytes);
        self.failed = self.failed.saturating_add(more.failed);
    }
}

/// Space of the file system that holds a path, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpaceInfo {
    /// What this user may still write.
    pub free: u64,
    pub total: u64,
}
