//! Uploads: any size, any order of events, and never half a file.

use std::fs;

use towpath_protocol::answer::UploadReady;
use towpath_protocol::fault::FaultCode;
use towpath_protocol::hash::Hash;
use towpath_protocol::input::{AbortUpload, CommitUpload, More};
use towpath_protocol::limits::UPLOAD_CREDIT_BYTES_MAX;
use towpath_protocol::message::Answer;
use towpath_protocol::request::{BeginUpload, Durability, Existing};

use super::world::{SOME_TIME_NS, Talk, World, begin, commit, put, umask};

const DATA: usize = 64 * 1024;

fn content(len: usize) -> Vec<u8> {
    (0..len).map(|index| (index * 31 % 251) as u8).collect()
}

async fn ready(talk: &mut Talk) -> UploadReady {
    match talk.next().await.unwrap() {
        Answer::UploadReady(ready) => ready,
        other => panic!("{other:?}"),
    }
}

/// Waits until this many bytes are acknowledged.
async fn acknowledged(talk: &mut Talk, bytes: usize) {
    loop {
        match talk.next().await.unwrap() {
            Answer::UploadAck(ack) if ack.received >= bytes as u64 => return,
            Answer::UploadAck(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn files_of_every_size_arrive() {
    const MIB: usize = 1024 * 1024;
    let world = World::new();
    for size in [0, 1, DATA - 1, DATA, DATA + 1, MIB - 1, MIB, MIB + 1, 20 * MIB + 3] {
        let content = content(size);
        let mut request = begin("file", size, Existing::Replace);
        request.store.durability = Durability::Synced;
        let answer = world.upload(request, &content).await.unwrap();
        let Answer::Stored(stored) = answer else { panic!("{answer:?}") };
        assert_eq!(stored.attributes.size, size as u64);
        assert!(world.read("file") == content, "{size}");
        assert_eq!((world.mode("file"), world.modified("file")), (0o644 & !umask(), SOME_TIME_NS));
    }
    world.check();
}

#[tokio::test]
async fn zeros_are_stored_as_holes_and_hashed_as_zeros() {
    use std::os::unix::fs::MetadataExt;

    const SIZE: usize = 10 * 1024 * 1024 + 7;
    let world = World::new();
    fs::File::create(world.at("hole")).unwrap().set_len(SIZE as u64).unwrap();
    if fs::metadata(world.at("hole")).unwrap().blocks() > 0 {
        crate::skip::skip("this file system has no holes");
        return;
    }
    for islands in [&[][..], &[0], &[SIZE - 1], &[3_000_000, 3_000_001, 8_000_000]] {
        let mut content = vec![0; SIZE];
        for at in islands {
            content[*at] = 1;
        }
        world.upload(begin("file", SIZE, Existing::Replace), &content).await.unwrap();
        assert!(world.read("file") == content, "{islands:?}");
        let stored = fs::metadata(world.at("file")).unwrap().blocks() * 512;
        assert!(stored < 1024 * 1024, "{stored} bytes are stored with data at {islands:?}");
    }
    world.check();
}

#[tokio::test]
async fn an_unfinished_upload_cannot_be_read_by_others() {
    use std::os::unix::fs::PermissionsExt;

    let world = World::new();
    // In the place of another it has a name of its own until then.
    world.write("file", "old");
    let mut talk = world.open(begin("file", 4, Existing::Replace));
    ready(&mut talk).await;
    let parts = world.parts();
    assert_eq!(parts.len(), 1);
    assert_eq!(fs::metadata(&parts[0]).unwrap().permissions().mode() & 0o7777, 0o600);
    talk.cancel.cancel();
    assert_eq!(talk.end().await.unwrap_err().code, FaultCode::Cancelled);
}

#[tokio::test]
async fn a_cancelled_upload_leaves_nothing() {
    let world = World::new();
    world.write("file", "old");
    let mut talk = world.open(begin("file", 10 * DATA, Existing::Replace));
    ready(&mut talk).await;
    talk.send_data(0, &content(DATA)).await;
    acknowledged(&mut talk, DATA).await;
    assert_eq!(world.parts().len(), 1);
    talk.cancel.cancel();
    assert_eq!(talk.end().await.unwrap_err().code, FaultCode::Cancelled);
    assert_eq!(world.read("file"), b"old");
    world.check();
}

#[tokio::test]
async fn a_lost_connection_leaves_nothing() {
    let world = World::new();
    let mut talk = world.open(begin("file", 10 * DATA, Existing::Replace));
    ready(&mut talk).await;
    talk.send_data(0, &content(DATA)).await;
    acknowledged(&mut talk, DATA).await;
    let Talk { mut answers, inputs, cancel: _cancel } = talk;
    drop(inputs);
    while let Some((_, answer)) = answers.recv().await {
        assert!(!matches!(answer, Answer::Stored(_)));
    }
    assert!(!world.exists("file"));
    world.check();
}

#[tokio::test]
async fn an_aborted_upload_leaves_nothing() {
    let world = World::new();
    let mut talk = world.open(begin("file", 10 * DATA, Existing::Replace));
    ready(&mut talk).await;
    talk.send_data(0, &content(DATA)).await;
    talk.send(AbortUpload { keep: false }).await;
    assert!(matches!(talk.end().await, Ok(Answer::Done(_))));
    assert!(!world.exists("file"));
    world.check();
}

#[tokio::test]
async fn what_differs_from_the_announced_is_not_put_in_place() {
    let content = content(DATA + 5);
    let short = CommitUpload { len: content.len() as u64 + 1, hash: Hash::of(&content) };
    let wrong = CommitUpload { len: content.len() as u64, hash: Hash::of(b"something else") };
    for (name, commit) in [("shorter", short), ("other bytes", wrong)] {
        let world = World::new();
        let mut talk = world.open(begin("file", content.len(), Existing::Keep));
        talk.send_all(&content).await.unwrap();
        talk.send(commit).await;
        assert_eq!(talk.end().await.unwrap_err().code, FaultCode::HashMismatch, "{name}");
        assert!(!world.exists("file"), "{name}");
        world.check();
    }
}

#[tokio::test]
async fn data_with_gaps_overlaps_or_wrong_sizes_ends_the_upload() {
    let too_long = content(DATA + 1);
    let cases: [(&str, usize, &[u8], FaultCode); 4] = [
        ("a gap", 5, b"after", FaultCode::OutOfOrder),
        ("an overlap", 3, b"again", FaultCode::OutOfOrder),
        ("nothing", 4, b"", FaultCode::Malformed),
        ("too much", 4, &too_long, FaultCode::Malformed),
    ];
    for (name, offset, data, code) in cases {
        let world = World::new();
        let talk = world.open(begin("file", 100, Existing::Keep));
        talk.send_data(0, b"0123").await;
        talk.send_data(offset, data).await;
        assert_eq!(talk.end().await.unwrap_err().code, code, "{name}");
        world.check();
    }
}

#[tokio::test]
async fn what_belongs_to_no_upload_ends_it() {
    let world = World::new();
    let talk = world.open(begin("file", 100, Existing::Keep));
    talk.send(More { pages: 1 }).await;
    assert_eq!(talk.end().await.unwrap_err().code, FaultCode::OutOfOrder);
    let talk = world.open(begin("file", 4, Existing::Keep));
    // Both are there before the service looks.
    talk.inputs.try_send(commit(b"").into()).unwrap();
    talk.inputs.try_send(AbortUpload { keep: false }.into()).unwrap();
    assert_eq!(talk.end().await.unwrap_err().code, FaultCode::OutOfOrder);
    assert!(!world.exists("file"));
    world.check();
}

#[tokio::test]
async fn more_than_the_credit_ends_the_upload() {
    let world = World::new();
    let mut talk = world.open(begin("file", 64 * 1024 * 1024, Existing::Keep));
    let ready = ready(&mut talk).await;
    assert!(ready.offset == 0 && ready.credit_bytes > 0 && ready.credit_bytes <= UPLOAD_CREDIT_BYTES_MAX);
    // On one thread the service does not run between these.
    let data = content(DATA);
    for index in 0..=ready.credit_bytes as usize / DATA {
        talk.inputs
            .try_send(
                towpath_protocol::input::UploadData {
                    offset: (index * DATA) as u64,
                    data: data.clone().into(),
                }
                .into(),
            )
            .unwrap();
    }
    assert_eq!(talk.end().await.unwrap_err().code, FaultCode::LimitExceeded);
    world.check();
}

#[tokio::test]
async fn a_client_whose_line_holds_more_is_granted_more() {
    let world = World::new();
    let mut usual = world.open(begin("usual", 64 * 1024 * 1024, Existing::Keep));
    let usual = ready(&mut usual).await.credit_bytes;
    let window_bytes = Some(2 * usual);
    let mut far = world.open(BeginUpload { window_bytes, ..begin("far", 64 * 1024 * 1024, Existing::Keep) });
    assert_eq!(ready(&mut far).await.credit_bytes, 2 * usual);
}

#[tokio::test]
async fn a_destination_that_is_taken_meanwhile_is_kept() {
    let world = World::new();
    let mut talk = world.open(begin("file", 3, Existing::Keep));
    talk.send_all(b"new").await.unwrap();
    world.write("file", "taken");
    talk.send(commit(b"new")).await;
    assert_eq!(talk.end().await.unwrap_err().code, FaultCode::AlreadyExists);
    assert_eq!(world.read("file"), b"taken");
    world.check();
}

#[tokio::test]
async fn a_destination_that_changed_meanwhile_is_kept() {
    let world = World::new();
    let first = world.stored(put("file", b"first", Existing::Keep)).await;
    let mut request = begin("file", 3, Existing::Replace);
    request.store.expected = Some(first.attributes.version());
    let mut talk = world.open(request);
    talk.send_all(b"new").await.unwrap();
    world.write("file", "changed meanwhile");
    talk.send(commit(b"new")).await;
    assert_eq!(talk.end().await.unwrap_err().code, FaultCode::Changed);
    assert_eq!(world.read("file"), b"changed meanwhile");
    world.check();
}

#[tokio::test]
async fn more_than_there_is_room_for_is_refused_before_anything_is_written() {
    let world = World::new();
    let fault = world.ask(begin("file", 1 << 60, Existing::Keep)).await.unwrap_err();
    assert_eq!(fault.code, FaultCode::NoSpace);
    assert!(fault.detail.to_string().contains("1152921504606846976 bytes needed"), "{}", fault.detail);
    world.check();
}
