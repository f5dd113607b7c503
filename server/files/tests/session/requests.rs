//! Requests and what is said within them: ids, limits, cancel, broken frames, panics.

use bytes::Bytes;
use towpath_files::exchange::INPUTS_QUEUED_MAX;
use towpath_files::session::{SessionEnd, SessionOptions};
use towpath_protocol::answer::{Done, SpaceInfo, UploadAck, UploadReady};
use towpath_protocol::fault::FaultCode;
use towpath_protocol::hello::{Limits, PROTOCOL_VERSION};
use towpath_protocol::input::{AbortUpload, Cancel, More, UploadData};
use towpath_protocol::message::{Answer, Input, Ping, Pong, Session};
use towpath_protocol::request::UploadToken;

use super::world::{World, bulk, control, fault, hello};

/// The content of one frame.
static FULL: [u8; 64 * 1024] = [7; 64 * 1024];

/// `[kind, id, body]` with its length in front.
fn frame(kind: u8, id: u8, body: &[u8]) -> Vec<u8> {
    let message = [&[0x93, 0xcc, kind, id][..], body].concat();
    [&(message.len() as u32).to_be_bytes()[..], &message].concat()
}

fn cancel() -> Input {
    Cancel {}.into()
}

async fn ping(world: &mut World) {
    world.client.say(77, Session::from(Ping {})).await;
    assert_eq!(world.client.hear().await, (77, Pong {}.into()));
}

#[tokio::test(start_paused = true)]
async fn answers_come_under_their_ids_in_whatever_order_the_work_ends() {
    let mut world = World::open(SessionOptions::default()).await;
    for id in [5, 6] {
        world.client.say(id, control()).await;
    }
    let (_, first) = world.request().await;
    let (_, second) = world.request().await;
    second.answers.send(SpaceInfo { free: 2, total: 2 }).await.unwrap();
    assert_eq!(world.client.hear().await, (6, SpaceInfo { free: 2, total: 2 }.into()));
    first.answers.send(Done {}).await.unwrap();
    assert_eq!(world.client.hear().await, (5, Done {}.into()));
}

#[tokio::test(start_paused = true)]
async fn an_unknown_kind_is_refused_and_the_session_lives_on() {
    let mut world = World::open(SessionOptions::default()).await;
    world.client.bytes(&frame(99, 4, &[0x80])).await;
    assert_eq!(world.client.hear_fault().await, (4, FaultCode::Unsupported));
    ping(&mut world).await;
}

#[tokio::test(start_paused = true)]
async fn a_broken_body_is_refused_and_the_session_lives_on() {
    let mut world = World::open(SessionOptions::default()).await;
    world.client.bytes(&frame(16, 4, &[0x80])).await;
    assert_eq!(world.client.hear_fault().await, (4, FaultCode::Malformed));
    ping(&mut world).await;
}

#[tokio::test(start_paused = true)]
async fn bytes_left_over_in_a_frame_end_the_session() {
    let mut world = World::open(SessionOptions::default()).await;
    world.client.bytes(&frame(3, 4, &[0x80, 0x80])).await;
    assert_eq!(world.client.hear_fault().await, (0, FaultCode::Malformed));
    world.client.hear_end().await;
    drop(world.client);
    assert!(matches!(world.session.await.unwrap(), SessionEnd::Broken(_)));
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_is_too_long_ends_the_session_by_its_header() {
    let mut world = World::open(SessionOptions::default()).await;
    world.client.bytes(&(Limits::OURS.frame_bytes + 1).to_be_bytes()).await;
    assert_eq!(world.client.hear_fault().await, (0, FaultCode::Malformed));
    world.client.hear_end().await;
}

#[tokio::test(start_paused = true)]
async fn a_request_without_an_id_is_refused() {
    let mut world = World::open(SessionOptions::default()).await;
    world.client.say(0, control()).await;
    assert_eq!(world.client.hear_fault().await, (0, FaultCode::OutOfOrder));
    ping(&mut world).await;
}

#[tokio::test(start_paused = true)]
async fn an_id_that_is_used_twice_gets_one_final_answer_once_the_work_has_stopped() {
    let mut world = World::open(SessionOptions::default()).await;
    world.client.say(1, control()).await;
    let (_, exchange) = world.request().await;
    world.client.say(1, control()).await;
    exchange.cancel.cancelled().await;
    ping(&mut world).await;
    exchange.answers.send(SpaceInfo { free: 1, total: 1 }).await.unwrap();
    assert_eq!(world.client.hear_fault().await, (1, FaultCode::OutOfOrder));
    world.client.say(1, control()).await;
    let (_, again) = world.request().await;
    again.answers.send(Done {}).await.unwrap();
    assert_eq!(world.client.hear().await, (1, Done {}.into()));
}

#[tokio::test(start_paused = true)]
async fn an_id_is_free_again_the_moment_its_final_answer_is_heard() {
    let mut world = World::open(SessionOptions::default()).await;
    for _ in 0..1000 {
        world.client.say(1, control()).await;
        let (_, exchange) = world.request().await;
        exchange.answers.send(Done {}).await.unwrap();
        assert_eq!(world.client.hear().await, (1, Done {}.into()));
    }
}

#[tokio::test(start_paused = true)]
async fn data_that_breaks_the_rules_ends_its_upload_and_nothing_else() {
    let mut world = World::open(SessionOptions::default()).await;
    world.client.say(1, control()).await;
    let (_, mut exchange) = world.request().await;
    // UploadData without a byte.
    world.client.bytes(&frame(34, 1, &[0x92, 0x00, 0xc4, 0x00])).await;
    exchange.cancel.cancelled().await;
    assert_eq!(exchange.inputs.recv().await, None);
    exchange.answers.send(fault(FaultCode::Cancelled)).await.unwrap();
    assert_eq!(world.client.hear_fault().await, (1, FaultCode::Malformed));
    ping(&mut world).await;
}

#[tokio::test(start_paused = true)]
async fn one_request_more_than_agreed_is_refused_until_a_slot_is_free() {
    let mut world = World::silent(SessionOptions::default());
    world.client.greet(Limits { requests_in_flight: 4, ..Limits::OURS }).await;
    let mut open = Vec::new();
    for id in 1..=4 {
        world.client.say(id, control()).await;
        open.push(world.request().await.1);
    }
    world.client.say(5, control()).await;
    assert_eq!(world.client.hear_fault().await, (5, FaultCode::LimitExceeded));

    // A cancel frees no slot before the work has stopped.
    world.client.say(2, cancel()).await;
    open[1].cancel.cancelled().await;
    world.client.say(6, control()).await;
    assert_eq!(world.client.hear_fault().await, (6, FaultCode::LimitExceeded));
    open[1].answers.send(fault(FaultCode::Cancelled)).await.unwrap();
    assert_eq!(world.client.hear_fault().await, (2, FaultCode::Cancelled));
    world.client.say(7, control()).await;
    assert_eq!(world.request().await.0, control());
    assert!(!open[0].cancel.is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn f70_as_many_requests_as_may_be_open_are_worked_on_whatever_they_wait_for() {
    let mut world = World::open(SessionOptions::default()).await;
    let open_max = Limits::OURS.requests_in_flight;
    let mut served = Vec::new();
    for id in 1..=open_max {
        world.client.say(id, if id % 2 == 0 { bulk() } else { control() }).await;
        served.push(world.request().await.1);
    }
    world.client.say(40, cancel()).await;
    served[39].cancel.cancelled().await;
    served[39].answers.send(fault(FaultCode::Cancelled)).await.unwrap();
    assert_eq!(world.client.hear_fault().await, (40, FaultCode::Cancelled));
}

#[tokio::test(start_paused = true)]
async fn inputs_arrive_in_order_and_those_for_no_open_request_are_ignored() {
    let mut world = World::open(SessionOptions::default()).await;
    for stray in [cancel(), More { pages: 1 }.into(), AbortUpload { keep: false }.into()] {
        world.client.say(9, stray).await;
    }
    world.client.say(1, control()).await;
    let (_, mut exchange) = world.request().await;
    for pages in 1..=100 {
        world.client.say(1, Input::from(More { pages })).await;
    }
    for pages in 1..=100 {
        assert_eq!(exchange.inputs.recv().await, Some(More { pages }.into()));
    }
}

#[tokio::test(start_paused = true)]
async fn inputs_beyond_all_credit_end_the_session() {
    let mut world = World::open(SessionOptions::default()).await;
    world.client.say(1, control()).await;
    let (_, exchange) = world.request().await;
    let data = Bytes::from_static(&[1]);
    for offset in 0..=INPUTS_QUEUED_MAX as u64 {
        world.client.say(1, Input::from(UploadData { offset, data: data.clone() })).await;
    }
    assert_eq!(world.client.hear_fault().await, (0, FaultCode::LimitExceeded));
    exchange.cancel.cancelled().await;
    drop(exchange);
    world.client.hear_end().await;
    drop(world.client);
    assert!(matches!(world.session.await.unwrap(), SessionEnd::Violation(_)));
}

#[tokio::test(start_paused = true)]
async fn f71_data_beyond_its_credit_ends_its_upload_and_is_not_kept() {
    let mut world = World::open(SessionOptions::default()).await;
    world.client.say(1, control()).await;
    let (_, mut exchange) = world.request().await;
    let ready = UploadReady {
        token: UploadToken([0; 16]),
        offset: 0,
        kept: None,
        credit_bytes: 2 * FULL.len() as u64,
        basis: false,
    };
    exchange.answers.send(ready).await.unwrap();
    assert!(matches!(world.client.hear().await, (1, Answer::UploadReady(_))));
    let say = async |world: &mut World, number: u64| {
        let data = UploadData { offset: number * FULL.len() as u64, data: Bytes::from_static(&FULL) };
        world.client.say(1, Input::from(data)).await;
    };
    say(&mut world, 0).await;
    say(&mut world, 1).await;
    assert!(exchange.inputs.recv().await.is_some());
    // Acknowledged bytes free credit; taken ones alone do not.
    let (received, credit_bytes) = (FULL.len() as u64, 2 * FULL.len() as u64);
    exchange.answers.send(UploadAck { received, credit_bytes }).await.unwrap();
    assert!(matches!(world.client.hear().await, (1, Answer::UploadAck(_))));
    say(&mut world, 2).await;
    ping(&mut world).await;
    assert!(!exchange.cancel.is_cancelled());
    say(&mut world, 3).await;
    exchange.cancel.cancelled().await;
    for _ in 0..1000 {
        say(&mut world, 4).await;
    }
    let mut kept = 0;
    while exchange.inputs.recv().await.is_some() {
        kept += 1;
    }
    assert_eq!(kept, 2, "as many as there was credit for");
    exchange.answers.send(fault(FaultCode::Cancelled)).await.unwrap();
    assert_eq!(world.client.hear_fault().await, (1, FaultCode::LimitExceeded));
    ping(&mut world).await;
}

#[tokio::test(start_paused = true)]
async fn a_second_hello_ends_the_session() {
    let mut world = World::open(SessionOptions::default()).await;
    world.client.say(0, hello(PROTOCOL_VERSION, Limits::OURS)).await;
    assert_eq!(world.client.hear_fault().await, (0, FaultCode::OutOfOrder));
    world.client.hear_end().await;
}
