//! What arrives is what was there: contents, modes, times, links, in every direction.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};

use towpath::model::Choice;
use towpath::transfer::job::{Item, Job, Verb};
use towpath_files::root::RootSpec;
use towpath_files::service::{Service, ServiceConfig};
use towpath_protocol::fault::FaultCode;
use towpath_protocol::hello::Access;
use towpath_protocol::path::WirePath;

use crate::world::{Told, Way, World, globs, noise, path, run};

fn nasty_tree(world: &World) {
    world.write("left/tree/plain", "plain");
    world.write("left/tree/empty", "");
    world.write("left/tree/run.sh", "#!/bin/sh\n");
    world.write("left/tree/deep/er/still/file", noise(70_000, 1));
    world.write("left/tree/deep/er/large", noise(5_000_000, 2));
    world.folder("left/tree/nothing in it");
    world.folder("left/tree/deep/also nothing");
    for name in
        [&b"new\nline"[..], b"\x1b[31mred", b"not utf-8 \xff\xfe", b"-rf", b"trailing . ", &[b'x'; 255]]
    {
        world.write(std::path::Path::new("left/tree/names").join(OsStr::from_bytes(name)), name);
    }
    world.link("left/tree/link", "plain");
    world.link("left/tree/dangling", "/nowhere/at/all");
    world.link("left/tree/deep/to folder", "er");
    world.mode("left/tree/run.sh", 0o755);
    world.mode("left/tree/plain", 0o640);
    world.mode("left/tree/deep/er", 0o555);
    world.mode("left/tree/nothing in it", 0o700);
    for (index, thing) in
        ["plain", "deep/er/large", "deep/er/still", "deep/er", "deep", "nothing in it", "names"]
            .iter()
            .enumerate()
    {
        world.modified(&format!("left/tree/{thing}"), 1_500_000_000 + index as u64);
    }
    world.modified("left/tree", 1_400_000_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tree_arrives_as_it_was_every_way() {
    for way in Way::ALL {
        let world = World::new(way).await;
        nasty_tree(&world);
        let told = world.copy("left/tree", "right/tree").await;
        told.check_clean();
        world.check_equal("left/tree", "right/tree");
        assert_eq!(told.summary.files, 14, "{way:?}: files and links");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tree_that_is_there_already_is_unchanged() {
    for way in Way::ALL {
        let world = World::new(way).await;
        nasty_tree(&world);
        world.copy("left/tree", "right/tree").await.check_clean();
        let again = world.copy("left/tree", "right/tree").await;
        again.check_clean();
        assert_eq!(
            (again.summary.files, again.summary.bytes, again.summary.unchanged),
            (0, 0, 14),
            "{way:?}"
        );
        world.check_equal("left/tree", "right/tree");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sizes_around_every_limit_arrive() {
    const KIB: usize = 1024;
    const MIB: usize = 1024 * KIB;
    for way in Way::ALL {
        let world = World::new(way).await;
        let mut bytes = 0;
        for limit in [64 * KIB, MIB, 4 * MIB, 8 * MIB, 9 * MIB] {
            for size in [limit - 1, limit, limit + 1] {
                world.write(format!("left/sizes/{size}"), noise(size, size as u64));
                bytes += size as u64;
            }
        }
        for size in [0, 1] {
            world.write(format!("left/sizes/{size}"), noise(size, 0));
            bytes += size as u64;
        }
        let told = world.copy("left/sizes", "right/sizes").await;
        told.check_clean();
        world.check_equal("left/sizes", "right/sizes");
        assert_eq!((told.summary.files, told.summary.bytes), (17, bytes), "{way:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_thousand_small_files_arrive() {
    for way in Way::BETWEEN {
        let world = World::new(way).await;
        for folder in 0..30 {
            for file in 0..100 {
                world.write(format!("left/many/{folder}/{file}"), noise(1 + file * 7, file as u64));
            }
        }
        let told = world.copy("left/many", "right/many").await;
        told.check_clean();
        assert_eq!(told.summary.files, 3_000, "{way:?}");
        world.check_equal("left/many", "right/many");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_file_takes_a_new_name_in_folders_that_are_made_for_it() {
    for way in Way::ALL {
        let world = World::new(way).await;
        world.write("left/file", "content");
        world.copy("left/file", "right/not/yet/there/renamed").await.check_clean();
        assert_eq!(world.read("right/not/yet/there/renamed"), "content");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_things_go_in_one_job() {
    let world = World::new(Way::Up).await;
    world.write("left/a", "a");
    world.write("left/folder/b", "b");
    world.link("left/c", "a");
    let items = [("left/a", "right/a"), ("left/folder", "right/folder"), ("left/c", "right/c")];
    let told = run(world.job(Verb::Copy, &items), |_| panic!("asked")).await;
    told.check_clean();
    world.check_equal("left/folder", "right/folder");
    assert_eq!(world.names("right"), ["a", "c", "folder"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_several_that_is_missing_does_not_stop_the_others() {
    for way in Way::ALL {
        let world = World::new(way).await;
        world.write("left/there", "there");
        let items = [("left/missing", "right/missing"), ("left/there", "right/there")];
        let told = run(world.job(Verb::Copy, &items), |_| panic!("asked")).await;
        assert_eq!(told.codes(), [FaultCode::NotFound], "{way:?}");
        assert_eq!(told.failed[0].path, Some(path("left/missing")));
        assert_eq!((told.summary.files, told.summary.failed), (1, 1));
        assert_eq!(world.read("right/there"), "there");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn excluded_names_and_paths_stay_behind() {
    for way in Way::ALL {
        let world = World::new(way).await;
        for file in ["keep", "skip.o", "src/main.o", "src/main.rs", "target/debug/x", "docs/target/page"] {
            world.write(format!("left/tree/{file}"), file);
        }
        let excludes = globs(&["*.o", "docs/target"]);
        let job = Job { excludes, ..world.job(Verb::Copy, &[("left/tree", "right/tree")]) };
        run(job, |_| panic!("asked")).await.check_clean();
        assert_eq!(world.names("right/tree"), ["docs", "keep", "src", "target"], "{way:?}");
        assert_eq!(world.names("right/tree/src"), ["main.rs"]);
        assert_eq!(world.names("right/tree/docs"), Vec::<String>::new());
        assert_eq!(world.names("right/tree/target/debug"), ["x"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn special_files_are_named_and_left() {
    for way in Way::ALL {
        let world = World::new(way).await;
        world.write("left/tree/file", "file");
        let fifo = rustix::fs::FileType::Fifo;
        let mode = rustix::fs::Mode::from_raw_mode(0o644);
        rustix::fs::mknodat(rustix::fs::CWD, world.at("left/tree/fifo"), fifo, mode, 0).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(world.at("left/tree/socket")).unwrap();
        let told = world.copy("left/tree", "right/tree").await;
        assert_eq!(told.skipped.len() + told.failed.len(), 2, "{way:?}: {told:?}");
        assert_eq!(told.summary.skipped + told.summary.failed, 2, "{way:?}");
        assert_eq!(world.names("right/tree"), ["file"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_does_not_say_how_long_it_is_arrives() {
    let world = World::new(Way::Across).await;
    let root = RootSpec::Jailed("/proc/sys/kernel".into());
    let proc =
        Service::new(ServiceConfig { root, access: Access::ReadOnly, home: WirePath::root() }).unwrap();
    let source = towpath::link::Link::in_process(proc.into());
    let items = vec![Item { from: path("ostype"), to: path("right/ostype") }];
    let job = Job { source, items, ..world.job(Verb::Copy, &[]) };
    run(job, |_| panic!("asked")).await.check_clean();
    assert_eq!(world.read("right/ostype"), "Linux\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_through_a_link_at_the_destination() {
    for way in Way::ALL {
        let world = World::new(way).await;
        world.write("left/tree/folder/file", "new");
        world.folder("right/tree");
        world.folder("elsewhere");
        world.link("right/tree/folder", "../../elsewhere");
        let told = world.copy_with(Choice::Overwrite, "left/tree", "right/tree").await;
        assert!(told.summary.failed > 0, "{way:?}: {told:?}");
        assert_eq!(world.names("elsewhere"), Vec::<String>::new(), "{way:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_ends_with_everything_done() {
    let world = World::new(Way::Up).await;
    world.write("left/tree/a", noise(100, 1));
    world.write("left/tree/b", noise(3_000_000, 2));
    let mut running = crate::world::Running::start(world.job(Verb::Copy, &[("left/tree", "right/tree")]));
    let mut told = Told::default();
    assert!(running.until_asked(&mut told).await.is_none());
    let progress = running.progress.borrow().clone();
    assert_eq!((progress.files, progress.files_total), (2, 2));
    assert_eq!((progress.bytes, progress.bytes_total, progress.growing), (3_000_100, 3_000_100, false));
    running.end(told).await.check_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn f32_holes_stay_holes_in_every_direction_and_are_verified() {
    for way in Way::ALL {
        let world = World::new(way).await;
        world.folder("left");
        let file = fs::File::create(world.at("left/file")).unwrap();
        file.set_len((40 << 20) + 5).unwrap();
        if file.metadata().unwrap().blocks() > 0 {
            crate::skip::skip("this file system has no holes");
            return;
        }
        for (at, len) in [(0, 10), (4 << 20, 70_000), ((17 << 20) - 1, 2)] {
            file.write_all_at(&noise(len, at), at).unwrap();
        }
        let told = world.copy("left/file", "right/file").await;
        told.check_clean();
        assert_eq!((told.summary.files, told.summary.bytes), (1, (40 << 20) + 5), "{way:?}");
        let [from, to] = ["left/file", "right/file"].map(|path| world.at(path));
        assert!(fs::read(&to).unwrap() == fs::read(&from).unwrap(), "{way:?}");
        let stored = fs::metadata(&to).unwrap().blocks() * 512;
        assert!(stored < 1 << 20, "{way:?}: {stored} bytes are stored");
    }
}
