//! What goes out first, and who waits when the line takes nothing.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;
use towpath::link::{Exchange, Link};
use towpath_protocol::answer::UploadReady;
use towpath_protocol::hash::Hash;
use towpath_protocol::input::{CommitUpload, UploadData};
use towpath_protocol::message::{Input, Request, RequestId, ToServer};
use towpath_protocol::path::{Location, WirePath};
use towpath_protocol::request::{BeginUpload, Durability, Existing, OperationId, StoreAs, UploadToken};
use towpath_protocol::time::Time;

use crate::peer::{Peer, list, session, stat};

/// More frames than the queues and one write hold.
const FRAMES: u64 = 100;

async fn begin(link: &Link, peer: &mut Peer) -> (RequestId, Exchange) {
    let store = StoreAs {
        mode: 0o644,
        modified: Time::from_ns(0),
        existing: Existing::Keep,
        expected: None,
        durability: Durability::Relaxed,
        metadata: None,
    };
    let file = Location::through(&WirePath::root());
    let mut exchange = link.open(BeginUpload {
        operation: OperationId([1; 16]),
        file,
        store,
        size: 0,
        resume: None,
        basis: None,
        window_bytes: None,
        stored_bytes: None,
    });
    let (id, _) = peer.request().await;
    let ready = UploadReady {
        token: UploadToken([1; 16]),
        offset: 0,
        credit_bytes: 16 << 20,
        kept: None,
        basis: false,
    };
    peer.say(id, ready).await;
    exchange.next().await.unwrap();
    (id, exchange)
}

/// Sends until nothing more is taken; how many were.
async fn fill(exchange: &Exchange) -> u64 {
    let data = Bytes::from(vec![7; 64 * 1024]);
    for index in 0..FRAMES {
        let sent = exchange.send(UploadData { offset: index * 64 * 1024, data: data.clone() });
        if timeout(Duration::from_secs(1), sent).await.is_err() {
            return index;
        }
    }
    FRAMES
}

#[tokio::test(start_paused = true)]
async fn whoever_sends_more_than_the_line_takes_waits() {
    let (link, mut peer) = session(16 * 1024, 8).await;
    let (_, exchange) = begin(&link, &mut peer).await;
    let taken = fill(&exchange).await;
    assert!((20..50).contains(&taken), "{taken} frames of 64 KiB were taken");
}

#[tokio::test(start_paused = true)]
async fn a_person_goes_before_the_file_data_that_waits() {
    let (link, mut peer) = session(16 * 1024, 8).await;
    let (id, exchange) = begin(&link, &mut peer).await;
    let listing = link.open(list(1));
    let (listing_id, _) = peer.request().await;
    let taken = fill(&exchange).await;
    // The line is full of data. Now somebody asks for something, and somebody else loses interest.
    let _stat = link.open(stat("x"));
    drop(listing);
    let mut frames_before = 0;
    let mut control = 0;
    while control < 2 {
        match peer.next().await.unwrap() {
            (_, ToServer::Input(Input::UploadData(_))) => frames_before += 1,
            (_, ToServer::Request(Request::Stat(_))) => control += 1,
            (cancelled, ToServer::Input(Input::Cancel(_))) if cancelled == listing_id => control += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(frames_before <= 1, "{frames_before} frames went before");
    // What follows is the rest of the data, in its order, and the commit behind it.
    let commit = CommitUpload { len: taken * 64 * 1024, hash: Hash([0; 32]) };
    let (sent, ()) = tokio::join!(exchange.send(commit), async {
        for index in frames_before..taken {
            match peer.input().await {
                (upload, Input::UploadData(data)) if upload == id => {
                    assert_eq!(data.offset, index * 64 * 1024);
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(matches!(peer.input().await, (_, Input::CommitUpload(_))));
    });
    sent.unwrap();
}

#[tokio::test(start_paused = true)]
async fn no_cancel_is_lost_while_the_line_takes_nothing() {
    let (link, mut peer) = session(1024, 512).await;
    let open: Vec<_> = (0..500).map(|_| link.open(list(1))).collect();
    // All are taken for the line, which takes only a few of them.
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop(open);
    let (mut asked, mut cancelled) = (Vec::new(), Vec::new());
    while let Ok(Some((id, message))) = timeout(Duration::from_secs(1), peer.next()).await {
        match message {
            ToServer::Request(_) => asked.push(id),
            ToServer::Input(Input::Cancel(_)) => cancelled.push(id),
            other => panic!("{other:?}"),
        }
    }
    assert!(!asked.is_empty());
    asked.sort_unstable();
    cancelled.sort_unstable();
    assert_eq!(asked, cancelled);
}

#[tokio::test(start_paused = true)]
async fn data_of_an_upload_that_nobody_wants_is_not_sent() {
    let (link, mut peer) = session(16 * 1024, 8).await;
    let (id, exchange) = begin(&link, &mut peer).await;
    let taken = fill(&exchange).await;
    drop(exchange);
    let mut frames = 0;
    let mut is_cancelled = false;
    while let Ok(Some((of, message))) = timeout(Duration::from_secs(1), peer.next()).await {
        assert_eq!(of, id);
        match message {
            ToServer::Input(Input::UploadData(_)) => frames += 1,
            ToServer::Input(Input::Cancel(_)) => is_cancelled = true,
            other => panic!("{other:?}"),
        }
    }
    assert!(is_cancelled && frames < taken / 2, "{frames} of {taken} frames were sent");
}
