//! The queue: which jobs run and which wait for their turn, and what the jobs view does with them: pause, cancel, do again, reorder,
//! slow down, clear.

use crossterm::event::{KeyCode, KeyEvent};
use towpath_protocol::path::WirePath;

use super::dialog::{Ask, Confirm, Dialog, Doomed, Label, Line, Purpose};
use super::effect::Effect;
use super::jobs::{Hold, Job, Over, Stage, Work};
use super::{App, Tone, badge, conflicts, servers};
use crate::model::JobId;
use crate::model::size::human;

/// Jobs that are over and still shown.
const OVER_MAX: usize = 50;
/// Below this a limit would be a pause.
const LIMIT_BYTES_MIN: f64 = 1_000.0;

impl App {
    /// A job takes its place in the queue.
    pub(super) fn enqueue(&mut self, mut job: Job) -> JobId {
        let id = job.id;
        // One that was left keeps the place that it had, where that is behind all others.
        let free = self.jobs.last().map_or(1, |last| last.place.saturating_add(1));
        if job.place < free {
            (job.place, job.is_noted) = (free, false);
        }
        self.jobs.push(job);
        id
    }

    /// Begins what may begin: as many copies as may run at once, what waits longest first. Deletions wait for nobody, and who has
    /// no connection waits for it.
    pub(super) fn admit(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        loop {
            let is_running = |job: &&Job| !job.is_waiting() && !job.is_paused() && job.work != Work::Delete;
            let has_room = self.jobs.iter().filter(is_running).count() < usize::from(self.jobs_at_once);
            let may_begin = |job: &Job| {
                job.is_waiting()
                    && job.hold.is_none()
                    && (has_room || job.work == Work::Delete)
                    && self.is_live(job.source)
                    && self.is_live(job.destination)
            };
            let Some(at) = self.jobs.iter().position(may_begin) else { return effects };
            let job = &mut self.jobs[at];
            job.stage = Stage::Running;
            effects.extend(job.effect.clone());
            if let Some(limit) = job.limit {
                effects.push(Effect::Limit { job: Some(job.id), bytes_per_second: Some(limit) });
            }
        }
    }

    /// A job is over: it stays in the view until it is cleared.
    pub(super) fn keep_over(&mut self, over: Over) {
        self.over.insert(0, over);
        self.over.truncate(OVER_MAX);
    }

    /// What of a job was not done, as a job of its own at the end of the queue; none where all of it was.
    pub(super) fn again(&mut self, job: &Job, done: &[WirePath]) -> Option<JobId> {
        let id = JobId(self.next_job);
        let effect = match job.effect.clone()? {
            Effect::Carry { carry, source, mut items, destination, .. } => {
                let existing = job.existing;
                items.retain(|(from, _)| !done.contains(from));
                (!items.is_empty()).then_some(Effect::Carry {
                    job: id,
                    carry,
                    source,
                    items,
                    destination,
                    existing,
                })
            }
            Effect::Remove { link, mut paths, .. } => {
                paths.retain(|path| !done.contains(path));
                (!paths.is_empty()).then_some(Effect::Remove { job: id, link, paths, counted: (0, 0) })
            }
            _ => None,
        }?;
        self.next_job += 1;
        let mut again = Job::new(id, job.title.clone(), job.work);
        (again.source, again.destination) = (job.source, job.destination);
        match &effect {
            Effect::Carry { items, .. } => (again.sources, again.targets) = items.iter().cloned().unzip(),
            Effect::Remove { paths, .. } => again.sources.clone_from(paths),
            _ => {}
        }
        (again.limit, again.is_cut, again.existing) = (job.limit, job.is_cut, job.existing);
        again.effect = Some(effect);
        Some(self.enqueue(again))
    }

    /// The job in a row of the jobs view.
    pub(super) fn job_in(&self, row: usize) -> Option<&Job> {
        self.jobs.get(row).or_else(|| self.over.get(row.checked_sub(self.jobs.len())?).map(|over| &over.job))
    }

    /// Rows of the jobs view.
    pub const fn job_rows(&self) -> usize {
        self.jobs.len() + self.over.len()
    }
}

/// Stops a job: one that runs ends by itself a moment later, one that waits is over at once.
pub(super) fn cancel(app: &mut App, id: JobId) -> Vec<Effect> {
    let Some(at) = app.jobs.iter().position(|job| job.id == id) else { return Vec::new() };
    if app.jobs[at].is_waiting() {
        let job = app.jobs.remove(at);
        app.keep_over(Over {
            job,
            good: false,
            text: "cancelled before it began".to_owned(),
            done: Vec::new(),
        });
        return Vec::new();
    }
    let job = &mut app.jobs[at];
    job.stage = Stage::Stopping;
    let was_paused = job.hold.take().is_some();
    // Its question has no point any more.
    conflicts::forget(app, id);
    let resumed = was_paused.then_some(Effect::ResumeJob(id));
    [Effect::CancelJob(id)].into_iter().chain(resumed).collect()
}

/// As `cancel`, but the next start can go on with it.
pub(super) fn leave(app: &mut App, id: JobId) -> Vec<Effect> {
    let Some(job) = app.jobs.iter().find(|job| job.id == id) else { return Vec::new() };
    if !app.can_keep(job) {
        return cancel(app, id);
    }
    let is_waiting = job.is_waiting();
    let mut effects = if is_waiting { app.leave_job(id).into_iter().collect() } else { Vec::new() };
    effects.extend(cancel(app, id));
    if let Some(job) = app.jobs.iter_mut().find(|job| job.id == id) {
        job.is_left = true;
    }
    for effect in &mut effects {
        if *effect == Effect::CancelJob(id) {
            *effect = Effect::LeaveJob(id);
        }
    }
    effects
}

/// A key for the jobs view.
pub(super) fn pressed(app: &mut App, key: KeyEvent) -> Vec<Effect> {
    let last = app.job_rows().saturating_sub(1);
    let Some(Dialog::Jobs { cursor }) = app.dialogs.last_mut() else { return Vec::new() };
    let row = *cursor;
    match key.code {
        KeyCode::Down | KeyCode::Char('j') => *cursor = (row + 1).min(last),
        KeyCode::Up | KeyCode::Char('k') => *cursor = row.saturating_sub(1),
        KeyCode::Home | KeyCode::Char('g') => *cursor = 0,
        KeyCode::End | KeyCode::Char('G') => *cursor = last,
        KeyCode::Char('x') | KeyCode::Delete | KeyCode::F(8) => {
            ask_to_cancel(app, row);
            return Vec::new();
        }
        KeyCode::Char('p') => return pause(app, row),
        KeyCode::Char('o') => {
            let meant = app.jobs.get(row).map(|job| job.id);
            badge::open(app, meant);
        }
        KeyCode::Char('R') => retry(app, row),
        KeyCode::Char('J') => reorder(app, row, row + 1),
        KeyCode::Char('K') => reorder(app, row, row.wrapping_sub(1)),
        KeyCode::Char('%') => ask_limit(app, app.jobs.get(row).map(|job| job.id)),
        KeyCode::Char('L') => ask_limit(app, None),
        KeyCode::Char('c') => app.over.clear(),
        KeyCode::Esc | KeyCode::Enter | KeyCode::Char('w' | 'q') => drop(app.dialogs.pop()),
        _ => {}
    }
    settle(app);
    Vec::new()
}

/// The view's cursor is on one of its rows.
pub(super) fn settle(app: &mut App) {
    let last = app.job_rows().saturating_sub(1);
    for dialog in &mut app.dialogs {
        if let Dialog::Jobs { cursor } = dialog {
            *cursor = (*cursor).min(last);
        }
    }
}

/// A job is cancelled by an answer, and not by a key.
fn ask_to_cancel(app: &mut App, row: usize) {
    match app.jobs.get(row) {
        Some(job) if job.is_stopping() => app.hint("Already being cancelled"),
        Some(job) => {
            let what = Doomed::Job(job.id);
            app.dialogs.push(Dialog::Confirm(Confirm { what, focus: 0 }));
        }
        None => app.hint("That job is over; c clears it"),
    }
}

/// Pauses a job or lets it go on. One that waits for a connection is tried.
fn pause(app: &mut App, row: usize) -> Vec<Effect> {
    let Some(job) = app.jobs.get_mut(row) else { return Vec::new() };
    if job.is_stopping() {
        return Vec::new();
    }
    if job.hold == Some(Hold::Connection) {
        let links = [job.source, job.destination];
        return links.into_iter().flat_map(|link| servers::make_again(app, link)).collect();
    }
    if job.work == Work::Delete && !job.is_waiting() {
        app.hint("a deletion cannot be paused; x cancels it");
        return Vec::new();
    }
    job.hold = if job.hold.is_some() { None } else { Some(Hold::Person) };
    match (job.is_waiting(), job.hold) {
        (true, _) => Vec::new(),
        (false, Some(_)) => vec![Effect::PauseJob(job.id)],
        (false, None) => vec![Effect::ResumeJob(job.id)],
    }
}

/// What was not done of a job that is over is done again.
fn retry(app: &mut App, row: usize) {
    let Some(at) = row.checked_sub(app.jobs.len()).filter(|at| *at < app.over.len()) else {
        app.hint("R retries what failed of a finished job");
        return;
    };
    let over = app.over.remove(at);
    if app.again(&over.job, &over.done).is_none() {
        app.hint("nothing left to retry");
        app.over.insert(at, over);
    }
}

/// A job that waits goes before or behind its neighbour, and the cursor with it.
fn reorder(app: &mut App, row: usize, other: usize) {
    let waits = |at: usize| app.jobs.get(at).is_some_and(Job::is_waiting);
    if !waits(row) || !waits(other) {
        app.hint("Only waiting jobs can be reordered");
        return;
    }
    app.jobs.swap(row, other);
    let places = [row, other].map(|at| app.jobs[at].place);
    for (at, place) in [other, row].into_iter().zip(places) {
        (app.jobs[at].place, app.jobs[at].is_noted) = (place, false);
    }
    if let Some(Dialog::Jobs { cursor }) = app.dialogs.last_mut() {
        *cursor = other;
    }
}

/// All jobs together are allowed so much from now on; each is noted with that.
pub(super) fn limit_all(app: &mut App, limit: Option<u64>) {
    app.limit = limit;
    for job in &mut app.jobs {
        job.is_noted = false;
    }
}

fn ask_limit(app: &mut App, job: Option<JobId>) {
    let known =
        job.map_or(app.limit, |id| app.jobs.iter().find(|job| job.id == id).and_then(|job| job.limit));
    let whose = if job.is_some() { "this job" } else { "all jobs" };
    let line = Line::offered(known.map_or_else(String::new, |limit| format!("{}", limit as f64 / 1e6)));
    let label = format!("Limit for {whose}, MB/s (empty: none)");
    let label = Label::of(&label, "", "");
    app.dialogs.push(Dialog::Ask(Ask::new("Rate", label, line, Purpose::Limit(job))));
}

/// A rate was typed.
pub(super) fn limit(app: &mut App, job: Option<JobId>, text: &str) -> Result<Vec<Effect>, String> {
    let text = text.trim().replace(',', ".");
    let limit = match text.as_str() {
        "" | "0" => None,
        text => {
            let bytes = text.parse::<f64>().map(|megabytes| megabytes * 1e6).unwrap_or_default();
            if !(LIMIT_BYTES_MIN..1e15).contains(&bytes) {
                return Err("enter a number of MB, at least 0.001".to_owned());
            }
            Some(bytes as u64)
        }
    };
    let mut is_begun = true;
    if let Some(id) = job {
        let job = app.jobs.iter_mut().find(|job| job.id == id).ok_or("that job is over")?;
        (job.limit, job.is_noted) = (limit, false);
        is_begun = !job.is_waiting();
    } else {
        limit_all(app, limit);
    }
    let what = limit.map_or_else(|| "no limit".to_owned(), |limit| format!("at most {}/s", human(limit)));
    let is_meant = |one: &Job| job.is_none_or(|id| id == one.id) && one.is_within_a_server();
    let note = if limit.is_some() && app.jobs.iter().any(is_meant) {
        " (within a server each file is copied as fast as its disk is)"
    } else {
        ""
    };
    app.say(Tone::Good, format!("{}: {what}{note}", if job.is_some() { "the job" } else { "all jobs" }));
    Ok(is_begun.then_some(Effect::Limit { job, bytes_per_second: limit }).into_iter().collect())
}
