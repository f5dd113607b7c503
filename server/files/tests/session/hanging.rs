//! Streams of a session that hang: what they should bring is missed, and that has an end.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use towpath_files::session::{SessionEnd, SessionOptions};
use towpath_protocol::fault::FaultCode;
use towpath_protocol::message::{Answer, Ping, Session};

use super::streams::{ANN, Server, assert_alive, next_offset, piece, upload};

#[tokio::test(start_paused = true)]
async fn f48_a_stream_that_hangs_ends_the_session_and_one_that_is_slow_does_not() {
    let server = Server::of(4);
    let options = SessionOptions { stall: Duration::from_secs(40), ..server.options(ANN) };
    let (mut primary, ticket) = server.session_with(options).await;
    let mut second = server.join(ticket).await;
    let mut exchange = upload(&mut primary).await;
    for number in 0..5 {
        primary.client.say_numbered(2 * number + 1, 1, piece(2 * number + 1, 1)).await;
        sleep(Duration::from_secs(30)).await;
        second.client.say_numbered(2 * number, 1, piece(2 * number, 1)).await;
        for offset in [2 * number, 2 * number + 1] {
            assert_eq!(next_offset(&mut exchange).await, offset);
        }
    }
    sleep(Duration::from_secs(200)).await;
    assert_alive(&mut primary.client).await;
    primary.client.say_numbered(11, 1, piece(11, 1)).await;
    let began = Instant::now();
    let (0, Answer::Fault(fault)) = primary.client.hear().await else { panic!("no fault") };
    assert_eq!(fault.code, FaultCode::TimedOut);
    assert!(fault.detail.to_string().contains("brought nothing for 40 seconds"), "{fault}");
    assert!((40..=50).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    assert!(matches!(primary.end().await, SessionEnd::Hanging { seconds: 40 }));
    assert!(exchange.cancel.is_cancelled());
    second.client.hear_end().await;
}

#[tokio::test(start_paused = true)]
async fn a_ping_with_a_number_is_answered_in_its_turn_and_shows_that_the_last_frames_are_missing() {
    let server = Server::of(4);
    let options = SessionOptions { stall: Duration::from_secs(40), ..server.options(ANN) };
    let (mut primary, ticket) = server.session_with(options).await;
    let mut second = server.join(ticket).await;
    let mut exchange = upload(&mut primary).await;
    primary.client.say_numbered(1, 7, Session::from(Ping {})).await;
    assert_alive(&mut primary.client).await;
    second.client.say_numbered(0, 1, piece(0, 1)).await;
    assert_eq!(next_offset(&mut exchange).await, 0);
    assert!(matches!(primary.client.hear().await, (0, Answer::Numbered(numbered)) if numbered.number == 0));
    assert!(matches!(primary.client.hear().await, (7, Answer::Pong(_))));
    // Nothing else comes behind what the other stream does not bring.
    primary.client.say_numbered(3, 0, Session::from(Ping {})).await;
    assert_eq!(primary.client.hear_fault().await, (0, FaultCode::TimedOut));
    assert!(matches!(primary.end().await, SessionEnd::Hanging { .. }));
}

#[tokio::test(start_paused = true)]
async fn f43_whoever_asks_in_turn_without_end_and_takes_no_answer_is_left() {
    let (mut primary, _second) = Server::of(4).pair().await;
    let asking = async {
        for number in 0.. {
            primary.client.say_numbered(number, 0, Session::from(Ping {})).await;
        }
    };
    tokio::select! {
        biased;
        end = &mut primary.session => assert!(matches!(end.unwrap(), SessionEnd::Violation(_))),
        () = asking => {}
    }
}
