//! A request repeated with its operation id: the same answer, and nothing done twice.

use towpath_protocol::fault::FaultCode;
use towpath_protocol::message::{Answer, Request};
use towpath_protocol::request::{Depth, Existing};

use super::world::{World, begin, commit, copy, make_folder, make_link, put, remove, rename};

#[tokio::test]
async fn a_repeat_gets_the_first_answer() {
    let world = World::new();
    world.write("a", "a");
    world.write("b", "b");
    let requests: [Request; 6] = [
        put("put", b"put", Existing::Keep).into(),
        make_folder("folder", Existing::Keep).into(),
        make_link("link", b"target", Existing::Keep).into(),
        rename("a", "renamed", Existing::Keep).into(),
        copy("b", "copied", Existing::Keep).into(),
        remove("b", Depth::Tree).into(),
    ];
    for request in requests {
        let first = world.ask(request.clone()).await;
        assert!(first.is_ok(), "{request:?}: {first:?}");
        assert_eq!(world.ask(request).await, first);
    }
    // Nor is it done again where it could be.
    let request = put("again", b"first", Existing::Replace);
    world.stored(request.clone()).await;
    world.write("again", "second");
    world.stored(request).await;
    assert_eq!(world.read("again"), b"second");
}

#[tokio::test]
async fn a_repeated_upload_gets_the_first_answer_without_sending_again() {
    let world = World::new();
    let request = begin("file", 7, Existing::Keep);
    let first = world.upload(request.clone(), b"content").await;
    assert!(matches!(first, Ok(Answer::Stored(_))));
    assert_eq!(world.ask(request).await, first);
}

#[tokio::test]
async fn a_repeat_while_the_upload_is_under_way_gets_its_answer() {
    let world = World::new();
    let request = begin("file", 7, Existing::Keep);
    let mut talk = world.open(request.clone());
    talk.send_all(b"content").await.unwrap();
    let repeat = world.open(request);
    talk.send(commit(b"content")).await;
    let (first, repeat) = tokio::join!(talk.end(), repeat.end());
    assert!(matches!(first, Ok(Answer::Stored(_))));
    assert_eq!(first, repeat);
}

#[tokio::test]
async fn a_cancelled_upload_can_be_done_again_under_its_id() {
    let world = World::new();
    let request = begin("file", 7, Existing::Keep);
    let mut talk = world.open(request.clone());
    talk.next().await.unwrap();
    talk.cancel.cancel();
    assert_eq!(talk.end().await.unwrap_err().code, FaultCode::Cancelled);
    assert!(world.upload(request, b"content").await.is_ok());
    world.check();
}
