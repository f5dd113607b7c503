//! Refusals by the client itself: a server with an audit log hears of them, and any other is not asked.

use std::path::Path;

use serde_json::Value;

use crate::pty::Pty;
use crate::world::{World, audited, said};

/// The refusals of one client, as event and path.
fn refusals(audit: &Path) -> Vec<(String, String)> {
    let lines = audited(audit);
    let refused = lines.iter().filter(|line| line["outcome"] == "failed");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    refused.map(|line| (text(&line["event"]), text(&line["path"]))).collect()
}

const TABLE: [(&str, &[&str], &str, &str); 7] = [
    ("list,read", &["put", "mine.txt", "{S}"], "not_uploaded", "/mine.txt"),
    ("list,read", &["put", "mine.txt", "{S}made/of/"], "not_uploaded", "/made/of/mine.txt"),
    ("list,write", &["get", "{S}there.txt", "."], "not_downloaded", "/there.txt"),
    ("list,read,write", &["mv", "{S}there.txt", "."], "not_deleted", "/there.txt"),
    ("list,read", &["rm", "-y", "{S}there.txt"], "not_deleted", "/there.txt"),
    ("list,read", &["mkdir", "{S}made"], "not_made_folder", "/made"),
    ("list", &["cp", "{S}there.txt", "copy"], "not_downloaded", "/there.txt"),
];

#[test]
fn f74_an_audit_log_has_what_the_client_knew_that_it_may_not_do() {
    let world = World::new();
    let audit = world.at("audit.jsonl");
    for (number, (may, words, event, path)) in TABLE.into_iter().enumerate() {
        let state = format!("towd {number}");
        let _ = std::fs::remove_file(&audit);
        let server = world.serve("127.0.0.1:0", &state, &["--audit", audit.to_str().unwrap()], "    tow1");
        let (target, client) = (server.target(), format!("ann {number}"));
        let code = world.towd(&state, &["pair", "--allow", may, "--name", "ann"]);
        assert!(world.tow(&client, &["ls", &target], Some(code.trim())).status.success());
        let words: Vec<_> = words.iter().map(|word| word.replace("{S}", &target)).collect();
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        // A dry run is no attempt.
        if !["rm", "mkdir"].contains(&words[0]) {
            let output = world.tow(&client, &[&words[..1], &["-n"], &words[1..]].concat(), None);
            assert_eq!(output.status.code(), Some(5), "{words:?}: {}", said(&output));
        }
        let output = world.tow(&client, &words, None);
        assert_eq!(output.status.code(), Some(5), "{words:?}: {}", said(&output));
        server.end();
        assert_eq!(refusals(&audit), [(event.to_owned(), path.to_owned())], "{words:?}");
        let lines = audited(&audit);
        let line = lines.iter().find(|line| line["event"] == event).unwrap();
        assert_eq!(line["client"], "ann", "{line}");
        assert!(world.at("root/there.txt").exists() && !world.at("root/made").exists());
        assert!(!world.at("here/there.txt").exists() && !world.at("here/copy").exists());
    }
}

#[test]
fn a_server_without_an_audit_log_is_not_asked() {
    let world = World::new();
    let server = world.serve("127.0.0.1:0", "towd", &["--read-only"], "    tow1");
    let target = server.target();
    assert!(world.tow("ann", &["ls", &target], Some(&server.code())).status.success());
    let output = world.tow("ann", &["put", "mine.txt", &target], None);
    assert_eq!(output.status.code(), Some(5), "{}", said(&output));
    let log = server.end();
    assert!(!log.contains("could not upload"), "{log}");
}

#[test]
fn a_key_in_the_panes_that_is_not_allowed_is_in_the_audit_log() {
    let world = World::new();
    let audit = world.at("audit.jsonl");
    let arguments = ["--read-only", "--audit", audit.to_str().unwrap()];
    let server = world.serve("127.0.0.1:0", "towd", &arguments, "    tow1");
    let target = server.target();
    assert!(world.tow("ann", &["ls", &target], Some(&server.code())).status.success());
    let mut pty = Pty::start(world.at_terminal("ann", &["--connect", &target]), 120, 30);
    pty.wait_for("there.txt");
    // F8, in the right pane.
    pty.press("\t");
    pty.press("\x1b[19~");
    pty.wait_for("may list");
    // The request was sent before this one is answered.
    pty.press("\x12");
    let deadline = std::time::Instant::now() + std::time::Duration::from_mins(1);
    while refusals(&audit).is_empty() {
        assert!(std::time::Instant::now() < deadline, "{:?}", audited(&audit));
        std::thread::park_timeout(std::time::Duration::from_millis(20));
    }
    pty.press("q");
    assert_eq!(pty.wait_for_end().exit_code(), 0);
    server.end();
    assert_eq!(refusals(&audit), [("not_deleted".to_owned(), "/there.txt".to_owned())]);
    assert!(world.at("root/there.txt").exists());
}
