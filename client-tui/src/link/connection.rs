//! A link over a byte stream: a reader task that only routes, a writer task with two lanes, and a table of who waits for
//! which answer. When the connection is gone, everybody who waits is told so.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::process::Child;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::frame::{Decoder, Encoded, Incoming, encode_to_server};
use towpath_protocol::hello::{Hello, Limits, PREAMBLE, PREAMBLE_NOISE_BYTES_MAX, PROTOCOL_VERSION, Welcome};
use towpath_protocol::input::Cancel;
use towpath_protocol::limits::{DATA_BYTES_MAX, PAGES_CREDIT_MAX, READ_BYTES_MAX};
use towpath_protocol::message::{Answer, Bye, Input, Lane, Ping, Request, RequestId, Session, ToServer};

use super::Exchange;
use super::batch::write_all;
use super::dial::DialFault;

/// Messages that may wait in each lane: at 64 KiB a data frame, 4 MiB of bulk.
const LANE_MESSAGES_MAX: usize = 64;
/// Bytes that one write takes at most.
const BATCH_BYTES_MAX: usize = 256 * 1024;
/// Bytes read at a time.
const READ_STEP_BYTES: usize = 256 * 1024;
/// How often a quiet connection is asked whether it is still there.
const PING_INTERVAL: Duration = Duration::from_secs(15);
/// A connection on which nothing at all came for that long, although we asked, is gone.
const SILENCE_MAX: Duration = Duration::from_secs(45);
/// How long the orderly end may take.
const BYE_TIME: Duration = Duration::from_secs(2);

/// The client's end of a session.
#[derive(Debug)]
pub(super) struct Connection {
    welcome: Welcome,
    shared: Arc<Shared>,
    /// The process at the other end, where there is one; it ends with the connection.
    _child: Option<Child>,
}

/// What the tasks, the exchanges and the connection have in common.
#[derive(Debug)]
pub(super) struct Shared {
    waiters: Mutex<HashMap<RequestId, Waiter>>,
    next_id: AtomicU32,
    slots: Arc<Semaphore>,
    control: mpsc::Sender<(RequestId, ToServer)>,
    bulk: mpsc::Sender<(RequestId, ToServer)>,
    closed: CancellationToken,
    lost: watch::Sender<Option<Fault>>,
    round_trip_us: AtomicU64,
    heard: Mutex<Instant>,
}

#[derive(Debug)]
struct Waiter {
    answers: mpsc::Sender<(RequestId, Answer)>,
    /// None until the request has a slot.
    slot: Option<OwnedSemaphorePermit>,
    /// Set where this is a Ping: when it left.
    pinged: Option<Instant>,
}

/// An exchange's way to the server.
#[derive(Debug)]
pub(super) struct Inputs {
    id: RequestId,
    shared: Arc<Shared>,
}

impl Connection {
    /// Says Hello over a fresh stream and waits for Welcome; the caller bounds the time.
    pub(super) async fn open<R, W>(
        mut reader: R,
        mut writer: W,
        child: Option<Child>,
    ) -> Result<Self, DialFault>
    where
        R: AsyncRead + Unpin + Send + 'static,
        W: AsyncWrite + Unpin + Send + 'static,
    {
        let begun = Instant::now();
        let mut decoder = Decoder::new();
        say_hello(&mut writer).await?;
        skip_to_preamble(&mut reader, &mut decoder).await?;
        let mut welcome = read_welcome(&mut reader, &mut decoder).await?;
        // A server may lower our limits, never raise them.
        welcome.limits = Limits::OURS.lowered_by(welcome.limits);
        decoder.allow_frames_up_to(welcome.limits.frame_bytes as usize);

        let (control_sender, control) = mpsc::channel(LANE_MESSAGES_MAX);
        let (bulk_sender, bulk) = mpsc::channel(LANE_MESSAGES_MAX);
        let shared = Arc::new(Shared {
            waiters: Mutex::default(),
            next_id: AtomicU32::new(2),
            slots: Arc::new(Semaphore::new(welcome.limits.requests_in_flight as usize)),
            control: control_sender,
            bulk: bulk_sender,
            closed: CancellationToken::new(),
            lost: watch::Sender::new(None),
            round_trip_us: AtomicU64::new(begun.elapsed().as_micros() as u64),
            heard: Mutex::new(Instant::now()),
        });
        tokio::spawn(shared.clone().read(reader, decoder));
        tokio::spawn(shared.clone().write(writer, control, bulk));
        tokio::spawn(shared.clone().keep_alive());
        Ok(Self { welcome, shared, _child: child })
    }

    pub(super) const fn welcome(&self) -> &Welcome {
        &self.welcome
    }

    pub(super) fn round_trip(&self) -> Duration {
        Duration::from_micros(self.shared.round_trip_us.load(Ordering::Relaxed))
    }

    pub(super) fn lost(&self) -> watch::Receiver<Option<Fault>> {
        self.shared.lost.subscribe()
    }

    pub(super) fn open_exchange(&self, request: Request) -> Exchange {
        let (id, answers) = self.shared.register(answers_max(&request), None);
        let inputs = super::Inputs::Connection(Inputs { id, shared: self.shared.clone() });
        self.shared.clone().send_request(id, ToServer::Request(request));
        Exchange { answers, inputs, finished: false }
    }

    /// The orderly end: Bye, and a moment for the server's own.
    pub(super) async fn bye(&self) {
        let mut lost = self.lost();
        let goodbye = async {
            let bye = ToServer::Session(Session::Bye(Bye {}));
            if self.shared.control.send((RequestId::NONE, bye)).await.is_ok() {
                let _ = lost.wait_for(Option::is_some).await;
            }
        };
        let _ = tokio::time::timeout(BYE_TIME, goodbye).await;
        self.shared.fail("the session was ended");
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shared.fail("the connection was closed");
    }
}

/// Most answers that a request can get before its client reads the first.
const fn answers_max(request: &Request) -> usize {
    match request {
        Request::Read(_) => READ_BYTES_MAX as usize / DATA_BYTES_MAX + 4,
        Request::List(_) | Request::Walk(_) => PAGES_CREDIT_MAX as usize + 2,
        _ => 64,
    }
}

async fn say_hello(writer: &mut (impl AsyncWrite + Unpin)) -> Result<(), DialFault> {
    let hello = Hello {
        protocol: PROTOCOL_VERSION,
        agent: concat!("tow/", env!("CARGO_PKG_VERSION")).to_owned(),
        capabilities: Vec::new(),
        limits: Limits::OURS,
    };
    let frame = encode_to_server(RequestId(1), &ToServer::Session(Session::Hello(hello)))
        .map_err(|error| DialFault::Io(std::io::Error::other(error)))?;
    let mut first = PREAMBLE.to_vec();
    first.extend_from_slice(&frame.head);
    writer.write_all(&first).await?;
    writer.flush().await?;
    Ok(())
}

/// Reads until the server's preamble; what a login shell said before it is dropped, what follows is kept.
async fn skip_to_preamble(
    reader: &mut (impl AsyncRead + Unpin),
    decoder: &mut Decoder,
) -> Result<(), DialFault> {
    let mut seen = Vec::new();
    loop {
        if let Some(at) = seen.windows(PREAMBLE.len()).position(|part| part == PREAMBLE) {
            decoder.push(&seen[at + PREAMBLE.len()..]);
            return Ok(());
        }
        if seen.starts_with(b"HTTP/") {
            return Err(DialFault::NotTowpath("it speaks HTTP"));
        }
        if seen.starts_with(b"SSH-") {
            return Err(DialFault::NotTowpath("it speaks SSH"));
        }
        if seen.len() > PREAMBLE_NOISE_BYTES_MAX + PREAMBLE.len() {
            return Err(DialFault::NotTowpath("it speaks another protocol"));
        }
        if reader.read_buf(&mut seen).await? == 0 {
            return Err(if seen.is_empty() {
                DialFault::Closed
            } else {
                DialFault::NotTowpath("it speaks another protocol")
            });
        }
    }
}

async fn read_welcome(
    reader: &mut (impl AsyncRead + Unpin),
    decoder: &mut Decoder,
) -> Result<Welcome, DialFault> {
    loop {
        match decoder.next_answer() {
            Ok(Some(Incoming { message: Ok(Answer::Welcome(welcome)), .. })) => return Ok(welcome),
            Ok(Some(Incoming { message: Ok(Answer::Fault(fault)), .. })) => {
                return Err(DialFault::ServerRefuses(fault));
            }
            Ok(Some(_)) | Err(_) => return Err(DialFault::NotTowpath("its first message is not Welcome")),
            Ok(None) => {}
        }
        if reader.read_buf(decoder.space()).await? == 0 {
            return Err(DialFault::Closed);
        }
    }
}

impl Shared {
    fn waiters(&self) -> MutexGuard<'_, HashMap<RequestId, Waiter>> {
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An id that nobody waits under, and the queue of its answers.
    fn register(
        &self,
        answers_max: usize,
        pinged: Option<Instant>,
    ) -> (RequestId, mpsc::Receiver<(RequestId, Answer)>) {
        let (sender, answers) = mpsc::channel(answers_max);
        let mut waiters = self.waiters();
        let id = loop {
            let id = RequestId(self.next_id.fetch_add(1, Ordering::Relaxed));
            if id != RequestId::NONE && !waiters.contains_key(&id) {
                break id;
            }
        };
        waiters.insert(id, Waiter { answers: sender, slot: None, pinged });
        drop(waiters);
        // After this nobody fails waiters any more; whoever registers late is told here.
        if self.closed.is_cancelled() {
            self.fail_waiter(id);
        }
        (id, answers)
    }

    /// Never waits: where there is no slot or no room, a task of its own does.
    fn send_request(self: Arc<Self>, id: RequestId, message: ToServer) {
        let lane = self.lane(message.lane()).clone();
        if let (Ok(slot), Ok(room)) = (self.slots.clone().try_acquire_owned(), lane.try_reserve())
            && self.give_slot(id, slot)
        {
            room.send((id, message));
            return;
        }
        tokio::spawn(async move {
            let Ok(slot) = self.slots.clone().acquire_owned().await else { return };
            if self.give_slot(id, slot) && lane.send((id, message)).await.is_err() {
                self.fail_waiter(id);
            }
        });
    }

    /// False where nobody waits any more; then the request need not leave.
    fn give_slot(&self, id: RequestId, slot: OwnedSemaphorePermit) -> bool {
        let mut waiters = self.waiters();
        let Some(waiter) = waiters.get_mut(&id) else { return false };
        if waiter.answers.is_closed() {
            waiters.remove(&id);
            return false;
        }
        waiter.slot = Some(slot);
        true
    }

    const fn lane(&self, lane: Lane) -> &mpsc::Sender<(RequestId, ToServer)> {
        match lane {
            Lane::Control => &self.control,
            Lane::Bulk => &self.bulk,
        }
    }

    /// Ends the connection: everybody who waits gets `Disconnected`. The first reason stays.
    fn fail(&self, why: &str) {
        let fault = Fault::new(FaultCode::Disconnected).because(why);
        self.lost.send_if_modified(|lost| {
            let is_first = lost.is_none();
            lost.get_or_insert(fault);
            is_first
        });
        self.closed.cancel();
        self.slots.close();
        let ids: Vec<RequestId> = self.waiters().keys().copied().collect();
        ids.into_iter().for_each(|id| self.fail_waiter(id));
    }

    fn fail_waiter(&self, id: RequestId) {
        let Some(waiter) = self.waiters().remove(&id) else { return };
        let fault = self.lost.borrow().clone().unwrap_or_else(|| FaultCode::Disconnected.into());
        // Where its queue is full, the end of the queue says the same.
        let _ = waiter.answers.try_send((id, Answer::Fault(fault)));
    }

    async fn read(self: Arc<Self>, mut reader: impl AsyncRead + Unpin, mut decoder: Decoder) {
        let why = tokio::select! {
            why = self.route(&mut reader, &mut decoder) => why,
            () = self.closed.cancelled() => "the connection was closed".to_owned(),
        };
        self.fail(&why);
    }

    /// Routes answers until the end; why it ended.
    async fn route(&self, reader: &mut (impl AsyncRead + Unpin), decoder: &mut Decoder) -> String {
        loop {
            loop {
                match decoder.next_answer() {
                    Ok(Some(incoming)) => {
                        if let Err(why) = self.take(incoming) {
                            return why;
                        }
                    }
                    Ok(None) => break,
                    Err(error) => return format!("the server broke the protocol: {error}"),
                }
            }
            let space = decoder.space();
            space.reserve(READ_STEP_BYTES);
            match reader.read_buf(space).await {
                Ok(0) => return "the other side ended without a word".to_owned(),
                Ok(_) => *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now(),
                Err(error) => return error.to_string(),
            }
        }
    }

    fn take(&self, Incoming { id, message }: Incoming<Answer>) -> Result<(), String> {
        let answer = message.unwrap_or_else(|_| {
            Answer::Fault(
                Fault::new(FaultCode::Malformed).because("an answer that this version does not understand"),
            )
        });
        if id == RequestId::NONE {
            return match answer {
                Answer::Bye(_) => Err("the server ended the session".to_owned()),
                Answer::Fault(fault) => Err(format!("the server says: {fault}")),
                _ => Ok(()),
            };
        }
        let mut waiters = self.waiters();
        let Some(waiter) = waiters.get(&id) else {
            return Err("the server answered what nobody asked".to_owned());
        };
        if let Some(pinged) = waiter.pinged {
            self.round_trip_us.store(pinged.elapsed().as_micros() as u64, Ordering::Relaxed);
        }
        let (is_final, is_lossy) = (answer.is_final(), matches!(answer, Answer::Progress(_)));
        let sent = waiter.answers.try_send((id, answer));
        if is_final {
            waiters.remove(&id);
        }
        match sent {
            Err(mpsc::error::TrySendError::Full(_)) if !is_lossy => {
                Err("the server sent more than it was asked for".to_owned())
            }
            _ => Ok(()),
        }
    }

    async fn write(
        self: Arc<Self>,
        mut writer: impl AsyncWrite + Unpin,
        mut control: mpsc::Receiver<(RequestId, ToServer)>,
        mut bulk: mpsc::Receiver<(RequestId, ToServer)>,
    ) {
        let mut batch: Vec<Encoded> = Vec::new();
        let ended = loop {
            let next = tokio::select! {
                biased;
                () = self.closed.cancelled() => break Ok(()),
                Some(next) = control.recv() => next,
                Some(next) = bulk.recv() => next,
            };
            let mut next = Some(next);
            let mut bytes = 0;
            while let Some((id, message)) = next {
                let Ok(frame) = encode_to_server(id, &message) else { break };
                bytes += frame.len();
                batch.push(frame);
                if bytes >= BATCH_BYTES_MAX {
                    break;
                }
                next = control.try_recv().or_else(|_| bulk.try_recv()).ok();
            }
            if let Err(error) = write_all(&mut writer, &mut batch).await {
                break Err(error);
            }
        };
        let _ = writer.shutdown().await;
        self.fail(&ended.map_or_else(|error| error.to_string(), |()| "the connection was closed".to_owned()));
    }

    /// Asks a quiet server whether it is there, and measures how long it takes to say so.
    async fn keep_alive(self: Arc<Self>) {
        loop {
            tokio::select! {
                () = self.closed.cancelled() => return,
                () = tokio::time::sleep(PING_INTERVAL) => {}
            }
            let silence = self.heard.lock().unwrap_or_else(PoisonError::into_inner).elapsed();
            if silence > SILENCE_MAX {
                return self.fail(&format!("nothing came for {} seconds", silence.as_secs()));
            }
            let (id, _answers) = self.register(1, Some(Instant::now()));
            self.clone().send_request(id, ToServer::Session(Session::Ping(Ping {})));
        }
    }
}

impl Inputs {
    pub(super) async fn send(&self, input: Input) -> Result<(), Fault> {
        let message = ToServer::Input(input);
        let lane = self.shared.lane(message.lane());
        let gone = || self.shared.lost.borrow().clone().unwrap_or_else(|| FaultCode::Disconnected.into());
        tokio::select! {
            sent = lane.send((self.id, message)) => sent.map_err(|_| gone()),
            () = self.shared.closed.cancelled() => Err(gone()),
        }
    }

    /// Never waits, never lost: where the queue is full, a task of its own waits for room.
    pub(super) fn cancel(&self, cancel: Cancel) {
        let message = (self.id, ToServer::Input(Input::Cancel(cancel)));
        if let Err(mpsc::error::TrySendError::Full(message)) = self.shared.control.try_send(message) {
            let shared = self.shared.clone();
            tokio::spawn(async move {
                tokio::select! {
                    _ = shared.control.send(message) => {}
                    () = shared.closed.cancelled() => {}
                }
            });
        }
    }
}
