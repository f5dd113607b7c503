//! A server that a test plays frame by frame.

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf};
use towpath::link::{GreetingFault, Link};
use towpath_protocol::answer::Data;
use towpath_protocol::entry::{Attributes, Kind};
use towpath_protocol::frame::{Decoder, encode_answer};
use towpath_protocol::hello::{Access, Limits, NameCase, PREAMBLE, PROTOCOL_VERSION, RootKind, Welcome};
use towpath_protocol::message::{Answer, Input, Request, RequestId, Session, ToServer};
use towpath_protocol::path::{Location, WirePath};
use towpath_protocol::permissions::Permissions;
use towpath_protocol::request::{Direction, Follow, Hidden, List, Read, SortKey, Stat, Wants};
use towpath_protocol::time::Time;

/// The far end of a pipe.
pub(crate) struct Peer {
    stream: DuplexStream,
    decoder: Decoder,
}

/// A pipe: our end in halves, and the server's.
pub(crate) fn pipe(bytes: usize) -> ((ReadHalf<DuplexStream>, WriteHalf<DuplexStream>), Peer) {
    let (ours, theirs) = tokio::io::duplex(bytes);
    (tokio::io::split(ours), Peer { stream: theirs, decoder: Decoder::new() })
}

/// A session that has begun, over a pipe of `bytes`, with room for `in_flight` requests.
pub(crate) async fn session(bytes: usize, in_flight: u32) -> (Link, Peer) {
    let ((reader, writer), mut peer) = pipe(bytes);
    let (link, ()) = tokio::join!(Link::over(reader, writer), peer.greet(welcome(in_flight)));
    (link.unwrap(), peer)
}

/// A greeting to which the server says `said` and closes.
pub(crate) async fn greeted_with(said: &[u8]) -> GreetingFault {
    let ((reader, writer), mut peer) = pipe(64 * 1024);
    let answering = async {
        peer.say_bytes(said).await;
        drop(peer);
    };
    let (link, ()) = tokio::join!(Link::over(reader, writer), answering);
    link.unwrap_err()
}

pub(crate) fn welcome(in_flight: u32) -> Welcome {
    Welcome {
        protocol: PROTOCOL_VERSION,
        agent: "a test".into(),
        capabilities: Vec::new(),
        limits: Limits { requests_in_flight: in_flight, ..Limits::OURS },
        root_name: "/".into(),
        root_kind: RootKind::Jailed,
        access: Access::ReadWrite,
        may: Permissions::ALL,
        name_case: NameCase::Sensitive,
        home: WirePath::root(),
        machine: None,
        ticket: None,
    }
}

impl Peer {
    pub(crate) async fn greet(&mut self, welcome: Welcome) {
        self.say_bytes(PREAMBLE).await;
        let id = self.hello().await;
        self.say(id, welcome).await;
        self.decoder.allow_frames_up_to(Limits::OURS.frame_bytes as usize);
    }

    /// Takes the client's preamble and Hello in.
    pub(crate) async fn hello(&mut self) -> RequestId {
        let mut preamble = [0; PREAMBLE.len()];
        self.stream.read_exact(&mut preamble).await.unwrap();
        assert_eq!(preamble, *PREAMBLE);
        match self.next().await {
            Some((id, ToServer::Session(Session::Hello(hello)))) => {
                assert_eq!(hello.protocol, PROTOCOL_VERSION);
                id
            }
            other => panic!("{other:?} instead of Hello"),
        }
    }

    /// The client's next message; none at its end.
    pub(crate) async fn next(&mut self) -> Option<(RequestId, ToServer)> {
        loop {
            if let Some(incoming) = self.decoder.next_to_server().unwrap() {
                return Some((incoming.id, incoming.message.unwrap()));
            }
            if self.stream.read_buf(self.decoder.space(4096, 65_536)).await.unwrap() == 0 {
                assert!(self.decoder.is_empty(), "cut in a frame");
                return None;
            }
        }
    }

    pub(crate) async fn request(&mut self) -> (RequestId, Request) {
        match self.next().await {
            Some((id, ToServer::Request(request))) => (id, request),
            other => panic!("{other:?} instead of a request"),
        }
    }

    pub(crate) async fn input(&mut self) -> (RequestId, Input) {
        match self.next().await {
            Some((id, ToServer::Input(input))) => (id, input),
            other => panic!("{other:?} instead of an input"),
        }
    }

    pub(crate) async fn say(&mut self, id: RequestId, answer: impl Into<Answer>) {
        let frame = encode_answer(id, &answer.into()).unwrap();
        self.say_bytes(&[&frame.head[..], &frame.data[..]].concat()).await;
    }

    pub(crate) async fn say_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }
}

pub(crate) fn stat(name: &str) -> Stat {
    let base = WirePath::root();
    Stat { base, paths: vec![WirePath::parse(name.as_bytes()).unwrap()], follow: Follow::No }
}

pub(crate) fn list(pages: u32) -> List {
    let folder = Location::through(&WirePath::root());
    List { folder, sort: SortKey::Name, direction: Direction::Ascending, hidden: Hidden::Shown, pages }
}

pub(crate) fn read(len: u64) -> Read {
    Read {
        file: Location::through(&WirePath::root()),
        version: None,
        offset: 0,
        len,
        wants: Wants::Data,
        holes: false,
    }
}

pub(crate) fn data(offset: u64, len: usize) -> Data {
    Data { offset, data: Bytes::from(vec![7; len]) }
}

pub(crate) fn attributes() -> Attributes {
    let (kind, link) = (Kind::File, None);
    Attributes {
        kind,
        size: 1,
        modified: Time::from_ns(0),
        changed: Time::from_ns(0),
        mode: 0o644,
        identity: 1,
        is_unknown: false,
        link,
    }
}
