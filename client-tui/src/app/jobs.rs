//! Jobs as the panes know them: how far each is, how fast it was lately, and what its end means for marks and panes.

use std::collections::{HashSet, VecDeque};

use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::path::{Name, WirePath};

use super::conflicts::Waiting;
use super::effect::Effect;
use super::pane::Pane;
use super::{App, Tone, Unit, queue};
use crate::model::number::thousands;
use crate::model::size::{human, megabytes_grouped, needed_and_free};
use crate::model::{Carry, Choice, JobId, JobProgress, LinkId, Place, Side};

/// Rates that are kept of a job, one each half second.
const RATES_KEPT_MAX: usize = 60;
const RATE_EVERY_MS: u64 = 500;
/// How often a folder is read again while a job fills it; a large one less often.
const READ_EVERY_MS: u64 = 1_000;
const ENTRIES_A_MS: u64 = 50;
/// How much there is to do is noted of a job that lasts.
const NOTED_MS: u64 = 1_000;

/// A job that runs.
#[derive(Debug)]
pub struct Job {
    pub id: JobId,
    /// What goes where, escaped.
    pub title: String,
    pub work: Work,
    pub now: JobProgress,
    /// Bytes a second, each over half a second, the newest last.
    pub rates: VecDeque<u64>,
    /// What begins it.
    pub(super) effect: Option<Effect>,
    pub stage: Stage,
    /// What holds it up, where something does.
    pub hold: Option<Hold>,
    /// Bytes a second at most.
    pub limit: Option<u64>,
    /// How much was said of it that is not good, and the newest of that.
    pub failures: u64,
    pub failure: Option<String>,
    /// What is in its way and waits for a decision.
    pub conflicts: Waiting,
    /// Bytes that it needs and bytes that are free, if that is too little and the question is not answered yet.
    pub short: Option<(u64, u64)>,
    /// When its newest byte came, in milliseconds of its own time.
    moved_ms: u64,
    /// Progress at the time its connection was lost, if the total was known.
    before: Option<JobProgress>,
    /// What it works on.
    pub(super) source: LinkId,
    pub(super) sources: Vec<WirePath>,
    /// What it makes.
    pub destination: LinkId,
    pub(super) targets: Vec<WirePath>,
    /// What it moves was cut, and is no more to be pasted afterwards.
    pub(super) is_cut: bool,
    /// What was said about everything that is in the way.
    pub(super) existing: Option<Choice>,
    /// It is stopped so that the next start can go on with it.
    pub(super) is_left: bool,
    /// The journal knows it as it is.
    pub(super) is_noted: bool,
    /// Files and bytes in all, once they are known and worth noting.
    pub(super) totals: Option<(u64, u64)>,
    /// Higher than that of every job before it in the queue.
    pub(super) place: u64,
    /// When the newest rate was taken, and bytes then.
    sampled: (u64, u64),
    /// When the pane that shows what is made was read last, and files then.
    read: (u64, u64),
}

/// Where in its life a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Waiting,
    Running,
    /// It was told to stop, and ends by itself.
    Stopping,
}

/// Who a job waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// Somebody has paused it.
    Person,
    /// Its connection was lost; it goes on when that is back.
    Connection,
}

/// A job that is over.
#[derive(Debug)]
pub struct Over {
    pub job: Job,
    pub good: bool,
    /// How it ended.
    pub text: String,
    /// The sources that arrived whole, or are gone whole.
    pub(super) done: Vec<WirePath>,
}

/// What kind of work it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    Carry(Carry),
    Delete,
}

/// All jobs in one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traffic {
    /// Jobs that send to a server, and that fetch from one.
    pub up: usize,
    pub down: usize,
    pub bytes_per_second: u64,
    /// Until the last one is done; none where one cannot tell.
    pub left_seconds: Option<u64>,
}

impl Job {
    pub(super) fn new(id: JobId, title: String, work: Work) -> Self {
        Self {
            id,
            title,
            work,
            now: JobProgress { growing: true, ..JobProgress::default() },
            rates: VecDeque::new(),
            effect: None,
            stage: Stage::Waiting,
            hold: None,
            limit: None,
            failures: 0,
            failure: None,
            conflicts: Waiting::default(),
            short: None,
            moved_ms: 0,
            before: None,
            source: LinkId::LOCAL,
            sources: Vec::new(),
            destination: LinkId::LOCAL,
            targets: Vec::new(),
            is_cut: false,
            existing: None,
            is_left: false,
            is_noted: false,
            totals: None,
            place: 0,
            sampled: (0, 0),
            read: (0, 0),
        }
    }

    /// Which way it goes: up to a server, down from one, from one to another or within one, or away.
    pub fn arrow(&self) -> &'static str {
        match (self.work, self.source == LinkId::LOCAL, self.destination == LinkId::LOCAL) {
            (Work::Delete, ..) => "✕",
            (_, true, false) => "↑",
            (_, false, true) => "↓",
            _ => "→",
        }
    }

    /// Of files where it deletes, of bytes else; 0 to 1.
    pub fn part_done(&self) -> f64 {
        let (done, all) = match self.work {
            Work::Delete => (self.now.files, self.now.files_total),
            Work::Carry(_) if self.now.bytes_total == 0 => (self.now.files, self.now.files_total),
            Work::Carry(_) => (self.now.bytes, self.now.bytes_total),
        };
        if all == 0 { 0.0 } else { (done as f64 / all as f64).min(1.0) }
    }

    /// A server copies by itself, and no byte passes here.
    pub(super) fn is_within_a_server(&self) -> bool {
        self.work != Work::Delete && self.source == self.destination && self.source != LinkId::LOCAL
    }

    pub(super) fn uses(&self, link: LinkId) -> bool {
        self.source == link || self.destination == link
    }

    /// It has not begun.
    pub fn is_waiting(&self) -> bool {
        self.stage == Stage::Waiting
    }

    /// It was told to stop.
    pub fn is_stopping(&self) -> bool {
        self.stage == Stage::Stopping
    }

    /// A person has paused it.
    pub fn is_paused(&self) -> bool {
        self.hold == Some(Hold::Person)
    }

    /// Answers that it needs.
    pub fn answers_wanted(&self) -> usize {
        self.conflicts.len() + usize::from(self.short.is_some())
    }

    /// For how many milliseconds nothing has come.
    pub const fn idle_ms(&self) -> u64 {
        self.now.elapsed_ms.saturating_sub(self.moved_ms)
    }

    /// Goes on from where another job was cut off: it shows how far that was until it knows better.
    fn follow(&mut self, other: Self) {
        if !other.now.growing {
            let now = JobProgress { bytes_per_second: 0, left_seconds: None, current: None, ..other.now };
            (self.now, self.before) = (now.clone(), Some(now));
            self.now.elapsed_ms = 0;
        }
        (self.failures, self.failure) = (other.failures, other.failure);
    }

    fn take(&mut self, now: JobProgress) {
        let moved = |now: &JobProgress| now.bytes.saturating_sub(now.reused);
        let (moved, now) = (moved(&now), self.with_before(now));
        if (now.bytes, now.files) != (self.now.bytes, self.now.files) {
            self.moved_ms = now.elapsed_ms;
        }
        let (then_ms, then_bytes) = self.sampled;
        let passed_ms = now.elapsed_ms.saturating_sub(then_ms);
        if passed_ms >= RATE_EVERY_MS {
            self.rates.push_back(moved.saturating_sub(then_bytes).saturating_mul(1000) / passed_ms);
            self.sampled = (now.elapsed_ms, moved);
            if self.rates.len() > RATES_KEPT_MAX {
                self.rates.pop_front();
            }
        }
        if !now.growing && self.totals.is_none() && now.elapsed_ms >= NOTED_MS {
            (self.totals, self.is_noted) = (Some((now.files_total, now.bytes_total)), false);
        }
        self.now = now;
    }

    /// With what was done before its connection was lost: what is left is what it finds to do now.
    fn with_before(&self, now: JobProgress) -> JobProgress {
        let Some(before) = &self.before else { return now };
        if now.growing {
            let (files, bytes) = (before.files, before.bytes);
            let totals = (before.files_total, before.bytes_total);
            return JobProgress {
                files,
                bytes,
                files_total: totals.0,
                bytes_total: totals.1,
                growing: false,
                ..now
            };
        }
        let done = |all: u64, now: u64, done: u64| all.saturating_sub(now.saturating_sub(done));
        let (files_total, bytes_total) =
            (before.files_total.max(now.files_total), before.bytes_total.max(now.bytes_total));
        JobProgress {
            files: done(files_total, now.files_total, now.files),
            bytes: done(bytes_total, now.bytes_total, now.bytes),
            files_total,
            bytes_total,
            ..now
        }
    }

    /// Whether a pane shows something that the job has changed.
    fn touches(&self, pane: &Pane) -> bool {
        let takes_away = self.work != Work::Carry(Carry::Copy);
        let here = &pane.place.path;
        let is_gone = |path: &WirePath| here.starts_with(path) || path.parent().as_ref() == Some(here);
        takes_away && pane.place.link == self.source && self.sources.iter().any(is_gone) || self.adds_to(pane)
    }

    /// Whether it shows something that the job makes.
    fn adds_to(&self, pane: &Pane) -> bool {
        pane.place.link == self.destination && self.targets.iter().any(|path| pane.is_about(path))
    }

    /// Whether panes that show what is made are worth reading again: something has arrived since, and a while ago.
    fn is_worth_reading(&mut self, entries: usize) -> bool {
        let (then_ms, then_files) = self.read;
        let pause_ms = (entries as u64 / ENTRIES_A_MS).max(READ_EVERY_MS);
        let is_worth = self.now.files > then_files && self.now.elapsed_ms >= then_ms.saturating_add(pause_ms);
        if is_worth {
            self.read = (self.now.elapsed_ms, self.now.files);
        }
        is_worth
    }
}

impl App {
    /// One that is yet to be put into the queue.
    pub(super) fn new_job(&mut self, title: String, work: Work) -> Job {
        let id = JobId(self.next_job);
        self.next_job += 1;
        Job::new(id, title, work)
    }

    /// A path of a job as people write it, with the machine that it is on; both places where it may be either.
    fn whose(&self, job: &Job, path: WirePath) -> String {
        let is_of = |paths: &[WirePath]| paths.iter().any(|item| path.starts_with(item));
        let is_above = |paths: &[WirePath]| paths.iter().any(|item| item.starts_with(&path));
        let is_there = is_of(&job.targets) || !is_of(&job.sources) && is_above(&job.targets);
        let is_here = is_of(&job.sources) || !is_there;
        let (here, there) = (
            self.place_text(&Place { link: job.source, path: path.clone() }),
            self.place_text(&Place { link: job.destination, path }),
        );
        match (is_here, is_there) {
            (true, true) if here != there => format!("{here} → {there}"),
            (false, true) => there,
            _ => here,
        }
    }

    /// All jobs in one line; none where there are none.
    pub fn traffic(&self) -> Option<Traffic> {
        let running = || self.jobs.iter().filter(|job| !job.is_waiting());
        let count = |arrow: &str| running().filter(|job| job.arrow() == arrow).count();
        let lefts: Option<Vec<u64>> = running().map(|job| job.now.left_seconds).collect();
        (!self.jobs.is_empty()).then(|| Traffic {
            up: count("↑"),
            down: count("↓"),
            bytes_per_second: self
                .jobs
                .iter()
                .map(|job| job.now.bytes_per_second)
                .fold(0, u64::saturating_add),
            left_seconds: lefts.and_then(|lefts| lefts.into_iter().max()),
        })
    }
}

pub(super) fn progress(app: &mut App, id: JobId, now: JobProgress) -> Vec<Effect> {
    let Some(at) = app.jobs.iter().position(|job| job.id == id) else { return Vec::new() };
    app.jobs[at].take(now);
    // A range that is being marked would end.
    let is_filled = |side: &Side| {
        let pane = app.pane(*side);
        !pane.loading && !pane.rows.is_ranging() && app.jobs[at].adds_to(pane)
    };
    let filled: Vec<Side> = [Side::Left, Side::Right].into_iter().filter(is_filled).collect();
    let entries = filled.iter().map(|side| app.pane(*side).rows.entries.len()).max();
    if !entries.is_some_and(|entries| app.jobs[at].is_worth_reading(entries)) {
        return Vec::new();
    }
    let mut effects = Vec::new();
    for side in filled {
        effects.extend(app.reload(side));
        app.pane_mut(side).is_quiet = true;
    }
    effects
}

/// Something about a path of a job: whose path it is, is told.
pub(super) fn said(app: &mut App, id: JobId, good: bool, (path, text): (Option<WirePath>, String)) {
    let tone = if good { Tone::Good } else { Tone::Bad };
    let job = app.jobs.iter().find(|job| job.id == id);
    let whose = path.zip(job).map(|(path, job)| app.whose(job, path));
    let text = needed_and_free(&text, |bytes| size(bytes, app.unit));
    let words = whose.map_or_else(|| text.clone(), |whose| format!("{whose}: {text}"));
    if let Some(job) = app.jobs.iter_mut().find(|job| job.id == id && !good) {
        job.failures += 1;
        job.failure = Some(words.clone());
    }
    app.say(tone, words);
}

fn size(bytes: u64, unit: Unit) -> String {
    match unit {
        Unit::Megabytes => format!("{} MB", megabytes_grouped(bytes)),
        Unit::Human => human(bytes),
        Unit::Bytes => format!("{} bytes", thousands(bytes)),
    }
}

pub(super) fn ended(
    app: &mut App,
    id: JobId,
    (good, stopped, text): (bool, Option<Fault>, String),
    done: &[WirePath],
) -> Vec<Effect> {
    let Some(at) = app.jobs.iter().position(|job| job.id == id) else { return Vec::new() };
    let job = app.jobs.remove(at);
    let is_cut_off = stopped
        .as_ref()
        .is_some_and(|fault| matches!(fault.code, FaultCode::Disconnected | FaultCode::ShuttingDown));
    let was_stopped = stopped.is_some();
    let mut text = stopped.map_or_else(
        || text.clone(),
        |fault| {
            let why = Fault { path: None, ..fault.clone() };
            let why = fault
                .path
                .map_or_else(|| why.to_string(), |path| format!("{}: {why}", app.whose(&job, path)));
            format!("{why}; until then {text}")
        },
    );
    if let Some(failure) = job.failure.as_ref().filter(|_| !good && !was_stopped) {
        let more = match job.failures - 1 {
            0 => String::new(),
            more => format!(" (and {} more: E)", thousands(more)),
        };
        text = format!("{failure}{more}; {text}");
    }
    let goes_on = is_cut_off && !job.is_stopping() && go_on_later(app, &job, done);
    if goes_on {
        text.push_str("; resumes when the connection is back");
    }
    app.say(if good { Tone::Good } else { Tone::Bad }, text.clone());
    let mut effects = Vec::new();
    if job.is_left {
        effects.extend(app.leave_job(job.id));
    }
    if app.rings_after_ms.is_some_and(|ms| job.now.elapsed_ms >= ms) && !goes_on {
        effects.push(Effect::Ring(text.clone()));
    }
    if job.is_cut && good {
        app.clipboard = None;
    }
    for side in [Side::Left, Side::Right] {
        let pane = app.pane_mut(side);
        if pane.place.link == job.source {
            let here = Some(&pane.place.path);
            let parted = done.iter().filter(|path| path.parent().as_ref() == here);
            let names: HashSet<&Name> = parted.filter_map(WirePath::name).collect();
            pane.rows.unmark_names(&names);
        }
        if job.touches(pane) {
            effects.extend(app.reload(side));
        }
    }
    if !goes_on {
        app.keep_over(Over { job, good, text, done: done.to_vec() });
    } else if let Some(next) = app.jobs.first_mut() {
        next.follow(job);
    }
    queue::settle(app);
    effects
}

/// What a lost connection has left undone waits at the front of the queue until it is back. False where it never will be.
fn go_on_later(app: &mut App, job: &Job, done: &[WirePath]) -> bool {
    let is_known = |link: LinkId| link == LinkId::LOCAL || app.server(link).is_some();
    if !is_known(job.source) || !is_known(job.destination) {
        return false;
    }
    let Some(id) = app.again(job, done) else { return false };
    if let Some(at) = app.jobs.iter().position(|job| job.id == id) {
        app.jobs[at].hold = Some(Hold::Connection);
        app.jobs[..=at].rotate_right(1);
    }
    true
}
