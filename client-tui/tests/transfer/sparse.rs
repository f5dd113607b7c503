//! Files that do not store all that they have: what they leave out does not move, and is left out at the destination as well.

use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt};

use towpath::model::Choice;
use towpath_protocol::hash::RangeHasher;

use crate::world::{Way, World, noise};

const MIB: u64 = 1 << 20;

/// A file with some data here and there. False where the file system stores its zeros too.
fn sparse(world: &World, path: &str, size: u64, islands: &[(u64, usize)]) -> bool {
    let file = fs::File::create(world.at(path)).unwrap();
    file.set_len(size).unwrap();
    for (at, len) in islands {
        file.write_all_at(&noise(*len, *at), *at).unwrap();
    }
    stored(world, path) < size / 2
}

fn stored(world: &World, path: &str) -> u64 {
    fs::metadata(world.at(path)).unwrap().blocks() * 512
}

/// Bytes at these places, and the size.
fn check_islands(world: &World, path: &str, size: u64, islands: &[(u64, usize)]) {
    let file = fs::File::open(world.at(path)).unwrap();
    assert_eq!(file.metadata().unwrap().len(), size);
    for (at, len) in islands {
        let mut content = vec![0; *len];
        file.read_exact_at(&mut content, *at).unwrap();
        assert!(content == noise(*len, *at), "at {at}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sparse_files_stay_sparse_whichever_way() {
    let cases: [(u64, &[(u64, usize)]); 6] = [
        (300 * MIB + 5, &[]),
        (300 * MIB, &[(0, 70_000)]),
        (300 * MIB + 7, &[(300 * MIB, 7)]),
        (300 * MIB, &[(4 * MIB - 3, 10), (8 * MIB, 100_000), (200 * MIB + 4097, 9000)]),
        (3 * MIB, &[(MIB, 5000)]),
        (16 * MIB, &[(0, 4 * 1024 * 1024), (12 * MIB, 4 * 1024 * 1024)]),
    ];
    for way in Way::BETWEEN {
        for (size, islands) in cases {
            let world = World::new(way).await;
            if !sparse(&world, "left/file", size, islands) && size > 16 * MIB {
                crate::skip::skip("this file system has no holes");
                return;
            }
            let told = world.copy("left/file", "right/file").await;
            told.check_clean();
            assert_eq!((told.summary.bytes, told.summary.saved), (size, 0));
            check_islands(&world, "right/file", size, islands);
            let (from, to) = (stored(&world, "left/file"), stored(&world, "right/file"));
            assert!(to <= from + 256 * 1024, "{way:?}: {from} bytes are stored, then {to}");
            world.check_no_parts();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_huge_hole_is_passed_over_and_proven_all_the_same() {
    let (size, islands) = (4096 * MIB + 123, &[(MIB, 1000), (4096 * MIB + 100, 23)]);
    for way in [Way::Up, Way::Down] {
        let world = World::new(way).await;
        if !sparse(&world, "left/file", size, islands) {
            crate::skip::skip("this file system has no holes");
            return;
        }
        let told = world.copy("left/file", "right/file").await;
        told.check_clean();
        check_islands(&world, "right/file", size, islands);
        assert!(stored(&world, "right/file") < MIB, "{way:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sparse_file_that_changed_is_compared_without_filling_it() {
    let size = 200 * MIB;
    for way in Way::BETWEEN {
        let world = World::new(way).await;
        let (before, after) =
            ([(0, 5000), (100 * MIB, 50_000)], [(0, 5000), (50 * MIB, 5000), (100 * MIB + 4096, 300)]);
        if !sparse(&world, "right/file", size, &before) {
            crate::skip::skip("this file system has no holes");
            return;
        }
        world.modified("right/file", 1_400_000_000);
        sparse(&world, "left/file", size, &after);
        let told = world.copy_with(Choice::Overwrite, "left/file", "right/file").await;
        told.check_clean();
        check_islands(&world, "right/file", size, &after);
        assert!(told.summary.saved > 190 * MIB, "{}", told.summary.saved);
        assert!(stored(&world, "right/file") < MIB, "{way:?}");
        assert_eq!(hash(&world, "left/file"), hash(&world, "right/file"));
    }
}

fn hash(world: &World, path: &str) -> towpath_protocol::hash::Hash {
    let mut hasher = RangeHasher::new(0);
    hasher.update(&fs::read(world.at(path)).unwrap());
    hasher.finish_whole()
}
