//! Existing files change only with the right to delete, or by the client that made them: every verb, every client.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use towpath_files::root::RootSpec;
use towpath_files::service::{ClientId, Grant, Service, ServiceConfig, StoreLimits};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::hello::Access;
use towpath_protocol::message::{Answer, Request};
use towpath_protocol::metadata::{Extended, Metadata};
use towpath_protocol::path::WirePath;
use towpath_protocol::permissions::Permissions;
use towpath_protocol::request::{
    BeginUpload, Depth, Existing, Follow, MakeFolder, SetMetadata, SetMode, SetTimes, Stat,
};
use towpath_protocol::time::Time;

use super::world::{Talk, World, begin, below, copy, make_folder, make_link, put, remove};

const WRITE_ONLY: &str = "list,read,write";

fn client(service: &Service, client: u32, may: &str) -> Arc<Service> {
    let may: Permissions = may.parse().unwrap();
    let grant = Grant { client: ClientId(client), folder: WirePath::root(), may, quota_bytes: None };
    Arc::new(service.for_client(&grant).unwrap())
}

async fn ask(service: &Arc<Service>, request: impl Into<Request>) -> Result<Answer, Fault> {
    Talk::open(service, request.into()).end().await
}

async fn identity(service: &Arc<Service>, path: &str) -> u64 {
    let stat = Stat { base: WirePath::root(), paths: vec![below(path).path], follow: Follow::No };
    match ask(service, stat).await {
        Ok(Answer::Stats(stats)) => stats.items[0].0.as_ref().unwrap().identity,
        other => panic!("{other:?}"),
    }
}

/// All that changes something that is there, and is no more than a change.
async fn changes(service: &Arc<Service>, path: &str, is_link: bool) -> Vec<Request> {
    let thing = below(path);
    let times = SetTimes { thing: thing.clone(), modified: Time::from_ns(5) }.into();
    if is_link {
        return vec![times];
    }
    let extended = vec![Extended { name: b"user.note".to_vec(), value: vec![7; 20] }];
    let metadata = Metadata { extended, ..Metadata::default() };
    let identity = identity(service, path).await;
    let mode = SetMode { thing: thing.clone(), mode: 0o700 }.into();
    vec![mode, times, SetMetadata { thing, identity, mode: 0o700, metadata }.into()]
}

/// The visible state of a file.
fn state(path: &Path) -> (u32, std::time::SystemTime, u64) {
    let found = fs::symlink_metadata(path).unwrap();
    (found.permissions().mode(), found.modified().unwrap(), found.len())
}

async fn allows_all(service: &Arc<Service>, path: &str, is_link: bool) {
    for change in changes(service, path, is_link).await {
        let shown = format!("{change:?}");
        let answer = ask(service, change).await;
        assert!(answer.is_ok(), "{shown}: {answer:?}");
    }
}

async fn refuses_all(world: &World, service: &Arc<Service>, path: &str, is_link: bool) {
    let before = state(&world.at(path));
    for change in changes(service, path, is_link).await {
        let shown = format!("{change:?}");
        let code = ask(service, change).await.map_err(|fault| fault.code);
        assert_eq!(code, Err(FaultCode::PermissionDenied), "{shown}");
        assert_eq!(state(&world.at(path)), before, "{shown}");
    }
}

#[tokio::test]
async fn f77_with_write_alone_a_client_changes_what_it_made_and_nothing_of_others() {
    let mut world = World::new();
    let whole = world.service.clone();
    world.folder("theirs");
    world.write("theirs/file", "content");
    world.link("theirs/link", "file");
    let [ann, bob] = [1, 2].map(|number| client(&world.service, number, WRITE_ONLY));
    for (path, is_link) in [("theirs", false), ("theirs/file", false), ("theirs/link", true)] {
        refuses_all(&world, &ann, path, is_link).await;
    }
    let made: [(Request, &str, bool); 5] = [
        (put("put", b"x", Existing::Keep).into(), "put", false),
        (MakeFolder { mode: 0o700, ..make_folder("folder", Existing::Keep) }.into(), "folder", false),
        (put("folder/file", b"x", Existing::Keep).into(), "folder/file", false),
        (make_link("link", b"put", Existing::Keep).into(), "link", true),
        (copy("theirs", "copy", Existing::Keep).into(), "copy", false),
    ];
    for (request, path, is_link) in made {
        ask(&ann, request).await.unwrap();
        refuses_all(&world, &bob, path, is_link).await;
        allows_all(&ann, path, is_link).await;
        // Also after its own change.
        allows_all(&ann, path, is_link).await;
        refuses_all(&world, &bob, path, is_link).await;
    }
    allows_all(&ann, "copy/file", false).await;
    world.service = ann.clone();
    world.upload(begin("upload", 3, Existing::Keep), b"new").await.unwrap();
    allows_all(&ann, "upload", false).await;
    // With the right to delete all may be changed, and what another client changed is not the first one's any more.
    let eve = client(&whole, 3, "write,delete");
    allows_all(&eve, "theirs/file", false).await;
    allows_all(&eve, "put", false).await;
    refuses_all(&world, &ann, "put", false).await;
}

#[tokio::test]
async fn f77_what_was_changed_since_or_has_another_name_is_not_its_makers() {
    type ByHand = fn(&World);
    let world = World::new();
    let ann = client(&world.service, 1, WRITE_ONLY);
    let by_hand: [(&str, ByHand); 5] = [
        ("written to", |world| world.write("file", "other")),
        ("another mode", |world| {
            fs::set_permissions(world.at("file"), fs::Permissions::from_mode(0o604)).unwrap();
        }),
        ("a second name", |world| fs::hard_link(world.at("file"), world.at("name")).unwrap()),
        ("another file", |world| {
            world.write("new", "x");
            fs::rename(world.at("new"), world.at("file")).unwrap();
        }),
        ("made anew", |world| {
            fs::remove_file(world.at("file")).unwrap();
            world.write("file", "x");
        }),
    ];
    for (what, change) in by_hand {
        ask(&ann, put("file", b"x", Existing::Keep)).await.unwrap();
        allows_all(&ann, "file", false).await;
        // The clock that a disk uses may be coarse: what was done within a tick of it looks like the same.
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        change(&world);
        refuses_all(&world, &ann, "file", false).await;
        for name in ["file", "name"].iter().filter(|name| world.exists(name)) {
            if *name == "name" {
                refuses_all(&world, &ann, name, false).await;
            }
            fs::remove_file(world.at(name)).unwrap();
        }
        println!("{what}");
    }
    // A folder whose mode changed is not its maker's.
    ask(&ann, make_folder("folder", Existing::Keep)).await.unwrap();
    allows_all(&ann, "folder", false).await;
    fs::set_permissions(world.at("folder"), fs::Permissions::from_mode(0o750)).unwrap();
    refuses_all(&world, &ann, "folder", false).await;
    // Writing into a folder does not make one its owner.
    ask(&ann, make_folder("folder", Existing::Replace)).await.unwrap();
    refuses_all(&world, &ann, "folder", false).await;
}

fn set_mode(path: &str, mode: u16) -> Request {
    SetMode { thing: below(path), mode }.into()
}

fn set_times(path: &str) -> Request {
    SetTimes { thing: below(path), modified: Time::from_ns(5) }.into()
}

async fn set_metadata(service: &Arc<Service>, path: &str, mode: u16) -> Request {
    let identity = identity(service, path).await;
    SetMetadata { thing: below(path), identity, mode, metadata: Metadata::default() }.into()
}

/// Tries to take the permissions of a folder away, and to set its time; tells which of that was allowed. It has its mode again then.
async fn taken_away(world: &World, service: &Arc<Service>, path: &str) -> [bool; 3] {
    let mut allowed = [false; 3];
    let requests = [set_mode(path, 0o500), set_metadata(service, path, 0o500).await, set_times(path)];
    for (request, allowed) in requests.into_iter().zip(&mut allowed) {
        let before = state(&world.at(path));
        match ask(service, request).await {
            Ok(_) => *allowed = true,
            Err(fault) => {
                assert_eq!(fault.code, FaultCode::PermissionDenied, "{fault}");
                assert_eq!(state(&world.at(path)), before);
            }
        }
        if world.mode(path) != 0o755 {
            ask(service, set_mode(path, 0o755)).await.unwrap();
        }
    }
    allowed
}

#[tokio::test]
async fn f77_a_folder_is_its_makers_only_while_all_in_it_is() {
    type Put = fn(&World);
    let world = World::new();
    let [ann, bob] = [1, 2].map(|number| client(&world.service, number, WRITE_ONLY));
    let eve = client(&world.service, 3, "write,delete");
    ask(&ann, MakeFolder { mode: 0o755, ..make_folder("own", Existing::Keep) }).await.unwrap();
    ask(&ann, MakeFolder { mode: 0o755, ..make_folder("own/sub", Existing::Keep) }).await.unwrap();
    for request in
        [put("own/file", b"x", Existing::Keep).into(), put("own/sub/file", b"x", Existing::Keep).into()]
            as [Request; 2]
    {
        ask(&ann, request).await.unwrap();
    }
    ask(&ann, make_link("own/link", b"/", Existing::Keep)).await.unwrap();
    assert_eq!(taken_away(&world, &ann, "own").await, [true; 3]);
    // The time of a folder is made by what is in it directly; who gets at what is decided at any depth.
    let direct = [false; 3];
    let deep = [false, false, true];
    let by_hand: [(&str, Put, [bool; 3]); 5] = [
        ("own/theirs", |world| world.write("own/theirs", "by hand"), direct),
        ("own/theirs", |world| world.folder("own/theirs"), direct),
        ("own/theirs", |world| world.link("own/theirs", "file"), direct),
        ("own/sub/theirs", |world| world.write("own/sub/theirs", "by hand"), deep),
        // Made by this client, and not its own any more. It can be repeated until the clock of the disk has gone on.
        ("own/sub/file", |world| world.write("own/sub/file", "longer than it was"), deep),
    ];
    for (path, put_there, allowed) in by_hand {
        put_there(&world);
        assert_eq!(taken_away(&world, &ann, "own").await, allowed, "{path}");
        let theirs = world.at(path);
        if theirs.is_dir() { fs::remove_dir(theirs) } else { fs::remove_file(theirs) }.unwrap();
        assert_eq!(taken_away(&world, &ann, "own").await, [true; 3], "without {path}");
    }
    for (path, allowed) in [("own/bobs", direct), ("own/sub/bobs", deep)] {
        ask(&bob, put(path, b"x", Existing::Keep)).await.unwrap();
        assert_eq!(taken_away(&world, &ann, "own").await, allowed, "{path}");
        assert_eq!(taken_away(&world, &bob, "own").await, [false; 3]);
        // Who may delete may do all that, and what stays as it is needs no look.
        assert_eq!(taken_away(&world, &eve, "own").await, [true; 3]);
        ask(&eve, remove(path, Depth::Single)).await.unwrap();
    }
    // Eve has changed it: to nobody but its maker's.
    assert_eq!(taken_away(&world, &ann, "own").await, [true; 3]);
}

#[tokio::test]
async fn f77_what_another_client_is_storing_keeps_its_folder_open() {
    const MIB: usize = 1 << 20;
    let world = World::new();
    let [ann, bob] = [1, 2].map(|number| client(&world.service, number, WRITE_ONLY));
    ask(&ann, MakeFolder { mode: 0o755, ..make_folder("own", Existing::Keep) }).await.unwrap();
    for (service, allowed) in [(&bob, [false, false, true]), (&ann, [true; 3])] {
        let request =
            BeginUpload { resume: Some(MIB as u64), ..begin("own/coming", 2 * MIB, Existing::Keep) };
        let mut talk = Talk::open(service, request.into());
        talk.send_all(&vec![7; MIB]).await.unwrap();
        talk.send(towpath_protocol::input::AbortUpload { keep: true }).await;
        talk.end().await.unwrap();
        assert_eq!(world.parts().len(), 1);
        assert_eq!(taken_away(&world, &ann, "own").await, allowed);
        world.parts().iter().for_each(|part| fs::remove_file(part).unwrap());
    }
}

#[tokio::test]
async fn f77_whose_a_thing_is_outlives_the_server() {
    let world = World::new();
    let private = tempfile::tempdir().unwrap();
    let start = || {
        let folder =
            towpath_files::private_files::PrivateFolder::open(&private.path().join("state")).unwrap();
        let root = RootSpec::Jailed(world.at(""));
        let config = ServiceConfig { root, access: Access::ReadWrite, home: WirePath::root() };
        let mut service = Service::with_limits(config, StoreLimits::default()).unwrap();
        service.remember_in(folder).unwrap();
        [1, 2].map(|number| client(&service, number, WRITE_ONLY))
    };
    let [ann, _] = start();
    ask(&ann, put("file", b"x", Existing::Keep)).await.unwrap();
    ask(&ann, make_folder("folder", Existing::Keep)).await.unwrap();
    for _ in 0..2 {
        let [ann, bob] = start();
        for path in ["file", "folder"] {
            allows_all(&ann, path, false).await;
            refuses_all(&world, &bob, path, false).await;
        }
    }
}

#[tokio::test]
async fn f77_what_a_client_left_of_an_upload_is_found_taken_up_and_removed_by_no_other() {
    const MIB: usize = 1 << 20;
    let world = World::new();
    let content = vec![7; 3 * MIB];
    let request = || BeginUpload { resume: Some(MIB as u64), ..begin("file", content.len(), Existing::Keep) };
    let [ann, bob] = [1, 2].map(|number| client(&world.service, number, WRITE_ONLY));
    let begin = async |service: &Arc<Service>| {
        let mut talk = Talk::open(service, request().into());
        match talk.next().await.unwrap() {
            Answer::UploadReady(ready) => (talk, ready),
            other => panic!("{other:?}"),
        }
    };
    let abort = towpath_protocol::input::AbortUpload { keep: true };
    let (mut talk, ready) = begin(&ann).await;
    assert_eq!(ready.offset, 0);
    for index in 0..32 {
        talk.send_data(index * 65_536, &content[..65_536]).await;
        assert!(matches!(talk.next().await.unwrap(), Answer::UploadAck(_)));
    }
    talk.send(abort).await;
    talk.end().await.unwrap();
    assert_eq!(world.parts().len(), 1);
    // The other one begins anew, learns nothing of what is there, and leaves it.
    let (talk, ready) = begin(&bob).await;
    assert_eq!((ready.offset, ready.kept), (0, None));
    assert_eq!(world.parts().len(), 2);
    talk.send(towpath_protocol::input::AbortUpload { keep: false }).await;
    talk.end().await.unwrap();
    let (talk, ready) = begin(&ann).await;
    assert_eq!(ready.offset, 2 * MIB as u64);
    talk.send(abort).await;
    talk.end().await.unwrap();
}
