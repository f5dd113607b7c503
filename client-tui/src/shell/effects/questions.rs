//! What ssh asks while the screen has the terminal: to the person in front of it, and the answer back.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::pending;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{mpsc, oneshot};

use crate::app::event::Event;
use crate::link::Link;
use crate::link::dial::DialFault;
use crate::link::dial::askpass::{Asked, Desk};
use crate::link::dial::install::{self, install};
use crate::link::dial::ssh::{self, Prompts};
use crate::link::keyring::Keyring;
use crate::model::target::SshHost;
use crate::model::{LinkId, Question, Secret};

type Waiting = HashMap<u64, oneshot::Sender<Secret>>;

/// Questions that wait for an answer, by their tickets.
#[derive(Debug, Clone)]
pub(super) struct Questions {
    events: mpsc::Sender<Event>,
    waiting: Arc<Mutex<Waiting>>,
    last_ticket: Arc<AtomicU64>,
}

impl Questions {
    pub(super) fn to(events: mpsc::Sender<Event>) -> Self {
        Self { events, waiting: Arc::default(), last_ticket: Arc::default() }
    }

    /// Connects over ssh, which may ask; where `system` is given, puts this program there first.
    pub(super) async fn dial(
        &self,
        id: LinkId,
        host: &SshHost,
        system: Option<String>,
        keyring: &Arc<Keyring>,
    ) -> Result<Link, DialFault> {
        // Keys and agents need no answers.
        let desk = Desk::open().inspect_err(|error| tracing::warn!(%error, "ssh cannot ask anything")).ok();
        let prompts = desk.as_ref().map_or(Prompts::Nobody, Prompts::Desk);
        let dialling = async {
            let Some(system) = system else { return ssh::dial(host, prompts, keyring).await };
            install(host, &system, prompts).await?;
            let _ = self.events.send(Event::Said { good: true, text: install::done(host) }).await;
            ssh::dial(host, prompts, keyring).await.map_err(DialFault::after_install)
        };
        let asking = async {
            match &desk {
                Some(desk) => self.take_to(id, desk).await,
                None => pending().await,
            }
        };
        tokio::select! {
            dialled = dialling => dialled,
            never = asking => match never {},
        }
    }

    /// Takes question after question to the screen.
    async fn take_to(&self, link: LinkId, desk: &Desk) -> Infallible {
        let mut answered = None;
        loop {
            let asked = desk.next().await;
            let this = (asked.asker, asked.text.clone());
            let is_again = answered.as_ref() == Some(&this);
            answered = self.put(link, asked, is_again).await.then_some(this);
        }
    }

    /// Whether it was answered.
    async fn put(&self, link: LinkId, mut asked: Asked, is_again: bool) -> bool {
        let ticket = self.last_ticket.fetch_add(1, Ordering::Relaxed);
        let (reply, replied) = oneshot::channel();
        self.note(ticket, reply);
        let question = Question { ticket, kind: asked.kind, text: asked.text.clone(), is_again };
        let _ = self.events.send(Event::Questioned { link, question }).await;
        let replied = tokio::select! {
            replied = replied => replied.ok(),
            () = asked.withdrawn() => None,
        };
        let is_answered = match &replied {
            Some(answer) => asked.answer(answer).await.is_ok(),
            None => false,
        };
        if !is_answered {
            let _ = self.events.send(Event::QuestionOver { ticket }).await;
        }
        is_answered
    }

    fn note(&self, ticket: u64, reply: oneshot::Sender<Secret>) {
        let mut waiting = self.waiting();
        // Those of attempts that were given up go.
        waiting.retain(|_, reply| !reply.is_closed());
        waiting.insert(ticket, reply);
    }

    /// None waits where ssh has given up meanwhile.
    pub(super) fn reply(&self, ticket: u64, answer: Secret) {
        if let Some(reply) = self.waiting().remove(&ticket) {
            let _ = reply.send(answer);
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
