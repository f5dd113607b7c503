//! What goes out first, how much may wait, and what happens when nobody takes it.

use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::time::{Instant, timeout};
use towpath_files::session::{SessionEnd, SessionOptions};
use towpath_protocol::answer::{Done, ReadDone, SpaceInfo};
use towpath_protocol::message::{Answer, Ping, Session};

use super::world::{PIPE_BYTES, World, bulk, control, data};

#[tokio::test(start_paused = true)]
async fn control_overtakes_the_bulk_that_waits() {
    let mut world = World::open(SessionOptions::default()).await;
    world.client.say(1, bulk()).await;
    let (_, reading) = world.request().await;
    world.client.say(2, control()).await;
    let (_, asking) = world.request().await;
    // Nobody takes anything: the pipe, one write and the queue fill up.
    let mut offset = 0;
    while timeout(Duration::from_secs(1), reading.answers.send(data(offset))).await.is_ok() {
        offset += 64 * 1024;
    }
    asking.answers.send(SpaceInfo { free: 1, total: 1 }).await.unwrap();
    world.client.say(3, Session::from(Ping {})).await;
    tokio::time::sleep(Duration::from_secs(1)).await;

    let mut order = Vec::new();
    while order.len() < 10 {
        order.push(world.client.hear().await.0);
    }
    let bulk_before =
        |id| order.iter().take_while(|other| **other != id).filter(|other| **other == 1).count();
    assert!(bulk_before(2) <= 2 && bulk_before(3) <= 2, "{order:?}");
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_slow_reader_is_bounded_and_nothing_of_it_is_lost() {
    const FRAMES: u64 = 200;
    let mut world = World::open(SessionOptions::default()).await;
    world.client.say(1, bulk()).await;
    let (_, reading) = world.request().await;
    let sender = tokio::spawn(async move {
        for frame in 0..FRAMES {
            reading.answers.send(data(frame * 64 * 1024)).await.unwrap();
        }
        reading.answers.send(ReadDone { len: FRAMES * 64 * 1024, hash: None, grown: false }).await.unwrap();
    });
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert!(!sender.is_finished(), "{FRAMES} frames cannot all wait");
    for frame in 0..FRAMES {
        assert_eq!(world.client.hear().await, (1, data(frame * 64 * 1024).into()));
    }
    assert!(matches!(world.client.hear().await, (1, Answer::ReadDone(_))));
}

#[tokio::test(start_paused = true)]
async fn at_most_a_few_megabytes_wait() {
    let mut world = World::open(SessionOptions::default()).await;
    world.client.say(1, bulk()).await;
    let (_, reading) = world.request().await;
    let mut frames = 0;
    while timeout(Duration::from_secs(1), reading.answers.send(data(frames * 64 * 1024))).await.is_ok() {
        frames += 1;
    }
    let taken = PIPE_BYTES as u64 + 256 * 1024 + 32 * 64 * 1024;
    assert!(frames * 64 * 1024 <= taken + 128 * 1024, "{frames} frames");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_is_left_after_a_while() {
    let options = SessionOptions { stall: Duration::from_secs(30), ..SessionOptions::default() };
    let mut world = World::open(options).await;
    world.client.say(1, bulk()).await;
    let (_, reading) = world.request().await;
    let began = Instant::now();
    while reading.answers.send(data(0)).await.is_ok() && !reading.cancel.is_cancelled() {}
    drop(reading);
    assert!(matches!(world.end().await, SessionEnd::Stalled));
    assert_eq!(began.elapsed(), Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn control_answers_do_not_make_a_stalled_client_look_alive() {
    let options = SessionOptions { stall: Duration::from_secs(30), ..SessionOptions::default() };
    let mut world = World::open_over(1024, options).await;
    let began = Instant::now();
    for id in 1.. {
        let say = world.client.say(id, Session::from(Ping {}));
        if world.session.is_finished() || timeout(Duration::from_secs(1), say).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        if world.session.is_finished() {
            break;
        }
    }
    assert!(matches!(world.end().await, SessionEnd::Stalled));
    assert!(began.elapsed() < Duration::from_mins(1), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_narrow_pipe_cuts_frames_anywhere_and_all_arrive_whole() {
    for pipe_bytes in [1, 7, 100] {
        let mut world = World::open_over(pipe_bytes, SessionOptions::default()).await;
        world.client.say(1, bulk()).await;
        let (_, reading) = world.request().await;
        world.client.say(2, control()).await;
        let (_, asking) = world.request().await;
        tokio::spawn(async move {
            for frame in 0..3 {
                reading.answers.send(data(frame * 64 * 1024)).await.unwrap();
            }
            asking.answers.send(SpaceInfo { free: 1, total: 1 }).await.unwrap();
            reading.answers.send(Done {}).await.unwrap();
        });
        let mut heard = Vec::new();
        while heard.len() < 5 {
            heard.push(world.client.hear().await.0);
        }
        heard.sort_unstable();
        assert_eq!(heard, [1, 1, 1, 1, 2]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_asks_and_never_listens_is_not_served_without_end() {
    let World { mut client, mut session, .. } = World::open(SessionOptions::default()).await;
    let ping = [0, 0, 0, 4, 0x93, 3, 1, 0x80];
    let flood = async move {
        while client.stream.write_all(&ping).await.is_ok() {}
        // The client's end stays open, and unread.
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = flood => {}
        end = &mut session => {
            assert!(matches!(end.unwrap(), SessionEnd::Violation(_) | SessionEnd::Stalled));
        }
    }
}
