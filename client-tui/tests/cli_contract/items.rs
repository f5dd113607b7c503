//! Output of transfers: folders made, verification, rates, skipped items, and reasons in JSON.

use std::fs;
use std::os::unix::net::UnixListener;

use rustix::fs::{CWD, FileType, Mode, makedev, mkfifoat, mknodat};
use serde_json::Value;

use crate::stage::{ANYTHING, ROW, Row, Scene, Stage, told};

const FOLDERS: &[Row] = &[
    Row {
        promise: "cp makes no folder",
        typed: &["cp", "new.txt", "nodir/"],
        exit: 4,
        out: ANYTHING,
        err: &["tow: {L}nodir: no such file or folder (make it first: tow mkdir -p)"],
        after: &[("L/nodir", None)],
        ..ROW
    },
    Row {
        promise: "nor above a new name",
        typed: &["cp", "tree", "{S}/no/such/name"],
        exit: 4,
        out: ANYTHING,
        err: &["tow: {S}/no/such: no such file or folder"],
        after: &[("S/no", None)],
        ..ROW
    },
    Row {
        promise: "nor does mv, which leaves its source",
        typed: &["mv", "new.txt", "a.txt", "{S}/nodir/"],
        exit: 1,
        out: ANYTHING,
        err: &["tow: {S}/nodir: no such file or folder"],
        after: &[("S/nodir", None), ("L/new.txt", Some("newer")), ("L/a.txt", Some("aa"))],
        ..ROW
    },
    Row {
        promise: "a plan of cp says the same",
        typed: &["cp", "-n", "new.txt", "nodir/"],
        exit: 4,
        out: &["fail       {L}nodir  (no such file or folder"],
        err: &["tow: {L}nodir: no such file or folder"],
        ..ROW
    },
    Row {
        promise: "a new name in a folder that is there is one",
        typed: &["cp", "tree", "copy"],
        out: &["2 files"],
        after: &[("L/copy/x", Some("x of local"))],
        ..ROW
    },
    Row {
        promise: "--quiet makes it without a word",
        typed: &["put", "-q", "new.txt", "{S}/made/"],
        after: &[("S/made/new.txt", Some("newer"))],
        ..ROW
    },
    Row {
        promise: "a folder that was there is not said to be made",
        typed: &["put", "new.txt", "{S}/empty/"],
        out: &["1 file"],
        after: &[("S/empty/new.txt", Some("newer"))],
        ..ROW
    },
    Row {
        promise: "a program has an object",
        typed: &["get", "--json", "{S}/a.txt", "made/"],
        out: &["{\"event\":\"created\",\"path\":\"{L}made\"}\n", "\"event\":\"done\""],
        err: &["tow: created ./made\n"],
        ..ROW
    },
];

#[test]
fn folders_are_made_where_that_was_promised_and_it_is_said() {
    Stage::check(FOLDERS);
}

/// Runs `tow`; its exit code, what it said on standard output, and on standard error.
fn run(scene: &Scene, words: &[&str]) -> (Option<i32>, String, String) {
    let output = scene.tow(words).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// The object of the whole, and those of the things.
fn objects(out: &str) -> (Value, Vec<Value>) {
    let mut all: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (all.pop().unwrap(), all)
}

#[test]
fn verified_is_said_only_of_what_was() {
    let stage = Stage::new();
    let scene = stage.scene("verified");
    // Data that crosses is hashed on both sides; copies within one machine are not.
    for (words, said, is_whole) in [
        (&["put", "tree", "{S}/up"][..], ", verified", true),
        (&["get", "{S}/docs", "down"], ", verified", true),
        (&["cp", "tree", "copy"], "", false),
        (&["cp", "{S}/docs", "{S}/copy"], "", false),
        (&["mv", "copy", "moved"], "", false),
        (&["mv", "-T", "moved/x", "x"], "", false),
        (&["cp", "--checksum", "-T", "tree", "moved"], ", 1 unchanged", false),
        (&["mv", "x", "{S}/x"], ", verified", true),
        (&["put", "--checksum", "-T", "tree", "{S}/up"], ", verified, 2 unchanged", true),
        (&["put", "-T", "tree", "{S}/up"], ", 2 unchanged", false),
    ] {
        let (exit, out, err) = run(&scene, words);
        assert_eq!(exit, Some(0), "{words:?}: {out}{err}");
        let end = out.rsplit_once("B/s").unwrap().1;
        assert_eq!(end, format!("{said}\n"), "{words:?}: {out}");
        // The same again, told to a program; first without what is there.
        let _ = fs::remove_dir_all(scene.at("S/json"));
        if words.len() == 3 && words[0] != "mv" {
            let to = if words[2].starts_with("{S}") { "{S}/json" } else { "json" };
            let _ = fs::remove_dir_all(scene.at("L/json"));
            let (_, out, _) = run(&scene, &[words[0], "--json", words[1], to]);
            assert_eq!(objects(&out).0["verified"], is_whole, "{words:?}: {out}");
        }
    }
}

#[test]
fn the_rate_is_of_what_moved_and_not_of_what_was_there_or_only_renamed() {
    let stage = Stage::new();
    let scene = stage.scene("rate");
    let large = vec![7; 9_000_000];
    scene.write("local/large", &large, 1_000_000_000);
    // By its name alone.
    let (exit, out, err) = run(&scene, &["mv", "large", "renamed"]);
    assert_eq!(exit, Some(0), "{out}{err}");
    assert!(out.starts_with("1 file, 9.00 MB (9000000 bytes), ") && out.ends_with(" s, 0 B/s\n"), "{out}");
    let (_, out, _) = run(&scene, &["mv", "--json", "renamed", "large"]);
    let (done, _) = objects(&out);
    assert_eq!((&done["bytes"], &done["moved"]), (&9_000_000.into(), &0.into()), "{out}");
    // Where blocks of it are there already.
    assert_eq!(run(&scene, &["put", "large", "{S}/"]).0, Some(0));
    let mut changed = large;
    changed[0] = 8;
    scene.write("local/large", &changed, 1_000_000_001);
    let (exit, out, err) = run(&scene, &["put", "--json", "--overwrite", "always", "large", "{S}/"]);
    assert_eq!(exit, Some(0), "{out}{err}");
    let (done, _) = objects(&out);
    let (saved, moved) = (done["saved"].as_u64().unwrap(), done["moved"].as_u64().unwrap());
    assert!(saved > 7_000_000 && moved == 9_000_000 - saved, "{out}");
}

#[test]
fn what_is_no_file_makes_the_exit_code_1_unless_that_was_said_to_be_all_right() {
    let stage = Stage::new();
    let scene = stage.scene("special");
    let tree = scene.at("L/tree");
    mkfifoat(CWD, tree.join("fifo"), Mode::from_raw_mode(0o644)).unwrap();
    let _socket = UnixListener::bind(tree.join("socket")).unwrap();
    let is_device =
        mknodat(CWD, tree.join("device"), FileType::CharacterDevice, Mode::RWXU, makedev(1, 3)).is_ok();
    let names = if is_device { &["device", "fifo", "socket"][..] } else { &["fifo", "socket"] };
    let special = names.len();
    for (words, arrived) in [
        (["put", "tree", "{S}/up"], "S/up/x"),
        (["cp", "tree", "copy"], "L/copy/x"),
        (["put", "tree/fifo", "{S}/alone"], "S/empty"),
    ] {
        let count = if words[1] == "tree" { special } else { 1 };
        for (flags, exit) in
            [(&[][..], 1), (&["--skip-special"], 0), (&["-n"], 1), (&["-n", "--skip-special"], 0)]
        {
            let _ = fs::remove_dir_all(scene.at("S/up"));
            let _ = fs::remove_dir_all(scene.at("L/copy"));
            let (code, out, err) = run(&scene, &[&words[..1], flags, &words[1..]].concat());
            assert_eq!(code, Some(exit), "{words:?} {flags:?}: {out}{err}");
            let end =
                if exit == 0 { format!("{count} special left out") } else { format!("{count} skipped") };
            assert!(out.contains(&end), "{words:?} {flags:?}: {out}");
            if !flags.contains(&"-n") {
                assert!(scene.at(arrived).exists(), "{words:?}");
                assert_eq!(err.matches("not a regular file").count(), count, "{words:?} {flags:?}: {err}");
                let (code, out, _) = run(&scene, &[&words[..1], &["--json"], flags, &words[1..]].concat());
                let (done, things) = objects(&out);
                let told: Vec<_> = things.iter().filter(|thing| thing["event"] == "skipped").collect();
                assert_eq!((code, told.len()), (Some(exit), count), "{words:?} {flags:?}: {out}");
                for thing in told {
                    let path = thing["path"].as_str().unwrap();
                    assert!(names.iter().any(|name| path.ends_with(name)), "{thing}");
                    assert!(thing["reason"].as_str().unwrap().contains("not a regular file"), "{thing}");
                }
                let (skipped, left_out) = if exit == 0 { (0, count) } else { (count, 0) };
                assert_eq!(
                    (&done["skipped"], &done["special"]),
                    (&skipped.into(), &left_out.into()),
                    "{out}"
                );
            }
        }
    }
    // A move leaves them, and their folder, where they are. Nothing else counts as special.
    fs::remove_dir_all(scene.at("L/copy")).unwrap_or_default();
    let (code, out, err) = run(&scene, &["mv", "--skip-special", "tree", "{S}/moved"]);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(tree.join("fifo").exists() && !tree.join("x").exists() && scene.at("S/moved/x").exists());
    scene.write("local/docs/b", "another", 1);
    let (code, out, err) = run(&scene, &["put", "--skip-special", "-T", "docs", "{S}/docs"]);
    assert_eq!(code, Some(1), "{out}{err}");
}

#[test]
fn a_program_has_an_object_for_each_thing_that_failed_or_was_skipped() {
    let stage = Stage::new();
    let scene = stage.scene("objects");
    scene.write("local/docs/b", "another", 1);
    scene.write("local/docs/new", "new", 1);
    let object = |out: &str, event: &str| -> Vec<(String, String)> {
        let all: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let of = all.iter().filter(|object| object["event"] == event);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        of.map(|object| (text(&object["path"]), text(&object["reason"]))).collect()
    };
    for (words, exit, event, paths) in [
        (&["put", "--json", "-T", "docs", "{S}/docs"][..], 1, "skipped", &["{S}/docs/b"][..]),
        (&["get", "--json", "{S}/nope", "."], 4, "failed", &["{S}/nope"]),
        (&["put", "--json", "a.txt", "nope", "{S}/"], 1, "failed", &["nope"]),
        (&["cp", "--json", "a.txt", "no/such/name"], 4, "failed", &["{L}no/such"]),
        (
            &["put", "--json", "-T", "--overwrite", "always", "new.txt", "{S}/docs"],
            1,
            "failed",
            &["{S}/docs"],
        ),
        (&["get", "--json", "unix:{L}none?path=x", "."], 3, "failed", &["unix:{L}none?path=x"]),
        (&["rm", "--json", "-y", "nope", "tree", "{S}/docs"], 1, "failed", &["nope", "tree", "{S}/docs"]),
        (&["mkdir", "--json", "tree", "no/such"], 1, "failed", &["tree", "no/such"]),
        (&["size", "--json", "nope", "a.txt", "no2"], 1, "failed", &["nope", "no2"]),
    ] {
        let (code, out, err) = run(&scene, words);
        assert_eq!(code, Some(exit), "{words:?}: {out}{err}");
        let told = object(&out, event);
        let expected: Vec<String> = paths.iter().map(|path| scene.meant(path)).collect();
        let mut found: Vec<_> = told.iter().map(|(path, _)| path.clone()).collect();
        found.sort_by_key(|path| expected.iter().position(|expected| expected == path));
        assert_eq!(found, expected, "{words:?}: {out}");
        assert!(told.iter().all(|(path, why)| !why.is_empty() && !why.starts_with(path)), "{words:?}: {out}");
        // Each is on standard error too.
        assert_eq!(err.lines().count(), expected.len(), "{words:?}: {err}");
    }
    // A mistake in what was typed is nothing's failure.
    let output = scene.tow(&["put", "--json", "a.txt"]).output().unwrap();
    assert_eq!((output.status.code(), &*output.stdout), (Some(2), &b""[..]), "{}", told(&output));
}
