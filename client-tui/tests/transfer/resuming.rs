//! Large files cut off at many places and copied again over new connections to new services: they go on where they were, only with
//! what is their own, whichever side is far.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::FlockOperation;
use towpath::transfer::job::{Job, Verb};

use crate::world::{Running, Told, Way, World, noise, run};

const MIB: u64 = 1 << 20;
/// As what was left of a file is compared.
const PIECE: u64 = 4 * MIB;
const SIZE: usize = (24 << 20) + 4321;
/// So slow that there is time to cut it off.
const BYTES_PER_SECOND: u64 = 32 * MIB;
const PATIENCE: Duration = Duration::from_secs(30);

/// Copies until more than `bytes` have moved, and gives the length of what waits then; none where it was done before the cut.
async fn cut_after(world: &World, way: Way, bytes: u64) -> Option<u64> {
    let mut running = Running::start_at(job(world), Some(BYTES_PER_SECOND));
    let moved = running.progress.wait_for(|told| told.bytes > bytes);
    // The sender of progress goes with a job that is done.
    let _ = tokio::time::timeout(PATIENCE, moved).await.expect("nothing moves");
    if way == Way::Across {
        running.cancel.cancel();
    } else {
        world.cut.cancel();
    }
    running.end(Told::default()).await;
    if world.exists("right/file") {
        return None;
    }
    let parts = world.parts();
    assert!(parts.len() <= 1, "{parts:?}");
    match parts.first() {
        Some(part) => Some(length_once_left(part).await),
        None => Some(0),
    }
}

/// Nothing, where it is removed in the end.
async fn length_once_left(part: &Path) -> u64 {
    let began = Instant::now();
    while let Ok(file) = File::open(part) {
        if rustix::fs::flock(file.as_fd(), FlockOperation::NonBlockingLockExclusive).is_ok() {
            return if part.exists() { file.metadata().unwrap().len() } else { 0 };
        }
        assert!(began.elapsed() < PATIENCE, "somebody is still at the part");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    0
}

fn job(world: &World) -> Job {
    Job { is_resumed: true, ..world.job(Verb::Copy, &[("left/file", "right/file")]) }
}

#[tokio::test(flavor = "multi_thread")]
async fn wherever_a_file_was_cut_off_it_goes_on_there_and_only_with_its_own() {
    let contents = [noise(SIZE, 1), noise(SIZE, 2)];
    for way in Way::BETWEEN {
        for (at, is_changed) in [(0, false), (3 * MIB, false), (9 * MIB, false), (13 * MIB, true)] {
            let what = format!("{way:?}, cut after {at}, source changed: {is_changed}");
            let mut world = World::new(way).await;
            world.write("left/file", &contents[0]);
            world.modified("left/file", 1_500_000_000);
            let left = cut_after(&world, way, at).await;
            let content = &contents[usize::from(is_changed && left.is_some())];
            // Of the same size and time: only what is in it tells.
            world.write("left/file", content);
            world.modified("left/file", 1_500_000_000);
            world.restart(way).await;
            if let Some(left) = left {
                let told = run(job(&world), |_| panic!("asked")).await;
                told.check_clean();
                // One piece alone is begun anew: its value within the file is not the hash of what was left.
                let goes_on = if is_changed || left < 2 * PIECE { 0 } else { left / PIECE * PIECE };
                assert_eq!(told.summary.resumed, goes_on, "{what}, {left} bytes left");
                assert_eq!(told.summary.bytes, SIZE as u64, "{what}");
            }
            assert!(&fs::read(world.at("right/file")).unwrap() == content, "{what}");
            world.check_no_parts();
        }
    }
}
