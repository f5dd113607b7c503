//! What this user may not see. The service's threads work as nobody where the tests run as root, whom nothing stops.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use rustix::process::{Uid, geteuid};
use towpath_protocol::answer::{ListPage, StatItem, WalkItem};
use towpath_protocol::entry::Kind;
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::message::Answer;
use towpath_protocol::path::{Location, WirePath};
use towpath_protocol::request::{Direction, Follow, Hidden, List, Measure, Read, SortKey, Stat, Walk, Wants};

use crate::world::{World, below};

/// Folders without all rights, without the right to search, without the right to read.
const MODES: [(&str, u32); 4] =
    [("locked", 0), ("names_only", 0o444), ("search_only", 0o111), ("search_only/secret", 0)];

fn as_nobody(story: impl AsyncFnOnce(&World)) {
    let world = World::new();
    for folder in ["locked", "names_only", "search_only"] {
        world.folder(&format!("{folder}/folder"));
        world.write(&format!("{folder}/file"), "content");
    }
    world.write("search_only/secret", "");
    let set =
        |path: &str, mode| fs::set_permissions(world.at(path), fs::Permissions::from_mode(mode)).unwrap();
    for (path, mode) in MODES.iter().rev() {
        set(path, *mode);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .on_thread_start(|| {
            if geteuid().is_root() {
                let nobody = Uid::from_raw(65_534);
                rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
            }
        })
        .build()
        .unwrap();
    runtime.block_on(story(&world));
    for (path, _) in MODES {
        set(path, 0o700);
    }
}

fn list(folder: &str, sort: SortKey) -> List {
    let folder = Location::through(&below(folder).path);
    List { folder, sort, direction: Direction::Ascending, hidden: Hidden::Shown, pages: 8 }
}

#[test]
fn a_folder_whose_content_cannot_be_looked_at_still_shows_its_names() {
    as_nobody(async |world| {
        for sort in [SortKey::Name, SortKey::Size] {
            let mut talk = world.open(list("names_only", sort));
            let Ok(Answer::ListPage(ListPage { total, entries })) = talk.next().await else {
                panic!("a page")
            };
            let shown: Vec<_> =
                entries.iter().map(|entry| (entry.name.as_bytes(), entry.attributes.kind)).collect();
            assert_eq!((total, shown), (2, vec![(&b"folder"[..], Kind::Folder), (b"file", Kind::File)]));
            assert!(matches!(talk.end().await, Ok(Answer::Done(_))));
        }
        assert_eq!(world.refused(list("locked", SortKey::Name)).await, FaultCode::PermissionDenied);
        assert_eq!(world.refused(list("search_only", SortKey::Name)).await, FaultCode::PermissionDenied);
    });
}

#[test]
fn a_walk_goes_on_past_what_it_may_not_see() {
    as_nobody(async |world| {
        let start = Location::through(&WirePath::root());
        let mut talk = world.open(Walk { start, pages: 8 });
        let mut items: Vec<WalkItem> = Vec::new();
        while let Ok(Answer::WalkPage(page)) = talk.next().await {
            items.extend(page.items);
        }
        let fault = |depth: u16, name: &str| {
            let is_it =
                |item: &&WalkItem| item.depth == depth && item.entry.name.as_bytes() == name.as_bytes();
            items.iter().find(is_it).unwrap().fault
        };
        assert_eq!(items.len(), 5);
        for (depth, name) in [(1, "locked"), (1, "search_only"), (2, "file"), (2, "folder")] {
            assert_eq!(fault(depth, name), Some(FaultCode::PermissionDenied), "{name}");
        }
        assert_eq!(fault(1, "names_only"), None);
    });
}

#[test]
fn a_folder_that_cannot_be_read_can_be_passed_through() {
    as_nobody(async |world| {
        let paths = vec![below("file").path, below("secret").path, below("none").path];
        let request = Stat { base: below("search_only").path, paths, follow: Follow::No };
        let Ok(Answer::Stats(stats)) = world.ask(request).await else { panic!("stats") };
        assert!(matches!(
            &stats.items[..],
            [StatItem(Ok(_)), StatItem(Ok(_)), StatItem(Err(FaultCode::NotFound))]
        ));
        let read = |path: &str| Read {
            file: below(path),
            version: None,
            offset: 0,
            len: 100,
            wants: Wants::Data,
            holes: false,
        };
        assert!(matches!(world.ask(read("search_only/file")).await, Ok(Answer::FileWhole(_))));
        let start = below("search_only/file");
        assert!(matches!(world.ask(Walk { start, pages: 1 }).await, Ok(Answer::Done(_))));
        for path in ["search_only/secret", "locked/file"] {
            assert_eq!(world.refused(read(path)).await, FaultCode::PermissionDenied, "{path}");
        }
    });
}

#[test]
fn measuring_names_each_place_that_it_may_not_see() {
    as_nobody(async |world| {
        let things = vec![Location::through(&WirePath::root())];
        let totals = world.totals(Measure { things }).await;
        let mut faults = totals.faults;
        faults.sort_by(|a, b| a.path.cmp(&b.path));
        let denied = |path: &str| Fault::new(FaultCode::PermissionDenied).at(below(path).path);
        let expected = ["locked", "names_only/file", "names_only/folder", "search_only"].map(denied);
        assert_eq!((totals.failed, &faults[..]), (4, &expected[..]));
    });
}
