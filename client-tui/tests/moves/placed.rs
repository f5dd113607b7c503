//! A job replaces nothing that it put there itself; a later one treats it as any other file.

use std::fs;

use crate::folding::Folding;
use crate::world::World;

const REPLACING: [&str; 3] = ["always", "different", "newer"];

fn fill(world: &World, is_tree: bool) -> [String; 3] {
    ["a", "b", "c"].map(|folder| {
        let place = if is_tree { format!("{folder}/t") } else { folder.to_owned() };
        world.write(
            &format!("{place}/report"),
            format!("report of {folder}, {}", "x".repeat(folder.as_bytes()[0].into())),
        );
        world.modified(&format!("{place}/report"), 1_500_000_000 + u64::from(folder.as_bytes()[0]));
        if is_tree { place } else { format!("{place}/report") }
    })
}

#[test]
fn f81_sources_of_one_name_replace_one_another_in_no_move_and_no_copy() {
    for verb in ["mv", "cp"] {
        for how in REPLACING {
            for is_tree in [false, true] {
                for (is_remote, is_there) in [(false, false), (false, true), (true, false), (true, true)] {
                    let world = World::new();
                    let sources = fill(&world, is_tree);
                    let before = world.contents(".");
                    fs::create_dir_all(world.at("d")).unwrap();
                    if is_there {
                        let place = if is_tree { "d/t/report" } else { "d/report" };
                        world.write(place, "there before");
                        world.modified(place, 1_000_000_000);
                    }
                    let towd = world.serve("d");
                    let to = if is_remote { towd.target("") } else { "d/".to_owned() };
                    let [a, b, c] = &sources;
                    let told = world.tow(&[verb, "--overwrite", how, a, b, c, &to]);
                    let what =
                        format!("{verb} {how} tree {is_tree} remote {is_remote} there {is_there}: {told:?}");
                    assert_eq!(told.status.code(), Some(1), "{what}");
                    let mut all: Vec<_> =
                        ["a", "b", "c", "d"].iter().flat_map(|at| world.contents(at)).collect();
                    all.sort();
                    all.dedup();
                    for content in &before {
                        assert!(all.contains(content), "{what}: lost {content}");
                    }
                    assert_eq!(world.contents("d"), [before[0].clone()], "{what}: the first one arrives");
                    // The next command meets an ordinary conflict.
                    let again = world.tow(&[verb, "--overwrite", "always", b, &to]);
                    assert!(again.status.success(), "{what}: {again:?}");
                    assert_eq!(world.contents("d"), [before[1].clone()], "{what}");
                }
            }
        }
    }
}

#[test]
fn f81_sources_of_two_machines_with_one_name_replace_one_another_as_little() {
    let world = World::new();
    world.write("a/report", "the first");
    world.write("served/report", "the second one");
    fs::create_dir_all(world.at("d")).unwrap();
    let towd = world.serve("served");
    let told = world.tow(&["mv", "--overwrite", "always", "a/report", &towd.target("report"), "d/"]);
    assert_eq!(told.status.code(), Some(1), "{told:?}");
    assert_eq!(
        (world.read("d/report").as_deref(), world.read("served/report").as_deref()),
        (Some("the first"), Some("the second one"))
    );
}

#[test]
fn f81_where_case_does_not_count_names_that_differ_in_it_replace_one_another_as_little() {
    for options in [&[][..], &["spellings"]] {
        for how in REPLACING {
            for is_joined in [false, true] {
                let world = World::new();
                let Some(_folding) = Folding::mount(&world.at("m"), options) else { return };
                world.write("k/name", "the first one");
                world.write("k/NAME", "the second");
                world.write("k/Sub/x", "of the first folder");
                world.write("k/sub/x", "of the second folder, longer");
                world.modified("k/name", 1_600_000_000);
                world.modified("k/Sub/x", 1_600_000_000);
                let before = world.contents("k");
                if is_joined {
                    world.write("m/k/other", "there before");
                }
                let moved = world.tow(&["mv", "-T", "--overwrite", how, "k", "m/k"]);
                let what = format!("{options:?} {how} joined {is_joined}: {moved:?}");
                assert_eq!(moved.status.code(), Some(1), "{what}");
                let mut all = [world.contents("k"), world.contents("m")].concat();
                all.sort();
                for content in &before {
                    assert!(all.contains(content), "{what}: lost {content}: {all:?}");
                }
                // Two sources of which one has the other's name but for its case.
                world.write("x/Pic", "one pic");
                world.write("y/pic", "another pic");
                let moved = world.tow(&["mv", "--overwrite", how, "x/Pic", "y/pic", "m/"]);
                assert_eq!(moved.status.code(), Some(1), "{what}: {moved:?}");
                assert_eq!(
                    (world.read("m/pic").as_deref(), world.read("y/pic").as_deref()),
                    (Some("one pic"), Some("another pic")),
                    "{what}"
                );
            }
        }
    }
}

/// On a file system that tells them apart they are two files as any others.
#[test]
fn names_that_differ_in_case_are_replaced_where_they_are_two() {
    let world = World::new();
    for (name, content) in [("name", "first"), ("NAME", "the second")] {
        world.write(&format!("k/{name}"), content);
        world.write(&format!("d/k/{name}"), "old");
    }
    let moved = world.tow(&["mv", "--overwrite", "always", "k", "d/"]);
    assert!(moved.status.success(), "{moved:?}");
    assert_eq!(
        (world.read("d/k/name").as_deref(), world.read("d/k/NAME").as_deref()),
        (Some("first"), Some("the second"))
    );
    assert!(!world.at("k").exists());
}
