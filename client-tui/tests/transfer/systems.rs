//! File systems that are full, or another than the source's, and things that turn into others between being listed and being
//! read. Mounting needs root; without it those tests say so and do nothing.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use towpath::link::Link;
use towpath::model::Choice;
use towpath::transfer::job::{ExistingPolicy, Item, Job, Verb};
use towpath_protocol::fault::FaultCode;

use crate::world::{Told, Way, World, noise, once, path, run, service_at};

const MIB: usize = 1024 * 1024;

/// A tmpfs of 3 MiB, unmounted when dropped.
struct Small(PathBuf);

impl Small {
    fn mount(world: &World, at: &str) -> Option<Self> {
        world.folder(at);
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=3m", "none"]).arg(world.at(at));
        if mount.output().is_ok_and(|output| output.status.success()) {
            return Some(Self(world.at(at)));
        }
        crate::skip::skip("no file system could be mounted");
        None
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_what_finds_no_room_fails_and_the_rest_goes_on() {
    for way in Way::ALL {
        for verb in [Verb::Copy, Verb::Move] {
            let world = World::new(way).await;
            let Some(_small) = Small::mount(&world, "right/small") else { return };
            let contents: Vec<Vec<u8>> = (0..6).map(|seed| noise(MIB - 10_000, seed)).collect();
            for (index, content) in contents.iter().enumerate() {
                world.write(format!("left/tree/sub/{index}"), content);
            }
            let items = [("left/tree", "right/small/tree"), ("left/roomy", "right/roomy")];
            world.write("left/roomy", "not on that disk");
            let told = run(world.job(verb, &items), |_| panic!("asked")).await;
            let name = format!("{way:?} {verb:?} {told:#?}");
            assert_eq!(told.summary.stopped, None, "{name}");
            assert!(world.exists("right/roomy"), "{name}");
            assert!(told.failed.iter().all(|fault| fault.code == FaultCode::NoSpace), "{name}");
            let mut missing = 0;
            for (index, content) in contents.iter().enumerate() {
                let [here, there] = ["left/tree", "right/small/tree"]
                    .map(|side| fs::read(world.at(format!("{side}/sub/{index}"))).ok());
                assert!(there.is_none() || there.as_ref() == Some(content), "{name}: half of {index}");
                assert!(here.as_ref() == Some(content) || (verb == Verb::Move && there.is_some()), "{name}");
                missing += u64::from(there.is_none());
            }
            assert!(missing >= 3, "{name}: there is room for three at most");
            assert!(told.summary.failed >= missing, "{name}: {missing} are missing");
            world.check_no_parts();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_to_another_file_system_copies_and_then_removes() {
    for way in Way::ALL {
        let world = World::new(way).await;
        let Some(_small) = Small::mount(&world, "right/small") else { return };
        world.write("left/tree/sub/file", "file");
        world.write("left/tree/larger", noise(200_000, 1));
        world.folder("left/tree/nothing in it");
        world.link("left/tree/link", "../../nowhere");
        world.write("left/alone", "alone");
        world.modified("left/tree/sub", 1_500_000_000);
        let before = world.tree("left/tree");
        let items = [("left/tree", "right/small/tree"), ("left/alone", "right/small/alone")];
        run(world.job(Verb::Move, &items), |_| panic!("asked")).await.check_clean();
        assert_eq!(world.tree("right/small/tree"), before, "{way:?}");
        assert_eq!(world.read("right/small/alone"), "alone");
        assert_eq!(world.names("left"), Vec::<String>::new(), "{way:?}");
    }
}

/// Copies or moves `left/file`; between its listing and its reading, while a question is open, `meanwhile` happens.
async fn carry_while(world: &World, verb: Verb, meanwhile: impl Fn()) -> Told {
    world.write("left/file", noise(100_000, 1));
    world.write("left/other", "other");
    world.write("right/file", "in the way");
    let items = [("left/file", "right/file"), ("left/other", "right/other")];
    run(world.job(verb, &items), |_| {
        fs::remove_file(world.at("left/file")).unwrap();
        meanwhile();
        once(Choice::Overwrite)
    })
    .await
}

fn make_fifo(world: &World, at: &str) {
    let mode = rustix::fs::Mode::from_raw_mode(0o644);
    let fifo = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, world.at(at), fifo, mode, 0).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_turns_into_something_else_fails_alone_and_replaces_nothing() {
    for way in Way::BETWEEN {
        for verb in [Verb::Copy, Verb::Move] {
            for kind in ["folder", "link", "fifo"] {
                let world = World::new(way).await;
                let told = carry_while(&world, verb, || match kind {
                    "folder" => world.write("left/file/within", "within"),
                    "link" => world.link("left/file", "other"),
                    _ => make_fifo(&world, "left/file"),
                })
                .await;
                let name = format!("{way:?} {verb:?} {kind} {told:#?}");
                assert_eq!(told.failed.len(), 1, "{name}");
                assert_eq!(world.read("right/file"), "in the way", "{name}");
                assert_eq!(world.read("right/other"), "other", "{name}");
                assert!(world.exists("left/file"), "{name}");
                world.check_no_parts();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_kind_in_the_way_fails_alone() {
    for way in Way::ALL {
        for verb in [Verb::Copy, Verb::Move] {
            let world = World::new(way).await;
            world.write("left/tree/file over folder", "new");
            world.folder("right/tree/file over folder");
            world.write("left/tree/folder over file/within", "new");
            world.write("right/tree/folder over file", "old");
            world.link("left/tree/link over folder", "nowhere");
            world.write("right/tree/link over folder/old", "old");
            world.write("left/tree/file over fifo", "new");
            make_fifo(&world, "right/tree/file over fifo");
            world.write("left/tree/free", "free");
            let job = Job {
                existing: ExistingPolicy::Always(Choice::Overwrite),
                ..world.job(verb, &[("left/tree", "right/tree")])
            };
            let told = run(job, |_| panic!("asked")).await;
            let name = format!("{way:?} {verb:?} {told:#?}");
            assert_eq!((told.failed.len(), told.summary.files), (4, 1), "{name}");
            assert_eq!(world.read("right/tree/free"), "free", "{name}");
            assert_eq!(world.read("right/tree/folder over file"), "old", "{name}");
            assert_eq!(world.read("right/tree/link over folder/old"), "old", "{name}");
            let kept = ["file over fifo", "file over folder", "folder over file/within", "link over folder"];
            assert!(kept.iter().all(|kept| world.exists(&format!("left/tree/{kept}"))), "{name}");
            world.check_no_parts();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tree_that_vanishes_while_it_is_walked_leaves_whole_files_and_an_honest_count() {
    for way in Way::ALL {
        let world = World::new(way).await;
        for folder in 0..60 {
            for file in 0..20 {
                world.write(format!("left/tree/{folder}/{file}"), noise(3_000, file));
            }
        }
        let stop = AtomicBool::new(false);
        let told = std::thread::scope(|scope| {
            scope.spawn(|| {
                for folder in (0..60).rev().take_while(|_| !stop.load(Ordering::Relaxed)) {
                    fs::remove_dir_all(world.at(format!("left/tree/{folder}"))).unwrap();
                }
            });
            let told = tokio::task::block_in_place(|| {
                tokio::runtime::Handle::current().block_on(world.copy("left/tree", "right/tree"))
            });
            stop.store(true, Ordering::Relaxed);
            told
        });
        assert!(!told.summary.cancelled && told.summary.stopped.is_none(), "{way:?} {:?}", told.summary);
        assert_eq!(told.summary.failed, told.failed.len() as u64 + told.unnamed, "{way:?}");
        let arrived: Vec<_> =
            world.tree("right").into_values().filter(|told| !told.contains("folder")).collect();
        assert!(arrived.iter().all(|told| told.contains(" 3000 ")), "{way:?}");
        assert_eq!(arrived.len() as u64, told.summary.files, "{way:?}");
        world.check_no_parts();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_file_that_does_not_say_its_length_is_read_to_its_end() {
    let symbols = fs::read("/proc/kallsyms").unwrap_or_default();
    if !(70_000..16 * MIB).contains(&symbols.len()) {
        crate::skip::skip(&format!("/proc/kallsyms is of {} bytes", symbols.len()));
        return;
    }
    for way in [Way::Across, Way::Up] {
        let world = World::new(way).await;
        let source = Link::in_process(service_at(std::path::Path::new("/proc")));
        let items = vec![Item { from: path("kallsyms"), to: path("right/symbols") }];
        let job = Job { source, items, ..world.job(Verb::Copy, &[]) };
        let told = run(job, |_| panic!("asked")).await;
        told.check_clean();
        let copied = fs::read(world.at("right/symbols")).unwrap();
        assert!(copied == symbols, "{way:?}: {} bytes of {}", copied.len(), symbols.len());
        assert_eq!(told.summary.bytes, symbols.len() as u64);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unchanged_file_gets_its_other_mode_and_is_not_sent() {
    for way in Way::ALL {
        let world = World::new(way).await;
        for side in ["left", "right"] {
            world.write(format!("{side}/tree/file"), "same");
            world.modified(&format!("{side}/tree/file"), 1_500_000_000);
            world.modified(&format!("{side}/tree"), 1_500_000_000);
        }
        world.mode("left/tree/file", 0o750);
        let told = world.copy_with(Choice::Skip, "left/tree", "right/tree").await;
        told.check_clean();
        assert_eq!((told.summary.unchanged, told.summary.files, told.summary.bytes), (1, 0, 0), "{way:?}");
        world.check_equal("left", "right");
    }
}
