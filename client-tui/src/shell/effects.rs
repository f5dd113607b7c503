//! Carries out what the thinking wing asks for, each thing in a task of its own, and reports events. The only place that spawns.

mod connections;
mod jobs;
mod journal;
mod questions;
mod targets;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, mpsc};
use tokio::task::{JoinHandle, JoinSet};
use towpath_protocol::answer::Totals;
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::hash::Hash;
use towpath_protocol::limits::PATHS_MAX;
use towpath_protocol::message::Answer;
use towpath_protocol::path::{Location, Name, WirePath};
use towpath_protocol::request::{
    Direction, Durability, Existing, Follow, Hidden, MakeFolder, Measure, OperationId, Put, Rename, SortKey,
    StoreAs,
};
use towpath_protocol::time::Time;

use super::panes::Ready;
use super::terminal::ring;
use crate::app::effect::Effect;
use crate::app::event::Event;
use crate::link::Link;
use crate::link::calls::operation_id;
use crate::link::keyring::Keyring;
use crate::model::{Asking, JobId, LinkId, Place};
use crate::transfer::job::OnRequest;
use crate::transfer::throttle::Throttle;
use crate::transfer::undecided::Undecided;

use connections::Attempt;
use jobs::{Carriage, Parts, Stopping};
use journal::{Note, Notes};
use questions::Questions;

pub(super) use targets::Kept;

/// Names that a completion looks at.
const NAMES_MAX: usize = 10_000;

type Links = Arc<Mutex<HashMap<LinkId, Link>>>;

/// The doing wing's hands.
#[derive(Debug)]
pub(super) struct Effects {
    links: Links,
    keyring: Arc<Keyring>,
    events: mpsc::Sender<Event>,
    /// By generation.
    listings: HashMap<u64, JoinHandle<()>>,
    /// Connections made before the screen was taken.
    ready: Ready,
    /// Attempts to connect, and the watch over connections.
    connections: HashMap<LinkId, JoinHandle<()>>,
    jobs: JoinSet<JobId>,
    cancels: HashMap<JobId, Stopping>,
    throttles: HashMap<JobId, Arc<Throttle>>,
    /// Of all jobs together.
    throttle: Arc<Throttle>,
    /// What waits for decisions, of each job.
    undecided: HashMap<JobId, Arc<Undecided>>,
    /// Wakes whoever waits for a connection to be back.
    returned: Arc<Notify>,
    kept: Kept,
    /// Of what jobs copy.
    durability: Durability,
    on_request: OnRequest,
    questions: Questions,
    notes: Notes,
}

impl Effects {
    /// With the link to this machine's own files, and those that stand already. Events go to the receiver.
    pub(super) fn new(
        local: Link,
        keyring: Arc<Keyring>,
        ready: Ready,
        kept: Kept,
        (durability, on_request): (Durability, OnRequest),
    ) -> (Self, mpsc::Receiver<Event>) {
        let (events, receiver) = mpsc::channel(super::runtime::EVENTS_QUEUED_MAX);
        let questions = Questions::to(events.clone());
        let notes = Notes::new(&kept, events.clone());
        let effects = Self {
            links: Arc::new(Mutex::new(HashMap::from([(LinkId::LOCAL, local)]))),
            keyring,
            events,
            listings: HashMap::new(),
            ready,
            connections: HashMap::new(),
            jobs: JoinSet::new(),
            cancels: HashMap::new(),
            throttles: HashMap::new(),
            throttle: Arc::default(),
            undecided: HashMap::new(),
            returned: Arc::default(),
            kept,
            durability,
            on_request,
            questions,
            notes,
        };
        (effects, receiver)
    }

    /// Starts what an effect asks for; never waits.
    pub(super) fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::List { generation, instead_of, place, sort, direction, hidden } => {
                self.list(generation, instead_of, place, (sort, direction, hidden));
            }
            Effect::Measure { ticket, link, paths } => self.measure(ticket, link, &paths),
            Effect::AskRefused { link, permission, path } => {
                if let Some(link) = self.link(link) {
                    tokio::spawn(async move { link.is_refused(permission, &path).await });
                }
            }
            Effect::Look { ticket, place } => self.look(ticket, place),
            Effect::Names { ticket, place } => self.names(ticket, place),
            Effect::MakeFolder { ticket, place } => {
                let path = place.path.clone();
                self.make(ticket, place, move |link, operation| make_folders(link, operation, path.clone()));
            }
            Effect::MakeFile { ticket, place } => {
                let path = place.path.clone();
                self.make(ticket, place, move |link, operation| make_file(link, operation, path.clone()));
            }
            Effect::Rename { ticket, link, from, to } => self.rename(ticket, link, from, to),
            Effect::Remove { job, link, paths, counted } => self.remove(job, link, paths, counted),
            Effect::Carry { job, carry, source, items, destination, existing } => {
                self.carry(job, Carriage { carry, between: (source, destination), items, existing });
            }
            Effect::Decide { job, scope, choice } => {
                if let Some(undecided) = self.undecided.get(&job) {
                    undecided.decide(scope, choice);
                }
            }
            Effect::Compare { job, conflict, source, destination } => {
                self.compare(job, *conflict, (source, destination));
            }
            Effect::CancelJob(job) => self.cancel(job, Parts::Go),
            Effect::LeaveJob(job) => self.cancel(job, Parts::Wait),
            Effect::Keep { job, kept } => self.notes.take(Note::Keep(job, kept)),
            Effect::Forget(id) => self.notes.take(Note::Forget(id)),
            Effect::Leave(id) => self.notes.take(Note::Leave(id)),
            Effect::TakeUp { ticket, job } => self.notes.take(Note::TakeUp { ticket, job }),
            Effect::FindLeft => self.notes.take(Note::FindLeft),
            Effect::PauseJob(job) => self.throttled(job, Throttle::pause),
            Effect::ResumeJob(job) => self.throttled(job, Throttle::resume),
            Effect::Limit { job, bytes_per_second } => self.limit(job, bytes_per_second),
            Effect::Ring(text) => ring(&text),
            Effect::Connect { link, target, asking: Asking::Allowed } => {
                self.connect(link, target, Attempt::New);
            }
            Effect::Connect { link, target, .. } => self.connect(link, target, Attempt::Unasked),
            Effect::Pair { link, target, code } => self.connect(link, target, Attempt::Pairing(code)),
            Effect::Install { link, target, system } => {
                self.connect(link, target, Attempt::Installing { system });
            }
            Effect::Reply { ticket, answer } => self.questions.reply(ticket, answer),
            Effect::Disconnect(link) => self.disconnect(link),
            Effect::KnownTargets => self.known_targets(),
            Effect::NoteTarget(target) => self.note_target(target, true),
            Effect::ForgetTarget(target) => self.note_target(target, false),
            Effect::KeepBookmark { name, target } => self.keep_bookmark(name, target),
            // The loop's own.
            Effect::Wait { .. } | Effect::Suspend | Effect::Quit => {}
        }
    }

    fn link(&self, id: LinkId) -> Option<Link> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// A link, or the event that says that there is none.
    fn link_or(&self, id: LinkId, event: impl FnOnce(Fault) -> Event) -> Option<Link> {
        let link = self.link(id);
        if link.is_none() {
            let (events, event) = (self.events.clone(), event(FaultCode::Disconnected.into()));
            tokio::spawn(async move { events.send(event).await });
        }
        link
    }

    fn list(&mut self, generation: u64, instead_of: u64, place: Place, order: (SortKey, Direction, Hidden)) {
        if let Some(old) = self.listings.remove(&instead_of) {
            old.abort();
        }
        let ended = |fault| Event::ListEnded { generation, outcome: Err(fault) };
        let Some(link) = self.link_or(place.link, ended) else { return };
        let listing = tokio::spawn(list(link, generation, place.path, order, self.events.clone()));
        self.listings.insert(generation, listing);
    }

    fn measure(&self, ticket: u64, link: LinkId, paths: &[WirePath]) {
        let measured = move |outcome| Event::Measured { ticket, outcome };
        let Some(link) = self.link_or(link, |fault| measured(Err(fault))) else { return };
        let (things, events) = (paths.iter().map(Location::of).collect::<Vec<_>>(), self.events.clone());
        tokio::spawn(async move {
            let _ = events.send(measured(measure(&link, &things).await)).await;
        });
    }

    fn look(&self, ticket: u64, place: Place) {
        let looked = move |outcome| Event::Looked { ticket, outcome };
        let Some(link) = self.link_or(place.link, |fault| looked(Err(fault))) else { return };
        let events = self.events.clone();
        tokio::spawn(async move {
            let outcome = match link.stat(&place.path, Follow::Yes).await {
                Ok(there) => Ok(Some(there.leads_to_folder())),
                Err(fault) if fault.code == FaultCode::NotFound => Ok(None),
                Err(fault) => Err(fault),
            };
            let _ = events.send(looked(outcome)).await;
        });
    }

    fn names(&self, ticket: u64, place: Place) {
        let Some(link) = self.link(place.link) else { return };
        let events = self.events.clone();
        tokio::spawn(async move {
            let mut listing = link.list(&place.path, SortKey::Name, Direction::Ascending, Hidden::Shown);
            let mut names: Vec<(Name, bool)> = Vec::new();
            while names.len() < NAMES_MAX
                && let Ok(Some(page)) = listing.next_page().await
            {
                names.extend(page.entries.into_iter().map(|entry| {
                    let is_folder = entry.attributes.leads_to_folder();
                    (entry.name, is_folder)
                }));
            }
            let _ = events.send(Event::Names { ticket, names }).await;
        });
    }

    /// Makes one thing; what shows it is read again.
    fn make<F>(&self, ticket: u64, place: Place, make: impl Fn(Link, OperationId) -> F + Send + 'static)
    where
        F: Future<Output = Result<(), Fault>> + Send,
    {
        self.change((ticket, place.link), vec![place.path.clone()], Some(place.path), make);
    }

    fn rename(&self, ticket: u64, link: LinkId, from: WirePath, to: WirePath) {
        let paths = vec![from.clone(), to.clone()];
        self.change((ticket, link), paths, Some(to.clone()), move |link, operation| {
            let (from, to) = (Location::of(&from), Location::of(&to));
            let rename = Rename { operation, from, to, existing: Existing::Keep, expected: None };
            async move { link.call(rename).await.map(drop) }
        });
    }

    fn change<F>(
        &self,
        (ticket, id): (u64, LinkId),
        paths: Vec<WirePath>,
        made: Option<WirePath>,
        change: impl Fn(Link, OperationId) -> F + Send + 'static,
    ) where
        F: Future<Output = Result<(), Fault>> + Send,
    {
        let done = move |outcome| Event::Done { ticket, link: id, outcome };
        let Some(link) = self.link_or(id, |fault| done(Err(fault))) else { return };
        let (events, links, returned) = (self.events.clone(), self.links.clone(), self.returned.clone());
        tokio::spawn(async move {
            let changed = match operation_id() {
                Ok(operation) => match change(link, operation).await {
                    // Whether it was done is known once the connection is back: the server remembers the operation.
                    Err(fault) if fault.code == FaultCode::Disconnected => {
                        match connections::back(&links, &returned, id).await {
                            Some(link) => change(link, operation).await,
                            None => Err(fault),
                        }
                    }
                    changed => changed,
                },
                Err(fault) => Err(fault),
            };
            let made = made.filter(|_| changed.is_ok());
            let _ = events.send(done(changed)).await;
            let _ = events.send(Event::Changed { link: id, paths, made }).await;
        });
    }
}

/// Sends a listing on as it comes, and how much is free at its end.
async fn list(
    link: Link,
    generation: u64,
    path: WirePath,
    (sort, direction, hidden): (SortKey, Direction, Hidden),
    events: mpsc::Sender<Event>,
) {
    let mut listing = link.list(&path, sort, direction, hidden).to_be_kept();
    let outcome = loop {
        match listing.next_page().await {
            Ok(Some(page)) => {
                let event = Event::Listed { generation, total: page.total, entries: page.entries };
                if events.send(event).await.is_err() {
                    return;
                }
            }
            Ok(None) => break Ok(()),
            Err(fault) => break Err(fault),
        }
    };
    let is_there = outcome.is_ok();
    let _ = events.send(Event::ListEnded { generation, outcome }).await;
    if is_there && let Ok(space) = link.space(&path).await {
        let _ = events.send(Event::Free { generation, bytes: space.free }).await;
    }
}

async fn measure(link: &Link, things: &[Location]) -> Result<Totals, Fault> {
    let mut all = Totals::default();
    for things in things.chunks(PATHS_MAX) {
        match link.call(Measure { things: things.to_vec() }).await? {
            Answer::Totals(totals) => {
                all.add(&totals);
                all.faults.extend(totals.faults);
            }
            _ => return Err(FaultCode::Malformed.into()),
        }
    }
    match all.faults.first() {
        // Nothing of it could be counted: that is no size.
        Some(fault) if all.things() == 0 => Err(fault.clone()),
        _ => Ok(all),
    }
}

/// Makes a folder, and those above it that are missing.
async fn make_folders(link: Link, operation: OperationId, path: WirePath) -> Result<(), Fault> {
    let folder = Location::of(&path);
    let made = link.call(MakeFolder { operation, folder, mode: 0o777, existing: Existing::Keep }).await;
    if !made.as_ref().is_err_and(|fault| fault.code == FaultCode::NotFound) {
        return made.map(drop);
    }
    let mut missing = vec![path];
    while let Some(above) = missing.last().and_then(WirePath::parent) {
        match link.stat(&above, Follow::Yes).await {
            Err(fault) if fault.code == FaultCode::NotFound => missing.push(above),
            Err(fault) => return Err(fault),
            Ok(_) => break,
        }
    }
    for path in missing.iter().rev() {
        link.make_folder(path, Existing::Replace).await?;
    }
    Ok(())
}

async fn make_file(link: Link, operation: OperationId, path: WirePath) -> Result<(), Fault> {
    let now = jiff::Timestamp::now().as_nanosecond();
    let store = StoreAs {
        mode: 0o666,
        modified: Time::from_ns(i64::try_from(now).unwrap_or(i64::MAX)),
        existing: Existing::Keep,
        expected: None,
        durability: Durability::Synced,
        metadata: None,
    };
    let file = Location::of(&path);
    link.call(Put { operation, file, store, hash: Hash::of(b""), data: Vec::new() }).await.map(drop)
}
