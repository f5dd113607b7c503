//! What is met at the other end, in words.

use towpath::link::{BEGIN_TIME, GreetingFault, Link};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::frame::encode_answer;
use towpath_protocol::hello::{Limits, PREAMBLE, PREAMBLE_NOISE_BYTES_MAX, Welcome};
use towpath_protocol::message::{Answer, RequestId};

use crate::peer::{greeted_with, pipe, welcome};

fn framed(answer: impl Into<Answer>) -> Vec<u8> {
    [&PREAMBLE[..], &encode_answer(RequestId(1), &answer.into()).unwrap().head].concat()
}

#[tokio::test(start_paused = true)]
async fn other_servers_are_told_by_their_name() {
    let said = |text: &'static str| greeted_with(text.as_bytes());
    assert!(matches!(said("HTTP/1.1 400 Bad Request\r\n\r\n").await, GreetingFault::WebServer));
    assert!(matches!(said("SSH-2.0-OpenSSH_10.0\r\n").await, GreetingFault::SshServer));
    assert!(matches!(greeted_with(&[0x15, 3, 1, 0, 2, 2, 40]).await, GreetingFault::TlsServer));
    assert!(matches!(said("").await, GreetingFault::ClosedAtOnce));
    let fault = said("bash: towd: \x1b[31mcommand not found\n").await;
    let text = "something else than towd answers there: 'bash: towd: \\x1b[31mcommand not found'";
    assert_eq!(fault.to_string(), text);
}

#[tokio::test(start_paused = true)]
async fn a_web_server_is_told_at_its_first_line() {
    let ((reader, writer), mut peer) = pipe(1024);
    peer.say_bytes(b"HTTP/1.1 ").await;
    let began = tokio::time::Instant::now();
    assert!(matches!(Link::over(reader, writer).await, Err(GreetingFault::WebServer)));
    assert!(began.elapsed().is_zero());
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_is_given_up_after_ten_seconds() {
    let ((reader, writer), _peer) = pipe(1024);
    let began = tokio::time::Instant::now();
    assert!(matches!(Link::over(reader, writer).await, Err(GreetingFault::Silent { seconds: 10 })));
    assert_eq!(began.elapsed(), BEGIN_TIME);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_talks_of_something_else_for_ten_seconds_is_given_up() {
    let ((reader, writer), mut peer) = pipe(1024);
    peer.say_bytes(b"login: ").await;
    let fault = Link::over(reader, writer).await.unwrap_err();
    assert_eq!(fault.to_string(), "something else than towd answers there: 'login:'");
}

#[tokio::test(start_paused = true)]
async fn endless_rubbish_is_given_up_early() {
    let fault = greeted_with(&[b'x'; 2 * PREAMBLE_NOISE_BYTES_MAX]).await;
    assert!(fault.to_string().ends_with("xxx…'"), "{fault}");
}

#[tokio::test(start_paused = true)]
async fn a_login_shells_chatter_is_skipped() {
    for noise in [&b"Welcome to box!\n"[..], b"TOWPATH", &[b'x'; PREAMBLE_NOISE_BYTES_MAX]] {
        let ((reader, writer), mut peer) = pipe(64 * 1024);
        let greeting = async {
            for piece in noise.chunks(5) {
                peer.say_bytes(piece).await;
            }
            peer.greet(welcome(8)).await;
        };
        let (link, ()) = tokio::join!(Link::over(reader, writer), greeting);
        assert_eq!(link.unwrap().welcome().limits.requests_in_flight, 8);
    }
}

#[tokio::test(start_paused = true)]
async fn another_version_is_told() {
    let refusal = Fault::new(FaultCode::Unsupported).because("this server speaks protocol 9");
    let fault = greeted_with(&framed(refusal)).await;
    assert!(matches!(&fault, GreetingFault::Version { .. }), "{fault}");
    assert!(fault.to_string().contains("protocol 9"));
    let fault = greeted_with(&framed(Welcome { protocol: 2, ..welcome(8) })).await;
    assert!(fault.to_string().contains("ours is 1, towd's is 2"), "{fault}");
    let fault = greeted_with(b"TOWPATH2").await;
    assert!(fault.to_string().contains("it says TOWPATH2"), "{fault}");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_told() {
    let fault =
        greeted_with(&framed(Fault::new(FaultCode::LimitExceeded).because("too many sessions"))).await;
    assert!(matches!(fault, GreetingFault::Refused(Fault { code: FaultCode::LimitExceeded, .. })));
    let fault = greeted_with(&framed(towpath_protocol::answer::Done {})).await;
    assert!(matches!(fault, GreetingFault::Broken(_)), "{fault}");
    let fault = greeted_with(PREAMBLE).await;
    assert!(matches!(fault, GreetingFault::Lost(_)), "{fault}");
    let fault = greeted_with(&[&PREAMBLE[..], &[0xff; 8]].concat()).await;
    assert!(matches!(fault, GreetingFault::Broken(_)), "{fault}");
}

#[tokio::test(start_paused = true)]
async fn a_server_never_raises_our_limits() {
    let ((reader, writer), mut peer) = pipe(64 * 1024);
    let limits = Limits { frame_bytes: u32::MAX, requests_in_flight: 0, upload_credit_bytes: u64::MAX };
    let greeting = peer.greet(Welcome { limits, ..welcome(8) });
    let (link, ()) = tokio::join!(Link::over(reader, writer), greeting);
    assert_eq!(link.unwrap().welcome().limits, Limits::OURS);
}
