//! A link: a way to a file service, in this process or at the far end of a connection. Whoever holds a [`Link`] opens
//! exchanges on it and need not know which of the two it is.

pub mod calls;
mod connection;
pub mod dial;
mod in_process;
pub mod keyring;
pub mod pages;

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Instant;
use towpath_files::service::Service;
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::hello::Welcome;
use towpath_protocol::input::Cancel;
use towpath_protocol::limits::HELLO_SECONDS_MAX;
use towpath_protocol::message::{Answer, Input, Request, RequestId};

pub use connection::GreetingFault;
use connection::{Asks, Connection, Further, LastWords};
use in_process::InProcess;

/// What a line is taken to pass in a second, if nothing else is known of it: more than two ends can make and check.
const LINE_BYTES_PER_SECOND: u128 = 800_000_000;

/// Things that are set aside at a time. A server that may have only 1,024 files open lets a client set five times as many aside.
const ASIDES_MAX: usize = 32;

/// How long a session may take to begin.
pub const BEGIN_TIME: Duration = Duration::from_secs(HELLO_SECONDS_MAX);

/// A way to a file service. Cheap to clone; all clones are one link.
#[derive(Debug, Clone)]
pub struct Link(Arc<Inner>, Arc<Semaphore>);

#[derive(Debug)]
enum Inner {
    InProcess(InProcess),
    Connection(Arc<Connection>),
}

fn asides() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(ASIDES_MAX))
}

impl Link {
    /// Waits until one more thing may be set aside. Each holds one of the requests that a server works on at a time, while the copy is
    /// looked at by others, perhaps on the same server.
    pub(crate) async fn aside(&self) -> Option<OwnedSemaphorePermit> {
        self.1.clone().acquire_owned().await.ok()
    }

    /// To a service in this process.
    pub fn in_process(service: Arc<Service>) -> Self {
        Self(Arc::new(Inner::InProcess(InProcess::new(service))), asides())
    }

    /// Begins a session over any byte stream, within [`BEGIN_TIME`]. Must be called within a tokio runtime. Once the last clone of the
    /// link and its last exchange are dropped, the session ends in order.
    pub async fn over<R, W>(reader: R, writer: W) -> Result<Self, GreetingFault>
    where
        R: AsyncRead + Unpin + Send + 'static,
        W: AsyncWrite + Unpin + Send + 'static,
    {
        let deadline = Instant::now() + BEGIN_TIME;
        Self::begin(reader, writer, deadline, LastWords::none(), Asks::default(), None).await
    }

    /// With a way to open further streams, where it may have them.
    async fn begin<R, W>(
        reader: R,
        writer: W,
        deadline: Instant,
        last_words: LastWords,
        asks: Asks,
        further: Option<Further>,
    ) -> Result<Self, GreetingFault>
    where
        R: AsyncRead + Unpin + Send + 'static,
        W: AsyncWrite + Unpin + Send + 'static,
    {
        let connection = Connection::open(reader, writer, deadline, last_words, asks, further).await?;
        Ok(Self(Arc::new(Inner::Connection(Arc::new(connection))), asides()))
    }

    /// Root, access, limits and capabilities of the service.
    pub fn welcome(&self) -> &Welcome {
        match &*self.0 {
            Inner::InProcess(link) => link.welcome(),
            Inner::Connection(link) => link.welcome(),
        }
    }

    /// The beginning of what a login shell said before the server did, in one line and escaped; none where it kept quiet.
    pub fn noise(&self) -> Option<&str> {
        match &*self.0 {
            Inner::InProcess(_) => None,
            Inner::Connection(link) => link.noise(),
        }
    }

    /// A hint for the user about this connection, e.g. that a pairing code was not used.
    pub fn note(&self) -> Option<&str> {
        match &*self.0 {
            Inner::InProcess(_) => None,
            Inner::Connection(link) => link.note(),
        }
    }

    /// Whether both lead to the same service and so to the same root.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Returns whether the service is in this process.
    pub fn is_in_process(&self) -> bool {
        matches!(&*self.0, Inner::InProcess(_))
    }

    /// How long the server took to answer last; none within this process.
    pub fn round_trip(&self) -> Option<Duration> {
        match &*self.0 {
            Inner::InProcess(_) => None,
            Inner::Connection(link) => link.round_trip(),
        }
    }

    /// The shortest time that the server took to answer; none at all within this process, and while it is not known.
    pub fn round_trip_min(&self) -> Duration {
        match &*self.0 {
            Inner::InProcess(_) => Duration::ZERO,
            Inner::Connection(link) => link.round_trip_min(),
        }
    }

    /// Bytes that are under way at a time where the line is full: its delay times what it passes. None within this process.
    pub fn line_bytes(&self) -> u64 {
        (self.round_trip_min().as_nanos() * LINE_BYTES_PER_SECOND / 1_000_000_000) as u64
    }

    /// Resolves with the reason once the connection is gone; never within this process. Does not keep the link alive.
    pub fn lost(&self) -> impl Future<Output = Fault> + Send + 'static {
        let lost = match &*self.0 {
            Inner::InProcess(_) => None,
            Inner::Connection(link) => Some(link.lost()),
        };
        async move {
            match lost {
                Some(lost) => lost.await,
                None => std::future::pending().await,
            }
        }
    }

    /// Whether the connection is gone.
    pub fn is_lost(&self) -> bool {
        match &*self.0 {
            Inner::InProcess(_) => false,
            Inner::Connection(link) => link.is_lost(),
        }
    }

    /// Ends the session in order: no new requests, what runs on the server goes to its end, and who still waits for an answer is told
    /// `Disconnected`. Returns once that is done, after two seconds at most.
    pub async fn bye(&self) {
        match &*self.0 {
            Inner::InProcess(_) => {}
            Inner::Connection(link) => link.bye().await,
        }
    }

    /// Opens an exchange. Never waits; whatever goes wrong comes as the exchange's first answer. Must be called within a tokio runtime.
    pub fn open(&self, request: impl Into<Request>) -> Exchange {
        match &*self.0 {
            Inner::InProcess(link) => link.open(request.into()),
            Inner::Connection(link) => link.open_exchange(request.into()),
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
        let lost = || Answer::Fault(self.inputs.loss());
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
            Inputs::Connection(inputs) => inputs.cancel(),
        }
    }
}

impl Inputs {
    /// Why no answer came.
    fn loss(&self) -> Fault {
        match self {
            Self::InProcess(_) => FaultCode::Disconnected.into(),
            Self::Connection(inputs) => inputs.loss(),
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
