//! Doors: each gives accepted byte streams, and a session of its own to each. Here are the limits that hold for all of them:
//! how many may be open, what a session may do, and what happens when the system has no room for more. `lobby` holds those who are not let
//! in yet.

mod lobby;
pub(crate) mod stdio;
pub(crate) mod tcp;
pub(crate) mod unix;

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::geteuid;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use towpath_files::service::Service;
use towpath_files::session::{self, Door, Joining, SessionEnd, SessionOptions, Tickets};
use towpath_protocol::display::DisplayName;
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::hello::Ticket;
use towpath_protocol::pairing::KeyHash;
use towpath_secure::SecureFault;
use towpath_stdio::{Joiner, Rendezvous};
use towpath_tcp::Line;

use crate::gate::{Gate, Visitor};
use crate::limits::{Limit, Limits};
use crate::log::{Log, PeerLog};
use crate::penalties::Source;
use lobby::Lobby;
pub(crate) use lobby::Seat;
use unix::UnixDoor;

/// The first pause after the system had no room for a connection; each further one is twice as long.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Owner of the sessions on a unix socket, which this server's own user alone can reach. Shorter than any key.
const OF_THIS_USER: &[u8] = b"unix";

/// What every session of this server shares.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) service: Arc<Service>,
    pub(crate) limits: Limits,
    pub(crate) log: Log,
    lobby: Arc<Lobby>,
    /// Streams: sessions, and what joined them.
    open: Arc<Semaphore>,
    tickets: Arc<Tickets>,
    /// Set when the server is about to leave.
    pub(crate) leaving: CancellationToken,
    pub(crate) sessions: TaskTracker,
}

impl Host {
    pub(crate) fn new(service: Arc<Service>, limits: Limits, log: Log) -> Self {
        Self {
            service,
            log,
            lobby: Arc::new(Lobby::new(limits.count(Limit::Greeting))),
            open: Arc::new(Semaphore::new(limits.count(Limit::Sessions))),
            tickets: Arc::new(Tickets::new(limits.count(Limit::Streams))),
            leaving: CancellationToken::new(),
            sessions: TaskTracker::new(),
            limits,
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
        let Arrival { peer, seat, ticket, deadline } = arrival;
        // Another stream can come to a door; to standard input and output where somebody waits for it with this ticket.
        let joining = (seat.is_some() || ticket.is_some()).then(|| Joining {
            tickets: self.tickets.clone(),
            owner: visitor.as_ref().map_or_else(|| OF_THIS_USER.to_vec(), |visitor| visitor.key().0.to_vec()),
            ticket,
        });
        // It keeps the visitor for as long as the session lasts: so long the gate knows of it.
        let log = Arc::new(PeerLog::new(self.log.clone(), peer, visitor.clone(), seat));
        let place = self.open.clone().try_acquire_owned();
        let revocation = visitor.as_ref().map(|visitor| visitor.revocation.clone()).unwrap_or_default();
        let door = match (&place, visitor) {
            (Err(_), _) => Door::Shut(
                Fault::new(FaultCode::LimitExceeded)
                    .because("the server has as many sessions as it takes; try again later"),
            ),
            (Ok(_), Some(visitor)) => Door::Kept(visitor),
            (Ok(_), None) => Door::Open(self.service.clone()),
        };
        let options = SessionOptions {
            limits: self.limits.session(),
            hello_deadline: deadline,
            revocation,
            stall: self.limits.seconds(Limit::StallSeconds),
            idle: Some(self.limits.seconds(Limit::IdleSeconds)),
            drain: self.leaving.clone(),
            log,
            joining,
            ..SessionOptions::default()
        };
        session::serve(reader, writer, door, options).await
    }

    /// From an accepted connection to the end of its session.
    async fn receive(&self, line: Line, source: Source, gate: &Arc<Gate>, mut arrival: Arrival) {
        // Whoever does not say that much is the first to make place for others.
        let entering = gate.enter(line, arrival.peer.clone(), source, || arrival.heard());
        let entering = timeout_at(arrival.deadline, entering);
        let entered = tokio::select! {
            () = self.leaving.cancelled() => return,
            entered = entering => entered,
        };
        match entered {
            Ok(Ok((secure, visitor))) => {
                if let Some(name) = visitor.name() {
                    arrival.peer = format!("{} ({name})", arrival.peer);
                    arrival.known(*visitor.key());
                }
                let (reader, writer) = tokio::io::split(secure.stream);
                self.serve(reader, writer, arrival, Some(visitor)).await;
            }
            // A look whether towd is there, as before the user is asked for a code: no client to refuse.
            Ok(Err(SecureFault::Closed | SecureFault::Probed)) => {}
            Ok(Err(fault)) => self.log.turned_away(&arrival.peer, &told(&fault)),
            Err(_elapsed) => self.log.turned_away(&arrival.peer, "no greeting in time"),
        }
    }

    /// Accepts until the server leaves.
    pub(crate) async fn accept_tcp(self: Arc<Self>, listener: TcpListener, gate: Arc<Gate>) {
        let mut pause = Pause::default();
        loop {
            let accepted = tokio::select! {
                () = self.leaving.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, address)) => {
                    pause = Pause::default();
                    let (line, source) = (tcp::line(stream), Source::from(address.ip()));
                    let (arrival, shown_out) = self.arrival(address.to_string(), source);
                    let (host, gate) = (self.clone(), gate.clone());
                    self.sessions.spawn(async move {
                        tokio::select! {
                            () = host.receive(line, source, &gate, arrival) => {}
                            () = shown_out.cancelled() => {}
                        }
                    });
                }
                Err(error) => pause.after(&error, &self.log).await,
            }
        }
    }

    /// Accepts until the server leaves; then the socket is taken away.
    pub(crate) async fn accept_unix(self: Arc<Self>, door: UnixDoor) {
        let mut pause = Pause::default();
        loop {
            let accepted = tokio::select! {
                () = self.leaving.cancelled() => return,
                accepted = door.accept(&self.log) => accepted,
            };
            match accepted {
                Ok(stream) => {
                    pause = Pause::default();
                    let (arrival, shown_out) = self.arrival(unix::peer(&stream), unix::source(&stream));
                    let host = self.clone();
                    self.sessions.spawn(async move {
                        tokio::select! {
                            () = host.receive_unix(stream, arrival) => {}
                            () = shown_out.cancelled() => {}
                        }
                    });
                }
                Err(error) => pause.after(&error, &self.log).await,
            }
        }
    }

    /// Takes further streams of the session on standard input and output, for as long as this is polled.
    pub(crate) async fn accept_joiners(self: Arc<Self>, rendezvous: Rendezvous) {
        loop {
            let joiner = rendezvous.next().await;
            tokio::spawn(self.clone().receive_joiner(joiner));
        }
    }

    async fn receive_joiner(self: Arc<Self>, joiner: Joiner) {
        let (arrival, shown_out) = self.arrival(stdio::peer(), Source::User(geteuid().as_raw()));
        let handed = timeout_at(arrival.deadline, joiner.receive()).await;
        match handed.unwrap_or_else(|_elapsed| Err(ErrorKind::TimedOut.into())) {
            Ok(handed) => {
                arrival.heard();
                tokio::select! {
                    _ = self.serve(handed.reader, handed.writer, arrival, None) => {}
                    () = shown_out.cancelled() => {}
                }
                drop(handed.joiner);
            }
            Err(error) => self.log.turned_away(&arrival.peer, &format!("a further stream: {error}")),
        }
    }

    async fn receive_unix(&self, stream: UnixStream, arrival: Arrival) {
        // The session watches the deadline.
        tokio::select! {
            () = self.leaving.cancelled() => return,
            _ = timeout_at(arrival.deadline, stream.readable()) => arrival.heard(),
        }
        let (reader, writer) = stream.into_split();
        self.serve(reader, writer, arrival, None).await;
    }

    /// Somebody new, and the token that is set where they are to make place for others. Never once they are let in.
    fn arrival(&self, peer: String, source: Source) -> (Arrival, CancellationToken) {
        let seat = self.lobby.enter(source);
        if let Some(count) = self.lobby.shown_out() {
            let guests_max = self.limits.of(Limit::Greeting);
            self.log.warning(&format!(
                "{count} connections were dropped to make place for others: more than {guests_max} are not let in yet"
            ));
        }
        let shown_out = seat.out.clone();
        (Arrival::now(peer, Some(seat), self.limits.seconds(Limit::GreetingSeconds)), shown_out)
    }
}

/// A stream that has just come.
#[derive(Debug)]
pub(crate) struct Arrival {
    /// Where from, for the log.
    peer: String,
    /// Its place among those that are not let in yet.
    seat: Option<Seat>,
    /// By which others find it; none where it comes through a door.
    ticket: Option<Ticket>,
    /// By when Hello must be answered, whatever comes before it.
    deadline: Instant,
}

impl Arrival {
    pub(crate) fn now(peer: String, seat: Option<Seat>, greeting_time: Duration) -> Self {
        Self { peer, seat, ticket: None, deadline: Instant::now() + greeting_time }
    }

    /// The same, of a session that others find by this ticket.
    pub(crate) fn found_by(self, ticket: Option<Ticket>) -> Self {
        Self { ticket, ..self }
    }

    fn heard(&self) {
        self.seat.iter().for_each(Seat::heard);
    }

    fn known(&self, key: KeyHash) {
        self.seat.iter().for_each(|seat| seat.known(key));
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
