//! Sources that do not hold still.

use towpath::model::Choice;
use towpath::transfer::job::Verb;
use towpath_protocol::fault::FaultCode;

use crate::world::{Told, Way, World, noise, once, run};

const OLD: u64 = 1_000_000_000;

/// Copies `left/file`; between its listing and its reading, while a question is open, `meanwhile` happens.
async fn copy_while(world: &World, verb: Verb, meanwhile: impl Fn()) -> Told {
    world.write("right/file", "in the way");
    world.modified("right/file", OLD);
    run(world.job(verb, &[("left/file", "right/file")]), |_| {
        meanwhile();
        once(Choice::Overwrite)
    })
    .await
}

fn append(world: &World, bytes: &[u8]) {
    use std::io::Write;
    std::fs::OpenOptions::new().append(true).open(world.at("left/file")).unwrap().write_all(bytes).unwrap();
}

const SIZES: [usize; 3] = [1_000, 100_000, 9_000_000];

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_vanishes_fails_alone() {
    for way in Way::ALL {
        for size in SIZES {
            let world = World::new(way).await;
            world.write("left/file", noise(size, 1));
            let told =
                copy_while(&world, Verb::Copy, || std::fs::remove_file(world.at("left/file")).unwrap()).await;
            assert_eq!(told.codes(), [FaultCode::NotFound], "{way:?} {size}");
            assert_eq!(world.read("right/file"), "in the way");
            world.check_no_parts();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_grows_arrives_as_long_as_it_was_and_that_is_told() {
    for way in Way::BETWEEN {
        for size in SIZES {
            let world = World::new(way).await;
            let content = noise(size, 1);
            world.write("left/file", &content);
            let told = copy_while(&world, Verb::Copy, || append(&world, b"more")).await;
            assert_eq!(told.noticed, ["left/file"], "{way:?} {size}");
            assert!(std::fs::read(world.at("right/file")).unwrap() == content, "{way:?} {size}");
            assert_eq!((told.summary.files, told.summary.failed), (1, 0));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_shrinks_or_is_rewritten_is_taken_as_it_is_now() {
    for way in Way::ALL {
        for size in SIZES {
            for new_size in [10, size - 1, size] {
                let world = World::new(way).await;
                world.write("left/file", noise(size, 1));
                let new = noise(new_size, 2);
                let told = copy_while(&world, Verb::Copy, || world.write("left/file", &new)).await;
                assert_eq!(told.codes(), [], "{way:?} {size} {new_size}");
                assert!(std::fs::read(world.at("right/file")).unwrap() == new, "{way:?} {size} {new_size}");
                assert_eq!(told.summary.bytes, new_size as u64);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_grew_is_copied_and_not_removed() {
    for way in Way::BETWEEN {
        let world = World::new(way).await;
        world.write("left/file", "before");
        let told = copy_while(&world, Verb::Move, || append(&world, b" and after")).await;
        assert_eq!(told.codes(), [FaultCode::Changed], "{way:?}");
        assert!(told.failed[0].to_string().contains("stays"), "{}", told.failed[0]);
        assert_eq!(world.read("left/file"), "before and after", "{way:?}");
        assert_eq!(world.read("right/file"), "before");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_copy_of_it_brought_meanwhile_is_there_and_no_failure() {
    for way in Way::ALL {
        for (size, verb) in SIZES.into_iter().flat_map(|size| [(size, Verb::Copy), (size, Verb::Move)]) {
            let world = World::new(way).await;
            let content = noise(size, 1);
            world.write("left/file", &content);
            world.modified("left/file", 1_500_000_000);
            let told = copy_while(&world, verb, || {
                world.write("right/file", &content);
                world.modified("right/file", 1_500_000_000);
            })
            .await;
            let what = format!("{way:?} {size} {verb:?}: {told:?}");
            assert!(told.codes().is_empty(), "{what}");
            assert_eq!((told.summary.unchanged, told.summary.files), (1, 0), "{what}");
            assert!(std::fs::read(world.at("right/file")).unwrap() == content, "{what}");
            assert_eq!(world.exists("left/file"), verb == Verb::Copy, "{what}");
            world.check_no_parts();
        }
    }
}
