//! Folders that cannot be read to their end: what can be read arrives, is shown, counted or removed, and the folder is named.

use std::fs;
use std::process::Output;

use super::folding::Folding;
use super::towd::Towd;
use super::{Stage, errors, told};

/// Entries that the file system tells of a folder before reading it fails.
const TOLD: usize = 3;

/// A tree with two folders that cannot be read to their end, one of them in the middle of it, and others behind them.
fn planted(torn: &str) -> Option<(Stage, Folding)> {
    let stage = Stage::new();
    let folding = Folding::mount(&stage.at("m"), &[torn])?;
    for index in 0..6 {
        stage.write(&format!("m/from/torn/{index}"), "torn");
        stage.write(&format!("m/from/a/deep/{index}"), "deep");
    }
    for path in ["from/z/good", "from/z/y/good"] {
        stage.write(&format!("m/{path}"), "good");
    }
    fs::create_dir(stage.at("to")).unwrap();
    Some((stage, folding))
}

fn count(stage: &Stage, path: &str) -> usize {
    fs::read_dir(stage.at(path)).map_or(0, Iterator::count)
}

#[track_caller]
fn check_named(output: &Output, what: &[&str]) {
    assert_eq!(output.status.code(), Some(1), "{}", told(output));
    let said = errors(output);
    for what in what {
        assert!(said.contains(what), "{what}: {said}");
    }
}

#[test]
fn what_can_be_read_of_a_folder_arrives_and_the_walk_goes_on_behind_it() {
    let Some((stage, _folding)) = planted("torn") else { return };
    let served = stage.at("served");
    fs::create_dir(&served).unwrap();
    let towd = Towd::start(&served, &stage.at("state of towd"), &[]);
    let far = towd.target("put");
    // By the service alone, by a walk, over a line.
    for (words, to) in [
        (vec!["cp", "m/from", "to/alone"], "to/alone"),
        (vec!["cp", "--exclude", "no such name", "m/from", "to/walked"], "to/walked"),
        (vec!["put", "m/from", &far], "served/put"),
    ] {
        let output = stage.tow(&words);
        check_named(&output, &["from/torn", "from/a/deep"]);
        for (path, files) in [("torn", TOLD), ("a/deep", TOLD), ("z", 2), ("z/y", 1)] {
            assert_eq!(count(&stage, &format!("{to}/{path}")), files, "{to}/{path}: {}", told(&output));
        }
    }
    let excluded = stage.tow(&["cp", "--exclude", "torn/", "--exclude", "/a/deep", "m/from", "to/excluded"]);
    assert_eq!(excluded.status.code(), Some(0), "what is excluded need not be read: {}", told(&excluded));
    // The root of what is served cannot be read to its end itself.
    let towd = Towd::start(&stage.at("m/from/torn"), &stage.at("state of another"), &[]);
    let (root, content) = (towd.target(""), "m/from/torn/.");
    for (from, to) in [(&*root, "to/root"), (content, "to/content")] {
        fs::create_dir(stage.at(to)).unwrap();
        let output = stage.tow(&["cp", "--json", "-T", from, to]);
        assert_eq!(output.status.code(), Some(1), "{from}: {}", told(&output));
        assert_eq!(count(&stage, to), TOLD, "{from}: {}", told(&output));
        assert_eq!(super::done(&output)["failed"], 1, "{from}: {}", told(&output));
    }
    // A move takes along what it saw, and nothing that it did not.
    let moved = stage.tow(&["mv", "m/from/torn", "to/moved"]);
    check_named(&moved, &["from/torn"]);
    assert_eq!((count(&stage, "to/moved"), count(&stage, "m/from/torn")), (TOLD, TOLD), "{}", told(&moved));
}

#[test]
fn what_can_be_read_of_a_folder_is_shown_counted_and_removed() {
    let Some((stage, _folding)) = planted("torn") else { return };
    let listed = stage.tow(&["ls", "m/from/torn"]);
    check_named(&listed, &["m/from/torn"]);
    assert_eq!(String::from_utf8_lossy(&listed.stdout).lines().count(), TOLD, "{}", told(&listed));
    let size = stage.tow(&["size", "--json", "m/from"]);
    check_named(&size, &["from/torn", "from/a/deep"]);
    let bytes = 4 * (2 * TOLD + 2);
    assert!(String::from_utf8_lossy(&size.stdout).contains(&format!("\"bytes\":{bytes}")), "{}", told(&size));
    let removed = stage.tow(&["rm", "-r", "-y", "m/from"]);
    check_named(&removed, &["from/torn", "from/a/deep"]);
    assert!(!stage.at("m/from/z").exists(), "{}", told(&removed));
    assert_eq!((count(&stage, "m/from/torn"), count(&stage, "m/from/a/deep")), (TOLD, TOLD));
    // The rest can be read.
    let removed = stage.tow(&["rm", "-r", "-y", "m/from"]);
    assert_eq!(removed.status.code(), Some(0), "{}", told(&removed));
}

#[test]
fn a_name_that_is_longer_than_any_that_can_be_said_is_left_out_and_its_folder_named() {
    let Some((stage, _folding)) = planted("") else { return };
    stage.write(&format!("m/from/z/{}", "n".repeat(300)), "long");
    let towd = Towd::start(&stage.at("m"), &stage.at("state of towd"), &[]);
    let far = towd.target("from");
    for (words, to) in [
        (vec!["cp", "m/from", "to/alone"], "to/alone"),
        (vec!["cp", "--exclude", "no such name", "m/from", "to/walked"], "to/walked"),
        (vec!["get", &far, "to/got"], "to/got"),
    ] {
        let output = stage.tow(&words);
        check_named(&output, &["from/z"]);
        for (path, files) in [("torn", 6), ("a/deep", 6), ("z", 2), ("z/y", 1)] {
            assert_eq!(count(&stage, &format!("{to}/{path}")), files, "{to}/{path}: {}", told(&output));
        }
    }
    for words in [["ls", "m/from/z"], ["size", "m/from"]] {
        check_named(&stage.tow(&words), &["from/z"]);
    }
    let removed = stage.tow(&["rm", "-r", "-y", "m/from"]);
    check_named(&removed, &["from/z"]);
    assert_eq!((count(&stage, "m/from"), count(&stage, "m/from/z")), (1, 1), "{}", told(&removed));
}
