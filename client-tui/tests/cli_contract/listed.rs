//! `--files-from`: only what a list names is copied, whatever gives the list.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::{Output, Stdio};

use crate::stage::{Scene, Stage, told};

const TIME: u64 = 1_767_323_045;

/// Runs `tow` with that on its standard input.
fn fed(scene: &Scene, typed: &[&str], input: &[u8]) -> Output {
    let mut tow = scene.tow(typed).stdin(Stdio::piped()).spawn().unwrap();
    // A program that refuses its command line reads nothing.
    let _ = tow.stdin.take().unwrap().write_all(input);
    tow.wait_with_output().unwrap()
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Paths of files and folders below a folder, sorted; folders end in a slash.
fn below(scene: &Scene, folder: &str) -> Vec<String> {
    fn walk(folder: &std::path::Path, at: &str, all: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let path = format!("{at}{}", entry.file_name().to_string_lossy());
            if entry.file_type().unwrap().is_dir() {
                all.push(format!("{path}/"));
                walk(&entry.path(), &format!("{path}/"), all);
            } else {
                all.push(path);
            }
        }
    }
    let mut all = Vec::new();
    walk(&scene.at(folder), "", &mut all);
    all.sort();
    all
}

/// A tree with more than a list names: in folders beside, and with names that sort around a slash.
fn grow(scene: &Scene) {
    for path in ["in/a", "in/b", "in/deep/c", "in/deep/d", "whole/e", "whole/f/g", "in-", "in0", "other/h"] {
        scene.write(&format!("local/big/{path}"), path, TIME);
    }
    fs::set_permissions(scene.at("L/big/in"), fs::Permissions::from_mode(0o750)).unwrap();
}

const NAMED: [&str; 9] =
    ["in/", "in/a", "in/deep/", "in/deep/c", "in0", "whole/", "whole/e", "whole/f/", "whole/f/g"];

#[test]
fn only_what_a_list_names_is_copied_from_a_file_or_from_standard_input() {
    let stage = Stage::new();
    for (number, (source, there, list)) in [
        ("big", "S/empty/big", &b"in/a\nwhole\nin/deep/c\nin0\n"[..]),
        ("big/.", "S/empty", b"./in/a\r\n./whole/\r\n\r\nin/deep/c\r\nin0"),
        ("big", "S/empty/big", b"in/a\0./whole/\0in//deep/c\0in0\0"),
    ]
    .into_iter()
    .enumerate()
    {
        for is_fed in [true, false] {
            let scene = stage.scene(&format!("{number} {is_fed}"));
            grow(&scene);
            fs::write(scene.at("L/list"), list).unwrap();
            let from = if is_fed { "-" } else { "list" };
            let output = fed(&scene, &["put", "--files-from", from, source, "{S}/empty"], list);
            assert_eq!(output.status.code(), Some(0), "{}", told(&output));
            assert!(String::from_utf8_lossy(&output.stdout).starts_with("5 files, "), "{}", told(&output));
            assert_eq!(below(&scene, there), NAMED, "{source} {from}");
            let mode = fs::metadata(scene.at(&format!("{there}/in"))).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o750, "a folder on the way is as it was");
        }
    }
}

#[test]
fn missing_names_are_told_and_everything_else_arrives() {
    let stage = Stage::new();
    for (number, (word, source)) in [("put", "big"), ("cp", "big/."), ("mv", "big")].into_iter().enumerate() {
        let scene = stage.scene(&number.to_string());
        grow(&scene);
        let typed = [word, "--json", "--files-from", "-", source, "{S}/empty"];
        let output = fed(&scene, &typed, b"no such\nin/a\nin/a/below\nlost/folder/x\n");
        assert_eq!(output.status.code(), Some(1), "{}", told(&output));
        let (errors, there) = (errors(&output), if source == "big" { "S/empty/big" } else { "S/empty" });
        for missing in ["no such", "in/a/below", "lost/folder/x"] {
            assert_eq!(
                errors.matches(&format!("big/{missing}: ")).count(),
                1,
                "{missing}\n{}",
                told(&output)
            );
        }
        assert!(String::from_utf8_lossy(&output.stdout).contains("\"failed\":3"), "{}", told(&output));
        assert_eq!(below(&scene, there), ["in/", "in/a"]);
    }
}

#[test]
fn each_of_several_sources_has_the_names_and_a_file_is_none() {
    let stage = Stage::new();
    let scene = stage.scene("several");
    for path in ["one/x", "one/y", "two/x", "two/z"] {
        scene.write(&format!("local/{path}"), path, TIME);
    }
    let output = fed(&scene, &["put", "--files-from", "-", "one", "two", "{S}/empty"], b"x\nz\n");
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    assert!(errors(&output).contains("one/z: ") && !errors(&output).contains("two/z"), "{}", told(&output));
    assert_eq!(below(&scene, "S/empty"), ["one/", "one/x", "two/", "two/x", "two/z"]);
    let output = fed(&scene, &["put", "--files-from", "-", "new.txt", "{S}/empty"], b"x\n");
    assert_ne!(output.status.code(), Some(0));
    assert!(errors(&output).contains("--files-from names what is in a folder"), "{}", told(&output));
    assert!(!scene.at("S/empty/new.txt").exists());
}

#[test]
fn names_that_lead_out_are_refused_with_their_line_before_anything_is_done() {
    let stage = Stage::new();
    for (number, (list, says)) in [
        (&b"x\n/etc/passwd\n"[..], "--files-from -:2: /etc/passwd: an absolute name"),
        (b"x\n\ny/../../new.txt\n", "--files-from -:3: y/../../new.txt: "),
        (b"x\0..\0", "--files-from -:2: ..: "),
    ]
    .into_iter()
    .enumerate()
    {
        let scene = stage.scene(&number.to_string());
        let output = fed(&scene, &["put", "--files-from", "-", "tree", "{S}/empty"], list);
        assert_eq!(output.status.code(), Some(2), "{}", told(&output));
        assert!(errors(&output).starts_with(&format!("tow: {says}")), "{}", told(&output));
        assert!(below(&scene, "S/empty").is_empty());
    }
    let scene = stage.scene("no list");
    let output = fed(&scene, &["put", "--files-from", "no such list", "tree", "{S}/empty"], b"");
    assert_eq!(output.status.code(), Some(2), "{}", told(&output));
    assert!(errors(&output).starts_with("tow: --files-from no such list: "), "{}", told(&output));
}

#[test]
fn a_move_takes_what_is_named_and_leaves_the_folders_above_it() {
    let stage = Stage::new();
    let scene = stage.scene("move");
    for path in ["in/only", "whole/e", "stays"] {
        scene.write(&format!("local/big/{path}"), path, TIME);
    }
    // Within one machine too, where a whole folder would be renamed.
    for destination in ["{S}/empty", "empty"] {
        fs::create_dir_all(scene.at("L/empty")).unwrap();
        for path in ["in/only", "whole/e"] {
            scene.write(&format!("local/big/{path}"), path, TIME);
        }
        let output = fed(&scene, &["mv", "--files-from", "-", "big", destination], b"in/only\nwhole\n");
        assert_eq!(output.status.code(), Some(0), "{}", told(&output));
        let there = if destination == "empty" { "L/empty/big" } else { "S/empty/big" };
        assert_eq!(below(&scene, there), ["in/", "in/only", "whole/", "whole/e"]);
        assert_eq!(below(&scene, "L/big"), ["in/", "stays"]);
    }
}

#[test]
fn what_is_behind_a_link_is_copied_with_follow_and_else_told() {
    let stage = Stage::new();
    for follows in [true, false] {
        let scene = stage.scene(&format!("link {follows}"));
        scene.write("local/big/real/a", "a", TIME);
        scene.write("local/big/real/b", "b", TIME);
        symlink("real", scene.at("L/big/link")).unwrap();
        symlink("real/b", scene.at("L/big/file")).unwrap();
        let follow = if follows { "--follow" } else { "--no-sync" };
        let typed = ["put", follow, "--files-from", "-", "big", "{S}/empty"];
        let output = fed(&scene, &typed, b"link/a\n");
        assert_eq!(output.status.code(), Some(i32::from(!follows)), "{}", told(&output));
        let expected: &[&str] = if follows { &["link/", "link/a"] } else { &[] };
        assert_eq!(below(&scene, "S/empty/big"), expected);
        assert_eq!(errors(&output).contains("big/link/a: "), !follows, "{}", told(&output));
    }
}

#[test]
fn patterns_leave_out_of_a_list_and_an_empty_list_copies_nothing() {
    let stage = Stage::new();
    let scene = stage.scene("patterns");
    grow(&scene);
    let typed = ["put", "--exclude", "/whole/e", "--files-from", "-", "big", "{S}/empty"];
    let output = fed(&scene, &typed, b"whole\nin/a\n");
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    assert_eq!(below(&scene, "S/empty/big"), ["in/", "in/a", "whole/", "whole/f/", "whole/f/g"]);
    let output = fed(&scene, &["put", "--files-from", "-", "big", "{S}/docs/none"], b"");
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    assert!(!scene.at("S/docs/none").exists());
    // Only told, and nothing changed.
    let output = fed(&scene, &["put", "-n", "--files-from", "-", "big", "{S}/docs/"], b"in/b\n");
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("would copy 1 file"), "{}", told(&output));
    assert!(!scene.at("S/docs/big").exists());
}
