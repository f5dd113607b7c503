//! Open questions that no key has opened: conflicts of jobs, jobs that find no room, jobs that an earlier `tow` left.
//! None of it opens a layer: a badge counts it, and a key opens the first.

use super::App;
use super::conflicts;
use super::dialog::{Dialog, Left};
use crate::model::JobId;

impl App {
    /// Answers that are missing.
    pub fn answers_wanted(&self) -> usize {
        let of_jobs: usize = self.jobs.iter().map(super::jobs::Job::answers_wanted).sum();
        of_jobs + self.left.len()
    }

    /// The job that needs an answer longest.
    fn first_asking(&self) -> Option<JobId> {
        self.jobs.iter().find(|job| job.answers_wanted() > 0).map(|job| job.id)
    }
}

/// Opens the question of a job, or, where it has none or none is meant, the first one that there is.
pub(super) fn open(app: &mut App, meant: Option<JobId>) {
    let asks = |id: &JobId| app.jobs.iter().any(|job| job.id == *id && job.answers_wanted() > 0);
    match meant.filter(asks).or_else(|| app.first_asking()) {
        Some(id) => conflicts::show(app, id),
        None if !app.left.is_empty() => app.dialogs.push(Dialog::Left(Left { focus: 0 })),
        None => app.hint("Nothing needs an answer"),
    }
}
