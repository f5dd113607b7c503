//! The session's only reader: takes frames in and passes them on. It never waits for a disk, for a request's work or for a
//! full queue, so Cancel, Ping and acknowledgements always pass.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncRead;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::frame::{Decoder, Frame, FrameError, Incoming, Undecodable};
use towpath_protocol::message::{Answer, Input, Lane, Pong, Request, RequestId, Session, ToServer};
use towpath_protocol::packing::unpack;
use towpath_protocol::sequence::{Piece, Pieces};

use super::exchanges::{Exchanges, InboxFull, NotOpened, Opened};
use super::intake::Intake;
use super::streams::Streams;
use super::{Serve, SessionEnd, SessionOptions};
use crate::exchange::{Answers, Exchange};
use crate::fair::{Kind, Step};
use crate::memory::Memory;
use crate::queue::QueueSender;

/// Frames that are taken in one go, before other sessions have their turn.
const FRAMES_AT_ONCE: usize = 64;
/// What work that did not finish in time has, once it is cancelled, to say so.
const CANCELLED_TIME: Duration = Duration::from_secs(1);

/// The ways to the outbox.
#[derive(Debug)]
pub(super) struct Lanes {
    /// What the session itself says.
    pub(super) replies: QueueSender<(RequestId, Answer)>,
    /// The same, behind the bulk.
    pub(super) in_turn: QueueSender<(RequestId, Answer)>,
    pub(super) control: mpsc::Sender<(RequestId, Answer)>,
    pub(super) bulk: mpsc::Sender<(RequestId, Answer)>,
}

/// How far the session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// No new requests; running ones may go on until then, and once they are cancelled have a moment to say so.
    Draining {
        until: Instant,
        by: Leaver,
        cancelled: bool,
    },
}

/// Who wants to leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leaver {
    Client,
    Server,
}

/// How a frame came to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    AtOnce,
    /// In the turn that its number gave it.
    Numbered,
}

/// Returns whether all available input was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    All,
    Some,
}

/// What is awaited next.
enum Waited {
    Bytes(usize),
    Failed(std::io::Error),
    /// Frames of other streams.
    Frames,
    Emptied,
    Leave,
    Overdue,
    Idle,
}

pub(super) struct Router<S> {
    service: Arc<S>,
    exchanges: Arc<Exchanges>,
    streams: Arc<Streams>,
    /// Whether frames may be packed.
    unpacks: bool,
    /// A frame of the primary stream that has no room yet: before it nothing more is read there.
    parked: Option<(u64, Frame)>,
    lanes: Lanes,
    options: SessionOptions,
    phase: Phase,
    intake: Intake,
    /// Whether the peer has closed its direction.
    input_ended: bool,
}

impl<S: Serve> Router<S> {
    pub(super) fn new(service: Arc<S>, streams: Arc<Streams>, lanes: Lanes, options: SessionOptions) -> Self {
        let intake = Intake::new(streams.memory.clone());
        Self {
            service,
            exchanges: streams.exchanges.clone(),
            unpacks: streams.packs(),
            streams,
            parked: None,
            lanes,
            options,
            phase: Phase::Open,
            intake,
            input_ended: false,
        }
    }

    /// Routes until the session ends.
    pub(super) async fn route(
        mut self,
        reader: &mut (impl AsyncRead + Unpin),
        decoder: Decoder,
    ) -> SessionEnd {
        match self.run(reader, Pieces::new(decoder)).await {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    async fn run(
        &mut self,
        reader: &mut (impl AsyncRead + Unpin),
        mut pieces: Pieces,
    ) -> Result<std::convert::Infallible, SessionEnd> {
        loop {
            let is_more_there = self.take_some(&mut pieces)? == Taken::Some;
            self.check_drained()?;
            if is_more_there {
                tokio::task::yield_now().await;
                continue;
            }
            match self.wait(reader, pieces.decoder()).await {
                Waited::Bytes(0) => self.input_ends()?,
                Waited::Bytes(_) | Waited::Frames | Waited::Emptied => {}
                Waited::Failed(error) => return Err(SessionEnd::Lost(Some(error))),
                Waited::Leave => self.drain(Leaver::Server),
                Waited::Overdue => self.overdue()?,
                Waited::Idle => return Err(SessionEnd::Idle),
            }
        }
    }

    /// Takes of what is there, of the primary stream and of those whose turn it is, as much as others can wait for.
    fn take_some(&mut self, pieces: &mut Pieces) -> Result<Taken, SessionEnd> {
        let step = Step::begin();
        for _ in 0..FRAMES_AT_ONCE {
            if step.is_over() {
                break;
            }
            if let Some(frame) = self.streams.take() {
                self.take_frame(frame, Order::Numbered)?;
                continue;
            }
            if let Some((number, frame)) = self.parked.take() {
                let back = self.streams.put(number, frame).map_err(SessionEnd::Broken)?;
                self.parked = back.map(|frame| (number, frame));
                if self.parked.is_some() {
                    return Ok(Taken::All);
                }
                continue;
            }
            match pieces.next_piece().map_err(SessionEnd::Broken)? {
                Some(Piece::Plain(frame)) => self.take_frame(frame, Order::AtOnce)?,
                Some(Piece::Numbered(number, frame)) => self.parked = Some((number, frame)),
                None => return Ok(Taken::All),
            }
        }
        Ok(Taken::Some)
    }

    fn take_frame(&mut self, frame: Frame, order: Order) -> Result<(), SessionEnd> {
        let frame_bytes_max = self.streams.welcome.limits.frame_bytes as usize;
        let unpacked = if self.unpacks { unpack(frame, frame_bytes_max) } else { Ok(frame) };
        let frame = unpacked.map_err(SessionEnd::Broken)?;
        self.take(frame.to_server().map_err(SessionEnd::Broken)?, order, frame.len())
    }

    async fn wait(&mut self, reader: &mut (impl AsyncRead + Unpin), decoder: &mut Decoder) -> Waited {
        let (draining, until) = match self.phase {
            Phase::Open => (false, Instant::now()),
            Phase::Draining { until, .. } => (true, until),
        };
        let idle_max = self.options.idle.filter(|_| self.exchanges.is_empty());
        let idle_until = Instant::now() + idle_max.unwrap_or(Duration::ZERO);
        tokio::select! {
            biased;
            () = self.options.drain.cancelled(), if !draining => Waited::Leave,
            () = sleep_until(until), if draining => Waited::Overdue,
            () = self.exchanges.emptied(), if draining || self.options.idle.is_some() => Waited::Emptied,
            () = self.streams.ready() => Waited::Frames,
            read = self.intake.read(reader, decoder), if !self.input_ended && self.parked.is_none() => match read {
                Ok(read) => Waited::Bytes(read),
                Err(error) => Waited::Failed(error),
            },
            () = sleep_until(idle_until), if idle_max.is_some() => Waited::Idle,
        }
    }

    /// The peer's direction is closed: in order after its Bye, which may be the end of a half-closed connection.
    fn input_ends(&mut self) -> Result<(), SessionEnd> {
        self.input_ended = true;
        match self.phase {
            Phase::Draining { by: Leaver::Client, .. } => Ok(()),
            Phase::Open | Phase::Draining { .. } => Err(SessionEnd::Lost(None)),
        }
    }

    fn drain(&mut self, by: Leaver) {
        if self.phase == Phase::Open {
            let until = Instant::now() + self.options.drain_time;
            self.phase = Phase::Draining { until, by, cancelled: false };
        }
        if by == Leaver::Client {
            // It has said its last word: an upload that still waits for data waits in vain.
            self.exchanges.close_inputs();
        }
    }

    fn overdue(&mut self) -> Result<(), SessionEnd> {
        match &mut self.phase {
            Phase::Draining { until, cancelled, .. } if !*cancelled => {
                *cancelled = true;
                *until += CANCELLED_TIME;
                self.exchanges.cancel_all();
                Ok(())
            }
            Phase::Open | Phase::Draining { .. } => Err(self.drained()),
        }
    }

    fn check_drained(&self) -> Result<(), SessionEnd> {
        if self.phase != Phase::Open && self.exchanges.is_empty() { Err(self.drained()) } else { Ok(()) }
    }

    const fn drained(&self) -> SessionEnd {
        match self.phase {
            Phase::Draining { by: Leaver::Client, .. } => SessionEnd::Bye,
            Phase::Open | Phase::Draining { .. } => SessionEnd::Drained,
        }
    }

    fn take(
        &mut self,
        Incoming { id, message }: Incoming<ToServer>,
        order: Order,
        frame_bytes: usize,
    ) -> Result<(), SessionEnd> {
        match message {
            Ok(ToServer::Request(request)) => self.request(id, request, frame_bytes),
            Ok(ToServer::Input(input)) => self.input(id, input),
            Ok(ToServer::Session(Session::Ping(_))) => {
                let lane = match order {
                    Order::AtOnce => &self.lanes.replies,
                    // It asks whether all of the bulk arrives, and is answered likewise.
                    Order::Numbered => &self.lanes.in_turn,
                };
                reply(lane, id, Pong {}.into())
            }
            Ok(ToServer::Session(Session::Bye(_))) => {
                self.drain(Leaver::Client);
                Ok(())
            }
            // They were packed without leave, or more than once.
            Ok(ToServer::Session(Session::Packed(_))) => Err(SessionEnd::Broken(FrameError::BadlyPacked)),
            // Numbers were taken off the frames before they came here.
            Ok(ToServer::Session(Session::Numbered(_))) => Err(SessionEnd::Broken(FrameError::OutOfSequence)),
            Ok(ToServer::Session(Session::Hello(_))) => {
                let fault = Fault::new(FaultCode::OutOfOrder).because("the session is open already");
                Err(SessionEnd::Violation(fault))
            }
            Err(Undecodable::UnknownKind(kind)) => {
                self.refuse(id, Fault::new(FaultCode::Unsupported).because(format!("message kind {kind}")))
            }
            Err(Undecodable::BadBody(kind)) => self.bad_body(id, kind),
        }
    }

    fn request(&mut self, id: RequestId, request: Request, frame_bytes: usize) -> Result<(), SessionEnd> {
        if self.phase != Phase::Open {
            return self.refuse(id, FaultCode::ShuttingDown.into());
        }
        if id == RequestId::NONE {
            return self.reply(id, out_of_order("a request needs an id other than 0").into());
        }
        match self.exchanges.open(id, &request, frame_bytes) {
            Ok(opened) => {
                self.begin(id, request, opened);
                Ok(())
            }
            Err(NotOpened::IdInUse) => self.refuse(id, out_of_order("the id belongs to an open request")),
            Err(NotOpened::NoMemory) => self.reply(id, Memory::refusal("the request takes").into()),
            Err(NotOpened::TooMany) => {
                let fault = Fault::new(FaultCode::LimitExceeded).because("too many open requests");
                self.reply(id, fault.into())
            }
        }
    }

    fn begin(&self, id: RequestId, request: Request, opened: Opened) {
        let Opened { inputs, cancel, done, charge } = opened;
        let lane = match request.lane() {
            Lane::Control => &self.lanes.control,
            Lane::Bulk => &self.lanes.bulk,
        };
        let lost = self.exchanges.end();
        let answers = Answers::new(id, lane.clone()).counted_in(done);
        let answers = answers.charged_to(self.streams.memory.clone(), charge, lost.clone());
        let work = self.service.clone().serve(request, Exchange { answers, inputs, cancel, lost });
        tokio::spawn(self.streams.share.task(Kind::Request, Box::pin(work)));
    }

    fn input(&mut self, id: RequestId, input: Input) -> Result<(), SessionEnd> {
        self.exchanges.input(id, input).map_err(|InboxFull| {
            let fault =
                Fault::new(FaultCode::LimitExceeded).because("more was sent than there was credit for");
            SessionEnd::Violation(fault)
        })
    }

    fn bad_body(&mut self, id: RequestId, kind: u16) -> Result<(), SessionEnd> {
        let fault = Fault::new(FaultCode::Malformed).because(format!("in a message of kind {kind}"));
        if Input::KINDS.iter().any(|(input, _)| *input == kind) {
            // As with a sound one: where no such exchange is open, its final answer may have crossed it.
            self.exchanges.refuse(id, fault);
            return Ok(());
        }
        self.refuse(id, fault)
    }

    /// Answers with `fault`: at once, or where the id belongs to an open request, as that one's only final answer.
    fn refuse(&mut self, id: RequestId, fault: Fault) -> Result<(), SessionEnd> {
        if self.exchanges.refuse(id, fault.clone()) { Ok(()) } else { self.reply(id, fault.into()) }
    }

    fn reply(&mut self, id: RequestId, answer: Answer) -> Result<(), SessionEnd> {
        reply(&self.lanes.replies, id, answer)
    }
}

fn reply(lane: &QueueSender<(RequestId, Answer)>, id: RequestId, answer: Answer) -> Result<(), SessionEnd> {
    lane.try_put((id, answer)).map_err(|_| {
        let fault = Fault::new(FaultCode::LimitExceeded).because("too many answers are not taken");
        SessionEnd::Violation(fault)
    })
}

fn out_of_order(detail: &str) -> Fault {
    Fault::new(FaultCode::OutOfOrder).because(detail)
}
