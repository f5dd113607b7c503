//! Walks a source as a stream, page by page, and compares each page with the destination: folders are made level by level,
//! what may exist is looked at in batches. Holds one page and the folders above it, whatever the size of the tree.

mod folders;
mod following;
mod misfits;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::sync::mpsc;
use towpath_protocol::answer::WalkItem;
use towpath_protocol::entry::{Attributes, Kind};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::limits::{FRAME_BYTES_LEAST, PATHS_MAX};
use towpath_protocol::message::Answer;
use towpath_protocol::path::{Location, Name, WirePath};
use towpath_protocol::request::{Existing, Follow, Stat, Walk};

use super::conflicts::FolderClash;
use super::fold::Names;
use super::job::{ExistingPolicy, Item, Verb};
use super::listed::Part;
use super::metadata;
use super::placed::Claim;
use super::shared::Shared;
use super::work::{Folder, Step, Work};
use crate::link::Link;
use crate::link::pages::{PAGES_FIRST, Pages};
use crate::model::Choice;

pub(super) use self::following::Bounds;

/// Batches of paths that are being looked at at a time.
const BATCHES_AT_ONCE: usize = 4;
/// Bytes of the paths that are looked at in one request; the base has room beside them.
const BATCH_BYTES_MAX: usize = FRAME_BYTES_LEAST - 16 * 1024;

/// Something of a page, with its path below the item; the item itself is the root of these paths.
#[derive(Debug)]
struct Found {
    below: WirePath,
    attributes: Attributes,
    /// The file that is read for it, where it is a link that was followed.
    from: Option<Location>,
    /// Why a folder's content does not follow.
    fault: Option<FaultCode>,
    /// Another name in its folder is the same but for case, and the destination does not tell them apart.
    clashes: bool,
    /// Another name in its folder is the same but for case; the destination may tell them apart.
    is_alike: bool,
}

/// The folder that something is in.
#[derive(Debug, Clone)]
enum Parent {
    /// It is the item itself: its folder is not the job's.
    Above,
    /// The folder is not copied, nor is anything in it.
    LeftOut,
    Folder(Arc<Folder>),
}

/// Where a plan's results go.
#[derive(Debug, Clone)]
pub(super) struct Queues {
    pub(super) work: mpsc::Sender<Work>,
    pub(super) conflicts: mpsc::Sender<Step>,
    /// None where no folder may be put aside.
    pub(super) folders: Option<mpsc::Sender<FolderClash>>,
}

/// The plan of one item.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    shared: &'a Shared,
    from: Location,
    to: Location,
    /// Whether anything is at the item's own place.
    is_there: bool,
    queues: Queues,
    /// Folders on the way down to where the walk is; none for one that is left out.
    folders: HashMap<WirePath, Option<Arc<Folder>>>,
    /// The names below the item, down to where the walk is.
    way: Vec<Name>,
    /// The folder at the destination that the item goes into, and the one that it becomes: where they turn up in the source, by a
    /// mount, they stay out.
    own: (Option<u64>, OnceLock<u64>),
    /// The folder of the job that the start is in, where it was put aside or a link led to it, and the path below the item that it was
    /// found at.
    above: (Option<Arc<Folder>>, WirePath),
    bounds: Bounds,
    /// Another name beside the start's is the same but for case, and the destination does not tell them apart.
    start_clashes: bool,
    names: Names,
    /// Names that differ only in case, found so far.
    cases: usize,
    /// Deeper entries are in a folder that was reported as not nameable.
    unnamed_below: Option<usize>,
}

impl<'a> Plan<'a> {
    /// `into` is the folder that holds the item's place.
    pub(super) fn new(
        shared: &'a Shared,
        item: &Item,
        is_there: bool,
        into: Option<u64>,
        queues: Queues,
    ) -> Self {
        let (from, to) = (Location::of(&item.from), Location::of(&item.to));
        let bounds = Bounds::new(&shared.job, &from);
        let own = (into, OnceLock::new());
        Self { is_there, own, bounds, ..Self::between(shared, (from, to), queues) }
    }

    /// Of a folder that is called `to` since something else has its name.
    pub(super) fn beside(shared: &'a Shared, clash: FolderClash, to: Location, queues: Queues) -> Self {
        let FolderClash { from, below, parent, own, bounds, .. } = clash;
        Self { own, above: (parent, below), bounds, ..Self::between(shared, (from, to), queues) }
    }

    /// From one place to another where nothing is.
    fn between(shared: &'a Shared, (from, to): (Location, Location), queues: Queues) -> Self {
        Self {
            shared,
            from,
            to,
            is_there: false,
            queues,
            folders: HashMap::new(),
            way: Vec::new(),
            own: (None, OnceLock::new()),
            above: (None, WirePath::root()),
            bounds: Bounds::default(),
            start_clashes: false,
            names: Names::default(),
            cases: 0,
            unnamed_below: None,
        }
    }

    /// Walks the item to its end. Err where nothing of it can be read, or nobody wants the rest.
    pub(super) async fn run(mut self) -> Result<(), Fault> {
        let walk = Walk { start: self.from.clone(), pages: PAGES_FIRST };
        let mut walk = Pages::open(&self.shared.job.source, walk);
        loop {
            match walk.next().await? {
                Answer::WalkPage(page) => {
                    self.page(page.items).await?;
                }
                Answer::Done(_) => return Ok(()),
                _ => return Err(FaultCode::Malformed.into()),
            }
        }
    }

    async fn page(&mut self, items: Vec<WalkItem>) -> Result<(), Fault> {
        let found = self.found(items).await?;
        let found = self.nameable(found).await?;
        let (folders, others): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|found| found.attributes.kind == Kind::Folder);
        self.folders(folders).await?;
        let (others, entered) = self.followed(others).await?;
        self.others(others).await?;
        for link in entered {
            // Of one whose path becomes too long the others need not suffer.
            if let Err(fault) = self.enter(link).await {
                self.shared.failed(fault).await;
            }
        }
        // Of the folders only those above where the walk is are needed further.
        let way = &self.way;
        self.folders.retain(|path, _| way.starts_with(path.names()));
        for filled in self.shared.hand_over.take() {
            self.send(Work::Finish(filled)).await?;
        }
        Ok(())
    }

    /// Gives each item its path; leaves out what is excluded, and what nobody copies.
    async fn found(&mut self, items: Vec<WalkItem>) -> Result<Vec<Found>, Fault> {
        let mut found = Vec::with_capacity(items.len());
        for WalkItem { depth, entry, fault } in items {
            if self.unnamed_below.is_some_and(|depth_max| usize::from(depth) > depth_max) {
                continue;
            }
            self.unnamed_below = None;
            let above = usize::from(depth).saturating_sub(1);
            if above > self.way.len() {
                return Err(Fault::new(FaultCode::Malformed).because("a walk skipped a level"));
            }
            self.way.truncate(above);
            if depth == 0 && self.bounds.is_linked() && entry.attributes.kind != Kind::Folder {
                return Err(fault_at(FaultCode::Changed, &self.from));
            }
            let clashes = match depth {
                0 => self.start_clashes,
                _ => self.names.clashes(above, entry.name.as_bytes()),
            };
            // The item's own name at the destination is another matter.
            self.way.extend((depth > 0).then_some(entry.name));
            let attributes = entry.attributes;
            let below = match self.nameable_path() {
                Ok(below) => below,
                Err(fault) => {
                    self.unnamed_below = Some(usize::from(depth));
                    self.shared.failed(fault).await;
                    continue;
                }
            };
            let is_folder = attributes.kind == Kind::Folder;
            // Asked first: what is met counts, whatever becomes of its folder.
            let is_out = self.is_excluded(&below, attributes.kind) || self.is_left_out(&below);
            if let (Some(code), true) = (fault, attributes.is_unknown || !is_folder) {
                // It is there, and no more is known of it; or it is a folder that came before, and not all of its content.
                self.unnamed_below = Some(usize::from(depth));
                if !is_out {
                    self.shared.failed(fault_at(code, &join(&self.from, &below)?)).await;
                }
                continue;
            }
            if is_out {
                if is_folder {
                    self.folders.insert(below, None);
                }
            } else if attributes.kind.is_special() {
                let places = (&join(&self.from, &below)?, &join(&self.to, &below)?);
                self.shared.left(places, &attributes, attributes.kind.special_text()).await;
            } else {
                let is_alike = clashes;
                let clashes = clashes && self.is_one_name(&below).await?;
                found.push(Found { below, attributes, from: None, fault, clashes, is_alike });
            }
        }
        Ok(found)
    }

    /// Where the walk is, below the item, if that has a path on both sides. A fault names the nearest folder that has one.
    fn nameable_path(&self) -> Result<WirePath, Fault> {
        let below = WirePath::new(self.way.clone()).map_err(too_long);
        let named = below.and_then(|below| {
            join(&self.from, &below)?;
            join(&self.to, &below)?;
            Ok(below)
        });
        named.map_err(|fault| {
            let lengths = (0..self.way.len()).rev();
            let mut paths = lengths.filter_map(|len| WirePath::new(self.way[..len].to_vec()).ok());
            let nearest = paths.find_map(|below| join(&self.from, &below).ok()?.whole().ok());
            fault.at(nearest.unwrap_or_default())
        })
    }

    /// By the path below the item. One that is too long is told with its place at the destination, which is no shorter.
    fn is_excluded(&self, below: &WirePath, kind: Kind) -> bool {
        let job = &self.shared.job;
        let is_folder = kind == Kind::Folder;
        let may_hold = is_folder || (kind == Kind::Link && job.on_request.follow.is_some());
        let part = self.part(below);
        let is_unlisted = part == Part::Out || (part == Part::Way && !may_hold);
        let below = || self.bounds.below_source(&self.above.1.join_path(below)?);
        is_unlisted
            || (!job.excludes.is_empty()
                && below().is_ok_and(|below| job.excludes.leave_out(&below, is_folder)))
    }

    /// How the list of names takes something, if there is one.
    fn part(&self, below: &WirePath) -> Part {
        let Some(listed) = self.shared.job.excludes.listed() else { return Part::Named };
        let below = self.above.1.join_path(below).and_then(|below| self.bounds.below_source(&below));
        below.map_or(Part::Out, |below| listed.part(&below))
    }

    /// Sends a step for each file and link, past the conflicts where nothing can be in the way.
    async fn others(&self, others: Vec<Found>) -> Result<(), Fault> {
        for (found, parent, there) in self.with_there(others).await? {
            let folder = match parent {
                Parent::LeftOut => continue,
                Parent::Above => self.above.0.clone(),
                Parent::Folder(folder) => Some(folder),
            };
            self.step(found, folder, there).await?;
        }
        Ok(())
    }

    async fn step(
        &self,
        Found { below, attributes, from, mut clashes, mut is_alike, .. }: Found,
        folder: Option<Arc<Folder>>,
        there: Option<Attributes>,
    ) -> Result<(), Fault> {
        let shared = self.shared;
        let to = join(&self.to, &below)?;
        let from = from.map_or_else(|| join(&self.from, &below), Ok)?;
        let claim = shared.placed.look(&to);
        clashes |= claim == Claim::Taken;
        is_alike |= claim == Claim::Alike;
        if is_alike {
            // The first one, which may be done after this one, is to know.
            shared.placed.mark_alike(&to);
        }
        let is_twin =
            !clashes && there.as_ref().is_some_and(|there| looks_unchanged(shared, &attributes, there));
        let is_copy = shared.job.verb == Verb::Copy;
        let is_like = |there: &Attributes| {
            let is_compared = attributes.kind == Kind::File && shared.compares();
            !is_compared && !has_other_mode(&attributes, there) && !metadata::may_differ(shared, &attributes)
        };
        let is_in_the_way = clashes || (there.is_some() && !is_twin);
        let is_claimed = !is_in_the_way;
        if is_claimed {
            shared.placed.claim(&to);
        }
        if is_twin && is_copy && there.as_ref().is_some_and(is_like) {
            shared.unchanged((&from, &to), &attributes).await;
            return Ok(());
        }
        if let Some(folder) = folder.as_ref().filter(|_| !(is_twin && is_copy)) {
            folder.touch();
        }
        let is_itself = there.as_ref().is_some_and(|there| there.identity == attributes.identity);
        if is_itself && !is_copy && shared.is_one_machine() {
            shared.failed(fault_at(FaultCode::IntoItself, &from)).await;
            return Ok(());
        }
        shared.tally.found(1, attributes.size);
        let existing = Existing::Keep;
        let step = Step { from, to, attributes, there, existing, is_twin, clashes, is_claimed, folder };
        if is_in_the_way {
            return self.queues.conflicts.send(step).await.map_err(|_| FaultCode::Cancelled.into());
        }
        shared.mind_room(&step).await;
        self.send(Work::Carry(step)).await
    }

    /// Fails only where the job has stopped.
    async fn send(&self, work: Work) -> Result<(), Fault> {
        self.queues.work.send(work).await.map_err(|_| FaultCode::Cancelled.into())
    }

    /// Each with the folder that it is in and what is at its place; that is looked at only where anything can be.
    async fn with_there(&self, found: Vec<Found>) -> Result<Vec<(Found, Parent, Option<Attributes>)>, Fault> {
        let mut found: Vec<_> = found
            .into_iter()
            .map(|found| {
                let parent = self.parent(&found.below);
                (found, parent, None)
            })
            .collect();
        let maybe_there: Vec<usize> =
            (0..found.len()).filter(|index| self.may_be_there(&found[*index].1)).collect();
        let places = maybe_there.iter().map(|index| Ok(join(&self.to, &found[*index].0.below)?.path));
        let places = places.collect::<Result<Vec<_>, Fault>>()?;
        let there = look_at_all(&self.shared.job.destination, &self.to.base, &places).await?;
        for (index, there) in maybe_there.into_iter().zip(there) {
            found[index].2 = there.ok();
        }
        Ok(found)
    }

    /// Whether it is known already that nothing in this one's folder is copied.
    fn is_left_out(&self, below: &WirePath) -> bool {
        below.parent().is_some_and(|parent| matches!(self.folders.get(&parent), Some(None)))
    }

    fn may_be_there(&self, parent: &Parent) -> bool {
        match parent {
            Parent::Above => self.is_there,
            Parent::LeftOut => false,
            Parent::Folder(folder) => !folder.is_new,
        }
    }

    fn parent(&self, below: &WirePath) -> Parent {
        match below.parent().map(|parent| self.folders.get(&parent)) {
            None => Parent::Above,
            // What a start without a name of its own holds.
            Some(None) if self.from.path.is_root() && below.names().len() == 1 => Parent::Above,
            Some(None | Some(None)) => Parent::LeftOut,
            Some(Some(Some(folder))) => Parent::Folder(folder.clone()),
        }
    }
}

/// What is at each of up to 256 paths, looked at itself where it is a link.
pub(super) async fn look(
    link: &Link,
    base: WirePath,
    paths: Vec<WirePath>,
) -> Result<Vec<Result<Attributes, FaultCode>>, Fault> {
    let wanted = paths.len();
    let Answer::Stats(stats) = link.call(Stat { base, paths, follow: Follow::No }).await? else {
        return Err(FaultCode::Malformed.into());
    };
    if stats.items.len() != wanted {
        return Err(Fault::new(FaultCode::Malformed).because("a stat of some paths answered others"));
    }
    Ok(stats.items.into_iter().map(|item| item.0).collect())
}

/// The same of any number of paths, a few batches of them at a time.
pub(super) async fn look_at_all(
    link: &Link,
    base: &WirePath,
    paths: &[WirePath],
) -> Result<Vec<Result<Attributes, FaultCode>>, Fault> {
    let batches = batches_of(paths);
    let looks = stream::iter(batches).map(|paths| look(link, base.clone(), paths));
    let looked: Vec<_> = looks.buffered(BATCHES_AT_ONCE).try_collect().await?;
    Ok(looked.into_iter().flatten().collect())
}

/// Limits a batch to the paths of one request and the bytes that fit in the smallest frame that a server may ask for.
fn batches_of(paths: &[WirePath]) -> Vec<Vec<WirePath>> {
    let (mut batches, mut batch, mut bytes) = (Vec::new(), Vec::new(), 0);
    for path in paths {
        // A name takes two bytes more than itself at most, and a path one or three.
        let more: usize = path.names().iter().map(|name| name.as_bytes().len() + 2).sum::<usize>() + 3;
        if batch.len() == PATHS_MAX || (bytes + more > BATCH_BYTES_MAX && !batch.is_empty()) {
            batches.push(std::mem::take(&mut batch));
            bytes = 0;
        }
        bytes += more;
        batch.push(path.clone());
    }
    if !batch.is_empty() {
        batches.push(batch);
    }
    batches
}

/// What is at one place.
pub(super) async fn look_at(link: &Link, place: &Location) -> Result<Attributes, Fault> {
    let mut looked = look(link, place.base.clone(), vec![place.path.clone()]).await?;
    let attributes = looked.pop().unwrap_or(Err(FaultCode::NotFound));
    attributes.map_err(|code| fault_at(code, place))
}

pub(super) fn fault_at(code: FaultCode, place: &Location) -> Fault {
    Fault::new(code).at(place.whole().unwrap_or_default())
}

fn join(start: &Location, below: &WirePath) -> Result<Location, Fault> {
    let path = start.path.join_path(below).map_err(too_long)?;
    let place = Location { base: start.base.clone(), path };
    // Base and path are bounded together too.
    place.whole().map_err(too_long)?;
    Ok(place)
}

fn too_long(error: towpath_protocol::path::PathError) -> Fault {
    error.into()
}

/// Same kind, and the same in all that tells contents apart without reading them.
pub(super) fn is_unchanged(source: &Attributes, there: &Attributes) -> bool {
    let target = |attributes: &Attributes| attributes.link.as_ref().map(|link| link.bytes.clone());
    source.kind == there.kind
        && match source.kind {
            Kind::Link => target(source) == target(there),
            // An end of the narrow form of times may stand for any moment beyond it.
            _ => source.size == there.size && source.modified == there.modified && !source.modified.is_end(),
        }
}

/// Returns whether the destination counts as unchanged until contents are compared. If all is sent, no file does; if contents decide, each of
/// the same size does.
fn looks_unchanged(shared: &Shared, source: &Attributes, there: &Attributes) -> bool {
    if source.kind != Kind::File || there.kind != Kind::File {
        return is_unchanged(source, there);
    }
    match shared.job.existing {
        // The same file by another way need not be sent to itself.
        ExistingPolicy::Always(Choice::Overwrite) => {
            shared.is_one_machine() && source.identity == there.identity
        }
        _ if shared.job.on_request.checksum => source.size == there.size,
        _ => is_unchanged(source, there),
    }
}

/// Files of one size whose times may be one: rounded by a file system, or beyond what an older side can say. Contents decide.
pub(super) fn may_be_unchanged(source: &Attributes, there: &Attributes) -> bool {
    let (here, there_time) = (source.modified, there.modified);
    source.kind == Kind::File
        && there.kind == Kind::File
        && source.size == there.size
        && (there_time.is_rounded_from(here)
            || here.is_rounded_from(there_time)
            || here.agrees_with(there_time))
}

/// A link has no mode of its own.
pub(super) fn has_other_mode(source: &Attributes, there: &Attributes) -> bool {
    source.kind == Kind::File && source.mode & 0o777 != there.mode & 0o777
}
