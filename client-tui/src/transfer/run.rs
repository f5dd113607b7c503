//! A job's life: plan and conflicts beside the work that they send, many small files at once, few large ones; what failed is
//! counted and told, and does not stop the rest, except where the rest cannot be done either.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};
use towpath_protocol::entry::Attributes;
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::limits::SMALL_FILE_BYTES_MAX;
use towpath_protocol::metadata::{Part, Parts};
use towpath_protocol::path::Location;
use towpath_protocol::request::{Depth, Durability, Flush, Remove, SetMode, SetTimes};

use super::carry;
use super::conflicts;
use super::dry;
use super::job::{Fact, Job, Reports, Summary, Verb};
use super::large;
use super::listed;
use super::metadata;
use super::plan::{Plan, Queues, is_unchanged, look_at};
use super::shared::{STOP_TIME, Shared};
use super::start::{self, Begun};
use super::work::{Carried, Filled, Folder, Step, Work};
use crate::link::calls::operation_id;

/// Work that the plan may be ahead.
const WORK_QUEUED_MAX: usize = 1024;
/// Conflicts that the plan may be ahead of those that wait for a decision.
const CONFLICTS_QUEUED_MAX: usize = 16;
/// Files and folders under way at a time, near by; small files' bytes are bounded by it too.
const AT_ONCE_LEAST: usize = 128;
/// The same over a long line: nearly as many requests as a session may have open, so that a listing still finds its place.
const AT_ONCE_MOST: usize = 448;
/// Files a second for which the line is to be no bound.
const FILES_PER_SECOND: u128 = 12_000;
/// Files' windows that are open at a time, of large files.
const LARGE_WINDOWS_AT_ONCE: u64 = 2;
/// Large files that wait for their turn while small ones overtake them.
const LARGE_WAITING_MAX: usize = 64;
/// How often progress is told.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// Why a move leaves what looks the same.
pub(super) const ANOTHER_CONTENT: &str = "exists with the same size and time, but another content";

/// Runs a job to its end. Facts must be taken while it runs. Never fails: what went wrong is in the summary and was told. When it
/// returns, nothing moves any more, and nothing half is at the destination.
pub async fn run(job: Job, reports: Reports) -> Summary {
    let shared = Shared::new(job, reports);
    tokio::select! {
        () = shared.work() => {}
        () = shared.tell_progress() => {}
    }
    shared.reports.progress.send_replace(shared.tally.progress());
    shared.summary()
}

impl Shared {
    async fn work(&self) {
        let (work_in, work) = mpsc::channel(WORK_QUEUED_MAX);
        let (conflicts_in, conflicts) = mpsc::channel(CONFLICTS_QUEUED_MAX);
        let (folders_in, folders) = mpsc::channel(CONFLICTS_QUEUED_MAX);
        let queues =
            Queues { work: work_in.clone(), conflicts: conflicts_in.clone(), folders: Some(folders_in) };
        // Nothing is in the way of what is kept beside it.
        let beside = Queues { work: work_in.clone(), conflicts: conflicts_in, folders: None };
        let planning = async {
            if let Err(fault) = self.plan(queues).await {
                self.failed(fault).await;
            }
            self.tally.all_found();
        };
        let performing = async {
            if self.job.is_dry {
                dry::tell_all(self, work).await;
            } else {
                self.perform(work).await;
            }
        };
        tokio::join!(
            planning,
            conflicts::settle_folders(self, folders, beside),
            conflicts::settle_all(self, conflicts, work_in),
            performing,
        );
        if self.durability() == Durability::Synced && self.is_touched() {
            self.flush().await;
        }
        metadata::tell_unset(self).await;
    }

    /// Brings to the disk what no file brought there with itself: links, folders, their modes and times, and new names of what was
    /// only renamed.
    async fn flush(&self) {
        let mut folders: Vec<_> = self.job.items.iter().filter_map(|item| item.to.parent()).collect();
        folders.sort();
        folders.dedup();
        for folder in folders {
            let flush = Flush { folder: Location::through(&folder) };
            match self.unless_stopped(self.job.destination.call(flush)).await.flatten() {
                // One that has not learnt it yet does what it can.
                Err(fault) if fault.code == FaultCode::Unsupported => return,
                Err(fault) => self.failed(if fault.path.is_none() { fault.at(folder) } else { fault }).await,
                Ok(_) => {}
            }
        }
    }

    /// Never ends.
    async fn tell_progress(&self) {
        loop {
            sleep(PROGRESS_INTERVAL).await;
            self.reports.progress.send_replace(self.tally.progress());
        }
    }

    /// Plans one item after the other. Err where none of them can be done, or nobody wants the rest.
    async fn plan(&self, queues: Queues) -> Result<(), Fault> {
        if let Err(fault) = self.unless_stopped(start::check(self)).await? {
            self.stop_for(fault);
            return Ok(());
        }
        let mut is_all_walked = true;
        for item in &self.job.items {
            let planned = match start::begin(self, item).await {
                Ok(Begun::Done) => Ok(()),
                Ok(Begun::Walk { is_there, into }) => {
                    let plan = Plan::new(self, item, is_there, into, queues.clone());
                    self.unless_stopped(plan.run()).await?
                }
                Err(fault) => Err(fault),
            };
            if let Err(fault) = planned {
                is_all_walked = false;
                self.failed(fault).await;
            }
            if self.stop.is_cancelled() {
                return Ok(());
            }
        }
        if is_all_walked { self.unless_stopped(listed::tell_unmet(self)).await? } else { Ok(()) }
    }

    /// Does work as it comes: folders first, since others wait for them, then small files, few large ones among them.
    async fn perform(&self, mut work: mpsc::Receiver<Work>) {
        let mut under_way = FuturesUnordered::new();
        let (mut large_waiting, mut large_bytes) = (VecDeque::<Step>::new(), 0);
        let window_bytes = large::window_bytes(&self.job.source);
        let window_of = |step: &Step| window_of(step, window_bytes);
        let at_once = at_once(self.job.source.round_trip_min().max(self.job.destination.round_trip_min()));
        let (mut has_ended, mut deadline) = (false, None);
        loop {
            for filled in self.hand_over.take() {
                if deadline.is_none() {
                    under_way.push(self.do_work(Work::Finish(filled), 0));
                }
            }
            while let Some(window) = large_waiting.front().map(window_of)
                && (large_bytes == 0 || large_bytes + window <= LARGE_WINDOWS_AT_ONCE * window_bytes)
                && let Some(step) = large_waiting.pop_front()
            {
                large_bytes += window;
                under_way.push(self.do_work(Work::Carry(step), window));
            }
            if has_ended && large_waiting.is_empty() && under_way.is_empty() {
                return;
            }
            let takes_more =
                !has_ended && under_way.len() < at_once && large_waiting.len() < LARGE_WAITING_MAX;
            tokio::select! {
                biased;
                () = self.stop.cancelled(), if deadline.is_none() => {
                    // What is under way ends by itself now, and is waited for.
                    deadline = Some(Instant::now() + STOP_TIME);
                    has_ended = true;
                    work.close();
                    large_waiting.clear();
                }
                () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => return,
                Some(window) = under_way.next(), if !under_way.is_empty() => large_bytes -= window,
                next = work.recv(), if takes_more => match next {
                    Some(Work::Carry(step)) if window_of(&step) > 0 => large_waiting.push_back(step),
                    Some(work) => under_way.push(self.do_work(work, 0)),
                    None => has_ended = true,
                },
                () = self.hand_over.some() => {}
            }
        }
    }

    /// Gives the window back that it was given.
    async fn do_work(&self, work: Work, window: u64) -> u64 {
        match work {
            Work::Carry(step) => self.do_step(step).await,
            Work::Finish(filled) => {
                if let Err(fault) = self.finish(&filled).await {
                    self.failed(fault).await;
                }
            }
        }
        window
    }

    async fn do_step(&self, mut step: Step) {
        if step.is_twin {
            match self.twin(step).await {
                Some(differs) => {
                    step = differs;
                    step.folder.iter().for_each(|folder| folder.touch());
                }
                None => return,
            }
        }
        let mut is_opened = false;
        loop {
            let fault = match carry::carry(self, &mut step).await {
                Ok(carried) => return self.has_arrived(&step, carried).await,
                Err(fault) => fault,
            };
            if fault.code == FaultCode::PermissionDenied
                && !std::mem::replace(&mut is_opened, true)
                && self.open_up(step.folder.as_deref()).await
            {
                continue;
            }
            // Somebody was faster, perhaps we ourselves with a second copy beside the first.
            if fault.code == FaultCode::AlreadyExists && step.there.is_none() {
                match conflicts::settle_late(self, step).await {
                    Some(settled) => step = settled,
                    None => return,
                }
                continue;
            }
            if fault.code == FaultCode::Changed
                && let Some(there) = self.came_meanwhile(&step).await
            {
                let _ = self.twin(Step { there: Some(there), is_twin: true, ..step }).await;
                return;
            }
            let whole = |place: &Location| place.whole().unwrap_or_default();
            let fault = match fault.path {
                // It is the destination that a copy writes to.
                _ if fault.code == FaultCode::ReadOnly && self.job.verb == Verb::Copy => {
                    fault.at(whole(&step.to))
                }
                Some(_) => fault,
                None => fault.at(whole(&step.from)),
            };
            return self.has_failed(&step, fault).await;
        }
    }

    /// What is at the destination, where that is the source as it is now: a copy that was cut off at its very end had all that the
    /// destination needed to complete it.
    async fn came_meanwhile(&self, step: &Step) -> Option<Attributes> {
        let there = look_at(&self.job.destination, &step.to).await.ok()?;
        is_unchanged(&step.attributes, &there).then_some(there)
    }

    async fn has_arrived(&self, step: &Step, Carried { bytes, grown, source, there }: Carried) {
        self.tally.arrived(1, bytes);
        // Copies within a service have no hash.
        if there.is_some() {
            self.tally.verified();
        }
        if step.attributes.link.is_some() || source.is_none() {
            self.touch();
        }
        if grown {
            let path = step.from.whole().unwrap_or_default();
            self.tell(Fact::Noticed(
                path,
                "grew meanwhile; what it had when the copy began was copied".into(),
            ))
            .await;
        }
        if source.is_some()
            && self.job.verb == Verb::Move
            && let Err(fault) = self.leave(step, bytes, there).await
        {
            self.failed(fault).await;
        }
    }

    /// Gives a thing that is there its mode, and what it is to have besides. Returns what could not be given.
    pub(super) async fn set_attributes(
        &self,
        (from, attributes): (&Location, &Attributes),
        (to, identity): (&Location, u64),
    ) -> Result<Parts, Fault> {
        match metadata::of(self, from, attributes.version()).await? {
            Some(metadata) => {
                self.touch();
                metadata::set(self, to, identity, attributes.mode, *metadata).await
            }
            None => metadata::unless(Part::Mode, self.set_mode(to, attributes.mode).await),
        }
    }

    /// Lets the owner change a folder that was joined, where its mode did not; it gets its own mode when it is complete. False if there is
    /// nothing to open up.
    pub(super) async fn open_up(&self, folder: Option<&Folder>) -> bool {
        let Some((folder, mode)) = folder.and_then(|folder| Some((folder, folder.closed_mode?))) else {
            return false;
        };
        folder.touch();
        self.set_mode(folder.place(), mode | 0o700).await.is_ok()
    }

    async fn set_mode(&self, thing: &Location, mode: u16) -> Result<(), Fault> {
        self.touch();
        self.job.destination.call(SetMode { thing: thing.clone(), mode }).await.map(drop)
    }

    /// Sets mode and time of a folder whose content is complete; a move takes away the source's.
    async fn finish(
        &self,
        Filled { from, to, attributes, identity, is_way, .. }: &Filled,
    ) -> Result<(), Fault> {
        let set_time = SetTimes { thing: to.clone(), modified: attributes.modified };
        let (unset, timed) = tokio::join!(
            self.set_attributes((from, attributes), (to, *identity)),
            self.job.destination.call(set_time)
        );
        let unset = unset?.and_also(metadata::unless(Part::Modified, timed.map(drop))?);
        metadata::count(self, unset);
        if self.job.verb == Verb::Move && !is_way {
            self.flushed(to)
                .await
                .map_err(|fault| fault.because("copied, but the folder at the source stays"))?;
            let (operation, thing, depth) = (operation_id()?, from.clone(), Depth::Single);
            let request = Remove { operation, thing, depth, expected: None, aside: false };
            match self.job.source.call(request).await {
                // A thing that could not be moved was reported and keeps its folder; so does an excluded one.
                Err(fault) if fault.code == FaultCode::NotEmpty && self.leaves_something() => {}
                Err(fault) if fault.code == FaultCode::NotEmpty => {
                    return Err(
                        fault.because("copied, but the folder at the source stays: something came into it")
                    );
                }
                removed => drop(removed?),
            }
        }
        Ok(())
    }
}

impl Shared {
    /// Returns whether it is known that not all of the source is moved.
    fn leaves_something(&self) -> bool {
        self.tally.leaves_something() || !self.job.excludes.is_empty()
    }
}

/// Files and folders to have under way, where an answer takes so long.
fn at_once(round_trip: Duration) -> usize {
    ((round_trip.as_micros() * FILES_PER_SECOND / 1_000_000) as usize).clamp(AT_ONCE_LEAST, AT_ONCE_MOST)
}

/// Bytes that a large file will have asked for ahead; none for what travels in one message.
fn window_of(step: &Step, window_bytes: u64) -> u64 {
    let size = step.attributes.size;
    if size <= SMALL_FILE_BYTES_MAX as u64 { 0 } else { size.min(window_bytes) }
}
