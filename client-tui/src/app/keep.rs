//! Which jobs the journal is told of, and when: copies and moves from the moment on at which they are queued until they are over, so that
//! the next start can go on with what was left. Deletions are not kept: by then something else may have that name.

use super::App;
use super::effect::Effect;
use super::jobs::{Job, Work};
use crate::model::kept::{KeptId, KeptJob};
use crate::model::{JobId, LinkId};

impl App {
    /// What the journal does not know yet: new jobs, what was said of them since, and that some are over.
    pub(super) fn keep_jobs(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        for at in 0..self.jobs.len() {
            let job = &self.jobs[at];
            if !job.is_noted
                && let Some(kept) = self.kept(job)
            {
                let job = &mut self.jobs[at];
                job.is_noted = true;
                effects.push(Effect::Keep { job: job.id, kept });
                if !self.noted.contains(&job.id) {
                    self.noted.push(job.id);
                }
            }
        }
        let Self { noted, jobs, .. } = self;
        noted.retain(|id| {
            let is_queued = jobs.iter().any(|job| job.id == *id);
            if !is_queued {
                effects.push(Effect::Forget(KeptId::Job(*id)));
            }
            is_queued
        });
        effects
    }

    /// It waits for the next start, and is none of ours any more.
    pub(super) fn leave_job(&mut self, id: JobId) -> Option<Effect> {
        let at = self.noted.iter().position(|noted| *noted == id)?;
        self.noted.remove(at);
        Some(Effect::Leave(KeptId::Job(id)))
    }

    /// Whether the next start could go on with it.
    pub(super) fn can_keep(&self, job: &Job) -> bool {
        self.keeps_jobs && matches!(job.work, Work::Carry(_)) && !job.is_stopping()
    }

    fn kept(&self, job: &Job) -> Option<KeptJob> {
        let (Work::Carry(carry), true) = (job.work, self.can_keep(job)) else { return None };
        let server = |link: LinkId| match link {
            LinkId::LOCAL => Some(String::new()),
            link => self.server(link).map(|server| server.name.clone()),
        };
        let items = job.sources.iter().cloned().zip(job.targets.iter().cloned()).collect();
        let (source, destination) = (server(job.source)?, server(job.destination)?);
        Some(KeptJob {
            carry,
            source,
            destination,
            items,
            existing: job.existing,
            limit: job.limit,
            totals: job.totals,
            place: job.place,
            limit_of_all: self.limit,
        })
    }
}
