//! Walks a source as a stream, page by page, and compares each page with the destination: folders are made level by level,
//! what may exist is looked at in batches. Holds one page and the folders above it, whatever the size of the tree.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::join_all;
use globset::GlobSet;
use tokio::sync::mpsc;
use towpath_protocol::answer::WalkItem;
use towpath_protocol::entry::{Attributes, Kind};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::input::More;
use towpath_protocol::limits::PATHS_MAX;
use towpath_protocol::message::Answer;
use towpath_protocol::path::{Location, WirePath};
use towpath_protocol::request::{Existing, Follow, MakeFolder, Stat, Walk};

use super::job::{Fact, Item};
use super::run::Shared;
use crate::link::calls::operation_id;

/// Pages that a walk may be ahead of the plan.
const PAGES_AHEAD: u32 = 4;

/// A file or link to carry over.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) from: Location,
    pub(super) to: Location,
    pub(super) attributes: Attributes,
    /// What is in the way.
    pub(super) there: Option<Attributes>,
    /// Replace what is there, of exactly this version.
    pub(super) existing: Existing,
    /// Kept until the step has ended: the folder gets its times when nobody holds it any more.
    pub(super) _folder: Option<Arc<Folder>>,
}

/// A folder of the destination that is being filled. When the last step in it has ended, it is put on the list of those whose
/// mode and times can be set; children before parents, since each holds its parent.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) from: Location,
    pub(super) to: Location,
    pub(super) attributes: Attributes,
    filled: Arc<Mutex<Vec<Filled>>>,
    /// Made by us: nothing in it can be in the way.
    is_new: bool,
    _parent: Option<Arc<Self>>,
}

/// A folder whose content is complete.
#[derive(Debug)]
pub(super) struct Filled {
    pub(super) from: Location,
    pub(super) to: Location,
    pub(super) attributes: Attributes,
}

impl Drop for Folder {
    fn drop(&mut self) {
        let (from, to, attributes) = (self.from.clone(), self.to.clone(), self.attributes.clone());
        self.filled.lock().unwrap_or_else(PoisonError::into_inner).push(Filled { from, to, attributes });
    }
}

/// What holds a path of the walk.
enum Parent {
    /// Nothing: it is the item itself.
    None,
    /// A folder that is excluded, or could not be made.
    LeftOut,
    Made(Arc<Folder>),
}

/// Something of a page with its path below the item.
struct Found {
    below: WirePath,
    attributes: Attributes,
    fault: Option<FaultCode>,
}

/// The plan of one item.
pub(super) struct Plan<'a> {
    shared: &'a Shared,
    from: Location,
    to: Location,
    steps: mpsc::Sender<Step>,
    conflicts: mpsc::Sender<Step>,
    filled: Arc<Mutex<Vec<Filled>>>,
    /// Folders on the way down to where the walk is, by their path below the item; none for one whose content is left out.
    folders: HashMap<WirePath, Option<Arc<Folder>>>,
    /// The names from the item to where the walk is.
    way: Vec<towpath_protocol::path::Name>,
    /// Whether the item's own place may be taken.
    may_exist: bool,
}

impl<'a> Plan<'a> {
    pub(super) fn new(
        shared: &'a Shared,
        item: &Item,
        may_exist: bool,
        steps: mpsc::Sender<Step>,
        conflicts: mpsc::Sender<Step>,
    ) -> Self {
        let (from, to) = (Location::of(&item.from), Location::of(&item.to));
        let (filled, folders) = (shared.filled.clone(), HashMap::new());
        Self { shared, from, to, steps, conflicts, filled, folders, way: Vec::new(), may_exist }
    }

    /// Walks the item to its end. Err where nothing of it can be read, or nobody wants the rest.
    pub(super) async fn run(mut self) -> Result<(), Fault> {
        let request = Walk { start: self.from.clone(), pages: PAGES_AHEAD };
        let mut walk = self.shared.job.source.open(request);
        loop {
            match walk.next().await? {
                Answer::WalkPage(page) => {
                    let _ = walk.send(More { pages: 1 }).await;
                    self.page(page.items).await?;
                }
                Answer::Done(_) => return Ok(()),
                _ => return Err(FaultCode::Malformed.into()),
            }
        }
    }

    async fn page(&mut self, items: Vec<WalkItem>) -> Result<(), Fault> {
        let found = self.place(items).await?;
        let (folders, files): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|found| found.attributes.kind == Kind::Folder);
        self.make_folders(folders).await?;
        self.compare(files).await?;
        // Of the folders only those above where the walk is are needed further.
        let way = &self.way;
        self.folders.retain(|path, _| way.starts_with(path.names()));
        Ok(())
    }

    /// Gives each item its path; leaves out what is excluded, and what nobody copies.
    async fn place(&mut self, items: Vec<WalkItem>) -> Result<Vec<Found>, Fault> {
        let mut found = Vec::new();
        for WalkItem { depth, entry, fault } in items {
            let depth = usize::from(depth);
            if depth > self.way.len() {
                return Err(Fault::new(FaultCode::Malformed).because("a walk skipped a level"));
            }
            self.way.truncate(depth);
            // The item's own name is that of the destination, not the one at the source.
            let own = if depth == 0 { self.from.path.name().cloned() } else { Some(entry.name) };
            self.way.extend(own);
            let below = WirePath::new(self.way.get(1..).unwrap_or_default().to_vec());
            let Ok(below) = below else { return Err(FaultCode::NameTooLong.into()) };
            if is_excluded(&self.shared.job.excludes, &below) {
                if entry.attributes.kind == Kind::Folder {
                    self.folders.insert(self.key(&below), None);
                }
                continue;
            }
            if entry.attributes.kind.is_special() {
                self.shared
                    .skipped(Self::whole(&self.from, &below), "not a regular file (fifo, socket or device)")
                    .await;
                continue;
            }
            found.push(Found { below, attributes: entry.attributes, fault });
        }
        Ok(found)
    }

    /// Folders level by level, those of one level at once.
    async fn make_folders(&mut self, mut folders: Vec<Found>) -> Result<(), Fault> {
        folders.sort_by_key(|folder| folder.below.names().len());
        for level in folders.chunk_by(|a, b| a.below.names().len() == b.below.names().len()) {
            let made = join_all(level.iter().map(|folder| self.make_folder(folder))).await;
            for (folder, made) in level.iter().zip(made) {
                let made = match made {
                    Ok(made) => made,
                    Err(fault) => {
                        self.shared.failed(fault).await?;
                        None
                    }
                };
                if let Some(code) = folder.fault {
                    let path = Self::whole(&self.from, &folder.below);
                    self.shared.failed(Fault::new(code).at(path)).await?;
                }
                self.folders.insert(self.key(&folder.below), made);
            }
        }
        Ok(())
    }

    async fn make_folder(&self, found: &Found) -> Result<Option<Arc<Folder>>, Fault> {
        let parent = match self.parent(&found.below) {
            Parent::LeftOut => return Ok(None),
            Parent::Made(parent) => Some(parent),
            Parent::None => None,
        };
        let to = location(&self.to, &found.below)?;
        let operation = operation_id()?;
        let request = MakeFolder {
            operation,
            folder: to.clone(),
            mode: found.attributes.mode,
            existing: Existing::Keep,
        };
        let is_new = match self.shared.job.destination.call(request).await {
            Ok(_) => true,
            Err(fault) if fault.code == FaultCode::AlreadyExists => {
                let there = self.stat(std::slice::from_ref(&found.below)).await?.pop().flatten();
                if there.is_some_and(|there| there.kind != Kind::Folder) {
                    return Err(fault.because("and is not a folder"));
                }
                false
            }
            Err(fault) => return Err(fault),
        };
        let (from, attributes) = (location(&self.from, &found.below)?, found.attributes.clone());
        let folder = Folder { from, to, attributes, filled: self.filled.clone(), is_new, _parent: parent };
        Ok(Some(Arc::new(folder)))
    }

    /// Sends a step for each file, at once where nothing can be in the way.
    async fn compare(&mut self, files: Vec<Found>) -> Result<(), Fault> {
        let mut maybe_there = Vec::new();
        for file in files {
            match self.parent(&file.below) {
                Parent::LeftOut => {}
                Parent::Made(parent) if parent.is_new => self.step(file, None, Some(parent)).await?,
                Parent::Made(parent) => maybe_there.push((file, Some(parent))),
                Parent::None if self.may_exist => maybe_there.push((file, None)),
                Parent::None => self.step(file, None, None).await?,
            }
        }
        for batch in maybe_there.chunks(PATHS_MAX) {
            let paths: Vec<_> = batch.iter().map(|(file, _)| file.below.clone()).collect();
            let there = self.stat(&paths).await?;
            for ((file, parent), there) in batch.iter().zip(there) {
                let file = Found {
                    below: file.below.clone(),
                    attributes: file.attributes.clone(),
                    fault: file.fault,
                };
                self.step(file, there, parent.clone()).await?;
            }
        }
        Ok(())
    }

    async fn step(
        &self,
        file: Found,
        there: Option<Attributes>,
        folder: Option<Arc<Folder>>,
    ) -> Result<(), Fault> {
        let (from, to) = (location(&self.from, &file.below)?, location(&self.to, &file.below)?);
        if there.as_ref().is_some_and(|there| is_unchanged(&file.attributes, there)) {
            self.shared.unchanged();
            return Ok(());
        }
        self.shared.found(file.attributes.size);
        let existing = Existing::Keep;
        let queue = if there.is_some() { &self.conflicts } else { &self.steps };
        let step = Step { from, to, attributes: file.attributes, there, existing, _folder: folder };
        queue.send(step).await.map_err(|_| FaultCode::Cancelled.into())
    }

    /// What is at these paths of the destination; none where nothing is.
    async fn stat(&self, below: &[WirePath]) -> Result<Vec<Option<Attributes>>, Fault> {
        let paths =
            below.iter().map(|path| Ok(location(&self.to, path)?.path)).collect::<Result<_, Fault>>()?;
        let request = Stat { base: self.to.base.clone(), paths, follow: Follow::No };
        let Answer::Stats(stats) = self.shared.job.destination.call(request).await? else {
            return Err(FaultCode::Malformed.into());
        };
        Ok(stats.items.into_iter().map(|item| item.0.ok()).collect())
    }

    /// The folder that a path is in.
    fn parent(&self, below: &WirePath) -> Parent {
        let Some(parent) = below.parent() else { return Parent::None };
        self.folders.get(&self.key(&parent)).cloned().flatten().map_or(Parent::LeftOut, Parent::Made)
    }

    /// A path below the item as the walk's way has it, the item's name in front.
    fn key(&self, below: &WirePath) -> WirePath {
        self.from.path.join_path(below).unwrap_or_default()
    }

    fn whole(start: &Location, below: &WirePath) -> WirePath {
        location(start, below).ok().and_then(|location| location.whole().ok()).unwrap_or_default()
    }
}

/// A path below a start.
fn location(start: &Location, below: &WirePath) -> Result<Location, Fault> {
    let path = start.path.join_path(below);
    let path = path.map_err(|error| Fault::new(FaultCode::NameTooLong).because(error.to_string()))?;
    Ok(Location { base: start.base.clone(), path })
}

/// Same kind, and the same in all that tells contents apart without reading them.
fn is_unchanged(source: &Attributes, there: &Attributes) -> bool {
    let target = |attributes: &Attributes| attributes.link.as_ref().map(|link| link.bytes.clone());
    source.kind == there.kind
        && match source.kind {
            Kind::Link => target(source) == target(there),
            _ => source.size == there.size && source.modified_ns == there.modified_ns,
        }
}

fn is_excluded(excludes: &GlobSet, below: &WirePath) -> bool {
    use std::os::unix::ffi::OsStrExt;
    let Some(name) = below.name().filter(|_| !excludes.is_empty()) else { return false };
    let path = below.to_bytes();
    excludes.is_match(std::ffi::OsStr::from_bytes(name.as_bytes()))
        || excludes.is_match(std::ffi::OsStr::from_bytes(&path))
}

impl Shared {
    async fn skipped(&self, path: WirePath, why: &'static str) {
        self.count_skipped();
        let _ = self.reports.facts.send(Fact::Skipped(path, why)).await;
    }
}
