//! Carries out what the thinking wing asks for, each thing in a task of its own, and reports events. The only place that spawns.

use std::collections::HashMap;
use std::ffi::OsString;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use globset::GlobSet;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use towpath_protocol::fault::Fault;
use towpath_protocol::hash::Hash;
use towpath_protocol::message::Answer;
use towpath_protocol::path::{Location, Name, WirePath};
use towpath_protocol::request::{
    Depth, Direction, Durability, Existing, Hidden, Measure, Put, Remove, SortKey, StoreAs,
};

use crate::app::effect::Effect;
use crate::app::event::Event;
use crate::link::Link;
use crate::link::calls::operation_id;
use crate::link::dial::dial;
use crate::link::target::Target;
use crate::model::size::human;
use crate::model::{Carry, Choice, JobId, JobView, LinkId, Place, Side};
use crate::transfer;
use crate::transfer::job::{
    Decision, ExistingPolicy, FACTS_QUEUED_MAX, Fact, Item, Job, Progress, Reports, Summary, Verb,
};

/// How long running jobs may take to leave nothing half behind.
const END_TIME: Duration = Duration::from_secs(5);

type Answers = Arc<Mutex<HashMap<JobId, oneshot::Sender<Decision>>>>;
type Links = Arc<Mutex<HashMap<LinkId, Link>>>;

/// The doing wing's hands.
#[derive(Debug)]
pub(super) struct Effects {
    links: Links,
    events: mpsc::Sender<Event>,
    listings: [Option<JoinHandle<()>>; 2],
    jobs: JoinSet<()>,
    cancels: HashMap<JobId, CancellationToken>,
    answers: Answers,
    next_link: u32,
}

impl Effects {
    /// With the link to this machine's own files. Events go to the receiver.
    pub(super) fn new(local: Link) -> (Self, mpsc::Receiver<Event>) {
        let (events, receiver) = mpsc::channel(super::runtime::EVENTS_QUEUED_MAX);
        let effects = Self {
            links: Arc::new(Mutex::new(HashMap::from([(LinkId::LOCAL, local)]))),
            events,
            listings: [None, None],
            jobs: JoinSet::new(),
            cancels: HashMap::new(),
            answers: Arc::default(),
            next_link: 1,
        };
        (effects, receiver)
    }

    /// Starts what an effect asks for; never waits.
    pub(super) fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::List { side, generation, place, sort, direction, hidden } => {
                self.list(side, generation, &place, (sort, direction, hidden));
            }
            Effect::Measure { link, paths, about } => self.measure(link, &paths, about),
            Effect::MakeFolder(place) => self.change(place.link, move |link| async move {
                link.make_folder(&place.path, Existing::Keep).await
            }),
            Effect::MakeFile(place) => self.change(place.link, move |link| make_file(link, place.path)),
            Effect::Rename { link, from, to } => {
                self.change(link, move |link| async move { link.rename(&from, &to, Existing::Keep).await });
            }
            Effect::Remove { job, link, folder, names } => self.remove(job, link, folder, names),
            Effect::Carry { job, carry, source, items, destination } => {
                self.carry(job, carry, source, items, destination);
            }
            Effect::Answer { job, choice, for_all } => self.answer(job, choice, for_all),
            Effect::CancelJob(job) => {
                if let Some(cancel) = self.cancels.get(&job) {
                    cancel.cancel();
                }
            }
            Effect::Connect { side, target } => self.connect(side, target),
            Effect::Disconnect(link) => {
                let link = self.links.lock().unwrap_or_else(PoisonError::into_inner).remove(&link);
                if let Some(link) = link {
                    tokio::spawn(async move { link.bye().await });
                }
            }
            // The loop's own.
            Effect::WaitForDigit | Effect::Suspend | Effect::Quit => {}
        }
    }

    /// Cancels all jobs, waits for them a while, and takes leave of every server.
    pub(super) async fn end(&mut self) {
        self.cancels.values().for_each(CancellationToken::cancel);
        let jobs = &mut self.jobs;
        let _ = tokio::time::timeout(END_TIME, async { while jobs.join_next().await.is_some() {} }).await;
        let links: Vec<Link> =
            self.links.lock().unwrap_or_else(PoisonError::into_inner).drain().map(|(_, link)| link).collect();
        for link in links {
            link.bye().await;
        }
    }

    fn link(&self, id: LinkId) -> Option<Link> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    fn list(&mut self, side: Side, generation: u64, place: &Place, order: (SortKey, Direction, Hidden)) {
        if let Some(old) = self.listings[side as usize].take() {
            old.abort();
        }
        let (Some(link), events, path) = (self.link(place.link), self.events.clone(), place.path.clone())
        else {
            return;
        };
        self.listings[side as usize] = Some(tokio::spawn(async move {
            let (sort, direction, hidden) = order;
            let mut listing = link.list(&path, sort, direction, hidden);
            let outcome = loop {
                match listing.next_page().await {
                    Ok(Some(page)) => {
                        let (total, entries) = (page.total, page.entries);
                        let event = Event::Listed { side, generation, total, entries };
                        if events.send(event).await.is_err() {
                            return;
                        }
                    }
                    Ok(None) => break Ok(()),
                    Err(fault) => break Err(fault),
                }
            };
            let _ = events.send(Event::ListEnded { side, generation, outcome }).await;
            if let Ok(space) = link.space(&path).await {
                let _ = events.send(Event::Free { side, generation, bytes: space.free }).await;
            }
        }));
    }

    fn measure(&self, link: LinkId, paths: &[WirePath], about: Place) {
        let (Some(link), events) = (self.link(link), self.events.clone()) else { return };
        let things: Vec<Location> = paths.iter().map(Location::of).collect();
        tokio::spawn(async move {
            let (mut files, mut folders, mut bytes) = (0, 0, 0);
            for things in things.chunks(towpath_protocol::limits::PATHS_MAX) {
                if let Ok(Answer::Totals(totals)) = link.call(Measure { things: things.to_vec() }).await {
                    files += totals.files;
                    folders += totals.folders;
                    bytes += totals.bytes;
                }
            }
            let _ = events.send(Event::Measured { place: about, files, folders, bytes }).await;
        });
    }

    /// One small change; what it touched is read again.
    fn change<F>(&self, id: LinkId, change: impl FnOnce(Link) -> F + Send + 'static)
    where
        F: Future<Output = Result<(), Fault>> + Send,
    {
        let (Some(link), events) = (self.link(id), self.events.clone()) else { return };
        tokio::spawn(async move {
            if let Err(fault) = change(link).await {
                let _ = events.send(Event::Said { good: false, text: fault.to_string() }).await;
            }
            let _ = events.send(Event::Changed { link: id }).await;
        });
    }

    fn remove(&mut self, id: JobId, link: LinkId, folder: WirePath, names: Vec<Name>) {
        let (Some(link), events) = (self.link(link), self.events.clone()) else { return };
        let cancel = self.token(id);
        self.jobs.spawn(async move {
            let (mut removed, mut failed) = (0, 0);
            for name in names {
                if cancel.is_cancelled() {
                    break;
                }
                let outcome = match folder.join(&name) {
                    Ok(path) => remove_one(&link, &path, id, &events, &cancel).await,
                    Err(_) => continue,
                };
                match outcome {
                    Ok(totals) => {
                        removed += totals.files + totals.folders;
                        failed += totals.failed;
                        for fault in totals.faults {
                            let _ = events.send(Event::Said { good: false, text: fault.to_string() }).await;
                        }
                    }
                    Err(fault) => {
                        failed += 1;
                        let _ = events.send(Event::Said { good: false, text: fault.to_string() }).await;
                    }
                }
            }
            let mut text = format!("deleted {removed} files and folders");
            if failed > 0 {
                text = format!("{text}, {failed} failed (E shows them)");
            }
            let _ = events.send(Event::JobEnded { id, good: failed == 0, text }).await;
        });
    }

    fn token(&mut self, id: JobId) -> CancellationToken {
        let cancel = CancellationToken::new();
        self.cancels.insert(id, cancel.clone());
        cancel
    }

    fn carry(
        &mut self,
        id: JobId,
        carry: Carry,
        source: LinkId,
        items: Vec<(WirePath, WirePath)>,
        destination: LinkId,
    ) {
        let (Some(source), Some(destination)) = (self.link(source), self.link(destination)) else { return };
        let cancel = self.token(id);
        let (facts, taken) = mpsc::channel(FACTS_QUEUED_MAX);
        let (progress, shown) = watch::channel(Progress::default());
        let verb = match carry {
            Carry::Copy => Verb::Copy,
            Carry::Move => Verb::Move,
        };
        let job = Job {
            verb,
            source,
            destination,
            items: items.into_iter().map(|(from, to)| Item { from, to }).collect(),
            existing: ExistingPolicy::Ask,
            excludes: GlobSet::empty(),
        };
        let reports = Reports { progress: Arc::new(progress), facts, cancel };
        let (events, answers) = (self.events.clone(), self.answers.clone());
        self.jobs.spawn(async move {
            // What happened last is told as well: the telling ends when all facts are taken.
            let telling = tell(id, taken, shown, events.clone(), answers);
            let (summary, ()) = tokio::join!(transfer::run(job, reports), telling);
            let (good, text) = in_words(&summary, verb);
            let _ = events.send(Event::JobEnded { id, good, text }).await;
        });
    }

    fn answer(&self, job: JobId, choice: Choice, for_all: bool) {
        let policy = match choice {
            Choice::Overwrite => ExistingPolicy::Replace,
            Choice::Skip => ExistingPolicy::Skip,
            Choice::KeepBoth => ExistingPolicy::KeepBoth,
            Choice::NewerOnly => ExistingPolicy::Newer,
        };
        let answer = self.answers.lock().unwrap_or_else(PoisonError::into_inner).remove(&job);
        if let Some(answer) = answer {
            let _ = answer.send(Decision { policy, for_all });
        }
    }

    fn connect(&mut self, side: Side, target: String) {
        let id = LinkId(self.next_link);
        self.next_link += 1;
        let (links, events) = (self.links.clone(), self.events.clone());
        tokio::spawn(async move {
            let connected = connect(&target).await;
            let (link, name, path) = match connected {
                Ok(connected) => connected,
                Err(why) => {
                    let _ = events.send(Event::Said { good: false, text: format!("{target}: {why}") }).await;
                    return;
                }
            };
            links.lock().unwrap_or_else(PoisonError::into_inner).insert(id, link.clone());
            let round_trip_ms = link.round_trip().map(|time| time.as_millis().max(1) as u64);
            let _ = events.send(Event::Connected { side, link: id, name, path, round_trip_ms }).await;
            let fault = link.lost().await;
            let _ = events.send(Event::Disconnected { link: id, why: fault.to_string() }).await;
        });
    }
}

async fn connect(target: &str) -> Result<(Link, String, WirePath), String> {
    let target = Target::parse(&OsString::from(target)).map_err(|error| error.to_string())?;
    let Target::Remote { server, path } = target else {
        return Err("not a TARGET; write tow://HOST[:PORT]/[PATH]".to_owned());
    };
    let path = WirePath::parse(&path).map_err(|error| error.to_string())?;
    let link = dial(&server).await.map_err(|error| error.to_string())?;
    let path = if path.is_root() { link.welcome().home.clone() } else { path };
    Ok((link, server.to_string(), path))
}

async fn make_file(link: Link, path: WirePath) -> Result<(), Fault> {
    let now = jiff::Timestamp::now().as_nanosecond();
    let store = StoreAs {
        mode: 0o666,
        modified_ns: i64::try_from(now).unwrap_or(i64::MAX),
        existing: Existing::Keep,
        expected: None,
        durability: Durability::Relaxed,
    };
    let (operation, file) = (operation_id()?, Location::of(&path));
    link.call(Put { operation, file, store, hash: Hash::of(b""), data: Vec::new() }).await.map(drop)
}

async fn remove_one(
    link: &Link,
    path: &WirePath,
    id: JobId,
    events: &mpsc::Sender<Event>,
    cancel: &CancellationToken,
) -> Result<towpath_protocol::answer::Totals, Fault> {
    let (operation, thing) = (operation_id()?, Location::of(path));
    let mut exchange = link.open(Remove { operation, thing, depth: Depth::Tree, expected: None });
    loop {
        let answer = tokio::select! {
            answer = exchange.next() => answer?,
            () = cancel.cancelled() => {
                exchange.cancel();
                exchange.next().await?
            }
        };
        match answer {
            Answer::Totals(totals) => return Ok(totals),
            Answer::Progress(now) => {
                let view = JobView {
                    id,
                    title: String::new(),
                    files: now.files,
                    files_total: now.files,
                    bytes: now.bytes,
                    bytes_total: now.bytes,
                    growing: true,
                    current: None,
                    elapsed_ms: 0,
                };
                let _ = events.try_send(Event::JobProgress(view));
            }
            _ => {}
        }
    }
}

/// Passes a job's facts and its newest progress on, until the job has ended.
async fn tell(
    id: JobId,
    mut facts: mpsc::Receiver<Fact>,
    mut progress: watch::Receiver<Progress>,
    events: mpsc::Sender<Event>,
    answers: Answers,
) {
    loop {
        let event = tokio::select! {
            Some(fact) = facts.recv() => match fact {
                Fact::Failed(fault) => Event::Said { good: false, text: fault.to_string() },
                Fact::Skipped(path, why) => Event::Said { good: false, text: format!("{}: skipped: {why}", path.display()) },
                Fact::Noticed(path, what) => Event::Said { good: true, text: format!("{}: {what}", path.display()) },
                Fact::Conflict(conflict) => {
                    answers.lock().unwrap_or_else(PoisonError::into_inner).insert(id, conflict.answer);
                    let (to, source, there) = (conflict.to, conflict.source, conflict.there);
                    Event::JobConflict { id, to, source, there }
                }
            },
            Ok(()) = progress.changed() => Event::JobProgress(view(id, &progress.borrow_and_update())),
            else => return,
        };
        if events.send(event).await.is_err() {
            return;
        }
    }
}

fn view(id: JobId, now: &Progress) -> JobView {
    let current = now.current.as_ref().map(|(path, done, size)| {
        let name = path.name().map(|name| name.display().to_string()).unwrap_or_default();
        (name, *done, *size)
    });
    JobView {
        id,
        title: String::new(),
        files: now.files,
        files_total: now.files_total,
        bytes: now.bytes,
        bytes_total: now.bytes_total,
        growing: now.growing,
        current,
        elapsed_ms: now.elapsed.as_millis() as u64,
    }
}

fn in_words(summary: &Summary, verb: Verb) -> (bool, String) {
    let done = if verb == Verb::Copy { "copied" } else { "moved" };
    let mut text = format!(
        "{done} and verified: {} files, {}, {:.1} s",
        summary.files,
        human(summary.bytes),
        summary.seconds
    );
    for (count, what) in [
        (summary.unchanged, "unchanged"),
        (summary.skipped, "skipped"),
        (summary.failed, "failed (E shows them)"),
    ] {
        if count > 0 {
            text = format!("{text}, {count} {what}");
        }
    }
    if summary.cancelled {
        text = format!("cancelled; {text}");
    }
    if let Some(fault) = &summary.stopped {
        text = format!("{fault}; {text}");
    }
    (summary.failed + summary.skipped == 0 && !summary.cancelled && summary.stopped.is_none(), text)
}
