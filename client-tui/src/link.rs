//! A link: a way to a file service, in this process or at the far end of a connection. Whoever holds a [`Link`] opens
//! exchanges on it and need not know which of the two it is.

mod batch;
pub mod calls;
mod connection;
pub mod dial;
mod in_process;
pub mod target;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use towpath_files::service::Service;
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::hello::Welcome;
use towpath_protocol::input::Cancel;
use towpath_protocol::message::{Answer, Input, Request, RequestId};

use connection::Connection;
use in_process::InProcess;

/// A way to a file service. Cheap to clone; all clones are one link.
#[derive(Debug, Clone)]
pub struct Link(Arc<Inner>);

#[derive(Debug)]
enum Inner {
    InProcess(InProcess),
    Connection(Box<Connection>),
}

impl Link {
    /// To a service in this process.
    pub fn in_process(service: Arc<Service>) -> Self {
        Self(Arc::new(Inner::InProcess(InProcess::new(service))))
    }

    fn connection(connection: Connection) -> Self {
        Self(Arc::new(Inner::Connection(Box::new(connection))))
    }

    /// Root, access, limits and capabilities of the service.
    pub fn welcome(&self) -> &Welcome {
        match &*self.0 {
            Inner::InProcess(link) => link.welcome(),
            Inner::Connection(link) => link.welcome(),
        }
    }

    /// Whether both lead to the same service and so to the same root.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Opens an exchange. Never waits; whatever goes wrong comes as the exchange's first answer. Must be called within a tokio runtime.
    pub fn open(&self, request: impl Into<Request>) -> Exchange {
        match &*self.0 {
            Inner::InProcess(link) => link.open(request.into()),
            Inner::Connection(link) => link.open_exchange(request.into()),
        }
    }

    /// How long the server took for the last Ping, or for Hello; none within this process.
    pub fn round_trip(&self) -> Option<Duration> {
        match &*self.0 {
            Inner::InProcess(_) => None,
            Inner::Connection(link) => Some(link.round_trip()),
        }
    }

    /// Resolves to the reason once the connection is gone; never within this process.
    pub async fn lost(&self) -> Fault {
        let mut lost = match &*self.0 {
            Inner::InProcess(_) => return std::future::pending().await,
            Inner::Connection(link) => link.lost(),
        };
        let reason = lost.wait_for(Option::is_some).await.ok().and_then(|reason| reason.clone());
        reason.unwrap_or_else(|| FaultCode::Disconnected.into())
    }

    /// Whether the connection is gone.
    pub fn is_lost(&self) -> bool {
        match &*self.0 {
            Inner::InProcess(_) => false,
            Inner::Connection(link) => link.lost().borrow().is_some(),
        }
    }

    /// Ends the session in order; what is still open fails with `Disconnected`.
    pub async fn bye(&self) {
        if let Inner::Connection(link) = &*self.0 {
            link.bye().await;
        }
    }

    /// Opens an exchange and waits for its final answer; answers before that are dropped.
    pub async fn call(&self, request: impl Into<Request>) -> Result<Answer, Fault> {
        let mut exchange = self.open(request);
        loop {
            let answer = exchange.next().await?;
            if answer.is_final() {
                return Ok(answer);
            }
        }
    }
}

/// One request's conversation, seen from the client. Dropped before its final answer came, it cancels the request.
#[derive(Debug)]
pub struct Exchange {
    answers: mpsc::Receiver<(RequestId, Answer)>,
    inputs: Inputs,
    finished: bool,
}

/// Where an exchange's inputs go.
#[derive(Debug)]
enum Inputs {
    InProcess(in_process::Inputs),
    Connection(connection::Inputs),
}

impl Exchange {
    /// The next answer. A Fault answer comes as Err, and so does the loss of the connection; after the final answer every further call
    /// is an `OutOfOrder` fault.
    pub async fn next(&mut self) -> Result<Answer, Fault> {
        if self.finished {
            return Err(FaultCode::OutOfOrder.into());
        }
        let lost = || Answer::Fault(FaultCode::Disconnected.into());
        let answer = self.answers.recv().await.map_or_else(lost, |(_, answer)| answer);
        self.finished = answer.is_final();
        match answer {
            Answer::Fault(fault) => Err(fault),
            answer => Ok(answer),
        }
    }

    /// Says something within the exchange; waits while the way there is full.
    pub async fn send(&self, input: impl Into<Input>) -> Result<(), Fault> {
        match &self.inputs {
            Inputs::InProcess(inputs) => inputs.send(input.into()).await,
            Inputs::Connection(inputs) => inputs.send(input.into()).await,
        }
    }

    /// Asks for an early end. The final answer still comes.
    pub fn cancel(&self) {
        match &self.inputs {
            Inputs::InProcess(inputs) => inputs.cancel(Cancel {}),
            Inputs::Connection(inputs) => inputs.cancel(Cancel {}),
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if !self.finished {
            self.cancel();
        }
    }
}
