//! Folders, links, names, trees; and what is refused.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;

use towpath::link::calls::operation_id;
use towpath_protocol::fault::FaultCode;
use towpath_protocol::hash::Hash;
use towpath_protocol::path::Location;
use towpath_protocol::request::{
    Copy, Depth, Direction, Durability, Existing, Follow, Hidden, MakeFolder, MakeLink, Put, Read, Rename,
    SetMode, SetTimes, SortKey, Wants,
};
use towpath_protocol::time::Time;

use crate::world::{SOME_TIME_NS, World, code, location, path, store_as};

/// A folder with a file, a folder and a dangling link.
fn make_tree(world: &World) {
    fs::create_dir_all(world.at("tree/sub")).unwrap();
    world.write("tree/file", "content");
    world.write("tree/sub/deep", "deeper");
    fs::set_permissions(world.at("tree/file"), fs::Permissions::from_mode(0o600)).unwrap();
    symlink("/nowhere", world.at("tree/sub/link")).unwrap();
}

pub(crate) async fn folders_and_links_are_made(world: Arc<World>) {
    world.link.make_folder(&path("folder"), Existing::Keep).await.unwrap();
    assert!(world.at("folder").is_dir());
    let again = world.link.make_folder(&path("folder"), Existing::Keep).await;
    assert_eq!(code(again), FaultCode::AlreadyExists);
    world.link.make_folder(&path("folder"), Existing::Replace).await.unwrap();
    let link = MakeLink {
        operation: operation_id().unwrap(),
        link: location("folder/link"),
        target: b"/absolute/and/dangling".to_vec(),
        modified: Time::from_ns(SOME_TIME_NS),
        existing: Existing::Keep,
        expected: None,
        metadata: None,
    };
    world.link.call(link).await.unwrap();
    assert_eq!(fs::read_link(world.at("folder/link")).unwrap(), Path::new("/absolute/and/dangling"));
    let attributes = world.link.stat(&path("folder/link"), Follow::No).await.unwrap();
    assert_eq!(&*attributes.link.unwrap().bytes, b"/absolute/and/dangling");
}

pub(crate) async fn times_and_modes_are_set(world: Arc<World>) {
    world.write("file", "x");
    world.link.call(SetMode { thing: location("file"), mode: 0o4750 }).await.unwrap();
    world
        .link
        .call(SetTimes { thing: location("file"), modified: Time::from_ns(SOME_TIME_NS) })
        .await
        .unwrap();
    let metadata = fs::metadata(world.at("file")).unwrap();
    assert_eq!(metadata.mode() & 0o7777, 0o750, "no special bits come over the wire");
    assert_eq!(metadata.mtime() * 1_000_000_000 + metadata.mtime_nsec(), SOME_TIME_NS);
}

pub(crate) async fn things_are_renamed(world: Arc<World>) {
    world.write("a", "a");
    world.write("b", "b");
    let taken = world.link.rename(&path("a"), &path("b"), Existing::Keep).await;
    assert_eq!(code(taken), FaultCode::AlreadyExists);
    world.link.rename(&path("a"), &path("c"), Existing::Keep).await.unwrap();
    world.link.rename(&path("b"), &path("c"), Existing::Replace).await.unwrap();
    assert_eq!(fs::read(world.at("c")).unwrap(), b"b");
    assert!(!world.at("a").exists() && !world.at("b").exists());
}

pub(crate) async fn a_tree_is_copied(world: Arc<World>) {
    make_tree(&world);
    let copy = Copy {
        operation: operation_id().unwrap(),
        from: location("tree"),
        to: location("copy"),
        existing: Existing::Keep,
        durability: Durability::Relaxed,
        expected: None,
        preserve: false,
    };
    let totals = world.totals(copy.clone()).await.unwrap();
    assert_eq!((totals.files, totals.folders, totals.failed), (3, 2, 0));
    assert_eq!(fs::read(world.at("copy/sub/deep")).unwrap(), b"deeper");
    assert_eq!(fs::read_link(world.at("copy/sub/link")).unwrap(), Path::new("/nowhere"));
    assert_eq!(fs::metadata(world.at("copy/file")).unwrap().mode() & 0o777, 0o600);
    let inside = Copy { operation: operation_id().unwrap(), to: location("tree/sub/copy"), ..copy };
    assert_eq!(code(world.totals(inside).await), FaultCode::IntoItself);
}

pub(crate) async fn a_tree_is_removed(world: Arc<World>) {
    make_tree(&world);
    symlink(world.outside(), world.at("tree/sub/out")).unwrap();
    assert_eq!(code(world.link.remove(&path("tree"), Depth::Single).await), FaultCode::NotEmpty);
    let totals = world.link.remove(&path("tree"), Depth::Tree).await.unwrap();
    assert_eq!((totals.files, totals.folders, totals.failed), (4, 2, 0));
    assert!(!world.at("tree").exists());
}

pub(crate) async fn what_is_not_there_is_told(world: Arc<World>) {
    let fault = world.link.stat(&path("no/such"), Follow::No).await.unwrap_err();
    assert_eq!(fault.code, FaultCode::NotFound);
    assert_eq!(fault.path, Some(path("no/such")));
    let mut listing = world.link.list(&path("no"), SortKey::Name, Direction::Ascending, Hidden::Shown);
    assert_eq!(code(listing.next_page().await), FaultCode::NotFound);
    let read =
        Read { file: location("no"), version: None, offset: 0, len: 1, wants: Wants::Data, holes: false };
    assert_eq!(code(world.link.call(read).await), FaultCode::NotFound);
    assert_eq!(code(world.link.rename(&path("no"), &path("b"), Existing::Keep).await), FaultCode::NotFound);
    assert_eq!(code(world.link.remove(&path("no"), Depth::Tree).await), FaultCode::NotFound);
}

pub(crate) async fn what_is_not_a_folder_is_told(world: Arc<World>) {
    world.write("file", "x");
    fs::create_dir(world.at("folder")).unwrap();
    let mut listing = world.link.list(&path("file"), SortKey::Name, Direction::Ascending, Hidden::Shown);
    assert_eq!(code(listing.next_page().await), FaultCode::NotAFolder);
    let read =
        Read { file: location("folder"), version: None, offset: 0, len: 1, wants: Wants::Data, holes: false };
    assert_eq!(code(world.link.call(read).await), FaultCode::IsAFolder);
    let below = world.link.stat(&path("file/below"), Follow::No).await;
    assert_eq!(code(below), FaultCode::NotAFolder);
}

pub(crate) async fn a_link_does_not_lead_outside(world: Arc<World>) {
    symlink(world.outside(), world.at("absolute")).unwrap();
    symlink("../outside", world.at("relative")).unwrap();
    for link in ["absolute", "relative"] {
        let through = Location { base: path(link), path: path("secret") };
        let below = Location { base: path(""), path: path(&format!("{link}/secret")) };
        for file in [through, below] {
            let read = Read {
                file: file.clone(),
                version: None,
                offset: 0,
                len: 100,
                wants: Wants::Data,
                holes: false,
            };
            assert_eq!(code(world.link.call(read).await), FaultCode::OutsideRoot);
            let (operation, store, hash) = (operation_id().unwrap(), store_as(), Hash::of(b"x"));
            let put = Put { operation, file: file.clone(), store, hash, data: b"x".to_vec() };
            assert_eq!(code(world.link.call(put).await), FaultCode::OutsideRoot);
            let operation = operation_id().unwrap();
            let folder = Location { path: path("made"), ..file.clone() };
            if !file.base.is_root() {
                let make = MakeFolder { operation, folder, mode: 0o755, existing: Existing::Keep };
                assert_eq!(code(world.link.call(make).await), FaultCode::OutsideRoot);
            }
        }
        let mut listing = world.link.list(&path(link), SortKey::Name, Direction::Ascending, Hidden::Shown);
        assert_eq!(code(listing.next_page().await), FaultCode::OutsideRoot);
    }
}

pub(crate) async fn a_repeated_change_happens_once(world: Arc<World>) {
    world.write("a", "x");
    let (from, to) = (location("a"), location("b"));
    let operation = operation_id().unwrap();
    let rename = Rename { operation, from, to, existing: Existing::Keep, expected: None };
    world.link.call(rename.clone()).await.unwrap();
    world.link.call(rename.clone()).await.unwrap();
    let afresh = Rename { operation: operation_id().unwrap(), ..rename };
    assert_eq!(code(world.link.call(afresh).await), FaultCode::NotFound);
}
