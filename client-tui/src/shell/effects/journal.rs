//! The journal's hands: what the thinking wing wants noted, left or forgotten, one after the other, beside everything else. Nothing waits
//! for it but the end of the program.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::Kept;
use crate::app::event::Event;
use crate::model::JobId;
use crate::model::kept::{KeptId, KeptJob, LeftJob};
use crate::transfer::journal::{Entry, EntryName, Journal, JournalFault};

/// How long the end of the program waits for what is still to be written.
const END_TIME: Duration = Duration::from_secs(2);

/// Something to write.
#[derive(Debug)]
pub(super) enum Note {
    Keep(JobId, KeptJob),
    Forget(KeptId),
    Leave(KeptId),
    TakeUp { ticket: u64, job: JobId },
    FindLeft,
}

/// Writes notes in their order.
#[derive(Debug)]
pub(super) struct Notes {
    keeper: Arc<Mutex<Keeper>>,
    events: mpsc::Sender<Event>,
    /// The newest note; it waits for the one before.
    newest: Option<JoinHandle<()>>,
}

impl Notes {
    pub(super) fn new(kept: &Kept, events: mpsc::Sender<Event>) -> Self {
        let keeper =
            Keeper { kept: kept.clone(), journal: Opened::NotYet, names: HashMap::new(), next_ticket: 0 };
        Self { keeper: Arc::new(Mutex::new(keeper)), events, newest: None }
    }

    /// Never waits.
    pub(super) fn take(&mut self, note: Note) {
        let (keeper, events, before) = (self.keeper.clone(), self.events.clone(), self.newest.take());
        self.newest = Some(tokio::spawn(async move {
            if let Some(before) = before {
                let _ = before.await;
            }
            let written = tokio::task::spawn_blocking(move || {
                keeper.lock().unwrap_or_else(PoisonError::into_inner).write(note)
            });
            for event in written.await.unwrap_or_default() {
                let _ = events.send(event).await;
            }
        }));
    }

    /// Waits until all of it is written.
    pub(super) async fn end(&mut self) {
        if let Some(newest) = self.newest.take() {
            let _ = tokio::time::timeout(END_TIME, newest).await;
        }
    }
}

/// The journal, which is opened when it is first needed.
#[derive(Debug)]
enum Opened {
    NotYet,
    /// It was told why it cannot be.
    Never,
    Now(Journal),
}

#[derive(Debug)]
struct Keeper {
    kept: Kept,
    journal: Opened,
    /// The file of each job, and when that was queued.
    names: HashMap<KeptId, (EntryName, i64)>,
    next_ticket: u64,
}

impl Keeper {
    /// What is to be told. Blocks.
    fn write(&mut self, note: Note) -> Vec<Event> {
        match self.work(note) {
            Ok(events) => events,
            Err(fault) => {
                let text = format!("a job is not kept for next time: {fault}");
                vec![Event::Said { good: false, text }]
            }
        }
    }

    fn work(&mut self, note: Note) -> Result<Vec<Event>, JournalFault> {
        if let (Opened::NotYet, Some(folder)) = (&self.journal, &self.kept.state_dir) {
            match Journal::open(folder, self.kept.age_max) {
                Ok(journal) => self.journal = Opened::Now(journal),
                // Told once there is something to be kept.
                Err(fault) if matches!(note, Note::FindLeft) => tracing::warn!(%fault, "journal"),
                Err(fault) => {
                    self.journal = Opened::Never;
                    return Ok(vec![Event::NoJournal(fault.to_string())]);
                }
            }
        }
        let Opened::Now(journal) = &self.journal else { return Ok(Vec::new()) };
        let names = &mut self.names;
        match note {
            Note::Keep(id, job) => {
                let (name, begun_ns) = match names.get(&KeptId::Job(id)) {
                    Some(known) => known.clone(),
                    None => (journal.new_name()?, now_ns()),
                };
                journal.note(&name, &Entry { begun_ns, job })?;
                names.insert(KeptId::Job(id), (name, begun_ns));
            }
            Note::Forget(id) => {
                if let Some((name, _)) = names.remove(&id) {
                    journal.forget(&name)?;
                }
            }
            Note::Leave(id) => {
                if let Some((name, _)) = names.remove(&id) {
                    journal.leave(&name)?;
                }
            }
            Note::TakeUp { ticket, job } => {
                if let Some(known) = names.remove(&KeptId::Left(ticket)) {
                    names.insert(KeptId::Job(job), known);
                }
            }
            Note::FindLeft => return self.find_left(),
        }
        Ok(Vec::new())
    }

    fn find_left(&mut self) -> Result<Vec<Event>, JournalFault> {
        let Opened::Now(journal) = &self.journal else { return Ok(Vec::new()) };
        let left = journal.take_left()?;
        let mut events: Vec<_> =
            left.said.into_iter().map(|text| Event::Said { good: false, text }).collect();
        let mut jobs = Vec::new();
        for (name, Entry { begun_ns, job }) in left.jobs {
            self.next_ticket += 1;
            let ticket = self.next_ticket;
            self.names.insert(KeptId::Left(ticket), (name, begun_ns));
            jobs.push(LeftJob { ticket, begun_ns, job });
        }
        if !jobs.is_empty() {
            events.push(Event::JobsLeft(jobs));
        }
        Ok(events)
    }
}

fn now_ns() -> i64 {
    i64::try_from(Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX)
}
