//! Modes in a folder with a default access list: what the system gives a new thing there, and no chmod beyond it.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::XattrFlags;
use towpath_protocol::message::Answer;
use towpath_protocol::request::{Existing, SetMode};

use super::world::{World, begin, below, commit, copy, make_folder, operation, put};

/// Others' bits of group and others in default access lists.
const LISTS: [(u16, u16); 4] = [(5, 0), (0, 0), (7, 7), (6, 1)];
const MODES: [u16; 6] = [0o644, 0o666, 0o777, 0o600, 0o444, 0o070];

/// Gives a folder a default access list: all to the owner, these to group and others.
fn give_list(folder: &Path, (group, others): (u16, u16)) {
    let entry = |tag: u16, bits: u16| [&tag.to_le_bytes()[..], &bits.to_le_bytes(), &[0xff; 4]].concat();
    let list = [&2_u32.to_le_bytes()[..], &entry(1, 7), &entry(4, group), &entry(0x20, others)].concat();
    rustix::fs::setxattr(folder, "system.posix_acl_default", &list, XattrFlags::empty())
        .expect("these tests want a temporary folder that has access lists");
}

fn mode_of(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

/// The modes that the system itself gives a new file and a new folder.
fn given_by_the_system(folder: &Path, mode: u16) -> (u32, u32) {
    let (file, made) = (folder.join("made by the system"), folder.join("folder of the system"));
    fs::OpenOptions::new().write(true).create_new(true).mode(mode.into()).open(&file).unwrap();
    fs::DirBuilder::new().mode(mode.into()).create(&made).unwrap();
    let given = (mode_of(&file), mode_of(&made));
    fs::remove_file(file).unwrap();
    fs::remove_dir(made).unwrap();
    given
}

fn listed(list: (u16, u16)) -> World {
    let world = World::new();
    world.folder("listed");
    give_list(&world.at("listed"), list);
    world
}

#[tokio::test]
async fn f83_a_file_gets_what_its_folders_default_list_allows() {
    for (list, mode) in LISTS.into_iter().flat_map(|list| MODES.map(|mode| (list, mode))) {
        let world = listed(list);
        let (expected, _) = given_by_the_system(&world.at("listed"), mode);
        let said = format!("{list:?} {mode:o}");
        let mut small = put("listed/small", b"small", Existing::Replace);
        small.store.mode = mode;
        assert!(world.stored(small).await.unset.are_none(), "{said}");
        assert_eq!(world.mode("listed/small"), expected, "a small file, {said}");
        let mut large = begin("listed/large", 5, Existing::Replace);
        large.store.mode = mode;
        let mut talk = world.open(large);
        talk.next().await.unwrap();
        // One that has no name yet is read by none either.
        assert!(
            world.parts().iter().all(|part| mode_of(part) == 0o600),
            "nobody else reads what arrives, {said}"
        );
        talk.send_data(0, b"large").await;
        talk.send(commit(b"large")).await;
        talk.end().await.unwrap();
        assert_eq!(world.mode("listed/large"), expected, "an upload, {said}");
        world.ask(SetMode { thing: below("listed/large"), mode: 0o600 }).await.unwrap();
        world.ask(SetMode { thing: below("listed/large"), mode }).await.unwrap();
        assert_eq!(world.mode("listed/large"), expected, "a mode that is set, {said}");
        world.check();
    }
}

#[tokio::test]
async fn an_upload_that_was_taken_up_gets_what_the_list_allows() {
    const PIECE: usize = 1 << 20;
    let content = vec![7; 2 * PIECE];
    let world = listed((5, 0));
    let (expected, _) = given_by_the_system(&world.at("listed"), 0o644);
    let mut request = begin("listed/large", content.len(), Existing::Keep);
    request.resume = Some(PIECE as u64);
    let mut talk = world.open(request.clone());
    talk.send_all(&content[..PIECE]).await.unwrap();
    while !matches!(talk.next().await.unwrap(), Answer::UploadAck(ack) if ack.received >= PIECE as u64) {}
    talk.send(towpath_protocol::input::AbortUpload { keep: true }).await;
    talk.end().await.unwrap();
    request.operation = operation();
    let mut talk = world.open(request);
    let Answer::UploadReady(ready) = talk.next().await.unwrap() else { panic!("not ready") };
    assert_eq!(ready.offset, PIECE as u64);
    for (index, data) in content[PIECE..].chunks(64 * 1024).enumerate() {
        talk.send_data(PIECE + index * 64 * 1024, data).await;
    }
    talk.send(commit(&content)).await;
    talk.end().await.unwrap();
    assert_eq!(world.mode("listed/large"), expected);
    world.check();
}

#[tokio::test]
async fn a_folder_and_a_copied_tree_get_what_the_list_allows() {
    for (list, mode) in LISTS.into_iter().flat_map(|list| [0o755, 0o777, 0o700].map(|mode| (list, mode))) {
        let world = listed(list);
        let (_, expected) = given_by_the_system(&world.at("listed"), mode);
        let said = format!("{list:?} {mode:o}");
        let mut request = make_folder("listed/folder", Existing::Keep);
        request.mode = mode;
        world.stored(request).await;
        assert_eq!(world.mode("listed/folder"), expected, "a folder, {said}");
        world.ask(SetMode { thing: below("listed/folder"), mode }).await.unwrap();
        assert_eq!(world.mode("listed/folder"), expected, "its final mode, {said}");
        world.folder("tree/sub");
        world.write("tree/sub/file", "content");
        world.write("tree/sub/large", vec![1; 100_000]);
        for path in ["tree/sub/file", "tree/sub/large", "tree/sub", "tree"] {
            fs::set_permissions(world.at(path), fs::Permissions::from_mode(mode.into())).unwrap();
        }
        world.totals(copy("tree", "listed/tree", Existing::Keep)).await;
        for path in ["listed/tree", "listed/tree/sub"] {
            assert_eq!(world.mode(path), expected, "{path}, {said}");
        }
        let (file, _) = given_by_the_system(&world.at("listed"), mode);
        for path in ["listed/tree/sub/file", "listed/tree/sub/large"] {
            assert_eq!(world.mode(path), file, "{path}, {said}");
        }
    }
}
