//! How long a server takes to answer: what it is asked for that alone, and what its other answers tell beside.

use std::time::Duration;

use tokio::time::Instant;
use towpath_protocol::message::{Answer, Ping, RequestId, Session, ToServer};

#[derive(Debug)]
pub(super) struct Delay {
    ping: Option<PingOut>,
    last: Option<Duration>,
    least: Option<Duration>,
}

#[derive(Debug)]
struct PingOut {
    id: RequestId,
    sent: Option<Instant>,
}

impl Delay {
    /// With what is known beforehand.
    pub(super) const fn new(round_trip: Option<Duration>) -> Self {
        Self { ping: None, last: round_trip, least: round_trip }
    }

    /// That of the last ping.
    pub(super) const fn last(&self) -> Option<Duration> {
        self.last
    }

    /// The shortest so far, of whatever answer; zero while none is known.
    pub(super) fn least(&self) -> Duration {
        self.least.unwrap_or_default()
    }

    pub(super) const fn is_asked(&self) -> bool {
        self.ping.is_some()
    }

    pub(super) fn is_ping(&self, id: RequestId) -> bool {
        self.ping.as_ref().is_some_and(|ping| ping.id == id)
    }

    /// The server is to be asked.
    pub(super) const fn ask(&mut self, id: RequestId) {
        self.ping = Some(PingOut { id, sent: None });
    }

    /// What it is asked with, once.
    pub(super) fn next_message(&mut self) -> Option<(RequestId, ToServer)> {
        let ping = self.ping.as_mut().filter(|ping| ping.sent.is_none())?;
        ping.sent = Some(Instant::now());
        Some((ping.id, ToServer::Session(Session::Ping(Ping {}))))
    }

    /// True where the answer was for our ping.
    pub(super) fn pong(&mut self, id: RequestId, answer: &Answer) -> bool {
        let Some(ping) = self.ping.take_if(|ping| ping.id == id) else { return false };
        if let (Answer::Pong(_), Some(sent)) = (answer, ping.sent) {
            self.last = Some(sent.elapsed());
            self.heard(sent);
        }
        true
    }

    /// Something that was said then was answered now. No answer comes sooner than after a round trip: on a busy machine the shortest of
    /// many is nearer to it than one.
    pub(super) fn heard(&mut self, sent: Instant) {
        let took = sent.elapsed();
        self.least = Some(self.least.map_or(took, |least| least.min(took)));
    }
}
