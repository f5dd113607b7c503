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

/// A source that is kept beside another one takes a name that a further source has, and the other way round: in each order.
#[test]
fn f81_the_name_that_is_given_to_keep_both_replaces_nothing_and_is_replaced_by_nothing() {
    let sources = ["a/x.txt", "b/x.txt", "c/x (2).txt", "c/x (3).txt"];
    for verb in ["mv", "cp"] {
        for (is_remote, is_there) in [(false, false), (false, true), (true, false), (true, true)] {
            for order in [[0, 1, 2, 3], [2, 0, 1, 3], [3, 2, 1, 0], [0, 2, 3, 1]] {
                let world = World::new();
                for (index, source) in sources.iter().enumerate() {
                    world.write(source, "x".repeat(index + 1));
                    world.modified(source, 1_500_000_000 + index as u64);
                }
                fs::create_dir_all(world.at("d")).unwrap();
                let mut before: Vec<_> = (1..=4).map(|length| "x".repeat(length)).collect();
                if is_there {
                    world.write("d/x.txt", "there before");
                    world.write("d/X (2).txt", "another there before");
                    before.extend(["there before".to_owned(), "another there before".to_owned()]);
                }
                let towd = world.serve("d");
                let to = if is_remote { towd.target("") } else { "d/".to_owned() };
                let [one, two, three, four] = order.map(|index: usize| sources[index]);
                let told = world.tow(&[verb, "--overwrite", "keep-both", one, two, three, four, &to]);
                let what = format!("{verb} {order:?} remote {is_remote} there {is_there}: {told:?}");
                assert!(told.status.success(), "{what}");
                before.sort();
                let mut after: Vec<_> = world.files("d").into_values().collect();
                after.sort();
                assert_eq!(after, before, "{what}: {:?}", world.files("d").keys());
            }
        }
    }
}

/// Where case does not count, the name that is given to keep both is another one in every spelling.
#[test]
fn f81_where_case_does_not_count_the_name_to_keep_both_is_free_in_every_spelling() {
    for options in [&[][..], &["spellings"]] {
        for verb in ["mv", "cp"] {
            let world = World::new();
            let Some(_folding) = Folding::mount(&world.at("m"), options) else { return };
            world.write("m/Name", "there before");
            world.write("m/NAME (2)", "another there before");
            for (source, content) in [("a/name", "one"), ("b/NAME", "two"), ("c/name (3)", "three")] {
                world.write(source, content);
            }
            let told = world.tow(&[verb, "--overwrite", "keep-both", "a/name", "b/NAME", "c/name (3)", "m/"]);
            let what = format!("{options:?} {verb}: {told:?}");
            assert!(told.status.success(), "{what}");
            let expected = ["another there before", "one", "there before", "three", "two"];
            assert_eq!(world.contents("m"), expected, "{what}: {:?}", world.names("m"));
        }
    }
}
