//! Rename: hard links, folders into themselves, what the policies allow.

use std::fs;

use towpath_protocol::entry::Version;
use towpath_protocol::fault::FaultCode;
use towpath_protocol::message::Request;
use towpath_protocol::request::{Copy, Existing, MakeLink, Rename};
use towpath_protocol::time::Time;

use super::world::{World, below, copy, make_link, rename};

#[tokio::test]
async fn a_whole_folder_moves_with_what_is_in_it() {
    let world = World::new();
    world.folder("from/deep");
    world.folder("to");
    world.write("from/deep/file", "content");
    world.ask(rename("from", "to/there", Existing::Keep)).await.unwrap();
    assert_eq!(world.read("to/there/deep/file"), b"content");
    assert!(!world.exists("from"));
    world.check();
}

#[tokio::test]
async fn a_folder_does_not_move_into_itself() {
    let world = World::new();
    world.folder("folder/deep");
    for existing in [Existing::Keep, Existing::Replace] {
        for to in ["folder/new", "folder/deep/new", "folder"] {
            assert_eq!(world.refused(rename("folder", to, existing)).await, FaultCode::IntoItself, "{to}");
        }
    }
    assert!(world.exists("folder/deep"));
}

#[tokio::test]
async fn a_second_name_of_the_same_file_becomes_the_only_one() {
    let world = World::new();
    world.write("one", "content");
    fs::hard_link(world.at("one"), world.at("two")).unwrap();
    assert_eq!(world.refused(rename("one", "two", Existing::Keep)).await, FaultCode::AlreadyExists);
    assert_eq!(world.refused(rename("one", "one", Existing::Replace)).await, FaultCode::IntoItself);
    assert!(world.exists("one"));
    world.ask(rename("one", "two", Existing::Replace)).await.unwrap();
    assert!(!world.exists("one"));
    assert_eq!(world.read("two"), b"content");
}

#[tokio::test]
async fn only_an_older_file_is_replaced_where_that_was_asked() {
    let world = World::new();
    world.write("old", "old");
    world.write("new", "new");
    let time = |ns| towpath_protocol::request::SetTimes { thing: below("old"), modified: Time::from_ns(ns) };
    world.ask(time(1)).await.unwrap();
    assert_eq!(world.refused(rename("old", "new", Existing::ReplaceOlder)).await, FaultCode::AlreadyExists);
    world.ask(rename("new", "old", Existing::ReplaceOlder)).await.unwrap();
    assert_eq!(world.read("old"), b"new");
}

#[tokio::test]
async fn the_fault_names_the_side_that_is_to_blame() {
    let world = World::new();
    world.write("here", "");
    let fault = world.ask(rename("here", "no/such", Existing::Keep)).await.unwrap_err();
    assert_eq!(fault.path.unwrap().display(), "no");
    let fault = world.ask(rename("gone", "there", Existing::Keep)).await.unwrap_err();
    assert_eq!(fault.path.unwrap().display(), "gone");
}

#[tokio::test]
async fn only_what_was_shown_is_replaced() {
    let world = World::new();
    let all: [fn(Option<Version>) -> Request; 3] = [
        |expected| Rename { expected, ..rename("new", "old", Existing::Replace) }.into(),
        |expected| Copy { expected, ..copy("new", "old", Existing::Replace) }.into(),
        |expected| MakeLink { expected, ..make_link("old", b"new", Existing::Replace) }.into(),
    ];
    for request in all {
        world.write("new", "new");
        world.write("old", "old");
        let shown = world.version("old").await;
        world.write("old", "changed meanwhile");
        assert_eq!(world.refused(request(Some(shown))).await, FaultCode::Changed);
        assert_eq!(world.read("old"), b"changed meanwhile");
        fs::remove_file(world.at("old")).unwrap();
        assert_eq!(world.refused(request(Some(shown))).await, FaultCode::Changed, "it is gone");
        world.write("old", "old");
        let shown = world.version("old").await;
        world.ask(request(Some(shown))).await.unwrap();
        assert_eq!(world.read("old"), b"new");
        let _ = fs::remove_file(world.at("old"));
        world.check();
    }
}
