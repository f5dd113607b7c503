//! Jobs that an earlier `tow` did not bring to their end: a badge counts them, and a key opens the question. No job resumes before the user has
//! seen it.

use towpath_protocol::path::WirePath;

use super::carry::things_at;
use super::effect::Effect;
use super::jobs::{Hold, Work};
use super::{App, Tone, queue, servers};
use crate::model::kept::{KeptId, LeftJob};
use crate::model::number::counted;
use crate::model::size::human;
use crate::model::{JobProgress, LinkId};

/// What is unfinished when `tow` ends is lost.
pub(super) fn not_kept(app: &mut App, why: &str) {
    app.keeps_jobs = false;
    app.say(Tone::Bad, format!("cannot save jobs for the next start: {why}"));
}

/// They wait until the user opens the question.
pub(super) fn come(app: &mut App, jobs: Vec<LeftJob>) {
    if jobs.is_empty() {
        return;
    }
    app.left.extend(jobs);
}

/// They take their places in the queue, and the servers that they need are connected to. What all jobs together were allowed holds again,
/// where nobody has said anything else since.
pub(super) fn go_on(app: &mut App) -> Vec<Effect> {
    let jobs = std::mem::take(&mut app.left);
    let mut effects = Vec::new();
    if let (None, Some(limit)) = (app.limit, jobs.iter().rev().find_map(|left| left.job.limit_of_all)) {
        queue::limit_all(app, Some(limit));
        effects.push(Effect::Limit { job: None, bytes_per_second: Some(limit) });
        app.hint(format!("all jobs: at most {}/s, as before", human(limit)));
    }
    for LeftJob { ticket, job: kept, .. } in jobs {
        let source = link_to(app, &kept.source, &mut effects);
        let destination = link_to(app, &kept.destination, &mut effects);
        let from: Vec<WirePath> = kept.items.iter().map(|(from, _)| from.clone()).collect();
        let title = title(&kept.destination, &from, &kept.items);
        let mut job = app.new_job(title, Work::Carry(kept.carry));
        (job.source, job.destination) = (source, destination);
        (job.sources, job.targets) = kept.items.iter().cloned().unzip();
        (job.limit, job.existing) = (kept.limit, kept.existing);
        if let Some((files_total, bytes_total)) = kept.totals {
            (job.totals, job.before.totals) = (kept.totals, kept.totals);
            job.now = JobProgress { files_total, bytes_total, ..JobProgress::default() };
        }
        if !app.is_live(source) || !app.is_live(destination) {
            job.hold = Some(Hold::Connection);
        }
        // The journal has it already.
        job.is_noted = kept.limit_of_all == app.limit;
        job.place = kept.place;
        app.noted.push(job.id);
        effects.push(Effect::TakeUp { ticket, job: job.id });
        let (id, carry, items, existing) = (job.id, kept.carry, kept.items, kept.existing);
        job.effect = Some(Effect::Carry { job: id, carry, source, items, destination, existing });
        app.enqueue(job);
    }
    effects
}

/// `photos → tow://box/backup/`
pub fn title(server: &str, from: &[WirePath], items: &[(WirePath, WirePath)]) -> String {
    let to = match items {
        [(_, to)] => format!("{server}/{}", to.display()),
        items => {
            let folder = items.first().and_then(|(_, to)| to.parent()).unwrap_or_default();
            format!("{server}/{}/", folder.display())
        }
    };
    format!("{} → {to}", things_at(from))
}

/// Nobody asks about them again.
pub(super) fn forget(app: &mut App) -> Vec<Effect> {
    let jobs = std::mem::take(&mut app.left);
    app.say(
        Tone::Plain,
        format!("{} discarded", counted(jobs.len() as u64, "unfinished job", "unfinished jobs")),
    );
    jobs.into_iter().map(|job| Effect::Forget(KeptId::Left(job.ticket))).collect()
}

/// The link to a server, which is connected to where it is not.
fn link_to(app: &mut App, server: &str, effects: &mut Vec<Effect>) -> LinkId {
    if server.is_empty() {
        return LinkId::LOCAL;
    }
    if let Some(link) = servers::known(app, server).map(|(server, _)| server.link) {
        effects.extend(servers::make_again(app, link));
        return link;
    }
    let effect = app.connect_new(server);
    let link = match &effect {
        Effect::Connect { link, .. } => *link,
        _ => LinkId::LOCAL,
    };
    effects.push(effect);
    link
}
