//! Whose things are, and their extended attributes: read, and given to something open. What cannot be given is told and fails nothing.
//! The same rules as `disk`: descriptors only, also of what was opened only to be looked at.

use std::os::fd::{AsFd, BorrowedFd};

use nix::unistd::{Gid as GroupNumber, Group, Uid as UserNumber, User};
use rustix::fs::{AtFlags, FileType, Gid, RawMode, Stat, Uid, XattrFlags};
use rustix::io::Errno;
use towpath_protocol::fault::Fault;
use towpath_protocol::limits::{
    EXTENDED_BYTES_MAX, EXTENDED_MAX, EXTENDED_NAME_BYTES_MAX, EXTENDED_VALUE_BYTES_MAX, OWNER_NAME_BYTES_MAX,
};
use towpath_protocol::metadata::{Extended, Metadata, Owner, Part, Parts};

use super::mode::handle;
use super::{fault_of, mode};

/// Attributes that everybody may have on their own files. All others mean something to the system.
const USER: &[u8] = b"user.";
/// Rights of a program, worth as much as setuid.
const CAPABILITY: &[u8] = b"security.capability";
/// What they say holds for one inode, or one system's policy.
const BOUND: [&[u8]; 3] = [b"security.selinux", b"security.ima", b"security.evm"];
/// Of the system's own only access lists are more than another view of what is known already.
const SYSTEM: &[u8] = b"system.";
const ACCESS_LIST: &[u8] = b"system.posix_acl_";

/// What whoever asks may give to things, and see of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Authority {
    /// Attributes of the `user` namespace.
    User,
    /// All that this process may.
    Process,
}

impl Authority {
    fn allows(self, name: &[u8]) -> bool {
        let is_known = !BOUND.contains(&name) && (!name.starts_with(SYSTEM) || name.starts_with(ACCESS_LIST));
        name.starts_with(USER) || (self == Self::Process && is_known)
    }
}

/// All that is kept of a thing on request. A link's attributes stay out: none that people make can be there.
pub(crate) fn read(thing: impl AsFd, authority: Authority) -> Result<Metadata, Fault> {
    let thing = thing.as_fd();
    let stat = rustix::fs::fstat(thing).map_err(fault_of)?;
    let mut metadata = Metadata {
        owner: Some(Owner { number: stat.st_uid, name: user_name(stat.st_uid).map(Into::into) }),
        group: Some(Owner { number: stat.st_gid, name: group_name(stat.st_gid).map(Into::into) }),
        ..Metadata::default()
    };
    if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink
        && !read_extended(thing, authority, &mut metadata)
    {
        metadata.unread = metadata.unread.with(Part::Extended);
    }
    Ok(metadata)
}

/// False where not all could be read.
fn read_extended(thing: BorrowedFd<'_>, authority: Authority, metadata: &mut Metadata) -> bool {
    let mut names = vec![0; EXTENDED_VALUE_BYTES_MAX];
    let names = match list(thing, &mut names) {
        Ok(len) => &names[..len],
        // A file system without them.
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => return true,
        Err(_) => return false,
    };
    let (mut is_whole, mut bytes, mut value) = (true, 0, vec![0; EXTENDED_VALUE_BYTES_MAX]);
    for name in names.split(|byte| *byte == 0).filter(|name| !name.is_empty() && authority.allows(name)) {
        let read = match value_of(thing, name, &mut value) {
            Ok(len) => Extended { name: name.to_vec(), value: value[..len].to_vec() },
            // It went meanwhile.
            Err(Errno::NODATA) => continue,
            Err(_) => {
                is_whole = false;
                continue;
            }
        };
        bytes += read.bytes();
        if name.len() > EXTENDED_NAME_BYTES_MAX
            || bytes > EXTENDED_BYTES_MAX
            || metadata.extended.len() == EXTENDED_MAX
        {
            return false;
        }
        metadata.extended.push(read);
    }
    is_whole
}

/// Bytes of all extended attributes of a thing, their names included.
pub(crate) fn extended_bytes(thing: impl AsFd) -> u64 {
    let thing = thing.as_fd();
    let mut names = vec![0; EXTENDED_VALUE_BYTES_MAX];
    let Ok(len) = list(thing, &mut names) else { return 0 };
    let names = names[..len].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    let mut value = vec![0; EXTENDED_VALUE_BYTES_MAX];
    let bytes = names.map(|name| match value_of(thing, name, &mut value) {
        Ok(len) => name.len() + len,
        Err(Errno::RANGE) => name.len() + EXTENDED_VALUE_BYTES_MAX,
        Err(_) => name.len(),
    });
    bytes.fold(0, |sum, bytes| sum + bytes as u64)
}

fn list(thing: BorrowedFd<'_>, names: &mut [u8]) -> Result<usize, Errno> {
    match rustix::fs::flistxattr(thing, &mut *names) {
        Err(Errno::BADF) => rustix::fs::listxattr(handle(thing), names),
        listed => listed,
    }
}

pub(super) fn value_of(thing: BorrowedFd<'_>, name: &[u8], value: &mut [u8]) -> Result<usize, Errno> {
    match rustix::fs::fgetxattr(thing, name, &mut *value) {
        Err(Errno::BADF) => rustix::fs::getxattr(handle(thing), name, value),
        read => read,
    }
}

/// Gives an open file, folder or link what is in `metadata`, and a file or folder its mode: the owner first, since that takes special
/// bits away and must be right before there are any. Without authority it gets `permitted` of the mode. Returns what could not be set.
pub(crate) fn give(
    thing: impl AsFd,
    (wanted, permitted): (u16, u16),
    metadata: &Metadata,
    authority: Authority,
) -> Result<Parts, Fault> {
    let thing = thing.as_fd();
    let before = rustix::fs::fstat(thing).map_err(fault_of)?;
    let now = give_owner(thing, before, metadata, authority)?;
    let mut unset = metadata.unread;
    let has_owner = metadata.owner.as_ref().is_some_and(|owner| owner_here(owner, user_number) == now.st_uid);
    let has_group =
        metadata.group.as_ref().is_some_and(|group| owner_here(group, group_number) == now.st_gid);
    if metadata.owner.is_some() && !has_owner {
        unset = unset.with(Part::Owner);
    }
    if metadata.group.is_some() && !has_group {
        unset = unset.with(Part::Group);
    }
    for Extended { name, value } in &metadata.extended {
        let is_safe = name != CAPABILITY || (has_owner && has_group);
        if !(is_safe && authority.allows(name) && set(thing, name, value).is_ok()) {
            unset = unset.with(Part::Extended);
        }
    }
    if FileType::from_raw_mode(now.st_mode) == FileType::Symlink {
        return Ok(unset);
    }
    let wanted = RawMode::from(wanted & 0o7777);
    let given = match authority {
        Authority::User => special_here(&now) | RawMode::from(permitted),
        Authority::Process => {
            let with = |has: bool, bit: RawMode| if has { wanted & bit } else { 0 };
            with(has_owner, 0o4000) | with(has_group, 0o2000) | wanted & 0o1777
        }
    };
    // Correct attributes are not set again: some systems refuse the call itself.
    let is_set = now.st_mode & 0o7777 == given || mode::change(thing, given).is_ok();
    // The system drops setgid without a word where it is not ours to give.
    let is = rustix::fs::fstat(thing).map_err(fault_of)?.st_mode;
    if !is_set || (is ^ given) & 0o777 != 0 {
        unset = unset.with(Part::Mode);
    }
    if wanted & 0o7000 & !is != 0 {
        unset = unset.with(Part::Special);
    }
    Ok(unset)
}

/// The special bits that a thing keeps from whoever may not give any: a folder's, since they are this system's.
fn special_here(stat: &Stat) -> RawMode {
    if FileType::from_raw_mode(stat.st_mode) == FileType::Directory { stat.st_mode & 0o7000 } else { 0 }
}

/// What the thing is then. Somebody who may not give it away may still give it to another group of theirs.
fn give_owner(
    thing: BorrowedFd<'_>,
    before: Stat,
    metadata: &Metadata,
    authority: Authority,
) -> Result<Stat, Fault> {
    let owner = metadata.owner.as_ref().map(|owner| owner_here(owner, user_number));
    let group = metadata.group.as_ref().map(|group| owner_here(group, group_number));
    let (owner, group) =
        (owner.filter(|owner| *owner != before.st_uid), group.filter(|group| *group != before.st_gid));
    // One that has other names may be anybody's.
    let is_single = FileType::from_raw_mode(before.st_mode) == FileType::Directory || before.st_nlink == 1;
    if authority == Authority::User || !is_single || (owner.is_none() && group.is_none()) {
        return Ok(before);
    }
    // A second look tells which attributes could not be set, for any reason.
    if change_owner(thing, owner, group).is_err() && owner.is_some() {
        let _ = change_owner(thing, None, group);
    }
    rustix::fs::fstat(thing).map_err(fault_of)
}

fn change_owner(thing: BorrowedFd<'_>, owner: Option<u32>, group: Option<u32>) -> Result<(), Errno> {
    // These numbers would mean to leave it as it is.
    let is_real = |number: &u32| *number != u32::MAX;
    let (owner, group) = (owner.filter(is_real).map(Uid::from_raw), group.filter(is_real).map(Gid::from_raw));
    rustix::fs::chownat(thing, c"", owner, group, AtFlags::EMPTY_PATH)
}

fn set(thing: BorrowedFd<'_>, name: &[u8], value: &[u8]) -> Result<(), Errno> {
    match rustix::fs::fsetxattr(thing, name, value, XattrFlags::empty()) {
        Err(Errno::BADF) => rustix::fs::setxattr(handle(thing), name, value, XattrFlags::empty()),
        set => set,
    }
}

/// The number that somebody has here: by the name, where there is one of that name.
fn owner_here(owner: &Owner, number_of: impl FnOnce(&str) -> Option<u32>) -> u32 {
    let name = owner.name.as_ref().filter(|_| owner.number != 0);
    let by_name = name.and_then(|name| number_of(str::from_utf8(name.as_bytes()).ok()?));
    // Who is not root there does not become root here by a name.
    by_name.filter(|number| *number != 0).unwrap_or(owner.number)
}

fn user_number(name: &str) -> Option<u32> {
    User::from_name(name).ok().flatten().map(|user| user.uid.as_raw())
}

fn group_number(name: &str) -> Option<u32> {
    Group::from_name(name).ok().flatten().map(|group| group.gid.as_raw())
}

fn user_name(number: u32) -> Option<String> {
    User::from_uid(UserNumber::from_raw(number))
        .ok()
        .flatten()
        .map(|user| user.name)
        .filter(|name| name.len() <= OWNER_NAME_BYTES_MAX)
}

fn group_name(number: u32) -> Option<String> {
    Group::from_gid(GroupNumber::from_raw(number))
        .ok()
        .flatten()
        .map(|group| group.name)
        .filter(|name| name.len() <= OWNER_NAME_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_counts_before_a_number_and_root_is_root_by_its_number_alone() {
        let owner = |number, name: Option<&str>| Owner { number, name: name.map(Into::into) };
        let known = |name: &str| match name {
            "ann" => Some(7),
            "toor" => Some(0),
            _ => None,
        };
        assert_eq!(owner_here(&owner(1000, Some("ann")), known), 7);
        assert_eq!(owner_here(&owner(1000, Some("bob")), known), 1000);
        assert_eq!(owner_here(&owner(1000, None), known), 1000);
        assert_eq!(owner_here(&owner(0, Some("ann")), known), 0);
        assert_eq!(owner_here(&owner(1000, Some("toor")), known), 1000);
    }

    #[test]
    fn what_means_something_to_the_system_is_not_everybodys_to_give() {
        for (name, user, process) in [
            ("user.comment", true, true),
            ("security.capability", false, true),
            ("system.posix_acl_access", false, true),
            ("trusted.overlay", false, true),
            ("security.selinux", false, false),
            ("system.nfs4_acl", false, false),
        ] {
            let name = name.as_bytes();
            assert_eq!((Authority::User.allows(name), Authority::Process.allows(name)), (user, process));
        }
    }
}
