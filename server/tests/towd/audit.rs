//! The audit log: who did what, in lines that a program reads, bounded in size, and nobody else's to read.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Value, json};
use towpath_protocol::message::{Answer, Request};
use towpath_protocol::path::Location;
use towpath_protocol::request::{
    Copy, Depth, Direction, Durability, Existing, Hidden, List, MakeFolder, MakeLink, OperationId, Remove,
    Rename, SetMode, SetTimes, SortKey,
};
use towpath_protocol::time::Time;

use super::log::put;
use super::tls::{House, Person};
use super::world::{Towd, at, folder, run};

fn operation(number: u8) -> OperationId {
    OperationId([number; 16])
}

fn list(path: &str) -> List {
    let (sort, direction, hidden) = (SortKey::Name, Direction::Ascending, Hidden::Shown);
    List { folder: Location::through(&at(path).path), sort, direction, hidden, pages: 4 }
}

/// One of each change, in order.
fn changes() -> [Request; 8] {
    let (existing, expected) = (Existing::Keep, None);
    [
        put("new\x1b[2J\u{202e}", b"hello").into(),
        MakeFolder { operation: operation(2), folder: at("made"), mode: 0o755, existing }.into(),
        MakeLink {
            operation: operation(3),
            link: at("link"),
            target: b"x".into(),
            modified: Time::from_ns(0),
            existing,
            expected,
            metadata: None,
        }
        .into(),
        SetMode { thing: at("made"), mode: 0o750 }.into(),
        SetTimes { thing: at("made"), modified: Time::from_ns(0) }.into(),
        Rename { operation: operation(4), from: at("made"), to: at("moved"), existing, expected }.into(),
        Copy {
            operation: operation(5),
            from: at("picture"),
            to: at("copy"),
            existing,
            durability: Durability::Relaxed,
            expected,
            preserve: false,
        }
        .into(),
        Remove { operation: operation(6), thing: at("moved"), depth: Depth::Tree, expected, aside: false }
            .into(),
    ]
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(!text.contains(['\x1b', '\u{202e}']), "{text}");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The fields that matter, of the lines of one client.
fn told(lines: &[Value], client: &str) -> Vec<Value> {
    let of_client = lines.iter().filter(|line| line["client"] == client);
    let told = of_client.map(|line| {
        assert!(line["time"].as_str().unwrap().ends_with('Z') && line["peer"].is_string(), "{line}");
        json!([line["event"], line["path"], line["to"], line["bytes"], line["outcome"]])
    });
    told.collect()
}

#[test]
fn every_session_refusal_and_change_has_its_line() {
    let root = folder(&[]);
    rustix::fs::mkdir(root.path().join("photos"), rustix::fs::Mode::RWXU).unwrap();
    super::world::write(&root.path().join("photos/picture"), b"picture");
    let outside = folder(&[]);
    let audit = outside.path().join("audit.jsonl");
    let house = House::new(root.path(), &["--audit", audit.to_str().unwrap()]);
    let ann = house.paired("ann@box", &["--folder", "photos"]);
    let bob = house.paired("bob@box", &["--allow", "read"]);

    let mut session = house.meet(&ann, None).unwrap();
    for request in changes() {
        let answer = session.call(request).1;
        assert!(!matches!(answer, Answer::Fault(_)), "{answer:?}");
    }
    session.call(list(""));
    session.refused(Remove {
        operation: operation(7),
        thing: at("missing"),
        depth: Depth::Tree,
        expected: None,
        aside: false,
    });
    drop(session);
    let mut session = house.meet(&bob, None).unwrap();
    session.refused(list("photos"));
    session.refused(put("new", b"hello"));
    drop(session);
    house.meet(&Person::new("eve@box"), Some(&house.wrong_code())).err().unwrap();
    let peers = house.towd.log.all().len();
    assert!(peers > 0);
    assert!(house.towd.stop().success());

    assert_eq!(std::fs::metadata(&audit).unwrap().permissions().mode() & 0o777, 0o600);
    let lines = lines(&audit);
    let done =
        |event: &str, path: &str, to: Option<&str>, bytes: u64| json!([event, path, to, bytes, "complete"]);
    let ann: Vec<_> = told(&lines, "ann@box").into_iter().filter(|told| !told[1].is_null()).collect();
    let expected = [
        done("uploaded", r"/photos/new\x1b[2J\u{202e}", None, 5),
        done("made_folder", "/photos/made", None, 0),
        done("made_link", "/photos/link", None, 0),
        done("set_mode", "/photos/made", None, 0),
        done("set_times", "/photos/made", None, 0),
        done("renamed", "/photos/made", Some("/photos/moved"), 0),
        done("copied", "/photos/picture", Some("/photos/copy"), 7),
        done("deleted", "/photos/moved", None, 0),
        json!(["not_deleted", "/photos/missing", null, 0, "failed"]),
    ];
    assert_eq!(ann, expected);
    assert!(lines.iter().any(|line| line["event"] == "set_mode" && line["mode"] == "0750"), "{lines:#?}");

    let bob: Vec<_> = lines.iter().filter(|line| line["client"] == "bob@box").collect();
    let faults: Vec<_> = bob.iter().filter(|line| line["fault"].is_string()).collect();
    assert_eq!((&faults[0]["event"], &faults[0]["path"]), (&"not_looked".into(), &"/photos".into()));
    assert!(faults[0]["fault"].as_str().unwrap().contains("permission denied"), "{}", faults[0]);
    assert_eq!((&faults[1]["event"], &faults[1]["fault"]), (&"not_uploaded".into(), &"read-only".into()));
    let connected = bob.iter().find(|line| line["event"] == "connected").unwrap();
    assert_eq!((&connected["may"], &connected["folder"]), (&"read".into(), &"/".into()));
    assert!(bob.iter().any(|line| line["event"] == "left" && line["seconds"].is_f64()));
    let refused = lines.iter().find(|line| line["event"] == "refused").unwrap();
    assert!(refused["reason"].as_str().unwrap().contains("pairing code"), "{refused}");
    assert_eq!(refused.get("client"), None);
}

#[test]
fn it_takes_no_more_room_than_it_is_given() {
    let root = folder(&[]);
    let outside = folder(&[]);
    let audit = outside.path().join("audit.jsonl");
    let limits =
        ["--audit", audit.to_str().unwrap(), "--limit", "audit_bytes=4KiB", "--limit", "audit_files=2"];
    let towd = Towd::on_socket_with(root.path(), &limits);
    let mut client = towd.connect();
    for _ in 0..100 {
        client.call(SetTimes { thing: at("missing"), modified: Time::from_ns(0) });
    }
    drop(client);
    assert!(towd.stop().success());
    let mut names: Vec<_> =
        std::fs::read_dir(outside.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["audit.jsonl", "audit.jsonl.1", "audit.jsonl.2"]);
    for name in names {
        let path = outside.path().join(name);
        assert!(std::fs::metadata(&path).unwrap().len() <= 4096);
        assert!(lines(&path).iter().all(|line| line["peer"].as_str().unwrap().starts_with("unix(uid ")));
    }
}

#[test]
fn an_audit_log_that_cannot_be_kept_is_no_audit_log() {
    let root = folder(&[]);
    let inside = root.path().join("audit.jsonl");
    let outside = folder(&[]);
    let link = outside.path().join("link");
    std::os::unix::fs::symlink(root.path(), &link).unwrap();
    let arguments = |audit: &Path| {
        let words = ["--listen", "127.0.0.1:0", "--root", root.path().to_str().unwrap(), "--audit"];
        words.iter().map(ToString::to_string).chain([audit.to_str().unwrap().to_owned()]).collect::<Vec<_>>()
    };
    for (audit, why) in [
        (outside.path().join("missing/audit").as_path(), "No such file"),
        (Path::new("/dev/null"), "not a file"),
        (&inside, "in the served folder"),
        (&link.join("audit.jsonl"), "in the served folder"),
    ] {
        let output = run(arguments(audit));
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("--audit ") && said.contains(why), "{said}");
        assert!(output.stdout.is_empty());
    }
    assert!(!inside.exists());
}
