//! One plan of conflicts: each kind, how many wait, what is decided for one, for a kind, for all; folders that are kept beside; files
//! that are completed; and jobs that change nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use towpath::link::Link;
use towpath::model::{Choice, ConflictKind, Scope};
use towpath::transfer::job::{Action, ExistingPolicy, Job, Planned, Verb};
use towpath::transfer::undecided::UNDECIDED_MAX;
use towpath_files::exchange::Exchange;
use towpath_files::service::Service;
use towpath_files::session::{Serve, SessionOptions, serve};
use towpath_protocol::fault::FaultCode;
use towpath_protocol::hello::{NameCase, Welcome};
use towpath_protocol::message::Request;

use crate::world::{Running, Told, Way, World, for_all, noise, once, run};

const OLD: u64 = 1_000_000_000;
const NEW: u64 = 1_100_000_000;

/// So many conflicts of each kind.
const EACH: usize = 200;
const FEW: usize = 3;

/// `left/tree` and `right/tree` with conflicts of five kinds, and as many files that are free.
fn conflicting(world: &World, each: usize) {
    let both = |name: &str, (left, left_time): (&str, u64), (right, right_time): (&str, u64)| {
        world.write(format!("left/tree/{name}"), left);
        world.modified(&format!("left/tree/{name}"), left_time);
        world.write(format!("right/tree/{name}"), right);
        world.modified(&format!("right/tree/{name}"), right_time);
    };
    for number in 0..each {
        let below = format!("sub{}/{number}", number % 7);
        both(&format!("{below}.newer"), ("left", NEW), ("right", OLD));
        both(&format!("{below}.older"), ("left", OLD), ("right", NEW));
        both(&format!("{below}.size"), ("left", OLD), ("right one", OLD));
        world.link(&format!("left/tree/{below}.link"), "left");
        world.write(format!("right/tree/{below}.link"), "right");
        world.write(format!("left/tree/{below}.folder"), "left");
        world.write(format!("right/tree/{below}.folder/inside"), "right");
        world.write(format!("left/tree/{below}.free"), "left");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_conflicts_of_all_kinds_wait_together_while_the_rest_runs() {
    let world = World::new(Way::Up).await;
    conflicting(&world, EACH);
    let mut running = Running::start(world.job(Verb::Copy, &[("left/tree", "right/tree")]));
    let mut told = Told::default();
    let mut found: BTreeMap<&str, usize> = BTreeMap::new();
    let mut ids = BTreeSet::new();
    while found.values().sum::<usize>() < 5 * EACH {
        let conflict = running.until_asked(&mut told).await.unwrap();
        assert!(ids.insert(conflict.id), "asked twice");
        *found.entry(conflict.kind.word()).or_default() += 1;
    }
    let kinds = ["newer", "older", "same-time", "link-or-file", "folder"];
    assert_eq!(found, kinds.map(|kind| (kind, EACH)).into());
    // Nothing was decided, and all that is free arrives.
    running.progress.wait_for(|now| now.files == EACH as u64 && !now.growing).await.unwrap();
    for (kind, choice) in [
        (ConflictKind::Newer, Choice::Overwrite),
        (ConflictKind::Older, Choice::NewerOnly),
        (ConflictKind::SameTime, Choice::KeepBoth),
        (ConflictKind::Folder, Choice::KeepBoth),
    ] {
        running.undecided.decide(Scope::Kind(kind), choice);
    }
    running.undecided.decide(Scope::All, Choice::Skip);
    let told = running.end(told).await;
    assert_eq!(told.settled.iter().copied().collect::<BTreeSet<_>>(), ids, "each is settled");
    assert_eq!(told.settled.len(), ids.len(), "and once");
    let each = EACH as u64;
    assert_eq!((told.summary.files, told.summary.skipped, told.summary.failed), (4 * each, 2 * each, 0));
    for number in 0..EACH {
        let read = |name: &str| world.read(&format!("right/tree/sub{}/{number}{name}", number % 7));
        assert_eq!(
            [".newer", ".older", ".size", " (2).size", ".link", ".folder/inside", " (2).folder", ".free"]
                .map(read),
            ["left", "right", "right one", "left", "right", "right", "left", "left"]
        );
    }
    world.check_no_parts();
}

#[tokio::test(flavor = "multi_thread")]
async fn only_so_many_conflicts_wait_and_then_the_walk_waits() {
    let world = World::new(Way::Across).await;
    let all = 3 * UNDECIDED_MAX;
    for number in 0..all {
        for (side, time) in [("left", NEW), ("right", OLD)] {
            let path = format!("{side}/tree/{number}");
            world.write(&path, side);
            world.modified(&path, time);
        }
    }
    let mut running = Running::start(world.job(Verb::Copy, &[("left/tree", "right/tree")]));
    let mut told = Told::default();
    for _ in 0..UNDECIDED_MAX {
        running.until_asked(&mut told).await.unwrap();
    }
    assert_eq!(running.undecided.count(), UNDECIDED_MAX);
    // What is told next is told after all this.
    running.progress.mark_unchanged();
    running.progress.changed().await.unwrap();
    assert!(running.progress.borrow().growing, "the walk is not over");
    running.undecided.decide(Scope::Kind(ConflictKind::Newer), Choice::Overwrite);
    let told = running.end(told).await;
    assert_eq!((told.summary.files, told.settled.len()), (all as u64, UNDECIDED_MAX));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_is_kept_beside_the_file_that_has_its_name() {
    for way in Way::ALL {
        for verb in [Verb::Copy, Verb::Move] {
            let world = World::new(way).await;
            world.write("left/tree/taken/deep/inside", "inside");
            world.write("left/tree/taken/left out.o", "left out");
            world.folder("left/tree/taken/empty");
            world.modified("left/tree/taken/empty", OLD);
            world.write("left/tree/beside", "beside");
            world.write("right/tree/taken", "precious");
            world.write("right/tree/taken (2)", "precious too");
            let excludes = crate::world::globs(&["taken/*.o"]);
            let job = Job { excludes, ..world.job(verb, &[("left/tree", "right/tree")]) };
            let told = run(job, |conflict| {
                assert_eq!(conflict.kind, ConflictKind::Folder);
                once(Choice::KeepBoth)
            })
            .await;
            let name = format!("{way:?} {verb:?}");
            assert_eq!((told.failed.len(), told.summary.files), (0, 2), "{name} {told:#?}");
            assert_eq!(world.names("right/tree"), ["beside", "taken", "taken (2)", "taken (3)"], "{name}");
            assert_eq!(world.names("right/tree/taken (3)"), ["deep", "empty"], "{name}");
            assert_eq!(world.read("right/tree/taken (3)/deep/inside"), "inside");
            assert_eq!(
                (world.read("right/tree/taken"), world.read("right/tree/taken (2)")),
                ("precious".into(), "precious too".into())
            );
            let times = world.tree("right/tree/taken (3)");
            assert!(times[&b"empty"[..]].contains(&format!(" {OLD}.")), "{name} {times:?}");
            if verb == Verb::Move {
                assert_eq!(world.names("left/tree/taken"), ["left out.o"], "{name}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_the_beginning_of_the_source_is_completed_and_nothing_else() {
    let mib = 1 << 20;
    let whole = noise(21 * mib + 17, 3);
    let beginnings =
        [0, 1, 70_000, 4 * mib - 1, 4 * mib, 4 * mib + 1, 8 * mib, 12 * mib + 5, 16 * mib, 21 * mib + 16];
    for way in Way::BETWEEN {
        let world = World::new(way).await;
        for len in beginnings {
            for (name, spoilt) in [("good", false), ("bad", true)] {
                let path = format!("tree/{name} {len}");
                world.write(format!("left/{path}"), &whole);
                let mut there = whole[..len].to_vec();
                if spoilt && let Some(last) = there.last_mut() {
                    *last ^= 1;
                }
                world.write(format!("right/{path}"), &there);
                world.modified(&format!("right/{path}"), NEW);
            }
        }
        world.write("left/tree/shorter", "short");
        world.write("right/tree/shorter", "shorter");
        let told = world.copy_with(Choice::Resume, "left/tree", "right/tree").await;
        assert_eq!(told.failed.len(), 0, "{told:#?}");
        for len in beginnings {
            let is_whole =
                |name: &str| std::fs::read(world.at(format!("right/tree/{name} {len}"))).unwrap() == whole;
            assert!(is_whole("good"), "{way:?} {len}");
            assert_eq!(is_whole("bad"), len == 0, "{way:?} {len}");
        }
        assert_eq!(world.read("right/tree/shorter"), "shorter");
        assert_eq!(told.summary.skipped as usize, beginnings.len(), "{told:#?}");
        world.check_no_parts();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_becomes_too_long_fails_alone() {
    let world = World::new(Way::Across).await;
    let name = "n".repeat(200);
    let deep = [name.as_str(); 15].join("/");
    world.write(format!("left/tree/{deep}/lost"), "too deep");
    world.write("left/tree/near", "near");
    let into = [name.as_str(); 8].join("/");
    let told =
        run(world.job(Verb::Copy, &[("left/tree", &format!("right/{into}/tree"))]), |_| panic!("asked"))
            .await;
    assert_eq!(told.codes(), [FaultCode::NameTooLong], "{told:#?}");
    assert_eq!(world.read(&format!("right/{into}/tree/near")), "near");
    assert_eq!(told.summary.files, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_differ_only_in_case_are_told_where_they_are_two_and_asked_about_where_they_are_one() {
    for name_case in [NameCase::Sensitive, NameCase::Insensitive] {
        let world = World::new(Way::Across).await;
        for name in ["README", "readme", "\u{e9}", "e\u{301}", "Sub/inside", "sub/inside"] {
            world.write(format!("left/tree/{name}"), name);
        }
        let destination = folding(&world, name_case).await;
        let job = Job { destination, ..world.job(Verb::Copy, &[("left/tree", "right/tree")]) };
        let told = run(job, |conflict| {
            assert_eq!(conflict.kind, ConflictKind::Case);
            once(if conflict.source.size == 6 { Choice::Skip } else { Choice::KeepBoth })
        })
        .await;
        let names = world.names("right/tree");
        if name_case == NameCase::Sensitive {
            assert_eq!((told.asked.len(), told.noticed.len(), names.len()), (0, 3, 6), "{told:#?} {names:?}");
        } else {
            assert_eq!((told.asked.len(), told.noticed.len()), (3, 0), "{told:#?}");
            assert_eq!((told.summary.skipped, names.len()), (1, 5), "{names:?}");
            let sub = names.iter().find(|name| name.ends_with("ub (2)")).expect("a second folder");
            assert_eq!(world.names(&format!("right/tree/{sub}")), ["inside"]);
        }
    }
}

/// A destination that says so of its names.
async fn folding(world: &World, name_case: NameCase) -> Link {
    struct Folding {
        service: Arc<Service>,
        welcome: Welcome,
    }
    impl Serve for Folding {
        fn welcome(&self) -> &Welcome {
            &self.welcome
        }
        async fn serve(self: Arc<Self>, request: Request, exchange: Exchange) {
            self.service.clone().serve(request, exchange).await;
        }
    }
    let service = world.service();
    let welcome = Welcome { name_case, ..service.welcome().clone() };
    let (ours, theirs) = tokio::io::duplex(1 << 20);
    let (reader, writer) = tokio::io::split(theirs);
    tokio::spawn(serve(reader, writer, Arc::new(Folding { service, welcome }), SessionOptions::default()));
    let (reader, writer) = tokio::io::split(ours);
    Link::over(reader, writer).await.unwrap()
}

/// What would be done, as words.
fn words(planned: &[Planned]) -> BTreeSet<String> {
    let word = |planned: &Planned| format!("{:?} {} {}", planned.action, planned.to.display(), planned.size);
    planned.iter().map(word).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_job_tells_what_the_real_one_does_and_changes_nothing() {
    let choices = [None].into_iter().chain(Choice::ALL.map(Some));
    for way in Way::ALL {
        for (choice, verb) in choices.clone().flat_map(|choice| [(choice, Verb::Copy), (choice, Verb::Move)])
        {
            let world = World::new(way).await;
            conflicting(&world, FEW);
            world.write("left/tree/only/here", "here");
            for side in ["left", "right"] {
                world.write(format!("{side}/tree/same"), "same");
                world.modified(&format!("{side}/tree/same"), OLD);
            }
            world.write("right/else", "else");
            let (left, right) = (world.tree("left"), world.tree("right"));
            let existing = choice.map_or(ExistingPolicy::Ask, ExistingPolicy::Always);
            let items = [("left/tree", "right/tree"), ("left/tree/only", "right/new/above")];
            let dry = Job { existing, is_dry: true, ..world.job(verb, &items) };
            let told = run(dry, |_| panic!("asked")).await;
            let name = format!("{way:?} {choice:?} {verb:?}");
            assert!(world.tree("left") == left && world.tree("right") == right, "{name}: something changed");
            assert_eq!(told.summary.stopped, None, "{name}");
            let said = words(&told.planned);
            assert!(
                said.contains("Copy right/tree/only 0")
                    || said.iter().any(|line| line.starts_with("Copy right/tree/only ")),
                "{name} {said:?}"
            );
            assert!(said.contains("Copy right/new/above/here 4"), "{name} {said:?}");
            // Files under `always` are sent.
            let same = if choice == Some(Choice::Overwrite) { "Replace" } else { "Unchanged" };
            assert!(said.contains(&format!("{same} right/tree/same 4")), "{name}");
            let count = |is: fn(&Planned) -> bool| told.planned.iter().filter(|planned| is(planned)).count();
            if choice.is_none() {
                assert_eq!(count(|planned| matches!(planned.action, Action::Ask(_))), 5 * FEW, "{name}");
                continue;
            }
            let is_file = |planned: &Planned| planned.kind != towpath_protocol::entry::Kind::Folder;
            let arrive = told
                .planned
                .iter()
                .filter(|planned| {
                    is_file(planned) && matches!(planned.action, Action::Copy | Action::Replace)
                })
                .count();
            let (skipped, failed) = (count(|planned| planned.action == Action::Skip), told.failed.len());
            let real = Job { existing, ..world.job(verb, &items[..1]) };
            let done = run(real, |_| panic!("asked")).await;
            // The second item is no part of the real one.
            assert_eq!(done.summary.files as usize, arrive - 1, "{name}");
            assert_eq!((done.summary.skipped as usize, done.failed.len()), (skipped, failed), "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_for_all_leaves_what_does_not_offer_it() {
    let world = World::new(Way::Across).await;
    world.write("left/tree/file", "left");
    world.write("right/tree/file", "right");
    world.write("left/tree/folder", "left");
    world.write("right/tree/folder/inside", "right");
    let mut kinds = Vec::new();
    let mut running = Running::start(world.job(Verb::Copy, &[("left/tree", "right/tree")]));
    let mut told = Told::default();
    for _ in 0..2 {
        kinds.push(running.until_asked(&mut told).await.unwrap().kind);
    }
    assert!(kinds.contains(&ConflictKind::Folder));
    running.undecided.decide(Scope::All, Choice::Overwrite);
    running.progress.wait_for(|now| now.files == 1).await.unwrap();
    assert_eq!(running.undecided.count(), 1);
    running.undecided.decide(Scope::All, Choice::Skip);
    let told = running.end(told).await;
    assert_eq!((world.read("right/tree/file"), told.summary.skipped), ("left".to_owned(), 1));
    assert_eq!(world.read("right/tree/folder/inside"), "right");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_finds_no_room_is_told_once_and_what_fits_still_goes_there() {
    let world = World::new(Way::Across).await;
    world.folder("right/disk");
    let disk = world.at("right/disk");
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=4m", "none"])
        .arg(&disk)
        .output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        crate::skip::skip("no file system could be mounted");
        return;
    }
    for number in 0..6 {
        world.write(format!("left/tree/{number}"), noise(1_500_000, number));
    }
    let told = run(world.job(Verb::Copy, &[("left/tree", "right/disk/tree")]), |_| once(Choice::Skip)).await;
    let arrived = (0..6).filter(|number| world.exists(&format!("right/disk/tree/{number}"))).count();
    let _ = std::process::Command::new("umount").arg("-l").arg(&disk).output();
    let (needed, free) = told.short.expect("nothing was told");
    assert!(needed > free && free <= 4 << 20, "{needed} {free}");
    assert!(arrived >= 1 && told.summary.files as usize == arrived, "{arrived} {told:#?}");
    assert_eq!(told.summary.failed as usize, 6 - arrived, "{told:#?}");
    assert!(told.codes().iter().all(|code| *code == FaultCode::NoSpace), "{told:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_answer_for_all_is_for_what_comes_later_too() {
    let world = World::new(Way::Down).await;
    for number in 0..300 {
        world.write(format!("left/tree/{number}"), "left");
        world.write(format!("right/tree/{number}"), "right side");
    }
    let told =
        run(world.job(Verb::Copy, &[("left/tree", "right/tree")]), |_| for_all(Choice::KeepBoth)).await;
    assert_eq!((told.summary.files, world.names("right/tree").len()), (300, 600), "{told:#?}");
}
