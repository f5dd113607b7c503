//! A job's life: plan and conflicts beside the steps that they send, many small files at once, few large ones; folders' modes
//! and times when their content is complete; what failed is counted and told, and does not stop the rest.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;
use towpath_protocol::answer::Totals;
use towpath_protocol::entry::Kind;
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::limits::SMALL_FILE_BYTES_MAX;
use towpath_protocol::message::Answer;
use towpath_protocol::path::{Location, WirePath};
use towpath_protocol::request::{Copy, Depth, Existing, Follow, Remove, Rename, SetMode, SetTimes};

use super::conflicts;
use super::job::{Fact, Item, Job, Progress, Reports, Summary, Verb};
use super::plan::{Filled, Plan, Step};
use super::pump::{self, Carried};
use crate::link::Link;
use crate::link::calls::operation_id;

/// Steps that the plan may be ahead.
const STEPS_QUEUED_MAX: usize = 1024;
/// Files under way at a time.
const FILES_AT_ONCE: usize = 128;
/// Large files under way at a time.
const LARGE_FILES_AT_ONCE: usize = 2;
/// How often progress is told.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// What all parts of a running job know.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) job: Job,
    pub(super) reports: Reports,
    pub(super) filled: Arc<Mutex<Vec<Filled>>>,
    begun: Instant,
    files: AtomicU64,
    bytes: AtomicU64,
    bytes_done: AtomicU64,
    files_total: AtomicU64,
    bytes_total: AtomicU64,
    unchanged: AtomicU64,
    skipped: AtomicU64,
    failed: AtomicU64,
    planning: AtomicBool,
    /// The large file that was begun last, and how many bytes had been moved then.
    current: Mutex<Option<(WirePath, u64, u64)>>,
}

/// Runs a job to its end. Facts must be taken while it runs. Never fails: what went wrong is in the summary and was told.
pub async fn run(job: Job, reports: Reports) -> Summary {
    let shared = Shared {
        job,
        reports,
        filled: Arc::default(),
        begun: Instant::now(),
        files: AtomicU64::new(0),
        bytes: AtomicU64::new(0),
        bytes_done: AtomicU64::new(0),
        files_total: AtomicU64::new(0),
        bytes_total: AtomicU64::new(0),
        unchanged: AtomicU64::new(0),
        skipped: AtomicU64::new(0),
        failed: AtomicU64::new(0),
        planning: AtomicBool::new(true),
        current: Mutex::new(None),
    };
    let outcome = shared.work().await;
    shared.tell_progress();
    shared.summary(outcome.err())
}

impl Shared {
    async fn work(&self) -> Result<(), Fault> {
        let (steps_in, steps) = mpsc::channel(STEPS_QUEUED_MAX);
        let (conflicts_in, conflicts) = mpsc::channel(STEPS_QUEUED_MAX);
        let planned_steps = steps_in.clone();
        let planning = async move {
            let planned = self.plan(planned_steps, conflicts_in).await;
            self.planning.store(false, Relaxed);
            planned
        };
        let telling = async {
            loop {
                tokio::time::sleep(PROGRESS_INTERVAL).await;
                self.tell_progress();
            }
        };
        let working = async {
            tokio::try_join!(planning, conflicts::decide(self, conflicts, steps_in), self.perform(steps))
                .map(drop)
        };
        tokio::select! {
            worked = working => worked?,
            never = telling => never,
        }
        self.finish_folders().await
    }

    /// Plans one item after the other.
    async fn plan(&self, steps: mpsc::Sender<Step>, conflicts: mpsc::Sender<Step>) -> Result<(), Fault> {
        for item in &self.job.items {
            if let Err(fault) = self.plan_item(item, &steps, &conflicts).await {
                self.failed(fault).await?;
            }
        }
        Ok(())
    }

    async fn plan_item(
        &self,
        item: &Item,
        steps: &mpsc::Sender<Step>,
        conflicts: &mpsc::Sender<Step>,
    ) -> Result<(), Fault> {
        let source = self.job.source.stat(&item.from, Follow::No).await?;
        let there = match self.job.destination.stat(&item.to, Follow::No).await {
            Ok(there) => Some(there),
            Err(fault) if fault.code == FaultCode::NotFound => None,
            Err(fault) => return Err(fault),
        };
        if self.is_same_root() {
            let is_same = there
                .as_ref()
                .is_some_and(|there| there.identity == source.identity && there.kind == source.kind);
            if is_same || self.holds(item, source.identity).await {
                let why = format!("{} to {}", item.from.display(), item.to.display());
                return Err(Fault::new(FaultCode::IntoItself).at(item.from.clone()).because(why));
            }
        }
        if let Some(parent) = item.to.parent() {
            self.make_parents(&parent).await?;
        }
        if there.is_none()
            && self.is_same_root()
            && self.job.excludes.is_empty()
            && source.kind == Kind::Folder
        {
            return self.whole_tree(item).await;
        }
        Plan::new(self, item, there.is_some(), steps.clone(), conflicts.clone()).run().await
    }

    /// Whether the destination lies within the source, whatever names lead there.
    async fn holds(&self, item: &Item, source: u64) -> bool {
        let mut folder = item.to.parent();
        while let Some(path) = folder {
            let there = self.job.destination.stat(&path, Follow::Yes).await;
            if path.starts_with(&item.from) || there.is_ok_and(|there| there.identity == source) {
                return true;
            }
            folder = path.parent();
        }
        false
    }

    /// Makes the folders that are missing above an item.
    async fn make_parents(&self, folder: &WirePath) -> Result<(), Fault> {
        let mut missing = Vec::new();
        let mut path = folder.clone();
        loop {
            match self.job.destination.stat(&path, Follow::Yes).await {
                Ok(there) if there.kind == Kind::Folder => break,
                Ok(_) => return Err(Fault::new(FaultCode::NotAFolder).at(path)),
                Err(fault) if fault.code == FaultCode::NotFound => {}
                Err(fault) => return Err(fault),
            }
            let Some(parent) = path.parent() else { break };
            missing.push(std::mem::replace(&mut path, parent));
        }
        for path in missing.iter().rev() {
            self.job.destination.make_folder(path, Existing::Replace).await?;
        }
        Ok(())
    }

    /// A folder within one root, to a free name: the service renames or copies all of it.
    async fn whole_tree(&self, item: &Item) -> Result<(), Fault> {
        let (from, to) = (Location::of(&item.from), Location::of(&item.to));
        let link = &self.job.destination;
        if self.job.verb == Verb::Move {
            let request = Rename {
                operation: operation_id()?,
                from: from.clone(),
                to: to.clone(),
                existing: Existing::Keep,
            };
            match link.call(request).await {
                Ok(_) => {
                    self.files.fetch_add(1, Relaxed);
                    return Ok(());
                }
                Err(fault) if fault.code == FaultCode::OtherFileSystem => {}
                Err(fault) => return Err(fault),
            }
        }
        let durability = match self.job.verb {
            Verb::Copy => towpath_protocol::request::Durability::Relaxed,
            Verb::Move => towpath_protocol::request::Durability::Synced,
        };
        let existing = Existing::Keep;
        let copy = Copy { operation: operation_id()?, from: from.clone(), to, existing, durability };
        let totals = self.long(link, copy).await?;
        self.files.fetch_add(totals.files, Relaxed);
        self.bytes.fetch_add(totals.bytes, Relaxed);
        let failed = totals.failed;
        self.tell_faults(totals).await?;
        if self.job.verb == Verb::Move && failed == 0 {
            let remove =
                Remove { operation: operation_id()?, thing: from, depth: Depth::Tree, expected: None };
            let totals = self.long(&self.job.source, remove).await?;
            self.tell_faults(totals).await?;
        }
        Ok(())
    }

    /// Long work of a service, its counters shown as ours.
    async fn long(
        &self,
        link: &Link,
        request: impl Into<towpath_protocol::message::Request>,
    ) -> Result<Totals, Fault> {
        let mut exchange = link.open(request);
        loop {
            let answer = tokio::select! {
                answer = exchange.next() => answer?,
                () = self.reports.cancel.cancelled() => {
                    exchange.cancel();
                    exchange.next().await?
                }
            };
            match answer {
                Answer::Progress(progress) => {
                    self.files_total.store(progress.files, Relaxed);
                    self.bytes_total.store(progress.bytes, Relaxed);
                    self.bytes_done.store(progress.bytes, Relaxed);
                }
                Answer::Totals(totals) => return Ok(totals),
                _ => return Err(FaultCode::Malformed.into()),
            }
        }
    }

    async fn tell_faults(&self, totals: Totals) -> Result<(), Fault> {
        let unnamed = totals.failed.saturating_sub(totals.faults.len() as u64);
        self.failed.fetch_add(unnamed, Relaxed);
        for fault in totals.faults {
            self.failed(fault).await?;
        }
        Ok(())
    }

    /// Does steps as they come: many small ones at once, few large ones.
    async fn perform(&self, mut steps: mpsc::Receiver<Step>) -> Result<(), Fault> {
        let mut under_way = FuturesUnordered::new();
        let (mut large, mut waiting) = (0, None::<Step>);
        let mut ended = false;
        loop {
            if let Some(step) = waiting.take() {
                let is_large = step.attributes.size > SMALL_FILE_BYTES_MAX as u64;
                if is_large && large >= LARGE_FILES_AT_ONCE {
                    waiting = Some(step);
                } else {
                    large += usize::from(is_large);
                    under_way.push(self.do_step(step, is_large));
                }
            }
            if ended && waiting.is_none() && under_way.is_empty() {
                return Ok(());
            }
            let takes_more = !ended && waiting.is_none() && under_way.len() < FILES_AT_ONCE;
            tokio::select! {
                step = steps.recv(), if takes_more => {
                    ended = step.is_none();
                    waiting = step;
                }
                Some(done) = under_way.next(), if !under_way.is_empty() => {
                    let is_large = done?;
                    large -= usize::from(is_large);
                    self.finish_folders().await?;
                }
                () = self.reports.cancel.cancelled() => {
                    // Each notices by itself, and leaves nothing half.
                    while under_way.next().await.is_some() {}
                    return Err(FaultCode::Cancelled.into());
                }
            }
        }
    }

    async fn do_step(&self, step: Step, is_large: bool) -> Result<bool, Fault> {
        match pump::carry(self, &step).await {
            Ok(Carried { bytes, grown }) => {
                self.files.fetch_add(1, Relaxed);
                self.bytes.fetch_add(bytes, Relaxed);
                if grown {
                    let path = step.from.whole().unwrap_or_default();
                    let fact =
                        Fact::Noticed(path, "grew meanwhile; what it had when the copy began was copied");
                    let _ = self.reports.facts.send(fact).await;
                }
            }
            Err(fault) => {
                let path = step.from.whole().unwrap_or_default();
                let fault = if fault.path.is_some() { fault } else { fault.at(path) };
                self.failed(fault).await?;
            }
        }
        Ok(is_large)
    }

    /// Sets mode and times of the folders whose content is complete; a move takes away the source's.
    async fn finish_folders(&self) -> Result<(), Fault> {
        let filled = std::mem::take(&mut *self.filled.lock().unwrap_or_else(PoisonError::into_inner));
        for folder in filled {
            if let Err(fault) = self.finish_folder(folder).await {
                self.failed(fault).await?;
            }
        }
        Ok(())
    }

    async fn finish_folder(&self, Filled { from, to, attributes }: Filled) -> Result<(), Fault> {
        let link = &self.job.destination;
        let (mode, modified_ns) = (attributes.mode, attributes.modified_ns);
        link.call(SetMode { thing: to.clone(), mode }).await?;
        link.call(SetTimes { thing: to, modified_ns }).await?;
        if self.job.verb == Verb::Move {
            let (operation, depth) = (operation_id()?, Depth::Single);
            match self.job.source.call(Remove { operation, thing: from, depth, expected: None }).await {
                // What could not be moved was told, and keeps its folder.
                Err(fault) if fault.code == FaultCode::NotEmpty => {}
                removed => drop(removed?),
            }
        }
        Ok(())
    }

    /// Tells a failure. Err where the rest cannot be done either.
    pub(super) async fn failed(&self, fault: Fault) -> Result<(), Fault> {
        let stops = matches!(
            fault.code,
            FaultCode::Cancelled | FaultCode::NoSpace | FaultCode::ReadOnly | FaultCode::Disconnected
        );
        if stops {
            return Err(fault);
        }
        self.failed.fetch_add(1, Relaxed);
        let _ = self.reports.facts.send(Fact::Failed(fault)).await;
        Ok(())
    }

    pub(super) async fn step_failed(&self, step: &Step, fault: Fault) -> Result<(), Fault> {
        self.not_counted(step);
        self.failed(fault).await
    }

    pub(super) async fn step_skipped(&self, step: &Step, why: &'static str) {
        self.not_counted(step);
        self.count_skipped();
        let path = step.to.whole().unwrap_or_default();
        let _ = self.reports.facts.send(Fact::Skipped(path, why)).await;
    }

    pub(super) fn not_needed(&self, step: &Step) {
        self.not_counted(step);
        self.unchanged();
    }

    fn not_counted(&self, step: &Step) {
        self.files_total.fetch_sub(1, Relaxed);
        self.bytes_total.fetch_sub(step.attributes.size, Relaxed);
    }

    pub(super) fn is_same_root(&self) -> bool {
        self.job.source.is_same(&self.job.destination)
    }

    pub(super) fn found(&self, bytes: u64) {
        self.files_total.fetch_add(1, Relaxed);
        self.bytes_total.fetch_add(bytes, Relaxed);
    }

    pub(super) fn moved(&self, bytes: u64) {
        self.bytes_done.fetch_add(bytes, Relaxed);
    }

    /// Bytes of a file that did not arrive after all.
    pub(super) fn unmoved(&self, bytes: u64) {
        self.bytes_done.fetch_sub(bytes, Relaxed);
    }

    pub(super) fn unchanged(&self) {
        self.unchanged.fetch_add(1, Relaxed);
    }

    pub(super) fn count_skipped(&self) {
        self.skipped.fetch_add(1, Relaxed);
    }

    pub(super) fn begin(&self, step: &Step) {
        let path = step.from.whole().unwrap_or_default();
        let current = (path, self.bytes_done.load(Relaxed), step.attributes.size);
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Some(current);
    }

    fn tell_progress(&self) {
        let bytes = self.bytes_done.load(Relaxed);
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let current =
            current.map(|(path, before, size)| (path, bytes.saturating_sub(before).min(size), size));
        self.reports.progress.send_replace(Progress {
            files: self.files.load(Relaxed),
            bytes,
            files_total: self.files_total.load(Relaxed),
            bytes_total: self.bytes_total.load(Relaxed),
            growing: self.planning.load(Relaxed),
            current,
            elapsed: self.begun.elapsed(),
        });
    }

    fn summary(&self, stopped: Option<Fault>) -> Summary {
        let cancelled = stopped.as_ref().is_some_and(|fault| fault.code == FaultCode::Cancelled);
        Summary {
            files: self.files.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            seconds: self.begun.elapsed().as_secs_f64(),
            unchanged: self.unchanged.load(Relaxed),
            skipped: self.skipped.load(Relaxed),
            failed: self.failed.load(Relaxed) + u64::from(stopped.is_some() && !cancelled),
            cancelled,
            stopped: stopped.filter(|_| !cancelled),
        }
    }
}
