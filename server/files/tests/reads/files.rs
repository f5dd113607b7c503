//! Read: bytes, hashes, ranges, and files that change meanwhile.

use std::fs;
use std::io::Write;

use proptest::prelude::*;
use towpath_files::root::RootSpec;
use towpath_files::service::{Service, ServiceConfig};
use towpath_protocol::answer::{FileWhole, ReadDone};
use towpath_protocol::entry::Version;
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::hash::{Hash, RangeMerger};
use towpath_protocol::hello::Access;
use towpath_protocol::limits::{DATA_BYTES_MAX, RANGE_BYTES, READ_BYTES_MAX};
use towpath_protocol::message::Answer;
use towpath_protocol::path::{Location, WirePath};
use towpath_protocol::request::{Follow, Read, Stat, Wants};

use crate::world::{Talk, World, below, make_fifo};

const MIB: usize = RANGE_BYTES as usize;

fn read(path: &str, offset: u64, len: u64) -> Read {
    Read { file: below(path), version: None, offset, len, wants: Wants::Data, holes: false }
}

fn content(len: usize) -> Vec<u8> {
    (0..len).map(|index| (index * 31 % 251) as u8).collect()
}

/// Bytes and end of a read that comes in pieces.
async fn pieces(mut talk: Talk) -> Result<(Vec<u8>, ReadDone), Fault> {
    let head = talk.next().await?;
    assert!(matches!(head, Answer::ReadHead(_)), "{head:?}");
    let (mut bytes, mut next) = (Vec::new(), None);
    loop {
        match talk.next().await? {
            Answer::Data(piece) => {
                assert_eq!(piece.offset, *next.get_or_insert(piece.offset), "pieces follow one another");
                assert!(!piece.data.is_empty() && piece.data.len() <= DATA_BYTES_MAX);
                next = Some(piece.offset + piece.data.len() as u64);
                bytes.extend_from_slice(&piece.data);
            }
            Answer::ReadDone(done) => {
                assert_eq!(done.len, bytes.len() as u64);
                assert!(talk.answers.recv().await.is_none());
                return Ok((bytes, done));
            }
            other => panic!("{other:?}"),
        }
    }
}

async fn whole(world: &World, request: Read) -> FileWhole {
    match world.ask(request).await.unwrap() {
        Answer::FileWhole(whole) => whole,
        other => panic!("{other:?}"),
    }
}

async fn version(world: &World, path: &str) -> Version {
    let request = Stat { base: WirePath::root(), paths: vec![below(path).path], follow: Follow::No };
    match world.ask(request).await.unwrap() {
        Answer::Stats(stats) => stats.items[0].0.as_ref().unwrap().version(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_hash_alone_is_the_one_that_comes_with_the_data() {
    let world = World::new();
    for len in [1, 1024, DATA_BYTES_MAX, DATA_BYTES_MAX + 1, 5 * MIB + 7] {
        let content = content(len);
        world.write("file", &content);
        let alone = |offset, len| Read { wants: Wants::Hash, ..read("file", offset, len) };
        for (offset, wanted) in [(0, 8 * MIB as u64), (0, 4 * MIB as u64), (4 * MIB as u64, 4 * MIB as u64)] {
            let mut talk = Talk::open(&world.service, alone(offset, wanted).into());
            assert!(matches!(talk.next().await.unwrap(), Answer::ReadHead(_)));
            let Answer::ReadDone(done) = talk.next().await.unwrap() else { panic!("data came") };
            let end = content.len().min((offset + wanted) as usize);
            let range = content.get(offset as usize..end).unwrap_or_default();
            assert_eq!(done.len, range.len() as u64, "{len}: {offset}");
            let with_data = match world.ask(read("file", offset, wanted)).await.unwrap() {
                Answer::FileWhole(whole) => Some(whole.hash),
                Answer::ReadDone(done) => done.hash,
                other => panic!("{other:?}"),
            };
            assert_eq!(done.hash, with_data, "{len}: {offset}");
        }
    }
}

#[tokio::test]
async fn a_small_file_is_one_answer() {
    let world = World::new();
    for len in [0, 1, 1023, 1024, 1025, DATA_BYTES_MAX - 1, DATA_BYTES_MAX] {
        let content = content(len);
        world.write("file", &content);
        let whole = whole(&world, read("file", 0, len as u64)).await;
        assert_eq!(whole.hash, Hash::of(&content), "{len}");
        assert_eq!(whole.attributes.version(), version(&world, "file").await);
        assert_eq!((whole.data, whole.grown), (content, false));
    }
}

#[tokio::test]
async fn a_larger_file_that_fits_in_one_range_ends_with_the_hash_of_the_whole() {
    let world = World::new();
    for len in [DATA_BYTES_MAX + 1, MIB - 1, MIB, MIB + 1, 2 * MIB, 3 * MIB + 5] {
        let content = content(len);
        world.write("file", &content);
        let (bytes, done) = pieces(world.open(read("file", 0, 4 * RANGE_BYTES))).await.unwrap();
        assert!(bytes == content, "{len}");
        assert_eq!((done.hash, done.grown), (Some(Hash::of(&content)), false), "{len}");
    }
}

#[tokio::test]
async fn the_values_of_ranges_merge_into_the_hash_of_the_whole() {
    let world = World::new();
    for range in [MIB, 2 * MIB, 4 * MIB] {
        for len in [4 * MIB + 1, 8 * MIB, 9 * MIB + 777] {
            let content = content(len);
            world.write("file", &content);
            let mut merger = RangeMerger::new();
            let mut bytes = Vec::new();
            for offset in (0..len).step_by(range) {
                let part = pieces(world.open(read("file", offset as u64, range as u64))).await.unwrap();
                bytes.extend(part.0);
                merger.push(part.1.hash.expect("an aligned range has a value"));
            }
            assert!(bytes == content);
            assert_eq!(merger.finish(), Some(Hash::of(&content)), "{len} in ranges of {range}");
        }
    }
}

#[tokio::test]
async fn any_other_part_comes_without_a_hash() {
    let world = World::new();
    let content = content(3 * MIB);
    world.write("file", &content);
    for (offset, len) in [(1, 10), (0, 10), (MIB, 3 * DATA_BYTES_MAX + 1), (MIB / 2, MIB), (2 * MIB, 3 * MIB)]
    {
        let (bytes, done) = pieces(world.open(read("file", offset as u64, len as u64))).await.unwrap();
        assert!(bytes == content[offset..content.len().min(offset + len)], "{offset} {len}");
        assert_eq!(done.hash, None, "{offset} {len}");
    }
}

#[tokio::test]
async fn reading_at_and_beyond_the_end_gives_nothing() {
    let world = World::new();
    world.write("file", content(100));
    for offset in [100, 101, RANGE_BYTES, u64::MAX] {
        let (bytes, done) = pieces(world.open(read("file", offset, RANGE_BYTES))).await.unwrap();
        assert!(bytes.is_empty() && done.hash.is_none(), "{offset}");
    }
    assert_eq!(world.refused(read("file", 0, READ_BYTES_MAX + 1)).await, FaultCode::LimitExceeded);
}

#[tokio::test]
async fn only_regular_files_are_read_and_nothing_else_is_waited_for() {
    let world = World::new();
    world.folder("folder");
    make_fifo(&world.at("fifo"));
    world.link("to_fifo", "fifo");
    world.link("out", "../outside/file");
    let _socket = std::os::unix::net::UnixListener::bind(world.at("socket")).unwrap();
    for (path, code) in [
        ("folder", FaultCode::IsAFolder),
        ("fifo", FaultCode::SpecialFile),
        ("socket", FaultCode::SpecialFile),
        ("out", FaultCode::OutsideRoot),
        ("none", FaultCode::NotFound),
        ("", FaultCode::IsAFolder),
    ] {
        let fault = world.ask(read(path, 0, 10)).await.unwrap_err();
        assert_eq!((fault.code, fault.path), (code, Some(below(path).path)), "{path}");
    }
    for (path, code) in [("to_fifo", FaultCode::SpecialFile), ("out", FaultCode::OutsideRoot)] {
        let through = Location::through(&below(path).path);
        assert_eq!(world.refused(Read { file: through, ..read("", 0, 10) }).await, code, "{path}");
    }
}

#[tokio::test]
async fn a_link_is_read_through_where_the_base_says_so() {
    let world = World::new();
    world.write("file", "content");
    world.link("link", "file");
    let file = Location::through(&below("link").path);
    assert_eq!(whole(&world, Read { file, ..read("", 0, 100) }).await.data, b"content");
    assert_eq!(world.refused(read("link", 0, 100)).await, FaultCode::OutsideRoot);
}

#[tokio::test]
async fn a_file_that_does_not_say_its_length_is_read_to_its_end() {
    let config = ServiceConfig { root: RootSpec::Whole, access: Access::ReadOnly, home: WirePath::root() };
    let service = std::sync::Arc::new(Service::new(config).unwrap());
    let answer = Talk::open(&service, read("proc/version", 0, 0).into()).end().await.unwrap();
    let Answer::FileWhole(whole) = answer else { panic!("{answer:?}") };
    assert_eq!(whole.data, fs::read("/proc/version").unwrap());
    assert_eq!((whole.attributes.size, whole.hash), (0, Hash::of(&whole.data)));
}

#[tokio::test]
async fn a_file_that_only_grew_is_read_up_to_its_old_length() {
    let world = World::new();
    for len in [100, DATA_BYTES_MAX, MIB + 1] {
        let content = content(len);
        world.write("log", &content);
        let version = Some(version(&world, "log").await);
        fs::File::options().append(true).open(world.at("log")).unwrap().write_all(b"more").unwrap();
        let request = Read { version, ..read("log", 0, 2 * RANGE_BYTES) };
        if len <= DATA_BYTES_MAX {
            let whole = whole(&world, request).await;
            assert_eq!((whole.hash, whole.data, whole.grown), (Hash::of(&content), content, true));
        } else {
            let (bytes, done) = pieces(world.open(request)).await.unwrap();
            assert!(bytes == content);
            assert_eq!((done.hash, done.grown), (Some(Hash::of(&content)), true));
        }
    }
}

#[tokio::test]
async fn any_other_change_since_the_version_is_a_fault() {
    let world = World::new();
    let shrink = |world: &World| fs::write(world.at("file"), content(MIB)).unwrap();
    let same_length = |world: &World| {
        let mut file = fs::File::options().write(true).open(world.at("file")).unwrap();
        file.write_all(b"XXXX").unwrap();
        file.set_modified(std::time::UNIX_EPOCH).unwrap();
    };
    let replace = |world: &World| {
        fs::write(world.at("new"), content(2 * MIB)).unwrap();
        fs::rename(world.at("new"), world.at("file")).unwrap();
    };
    let changes: [&dyn Fn(&World); 3] = [&shrink, &same_length, &replace];
    for change in changes {
        world.write("file", content(2 * MIB));
        let version = Some(version(&world, "file").await);
        change(&world);
        for offset in [0, RANGE_BYTES] {
            let request = Read { version, ..read("file", offset, RANGE_BYTES) };
            assert_eq!(world.refused(request).await, FaultCode::Changed);
        }
    }
}

/// The queue of answers is what paces the reader: it stops when its client does not take anything.
async fn stalled(world: &World) -> Talk {
    world.write("file", content(8 * MIB));
    let mut talk = world.open(read("file", 0, 8 * RANGE_BYTES));
    assert!(matches!(talk.next().await, Ok(Answer::ReadHead(_))));
    talk
}

#[tokio::test]
async fn a_file_that_shrinks_while_it_is_read_is_a_fault_and_no_mixed_bytes() {
    let world = World::new();
    let talk = stalled(&world).await;
    fs::File::options().write(true).open(world.at("file")).unwrap().set_len(MIB as u64).unwrap();
    assert_eq!(talk.end().await.unwrap_err().code, FaultCode::Changed);
}

#[tokio::test]
async fn a_file_that_is_changed_behind_what_was_read_is_a_fault() {
    let world = World::new();
    let talk = stalled(&world).await;
    let mut file = fs::File::options().write(true).open(world.at("file")).unwrap();
    file.write_all(b"XXXX").unwrap();
    drop(file);
    assert_eq!(talk.end().await.unwrap_err().code, FaultCode::Changed);
}

#[tokio::test]
async fn a_file_that_grows_while_it_is_read_ends_at_its_old_length() {
    let world = World::new();
    let mut talk = stalled(&world).await;
    fs::File::options().append(true).open(world.at("file")).unwrap().write_all(b"more").unwrap();
    let mut len = 0;
    loop {
        match talk.next().await.unwrap() {
            Answer::Data(piece) => len += piece.data.len(),
            Answer::ReadDone(done) => {
                assert_eq!((len, done.grown), (8 * MIB, true));
                assert_eq!(done.hash, Some(Hash::of(&content(8 * MIB))));
                return;
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_file_that_is_removed_while_it_is_read_is_told_as_changed() {
    let world = World::new();
    let talk = stalled(&world).await;
    fs::remove_file(world.at("file")).unwrap();
    assert_eq!(talk.end().await.unwrap_err().code, FaultCode::Changed);
}

#[tokio::test]
async fn a_read_can_be_cancelled_in_the_middle() {
    let world = World::new();
    let talk = stalled(&world).await;
    talk.cancel.cancel();
    assert_eq!(talk.end().await.unwrap_err().code, FaultCode::Cancelled);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_part_of_any_file_is_what_the_disk_has(
        len in 0..300_000_usize, offset in 0..320_000_usize, wanted in 0..320_000_usize,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let world = World::new();
            let content = content(len);
            world.write("file", &content);
            let mut talk = world.open(read("file", offset as u64, wanted as u64));
            let mut bytes = Vec::new();
            loop {
                match talk.next().await.unwrap() {
                    Answer::FileWhole(whole) => { bytes = whole.data; break }
                    Answer::Data(piece) => bytes.extend_from_slice(&piece.data),
                    Answer::ReadHead(_) => {}
                    Answer::ReadDone(_) => break,
                    other => panic!("{other:?}"),
                }
            }
            let start = offset.min(len);
            assert!(bytes == content[start..len.min(start + wanted)]);
        });
    }
}
