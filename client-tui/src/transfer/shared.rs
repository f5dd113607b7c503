//! What all parts of a running job share: what it is, whom it tells, what it counts, and whether it is to stop. Knows none of
//! those parts.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use towpath_protocol::entry::Attributes;
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::metadata::Metadata;
use towpath_protocol::request::{Durability, StoreAs};

use super::job::{ExistingPolicy, Fact, Job, Reports, Summary, Verb};
use super::leaving::Flushes;
use super::placed::Placed;
use super::space::Room;
use super::tally::Tally;
use super::work::{HandOver, Step};
use crate::model::conflict::Choice;

/// How long a stopped job waits until nothing is left of what was under way.
pub(super) const STOP_TIME: Duration = Duration::from_secs(5);
/// Files whose contents are compared at a time.
const CHECKS_AT_ONCE: usize = 4;

/// What all parts of a running job know.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) job: Job,
    pub(super) reports: Reports,
    pub(super) tally: Tally,
    pub(super) hand_over: Arc<HandOver>,
    pub(super) room: Room,
    /// Each allows the contents of one file to be compared on both sides.
    pub(super) checks: Semaphore,
    pub(super) flushes: Flushes,
    /// Held by the one that tries again with a source that has more than one name, whose time of change moves with each that goes.
    pub(super) again: tokio::sync::Mutex<()>,
    pub(super) placed: Arc<Placed>,
    /// Set when nothing more is to begin: cancelled, or the rest cannot be done.
    pub(super) stop: CancellationToken,
    /// Something has changed at the destination that no file brings to the disk with itself: a link, a folder, a mode, a new name.
    touched: AtomicBool,
    /// Why the rest cannot be done.
    stopped: Mutex<Option<Fault>>,
}

impl Shared {
    pub(super) fn new(job: Job, reports: Reports) -> Self {
        Self {
            stop: reports.cancel.child_token(),
            placed: job.placed.clone().unwrap_or_else(|| Arc::new(Placed::by(&job.items))),
            flushes: Flushes::default(),
            again: tokio::sync::Mutex::default(),
            job,
            reports,
            tally: Tally::new(),
            room: Room::default(),
            checks: Semaphore::new(CHECKS_AT_ONCE),
            hand_over: Arc::default(),
            touched: AtomicBool::new(false),
            stopped: Mutex::default(),
        }
    }

    /// How it ended; to be asked once nothing moves any more.
    pub(super) fn summary(&self) -> Summary {
        let stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner).take();
        let cancelled = stopped.is_none() && self.reports.cancel.is_cancelled();
        self.tally.summary(stopped, cancelled)
    }

    /// Tells the failure of a step that was found. What ends the job leaves it among what is to be done.
    pub(super) async fn has_failed(&self, step: &Step, fault: Fault) {
        if fault.code != FaultCode::Cancelled && !ends_all(fault.code) {
            self.tally.not_arrived(&step.from, step.attributes.size);
        }
        self.failed(fault).await;
    }

    /// Tells a failure. Stops the job where the rest cannot be done either; whatever that ends is no failure of its own.
    pub(super) async fn failed(&self, fault: Fault) {
        match fault.code {
            FaultCode::Cancelled if self.stop.is_cancelled() => {}
            code if ends_all(code) => self.stop_for(fault),
            _ => {
                self.tally.failed(1);
                self.tell(Fact::Failed(fault)).await;
            }
        }
    }

    /// Something has changed at the destination that no file brings to the disk with itself.
    pub(super) fn touch(&self) {
        self.touched.store(true, Relaxed);
    }

    pub(super) fn is_touched(&self) -> bool {
        self.touched.load(Relaxed)
    }

    /// The first reason stays.
    pub(super) fn stop_for(&self, fault: Fault) {
        self.stopped.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(fault);
        self.stop.cancel();
    }

    /// Where nobody listens any more, the summary has to do.
    pub(super) async fn tell(&self, fact: Fact) {
        let _ = self.reports.facts.send(fact).await;
    }

    /// `Cancelled` where the job stops first.
    pub(super) async fn unless_stopped<T>(&self, work: impl Future<Output = T>) -> Result<T, Fault> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(FaultCode::Cancelled.into()),
            done = work => Ok(done),
        }
    }

    /// Whether what came of a file waits for the rest, where the job is cancelled.
    pub(super) fn is_resumed(&self) -> bool {
        self.job.is_resumed || self.reports.leave.is_cancelled()
    }

    pub(super) fn is_one_root(&self) -> bool {
        self.job.source.is_same(&self.job.destination)
    }

    /// Returns whether files that look unchanged are compared by content.
    pub(super) fn compares(&self) -> bool {
        self.job.on_request.checksum || self.job.existing == ExistingPolicy::Always(Choice::Different)
    }

    /// Whether things of both sides with one identity are one thing.
    pub(super) fn is_one_machine(&self) -> bool {
        let id = |link: &crate::link::Link| link.welcome().machine.as_ref().map(|machine| machine.id);
        let source = id(&self.job.source);
        self.is_one_root() || (source.is_some() && source == id(&self.job.destination))
    }

    pub(super) const fn durability(&self) -> Durability {
        match self.job.verb {
            Verb::Move => Durability::Synced,
            Verb::Copy => self.job.durability,
        }
    }

    /// How a file is stored that has these attributes at the source, and this besides.
    pub(super) fn store_as(
        &self,
        step: &Step,
        attributes: &Attributes,
        metadata: Option<Box<Metadata>>,
    ) -> StoreAs {
        StoreAs {
            mode: attributes.mode,
            modified: attributes.modified,
            existing: step.existing,
            expected: step.expected(),
            durability: self.durability(),
            metadata,
        }
    }
}

/// Returns whether the rest of a job cannot be done either.
pub(super) const fn ends_all(code: FaultCode) -> bool {
    matches!(code, FaultCode::ReadOnly | FaultCode::Disconnected | FaultCode::ShuttingDown)
}
