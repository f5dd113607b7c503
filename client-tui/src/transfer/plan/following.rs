//! Links of a page that are copied as the files and folders that they lead to, where that was asked for. A folder is walked where it
//! is, by a plan of its own for the link's place, while the walk that met the link waits: so a walk is held for each link on the way,
//! and nothing for those that were followed before.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use towpath_protocol::entry::Kind;
use towpath_protocol::fault::Fault;
use towpath_protocol::path::{Location, PathError, WirePath};

use super::{Found, Parent, Plan, join, too_long};
use crate::transfer::job::{Fact, Job, Verb, Within};
use crate::transfer::links::{Chase, End, Stays, follow};
use crate::transfer::listed::Part;

/// Links to folders on the way to one thing, each found in the folder that the one before leads to.
const DEPTH_MAX: usize = 8;
/// Links to folders that are followed within folders that a link led to, of one item. Where each of some folders holds two links to
/// the next one, every folder more would double what is copied.
const NESTED_MAX: usize = 10_000;

/// What the links that a plan follows are held to.
#[derive(Debug, Clone, Default)]
pub(in crate::transfer) struct Bounds {
    /// The leading names of a path that a link must not leave.
    floor: usize,
    /// The links to folders through which the plan came, outermost first: where each is, with no link on the way there.
    trail: Vec<WirePath>,
    /// Links to folders followed within others so far, by all plans of the item.
    nested: Arc<AtomicUsize>,
    /// The item's path below the folder that excludes are relative to.
    excluded_at: WirePath,
}

/// A link that becomes the folder that it leads to.
#[derive(Debug)]
pub(super) struct Entered {
    link: Found,
    folder: WirePath,
    bounds: Bounds,
}

impl Bounds {
    pub(super) fn new(job: &Job, from: &Location) -> Self {
        let is_item = job.on_request.follow == Some(Within::Item);
        let excluded_at = from.whole().map(|whole| job.excludes.place_of(&whole)).unwrap_or_default();
        let floor = if is_item { from.path.names().len() } else { 0 };
        Self { floor, excluded_at, ..Self::default() }
    }

    /// A path below the item, as excludes have it.
    pub(super) fn below_source(&self, below: &WirePath) -> Result<WirePath, PathError> {
        self.excluded_at.join_path(below)
    }

    /// Whether the plan came through a link.
    pub(super) const fn is_linked(&self) -> bool {
        !self.trail.is_empty()
    }

    /// Those of a plan that goes through one more link, to a folder.
    fn enter(&self, link: WirePath, folder: &WirePath) -> Result<Self, Stays> {
        let mut trail = self.trail.clone();
        trail.push(link);
        if trail.iter().any(|link| link.starts_with(folder)) {
            return Err(Stays::Above);
        }
        let is_nested = self.is_linked();
        if trail.len() > DEPTH_MAX || (is_nested && self.nested.fetch_add(1, Ordering::Relaxed) >= NESTED_MAX)
        {
            return Err(Stays::Nested);
        }
        Ok(Self { trail, ..self.clone() })
    }
}

impl Plan<'_> {
    /// Makes each link that leads to a file within its bounds into that file, under the link's name, and takes out those that lead to
    /// a folder; tells why the others stay.
    pub(super) async fn followed(&self, found: Vec<Found>) -> Result<(Vec<Found>, Vec<Entered>), Fault> {
        let (job, mut entered) = (&self.shared.job, Vec::new());
        if job.on_request.follow.is_none() || job.verb != Verb::Copy {
            return Ok((found, entered));
        }
        let (links, mut others): (Vec<_>, Vec<_>) = found.into_iter().partition(|found| {
            found.attributes.kind == Kind::Link && !matches!(self.parent(&found.below), Parent::LeftOut)
        });
        let chases = links.iter().map(|link| self.chase(link)).collect::<Result<_, Fault>>()?;
        let ends = follow(&job.source, &self.from.base, chases).await?;
        for (link, end) in links.into_iter().zip(ends) {
            // Something behind it was named, and it itself was not.
            let is_way = self.part(&link.below) == Part::Way;
            let folder = match end {
                Ok(End { path, attributes: Some(file) }) if file.kind == Kind::File => {
                    if is_way {
                        continue;
                    }
                    let from = Some(Location { base: self.from.base.clone(), path });
                    others.push(Found { from, attributes: file, ..link });
                    continue;
                }
                Ok(End { path, .. }) => self.bounds_in(&link, &path)?.map(|bounds| (path, bounds)),
                Err(stays) => Err(stays),
            };
            match folder {
                Ok((folder, bounds)) => entered.push(Entered { link, folder, bounds }),
                Err(_) if is_way => {}
                Err(stays) => {
                    self.stays(&link, stays).await?;
                    others.push(link);
                }
            }
        }
        Ok((others, entered))
    }

    fn chase(&self, found: &Found) -> Result<Result<Chase, Stays>, Fault> {
        let Some(target) = &found.attributes.link else { return Ok(Err(Stays::Unreadable)) };
        let path = join(&self.from, &found.below)?.path;
        // What an item that is a link leads to is beside it, if anywhere.
        let floor = if self.is_item(found) { 0 } else { self.bounds.floor };
        let folder = path.names().split_last().map_or(&[][..], |(_, folder)| folder);
        Ok(Chase::of(folder, floor, &target.bytes))
    }

    fn bounds_in(&self, link: &Found, folder: &WirePath) -> Result<Result<Bounds, Stays>, Fault> {
        let mut bounds = self.bounds.enter(join(&self.from, &link.below)?.path, folder);
        if let Ok(bounds) = &mut bounds
            && self.is_item(link)
            && bounds.floor > 0
        {
            // The folder is the item now.
            bounds.floor = folder.names().len();
        }
        Ok(bounds)
    }

    fn is_item(&self, found: &Found) -> bool {
        found.below.is_root() && self.above.1.is_root()
    }

    /// Plans what is in the folder that a link leads to, for the link's place.
    pub(super) async fn enter(&self, Entered { link, folder, bounds }: Entered) -> Result<(), Fault> {
        let parent = self.parent(&link.below);
        let is_there = self.may_be_there(&parent);
        let above = match parent {
            Parent::LeftOut => return Ok(()),
            Parent::Above => self.above.0.clone(),
            Parent::Folder(parent) => Some(parent),
        };
        let from = Location { base: self.from.base.clone(), path: folder };
        let to = join(&self.to, &link.below)?;
        let below = self.above.1.join_path(&link.below).map_err(too_long)?;
        let plan = Self {
            is_there,
            above: (above, below),
            own: self.own.clone(),
            bounds,
            start_clashes: link.clashes,
            ..Self::between(self.shared, (from, to), self.queues.clone())
        };
        if let Err(fault) = Box::pin(plan.run()).await {
            self.shared.failed(fault).await;
        }
        Ok(())
    }

    async fn stays(&self, found: &Found, stays: Stays) -> Result<(), Fault> {
        let path = join(&self.from, &found.below)?.whole().unwrap_or_default();
        self.shared.tell(Fact::Noticed(path, stays.text().into())).await;
        Ok(())
    }
}
