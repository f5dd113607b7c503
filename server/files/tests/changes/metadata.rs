//! Owner, special bits and extended attributes: kept where a client was granted that and asks for it, and never otherwise.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown};
use std::sync::Arc;

use rustix::fs::XattrFlags;
use towpath_files::service::{ClientId, Grant};
use towpath_protocol::fault::FaultCode;
use towpath_protocol::message::Answer;
use towpath_protocol::metadata::{Extended, Metadata, Owner, Part, Parts};
use towpath_protocol::path::WirePath;
use towpath_protocol::permissions::{Permission, Permissions};
use towpath_protocol::request::{
    BeginUpload, Copy, Durability, Existing, MakeFolder, MakeLink, Put, ReadMetadata, SetMetadata, SetMode,
    StoreAs,
};

use super::world::{
    SOME_TIME_NS, World, begin, below, copy, make_fifo, make_folder, make_link, put, store, umask,
};

const SOMEBODY: u32 = 54_321;
const SOME_GROUP: u32 = 54_322;

fn is_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        crate::skip::skip("only root gives files away");
    }
    is_root
}

/// Whether the file system of the tests has attributes for everybody.
fn has_extended(world: &World) -> bool {
    world.write("probe", "");
    let has = rustix::fs::setxattr(world.at("probe"), "user.probe", b"", XattrFlags::empty()).is_ok();
    fs::remove_file(world.at("probe")).unwrap();
    if !has {
        crate::skip::skip("no extended attributes on this file system");
    }
    has
}

fn extended(name: &str, value: &[u8]) -> Extended {
    Extended { name: name.as_bytes().to_vec(), value: value.to_vec() }
}

fn somebodys() -> Metadata {
    let owner = |number| Some(Owner { number, name: None });
    Metadata { owner: owner(SOMEBODY), group: owner(SOME_GROUP), ..Metadata::default() }
}

fn as_somebodys(mode: u16, metadata: Metadata) -> StoreAs {
    StoreAs { mode, metadata: Some(Box::new(metadata)), ..store(Existing::Replace) }
}

/// Where this client may give owners.
fn granting() -> World {
    let mut world = World::new();
    let may = Permissions::ALL.with(Permission::Owner);
    let grant = Grant { client: ClientId(1), folder: WirePath::root(), may, quota_bytes: None };
    world.service = Arc::new(world.service.for_client(&grant).unwrap());
    world
}

fn owner(world: &World, path: &str) -> (u32, u32) {
    let metadata = fs::symlink_metadata(world.at(path)).unwrap();
    (metadata.uid(), metadata.gid())
}

fn xattr(world: &World, path: &str, name: &str) -> Option<Vec<u8>> {
    let mut value = vec![0; 1024];
    let len = rustix::fs::lgetxattr(world.at(path), name, &mut value[..]).ok()?;
    Some(value[..len].to_vec())
}

async fn identity(world: &World, path: &str) -> u64 {
    world.version(path).await.identity
}

async fn set(world: &World, path: &str, mode: u16, metadata: Metadata) -> Parts {
    let request = SetMetadata { thing: below(path), identity: identity(world, path).await, mode, metadata };
    match world.ask(request).await.unwrap() {
        Answer::MetadataSet(set) => set.unset,
        other => panic!("{other:?}"),
    }
}

async fn read(world: &World, path: &str) -> Metadata {
    match world.ask(ReadMetadata { thing: below(path), version: None }).await.unwrap() {
        Answer::Metadata(metadata) => metadata,
        other => panic!("{other:?}"),
    }
}

/// Every way in: a small file, a large one, a folder, a link, and a copy within.
async fn all_ways_in(world: &World, metadata: &Metadata) -> Parts {
    let asked = || as_somebodys(0o7777, metadata.clone());
    let small = world.stored(Put { store: asked(), ..put("small", b"small", Existing::Keep) }).await;
    let synced = StoreAs { durability: Durability::Synced, ..asked() };
    let flushed = world.stored(Put { store: synced, ..put("synced", b"small", Existing::Keep) }).await;
    let large = vec![7; 300_000];
    let upload = BeginUpload { store: asked(), ..begin("large", large.len(), Existing::Keep) };
    let Ok(Answer::Stored(large)) = world.upload(upload, &large).await else { panic!("not stored") };
    world.stored(MakeFolder { mode: 0o7777, ..make_folder("folder", Existing::Keep) }).await;
    let link = MakeLink {
        metadata: Some(Box::new(Metadata { extended: Vec::new(), ..metadata.clone() })),
        ..make_link("link", b"nowhere", Existing::Keep)
    };
    let link = world.stored(link).await;
    let folder = set(world, "folder", 0o7777, metadata.clone()).await;
    [small.unset, flushed.unset, large.unset, link.unset, folder]
        .into_iter()
        .fold(Parts::NONE, Parts::and_also)
}

#[tokio::test]
async fn f33_a_client_that_was_not_granted_it_gives_no_owner_and_no_special_bit_in_any_way() {
    let world = World::new();
    let ours = owner(&world, "");
    let mut wished = somebodys();
    wished.extended = vec![extended("trusted.towpath", b"t"), extended("security.towpath", b"s")];
    let unset = all_ways_in(&world, &wished).await;
    let all = Parts::NONE.with(Part::Owner).with(Part::Group).with(Part::Special).with(Part::Extended);
    assert_eq!(unset, all);
    for path in ["small", "synced", "large", "folder", "link"] {
        assert_eq!(owner(&world, path), ours, "{path}");
        if path != "link" {
            assert_eq!(world.mode(path), 0o777 & !umask(), "{path}");
        }
        for name in ["trusted.towpath", "security.towpath"] {
            assert_eq!(xattr(&world, path, name), None, "{path}");
        }
    }
    // Nor where nothing is asked for but the mode.
    world
        .stored(Put {
            store: StoreAs { mode: 0o7777, ..store(Existing::Keep) },
            ..put("plain", b"", Existing::Keep)
        })
        .await;
    world.ask(SetMode { thing: below("small"), mode: 0o7777 }).await.unwrap();
    for path in ["plain", "small"] {
        assert_eq!(world.mode(path), 0o777 & !umask(), "{path}");
    }
    fs::set_permissions(world.at("small"), fs::Permissions::from_mode(0o6755)).unwrap();
    let totals = world.totals(Copy { preserve: true, ..copy("small", "again", Existing::Keep) }).await;
    assert_eq!(
        (world.mode("again"), totals.unset.parts),
        (0o755 & !umask(), Parts::NONE.with(Part::Special))
    );
    world.check();
}

#[tokio::test]
async fn whoever_was_granted_it_gives_all_of_it_in_every_way() {
    if !is_root() {
        return;
    }
    let world = granting();
    let mut wished = somebodys();
    if has_extended(&world) {
        wished.extended = vec![extended("user.comment", b"hello"), extended("trusted.towpath", b"\0")];
    }
    assert_eq!(all_ways_in(&world, &wished).await, Parts::NONE);
    // What is copied on the server alone.
    let totals = world.totals(Copy { preserve: true, ..copy("large", "copied", Existing::Keep) }).await;
    assert_eq!(totals.unset.things, 0);
    world.totals(Copy { preserve: true, ..copy("link", "link copied", Existing::Keep) }).await;
    world.totals(Copy { preserve: true, ..copy("folder", "folder copied", Existing::Keep) }).await;
    for path in ["small", "synced", "large", "folder", "link", "copied", "link copied", "folder copied"] {
        assert_eq!(owner(&world, path), (SOMEBODY, SOME_GROUP), "{path}");
        if !path.starts_with("link") {
            assert_eq!(world.mode(path), 0o7777, "{path}");
            for Extended { name, value } in &wished.extended {
                let name = str::from_utf8(name).unwrap();
                assert_eq!(xattr(&world, path, name).as_ref(), Some(value), "{path} {name}");
            }
            let found = read(&world, path).await;
            assert_eq!((found.owner.unwrap().number, found.unread), (SOMEBODY, Parts::NONE));
            assert!(wished.extended.iter().all(|extended| found.extended.contains(extended)), "{path}");
        }
    }
    for path in ["small", "large", "copied"] {
        let found = if path == "copied" { world.modified("large") } else { world.modified(path) };
        assert_eq!(found, SOME_TIME_NS, "{path}: the time is set last");
    }
    // Without being asked, the copy is as ever.
    world.totals(copy("large", "plainly", Existing::Keep)).await;
    assert_eq!(
        (owner(&world, "plainly"), world.mode("plainly")),
        ((0, owner(&world, "").1), 0o777 & !umask())
    );
    world.check();
}

#[tokio::test]
async fn attributes_for_everybody_are_kept_without_a_grant_and_what_is_left_of_them_is_told() {
    let world = World::new();
    if !has_extended(&world) {
        return;
    }
    let ours =
        Metadata { extended: vec![extended("user.a", b"1"), extended("user.b", b"")], ..Metadata::default() };
    let stored = world
        .stored(Put { store: as_somebodys(0o640, ours.clone()), ..put("file", b"x", Existing::Keep) })
        .await;
    assert_eq!((stored.unset, world.mode("file")), (Parts::NONE, 0o640 & !umask()));
    assert_eq!(xattr(&world, "file", "user.a").unwrap(), b"1");
    // What only some may see is not told.
    if rustix::process::geteuid().is_root() {
        let name = "trusted.towpath";
        rustix::fs::setxattr(world.at("file"), name, b"secret", XattrFlags::empty()).unwrap();
    }
    let mut found = read(&world, "file").await.extended;
    found.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(found, ours.extended);
    // One that fits nowhere fails nothing.
    let huge = Metadata { extended: vec![extended("user.huge", &vec![1; 65_536])], ..Metadata::default() };
    let stored =
        world.stored(Put { store: as_somebodys(0o600, huge), ..put("huge", b"x", Existing::Keep) }).await;
    let is_kept = xattr(&world, "huge", "user.huge").is_some();
    assert!(is_kept || stored.unset == Parts::NONE.with(Part::Extended));
    world.check();
}

#[tokio::test]
async fn nothing_is_given_to_what_has_taken_the_place_of_another_thing() {
    let world = granting();
    world.write("file", "x");
    world.link("link", world.outside().join("file"));
    make_fifo(&world.at("fifo"));
    let wish =
        |path, identity| SetMetadata { thing: below(path), identity, mode: 0o4755, metadata: somebodys() };
    assert_eq!(world.refused(wish("file", 1)).await, FaultCode::Changed);
    for path in ["link", "fifo"] {
        let identity = identity(&world, path).await;
        assert_eq!(world.refused(wish(path, identity)).await, FaultCode::NotSupportedHere, "{path}");
    }
    // What is read must be what it was.
    let version = world.version("file").await;
    let ask = |version| ReadMetadata { thing: below("file"), version: Some(version) };
    world.ask(ask(version)).await.unwrap();
    world.write("other", "x");
    fs::rename(world.at("other"), world.at("file")).unwrap();
    assert_eq!(world.refused(ask(version)).await, FaultCode::Changed);
    // A second name may be anybody's.
    fs::hard_link(world.outside().join("file"), world.at("second")).unwrap();
    let before = owner(&world, "second");
    let unset = set(&world, "second", 0o644, somebodys()).await;
    assert_eq!(unset, Parts::NONE.with(Part::Owner).with(Part::Group));
    assert_eq!(owner(&world, "second"), before);
    fs::set_permissions(world.outside().join("file"), fs::Permissions::from_mode(0o644 & !umask())).unwrap();
    world.check();
}

#[tokio::test]
async fn setuid_is_given_only_together_with_the_owner() {
    let world = granting();
    let (user, group) = owner(&world, "");
    let owner_of = |number| Some(Owner { number, name: None });
    // Nobody has this number, root included: it means nobody.
    let nobody = u32::MAX;
    let wished = Metadata { owner: owner_of(nobody), group: owner_of(group), ..Metadata::default() };
    let stored =
        world.stored(Put { store: as_somebodys(0o6755, wished), ..put("file", b"x", Existing::Keep) }).await;
    assert_eq!(stored.unset, Parts::NONE.with(Part::Owner).with(Part::Special));
    assert_eq!((world.mode("file"), owner(&world, "file")), (0o2755, (user, group)));
    let wished = Metadata { owner: owner_of(user), group: None, ..Metadata::default() };
    let stored =
        world.stored(Put { store: as_somebodys(0o6755, wished), ..put("two", b"x", Existing::Keep) }).await;
    assert_eq!((world.mode("two"), stored.unset), (0o4755, Parts::NONE.with(Part::Special)));
    world.check();
}

#[tokio::test]
async fn a_copy_that_keeps_metadata_takes_it_from_the_source_and_leaves_what_leads_there() {
    if !is_root() {
        return;
    }
    let world = granting();
    world.folder("tree/sub");
    world.write("tree/sub/file", "x");
    world.link("tree/link", "sub");
    chown(world.at("tree/sub"), Some(SOMEBODY), Some(SOME_GROUP)).unwrap();
    chown(world.at("tree/sub/file"), Some(SOMEBODY), None).unwrap();
    lchown(world.at("tree/link"), Some(SOMEBODY), Some(SOME_GROUP)).unwrap();
    fs::set_permissions(world.at("tree/sub"), fs::Permissions::from_mode(0o2775)).unwrap();
    fs::set_permissions(world.at("tree/sub/file"), fs::Permissions::from_mode(0o4711)).unwrap();
    let request =
        Copy { preserve: true, durability: Durability::Synced, ..copy("tree", "copy", Existing::Keep) };
    let totals = world.totals(request).await;
    assert_eq!((totals.failed, totals.unset.things), (0, 0), "{:?}", totals.faults);
    for path in ["sub", "sub/file", "link"] {
        let [from, to] = ["tree", "copy"].map(|tree| format!("{tree}/{path}"));
        assert_eq!(owner(&world, &from), owner(&world, &to), "{path}");
        assert_eq!(world.mode(&from), world.mode(&to), "{path}");
    }
    world.check();
}
