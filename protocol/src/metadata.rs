//! Metadata besides the attributes: owner, group and extended attributes. It travels on request only. What could
//! not be given to a thing, its mode and time included, is told and fails nothing.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::display::PeerText;
use crate::limits::{
    EXTENDED_BYTES_MAX, EXTENDED_MAX, EXTENDED_NAME_BYTES_MAX, EXTENDED_VALUE_BYTES_MAX, OWNER_NAME_BYTES_MAX,
};
use crate::request::bytes_up_to;
use crate::wire::{bounded, is_default, numbered};

numbered! {
    /// One part of what a copy keeps: the first four on request, mode and time always. The numbers are bits of [`Parts`] on the wire.
    pub enum Part: u8 {
        Owner = 1,
        Group = 2,
        /// The bits setuid, setgid and sticky.
        Special = 4,
        /// Extended attributes, access lists among them.
        Extended = 8,
        /// The permission bits.
        Mode = 16,
        /// The time of modification.
        Modified = 32,
    }
}

impl Part {
    pub const fn words(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Group => "group",
            Self::Special => "setuid, setgid or sticky bits",
            Self::Extended => "extended attributes",
            Self::Mode => "mode",
            Self::Modified => "modification time",
        }
    }
}

/// A set of [`Part`]s. On the wire a number, the sum of their bits; a bit that is not known is ignored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Parts(u8);

impl Parts {
    pub const NONE: Self = Self(0);

    pub const fn from_bits(bits: u8) -> Self {
        Self(bits & 0b11_1111)
    }

    pub const fn bits(self) -> u8 {
        self.0
    }

    #[must_use]
    pub const fn with(self, part: Part) -> Self {
        Self(self.0 | part as u8)
    }

    #[must_use]
    pub const fn and_also(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub const fn have(self, part: Part) -> bool {
        self.0 & part as u8 != 0
    }

    pub const fn are_none(self) -> bool {
        self.0 == 0
    }
}

/// `owner, extended attributes`; `nothing` for none.
impl fmt::Display for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.are_none() {
            return f.write_str("nothing");
        }
        let parts = Part::ALL.iter().filter(|part| self.have(**part));
        for (number, part) in parts.enumerate() {
            let comma = if number > 0 { ", " } else { "" };
            write!(f, "{comma}{}", part.words())?;
        }
        Ok(())
    }
}

impl Serialize for Parts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Parts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u8::deserialize(deserializer).map(Self::from_bits)
    }
}

/// A user or a group. Where it arrives its name counts, and its number where nobody there has that name; number 0 is always 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    pub number: u32,
    /// At most 255 bytes; none where the system has no name for it.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "owner_name")]
    pub name: Option<PeerText<OWNER_NAME_BYTES_MAX>>,
}

fn owner_name<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<PeerText<OWNER_NAME_BYTES_MAX>>, D::Error> {
    Deserialize::deserialize(deserializer).map(Some)
}

/// One extended attribute: `[name, value]`.
#[derive(Clone, PartialEq, Eq)]
pub struct Extended {
    /// 1 to 255 bytes without NUL, with its namespace, as `user.comment`.
    pub name: Vec<u8>,
    /// At most 64 KiB.
    pub value: Vec<u8>,
}

impl fmt::Debug for Extended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = String::from_utf8_lossy(&self.name);
        f.debug_struct("Extended").field("name", &name).field("bytes", &self.value.len()).finish()
    }
}

impl Serialize for Extended {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (serde_bytes::Bytes::new(&self.name), serde_bytes::Bytes::new(&self.value)).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Extended {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (Name(name), Value(value)) = Deserialize::deserialize(deserializer)?;
        if name.is_empty() || name.contains(&0) {
            return Err(serde::de::Error::custom("the name of an attribute is empty or contains NUL"));
        }
        Ok(Self { name, value })
    }
}

#[derive(Deserialize)]
struct Name(#[serde(deserialize_with = "bytes_up_to::<_, EXTENDED_NAME_BYTES_MAX>")] Vec<u8>);

#[derive(Deserialize)]
struct Value(#[serde(deserialize_with = "bytes_up_to::<_, EXTENDED_VALUE_BYTES_MAX>")] Vec<u8>);

/// All that is kept of a thing on request; final, where it answers [`ReadMetadata`](crate::request::ReadMetadata).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Owner>,
    /// At most 256, of 128 KiB with their names.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "extended")]
    pub extended: Vec<Extended>,
    /// What the thing has and this does not say: it could not be read, or is too much.
    #[serde(default, skip_serializing_if = "is_default")]
    pub unread: Parts,
}

fn extended<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Extended>, D::Error> {
    let extended: Vec<Extended> = bounded::<_, _, EXTENDED_MAX>(deserializer)?;
    if extended.iter().map(Extended::bytes).sum::<usize>() > EXTENDED_BYTES_MAX {
        return Err(serde::de::Error::custom(format_args!(
            "attributes of more than {EXTENDED_BYTES_MAX} bytes"
        )));
    }
    Ok(extended)
}

impl Extended {
    /// What counts against the bound of a thing's attributes.
    pub const fn bytes(&self) -> usize {
        self.name.len() + self.value.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_a_sum_of_bits_and_unknown_ones_are_ignored() {
        let parts = Parts::NONE.with(Part::Owner).with(Part::Extended);
        assert_eq!((parts.bits(), parts.to_string().as_str()), (9, "owner, extended attributes"));
        assert_eq!(Parts::from_bits(0xc9), parts);
        assert_eq!(Parts::NONE.to_string(), "nothing");
    }
}
