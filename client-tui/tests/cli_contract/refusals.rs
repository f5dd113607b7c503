//! Refusals name the path that they are about, and errors say what was wrong and what is right.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::process::Output;

use crate::stage::{Scene, Stage, told};
use crate::towd::Towd;

/// An ordinary user, whom permission bits hold back.
const NOBODY: u32 = 65_534;

fn run(scene: &Scene, typed: &[&str]) -> Output {
    scene.tow(typed).output().unwrap()
}

#[test]
fn what_a_server_does_not_allow_is_refused_with_the_path() {
    let stage = Stage::new();
    let scene = stage.scene("read only");
    let state = tempfile::tempdir().unwrap();
    let towd = Towd::start(&scene.at("S"), state.path(), &["--read-only"]);
    let there = |path: &str| towd.target(path);
    for (typed, named, exit) in [
        (vec!["put", "new.txt", &there("new")], there("new"), 5),
        (vec!["put", "new.txt", "tree", &there("docs/")], there("docs/new.txt"), 5),
        (vec!["mv", &there("a.txt"), "moved"], there("a.txt"), 5),
        (vec!["mkdir", &there("made")], there("made"), 5),
        (vec!["rm", "-y", &there("a.txt")], there("a.txt"), 5),
    ] {
        let output = run(&scene, &typed);
        assert_eq!(output.status.code(), Some(exit), "{typed:?}: {}", told(&output));
        let told = told(&output);
        assert!(told.contains(&format!("tow: {named}: read-only")), "{typed:?}: {told}");
    }
    assert!(scene.at("S/a.txt").exists() && !scene.at("S/new").exists());
}

#[test]
fn a_move_out_of_a_folder_that_takes_no_changes_names_that_folder() {
    if !rustix::process::geteuid().is_root() {
        crate::skip::skip("needs root, to be another user");
        return;
    }
    let stage = Stage::new();
    let scene = stage.scene("shut");
    for (folder, mode) in [("L/shut", 0o555), ("L/open", 0o755)] {
        fs::create_dir(scene.at(folder)).unwrap();
        fs::write(scene.at(&format!("{folder}/file")), folder).unwrap();
        fs::set_permissions(scene.at(folder), fs::Permissions::from_mode(mode)).unwrap();
        chown(scene.at(folder), Some(NOBODY), None).unwrap();
    }
    let as_nobody = |typed: &[&str]| {
        let mut tow = scene.tow(typed);
        tow.uid(NOBODY).gid(NOBODY).env("TOW_STATE_DIR", scene.at("L/open/state"));
        tow.output()
    };
    let Ok(output) = as_nobody(&["mv", "shut/file", "open/moved"]) else {
        crate::skip::skip("another user may not run this program");
        return;
    };
    let said = told(&output);
    assert_eq!(output.status.code(), Some(5), "{said}");
    let shut = scene.at("L/shut").canonicalize().unwrap();
    assert!(
        said.contains(&format!("tow: {}: permission denied (nothing can be moved", shut.display())),
        "{said}"
    );
    assert!(scene.at("L/shut/file").exists() && !scene.at("L/open/moved").exists());
    // The other way round it is the destination.
    let said = told(&as_nobody(&["mv", "open/file", "shut/moved"]).unwrap());
    assert!(
        said.contains("shut/moved: permission denied") && !said.contains("nothing can be moved"),
        "{said}"
    );
}

#[test]
fn what_failed_below_an_operand_is_named_with_its_whole_path() {
    if !rustix::process::geteuid().is_root() {
        crate::skip::skip("needs root, to be another user");
        return;
    }
    let stage = Stage::new();
    let scene = stage.scene("whole");
    // What can be removed is, and what cannot be is named.
    fs::create_dir_all(scene.at("L/tree/inner/shut")).unwrap();
    fs::write(scene.at("L/tree/inner/shut/file"), "").unwrap();
    fs::write(scene.at("L/tree/inner/goes"), "").unwrap();
    let shut = scene.at("L/tree/inner/shut").canonicalize().unwrap();
    fs::set_permissions(&shut, fs::Permissions::from_mode(0o000)).unwrap();
    for folder in ["L/tree", "L/tree/inner"] {
        chown(scene.at(folder), Some(NOBODY), None).unwrap();
    }
    for typed in [&["size", "tree/inner"][..], &["rm", "-r", "-y", "tree/inner"]] {
        let mut tow = scene.tow(typed);
        let Ok(output) = tow.uid(NOBODY).gid(NOBODY).output() else {
            crate::skip::skip("another user may not run this program");
            return;
        };
        let said = told(&output);
        assert!(said.contains(&format!("tow: {}: permission denied", shut.display())), "{typed:?}: {said}");
    }
    assert!(!scene.at("L/tree/inner/goes").exists());
}

#[test]
fn words_that_are_wrong_are_told_what_would_be_right() {
    let stage = Stage::new();
    let scene = stage.scene("words");
    for (typed, told_so) in [
        (&["get"][..], "tow: get: SOURCE… DEST missing; write tow get SOURCE… DEST"),
        (&["mv"], "tow: mv: SOURCE… DEST missing; write tow mv SOURCE… DEST"),
        (&["rm"], "tow: rm: TARGET… missing; write tow rm TARGET…"),
        (&["forget"], "tow: forget: HOST… missing; write tow forget HOST…"),
        (&["copy", "a.txt", "b"], "did you mean 'tow cp'?"),
        (&["mkdir", "none/such"], "none/such: no such file or folder; -p makes the folders above too"),
        (&["put", "--overwrite", "maybe", "a", "b"], "[possible values: ask, never, always"),
    ] {
        let said = told(&run(&scene, typed));
        assert!(said.contains(told_so), "{typed:?}: {said}");
        assert!(!said.contains("OPERAND"), "{typed:?}: {said}");
    }
    let said = told(&run(&scene, &["quit"]));
    assert!(!said.contains("did you mean"), "{said}");
}
