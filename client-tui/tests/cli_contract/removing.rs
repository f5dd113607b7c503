//! `rm` and `mkdir`.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};

use crate::stage::{ANYTHING, ROW, Row, Stage, told};

const REMOVING: &[Row] = &[
    Row {
        promise: "without a terminal and --yes rm refuses",
        typed: &["rm", "{S}/a.txt"],
        exit: 2,
        err: &["tow: rm: ", "--yes"],
        after: &[("S/a.txt", Some("aa"))],
        ..ROW
    },
    Row {
        promise: "rm removes a file",
        typed: &["rm", "--yes", "{S}/a.txt"],
        out: &["removed"],
        after: &[("S/a.txt", None)],
        ..ROW
    },
    Row {
        promise: "rm removes a link and not what it leads to",
        typed: &["rm", "--yes", "{S}/link"],
        out: &["removed"],
        after: &[("S/link", None), ("S/a.txt", Some("aa"))],
        ..ROW
    },
    Row {
        promise: "rm removes an empty folder",
        typed: &["rm", "--yes", "{S}/empty"],
        out: &["removed"],
        after: &[("S/empty", None)],
        ..ROW
    },
    Row {
        promise: "rm of a folder that is not empty needs -r",
        typed: &["rm", "--yes", "{S}/docs"],
        exit: 1,
        err: &["tow: ", "not empty", "-r"],
        after: &[("S/docs/b", Some("hello"))],
        ..ROW
    },
    Row {
        promise: "rm -r removes a folder",
        typed: &["rm", "-r", "--yes", "{S}/docs"],
        out: &["2 files", "2 folders"],
        after: &[("S/docs", None)],
        ..ROW
    },
    Row {
        promise: "rm takes several, here and there",
        typed: &["rm", "--yes", "{S}/a.txt", "new.txt"],
        out: &["removed", "removed"],
        after: &[("S/a.txt", None), ("L/new.txt", None)],
        ..ROW
    },
    Row {
        promise: "what fails does not stop the rest",
        typed: &["rm", "--yes", "nope", "new.txt"],
        exit: 1,
        out: &["removed new.txt"],
        err: &["tow: nope: no such"],
        after: &[("L/new.txt", None)],
        ..ROW
    },
    Row {
        promise: "the only one that is missing is 4",
        typed: &["rm", "--yes", "{S}/nope"],
        exit: 4,
        err: &["tow: ", "no such"],
        ..ROW
    },
    Row {
        promise: "a root is never removed",
        typed: &["rm", "-r", "--yes", "/"],
        exit: 5,
        err: &["tow: /: "],
        ..ROW
    },
    Row {
        promise: "the working folder is not removed",
        typed: &["rm", "-r", "--yes", "."],
        exit: 1,
        err: &["tow: .: refusing to remove '.'"],
        after: &[("L/a.txt", Some("aa"))],
        ..ROW
    },
    Row {
        promise: "nor is what ends in two dots",
        typed: &["rm", "-r", "--yes", "tree/y/.."],
        exit: 1,
        err: &["tow: tree/y/..: refusing to remove"],
        after: &[("L/tree/x", Some("x of local"))],
        ..ROW
    },
    Row {
        promise: "nor, on a server, what ends in a dot",
        typed: &["rm", "-r", "--yes", "{S}/docs/."],
        exit: 1,
        err: &["tow: ", "refusing to remove"],
        after: &[("S/docs/b", Some("hello"))],
        ..ROW
    },
    Row {
        promise: "a file with a slash is no file",
        typed: &["rm", "--yes", "a.txt/"],
        exit: 1,
        err: &["tow: a.txt/: not a folder"],
        after: &[("L/a.txt", Some("aa"))],
        ..ROW
    },
    Row {
        promise: "nor is a link to one, on a server",
        typed: &["rm", "-r", "--yes", "{S}/link/"],
        exit: 1,
        err: &["tow: ", "not a folder"],
        after: &[("S/link", Some("aa"))],
        ..ROW
    },
    Row {
        promise: "a dash in front follows --",
        typed: &["rm", "--yes", "--", "-dash"],
        out: &["removed"],
        after: &[("L/-dash", None)],
        ..ROW
    },
    Row {
        promise: "rm --json tells what went",
        typed: &["rm", "-r", "--yes", "--json", "tree"],
        out: &["{\"event\":\"removed\",\"path\":\"tree\",\"files\":2,\"folders\":2,"],
        ..ROW
    },
    Row {
        promise: "rm --quiet prints nothing",
        typed: &["rm", "--yes", "--quiet", "a.txt"],
        after: &[("L/a.txt", None)],
        ..ROW
    },
    Row {
        promise: "mkdir makes a folder",
        typed: &["mkdir", "{S}/made"],
        after: &[("S/made", Some("/"))],
        ..ROW
    },
    Row {
        promise: "mkdir over what exists is 1",
        typed: &["mkdir", "{S}/docs"],
        exit: 1,
        err: &["tow: ", "already exists"],
        ..ROW
    },
    Row {
        promise: "mkdir below what is missing is 4",
        typed: &["mkdir", "{S}/no/such"],
        exit: 4,
        err: &["tow: ", "no such"],
        after: &[("S/no", None)],
        ..ROW
    },
    Row {
        promise: "mkdir -p makes parents",
        typed: &["mkdir", "-p", "{S}/no/such"],
        after: &[("S/no/such", Some("/"))],
        ..ROW
    },
    Row { promise: "mkdir -p of what exists is done", typed: &["mkdir", "-p", "{S}/docs/sub"], ..ROW },
    Row {
        promise: "mkdir -p below a file is 1",
        typed: &["mkdir", "-p", "{S}/a.txt/x"],
        exit: 1,
        err: &["tow: ", "not a folder"],
        ..ROW
    },
    Row {
        promise: "mkdir --json tells what was made",
        typed: &["mkdir", "--json", "made"],
        out: &["{\"event\":\"made\",\"path\":\"made\"}"],
        ..ROW
    },
    Row { promise: "mkdir without an operand is 2", typed: &["mkdir"], exit: 2, err: ANYTHING, ..ROW },
];

#[test]
fn removals_and_new_folders_are_as_promised() {
    Stage::check(REMOVING);
}

/// Whole pages, as near to 8 EiB as a file may be.
const IMMENSE_BYTES: u64 = (i64::MAX as u64) - 4095;

#[test]
fn f79_files_whose_sizes_do_not_fit_in_one_number_are_counted_and_removed_on_either_side() {
    let stage = Stage::in_memory();
    let scene = stage.scene("immense");
    for side in ["L", "S"] {
        let folder = scene.at(side).join("immense");
        fs::create_dir(&folder).unwrap();
        for name in ["1", "2", "3"] {
            if fs::File::create(folder.join(name)).unwrap().set_len(IMMENSE_BYTES).is_err() {
                crate::skip::skip("no files of 8 EiB here");
                return;
            }
        }
        let target = if side == "L" { "{L}/immense" } else { "{S}/immense" };
        for typed in [&["ls", target][..], &["size", target], &["rm", "-r", "--yes", target]] {
            let output = scene.tow(typed).output().unwrap();
            assert_eq!(output.status.code(), Some(0), "{typed:?}: {}", told(&output));
            assert!(output.stderr.is_empty(), "{typed:?}: {}", told(&output));
        }
        assert!(!folder.exists());
    }
}

#[test]
fn a_home_folder_and_what_holds_it_are_not_removed_by_whatever_name() {
    let stage = Stage::new();
    let scene = stage.scene("home");
    scene.write("local/users/ann/precious", "aa", 1_500_000_000);
    scene.write("local/users/bob/file", "aa", 1_500_000_000);
    symlink("users/ann", scene.at("L/linked")).unwrap();
    let home = scene.at("L/users/ann");
    let ways = [home.clone(), scene.at("L/linked"), scene.at("L/linked/../ann")];
    for (named, is_home) in ways.iter().flat_map(|home| {
        let named = ["users/ann", "users/ann/", "users", "linked/", "{L}/users/ann", "{L}/users/bob/../ann"];
        named.map(|named| (named, home))
    }) {
        let output = scene.tow(&["rm", "-r", "--yes", named]).env("HOME", is_home).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{named} {is_home:?}: {}", told(&output));
        assert!(home.join("precious").exists(), "{named}: {}", told(&output));
    }
    // A link to it is a link, and other folders beside it are not held back.
    for named in ["linked", "users/bob"] {
        let output = scene.tow(&["rm", "-r", "--yes", named]).env("HOME", &home).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{named}: {}", told(&output));
        assert!(!scene.at("L").join(named).exists());
    }
    assert!(home.join("precious").exists());
}

#[test]
fn a_removal_that_is_interrupted_says_so() {
    let stage = Stage::new();
    let scene = stage.scene("interrupted");
    // Enough files for the signal to come in the middle.
    for files in [5_000, 20_000, 80_000] {
        let folder = scene.at("L/many");
        fs::create_dir(&folder).unwrap();
        for file in 0..files {
            fs::write(folder.join(file.to_string()), "").unwrap();
        }
        let mut tow = scene.tow(&["rm", "-r", "--yes", "many"]);
        let mut tow = tow.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let left = || fs::read_dir(&folder).map_or(0, Iterator::count);
        while tow.try_wait().unwrap().is_none() && left() == files {}
        kill_process(Pid::from_child(&tow), Signal::TERM).unwrap();
        let output = tow.wait_with_output().unwrap();
        if output.status.code() == Some(0) {
            continue;
        }
        assert_eq!(output.status.code(), Some(130), "{}", told(&output));
        assert!(told(&output).contains("some of what was named may be removed"), "{}", told(&output));
        return;
    }
    panic!("removals always ended before they were interrupted");
}
