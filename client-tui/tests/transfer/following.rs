//! Links that are followed on request: those that stay within the item, and no others. Those to folders are beside, in `folders`.

mod folders;

use std::fs;

use towpath::model::Choice;
use towpath::transfer::job::{Action, Job, OnRequest, Verb, Within};

use crate::world::{Told, Way, World, noise, once, run};

fn following(world: &World, verb: Verb, item: (&str, &str)) -> Job {
    let on_request = OnRequest { follow: Some(Within::Item), ..OnRequest::default() };
    Job { on_request, ..world.job(verb, &[item]) }
}

async fn copy(world: &World, from: &str, to: &str) -> Told {
    run(following(world, Verb::Copy, (from, to)), |conflict| panic!("{conflict:?}")).await
}

fn is_link(world: &World, path: &str) -> bool {
    world.at(path).is_symlink()
}

/// Exactly these are said to stay, each as often as it is here, and why.
#[track_caller]
fn check_stays(told: &Told, wanted: &[(&str, &str)]) {
    let mut said: Vec<_> = told.noticed.iter().zip(&told.whys).collect();
    said.sort();
    assert_eq!(said.len(), wanted.len(), "{told:#?}");
    for ((path, why), (wanted_path, wanted_why)) in said.into_iter().zip(wanted) {
        assert_eq!(path, wanted_path);
        assert!(why.starts_with("stays a link: ") && why.contains(wanted_why), "{path}: {why}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn links_to_files_within_the_item_become_those_files() {
    for way in Way::ALL {
        let world = World::new(way).await;
        let large = noise(9_000_000, 1);
        world.write("left/item/a", "small");
        world.write("left/item/sub/deep/large", &large);
        world.mode("left/item/a", 0o640);
        world.modified("left/item/a", 1_000_000_000);
        for (link, target) in [
            ("beside", "a"),
            ("dots", ".//./sub/../a"),
            ("sub/above", "../a"),
            ("far", "sub/deep/large"),
            // Through links, to a link and to a folder.
            ("chain", "sub/above"),
            ("to sub", "sub"),
            ("through", "to sub/deep/large"),
            ("back", "to sub/../a"),
        ] {
            world.link(&format!("left/item/{link}"), target);
        }
        let told = copy(&world, "left/item", "right/item").await;
        told.check_clean();
        check_stays(&told, &[]);
        for (link, is_large) in [
            ("beside", false),
            ("dots", false),
            ("sub/above", false),
            ("far", true),
            ("chain", false),
            ("through", true),
            ("back", false),
        ] {
            let path = format!("right/item/{link}");
            assert!(!is_link(&world, &path), "{way:?} {link}");
            let wanted = if is_large { &large[..] } else { b"small" };
            assert!(fs::read(world.at(&path)).unwrap() == wanted, "{way:?} {link}");
        }
        world.check_equal("right/item/sub", "right/item/to sub");
        assert_eq!(world.tree("right/item")[&b"beside"[..]], world.tree("left/item")[&b"a"[..]]);
        assert_eq!(told.summary.files, 11);
        // A second time nothing is new.
        let told = copy(&world, "left/item", "right/item").await;
        told.check_clean();
        assert_eq!((told.summary.files, told.summary.unchanged), (0, 11), "{way:?}");
        world.check_no_parts();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn links_that_lead_elsewhere_stay_links_and_are_told() {
    for way in Way::ALL {
        let world = World::new(way).await;
        world.write("left/secret", "secret");
        world.write("left/vault/secret", "secret");
        world.write("left/item/file", "file");
        world.write("left/item/sub/file", "file");
        let absolute = world.at("left/item/file").display().to_string();
        let absolute_folder = world.at("left/item/sub").display().to_string();
        let links = [
            ("absolute", absolute.as_str(), "out of"),
            ("absolute folder", absolute_folder.as_str(), "out of"),
            ("by vault", "to vault/secret", "out of"),
            ("circle", "circle", "circle"),
            ("climbs", "../secret", "out of"),
            ("climbs back", "../item/file", "out of"),
            ("dangles", "nothing/there", "nowhere"),
            ("file as folder", "file/", "nowhere"),
            ("file below", "file/..", "nowhere"),
            ("fifo link", "fifo", "regular"),
            ("ping", "pong", "circle"),
            ("pong", "ping", "circle"),
            ("sub/climbs", "../../secret", "out of"),
            ("sub/to vault", "../../vault", "out of"),
            ("to itself", ".", "holds it"),
            ("to vault", "../vault", "out of"),
        ];
        for (link, target, _) in links {
            world.link(&format!("left/item/{link}"), target);
        }
        let fifo = rustix::fs::FileType::Fifo;
        let mode = rustix::fs::Mode::RWXU;
        rustix::fs::mknodat(rustix::fs::CWD, world.at("left/item/fifo"), fifo, mode, 0).unwrap();
        let told = copy(&world, "left/item", "right/item").await;
        assert_eq!((told.codes(), &told.skipped[..]), (vec![], &["left/item/fifo".to_owned()][..]));
        let mut wanted: Vec<_> =
            links.iter().map(|(link, _, why)| (format!("left/item/{link}"), *why)).collect();
        wanted.sort();
        let wanted: Vec<_> = wanted.iter().map(|(path, why)| (path.as_str(), *why)).collect();
        check_stays(&told, &wanted);
        for (link, target, _) in links {
            let copied = fs::read_link(world.at(format!("right/item/{link}"))).unwrap();
            assert_eq!(copied.to_str(), Some(target), "{way:?} {link}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_is_followed_as_far_as_the_system_goes() {
    let world = World::new(Way::Across).await;
    world.write("left/item/0", "the end");
    for index in 1..=41 {
        world.link(&format!("left/item/{index}"), &(index - 1).to_string());
    }
    let told = copy(&world, "left/item", "right/item").await;
    check_stays(&told, &[("left/item/41", "too far")]);
    assert_eq!(world.read("right/item/40"), "the end");
    assert!(!is_link(&world, "right/item/40") && fs::read(world.at("left/item/40")).is_ok());
    assert!(is_link(&world, "right/item/41") && fs::read(world.at("left/item/41")).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_swapped_for_a_link_meanwhile_is_not_read() {
    for way in Way::ALL {
        for size in [1_000, 9_000_000] {
            for leaf in [false, true] {
                let world = World::new(way).await;
                let secret = noise(size, 2);
                world.write("left/vault/file", &secret);
                world.write("left/item/sub/file", noise(size, 1));
                world.link("left/item/link", "sub/file");
                world.write("right/item/link", "in the way");
                world.write("right/item/sub/file", "in the way");
                let job = following(&world, Verb::Copy, ("left/item", "right/item"));
                let (swapped, target) = if leaf {
                    ("left/item/sub/file", "../../vault/file")
                } else {
                    ("left/item/sub", "../vault")
                };
                let told = run(job, |_| {
                    if !is_link(&world, swapped) {
                        fs::rename(world.at(swapped), world.at("left/aside")).unwrap();
                        world.link(swapped, target);
                    }
                    once(Choice::Overwrite)
                })
                .await;
                // A service that copies alone copies the link that it finds, as a link.
                let is_copied_as_link = way == Way::Within && leaf;
                assert_eq!(told.failed.is_empty(), is_copied_as_link, "{way:?} {size} {leaf} {told:?}");
                for path in ["right/item/link", "right/item/sub/file"] {
                    let is_secret = !is_link(&world, path)
                        && fs::read(world.at(path)).is_ok_and(|content| content == secret);
                    assert!(!is_secret, "{way:?} {size} {leaf} {path}");
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_is_the_item_is_followed_beside_itself() {
    for way in Way::ALL {
        let world = World::new(way).await;
        world.write("left/file", "content");
        world.write("secret", "secret");
        for (link, target) in [("link", "file"), ("out", "../secret"), ("nowhere", "nothing")] {
            world.link(&format!("left/{link}"), target);
        }
        copy(&world, "left/link", "right/link").await.check_clean();
        assert!(!is_link(&world, "right/link") && world.read("right/link") == "content");
        check_stays(&copy(&world, "left/out", "right/out").await, &[("left/out", "out of")]);
        check_stays(&copy(&world, "left/nowhere", "right/nowhere").await, &[("left/nowhere", "nowhere")]);
        assert!(is_link(&world, "right/out") && is_link(&world, "right/nowhere"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_kept_beside_has_the_bounds_of_its_item() {
    for way in Way::ALL {
        let world = World::new(way).await;
        world.write("left/item/file", "content");
        world.write("left/item/sub/own", "own");
        world.write("left/secret", "secret");
        world.link("left/item/sub/up", "../file");
        world.link("left/item/sub/out", "../../secret");
        world.write("right/item/sub", "in the way of a folder");
        let job = following(&world, Verb::Copy, ("left/item", "right/item"));
        let told = run(job, |_| once(Choice::KeepBoth)).await;
        assert_eq!(told.codes(), [], "{told:#?}");
        check_stays(&told, &[("left/item/sub/out", "out of")]);
        let beside = world.names("right/item").into_iter().find(|name| name.starts_with("sub ")).unwrap();
        assert_eq!(world.read(&format!("right/item/{beside}/up")), "content");
        assert!(!is_link(&world, &format!("right/item/{beside}/up")));
        assert!(is_link(&world, &format!("right/item/{beside}/out")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_shows_the_file_and_a_move_follows_nothing() {
    let world = World::new(Way::Across).await;
    world.write("left/item/file", "content");
    world.link("left/item/link", "file");
    let job = Job { is_dry: true, ..following(&world, Verb::Copy, ("left/item", "right/item")) };
    let told = run(job, |conflict| panic!("{conflict:?}")).await;
    let shown = |told: &Told| {
        let planned = told.planned.iter().find(|planned| planned.to.display() == "right/item/link").unwrap();
        (planned.action, planned.size)
    };
    assert_eq!(shown(&told), (Action::Copy, 7));
    assert!(!world.exists("right/item"));
    run(following(&world, Verb::Move, ("left/item", "right/item")), |conflict| panic!("{conflict:?}"))
        .await
        .check_clean();
    assert!(is_link(&world, "right/item/link") && !world.exists("left/item"));
}
