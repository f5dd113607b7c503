//! `tow.log`: a line for every command that failed, and for what the panes could not do.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::pty::Pty;
use crate::world::World;

/// The lines, without the time that each begins with.
fn lines(state: &Path) -> Vec<String> {
    let text = fs::read_to_string(state.join("tow.log")).unwrap_or_default();
    let lines = text.lines().map(|line| {
        let (time, rest) = line.split_once(' ').unwrap();
        assert!(time.parse::<jiff::Timestamp>().is_ok(), "{line}");
        rest.trim_start().to_owned()
    });
    lines.collect()
}

const CODE: &str = "tow1bqv6w9m6m1w7p2297qkm6w69myy9bfraap8dvyek17sr3qshg7anbeny";

#[test]
fn every_command_that_fails_leaves_one_line_and_no_other_does() {
    let world = World::new();
    let server = world.serve("127.0.0.1:0", "towd", &[], "    tow1");
    let target = server.target();
    let state = world.at("ann");
    assert!(world.tow("ann", &["ls", &target], Some(&server.code())).status.success());
    assert!(world.tow("ann", &["put", "mine.txt", &target], None).status.success());
    assert_eq!(lines(&state), [""; 0], "what went well leaves nothing");
    fs::write(world.at("here/mine.txt"), "another mine").unwrap();
    fs::create_dir(world.at("here/full")).unwrap();
    fs::write(world.at("here/full/x"), "x").unwrap();
    let table: [(&[&str], i32, &[&str]); 12] = [
        (&["ls", "nope"], 4, &["ERROR tow ls: exit 4: nope: no such"]),
        (&["lss"], 2, &["ERROR tow: exit 2: lss: no command"]),
        (&["ls", "--nope"], 2, &["ERROR tow ls: exit 2: ", "--nope"]),
        (&["get", &target], 2, &["ERROR tow get: exit 2: "]),
        (&["put", "mine.txt", &target], 1, &["ERROR tow put: exit 1: ", "mine.txt: skipped: "]),
        (&["put", "nope", &target], 4, &["ERROR tow put: exit 4: nope: no such"]),
        (&["rm", "-y", "full"], 1, &["ERROR tow rm: exit 1: full: "]),
        (&["size", "nope", "no2", "no3"], 1, &["ERROR tow size: exit 1: nope: no such", " (and 2 more)"]),
        (&["mkdir", "full"], 1, &["ERROR tow mkdir: exit 1: full: "]),
        (&["ls", "tow://127.0.0.1:1/"], 3, &["ERROR tow ls: exit 3: tow://127.0.0.1:1/: "]),
        (&["forget", "box"], 4, &["ERROR tow forget: exit 4: box:7171: "]),
        // The panes, which do not come up.
        (&["nope/of/these"], 4, &["ERROR tow: exit 4: nope/of/these: no such"]),
    ];
    for (number, (words, exit, told)) in table.into_iter().enumerate() {
        let output = world.tow("ann", words, None);
        assert_eq!(output.status.code(), Some(exit), "{words:?}: {output:?}");
        let lines = lines(&state);
        assert_eq!(lines.len(), number + 1, "{words:?}: {lines:#?}");
        let line = lines.last().unwrap();
        assert!(
            line.starts_with(told[0]) && told.iter().all(|told| line.contains(told)),
            "{words:?}: {line}"
        );
    }
    assert_eq!(fs::metadata(state.join("tow.log")).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn the_log_has_no_code_and_no_password_whatever_was_typed() {
    let world = World::new();
    let state = world.at("ann");
    for words in [
        &["ls", CODE][..],
        &["get", CODE, "."],
        &[CODE],
        &["ls", &format!("--pair={CODE}")],
        &["ls", "ssh://ann:hunter2@box/x"],
        &["ls", "http://ann:hunter2@box/x"],
        &["--connect", &format!("tow://box/{CODE}"), "--nope"],
    ] {
        assert!(!world.tow("ann", words, None).status.success(), "{words:?}");
    }
    let text = fs::read_to_string(state.join("tow.log")).unwrap();
    assert_eq!(text.lines().count(), 7, "{text}");
    assert!(!text.contains(&CODE[..20]) && !text.contains("hunter2"), "{text}");
}

#[test]
fn the_folder_that_was_named_has_the_line_also_where_the_rest_makes_no_sense() {
    let world = World::new();
    let named = world.at("named");
    for words in [
        ["--state-dir", named.to_str().unwrap(), "ls", "--nope"],
        ["ls", "nope", "--state-dir", named.to_str().unwrap()],
    ] {
        assert!(!world.tow("ann", &words, None).status.success());
    }
    assert_eq!(lines(&named).len(), 2);
    assert!(!world.at("ann/tow.log").exists());
    // A log that cannot be written stops nothing.
    fs::create_dir(world.at("here/tow.log")).unwrap();
    let output = world.tow("here", &["ls", "nope"], None);
    assert_eq!(output.status.code(), Some(4));
}

#[test]
fn what_the_panes_could_not_do_is_in_the_log() {
    let world = World::new();
    let mut pty = Pty::start(world.at_terminal("ann", &[]), 120, 30);
    pty.wait_for("mine.txt");
    pty.press(":mkdir");
    pty.wait_until("the line", |screen| !screen.hide_cursor() && screen.contents().contains(":mkdir"));
    pty.press("\r");
    pty.wait_for("which PATH?");
    pty.press("q");
    assert_eq!(pty.wait_for_end().exit_code(), 0);
    let lines = lines(&world.at("ann"));
    let [line] = &lines[..] else { panic!("{lines:#?}") };
    assert!(line.starts_with("ERROR") && line.contains("mkdir: which PATH?"), "{line}");
}
