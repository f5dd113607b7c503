//! Conflicts of jobs: one dialog for all conflicts of a job, which a key opens. Until then a badge counts them, and their
//! files wait.

use std::collections::BTreeMap;

use crossterm::event::{KeyCode, KeyEvent};
use towpath_protocol::fault::Fault;

use super::answer;
use super::dialog::{Confirm, Conflicts, Dialog, Doomed, Reach, Short};
use super::effect::Effect;
use super::jobs::Job;
use super::{App, Tone};
use crate::model::number::counted;
use crate::model::{Choice, Conflict, ConflictKind, JobId, Scope};

/// Rows that a page key moves.
const PAGE_ROWS: usize = 10;

/// What each choice is called, and the letter that means it.
pub const CHOICES: [(Choice, char, &str); 6] = [
    (Choice::Overwrite, 'o', "Overwrite"),
    (Choice::Skip, 's', "Skip"),
    (Choice::KeepBoth, 'b', "Keep both"),
    (Choice::NewerOnly, 'w', "If newer"),
    (Choice::Different, 'd', "If different"),
    (Choice::Resume, 'r', "Resume"),
];

/// The conflicts of a job that wait for a decision.
#[derive(Debug, Default)]
pub struct Waiting {
    /// By their names.
    open: BTreeMap<u64, Open>,
    /// Kinds of which all are decided; what is still on its way here is as well.
    decided: Vec<ConflictKind>,
}

/// A conflict, and whether its two sides hold the same.
#[derive(Debug)]
pub struct Open {
    pub conflict: Conflict,
    pub content: Content,
}

/// What is known of the contents of both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    Unknown,
    Comparing,
    Same,
    Different,
    /// Why nobody can tell.
    Failed(String),
}

impl Waiting {
    pub fn len(&self) -> usize {
        self.open.len()
    }

    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    pub fn get(&self, id: u64) -> Option<&Open> {
        self.open.get(&id)
    }

    /// In their order.
    pub fn iter(&self) -> impl Iterator<Item = &Open> {
        self.open.values()
    }

    /// How many come before this one.
    pub fn row_of(&self, id: u64) -> usize {
        self.open.range(..id).count()
    }

    /// How many there are of each kind.
    pub fn counts(&self) -> [usize; ConflictKind::ALL.len()] {
        let mut counts = [0; ConflictKind::ALL.len()];
        for open in self.iter() {
            counts[open.conflict.kind as usize] += 1;
        }
        counts
    }

    fn in_row(&self, row: usize) -> Option<u64> {
        self.open.keys().nth(row).copied()
    }

    /// It, or the next one that is left.
    fn nearest(&self, id: u64) -> Option<u64> {
        self.open.range(id..).next().or_else(|| self.open.iter().next_back()).map(|(id, _)| *id)
    }

    fn take(&mut self, scope: Scope, choice: Choice) -> usize {
        let before = self.open.len();
        let is_meant = |kind: ConflictKind| match scope {
            Scope::One(_) => false,
            Scope::Kind(meant) => meant == kind,
            Scope::All => kind.offers(choice),
        };
        self.decided.extend(ConflictKind::ALL.into_iter().filter(|kind| is_meant(*kind)));
        self.open.retain(|id, open| scope != Scope::One(*id) && !is_meant(open.conflict.kind));
        before - self.open.len()
    }
}

fn job_of(app: &mut App, id: JobId) -> Option<&mut Job> {
    app.jobs.iter_mut().find(|job| job.id == id)
}

/// A conflict was found.
pub(super) fn found(app: &mut App, id: JobId, conflict: Conflict) {
    let Some(job) = job_of(app, id).filter(|job| !job.is_stopping()) else { return };
    let waiting = &mut job.conflicts;
    if waiting.decided.contains(&conflict.kind) {
        return;
    }
    let is_first = waiting.is_empty();
    waiting.open.insert(conflict.id, Open { conflict, content: Content::Unknown });
    if is_first {
        let title = job.title.clone();
        app.hint(format!("{title}: something is there already; o opens the question"));
    }
}

/// It was decided, or its job has stopped.
pub(super) fn settled(app: &mut App, id: JobId, conflict: u64) {
    if let Some(job) = job_of(app, id) {
        job.conflicts.open.remove(&conflict);
    }
}

/// Whether both sides of a conflict hold the same.
pub(super) fn compared(app: &mut App, id: JobId, conflict: u64, outcome: Result<bool, Fault>) {
    if let Some(open) = job_of(app, id).and_then(|job| job.conflicts.open.get_mut(&conflict)) {
        open.content = match outcome {
            Ok(true) => Content::Same,
            Ok(false) => Content::Different,
            Err(fault) => Content::Failed(fault.to_string()),
        };
    }
}

/// What a job has found does not fit.
pub(super) fn short(app: &mut App, id: JobId, needed: u64, free: u64) {
    let Some(job) = job_of(app, id).filter(|job| !job.is_stopping()) else { return };
    job.short = Some((needed, free));
    let title = job.title.clone();
    app.say(Tone::Bad, format!("{title}: not enough room; o opens the question"));
}

/// A job that stops has no questions any more.
pub(super) fn forget(app: &mut App, id: JobId) {
    if let Some(job) = job_of(app, id) {
        job.conflicts.open.clear();
        job.short = None;
    }
}

/// Asks what a job needs to know.
pub(super) fn show(app: &mut App, id: JobId) {
    let Some(job) = job_of(app, id) else { return };
    let dialog = match job.short {
        Some((needed, free)) => Dialog::Short(Short { job: id, needed, free, focus: 0 }),
        None => Dialog::Conflicts(Conflicts::of(id)),
    };
    app.dialogs.push(dialog);
}

/// The job goes on as far as there is room.
pub(super) fn goes_on(app: &mut App, id: JobId) {
    if let Some(job) = job_of(app, id) {
        job.short = None;
    }
}

/// Dialogs show what still waits, and offer what can be done about it.
pub(super) fn settle(app: &mut App) {
    let App { dialogs, jobs, left, .. } = app;
    dialogs.retain_mut(|dialog| {
        let job = |id: JobId| jobs.iter().find(|job| job.id == id);
        match dialog {
            Dialog::Conflicts(shown) => {
                let Some(waiting) = job(shown.job).map(|job| &job.conflicts) else { return false };
                let Some(open) = waiting.nearest(shown.cursor).and_then(|id| waiting.get(id)) else {
                    return false;
                };
                shown.go_to(&open.conflict);
                true
            }
            Dialog::Short(short) => job(short.job).is_some_and(|job| job.short.is_some()),
            Dialog::Left(_) | Dialog::Confirm(Confirm { what: Doomed::Left, .. }) => !left.is_empty(),
            Dialog::Confirm(Confirm { what: Doomed::Job(id), .. }) => {
                job(*id).is_some_and(|job| !job.is_stopping())
            }
            _ => true,
        }
    });
}

impl Conflicts {
    /// On the first one.
    const fn of(job: JobId) -> Self {
        Self { job, cursor: 0, focus: 0, reach: Reach::This, offers: Vec::new(), can_compare: false }
    }

    /// The safe answer has the focus wherever the cursor comes.
    fn go_to(&mut self, conflict: &Conflict) {
        let offers = |choice: &Choice| match self.reach {
            Reach::This => conflict.offers(*choice),
            Reach::Kind | Reach::All => conflict.kind.offers(*choice),
        };
        let offers: Vec<_> = CHOICES.iter().map(|(choice, ..)| *choice).filter(offers).collect();
        if self.cursor != conflict.id || self.offers != offers {
            self.focus = offers.iter().position(|choice| *choice == Choice::Skip).unwrap_or_default();
        }
        self.can_compare = conflict.offers(Choice::Different);
        (self.cursor, self.offers) = (conflict.id, offers);
    }
}

/// A key for the dialog.
pub(super) fn pressed(app: &mut App, key: KeyEvent) -> Vec<Effect> {
    let Some(Dialog::Conflicts(shown)) = app.dialogs.last() else { return Vec::new() };
    let (id, cursor) = (shown.job, shown.cursor);
    let offers_overwrite = shown.offers.contains(&Choice::Overwrite);
    let Some(waiting) = job_of(app, id).map(|job| &job.conflicts) else { return Vec::new() };
    let (row, last) = (waiting.row_of(cursor), waiting.len().saturating_sub(1));
    let row = match key.code {
        KeyCode::Down | KeyCode::Char('j') => row + 1,
        KeyCode::Up | KeyCode::Char('k') => row.saturating_sub(1),
        KeyCode::PageDown => row + PAGE_ROWS,
        KeyCode::PageUp => row.saturating_sub(PAGE_ROWS),
        KeyCode::Home | KeyCode::Char('g') => 0,
        KeyCode::End | KeyCode::Char('G') => last,
        KeyCode::Esc => return put_away(app, id),
        KeyCode::Char('y' | 'Y') if offers_overwrite => return chosen(app, Choice::Overwrite),
        KeyCode::Char('n' | 'N') => return chosen(app, Choice::Skip),
        KeyCode::Char(' ') => return reached(app, Reach::All),
        _ => return answer::buttons_pressed(app, key),
    };
    go_to_row(app, row.min(last));
    Vec::new()
}

/// The cursor goes to a row of the list.
pub(super) fn go_to_row(app: &mut App, row: usize) {
    let Some(Dialog::Conflicts(shown)) = app.dialogs.last() else { return };
    let id = shown.job;
    let Some(conflict) = job_of(app, id).and_then(|job| job.conflicts.in_row(row)) else { return };
    if let Some(Dialog::Conflicts(shown)) = app.dialogs.last_mut()
        && shown.cursor != conflict
    {
        // What it offers is settled afterwards.
        (shown.cursor, shown.offers) = (conflict, Vec::new());
    }
}

/// The wheel moves the cursor.
pub(super) fn scrolled(app: &mut App, rows: isize) {
    let Some(Dialog::Conflicts(shown)) = app.dialogs.last() else { return };
    let (id, cursor) = (shown.job, shown.cursor);
    let Some(waiting) = job_of(app, id).map(|job| &job.conflicts) else { return };
    let row = waiting.row_of(cursor).saturating_add_signed(rows).min(waiting.len().saturating_sub(1));
    go_to_row(app, row);
}

fn put_away(app: &mut App, id: JobId) -> Vec<Effect> {
    app.dialogs.pop();
    let mut count = 0;
    if let Some(job) = job_of(app, id) {
        count = job.conflicts.len();
    }
    let wait = counted(count as u64, "conflict waits", "conflicts wait");
    app.hint(format!("{wait}; o opens the question again"));
    Vec::new()
}

/// How far a decision reaches is turned round.
pub(super) fn reached(app: &mut App, reach: Reach) -> Vec<Effect> {
    if let Some(Dialog::Conflicts(shown)) = app.dialogs.last_mut() {
        shown.reach = if shown.reach == reach { Reach::This } else { reach };
    }
    Vec::new()
}

/// Both sides of what is shown are to be compared.
pub(super) fn compare(app: &mut App) -> Vec<Effect> {
    let Some(Dialog::Conflicts(shown)) = app.dialogs.last() else { return Vec::new() };
    let (id, cursor) = (shown.job, shown.cursor);
    let Some(job) = job_of(app, id) else { return Vec::new() };
    let (source, destination) = (job.source, job.destination);
    match job.conflicts.open.get_mut(&cursor) {
        Some(open) if open.conflict.offers(Choice::Different) && open.content != Content::Comparing => {
            open.content = Content::Comparing;
            let conflict = Box::new(open.conflict.clone());
            vec![Effect::Compare { job: id, conflict, source, destination }]
        }
        _ => Vec::new(),
    }
}

/// It is decided.
pub(super) fn chosen(app: &mut App, choice: Choice) -> Vec<Effect> {
    let Some(Dialog::Conflicts(shown)) = app.dialogs.last() else { return Vec::new() };
    if !shown.offers.contains(&choice) {
        return Vec::new();
    }
    let (id, cursor, reach) = (shown.job, shown.cursor, shown.reach);
    let Some(waiting) = job_of(app, id).map(|job| &mut job.conflicts) else { return Vec::new() };
    let Some(conflict) = waiting.get(cursor).map(|open| open.conflict.clone()) else { return Vec::new() };
    let scope = match reach {
        Reach::This => Scope::One(cursor),
        Reach::Kind => Scope::Kind(conflict.kind),
        Reach::All => Scope::All,
    };
    let count = waiting.take(scope, choice);
    if let Some(job) = job_of(app, id).filter(|_| reach == Reach::All) {
        // It goes on so the next time too.
        (job.existing, job.is_noted) = (Some(choice), false);
    }
    let (.., label) = CHOICES.iter().find(|(known, ..)| *known == choice).copied().unwrap_or(CHOICES[1]);
    let what = if reach == Reach::This {
        conflict.to.path.name().map(|name| name.display().to_string()).unwrap_or_default()
    } else {
        format!("{}, and all that follow", counted(count as u64, "conflict", "conflicts"))
    };
    app.hint(format!("{what}: {}", label.to_lowercase()));
    // The next ones are decided by themselves again.
    if let Some(Dialog::Conflicts(shown)) = app.dialogs.last_mut() {
        shown.reach = Reach::This;
    }
    vec![Effect::Decide { job: id, scope, choice }]
}
