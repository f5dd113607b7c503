//! `rm` and `mkdir`.

use crate::stage::{ANYTHING, ROW, Row, Stage};

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
