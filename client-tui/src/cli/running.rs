//! A job that runs: its facts to standard error, its progress as asked for, its questions to whoever sits there. An interrupt cancels it
//! in order; a second one ends it at once.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Map, Value, json};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::path::WirePath;

use super::answers;
use super::asking::{Answered, Asking, Question};
use super::copy::Sides;
use super::output::{self, Output};
use super::planned::{Forecast, put_path};
use super::progress;
use crate::model::number::noun;
use crate::transfer;
use crate::transfer::job::{ExistingPolicy, FACTS_QUEUED_MAX, Fact, Job, Progress, Reports, Summary};
use crate::transfer::undecided::Undecided;

/// Facts that are kept back while a question is open.
const KEPT_BACK_MAX: usize = 1024;

/// What goes through the hands of whoever watches a job.
struct Watch<'a> {
    sides: &'a Sides<'a>,
    output: Output,
    forecast: &'a mut Forecast,
    /// The first failure.
    failed: Option<Fault>,
    kept: u64,
    asking: Asking,
    undecided: Arc<Undecided>,
    cancel: CancellationToken,
}

/// A job that has ended.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) summary: Summary,
    /// The first failure.
    pub(super) failed: Option<Fault>,
    /// Existing files that were kept.
    pub(super) kept: u64,
}

/// Runs a job to its end.
pub(super) async fn run(job: Job, sides: &Sides<'_>, output: Output, forecast: &mut Forecast) -> Ran {
    let (fact_sender, mut facts) = mpsc::channel(FACTS_QUEUED_MAX);
    let (progress_sender, mut progress) = watch::channel(Progress { growing: true, ..Progress::default() });
    let (cancel, undecided) = (CancellationToken::new(), Arc::new(Undecided::default()));
    let reports = Reports {
        progress: Arc::new(progress_sender),
        facts: fact_sender,
        cancel: cancel.clone(),
        leave: CancellationToken::new(),
        throttle: Arc::default(),
        undecided: undecided.clone(),
    };
    let begun = Instant::now();
    let is_asked = job.existing == ExistingPolicy::Ask && !job.is_dry;
    let asking = Asking::new(is_asked);
    let mut watch = Watch { sides, output, forecast, failed: None, kept: 0, asking, undecided, cancel };
    // In a task of its own: it goes on while a question is open.
    let mut running = tokio::spawn(transfer::run(job, reports));
    let (interrupted, again) = (super::interrupted(), super::interrupted());
    tokio::pin!(interrupted, again);
    let mut part = 0.0;
    let summary = loop {
        let is_growing = progress.borrow().growing;
        let question = watch.asking.next(is_growing, sides);
        tokio::select! {
            biased;
            () = &mut interrupted, if !watch.cancel.is_cancelled() => watch.cancel.cancel(),
            // What is under way may wait for a disk that does not answer.
            () = &mut again, if watch.cancel.is_cancelled() => {
                running.abort();
                break Summary { cancelled: true, ..Summary::default() };
            }
            Some(fact) = facts.recv() => watch.take(fact),
            summary = &mut running => break summary.unwrap_or_else(|_| broken()),
            () = async {}, if question.is_some() && !watch.cancel.is_cancelled() => {
                if let Some(question) = question {
                    tokio::select! {
                        () = watch.ask(question, &mut facts) => {}
                        () = &mut interrupted, if !watch.cancel.is_cancelled() => watch.cancel.cancel(),
                    }
                }
            }
            Ok(()) = progress.changed() => {
                if output.progress {
                    show(&progress.borrow_and_update(), begun, output, &mut part);
                }
            }
        }
    };
    clear(output);
    if let Some(fault) = &summary.stopped {
        let why = Fault { path: None, ..fault.clone() }.to_string();
        watch.put_object("failed", fault.path.as_ref(), &why);
    }
    while let Ok(fact) = facts.try_recv() {
        watch.take(fact);
    }
    Ran { summary, failed: watch.failed, kept: watch.kept }
}

impl Watch<'_> {
    fn take(&mut self, fact: Fact) {
        let Self { sides, output, .. } = *self;
        match fact {
            Fact::Conflict(conflict) => return self.asking.found(conflict),
            Fact::Settled(id) => return self.asking.settled(id),
            Fact::Short { needed, free } if self.asking.is_asked() => return self.asking.short(needed, free),
            Fact::Planned(planned) => {
                self.kept += u64::from(planned.reason.is_some_and(transfer::is_kept));
                return self.forecast.take(&planned, sides, output);
            }
            _ => clear(output),
        }
        match fact {
            Fact::Failed(fault) => {
                self.forecast.failed(&fault, sides, output);
                let why = Fault { path: None, ..fault.clone() }.to_string();
                self.tell_object("failed", fault.path.as_ref(), &why);
                output::error(&sides.words(&fault));
                self.failed.get_or_insert(fault);
            }
            Fact::Unnamed(path, count) => {
                self.tell_object("failed", Some(&path), &format!("{count} more failed"));
                output::error(&format!("{}: {count} more failed", sides.name(&path)));
            }
            Fact::Skipped(path, why) => {
                self.kept += u64::from(transfer::is_kept(why));
                self.tell_object("skipped", Some(&path), why);
                output::error(&format!("{}: skipped: {why}", sides.name(&path)));
            }
            Fact::Made(path) => self.created(&path),
            Fact::Noticed(path, what) => output::note(&format!("tow: {}: {what}", sides.name(&path))),
            Fact::Short { needed, free } => {
                output::note(&format!("tow: {}", super::asking::too_much(needed, free)));
            }
            Fact::Conflict(_) | Fact::Settled(_) | Fact::Planned(_) => {}
        }
    }

    /// With `--json`, an object for an item that did not arrive. A dry run tells it in its plan.
    fn tell_object(&mut self, event: &str, path: Option<&WirePath>, why: &str) {
        if !self.forecast.is_told() {
            self.put_object(event, path, why);
        }
    }

    fn put_object(&mut self, event: &str, path: Option<&WirePath>, why: &str) {
        if !self.output.json {
            return;
        }
        let mut object = Map::new();
        object.insert("event".into(), event.into());
        if let Some(path) = path {
            put_path(&mut object, "path", self.sides.of(path), path);
        }
        object.insert("reason".into(), why.into());
        self.forecast.heard(self.output.object(&Value::Object(object)));
    }

    /// A folder that nothing at the source is copied to.
    fn created(&mut self, path: &WirePath) {
        let place = self.sides.destination;
        if !self.output.quiet {
            output::note(&format!("tow: created {}", place.short_name_of(path)));
        }
        let mut object = Map::new();
        object.insert("event".into(), "created".into());
        put_path(&mut object, "path", place, path);
        self.forecast.heard(self.output.object(&Value::Object(object)));
    }

    /// Puts a question; what happens meanwhile is told after its answer.
    async fn ask(&mut self, question: Question, facts: &mut mpsc::Receiver<Fact>) {
        clear(self.output);
        let mut kept_back = VecDeque::new();
        let answer = {
            let answering = output::ask(&question.text);
            tokio::pin!(answering);
            loop {
                tokio::select! {
                    answer = &mut answering => break answer.ok().flatten(),
                    Some(fact) = facts.recv(), if kept_back.len() < KEPT_BACK_MAX => kept_back.push_back(fact),
                }
            }
        };
        match self.asking.answered(&question, answer.as_deref(), &self.undecided) {
            Answered::Taken => {}
            Answered::Stop => self.cancel.cancel(),
            // It waits still, and is asked about again.
            Answered::Unknown(accepted) => answers::not_understood(&answer.unwrap_or_default(), &accepted),
        }
        for fact in kept_back {
            self.take(fact);
        }
    }
}

/// Of a job that ended by a fault of the program.
fn broken() -> Summary {
    Summary { failed: 1, stopped: Some(FaultCode::Internal.into()), ..Summary::default() }
}

fn clear(output: Output) {
    if output.progress && !output.json {
        output::progress_line("");
    }
}

/// `part` is the largest that was shown.
fn show(now: &Progress, begun: Instant, output: Output, part: &mut f64) {
    if output.json {
        let object = json!({
            "event": "progress", "files": now.files, "files_total": now.files_total, "bytes": now.bytes,
            "bytes_total": now.bytes_total, "saved": now.saved, "resumed": now.resumed, "growing": now.growing, "seconds": now.elapsed.as_secs_f64(),
        });
        let _ = output.object(&object);
        return;
    }
    let name = now.current.as_ref().and_then(|(path, ..)| path.name()).map(|name| name.display().to_string());
    let shown = progress::Shown {
        name: name.unwrap_or_else(|| format!("{} {}", now.files, noun(now.files, "file", "files"))),
        bytes: now.bytes,
        bytes_total: now.bytes_total,
        reused: now.saved.saturating_add(now.resumed).saturating_add(now.renamed),
        growing: now.growing,
        part_least: *part,
    };
    *part = shown.part_done().unwrap_or(*part);
    output::progress_line(&progress::line(&shown, begun, Instant::now()));
}
