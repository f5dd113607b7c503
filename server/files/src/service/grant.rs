//! What one client gets of a service: a folder of it, what it may do there, and how much it may store. It knows no keys and no
//! names of clients, only their numbers.

use std::sync::Arc;

use towpath_protocol::fault::Fault;
use towpath_protocol::hello::{Access, Welcome};
use towpath_protocol::path::WirePath;
use towpath_protocol::permissions::{Permission, Permissions};

use super::Service;
use super::allowance::Allowance;
use super::blocking_pool::Owner;
use crate::machine;

/// Tells one client's operations from another's. Numbers are not given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientId(pub u32);

impl ClientId {
    /// Whoever the system itself let in.
    pub const NOBODY: Self = Self(0);
}

/// What a client is granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    pub client: ClientId,
    /// Its root, below the service's own; links on the way resolve as they do for everybody.
    pub folder: WirePath,
    pub may: Permissions,
    /// Bytes that this client may have stored, wherever they are now, and one inode for each 4 KiB of them; `None` for as many as the disk
    /// holds.
    pub quota_bytes: Option<u64>,
}

impl Service {
    /// The service as this client sees it. Its sessions share it, so that they share the quota. Fails where its folder cannot be
    /// opened; may wait for the disk.
    pub fn for_client(&self, grant: &Grant) -> Result<Self, Fault> {
        let root = self.root.within(&grant.folder)?;
        // To give owners is nothing that a folder that is served allows by itself: here somebody has said so.
        let ours = match self.welcome.access {
            Access::ReadOnly => self.welcome.permissions(),
            Access::ReadWrite => self.welcome.permissions().with(Permission::Owner),
        };
        let may = ours.and(grant.may);
        let access = match self.welcome.access {
            Access::ReadOnly => Access::ReadOnly,
            Access::ReadWrite => may.access(),
        };
        let mut welcome = Welcome { may, access, ..self.welcome.clone() };
        if !grant.folder.is_root() {
            let above = welcome.root_name.to_string();
            welcome.root_name = format!("{}/{}", above.trim_end_matches('/'), grant.folder.display()).into();
            welcome.root_kind = root.kind();
            welcome.home = WirePath::root();
            let machine = welcome.machine.as_ref();
            welcome.machine =
                machine.map(|machine| machine::of_folder_in(machine, self.root.folder(), root.folder()));
        }
        let client_memory = self.client_memory.of_another();
        Ok(Self {
            welcome,
            root: Arc::new(root),
            client: grant.client,
            owner: Owner::Client(grant.client),
            memory: client_memory.session(),
            client_memory,
            share: self.share.of_another(),
            allowance: Arc::new(Allowance::new(
                self.allowance.limits(),
                self.allowance.ledger().clone(),
                grant.client,
                grant.quota_bytes,
            )),
            outcomes: self.outcomes.clone(),
            leftovers: self.leftovers.clone(),
            pool: self.pool.clone(),
            buffers: self.buffers.clone(),
            room: self.room.clone(),
            flushing: self.flushing.clone(),
            asides: self.asides.clone(),
            open_files: self.open_files.of_another(),
        })
    }
}
