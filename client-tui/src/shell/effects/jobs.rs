//! Jobs: transfers and deletions in tasks of their own, their progress and their questions as events.

use std::collections::HashSet;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use towpath_protocol::answer::Totals;
use towpath_protocol::fault::Fault;
use towpath_protocol::message::Answer;
use towpath_protocol::path::{Location, WirePath};
use towpath_protocol::request::{Depth, Remove};

use super::Effects;
use crate::app::event::Event;
use crate::link::Link;
use crate::link::calls::operation_id;
use crate::model::number::{counted, thousands};
use crate::model::size::megabytes_grouped;
use crate::model::{Carry, Choice, Conflict, JobId, JobProgress, LinkId};
use crate::transfer;
use crate::transfer::excludes::Excludes;
use crate::transfer::job::{
    ExistingPolicy, FACTS_QUEUED_MAX, Fact, Item, Job, Progress, Reports, Summary, Verb,
};
use crate::transfer::throttle::Throttle;
use crate::transfer::undecided::Undecided;

/// Time limit for counting the files of a rename.
const COUNT_TIME: Duration = Duration::from_secs(2);
/// How long running jobs may take to leave nothing half behind.
const END_TIME: Duration = Duration::from_secs(5);

/// What a job carries.
#[derive(Debug)]
pub(super) struct Carriage {
    pub(super) carry: Carry,
    /// Source and destination.
    pub(super) between: (LinkId, LinkId),
    pub(super) items: Vec<(WirePath, WirePath)>,
    /// What was said about everything that is in the way.
    pub(super) existing: Option<Choice>,
}

/// What becomes of unfinished files of a job that is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parts {
    Go,
    /// Until the job goes on.
    Wait,
}

/// A job's means to be stopped.
#[derive(Debug, Clone, Default)]
pub(super) struct Stopping {
    cancel: CancellationToken,
    /// Set first where unfinished files are to wait.
    leave: CancellationToken,
}

impl Effects {
    pub(super) fn carry(&mut self, id: JobId, Carriage { carry, between, items, existing }: Carriage) {
        let (source, destination) = between;
        let ended = |fault| unbegun(id, fault);
        let Some(source) = self.link_or(source, ended) else { return };
        let Some(destination) = self.link_or(destination, ended) else { return };
        let Stopping { cancel, leave } = self.stopping(id);
        let throttle = Arc::new(Throttle::below(self.throttle.clone()));
        self.throttles.insert(id, throttle.clone());
        let (facts, taken) = mpsc::channel(FACTS_QUEUED_MAX);
        let (progress, shown) = watch::channel(Progress::default());
        let verb = if carry == Carry::Copy { Verb::Copy } else { Verb::Move };
        let there = destination.clone();
        let job = Job {
            verb,
            source,
            destination,
            items: items.iter().cloned().map(|(from, to)| Item { from, to }).collect(),
            existing: existing.map_or(ExistingPolicy::Ask, ExistingPolicy::Always),
            excludes: Excludes::default(),
            durability: self.durability,
            on_request: self.on_request,
            is_resumed: false,
            is_dry: false,
            placed: None,
        };
        let undecided = Arc::new(Undecided::default());
        self.undecided.insert(id, undecided.clone());
        let reports = Reports { progress: Arc::new(progress), facts, cancel, leave, throttle, undecided };
        let events = self.events.clone();
        self.jobs.spawn(async move {
            // What happened last is told as well: the telling ends when all facts are taken.
            let telling = tell(id, &items, (taken, shown), &events);
            let (summary, (troubled, unasked)) = tokio::join!(transfer::run(job, reports), telling);
            let is_whole = !summary.cancelled && summary.stopped.is_none();
            let what = named(items.iter().map(|(from, _)| from));
            let renamed = renamed(&summary, &there, &items).await;
            let done = items.into_iter().enumerate().filter(|(at, _)| is_whole && !troubled.contains(at));
            let done = done.map(|(_, (from, _))| from).collect();
            let (good, text) = in_words(&summary, verb, (&what, unasked));
            let text = renamed.unwrap_or(text);
            let _ = events.send(Event::JobEnded { id, good, stopped: summary.stopped, text, done }).await;
            id
        });
    }

    pub(super) fn remove(&mut self, id: JobId, link: LinkId, paths: Vec<WirePath>, counted: (u64, u64)) {
        let ended = |fault| unbegun(id, fault);
        let Some(link) = self.link_or(link, ended) else { return };
        let (cancel, events) = (self.stopping(id).cancel, self.events.clone());
        self.jobs.spawn(async move {
            let removal =
                Removal { id, link, events, cancel, counted, begun: Instant::now(), gone: Totals::default() };
            removal.run(paths).await;
            id
        });
    }

    /// A job's means to be stopped. Those of jobs that are over go.
    fn stopping(&mut self, id: JobId) -> Stopping {
        while let Some(over) = self.jobs.try_join_next() {
            if let Ok(id) = over {
                self.cancels.remove(&id);
                self.throttles.remove(&id);
                self.undecided.remove(&id);
            }
        }
        let stopping = Stopping::default();
        self.cancels.insert(id, stopping.clone());
        stopping
    }

    pub(super) fn cancel(&self, job: JobId, parts: Parts) {
        if let Some(stopping) = self.cancels.get(&job) {
            if parts == Parts::Wait {
                stopping.leave.cancel();
            }
            stopping.cancel.cancel();
        }
    }

    /// Stops all jobs so that the next start can go on with them.
    pub(in crate::shell) fn leave_jobs(&self) {
        self.cancels.keys().for_each(|job| self.cancel(*job, Parts::Wait));
    }

    pub(super) fn throttled(&self, job: JobId, change: impl FnOnce(&Throttle)) {
        if let Some(throttle) = self.throttles.get(&job) {
            change(throttle);
        }
    }

    /// The rate of one job, or of all together.
    pub(super) fn limit(&self, job: Option<JobId>, bytes_per_second: Option<u64>) {
        let limit = bytes_per_second.and_then(NonZeroU64::new);
        match job {
            Some(job) => self.throttled(job, |throttle| throttle.limit(limit)),
            None => self.throttle.limit(limit),
        }
    }

    /// Whether both sides of a conflict hold the same.
    pub(super) fn compare(&self, id: JobId, conflict: Conflict, (source, destination): (LinkId, LinkId)) {
        let name = conflict.id;
        let compared = move |outcome| Event::JobCompared { id, conflict: name, outcome };
        let Some(source) = self.link_or(source, |fault| compared(Err(fault))) else { return };
        let Some(destination) = self.link_or(destination, |fault| compared(Err(fault))) else { return };
        let events = self.events.clone();
        tokio::spawn(async move {
            let outcome = transfer::is_same_content(&source, &destination, &conflict).await;
            let _ = events.send(compared(outcome)).await;
        });
    }

    /// Cancels all jobs, waits for them a while, and takes leave of every server.
    pub(in crate::shell) async fn end(&mut self) {
        self.cancels.keys().for_each(|job| self.cancel(*job, Parts::Go));
        let jobs = &mut self.jobs;
        let _ = tokio::time::timeout(END_TIME, async { while jobs.join_next().await.is_some() {} }).await;
        self.bye().await;
        self.notes.end().await;
    }
}

/// Passes a job's facts and its newest progress on, until the job has ended. Returns the items that are not whole, by number, and how many
/// things were skipped without anybody's decision.
async fn tell(
    id: JobId,
    items: &[(WirePath, WirePath)],
    (mut facts, mut progress): (mpsc::Receiver<Fact>, watch::Receiver<Progress>),
    events: &mpsc::Sender<Event>,
) -> (HashSet<usize>, u64) {
    let (mut troubled, mut unasked) = (HashSet::new(), 0);
    loop {
        let event = tokio::select! {
            Some(fact) = facts.recv() => {
                troubled.extend(troubled_by(&fact, items));
                match fact {
                    Fact::Failed(fault) => failed(id, fault),
                    Fact::Unnamed(path, count) => {
                        said(id, false, (path, format!("{} more failed", thousands(count))))
                    }
                    Fact::Skipped(path, why) => {
                        let is_decided = transfer::is_decided(why);
                        unasked += u64::from(!is_decided);
                        said(id, is_decided, (path, format!("skipped: {why}")))
                    }
                    Fact::Noticed(path, what) => said(id, true, (path, what.into_owned())),
                    Fact::Conflict(conflict) => Event::JobConflict { id, conflict },
                    Fact::Settled(conflict) => Event::JobSettled { id, conflict },
                    Fact::Short { needed, free } => Event::JobShort { id, needed, free },
                    Fact::Made(path) => said(id, true, (path, "folder created".to_owned())),
                    // Of jobs that change nothing; here all do.
                    Fact::Planned(_) => continue,
                }
            }
            Ok(()) = progress.changed() => Event::JobProgress { id, now: shown(&progress.borrow_and_update()) },
            else => return (troubled, unasked),
        };
        if events.send(event).await.is_err() {
            return (troubled, unasked);
        }
    }
}

/// The items that a fact keeps from being whole; all where it names none of them.
fn troubled_by(fact: &Fact, items: &[(WirePath, WirePath)]) -> Vec<usize> {
    let path = match fact {
        Fact::Failed(fault) => fault.path.as_ref(),
        Fact::Skipped(path, _) | Fact::Unnamed(path, _) => Some(path),
        _ => return Vec::new(),
    };
    let is_of = |item: &(WirePath, WirePath)| {
        path.is_some_and(|path| path.starts_with(&item.0) || path.starts_with(&item.1))
    };
    let named: Vec<usize> = (0..items.len()).filter(|at| is_of(&items[*at])).collect();
    if named.is_empty() { (0..items.len()).collect() } else { named }
}

fn said(id: JobId, good: bool, (path, text): (WirePath, String)) -> Event {
    Event::JobSaid { id, good, path: Some(path), text }
}

fn failed(id: JobId, fault: Fault) -> Event {
    let text = Fault { path: None, ..fault.clone() }.to_string();
    Event::JobSaid { id, good: false, path: fault.path, text }
}

/// A job that could not begin.
fn unbegun(id: JobId, fault: Fault) -> Event {
    Event::JobEnded { id, good: false, stopped: Some(fault), text: String::new(), done: Vec::new() }
}

fn shown(now: &Progress) -> JobProgress {
    let current = now.current.as_ref().map(|(path, done, size)| {
        let name = path.name().map(|name| name.display().to_string()).unwrap_or_default();
        (name, *done, *size)
    });
    JobProgress {
        files: now.files,
        files_total: now.files_total,
        bytes: now.bytes,
        bytes_total: now.bytes_total,
        arrived_bytes: now.arrived_bytes,
        reused: now.saved.saturating_add(now.resumed).saturating_add(now.renamed),
        growing: now.growing,
        current,
        elapsed_ms: now.elapsed.as_millis() as u64,
        bytes_per_second: now.bytes_per_second,
        left_seconds: now.left.map(|left| left.as_secs()),
    }
}

/// A deletion that runs.
struct Removal {
    id: JobId,
    link: Link,
    events: mpsc::Sender<Event>,
    cancel: CancellationToken,
    /// Things and bytes that were counted before.
    counted: (u64, u64),
    begun: Instant,
    /// What has gone so far.
    gone: Totals,
}

impl Removal {
    async fn run(mut self, paths: Vec<WirePath>) {
        let (what, is_one) = (named(paths.iter()), paths.len() == 1);
        let mut done = Vec::new();
        for path in paths {
            if self.cancel.is_cancelled() {
                break;
            }
            let totals = self.one(&path).await.unwrap_or_else(|fault| Totals {
                failed: 1,
                faults: vec![fault],
                ..Totals::default()
            });
            if totals.failed == 0 && !self.cancel.is_cancelled() {
                done.push(path);
            }
            self.gone.add(&totals);
            for fault in totals.faults {
                let _ = self.events.send(failed(self.id, fault)).await;
            }
        }
        let mut text = deleted(&what, is_one, &self.gone);
        if self.gone.things() == 0 && self.gone.failed > 0 && !self.cancel.is_cancelled() {
            text = String::new();
        } else if self.gone.failed > 0 {
            text = format!("{text}, {} failed (E shows them)", thousands(self.gone.failed));
        }
        let is_cancelled = self.cancel.is_cancelled();
        if is_cancelled {
            text = format!("cancelled; {text}");
        }
        let good = self.gone.failed == 0 && !is_cancelled;
        let _ = self.events.send(Event::JobEnded { id: self.id, good, stopped: None, text, done }).await;
    }

    async fn one(&self, path: &WirePath) -> Result<Totals, Fault> {
        let (operation, thing) = (operation_id()?, Location::of(path));
        let mut exchange =
            self.link.open(Remove { operation, thing, depth: Depth::Tree, expected: None, aside: false });
        loop {
            let answer = tokio::select! {
                answer = exchange.next() => answer?,
                () = self.cancel.cancelled() => {
                    exchange.cancel();
                    exchange.next().await?
                }
            };
            match answer {
                Answer::Totals(totals) => return Ok(totals),
                Answer::Progress(now) => {
                    let now = self.progress(now.things(), now.bytes);
                    // The next one says more.
                    let _ = self.events.try_send(Event::JobProgress { id: self.id, now });
                }
                _ => {}
            }
        }
    }

    fn progress(&self, things: u64, bytes: u64) -> JobProgress {
        let things = self.gone.things().saturating_add(things);
        let bytes = self.gone.bytes.saturating_add(bytes);
        let (counted, counted_bytes) = self.counted;
        let elapsed_ms = self.begun.elapsed().as_millis() as u64;
        let left_ms = counted.saturating_sub(things).saturating_mul(elapsed_ms) / things.max(1);
        JobProgress {
            files: things,
            files_total: counted.max(things),
            bytes,
            bytes_total: counted_bytes.max(bytes),
            arrived_bytes: bytes,
            reused: 0,
            growing: counted == 0,
            current: None,
            elapsed_ms,
            bytes_per_second: 0,
            left_seconds: (counted > 0 && things > 0).then(|| left_ms.div_ceil(1000)),
        }
    }
}

/// One path by its name, several by their number.
fn named<'a>(paths: impl ExactSizeIterator<Item = &'a WirePath>) -> String {
    let mut paths = paths;
    match (paths.len(), paths.next().and_then(WirePath::name)) {
        (1, Some(name)) => name.display().to_string(),
        (count, _) => counted(count as u64, "item", "items"),
    }
}

/// Describes a deletion of `what`: `deleted a.txt`, `deleted photos (84 files)`, `deleted 3 files and 1 folder`.
fn deleted(what: &str, is_one: bool, gone: &Totals) -> String {
    let files = counted(gone.files, "file", "files");
    let folders = counted(gone.folders, "folder", "folders");
    match (gone.files, gone.folders) {
        (0, 0) => "nothing deleted".to_owned(),
        (1, 0) | (0, 1) if is_one => format!("deleted {what}"),
        (_, 1..) if is_one && gone.failed == 0 => format!("deleted {what} ({files})"),
        (_, 0) => format!("deleted {files}"),
        (0, _) => format!("deleted {folders}"),
        _ => format!("deleted {files} and {folders}"),
    }
}

/// Describes a rename: nothing was verified, and its files are counted if that is quick. `None` if
/// anything else was done.
async fn renamed(summary: &Summary, link: &Link, items: &[(WirePath, WirePath)]) -> Option<String> {
    let is_all = summary.renamed > 0 && summary.renamed == summary.files && summary.unchanged == 0;
    if !is_all || summary.failed + summary.skipped > 0 || summary.cancelled {
        return None;
    }
    let what = named(items.iter().map(|(from, _)| from));
    let moved: Vec<Location> = items.iter().map(|(_, to)| Location::of(to)).collect();
    let counting = tokio::time::timeout(COUNT_TIME, super::measure(link, &moved)).await;
    Some(match counting {
        Ok(Ok(totals)) if totals.failed == 0 && (totals.folders > 0 || items.len() > 1) => {
            format!("moved {what} ({})", counted(totals.files, "file", "files"))
        }
        _ => format!("moved {what}"),
    })
}

/// Describes the end of a transfer of `what`; true if it is good. `unasked` files were skipped without a decision. Empty if nothing was
/// done: what failed was told.
fn in_words(summary: &Summary, verb: Verb, (what, unasked): (&str, u64)) -> (bool, String) {
    let done = if verb == Verb::Copy { "copied" } else { "moved" };
    let is_verified = summary.files > 0 && summary.verified == summary.files;
    let verified = if is_verified { " and verified" } else { "" };
    let is_whole = summary.failed + summary.skipped == 0 && !summary.cancelled && summary.stopped.is_none();
    let (files, size) = (counted(summary.files, "file", "files"), megabytes_grouped(summary.bytes));
    let there = counted(summary.unchanged, "file", "files");
    if summary.files + summary.unchanged + summary.skipped == 0 && summary.failed > 0 && !summary.cancelled {
        return (false, String::new());
    }
    let mut text = match (summary.files, summary.unchanged) {
        (0, 0) if is_whole => format!("{done} {what}"),
        (0, 1..) if is_whole && verb == Verb::Copy => {
            return (unasked == 0, format!("{what}: already up to date ({there})"));
        }
        (0, 1..) if is_whole => return (unasked == 0, format!("moved {what} ({there} already there)")),
        (0, _) => format!("nothing {done}"),
        _ => format!("{done}{verified}: {files}, {size} MB, {:.1} s", summary.seconds),
    };
    if summary.resumed > 0 {
        text = format!("{text}, {} MB of it there from before", megabytes_grouped(summary.resumed));
    }
    if summary.saved > 0 {
        text = format!("{text}, {} MB of it there already", megabytes_grouped(summary.saved));
    }
    for (count, what) in [
        (summary.unchanged, "unchanged"),
        (summary.skipped, "skipped"),
        (summary.failed, "failed (E shows them)"),
    ] {
        if count > 0 {
            text = format!("{text}, {} {what}", thousands(count));
        }
    }
    if summary.cancelled {
        text = format!("cancelled; until then {text}");
    }
    (summary.failed == 0 && unasked == 0 && !summary.cancelled && summary.stopped.is_none(), text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use towpath_protocol::fault::FaultCode;

    fn path(text: &str) -> WirePath {
        WirePath::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_failure_keeps_only_its_own_item_from_being_done() {
        let items = [
            (path("from/a"), path("to/a")),
            (path("from/ab"), path("to/ab")),
            (path("from/b"), path("to/b")),
        ];
        let failed = |at: &str| Fact::Failed(Fault::new(FaultCode::PermissionDenied).at(path(at)));
        assert_eq!(troubled_by(&failed("from/a/below/it"), &items), [0]);
        assert_eq!(troubled_by(&failed("to/ab"), &items), [1]);
        assert_eq!(troubled_by(&Fact::Skipped(path("from/b"), "exists"), &items), [2]);
        assert_eq!(troubled_by(&Fact::Noticed(path("from/b"), "grew".into()), &items), [0; 0]);
        // Nobody can say which.
        assert_eq!(troubled_by(&Fact::Failed(FaultCode::Io.into()), &items), [0, 1, 2]);
    }
}
