//! Which sessions take further streams: each by a ticket that only its own client has. It knows no keys; an owner is whatever tells one
//! client from another.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::hello::Ticket;

use super::streams::Streams;

/// The sessions of one server that take further streams, by owner.
#[derive(Debug)]
pub struct Tickets {
    /// Further streams that each session may have.
    further_max: usize,
    sessions: Mutex<HashMap<Vec<u8>, Vec<Session>>>,
}

#[derive(Debug)]
struct Session {
    /// BLAKE3 of the ticket: to compare two takes the same time whatever they are.
    ticket: blake3::Hash,
    streams: Arc<Streams>,
    /// Streams that may still join. One that has left does not come back.
    left: usize,
}

/// A session's way to take further streams.
#[derive(Debug, Clone)]
pub struct Joining {
    pub tickets: Arc<Tickets>,
    /// What its client's other connections have in common with it, and no one else's.
    pub owner: Vec<u8>,
    /// The session's ticket, where it was chosen before the session began; none for a new one. No two sessions may have the same.
    pub ticket: Option<Ticket>,
}

/// Takes the session off the list when it is dropped.
#[derive(Debug)]
pub(super) struct Offer {
    joining: Joining,
    hash: blake3::Hash,
    pub(super) ticket: Ticket,
}

impl Tickets {
    /// For sessions of so many streams; none joins where that is 1.
    pub fn new(streams_max: usize) -> Self {
        Self { further_max: streams_max.saturating_sub(1), sessions: Mutex::default() }
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<Vec<u8>, Vec<Session>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Joining {
    /// A ticket for a session; none where no stream may join, or the system has no random numbers.
    pub(super) fn offer(&self, streams: Arc<Streams>) -> Option<Offer> {
        if self.tickets.further_max == 0 {
            return None;
        }
        let ticket = self.ticket.or_else(made_up)?;
        let hash = blake3::hash(&ticket.0);
        let session = Session { ticket: hash, streams, left: self.tickets.further_max };
        self.tickets.sessions().entry(self.owner.clone()).or_default().push(session);
        Some(Offer { joining: self.clone(), hash, ticket })
    }

    /// The session of this ticket, if it is this owner's and takes one more stream.
    pub(super) fn join(&self, ticket: &Ticket) -> Result<Arc<Streams>, Fault> {
        let hash = blake3::hash(&ticket.0);
        let mut sessions = self.tickets.sessions();
        let session = sessions
            .get_mut(&self.owner)
            .and_then(|own| own.iter_mut().find(|session| session.ticket == hash));
        let Some(session) = session else {
            return Err(
                Fault::new(FaultCode::PermissionDenied).because("no session of this client has that ticket")
            );
        };
        session.left = session.left.checked_sub(1).ok_or_else(|| {
            Fault::new(FaultCode::LimitExceeded).because("the session has as many streams as it may")
        })?;
        Ok(session.streams.clone())
    }
}

fn made_up() -> Option<Ticket> {
    let mut ticket = [0; 16];
    getrandom::fill(&mut ticket).ok().map(|()| Ticket(ticket))
}

impl Drop for Offer {
    fn drop(&mut self) {
        let mut sessions = self.joining.tickets.sessions();
        if let Some(own) = sessions.get_mut(&self.joining.owner) {
            own.retain(|session| session.ticket != self.hash);
            if own.is_empty() {
                sessions.remove(&self.joining.owner);
            }
        }
    }
}
