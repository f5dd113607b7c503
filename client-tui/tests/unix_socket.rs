//! Unix sockets: whoever is at the other end is the same user, or is told nothing. Takes a second user, and so root.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr,
    unreachable_pub,
    reason = "tests"
)]

#[path = "support/skip.rs"]
mod skip;
#[allow(dead_code, reason = "other tests use more of it")]
#[path = "support/towd.rs"]
mod towd;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;
use towd::Towd;

/// No user that anybody is.
const ANOTHER: &str = "65531";

/// A server whose socket somebody has opened to everybody; none, and said so, where nobody can be another user.
fn loosened() -> Option<(TempDir, Towd)> {
    let can = rustix::process::geteuid().is_root() && Path::new("/usr/bin/setpriv").exists();
    if !can {
        skip::skip("it takes root and setpriv to be another user");
        return None;
    }
    let dir = tempfile::tempdir().unwrap();
    let towd = Towd::start(dir.path(), &dir.path().join("state"), &[]);
    for (path, mode) in [("", 0o755), ("state", 0o755), ("state/socket", 0o777)] {
        fs::set_permissions(dir.path().join(path), fs::Permissions::from_mode(mode)).unwrap();
    }
    Some((dir, towd))
}

fn as_another(program: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new("setpriv");
    command.args(["--reuid", ANOTHER, "--regid", ANOTHER, "--clear-groups"]).arg(program).args(arguments);
    // Nothing that this user may make or look into.
    let home = program.with_file_name("no home");
    command.current_dir("/").env_remove("TOW_STATE_DIR").env("HOME", home).output().unwrap()
}

#[test]
fn a_client_tells_a_server_of_another_user_nothing() {
    let Some((dir, towd)) = loosened() else { return };
    // Where another user may run it.
    let tow = dir.path().join("tow");
    fs::copy(env!("CARGO_BIN_EXE_tow"), &tow).unwrap();
    let output = as_another(&tow, &["ls", &towd.target("")]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("belongs to another user (uid 0); refusing to connect"), "{said}");
}

#[test]
fn a_server_turns_another_user_away_and_says_nothing() {
    let Some((dir, towd)) = loosened() else { return };
    let socket = dir.path().join("state/socket");
    let script = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); sys.stdout.buffer.write(s.recv(8))";
    let python = Path::new("/usr/bin/python3");
    let output = as_another(python, &["-c", script, socket.to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.stdout, b"");
    // The server's own user is let in all the same.
    let own = Command::new(env!("CARGO_BIN_EXE_tow"))
        .args(["ls", &towd.target("")])
        .env("TOW_STATE_DIR", dir.path().join("mine"))
        .output()
        .unwrap();
    assert!(own.status.success(), "{}", String::from_utf8_lossy(&own.stderr));
}
