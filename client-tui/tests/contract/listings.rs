//! Listings, walks, measures, space.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use towpath::link::Exchange;
use towpath_protocol::entry::{Entry, Kind};
use towpath_protocol::fault::FaultCode;
use towpath_protocol::input::More;
use towpath_protocol::limits::PAGES_CREDIT_MAX;
use towpath_protocol::message::Answer;
use towpath_protocol::order::compare;
use towpath_protocol::path::{Location, Name, WirePath};
use towpath_protocol::request::{Direction, Follow, Hidden, List, SortKey, Walk};

use crate::names::nasty_names;
use crate::world::{World, code, path};

fn list(folder: &str, pages: u32) -> List {
    let folder = Location::through(&path(folder));
    List { folder, sort: SortKey::Name, direction: Direction::Ascending, hidden: Hidden::Shown, pages }
}

async fn all_entries(world: &World, folder: &str) -> Vec<Entry> {
    let mut listing = world.link.list(&path(folder), SortKey::Name, Direction::Ascending, Hidden::Shown);
    let mut entries = Vec::new();
    while let Some(page) = listing.next_page().await.unwrap() {
        entries.extend(page.entries);
    }
    entries
}

async fn page(exchange: &mut Exchange) -> Vec<Entry> {
    match exchange.next().await.unwrap() {
        Answer::ListPage(page) => page.entries,
        answer => panic!("{} instead of a page", answer.name()),
    }
}

fn make_files(world: &World, folder: &str, count: usize) {
    fs::create_dir(world.at(folder)).unwrap();
    for index in 0..count {
        world.write(format!("{folder}/{index}"), "");
    }
}

pub(crate) async fn nasty_names_come_as_they_are(world: Arc<World>) {
    let names: BTreeSet<Vec<u8>> = nasty_names().into_iter().collect();
    assert_eq!(names.len(), nasty_names().len(), "a name stands there twice");
    fs::create_dir(world.at("nasty")).unwrap();
    for name in &names {
        fs::write(world.at("nasty").join(OsStr::from_bytes(name)), name).unwrap();
    }
    let entries = all_entries(&world, "nasty").await;
    let listed: BTreeSet<Vec<u8>> = entries.iter().map(|entry| entry.name.as_bytes().to_vec()).collect();
    assert_eq!(listed, names);
    assert!(entries.is_sorted_by(|a, b| compare(SortKey::Name, Direction::Ascending, a, b).is_lt()));
    for name in names {
        let path = path("nasty").join(&Name::new(name.clone()).unwrap()).unwrap();
        let attributes = world.link.stat(&path, Follow::No).await.unwrap();
        assert_eq!((attributes.kind, attributes.size), (Kind::File, name.len() as u64));
    }
}

pub(crate) async fn a_large_folder_comes_page_by_page_as_it_is_granted(world: Arc<World>) {
    make_files(&world, "many", 3000);
    let entries = all_entries(&world, "many").await;
    let names: Vec<_> = entries.iter().map(|entry| entry.name.display().to_string()).collect();
    let expected: Vec<_> = (0..3000).map(|index| index.to_string()).collect();
    assert_eq!(names, expected);
}

pub(crate) async fn nothing_comes_beyond_what_was_granted(world: Arc<World>) {
    make_files(&world, "many", 3000);
    let mut exchange = world.link.open(list("many", 1));
    let mut count = page(&mut exchange).await.len();
    // Whatever is asked now is answered although the listing waits.
    world.link.stat(&path("many"), Follow::No).await.unwrap();
    exchange.send(More { pages: PAGES_CREDIT_MAX }).await.unwrap();
    loop {
        match exchange.next().await.unwrap() {
            Answer::ListPage(page) => count += page.entries.len(),
            answer => break assert_eq!(answer.name(), "Done"),
        }
    }
    assert_eq!(count, 3000);
    assert_eq!(code(exchange.next().await), FaultCode::OutOfOrder);
}

pub(crate) async fn a_listing_nobody_wants_any_more_does_no_harm(world: Arc<World>) {
    make_files(&world, "many", 3000);
    for _ in 0..20 {
        drop(world.link.open(list("many", PAGES_CREDIT_MAX)));
        let mut exchange = world.link.open(list("many", 1));
        page(&mut exchange).await;
        exchange.cancel();
        assert_eq!(code(exchange.next().await), FaultCode::Cancelled);
    }
    world.link.stat(&path("many"), Follow::No).await.unwrap();
}

pub(crate) async fn a_walk_meets_everything_once(world: Arc<World>) {
    fs::create_dir_all(world.at("tree/a/b")).unwrap();
    for file in ["tree/1", "tree/a/2", "tree/a/b/3"] {
        world.write(file, "x");
    }
    std::os::unix::fs::symlink("a", world.at("tree/link")).unwrap();
    let start = Location::of(&path("tree"));
    let mut exchange = world.link.open(Walk { start, pages: 4 });
    let mut met = Vec::new();
    loop {
        match exchange.next().await.unwrap() {
            Answer::WalkPage(page) => met.extend(page.items),
            answer => break assert_eq!(answer.name(), "Done"),
        }
    }
    let mut parents: Vec<String> = Vec::new();
    let mut paths = BTreeSet::new();
    for item in met {
        parents.truncate(item.depth as usize);
        parents.push(item.entry.name.display().to_string());
        assert!(paths.insert(parents.join("/")), "{parents:?} was met twice");
    }
    let expected = ["tree", "tree/1", "tree/a", "tree/a/2", "tree/a/b", "tree/a/b/3", "tree/link"];
    assert_eq!(paths, expected.map(str::to_owned).into());
}

pub(crate) async fn an_empty_folder_has_an_empty_page(world: Arc<World>) {
    let mut exchange = world.link.open(list("", 1));
    assert_eq!(page(&mut exchange).await, []);
    assert_eq!(exchange.next().await.unwrap().name(), "Done");
}

pub(crate) async fn a_folder_is_measured(world: Arc<World>) {
    fs::create_dir_all(world.at("tree/a")).unwrap();
    world.write("tree/1", [0; 10]);
    world.write("tree/a/2", [0; 100]);
    let totals = world.link.measure(&path("tree")).await.unwrap();
    assert_eq!((totals.files, totals.folders, totals.bytes, totals.failed), (2, 2, 110, 0));
}

pub(crate) async fn there_is_space(world: Arc<World>) {
    let space = world.link.space(&WirePath::root()).await.unwrap();
    assert!(space.total > 0 && space.free <= space.total);
}
