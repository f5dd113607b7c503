//! The one table of message kinds. A number is never reused for something else; an unknown one is answered
//! `Unsupported` and the session lives on.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::answer::{
    BlockHashes, Data, Done, FileWhole, Hole, ListPage, MetadataSet, Progress, ReadDone, ReadHead, SpaceInfo,
    Stats, Stored, Totals, UploadAck, UploadReady, WalkPage,
};
use crate::entry::{Attributes, Version};
use crate::fault::Fault;
use crate::hello::{Hello, Welcome};
use crate::input::{AbortUpload, Cancel, CommitUpload, More, UploadData, UploadSpan};
use crate::limits::FRAME_BYTES_MAX;
use crate::metadata::Metadata;
use crate::request::bytes_up_to;
use crate::request::{
    BeginUpload, Blocks, Copy, Flush, List, MakeFolder, MakeLink, Measure, OperationId, Put, Read,
    ReadMetadata, Remove, Rename, SetMetadata, SetMode, SetTimes, Space, Stat, Walk,
};

/// Chosen by the client, unique among its unanswered requests. 0 is for what belongs to no request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestId(pub u32);

impl RequestId {
    /// Belongs to no request: Bye, and notices that nobody asked for.
    pub const NONE: Self = Self(0);
}

/// Is the other side still there? Answered by Pong at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ping {}

/// Answers Ping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pong {}

/// Gives the frame that follows it on the same stream its place among all numbered frames of its direction, from 0 on. Said in
/// sessions with several streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Numbered {
    pub number: u64,
}

/// Another frame, without its length, compressed with zstd: one zstd frame that says how long its content is.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packed {
    #[serde(serialize_with = "serde_bytes::serialize", deserialize_with = "packed_bytes")]
    pub frame: Vec<u8>,
}

impl std::fmt::Debug for Packed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Packed").field("bytes", &self.frame.len()).finish()
    }
}

fn packed_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    bytes_up_to::<_, FRAME_BYTES_MAX>(deserializer)
}

/// The orderly end, from either side, under id 0. A stream that stops without one was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bye {}

/// A set of messages that one enum holds.
pub(crate) trait Family: Sized {
    fn kind(&self) -> u16;
    fn serialize_body<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error>;
    /// The body of a message of this kind; none where the kind is not of this family.
    fn deserialize_body<'de, D: Deserializer<'de>>(
        kind: u16,
        deserializer: D,
    ) -> Option<Result<Self, D::Error>>;
}

/// The kinds that carry a file's bytes; `frame` encodes and decodes their bodies without copying them.
pub(crate) const UPLOAD_DATA_KIND: u16 = 34;
pub(crate) const DATA_KIND: u16 = 149;

/// The kinds of [`Numbered`], as each side says it.
pub const NUMBERED_BY_CLIENT: u16 = 6;
pub const NUMBERED_BY_SERVER: u16 = 133;
/// The kinds of [`Packed`].
pub(crate) const PACKED_BY_CLIENT: u16 = 7;
pub(crate) const PACKED_BY_SERVER: u16 = 134;

/// Defines a family of messages: an enum with one variant a kind, its number, and its name.
macro_rules! family {
    ($(#[$meta:meta])* pub enum $family:ident { $($kind:tt $name:ident($body:ty),)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum $family { $($name($body),)+ }

        impl $family {
            /// Number and name of every kind in this family.
            pub const KINDS: &'static [(u16, &'static str)] = &[$(($kind, stringify!($name)),)+];

            pub const fn kind(&self) -> u16 {
                match self { $(Self::$name(_) => $kind,)+ }
            }

            pub const fn name(&self) -> &'static str {
                match self { $(Self::$name(_) => stringify!($name),)+ }
            }
        }

        impl Family for $family {
            fn kind(&self) -> u16 {
                Self::kind(self)
            }

            fn serialize_body<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self { $(Self::$name(body) => body.serialize(serializer),)+ }
            }

            fn deserialize_body<'de, D: Deserializer<'de>>(
                kind: u16,
                deserializer: D,
            ) -> Option<Result<Self, D::Error>> {
                match kind {
                    $($kind => Some(<$body>::deserialize(deserializer).map(Self::$name)),)+
                    _ => None,
                }
            }
        }

        $(impl From<$body> for $family {
            fn from(body: $body) -> Self { Self::$name(body) }
        })+
    };
}

family! {
    /// What concerns the session itself; answered by the session, not by the file service.
    pub enum Session {
        1 Hello(Hello),
        2 Bye(Bye),
        3 Ping(Ping),
        NUMBERED_BY_CLIENT Numbered(Numbered),
        PACKED_BY_CLIENT Packed(Packed),
    }
}

family! {
    /// Opens an exchange with the file service.
    pub enum Request {
        16 List(List),
        17 Walk(Walk),
        18 Stat(Stat),
        19 Read(Read),
        20 Space(Space),
        21 Measure(Measure),
        32 Put(Put),
        33 BeginUpload(BeginUpload),
        37 MakeFolder(MakeFolder),
        38 MakeLink(MakeLink),
        39 SetMode(SetMode),
        40 SetTimes(SetTimes),
        41 Rename(Rename),
        42 Copy(Copy),
        43 Remove(Remove),
        44 Flush(Flush),
        45 Blocks(Blocks),
        48 ReadMetadata(ReadMetadata),
        49 SetMetadata(SetMetadata),
    }
}

family! {
    /// Said within an open exchange, under its id.
    pub enum Input {
        4 Cancel(Cancel),
        5 More(More),
        UPLOAD_DATA_KIND UploadData(UploadData),
        35 CommitUpload(CommitUpload),
        36 AbortUpload(AbortUpload),
        46 UploadSpan(UploadSpan),
    }
}

family! {
    /// What a server says.
    pub enum Answer {
        128 Done(Done),
        129 Fault(Fault),
        130 Welcome(Welcome),
        131 Pong(Pong),
        132 Bye(Bye),
        NUMBERED_BY_SERVER Numbered(Numbered),
        PACKED_BY_SERVER Packed(Packed),
        144 ListPage(ListPage),
        145 WalkPage(WalkPage),
        146 Stats(Stats),
        147 FileWhole(FileWhole),
        148 ReadHead(ReadHead),
        DATA_KIND Data(Data),
        150 ReadDone(ReadDone),
        151 SpaceInfo(SpaceInfo),
        152 BlockHashes(BlockHashes),
        153 Hole(Hole),
        155 Metadata(Metadata),
        156 MetadataSet(MetadataSet),
        160 UploadReady(UploadReady),
        161 UploadAck(UploadAck),
        162 Stored(Stored),
        163 Progress(Progress),
        164 Totals(Totals),
    }
}

/// Everything that a client can send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToServer {
    Session(Session),
    Request(Request),
    Input(Input),
}

/// The two queues in front of a connection: at each frame's end, control goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    Control,
    Bulk,
}

impl Request {
    /// Which queue its answers wait in.
    pub const fn lane(&self) -> Lane {
        match self {
            Self::Read(_) | Self::Blocks(_) => Lane::Bulk,
            _ => Lane::Control,
        }
    }

    /// For a change that must not happen twice: what a repeat is recognised by.
    pub const fn operation(&self) -> Option<OperationId> {
        match self {
            Self::Put(Put { operation, .. })
            | Self::BeginUpload(BeginUpload { operation, .. })
            | Self::MakeFolder(MakeFolder { operation, .. })
            | Self::MakeLink(MakeLink { operation, .. })
            | Self::Rename(Rename { operation, .. })
            | Self::Copy(Copy { operation, .. })
            | Self::Remove(Remove { operation, .. }) => Some(*operation),
            Self::List(_)
            | Self::Walk(_)
            | Self::Stat(_)
            | Self::Read(_)
            | Self::Blocks(_)
            | Self::Space(_)
            | Self::Measure(_)
            | Self::ReadMetadata(_)
            | Self::SetMetadata(_)
            | Self::SetMode(_)
            | Self::SetTimes(_)
            | Self::Flush(_) => None,
        }
    }

    /// Whether it changes anything; refused by a read-only server.
    pub const fn changes(&self) -> bool {
        match self {
            Self::List(_)
            | Self::Walk(_)
            | Self::Stat(_)
            | Self::Read(_)
            | Self::Blocks(_)
            | Self::Space(_)
            | Self::Measure(_)
            | Self::ReadMetadata(_) => false,
            Self::Put(_)
            | Self::BeginUpload(_)
            | Self::MakeFolder(_)
            | Self::MakeLink(_)
            | Self::SetMode(_)
            | Self::SetTimes(_)
            | Self::Rename(_)
            | Self::Copy(_)
            | Self::Remove(_)
            | Self::SetMetadata(_)
            | Self::Flush(_) => true,
        }
    }
}

impl ToServer {
    /// Which queue it waits in on the way to the server. Data must not be overtaken by the commit that follows it.
    pub const fn lane(&self) -> Lane {
        match self {
            Self::Request(Request::Put(_))
            | Self::Input(
                Input::UploadData(_) | Input::UploadSpan(_) | Input::CommitUpload(_) | Input::AbortUpload(_),
            ) => Lane::Bulk,
            _ => Lane::Control,
        }
    }
}

impl Request {
    /// The form for a server without [`Capability::ATTRIBUTES`](crate::hello::Capability::ATTRIBUTES): its times at the nearest moment that
    /// such a server knows.
    pub fn narrow(&mut self) {
        let narrow = |version: &mut Option<Version>| {
            if let Some(version) = version {
                version.modified = version.modified.narrowed();
                version.changed = version.changed.narrowed();
            }
        };
        match self {
            Self::Put(Put { store, .. }) => {
                store.modified = store.modified.narrowed();
                narrow(&mut store.expected);
            }
            Self::BeginUpload(BeginUpload { store, basis, .. }) => {
                store.modified = store.modified.narrowed();
                narrow(&mut store.expected);
                narrow(basis);
            }
            Self::MakeLink(MakeLink { modified, expected, .. }) => {
                *modified = modified.narrowed();
                narrow(expected);
            }
            Self::SetTimes(SetTimes { modified, .. }) => *modified = modified.narrowed(),
            Self::Rename(Rename { expected, .. })
            | Self::Copy(Copy { expected, .. })
            | Self::Remove(Remove { expected, .. }) => narrow(expected),
            Self::Read(Read { version, .. }) | Self::ReadMetadata(ReadMetadata { version, .. }) => {
                narrow(version);
            }
            Self::Blocks(Blocks { version, .. }) => narrow(version),
            Self::List(_)
            | Self::Walk(_)
            | Self::Stat(_)
            | Self::Space(_)
            | Self::Measure(_)
            | Self::MakeFolder(_)
            | Self::SetMode(_)
            | Self::Flush(_)
            | Self::SetMetadata(_) => {}
        }
    }
}

impl Answer {
    /// The form for a client without [`Capability::ATTRIBUTES`](crate::hello::Capability::ATTRIBUTES).
    pub fn narrow(&mut self) {
        match self {
            Self::ListPage(page) => page.entries.iter_mut().for_each(|entry| entry.attributes.narrow()),
            Self::WalkPage(page) => page.items.iter_mut().for_each(|item| item.entry.attributes.narrow()),
            Self::Stats(stats) => {
                stats.items.iter_mut().filter_map(|item| item.0.as_mut().ok()).for_each(Attributes::narrow);
            }
            Self::FileWhole(file) => file.attributes.narrow(),
            Self::ReadHead(head) => head.attributes.narrow(),
            Self::Stored(stored) => stored.attributes.narrow(),
            _ => {}
        }
    }

    /// Whether it ends its exchange.
    pub const fn is_final(&self) -> bool {
        match self {
            Self::Done(_)
            | Self::Fault(_)
            | Self::Welcome(_)
            | Self::Pong(_)
            | Self::Bye(_)
            | Self::Stats(_)
            | Self::FileWhole(_)
            | Self::ReadDone(_)
            | Self::BlockHashes(_)
            | Self::SpaceInfo(_)
            | Self::Metadata(_)
            | Self::MetadataSet(_)
            | Self::Stored(_)
            | Self::Totals(_) => true,
            Self::ListPage(_)
            | Self::WalkPage(_)
            | Self::ReadHead(_)
            | Self::Data(_)
            | Self::Hole(_)
            | Self::UploadReady(_)
            | Self::UploadAck(_)
            | Self::Progress(_)
            | Self::Numbered(_)
            | Self::Packed(_) => false,
        }
    }
}
