//! What a client may do, and the one table of what each request needs. Both sides read it: a server refuses by it, and a client
//! refuses at once what the server would refuse. It knows no clients and no folders.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::fault::{Fault, FaultCode};
use crate::hello::{Access, Welcome};
use crate::message::Request;
use crate::path::WirePath;
use crate::request::{BeginUpload, Copy, Existing, MakeLink, Put, Rename, StoreAs};
use crate::wire::numbered;

numbered! {
    /// One thing that a client may do. The numbers are bits of a [`Permissions`] on the wire.
    pub enum Permission: u8 {
        /// See what is in folders.
        List = 1,
        /// Read files.
        Read = 2,
        /// Add files, links and folders, and set modes and times. Nothing that is there is lost by it.
        Write = 4,
        /// Remove, replace and rename what is there.
        Delete = 8,
        /// With what it writes: give owner, group, setuid, setgid, all of a mode and all extended attributes, as far as the server itself
        /// may. Never given by itself in a folder that is served.
        Owner = 16,
    }
}

impl Permission {
    pub const fn word(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Read => "read",
            Self::Write => "write",
            Self::Delete => "delete",
            Self::Owner => "owner",
        }
    }
}

/// A set of [`Permission`]s. On the wire a number, the sum of their bits; a bit that is not known is ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Permissions(u8);

impl Permissions {
    pub const NONE: Self = Self(0);
    /// All that a client may do where nobody says otherwise: everything but [`Permission::Owner`].
    pub const ALL: Self = Self(0b1111);
    /// Looks, and changes nothing.
    pub const READ_ONLY: Self = Self(Permission::List as u8 | Permission::Read as u8);

    /// Those of a number on the wire.
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits & (Self::ALL.0 | Permission::Owner as u8))
    }

    #[must_use]
    pub const fn with(self, permission: Permission) -> Self {
        Self(self.0 | permission as u8)
    }

    pub const fn allow(self, permission: Permission) -> bool {
        self.0 & permission as u8 != 0
    }

    /// What both sets have.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether these are enough for what needs `needed`.
    pub const fn cover(self, needed: Self) -> bool {
        needed.0 & !self.0 == 0
    }

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
    pub const fn are_all(&self) -> bool {
        self.0 == Self::ALL.0
    }

    pub const fn are_none(self) -> bool {
        self.0 == 0
    }

    /// Whether anything may change.
    pub const fn access(self) -> Access {
        if self.allow(Permission::Write) || self.allow(Permission::Delete) {
            Access::ReadWrite
        } else {
            Access::ReadOnly
        }
    }

    /// `list, read and write`; `nothing` for none.
    pub fn in_words(self) -> String {
        let mut words: Vec<&str> = self.iter().map(Permission::word).collect();
        let Some(last) = words.pop() else { return "nothing".to_owned() };
        if words.is_empty() { last.to_owned() } else { format!("{} and {last}", words.join(", ")) }
    }

    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::ALL.iter().copied().filter(move |permission| self.allow(*permission))
    }
}

impl Default for Permissions {
    fn default() -> Self {
        Self::ALL
    }
}

/// `list,read`; `nothing` for none.
impl fmt::Display for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.are_none() {
            return f.write_str("nothing");
        }
        for (number, permission) in self.iter().enumerate() {
            let comma = if number > 0 { "," } else { "" };
            write!(f, "{comma}{}", permission.word())?;
        }
        Ok(())
    }
}

/// What is no list of permissions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{}' is none of list, read, write, delete, owner", crate::display::DisplayName::new(self.0.as_bytes()))]
pub struct NoPermission(String);

/// As [`Display`](fmt::Display) writes them. At least one is named: who may do nothing is no client.
impl FromStr for Permissions {
    type Err = NoPermission;

    fn from_str(text: &str) -> Result<Self, NoPermission> {
        text.split(',').try_fold(Self::NONE, |permissions, word| {
            let found = Permission::ALL.iter().find(|permission| permission.word() == word.trim());
            found.map(|found| permissions.with(*found)).ok_or_else(|| NoPermission(word.trim().to_owned()))
        })
    }
}

impl Serialize for Permissions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Permissions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Bits that are not known are ignored, however many there will be.
        u64::deserialize(deserializer).map(|bits| Self::from_bits(bits.to_le_bytes()[0]))
    }
}

impl Request {
    /// The path that it reads or changes; of two the one that is changed last. `None` if it names several, or none.
    fn concerns(&self) -> Option<WirePath> {
        let location = match self {
            Self::Stat(_) => return None,
            Self::Space(space) => return Some(space.path.clone()),
            Self::Measure(measure) => match measure.things.as_slice() {
                [thing] => thing,
                _ => return None,
            },
            Self::List(list) => &list.folder,
            Self::Walk(walk) => &walk.start,
            Self::Read(read) => &read.file,
            Self::Blocks(blocks) => &blocks.file,
            Self::Put(put) => &put.file,
            Self::BeginUpload(begin) => &begin.file,
            Self::MakeFolder(make) => &make.folder,
            Self::MakeLink(make) => &make.link,
            Self::SetMode(set) => &set.thing,
            Self::SetTimes(set) => &set.thing,
            Self::Rename(rename) => &rename.to,
            Self::Copy(copy) => &copy.to,
            Self::Remove(remove) => &remove.thing,
            Self::Flush(flush) => &flush.folder,
            Self::ReadMetadata(read) => &read.thing,
            Self::SetMetadata(set) => &set.thing,
        };
        location.whole().ok()
    }

    /// What a client needs for it: the table. To ask about one thing whose name it knows, and for the room on the disk, it needs nothing.
    pub const fn needs(&self) -> Permissions {
        const fn all(permissions: &[Permission]) -> Permissions {
            let mut set = Permissions::NONE;
            let mut at = 0;
            while at < permissions.len() {
                set = set.with(permissions[at]);
                at += 1;
            }
            set
        }
        use Permission::{Delete, List, Read, Write};
        let needed = match self {
            Self::Stat(_) | Self::Space(_) => Permissions::NONE,
            Self::List(_) | Self::Walk(_) | Self::Measure(_) => all(&[List]),
            Self::Read(_) | Self::Blocks(_) | Self::ReadMetadata(_) => all(&[Read]),
            // Whoever takes over parts of what is there learns by the hash of the whole what is in them.
            Self::Copy(_) | Self::BeginUpload(BeginUpload { basis: Some(_), .. }) => all(&[Read, Write]),
            Self::Put(_)
            | Self::BeginUpload(_)
            | Self::MakeFolder(_)
            | Self::MakeLink(_)
            | Self::SetMode(_)
            | Self::SetTimes(_)
            | Self::SetMetadata(_)
            | Self::Flush(_) => all(&[Write]),
            Self::Rename(_) => all(&[Write, Delete]),
            Self::Remove(_) => all(&[Delete]),
        };
        if self.may_replace() { needed.with(Delete) } else { needed }
    }

    /// Whether it may put something in the place of what is there.
    const fn may_replace(&self) -> bool {
        let existing = match self {
            Self::Put(Put { store: StoreAs { existing, .. }, .. })
            | Self::BeginUpload(BeginUpload { store: StoreAs { existing, .. }, .. })
            | Self::MakeLink(MakeLink { existing, .. })
            | Self::Rename(Rename { existing, .. })
            | Self::Copy(Copy { existing, .. }) => *existing,
            // Where a folder is there already, it stays as it is.
            _ => return false,
        };
        !matches!(existing, Existing::Keep)
    }
}

impl Welcome {
    /// What this client may do here.
    pub const fn permissions(&self) -> Permissions {
        match self.access {
            Access::ReadWrite => self.may,
            Access::ReadOnly => self.may.and(Permissions::READ_ONLY),
        }
    }

    /// What `request` is answered with where this client may not do it.
    pub fn refusal(&self, request: &Request) -> Option<Fault> {
        let (may, needed) = (self.permissions(), request.needs());
        if may.cover(needed) {
            return None;
        }
        let mut fault = if request.changes() && matches!(self.access, Access::ReadOnly) {
            FaultCode::ReadOnly.into()
        } else {
            Fault::new(FaultCode::PermissionDenied).because(format!(
                "needs {}; you may {}",
                needed.in_words(),
                may.in_words()
            ))
        };
        fault.path = request.concerns();
        Some(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_written_as_they_are_read() {
        for bits in 1..=31 {
            let permissions = Permissions::from_bits(bits);
            assert_eq!(permissions.to_string().parse(), Ok(permissions));
        }
        assert_eq!("read, list".parse(), Ok(Permissions::READ_ONLY));
        assert_eq!(Permissions::READ_ONLY.to_string(), "list,read");
        assert_eq!(Permissions::READ_ONLY.in_words(), "list and read");
        assert_eq!(Permissions::ALL.in_words(), "list, read, write and delete");
        assert_eq!(Permissions::NONE.in_words(), "nothing");
        for wrong in ["", "list,", "all", "nothing", "List"] {
            assert!(wrong.parse::<Permissions>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_bit_that_is_not_known_is_ignored() {
        let read = |bytes: &[u8]| rmp_serde::from_slice::<Permissions>(bytes);
        assert_eq!(read(&[0xcc, 0xe3]).unwrap(), Permissions::READ_ONLY);
        assert_eq!(read(&[0]).unwrap(), Permissions::NONE);
        // The widest number.
        let widest = [&[0xcf][..], &[0xff; 8]].concat();
        assert_eq!(read(&widest).unwrap(), Permissions::ALL.with(Permission::Owner));
        assert!(read(&[0xc0]).is_err());
    }
}
