//! Remove: whole trees, however deep, and only what was meant.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use towpath_protocol::fault::FaultCode;
use towpath_protocol::request::{Depth, Existing, Remove};

use super::world::{World, make_fifo, put, remove};

#[tokio::test]
async fn a_tree_goes_with_all_that_is_in_it_and_is_counted() {
    let world = World::new();
    world.folder("tree/a/b");
    world.folder("tree/empty");
    world.write("tree/one", "1");
    world.write("tree/a/two", "22");
    world.write("tree/a/b/three", "333");
    world.leave_part("tree").await;
    world.link("tree/link", world.outside());
    world.link("tree/a/up", "..");
    make_fifo(&world.at("tree/fifo"));
    let totals = world.totals(remove("tree", Depth::Tree)).await;
    assert_eq!((totals.files, totals.folders, totals.failed), (7, 4, 0));
    assert_eq!(totals.bytes, 6 + (1 << 20));
    assert!(!world.exists("tree"));
    world.check();
}

#[tokio::test]
async fn a_tree_deeper_than_any_path_goes() {
    let world = World::new();
    world.folder("deep");
    let mut folder = rustix::fs::openat(
        rustix::fs::CWD,
        world.at("deep"),
        rustix::fs::OFlags::DIRECTORY,
        rustix::fs::Mode::empty(),
    )
    .unwrap();
    let name = "d".repeat(200);
    for _ in 0..300 {
        rustix::fs::mkdirat(&folder, &*name, rustix::fs::Mode::RWXU).unwrap();
        let flags = rustix::fs::OFlags::DIRECTORY;
        folder = rustix::fs::openat(&folder, &*name, flags, rustix::fs::Mode::empty()).unwrap();
    }
    let totals = world.totals(remove("deep", Depth::Tree)).await;
    assert_eq!((totals.folders, totals.failed), (301, 0));
    assert!(!world.exists("deep"));
}

#[tokio::test]
async fn f79_files_whose_sizes_do_not_fit_in_one_number_are_removed() {
    let world = World::in_memory();
    world.folder("tree");
    if !["1", "2", "3"].iter().all(|name| world.write_immense(&format!("tree/{name}"))) {
        crate::skip::skip("no files of 8 EiB here");
        return;
    }
    let totals = world.totals(remove("tree", Depth::Tree)).await;
    assert_eq!((totals.files, totals.folders, totals.failed, totals.bytes), (3, 1, 0, u64::MAX));
    assert!(!world.exists("tree"));
    world.check();
}

#[tokio::test]
async fn only_the_expected_version_is_removed() {
    let world = World::new();
    let stored = world.stored(put("file", b"one", Existing::Keep)).await;
    let expected = Some(stored.attributes.version());
    world.write("file", "changed");
    let request = Remove { expected, ..remove("file", Depth::Single) };
    assert_eq!(world.refused(request).await, FaultCode::Changed);
    let stored = world.stored(put("file", b"two", Existing::Replace)).await;
    let expected = Some(stored.attributes.version());
    world.totals(Remove { expected, ..remove("file", Depth::Single) }).await;
    assert!(!world.exists("file"));
}

#[tokio::test]
async fn an_empty_folder_goes_by_itself() {
    let world = World::new();
    world.folder("empty");
    assert_eq!(world.totals(remove("empty", Depth::Single)).await.folders, 1);
    assert!(!world.exists("empty"));
}

#[tokio::test]
async fn what_fails_does_not_stop_the_rest() {
    if rustix::process::geteuid().is_root() {
        crate::skip::skip("root may remove anything");
        return;
    }
    let world = World::new();
    world.folder("tree/locked");
    world.write("tree/locked/file", "");
    world.write("tree/other", "");
    fs::set_permissions(world.at("tree/locked"), fs::Permissions::from_mode(0o555)).unwrap();
    let totals = world.totals(remove("tree", Depth::Tree)).await;
    fs::set_permissions(world.at("tree/locked"), fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!((totals.files, totals.folders, totals.failed), (1, 0, 1));
    assert_eq!(totals.faults[0].code, FaultCode::PermissionDenied);
    assert_eq!(totals.faults[0].path.as_ref().unwrap().display(), "tree/locked/file");
    assert!(world.exists("tree/locked/file"));
}

#[tokio::test]
async fn a_cancelled_removal_stops() {
    let world = World::new();
    world.folder("tree");
    for index in 0..100 {
        world.write(&format!("tree/{index}"), "");
    }
    let talk = world.open(remove("tree", Depth::Tree));
    talk.cancel.cancel();
    assert_eq!(talk.end().await.unwrap_err().code, FaultCode::Cancelled);
    assert!(world.exists("tree"));
}
