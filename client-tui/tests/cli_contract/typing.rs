//! What is typed around the operands: flags wherever they stand, words that make no sense, words that are kept for later.

use crate::stage::{ANYTHING, ROW, Row, Stage};

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
        err: &["tow: a.txt: where to?"],
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
        exit: 4,
        err: &["tow: lss: no such file or folder"],
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
fn what_makes_no_sense_is_told_in_one_line() {
    Stage::check(NONSENSE);
}

#[test]
fn words_that_are_promised_open_no_panes() {
    Stage::check(RESERVED);
}
