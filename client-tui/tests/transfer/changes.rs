//! Large files of which a part is at the destination already: only the rest moves, and what arrives is the source, whatever changed
//! and whenever.

use std::fs;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use towpath::model::Choice;
use towpath::transfer::job::{ExistingPolicy, Job, Summary, Verb};
use towpath_protocol::fault::FaultCode;

use crate::world::{Running, Told, Way, World, noise, run};

const MIB: usize = 1 << 20;
const BLOCK: usize = 16 << 10;
const SIZE: usize = 24 * MIB + 4321;
/// So much that not all that differs is asked for at once.
const LARGE: usize = 64 * MIB + 4321;
/// So slow that there is time for something to happen meanwhile.
const BYTES_PER_SECOND: u64 = 2 * MIB as u64;
const PATIENCE: Duration = Duration::from_secs(30);

/// Replaces `right/file` by `left/file`, both as given, and looks at what is there then.
async fn replace(way: Way, before: &[u8], after: &[u8]) -> Summary {
    let world = World::new(way).await;
    world.write("right/file", before);
    world.modified("right/file", 1_400_000_000);
    world.write("left/file", after);
    let told = world.copy_with(Choice::Overwrite, "left/file", "right/file").await;
    told.check_clean();
    assert!(fs::read(world.at("right/file")).unwrap() == after, "{way:?}");
    assert_eq!(told.summary.bytes, after.len() as u64, "{way:?}");
    world.check_equal("left", "right");
    world.check_no_parts();
    told.summary
}

/// Blocks that hold at least one of these places.
fn blocks_of(places: &[usize]) -> u64 {
    let mut blocks: Vec<usize> = places.iter().map(|place| place / BLOCK).collect();
    blocks.sort_unstable();
    blocks.dedup();
    (blocks.len() * BLOCK) as u64
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_in_place_move_their_blocks_alone() {
    let before = noise(SIZE, 1);
    let places: Vec<usize> = (0..40).map(|index| index * 655_357 % (SIZE - BLOCK)).collect();
    let mut after = before.clone();
    for place in &places {
        after[*place] ^= 1;
    }
    for way in Way::BETWEEN {
        let summary = replace(way, &before, &after).await;
        let moved = SIZE as u64 - summary.saved;
        // One block between two others goes with them.
        assert!(moved >= blocks_of(&places) && moved <= blocks_of(&places) + 4 * BLOCK as u64, "{moved}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_appended_moves_alone_and_what_was_cut_off_moves_nothing() {
    let long = noise(SIZE, 1);
    let short = &long[..13 * MIB + 100];
    for way in Way::BETWEEN {
        let appended = replace(way, short, &long).await;
        assert_eq!(appended.saved, 13 * MIB as u64, "{way:?}: the last block was a short one");
        let cut = replace(way, &long, short).await;
        assert_eq!(cut.saved, 13 * MIB as u64, "{way:?}");
        let same = replace(way, &long, &long).await;
        assert_eq!(same.saved, SIZE as u64, "{way:?}: of another time, and the same");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_file_moves_as_a_whole_and_is_not_compared_to_its_end() {
    let after = noise(144 * MIB, 2);
    // The same only where nobody looks any more.
    let mut before = noise(144 * MIB, 1);
    before[143 * MIB..].copy_from_slice(&after[143 * MIB..]);
    for way in [Way::Up, Way::Down] {
        assert_eq!(replace(way, &before, &after).await.saved, 0, "{way:?}");
    }
    // Everything is at another place: no block is what it was.
    let shifted = [b"first", &noise(SIZE, 1)[..]].concat();
    assert_eq!(replace(Way::Up, &noise(SIZE, 1), &shifted).await.saved, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn small_files_and_things_of_another_kind_are_replaced_as_ever() {
    for (before, after) in [(SIZE, 4 * MIB), (4 * MIB - 1, SIZE), (3 * MIB, 3 * MIB), (0, SIZE), (SIZE, 0)] {
        assert_eq!(replace(Way::Up, &noise(before, 1), &noise(after, 1)).await.saved, 0, "{before}, {after}");
    }
    let world = World::new(Way::Up).await;
    world.write("left/file", noise(SIZE, 1));
    world.write("right/other", noise(SIZE, 1));
    world.link("right/file", "other");
    let told = world.copy_with(Choice::Overwrite, "left/file", "right/file").await;
    told.check_clean();
    assert_eq!(told.summary.saved, 0);
    assert!(fs::symlink_metadata(world.at("right/file")).unwrap().is_file());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_cannot_be_read_is_replaced_without_looking() {
    if rustix::process::geteuid().is_root() {
        crate::skip::skip("root reads everything");
        return;
    }
    let world = World::new(Way::Up).await;
    world.write("left/file", noise(SIZE, 1));
    world.write("right/file", noise(SIZE, 1));
    world.mode("right/file", 0o200);
    let told = world.copy_with(Choice::Overwrite, "left/file", "right/file").await;
    told.check_clean();
    assert_eq!(told.summary.saved, 0);
    assert!(fs::read(world.at("right/file")).unwrap() == noise(SIZE, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_different_content_is_replaced_and_moves_by_its_blocks() {
    let world = World::new(Way::Up).await;
    let before = noise(SIZE, 1);
    let mut after = before.clone();
    after[5 * MIB] ^= 1;
    for (file, content) in [("same", &before), ("other", &after)] {
        world.write(format!("left/{file}"), content);
        world.write(format!("right/{file}"), &before);
        world.modified(&format!("right/{file}"), 1_400_000_000);
    }
    let told = world.copy_with(Choice::Different, "left", "right").await;
    assert_eq!((told.summary.files, told.summary.saved), (1, (SIZE - BLOCK) as u64), "{told:#?}");
    assert!(fs::read(world.at("right/other")).unwrap() == after);
}

/// Begins to replace `right/file` by `left/file`, and waits until something moves.
async fn begin(world: &World) -> Running {
    let job = Job {
        existing: ExistingPolicy::Always(Choice::Overwrite),
        is_resumed: true,
        ..world.job(Verb::Copy, &[("left/file", "right/file")])
    };
    let mut running = Running::start_at(job, Some(BYTES_PER_SECOND));
    let moved = running.progress.wait_for(|told| told.bytes > 9 * MIB as u64);
    let _ = tokio::time::timeout(PATIENCE, moved).await.expect("nothing moves");
    running
}

/// Every other MiB is another one.
fn half_changed(content: &[u8]) -> Vec<u8> {
    let mut changed = content.to_vec();
    for part in changed.chunks_mut(MIB).step_by(2) {
        part.fill(7);
    }
    changed
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_changes_meanwhile_is_not_replaced() {
    let after = noise(LARGE, 1);
    for way in Way::BETWEEN {
        let world = World::new(way).await;
        world.write("left/file", &after);
        world.write("right/file", half_changed(&after));
        world.modified("right/file", 1_400_000_000);
        let running = begin(&world).await;
        let there = fs::File::options().write(true).open(world.at("right/file")).unwrap();
        there.write_all_at(b"somebody else's", LARGE as u64 - 1000).unwrap();
        running.cancel_limit();
        let told = running.end(Told::default()).await;
        assert_eq!(told.codes(), [FaultCode::Changed], "{way:?}");
        let kept = fs::read(world.at("right/file")).unwrap();
        assert_eq!(&kept[LARGE - 1000..LARGE - 985], b"somebody else's", "{way:?}");
        world.check_no_parts();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_changes_meanwhile_arrives_as_it_is_then() {
    let mut after = noise(LARGE, 1);
    for way in Way::BETWEEN {
        let world = World::new(way).await;
        world.write("left/file", &after);
        world.write("right/file", half_changed(&after));
        world.modified("right/file", 1_400_000_000);
        let running = begin(&world).await;
        let source = fs::File::options().write(true).open(world.at("left/file")).unwrap();
        source.write_all_at(b"a new beginning", 0).unwrap();
        after[..15].copy_from_slice(b"a new beginning");
        running.cancel_limit();
        let told = running.end(Told::default()).await;
        told.check_clean();
        assert!(fs::read(world.at("right/file")).unwrap() == after, "{way:?}");
        world.check_no_parts();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_cut_off_goes_on_and_compares_the_rest() {
    let after = noise(LARGE, 1);
    for way in [Way::Up, Way::Down] {
        let mut world = World::new(way).await;
        world.write("left/file", &after);
        world.modified("left/file", 1_500_000_000);
        world.write("right/file", half_changed(&after));
        world.modified("right/file", 1_400_000_000);
        let running = begin(&world).await;
        world.cut.cancel();
        running.end(Told::default()).await;
        assert!(fs::read(world.at("right/file")).unwrap() == half_changed(&after), "the old one is there");
        world.restart(way).await;
        let job = Job {
            existing: ExistingPolicy::Always(Choice::Overwrite),
            is_resumed: true,
            ..world.job(Verb::Copy, &[("left/file", "right/file")])
        };
        let told = run(job, |_| panic!("asked")).await;
        told.check_clean();
        let Summary { resumed, saved, .. } = told.summary;
        assert!(saved > 0 && saved + resumed < LARGE as u64, "{way:?}: {saved}, {resumed}");
        assert!(fs::read(world.at("right/file")).unwrap() == after, "{way:?}");
        world.check_no_parts();
    }
}
