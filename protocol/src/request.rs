//! What a client asks for. Each request opens an exchange under an id that the client chose, and ends in exactly one
//! final answer.

use serde::{Deserialize, Serialize};

use crate::entry::Version;
use crate::hash::Hash;
use crate::limits::{DATA_BYTES_MAX, PATHS_MAX};
use crate::metadata::Metadata;
use crate::path::{Location, WirePath};
use crate::time::Time;
use crate::wire::{bounded, fixed_bytes, is_default, numbered};

fixed_bytes! {
    /// Chosen by the client, at random, for a change that must not happen twice. A request repeated with the same
    /// operation id gets the outcome of the first one for as long as the server remembers it.
    pub struct OperationId([u8; 16]);
}

fixed_bytes! {
    /// Names an unfinished upload on the server, which chose it at random. Means nothing after its exchange, unless the server has a
    /// capability that says otherwise.
    pub struct UploadToken([u8; 16]);
}

numbered! {
    /// What a listing is sorted by. [`order`](crate::order) and PROTOCOL.md define each order exactly.
    pub enum SortKey: u8 {
        Name = 0,
        Size = 1,
        Modified = 2,
        Extension = 3,
    }
}

numbered! {
    pub enum Direction: u8 {
        Ascending = 0,
        Descending = 1,
    }
}

numbered! {
    /// Whether names that begin with a dot are part of a listing.
    pub enum Hidden: u8 {
        Shown = 0,
        LeftOut = 1,
    }
}

numbered! {
    /// Whether a symbolic link in the last place is looked at itself or through.
    pub enum Follow: u8 {
        No = 0,
        Yes = 1,
    }
}

numbered! {
    /// What to do where the destination exists already.
    pub enum Existing: u8 {
        /// Refuse with `AlreadyExists`.
        Keep = 0,
        /// Replace a file or link by a file or link; join a folder with a folder. A folder never replaces a file nor a
        /// file a folder.
        Replace = 1,
        /// As `Replace`, but only where the source was modified later; else refuse with `AlreadyExists`.
        ReplaceOlder = 2,
    }
}

numbered! {
    /// What "stored" means in the answer.
    pub enum Durability: u8 {
        /// Verified and in place; the system writes it to the disk in its own time.
        Relaxed = 0,
        /// Verified, in place, and flushed to the disk together with the folder's entry.
        Synced = 1,
    }
}

numbered! {
    /// What is wanted of a file.
    pub enum Wants: u8 {
        Data = 0,
        /// No data, but the hash of it.
        Hash = 1,
    }
}

#[allow(
    clippy::derivable_impls,
    reason = "`numbered!` derives what all of its enums have, and few have a default"
)]
impl Default for Wants {
    fn default() -> Self {
        Self::Data
    }
}

/// Names and attributes of a folder's content, sorted, in pages. Answers: [`ListPage`](crate::answer::ListPage)… then Done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct List {
    pub folder: Location,
    pub sort: SortKey,
    pub direction: Direction,
    pub hidden: Hidden,
    /// Pages that may be sent before the client grants more.
    pub pages: u32,
}

/// A whole tree, depth first, parents before children, as the disk gives it; no link is followed below `start`.
/// Answers: [`WalkPage`](crate::answer::WalkPage)… then Done. A `start` that is a file or link is the walk's only item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Walk {
    pub start: Location,
    /// Pages that may be sent before the client grants more.
    pub pages: u32,
}

/// Attributes of up to 256 things at once. Answer: [`Stats`](crate::answer::Stats), one item a path in the same order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stat {
    pub base: WirePath,
    #[serde(deserialize_with = "bounded::<_, _, PATHS_MAX>")]
    pub paths: Vec<WirePath>,
    pub follow: Follow,
}

/// Bytes of a regular file. A whole file of at most 64 KiB comes as one [`FileWhole`](crate::answer::FileWhole); anything else as
/// [`ReadHead`](crate::answer::ReadHead), [`Data`](crate::answer::Data)…, [`ReadDone`](crate::answer::ReadDone).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Read {
    pub file: Location,
    /// What the file must still be, else `Changed`. A file that only grew is read up to the old size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    pub offset: u64,
    /// At most 16 MiB. `offset + len` may lie beyond the file's end, and beyond what a `u64` holds.
    pub len: u64,
    #[serde(default, skip_serializing_if = "is_default")]
    pub wants: Wants,
    /// Where the file stores nothing, the length of that may be told in place of zeros, as [`Hole`](crate::answer::Hole). For a server
    /// with the capability `holes`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub holes: bool,
}

/// Hashes of a file's blocks, for whoever looks for the blocks that differ. Answer: [`BlockHashes`](crate::answer::BlockHashes).
/// For a server with the capability `blocks`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocks {
    pub file: Location,
    /// What the file must still be, else `Changed`. Of a file that only grew, the old size counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// A multiple of `block_bytes`, as is `len`.
    pub offset: u64,
    /// At most 16 MiB. `offset + len` may lie beyond the file's end.
    pub len: u64,
    /// A power of two from 16 KiB to 1 MiB.
    pub block_bytes: u64,
}

/// Free and total space where `path` is. Answer: [`SpaceInfo`](crate::answer::SpaceInfo).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Space {
    pub path: WirePath,
}

/// Counts files, folders and bytes below up to 256 things. Answers: Progress…, [`Totals`](crate::answer::Totals).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measure {
    #[serde(deserialize_with = "bounded::<_, _, PATHS_MAX>")]
    pub things: Vec<Location>,
}

/// How a file is to be stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreAs {
    /// Permission bits; only `mode & 0777 & ~umask` is applied, but where `metadata` says more.
    pub mode: u16,
    #[serde(rename = "modified_ns")]
    pub modified: Time,
    pub existing: Existing,
    /// With `existing` other than `Keep`: what the file there must still be, else `Changed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<Version>,
    pub durability: Durability,
    /// What the file is to have besides, as far as the server may give it. A client that may give owners so gives all of `mode`
    /// too: setuid only together with the owner, setgid with the group, and no umask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Box<Metadata>>,
}

/// Stores a whole small file: written beside, checked against `hash`, renamed into place.
/// Answer: [`Stored`](crate::answer::Stored).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Put {
    pub operation: OperationId,
    pub file: Location,
    pub store: StoreAs,
    pub hash: Hash,
    /// At most 64 KiB.
    #[serde(serialize_with = "serde_bytes::serialize", deserialize_with = "small_data")]
    pub data: Vec<u8>,
}

impl std::fmt::Debug for Put {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Put")
            .field("file", &self.file)
            .field("bytes", &self.data.len())
            .finish_non_exhaustive()
    }
}

/// Begins an upload. The exchange stays open: [`UploadReady`](crate::answer::UploadReady), then the client's `UploadData` and
/// `UploadSpan` under the same id, each acknowledged (cumulatively) by [`UploadAck`](crate::answer::UploadAck), until `CommitUpload` is answered by
/// [`Stored`](crate::answer::Stored), or `AbortUpload` by Done. `Cancel`, a fault or a lost connection ends it.
/// What was received is removed, but where the connection was lost and `resume` says that another upload may go on with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BeginUpload {
    pub operation: OperationId,
    pub file: Location,
    pub store: StoreAs,
    /// Bytes of the file, as far as the client knows. Checked against free space before anything is written.
    pub size: u64,
    /// Where this is cut off, what was received stays for a while, for another upload of the same file: the same place, size and time of
    /// modification. It is taken up as far as whole pieces of so many bytes go, a power of two from 1 MiB to 16 MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume: Option<u64>,
    /// What the file at that place is, where parts of it are to be taken over ([`UploadSpan`](crate::input::UploadSpan)). For a server
    /// with the capability `blocks`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basis: Option<Version>,
    /// Bytes that the client would like to have sent and not acknowledged, since its line holds so much. The server grants what it has
    /// room for, and no less than what is enough nearby.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_bytes: Option<u64>,
    /// Bytes of the file that are no holes, where the client knows: as many are looked for on the disk and in a quota, instead of `size`.
    /// For a server with the capability `holes`; another one does not know this field and looks for `size`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored_bytes: Option<u64>,
}

/// Makes a folder (mode 0700 | `mode & 0777 & ~umask`, so that it can be filled; `SetMode` sets the final one).
/// Answer: [`Stored`](crate::answer::Stored), also where `existing` is not `Keep` and a folder is there already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MakeFolder {
    pub operation: OperationId,
    pub folder: Location,
    pub mode: u16,
    pub existing: Existing,
}

/// Makes a symbolic link. Answer: [`Stored`](crate::answer::Stored).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MakeLink {
    pub operation: OperationId,
    pub link: Location,
    /// 1 to 4,095 bytes, stored as they are; absolute and dangling ones too.
    #[serde(serialize_with = "serde_bytes::serialize", deserialize_with = "link_target")]
    pub target: Vec<u8>,
    #[serde(rename = "modified_ns")]
    pub modified: Time,
    pub existing: Existing,
    /// Where `existing` is not Keep: what the file or link at `link` must still be, looked at right before it is replaced, else `Changed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<Version>,
    /// What the link is to have besides, as far as the server may give it: owner and group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Box<Metadata>>,
}

/// Sets permission bits, `mode & 0777 & ~umask`, of a file or folder; never through a link. Answer: Done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetMode {
    pub thing: Location,
    pub mode: u16,
}

/// Sets the time of modification, of a link itself too. Answer: Done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetTimes {
    pub thing: Location,
    #[serde(rename = "modified_ns")]
    pub modified: Time,
}

/// Renames within the root, atomically. Answer: Done; `OtherFileSystem` where it would have to copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rename {
    pub operation: OperationId,
    pub from: Location,
    pub to: Location,
    pub existing: Existing,
    /// Where `existing` is not Keep: what the file or link at `to` must still be, looked at right before it is replaced, else `Changed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<Version>,
}

/// Copies a file, link or whole tree within the root, times and modes too; each file written beside and renamed. What fails does not
/// stop the rest. Answers: Progress…, [`Totals`](crate::answer::Totals).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copy {
    pub operation: OperationId,
    pub from: Location,
    pub to: Location,
    pub existing: Existing,
    pub durability: Durability,
    /// Where `existing` is not Keep: what the file or link at `to` must still be, looked at right before it is replaced, else `Changed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<Version>,
    /// Metadata too, as far as the server may give it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub preserve: bool,
}

numbered! {
    /// Whether a folder goes with what is in it.
    pub enum Depth: u8 {
        /// A folder that is not empty is refused with `NotEmpty`.
        Single = 0,
        Tree = 1,
    }
}

/// Removes a file, link or folder; never follows a link, never leaves the file system it started on. What fails does not stop the rest.
/// Answers: Progress…, [`Totals`](crate::answer::Totals).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remove {
    pub operation: OperationId,
    pub thing: Location,
    pub depth: Depth,
    /// What it must still be, else `Changed`. Used by a move, which removes only the source that it copied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<Version>,
    /// Renames a file or link to another name first and answers Progress once it has. [`More`](crate::input::More) then removes it; the
    /// end of the exchange in any other way gives it its name back. For a server with the capability `aside`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub aside: bool,
}

/// Brings to the disk what was made, set, renamed or removed so far on the file system that `folder` is on: the last step of work
/// that counts as done only then. Answer: Done. Of a file or link, for a server with the capability `aside`: brings that one thing to
/// the disk, with its name. Answer: [`Stored`](crate::answer::Stored), with its attributes as they are then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flush {
    pub folder: Location,
}

/// Whose a thing is, and what extended attributes it has; of a link itself. Answer: [`Metadata`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadMetadata {
    pub thing: Location,
    /// What the thing must still be, else `Changed`. A file may have grown; of a folder only the identity is compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
}

/// Gives a file or folder that is in place a mode and metadata, as far as the server may; never a link. A file that has other names
/// keeps its owner and group. Answer: [`MetadataSet`](crate::answer::MetadataSet).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetMetadata {
    pub thing: Location,
    /// What the thing must be, as its attributes say, else `Changed`.
    pub identity: u64,
    pub mode: u16,
    pub metadata: Metadata,
}

fn small_data<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    bytes_up_to::<_, DATA_BYTES_MAX>(deserializer)
}

fn link_target<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let target = bytes_up_to::<_, { crate::limits::LINK_TARGET_BYTES_MAX }>(deserializer)?;
    if target.is_empty() || target.contains(&0) {
        return Err(serde::de::Error::custom("a link's target is empty or contains NUL"));
    }
    Ok(target)
}

/// A byte string of at most `MAX` bytes.
pub(crate) fn bytes_up_to<'de, D: serde::Deserializer<'de>, const MAX: usize>(
    deserializer: D,
) -> Result<Vec<u8>, D::Error> {
    let bytes = <&serde_bytes::Bytes>::deserialize(deserializer)?;
    if bytes.len() > MAX {
        return Err(serde::de::Error::custom(format_args!("more than {MAX} bytes")));
    }
    Ok(bytes.to_vec())
}
