//! Typed shorthands for requests with one answer, and random operation ids. What takes long or streams is opened with
//! [`Link::open`] by whoever shows its progress.

use towpath_protocol::answer::{ListPage, SpaceInfo, Totals};
use towpath_protocol::entry::{Attributes, Version};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::hello::Capability;
use towpath_protocol::message::{Answer, Request};
use towpath_protocol::path::{Location, WirePath};
use towpath_protocol::permissions::Permission;
use towpath_protocol::request::{
    BeginUpload, Depth, Direction, Durability, Existing, Follow, Hidden, List, MakeFolder, Measure,
    OperationId, Read, Remove, Rename, SortKey, Space, Stat, StoreAs, Wants,
};
use towpath_protocol::time::Time;

use super::Link;
use super::pages::{PAGES_FIRST, Pages};

/// A fresh random operation id, from the system's generator.
pub fn operation_id() -> Result<OperationId, Fault> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| Fault::new(FaultCode::Internal).because(format!("no random numbers: {error}")))?;
    Ok(OperationId(bytes))
}

impl Link {
    /// What `path` is: of a link in the last place itself, or of what it leads to.
    pub async fn stat(&self, path: &WirePath, follow: Follow) -> Result<Attributes, Fault> {
        let place = Location::of(path);
        let request = Stat { base: place.base, paths: vec![place.path], follow };
        let Answer::Stats(stats) = self.call(request).await? else { return Err(unexpected()) };
        let item = stats.items.into_iter().next().ok_or_else(unexpected)?;
        item.0.map_err(|code| Fault::new(code).at(path.clone()))
    }

    /// Opens a listing.
    pub fn list(&self, folder: &WirePath, sort: SortKey, direction: Direction, hidden: Hidden) -> Listing {
        let folder = Location::through(folder);
        let pages = Pages::open(self, List { folder, sort, direction, hidden, pages: PAGES_FIRST });
        Listing { pages, entries_max: u64::MAX, left: None }
    }

    /// Makes one folder; its parent must exist.
    pub async fn make_folder(&self, path: &WirePath, existing: Existing) -> Result<(), Fault> {
        let folder = Location::of(path);
        self.call(MakeFolder { operation: operation_id()?, folder, mode: 0o777, existing }).await.map(drop)
    }

    /// Renames within the root.
    pub async fn rename(&self, from: &WirePath, to: &WirePath, existing: Existing) -> Result<(), Fault> {
        let (operation, from, to) = (operation_id()?, Location::of(from), Location::of(to));
        self.call(Rename { operation, from, to, existing, expected: None }).await.map(drop)
    }

    /// Removes a thing, a folder with all that is in it only with [`Depth::Tree`]. What could not be removed is counted and named in
    /// the totals.
    pub async fn remove(&self, path: &WirePath, depth: Depth) -> Result<Totals, Fault> {
        let thing = Location::of(path);
        totals(
            self.call(Remove { operation: operation_id()?, thing, depth, expected: None, aside: false })
                .await?,
        )
    }

    /// Counts files, folders and bytes of a thing and all that is below it.
    pub async fn measure(&self, path: &WirePath) -> Result<Totals, Fault> {
        totals(self.call(Measure { things: vec![Location::of(path)] }).await?)
    }

    /// Asks the server for something that Welcome says this client may not do. It is asked only if it writes refusals down
    /// (capability `refusals`), by a request that would change nothing if it were allowed; what Welcome says holds for any other.
    pub async fn is_refused(&self, permission: Permission, thing: &WirePath) -> bool {
        if !self.welcome().has(Capability::REFUSALS) {
            return true;
        }
        let Some(request) = operation_id().ok().and_then(|id| harmless(permission, thing, id)) else {
            return true;
        };
        // Dropped behind its first answer, it is cancelled.
        match self.open(request).next().await {
            Err(fault) => matches!(
                fault.code,
                FaultCode::PermissionDenied | FaultCode::ReadOnly | FaultCode::Disconnected
            ),
            Ok(_) => false,
        }
    }

    /// Free and total space where `path` is.
    pub async fn space(&self, path: &WirePath) -> Result<SpaceInfo, Fault> {
        match self.call(Space { path: path.clone() }).await? {
            Answer::SpaceInfo(space) => Ok(space),
            _ => Err(unexpected()),
        }
    }
}

/// A request that needs this permission, and changes nothing where it is allowed. `None` for a permission that no request needs by itself.
fn harmless(permission: Permission, thing: &WirePath, operation: OperationId) -> Option<Request> {
    let place = Location::of(thing);
    Some(match permission {
        Permission::List => {
            let (sort, direction, hidden) = (SortKey::Name, Direction::Ascending, Hidden::LeftOut);
            List { folder: Location::through(thing), sort, direction, hidden, pages: 1 }.into()
        }
        Permission::Read => {
            let (offset, len, wants) = (0, 1, Wants::Data);
            Read { file: place, version: None, offset, len, wants, holes: false }.into()
        }
        // Nothing is in place before it is committed.
        Permission::Write => {
            let store = StoreAs {
                mode: 0o600,
                modified: Time::from_ns(0),
                existing: Existing::Keep,
                expected: None,
                durability: Durability::Relaxed,
                metadata: None,
            };
            let (resume, basis, window_bytes, stored_bytes) = (None, None, None, None);
            let (file, size) = (place, 0);
            BeginUpload { operation, file, store, size, resume, basis, window_bytes, stored_bytes }.into()
        }
        // Nothing is this version.
        Permission::Delete => {
            let never = Time::from_ns(i64::MIN);
            let version = Version { identity: u64::MAX, size: u64::MAX, modified: never, changed: never };
            let (depth, expected) = (Depth::Single, Some(version));
            Remove { operation, thing: place, depth, expected, aside: false }.into()
        }
        Permission::Owner => return None,
    })
}

/// Entries of one folder that are kept in memory at most; a listing that is only passed on may have any number.
pub const ENTRIES_KEPT_MAX: u64 = 4_000_000;

/// A listing that arrives.
#[derive(Debug)]
pub struct Listing {
    pages: Pages,
    entries_max: u64,
    /// Entries that may still come, by what the first page said.
    left: Option<u64>,
}

impl Listing {
    /// For whoever keeps all of it: a listing of more than [`ENTRIES_KEPT_MAX`] entries is refused by its first page.
    #[must_use]
    pub fn to_be_kept(self) -> Self {
        Self { entries_max: ENTRIES_KEPT_MAX, ..self }
    }

    /// The next entries, in the order asked for; none at the end. Only the first page may be empty, and no more come than it
    /// announced: so a listing has an end, whatever the server does.
    pub async fn next_page(&mut self) -> Result<Option<ListPage>, Fault> {
        match self.pages.next().await? {
            Answer::ListPage(page) => {
                if page.total > self.entries_max {
                    let why = format!("a folder of more than {ENTRIES_KEPT_MAX} entries");
                    return Err(Fault::new(FaultCode::LimitExceeded).because(why));
                }
                let broken = |why: &str| Fault::new(FaultCode::Malformed).because(why);
                if self.left.is_some() && page.entries.is_empty() {
                    return Err(broken("a page without entries"));
                }
                let left = self.left.unwrap_or(page.total).checked_sub(page.entries.len() as u64);
                self.left = Some(left.ok_or_else(|| broken("more entries than were announced"))?);
                Ok(Some(page))
            }
            Answer::Done(_) => Ok(None),
            _ => Err(unexpected()),
        }
    }
}

fn totals(answer: Answer) -> Result<Totals, Fault> {
    match answer {
        Answer::Totals(totals) => Ok(totals),
        _ => Err(unexpected()),
    }
}

/// The other side answered with something that its request cannot be answered with.
fn unexpected() -> Fault {
    Fault::new(FaultCode::Malformed).because("an answer of the wrong kind")
}
