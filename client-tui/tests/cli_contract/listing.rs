//! `ls` and `size`: what scripts read.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::process::Stdio;

use crate::stage::{ROW, Row, Stage, told};

const LISTING: &[Row] = &[
    Row {
        promise: "ls prints folders and files by name, and the total last",
        typed: &["ls", "{S}"],
        out: &[
            "docs/\n",
            "empty/\n",
            "0.000004  -dash\n",
            "0.000002  a.txt\n",
            "link -> a.txt\n",
            "total 0.000006 MB (6 bytes) in 5 entries\n",
        ],
        ..ROW
    },
    Row {
        promise: "ls without a target lists the working folder",
        typed: &["ls"],
        out: &["tree/\n", "new.txt\n", "total"],
        ..ROW
    },
    Row {
        promise: "ls of a path that is no target is local",
        typed: &["ls", "{L}/tree"],
        out: &["y/\n", "x\n"],
        ..ROW
    },
    Row {
        promise: "ls --json prints an object an entry",
        typed: &["ls", "--json", "{S}/a.txt"],
        out: &[
            "{\"name\":\"a.txt\",\"kind\":\"file\",\"size\":2,\"modified\":\"2026-01-02T03:04:05Z\",\"mode\":\"0644\"}\n",
        ],
        ..ROW
    },
    Row {
        promise: "ls --json tells kinds",
        typed: &["ls", "--json", "{S}"],
        out: &["\"kind\":\"folder\"", "\"kind\":\"link\"", "\"target\":\"a.txt\""],
        ..ROW
    },
    Row {
        promise: "flags may follow what they are about",
        typed: &["ls", "{S}/docs", "--json", "--sort", "name"],
        out: &["\"sub\"", "\"b\""],
        ..ROW
    },
    Row {
        promise: "ls --all shows hidden names",
        typed: &["ls", "--all", "{S}"],
        out: &[".hidden", "6 entries"],
        ..ROW
    },
    Row {
        promise: "ls --bytes prints exact bytes",
        typed: &["ls", "--bytes", "{S}"],
        out: &["             2  a.txt", "total 6 bytes"],
        ..ROW
    },
    Row {
        promise: "ls --human prints fitting units",
        typed: &["ls", "--human", "{S}"],
        out: &["2 B  a.txt", "total 6 B"],
        ..ROW
    },
    Row {
        promise: "ls --sort size puts the largest first",
        typed: &["ls", "--sort", "size", "{S}"],
        out: &["-dash", "a.txt"],
        ..ROW
    },
    Row {
        promise: "ls --sort time is accepted",
        typed: &["ls", "--sort", "time", "{S}"],
        out: &["total"],
        ..ROW
    },
    Row {
        promise: "ls -l shows kind, mode and time",
        typed: &["ls", "-l", "{S}"],
        out: &["d 0755", "- 0644", "l 0777"],
        ..ROW
    },
    Row { promise: "ls --quiet prints nothing", typed: &["ls", "--quiet", "{S}"], ..ROW },
    Row {
        promise: "what is missing is 4",
        typed: &["ls", "{S}/nope"],
        exit: 4,
        err: &["tow: ", "nope: no such file or folder"],
        ..ROW
    },
    Row {
        promise: "what is missing here is 4",
        typed: &["ls", "nope"],
        exit: 4,
        err: &["tow: nope: no such file or folder"],
        ..ROW
    },
    Row {
        promise: "nobody who listens is 3",
        typed: &["ls", "unix:{L}/no socket"],
        exit: 3,
        err: &["tow: ", "no such socket"],
        ..ROW
    },
    Row {
        promise: "a port where nobody listens is 3",
        typed: &["ls", "tow://127.0.0.1:1/"],
        exit: 3,
        err: &["tow: tow://127.0.0.1:1/: "],
        ..ROW
    },
    Row {
        promise: "size prints megabytes and bytes",
        typed: &["size", "{S}/a.txt"],
        out: &["0.000002 MB (2 bytes)\n"],
        ..ROW
    },
    Row {
        promise: "size of a folder is that of all below it",
        typed: &["size", "{S}/docs"],
        out: &["0.000009 MB (9 bytes)\n"],
        ..ROW
    },
    Row {
        promise: "size --json prints numbers",
        typed: &["size", "--json", "{S}/a.txt"],
        out: &["{\"bytes\":2,\"megabytes\":0.000002,\"path\":\"unix:", "/a.txt\"}\n"],
        ..ROW
    },
    Row {
        promise: "size --json names each of several",
        typed: &["size", "--json", "a.txt", "new.txt"],
        out: &[
            "{\"bytes\":2,\"megabytes\":0.000002,\"path\":\"a.txt\"}\n",
            "{\"bytes\":5,\"megabytes\":0.000005,\"path\":\"new.txt\"}\n",
        ],
        ..ROW
    },
    Row {
        promise: "sizes of several come with their names",
        typed: &["size", "a.txt", "new.txt"],
        out: &["(2 bytes)  a.txt\n", "(5 bytes)  new.txt\n"],
        ..ROW
    },
    Row {
        promise: "one of several that is missing is 1",
        typed: &["size", "a.txt", "nope"],
        exit: 1,
        out: &["(2 bytes)"],
        err: &["tow: nope: "],
        ..ROW
    },
    Row {
        promise: "the only one that is missing is 4",
        typed: &["size", "nope"],
        exit: 4,
        err: &["tow: nope: "],
        ..ROW
    },
    Row {
        promise: "-lh as ls has it",
        typed: &["ls", "-lh", "tree"],
        out: &["- 0644", "10 B", "x\n", "total "],
        ..ROW
    },
    Row {
        promise: "several folders are listed one after the other",
        typed: &["ls", "tree", "{S}/docs"],
        out: &["tree:\n", "x\n", "total ", "/docs:\n", "b\n", "total "],
        ..ROW
    },
    Row {
        promise: "one that is missing does not keep the others from being listed",
        typed: &["ls", "nope", "tree"],
        exit: 1,
        out: &["tree:\n", "x\n"],
        err: &["tow: nope: no such"],
        ..ROW
    },
    Row {
        promise: "a name that begins with a dash follows --",
        typed: &["size", "--", "-dash"],
        out: &["(10 bytes)"],
        ..ROW
    },
];

#[test]
fn listings_and_sizes_are_as_promised() {
    Stage::check(LISTING);
}

#[test]
fn a_name_that_is_not_utf_8_comes_with_its_bytes() {
    let stage = Stage::new();
    let scene = stage.scene("names");
    fs::write(scene.at("S").join(std::ffi::OsStr::from_bytes(b"n\xff")), "x").unwrap();
    let output = scene.tow(&["ls", "--json", "{S}"]).output().unwrap();
    assert!(told(&output).contains("\"name_bytes\":\"bv8=\""), "{}", told(&output));
}

#[test]
fn a_reader_that_goes_away_is_no_error_to_speak_of() {
    let stage = Stage::new();
    let scene = stage.scene("many");
    for index in 0..5_000 {
        fs::write(scene.at("S").join(format!("a rather long name for a file, number {index}")), "").unwrap();
    }
    let mut tow = scene.tow(&["ls", "{S}"]).stdout(Stdio::piped()).spawn().unwrap();
    drop(tow.stdout.take());
    let output = tow.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(1), "and the list was not read to its end");
}

#[test]
fn what_may_not_be_read_is_5() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    if !rustix::process::geteuid().is_root() {
        crate::skip::skip("needs root");
        return;
    }
    let stage = Stage::new();
    let scene = stage.scene("closed");
    fs::create_dir(scene.at("L/closed")).unwrap();
    fs::set_permissions(scene.at("L/closed"), fs::Permissions::from_mode(0o700)).unwrap();
    fs::set_permissions(scene.at("L/new.txt"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::create_dir(scene.at("L/open")).unwrap();
    fs::set_permissions(scene.at("L/open"), fs::Permissions::from_mode(0o777)).unwrap();
    fs::set_permissions(scene.at("L/tree/x"), fs::Permissions::from_mode(0o600)).unwrap();
    for (typed, exit) in [
        (&["ls", "closed"][..], 5),
        (&["size", "closed"], 5),
        (&["cp", "new.txt", "open/copy"], 5),
        (&["cp", "closed", "open/copied"], 5),
        (&["put", "new.txt", "open/"], 5),
        (&["get", "a.txt", "closed/new"], 5),
        (&["get", "tree/y", "closed"], 5),
        (&["get", "a.txt", "tree"], 5),
        (&["mv", "a.txt", "open/"], 5),
        (&["mkdir", "closed/new"], 5),
        (&["mkdir", "-p", "tree/new/er"], 5),
        (&["rm", "--yes", "a.txt"], 5),
        (&["rm", "-r", "--yes", "closed"], 5),
        // One of several, and one within a folder.
        (&["cp", "new.txt", "a.txt", "open/"], 1),
        (&["cp", "tree", "open/tree"], 1),
    ] {
        let mut tow = scene.tow(typed);
        let Ok(output) = tow.uid(65_534).gid(65_534).output() else {
            crate::skip::skip("nobody may not run this program");
            return;
        };
        assert_eq!(output.status.code(), Some(exit), "tow {typed:?}\n{}", told(&output));
        assert!(told(&output).contains("permission denied"), "tow {typed:?}\n{}", told(&output));
    }
    assert_eq!(fs::read_to_string(scene.at("L/open/tree/y/z.o")).unwrap(), "object", "the rest arrives");
}
