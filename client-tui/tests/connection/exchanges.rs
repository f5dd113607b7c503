//! Who waits for which answer, in which order, and what becomes of them when the server or the line misbehaves.

use std::time::Duration;

use tokio::time::timeout;
use towpath::link::Exchange;
use towpath_protocol::answer::{Done, ListPage, Progress, ReadDone, ReadHead, Stats, Totals};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::input::More;
use towpath_protocol::limits::PAGES_CREDIT_MAX;
use towpath_protocol::message::{Answer, Bye, Input, Request, RequestId, ToServer};
use towpath_protocol::path::{Location, WirePath};
use towpath_protocol::request::Measure;

use crate::peer::{Peer, attributes, data, list, read, session, stat};

const EMPTY_PAGE: ListPage = ListPage { total: 0, entries: Vec::new() };
const NO_STATS: Stats = Stats { items: Vec::new() };

async fn lost_because(exchange: &mut Exchange) -> String {
    let fault = loop {
        if let Err(fault) = exchange.next().await {
            break fault;
        }
    };
    assert_eq!(fault.code, FaultCode::Disconnected);
    fault.detail.to_string()
}

async fn stat_name(peer: &mut Peer) -> (RequestId, String) {
    match peer.request().await {
        (id, Request::Stat(stat)) => (id, stat.paths[0].display()),
        other => panic!("{other:?} instead of Stat"),
    }
}

#[tokio::test(start_paused = true)]
async fn answers_find_those_who_asked_in_any_order() {
    let (link, mut peer) = session(64 * 1024, 8).await;
    let (mut a, mut b) = (link.open(stat("a")), link.open(list(1)));
    let ((a_id, _), (b_id, _)) = (peer.request().await, peer.request().await);
    peer.say(b_id, EMPTY_PAGE).await;
    peer.say(a_id, NO_STATS).await;
    peer.say(b_id, Done {}).await;
    assert_eq!(a.next().await.unwrap().name(), "Stats");
    assert_eq!(b.next().await.unwrap().name(), "ListPage");
    assert_eq!(b.next().await.unwrap().name(), "Done");
    assert_eq!(b.next().await.unwrap_err().code, FaultCode::OutOfOrder);
}

#[tokio::test(start_paused = true)]
async fn requests_beyond_the_limit_wait_in_their_order() {
    let (link, mut peer) = session(64 * 1024, 4).await;
    let mut open: Vec<_> = (0..20).map(|index| link.open(stat(&index.to_string()))).collect();
    // Whoever goes away while it waits is never sent.
    drop(open.remove(7));
    let mut expected = (0..20).filter(|index| *index != 7).map(|index| index.to_string());
    let mut in_flight = Vec::new();
    for _ in 0..4 {
        let (id, name) = stat_name(&mut peer).await;
        assert_eq!(Some(name), expected.next());
        in_flight.push(id);
    }
    for name in expected {
        let nothing = timeout(Duration::from_millis(100), peer.next()).await;
        assert!(nothing.is_err(), "one too many");
        peer.say(in_flight.remove(0), NO_STATS).await;
        let (id, sent) = stat_name(&mut peer).await;
        assert_eq!(sent, name);
        in_flight.push(id);
    }
    for id in in_flight {
        peer.say(id, NO_STATS).await;
    }
    for mut exchange in open {
        exchange.next().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_exchange_is_cancelled_and_holds_its_place_until_its_final_answer() {
    let (link, mut peer) = session(64 * 1024, 4).await;
    let open: Vec<_> = (0..4).map(|_| link.open(list(1))).collect();
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(peer.request().await.0);
    }
    drop(open);
    for id in &ids {
        assert!(matches!(peer.input().await, (cancelled, Input::Cancel(_)) if cancelled == *id));
    }
    let mut next = link.open(stat("next"));
    let nothing = timeout(Duration::from_millis(100), peer.next()).await;
    assert!(nothing.is_err(), "no place is free yet");
    // Answers that crossed the Cancel go nowhere.
    peer.say(ids[0], EMPTY_PAGE).await;
    peer.say(ids[0], Fault::new(FaultCode::Cancelled)).await;
    let (id, _) = stat_name(&mut peer).await;
    assert!(!ids.contains(&id));
    peer.say(id, NO_STATS).await;
    next.next().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_cancel_before_the_request_left_ends_it_here() {
    let (link, mut peer) = session(64 * 1024, 4).await;
    let _open: Vec<_> = (0..4).map(|_| link.open(stat("x"))).collect();
    let mut waiting = link.open(stat("never sent"));
    waiting.cancel();
    assert_eq!(waiting.next().await.unwrap_err().code, FaultCode::Cancelled);
    for _ in 0..4 {
        let (id, _) = stat_name(&mut peer).await;
        peer.say(id, NO_STATS).await;
    }
    let mut after = link.open(stat("after"));
    let (id, name) = stat_name(&mut peer).await;
    assert_eq!(name, "after");
    peer.say(id, NO_STATS).await;
    after.next().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn everybody_is_told_when_the_line_is_cut() {
    let (link, mut peer) = session(64 * 1024, 4).await;
    let mut open: Vec<_> = (0..9).map(|_| link.open(stat("x"))).collect();
    let lost = link.lost();
    peer.request().await;
    drop(peer);
    for exchange in &mut open {
        assert_eq!(lost_because(exchange).await, "the other side ended it");
    }
    assert_eq!(lost.await.code, FaultCode::Disconnected);
    assert!(link.is_lost());
    assert_eq!(lost_because(&mut link.open(stat("late"))).await, "the other side ended it");
    assert_eq!(open[0].send(More { pages: 1 }).await.unwrap_err().code, FaultCode::Disconnected);
}

#[tokio::test(start_paused = true)]
async fn the_servers_own_reason_is_told() {
    let (link, mut peer) = session(64 * 1024, 4).await;
    let mut exchange = link.open(stat("x"));
    peer.say(RequestId::NONE, Fault::new(FaultCode::ShuttingDown)).await;
    assert_eq!(lost_because(&mut exchange).await, "the server ended it: the server is shutting down");

    let (link, mut peer) = session(64 * 1024, 4).await;
    let mut exchange = link.open(stat("x"));
    peer.say(RequestId::NONE, Bye {}).await;
    assert_eq!(lost_because(&mut exchange).await, "the other side ended it");
}

#[tokio::test(start_paused = true)]
async fn a_frame_cut_in_the_middle_is_told() {
    let (link, mut peer) = session(64 * 1024, 4).await;
    let mut exchange = link.open(stat("x"));
    peer.say_bytes(&[0, 0, 0, 9, 0x93]).await;
    drop(peer);
    assert_eq!(lost_because(&mut exchange).await, "it was cut in the middle of a message");
}

#[tokio::test(start_paused = true)]
async fn a_broken_frame_ends_the_connection() {
    let (link, mut peer) = session(64 * 1024, 4).await;
    let mut exchange = link.open(stat("x"));
    peer.say_bytes(&[0xff; 4]).await;
    assert!(lost_because(&mut exchange).await.starts_with("the server broke the protocol: "));
}

#[tokio::test(start_paused = true)]
async fn more_than_was_asked_for_ends_the_connection() {
    let cases: [(Request, Vec<Answer>); 6] = [
        (list(2).into(), vec![EMPTY_PAGE.into(); 3]),
        (stat("x").into(), vec![EMPTY_PAGE.into()]),
        (read(10).into(), vec![data(0, 10).into()]),
        (
            read(10).into(),
            vec![
                ReadHead { attributes: attributes(), stored_bytes: None }.into(),
                data(0, 9).into(),
                data(9, 1).into(),
            ],
        ),
        (read(10).into(), vec![ReadHead { attributes: attributes(), stored_bytes: None }.into(); 2]),
        (list(2).into(), vec![Progress::default().into()]),
    ];
    for (request, answers) in cases {
        let (link, mut peer) = session(64 * 1024, 4).await;
        let name = request.name();
        let mut exchange = link.open(request);
        let (id, _) = peer.request().await;
        for answer in answers {
            peer.say(id, answer).await;
        }
        let why = lost_because(&mut exchange).await;
        assert!(why.starts_with("the server broke the protocol: "), "{name}: {why}");
    }
}

#[tokio::test(start_paused = true)]
async fn all_of_the_largest_read_waits_for_a_slow_reader_without_holding_others_up() {
    let (link, mut peer) = session(1024 * 1024, 4).await;
    let len = 16 * 1024 * 1024;
    let mut slow = link.open(read(len));
    let (id, _) = peer.request().await;
    peer.say(id, ReadHead { attributes: attributes(), stored_bytes: None }).await;
    for offset in (0..len).step_by(64 * 1024) {
        peer.say(id, data(offset, 64 * 1024)).await;
    }
    peer.say(id, ReadDone { len, hash: None, grown: false }).await;
    let mut quick = link.open(stat("x"));
    let (id, _) = stat_name(&mut peer).await;
    peer.say(id, NO_STATS).await;
    quick.next().await.unwrap();
    let mut received = 0;
    loop {
        match slow.next().await.unwrap() {
            Answer::Data(data) => received += data.data.len() as u64,
            Answer::ReadHead(_) => {}
            answer => break assert_eq!(answer.name(), "ReadDone"),
        }
    }
    assert_eq!(received, len);
}

#[tokio::test(start_paused = true)]
async fn progress_that_nobody_reads_is_dropped_and_the_final_answer_is_not() {
    let (link, mut peer) = session(64 * 1024, 4).await;
    let mut exchange = link.open(Measure { things: vec![Location::through(&WirePath::root())] });
    let (id, _) = peer.request().await;
    for files in 0..1000 {
        peer.say(id, Progress { files, ..Progress::default() }).await;
    }
    peer.say(id, Totals { files: 1000, ..Totals::default() }).await;
    let mut last = None;
    let totals = loop {
        match exchange.next().await.unwrap() {
            Answer::Progress(progress) => {
                assert!(last < Some(progress.files));
                last = Some(progress.files);
            }
            answer => break answer,
        }
    };
    assert!(matches!(totals, Answer::Totals(Totals { files: 1000, .. })));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_cannot_be_understood_ends_its_exchange_only() {
    let (link, mut peer) = session(64 * 1024, 4).await;
    let mut exchange = link.open(list(1));
    let (id, _) = peer.request().await;
    // [999, id, nil]: a kind of a later version.
    let id_byte = u8::try_from(id.0).unwrap();
    peer.say_bytes(&[0, 0, 0, 6, 0x93, 0xcd, 0x03, 0xe7, id_byte, 0xc0]).await;
    assert_eq!(exchange.next().await.unwrap_err().code, FaultCode::Unsupported);
    assert!(matches!(peer.input().await, (cancelled, Input::Cancel(_)) if cancelled == id));
    peer.say(id, Fault::new(FaultCode::Cancelled)).await;
    let mut next = link.open(stat("x"));
    let (id, _) = stat_name(&mut peer).await;
    peer.say(id, NO_STATS).await;
    next.next().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn answers_for_nobody_are_ignored() {
    let (link, mut peer) = session(64 * 1024, 4).await;
    peer.say(RequestId(4_000_000_000), NO_STATS).await;
    peer.say(RequestId(4_000_000_000), EMPTY_PAGE).await;
    peer.say(RequestId::NONE, Done {}).await;
    let mut next = link.open(stat("x"));
    let (id, _) = stat_name(&mut peer).await;
    peer.say(id, NO_STATS).await;
    next.next().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn no_more_pages_are_granted_than_can_wait() {
    let (link, mut peer) = session(64 * 1024, 4).await;
    let mut exchange = link.open(list(PAGES_CREDIT_MAX));
    let (id, _) = peer.request().await;
    assert_eq!(exchange.send(More { pages: 1 }).await.unwrap_err().code, FaultCode::LimitExceeded);
    peer.say(id, EMPTY_PAGE).await;
    exchange.next().await.unwrap();
    exchange.send(More { pages: 1 }).await.unwrap();
    assert!(matches!(peer.next().await, Some((_, ToServer::Input(Input::More(More { pages: 1 }))))));
    peer.say(id, Done {}).await;
    exchange.next().await.unwrap();
    assert_eq!(exchange.send(More { pages: 1 }).await.unwrap_err().code, FaultCode::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn a_request_too_long_for_one_message_is_refused_and_the_link_lives() {
    let (link, mut peer) = session(64 * 1024, 4).await;
    let name = vec![b'x'; 255];
    let path = WirePath::parse(&[&name[..]; 15].join(&b'/')).unwrap();
    let things = vec![Location::through(&path); 300];
    let mut exchange = link.open(Measure { things });
    assert_eq!(exchange.next().await.unwrap_err().code, FaultCode::LimitExceeded);
    let mut next = link.open(stat("x"));
    let (id, _) = stat_name(&mut peer).await;
    peer.say(id, NO_STATS).await;
    next.next().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_said_in_a_request_that_still_waits_goes_behind_it() {
    let (link, mut peer) = session(64 * 1024, 4).await;
    let _open: Vec<_> = (0..4).map(|_| link.open(stat("x"))).collect();
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(peer.request().await.0);
    }
    let (first, second) = (link.open(list(1)), link.open(list(1)));
    let (sent, ()) = tokio::join!(first.send(More { pages: 1 }), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        peer.say(ids[0], NO_STATS).await;
        let (id, _) = peer.request().await;
        assert!(matches!(peer.input().await, (of, Input::More(_)) if of == id));
    });
    sent.unwrap();
    // The second one never gets its turn.
    let (sent, ()) = tokio::join!(second.send(More { pages: 1 }), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        drop(peer);
    });
    assert_eq!(sent.unwrap_err().code, FaultCode::Disconnected);
}
