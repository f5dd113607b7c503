//! A session over a pipe: the client's end of it, and the requests that it passes on.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use towpath_files::exchange::Exchange;
use towpath_files::session::{Door, Serve, SessionEnd, SessionEvent, SessionLog, SessionOptions, serve};
use towpath_protocol::answer::Data;
use towpath_protocol::entry::{Attributes, Kind};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::frame::{Decoder, encode_to_server};
use towpath_protocol::hello::{
    Access, Hello, Limits, NameCase, PREAMBLE, PROTOCOL_VERSION, RootKind, Welcome,
};
use towpath_protocol::message::{Answer, Input, NUMBERED_BY_CLIENT, Request, RequestId, Session, ToServer};
use towpath_protocol::path::{Location, WirePath};
use towpath_protocol::permissions::Permissions;
use towpath_protocol::request::{Read, Space, Wants};
use towpath_protocol::time::Time;

/// Bytes that the pipe holds in each direction.
pub(crate) const PIPE_BYTES: usize = 64 * 1024;

/// Passes every request on to the test.
#[derive(Debug)]
pub(crate) struct Scripted {
    welcome: Welcome,
    requests: mpsc::Sender<(Request, Exchange)>,
    may_end: Arc<Semaphore>,
}

impl Serve for Scripted {
    fn welcome(&self) -> &Welcome {
        &self.welcome
    }

    async fn serve(self: Arc<Self>, request: Request, exchange: Exchange) {
        self.requests.send((request, exchange)).await.unwrap();
        let _ = self.may_end.acquire().await;
    }
}

/// Keeps what a session says of itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recorder(Arc<Mutex<Vec<String>>>);

impl Recorder {
    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl SessionLog for Recorder {
    fn record(&self, event: SessionEvent<'_>) {
        let line = match event {
            SessionEvent::Connected { agent } => format!("connected {agent}"),
            SessionEvent::Joined => "joined".to_owned(),
            SessionEvent::Done(work) => {
                let outcome = format!("{:?}", work.outcome);
                let outcome = outcome.split([' ', '{']).next().unwrap_or_default();
                format!("{:?} {} {} {outcome}", work.act, work.path, work.bytes)
            }
            SessionEvent::Left { end, .. } => format!("left: {end}"),
        };
        self.0.lock().unwrap().push(line);
    }
}

pub(crate) struct World {
    pub(crate) client: Client,
    /// What the session passes on.
    pub(crate) requests: mpsc::Receiver<(Request, Exchange)>,
    pub(crate) session: JoinHandle<SessionEnd>,
    pub(crate) log: Recorder,
    /// While its permit is taken, no request's work ends, whatever was answered.
    pub(crate) may_end: Arc<Semaphore>,
}

impl World {
    /// A session that nobody has greeted.
    pub(crate) fn silent(options: SessionOptions) -> Self {
        Self::silent_over(PIPE_BYTES, options)
    }

    /// Where nobody gets a session.
    pub(crate) fn shut(why: Fault) -> Self {
        Self::begin(PIPE_BYTES, SessionOptions::default(), |_| Door::Shut(why))
    }

    pub(crate) fn silent_over(pipe_bytes: usize, options: SessionOptions) -> Self {
        Self::begin(pipe_bytes, options, Door::Open)
    }

    fn begin(
        pipe_bytes: usize,
        options: SessionOptions,
        door: impl FnOnce(Arc<Scripted>) -> Door<Scripted>,
    ) -> Self {
        let (ours, theirs) = tokio::io::duplex(pipe_bytes);
        let (sender, requests) = mpsc::channel(1024);
        let welcome = Welcome {
            protocol: PROTOCOL_VERSION,
            agent: "test".into(),
            capabilities: Vec::new(),
            limits: Limits::OURS,
            root_name: "/root".into(),
            root_kind: RootKind::Jailed,
            access: Access::ReadWrite,
            may: Permissions::ALL,
            name_case: NameCase::Sensitive,
            home: WirePath::root(),
            machine: None,
            ticket: None,
        };
        let may_end = Arc::new(Semaphore::new(1));
        let service = Arc::new(Scripted { welcome, requests: sender, may_end: may_end.clone() });
        let door = door(service);
        let log = Recorder::default();
        let options = SessionOptions { log: Arc::new(log.clone()), ..options };
        let session = tokio::spawn(async move {
            let (reader, writer) = tokio::io::split(theirs);
            serve(reader, writer, door, options).await
        });
        Self { client: Client { stream: ours, decoder: Decoder::new() }, requests, session, log, may_end }
    }

    /// A session that is open.
    pub(crate) async fn open(options: SessionOptions) -> Self {
        Self::open_over(PIPE_BYTES, options).await
    }

    pub(crate) async fn open_over(pipe_bytes: usize, options: SessionOptions) -> Self {
        let mut world = Self::silent_over(pipe_bytes, options);
        world.client.greet(Limits::OURS).await;
        world
    }

    /// The next request that the session passes on.
    pub(crate) async fn request(&mut self) -> (Request, Exchange) {
        self.requests.recv().await.unwrap()
    }

    /// How it ended. The client's end stays as it is.
    pub(crate) async fn end(&mut self) -> SessionEnd {
        (&mut self.session).await.unwrap()
    }
}

/// The client's end of the pipe.
pub(crate) struct Client {
    pub(crate) stream: DuplexStream,
    decoder: Decoder,
}

impl Client {
    /// Preambles, Hello, Welcome.
    pub(crate) async fn greet(&mut self, limits: Limits) -> Welcome {
        match self.try_greet(hello(PROTOCOL_VERSION, limits)).await {
            Ok(welcome) => welcome,
            Err(fault) => panic!("{fault:?}"),
        }
    }

    /// The same, with the fault where there is no Welcome.
    pub(crate) async fn try_greet(&mut self, hello: Session) -> Result<Welcome, Fault> {
        self.hear_preamble().await;
        self.bytes(PREAMBLE).await;
        self.say(0, hello).await;
        match self.hear().await {
            (0, Answer::Welcome(welcome)) => Ok(welcome),
            (0, Answer::Fault(fault)) => Err(fault),
            other => panic!("{other:?}"),
        }
    }

    /// Says something with a number before it.
    pub(crate) async fn say_numbered(&mut self, number: u64, id: u32, message: impl Into<ToServerMessage>) {
        let encoded = encode_to_server(RequestId(id), &message.into().0).unwrap();
        let encoded = encoded.numbered(NUMBERED_BY_CLIENT, number);
        self.bytes(&[&encoded.head[..], &encoded.data[..]].concat()).await;
    }

    pub(crate) async fn hear_preamble(&mut self) {
        let mut preamble = [0; PREAMBLE.len()];
        self.stream.read_exact(&mut preamble).await.unwrap();
        assert_eq!(&preamble, PREAMBLE);
        self.decoder.allow_frames_up_to(Limits::OURS.frame_bytes as usize);
    }

    pub(crate) async fn bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    pub(crate) async fn say(&mut self, id: u32, message: impl Into<ToServerMessage>) {
        let encoded = encode_to_server(RequestId(id), &message.into().0).unwrap();
        self.bytes(&encoded.head).await;
        self.bytes(&encoded.data).await;
    }

    /// The next answer; panics at the end of the stream.
    pub(crate) async fn hear(&mut self) -> (u32, Answer) {
        self.hear_or_end().await.expect("the session has closed the stream")
    }

    pub(crate) async fn hear_or_end(&mut self) -> Option<(u32, Answer)> {
        loop {
            if let Some(incoming) = self.decoder.next_answer().unwrap() {
                return Some((incoming.id.0, incoming.message.unwrap()));
            }
            let mut bytes = [0; 4096];
            let read = self.stream.read(&mut bytes).await.unwrap();
            if read == 0 {
                assert!(self.decoder.is_empty(), "the stream ends within a frame");
                return None;
            }
            self.decoder.push(&bytes[..read]);
        }
    }

    /// The next answer, which must be a fault.
    pub(crate) async fn hear_fault(&mut self) -> (u32, FaultCode) {
        match self.hear().await {
            (id, Answer::Fault(fault)) => (id, fault.code),
            other => panic!("{other:?}"),
        }
    }

    /// That the session says no more and closes its direction.
    pub(crate) async fn hear_end(&mut self) {
        assert_eq!(self.hear_or_end().await, None);
    }
}

/// Anything that a client can say.
pub(crate) struct ToServerMessage(ToServer);

impl From<Session> for ToServerMessage {
    fn from(message: Session) -> Self {
        Self(ToServer::Session(message))
    }
}

impl From<Request> for ToServerMessage {
    fn from(message: Request) -> Self {
        Self(ToServer::Request(message))
    }
}

impl From<Input> for ToServerMessage {
    fn from(message: Input) -> Self {
        Self(ToServer::Input(message))
    }
}

pub(crate) fn hello(protocol: u16, limits: Limits) -> Session {
    Hello { protocol, agent: "test/1".into(), capabilities: Vec::new(), limits, pairing: None, join: None }
        .into()
}

/// A request whose answers go in the control lane.
pub(crate) fn control() -> Request {
    Space { path: WirePath::root() }.into()
}

/// A request whose answers go in the bulk lane.
pub(crate) fn bulk() -> Request {
    read("file", 0, 1024 * 1024)
}

pub(crate) fn read(path: &str, offset: u64, len: u64) -> Request {
    Read { file: at(path), version: None, offset, len, wants: Wants::Data, holes: false }.into()
}

pub(crate) fn at(path: &str) -> Location {
    Location { base: WirePath::root(), path: WirePath::parse(path.as_bytes()).unwrap() }
}

pub(crate) fn file_of(size: u64) -> Attributes {
    Attributes {
        kind: Kind::File,
        size,
        modified: Time::from_ns(0),
        changed: Time::from_ns(0),
        mode: 0o644,
        identity: 1,
        is_unknown: false,
        link: None,
    }
}

/// A frame of 64 KiB.
pub(crate) fn data(offset: u64) -> Data {
    Data { offset, data: Bytes::from(vec![7; 64 * 1024]) }
}

pub(crate) fn fault(code: FaultCode) -> Answer {
    Fault::new(code).into()
}
