//! Uploads of which only a part is sent: what is taken over from the file that is replaced, and holes.

use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt};

use towpath_protocol::answer::{UploadAck, UploadReady};
use towpath_protocol::entry::Version;
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::hash::Hash;
use towpath_protocol::input::{AbortUpload, CommitUpload, SpanOf, UploadSpan};
use towpath_protocol::limits::{SPAN_BYTES_MAX, SPAN_CREDIT_BYTES};
use towpath_protocol::message::Answer;
use towpath_protocol::request::{BeginUpload, Existing};
use towpath_protocol::time::Time;

use super::world::{Talk, World, begin, commit};

const MIB: usize = 1 << 20;

fn content(len: usize) -> Vec<u8> {
    (0..len).map(|index| (index * 31 % 251) as u8).collect()
}

async fn ready(talk: &mut Talk) -> UploadReady {
    match talk.next().await.unwrap() {
        Answer::UploadReady(ready) => ready,
        other => panic!("{other:?}"),
    }
}

fn span(of: SpanOf, offset: usize, len: usize) -> UploadSpan {
    UploadSpan { offset: offset as u64, len: len as u64, of }
}

async fn changed(world: &World, size: usize) -> BeginUpload {
    let basis = Some(world.version("file").await);
    BeginUpload { basis, ..begin("file", size, Existing::Replace) }
}

async fn end(talk: Talk, content: &[u8]) -> Result<Answer, Fault> {
    talk.send(commit(content)).await;
    talk.end().await
}

#[tokio::test]
async fn what_is_there_is_taken_over_and_only_the_rest_is_sent() {
    let world = World::new();
    let old = content(5 * MIB + 123);
    world.write("file", &old);
    let mut new = old.clone();
    new[MIB..MIB + 5].copy_from_slice(b"other");
    new.extend_from_slice(b"and more");
    let mut talk = world.open(changed(&world, new.len()).await);
    assert!(ready(&mut talk).await.basis);
    talk.send(span(SpanOf::Basis, 0, MIB)).await;
    talk.send_data(MIB, &new[MIB..MIB + 5]).await;
    talk.send(span(SpanOf::Basis, MIB + 5, old.len() - MIB - 5)).await;
    talk.send_data(old.len(), &new[old.len()..]).await;
    end(talk, &new).await.unwrap();
    assert!(world.read("file") == new);
    world.check();
}

#[tokio::test]
async fn zeros_that_are_said_are_a_hole_however_many() {
    let world = World::new();
    let size = 3 * SPAN_BYTES_MAX as usize + 5;
    let mut talk = world.open(begin("file", size, Existing::Keep));
    ready(&mut talk).await;
    let mut hasher = towpath_protocol::hash::RangeHasher::new(0);
    for part in 0..3 {
        talk.send(span(SpanOf::Zeros, part * SPAN_BYTES_MAX as usize, SPAN_BYTES_MAX as usize)).await;
        hasher.update_zeros(SPAN_BYTES_MAX);
    }
    talk.send_data(size - 5, b"ended").await;
    hasher.update(b"ended");
    talk.send(CommitUpload { len: size as u64, hash: hasher.finish_whole() }).await;
    talk.end().await.unwrap();
    let file = fs::File::open(world.at("file")).unwrap();
    let metadata = file.metadata().unwrap();
    assert_eq!(metadata.len(), size as u64);
    assert!(metadata.blocks() * 512 < MIB as u64, "{} blocks", metadata.blocks());
    let mut last = [1; 10];
    file.read_exact_at(&mut last, size as u64 - 10).unwrap();
    assert_eq!(&last, b"\0\0\0\0\0ended");
    world.check();
}

#[tokio::test]
async fn holes_of_what_is_taken_over_stay_holes() {
    let world = World::new();
    let file = fs::File::create(world.at("file")).unwrap();
    file.set_len(20 << 20).unwrap();
    file.write_all_at(&content(100_000), 7_000_000).unwrap();
    if file.metadata().unwrap().blocks() * 512 > 1 << 20 {
        crate::skip::skip("this file system has no holes");
        return;
    }
    let content = world.read("file");
    let mut talk = world.open(changed(&world, content.len()).await);
    ready(&mut talk).await;
    talk.send(span(SpanOf::Basis, 0, content.len())).await;
    end(talk, &content).await.unwrap();
    assert!(world.read("file") == content);
    assert!(fs::metadata(world.at("file")).unwrap().blocks() * 512 < 1 << 20);
    world.check();
}

#[tokio::test]
async fn spans_that_break_a_rule_end_the_upload() {
    let old = content(100_000);
    let cases: [(&str, UploadSpan, FaultCode); 10] = [
        ("nothing", span(SpanOf::Zeros, 4, 0), FaultCode::Malformed),
        ("too long", span(SpanOf::Zeros, 4, SPAN_BYTES_MAX as usize + 1), FaultCode::Malformed),
        ("far too long", span(SpanOf::Basis, 4, 1 << 63), FaultCode::Malformed),
        ("a gap", span(SpanOf::Zeros, 5, 10), FaultCode::OutOfOrder),
        ("an overlap", span(SpanOf::Basis, 3, 10), FaultCode::OutOfOrder),
        ("beyond what was announced", span(SpanOf::Zeros, 4, 199_997), FaultCode::LimitExceeded),
        ("beyond all", span(SpanOf::Zeros, usize::MAX, 2), FaultCode::OutOfOrder),
        ("beyond all, of the basis", span(SpanOf::Basis, usize::MAX - 1, 1), FaultCode::OutOfOrder),
        ("beyond the basis", span(SpanOf::Basis, 4, 99_997), FaultCode::Malformed),
        ("behind the basis", span(SpanOf::Basis, 150_000, 10), FaultCode::OutOfOrder),
    ];
    for (name, span, code) in cases {
        let world = World::new();
        world.write("file", &old);
        let talk = world.open(changed(&world, 200_000).await);
        talk.send_data(0, b"0123").await;
        talk.send(span).await;
        assert_eq!(talk.end().await.unwrap_err().code, code, "{name}");
        assert!(world.read("file") == old, "{name}");
        world.check();
    }
}

#[tokio::test]
async fn nothing_is_taken_from_what_nobody_named_or_from_another_version() {
    let world = World::new();
    world.write("file", "what is there");
    let named = changed(&world, 13).await;
    let other = Version { changed: Time::from_ns(1), ..named.basis.unwrap() };
    let missing = BeginUpload { file: super::world::below("new"), ..named.clone() };
    world.folder("folder");
    let folder = BeginUpload { file: super::world::below("folder/new"), ..named.clone() };
    for request in [
        BeginUpload { basis: None, ..named.clone() },
        BeginUpload { basis: Some(other), ..named },
        missing,
        folder,
    ] {
        let request = BeginUpload { operation: super::world::operation(), ..request };
        let mut talk = world.open(request);
        assert!(!ready(&mut talk).await.basis);
        talk.send(span(SpanOf::Basis, 0, 13)).await;
        assert_eq!(talk.end().await.unwrap_err().code, FaultCode::OutOfOrder);
    }
    assert_eq!(world.read("file"), b"what is there");
    world.check();
}

#[tokio::test]
async fn a_basis_that_changes_meanwhile_is_noticed() {
    let world = World::new();
    let old = content(MIB);
    world.write("file", &old);
    let mut talk = world.open(changed(&world, old.len()).await);
    ready(&mut talk).await;
    talk.send(span(SpanOf::Basis, 0, MIB / 2)).await;
    loop {
        if let Answer::UploadAck(UploadAck { received, .. }) = talk.next().await.unwrap()
            && received == MIB as u64 / 2
        {
            break;
        }
    }
    fs::File::options().write(true).open(world.at("file")).unwrap().write_all_at(b"new", 0).unwrap();
    talk.send(span(SpanOf::Basis, MIB / 2, MIB / 2)).await;
    assert_eq!(end(talk, &old).await.unwrap_err().code, FaultCode::Changed);
    assert_eq!(&world.read("file")[..3], b"new");
    world.check();
}

#[tokio::test]
async fn a_basis_that_shrinks_meanwhile_is_noticed() {
    let world = World::new();
    let old = content(MIB);
    world.write("file", &old);
    let mut talk = world.open(changed(&world, old.len()).await);
    ready(&mut talk).await;
    fs::File::options().write(true).open(world.at("file")).unwrap().set_len(10).unwrap();
    talk.send(span(SpanOf::Basis, 0, MIB)).await;
    assert_eq!(talk.end().await.unwrap_err().code, FaultCode::Changed);
    assert_eq!(world.read("file"), old[..10]);
    world.check();
}

#[tokio::test]
async fn spans_cost_credit_however_short() {
    let world = World::new();
    let mut talk = world.open(begin("file", 1 << 30, Existing::Keep));
    let credit = ready(&mut talk).await.credit_bytes;
    // On one thread the service does not run between these.
    for index in 0..=credit / SPAN_CREDIT_BYTES {
        talk.inputs.try_send(span(SpanOf::Zeros, index as usize, 1).into()).unwrap();
    }
    assert_eq!(talk.end().await.unwrap_err().code, FaultCode::LimitExceeded);
    world.check();
}

#[tokio::test]
async fn credit_comes_back_when_all_of_a_span_is_acknowledged() {
    let world = World::new();
    let mut talk = world.open(begin("file", 1 << 30, Existing::Keep));
    let credit = ready(&mut talk).await.credit_bytes;
    let spans = credit / SPAN_CREDIT_BYTES;
    for round in 0..3 {
        for index in round * spans..(round + 1) * spans {
            talk.send(span(SpanOf::Zeros, index as usize, 1)).await;
        }
        loop {
            match talk.next().await.unwrap() {
                Answer::UploadAck(ack) if ack.received == (round + 1) * spans => break,
                Answer::UploadAck(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }
    let zeros = vec![0; 3 * spans as usize];
    end(talk, &zeros).await.unwrap();
    assert!(world.read("file") == zeros);
}

#[tokio::test]
async fn what_was_taken_over_goes_on_where_it_was_cut_off_too() {
    let world = World::new();
    let old = content(5 * MIB);
    world.write("file", &old);
    let mut new = old.clone();
    new[..5].copy_from_slice(b"other");
    let resumed = || async { BeginUpload { resume: Some(1 << 20), ..changed(&world, new.len()).await } };
    let mut talk = world.open(resumed().await);
    ready(&mut talk).await;
    talk.send_data(0, &new[..5]).await;
    talk.send(span(SpanOf::Basis, 5, 3 * MIB)).await;
    talk.send(AbortUpload { keep: true }).await;
    talk.end().await.unwrap();
    let mut talk = world.open(resumed().await);
    let UploadReady { offset, kept, basis, .. } = ready(&mut talk).await;
    assert_eq!((offset, kept, basis), (3 << 20, Some(Hash::of(&new[..3 * MIB])), true));
    talk.send(span(SpanOf::Basis, 3 * MIB, 2 * MIB)).await;
    end(talk, &new).await.unwrap();
    assert!(world.read("file") == new);
    // Another one begins anew with a span.
    let mut talk = world.open(resumed().await);
    ready(&mut talk).await;
    talk.send_data(0, &new[..5]).await;
    talk.send(span(SpanOf::Basis, 5, 3 * MIB)).await;
    talk.send(AbortUpload { keep: true }).await;
    talk.end().await.unwrap();
    let mut talk = world.open(resumed().await);
    assert_eq!(ready(&mut talk).await.offset, 3 << 20);
    talk.send(span(SpanOf::Basis, 0, 5 * MIB)).await;
    end(talk, &new).await.unwrap();
    assert!(world.read("file") == new);
    world.check();
}
