//! How many pages of a listing are asked for ahead, by how long the line is.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use towpath::link::Link;
use towpath_protocol::answer::{Done, ListPage};
use towpath_protocol::entry::Entry;
use towpath_protocol::limits::PAGES_CREDIT_MAX;
use towpath_protocol::message::{Input, Request};
use towpath_protocol::path::{Name, WirePath};
use towpath_protocol::request::{Direction, Hidden, SortKey};

use crate::peer::{Peer, attributes, pipe, welcome};

const PAGES: u64 = 300;

/// A server so far away, with a listing of 300 pages: how many round trips that takes, and the most pages it was granted at a time.
async fn server(mut peer: Peer, round_trip: Duration) -> (u32, u32) {
    sleep(round_trip).await;
    peer.greet(welcome(8)).await;
    let (id, Request::List(list)) = peer.request().await else { panic!() };
    let (mut granted, mut sent, mut trips, mut most) = (list.pages, 0, 0, list.pages);
    loop {
        sleep(round_trip).await;
        trips += 1;
        let pages = granted.min((PAGES - sent) as u32);
        for _ in 0..pages {
            let name = Name::new(b"x".to_vec()).unwrap();
            let entries = vec![Entry { name, attributes: attributes() }];
            peer.say(id, ListPage { total: PAGES, entries }).await;
        }
        sent += u64::from(pages);
        if sent == PAGES {
            peer.say(id, Done {}).await;
            return (trips, most);
        }
        granted -= pages;
        while let Ok((_, Input::More(more))) = timeout(Duration::from_millis(1), peer.input()).await {
            granted += more.pages;
        }
        most = most.max(granted);
        assert!(granted <= PAGES_CREDIT_MAX);
    }
}

async fn listed(round_trip: Duration) -> (u32, u32) {
    let ((reader, writer), peer) = pipe(1 << 20);
    let server = tokio::spawn(server(peer, round_trip));
    let link = Link::over(reader, writer).await.unwrap();
    let mut listing = link.list(&WirePath::root(), SortKey::Name, Direction::Ascending, Hidden::Shown);
    let mut entries = 0;
    while let Some(page) = listing.next_page().await.unwrap() {
        entries += page.entries.len() as u64;
    }
    assert_eq!(entries, PAGES);
    server.await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn over_a_long_line_a_listing_does_not_wait_after_every_few_pages() {
    let (trips, most) = listed(Duration::from_millis(40)).await;
    assert!(trips <= 10 && most == 64, "{trips} round trips, {most} pages at a time");
}
