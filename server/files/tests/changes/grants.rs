//! What a client was granted: each verb with each set of permissions, its folder, its quota, and the room that stays free.

use std::fs;
use std::sync::Arc;

use towpath_files::root::RootSpec;
use towpath_files::service::{ClientId, Grant, Service, ServiceConfig, StoreLimits};
use towpath_protocol::entry::Version;
use towpath_protocol::fault::FaultCode;
use towpath_protocol::hello::{Access, RootKind};
use towpath_protocol::message::{Answer, Request};
use towpath_protocol::metadata::Metadata;
use towpath_protocol::path::WirePath;
use towpath_protocol::permissions::Permissions;
use towpath_protocol::request::{
    BeginUpload, Blocks, Depth, Direction, Existing, Flush, Follow, Hidden, List, Measure, Read,
    ReadMetadata, SetMetadata, SetMode, SetTimes, SortKey, Space, Stat, Walk, Wants,
};
use towpath_protocol::time::Time;

use super::world::{Talk, World, begin, below, copy, make_folder, make_link, names, put, remove, rename};

/// One row of the table: what is asked, and the words of what it needs.
type Row = (&'static str, fn() -> Request, &'static str);

/// Every verb; where it matters, for what is new and for what is there.
const TABLE: &[Row] = &[
    ("List", list, "list"),
    ("Walk", || Walk { start: below("folder"), pages: 4 }.into(), "list"),
    ("Measure", || Measure { things: vec![below("folder")] }.into(), "list"),
    ("Stat", stat, ""),
    ("Space", || Space { path: WirePath::root() }.into(), ""),
    (
        "Read",
        || {
            Read { file: below("file"), version: None, offset: 0, len: 10, wants: Wants::Data, holes: false }
                .into()
        },
        "read",
    ),
    ("Blocks", blocks, "read"),
    ("Put", || put("new", b"new", Existing::Keep).into(), "write"),
    ("Put over", || put("file", b"new", Existing::Replace).into(), "write,delete"),
    ("Put over an older one", || put("file", b"new", Existing::ReplaceOlder).into(), "write,delete"),
    ("BeginUpload", || begin("new", 3, Existing::Keep).into(), "write"),
    ("BeginUpload over", || begin("file", 3, Existing::Replace).into(), "write,delete"),
    ("BeginUpload over, with a basis", with_basis, "read,write,delete"),
    ("MakeFolder", || make_folder("new", Existing::Keep).into(), "write"),
    ("MakeFolder that is there", || make_folder("folder", Existing::Replace).into(), "write"),
    ("MakeLink", || make_link("new", b"file", Existing::Keep).into(), "write"),
    ("MakeLink over", || make_link("file", b"folder", Existing::Replace).into(), "write,delete"),
    // Nothing that is there was made by this client.
    ("SetMode", || SetMode { thing: below("file"), mode: 0o600 }.into(), "write,delete"),
    ("SetTimes", || SetTimes { thing: below("file"), modified: Time::from_ns(0) }.into(), "write,delete"),
    ("Rename", || rename("file", "new", Existing::Keep).into(), "write,delete"),
    ("Rename over", || rename("file", "other", Existing::Replace).into(), "write,delete"),
    ("Copy", || copy("file", "new", Existing::Keep).into(), "read,write"),
    ("Copy over", || copy("file", "other", Existing::Replace).into(), "read,write,delete"),
    ("Remove", || remove("file", Depth::Single).into(), "delete"),
    ("Remove of a tree", || remove("folder", Depth::Tree).into(), "delete"),
    ("Flush", || Flush { folder: below("folder") }.into(), "write"),
    ("ReadMetadata", || ReadMetadata { thing: below("file"), version: None }.into(), "read"),
    ("SetMetadata", set_metadata, "write,delete"),
];

fn list() -> Request {
    let (sort, direction, hidden) = (SortKey::Name, Direction::Ascending, Hidden::Shown);
    List { folder: below("folder"), sort, direction, hidden, pages: 4 }.into()
}

fn blocks() -> Request {
    Blocks { file: below("file"), version: None, offset: 0, len: 16_384, block_bytes: 16_384 }.into()
}

fn with_basis() -> Request {
    let basis = Some(Version { identity: 1, size: 2, modified: Time::from_ns(3), changed: Time::from_ns(4) });
    BeginUpload { basis, ..begin("file", 3, Existing::Replace) }.into()
}

fn stat() -> Request {
    Stat { base: WirePath::root(), paths: vec![below("file").path], follow: Follow::No }.into()
}

fn set_metadata() -> Request {
    // Whatever it is, it may be asked for; another identity is a change.
    SetMetadata { thing: below("file"), identity: 0, mode: 0o600, metadata: Metadata::default() }.into()
}

fn world() -> World {
    let world = World::new();
    world.folder("folder/inner");
    for file in ["file", "other", "folder/file", "folder/inner/file"] {
        world.write(file, "content");
    }
    world
}

fn grant(may: Permissions) -> Grant {
    Grant { client: ClientId(1), folder: WirePath::root(), may, quota_bytes: None }
}

fn for_client(service: &Service, grant: &Grant) -> Arc<Service> {
    Arc::new(service.for_client(grant).unwrap())
}

/// The first answer; the rest is not waited for.
async fn first(service: &Arc<Service>, request: Request) -> Result<Answer, FaultCode> {
    let mut talk = Talk::open(service, request);
    let first = talk.next().await.map_err(|fault| fault.code);
    talk.cancel.cancel();
    while talk.answers.recv().await.is_some() {}
    first
}

#[tokio::test]
async fn every_verb_needs_its_permissions_and_no_others() {
    let mut cells = 0;
    for &(verb, request, needed) in TABLE {
        let needed = if needed.is_empty() { Permissions::NONE } else { needed.parse().unwrap() };
        for bits in 0..16 {
            let may = Permissions::from_bits(bits);
            let world = world();
            let service = for_client(&world.service, &grant(may));
            let answer = first(&service, request()).await;
            if may.cover(needed) {
                // What is there may be newer: then it stays, whoever asks.
                let allowed = matches!(answer, Ok(_) | Err(FaultCode::AlreadyExists | FaultCode::Changed));
                assert!(allowed, "{verb}, and may {may}: {answer:?}");
            } else {
                let code = answer.expect_err(verb);
                let expected = match (may.access(), request().changes()) {
                    (Access::ReadOnly, true) => FaultCode::ReadOnly,
                    _ => FaultCode::PermissionDenied,
                };
                assert_eq!(code, expected, "{verb}, and may {may}");
                assert_eq!(names(&world.at("")), ["file", "folder", "other"], "{verb}, and may {may}");
                assert_eq!(world.read("file"), b"content");
                assert_eq!(world.mode("file"), 0o644 & !super::world::umask());
            }
            world.check();
            cells += 1;
        }
    }
    assert_eq!(cells, TABLE.len() * 16);
}

#[tokio::test]
async fn the_table_has_every_verb() {
    let verbs: std::collections::BTreeSet<_> = TABLE.iter().map(|(_, request, _)| request().name()).collect();
    assert_eq!(verbs.len(), Request::KINDS.len());
}

#[tokio::test]
async fn a_read_only_server_is_read_only_for_everybody() {
    let world = world();
    let service = super::world::serve(&world.at(""), Access::ReadOnly);
    let service = for_client(&service, &grant(Permissions::ALL));
    assert_eq!(service.welcome().access, Access::ReadOnly);
    assert_eq!(service.welcome().permissions(), Permissions::READ_ONLY);
    for &(verb, request, _) in TABLE {
        let answer = first(&service, request()).await;
        let expected = if request().changes() { Err(FaultCode::ReadOnly) } else { Ok(()) };
        assert_eq!(answer.map(drop), expected, "{verb}");
    }
}

#[tokio::test]
async fn a_clients_folder_is_its_root_and_nothing_leads_out() {
    let world = world();
    world.link("folder/up", "../file");
    world.link("folder/absolute", world.at("file"));
    world.link("folder/inside", "inner/file");
    let folder = below("folder").path;
    let service = for_client(&world.service, &Grant { folder, ..grant(Permissions::ALL) });
    let welcome = service.welcome();
    assert_eq!((welcome.root_kind, &welcome.home), (RootKind::Jailed, &WirePath::root()));
    assert_eq!(welcome.root_name, world.at("folder").to_str().unwrap());
    let read = |name: &str| {
        let file = towpath_protocol::path::Location::through(&below(name).path);
        Request::from(Read { file, version: None, offset: 0, len: 10, wants: Wants::Data, holes: false })
    };
    for inside in ["file", "inside", "inner/file"] {
        assert!(first(&service, read(inside)).await.is_ok(), "{inside}");
    }
    for outside in ["up", "absolute"] {
        assert_eq!(first(&service, read(outside)).await, Err(FaultCode::OutsideRoot), "{outside}");
    }
    assert!(first(&service, put("new", b"new", Existing::Keep).into()).await.is_ok());
    assert!(world.exists("folder/new") && !world.exists("new"));
    assert_eq!(first(&service, remove("", Depth::Tree).into()).await, Err(FaultCode::Busy));
    for (folder, code) in [("missing", FaultCode::NotFound), ("file", FaultCode::NotAFolder)] {
        let grant = Grant { folder: below(folder).path, ..grant(Permissions::ALL) };
        assert_eq!(world.service.for_client(&grant).unwrap_err().code, code);
    }
    world.link("leading-out", world.outside());
    let grant = Grant { folder: below("leading-out").path, ..grant(Permissions::ALL) };
    assert_eq!(world.service.for_client(&grant).unwrap_err().code, FaultCode::OutsideRoot);
    world.check();
}

fn limited(world: &World, limits: StoreLimits) -> Arc<Service> {
    let root = RootSpec::Jailed(world.at(""));
    let config = ServiceConfig { root, access: Access::ReadWrite, home: WirePath::root() };
    Arc::new(Service::with_limits(config, limits).unwrap())
}

#[tokio::test]
async fn the_reserve_of_the_disk_stays_free() {
    let mut world = world();
    world.service =
        limited(&world, StoreLimits { disk_reserve_bytes: u64::MAX / 2, ..StoreLimits::default() });
    let requests: [Request; 3] = [
        put("new", b"x", Existing::Keep).into(),
        begin("new", 1, Existing::Keep).into(),
        copy("file", "new", Existing::Keep).into(),
    ];
    for request in requests {
        let fault = world.ask(request).await.unwrap_err();
        assert_eq!(fault.code, FaultCode::NoSpace, "{fault}");
        assert!(fault.detail.to_string().contains("kept free"), "{fault}");
    }
    let Answer::SpaceInfo(space) = world.ask(Space { path: WirePath::root() }).await.unwrap() else {
        panic!()
    };
    assert_eq!(space.free, 0);
    world.totals(remove("file", Depth::Single)).await;
    world.check();
}

#[tokio::test]
async fn one_upload_too_many_is_refused_until_another_ends() {
    let mut world = world();
    world.service = limited(&world, StoreLimits { uploads_max: 2, ..StoreLimits::default() });
    let mut first = world.open(begin("first", 1, Existing::Keep));
    let mut second = world.open(begin("second", 1, Existing::Keep));
    first.next().await.unwrap();
    second.next().await.unwrap();
    assert_eq!(world.refused(begin("third", 1, Existing::Keep)).await, FaultCode::LimitExceeded);
    world.stored(put("small", b"no upload", Existing::Keep)).await;
    first.cancel.cancel();
    assert!(first.end().await.is_err());
    let mut third = world.open(begin("third", 1, Existing::Keep));
    third.next().await.unwrap();
    // Another client has its own.
    world.service = for_client(&world.service, &grant(Permissions::ALL));
    world.open(begin("fourth", 1, Existing::Keep)).next().await.unwrap();
}

#[tokio::test]
async fn what_is_kept_from_clients_is_reached_by_no_verb_and_no_name() {
    let mut world = world();
    world.folder("home/state/inner");
    for file in ["home/state/key", "home/state/inner/key"] {
        world.write(file, "secret");
    }
    world.write("home/other", "other");
    world.link("short", "home/state");
    world.link("shorter", "home/state/key");
    let mut service = limited(&world, StoreLimits::default());
    Arc::get_mut(&mut service).unwrap().keep_from_clients(&world.at("home/state")).unwrap();
    for service in [service.clone(), for_client(&service, &grant(Permissions::ALL))] {
        world.service = service;
        let through = |path: &str| towpath_protocol::path::Location::through(&below(path).path);
        let read = |file| {
            Request::from(Read { file, version: None, offset: 0, len: 10, wants: Wants::Data, holes: false })
        };
        let (sort, direction, hidden) = (SortKey::Name, Direction::Ascending, Hidden::Shown);
        let list = |folder| Request::from(List { folder, sort, direction, hidden, pages: 4 });
        let requests = [
            read(below("home/state/key")),
            read(below("home/state/inner/key")),
            read(through("short/key")),
            read(through("shorter")),
            list(through("home/state")),
            list(through("short")),
            list(through("home/state/inner")),
            put("home/state/key", b"mine", Existing::Replace).into(),
            put("home/state/inner/new", b"mine", Existing::Keep).into(),
            rename("home/state/key", "key", Existing::Keep).into(),
            rename("home/other", "home/state/new", Existing::Keep).into(),
            copy("home/state/key", "key", Existing::Keep).into(),
            copy("home/state", "copy", Existing::Keep).into(),
            remove("home/state/key", Depth::Single).into(),
            remove("home/state", Depth::Tree).into(),
            SetMode { thing: below("home/state/key"), mode: 0o666 }.into(),
            Walk { start: below("home/state/inner"), pages: 4 }.into(),
        ];
        for request in requests {
            let shown = format!("{request:?}");
            assert_eq!(first(&world.service, request).await, Err(FaultCode::PermissionDenied), "{shown}");
        }
        // Nor with all that is around it, nor once something above it has another name.
        let totals = world.totals(copy("home", "copied", Existing::Keep)).await;
        assert_eq!((totals.failed, world.exists("copied/state/key")), (1, false));
        assert!(world.exists("copied/other"));
        world.totals(remove("copied", Depth::Tree)).await;
        let totals = world.totals(Measure { things: vec![below("home")] }).await;
        assert_eq!((totals.files, totals.failed), (1, 1));
        assert_eq!(world.refused(rename("home", "house", Existing::Keep)).await, FaultCode::PermissionDenied);
        // The one whose machine it is may; it is kept under its new name.
        fs::rename(world.at("home"), world.at("house")).unwrap();
        assert_eq!(world.refused(read(below("house/state/key"))).await, FaultCode::PermissionDenied);
        fs::rename(world.at("house"), world.at("home")).unwrap();
        assert_eq!(world.read("home/state/key"), b"secret");
        assert!(first(&world.service, read(below("home/other"))).await.is_ok());
    }
    assert_eq!(world.refused(remove("home", Depth::Tree)).await, FaultCode::PermissionDenied);
    assert_eq!(world.read("home/state/inner/key"), b"secret");
    world.check();
}
