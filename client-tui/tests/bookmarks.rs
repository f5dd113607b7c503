//! Bookmarks of the configuration file where a TARGET is typed: in one-job commands, at the prompt, and in what makes no sense.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr,
    unreachable_pub,
    reason = "tests"
)]

#[allow(dead_code, unreachable_pub, reason = "shared by several tests, each of which uses a part")]
#[path = "support/towd.rs"]
mod towd;

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;
use towd::Towd;

/// A home folder with a configuration file in it.
fn home(config: &str) -> TempDir {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir_all(home.path().join(".config/towpath")).unwrap();
    fs::write(home.path().join(".config/towpath/config.toml"), config).unwrap();
    home
}

fn tow(home: &Path, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tow"))
        .args(arguments)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", home)
        .current_dir(home)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn out(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_bookmark_is_a_target_in_every_command_and_at_the_prompt() {
    let (there, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::create_dir(there.path().join("sub")).unwrap();
    fs::write(there.path().join("sub/far.txt"), "far").unwrap();
    let server = Towd::start(there.path(), state.path(), &[]);
    let home = home(&format!("[bookmarks]\nbox = \"{}\"\nlocal = \"{}\"\n", server.target(""), "~/no"));
    for (arguments, input) in [
        (["ls", "box:sub"].as_slice(), ""),
        (&["shell"], "connme box\nls sub\n"),
        (&["shell", "--connect", "box:sub"], "ls\n"),
    ] {
        let text = out(&tow(home.path(), arguments, input));
        assert!(text.contains("far.txt"), "{arguments:?}: {text}");
    }
    out(&tow(home.path(), &["get", "box:sub/far.txt", "near.txt"], ""));
    assert_eq!(fs::read_to_string(home.path().join("near.txt")).unwrap(), "far");
    out(&tow(home.path(), &["put", "near.txt", "box:/"], ""));
    assert_eq!(fs::read_to_string(there.path().join("near.txt")).unwrap(), "far");
    // A file of a bookmark's name.
    fs::write(home.path().join("box"), "box").unwrap();
    assert!(out(&tow(home.path(), &["ls", "./box"], "")).contains("box"));
}

#[test]
fn a_configuration_that_makes_no_sense_is_refused_with_its_line() {
    let home = home("theme = \"dark\"\ncolour = 1\n");
    let output = tow(home.path(), &["ls", "."], "");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("config.toml: line 2: unknown field `colour`"), "{said}");
}
