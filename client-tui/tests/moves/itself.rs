//! Destinations that are their source by another way: another spelling where case does not count, another mount.

use std::fs;

use crate::folding::Folding;
use crate::world::{Mounted, World, mount};

const OVERWRITES: [&str; 5] = ["never", "different", "always", "newer", "keep-both"];

/// Kinds of file systems that fold case.
const FOLDINGS: [&[&str]; 3] = [&[], &["spellings"], &["spellings", "plain-rename"]];

#[test]
fn f80_within_one_machine_another_spelling_of_a_name_is_given() {
    for options in FOLDINGS {
        let world = World::new();
        let Some(_folding) = Folding::mount(&world.at("m"), options) else { return };
        for how in OVERWRITES {
            let what = format!("{options:?} {how}");
            world.write("m/readme", "precious");
            world.write("m/Photos/a", "one");
            world.write("m/Photos/sub/b", "two");
            let moved = world.tow(&["mv", "--overwrite", how, "m/readme", "m/README"]);
            assert!(moved.status.success(), "{what}: {moved:?}");
            assert_eq!(world.names("m"), ["Photos", "README"], "{what}");
            let moved = world.tow(&["mv", "--overwrite", how, "m/Photos", "m/PHOTOS"]);
            assert!(moved.status.success(), "{what}: {moved:?}");
            assert_eq!(world.names("m"), ["PHOTOS", "README"], "{what}");
            let found = world.files("m");
            let expected = [("PHOTOS/a", "one"), ("PHOTOS/sub/b", "two"), ("README", "precious")];
            assert!(
                found.iter().map(|(at, content)| (at.as_str(), content.as_str())).eq(expected),
                "{what}: {found:?}"
            );
            for gone in ["m/README", "m/PHOTOS"] {
                let removed = world.tow(&["rm", "-r", "-y", gone]);
                assert!(removed.status.success(), "{what}: {removed:?}");
            }
        }
        // Within a server.
        let towd = world.serve("m");
        world.write("m/remote", "served");
        let moved = world.tow(&["mv", &towd.target("remote"), &towd.target("REMOTE")]);
        assert!(moved.status.success(), "{options:?}: {moved:?}");
        assert_eq!(world.names("m"), ["REMOTE"], "{options:?}: {moved:?}");
        assert_eq!(world.read("m/remote").as_deref(), Some("served"));
    }
}

#[test]
fn f80_by_two_links_no_other_spelling_takes_the_file_away() {
    for options in FOLDINGS {
        let world = World::new();
        let Some(_folding) = Folding::mount(&world.at("m"), options) else { return };
        let towd = world.serve("m");
        for how in OVERWRITES {
            world.write("m/readme", "precious");
            world.write("m/Photos/a", "one");
            world.write("m/Photos/sub/b", "two");
            for (from, to) in [("readme", "README"), ("Photos", "PHOTOS"), ("Photos/a", "photos/A")] {
                for is_up in [true, false] {
                    let (here, there) = (
                        format!("m/{}", if is_up { from } else { to }),
                        towd.target(if is_up { to } else { from }),
                    );
                    let words = if is_up { [&here, &there] } else { [&there, &here] };
                    let moved = world.tow(&["mv", "-T", "--overwrite", how, words[0], words[1]]);
                    let what = format!("{options:?} {how} {words:?}: {moved:?}");
                    assert_eq!(world.contents("m"), ["one", "precious", "two"], "{what}");
                    world.check_nothing_left("m", &what);
                    if how != "keep-both" {
                        assert!(!moved.status.success(), "{what}");
                    }
                }
            }
            for gone in world.names("m") {
                assert!(world.tow(&["rm", "-r", "-y", &format!("m/{gone}")]).status.success());
            }
        }
    }
}

/// Two hard links of one file, by names that differ in case only: refused, and both stay.
#[test]
fn f80_a_hard_link_whose_name_differs_in_case_only_is_the_same_file() {
    let check = |world: &World, here: [&str; 2], there: &[String; 2], what: &str| {
        for how in OVERWRITES {
            for (from, to) in
                [(here[0], here[1]), (here[0], &there[1]), (&there[0], here[1]), (&there[0], &there[1])]
            {
                let moved = world.tow(&["mv", "-T", "--overwrite", how, from, to]);
                let what = format!("{what} {how} {from} {to}: {moved:?}");
                assert_eq!(moved.status.code(), Some(1), "{what}");
                assert!(String::from_utf8_lossy(&moved.stderr).contains("onto or into itself"), "{what}");
                let read = here.map(|path| world.read(path));
                assert_eq!(read.each_ref().map(Option::as_deref), [Some("precious"); 2], "{what}");
                world.check_nothing_left("m", &what);
            }
        }
    };
    // Two names in one folder, where case counts.
    let world = World::new();
    world.write("m/readme", "precious");
    fs::hard_link(world.at("m/readme"), world.at("m/README")).unwrap();
    let towd = world.serve("m");
    check(&world, ["m/readme", "m/README"], &["readme", "README"].map(|path| towd.target(path)), "counts");
    // In two folders, where it does not: one finds the other by its own spelling.
    let world = World::new();
    let Some(_folding) = Folding::mount(&world.at("m"), &[]) else { return };
    world.write("m/a/readme", "precious");
    fs::create_dir(world.at("m/b")).unwrap();
    fs::hard_link(world.at("m/a/readme"), world.at("m/b/README")).unwrap();
    let towd = world.serve("m");
    let there = ["a/readme", "b/readme"].map(|path| towd.target(path));
    check(&world, ["m/a/readme", "m/b/readme"], &there, "does not count");
    assert_eq!(world.names("m/b"), ["README"]);
}

/// `tree` and `tree` by another way, in folders `one` and `two`; none where that cannot be mounted.
fn twice(world: &World, how: &str) -> Option<(Mounted, [&'static str; 2])> {
    let at = |path: &str| world.at(path).to_str().unwrap().to_owned();
    if how == "bindfs" {
        fs::create_dir_all(world.at("m/one")).unwrap();
        return mount(&["bindfs", &at("m/one")], &world.at("m/two"))
            .map(|mounted| (mounted, ["m/one", "m/two"]));
    }
    for folder in ["m/lower", "m/one", "m/work"] {
        fs::create_dir_all(world.at(folder)).unwrap();
    }
    let options = format!("lowerdir={},upperdir={},workdir={}", at("m/lower"), at("m/one"), at("m/work"));
    let words = ["mount", "-t", "overlay", "overlay", "-o", &options];
    mount(&words, &world.at("m/two")).map(|mounted| (mounted, ["m/one", "m/two"]))
}

#[test]
fn f80_by_two_mounts_no_move_onto_itself_takes_the_file_away() {
    for how_mounted in ["bindfs", "overlay"] {
        for how in ["never", "different", "always"] {
            for is_turned in [false, true] {
                for by in ["one link", "up", "down"] {
                    let world = World::new();
                    let Some((_mounted, [one, two])) = twice(&world, how_mounted) else { break };
                    let (from, to) = if is_turned { (two, one) } else { (one, two) };
                    let towd = world.serve("m");
                    world.write(&format!("{one}/file"), "precious");
                    world.write(&format!("{one}/tree/a"), "one");
                    world.write(&format!("{one}/tree/sub/b"), "two");
                    // Its cached attributes must not be trusted.
                    assert_eq!(world.contents(two).len(), 3, "{how_mounted}");
                    for name in ["file", "tree", "tree/sub/b"] {
                        let (here, there) = (format!("{from}/{name}"), format!("{to}/{name}"));
                        let target = |path: &str| towd.target(path.strip_prefix("m/").unwrap());
                        let words = match by {
                            "one link" => [here, there],
                            "up" => [here, target(&there)],
                            _ => [target(&here), there],
                        };
                        let moved = world.tow(&["mv", "-T", "--overwrite", how, &words[0], &words[1]]);
                        let what = format!("{how_mounted} {how} {by} {words:?}: {moved:?}");
                        assert_eq!(world.contents(one), ["one", "precious", "two"], "{what}");
                        world.check_nothing_left(one, &what);
                        assert!(!moved.status.success(), "{what}");
                    }
                }
            }
        }
    }
}
