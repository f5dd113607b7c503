//! Each verb on each shape of thing: what is refused, with which code; nothing outside ever changes.

use std::fs;

use towpath_protocol::fault::FaultCode::{
    self, AlreadyExists, IsAFolder, NotAFolder, NotEmpty, NotFound, NotSupportedHere, SpecialFile,
};
use towpath_protocol::message::{Answer, Request};
use towpath_protocol::request::{Depth, Existing, SetMode, SetTimes};
use towpath_protocol::time::Time;

use super::world::{
    SOME_TIME_NS, World, begin, below, copy, make_fifo, make_folder, make_link, put, remove, rename,
};

/// What `x` is.
const SHAPES: [&str; 8] = [
    "absent",
    "file",
    "folder",
    "link to a file",
    "link to a folder",
    "link outside",
    "dangling link",
    "fifo",
];

fn shape(shape: &str) -> World {
    let world = World::new();
    world.write("source", "source");
    world.write("inside", "inside");
    world.folder("tree/deep");
    world.write("tree/deep/file", "deep");
    match shape {
        "absent" => {}
        "file" => world.write("x", "old"),
        "folder" => {
            world.folder("x");
            world.write("x/kept", "kept");
        }
        "link to a file" => world.link("x", "inside"),
        "link to a folder" => world.link("x", "tree"),
        "link outside" => world.link("x", world.outside().join("folder")),
        "dangling link" => world.link("x", "nowhere"),
        "fifo" => make_fifo(&world.at("x")),
        other => panic!("{other}"),
    }
    world
}

type Row = [Option<FaultCode>; 8];

/// Runs a request against each shape and compares what it was refused with.
async fn table(verb: &str, request: impl Fn() -> Request, expected: Row) {
    for (name, expected) in SHAPES.iter().zip(expected) {
        let world = shape(name);
        let answer = match request() {
            Request::BeginUpload(begin) => world.upload(begin, b"uploaded").await,
            request => world.ask(request).await,
        };
        let failed = match &answer {
            Ok(Answer::Totals(totals)) => totals.faults.first().map(|fault| fault.code),
            Ok(_) => None,
            Err(fault) => Some(fault.code),
        };
        assert_eq!(failed, expected, "{verb} on: {name} ({answer:?})");
        world.check();
        // Whatever a link leads to stays as it is.
        assert_eq!(world.read("inside"), b"inside", "{verb} on: {name}");
        assert_eq!(world.read("tree/deep/file"), b"deep", "{verb} on: {name}");
        assert!(!world.exists("nowhere"), "{verb} on: {name}");
        if *name == "folder" && failed.is_some() {
            assert_eq!(world.read("x/kept"), b"kept", "{verb} on: {name}");
        }
    }
}

const OK: Option<FaultCode> = None;
/// A new thing where something is: refused.
const KEEP: Row = [
    OK,
    Some(AlreadyExists),
    Some(AlreadyExists),
    Some(AlreadyExists),
    Some(AlreadyExists),
    Some(AlreadyExists),
    Some(AlreadyExists),
    Some(AlreadyExists),
];
/// A file or link where something is: replaces a file or link.
const REPLACE: Row = [OK, OK, Some(IsAFolder), OK, OK, OK, OK, Some(SpecialFile)];
/// A folder where something is: joins a folder.
const JOIN: Row = [
    OK,
    Some(NotAFolder),
    OK,
    Some(NotAFolder),
    Some(NotAFolder),
    Some(NotAFolder),
    Some(NotAFolder),
    Some(NotAFolder),
];
/// Needs something there, and takes anything.
const ANYTHING: Row = [Some(NotFound), OK, OK, OK, OK, OK, OK, OK];

#[tokio::test]
async fn files_are_put_over_nothing_but_files_and_links() {
    table("Put, keep", || put("x", b"new", Existing::Keep).into(), KEEP).await;
    table("Put, replace", || put("x", b"new", Existing::Replace).into(), REPLACE).await;
    table("upload, keep", || begin("x", 8, Existing::Keep).into(), KEEP).await;
    table("upload, replace", || begin("x", 8, Existing::Replace).into(), REPLACE).await;
}

#[tokio::test]
async fn links_are_made_over_nothing_but_files_and_links() {
    table("MakeLink, keep", || make_link("x", b"../outside", Existing::Keep).into(), KEEP).await;
    table("MakeLink, replace", || make_link("x", b"../outside", Existing::Replace).into(), REPLACE).await;
}

#[tokio::test]
async fn folders_are_made_over_nothing_and_join_folders_only() {
    table("MakeFolder, keep", || make_folder("x", Existing::Keep).into(), KEEP).await;
    table("MakeFolder, replace", || make_folder("x", Existing::Replace).into(), JOIN).await;
}

#[tokio::test]
async fn modes_and_times_are_set_on_the_thing_itself() {
    let link = Some(NotSupportedHere);
    let mode = || SetMode { thing: below("x"), mode: 0o600 }.into();
    table("SetMode", mode, [Some(NotFound), OK, OK, link, link, link, link, OK]).await;
    let times = || SetTimes { thing: below("x"), modified: Time::from_ns(SOME_TIME_NS) }.into();
    table("SetTimes", times, ANYTHING).await;
    let world = shape("link outside");
    let before = fs::metadata(world.at("x")).unwrap().modified().unwrap();
    world.ask(SetTimes { thing: below("x"), modified: Time::from_ns(SOME_TIME_NS) }).await.unwrap();
    assert_eq!(world.modified("x"), SOME_TIME_NS);
    assert_eq!(fs::metadata(world.at("x")).unwrap().modified().unwrap(), before);
}

#[tokio::test]
async fn renames_take_anything_and_replace_only_files_and_links() {
    table("Rename from", || rename("x", "y", Existing::Keep).into(), ANYTHING).await;
    table("Rename onto, keep", || rename("source", "x", Existing::Keep).into(), KEEP).await;
    table("Rename onto, replace", || rename("source", "x", Existing::Replace).into(), REPLACE).await;
    let mut onto = JOIN;
    onto[2] = Some(AlreadyExists);
    for row in 0..SHAPES.len() {
        let world = shape(SHAPES[row]);
        world.folder("moved/deep");
        let failed = world.ask(rename("moved", "x", Existing::Replace)).await.err().map(|fault| fault.code);
        assert_eq!(failed, onto[row], "a folder renamed onto: {}", SHAPES[row]);
        world.check();
    }
}

#[tokio::test]
async fn copies_follow_no_link_and_replace_only_files_and_links() {
    let special = [Some(NotFound), OK, OK, OK, OK, OK, OK, Some(SpecialFile)];
    table("Copy from", || copy("x", "y", Existing::Keep).into(), special).await;
    table("Copy onto, keep", || copy("source", "x", Existing::Keep).into(), KEEP).await;
    table("Copy onto, replace", || copy("source", "x", Existing::Replace).into(), REPLACE).await;
    table("Copy a folder onto, keep", || copy("tree", "x", Existing::Keep).into(), KEEP).await;
    table("Copy a folder onto, replace", || copy("tree", "x", Existing::Replace).into(), JOIN).await;
}

#[tokio::test]
async fn removals_take_the_thing_itself() {
    let mut single = ANYTHING;
    single[2] = Some(NotEmpty);
    table("Remove, single", || remove("x", Depth::Single).into(), single).await;
    table("Remove, tree", || remove("x", Depth::Tree).into(), ANYTHING).await;
}

#[tokio::test]
async fn nothing_is_changed_through_a_link_below_the_base() {
    let requests: [fn() -> Request; 9] = [
        || put("x/new", b"new", Existing::Replace).into(),
        || begin("x/new", 3, Existing::Replace).into(),
        || make_folder("x/new", Existing::Replace).into(),
        || make_link("x/new", b"target", Existing::Replace).into(),
        || SetMode { thing: below("x/file"), mode: 0o777 }.into(),
        || SetTimes { thing: below("x/file"), modified: Time::from_ns(0) }.into(),
        || rename("source", "x/new", Existing::Replace).into(),
        || copy("source", "x/new", Existing::Replace).into(),
        || remove("x/file", Depth::Tree).into(),
    ];
    for name in SHAPES.iter().filter(|name| **name != "folder") {
        for request in requests {
            let world = shape(name);
            let answer = match request() {
                Request::BeginUpload(begin) => world.upload(begin, b"new").await,
                request => world.ask(request).await,
            };
            assert!(answer.is_err(), "{:?} through: {name} ({answer:?})", request());
            world.check();
            assert!(!world.exists("tree/new"));
        }
    }
    let world = shape("folder");
    for request in requests.into_iter().filter(|request| !matches!(request(), Request::BeginUpload(_))) {
        world.write("source", "source");
        world.write("x/file", "file");
        let _ = fs::remove_file(world.at("x/new"));
        let _ = fs::remove_dir(world.at("x/new"));
        world.ask(request()).await.unwrap();
    }
}

#[tokio::test]
async fn a_read_only_service_changes_nothing() {
    let mut world = shape("file");
    world.service = super::world::serve(&world.at(""), super::world::Access::ReadOnly);
    let requests: [Request; 9] = [
        put("x", b"new", Existing::Replace).into(),
        begin("x", 3, Existing::Replace).into(),
        make_folder("y", Existing::Replace).into(),
        make_link("y", b"target", Existing::Replace).into(),
        SetMode { thing: below("x"), mode: 0o777 }.into(),
        SetTimes { thing: below("x"), modified: Time::from_ns(0) }.into(),
        rename("x", "y", Existing::Replace).into(),
        copy("x", "y", Existing::Replace).into(),
        remove("x", Depth::Tree).into(),
    ];
    for request in requests {
        assert_eq!(world.refused(request).await, FaultCode::ReadOnly);
    }
    assert_eq!(world.read("x"), b"old");
    assert!(!world.exists("y"));
}
