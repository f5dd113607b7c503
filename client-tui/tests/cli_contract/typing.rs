//! What is typed around the operands: flags wherever they stand, words that make no sense, words that are kept for later.

use std::io::Write;
use std::process::Stdio;

use crate::stage::{ANYTHING, ROW, Row, Stage, told};

const FLAGS: &[Row] = &[
    Row {
        promise: "a flag stands between the operands",
        typed: &["get", "{S}/docs", "-T", "tree2"],
        out: &["2 files"],
        after: &[("L/tree2/b", Some("hello"))],
        ..ROW
    },
    Row {
        promise: "a flag with a value stands between the operands",
        typed: &["put", "new.txt", "--overwrite", "always", "tree", "{S}/empty"],
        out: &["3 files"],
        after: &[("S/empty/new.txt", Some("newer")), ("S/empty/tree/x", Some("x of local"))],
        ..ROW
    },
    Row {
        promise: "a flag stands behind the operands",
        typed: &["cp", "new.txt", "other.txt", "--json"],
        out: &["{\"event\":\"done\",\"files\":1,"],
        after: &[("L/other.txt", Some("newer"))],
        ..ROW
    },
    Row {
        promise: "rm takes its flags one by one, anywhere",
        typed: &["rm", "new.txt", "-r", "tree", "-y"],
        out: &["removed new.txt: 1 file, 0 folders", "removed tree: 2 files, 2 folders"],
        after: &[("L/new.txt", None), ("L/tree", None)],
        ..ROW
    },
    Row {
        promise: "behind -- a dash begins a name",
        typed: &["cp", "--", "-dash", "-dash2"],
        out: ANYTHING,
        after: &[("L/-dash2", Some("local dash"))],
        ..ROW
    },
];

/// The word wins anywhere.
const BEFORE_THE_WORD: &[Row] = &[
    Row {
        promise: "an option of all commands stands before the word",
        typed: &["--state-dir", "state", "ls", "tree"],
        out: &["x\n", "total "],
        ..ROW
    },
    Row {
        promise: "so it does with an equals sign",
        typed: &["--state-dir=state", "size", "a.txt"],
        out: &["2 bytes"],
        ..ROW
    },
    Row { promise: "so does a flag", typed: &["--install", "ls", "tree"], out: &["x\n"], ..ROW },
    Row {
        promise: "so does a flag of the command itself",
        typed: &["--json", "ls", "tree"],
        out: &["{\"name\":\"x\""],
        ..ROW
    },
    Row {
        promise: "so does an option of the command itself, with its value",
        typed: &["--overwrite", "always", "-T", "cp", "new.txt", "a.txt"],
        out: ANYTHING,
        after: &[("L/a.txt", Some("newer"))],
        ..ROW
    },
    Row {
        promise: "the value of an option is no command",
        typed: &["--state-dir", "ls", "cp", "new.txt", "copied"],
        out: ANYTHING,
        after: &[("L/copied", Some("newer"))],
        ..ROW
    },
    Row {
        promise: "an option that the command does not have is refused before anything is done",
        typed: &["--connect", "{S}", "rm", "-y", "a.txt"],
        exit: 2,
        err: &["tow: rm: ", "'--connect'"],
        after: &[("L/a.txt", Some("aa"))],
        ..ROW
    },
];

const NONSENSE: &[Row] = &[
    Row {
        promise: "no operands",
        typed: &["get"],
        exit: 2,
        err: &["tow: get: ", "see tow get --help\n"],
        ..ROW
    },
    Row {
        promise: "no destination",
        typed: &["get", "a.txt"],
        exit: 2,
        err: &["tow: a.txt: missing DEST"],
        ..ROW
    },
    Row {
        promise: "a flag misspelt is shown the right one",
        typed: &["ls", "--jsn"],
        exit: 2,
        err: &["tow: ls: ", "'--jsn'", "'--json'", "see tow ls --help\n"],
        ..ROW
    },
    Row {
        promise: "a value that is none is shown those that are",
        typed: &["ls", "--sort", "colour"],
        exit: 2,
        err: &["tow: ls: ", "'colour'", "name, size, time"],
        ..ROW
    },
    Row {
        promise: "flags that contradict",
        typed: &["ls", "--bytes", "--human"],
        exit: 2,
        err: &["tow: ls: "],
        ..ROW
    },
    Row {
        promise: "a flag without its value",
        typed: &["--connect"],
        exit: 2,
        err: &["tow: ", "--connect"],
        ..ROW
    },
    Row {
        promise: "a word misspelt does not take the screen",
        typed: &["lss"],
        exit: 2,
        err: &["tow: lss: no command of that name, and no folder; did you mean 'tow ls'?"],
        ..ROW
    },
    Row {
        promise: "a word of other programs is told ours, with any number of operands",
        typed: &["copy", "a.txt", "b.txt", "tree"],
        exit: 2,
        err: &["tow: copy: no command", "'tow cp'"],
        ..ROW
    },
    Row {
        promise: "a word that asks for the version is told the option",
        typed: &["version"],
        exit: 2,
        err: &["tow: version: no command", "'tow --version'"],
        ..ROW
    },
    Row {
        promise: "a folder that is not there, and no command",
        typed: &["photographs"],
        exit: 4,
        err: &["tow: photographs: no such file or folder, and no command"],
        ..ROW
    },
    Row {
        promise: "a command's word behind a folder is not taken for a folder",
        typed: &["tree", "ls"],
        exit: 2,
        err: &["tow: the command's word stands before its operands"],
        ..ROW
    },
    Row {
        promise: "rm -rf is told ours",
        typed: &["rm", "-rf", "tree"],
        exit: 2,
        err: &["tow: rm: there is no -f: write tow rm -r -y"],
        after: &[("L/tree/x", Some("x of local"))],
        ..ROW
    },
    Row {
        promise: "so are an option that ls has under another name",
        typed: &["ls", "-lt"],
        exit: 2,
        err: &["tow: ls: there is no -t: write --sort time\n"],
        ..ROW
    },
    Row {
        promise: "one of cp",
        typed: &["cp", "-rf", "new.txt", "a.txt"],
        exit: 2,
        err: &["tow: cp: there is no -f: write --overwrite always\n"],
        after: &[("L/a.txt", Some("aa"))],
        ..ROW
    },
    Row {
        promise: "one of rsync",
        typed: &["put", "-auz", "tree", "{S}/"],
        exit: 2,
        err: &["tow: put: there is no -u: write --overwrite newer\n"],
        after: &[("S/tree", None)],
        ..ROW
    },
    Row {
        promise: "and one that would remove",
        typed: &["put", "--delete", "tree", "{S}/"],
        exit: 2,
        err: &["tow: put: there is no --delete: nothing is removed"],
        after: &[("S/tree", None)],
        ..ROW
    },
    Row {
        promise: "a file whose name looks like an option is told how to name it",
        typed: &["cp", "-dash", "copy"],
        exit: 2,
        err: &["tow: cp: ", "for the file write ./-dash; see tow cp --help\n"],
        after: &[("L/copy", None)],
        ..ROW
    },
    Row {
        promise: "what is not there is not suggested as one",
        typed: &["size", "-x", "tree"],
        exit: 2,
        err: &["tow: size: unexpected argument '-x' found; see tow size --help\n"],
        ..ROW
    },
    Row {
        promise: "a hidden flag is never suggested",
        typed: &["cp", "--recursiv", "a", "b"],
        exit: 2,
        err: &["tow: cp: unexpected argument '--recursiv' found; see tow cp --help\n"],
        ..ROW
    },
    Row {
        promise: "a file is no pane",
        typed: &["a.txt"],
        exit: 2,
        err: &["tow: a.txt: not a folder"],
        ..ROW
    },
    Row {
        promise: "a folder that may not be looked into",
        typed: &["/root/anything"],
        exit: 5,
        err: &["tow: /root/anything: permission denied"],
        as_nobody: true,
        ..ROW
    },
];

/// Each would have been a local file, "verified", exit 0.
const MISTYPED: &[Row] = &[
    Row {
        promise: "scp's form is no local name",
        typed: &["put", "a.txt", "user@host:/p"],
        exit: 2,
        err: &["tow: user@host:/p: ", "write ssh://user@host/p, or ./user@host:/p "],
        after: &[("L/user@host:", None)],
        ..ROW
    },
    Row {
        promise: "a bookmark that is none is no local name",
        typed: &["cp", "a.txt", "nosuchbookmark:photos"],
        exit: 2,
        err: &["tow: nosuchbookmark:photos: ", "no bookmark 'nosuchbookmark'", "tow://nosuchbookmark/photos"],
        after: &[("L/nosuchbookmark:photos", None)],
        ..ROW
    },
    Row {
        promise: "a host and its port are no local name",
        typed: &["put", "a.txt", "127.0.0.1:7171/x"],
        exit: 2,
        err: &["tow: ", "write tow://127.0.0.1:7171/x, or ./127.0.0.1:7171/x "],
        after: &[("L/127.0.0.1:7171", None)],
        ..ROW
    },
    Row {
        promise: "a scheme with one slash is no local name",
        typed: &["put", "a.txt", "tow:/host/x"],
        exit: 2,
        err: &["tow: tow:/host/x: ", "write tow://host/x"],
        after: &[("L/tow:", None)],
        ..ROW
    },
    Row {
        promise: "nor is a user's host without a colon",
        typed: &["put", "tree", "user@host/backup/"],
        exit: 2,
        err: &["tow: ", "write ssh://user@host/backup/"],
        after: &[("L/user@host", None)],
        ..ROW
    },
    Row {
        promise: "a source is told the same",
        typed: &["get", "user@host:p", "."],
        exit: 2,
        err: &["tow: ", "write ssh://user@host/~/p"],
        ..ROW
    },
    Row {
        promise: "a move is told before anything is moved",
        typed: &["mv", "a.txt", "tree", "box:"],
        exit: 2,
        err: &["tow: box:: "],
        after: &[("L/a.txt", Some("aa")), ("L/tree/x", Some("x of local"))],
        ..ROW
    },
    Row {
        promise: "no folder is made of one",
        typed: &["mkdir", "-p", "box:a/b"],
        exit: 2,
        err: &["tow: ", "ssh://box/~/a/b"],
        after: &[("L/box:a", None)],
        ..ROW
    },
    Row {
        promise: "a pane is told the same",
        typed: &["user@host:/p"],
        exit: 2,
        err: &["tow: user@host:/p: ", "write ssh://user@host/p"],
        ..ROW
    },
    Row {
        promise: "./ makes it a local name",
        typed: &["cp", "a.txt", "./user@host:p"],
        out: ANYTHING,
        after: &[("L/user@host:p", Some("aa"))],
        ..ROW
    },
];

const RESERVED: &[Row] = &[
    Row {
        promise: "find is kept",
        typed: &["find", ".", "-name", "x"],
        exit: 2,
        err: &["tow: find: not available"],
        ..ROW
    },
    Row { promise: "du is kept", typed: &["du", "--help"], exit: 2, err: &["tow: du: not available"], ..ROW },
    Row { promise: "sum is kept", typed: &["sum"], exit: 2, err: &["tow: sum: not available"], ..ROW },
    Row {
        promise: "cat is kept",
        typed: &["cat", "a.txt"],
        exit: 2,
        err: &["tow: cat: not available"],
        ..ROW
    },
];

#[test]
fn flags_stand_anywhere() {
    Stage::check(FLAGS);
}

#[test]
fn options_stand_before_the_word_too() {
    Stage::check(BEFORE_THE_WORD);
}

#[test]
fn what_makes_no_sense_is_told_in_one_line() {
    Stage::check(NONSENSE);
}

#[test]
fn what_looks_remote_is_never_a_local_name() {
    Stage::check(MISTYPED);
}

#[test]
fn a_local_name_that_looks_remote_is_one_where_it_exists() {
    let scene = Stage::new();
    let scene = scene.scene("local");
    for name in ["user@host:p", "box:", "12:30"] {
        scene.write(&format!("local/{name}"), "mine", 1);
        let output = scene.tow(&["cp", name, "copy"]).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{name}: {}", told(&output));
        std::fs::remove_file(scene.at("L/copy")).unwrap();
    }
    // So is what lies, or will lie, below it.
    std::fs::create_dir(scene.at("L/a:b")).unwrap();
    let output = scene.tow(&["cp", "a.txt", "a:b/new"]).output().unwrap();
    assert!(output.status.success() && scene.at("L/a:b/new").exists(), "{}", told(&output));
}

#[test]
fn the_prompt_downloads_into_no_folder_that_looks_remote() {
    let stage = Stage::new();
    let scene = stage.scene("prompt");
    let mut tow = scene.tow(&["shell", "--connect", "{S}/"]).stdin(Stdio::piped()).spawn().unwrap();
    tow.stdin.take().unwrap().write_all(b"download a.txt user@host:/p/\n").unwrap();
    let output = tow.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("write ssh://user@host/p/"),
        "{}",
        told(&output)
    );
    assert!(!scene.at("L/user@host:").exists());
}

#[test]
fn words_that_are_promised_open_no_panes() {
    Stage::check(RESERVED);
}
