//! What is in the way: each policy, one question at a time, and nothing waits for the answer that need not.

use std::time::Duration;

use towpath::model::{Choice, Scope};
use towpath::transfer::job::{ExistingPolicy, Job, Verb};
use towpath_protocol::fault::FaultCode;

use crate::world::{Running, Told, Way, World, for_all, noise, once, run};

const OLD: u64 = 1_000_000_000;
const NEW: u64 = 1_100_000_000;

/// `older` and `newer` say what the source is beside what is there.
fn conflicting(world: &World) {
    for (name, left, right) in [("newer.txt", NEW, OLD), ("older.txt", OLD, NEW)] {
        world.write(format!("left/tree/{name}"), format!("left {name}"));
        world.write(format!("right/tree/{name}"), format!("right {name}"));
        world.modified(&format!("left/tree/{name}"), left);
        world.modified(&format!("right/tree/{name}"), right);
    }
    world.write("left/tree/free", "free");
}

fn sides(world: &World) -> [String; 2] {
    ["newer.txt", "older.txt"].map(|name| {
        world.read(&format!("right/tree/{name}")).split(' ').next().unwrap_or_default().to_owned()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn each_policy_does_what_it_says() {
    let cases = [
        (Choice::Skip, ["right", "right"], 2),
        (Choice::Overwrite, ["left", "left"], 0),
        (Choice::NewerOnly, ["left", "right"], 1),
        (Choice::Different, ["left", "left"], 0),
        (Choice::KeepBoth, ["right", "right"], 0),
    ];
    for way in Way::ALL {
        for (policy, expected, skipped) in cases {
            let world = World::new(way).await;
            conflicting(&world);
            let told = world.copy_with(policy, "left/tree", "right/tree").await;
            assert_eq!(sides(&world), expected, "{way:?} {policy:?}");
            assert_eq!((told.summary.skipped, told.summary.failed), (skipped, 0), "{way:?} {policy:?}");
            assert_eq!(told.skipped.len() as u64, skipped, "each is named");
            assert_eq!(world.read("right/tree/free"), "free");
            world.check_no_parts();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keeping_both_takes_the_first_free_name() {
    for way in Way::ALL {
        let world = World::new(way).await;
        for name in ["a.tar.gz", ".rc", "plain"] {
            world.write(format!("left/{name}"), format!("new {name}"));
            world.write(format!("right/{name}"), "old");
        }
        world.write("right/plain (2)", "taken");
        let items =
            ["a.tar.gz", ".rc", "plain"].map(|name| (format!("left/{name}"), format!("right/{name}")));
        let items = items.each_ref().map(|(from, to)| (from.as_str(), to.as_str()));
        let job = Job { existing: ExistingPolicy::Always(Choice::KeepBoth), ..world.job(Verb::Copy, &items) };
        run(job, |_| panic!("asked")).await.check_clean();
        assert_eq!(world.read("right/a.tar (2).gz"), "new a.tar.gz", "{way:?}");
        assert_eq!(world.read("right/.rc (2)"), "new .rc");
        assert_eq!(world.read("right/plain (3)"), "new plain");
        assert_eq!(world.read("right/plain (2)"), "taken");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_conflict_is_asked_and_the_question_shows_both_sides() {
    let world = World::new(Way::Up).await;
    conflicting(&world);
    let mut sizes = Vec::new();
    let told = run(world.job(Verb::Copy, &[("left/tree", "right/tree")]), |conflict| {
        assert_eq!(conflict.from.path.name(), conflict.to.path.name());
        let there = conflict.there.as_ref().unwrap();
        assert_ne!(conflict.source.modified, there.modified);
        sizes.push((conflict.source.size, there.size));
        once(if conflict.source.modified > there.modified { Choice::Overwrite } else { Choice::Skip })
    })
    .await;
    assert_eq!(sides(&world), ["left", "right"]);
    assert_eq!(told.asked.len(), 2);
    assert_eq!(sizes, [(14, 15), (14, 15)]);
    assert_eq!(told.summary.skipped, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_answer_for_all_is_asked_once() {
    for way in Way::ALL {
        let world = World::new(way).await;
        conflicting(&world);
        let told =
            run(world.job(Verb::Copy, &[("left/tree", "right/tree")]), |_| for_all(Choice::Overwrite)).await;
        // Both may have been asked about before the answer came.
        assert!((1..=2).contains(&told.asked.len()), "{way:?}");
        assert_eq!(told.settled.len(), told.asked.len(), "{way:?}");
        assert_eq!(sides(&world), ["left", "left"], "{way:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_free_goes_on_while_a_question_is_open() {
    let world = World::new(Way::Up).await;
    conflicting(&world);
    world.write("left/tree/large", noise(3_000_000, 1));
    let mut running = Running::start(world.job(Verb::Copy, &[("left/tree", "right/tree")]));
    let mut told = Told::default();
    running.until_asked(&mut told).await.unwrap();
    running.until_asked(&mut told).await.unwrap();
    let done =
        tokio::time::timeout(Duration::from_secs(30), running.progress.wait_for(|told| told.files == 2));
    done.await.expect("the free files wait for the answer").unwrap();
    assert_eq!(world.read("right/tree/free"), "free");
    running.undecided.decide(Scope::All, Choice::Skip);
    let told = running.end(told).await;
    assert_eq!((told.summary.files, told.summary.skipped), (2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_nobody_hears_means_skip() {
    let world = World::new(Way::Across).await;
    conflicting(&world);
    let running = Running::start_unheard(world.job(Verb::Copy, &[("left/tree", "right/tree")]));
    let told = running.end(Told::default()).await;
    assert_eq!(sides(&world), ["right", "right"]);
    assert_eq!((told.summary.files, told.summary.skipped), (1, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_bytes_with_another_time_are_left_where_only_differences_count() {
    for way in Way::BETWEEN {
        let world = World::new(way).await;
        for (name, content) in [("same", noise(9_000_000, 7)), ("small", noise(9, 7))] {
            world.write(format!("left/tree/{name}"), &content);
            world.write(format!("right/tree/{name}"), &content);
            world.modified(&format!("right/tree/{name}"), OLD);
        }
        let told = world.copy_with(Choice::Different, "left/tree", "right/tree").await;
        told.check_clean();
        assert_eq!((told.summary.files, told.summary.unchanged), (0, 2), "{way:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_never_takes_a_folders_place_nor_a_folder_a_files() {
    for way in Way::ALL {
        let world = World::new(way).await;
        world.write("left/tree/was folder", "file");
        world.write("left/tree/was file/inside", "inside");
        world.write("left/tree/fine", "fine");
        world.write("right/tree/was folder/inside", "precious");
        world.write("right/tree/was file", "precious");
        let told = world.copy_with(Choice::Overwrite, "left/tree", "right/tree").await;
        let mut codes = told.codes();
        codes.sort_by_key(|code| *code as u16);
        assert_eq!(codes, [FaultCode::NotAFolder, FaultCode::IsAFolder], "{way:?}");
        assert_eq!(world.read("right/tree/was folder/inside"), "precious");
        assert_eq!(world.read("right/tree/was file"), "precious");
        assert_eq!(world.read("right/tree/fine"), "fine");
        assert_eq!((told.summary.files, told.summary.failed), (1, 2), "{way:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn links_and_files_replace_each_other() {
    for way in Way::ALL {
        let world = World::new(way).await;
        world.write("left/tree/file", "file");
        world.link("left/tree/link", "somewhere");
        world.folder("right/tree");
        world.link("right/tree/file", "/etc/hostname");
        world.write("right/tree/link", "was a file");
        world.copy_with(Choice::Overwrite, "left/tree", "right/tree").await.check_clean();
        world.check_equal("left/tree", "right/tree");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changed_at_the_destination_since_the_question_is_not_replaced() {
    for way in Way::BETWEEN {
        let world = World::new(way).await;
        world.write("left/file", "new");
        world.write("right/file", "old");
        world.modified("right/file", OLD);
        let told = run(world.job(Verb::Copy, &[("left/file", "right/file")]), |_| {
            world.write("right/file", "somebody else's");
            once(Choice::Overwrite)
        })
        .await;
        assert_eq!(told.codes(), [FaultCode::Changed], "{way:?}");
        assert_eq!(world.read("right/file"), "somebody else's");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changed_while_the_question_was_open_is_not_replaced() {
    for way in Way::ALL {
        for verb in [Verb::Copy, Verb::Move] {
            for policy in [Choice::Overwrite, Choice::NewerOnly, Choice::Different] {
                let world = World::new(way).await;
                world.write("left/file", "left");
                world.link("left/link", "left");
                world.write("right/file", "right");
                world.link("right/link", "right");
                world.modified("right/file", OLD);
                let items = [("left/file", "right/file"), ("left/link", "right/link")];
                // A link's time says nothing about it.
                let count = if policy == Choice::NewerOnly { 1 } else { 2 };
                let told = run(world.job(verb, &items[..count]), |conflict| {
                    let to = conflict.to.whole().unwrap();
                    let there = world.at(to.display().trim_start_matches('/'));
                    std::fs::remove_file(&there).unwrap();
                    std::fs::write(&there, "changed meanwhile").unwrap();
                    once(policy)
                })
                .await;
                let name = format!("{way:?} {verb:?} {policy:?} {told:#?}");
                assert_eq!(told.codes(), vec![FaultCode::Changed; count], "{name}");
                for (_, there) in &items[..count] {
                    assert_eq!(world.read(there), "changed meanwhile", "{name}");
                }
                assert!(world.exists("left/file") && world.exists("left/link"), "{name}");
                world.check_no_parts();
            }
        }
    }
}
