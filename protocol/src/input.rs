//! What a client says within an exchange that is already open, under that exchange's id.

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::hash::Hash;
use crate::wire::numbered;

/// Grants further pages to a List or Walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct More {
    pub pages: u32,
}

/// Ends an exchange early. Its final answer still comes: `Cancelled`, or what had been done already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancel {}

/// Bytes for an upload: `[offset, bytes]`, 1 byte to 64 KiB. Offsets follow one another without gaps, which the receiver checks; `offset +
/// data.len()` may overflow here.
#[derive(Clone, PartialEq, Eq)]
pub struct UploadData {
    pub offset: u64,
    pub data: Bytes,
}

impl Serialize for UploadData {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.offset, serde_bytes::Bytes::new(&self.data)).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for UploadData {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (offset, data): (u64, &serde_bytes::Bytes) = Deserialize::deserialize(deserializer)?;
        Ok(Self { offset, data: Bytes::copy_from_slice(data) })
    }
}

impl std::fmt::Debug for UploadData {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UploadData").field("offset", &self.offset).field("bytes", &self.data.len()).finish()
    }
}

numbered! {
    /// Where an upload's bytes come from that are not sent.
    pub enum SpanOf: u8 {
        /// They are all zeros; nothing is stored of them where the file system can leave that out.
        Zeros = 0,
        /// They are what the basis of the upload has at the same offset.
        Basis = 1,
    }
}

/// Bytes of an upload that need not be sent, in the place of data: 1 byte to 64 MiB. Each of these costs
/// [`SPAN_CREDIT_BYTES`](crate::limits::SPAN_CREDIT_BYTES) of the credit. `offset + len` may overflow here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadSpan {
    pub offset: u64,
    pub len: u64,
    pub of: SpanOf,
}

/// Says that all bytes were sent. The server compares count and hash with what it wrote, then puts the file in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitUpload {
    pub len: u64,
    /// BLAKE3 of the whole file.
    pub hash: Hash,
}

/// Gives an upload up: what was received is removed, or kept to be taken up again where `resume` of its beginning allows that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AbortUpload {
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keep: bool,
}
