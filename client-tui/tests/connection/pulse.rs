//! The pulse of a connection, and its orderly end.

use std::time::Duration;

use tokio::time::{Instant, advance, timeout};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::message::{Bye, Pong, RequestId, Session, ToServer};

use crate::peer::{list, session, stat};

#[tokio::test(start_paused = true)]
async fn a_quiet_server_is_asked_and_its_answer_is_timed() {
    let (link, mut peer) = session(1024, 4).await;
    let began = Instant::now();
    for round in 1..=10 {
        let Some((id, ToServer::Session(Session::Ping(_)))) = peer.next().await else { panic!("no Ping") };
        assert_eq!(began.elapsed().as_secs(), round * 15);
        advance(Duration::from_millis(3)).await;
        peer.say(id, Pong {}).await;
        tokio::task::yield_now().await;
        tokio::time::sleep(Duration::from_millis(1)).await;
        let round_trip = link.round_trip().unwrap();
        assert!((3..5).contains(&round_trip.as_millis()), "{round_trip:?}");
    }
    assert!(!link.is_lost());
}

#[tokio::test(start_paused = true)]
async fn a_server_silent_for_45_seconds_is_gone() {
    let (link, _peer) = session(1024, 4).await;
    let mut exchange = link.open(stat("x"));
    let began = Instant::now();
    let fault = exchange.next().await.unwrap_err();
    assert_eq!((fault.code, began.elapsed().as_secs()), (FaultCode::Disconnected, 45));
    assert_eq!(fault.detail, "nothing was heard for 45 seconds");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_something_now_and_then_is_there() {
    let (link, mut peer) = session(1024, 4).await;
    let mut exchange = link.open(stat("x"));
    let (id, _) = peer.request().await;
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_secs(40)).await;
        peer.say(RequestId(4_000_000_000), Pong {}).await;
    }
    peer.say(id, Fault::new(FaultCode::NotFound)).await;
    assert_eq!(exchange.next().await.unwrap_err().code, FaultCode::NotFound);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_was_stopped_for_long_asks_before_it_gives_up() {
    let (link, mut peer) = session(1024, 4).await;
    for _ in 0..3 {
        // All of it at once: nobody was listening meanwhile.
        advance(Duration::from_mins(10)).await;
        let Some((id, ToServer::Session(Session::Ping(_)))) = peer.next().await else { panic!("no Ping") };
        peer.say(id, Pong {}).await;
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!(!link.is_lost());
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_ends_in_order() {
    let (link, mut peer) = session(1024, 4).await;
    let mut exchange = link.open(stat("x"));
    peer.request().await;
    let began = Instant::now();
    let ((), ()) = tokio::join!(link.bye(), async {
        assert!(matches!(peer.next().await, Some((RequestId::NONE, ToServer::Session(Session::Bye(_))))));
        assert!(peer.next().await.is_none(), "nothing comes after Bye");
        peer.say(RequestId::NONE, Bye {}).await;
    });
    assert!(began.elapsed().is_zero());
    let fault = exchange.next().await.unwrap_err();
    assert_eq!((fault.code, &*fault.detail.to_string()), (FaultCode::Disconnected, "the session was ended"));
    assert_eq!(link.open(stat("late")).next().await.unwrap_err().code, FaultCode::Disconnected);
}

#[tokio::test(start_paused = true)]
async fn a_session_ends_although_the_server_does_not_answer() {
    let (link, mut peer) = session(1024, 4).await;
    let _unanswered = link.open(stat("x"));
    peer.request().await;
    let began = Instant::now();
    link.bye().await;
    assert_eq!(began.elapsed().as_secs(), 2);
}

#[tokio::test(start_paused = true)]
async fn where_all_is_answered_the_end_is_said_and_not_waited_for() {
    let (link, mut peer) = session(1024, 4).await;
    let began = Instant::now();
    link.bye().await;
    assert!(began.elapsed().is_zero());
    assert!(matches!(peer.next().await, Some((RequestId::NONE, ToServer::Session(Session::Bye(_))))));
    assert!(peer.next().await.is_none(), "nothing comes after Bye");
}

#[tokio::test(start_paused = true)]
async fn an_exchange_keeps_its_connection() {
    let (link, mut peer) = session(1024, 4).await;
    let lost = link.lost();
    let mut exchange = link.open(list(1));
    drop(link);
    let (id, _) = peer.request().await;
    assert!(timeout(Duration::from_secs(1), peer.next()).await.is_err());
    peer.say(id, Fault::new(FaultCode::NotFound)).await;
    assert_eq!(exchange.next().await.unwrap_err().code, FaultCode::NotFound);
    drop(exchange);
    assert!(matches!(peer.next().await, Some((RequestId::NONE, ToServer::Session(Session::Bye(_))))));
    peer.say(RequestId::NONE, Bye {}).await;
    assert_eq!(lost.await.detail, "the session was ended");
}
