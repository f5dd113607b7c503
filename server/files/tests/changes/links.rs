//! Links that belong there: in the base of a location they lead on, as far as the root allows, also where an administrator has
//! laid link upon link. What is refused must not cost what is right.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use towpath_files::root::RootSpec;
use towpath_files::service::{Service, ServiceConfig};
use towpath_protocol::fault::FaultCode;
use towpath_protocol::message::{Answer, Request};
use towpath_protocol::path::{Location, WirePath};
use towpath_protocol::request::{
    Copy, Depth, Direction, Existing, Hidden, List, MakeFolder, Put, Read, Remove, Rename, SetMode, SortKey,
    Wants,
};

use super::world::{Access, Talk, World, copy, make_folder, put, remove, rename};

/// A site that has been upgraded for years: `current` leads over three links to a folder, and so does `data`.
fn upgraded(world: &World, front: &str) {
    for release in ["releases/v1", "releases/v2/share", "volumes/one/data"] {
        world.folder(release);
    }
    world.link("releases/latest", "v2");
    world.link("stable", format!("{front}releases/latest"));
    world.link("current", "./stable/../latest/");
    world.link("releases/v2/data", "../../data");
    world.link("data", format!("{front}volumes/one/data"));
    world.write("volumes/one/data/kept", "kept");
    world.write("releases/v2/share/readme", "read me");
}

/// Everything that one does in a folder, done in the one that `base` leads to.
async fn works_in(service: &Arc<Service>, base: &WirePath) {
    let at = |name: &str| Location { base: base.clone(), path: WirePath::parse(name.as_bytes()).unwrap() };
    let keep = Existing::Keep;
    let requests: [Request; 8] = [
        Put { file: at("new"), ..put("x", b"new", keep) }.into(),
        SetMode { thing: at("new"), mode: 0o600 }.into(),
        MakeFolder { folder: at("folder"), ..make_folder("x", keep) }.into(),
        Copy { from: at("kept"), to: at("folder/copy"), ..copy("x", "x", keep) }.into(),
        Rename { from: at("new"), to: at("folder/moved"), ..rename("x", "x", keep) }.into(),
        Read {
            file: at("folder/copy"),
            version: None,
            offset: 0,
            len: 65_536,
            wants: Wants::Data,
            holes: false,
        }
        .into(),
        List {
            folder: Location::through(base),
            sort: SortKey::Name,
            direction: Direction::Ascending,
            hidden: Hidden::Shown,
            pages: 1,
        }
        .into(),
        Remove { thing: at("folder"), ..remove("x", Depth::Tree) }.into(),
    ];
    for request in requests {
        let shown = format!("{request:?}");
        match Talk::open(service, request).end().await {
            Ok(Answer::Totals(totals)) => assert_eq!(totals.failed, 0, "{shown}: {totals:?}"),
            Ok(_) => {}
            Err(fault) => panic!("{shown}: {fault}"),
        }
    }
}

#[tokio::test]
async fn f09_links_that_stay_inside_are_followed_where_a_base_leads_over_them() {
    let world = World::new();
    upgraded(&world, "");
    for base in ["data", "current/data", "releases/latest/data", "stable/data"] {
        let base = WirePath::parse(base.as_bytes()).unwrap();
        works_in(&world.service, &base).await;
        assert_eq!(super::world::names(&world.at("volumes/one/data")), ["kept"]);
    }
    world.check();
}

#[tokio::test]
async fn f09_absolute_links_are_followed_where_the_whole_system_is_served() {
    let world = World::new();
    let front = fs::canonicalize(world.at("")).unwrap();
    upgraded(&world, &format!("{}/", front.display()));
    let config = ServiceConfig { root: RootSpec::Whole, access: Access::ReadWrite, home: WirePath::root() };
    let whole = Arc::new(Service::new(config).unwrap());
    for base in ["data", "current/data", "releases/latest/data", "stable/data"] {
        let base = WirePath::parse(front.join(base).as_os_str().as_encoded_bytes()).unwrap();
        works_in(&whole, &base).await;
    }
    // The same links lead out of a jail, by what they say, although their ends are inside.
    let list = |base: &str| List {
        folder: Location::through(&WirePath::parse(base.as_bytes()).unwrap()),
        sort: SortKey::Name,
        direction: Direction::Ascending,
        hidden: Hidden::Shown,
        pages: 1,
    };
    for base in ["data", "current/data", "stable"] {
        assert_eq!(world.refused(list(base)).await, FaultCode::OutsideRoot, "{base}");
    }
    assert!(Path::new(&front).join("volumes/one/data/kept").is_file());
    world.check();
}
