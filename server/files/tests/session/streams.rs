//! Further streams of a session: who may join, what they carry, in which order it is taken, and how they end.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::AsyncReadExt as _;
use tokio::time::timeout;
use towpath_files::exchange::Exchange;
use towpath_files::session::{Joining, Revocation, SessionEnd, SessionOptions, Tickets};
use towpath_protocol::answer::{Done, ReadDone, UploadReady};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::hello::{Capability, Hello, Limits, PROTOCOL_VERSION, Ticket, Welcome};
use towpath_protocol::input::UploadData;
use towpath_protocol::limits::{HELD_BYTES_MAX, UPLOAD_CREDIT_BYTES_MAX};
use towpath_protocol::message::{Answer, Bye, Input, Ping, Request, Session};
use towpath_protocol::request::{BeginUpload, Durability, Existing, OperationId, StoreAs, UploadToken};
use towpath_protocol::time::Time;

use super::world::{Client, World, at, bulk, control, data, hello};

pub(super) const ANN: &[u8] = b"ann's key";

/// Streams of one server.
pub(super) struct Server(Arc<Tickets>);

impl Server {
    pub(super) fn of(streams_max: usize) -> Self {
        Self(Arc::new(Tickets::new(streams_max)))
    }

    pub(super) fn options(&self, owner: &[u8]) -> SessionOptions {
        let joining = Joining { tickets: self.0.clone(), owner: owner.to_vec(), ticket: None };
        SessionOptions { joining: Some(joining), ..SessionOptions::default() }
    }

    /// A session of Ann's, and its ticket.
    async fn session(&self) -> (World, Ticket) {
        self.session_with(self.options(ANN)).await
    }

    pub(super) async fn session_with(&self, options: SessionOptions) -> (World, Ticket) {
        let mut world = World::silent(options);
        let welcome = world.client.try_greet(hello_with_streams(None)).await.unwrap();
        assert_eq!(welcome.capabilities, [Capability::new(Capability::STREAMS)]);
        (world, welcome.ticket.expect("a ticket"))
    }

    async fn try_join(&self, owner: &[u8], ticket: Ticket) -> (World, Result<Welcome, Fault>) {
        let mut world = World::silent(self.options(owner));
        let welcome = world.client.try_greet(hello_with_streams(Some(ticket))).await;
        (world, welcome)
    }

    pub(super) async fn join(&self, ticket: Ticket) -> World {
        let (world, welcome) = self.try_join(ANN, ticket).await;
        assert_eq!(welcome.unwrap().ticket, None);
        world
    }

    /// A session of two streams.
    pub(super) async fn pair(&self) -> (World, World) {
        let (primary, ticket) = self.session().await;
        (primary, self.join(ticket).await)
    }
}

fn hello_with_streams(join: Option<Ticket>) -> Session {
    let capabilities = vec![Capability::new(Capability::STREAMS)];
    let agent = "test/1".into();
    Hello { protocol: PROTOCOL_VERSION, agent, capabilities, limits: Limits::OURS, pairing: None, join }
        .into()
}

fn begin_upload() -> Request {
    let store = StoreAs {
        mode: 0o644,
        modified: Time::from_ns(0),
        existing: Existing::Keep,
        expected: None,
        durability: Durability::Relaxed,
        metadata: None,
    };
    BeginUpload {
        operation: OperationId([1; 16]),
        file: at("file"),
        store,
        size: 1 << 30,
        resume: None,
        basis: None,
        window_bytes: None,
        stored_bytes: None,
    }
    .into()
}

pub(super) fn piece(offset: u64, len: usize) -> Input {
    UploadData { offset, data: Bytes::from(vec![1; len]) }.into()
}

pub(super) async fn upload(primary: &mut World) -> Exchange {
    primary.client.say(1, begin_upload()).await;
    let exchange = primary.request().await.1;
    let token = UploadToken([0; 16]);
    let credit_bytes = UPLOAD_CREDIT_BYTES_MAX;
    exchange
        .answers
        .send(UploadReady { token, offset: 0, kept: None, credit_bytes, basis: false })
        .await
        .unwrap();
    assert!(matches!(primary.client.hear().await, (1, Answer::UploadReady(_))));
    exchange
}

pub(super) async fn next_offset(exchange: &mut Exchange) -> u64 {
    match exchange.inputs.recv().await {
        Some(Input::UploadData(data)) => data.offset,
        other => panic!("{other:?}"),
    }
}

/// The session still answers.
pub(super) async fn assert_alive(client: &mut Client) {
    client.say(9, Session::from(Ping {})).await;
    assert!(matches!(client.hear().await, (9, Answer::Pong(_))));
}

#[tokio::test(start_paused = true)]
async fn what_comes_by_several_streams_is_taken_in_the_order_of_its_numbers() {
    let (mut primary, mut second) = Server::of(4).pair().await;
    let mut exchange = upload(&mut primary).await;
    for number in [1, 2, 5] {
        second.client.say_numbered(number, 1, piece(number, 100)).await;
    }
    // Control passes meanwhile.
    assert_alive(&mut primary.client).await;
    assert!(exchange.inputs.try_recv().is_err(), "the first one is missing");
    for number in [0, 3, 4, 6] {
        primary.client.say_numbered(number, 1, piece(number, 100)).await;
    }
    for offset in 0..7 {
        assert_eq!(next_offset(&mut exchange).await, offset);
    }
    assert_eq!(primary.log.lines(), ["connected test/1"]);
    assert_eq!(second.log.lines(), ["joined"], "one session has one line");
}

#[tokio::test(start_paused = true)]
async fn answers_go_by_whichever_stream_takes_them_and_their_numbers_give_the_order() {
    const FRAMES: u64 = 120;
    let server = Server::of(4);
    let (mut primary, ticket) = server.session().await;
    primary.client.say(1, bulk()).await;
    let (_, reading) = primary.request().await;
    // Without a number: said before the stream joins.
    reading.answers.send(data(0)).await.unwrap();
    assert_eq!(primary.client.hear().await, (1, data(0).into()));
    let mut second = server.join(ticket).await;
    tokio::spawn(async move {
        for frame in 1..FRAMES {
            reading.answers.send(data(frame * 64 * 1024)).await.unwrap();
        }
        let len = FRAMES * 64 * 1024;
        reading.answers.send(ReadDone { len, hash: None, grown: false }).await.unwrap();
    });
    let mut heard = Vec::new();
    assert!(matches!(primary.client.hear().await, (0, Answer::Numbered(numbered)) if numbered.number == 0));
    heard.push((0, primary.client.hear().await.1));
    let mut of_second = 0;
    while heard.len() < FRAMES as usize {
        let (is_second, numbered) = tokio::select! {
            numbered = primary.client.hear() => (false, numbered),
            numbered = second.client.hear() => (true, numbered),
        };
        let (0, Answer::Numbered(numbered)) = numbered else { panic!("{numbered:?}") };
        let client = if is_second { &mut second.client } else { &mut primary.client };
        heard.push((numbered.number, client.hear().await.1));
        of_second += usize::from(is_second);
    }
    heard.sort_by_key(|(number, _)| *number);
    for (at, (number, answer)) in heard.into_iter().enumerate() {
        assert_eq!(number, at as u64);
        match answer {
            Answer::Data(heard) => assert_eq!(heard.offset, (number + 1) * 64 * 1024),
            answer => assert!(matches!(answer, Answer::ReadDone(_)) && number == FRAMES - 1, "{answer:?}"),
        }
    }
    assert!(of_second > 10, "{of_second}");
}

#[tokio::test(start_paused = true)]
async fn f48_who_has_no_ticket_of_an_own_session_is_refused_and_harms_nobody() {
    let server = Server::of(3);
    let (mut primary, ticket) = server.session().await;
    let (mut other, others) = server.session_with(server.options(b"bob's key")).await;
    let wrong = Ticket([0; 16]);
    for (owner, ticket) in
        [(ANN, wrong), (ANN, others), (b"bob's key".as_slice(), ticket), (b"eve's key", ticket)]
    {
        let (mut world, refused) = server.try_join(owner, ticket).await;
        assert_eq!(refused.unwrap_err().code, FaultCode::PermissionDenied);
        assert!(matches!(world.end().await, SessionEnd::Refused(_)));
        assert!(world.log.lines()[0].starts_with("left: "), "{:?}", world.log.lines());
    }
    let _streams = (server.join(ticket).await, server.join(ticket).await);
    let (_, refused) = server.try_join(ANN, ticket).await;
    assert_eq!(refused.unwrap_err().code, FaultCode::LimitExceeded, "it is used up");
    assert_alive(&mut primary.client).await;
    assert_alive(&mut other.client).await;

    primary.client.say_numbered(0, 0, Session::from(Bye {})).await;
    primary.end().await;
    let (_, refused) = server.try_join(ANN, ticket).await;
    assert_eq!(refused.unwrap_err().code, FaultCode::PermissionDenied, "its session is over");
    assert_alive(&mut other.client).await;
}

#[tokio::test(start_paused = true)]
async fn a_ticket_is_given_only_where_streams_may_join_and_to_whoever_knows_of_it() {
    let mut old = World::silent(Server::of(4).options(ANN));
    let welcome = old.client.try_greet(hello(PROTOCOL_VERSION, Limits::OURS)).await.unwrap();
    assert_eq!((welcome.ticket, welcome.capabilities), (None, Vec::new()));
    for options in [Server::of(1).options(ANN), SessionOptions::default()] {
        let mut single = World::silent(options.clone());
        let welcome = single.client.try_greet(hello_with_streams(None)).await.unwrap();
        assert_eq!((welcome.ticket, welcome.capabilities), (None, Vec::new()));
        let mut joining = World::silent(options);
        assert!(joining.client.try_greet(hello_with_streams(Some(Ticket([0; 16])))).await.is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn f43_what_breaks_the_rules_of_numbers_ends_the_session() {
    for case in 0..5 {
        let (mut primary, mut second) = Server::of(4).pair().await;
        let _exchange = upload(&mut primary).await;
        match case {
            // Without a number.
            0 => second.client.say(1, piece(0, 1)).await,
            1 => second.client.say(9, Session::from(Ping {})).await,
            // Down, and twice.
            2 => {
                second.client.say_numbered(4, 1, piece(0, 1)).await;
                second.client.say_numbered(3, 1, piece(0, 1)).await;
            }
            3 => {
                second.client.say_numbered(4, 1, piece(0, 1)).await;
                primary.client.say_numbered(4, 1, piece(0, 1)).await;
            }
            _ => second.client.bytes(&[0, 0, 0, 1, 0xc1]).await,
        }
        let (0, Answer::Fault(fault)) = primary.client.hear().await else { panic!("case {case}") };
        assert_eq!(fault.code, FaultCode::Malformed);
        assert!(matches!(primary.end().await, SessionEnd::Broken(_)), "case {case}");
        second.client.hear_end().await;
        assert!(matches!(second.end().await, SessionEnd::Joined));
    }
}

/// Chapter 16: what goes on which stream binds a sender alone.
#[tokio::test(start_paused = true)]
async fn a_receiver_takes_what_a_stream_brings_whether_it_belongs_there_or_not() {
    let (mut primary, mut second) = Server::of(4).pair().await;
    let mut exchange = upload(&mut primary).await;
    // Number 0, and control in its turn, on a stream that has joined.
    second.client.say_numbered(0, 1, piece(0, 1)).await;
    assert_eq!(next_offset(&mut exchange).await, 0);
    second.client.say_numbered(2, 7, Session::from(Ping {})).await;
    second.client.say_numbered(3, 2, control()).await;
    assert_alive(&mut primary.client).await;
    // Control with a number and bulk without one on the primary stream.
    primary.client.say_numbered(1, 8, Session::from(Ping {})).await;
    for (number, id) in [(0, 8), (1, 7)] {
        assert!(
            matches!(primary.client.hear().await, (0, Answer::Numbered(heard)) if heard.number == number)
        );
        assert!(matches!(primary.client.hear().await, (heard, Answer::Pong(_)) if heard == id));
    }
    let (_, asking) = primary.request().await;
    asking.answers.send(Done {}).await.unwrap();
    assert!(matches!(primary.client.hear().await, (2, Answer::Done(_))));
    second.client.say_numbered(5, 1, piece(2, 1)).await;
    primary.client.say(1, piece(1, 1)).await;
    assert_eq!(next_offset(&mut exchange).await, 1, "at once");
    primary.client.say_numbered(4, 0, Session::from(Ping {})).await;
    assert_eq!(next_offset(&mut exchange).await, 2);
}

#[tokio::test(start_paused = true)]
async fn f44_a_stream_that_is_too_far_ahead_waits_and_nothing_of_it_is_lost() {
    const PIECE: usize = 64 * 1024;
    let (mut primary, mut second) = Server::of(4).pair().await;
    let mut exchange = upload(&mut primary).await;
    let mut said = 0;
    while timeout(Duration::from_secs(1), second.client.say_numbered(said + 1, 1, piece(said + 1, PIECE)))
        .await
        .is_ok()
    {
        said += 1;
        assert!(said < 100, "without end");
    }
    // What the pipe and one read hold, besides.
    assert!(said as usize * PIECE <= HELD_BYTES_MAX + 512 * 1024, "{said} frames");
    assert_alive(&mut primary.client).await;
    primary.client.say_numbered(0, 1, piece(0, PIECE)).await;
    for offset in 0..=said {
        assert_eq!(next_offset(&mut exchange).await, offset);
    }
}

#[tokio::test(start_paused = true)]
async fn the_primary_stream_waits_as_well_where_it_is_too_far_ahead() {
    const PIECE: usize = 60_000;
    let (mut primary, mut second) = Server::of(4).pair().await;
    let mut exchange = upload(&mut primary).await;
    primary.client.say_numbered(0, 1, piece(0, PIECE)).await;
    let frames = 2 + HELD_BYTES_MAX / PIECE;
    let mut ahead = Vec::new();
    for number in 2..2 + frames as u64 {
        let said =
            timeout(Duration::from_secs(1), primary.client.say_numbered(number, 1, piece(number, PIECE)));
        if said.await.is_err() {
            break;
        }
        ahead.push(number);
    }
    // Its answers still go out while it waits.
    assert_eq!(next_offset(&mut exchange).await, 0);
    exchange
        .answers
        .send(towpath_protocol::answer::UploadAck { received: 1, credit_bytes: UPLOAD_CREDIT_BYTES_MAX })
        .await
        .unwrap();
    assert!(matches!(primary.client.hear().await, (1, Answer::UploadAck(_))));
    second.client.say_numbered(1, 1, piece(1, PIECE)).await;
    for offset in (1..2).chain(ahead) {
        assert_eq!(next_offset(&mut exchange).await, offset);
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_loses_one_of_its_streams_is_lost() {
    let (mut primary, second) = Server::of(4).pair().await;
    let exchange = upload(&mut primary).await;
    drop(second.client);
    assert!(matches!(primary.end().await, SessionEnd::Lost(_)));
    assert!(exchange.lost.is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn whoever_loses_its_right_loses_all_streams() {
    let server = Server::of(4);
    let revocation = Revocation::default();
    let options = SessionOptions { revocation: revocation.clone(), ..server.options(ANN) };
    let (mut primary, ticket) = server.session_with(options).await;
    let mut second = server.join(ticket).await;
    revocation.revoke(FaultCode::NotPaired.into());
    assert_eq!(primary.client.hear_fault().await, (0, FaultCode::NotPaired));
    assert!(matches!(primary.end().await, SessionEnd::Revoked(_)));
    second.client.hear_end().await;
}

#[tokio::test(start_paused = true)]
async fn bye_waits_for_what_other_streams_still_bring() {
    let (mut primary, mut second) = Server::of(4).pair().await;
    let mut exchange = upload(&mut primary).await;
    primary.client.say_numbered(0, 1, piece(0, 1)).await;
    primary.client.say_numbered(2, 0, Session::from(Bye {})).await;
    assert_eq!(next_offset(&mut exchange).await, 0);
    // It has not been heard: new requests are taken.
    primary.client.say(2, control()).await;
    let (_, asking) = primary.request().await;
    asking.answers.send(Done {}).await.unwrap();
    assert!(matches!(primary.client.hear().await, (2, Answer::Done(_))));
    second.client.say_numbered(1, 1, piece(1, 1)).await;
    assert_eq!(next_offset(&mut exchange).await, 1);
    assert!(exchange.inputs.recv().await.is_none(), "nothing comes behind Bye");
    exchange.answers.send(Done {}).await.unwrap();
    assert!(matches!(primary.client.hear().await, (1, Answer::Done(_))));
    drop(exchange);
    assert!(matches!(primary.client.hear().await, (0, Answer::Bye(_) | Answer::Numbered(_))));
    assert!(matches!(primary.end().await, SessionEnd::Bye));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_from_one_stream_is_left_after_a_while() {
    let server = Server::of(4);
    let options = SessionOptions { stall: Duration::from_secs(30), ..server.options(ANN) };
    let (mut primary, ticket) = server.session_with(options).await;
    let _second = server.join(ticket).await;
    primary.client.say(1, bulk()).await;
    let (_, reading) = primary.request().await;
    tokio::spawn(async move {
        let mut offset = 0;
        while reading.answers.send(data(offset)).await.is_ok() && !reading.cancel.is_cancelled() {
            offset += 64 * 1024;
        }
    });
    // The primary stream is read all the while, and time passes.
    let mut bytes = vec![0; 64 * 1024];
    while primary.client.stream.read(&mut bytes).await.unwrap() > 0 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(matches!(primary.end().await, SessionEnd::Stalled));
}

#[tokio::test(start_paused = true)]
async fn nobody_joins_a_session_that_is_ending() {
    let server = Server::of(4);
    let revocation = Revocation::default();
    let options = SessionOptions { revocation: revocation.clone(), ..server.options(ANN) };
    let (mut primary, ticket) = server.session_with(options).await;
    // Its work takes its time to stop, and the session waits for that.
    let held = primary.may_end.clone().acquire_owned().await.unwrap();
    let exchange = upload(&mut primary).await;
    revocation.revoke(FaultCode::NotPaired.into());
    assert_eq!(primary.client.hear_fault().await, (0, FaultCode::NotPaired));
    let (_, refused) = server.try_join(ANN, ticket).await;
    assert_eq!(refused.unwrap_err().code, FaultCode::PermissionDenied);
    assert!(!primary.session.is_finished());
    drop((held, exchange));
    assert!(matches!(primary.end().await, SessionEnd::Revoked(_)));
}
