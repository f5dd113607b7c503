//! Stat of many things at once; Space.

use std::path::PathBuf;
use std::sync::Arc;

use towpath_files::root::RootSpec;
use towpath_files::service::{Service, ServiceConfig};
use towpath_protocol::answer::StatItem;
use towpath_protocol::entry::{Attributes, Kind};
use towpath_protocol::fault::FaultCode;
use towpath_protocol::hello::{Access, RootKind};
use towpath_protocol::message::Answer;
use towpath_protocol::path::WirePath;
use towpath_protocol::request::{Follow, MakeFolder, Space, Stat};
use towpath_protocol::time::Time;

use crate::world::{Talk, World, below, make_fifo, make_folder, serve};

fn parsed(path: &str) -> WirePath {
    WirePath::parse(path.as_bytes()).unwrap()
}

async fn stat(
    world: &World,
    base: &str,
    paths: &[&str],
    follow: Follow,
) -> Vec<Result<Attributes, FaultCode>> {
    let paths = paths.iter().map(|path| parsed(path)).collect();
    match world.ask(Stat { base: parsed(base), paths, follow }).await.unwrap() {
        Answer::Stats(stats) => stats.items.into_iter().map(|StatItem(item)| item).collect(),
        other => panic!("{other:?}"),
    }
}

fn kinds(items: &[Result<Attributes, FaultCode>]) -> Vec<Result<Kind, FaultCode>> {
    items.iter().map(|item| item.as_ref().map(|attributes| attributes.kind).map_err(|code| *code)).collect()
}

#[tokio::test]
async fn every_path_gets_its_own_answer_in_the_same_order() {
    let world = World::new();
    world.folder("a/b");
    world.write("a/file", "123");
    world.link("a/link", "file");
    world.link("a/out", "../../outside/file");
    world.link("a/dangling", "none");
    world.link("to_a", "a");
    make_fifo(&world.at("a/fifo"));
    let paths = ["b", "file", "none", "link", "out", "dangling", "fifo", "file/x", "link/x", ""];
    let not_followed = [
        Ok(Kind::Folder),
        Ok(Kind::File),
        Err(FaultCode::NotFound),
        Ok(Kind::Link),
        Ok(Kind::Link),
        Ok(Kind::Link),
        Ok(Kind::Fifo),
        Err(FaultCode::NotAFolder),
        Err(FaultCode::OutsideRoot),
        Ok(Kind::Folder),
    ];
    let items = stat(&world, "a", &paths, Follow::No).await;
    assert_eq!(kinds(&items), not_followed);
    assert_eq!(items[3].as_ref().unwrap().link.as_ref().unwrap().kind, Some(Kind::File));
    assert_eq!(items[4].as_ref().unwrap().link.as_ref().unwrap().kind, None);

    let mut followed = not_followed;
    (followed[3], followed[4], followed[5]) =
        (Ok(Kind::File), Err(FaultCode::OutsideRoot), Err(FaultCode::NotFound));
    let items = stat(&world, "to_a", &paths, Follow::Yes).await;
    assert_eq!(kinds(&items), followed);
    assert_eq!(items[3], items[1], "a link looked through is what it leads to");
}

#[tokio::test]
async fn two_names_of_one_file_have_one_identity_and_a_replaced_file_another() {
    let world = World::new();
    world.write("file", "1");
    std::fs::hard_link(world.at("file"), world.at("other")).unwrap();
    world.write("new", "1");
    let items = stat(&world, "", &["file", "other", "new"], Follow::No).await;
    let identity = |index: usize| items[index].as_ref().unwrap().identity;
    assert_eq!(identity(0), identity(1));
    assert_ne!(identity(0), identity(2));
}

#[tokio::test]
async fn times_far_away_are_told_as_far_as_they_can_be() {
    let world = World::new();
    world.write("old", "");
    let times = rustix::fs::Timestamps {
        last_access: rustix::fs::Timespec { tv_sec: 0, tv_nsec: 0 },
        last_modification: rustix::fs::Timespec { tv_sec: -1, tv_nsec: 999_999_999 },
    };
    rustix::fs::utimensat(rustix::fs::CWD, world.at("old"), &times, rustix::fs::AtFlags::empty()).unwrap();
    assert_eq!(stat(&world, "", &["old"], Follow::No).await[0].as_ref().unwrap().modified, Time::from_ns(-1));
}

#[tokio::test]
async fn space_is_told_of_any_path_and_of_what_a_link_leads_to() {
    let world = World::new();
    world.folder("a");
    world.link("to_a", "a");
    world.link("out", "../outside");
    make_fifo(&world.at("fifo"));
    for path in ["", "a", "to_a", "fifo"] {
        let Ok(Answer::SpaceInfo(space)) = world.ask(Space { path: parsed(path) }).await else {
            panic!("{path}")
        };
        assert!(space.total > 0 && space.free <= space.total, "{path}: {space:?}");
    }
    assert_eq!(world.refused(Space { path: parsed("none") }).await, FaultCode::NotFound);
    assert_eq!(world.refused(Space { path: parsed("out") }).await, FaultCode::OutsideRoot);
}

#[tokio::test]
async fn a_read_only_service_says_so_and_changes_nothing() {
    let world = World::new();
    let service = serve(&world.at(""), Access::ReadOnly);
    assert_eq!(service.welcome().access, Access::ReadOnly);
    let request: MakeFolder = make_folder("new", towpath_protocol::request::Existing::Keep);
    let refused = Talk::open(&service, request.into()).end().await.unwrap_err();
    assert_eq!(refused.code, FaultCode::ReadOnly);
    assert!(!world.exists("new"));
    let stat = Stat { base: WirePath::root(), paths: vec![WirePath::root()], follow: Follow::No };
    assert!(matches!(Talk::open(&service, stat.into()).end().await, Ok(Answer::Stats(_))));
}

#[tokio::test]
async fn a_welcome_names_the_root_without_anything_a_terminal_would_obey() {
    let world = World::new();
    world.folder("\x1b[2Jroot");
    let jailed = serve(&world.at("\x1b[2Jroot"), Access::ReadWrite);
    assert!(jailed.welcome().root_name.to_string().ends_with("/\\x1b[2Jroot"));
    assert_eq!(jailed.welcome().root_kind, RootKind::Jailed);
    let config = ServiceConfig { root: RootSpec::Whole, access: Access::ReadWrite, home: below("home").path };
    let whole = Arc::new(Service::new(config).unwrap());
    assert_eq!((&*whole.welcome().root_name.to_string(), whole.welcome().root_kind), ("/", RootKind::Whole));
    assert_eq!(whole.welcome().home, parsed("home"));
    let missing = RootSpec::Jailed(PathBuf::from("/no/such/folder"));
    let config = ServiceConfig { root: missing, access: Access::ReadWrite, home: WirePath::root() };
    assert_eq!(Service::new(config).unwrap_err().to_string(), "/no/such/folder: no such folder");
}
