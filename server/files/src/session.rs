//! One session: frames on one side, requests of the file service on the other, over any pair of byte streams, or several of them.
//!
//! It knows order, credit, deadlines and the end of a connection. It may not know what carries the bytes (a socket, a
//! pipe, TLS), and it touches no disk.
//!
//! `door` says who gets one, `hello` opens it, `router` reads and never waits for anybody's work, `outbox` writes, `exchanges` is what both
//! know of the open requests, `record` tells a log what was done. `tickets` lets further streams join, which `streams` serves; `bulk` is the
//! queue that all of them write from.

mod bulk;
mod door;
mod end;
mod exchanges;
mod hello;
mod intake;
mod outbox;
mod record;
mod router;
mod streams;
mod tickets;

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::frame::Decoder;
use towpath_protocol::hello::{Limits, Welcome};
use towpath_protocol::limits::HELLO_SECONDS_MAX;
use towpath_protocol::message::{Answer, Bye, Request, RequestId};

pub use door::{Admission, Door, Doorkeeper, Revocation};
pub use end::SessionEnd;
pub use record::{Act, Details, Outcome, SessionEvent, SessionLog, Unlogged, Work};
pub use tickets::{Joining, Tickets};

use crate::exchange::Exchange;
use crate::fair::Kind;
pub use crate::fair::Share;
use crate::memory::Memory;
use crate::queue::queue;
use crate::service::Service;
use hello::{Begun, Opened};
use outbox::{Outbox, Queues};
use router::{Lanes, Router};
use streams::Streams;

/// Answers of the session itself (Pong, refusals) that may wait. A client that has more of them unread floods us.
const REPLIES_QUEUED_MAX: usize = 1024;
/// Uncharged ones: the minimum of every session.
const REPLIES_PAID: usize = 32;
/// Charge of each of the others.
const REPLY_BYTES: usize = 512;
/// Of them, those that may wait for their turn behind the bulk: a client has hardly ever more than one.
const IN_TURN_QUEUED_MAX: usize = 16;
/// Answers that may wait in each of the two lanes: at 64 KiB a data frame, 1 MiB of bulk.
const LANE_ANSWERS_QUEUED_MAX: usize = 16;
/// How long the last words may take to leave, and the peer to notice the end.
const LAST_WORDS_SECONDS_MAX: u64 = 2;
/// The same where the peer has no right to be here any more: within a second of that its connection is closed.
const REVOKED_MILLISECONDS_MAX: u64 = 150;
/// How long cancelled work may take to stop before the session ends without it.
const STOP_SECONDS_MAX: u64 = 10;
/// Most bytes that are read and thrown away while a refused peer is told so.
const LINGER_BYTES_MAX: u64 = 1024 * 1024;

/// What answers the requests of a session: the file [`Service`], or a test's script.
pub trait Serve: Send + Sync + 'static {
    /// What Hello is answered with; the session lowers its limits to those of both sides.
    fn welcome(&self) -> &Welcome;

    /// Serves one request to its end: exactly one final answer, which is the last one, sent once the work has stopped,
    /// also where it panicked.
    fn serve(self: Arc<Self>, request: Request, exchange: Exchange) -> impl Future<Output = ()> + Send;

    /// The same, for one session: what its requests take is counted together.
    #[must_use]
    fn for_session(self: Arc<Self>) -> Arc<Self> {
        self
    }

    /// The budget that the session's memory is charged to.
    fn memory(&self) -> Memory {
        Memory::unlimited()
    }

    /// Whose part of the asynchronous threads the session's tasks have.
    fn share(&self) -> Share {
        Share::of_server()
    }
}

impl Serve for Service {
    fn welcome(&self) -> &Welcome {
        Self::welcome(self)
    }

    fn serve(self: Arc<Self>, request: Request, exchange: Exchange) -> impl Future<Output = ()> + Send {
        Self::serve(self, request, exchange)
    }

    fn for_session(self: Arc<Self>) -> Arc<Self> {
        Self::for_session(self)
    }

    fn memory(&self) -> Memory {
        Self::memory(self)
    }

    fn share(&self) -> Share {
        Self::share(self)
    }
}

/// How one session is to run.
#[derive(Clone)]
pub struct SessionOptions {
    /// What this side allows; the peer may only lower it.
    pub limits: Limits,
    /// By when Hello must be answered: one absolute moment, counted from the accept.
    pub hello_deadline: Instant,
    /// Used when whoever is connected has lost the right to be.
    pub revocation: Revocation,
    /// How long the peer may take no byte while there are bytes for it.
    pub stall: Duration,
    /// How long the peer may say nothing while no request of its own is open; none for as long as it likes.
    pub idle: Option<Duration>,
    /// How long running requests may go on once the session drains.
    pub drain_time: Duration,
    /// Set when the server is about to leave: no new requests, running ones finish, then Bye.
    pub drain: CancellationToken,
    pub log: Arc<dyn SessionLog>,
    /// Where further streams may join the session, or this stream another one; none where no session has more than one.
    pub joining: Option<Joining>,
}

impl Default for SessionOptions {
    /// The protocol's own limits, from now on, with nobody listening to what is done.
    fn default() -> Self {
        Self {
            limits: Limits::OURS,
            hello_deadline: Instant::now() + Duration::from_secs(HELLO_SECONDS_MAX),
            revocation: Revocation::default(),
            stall: Duration::from_mins(2),
            idle: None,
            drain_time: Duration::from_secs(8),
            drain: CancellationToken::new(),
            log: Arc::new(Unlogged),
            joining: None,
        }
    }
}

impl std::fmt::Debug for SessionOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionOptions").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// Serves one connection to its end. When this returns, or is dropped, all its requests are cancelled and their inputs
/// closed. Never fails: how it ended is the result.
pub async fn serve<S, R, W>(
    mut reader: R,
    mut writer: W,
    door: impl Into<Door<S>>,
    options: SessionOptions,
) -> SessionEnd
where
    S: Serve,
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let log = options.log.clone();
    let began = Instant::now();
    let mut decoder = Decoder::new();
    let opened = hello::open(&mut reader, &mut writer, &mut decoder, door.into(), &options).await;
    let mut streams = None;
    let (end, rest) = match opened {
        Ok(Opened::Session(begun)) => {
            log.record(SessionEvent::Connected { agent: begun.agent.clone() });
            // Also where this future is dropped in the middle.
            streams = Some(CloseOnDrop(begun.streams.clone()));
            let share = begun.streams.share.clone();
            let running = Box::pin(run(&mut reader, &mut writer, decoder, begun, options));
            let (end, rest) = share.task(Kind::Session, running).await;
            (end, Some(rest))
        }
        Ok(Opened::Stream(streams)) => {
            log.record(SessionEvent::Joined);
            let carrying = Box::pin(streams.carry(&mut reader, &mut writer, decoder));
            streams.share.task(Kind::Session, carrying).await;
            return SessionEnd::Joined;
        }
        Err(end) => (end, None),
    };
    if matches!(end, SessionEnd::Revoked(_)) {
        // Its connection is closed before its work has stopped, which may wait for a disk.
        linger(&mut reader, &mut writer, last_words_time(&end)).await;
        drop((reader, writer));
        run_out(rest).await;
    } else {
        run_out(rest).await;
        if !matches!(end, SessionEnd::Lost(_) | SessionEnd::Silent | SessionEnd::Stalled) {
            linger(&mut reader, &mut writer, last_words_time(&end)).await;
        }
    }
    // Not before the last words had time to be heard: a client that misses a stream looks no further.
    drop(streams);
    log.record(SessionEvent::Left { end: &end, seconds: began.elapsed().as_secs_f64() });
    end
}

/// A session that has ended, and whose work may still go on.
struct Rest {
    outbox: Outbox,
    streams: Arc<Streams>,
    /// Cancels all work where this is dropped in the middle.
    _cancel_all: DropGuard,
}

/// Waits until cancelled work has stopped, for as long as that may take.
async fn run_out(rest: Option<Rest>) {
    let Some(Rest { mut outbox, streams, _cancel_all }) = rest else { return };
    let _ = timeout(Duration::from_secs(STOP_SECONDS_MAX), outbox.run_out()).await;
    streams.exchanges.lost();
}

/// The session proper: from the answered Hello to the last words.
async fn run<S, R, W>(
    reader: &mut R,
    writer: &mut W,
    decoder: Decoder,
    begun: Begun<S>,
    options: SessionOptions,
) -> (SessionEnd, Rest)
where
    S: Serve,
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let Begun { service, streams, bulk, offer, .. } = begun;
    let (replies_sender, replies) = queue(&streams.memory, REPLIES_QUEUED_MAX, REPLIES_PAID, REPLY_BYTES);
    let (control_sender, control) = mpsc::channel(LANE_ANSWERS_QUEUED_MAX);
    let (in_turn_sender, in_turn) =
        queue(&streams.memory, IN_TURN_QUEUED_MAX, IN_TURN_QUEUED_MAX, REPLY_BYTES);
    let exchanges = &streams.exchanges;
    // Also where this future is dropped in the middle.
    let cancel_all = exchanges.cancel_all_on_drop();
    let queues = Queues { replies, in_turn, control };
    let mut outbox = Outbox::new(queues, streams.clone(), options.stall);
    let lanes = Lanes { replies: replies_sender, in_turn: in_turn_sender, control: control_sender, bulk };
    let revocation = options.revocation.clone();
    let router = Router::new(service, streams.clone(), lanes, options);

    let end = tokio::select! {
        end = router.route(reader, decoder) => end,
        end = outbox.write_to(writer) => end,
        why = revocation.revoked() => SessionEnd::Revoked(why),
        end = streams.lost() => end,
    };
    // Nobody joins what is ending.
    drop(offer);
    streams.end(exchanges.is_empty());
    if matches!(end, SessionEnd::Revoked(_)) {
        exchanges.stop();
    }
    if let Some(last) = last_words(&end) {
        let saying = async {
            let _ = outbox.say_last(writer, RequestId::NONE, &last).await;
            streams.written().await;
        };
        let _ = timeout(last_words_time(&end), saying).await;
    }
    exchanges.stop();
    (end, Rest { outbox, streams, _cancel_all: cancel_all })
}

struct CloseOnDrop(Arc<Streams>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// What the peer is told at the end, if it can still be told anything.
fn last_words(end: &SessionEnd) -> Option<Answer> {
    match end {
        SessionEnd::Bye | SessionEnd::Drained | SessionEnd::Idle => Some(Bye {}.into()),
        SessionEnd::Broken(error) => Some(Fault::new(FaultCode::Malformed).because(error.to_string()).into()),
        SessionEnd::Violation(fault) | SessionEnd::Revoked(fault) => Some(fault.clone().into()),
        SessionEnd::Hanging { .. } => Some(Fault::new(FaultCode::TimedOut).because(end.to_string()).into()),
        SessionEnd::Lost(_)
        | SessionEnd::Silent
        | SessionEnd::Stalled
        | SessionEnd::NotTowpath { .. }
        | SessionEnd::HelloLate
        | SessionEnd::Joined
        | SessionEnd::Refused(_) => None,
    }
}

const fn last_words_time(end: &SessionEnd) -> Duration {
    match end {
        SessionEnd::Revoked(_) => Duration::from_millis(REVOKED_MILLISECONDS_MAX),
        _ => Duration::from_secs(LAST_WORDS_SECONDS_MAX),
    }
}

/// Ends our direction and takes in what the peer still sends, so that the last words are not destroyed by a reset.
async fn linger(
    reader: &mut (impl AsyncRead + Unpin),
    writer: &mut (impl AsyncWrite + Unpin),
    time: Duration,
) {
    let _ = timeout(time, async {
        if writer.shutdown().await.is_ok() {
            let _ = tokio::io::copy(&mut reader.take(LINGER_BYTES_MAX), &mut tokio::io::sink()).await;
        }
    })
    .await;
}
