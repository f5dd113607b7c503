//! What is stored, made or set in one step: content, modes, times, policies, names.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;

use towpath_protocol::entry::Kind;
use towpath_protocol::fault::FaultCode;
use towpath_protocol::hash::Hash;
use towpath_protocol::path::{Location, Name, WirePath};
use towpath_protocol::request::{Durability, Existing, SetMode, SetTimes};
use towpath_protocol::time::Time;

use super::world::{SOME_TIME_NS, World, below, make_folder, make_link, put, umask};

#[tokio::test]
async fn a_file_arrives_with_its_content_mode_and_time() {
    let world = World::new();
    for content in [&b""[..], b"a", &vec![7; 64 * 1024]] {
        let mut request = put("new", content, Existing::Replace);
        request.store.mode = 0o4777;
        request.store.durability = Durability::Synced;
        let stored = world.stored(request).await.attributes;
        assert_eq!(world.read("new"), content);
        assert_eq!(world.mode("new"), 0o777 & !umask(), "special bits and the umask's are taken away");
        assert_eq!(world.modified("new"), SOME_TIME_NS);
        assert_eq!((stored.kind, stored.size), (Kind::File, content.len() as u64));
        assert_eq!(stored.modified, Time::from_ns(SOME_TIME_NS));
        assert_eq!(u32::from(stored.mode), world.mode("new"));
    }
    world.check();
}

#[tokio::test]
async fn data_that_does_not_match_its_hash_is_not_written() {
    let world = World::new();
    world.write("old", "old");
    let mut request = put("old", b"new", Existing::Replace);
    request.hash = Hash::of(b"neu");
    assert_eq!(world.refused(request).await, FaultCode::HashMismatch);
    assert_eq!(world.read("old"), b"old");
    world.check();
}

#[tokio::test]
async fn only_the_expected_version_is_replaced() {
    let world = World::new();
    let first = world.stored(put("file", b"first", Existing::Keep)).await;
    let mut second = put("file", b"second", Existing::Replace);
    second.store.expected = Some(first.attributes.version());
    world.stored(second).await;
    let mut third = put("file", b"third", Existing::Replace);
    third.store.expected = Some(first.attributes.version());
    assert_eq!(world.refused(third.clone()).await, FaultCode::Changed);
    assert_eq!(world.read("file"), b"second");
    fs::remove_file(world.at("file")).unwrap();
    third.operation = super::world::operation();
    assert_eq!(world.refused(third).await, FaultCode::Changed, "nothing there is not what was expected");
    world.check();
}

#[tokio::test]
async fn an_older_file_is_replaced_and_a_newer_one_is_not() {
    let world = World::new();
    world.stored(put("file", b"first", Existing::Keep)).await;
    for (modified, replaced) in [(SOME_TIME_NS - 1, false), (SOME_TIME_NS, false), (SOME_TIME_NS + 1, true)] {
        let mut request = put("file", b"second", Existing::ReplaceOlder);
        request.store.modified = Time::from_ns(modified);
        assert_eq!(world.ask(request).await.is_ok(), replaced, "{modified}");
    }
    assert_eq!(world.read("file"), b"second");
}

#[tokio::test]
async fn a_replaced_file_is_another_file_to_its_other_names() {
    let world = World::new();
    world.write("one", "old");
    fs::hard_link(world.at("one"), world.at("two")).unwrap();
    world.stored(put("one", b"new", Existing::Replace)).await;
    assert_eq!((world.read("one"), world.read("two")), (b"new".to_vec(), b"old".to_vec()));
}

#[tokio::test]
async fn a_folder_can_be_filled_until_its_final_mode_is_set() {
    let world = World::new();
    let mut request = make_folder("folder", Existing::Keep);
    request.mode = 0o555;
    let stored = world.stored(request).await.attributes;
    assert_eq!((stored.kind, world.mode("folder")), (Kind::Folder, 0o755 & !umask()));
    assert_eq!(world.refused(make_folder("no/such", Existing::Keep)).await, FaultCode::NotFound);
    world.ask(SetMode { thing: below("folder"), mode: 0o7555 }).await.unwrap();
    assert_eq!(world.mode("folder"), 0o555 & !umask());
}

#[tokio::test]
async fn a_folder_keeps_the_setgid_bit_that_it_has_here() {
    let world = World::new();
    world.folder("folder");
    fs::set_permissions(world.at("folder"), fs::Permissions::from_mode(0o2755)).unwrap();
    world.ask(SetMode { thing: below("folder"), mode: 0o750 }).await.unwrap();
    assert_eq!(world.mode("folder"), 0o2000 | 0o750 & !umask());
}

#[tokio::test]
async fn a_mode_is_set_where_the_thing_cannot_be_opened() {
    let world = World::new();
    world.write("closed", "");
    fs::set_permissions(world.at("closed"), fs::Permissions::from_mode(0o000)).unwrap();
    world.ask(SetMode { thing: below("closed"), mode: 0o640 }).await.unwrap();
    assert_eq!(world.mode("closed"), 0o640 & !umask());
}

#[tokio::test]
async fn a_link_is_stored_as_it_is() {
    let world = World::new();
    for target in [&b"../outside/file"[..], b"/etc/passwd", b"nowhere", b"\xff\n\x1b[2J", &[b'a'; 4095]] {
        let stored = world.stored(make_link("link", target, Existing::Replace)).await.attributes;
        assert_eq!(fs::read_link(world.at("link")).unwrap().as_os_str().as_bytes(), target);
        assert_eq!(world.modified("link"), SOME_TIME_NS);
        assert_eq!(stored.kind, Kind::Link);
        assert_eq!(&*stored.link.unwrap().bytes, target);
    }
    world.check();
}

#[tokio::test]
async fn times_before_1970_and_far_away_are_set() {
    let world = World::new();
    world.write("file", "");
    for modified in [-1, 0, -1_000_000_001, 4_000_000_000_999_999_999] {
        world.ask(SetTimes { thing: below("file"), modified: Time::from_ns(modified) }).await.unwrap();
        assert_eq!(world.modified("file"), modified);
    }
    for modified in [i64::MIN, i64::MAX] {
        let _ = world.ask(SetTimes { thing: below("file"), modified: Time::from_ns(modified) }).await;
    }
    let accessed = fs::metadata(world.at("file")).unwrap().atime();
    assert!(accessed > 1_700_000_000, "the time of access stays");
}

#[tokio::test]
async fn nasty_names_are_names_like_others() {
    let nasty: [&[u8]; 14] = [
        b"new\nline",
        b"tab\t",
        b"\x1b[31mred",
        "😀👩‍👩‍👧".as_bytes(),
        "漢字".as_bytes(),
        b"e\xcc\x81",
        "\u{202e}txt.exe".as_bytes(),
        b"-rf",
        b" ",
        b"trailing. ",
        b"\xff\xfe",
        b"...",
        b"*?[\\",
        &[b'n'; 255],
    ];
    let world = World::new();
    let base = WirePath::root();
    for name in nasty {
        let path = WirePath::new(vec![Name::new(name).unwrap()]).unwrap();
        let mut request = put("x", name, Existing::Keep);
        request.file = Location { base: base.clone(), path: path.clone() };
        world.stored(request.clone()).await;
        let on_disk = world.at(PathBuf::from(std::ffi::OsStr::from_bytes(name)));
        assert_eq!(fs::read(&on_disk).unwrap(), name);
        assert!(world.upload(begin_at(&request.file), name).await.is_ok());
        let fault = world.ask(put_at(&request.file)).await.unwrap_err();
        assert_eq!((fault.code, fault.path), (FaultCode::AlreadyExists, Some(path)));
    }
    assert_eq!(super::world::names(&world.at("")).len(), nasty.len());
    world.check();
}

fn begin_at(file: &Location) -> towpath_protocol::request::BeginUpload {
    let begin = super::world::begin("x", 0, Existing::Replace);
    towpath_protocol::request::BeginUpload { file: file.clone(), ..begin }
}

fn put_at(file: &Location) -> towpath_protocol::request::Put {
    towpath_protocol::request::Put { file: file.clone(), ..put("x", b"", Existing::Keep) }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_small_files_at_once_are_all_in_place_when_they_are_said_to_be_on_the_disk() {
    let world = World::new();
    world.write("taken", "taken");
    let world = &world;
    let puts = (0..300_usize).map(|number| async move {
        let name = if number == 150 { "taken".to_owned() } else { format!("file {number}") };
        let mut request = put(&name, format!("content {number}").as_bytes(), Existing::Keep);
        request.store.durability = Durability::Synced;
        let answer = world.ask(request).await;
        if number == 150 {
            assert_eq!(answer.unwrap_err().code, FaultCode::AlreadyExists);
        } else {
            answer.unwrap();
            assert_eq!(world.read(&name), format!("content {number}").as_bytes());
        }
    });
    let mut at_once: Vec<_> = puts.map(Box::pin).collect();
    std::future::poll_fn(|context| {
        at_once.retain_mut(|put| put.as_mut().poll(context).is_pending());
        if at_once.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    assert_eq!(world.read("taken"), b"taken");
    world.check();
}
