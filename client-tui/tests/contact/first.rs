//! README's walk, typed and pasted as it stands there; and the ways back from it.

use crate::pty::Pty;
use crate::world::{World, said};

const NO_CODE: &str = "another client\n";

#[test]
fn the_lines_that_towd_prints_are_all_that_a_first_contact_needs() {
    let world = World::new();
    let server = world.serve("127.0.0.1:0", "towd", &[], "    tow1");
    let line = server.connect_line();
    assert_eq!(line[..2], ["tow", "--connect"]);
    let words: Vec<_> = line[1..].iter().map(String::as_str).collect();
    let mut pty = Pty::start(world.at_terminal("ann", &words), 120, 30);
    pty.wait_for("Pair with");
    // Keys are taken once they have paused.
    pty.wait_until("the line", |screen| !screen.hide_cursor());
    pty.press(&format!("{}\r", server.code()));
    pty.wait_for("there.txt");
    pty.wait_for("mine.txt");
    pty.press("q");
    assert_eq!(pty.wait_for_end().exit_code(), 0);
    // The second time no code is needed.
    let mut pty = Pty::start(world.at_terminal("ann", &words), 120, 30);
    pty.wait_for("there.txt");
    pty.press("q");
    assert_eq!(pty.wait_for_end().exit_code(), 0);
    // No client was turned away, and the client has a telling name.
    let [name] = &world.names("towd")[..] else { panic!("{:?}", world.names("towd")) };
    let (user, host) = name.split_once('@').unwrap();
    assert!(
        !user.is_empty() && !user.starts_with(|c: char| c.is_ascii_digit()) && !host.is_empty(),
        "{name}"
    );
    let target = server.target();
    let log = server.end();
    assert!(log.contains(&format!("is paired as {name}")) && !log.contains("not let in"), "{log}");
    // Started again it says why there is no code; a script's client comes in by a new one, under the name that it is given.
    let address = target.trim_start_matches("tow://").trim_end_matches('/');
    let server = world.serve(address, "towd", &[], NO_CODE);
    assert!(
        server.printed.contains(&format!("no pairing code: {name} is paired already")),
        "{}",
        server.printed
    );
    let code = world.towd("towd", &["pair", "--name", "backup"]);
    let output = world.tow("script", &["ls", &target], Some(code.trim()));
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(world.names("towd"), [name.as_str(), "backup"]);
    assert!(!server.end().contains("not let in"));
}

#[test]
fn one_whom_the_server_has_removed_pairs_again_without_a_second_refusal() {
    let world = World::new();
    let server = world.serve("127.0.0.1:0", "towd", &[], "    tow1");
    let target = server.target();
    assert!(world.tow("ann", &["ls", &target], Some(&server.code())).status.success());
    world.towd("towd", &["clients", "remove", "1"]);
    let code = world.towd("towd", &["pair"]);
    let mut pty = Pty::start(world.at_terminal("ann", &["ls", &target]), 120, 20);
    pty.wait_for("Pairing code");
    pty.press(&format!("{}\r", code.trim()));
    pty.wait_for("there.txt");
    assert_eq!(pty.wait_for_end().exit_code(), 0);
    let log = server.end();
    // It came once without a code, which was a refusal.
    assert_eq!(log.matches("was not let in").count(), 1, "{log}");
}

#[test]
fn a_server_is_forgotten_and_met_anew() {
    let world = World::new();
    let server = world.serve("127.0.0.1:0", "towd", &[], "    tow1");
    let (target, address) = (server.target(), server.address());
    assert!(world.tow("ann", &["ls", &target], Some(&server.code())).status.success());
    // One that is not known is told with what is; nothing is forgotten by it.
    let output = world.tow("ann", &["forget", "box"], None);
    assert_eq!(output.status.code(), Some(4), "{}", said(&output));
    let known = format!("tow: box:7171: not a server that this client knows; known: {address}\n");
    assert_eq!(said(&output), known);
    let output = world.tow("eve", &["forget", "--json", "box"], None);
    assert_eq!(output.status.code(), Some(4));
    assert!(said(&output).contains("no server is known"), "{}", said(&output));
    let object: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&object["event"], &object["path"]), (&"failed".into(), &"box".into()));
    for wrong in ["ssh://box/", "unix:/socket", "a b"] {
        let output = world.tow("ann", &["forget", wrong], None);
        assert_eq!(output.status.code(), Some(2), "{wrong}: {}", said(&output));
    }
    let keeps = world.tow("ann", &["ls", &target], None);
    assert!(keeps.status.success(), "{}", said(&keeps));
    // Its key changes: what the error says to do is what helps.
    drop(server);
    let server = world.serve(&address, "another towd", &[], "    tow1");
    let output = world.tow("ann", &["ls", &target], Some(&server.code()));
    let error = said(&output);
    assert_eq!(output.status.code(), Some(3), "{error}");
    assert!(error.contains("HAS CHANGED"), "{error}");
    let advice = error.split('`').nth(1).unwrap();
    let words: Vec<_> = advice.strip_prefix("tow ").unwrap().split(' ').collect();
    assert_eq!(words, ["forget", &address]);
    let output = world.tow("ann", &words, None);
    let forgotten = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(output.status.success(), "{}", said(&output));
    assert!(forgotten.starts_with(&format!("forgot {address}, key SHA256:")), "{forgotten}");
    let output = world.tow("ann", &["ls", &target], Some(&server.code()));
    assert!(output.status.success(), "{}", said(&output));
    // By TARGET, and by a bookmark.
    let config = world.at("home/.config/towpath");
    std::fs::create_dir_all(&config).unwrap();
    std::fs::write(config.join("config.toml"), format!("[bookmarks]\nphotos = \"{target}2026\"\n")).unwrap();
    for named in [target.as_str(), "photos"] {
        let output = world.tow("ann", &["forget", "--json", named], None);
        assert!(output.status.success(), "{named}: {}", said(&output));
        let object: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&object["event"], &object["address"]), (&"forgotten".into(), &address.as_str().into()));
        let code = world.towd("another towd", &["pair"]);
        assert!(world.tow("ann", &["ls", &target], Some(code.trim())).status.success());
    }
}
