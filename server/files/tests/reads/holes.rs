//! Reads of files that do not store all that they have: holes are told where somebody asks for them, and are zeros to all others.

use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt};

use towpath_protocol::answer::{Hole, ReadDone};
use towpath_protocol::hash::Hash;
use towpath_protocol::limits::{HOLE_BYTES_LEAST, READ_BYTES_MAX};
use towpath_protocol::message::Answer;
use towpath_protocol::request::{Read, Wants};

use crate::world::{World, below};

const MIB: u64 = 1 << 20;

/// A file with data at these places, a few bytes each, if the file system leaves out the rest.
fn sparse(world: &World, size: u64, islands: &[u64]) -> bool {
    let file = fs::File::create(world.at("file")).unwrap();
    file.set_len(size).unwrap();
    for island in islands {
        file.write_all_at(b"an island", *island).unwrap();
    }
    let has_holes = file.metadata().unwrap().blocks() * 512 < size;
    if !has_holes {
        crate::skip::skip("this file system has no holes");
    }
    has_holes
}

fn read(offset: u64, len: u64) -> Read {
    Read { file: below("file"), version: None, offset, len, wants: Wants::Data, holes: true }
}

/// The bytes of a range, the holes in it, and its end.
async fn all(world: &World, request: Read) -> (Vec<u8>, Vec<Hole>, ReadDone) {
    let (mut bytes, mut holes) = (Vec::new(), Vec::new());
    let start = request.offset;
    let mut talk = world.open(request);
    loop {
        match talk.next().await.unwrap() {
            Answer::ReadHead(_) => {}
            Answer::Data(data) => {
                assert_eq!(data.offset, start + bytes.len() as u64);
                bytes.extend_from_slice(&data.data);
            }
            Answer::Hole(hole) => {
                assert_eq!(hole.offset, start + bytes.len() as u64);
                assert!(hole.len >= HOLE_BYTES_LEAST);
                bytes.resize(bytes.len() + hole.len as usize, 0);
                holes.push(hole);
            }
            Answer::ReadDone(done) => return (bytes, holes, done),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn what_is_not_stored_is_told_and_hashed_as_zeros() {
    let world = World::new();
    for islands in [&[][..], &[0], &[5 * MIB + 7], &[0, MIB, 9 * MIB - 20]] {
        if !sparse(&world, 9 * MIB, islands) {
            return;
        }
        let content = world.read("file");
        let (bytes, holes, done) = all(&world, read(0, READ_BYTES_MAX)).await;
        assert!(bytes == content, "{islands:?}");
        assert_eq!((done.len, done.hash), (9 * MIB, Some(Hash::of(&content))), "{islands:?}");
        let told: u64 = holes.iter().map(|hole| hole.len).sum();
        assert!(told > 8 * MIB, "{islands:?}: {holes:?}");
        // To those who do not ask they are what they always were.
        let (bytes, holes, done) = all(&world, Read { holes: false, ..read(0, READ_BYTES_MAX) }).await;
        assert!(bytes == content && holes.is_empty());
        assert_eq!(done.hash, Some(Hash::of(&content)));
        let (bytes, _, done) = all(&world, Read { wants: Wants::Hash, ..read(0, READ_BYTES_MAX) }).await;
        assert_eq!((bytes.len(), done.hash), (0, Some(Hash::of(&content))));
    }
}

#[tokio::test]
async fn a_hole_at_the_end_of_a_range_says_how_far_it_goes_on() {
    let world = World::new();
    if !sparse(&world, 40 * MIB, &[0, 30 * MIB]) {
        return;
    }
    let (_, holes, _) = all(&world, read(4 * MIB, 4 * MIB)).await;
    assert_eq!(holes, [Hole { offset: 4 * MIB, len: 4 * MIB, beyond: 22 * MIB }]);
    let (_, holes, _) = all(&world, read(28 * MIB, 4 * MIB)).await;
    let beyond: Vec<u64> = holes.iter().map(|hole| hole.beyond).collect();
    assert_eq!(beyond, [0, 8 * MIB], "only the last one, and to the end of the file");
    let (_, holes, _) = all(&world, read(36 * MIB, 4 * MIB)).await;
    assert_eq!(holes, [Hole { offset: 36 * MIB, len: 4 * MIB, beyond: 0 }]);
}

#[tokio::test]
async fn short_holes_come_as_data() {
    let world = World::new();
    let islands: Vec<u64> = (0..40).map(|index| index * 32 * 1024).collect();
    if !sparse(&world, 2 * MIB, &islands) {
        return;
    }
    let (bytes, holes, _) = all(&world, read(0, MIB)).await;
    assert!(bytes == world.read("file")[..MIB as usize]);
    assert_eq!(holes, []);
}
