//! A link to a service at the far end of a byte stream: any pair of [`AsyncRead`] and [`AsyncWrite`]. It knows frames, order, credit
//! and the end of a connection; it may not know what carries the bytes.
//!
//! Two tasks serve it and wait for nobody but the stream: the `reader` passes answers on, the `writer` sends what is ready.
//! `exchanges` is what both know; `expected` says what a request may be answered with; `greeting` begins the session. When the
//! connection goes, everybody who waits is told why.
//!
//! A session may have further streams: `joining` opens them when `growth` says so, `streams` serves them, `bulk` is the queue that all of
//! them write from.

mod bulk;
mod delay;
mod exchanges;
mod expected;
mod greeting;
mod growth;
mod joining;
mod last_words;
mod reader;
mod streams;
mod writer;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::hello::{Capability, Welcome};
use towpath_protocol::message::{Input, Lane, Request, RequestId, ToServer};

use super::{Exchange, Inputs as ExchangeInputs};
use bulk::Bulk;
use exchanges::Exchanges;
pub(super) use greeting::Asks;
pub use greeting::GreetingFault;
pub(super) use joining::Further;
#[cfg(test)]
pub(super) use last_words::TRIES_COPY;
pub(super) use last_words::{LastWords, RUNS};
use reader::Reader;
use streams::Streams;
use writer::Writer;

/// Inputs of each lane that wait for the writer; of bulk at 64 KiB each, 2 MiB. Whoever sends more waits.
const INPUTS_QUEUED_MAX: usize = 32;
/// What the reader has, once the stream takes nothing more, to find the server's reason in what it still said.
const REASON_TIME: Duration = Duration::from_secs(1);

/// One session with a server. Dropped, it ends in order.
#[derive(Debug)]
pub(super) struct Connection {
    welcome: Welcome,
    noise: Option<String>,
    note: Option<String>,
    exchanges: Arc<Exchanges>,
    /// Carried by a program that was started for it.
    has_child: bool,
    control: mpsc::Sender<(RequestId, Input)>,
    bulk: mpsc::Sender<(RequestId, Input)>,
}

/// The way for an exchange's inputs. Keeps the connection alive.
#[derive(Debug)]
pub(super) struct Inputs {
    connection: Arc<Connection>,
    id: RequestId,
}

impl Connection {
    /// Begins a session until `deadline`. Must be called within a tokio runtime.
    pub(super) async fn open<R, W>(
        mut reader: R,
        mut writer: W,
        deadline: Instant,
        last_words: LastWords,
        mut asks: Asks,
        further: Option<Further>,
    ) -> Result<Self, GreetingFault>
    where
        R: AsyncRead + Unpin + Send + 'static,
        W: AsyncWrite + Unpin + Send + 'static,
    {
        let compresses = asks.wire.compresses;
        let note = asks.note.take();
        let has_child = last_words.has_source();
        let greeted = greeting::greet(&mut reader, &mut writer, deadline, asks).await?;
        let limits = greeted.welcome.limits;
        // A program may have had to connect and to ask for a password meanwhile: what its line's delay is, the first Pong tells.
        let round_trip = (!has_child).then_some(greeted.round_trip);
        let exchanges = Arc::new(Exchanges::new(limits.requests_in_flight as usize, round_trip));
        if has_child {
            exchanges.ping();
        }
        let (control, control_queue) = mpsc::channel(INPUTS_QUEUED_MAX);
        let (bulk, bulk_queue) = mpsc::channel(INPUTS_QUEUED_MAX);
        let frame_bytes_max = limits.frame_bytes as usize;
        let bulk_lane = Bulk::new(bulk_queue, exchanges.clone(), frame_bytes_max);
        let packs = compresses && greeted.welcome.has(Capability::ZSTD);
        let unpacks = packs.then_some(frame_bytes_max);
        let streams = Arc::new(Streams::new(exchanges.clone(), bulk_lane, unpacks));
        let writer = Writer::new(writer, streams.clone(), control_queue, frame_bytes_max);
        let reader = Reader::new(reader, greeted.decoder, streams.clone());
        tokio::spawn(read(reader, exchanges.clone(), last_words));
        tokio::spawn(write(writer, exchanges.clone()));
        if let (Some(ticket), Some(further)) = (greeted.welcome.ticket, further) {
            tokio::spawn(joining::grow(streams, ticket, further));
        }
        Ok(Self { welcome: greeted.welcome, noise: greeted.noise, note, exchanges, has_child, control, bulk })
    }

    pub(super) const fn welcome(&self) -> &Welcome {
        &self.welcome
    }

    pub(super) fn noise(&self) -> Option<&str> {
        self.noise.as_deref()
    }

    pub(super) fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    pub(super) fn open_exchange(self: &Arc<Self>, mut request: Request) -> Exchange {
        if !self.welcome.has(Capability::ATTRIBUTES) {
            request.narrow();
        }
        let (id, answers) =
            match self.welcome.refusal(&request).filter(|_| !self.welcome.has(Capability::REFUSALS)) {
                Some(fault) => Exchanges::refused(fault),
                None => self.exchanges.open(request),
            };
        let inputs = ExchangeInputs::Connection(Inputs { connection: self.clone(), id });
        Exchange { answers, inputs, finished: false }
    }

    pub(super) fn round_trip(&self) -> Option<Duration> {
        self.exchanges.round_trip()
    }

    pub(super) fn round_trip_min(&self) -> Duration {
        self.exchanges.round_trip_min()
    }

    pub(super) fn is_lost(&self) -> bool {
        self.exchanges.is_gone()
    }

    /// Ends it in order, and waits for that, for two seconds at most. Where all that was asked is answered, and no program carries the
    /// session that has to end too, nothing depends on the server's own word, and it is not worth a round trip: saying so is enough.
    pub(super) async fn bye(&self) {
        let is_answered = self.exchanges.is_empty();
        self.exchanges.end();
        tokio::select! {
            () = self.exchanges.gone() => {}
            () = self.exchanges.bye_said(), if is_answered && !self.has_child => {}
        }
    }

    /// Resolves with the reason once the connection is gone. Does not keep it alive.
    pub(super) fn lost(&self) -> impl Future<Output = Fault> + Send + use<> {
        let exchanges = self.exchanges.clone();
        async move {
            exchanges.gone().await;
            exchanges.loss()
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.exchanges.end();
    }
}

impl Inputs {
    pub(super) async fn send(&self, input: Input) -> Result<(), Fault> {
        let exchanges = &self.connection.exchanges;
        exchanges.sent(self.id).await?;
        exchanges.note_input(self.id, &input)?;
        let input = ToServer::Input(input);
        let (queue, input) = match (input.lane(), input) {
            (Lane::Control, ToServer::Input(input)) => (&self.connection.control, input),
            (Lane::Bulk, ToServer::Input(input)) => (&self.connection.bulk, input),
            (_, ToServer::Session(_) | ToServer::Request(_)) => return Err(FaultCode::Internal.into()),
        };
        queue.send((self.id, input)).await.map_err(|_| exchanges.loss())
    }

    pub(super) fn cancel(&self) {
        self.connection.exchanges.cancel(self.id);
    }

    /// Why no answer came.
    pub(super) fn loss(&self) -> Fault {
        self.connection.exchanges.loss()
    }
}

async fn read<R: AsyncRead + Unpin>(reader: Reader<R>, exchanges: Arc<Exchanges>, last_words: LastWords) {
    let why = tokio::select! {
        () = exchanges.gone() => return,
        why = reader.run() => why,
    };
    let why = if exchanges.is_ending() { why } else { last_words.explain(why).await };
    exchanges.lose(why);
}

async fn write<W: AsyncWrite + Unpin>(writer: Writer<W>, exchanges: Arc<Exchanges>) {
    let why = tokio::select! {
        () = exchanges.gone() => return,
        why = writer.run() => why,
    };
    if !exchanges.is_ending() {
        tokio::select! {
            () = exchanges.gone() => {}
            () = sleep(REASON_TIME) => {}
        }
    }
    exchanges.lose(why);
}

/// The stream failed.
#[allow(clippy::needless_pass_by_value, reason = "as `map_err` gives it")]
fn lost(error: io::Error) -> Fault {
    Fault::new(FaultCode::Disconnected).because(match error.kind() {
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => "the other side cut it".to_owned(),
        // TLS without its last word.
        io::ErrorKind::UnexpectedEof => "it was cut".to_owned(),
        _ => error.to_string(),
    })
}
