//! `get`, `put`, `cp`, `mv`: where things go, what happens to what is there, and what is said about it.

use std::time::SystemTime;

use crate::stage::{ANYTHING, ROW, Row, Stage, told};

const PLACES: &[Row] = &[
    Row {
        promise: "another name is the new name",
        typed: &["get", "{S}/a.txt", "b.txt"],
        out: &["1 file, 0.000002 MB (2 bytes), ", " s, ", "B/s, verified\n"],
        after: &[("L/b.txt", Some("aa"))],
        ..ROW
    },
    Row {
        promise: "an existing folder receives it under its own name",
        typed: &["get", "{S}/docs", "tree"],
        out: &["2 files"],
        after: &[("L/tree/docs/sub/c", Some("deep")), ("L/tree/x", Some("x of local"))],
        ..ROW
    },
    Row {
        promise: "a slash at the end means a folder, made where it is missing",
        typed: &["get", "{S}/a.txt", "made/of/new/"],
        out: ANYTHING,
        err: &["tow: created ./made\n", "tow: created ./made/of\n", "tow: created ./made/of/new\n"],
        after: &[("L/made/of/new/a.txt", Some("aa"))],
        ..ROW
    },
    Row {
        promise: "missing parents are made",
        typed: &["put", "new.txt", "{S}/no/such/name"],
        out: ANYTHING,
        err: &["tow: created {S}/no\n", "tow: created {S}/no/such\n"],
        after: &[("S/no/such/name", Some("newer"))],
        ..ROW
    },
    Row {
        promise: "a folder to a new name is that name",
        typed: &["put", "tree", "{S}/new"],
        out: &["2 files"],
        after: &[("S/new/y/z.o", Some("object"))],
        ..ROW
    },
    Row {
        promise: "the working folder is a folder",
        typed: &["get", "{S}/docs", "."],
        out: ANYTHING,
        after: &[("L/docs/b", Some("hello"))],
        ..ROW
    },
    Row {
        promise: "what a folder holds goes without its name",
        typed: &["put", "tree/.", "{S}/empty"],
        out: ANYTHING,
        after: &[("S/empty/x", Some("x of local")), ("S/empty/tree", None)],
        ..ROW
    },
    Row {
        promise: "several sources go into a folder",
        typed: &["put", "a.txt", "tree", "{S}/empty"],
        out: &["3 files"],
        after: &[("S/empty/a.txt", Some("aa")), ("S/empty/tree/x", Some("x of local"))],
        ..ROW
    },
    Row {
        promise: "several sources need a folder",
        typed: &["put", "a.txt", "new.txt", "{S}/nope"],
        exit: 2,
        err: &["tow: ", "several sources need a folder"],
        after: &[("S/nope", None)],
        ..ROW
    },
    Row {
        promise: "several sources and a slash make the folder",
        typed: &["put", "a.txt", "new.txt", "{S}/made/"],
        out: &["2 files"],
        err: &["tow: created {S}/made\n"],
        after: &[("S/made/new.txt", Some("newer"))],
        ..ROW
    },
    Row {
        promise: "-T takes the name itself",
        typed: &["get", "-T", "{S}/docs", "tree"],
        out: ANYTHING,
        after: &[("L/tree/b", Some("hello")), ("L/tree/docs", None), ("L/tree/x", Some("x of local"))],
        ..ROW
    },
    Row {
        promise: "a file that is written as a folder is none",
        typed: &["get", "{S}/a.txt", "new.txt/"],
        exit: 1,
        err: &["tow: ", "not a folder"],
        after: &[("L/new.txt", Some("newer"))],
        ..ROW
    },
    Row {
        promise: "a source that is missing is 4, and nothing is made",
        typed: &["get", "{S}/nope", "made/"],
        exit: 4,
        err: &["tow: ", "no such"],
        after: &[("L/made", None)],
        ..ROW
    },
    Row {
        promise: "a source of several that is missing is named, and the others go",
        typed: &["put", "a.txt", "nope", "{S}/empty"],
        exit: 1,
        out: &["1 file", "1 failed"],
        err: &["tow: nope: no such"],
        after: &[("S/empty/a.txt", Some("aa"))],
        ..ROW
    },
    Row {
        promise: "a move never follows a link",
        typed: &["mv", "--follow", "{S}/link", "moved"],
        exit: 2,
        err: &["tow: --follow: links are never followed by a move"],
        after: &[("L/moved", None), ("S/link", Some("aa"))],
        ..ROW
    },
    Row { promise: "a destination is needed", typed: &["get", "{S}/a.txt"], exit: 2, err: ANYTHING, ..ROW },
    Row {
        promise: "cp works on one side",
        typed: &["cp", "tree", "copy"],
        out: &["2 files"],
        after: &[("L/copy/y/z.o", Some("object"))],
        ..ROW
    },
    Row {
        promise: "cp works on the other side alone",
        typed: &["cp", "{S}/docs", "{S}/copy"],
        out: &["2 files"],
        after: &[("S/copy/sub/c", Some("deep"))],
        ..ROW
    },
    Row {
        promise: "mv takes the source away",
        typed: &["mv", "tree", "{S}/empty"],
        out: ANYTHING,
        after: &[("L/tree", None), ("S/empty/tree/y/z.o", Some("object"))],
        ..ROW
    },
    Row {
        promise: "mv renames",
        typed: &["mv", "a.txt", "b.txt"],
        out: ANYTHING,
        after: &[("L/a.txt", None), ("L/b.txt", Some("aa"))],
        ..ROW
    },
    Row {
        promise: "mv back from the other side",
        typed: &["mv", "{S}/docs", "docs"],
        out: ANYTHING,
        after: &[("S/docs", None), ("L/docs/sub/c", Some("deep"))],
        ..ROW
    },
    Row {
        promise: "links arrive as links",
        typed: &["get", "{S}/link", "{S}/a.txt", "tree"],
        out: ANYTHING,
        after: &[("L/tree/link", Some("aa"))],
        ..ROW
    },
    Row {
        promise: "a file cannot be copied onto itself",
        typed: &["cp", "a.txt", "./a.txt"],
        exit: 1,
        err: &[
            "tow: {L}a.txt: cannot be put onto or into itself (source and destination are the same file)\n",
        ],
        after: &[("L/a.txt", Some("aa"))],
        ..ROW
    },
    Row {
        promise: "of several sources one that cannot be copied ends itself alone",
        typed: &["cp", "a.txt", "nope", "tree", "new.txt", "tree/y"],
        exit: 1,
        err: &["tow: nope: no such", "tree: cannot be put onto or into itself"],
        out: &["2 files", "2 failed"],
        after: &[
            ("L/tree/y/a.txt", Some("aa")),
            ("L/tree/y/new.txt", Some("newer")),
            ("L/tree/y/nope", None),
        ],
        ..ROW
    },
    Row {
        promise: "so of a move, and each has its object",
        typed: &["mv", "--json", "tree", "new.txt", "nope", "tree/y"],
        exit: 1,
        err: &["tow: nope: no such", "tree: cannot be put onto or into itself"],
        out: &["\"event\":\"failed\"", "nope", "\"event\":\"failed\"", "tree", "\"failed\":2"],
        after: &[("L/tree/y/new.txt", Some("newer")), ("L/new.txt", None), ("L/tree/x", Some("x of local"))],
        ..ROW
    },
    Row {
        promise: "a folder cannot be copied into itself",
        typed: &["cp", "tree", "tree/y"],
        exit: 1,
        err: &["tow: {L}tree: cannot be put onto or into itself (the destination is inside it)\n"],
        after: &[("L/tree/y/tree", None)],
        ..ROW
    },
    Row {
        promise: "nor over the loopback",
        typed: &["put", "tree", "{S}/../local/tree/y"],
        exit: 2,
        err: &["tow: "],
        ..ROW
    },
    Row {
        promise: "a root cannot be replaced",
        typed: &["cp", "-T", "tree", "/"],
        exit: 2,
        err: &["tow: /: "],
        ..ROW
    },
    Row {
        promise: "--exclude leaves out by name",
        typed: &["put", "--exclude", "*.o", "tree", "{S}/new"],
        out: &["1 file,"],
        after: &[("S/new/x", Some("x of local")), ("S/new/y/z.o", None)],
        ..ROW
    },
    Row {
        promise: "a slash at the end of a pattern means folders",
        typed: &["put", "--exclude", "y/", "--exclude", "x/", "tree", "{S}/new"],
        out: &["1 file,"],
        after: &[("S/new/x", Some("x of local")), ("S/new/y", None)],
        ..ROW
    },
    Row {
        promise: "a slash at the beginning of a pattern means SOURCE",
        typed: &["put", "--exclude", "/z.o", "--exclude", "/x", "tree", "{S}/new"],
        out: &["1 file,"],
        after: &[("S/new/x", None), ("S/new/y/z.o", Some("object"))],
        ..ROW
    },
    Row {
        promise: "patterns are relative to the folder whose content is copied",
        typed: &["put", "--exclude", "/y/*.o", "--exclude", "/x", "tree/.", "{S}/empty"],
        out: &["0 files,"],
        after: &[("S/empty/x", None), ("S/empty/y/z.o", None), ("S/empty/y", Some("/"))],
        ..ROW
    },
    Row {
        promise: "--include keeps what a later --exclude would leave out",
        typed: &["put", "--include", "z.o", "--exclude", "*.o", "--exclude", "x", "tree", "{S}/new"],
        out: &["1 file,"],
        after: &[("S/new/x", None), ("S/new/y/z.o", Some("object"))],
        ..ROW
    },
    Row {
        promise: "patterns apply in the order of the command line",
        typed: &["put", "--exclude", "*.o", "--include", "z.o", "--exclude", "x", "tree", "{S}/new"],
        out: &["0 files,"],
        after: &[("S/new/x", None), ("S/new/y/z.o", None), ("S/new/y", Some("/"))],
        ..ROW
    },
    Row {
        promise: "--exclude-from reads a file of patterns",
        typed: &["put", "--exclude-from", "patterns", "tree", "{S}/new"],
        out: &["1 file,"],
        after: &[("S/new/x", Some("x of local")), ("S/new/y/z.o", None)],
        ..ROW
    },
    Row {
        promise: "a file of patterns stands where it was given",
        typed: &[
            "put",
            "--include",
            "z.o",
            "--exclude-from",
            "patterns",
            "--exclude",
            "x",
            "tree",
            "{S}/new",
        ],
        out: &["1 file,"],
        after: &[("S/new/x", None), ("S/new/y/z.o", Some("object"))],
        ..ROW
    },
    Row {
        promise: "a pattern of a file that can match nothing is named with its line",
        typed: &["put", "--exclude-from", "wrong patterns", "tree", "{S}/new"],
        exit: 2,
        err: &["tow: wrong patterns:2: ./x: ", "write /x"],
        after: &[("S/new", None)],
        ..ROW
    },
    Row {
        promise: "a file of patterns that is not there is 2",
        typed: &["put", "--exclude-from", "no such file", "tree", "{S}/new"],
        exit: 2,
        err: &["tow: --exclude-from no such file: "],
        after: &[("S/new", None)],
        ..ROW
    },
    Row {
        promise: "a glob that is none is 2",
        typed: &["put", "--exclude", "[", "tree", "{S}/new"],
        exit: 2,
        err: &["tow: --exclude [: "],
        after: &[("S/new", None)],
        ..ROW
    },
    Row {
        promise: "a pattern that can match nothing is 2, and told the one that was meant",
        typed: &["put", "--exclude", "./x", "tree", "{S}/new"],
        exit: 2,
        err: &["tow: --exclude ./x: ", "write /x"],
        after: &[("S/new", None)],
        ..ROW
    },
    Row {
        promise: "so is one with two slashes",
        typed: &["put", "--exclude", "y//", "tree", "{S}/new"],
        exit: 2,
        err: &["tow: --exclude y//: ", "write y/"],
        after: &[("S/new", None)],
        ..ROW
    },
    Row {
        promise: "get does not upload",
        typed: &["get", "new.txt", "{S}/empty/"],
        exit: 2,
        err: &["tow: get: DEST is on a server; use tow put "],
        after: &[("S/empty/new.txt", None)],
        ..ROW
    },
    Row {
        promise: "put does not download",
        typed: &["put", "{S}/a.txt", "got"],
        exit: 2,
        err: &["tow: put: SOURCE is on a server; use tow get "],
        after: &[("L/got", None)],
        ..ROW
    },
    Row {
        promise: "a missing destination is told how to name the working folder",
        typed: &["get", "{S}/a.txt"],
        exit: 2,
        err: &["missing DEST", "DEST . is the current folder"],
        ..ROW
    },
    Row {
        promise: "what the working folder holds does not go into a folder of it",
        typed: &["cp", ".", "tree"],
        exit: 1,
        err: &["tow: .: ", "into itself"],
        after: &[("L/tree/new.txt", None), ("L/tree/tree", None)],
        ..ROW
    },
    Row {
        promise: "nor does a folder of a server into itself so",
        typed: &["cp", "{S}/docs/.", "{S}/docs/sub/"],
        exit: 1,
        err: &["tow: ", "into itself"],
        after: &[("S/docs/sub/b", None)],
        ..ROW
    },
    Row {
        promise: "a pattern on a server is told that it is none",
        typed: &["get", "{S}/*.txt", "."],
        exit: 4,
        err: &["no such", "patterns are not expanded on a server"],
        ..ROW
    },
    Row {
        promise: "also where it would remove",
        typed: &["rm", "-y", "{S}/*.txt"],
        exit: 4,
        err: &["no such", "patterns are not expanded on a server"],
        after: &[("S/a.txt", Some("aa"))],
        ..ROW
    },
    Row {
        promise: "and where it is listed",
        typed: &["ls", "{S}/*.txt"],
        exit: 4,
        err: &["no such", "patterns are not expanded on a server"],
        ..ROW
    },
    Row {
        promise: "what was skipped is an object, and the last line names the flag",
        typed: &["put", "--json", "new.txt", "-T", "{S}/a.txt"],
        exit: 1,
        out: &["{\"event\":\"skipped\",\"path\":\"", "a.txt\",\"reason\":\"exists\"}", "{\"event\":\"done\""],
        err: ANYTHING,
        ..ROW
    },
    Row {
        promise: "what is kept for want of an answer names the flag that decides",
        typed: &["put", "new.txt", "-T", "{S}/a.txt"],
        exit: 1,
        out: &["1 skipped (1 existing file kept; --overwrite always replaces it)"],
        err: &["tow: {S}/a.txt: skipped: exists\n"],
        ..ROW
    },
    Row {
        promise: "who says never is not told of it",
        typed: &["put", "--overwrite", "never", "new.txt", "-T", "{S}/a.txt"],
        exit: 1,
        out: &["1 skipped\n"],
        err: ANYTHING,
        ..ROW
    },
    Row {
        promise: "what would be kept is counted too",
        typed: &["mv", "-n", "new.txt", "-T", "{S}/a.txt"],
        exit: 1,
        out: &["would move 0 files", "1 skipped (1 existing file kept; --overwrite always replaces it)"],
        after: &[("L/new.txt", Some("newer"))],
        ..ROW
    },
    Row {
        promise: "a folder and its content are refused in the same words",
        typed: &["cp", ".", "sub"],
        exit: 1,
        err: &["tow: .: cannot be put onto or into itself (the destination is inside it)\n"],
        after: &[("L/sub", None)],
        ..ROW
    },
    Row {
        promise: "so they are by mv",
        typed: &["mv", "tree", "tree/sub"],
        exit: 1,
        err: &["tow: {L}tree: cannot be put onto or into itself (the destination is inside it)\n"],
        after: &[("L/tree/sub", None), ("L/tree/x", Some("x of local"))],
        ..ROW
    },
    Row {
        promise: "a source with a slash is no file",
        typed: &["cp", "a.txt/", "copy"],
        exit: 1,
        err: &["tow: a.txt/: not a folder"],
        after: &[("L/copy", None)],
        ..ROW
    },
    Row {
        promise: "nor is it moved, from a server",
        typed: &["mv", "{S}/a.txt/", "copy"],
        exit: 1,
        err: &["tow: ", "not a folder"],
        after: &[("L/copy", None), ("S/a.txt", Some("aa"))],
        ..ROW
    },
    Row {
        promise: "a dash in front follows --",
        typed: &["put", "--", "-dash", "{S}/empty/"],
        out: ANYTHING,
        after: &[("S/empty/-dash", Some("local dash"))],
        ..ROW
    },
    Row {
        promise: "a number that is no policy is 2",
        typed: &["get", "--overwrite", "maybe", "{S}/a.txt", "b"],
        exit: 2,
        err: ANYTHING,
        ..ROW
    },
];

const SAID: &[Row] = &[
    Row {
        promise: "--json ends with one object",
        typed: &["get", "--json", "{S}/docs", "new"],
        out: &[
            "{\"event\":\"done\",\"files\":2,\"bytes\":9,\"seconds\":",
            ",\"verified\":true,\"skipped\":0,\"failed\":0,",
        ],
        ..ROW
    },
    Row {
        promise: "--quiet prints nothing",
        typed: &["get", "--quiet", "{S}/docs", "new"],
        after: &[("L/new/b", Some("hello"))],
        ..ROW
    },
    Row {
        promise: "--quiet names what failed all the same",
        typed: &["get", "--quiet", "{S}/a.txt", "new.txt"],
        exit: 1,
        err: &["new.txt: skipped"],
        ..ROW
    },
    Row {
        promise: "the same size and time is unchanged",
        typed: &["get", "{S}/a.txt", "."],
        out: &["0 files", "1 unchanged"],
        ..ROW
    },
    Row {
        promise: "unchanged is told to machines too",
        typed: &["get", "--json", "{S}/a.txt", "."],
        out: &["\"files\":0", "\"skipped\":0", "\"unchanged\":1"],
        ..ROW
    },
    Row {
        promise: "without a terminal what differs stays",
        typed: &["put", "new.txt", "{S}/a.txt"],
        exit: 1,
        out: &["1 skipped"],
        err: &["tow: ", "a.txt: skipped: exists"],
        after: &[("S/a.txt", Some("aa"))],
        ..ROW
    },
    Row {
        promise: "never keeps",
        typed: &["put", "--overwrite", "never", "new.txt", "{S}/a.txt"],
        exit: 1,
        out: ANYTHING,
        err: &["skipped"],
        after: &[("S/a.txt", Some("aa"))],
        ..ROW
    },
    Row {
        promise: "always replaces",
        typed: &["put", "--overwrite", "always", "new.txt", "{S}/a.txt"],
        out: &["1 file,"],
        after: &[("S/a.txt", Some("newer"))],
        ..ROW
    },
    Row {
        promise: "newer keeps what is as old",
        typed: &["put", "--overwrite", "newer", "new.txt", "{S}/a.txt"],
        exit: 1,
        out: ANYTHING,
        err: &["skipped: exists and is not older"],
        after: &[("S/a.txt", Some("aa"))],
        ..ROW
    },
    Row {
        promise: "different replaces what differs",
        typed: &["put", "--overwrite", "different", "new.txt", "{S}/a.txt"],
        out: &["1 file,"],
        after: &[("S/a.txt", Some("newer"))],
        ..ROW
    },
    Row {
        promise: "ask without a terminal keeps",
        typed: &["put", "--overwrite", "ask", "new.txt", "{S}/a.txt"],
        exit: 1,
        out: ANYTHING,
        err: &["skipped: exists"],
        after: &[("S/a.txt", Some("aa"))],
        ..ROW
    },
    Row {
        promise: "progress is for terminals",
        typed: &["put", "tree", "{S}/new"],
        out: &["verified"],
        err: &[],
        ..ROW
    },
    Row {
        promise: "--quiet and --progress exclude each other",
        typed: &["put", "--quiet", "--progress", "tree", "{S}/new"],
        exit: 2,
        err: ANYTHING,
        ..ROW
    },
    Row {
        promise: "a flag that is none is 2",
        typed: &["put", "--bogus", "tree", "{S}/new"],
        exit: 2,
        err: ANYTHING,
        after: &[("S/new", None)],
        ..ROW
    },
];

#[test]
fn things_go_where_they_were_meant_to_go() {
    Stage::check(PLACES);
}

#[test]
fn what_is_said_and_what_stays_is_as_promised() {
    Stage::check(SAID);
}

#[test]
fn newer_and_different_look_at_what_they_say() {
    let stage = Stage::new();
    let scene = stage.scene("policies");
    scene.write("local/later", "later", 1_800_000_000);
    scene.write("served/later", "older", 1_700_000_000);
    let output = scene.tow(&["put", "--overwrite", "newer", "later", "{S}/"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    assert_eq!(std::fs::read_to_string(scene.at("S/later")).unwrap(), "later");

    scene.write("served/a.txt", "aa", 1_700_000_000);
    let output = scene.tow(&["put", "--overwrite", "different", "a.txt", "{S}/"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    assert!(told(&output).contains("1 unchanged"), "{}", told(&output));
    let kept = std::fs::metadata(scene.at("S/a.txt")).unwrap().modified().unwrap();
    assert_eq!(kept.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs(), 1_700_000_000);
}

#[test]
fn what_is_kept_is_counted_apart_from_what_cannot_be_copied() {
    let stage = Stage::new();
    let scene = stage.scene("kept");
    rustix::fs::mkfifoat(rustix::fs::CWD, scene.at("L/tree/fifo"), rustix::fs::Mode::RUSR).unwrap();
    for name in ["tree/x", "new.txt"] {
        scene.write(&format!("served/there/{name}"), "old", 1);
    }
    let output = scene.tow(&["put", "tree", "new.txt", "{S}/there/"]).output().unwrap();
    let said = told(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let kept = "3 skipped (2 existing files kept; --overwrite always replaces them)\n";
    assert!(said.contains(kept), "{said}");
    assert!(said.contains("tree/fifo: skipped: not a regular file (fifo)\n"), "{said}");
    for name in ["there/tree/x", "there/new.txt"] {
        assert!(said.contains(&scene.meant(&format!("tow: {{S}}/{name}: skipped: exists\n"))), "{said}");
    }
    // A fifo alone is no reason to name that flag.
    for destination in ["{S}/", "copied"] {
        let output = scene.tow(&["cp", "tree/fifo", destination]).output().unwrap();
        let said = told(&output);
        assert!(said.contains("1 skipped\n") && said.contains("not a regular file (fifo)\n"), "{said}");
    }
}

#[test]
fn a_name_that_is_too_long_is_told_by_how_much() {
    let stage = Stage::new();
    let scene = stage.scene("long");
    let name = "x".repeat(259);
    let output = scene.tow(&["mkdir", &name]).output().unwrap();
    assert!(told(&output).contains("x: name too long (259 of 255 bytes)\n"), "{}", told(&output));
    let output = scene.tow(&["ls", &format!("{{S}}/{name}")]).output().unwrap();
    assert!(told(&output).contains("x: name too long: 259 of 255 bytes\n"), "{}", told(&output));
    let output = scene.tow(&["ls", &format!("{{S}}{}", "/folder".repeat(129))]).output().unwrap();
    assert!(told(&output).contains("r: path too deep: 131 of 128 names\n"), "{}", told(&output));
}
