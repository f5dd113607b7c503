//! What a file system says of a thing: its kind, size, times, mode and version.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::fault::FaultCode;
use crate::limits::LINK_TARGET_BYTES_MAX;
use crate::path::Name;
use crate::time::Time;
use crate::wire::numbered;

numbered! {
    /// What a thing is.
    pub enum Kind: u8 else Other {
        File = 0,
        Folder = 1,
        Link = 2,
        Fifo = 3,
        Socket = 4,
        CharacterDevice = 5,
        BlockDevice = 6,
        /// Something the server's system has and this protocol does not name.
        Other = 7,
    }
}

impl Kind {
    /// Why one of this kind has no content to copy, in words.
    pub const fn special_text(self) -> &'static str {
        match self {
            Self::Fifo => "not a regular file (fifo)",
            Self::Socket => "not a regular file (socket)",
            Self::CharacterDevice | Self::BlockDevice => "not a regular file (device)",
            _ => FaultCode::SpecialFile.text(),
        }
    }

    /// Fifos, sockets, devices: things that are never opened, and never copied.
    pub const fn is_special(self) -> bool {
        !matches!(self, Self::File | Self::Folder | Self::Link)
    }
}

/// Identifies the content of a file for as long as nobody changes it. Two equal versions mean that neither the file nor
/// its content was replaced, grew, shrank or was touched in between. An array on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Version {
    /// A hash of device and inode; opaque, comparable only on the side that it came from.
    pub identity: u64,
    /// Bytes.
    pub size: u64,
    pub modified: Time,
    /// Time of the last change of content or attributes (ctime).
    pub changed: Time,
}

impl Version {
    /// Returns whether a version that a peer names is `self`. An end of the narrow form of times stands for all that lies beyond it.
    pub fn is_named_by(&self, named: &Self) -> bool {
        self.identity == named.identity
            && self.size == named.size
            && self.modified.agrees_with(named.modified)
            && self.changed.agrees_with(named.changed)
    }
}

/// All that a listing says of a thing, without its name. An array on the wire, frozen for protocol version 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attributes {
    pub kind: Kind,
    /// Bytes; for a file only, else 0.
    pub size: u64,
    pub modified: Time,
    /// Time of the last change of content or attributes (ctime).
    pub changed: Time,
    /// Permission bits, 0o7777 at most.
    pub mode: u16,
    /// A hash of device and inode.
    pub identity: u64,
    /// Nothing but the kind is known, and that may be a guess: the thing is there and cannot be looked at. All else is 0 then.
    pub is_unknown: bool,
    /// For a link, where it can be read: where it points, as stored. Nothing else has one.
    pub link: Option<LinkTarget>,
}

/// Where a symbolic link points, and to what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkTarget {
    /// As stored in the link: 1 to 4,095 bytes, absolute or dangling too.
    pub bytes: Box<[u8]>,
    /// The kind of what it leads to inside the root; none where it dangles, leaves the root, or was not looked up.
    pub kind: Option<Kind>,
}

/// A thing in a folder: its name and its attributes. An array on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub name: Name,
    pub attributes: Attributes,
}

impl Attributes {
    /// Attributes of an entry that exists and cannot be looked at.
    pub const fn unknown(kind: Kind) -> Self {
        let (modified, changed) = (Time::from_ns(0), Time::from_ns(0));
        Self { kind, size: 0, modified, changed, mode: 0, identity: 0, is_unknown: true, link: None }
    }

    /// The form for a peer without [`Capability::ATTRIBUTES`](crate::hello::Capability::ATTRIBUTES).
    pub(crate) fn narrow(&mut self) {
        self.is_unknown = false;
        self.modified = self.modified.narrowed();
        self.changed = self.changed.narrowed();
    }

    pub const fn version(&self) -> Version {
        Version { identity: self.identity, size: self.size, modified: self.modified, changed: self.changed }
    }

    /// A folder, or a link that leads to one.
    pub fn leads_to_folder(&self) -> bool {
        self.kind == Kind::Folder || self.link.as_ref().is_some_and(|link| link.kind == Some(Kind::Folder))
    }
}

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.identity, self.size, self.modified, self.changed).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (identity, size, modified, changed) = Deserialize::deserialize(deserializer)?;
        Ok(Self { identity, size, modified, changed })
    }
}

/// `[kind, size, modified, changed, mode, identity, target | nil, target_kind | nil]`; all from `size` to `identity` are nil if unknown.
type AttributesArray<'a> = (
    Kind,
    Option<u64>,
    Option<Time>,
    Option<Time>,
    Option<u16>,
    Option<u64>,
    Option<&'a serde_bytes::Bytes>,
    Option<Kind>,
);

impl Attributes {
    fn as_array(&self) -> AttributesArray<'_> {
        if self.is_unknown {
            return (self.kind, None, None, None, None, None, None, None);
        }
        let target = self.link.as_ref().map(|link| serde_bytes::Bytes::new(&link.bytes));
        let target_kind = self.link.as_ref().and_then(|link| link.kind);
        (
            self.kind,
            Some(self.size),
            Some(self.modified),
            Some(self.changed),
            Some(self.mode),
            Some(self.identity),
            target,
            target_kind,
        )
    }

    fn from_array<E: serde::de::Error>(array: AttributesArray<'_>) -> Result<Self, E> {
        let (kind, size, modified, changed, mode, identity, target, target_kind) = array;
        let (size, modified, changed, mode, identity) = match (size, modified, changed, mode, identity) {
            (Some(size), Some(modified), Some(changed), Some(mode), Some(identity)) => {
                (size, modified, changed, mode, identity)
            }
            (None, None, None, None, None) if target.is_none() => return Ok(Self::unknown(kind)),
            _ => return Err(E::custom("attributes that are known in part")),
        };
        if mode > 0o7777 {
            return Err(E::custom("a mode has more than the permission bits"));
        }
        if target.is_some_and(|target| {
            target.is_empty() || target.len() > LINK_TARGET_BYTES_MAX || target.contains(&0)
        }) {
            return Err(E::custom("a link's target is empty, too long or contains NUL"));
        }
        if target.is_some() && kind != Kind::Link {
            return Err(E::custom("only a link has a target"));
        }
        let link = target.map(|target| LinkTarget { bytes: Box::from(&**target), kind: target_kind });
        Ok(Self { kind, size, modified, changed, mode, identity, is_unknown: false, link })
    }
}

impl Serialize for Attributes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_array().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Attributes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_array(Deserialize::deserialize(deserializer)?)
    }
}

impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (&self.name, &self.attributes).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (name, attributes) = Deserialize::deserialize(deserializer)?;
        Ok(Self { name, attributes })
    }
}
