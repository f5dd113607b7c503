//! Walk: a whole tree, parents first, never through a link and never out of it.

use std::fs;

use towpath_protocol::answer::WalkItem;
use towpath_protocol::entry::Kind;
use towpath_protocol::fault::FaultCode;
use towpath_protocol::input::More;
use towpath_protocol::message::Answer;
use towpath_protocol::path::{Location, WirePath};
use towpath_protocol::request::Walk;

use crate::world::{World, below, make_fifo};

fn root() -> Location {
    Location::through(&WirePath::root())
}

async fn walk(world: &World, start: Location) -> Vec<WalkItem> {
    let mut talk = world.open(Walk { start, pages: 1 });
    let mut items = Vec::new();
    loop {
        match talk.next().await.unwrap() {
            Answer::WalkPage(page) => items.extend(page.items),
            Answer::Done(_) => return items,
            other => panic!("{other:?}"),
        }
        talk.send(More { pages: 1 }).await;
    }
}

/// The whole path of each item, from names and depths; sorted.
fn paths(items: &[WalkItem]) -> Vec<String> {
    let mut folders: Vec<(u16, String)> = Vec::new();
    let mut paths = Vec::new();
    for item in items {
        while folders.last().is_some_and(|(depth, _)| *depth >= item.depth) {
            folders.pop();
        }
        assert!(item.depth <= folders.last().map_or(1, |(depth, _)| depth + 1), "a parent comes first");
        let name = item.entry.name.display().to_string();
        let path = folders.last().map_or_else(|| name.clone(), |(_, parent)| format!("{parent}/{name}"));
        if item.entry.attributes.kind == Kind::Folder {
            folders.push((item.depth, path.clone()));
        }
        paths.push(path);
    }
    paths.sort();
    paths
}

async fn planted() -> World {
    let world = World::new();
    world.folder("tree/a/b");
    world.folder("tree/empty");
    world.write("tree/a/file", "1");
    world.write("tree/a/b/file", "22");
    world.leave_part("tree").await;
    world.link("tree/out", "../../outside");
    world.link("tree/a/up", "..");
    make_fifo(&world.at("tree/fifo"));
    world
}

#[tokio::test]
async fn a_walk_meets_everything_once_and_follows_no_link() {
    let world = planted().await;
    let items = walk(&world, below("tree")).await;
    let expected = [
        "tree",
        "tree/a",
        "tree/a/b",
        "tree/a/b/file",
        "tree/a/file",
        "tree/a/up",
        "tree/empty",
        "tree/fifo",
        "tree/out",
    ];
    assert_eq!(paths(&items), expected);
    assert_eq!(items[0].depth, 0);
    assert!(items.iter().all(|item| item.fault.is_none()));
    let out = items.iter().find(|item| item.entry.name.as_bytes() == b"out").unwrap();
    assert_eq!(&*out.entry.attributes.link.as_ref().unwrap().bytes, b"../../outside");
}

#[tokio::test]
async fn a_root_and_what_a_base_leads_to_have_no_name_and_begin_at_depth_one() {
    let world = planted().await;
    let items = walk(&world, root()).await;
    assert_eq!(items.len(), 9);
    assert_eq!((items[0].depth, items[0].entry.name.as_bytes()), (1, &b"tree"[..]));
    world.link("link", "tree/a");
    let items = walk(&world, Location::through(&WirePath::parse(b"link").unwrap())).await;
    assert_eq!(paths(&items), ["b", "b/file", "file", "up"]);
}

#[tokio::test]
async fn a_start_that_is_no_folder_is_the_only_item() {
    let world = planted().await;
    for start in ["tree/a/file", "tree/out", "tree/fifo"] {
        let items = walk(&world, below(start)).await;
        assert_eq!((items.len(), items[0].depth), (1, 0), "{start}");
    }
    let refused = async |start: &str| world.refused(Walk { start: below(start), pages: 1 }).await;
    assert_eq!(refused("none").await, FaultCode::NotFound);
    assert_eq!(refused("tree/out/file").await, FaultCode::OutsideRoot);
}

#[tokio::test]
async fn a_tree_deeper_than_any_path_is_walked_as_far_as_paths_go() {
    let world = World::new();
    let mut folder = fs::File::open(world.at("")).unwrap();
    for _ in 0..150 {
        let mode = rustix::fs::Mode::RWXU;
        rustix::fs::mkdirat(&folder, "d", mode).unwrap();
        let flags = rustix::fs::OFlags::DIRECTORY;
        folder = rustix::fs::openat(&folder, "d", flags, rustix::fs::Mode::empty()).unwrap().into();
    }
    let items = walk(&world, root()).await;
    assert_eq!(items.len(), 128);
    assert_eq!(items.last().unwrap().fault, Some(FaultCode::NameTooLong));
    assert!(items[..127].iter().all(|item| item.fault.is_none()));
}

#[tokio::test]
async fn a_walk_can_be_cancelled_in_the_middle() {
    let world = World::new();
    for index in 0..3_000 {
        world.write(&format!("{index}"), "");
    }
    let mut talk = world.open(Walk { start: root(), pages: 1 });
    assert!(matches!(talk.next().await, Ok(Answer::WalkPage(_))));
    talk.cancel.cancel();
    assert_eq!(talk.end().await.unwrap_err().code, FaultCode::Cancelled);
}

#[tokio::test]
async fn a_walk_of_something_empty_ends_without_a_page() {
    let world = World::new();
    assert!(walk(&world, root()).await.is_empty());
    assert!(matches!(world.ask(Walk { start: root(), pages: 0 }).await, Ok(Answer::Done(_))));
}
