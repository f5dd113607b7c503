//! Destinations that are their source, or lie within it, whatever links and names lead there.

use std::fs;
use std::process::Command;

use towpath::link::Link;
use towpath::model::Choice;
use towpath::transfer::job::{ExistingPolicy, Job, Verb};
use towpath_protocol::fault::FaultCode;

use crate::world::{Way, World, run, service_at};

async fn is_refused(world: &World, job: Job, name: &str) {
    let before = world.tree("");
    let told = run(job, |_| panic!("asked")).await;
    assert_eq!(told.summary.stopped.map(|fault| fault.code), Some(FaultCode::IntoItself), "{name}");
    assert_eq!(world.tree(""), before, "{name}: nothing may be touched before");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_copied_onto_or_into_itself_over_any_two_links() {
    for way in Way::ALL {
        let world = World::new(way).await;
        world.write("left/tree/sub/file", "file");
        world.link("left/way round", "tree/sub");
        world.write("left/other", "other");
        fs::hard_link(world.at("left/other"), world.at("left/second name")).unwrap();
        for verb in [Verb::Copy, Verb::Move] {
            for (from, to) in [
                ("left/tree", "left/tree"),
                ("left/tree", "left/tree/sub/tree"),
                ("left/tree", "left/tree/new/tree"),
                ("left/tree", "left/way round/tree"),
                ("left/tree/sub/file", "left/way round/file"),
                ("left/other", "left/other"),
                ("left/other", "left/second name"),
            ] {
                let job = world.job(verb, &[("left/other", "right/other"), (from, to)]);
                is_refused(&world, job, &format!("{way:?} {verb:?} {from} to {to}")).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_that_lies_within_the_source_is_within_it() {
    let world = World::new(Way::Across).await;
    world.write("left/tree/a/b/file", "file");
    let (outer, inner) = (world.source.clone(), Link::in_process(service_at(&world.at("left/tree/a/b"))));
    for to in ["tree", "new/tree", "file"] {
        let job = world.job(Verb::Copy, &[("left/tree", to)]);
        is_refused(&world, Job { source: outer.clone(), destination: inner.clone(), ..job }, to).await;
    }
    // The other way round there is nothing wrong with it.
    let job = world.job(Verb::Copy, &[("file", "left/tree/copy")]);
    run(Job { source: inner, destination: outer, ..job }, |_| panic!("asked")).await.check_clean();
    assert_eq!(world.read("left/tree/copy"), "file");
}

/// The same folder under two names, unmounted when dropped.
struct Bound(std::path::PathBuf);

impl Bound {
    fn mount(world: &World, from: &str, to: &str) -> Option<Self> {
        world.folder(to);
        let mounted = Command::new("mount").arg("--bind").arg(world.at(from)).arg(world.at(to)).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(world.at(to)));
        }
        crate::skip::skip("nothing could be mounted");
        None
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_mounted_twice_does_not_swallow_itself() {
    for way in Way::ALL {
        let world = World::new(way).await;
        world.write("left/tree/sub/file", "file");
        let Some(_bound) = Bound::mount(&world, "left/tree/sub", "right/sub") else { return };
        for verb in [Verb::Copy, Verb::Move] {
            let whole = world.job(verb, &[("left/tree", "right/sub/tree")]);
            let whole = run(whole, |_| panic!("asked")).await;
            assert!(whole.summary.failed > 0, "{way:?} {verb:?}");
            let codes = whole.codes().into_iter().chain(whole.summary.stopped.iter().map(|fault| fault.code));
            assert!(codes.clone().any(|code| code == FaultCode::IntoItself), "{way:?} {verb:?} {whole:#?}");
            assert_eq!(world.read("left/tree/sub/file"), "file", "{way:?} {verb:?}");
            let _ = fs::remove_dir_all(world.at("right/sub/tree"));
            assert_eq!(world.names("left/tree/sub"), ["file"]);

            // Each file meets itself.
            let joined = world.job(verb, &[("left/tree", "right")]);
            let told = run(Job { existing: ExistingPolicy::Always(Choice::Overwrite), ..joined }, |_| {
                panic!("asked")
            })
            .await;
            assert_eq!(world.read("left/tree/sub/file"), "file", "{way:?} {verb:?} {told:#?}");
            let expected = if verb == Verb::Copy { vec![] } else { vec![FaultCode::IntoItself] };
            assert_eq!(told.codes(), expected, "{way:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_neighbour_whose_name_begins_the_same_is_not_itself() {
    let world = World::new(Way::Within).await;
    world.write("left/tree/file", "file");
    world.copy("left/tree", "left/tree2").await.check_clean();
    world.copy("left/tree", "left/tree2/tree").await.check_clean();
    world.check_equal("left/tree", "left/tree2/tree");
}
