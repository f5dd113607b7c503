//! Puts and uploads.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::sync::Arc;

use bytes::Bytes;
use towpath::link::Exchange;
use towpath::link::calls::operation_id;
use towpath_protocol::fault::FaultCode;
use towpath_protocol::hash::{Hash, RangeHasher};
use towpath_protocol::input::{AbortUpload, CommitUpload, SpanOf, UploadData, UploadSpan};
use towpath_protocol::limits::{DATA_BYTES_MAX, RANGE_BYTES};
use towpath_protocol::message::Answer;
use towpath_protocol::request::{BeginUpload, Existing, Follow, Put, StoreAs};
use towpath_protocol::time::Time;

use crate::world::{SOME_TIME_NS, World, code, location, noise, path, store_as, stored};

pub(crate) async fn files_of_every_size_are_stored(world: Arc<World>) {
    for size in [0, 1, DATA_BYTES_MAX - 1, DATA_BYTES_MAX, DATA_BYTES_MAX + 1] {
        let content = noise(size);
        let stored = if size <= DATA_BYTES_MAX {
            world.put("file", &content).await.unwrap()
        } else {
            world.upload("file", &content, Hash::of(&content)).await.unwrap()
        };
        assert_eq!(stored.attributes.size, size as u64);
        assert_eq!(stored.attributes.modified, Time::from_ns(SOME_TIME_NS));
        assert!(fs::read(world.at("file")).unwrap() == content, "{size} bytes");
        assert!(world.download("file", RANGE_BYTES).await.unwrap() == content, "{size} bytes back");
    }
    let metadata = fs::metadata(world.at("file")).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o640);
    assert_eq!(metadata.mtime(), SOME_TIME_NS / 1_000_000_000);
}

pub(crate) async fn large_files_are_uploaded_and_come_back(world: Arc<World>) {
    let range = RANGE_BYTES as usize;
    for size in [range - 1, range, range + 1, 9 * range] {
        let content = noise(size);
        let stored = world.upload("file", &content, Hash::of(&content)).await.unwrap();
        assert_eq!(stored.attributes.size, size as u64);
        assert!(fs::read(world.at("file")).unwrap() == content, "{size} bytes");
        assert!(world.download("file", RANGE_BYTES).await.unwrap() == content, "{size} bytes back");
    }
}

pub(crate) async fn an_upload_with_a_wrong_hash_leaves_nothing(world: Arc<World>) {
    world.write("file", "old");
    let content = noise(100_000);
    let outcome = world.upload("file", &content, Hash::of(b"something else")).await;
    assert_eq!(code(outcome), FaultCode::HashMismatch);
    assert_eq!(fs::read(world.at("file")).unwrap(), b"old");
    let put = Put {
        operation: operation_id().unwrap(),
        file: location("file"),
        store: store_as(),
        hash: Hash::of(b"something else"),
        data: b"new".to_vec(),
    };
    assert_eq!(code(stored(world.link.call(put).await)), FaultCode::HashMismatch);
    assert_eq!(fs::read(world.at("file")).unwrap(), b"old");
}

pub(crate) async fn an_upload_that_is_dropped_leaves_the_old_file(world: Arc<World>) {
    world.write("file", "old");
    let mut exchange = world.begin_upload("file", 200_000);
    assert!(matches!(exchange.next().await, Ok(Answer::UploadReady(_))));
    exchange.send(UploadData { offset: 0, data: Bytes::from(noise(60_000)) }).await.unwrap();
    exchange.send(AbortUpload { keep: false }).await.unwrap();
    while !exchange.next().await.unwrap().is_final() {}
    assert_eq!(fs::read(world.at("file")).unwrap(), b"old");

    let mut exchange = world.begin_upload("file", 200_000);
    assert!(matches!(exchange.next().await, Ok(Answer::UploadReady(_))));
    exchange.send(UploadData { offset: 0, data: Bytes::from(noise(60_000)) }).await.unwrap();
    exchange.cancel();
    let end = loop {
        match exchange.next().await {
            Ok(Answer::UploadAck(_)) => {}
            end => break end,
        }
    };
    assert_eq!(code(end), FaultCode::Cancelled);
    assert_eq!(fs::read(world.at("file")).unwrap(), b"old");
}

pub(crate) async fn many_small_files_are_stored_at_once(world: Arc<World>) {
    let contents: Vec<Vec<u8>> = (0..700).map(|index| noise(index * 7)).collect();
    let open: Vec<_> = contents
        .iter()
        .enumerate()
        .map(|(index, data)| {
            world.link.open(Put {
                operation: operation_id().unwrap(),
                file: location(&index.to_string()),
                store: store_as(),
                hash: Hash::of(data),
                data: data.clone(),
            })
        })
        .collect();
    for mut exchange in open {
        stored(exchange.next().await).unwrap();
    }
    for (index, content) in contents.iter().enumerate() {
        assert_eq!(fs::read(world.at(index.to_string())).unwrap(), *content);
    }
    world.link.stat(&path("699"), Follow::No).await.unwrap();
}

/// An upload that replaces a file and takes parts of it over.
async fn begin_over(world: &World, file: &str, size: u64) -> Exchange {
    let basis = Some(world.link.stat(&path(file), Follow::No).await.unwrap().version());
    let store = StoreAs { existing: Existing::Replace, ..store_as() };
    let operation = operation_id().unwrap();
    world.link.open(BeginUpload {
        operation,
        file: location(file),
        store,
        size,
        resume: None,
        basis,
        window_bytes: None,
        stored_bytes: None,
    })
}

pub(crate) async fn what_is_there_is_taken_over_and_zeros_are_said(world: Arc<World>) {
    const HOLE: u64 = 40 << 20;

    let mut content = noise(3 << 20);
    world.write("file", &content);
    content[..5].copy_from_slice(b"other");
    let size = content.len() as u64;
    let mut exchange = begin_over(&world, "file", size + HOLE).await;
    let Answer::UploadReady(ready) = exchange.next().await.unwrap() else { panic!("not UploadReady") };
    assert!(ready.basis);
    exchange.send(UploadData { offset: 0, data: Bytes::from_static(b"other") }).await.unwrap();
    exchange.send(UploadSpan { offset: 5, len: size - 5, of: SpanOf::Basis }).await.unwrap();
    exchange.send(UploadSpan { offset: size, len: HOLE, of: SpanOf::Zeros }).await.unwrap();
    let mut hasher = RangeHasher::new(0);
    hasher.update(&content);
    hasher.update_zeros(HOLE);
    exchange.send(CommitUpload { len: size + HOLE, hash: hasher.finish_whole() }).await.unwrap();
    while !exchange.next().await.unwrap().is_final() {}
    content.resize((size + HOLE) as usize, 0);
    assert!(fs::read(world.at("file")).unwrap() == content);
}

pub(crate) async fn a_span_that_breaks_a_rule_ends_its_upload_alone(world: Arc<World>) {
    world.write("file", noise(100_000));
    for (offset, len, expected) in [
        (0, 0, FaultCode::Malformed),
        (0, u64::MAX, FaultCode::Malformed),
        (0, 100_001, FaultCode::Malformed),
        (u64::MAX, 1, FaultCode::OutOfOrder),
        (1, 10, FaultCode::OutOfOrder),
    ] {
        let mut exchange = begin_over(&world, "file", 200_000).await;
        exchange.send(UploadSpan { offset, len, of: SpanOf::Basis }).await.unwrap();
        let end = loop {
            match exchange.next().await {
                Ok(Answer::UploadReady(_)) => {}
                end => break end,
            }
        };
        assert_eq!(code(end), expected, "{len} at {offset}");
    }
    assert!(fs::read(world.at("file")).unwrap() == noise(100_000));
}
