//! Uploads that are cut off: what was received waits, is taken up only by the same file, and is proven whatever happens.

use std::sync::Arc;

use towpath_files::service::{ClientId, Grant};
use towpath_protocol::answer::UploadReady;
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::hash::Hash;
use towpath_protocol::input::{AbortUpload, CommitUpload, UploadData};
use towpath_protocol::message::Answer;
use towpath_protocol::path::WirePath;
use towpath_protocol::permissions::Permissions;
use towpath_protocol::request::{BeginUpload, Existing, StoreAs};
use towpath_protocol::time::Time;

use super::world::{Talk, World, begin, below, store};

async fn ready(talk: &mut Talk) -> UploadReady {
    match talk.next().await.unwrap() {
        Answer::UploadReady(ready) => ready,
        other => panic!("{other:?}"),
    }
}

/// The part that waits below the served folder, and its length.
fn waiting(world: &World) -> Vec<u64> {
    let parts = std::fs::read_dir(world.at("")).unwrap().map(|entry| entry.unwrap());
    let parts = parts.filter(|entry| entry.file_name().to_string_lossy().starts_with(".towpath-part-"));
    parts.map(|entry| entry.metadata().unwrap().len()).collect()
}

fn resumed(size: usize) -> BeginUpload {
    BeginUpload { resume: Some(1 << 20), ..begin("file", size, Existing::Keep) }
}

async fn send_all(talk: &mut Talk, from: usize, content: &[u8]) {
    for (index, data) in content.chunks(65_536).enumerate() {
        talk.send(UploadData { offset: (from + index * 65_536) as u64, data: data.to_vec().into() }).await;
    }
}

/// An upload of a file of that content that has sent so much of it and lost its source.
async fn cut_off(world: &World, content: &[u8], sent: usize) {
    let mut talk = Talk::open(&world.service, resumed(content.len()).into());
    ready(&mut talk).await;
    send_all(&mut talk, 0, &content[..sent]).await;
    talk.send(AbortUpload { keep: true }).await;
    talk.end().await.unwrap();
}

async fn commit(talk: Talk, content: &[u8]) -> Result<Answer, Fault> {
    talk.send(CommitUpload { len: content.len() as u64, hash: Hash::of(content) }).await;
    talk.end().await
}

#[tokio::test]
async fn an_upload_that_is_cut_off_goes_on_where_it_was() {
    let content: Vec<u8> =
        (0..4_500_000_u32).flat_map(|index| (index / 3).to_le_bytes()[..1].to_vec()).collect();
    for keep in [false, true] {
        let world = World::new();
        let mut talk = Talk::open(&world.service, resumed(content.len()).into());
        assert_eq!((ready(&mut talk).await.offset, waiting(&world).len()), (0, 1));
        send_all(&mut talk, 0, &content[..3_500_000]).await;
        talk.send(AbortUpload { keep }).await;
        talk.end().await.unwrap();
        assert_eq!(waiting(&world), if keep { vec![3_500_000] } else { vec![] });
        let mut talk = Talk::open(&world.service, resumed(content.len()).into());
        let UploadReady { offset, kept, .. } = ready(&mut talk).await;
        let there = if keep { 3 << 20 } else { 0 };
        assert_eq!((offset, kept), (there as u64, keep.then(|| Hash::of(&content[..there]))));
        send_all(&mut talk, there, &content[there..]).await;
        commit(talk, &content).await.unwrap();
        assert_eq!(world.read("file"), content);
        assert_eq!(waiting(&world), []);
    }
}

#[tokio::test]
async fn what_waits_is_not_mixed_with_another_source() {
    let world = World::new();
    let [old, new] = [7, 8].map(|byte| vec![byte; 3 << 20]);
    cut_off(&world, &old, 2 << 20).await;
    // Of another size, or time, it is another file's.
    let other = BeginUpload {
        store: StoreAs { modified: Time::from_ns(5), ..store(Existing::Keep) },
        ..resumed(old.len())
    };
    for other in [other, resumed(old.len() + 1), BeginUpload { resume: None, ..resumed(old.len()) }] {
        let mut talk = Talk::open(&world.service, other.into());
        assert_eq!(ready(&mut talk).await.offset, 0);
        talk.send(AbortUpload { keep: false }).await;
        talk.end().await.unwrap();
    }
    assert_eq!(waiting(&world), [2 << 20]);
    // Whoever goes on with it although the source is another one gets no file.
    let mut talk = Talk::open(&world.service, resumed(new.len()).into());
    assert_eq!(ready(&mut talk).await.offset, 2 << 20);
    send_all(&mut talk, 2 << 20, &new[2 << 20..]).await;
    assert_eq!(commit(talk, &new).await.unwrap_err().code, FaultCode::HashMismatch);
    assert!(!world.exists("file"));
    assert_eq!(waiting(&world), []);
}

#[tokio::test]
async fn who_does_not_want_what_waits_begins_again() {
    let world = World::new();
    let [old, new] = [7, 8].map(|byte| vec![byte; 3 << 20]);
    cut_off(&world, &old, 2 << 20).await;
    let mut talk = Talk::open(&world.service, resumed(new.len()).into());
    assert_eq!(ready(&mut talk).await.offset, 2 << 20);
    // Somebody else cannot have it meanwhile.
    let mut second = Talk::open(&world.service, resumed(new.len()).into());
    assert_eq!(ready(&mut second).await.offset, 0);
    second.send(AbortUpload { keep: false }).await;
    second.end().await.unwrap();
    send_all(&mut talk, 0, &new).await;
    commit(talk, &new).await.unwrap();
    assert_eq!(world.read("file"), new);
    for size in [0, 1, (1 << 20) + 1, 32 << 20] {
        let request = BeginUpload { resume: Some(size), ..begin("odd", 3, Existing::Keep) };
        let refused = Talk::open(&world.service, request.into()).end().await.unwrap_err();
        assert_eq!(refused.code, FaultCode::Malformed, "{size}");
    }
}

#[tokio::test]
async fn what_waits_counts_in_the_quota_and_is_not_counted_twice_when_it_is_taken_up() {
    let mut world = World::new();
    let grant = Grant {
        client: ClientId(1),
        folder: WirePath::root(),
        may: Permissions::ALL,
        quota_bytes: Some(5 << 20),
    };
    world.service = Arc::new(world.service.for_client(&grant).unwrap());
    let content = vec![7; 3 << 20];
    cut_off(&world, &content, 2 << 20).await;
    let other = |size| BeginUpload { file: below("other"), ..begin("other", size, Existing::Keep) };
    // Twice: a refusal makes the service count what is on the disk.
    for _ in 0..2 {
        let refused = Talk::open(&world.service, other((3 << 20) + 1).into()).end().await.unwrap_err();
        assert_eq!(refused.code, FaultCode::NoSpace);
    }
    let mut talk = Talk::open(&world.service, resumed(content.len()).into());
    assert_eq!(ready(&mut talk).await.offset, 2 << 20);
    send_all(&mut talk, 2 << 20, &content[2 << 20..]).await;
    commit(talk, &content).await.unwrap();
    let refused = Talk::open(&world.service, other((2 << 20) + 1).into()).end().await.unwrap_err();
    assert_eq!(refused.code, FaultCode::NoSpace);
    let mut talk = Talk::open(&world.service, other(2 << 20).into());
    assert_eq!(ready(&mut talk).await.offset, 0);
    talk.send(AbortUpload { keep: false }).await;
    talk.end().await.unwrap();
}
