//! Which running system this is, whose process, and where a root is in it: what a client needs to notice that two services show it the
//! same things. Knows no request; opens nothing that a peer has named.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::OnceLock;

use towpath_protocol::hello::{Machine, MachineId};
use towpath_protocol::limits::PATH_COMPONENTS_MAX;

use crate::disk;
use crate::disk::writing;

/// Keeps what peers are told apart from what the system says of itself.
const ID_CONTEXT: &str = "towpath 2026-11 machine id";

/// None where the system has no identity that ends with its last boot, as devices' numbers do.
pub(crate) fn of_root(root: impl AsFd) -> Option<Machine> {
    let digest = blake3::derive_key(ID_CONTEXT, boot_id()?);
    let mut id = [0; 16];
    id.copy_from_slice(&digest[..16]);
    Some(Machine { id: MachineId(id), above: above(root) })
}

/// For a folder of `root`, which may be all that can be opened by now.
pub(crate) fn of_folder_in(root: &Machine, root_folder: impl AsFd, folder: impl AsFd) -> Machine {
    let mut above = above(folder);
    if let Ok(there) = disk::stat_open(root_folder)
        && let Some(at) = above.iter().position(|identity| *identity == there.identity)
    {
        above.truncate(at + 1);
        above.extend(&root.above);
        above.truncate(PATH_COMPONENTS_MAX);
    }
    Machine { id: root.id, above }
}

/// The name of the user that this process runs as, by the system's list of users. `None` if that has no name for it.
pub fn user_name() -> Option<String> {
    let user = nix::unistd::User::from_uid(nix::unistd::Uid::effective()).ok()??;
    Some(user.name).filter(|name| !name.is_empty())
}

/// Read once, and so before a wall is raised that keeps it from us.
#[allow(clippy::disallowed_methods, reason = "a file of the kernel's, not of people's")]
fn boot_id() -> Option<&'static [u8]> {
    static BOOT_ID: OnceLock<Option<Vec<u8>>> = OnceLock::new();
    let read = || std::fs::read("/proc/sys/kernel/random/boot_id").ok().filter(|id| !id.is_empty());
    BOOT_ID.get_or_init(read).as_deref()
}

/// Identities of the folders above, the nearest first, as far up as may be looked.
fn above(folder: impl AsFd) -> Vec<u64> {
    let identity = |folder: &OwnedFd| disk::stat_open(folder).ok().map(|there| there.identity);
    let mut below = disk::stat_open(&folder).ok().map(|there| there.identity);
    let mut above = Vec::new();
    let mut parent = writing::open_parent(folder);
    while let Ok(opened) = parent
        && above.len() < PATH_COMPONENTS_MAX
        && let Some(found) = identity(&opened)
        // The top is its own parent.
        && below != Some(found)
    {
        above.push(found);
        below = Some(found);
        parent = writing::open_parent(opened);
    }
    above
}
