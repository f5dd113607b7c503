//! Blocks: hashes of a file's blocks, which merge into its hash and tell which of them differ.

use std::fs;
use std::io::Write;

use towpath_protocol::answer::BlockHashes;
use towpath_protocol::entry::Version;
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::hash::{Hash, RangeHasher, RangeMerger};
use towpath_protocol::limits::{BLOCK_BYTES_LEAST, BLOCKS_MAX, RANGE_BYTES, READ_BYTES_MAX};
use towpath_protocol::message::Answer;
use towpath_protocol::request::Blocks;
use towpath_protocol::time::Time;

use crate::world::{World, below};

const BLOCK: u64 = BLOCK_BYTES_LEAST;

fn content(len: usize) -> Vec<u8> {
    (0..len).map(|index| (index * 31 % 251) as u8).collect()
}

async fn request(world: &World, offset: u64, len: u64) -> Blocks {
    Blocks {
        file: below("file"),
        version: Some(world.version("file").await),
        offset,
        len,
        block_bytes: BLOCK,
    }
}

async fn hashes(world: &World, request: Blocks) -> Result<BlockHashes, Fault> {
    match world.ask(request).await? {
        Answer::BlockHashes(blocks) => Ok(blocks),
        other => panic!("{other:?}"),
    }
}

/// What a block's value is, computed here.
fn value(content: &[u8], offset: u64, block_bytes: u64) -> Hash {
    let end = content.len().min((offset + block_bytes) as usize);
    let mut hasher = RangeHasher::new(offset);
    hasher.update(&content[offset as usize..end]);
    hasher.finish_part()
}

#[tokio::test]
async fn the_values_of_blocks_merge_into_the_hash_of_the_file() {
    let world = World::new();
    for len in [1, 20_000, 4 << 20, (9 << 20) + 777] {
        let content = content(len);
        world.write("file", &content);
        for (block_bytes, range) in [(BLOCK, 4 << 20), (4 * BLOCK, 2 << 20), (RANGE_BYTES, READ_BYTES_MAX)] {
            let mut merger = RangeMerger::new();
            for offset in (0..len as u64).step_by(range as usize) {
                let asked = Blocks { block_bytes, ..request(&world, offset, range).await };
                let blocks = hashes(&world, asked).await.unwrap();
                assert!(!blocks.grown);
                let part = &content[offset as usize..len.min((offset + range) as usize)];
                assert_eq!(blocks.hashes.len(), part.len().div_ceil(block_bytes as usize));
                for (hash, at) in blocks.hashes.iter().zip((offset..).step_by(block_bytes as usize)) {
                    assert_eq!(*hash, value(&content, at, block_bytes), "{len} bytes, block at {at}");
                    merger.push(*hash);
                }
            }
            let expected = (merger.count() > 1).then(|| Hash::of(&content));
            assert_eq!(merger.finish(), expected, "{len} bytes in blocks of {block_bytes}");
        }
    }
}

#[tokio::test]
async fn what_a_file_does_not_store_is_hashed_as_zeros() {
    let world = World::new();
    let file = fs::File::create(world.at("file")).unwrap();
    file.set_len(9 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &content(70_000), 3_000_000).unwrap();
    let content = world.read("file");
    let blocks = hashes(&world, request(&world, 0, READ_BYTES_MAX).await).await.unwrap();
    for (hash, at) in blocks.hashes.iter().zip((0..).step_by(BLOCK as usize)) {
        assert_eq!(*hash, value(&content, at, BLOCK), "block at {at}");
    }
    assert_eq!(blocks.hashes.len() as u64, (9 << 20) / BLOCK);
}

#[tokio::test]
async fn one_answer_holds_all_that_may_be_asked_for() {
    let world = World::new();
    fs::File::create(world.at("file")).unwrap().set_len(READ_BYTES_MAX + 5).unwrap();
    assert_eq!(
        hashes(&world, request(&world, 0, READ_BYTES_MAX).await).await.unwrap().hashes.len(),
        BLOCKS_MAX
    );
    for offset in [READ_BYTES_MAX + BLOCK, u64::MAX - BLOCK + 1] {
        let beyond = hashes(&world, request(&world, offset, READ_BYTES_MAX).await).await.unwrap();
        assert_eq!(beyond.hashes, [], "behind the end there is nothing");
    }
}

#[tokio::test]
async fn ranges_that_are_no_whole_blocks_or_too_long_are_refused() {
    let world = World::new();
    world.write("file", content(100_000));
    let asked = request(&world, 0, 2 * BLOCK).await;
    let cases = [
        (Blocks { len: READ_BYTES_MAX + BLOCK, ..asked.clone() }, FaultCode::LimitExceeded),
        (Blocks { len: 1 << 63, ..asked.clone() }, FaultCode::LimitExceeded),
        (Blocks { len: 0, ..asked.clone() }, FaultCode::Malformed),
        (Blocks { len: BLOCK + 1, ..asked.clone() }, FaultCode::Malformed),
        (Blocks { offset: 1, ..asked.clone() }, FaultCode::Malformed),
        (Blocks { block_bytes: 0, ..asked.clone() }, FaultCode::Malformed),
        (Blocks { block_bytes: BLOCK / 2, ..asked.clone() }, FaultCode::Malformed),
        (Blocks { block_bytes: 3 * BLOCK, len: 3 * BLOCK, ..asked.clone() }, FaultCode::Malformed),
        (
            Blocks { block_bytes: 2 * RANGE_BYTES, len: 2 * RANGE_BYTES, ..asked.clone() },
            FaultCode::Malformed,
        ),
        (Blocks { file: below("missing"), ..asked.clone() }, FaultCode::NotFound),
        (Blocks { file: below(""), ..asked }, FaultCode::IsAFolder),
    ];
    for (asked, code) in cases {
        assert_eq!(world.refused(asked.clone()).await, code, "{asked:?}");
    }
}

#[tokio::test]
async fn another_version_is_refused_and_one_that_grew_is_hashed_as_it_was() {
    let world = World::new();
    let before = content(50_000);
    world.write("file", &before);
    let asked = request(&world, 0, 4 * BLOCK).await;
    let other = Version { changed: Time::from_ns(1), ..asked.version.unwrap() };
    assert_eq!(world.refused(Blocks { version: Some(other), ..asked.clone() }).await, FaultCode::Changed);
    fs::File::options().append(true).open(world.at("file")).unwrap().write_all(b"more").unwrap();
    let blocks = hashes(&world, asked.clone()).await.unwrap();
    assert!(blocks.grown);
    assert_eq!(blocks.hashes.last(), Some(&value(&before, 3 * BLOCK, BLOCK)));
    fs::File::create(world.at("file")).unwrap();
    assert_eq!(world.refused(asked).await, FaultCode::Changed);
}
