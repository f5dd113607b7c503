//! How sessions end: in order, lost, drained, dropped; and that no work goes on for nobody.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use towpath_files::session::{SessionEnd, SessionOptions};
use towpath_protocol::answer::Done;
use towpath_protocol::fault::FaultCode;
use towpath_protocol::input::{Cancel, More};
use towpath_protocol::message::{Bye, Input, Session};

use super::world::{World, bulk, control, data, fault};

fn bye() -> Session {
    Bye {}.into()
}

fn draining() -> (CancellationToken, SessionOptions) {
    let drain = CancellationToken::new();
    (drain.clone(), SessionOptions { drain, ..SessionOptions::default() })
}

#[tokio::test(start_paused = true)]
async fn bye_is_answered_and_the_stream_closed() {
    let mut world = World::open(SessionOptions::default()).await;
    world.client.say(0, bye()).await;
    assert_eq!(world.client.hear().await, (0, Bye {}.into()));
    world.client.hear_end().await;
    drop(world.client);
    assert!(matches!(world.session.await.unwrap(), SessionEnd::Bye));
    assert_eq!(world.log.lines(), ["connected test/1", "left: said goodbye"]);
}

#[tokio::test(start_paused = true)]
async fn after_bye_running_requests_finish_and_hear_that_no_more_input_comes() {
    let mut world = World::open(SessionOptions::default()).await;
    world.client.say(1, control()).await;
    let (_, mut exchange) = world.request().await;
    world.client.say(0, bye()).await;
    assert_eq!(exchange.inputs.recv().await, None);
    assert!(!exchange.cancel.is_cancelled());
    world.client.say(2, control()).await;
    assert_eq!(world.client.hear_fault().await, (2, FaultCode::ShuttingDown));
    exchange.answers.send(Done {}).await.unwrap();
    assert_eq!(world.client.hear().await, (1, Done {}.into()));
    assert_eq!(world.client.hear().await, (0, Bye {}.into()));
    world.client.hear_end().await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_cancels_everything_and_closes_the_inputs() {
    let mut world = World::open(SessionOptions::default()).await;
    world.client.say(1, bulk()).await;
    let (_, mut reading) = world.request().await;
    reading.answers.send(data(0)).await.unwrap();
    drop(world.client);
    reading.cancel.cancelled().await;
    assert_eq!(reading.inputs.recv().await, None);
    // Answers go nowhere, but hold nobody up.
    for _ in 0..100 {
        reading.answers.send(data(0)).await.unwrap();
    }
    drop(reading);
    assert!(matches!(world.session.await.unwrap(), SessionEnd::Lost(_)));
}

#[tokio::test(start_paused = true)]
async fn a_connection_lost_within_a_frame_is_lost() {
    let mut world = World::open(SessionOptions::default()).await;
    world.client.bytes(&[0, 0, 1]).await;
    drop(world.client);
    assert!(matches!(world.session.await.unwrap(), SessionEnd::Lost(None)));
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_dropped_leaves_no_work_behind() {
    let mut world = World::open(SessionOptions::default()).await;
    world.client.say(1, control()).await;
    let (_, mut exchange) = world.request().await;
    world.session.abort();
    exchange.cancel.cancelled().await;
    assert_eq!(exchange.inputs.recv().await, None);
}

#[tokio::test(start_paused = true)]
async fn work_that_does_not_stop_does_not_keep_the_session() {
    let mut world = World::open(SessionOptions::default()).await;
    world.client.say(1, control()).await;
    let (_, stuck) = world.request().await;
    let began = Instant::now();
    drop(world.client);
    assert!(matches!(world.session.await.unwrap(), SessionEnd::Lost(_)));
    assert_eq!(began.elapsed(), Duration::from_secs(10));
    drop(stuck);
}

#[tokio::test(start_paused = true)]
async fn an_idle_session_is_told_bye_at_once_when_the_server_leaves() {
    let (drain, options) = draining();
    let mut world = World::open(options).await;
    let began = Instant::now();
    drain.cancel();
    assert_eq!(world.client.hear().await, (0, Bye {}.into()));
    world.client.hear_end().await;
    assert_eq!(began.elapsed(), Duration::ZERO);
    drop(world.client);
    assert!(matches!(world.session.await.unwrap(), SessionEnd::Drained));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_leaves_lets_running_requests_finish_with_their_inputs() {
    let (drain, options) = draining();
    let mut world = World::open(options).await;
    world.client.say(1, control()).await;
    let (_, mut exchange) = world.request().await;
    drain.cancel();
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.client.say(2, control()).await;
    assert_eq!(world.client.hear_fault().await, (2, FaultCode::ShuttingDown));
    world.client.say(1, Input::from(More { pages: 3 })).await;
    assert_eq!(exchange.inputs.recv().await, Some(More { pages: 3 }.into()));
    assert!(!exchange.cancel.is_cancelled());
    exchange.answers.send(Done {}).await.unwrap();
    assert_eq!(world.client.hear().await, (1, Done {}.into()));
    assert_eq!(world.client.hear().await, (0, Bye {}.into()));
}

#[tokio::test(start_paused = true)]
async fn work_that_takes_too_long_is_cancelled_and_says_so_before_bye() {
    let (drain, options) = draining();
    let mut world = World::open(options).await;
    world.client.say(1, control()).await;
    let (_, exchange) = world.request().await;
    let began = Instant::now();
    drain.cancel();
    exchange.cancel.cancelled().await;
    assert_eq!(began.elapsed(), Duration::from_secs(8));
    exchange.answers.send(fault(FaultCode::Cancelled)).await.unwrap();
    assert_eq!(world.client.hear_fault().await, (1, FaultCode::Cancelled));
    assert_eq!(world.client.hear().await, (0, Bye {}.into()));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_leaves_goes_without_the_work_that_does_not_stop() {
    let (drain, options) = draining();
    let mut world = World::open(options).await;
    world.client.say(1, control()).await;
    let (_, stuck) = world.request().await;
    let began = Instant::now();
    drain.cancel();
    assert_eq!(world.client.hear().await, (0, Bye {}.into()));
    assert!(began.elapsed() <= Duration::from_secs(10));
    drop(stuck);
}

#[tokio::test(start_paused = true)]
async fn cancel_passes_while_the_server_leaves() {
    let (drain, options) = draining();
    let mut world = World::open(options).await;
    world.client.say(1, control()).await;
    let (_, exchange) = world.request().await;
    let began = Instant::now();
    drain.cancel();
    world.client.say(1, Input::from(Cancel {})).await;
    exchange.cancel.cancelled().await;
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn only_a_client_that_asks_for_nothing_is_idle() {
    let idle = Some(Duration::from_mins(1));
    let mut world = World::open(SessionOptions { idle, ..SessionOptions::default() }).await;
    world.client.say(1, control()).await;
    let (_, exchange) = world.request().await;
    tokio::time::sleep(Duration::from_mins(5)).await;
    exchange.answers.send(Done {}).await.unwrap();
    assert_eq!(world.client.hear().await, (1, Done {}.into()));
    let began = Instant::now();
    assert_eq!(world.client.hear().await, (0, Bye {}.into()));
    assert_eq!(began.elapsed(), Duration::from_mins(1));
}
