//! Preambles, Hello and Welcome: what is said, by when, and what else is refused.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use towpath_files::session::{SessionEnd, SessionOptions};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::hello::{Limits, PREAMBLE, PROTOCOL_VERSION};
use towpath_protocol::limits::{FRAME_BYTES_MAX_BEFORE_HELLO, HELLO_SECONDS_MAX};
use towpath_protocol::message::{Bye, Ping, Session};

use super::world::{ToServerMessage, World, control, hello};

const HELLO_TIME: Duration = Duration::from_secs(HELLO_SECONDS_MAX);

#[tokio::test(start_paused = true)]
async fn the_server_greets_without_being_asked() {
    let mut world = World::silent(SessionOptions::default());
    world.client.hear_preamble().await;
}

#[tokio::test(start_paused = true)]
async fn the_limits_of_a_session_are_the_lower_ones_of_both_sides() {
    let mut world = World::silent(SessionOptions::default());
    let theirs = Limits { frame_bytes: 0, requests_in_flight: 7, upload_credit_bytes: u64::MAX };
    let welcome = world.client.greet(theirs).await;
    assert_eq!(welcome.limits, Limits { requests_in_flight: 7, ..Limits::OURS });
    assert_eq!(world.log.lines(), ["connected test/1"]);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_stays_silent_is_left_in_time() {
    let mut world = World::silent(SessionOptions::default());
    let began = Instant::now();
    world.client.hear_preamble().await;
    world.client.hear_end().await;
    assert_eq!(began.elapsed(), HELLO_TIME);
    drop(world.client);
    assert!(matches!(world.session.await.unwrap(), SessionEnd::HelloLate));
}

#[tokio::test(start_paused = true)]
async fn a_hello_that_trickles_in_has_one_deadline_for_all_its_bytes() {
    let mut world = World::silent(SessionOptions::default());
    let began = Instant::now();
    for byte in PREAMBLE.iter().chain(&[0, 0, 64]) {
        if world.client.stream.write_all(&[*byte]).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
    assert!(matches!(world.end().await, SessionEnd::HelloLate));
    assert!(began.elapsed() >= HELLO_TIME && began.elapsed() < 5 * HELLO_TIME);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_no_bytes_cannot_hold_up_the_greeting() {
    let mut world = World::silent_over(4, SessionOptions::default());
    world.client.bytes(&PREAMBLE[..4]).await;
    assert!(matches!(world.end().await, SessionEnd::HelloLate));
}

#[tokio::test(start_paused = true)]
async fn a_browser_is_told_apart_at_its_first_bytes() {
    for said in [&b"GET / HTTP/1.1\r\n"[..], b"SSH-2.0-x", b"\n", b"TOWPATH2", b"TOX"] {
        let mut world = World::silent(SessionOptions::default());
        let began = Instant::now();
        world.client.bytes(said).await;
        world.client.hear_preamble().await;
        world.client.hear_end().await;
        assert_eq!(began.elapsed(), Duration::ZERO);
        drop(world.client);
        match world.session.await.unwrap() {
            SessionEnd::NotTowpath { said: kept } => assert!(said.starts_with(&kept) && kept.len() <= 8),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_stranger_says_reaches_the_log_escaped() {
    let mut world = World::silent(SessionOptions::default());
    world.client.hear_preamble().await;
    world.client.bytes(b"\x1b[2J\x9b").await;
    drop(world.client.stream);
    world.session.await.unwrap();
    assert_eq!(world.log.lines(), [r"left: not a Towpath client: it began with '\x1b[2J\x9b'"]);
}

#[tokio::test(start_paused = true)]
async fn a_frame_beyond_the_first_limit_is_refused_by_its_header() {
    let mut world = World::silent(SessionOptions::default());
    world.client.bytes(PREAMBLE).await;
    world.client.bytes(&(FRAME_BYTES_MAX_BEFORE_HELLO as u32 + 1).to_be_bytes()).await;
    world.client.hear_preamble().await;
    assert_eq!(world.client.hear_fault().await, (0, FaultCode::Malformed));
    world.client.hear_end().await;
}

#[tokio::test(start_paused = true)]
async fn another_version_is_refused_in_words() {
    let mut world = World::silent(SessionOptions::default());
    world.client.bytes(PREAMBLE).await;
    world.client.say(9, hello(PROTOCOL_VERSION + 1, Limits::OURS)).await;
    world.client.hear_preamble().await;
    assert_eq!(world.client.hear_fault().await, (9, FaultCode::Unsupported));
    world.client.hear_end().await;
    drop(world.client);
    let end = world.session.await.unwrap().to_string();
    assert!(end.contains("speaks protocol 1, the client 2"), "{end}");
}

#[tokio::test(start_paused = true)]
async fn nothing_but_hello_opens_a_session() {
    let ping = ToServerMessage::from(Session::from(Ping {}));
    for first in [ping, Session::from(Bye {}).into(), control().into()] {
        let mut world = World::silent(SessionOptions::default());
        world.client.bytes(PREAMBLE).await;
        world.client.say(3, first).await;
        world.client.hear_preamble().await;
        assert_eq!(world.client.hear_fault().await, (3, FaultCode::OutOfOrder));
        world.client.hear_end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_comes_together_with_hello_is_answered_after_it() {
    let mut world = World::silent(SessionOptions::default());
    world.client.bytes(PREAMBLE).await;
    world.client.say(0, hello(PROTOCOL_VERSION, Limits::OURS)).await;
    world.client.say(1, control()).await;
    assert_eq!(world.request().await.0, control());
}

#[tokio::test(start_paused = true)]
async fn a_full_server_says_that_it_is_full() {
    let mut world = World::shut(Fault::new(FaultCode::LimitExceeded));
    world.client.bytes(PREAMBLE).await;
    world.client.say(0, hello(PROTOCOL_VERSION, Limits::OURS)).await;
    world.client.hear_preamble().await;
    assert_eq!(world.client.hear_fault().await, (0, FaultCode::LimitExceeded));
    world.client.hear_end().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_leaves_waits_for_no_greeting() {
    let drain = CancellationToken::new();
    let mut world = World::silent(SessionOptions { drain: drain.clone(), ..SessionOptions::default() });
    world.client.hear_preamble().await;
    drain.cancel();
    let mut rest = Vec::new();
    let began = Instant::now();
    world.client.stream.read_to_end(&mut rest).await.unwrap();
    assert_eq!((rest.len(), began.elapsed()), (0, Duration::ZERO));
}
