//! Quotas: the disk usage of a client's files, wherever they are and whichever client removes them.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Arc;

use towpath_files::root::RootSpec;
use towpath_files::service::{ClientId, Grant, Service, ServiceConfig, StoreLimits};
use towpath_protocol::fault::FaultCode;
use towpath_protocol::hello::Access;
use towpath_protocol::input::{SpanOf, UploadSpan};
use towpath_protocol::message::{Answer, Request};
use towpath_protocol::metadata::{Extended, Metadata};
use towpath_protocol::path::WirePath;
use towpath_protocol::permissions::Permissions;
use towpath_protocol::request::{BeginUpload, Depth, Existing, SetMetadata, Space};

use super::world::{Talk, World, begin, below, copy, make_folder, make_link, operation, put, remove, rename};

const BLOCK: u64 = 4096;
/// 128 inodes, each of which may have a block.
const QUOTA: u64 = 128 * BLOCK;

fn grant(client: u32, quota_bytes: u64) -> Grant {
    let quota_bytes = Some(quota_bytes).filter(|bytes| *bytes > 0);
    Grant { client: ClientId(client), folder: WirePath::root(), may: Permissions::ALL, quota_bytes }
}

/// A world that is this client's; and the service behind it, for others.
fn world_of(client: u32, quota_bytes: u64) -> (World, Arc<Service>) {
    let mut world = World::new();
    let whole = world.service.clone();
    world.service = Arc::new(whole.for_client(&grant(client, quota_bytes)).unwrap());
    (world, whole)
}

/// Blocks that are left.
async fn left(world: &World) -> u64 {
    match world.ask(Space { path: WirePath::root() }).await.unwrap() {
        Answer::SpaceInfo(space) => space.free / BLOCK,
        other => panic!("{other:?}"),
    }
}

fn blocks(count: u64) -> Vec<u8> {
    vec![7; (count * BLOCK) as usize]
}

#[tokio::test]
async fn f75_what_a_client_stores_counts_until_it_is_gone_and_nothing_else_does() {
    let (world, _) = world_of(1, QUOTA);
    world.write("there", blocks(200));
    assert_eq!(left(&world).await, 128, "what others put there is theirs");
    world.stored(put("first", &blocks(16), Existing::Keep)).await;
    world.upload(begin("second", 64 * 4096, Existing::Keep), &blocks(64)).await.unwrap();
    world.totals(copy("first", "third", Existing::Keep)).await;
    assert_eq!(left(&world).await, 128 - 16 - 64 - 16);
    assert_eq!(world.refused(begin("new", 33 * 4096, Existing::Keep)).await, FaultCode::NoSpace);
    assert_eq!(world.refused(copy("second", "new", Existing::Keep)).await, FaultCode::NoSpace);
    for name in ["fourth", "fifth"] {
        world.stored(put(name, &blocks(16), Existing::Keep)).await;
    }
    assert_eq!(world.refused(put("new", b"x", Existing::Keep)).await, FaultCode::NoSpace);
    world.totals(remove("second", Depth::Single)).await;
    assert_eq!(left(&world).await, 64);
    world.check();
}

#[tokio::test]
async fn f75_one_that_says_too_little_is_stopped_where_it_is_too_much() {
    let (world, _) = world_of(1, QUOTA);
    world.stored(put("first", &blocks(16), Existing::Keep)).await;
    let fault = world.upload(begin("second", 0, Existing::Keep), &blocks(113)).await.unwrap_err();
    assert_eq!(fault.code, FaultCode::NoSpace, "{fault}");
    assert_eq!(left(&world).await, 112, "what was given up does not count");
    world.upload(begin("second", 0, Existing::Keep), &blocks(112)).await.unwrap();
    assert_eq!(left(&world).await, 0);
    world.check();
}

#[tokio::test]
async fn f75_links_names_empty_files_folders_and_attributes_count() {
    type Make = fn(u32) -> Request;
    let makes: [(&str, Make, u64); 5] = [
        ("empty files", |n| put(&format!("file{n}"), b"", Existing::Keep).into(), 128),
        ("short links", |n| make_link(&format!("link{n}"), b"to", Existing::Keep).into(), 128),
        ("long links", |n| make_link(&format!("link{n}"), &[b'a'; 4000], Existing::Keep).into(), 128),
        ("folders", |n| make_folder(&format!("folder{n}"), Existing::Keep).into(), 128),
        ("copied links", |n| copy("there", &format!("copy{n}"), Existing::Keep).into(), 128),
    ];
    for (what, make, most) in makes {
        let (world, _) = world_of(1, QUOTA);
        world.link("there", "b".repeat(200));
        let mut made = 0;
        let refused = loop {
            match world.ask(make(made)).await {
                Ok(_) => made += 1,
                Err(fault) => break fault,
            }
        };
        assert_eq!((refused.code, u64::from(made)), (FaultCode::NoSpace, most), "{what}: {refused}");
        assert_eq!(left(&world).await, 0, "{what}");
    }
}

fn attributes(bytes: usize) -> Metadata {
    let extended = vec![Extended { name: b"user.note".to_vec(), value: vec![7; bytes] }];
    Metadata { extended, ..Metadata::default() }
}

#[tokio::test]
async fn f75_attributes_count_of_what_is_new_and_of_what_is_there() {
    let (world, _) = world_of(1, QUOTA);
    let mut request = put("file", b"x", Existing::Keep);
    request.store.metadata = Some(Box::new(attributes(3000)));
    if !world.stored(request).await.unset.are_none() {
        crate::skip::skip("no extended attributes on this file system");
        return;
    }
    assert_eq!(left(&world).await, 126, "a block, and most of another");
    world.write("others", "x");
    for (thing, after) in [("others", 125), ("others", 125), ("file", 125)] {
        let there = world.version(thing).await;
        let metadata = attributes(3000);
        let set = SetMetadata { thing: below(thing), identity: there.identity, mode: 0o644, metadata };
        world.ask(set).await.unwrap();
        assert_eq!(left(&world).await, after, "{thing}");
    }
    world.totals(remove("others", Depth::Single)).await;
    world.totals(remove("file", Depth::Single)).await;
    assert_eq!(left(&world).await, 128);
}

#[tokio::test]
async fn f75_nobody_gains_by_removing_what_others_stored() {
    let (mut world, whole) = world_of(1, QUOTA);
    let first = world.service.clone();
    let second = Arc::new(whole.for_client(&grant(2, QUOTA)).unwrap());
    world.write("by-hand", blocks(100));
    world.folder("tree/inner");
    world.write("tree/inner/file", blocks(100));
    world.upload(begin("by-first", 0, Existing::Keep), &blocks(100)).await.unwrap();
    world.service = second.clone();
    world.upload(begin("by-second", 0, Existing::Keep), &blocks(120)).await.unwrap();
    for thing in ["by-hand", "tree", "by-first"] {
        world.totals(remove(thing, Depth::Tree)).await;
        assert_eq!(left(&world).await, 8, "{thing}");
    }
    // It counts for the other client, also after a removal, replacement or rename by this one.
    world.service = first;
    assert_eq!(left(&world).await, 128);
    world.upload(begin("again", 0, Existing::Keep), &blocks(60)).await.unwrap();
    world.service = second;
    world.ask(rename("by-second", "again", Existing::Replace)).await.unwrap();
    assert_eq!(left(&world).await, 8);
    world.service = Arc::new(whole.for_client(&grant(1, QUOTA)).unwrap());
    assert_eq!(left(&world).await, 128);
}

#[tokio::test]
async fn f75_a_second_name_keeps_what_it_leads_to() {
    let (world, _) = world_of(1, QUOTA);
    world.upload(begin("file", 0, Existing::Keep), &blocks(100)).await.unwrap();
    fs::hard_link(world.at("file"), world.at("name")).unwrap();
    world.totals(remove("file", Depth::Single)).await;
    assert_eq!(left(&world).await, 28, "the disk holds it still");
    assert_eq!(world.refused(begin("name", 29 * 4096, Existing::Keep)).await, FaultCode::AlreadyExists);
    assert_eq!(world.refused(begin("new", 29 * 4096, Existing::Keep)).await, FaultCode::NoSpace);
    world.totals(remove("name", Depth::Single)).await;
    assert_eq!(left(&world).await, 128);
}

#[tokio::test]
async fn f75_what_others_than_clients_removed_is_counted_again_after_a_refusal() {
    let (world, _) = world_of(1, QUOTA);
    world.folder("tree");
    for name in ["one", "tree/two"] {
        world.upload(begin(name, 0, Existing::Keep), &blocks(60)).await.unwrap();
    }
    let file = begin("three", 60 * 4096, Existing::Keep);
    assert_eq!(world.refused(file.clone()).await, FaultCode::NoSpace);
    fs::remove_file(world.at("tree/two")).unwrap();
    let file = BeginUpload { operation: operation(), ..file };
    world.upload(file, &blocks(60)).await.unwrap();
    assert_eq!(left(&world).await, 8);
}

#[tokio::test]
async fn one_may_take_the_place_of_one_where_both_together_are_too_much() {
    let (world, _) = world_of(1, QUOTA);
    let [one, two] = [blocks(100), vec![9; 100 * 4096]];
    world.upload(begin("file", one.len(), Existing::Keep), &one).await.unwrap();
    // Only one at a time: the second would find the place that the first goes for.
    let first = begin("file", two.len(), Existing::Replace);
    let mut talk = world.open(first);
    assert!(matches!(talk.next().await.unwrap(), Answer::UploadReady(_)));
    assert_eq!(world.refused(begin("file", two.len(), Existing::Replace)).await, FaultCode::NoSpace);
    talk.cancel.cancel();
    talk.end().await.unwrap_err();
    world.upload(begin("file", two.len(), Existing::Replace), &two).await.unwrap();
    assert!(world.read("file") == two);
    assert_eq!(left(&world).await, 28);
    assert_eq!(world.refused(begin("second", 100 * 4096, Existing::Keep)).await, FaultCode::NoSpace);
    world.ask(rename("file", "moved", Existing::Keep)).await.unwrap();
    let small = put("moved", &blocks(16), Existing::Replace);
    world.stored(small).await;
    assert_eq!(left(&world).await, 112);
    world.check();
}

#[tokio::test]
async fn f32_a_file_counts_with_what_it_stores_and_not_with_its_holes() {
    let (world, _) = world_of(1, QUOTA);
    let holes = fs::File::create(world.at("holes")).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&holes, b"data", 5 << 30).unwrap();
    holes.set_len(10 << 30).unwrap();
    let totals = world.totals(copy("holes", "copy", Existing::Keep)).await;
    assert_eq!((totals.files, totals.failed, totals.bytes), (1, 0, 10 << 30));
    assert_eq!(left(&world).await, 127);
    assert_eq!(fs::metadata(world.at("copy")).unwrap().len(), 10 << 30);
    // A file with unknown holes is taken to have none.
    let uploaded = |stored_bytes| BeginUpload { stored_bytes, ..begin("new", 10 << 30, Existing::Keep) };
    assert_eq!(world.refused(uploaded(None)).await, FaultCode::NoSpace);
    let mut talk = world.open(uploaded(Some(4096)));
    assert!(matches!(talk.next().await.unwrap(), Answer::UploadReady(_)));
    assert_eq!(send_with_holes(&mut talk, 64).await, None);
    talk.cancel.cancel();
    talk.end().await.unwrap_err();
    // Who says that it stores little, and stores a byte in each block, is stopped.
    let mut talk = world.open(uploaded(Some(0)));
    assert!(matches!(talk.next().await.unwrap(), Answer::UploadReady(_)));
    assert_eq!(send_with_holes(&mut talk, 200).await, Some(FaultCode::NoSpace));
    assert_eq!(left(&world).await, 127);
}

/// A byte and a hole, so many times, or until something comes of it.
async fn send_with_holes(talk: &mut Talk, times: u64) -> Option<FaultCode> {
    for time in 0..times {
        let offset = time * 2 * BLOCK;
        talk.send_data(offset as usize, b"x").await;
        let (offset, len) = (offset + 1, 2 * BLOCK - 1);
        talk.send(UploadSpan { offset, len, of: SpanOf::Zeros }).await;
        match talk.next().await {
            Ok(Answer::UploadAck(_)) => {}
            Ok(other) => panic!("{other:?}"),
            Err(fault) => return Some(fault.code),
        }
    }
    None
}

fn limited(world: &World, disk_reserve_bytes: u64) -> Arc<Service> {
    let limits = StoreLimits { disk_reserve_bytes, ..StoreLimits::default() };
    let root = RootSpec::Jailed(world.at(""));
    let config = ServiceConfig { root, access: Access::ReadWrite, home: WirePath::root() };
    Arc::new(Service::with_limits(config, limits).unwrap())
}

#[tokio::test]
async fn f75_the_reserve_of_the_disk_stays_free_of_links_folders_and_empty_files_too() {
    let mut world = World::new();
    world.service = limited(&world, u64::MAX / 2);
    symlink("nowhere", world.at("there")).unwrap();
    let requests: [Request; 4] = [
        put("new", b"", Existing::Keep).into(),
        make_link("new", b"target", Existing::Keep).into(),
        make_folder("new", Existing::Keep).into(),
        copy("there", "new", Existing::Keep).into(),
    ];
    for request in requests {
        let fault = world.ask(request).await.unwrap_err();
        assert!(
            fault.code == FaultCode::NoSpace && fault.detail.to_string().contains("kept free"),
            "{fault}"
        );
    }
    assert!(!world.exists("new"));
    world.check();
}

#[tokio::test]
async fn f75_what_a_client_has_stored_outlives_the_server() {
    let world = World::new();
    let state = tempfile::tempdir().unwrap();
    let start = || {
        let folder = towpath_files::private_files::PrivateFolder::open(&state.path().join("state")).unwrap();
        let mut service = limited(&world, 0);
        Arc::get_mut(&mut service).unwrap().remember_in(folder).unwrap();
        Arc::new(service.for_client(&grant(1, QUOTA)).unwrap())
    };
    let ask = async |service: &Arc<Service>, request: Request| Talk::open(service, request).end().await;
    let left =
        async |service: &Arc<Service>| match ask(service, Space { path: WirePath::root() }.into()).await {
            Ok(Answer::SpaceInfo(space)) => space.free / BLOCK,
            other => panic!("{other:?}"),
        };
    let mut service = start();
    for (name, count) in [("one", 16), ("two", 8), ("three", 4)] {
        ask(&service, put(name, &blocks(count), Existing::Keep).into()).await.unwrap();
    }
    ask(&service, remove("two", Depth::Single).into()).await.unwrap();
    for _ in 0..2 {
        service = start();
        assert_eq!(left(&service).await, 128 - 20);
    }
    ask(&service, remove("one", Depth::Single).into()).await.unwrap();
    // A truncated record is ignored, and all before it counts.
    let ledger = fs::read_dir(state.path().join("state")).unwrap().map(|entry| entry.unwrap().path());
    let ledger = ledger.filter(|path| path.to_string_lossy().contains("ledger-")).collect::<Vec<_>>();
    let content = fs::read(&ledger[0]).unwrap();
    fs::write(&ledger[0], &content[..content.len() - 1]).unwrap();
    assert_eq!((ledger.len(), left(&start()).await), (1, 128 - 20));
    fs::write(&ledger[0], b"nothing that anybody wrote").unwrap();
    assert_eq!(left(&start()).await, 128);
}
