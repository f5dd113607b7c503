//! A limit and a pause hold also for what one service copies by itself.

use std::fs;

use towpath::model::Choice;
use towpath::transfer::job::{ExistingPolicy, Job, Verb};

use crate::world::{PATIENCE, Running, Told, Way, World};

const FILE_BYTES: usize = 6 << 20;

fn content(number: u8) -> Vec<u8> {
    (0..FILE_BYTES).map(|at| (at / 7) as u8 ^ number).collect()
}

fn is_whole(world: &World, path: &str) -> bool {
    fs::metadata(world.at(path)).is_ok_and(|there| there.len() == FILE_BYTES as u64)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_within_this_machine_is_held_to_the_limit_and_is_whole_without_it() {
    let world = World::new(Way::Within).await;
    for number in 0..2 {
        world.write(format!("left/tree/deep/{number}"), content(number));
    }
    world.write("left/alone", content(9));
    for (from, to, sample) in [("left/tree", "right/tree", "/deep/0"), ("left/alone", "right/alone", "")] {
        let mut slow = Running::start_at(world.job(Verb::Copy, &[(from, to)]), Some(1_000));
        // Beside it the same goes as fast as it goes.
        let free = to.replace("right", "right/free");
        let told = Running::start(world.job(Verb::Copy, &[(from, &free)])).end(Told::default()).await;
        told.check_clean();
        assert!(is_whole(&world, &format!("{free}{sample}")));
        slow.progress.wait_for(|told| told.files_total > 0).await.unwrap();
        assert!(!is_whole(&world, &format!("{to}{sample}")), "{from}: as fast as without a limit");
        slow.cancel_limit();
        let told = slow.end(Told::default()).await;
        told.check_clean();
        assert_eq!(
            fs::read(world.at(format!("{from}{sample}"))).unwrap(),
            fs::read(world.at(format!("{to}{sample}"))).unwrap()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rename_is_free_and_told_as_what_it_is() {
    let world = World::new(Way::Within).await;
    world.write("left/tree/deep/0", content(0));
    let told = Running::start_at(world.job(Verb::Move, &[("left/tree", "right/tree")]), Some(1))
        .end(Told::default())
        .await;
    told.check_clean();
    assert_eq!((told.summary.files, told.summary.renamed), (1, 1));
    assert!(is_whole(&world, "right/tree/deep/0"));
}

/// Until `is_so`, which the disk tells before the job does.
async fn until(what: &str, is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("never {what}"));
}

/// Copies the same twice beside a job that bytes are held back from.
async fn is_overtaken(world: &World, job: &Running, from: &str) {
    for number in 0..2 {
        let free = format!("right/free-{number}");
        let told = Running::start(world.job(Verb::Copy, &[(from, &free)])).end(Told::default()).await;
        told.check_clean();
        fs::remove_dir_all(world.at(&free)).or_else(|_| fs::remove_file(world.at(&free))).unwrap();
    }
    assert!(!job.has_ended(), "as fast as if nothing held it back");
}

async fn limited_on_the_way(way: Way) {
    let world = World::new(way).await;
    for number in 0..32 {
        world.write(format!("left/tree/{number}"), content(number));
    }
    let slow = Running::start(world.job(Verb::Copy, &[("left/tree", "right/tree")]));
    until("begun", || world.exists("right/tree")).await;
    slow.limit(1_000);
    is_overtaken(&world, &slow, "left/tree").await;
    // A pause takes the limit's place.
    slow.pause();
    slow.cancel_limit();
    is_overtaken(&world, &slow, "left/tree/0").await;
    slow.resume();
    slow.end(Told::default()).await.check_clean();
    world.check_equal("left/tree", "right/tree");
    world.check_no_parts();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_holds_for_a_copy_within_this_machine_that_is_under_way() {
    limited_on_the_way(Way::Within).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_holds_file_by_file_for_a_copy_within_a_server_that_is_under_way() {
    limited_on_the_way(Way::WithinServer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_stops_a_copy_of_one_file_within_a_server_that_is_under_way() {
    let world = World::new(Way::WithinServer).await;
    let content: Vec<u8> = (0..32).flat_map(content).collect();
    world.write("left/one", &content);
    // What replaces another is seen while it comes.
    world.write("right/one", "another");
    let existing = ExistingPolicy::Always(Choice::Overwrite);
    let slow = Running::start(Job { existing, ..world.job(Verb::Copy, &[("left/one", "right/one")]) });
    until("begun", || !world.parts().is_empty()).await;
    slow.pause();
    is_overtaken(&world, &slow, "left/one").await;
    slow.resume();
    slow.end(Told::default()).await.check_clean();
    assert!(fs::read(world.at("right/one")).unwrap() == content);
    world.check_no_parts();
}
