//! Jobs as the panes know them: how far each is, how fast it was lately, and what its end means for marks and panes.

mod figures;

use std::collections::{HashSet, VecDeque};

use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::path::{Name, WirePath};

pub(super) use self::figures::Before;
use super::conflicts::Waiting;
use super::effect::Effect;
use super::pane::Pane;
use super::{App, Tone, Unit, queue};
use crate::model::number::thousands;
use crate::model::size::{human, megabytes_grouped, needed_and_free};
use crate::model::{Carry, Choice, JobId, JobProgress, LinkId, Place, Side};

/// How often a folder is read again while a job fills it; a large one less often.
const READ_EVERY_MS: u64 = 1_000;
const ENTRIES_A_MS: u64 = 50;

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
    /// Work done before the job was cut off, by a lost connection or the end of an earlier `tow`.
    pub(super) before: Before,
    /// Whole files and their bytes, those before it was cut off included.
    arrived: (u64, u64),
    /// The largest part that was shown as done.
    part: f64,
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
            before: Before::default(),
            arrived: (0, 0),
            part: 0.0,
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
            self.shown_place(&Place { link: job.source, path: path.clone() }),
            self.shown_place(&Place { link: job.destination, path }),
        );
        match (is_here, is_there) {
            (true, true) if here != there => format!("{here} → {there}"),
            (false, true) => there,
            _ => here,
        }
    }

    /// The folder that a transfer writes to, with its machine.
    fn destination_of(&self, job: &Job) -> Option<String> {
        let path = job.targets.first()?.parent()?;
        Some(self.shown_place(&Place { link: job.destination, path }))
    }

    /// Describes what ended a job before its end. A disk that is read-only is the destination's, if no path is said.
    fn why_stopped(&self, job: &Job, fault: Fault) -> String {
        let place = match fault.path.clone() {
            Some(path) => Some(self.whose(job, path)),
            None if fault.code == FaultCode::ReadOnly => self.destination_of(job),
            None => None,
        };
        let why = Fault { path: None, ..fault };
        place.map_or_else(|| why.to_string(), |place| format!("{place}: {why}"))
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
    let full = text.strip_prefix(FaultCode::NoSpace.text()).zip(job.and_then(|job| app.destination_of(job)));
    let full = full.map(|(sizes, folder)| format!("no space in {folder}{sizes}"));
    let text = full.clone().unwrap_or(text);
    let words = whose.map_or_else(|| text.clone(), |whose| format!("{whose}: {text}"));
    if let Some(job) = app.jobs.iter_mut().find(|job| job.id == id && !good) {
        job.failures += 1;
        // A disk that is full is so for the whole job.
        job.failure = Some(full.unwrap_or_else(|| words.clone()));
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
    // Where nothing was done, the reason is all that there is to say.
    let besides = |why: String, done: String| if text.is_empty() { why } else { format!("{why}; {done}") };
    let mut text = match (stopped, job.failure.as_ref().filter(|_| !good)) {
        (Some(fault), _) => besides(app.why_stopped(&job, fault), format!("until then {text}")),
        (None, Some(failure)) => {
            let more = match job.failures - 1 {
                0 => String::new(),
                more => format!(" (and {} more: E)", thousands(more)),
            };
            besides(format!("{failure}{more}"), text.clone())
        }
        (None, None) => text.clone(),
    };
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
