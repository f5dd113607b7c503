//! Links to folders: what is in the folder comes under the link's name, once for each link, and no circle of links is gone round.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use towpath::link::Link;
use towpath::model::{Choice, ConflictKind};
use towpath::transfer::job::{Action, Job, OnRequest, Verb, Within};
use towpath_files::exchange::Exchange;
use towpath_files::service::Service;
use towpath_files::session::{Serve, SessionOptions, serve};
use towpath_protocol::entry::Kind;
use towpath_protocol::fault::FaultCode;
use towpath_protocol::hello::Welcome;
use towpath_protocol::message::Request;

use super::{check_stays, copy, following, is_link};
use crate::world::{Told, Way, World, globs, once, path, run};

/// A folder with all that a folder can hold, and what leads to it.
fn linked(world: &World) {
    world.write("left/item/top", "top");
    world.write("left/item/real/file", "file");
    world.write("left/item/real/sub/deep", "deep");
    world.folder("left/item/real/empty");
    // A file and a folder behind links within a folder that is behind a link.
    world.link("left/item/real/to top", "../top");
    world.link("left/item/real/inner", "sub");
    world.folder("left/item/other");
    for (link, target) in [
        ("one", "real"),
        ("two", "real"),
        ("slash", "real/"),
        ("chain", "one"),
        ("through", "one/sub"),
        ("other/up", "../real"),
        ("dots", "other/../real"),
    ] {
        world.link(&format!("left/item/{link}"), target);
    }
    world.mode("left/item/real", 0o750);
    world.modified("left/item/real/sub", 1_000_000_000);
    world.modified("left/item/real", 1_100_000_000);
}

/// Every path of what was planned that is to come, below the item.
fn planned(told: &Told) -> BTreeSet<String> {
    let is_to_come = |action| matches!(action, Action::Copy | Action::Replace);
    let planned = told.planned.iter().filter(|planned| is_to_come(planned.action));
    let below = |place: String| place.strip_prefix("right/item/").map(str::to_owned);
    let below: Vec<_> = planned.filter_map(|planned| below(planned.to.display())).collect();
    let set: BTreeSet<String> = below.iter().cloned().collect();
    assert_eq!(set.len(), below.len(), "planned twice");
    set
}

#[tokio::test(flavor = "multi_thread")]
async fn links_to_folders_within_the_item_become_those_folders() {
    for way in Way::ALL {
        let world = World::new(way).await;
        linked(&world);
        let left = world.tree("left");
        let dry = Job { is_dry: true, ..following(&world, Verb::Copy, ("left/item", "right/item")) };
        let plan = run(dry, |conflict| panic!("{conflict:?}")).await;
        plan.check_clean();
        assert!(!world.exists("right/item") && world.tree("left") == left, "{way:?}");

        let told = copy(&world, "left/item", "right/item").await;
        told.check_clean();
        check_stays(&told, &[]);
        let right = world.tree("right/item");
        assert!(right.values().all(|thing| !thing.contains("-> ")), "{way:?} {right:#?}");
        for link in ["one", "two", "slash", "chain", "other/up", "dots"] {
            world.check_equal("right/item/real", &format!("right/item/{link}"));
            assert_eq!(right[link.as_bytes()], world.tree("left/item")[&b"real"[..]], "{way:?} {link}");
        }
        world.check_equal("left/item/real/sub", "right/item/through");
        world.check_equal("left/item/real/sub", "right/item/two/inner");
        assert_eq!(world.read("right/item/other/up/to top"), "top");
        let came: BTreeSet<String> =
            right.keys().map(|path| String::from_utf8_lossy(path).into_owned()).collect();
        assert_eq!(planned(&plan), came, "{way:?}: what was planned is what came");

        // A second time nothing is new.
        let again = copy(&world, "left/item", "right/item").await;
        again.check_clean();
        assert_eq!((again.summary.files, again.summary.unchanged), (0, told.summary.files), "{way:?}");
        assert!(world.tree("right/item") == right, "{way:?}");
        world.check_no_parts();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_holds_the_link_is_not_entered_by_any_way() {
    for way in Way::ALL {
        let world = World::new(way).await;
        world.write("left/item/a/file", "a");
        world.write("left/item/b/file", "b");
        world.folder("left/item/c");
        for (link, target) in [
            ("top", "."),
            ("a/self", "."),
            ("a/up", ".."),
            ("a/named", "../a"),
            // Each is in the folder that the other leads to.
            ("a/to b", "../b"),
            ("b/to a", "../a"),
            ("c/by chain", "../to c"),
            ("to c", "c"),
        ] {
            world.link(&format!("left/item/{link}"), target);
        }
        let told = copy(&world, "left/item", "right/item").await;
        told.check_clean();
        let twice = |link: &'static str| [(link, "holds it"); 2];
        let once = |link: &'static str| [(link, "holds it"); 1];
        let wanted = [
            &once("left/item/a/to b")[..],
            &twice("left/item/a/named"),
            &twice("left/item/a/self"),
            &twice("left/item/a/up"),
            &once("left/item/b/to a"),
            &twice("left/item/c/by chain"),
            &once("left/item/top"),
        ];
        let mut wanted = wanted.concat();
        wanted.sort_unstable();
        check_stays(&told, &wanted);
        let read = |file: &str| world.read(&format!("right/item/{file}"));
        assert_eq!([read("a/to b/file"), read("b/to a/file")], ["b", "a"], "{way:?}");
        for link in ["top", "a/self", "a/up", "a/to b/to a", "b/to a/to b", "b/to a/named", "to c/by chain"] {
            assert!(is_link(&world, &format!("right/item/{link}")), "{way:?} {link}");
        }
        // Nor is a second time any different.
        let again = copy(&world, "left/item", "right/item").await;
        again.check_clean();
        assert_eq!((again.summary.files, again.summary.unchanged), (0, told.summary.files), "{way:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn links_lead_from_folder_to_folder_so_many_times_and_no_further() {
    let world = World::new(Way::Down).await;
    for number in 0..10 {
        world.write(format!("left/item/{number}/file"), number.to_string());
        world.link(&format!("left/item/{number}/next"), &format!("../{}", number + 1));
    }
    world.write("left/item/10/file", "10");
    let told = copy(&world, "left/item", "right/item").await;
    told.check_clean();
    // From 0 on to 8, and from 1 on to 9.
    check_stays(&told, &[("left/item/8/next", "too many"), ("left/item/9/next", "too many")]);
    for (start, end) in [("0", "8"), ("1", "9"), ("2", "10")] {
        let last = format!("right/item/{start}{}", "/next".repeat(8));
        assert_eq!(world.read(&format!("{last}/file")), end);
        assert_eq!(is_link(&world, &format!("{last}/next")), end != "10");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn links_that_multiply_what_is_copied_are_followed_so_often_and_no_more() {
    const LINKS: usize = 4;
    const FOLDERS: usize = 10;
    let world = World::new(Way::Up).await;
    for number in 0..FOLDERS {
        world.folder(&format!("left/item/{number}"));
        for link in 0..LINKS {
            world.link(&format!("left/item/{number}/{link}"), &format!("../{}", number + 1));
        }
    }
    world.folder(&format!("left/item/{FOLDERS}"));
    let dry = Job { is_dry: true, ..following(&world, Verb::Copy, ("left/item", "right/item")) };
    let told = run(dry, |conflict| panic!("{conflict:?}")).await;
    told.check_clean();
    let folders = told.planned.iter().filter(|planned| planned.kind == Kind::Folder).count();
    // The item, what is in it, what its own links lead to; and what is behind links within those.
    assert_eq!(folders, 1 + FOLDERS + 1 + LINKS * FOLDERS + 10_000);
    assert!(told.whys.iter().all(|why| why.contains("too many")) && !told.whys.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_the_way_of_a_folder_behind_a_link_is_asked_about_as_of_any() {
    for way in Way::ALL {
        let world = World::new(way).await;
        world.write("left/item/real/file", "new");
        world.write("left/item/real/sub/other", "other");
        world.write("left/item/secret/file", "secret");
        for link in ["merged", "by file", "by link"] {
            world.link(&format!("left/item/{link}"), "real");
        }
        world.link("left/item/real/sub/up", "../../secret");
        world.write("right/item/merged/file", "old one");
        world.write("right/item/by file", "in the way");
        world.folder("right/elsewhere");
        world.link("right/item/by link", "../elsewhere");
        let job = following(&world, Verb::Copy, ("left/item", "right/item"));
        let told = run(job, |conflict| {
            let is_folder = conflict.kind == ConflictKind::Folder;
            once(if is_folder { Choice::KeepBoth } else { Choice::Overwrite })
        })
        .await;
        assert_eq!((told.codes(), told.asked.len()), (vec![], 3), "{way:?} {told:#?}");
        check_stays(&told, &[]);
        for folder in ["merged", "by file (2)", "by link (2)"] {
            world.check_equal("right/item/real", &format!("right/item/{folder}"));
            assert_eq!(world.read(&format!("right/item/{folder}/sub/up/file")), "secret", "{way:?}");
        }
        assert_eq!(world.read("right/item/by file"), "in the way");
        assert!(world.names("right/elsewhere").is_empty(), "{way:?}: nobody writes through a link");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_out_is_left_out_behind_a_link_too() {
    let world = World::new(Way::Up).await;
    world.write("left/item/real/file", "file");
    world.write("left/item/real/notes.o", "object");
    world.write("left/item/out/file", "out");
    world.link("left/item/link", "real");
    world.link("left/item/left", "real");
    world.link("left/item/into out", "out");
    let job = Job {
        excludes: globs(&["*.o", "link/file", "left", "out"]),
        ..following(&world, Verb::Copy, ("left/item", "right/item"))
    };
    run(job, |conflict| panic!("{conflict:?}")).await.check_clean();
    assert_eq!(world.names("right/item"), ["into out", "link", "real"]);
    assert_eq!((world.names("right/item/link").len(), world.names("right/item/real").len()), (0, 1));
    assert_eq!(world.read("right/item/into out/file"), "out");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_that_is_a_link_to_a_folder_has_that_folder_for_its_bounds() {
    for way in Way::ALL {
        let world = World::new(way).await;
        world.write("left/real/file", "file");
        world.write("left/secret", "secret");
        world.link("left/real/near", "file");
        world.link("left/real/out", "../secret");
        world.link("left/link", "real");
        let told = copy(&world, "left/link", "right/link").await;
        told.check_clean();
        check_stays(&told, &[("left/real/out", "out of")]);
        assert!(!is_link(&world, "right/link") && world.read("right/link/near") == "file", "{way:?}");
        // Where the whole folder is meant, it is the bounds.
        let on_request = OnRequest { follow: Some(Within::Folder), ..OnRequest::default() };
        let job = Job { on_request, ..world.job(Verb::Copy, &[("left/link", "right/all")]) };
        let told = run(job, |conflict| panic!("{conflict:?}")).await;
        check_stays(&told, &[]);
        assert_eq!(world.read("right/all/out"), "secret", "{way:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_is_behind_a_link_of_the_source_is_not_copied_into_itself() {
    for way in [Way::Across, Way::Within] {
        let world = World::new(way).await;
        world.write("left/real/file", "file");
        world.folder("left/real/copies");
        world.link("left/link", "real");
        let on_request = OnRequest { follow: Some(Within::Folder), ..OnRequest::default() };
        let job = Job { on_request, ..world.job(Verb::Copy, &[("left/link", "left/real/copies/link")]) };
        let told = run(job, |conflict| panic!("{conflict:?}")).await;
        assert_eq!(told.codes(), [FaultCode::IntoItself], "{way:?} {told:#?}");
        assert_eq!(world.names("left/real/copies/link"), ["file"], "{way:?}");
    }
}

/// A server on which somebody swaps a thing for a link out of the item, just before the folder `left/item/sub/real` is walked.
struct Swapping {
    service: Arc<Service>,
    swapped: PathBuf,
    aside: PathBuf,
    target: String,
}

impl Serve for Swapping {
    fn welcome(&self) -> &Welcome {
        self.service.welcome()
    }

    async fn serve(self: Arc<Self>, request: Request, exchange: Exchange) {
        if let Request::Walk(walk) = &request
            && walk.start.whole().is_ok_and(|start| start == path("left/item/sub/real"))
        {
            fs::rename(&self.swapped, &self.aside).unwrap();
            std::os::unix::fs::symlink(&self.target, &self.swapped).unwrap();
        }
        self.service.clone().serve(request, exchange).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_swapped_for_a_link_before_it_is_walked_is_not_entered() {
    for (swapped, target, code) in [
        ("left/item/sub/real", "../../vault/real", FaultCode::Changed),
        ("left/item/sub", "../vault", FaultCode::OutsideRoot),
    ] {
        let world = World::new(Way::Across).await;
        world.write("left/vault/real/file", "secret");
        world.write("left/item/sub/real/file", "file");
        world.link("left/item/link", "sub/real");
        let swapping = Swapping {
            service: world.service(),
            swapped: world.at(swapped),
            aside: world.at("left/aside"),
            target: target.to_owned(),
        };
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        let (reader, writer) = tokio::io::split(theirs);
        tokio::spawn(serve(reader, writer, Arc::new(swapping), SessionOptions::default()));
        let (reader, writer) = tokio::io::split(ours);
        let source = Link::over(reader, writer).await.unwrap();
        let job = Job { source, ..following(&world, Verb::Copy, ("left/item", "right/item")) };
        let told = run(job, |conflict| panic!("{conflict:?}")).await;
        assert!(told.codes().contains(&code), "{swapped} {told:#?}");
        let right = world.tree("right");
        let is_secret = |thing: &String| thing.contains(&blake3::hash(b"secret").to_string());
        assert!(!world.exists("right/item/link") && !right.values().any(is_secret), "{swapped} {right:#?}");
    }
}
