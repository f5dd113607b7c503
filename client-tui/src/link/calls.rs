//! Typed shorthands for requests with one answer, and random operation ids. What takes long or streams is opened with
//! [`Link::open`] by whoever shows its progress.

use towpath_protocol::answer::{ListPage, SpaceInfo, Totals};
use towpath_protocol::entry::Attributes;
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::message::Answer;
use towpath_protocol::path::{Location, WirePath};
use towpath_protocol::request::{
    Depth, Direction, Existing, Follow, Hidden, List, MakeFolder, Measure, OperationId, Remove, Rename,
    SortKey, Space, Stat,
};

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

    /// Free and total space where `path` is.
    pub async fn space(&self, path: &WirePath) -> Result<SpaceInfo, Fault> {
        match self.call(Space { path: path.clone() }).await? {
            Answer::SpaceInfo(space) => Ok(space),
            _ => Err(unexpected()),
        }
    }
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
