//! What a session tells the log: one line a file, whatever the number of messages.

use bytes::Bytes;
use towpath_files::session::SessionOptions;
use towpath_protocol::answer::{Data, Done, FileWhole, ReadDone, ReadHead, Totals};
use towpath_protocol::fault::FaultCode;
use towpath_protocol::hash::Hash;
use towpath_protocol::input::Cancel;
use towpath_protocol::message::{Bye, Input, Request, Session};
use towpath_protocol::request::{Depth, OperationId, Remove};

use super::world::{World, at, control, fault, file_of, read};

/// Reads one range of a file of `size` bytes.
async fn read_range(world: &mut World, id: u32, path: &str, range: std::ops::Range<u64>, size: u64) {
    let len = range.end - range.start;
    world.client.say(id, read(path, range.start, len)).await;
    let (_, exchange) = world.request().await;
    exchange.answers.send(ReadHead { attributes: file_of(size), stored_bytes: None }).await.unwrap();
    let data = Bytes::from(vec![0; len as usize]);
    exchange.answers.send(Data { offset: range.start, data }).await.unwrap();
    exchange.answers.send(ReadDone { len, hash: None, grown: false }).await.unwrap();
    for _ in 0..3 {
        assert_eq!(world.client.hear().await.0, id);
    }
}

async fn leave(mut world: World) -> Vec<String> {
    world.client.say(0, Session::from(Bye {})).await;
    assert_eq!(world.client.hear().await, (0, Bye {}.into()));
    drop(world.client);
    world.session.await.unwrap();
    let lines = world.log.lines();
    assert_eq!(lines.first().map(String::as_str), Some("connected test/1"));
    assert_eq!(lines.last().map(String::as_str), Some("left: said goodbye"));
    lines[1..lines.len() - 1].to_vec()
}

#[tokio::test(start_paused = true)]
async fn ranges_of_one_file_are_one_download() {
    let mut world = World::open(SessionOptions::default()).await;
    read_range(&mut world, 1, "a/big", 0..100, 250).await;
    read_range(&mut world, 2, "a/big", 100..200, 250).await;
    read_range(&mut world, 3, "a/big", 200..250, 250).await;
    assert_eq!(leave(world).await, ["Download a/big 250 Complete"]);
}

#[tokio::test(start_paused = true)]
async fn ranges_in_flight_at_once_are_one_download_when_the_last_of_them_ends() {
    let mut world = World::open(SessionOptions::default()).await;
    let mut exchanges = Vec::new();
    for id in 1..=3 {
        world.client.say(id, read("big", u64::from(id - 1) * 100, 100)).await;
        exchanges.push(world.request().await.1);
    }
    for exchange in exchanges.iter().rev() {
        exchange.answers.send(ReadHead { attributes: file_of(300), stored_bytes: None }).await.unwrap();
        let data = Bytes::from_static(&[0; 100]);
        exchange.answers.send(Data { offset: 0, data }).await.unwrap();
        exchange.answers.send(ReadDone { len: 100, hash: None, grown: false }).await.unwrap();
        for _ in 0..3 {
            world.client.hear().await;
        }
    }
    assert_eq!(leave(world).await, ["Download big 300 Complete"]);
}

#[tokio::test(start_paused = true)]
async fn a_small_file_is_a_download_and_the_same_one_again_another() {
    let mut world = World::open(SessionOptions::default()).await;
    for id in 1..=2 {
        world.client.say(id, read("small", 0, 64 * 1024)).await;
        let (_, exchange) = world.request().await;
        let data = b"hello".to_vec();
        let whole = FileWhole { attributes: file_of(5), hash: Hash::of(&data), grown: false, data };
        exchange.answers.send(whole).await.unwrap();
        world.client.hear().await;
    }
    assert_eq!(leave(world).await, ["Download small 5 Complete", "Download small 5 Complete"]);
}

#[tokio::test(start_paused = true)]
async fn a_file_read_in_part_is_told_at_the_end() {
    let mut world = World::open(SessionOptions::default()).await;
    read_range(&mut world, 1, "big", 0..100, 250).await;
    assert_eq!(leave(world).await, ["Download big 100 Partial"]);
}

#[tokio::test(start_paused = true)]
async fn a_download_that_fails_is_told_once() {
    let mut world = World::open(SessionOptions::default()).await;
    let mut exchanges = Vec::new();
    for id in 1..=3 {
        world.client.say(id, read("big", u64::from(id - 1) * 100, 100)).await;
        exchanges.push(world.request().await.1);
        world.client.say(id, Input::from(Cancel {})).await;
    }
    for exchange in exchanges {
        exchange.answers.send(fault(FaultCode::Cancelled)).await.unwrap();
        world.client.hear_fault().await;
    }
    assert_eq!(leave(world).await, ["Download big 0 Failed(Fault"]);
}

#[tokio::test(start_paused = true)]
async fn a_removal_is_told_with_its_totals_and_a_look_at_things_is_not() {
    let mut world = World::open(SessionOptions::default()).await;
    world.client.say(1, control()).await;
    world.request().await.1.answers.send(Done {}).await.unwrap();
    world.client.hear().await;
    let remove = Remove {
        operation: OperationId([1; 16]),
        thing: at("old\x1b"),
        depth: Depth::Tree,
        expected: None,
        aside: false,
    };
    world.client.say(2, Request::from(remove)).await;
    let (_, exchange) = world.request().await;
    let totals = Totals { files: 2, folders: 1, bytes: 77, ..Totals::default() };
    exchange.answers.send(totals).await.unwrap();
    world.client.hear().await;
    assert_eq!(leave(world).await, [r"Remove old\x1b 77 Complete"]);
}

#[tokio::test(start_paused = true)]
async fn what_a_lost_connection_interrupts_is_told_with_its_outcome() {
    let mut world = World::open(SessionOptions::default()).await;
    let remove = Remove {
        operation: OperationId([1; 16]),
        thing: at("old"),
        depth: Depth::Tree,
        expected: None,
        aside: false,
    };
    world.client.say(1, Request::from(remove)).await;
    let (_, exchange) = world.request().await;
    drop(world.client);
    exchange.cancel.cancelled().await;
    exchange.answers.send(Totals { files: 1, bytes: 5, failed: 1, ..Totals::default() }).await.unwrap();
    drop(exchange);
    world.session.await.unwrap();
    let lines = world.log.lines();
    assert_eq!(lines[1], "Remove old 5 Failures(1)");
}
