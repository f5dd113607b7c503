//! A limit and a pause hold also for what one service copies by itself.

use std::fs;

use towpath::transfer::job::Verb;

use crate::world::{Running, Told, Way, World};

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
