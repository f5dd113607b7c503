//! Doors: each gives accepted byte streams, and a session of its own to each. Here are the limits that hold for all of them:
//! how many may be greeting, how many may be open, and what happens when the system has no room for more.

pub(crate) mod stdio;
pub(crate) mod tcp;
pub(crate) mod unix;

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use towpath_files::service::Service;
use towpath_files::session::{self, Doorkeeper, SessionEnd, SessionOptions};
use towpath_protocol::display::DisplayName;
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::limits::HELLO_SECONDS_MAX;
use towpath_secure::SecureFault;

use crate::gate::{Gate, Visitor};
use crate::log::{Log, PeerLog};
use unix::UnixDoor;

/// Sessions that may not have greeted yet. More wait in the system's queue, for as long as a greeting may take at most.
const GREETING_MAX: usize = 64;
/// Sessions that may be open. One more is told so.
const SESSIONS_MAX: usize = 256;
/// The first pause after the system had no room for a connection; each further one is twice as long.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// What every session of this server shares.
#[derive(Debug)]
pub(crate) struct Host {
    service: Arc<Service>,
    pub(crate) log: Log,
    greeting: Arc<Semaphore>,
    open: Arc<Semaphore>,
    /// Set when the server is about to leave.
    pub(crate) leaving: CancellationToken,
    pub(crate) sessions: TaskTracker,
}

impl Host {
    pub(crate) fn new(service: Arc<Service>, log: Log) -> Self {
        Self {
            service,
            log,
            greeting: Arc::new(Semaphore::new(GREETING_MAX)),
            open: Arc::new(Semaphore::new(SESSIONS_MAX)),
            leaving: CancellationToken::new(),
            sessions: TaskTracker::new(),
        }
    }

    /// Serves one stream to its end. `visitor` is who came over TCP; whoever came otherwise is let in by the system.
    pub(crate) async fn serve(
        &self,
        reader: impl AsyncRead + Unpin,
        writer: impl AsyncWrite + Unpin,
        arrival: Arrival,
        visitor: Option<Arc<Visitor>>,
    ) -> SessionEnd {
        let Arrival { peer, greeting, deadline } = arrival;
        let place = self.open.clone().try_acquire_owned().ok();
        let refusal = place.is_none().then(|| {
            Fault::new(FaultCode::LimitExceeded)
                .because("the server has as many sessions as it takes; try again later")
        });
        let log = Arc::new(PeerLog::new(self.log.clone(), peer, greeting));
        let revoked = visitor.as_ref().map(|visitor| visitor.revoked.clone()).unwrap_or_default();
        let options = SessionOptions {
            hello_deadline: deadline,
            refusal,
            doorkeeper: visitor.map(|visitor| visitor as Arc<dyn Doorkeeper>),
            revoked,
            drain: self.leaving.clone(),
            log,
            ..SessionOptions::default()
        };
        session::serve(reader, writer, self.service.clone(), options).await
    }

    /// From an accepted connection to the end of its session.
    async fn receive(&self, stream: TcpStream, gate: &Arc<Gate>, mut arrival: Arrival) {
        let entering = timeout_at(arrival.deadline, gate.enter(stream, arrival.peer.clone()));
        let entered = tokio::select! {
            () = self.leaving.cancelled() => return,
            entered = entering => entered,
        };
        match entered {
            Ok(Ok((secure, visitor))) => {
                if let Some(name) = visitor.name() {
                    arrival.peer = format!("{} ({name})", arrival.peer);
                }
                let (reader, writer) = tokio::io::split(secure.stream);
                self.serve(reader, writer, arrival, Some(visitor)).await;
            }
            Ok(Err(fault)) => self.log.turned_away(&arrival.peer, &told(&fault)),
            Err(_elapsed) => self.log.turned_away(&arrival.peer, "no greeting in time"),
        }
    }

    /// Accepts until the server leaves.
    pub(crate) async fn accept_tcp(self: Arc<Self>, listener: TcpListener, gate: Arc<Gate>) {
        let mut pause = Pause::default();
        while let Some(greeting) = self.next_place().await {
            let accepted = tokio::select! {
                () = self.leaving.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, address)) => {
                    pause = Pause::default();
                    tcp::tune(&stream);
                    let (host, gate) = (self.clone(), gate.clone());
                    let arrival = Arrival::now(address.to_string(), Some(greeting));
                    self.sessions.spawn(async move { host.receive(stream, &gate, arrival).await });
                }
                Err(error) => pause.after(&error, &self.log).await,
            }
        }
    }

    /// Accepts until the server leaves; then the socket is taken away.
    pub(crate) async fn accept_unix(self: Arc<Self>, door: UnixDoor) {
        let mut pause = Pause::default();
        while let Some(greeting) = self.next_place().await {
            let accepted = tokio::select! {
                () = self.leaving.cancelled() => return,
                accepted = door.accept(&self.log) => accepted,
            };
            match accepted {
                Ok(stream) => {
                    pause = Pause::default();
                    let arrival = Arrival::now(unix::peer(&stream), Some(greeting));
                    let (reader, writer) = stream.into_split();
                    let host = self.clone();
                    self.sessions.spawn(async move {
                        host.serve(reader, writer, arrival, None).await;
                    });
                }
                Err(error) => pause.after(&error, &self.log).await,
            }
        }
    }

    /// A place among those that greet; none once the server leaves.
    async fn next_place(&self) -> Option<OwnedSemaphorePermit> {
        tokio::select! {
            () = self.leaving.cancelled() => None,
            place = self.greeting.clone().acquire_owned() => place.ok(),
        }
    }
}

/// A stream that has just come.
#[derive(Debug)]
pub(crate) struct Arrival {
    /// Where from, for the log.
    peer: String,
    /// Its place among those that greet.
    greeting: Option<OwnedSemaphorePermit>,
    /// By when Hello must be answered, whatever comes before it.
    deadline: Instant,
}

impl Arrival {
    pub(crate) fn now(peer: String, greeting: Option<OwnedSemaphorePermit>) -> Self {
        Self { peer, greeting, deadline: Instant::now() + Duration::from_secs(HELLO_SECONDS_MAX) }
    }
}

/// Why there was no handshake, with what was heard instead.
fn told(fault: &SecureFault) -> String {
    match fault {
        SecureFault::NotTls { said } => {
            format!("not a Towpath client: it began with '{}'", DisplayName::new(said))
        }
        fault => fault.to_string(),
    }
}

/// Keeps an accept that fails from being tried without end.
#[derive(Debug)]
struct Pause(Duration);

impl Default for Pause {
    fn default() -> Self {
        Self(PAUSE_MIN)
    }
}

impl Pause {
    async fn after(&mut self, error: &std::io::Error, log: &Log) {
        // The one connection failed, not the listening.
        if matches!(
            error.kind(),
            ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::Interrupted
        ) {
            return;
        }
        if self.0 == PAUSE_MIN {
            log.warning(&format!("a connection cannot be accepted: {error}; trying again"));
        }
        tokio::time::sleep(self.0).await;
        self.0 = (self.0 * 2).min(PAUSE_MAX);
    }
}
