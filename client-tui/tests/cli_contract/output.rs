//! Output that is lost, and names that stand for something else: a full or closed standard output, links written as folders, open
//! descriptors.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Command, Output, Stdio};

use crate::stage::{Scene, Stage, told};

/// Runs the programs of a shell's line in the local folder; `$0` is tow, `$1` the served folder.
fn line(scene: &Scene, line: &str) -> Output {
    let tow = scene.tow(&[]);
    let mut bash = Command::new("bash");
    bash.args(["-c", line]).arg(env!("CARGO_BIN_EXE_tow")).arg(scene.meant("{S}"));
    bash.current_dir(scene.at("L"));
    for (name, value) in tow.get_envs() {
        value.map(|value| bash.env(name, value));
    }
    bash.stdin(Stdio::null()).output().unwrap()
}

#[test]
fn output_that_is_lost_is_no_success() {
    let stage = Stage::new();
    let scene = stage.scene("lost");
    for (typed, exit) in [
        ("ls", 1),
        ("ls empty", 1),
        ("ls --json tree", 1),
        ("size a.txt", 1),
        ("size --json a.txt", 1),
        ("--help", 1),
        ("ls --help", 1),
        ("--version", 1),
        ("cp --json a.txt copy", 1),
        ("cp -n a.txt copy", 1),
    ] {
        fs::create_dir_all(scene.at("L/empty")).unwrap();
        for redirect in ["> /dev/full", ">&-"] {
            let output = line(&scene, &format!("\"$0\" {typed} {redirect}"));
            assert_eq!(output.status.code(), Some(exit), "{typed} {redirect}: {}", told(&output));
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(errors.starts_with("tow: cannot write the output: "), "{typed} {redirect}: {errors}");
        }
        // A reader that leaves early needs no words.
        let output = line(&scene, &format!("\"$0\" {typed} | true; exit ${{PIPESTATUS[0]}}"));
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{typed}");
    }
}

#[test]
fn a_copy_is_whole_whatever_becomes_of_its_summary() {
    let stage = Stage::new();
    let scene = stage.scene("closed");
    // The summary is output that was asked for, unless --quiet was given.
    for (redirect, exit) in
        [(">&-", 1), ("<&- >&- 2>&-", 1), ("> /dev/full", 1), ("--quiet >&-", 0), ("--quiet > /dev/full", 0)]
    {
        let output = line(&scene, &format!("\"$0\" put tree \"$1/copy\" {redirect}"));
        assert_eq!(output.status.code(), Some(exit), "{redirect}: {}", told(&output));
        assert_eq!(fs::read_to_string(scene.at("S/copy/y/z.o")).unwrap(), "object");
        fs::remove_dir_all(scene.at("S/copy")).unwrap();
    }
}

#[test]
fn a_link_with_a_slash_is_what_it_leads_to() {
    let stage = Stage::new();
    let scene = stage.scene("slash");
    symlink("tree", scene.at("L/current")).unwrap();
    symlink(scene.at("L/tree"), scene.at("L/absolute")).unwrap();
    symlink("docs", scene.at("S/current")).unwrap();
    let run = |typed: &[&str], exit: i32| {
        let output = scene.tow(typed).output().unwrap();
        assert_eq!(output.status.code(), Some(exit), "{typed:?}: {}", told(&output));
        told(&output)
    };
    let is_link = |path: &str| scene.at(path).is_symlink();
    let read = |path: &str| fs::read_to_string(scene.at(path)).unwrap();
    for (typed, copy) in [
        (["put", "current/", "{S}/new"], "S/new"),
        (["put", "current/", "{S}/empty/"], "S/empty/current"),
        (["cp", "absolute/", "copied"], "L/copied"),
        (["put", "current/.", "{S}/content"], "S/content"),
        (["put", "absolute/.", "{S}/content2/"], "S/content2"),
    ] {
        run(&typed, 0);
        assert!(!is_link(copy) && read(&format!("{copy}/y/z.o")) == "object", "{typed:?}");
    }
    for (typed, copy) in
        [(["get", "{S}/current/", "got"], "L/got"), (["get", "{S}/current/.", "got2"], "L/got2")]
    {
        run(&typed, 0);
        assert!(!is_link(copy) && read(&format!("{copy}/sub/c")) == "deep", "{typed:?}");
    }
    // Without the slash it is the link.
    run(&["cp", "current", "link"], 0);
    assert!(is_link("L/link"));
    // A move would leave it dangling.
    assert!(run(&["mv", "current/", "moved"], 1).contains("current/: a link"));
    assert!(is_link("L/current") && scene.at("L/tree/x").exists() && !scene.at("L/moved").exists());
    run(&["ls", "current/"], 0);
    run(&["size", "{S}/current/"], 0);
}

#[test]
fn an_open_descriptor_is_its_content_or_refused_and_never_a_link() {
    let stage = Stage::new();
    let scene = stage.scene("descriptor");
    for verb in ["put", "cp", "mv"] {
        let output = line(&scene, &format!("\"$0\" {verb} <(echo hello) \"$1/piped\""));
        assert_eq!(output.status.code(), Some(1), "{verb}: {}", told(&output));
        assert!(told(&output).contains("stands for an open descriptor"), "{}", told(&output));
    }
    let output = line(&scene, "echo hello | \"$0\" put /dev/stdin \"$1/piped\"");
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    assert!(!scene.at("S/piped").is_symlink() && !scene.at("S/piped").exists());
    // Written as a folder it is told alike, whatever is behind it.
    for open in ["tree", "new.txt"] {
        let output = line(&scene, &format!("\"$0\" cp /dev/fd/9/ folder 9< {open}"));
        assert_eq!(output.status.code(), Some(1), "{open}: {}", told(&output));
        assert!(told(&output).contains("/dev/fd/9/: stands for an open descriptor"), "{}", told(&output));
    }
    // One of a file too: the file has a name.
    let output = line(&scene, "\"$0\" put /dev/stdin \"$1/file\" < new.txt");
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    assert!(!scene.at("S/file").is_symlink() && !scene.at("S/file").exists());
}

#[test]
fn an_empty_variable_is_as_good_as_none() {
    let stage = Stage::new();
    let scene = stage.scene("empty");
    fs::create_dir(scene.at("L/home")).unwrap();
    for (typed, exit) in [(&["ls", "tree"][..], 0), (&["cp", "new.txt", "copy"], 0), (&["ls", "{S}"], 0)] {
        let mut tow = scene.tow(typed);
        tow.env("HOME", scene.at("L/home"));
        for name in [
            "TOW_STATE_DIR",
            "XDG_STATE_HOME",
            "XDG_CONFIG_HOME",
            "XDG_RUNTIME_DIR",
            "TMPDIR",
            "TOW_PAIR",
            "TOW_LOG",
        ] {
            tow.env(name, "");
        }
        let output = tow.output().unwrap();
        assert_eq!(output.status.code(), Some(exit), "{typed:?}: {}", told(&output));
    }
    assert!(!scene.at("L/towpath").exists() && !scene.at("L/client").exists());
}
