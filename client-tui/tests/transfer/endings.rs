//! Ends before the end: cancelled, refused, cut. Whatever happens, a destination holds nothing half.

use std::fs;
use std::time::{Duration, Instant};

use towpath::model::Choice;
use towpath::transfer::job::{ExistingPolicy, Job, Verb};
use towpath_protocol::fault::FaultCode;
use towpath_protocol::hello::Access;

use crate::world::{Running, Told, Way, World, noise, run};

/// A file that takes long, at [`SLOWLY`] or where nothing holds its bytes back.
fn long(world: &World, path: &str, way: Way) {
    if way == Way::Within {
        let path = world.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let file = fs::File::create(path).unwrap();
        rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, 2 << 30).unwrap();
    } else {
        world.write(path, noise(32 << 20, 1));
    }
}

/// Bytes a second.
const SLOWLY: Option<u64> = Some(16 << 20);

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_copy_leaves_nothing_half() {
    for way in Way::ALL {
        for verb in [Verb::Copy, Verb::Move] {
            if way == Way::Within && verb == Verb::Move {
                continue;
            }
            let world = World::new(way).await;
            long(&world, "left/tree/long", way);
            long(&world, "left/tree/long too", way);
            world.write("left/tree/small", "small");
            let job = world.job(verb, &[("left/tree", "right/tree")]);
            let mut running = Running::start_at(job, SLOWLY);
            let begun = running.progress.wait_for(|told| told.bytes > 1_000_000);
            tokio::time::timeout(Duration::from_secs(30), begun).await.expect("nothing moves").unwrap();
            let cancelled = Instant::now();
            running.cancel.cancel();
            let told = running.end(Told::default()).await;
            assert!(told.summary.cancelled, "{way:?} {verb:?}");
            assert_eq!((told.summary.failed, told.summary.stopped), (0, None), "{way:?} {verb:?}");
            assert!(cancelled.elapsed() < Duration::from_secs(5), "{way:?}: {:?}", cancelled.elapsed());
            world.check_no_parts();
            assert!(world.exists("left/tree/long") && !world.exists("right/tree/long"), "{way:?} {verb:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_waits_for_an_answer_can_be_cancelled() {
    let world = World::new(Way::Up).await;
    world.write("left/file", "left");
    world.write("right/file", "right");
    let mut running = Running::start(world.job(Verb::Copy, &[("left/file", "right/file")]));
    let question = running.until_asked(&mut Told::default()).await.unwrap();
    running.cancel.cancel();
    let undecided = running.undecided.clone();
    let told = running.end(Told::default()).await;
    assert!(told.summary.cancelled);
    assert_eq!((told.settled, undecided.count()), (vec![question.id], 0));
    assert_eq!(world.read("right/file"), "right");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_before_the_beginning_does_nothing() {
    for way in Way::ALL {
        let world = World::new(way).await;
        world.write("left/tree/file", "file");
        let (facts, mut facts_out) = tokio::sync::mpsc::channel(8);
        let (progress, _keep) = tokio::sync::watch::channel(towpath::transfer::job::Progress::default());
        let cancel = tokio_util::sync::CancellationToken::new();
        cancel.cancel();
        let reports = towpath::transfer::job::Reports {
            progress: progress.into(),
            facts,
            cancel,
            leave: tokio_util::sync::CancellationToken::new(),
            throttle: std::sync::Arc::default(),
            undecided: std::sync::Arc::default(),
        };
        let summary =
            towpath::transfer::run(world.job(Verb::Copy, &[("left/tree", "right/tree")]), reports).await;
        assert!(summary.cancelled, "{way:?}");
        assert!(facts_out.recv().await.is_none());
        assert_eq!(world.names("right"), Vec::<String>::new(), "{way:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_takes_no_changes_stops_the_job_once() {
    for way in [Way::Across, Way::Up, Way::Within] {
        let world = World::with(way, Access::ReadOnly).await;
        for file in 0..300 {
            world.write(format!("left/tree/{file}"), "x");
        }
        let told = world.copy("left/tree", "right/tree").await;
        assert_eq!(told.summary.stopped.map(|fault| fault.code), Some(FaultCode::ReadOnly), "{way:?}");
        assert_eq!((told.summary.files, told.summary.failed), (0, 1));
        assert!(told.failed.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_stops_the_job_and_leaves_no_half_file() {
    for way in [Way::Up, Way::Down] {
        let world = World::new(way).await;
        long(&world, "left/tree/long", way);
        for file in 0..50 {
            world.write(format!("left/tree/{file}"), noise(1000, file));
        }
        let mut running = Running::start_at(world.job(Verb::Copy, &[("left/tree", "right/tree")]), SLOWLY);
        let begun = running.progress.wait_for(|told| told.bytes > 1_000_000);
        tokio::time::timeout(Duration::from_secs(30), begun).await.expect("nothing moves").unwrap();
        world.cut.cancel();
        let told = running.end(Told::default()).await;
        assert_eq!(told.summary.stopped.map(|fault| fault.code), Some(FaultCode::Disconnected), "{way:?}");
        assert!(!told.summary.cancelled);
        // What came of it may wait for the connection to come back; never more, and never under its name. Small files may still be
        // brought to the disk by the server.
        let began = Instant::now();
        while world.parts().len() > 1 {
            assert!(began.elapsed() < Duration::from_secs(30), "{:?}", world.parts());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        assert!(!world.exists("right/tree/long"), "{way:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_that_a_failed_file_was_in_still_get_their_times() {
    for way in Way::BETWEEN {
        let world = World::new(way).await;
        world.write("left/tree/sub/refused", "x");
        world.write("left/tree/sub/fine", "x");
        world.folder("right/tree/sub/refused");
        world.modified("left/tree/sub", 1_500_000_000);
        world.modified("left/tree", 1_400_000_000);
        let job = Job {
            existing: ExistingPolicy::Always(Choice::Overwrite),
            ..world.job(Verb::Copy, &[("left/tree", "right/tree")])
        };
        let told = run(job, |_| panic!("asked")).await;
        assert_eq!(told.summary.failed, 1);
        let times = |side: &str| {
            use std::os::unix::fs::MetadataExt;
            ["tree", "tree/sub"].map(|path| fs::metadata(world.at(format!("{side}/{path}"))).unwrap().mtime())
        };
        assert_eq!(times("left"), times("right"), "{way:?}");
    }
}
