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
    BeginUpload, Existing, Follow, MakeFolder, SetMetadata, SetMode, SetTimes, Stat,
};
use towpath_protocol::time::Time;

use super::world::{Talk, World, begin, below, copy, make_folder, make_link, put};

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
    // A folder that others fill stays its maker's; one that replaced it, or whose mode changed, does not.
    ask(&ann, make_folder("folder", Existing::Keep)).await.unwrap();
    world.write("folder/file", "by hand");
    allows_all(&ann, "folder", false).await;
    refuses_all(&world, &ann, "folder/file", false).await;
    fs::set_permissions(world.at("folder"), fs::Permissions::from_mode(0o750)).unwrap();
    refuses_all(&world, &ann, "folder", false).await;
    // Writing into a folder does not make one its owner.
    ask(&ann, make_folder("folder", Existing::Replace)).await.unwrap();
    refuses_all(&world, &ann, "folder", false).await;
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
