//! List: what is in it, its order, its pages and their credit.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use towpath_protocol::answer::ListPage;
use towpath_protocol::entry::{Entry, Kind};
use towpath_protocol::fault::FaultCode;
use towpath_protocol::input::{CommitUpload, More};
use towpath_protocol::limits::{PAGE_BYTES_TARGET, PAGE_ENTRIES_MAX, PAGES_CREDIT_MAX};
use towpath_protocol::message::Answer;
use towpath_protocol::path::{Location, WirePath};
use towpath_protocol::request::{Direction, Hidden, List, SortKey};
use towpath_protocol::time::Time;

use crate::world::{Talk, World, below, make_fifo};

fn list(folder: &str, pages: u32) -> List {
    let folder = Location::through(&WirePath::parse(folder.as_bytes()).unwrap());
    let (sort, direction, hidden) = (SortKey::Name, Direction::Ascending, Hidden::Shown);
    List { folder, sort, direction, hidden, pages }
}

/// All pages; a credit of one is granted after each.
async fn pages(mut talk: Talk) -> Vec<ListPage> {
    let mut pages = Vec::new();
    loop {
        match talk.next().await.unwrap() {
            Answer::ListPage(page) => pages.push(page),
            Answer::Done(_) => return pages,
            other => panic!("{other:?}"),
        }
        talk.send(More { pages: 1 }).await;
    }
}

async fn entries(world: &World, request: List) -> Vec<Entry> {
    pages(world.open(request)).await.into_iter().flat_map(|page| page.entries).collect()
}

async fn names(world: &World, request: List) -> Vec<String> {
    let entries = entries(world, request).await;
    entries.iter().map(|entry| entry.name.display().to_string()).collect()
}

#[tokio::test]
async fn an_empty_folder_is_one_empty_page() {
    let world = World::new();
    let pages = pages(world.open(list("", 1))).await;
    assert_eq!(pages, [ListPage { total: 0, entries: vec![] }]);
}

#[tokio::test]
async fn a_listing_says_what_the_disk_says() {
    let world = World::new();
    world.write("file", "content");
    world.folder("folder");
    world.link("link", "folder");
    world.link("out", "../outside");
    world.link("dangling", "nowhere");
    make_fifo(&world.at("fifo"));
    let entries = entries(&world, list("", 8)).await;
    let of = |name: &str| &entries.iter().find(|e| e.name.as_bytes() == name.as_bytes()).unwrap().attributes;
    assert_eq!(entries.len(), 6);
    assert_eq!((of("file").kind, of("file").size), (Kind::File, 7));
    assert_eq!(of("file").modified, Time::from_ns(world.modified("file")));
    assert_eq!(u32::from(of("file").mode), world.mode("file"));
    assert_eq!((of("folder").kind, of("folder").size), (Kind::Folder, 0));
    assert_eq!(of("fifo").kind, Kind::Fifo);
    let link = |name: &str| {
        let link = of(name).link.clone().unwrap();
        (String::from_utf8(link.bytes.to_vec()).unwrap(), link.kind)
    };
    assert_eq!(link("link"), ("folder".to_owned(), Some(Kind::Folder)));
    assert_eq!(link("dangling"), ("nowhere".to_owned(), None));
    assert_eq!(link("out"), ("../outside".to_owned(), None), "a jail does not look beyond itself");
}

#[tokio::test]
async fn a_link_deep_in_a_jail_shows_its_kind_also_where_it_goes_up() {
    let world = World::new();
    world.folder("a/b");
    world.write("file", "");
    world.link("a/b/link", "../../file");
    let entries = entries(&world, list("a/b", 1)).await;
    assert_eq!(entries[0].attributes.link.as_ref().unwrap().kind, Some(Kind::File));
}

#[tokio::test]
async fn any_name_that_the_disk_takes_is_listed_and_unfinished_files_are_not() {
    let world = World::new();
    let long = "n".repeat(255);
    let nasty: [&[u8]; 7] =
        [b"\xff\xfe", b"new\nline", b"\x1b[31m", b" ", b"-rf", "e\u{301}".as_bytes(), long.as_bytes()];
    for name in nasty {
        fs::write(world.at(OsStr::from_bytes(name)), "").unwrap();
    }
    world.leave_part("").await;
    let listed = entries(&world, list("", 8)).await;
    let mut listed: Vec<&[u8]> = listed.iter().map(|entry| entry.name.as_bytes()).collect();
    let mut expected = nasty.to_vec();
    listed.sort_unstable();
    expected.sort_unstable();
    assert_eq!(listed, expected);
}

#[tokio::test]
async fn every_order_is_the_one_asked_for() {
    let world = World::new();
    for (name, size) in [("b.txt", 1), ("a10.rs", 3), ("a9.rs", 2), (".hidden", 9)] {
        world.write(name, vec![b'x'; size]);
        let file = fs::File::options().write(true).open(world.at(name)).unwrap();
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000 - size as u64);
        file.set_modified(time).unwrap();
    }
    world.folder("z");
    let sorted = async |sort, direction| {
        names(&world, List { sort, direction, hidden: Hidden::LeftOut, ..list("", 8) }).await
    };
    assert_eq!(sorted(SortKey::Name, Direction::Ascending).await, ["z", "a9.rs", "a10.rs", "b.txt"]);
    assert_eq!(sorted(SortKey::Name, Direction::Descending).await, ["z", "b.txt", "a10.rs", "a9.rs"]);
    assert_eq!(sorted(SortKey::Size, Direction::Ascending).await, ["z", "b.txt", "a9.rs", "a10.rs"]);
    assert_eq!(sorted(SortKey::Size, Direction::Descending).await, ["z", "a10.rs", "a9.rs", "b.txt"]);
    assert_eq!(sorted(SortKey::Modified, Direction::Ascending).await, ["z", "a10.rs", "a9.rs", "b.txt"]);
    assert_eq!(sorted(SortKey::Extension, Direction::Ascending).await, ["z", "a9.rs", "a10.rs", "b.txt"]);
    assert_eq!(names(&world, list("", 8)).await, ["z", ".hidden", "a9.rs", "a10.rs", "b.txt"]);
}

#[tokio::test]
async fn ten_thousand_entries_come_page_by_page_in_order() {
    let world = World::new();
    for index in 0..10_000 {
        world.write(&format!("file {index}"), "");
    }
    for sort in [SortKey::Name, SortKey::Modified] {
        let pages = pages(world.open(List { sort, ..list("", 1) })).await;
        assert!(pages[0].entries.len() <= 128, "the first page comes at once");
        assert!(pages.iter().all(|page| page.total == 10_000 && page.entries.len() <= PAGE_ENTRIES_MAX));
        let names: Vec<_> = pages.iter().flat_map(|page| &page.entries).map(|entry| &entry.name).collect();
        assert_eq!(names.len(), 10_000);
        if sort == SortKey::Name {
            for (index, name) in names.iter().enumerate() {
                assert_eq!(name.as_bytes(), format!("file {index}").as_bytes());
            }
        }
    }
}

#[tokio::test]
async fn pages_of_long_names_stay_within_a_frame() {
    let world = World::new();
    for index in 0..1_500 {
        world.write(&format!("{index:0255}"), "");
    }
    for page in pages(world.open(list("", 1))).await {
        let bytes: usize = page.entries.iter().map(|entry| entry.name.as_bytes().len()).sum();
        assert!(bytes <= PAGE_BYTES_TARGET + 255, "{bytes}");
    }
}

#[tokio::test]
async fn no_page_comes_without_credit_and_waiting_for_it_can_be_cancelled() {
    let world = World::new();
    for index in 0..300 {
        world.write(&format!("{index}"), "");
    }
    let mut talk = world.open(list("", 1));
    assert!(matches!(talk.next().await, Ok(Answer::ListPage(_))));
    tokio::task::yield_now().await;
    assert!(talk.answers.try_recv().is_err());
    talk.cancel.cancel();
    assert_eq!(talk.end().await.unwrap_err().code, FaultCode::Cancelled);
}

#[tokio::test]
async fn a_listing_whose_client_is_gone_ends() {
    let world = World::new();
    let Talk { mut answers, inputs, cancel: _cancel } = world.open(list("", 0));
    drop(inputs);
    assert!(matches!(answers.recv().await, Some((_, Answer::Fault(_)))));
}

#[tokio::test]
async fn more_credit_than_the_protocol_allows_and_inputs_of_other_requests_are_refused() {
    let world = World::new();
    assert_eq!(world.refused(list("", PAGES_CREDIT_MAX + 1)).await, FaultCode::LimitExceeded);
    let talk = world.open(list("", 0));
    talk.send(More { pages: u32::MAX }).await;
    assert_eq!(talk.end().await.unwrap_err().code, FaultCode::LimitExceeded);
    let talk = world.open(list("", 0));
    let hash = towpath_protocol::hash::Hash::of(b"");
    talk.send(CommitUpload { len: 0, hash }).await;
    assert_eq!(talk.end().await.unwrap_err().code, FaultCode::OutOfOrder);
}

#[tokio::test]
async fn what_is_no_folder_is_not_listed() {
    let world = World::new();
    world.write("file", "");
    world.link("link", ".");
    world.link("out", "../outside");
    make_fifo(&world.at("fifo"));
    assert_eq!(world.refused(list("file", 1)).await, FaultCode::NotAFolder);
    assert_eq!(world.refused(list("fifo", 1)).await, FaultCode::NotAFolder);
    assert_eq!(world.refused(list("none", 1)).await, FaultCode::NotFound);
    assert_eq!(world.refused(list("out", 1)).await, FaultCode::OutsideRoot);
    assert_eq!(world.refused(List { folder: below("link"), ..list("", 1) }).await, FaultCode::OutsideRoot);
    assert!(names(&world, list("link", 1)).await.contains(&"file".to_owned()));
}

#[tokio::test]
async fn entries_that_vanish_meanwhile_are_left_out() {
    // The page after the first is made while its credit is awaited; what vanishes lies behind it.
    const MADE_AHEAD: usize = 128 + 1024;
    const ALL: usize = MADE_AHEAD + 300;
    let world = World::new();
    for index in 0..ALL {
        world.write(&format!("{index:04}"), "");
    }
    let mut talk = world.open(list("", 1));
    let Ok(Answer::ListPage(first)) = talk.next().await else { panic!("a page") };
    assert_eq!(first.total, ALL as u64);
    for index in MADE_AHEAD..ALL {
        fs::remove_file(world.at(format!("{index:04}"))).unwrap();
    }
    talk.send(More { pages: 9 }).await;
    let mut rest = 0;
    while let Ok(Answer::ListPage(page)) = talk.next().await {
        rest += page.entries.len();
    }
    assert_eq!(first.entries.len() + rest, MADE_AHEAD);
}

#[tokio::test]
async fn a_served_folder_that_was_removed_is_said_to_be_gone() {
    let world = World::new();
    let root = world.at("");
    fs::remove_dir_all(&root).unwrap();
    let refused = world.open(list("", 1)).end().await.unwrap_err();
    assert_eq!(refused.code, FaultCode::NotFound);
    assert_eq!(refused.detail, "the served folder is gone");
    // Another one under its name is not it.
    fs::create_dir(&root).unwrap();
    fs::write(root.join("new"), "").unwrap();
    let refused = world.open(list("", 1)).end().await.unwrap_err();
    assert_eq!(refused.detail, "the served folder is gone");
}
