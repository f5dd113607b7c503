//! Measure: what is below some things.

use towpath_protocol::answer::Totals;
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::path::{Location, WirePath};
use towpath_protocol::request::Measure;

use crate::world::{World, below, make_fifo};

fn measure(things: &[&str]) -> Measure {
    Measure { things: things.iter().map(|thing| below(thing)).collect() }
}

#[tokio::test]
async fn everything_below_is_counted_and_nothing_behind_a_link() {
    let world = World::new();
    world.folder("tree/a");
    world.write("tree/file", "123");
    world.write("tree/a/file", "45");
    world.link("tree/out", "../../outside");
    make_fifo(&world.at("tree/fifo"));
    world.write("single", "6789");
    let totals = world.totals(measure(&["tree", "single"])).await;
    assert_eq!(totals, Totals { files: 5, folders: 2, bytes: 9, failed: 0, ..Totals::default() });
    let root = Measure { things: vec![Location::through(&WirePath::root())] };
    assert_eq!(world.totals(root).await.folders, 2, "the root itself is not counted");
    assert_eq!(world.totals(Measure { things: vec![] }).await, Totals::default());
}

#[tokio::test]
async fn a_thing_that_fails_is_named_and_the_rest_is_counted() {
    let world = World::new();
    world.write("file", "1");
    let totals = world.totals(measure(&["none", "file", "none/none"])).await;
    let missing = |path: &str| Fault::new(FaultCode::NotFound).at(below(path).path);
    assert_eq!((totals.files, totals.failed), (1, 2));
    assert_eq!(totals.faults[0], missing("none"));
    assert_eq!(totals.faults[1].code, FaultCode::NotFound);
}

#[tokio::test]
async fn f79_sizes_whose_sum_does_not_fit_are_counted_to_the_largest_number() {
    let world = World::in_memory();
    world.folder("tree");
    if !["1", "2", "3"].iter().all(|name| world.write_immense(&format!("tree/{name}"))) {
        crate::skip::skip("no files of 8 EiB here");
        return;
    }
    let totals = world.totals(measure(&["tree", "tree"])).await;
    assert_eq!((totals.files, totals.failed, totals.bytes), (6, 0, u64::MAX));
}

#[tokio::test]
async fn a_fault_deep_in_a_tree_names_its_own_path() {
    let world = World::new();
    let mut path = world.at("");
    // Deeper than any path can say.
    for _ in 0..140 {
        path.push("d");
    }
    std::fs::create_dir_all(&path).unwrap();
    let totals = world.totals(measure(&["d"])).await;
    assert_eq!(totals.failed, 1);
    assert_eq!(totals.faults[0].code, FaultCode::NameTooLong);
    let place = totals.faults[0].path.as_ref().unwrap();
    assert!(place.starts_with(&below("d").path), "{place:?}");
}

#[tokio::test]
async fn measuring_can_be_cancelled_before_it_begins() {
    let world = World::new();
    world.folder("tree");
    let talk = world.open(measure(&["tree"]));
    talk.cancel.cancel();
    // Either it was quicker, or it was stopped; it ends in any case.
    match talk.end().await {
        Ok(answer) => assert!(answer.is_final()),
        Err(fault) => assert_eq!(fault.code, FaultCode::Cancelled),
    }
}
