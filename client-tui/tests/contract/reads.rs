//! Reads: whole files, parts, many at once, and reads that nobody wants to the end.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use towpath_protocol::answer::Hole;
use towpath_protocol::fault::FaultCode;
use towpath_protocol::hash::{Hash, RangeHasher};
use towpath_protocol::limits::{BLOCK_BYTES_LEAST, DATA_BYTES_MAX, RANGE_BYTES, READ_BYTES_MAX};
use towpath_protocol::message::Answer;
use towpath_protocol::request::{Blocks, Follow, Read, Wants};

use crate::world::{World, code, location, noise, path, read};

fn read_of(file: &str, offset: u64, len: u64) -> Read {
    Read { file: location(file), version: None, offset, len, wants: Wants::Data, holes: false }
}

pub(crate) async fn files_of_every_size_come_back(world: Arc<World>) {
    let range = RANGE_BYTES as usize;
    let sizes = [
        0,
        1,
        DATA_BYTES_MAX - 1,
        DATA_BYTES_MAX,
        DATA_BYTES_MAX + 1,
        range - 1,
        range,
        range + 1,
        3 * range,
        5 * range + 12_345,
    ];
    for size in sizes {
        let content = noise(size);
        world.write("file", &content);
        assert!(world.download("file", RANGE_BYTES).await.unwrap() == content, "{size} bytes by the MiB");
        assert!(world.download("file", READ_BYTES_MAX).await.unwrap() == content, "{size} bytes at once");
    }
}

pub(crate) async fn a_part_of_a_file_is_read(world: Arc<World>) {
    let content = noise(300_000);
    world.write("file", &content);
    for (offset, len) in [(0, 1), (1, 100_000), (299_999, 100), (300_000, 10), (65_536, 65_536)] {
        let exchange = world.link.open(read_of("file", offset as u64, len as u64));
        let (data, _) = read(exchange, offset as u64).await.unwrap();
        assert!(data == content[offset..content.len().min(offset + len)], "{len} bytes at {offset}");
    }
}

pub(crate) async fn a_large_read_can_be_cancelled(world: Arc<World>) {
    fs::File::create(world.at("large")).unwrap().set_len(READ_BYTES_MAX).unwrap();
    let mut exchange = world.link.open(read_of("large", 0, READ_BYTES_MAX));
    let first = exchange.next().await.unwrap();
    assert!(matches!(first, Answer::ReadHead(_)));
    exchange.cancel();
    let end = loop {
        match exchange.next().await {
            Ok(Answer::Data(_)) => {}
            end => break end,
        }
    };
    // It may have been too late: through a fast door all of it is there already.
    match end {
        Ok(answer) => assert!(matches!(answer, Answer::ReadDone(_))),
        Err(fault) => assert_eq!(fault.code, FaultCode::Cancelled),
    }
    world.link.stat(&path("large"), Follow::No).await.unwrap();
}

pub(crate) async fn a_read_dropped_in_the_middle_leaves_the_link_usable(world: Arc<World>) {
    fs::File::create(world.at("large")).unwrap().set_len(READ_BYTES_MAX).unwrap();
    for _ in 0..20 {
        let mut exchange = world.link.open(read_of("large", 0, READ_BYTES_MAX));
        exchange.next().await.unwrap();
        drop(exchange);
        world.link.stat(&path("large"), Follow::No).await.unwrap();
    }
}

pub(crate) async fn many_reads_at_once_do_not_mix(world: Arc<World>) {
    let content = noise(4 * RANGE_BYTES as usize);
    world.write("file", &content);
    // More than a session takes at a time: the rest wait in their order.
    let open: Vec<_> = (0..700)
        .map(|index| {
            let (offset, len) = (index * 5_003, 40_000);
            (offset as usize, world.link.open(read_of("file", offset, len)))
        })
        .collect();
    for (offset, exchange) in open {
        let (data, _) = read(exchange, offset as u64).await.unwrap();
        assert_eq!(Hash::of(&data), Hash::of(&content[offset..offset + 40_000]), "at {offset}");
    }
}

pub(crate) async fn a_file_that_changed_is_not_read(world: Arc<World>) {
    world.write("file", "before");
    let version = world.link.stat(&path("file"), Follow::No).await.unwrap().version();
    fs::remove_file(world.at("file")).unwrap();
    world.write("file", "after!");
    let request = Read { version: Some(version), ..read_of("file", 0, 6) };
    assert_eq!(code(world.link.call(request).await), FaultCode::Changed);
}

pub(crate) async fn blocks_tell_where_two_files_differ(world: Arc<World>) {
    let mut content = noise(5 << 20);
    world.write("one", &content);
    content[3 << 20] ^= 1;
    world.write("other", &content);
    let mut found = Vec::new();
    for file in ["one", "other"] {
        let version = world.link.stat(&path(file), Follow::No).await.unwrap().version();
        let (file, version, len) = (location(file), Some(version), READ_BYTES_MAX);
        let request = Blocks { file, version, offset: 0, len, block_bytes: BLOCK_BYTES_LEAST };
        let Answer::BlockHashes(blocks) = world.link.call(request).await.unwrap() else {
            panic!("no blocks")
        };
        found.push(blocks.hashes);
    }
    let differ: Vec<u64> = (0..)
        .zip(found[0].iter().zip(&found[1]))
        .filter(|(_, (one, other))| one != other)
        .map(|(index, _)| index)
        .collect();
    assert_eq!(
        (found[0].len() as u64, differ),
        ((5 << 20) / BLOCK_BYTES_LEAST, vec![(3 << 20) / BLOCK_BYTES_LEAST])
    );
}

pub(crate) async fn holes_come_as_what_they_are(world: Arc<World>) {
    fs::File::create(world.at("file")).unwrap().set_len(8 << 20).unwrap();
    if fs::metadata(world.at("file")).unwrap().blocks() > 0 {
        crate::skip::skip("this file system has no holes");
        return;
    }
    let mut exchange = world.link.open(Read { holes: true, ..read_of("file", 0, 4 << 20) });
    assert!(matches!(exchange.next().await.unwrap(), Answer::ReadHead(_)));
    let hole = exchange.next().await.unwrap();
    assert_eq!(hole, Hole { offset: 0, len: 4 << 20, beyond: 4 << 20 }.into());
    let Answer::ReadDone(done) = exchange.next().await.unwrap() else { panic!("more of it") };
    let mut zeros = RangeHasher::new(0);
    zeros.update_zeros(4 << 20);
    assert_eq!((done.len, done.hash), (4 << 20, Some(zeros.finish_part())));
}
