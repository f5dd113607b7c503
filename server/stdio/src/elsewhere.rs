//! Systems that have no sockets without files: a session there has the one stream that it began with.

use std::convert::Infallible;
use std::io;

use towpath_protocol::hello::Ticket;

use crate::{Input, JoinFault, Output};

/// There is none.
#[derive(Debug)]
pub struct Rendezvous(Infallible);

/// There is none.
#[derive(Debug)]
pub struct Joiner(Infallible);

/// There is none.
#[allow(missing_debug_implementations, reason = "what never exists is never shown")]
pub struct Handed {
    pub reader: Input,
    pub writer: Output,
    pub joiner: Joiner,
}

impl Rendezvous {
    /// Always fails.
    pub fn open() -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub const fn ticket(&self) -> Ticket {
        match self.0 {}
    }

    pub async fn next(&self) -> Joiner {
        match self.0 {}
    }
}

impl Joiner {
    pub async fn receive(self) -> io::Result<Handed> {
        match self.0 {}
    }
}

/// Always fails.
pub fn join() -> Result<(), JoinFault> {
    Err(JoinFault::NoSession)
}
