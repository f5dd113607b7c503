//! Moves: a source goes only when its copy is complete, and only if it is still what was copied.

use towpath::model::Choice;
use towpath::transfer::job::{ExistingPolicy, Job, Verb};
use towpath_protocol::fault::FaultCode;
use towpath_protocol::hello::Access;

use crate::world::{Way, World, globs, noise, once, run};

#[tokio::test(flavor = "multi_thread")]
async fn a_moved_tree_is_there_and_no_longer_here() {
    for way in Way::ALL {
        let world = World::new(way).await;
        world.write("left/tree/a", "a");
        world.write("left/tree/deep/er/b", noise(2_000_000, 3));
        world.folder("left/tree/deep/empty");
        world.link("left/tree/link", "a");
        world.modified("left/tree/deep", 1_500_000_000);
        let before = world.tree("left/tree");
        world.move_to("left/tree", "right/tree").await.check_clean();
        assert_eq!(world.tree("right/tree"), before, "{way:?}");
        assert_eq!(world.names("left"), Vec::<String>::new(), "{way:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moved_tree_joins_one_that_is_there() {
    for way in Way::ALL {
        let world = World::new(way).await;
        world.write("left/tree/both/new", "new");
        world.write("left/tree/both/replaced", "from the left");
        world.write("right/tree/both/old", "old");
        world.write("right/tree/both/replaced", "from the right");
        let job = Job {
            existing: ExistingPolicy::Always(Choice::Overwrite),
            ..world.job(Verb::Move, &[("left/tree", "right/tree")])
        };
        run(job, |_| panic!("asked")).await.check_clean();
        assert_eq!(world.names("right/tree/both"), ["new", "old", "replaced"], "{way:?}");
        assert_eq!(world.read("right/tree/both/replaced"), "from the left");
        assert_eq!(world.names("left"), Vec::<String>::new(), "{way:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_skipped_excluded_or_refused_stays_with_its_folders() {
    for way in Way::ALL {
        let world = World::new(way).await;
        for file in ["gone/file", "skipped/file", "excluded/file.o", "refused/file"] {
            world.write(format!("left/tree/{file}"), file);
        }
        world.write("right/tree/skipped/file", "there");
        world.folder("right/tree/refused/file");
        let excludes = globs(&["*.o"]);
        let job = world.job(Verb::Move, &[("left/tree", "right/tree")]);
        let told = run(Job { excludes, ..job }, |_| once(Choice::Skip)).await;
        assert_eq!((told.codes(), told.summary.skipped), (Vec::new(), 2), "{way:?}");
        assert_eq!(world.names("left/tree"), ["excluded", "refused", "skipped"], "{way:?}");
        assert_eq!(world.read("left/tree/skipped/file"), "skipped/file");
        assert_eq!(world.read("left/tree/refused/file"), "refused/file");
        assert_eq!(world.read("right/tree/gone/file"), "gone/file");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unchanged_file_is_moved_by_removing_its_twin() {
    for way in Way::ALL {
        let world = World::new(way).await;
        for side in ["left", "right"] {
            world.write(format!("{side}/tree/same"), "same");
            world.modified(&format!("{side}/tree/same"), 1_500_000_000);
            world.write(format!("{side}/tree/looks the same"), side.len().to_string());
            world.modified(&format!("{side}/tree/looks the same"), 1_500_000_000);
        }
        let job = Job {
            existing: ExistingPolicy::Always(Choice::Skip),
            ..world.job(Verb::Move, &[("left/tree", "right/tree")])
        };
        run(job, |_| panic!("asked")).await;
        assert_eq!(world.names("left/tree"), ["looks the same"], "{way:?}");
        assert_eq!(world.read("right/tree/looks the same"), "5");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_from_where_nothing_may_change_does_not_begin() {
    let world = World::with(Way::Across, Access::ReadOnly).await;
    world.write("right/tree/file", "file");
    let job = world.job(Verb::Move, &[("right/tree", "left/tree")]);
    let job = Job { source: job.destination, destination: job.source, ..job };
    let told = run(job, |_| panic!("asked")).await;
    assert_eq!(told.summary.stopped.unwrap().code, FaultCode::ReadOnly);
    assert!(!world.exists("left/tree"));
}

#[tokio::test(flavor = "multi_thread")]
async fn within_one_root_a_move_keeps_the_very_file() {
    use std::os::unix::fs::MetadataExt;
    let world = World::new(Way::Within).await;
    world.write("left/tree/file", "file");
    let inode = |path: &str| std::fs::metadata(world.at(path)).unwrap().ino();
    let before = inode("left/tree/file");
    world.move_to("left/tree", "right/tree").await.check_clean();
    assert_eq!(inode("right/tree/file"), before);
    world.folder("left/tree");
    world.move_to("right/tree/file", "left/tree/renamed").await.check_clean();
    assert_eq!(inode("left/tree/renamed"), before);
}
