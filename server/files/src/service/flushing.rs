//! Puts things in place only when they are on the disk, and says that they are there only when that is on the disk too: one flush for
//! all that waits, and what comes meanwhile waits for the next one. The flush that brings one lot's content to the disk
//! brings the names of the lot before. And Flush, for what was changed in other ways.

use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use towpath_protocol::answer::{Done, Stored};
use towpath_protocol::entry::{Attributes, Kind};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::message::Answer;
use towpath_protocol::metadata::Parts;
use towpath_protocol::path::{Location, Name};
use towpath_protocol::request::Flush;

use super::Service;
use super::allowance::Hold;
use super::beside::{Held, Part, Policy};
use crate::disk;
use crate::disk::durable::{self, Flushed, flush_all, flush_together};

/// Things in one flush.
const PASS_MAX: usize = 1024;

/// Cheap to clone; all clones share their passes.
#[derive(Debug, Clone, Default)]
pub(super) struct Flushing(Arc<Mutex<Desk>>);

#[derive(Debug, Default)]
struct Desk {
    waiting: Vec<Waiting>,
    is_at_work: bool,
}

/// Complete, and not yet in place.
#[derive(Debug)]
struct Waiting {
    part: Part,
    name: Name,
    policy: Policy,
    hold: Hold,
    done: oneshot::Sender<Result<Attributes, Fault>>,
}

/// In place, and not yet known to stay there.
#[derive(Debug)]
struct Placed {
    folder: Arc<OwnedFd>,
    attributes: Attributes,
    done: oneshot::Sender<Result<Attributes, Fault>>,
}

impl Flushing {
    /// Puts a complete part in place once its content is on the disk, and returns once the place is too.
    pub(super) async fn place(
        &self,
        part: Part,
        name: Name,
        policy: Policy,
        hold: Hold,
    ) -> Result<Attributes, Fault> {
        let (done, outcome) = oneshot::channel();
        self.enter(Waiting { part, name, policy, hold, done });
        outcome.await.unwrap_or_else(|_| Err(FaultCode::Internal.into()))
    }

    fn enter(&self, waiting: Waiting) {
        let mut desk = self.desk();
        desk.waiting.push(waiting);
        if !desk.is_at_work {
            desk.is_at_work = true;
            let flushing = self.clone();
            tokio::task::spawn_blocking(move || flushing.work());
        }
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        let mut placed = Vec::new();
        while let Some(waiting) = self.next(placed.is_empty()) {
            // Whoever waited for what a panic took with it notices that no outcome comes.
            let lot = std::mem::take(&mut placed);
            placed = catch_unwind(AssertUnwindSafe(|| pass(waiting, lot))).unwrap_or_default();
        }
    }

    /// The next lot; none where the work is done.
    fn next(&self, is_idle: bool) -> Option<Vec<Waiting>> {
        let mut desk = self.desk();
        if is_idle && desk.waiting.is_empty() {
            desk.is_at_work = false;
            return None;
        }
        let lot = desk.waiting.len().min(PASS_MAX);
        Some(desk.waiting.drain(..lot).collect())
    }
}

/// Brings all changes of one file system to the disk, or one file or link and its name.
pub(super) async fn flush(service: Arc<Service>, request: Flush) -> Result<Answer, Fault> {
    service
        .blocking(&request.folder.clone(), move |service| {
            let thing = service.root.thing(&request.folder)?;
            match disk::stat_open(&thing)?.kind {
                Kind::File | Kind::Link => {
                    let attributes = flush_one(service, &request.folder, thing)?;
                    Ok(Stored { attributes, unset: Parts::NONE }.into())
                }
                _ => flush_all(thing).map(|()| Done {}.into()),
            }
        })
        .await
}

/// A move looks at a copy so while its source is out of the way: the path is resolved anew, the file opened by it, and its attributes are
/// the file system's own.
fn flush_one(service: &Service, place: &Location, thing: OwnedFd) -> Result<Attributes, Fault> {
    let parent = Held::look_for(&service.root, place)?;
    let thing = match disk::stat_open(&thing)?.kind {
        Kind::File => {
            let file = service.root.open_file(place)?;
            durable::flush(&file)?;
            file
        }
        _ => thing,
    };
    durable::flush_folder(&*parent.folder)?;
    disk::stat_open_anew(&thing)
}

/// One flush: `placed` is done with, `waiting` is put in place.
fn pass(waiting: Vec<Waiting>, placed: Vec<Placed>) -> Vec<Placed> {
    let mut things: Vec<Flushed<'_>> =
        placed.iter().map(|placed| Flushed::Folder(placed.folder.as_fd())).collect();
    things.extend(waiting.iter().map(|waiting| Flushed::File(waiting.part.file().as_fd())));
    let mut flushed = flush_together(&things).into_iter();
    let mut next = || flushed.next().unwrap_or_else(|| Err(FaultCode::Internal.into()));
    for Placed { attributes, done, .. } in placed {
        let _ = done.send(next().map(|()| attributes));
    }
    waiting.into_iter().filter_map(|waiting| waiting.put_in_place(next())).collect()
}

impl Waiting {
    fn put_in_place(self, flushed: Result<(), Fault>) -> Option<Placed> {
        let Self { part, name, policy, hold, done } = self;
        let folder = part.folder().clone();
        match flushed.and_then(|()| part.put_in_place(&name, &policy, hold)) {
            Ok(attributes) => Some(Placed { folder, attributes, done }),
            Err(fault) => {
                let _ = done.send(Err(fault));
                None
            }
        }
    }
}
