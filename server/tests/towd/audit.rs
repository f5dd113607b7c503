//! The audit log: who did what, in lines that a program reads, bounded in size, and nobody else's to read.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Value, json};
use towpath_protocol::fault::FaultCode;
use towpath_protocol::hash::Hash;
use towpath_protocol::message::{Answer, Request};
use towpath_protocol::metadata::{Extended, Metadata, Owner};
use towpath_protocol::path::{Location, WirePath};
use towpath_protocol::request::{
    Copy, Depth, Direction, Durability, Existing, Flush, Follow, Hidden, List, MakeFolder, MakeLink,
    OperationId, Remove, Rename, SetMetadata, SetMode, SetTimes, SortKey, Stat,
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
    session.refused(Flush { folder: at("photos") });
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
    let timed = lines.iter().find(|line| line["event"] == "set_times").unwrap();
    assert_eq!(timed["modified"], "1970-01-01T00:00:00Z", "{timed}");

    let bob: Vec<_> = lines.iter().filter(|line| line["client"] == "bob@box").collect();
    let faults: Vec<_> = bob.iter().filter(|line| line["fault"].is_string()).collect();
    assert_eq!((&faults[0]["event"], &faults[0]["path"]), (&"not_looked".into(), &"/photos".into()));
    assert!(faults[0]["fault"].as_str().unwrap().contains("permission denied"), "{}", faults[0]);
    assert_eq!((&faults[1]["event"], &faults[1]["fault"]), (&"not_uploaded".into(), &"read-only".into()));
    assert_eq!((&faults[2]["event"], &faults[2]["path"]), (&"not_flushed".into(), &"/photos".into()));
    let connected = bob.iter().find(|line| line["event"] == "connected").unwrap();
    assert_eq!((&connected["may"], &connected["folder"]), (&"read".into(), &"/".into()));
    assert!(bob.iter().any(|line| line["event"] == "left" && line["seconds"].is_f64()));
    let refused = lines.iter().find(|line| line["event"] == "refused").unwrap();
    assert!(refused["reason"].as_str().unwrap().contains("pairing code"), "{refused}");
    assert_eq!(refused.get("client"), None);
}

#[test]
fn it_takes_no_more_room_than_it_is_given() {
    let root = folder(&[("there", b"x")]);
    let outside = folder(&[]);
    let audit = outside.path().join("audit.jsonl");
    let mut limits = vec!["--audit", audit.to_str().unwrap()];
    for limit in ["audit_bytes=4KiB", "audit_files=2", "audit_turn_seconds=0"] {
        limits.extend(["--limit", limit]);
    }
    let towd = Towd::on_socket_with(root.path(), &limits);
    let mut client = towd.connect();
    for _ in 0..100 {
        client.call(SetTimes { thing: at("there"), modified: Time::from_ns(0) });
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

/// A client that is let in by a socket, and the audit log of its server.
fn audited(root: &Path, outside: &Path) -> (Towd, std::path::PathBuf) {
    let audit = outside.join("audit.jsonl");
    (Towd::on_socket_with(root, &["--audit", audit.to_str().unwrap()]), audit)
}

#[test]
fn f74_refusals_again_and_again_are_summed_and_lines_are_bounded_and_none_goes_uncounted() {
    let root = folder(&[]);
    let outside = folder(&[]);
    let (towd, audit) = audited(root.path(), outside.path());
    let mut client = towd.connect();
    // Each of these names is four times as long once it is escaped.
    let long = vec!["\u{202e}".repeat(80); 16].join("/");
    for _ in 0..1000 {
        client.refused(Remove {
            operation: operation(1),
            thing: at(&long),
            depth: Depth::Single,
            expected: None,
            aside: false,
        });
        client.refused(SetTimes { thing: at(&long), modified: Time::from_ns(0) });
    }
    drop(client);
    assert!(towd.stop().success());
    let text = std::fs::read_to_string(&audit).unwrap();
    assert!(text.lines().all(|line| line.len() < 8192), "a line is too long");
    let lines = lines(&audit);
    for event in ["not_deleted", "not_set_times"] {
        let told = lines.iter().filter(|line| line["event"] == event).count() as u64;
        let sums = lines.iter().filter(|line| line["event"] == "summed");
        let summed: u64 = sums.map(|line| line["of"][event].as_u64().unwrap_or(0)).sum();
        assert_eq!(told + summed, 1000, "{event}");
        assert!(told < 500, "{event}: {told} lines");
    }
}

#[test]
fn f74_a_removal_that_was_cancelled_is_told_with_what_it_removed() {
    let root = folder(&[]);
    let outside = folder(&[]);
    let (towd, audit) = audited(root.path(), outside.path());
    let mut client = towd.connect();
    let tree = root.path().join("tree");
    let left = (1..=5).find_map(|round| {
        let files = 20_000 * round;
        rustix::fs::mkdir(&tree, rustix::fs::Mode::RWXU).unwrap();
        (0..files).for_each(|number| super::world::write(&tree.join(number.to_string()), b""));
        let id = client.begin(Remove {
            operation: operation(round as u8),
            thing: at("tree"),
            depth: Depth::Tree,
            expected: None,
            aside: false,
        });
        // It has begun once it says how far it is; where it ends before it hears, there was too little to do.
        let answer = client.hear().unwrap().1;
        if answer.is_final() {
            return None;
        }
        client.input(id, towpath_protocol::input::Cancel {});
        match client.hear_final().unwrap().1 {
            Answer::Fault(fault) => {
                assert_eq!(fault.code, FaultCode::Cancelled);
                Some(files - std::fs::read_dir(&tree).unwrap().count())
            }
            _ => None,
        }
    });
    drop(client);
    assert!(towd.stop().success());
    let removed = left.expect("a removal cannot be cancelled here");
    let lines = lines(&audit);
    let told = lines.iter().find(|line| line["event"] == "deleted" && line["outcome"] == "partial").unwrap();
    assert_eq!((told["files"].as_u64(), &told["path"]), (Some(removed as u64), &"/tree".into()));
    assert!(removed > 0 && told["fault"].as_str().unwrap().contains("cancelled"), "{told}");
}

#[test]
fn f74_what_was_given_to_things_is_told() {
    let root = folder(&[("there", b"x")]);
    let outside = folder(&[]);
    let (towd, audit) = audited(root.path(), outside.path());
    let mut client = towd.connect();
    let owner = Owner { number: 4321, name: Some("somebody\x1b".into()) };
    let extended = vec![Extended { name: b"user.note".to_vec(), value: b"x".to_vec() }];
    let metadata =
        Metadata { owner: Some(owner.clone()), group: Some(owner), extended, ..Metadata::default() };
    let mut stored = put("new", b"hello");
    stored.store.metadata = Some(Box::new(metadata.clone()));
    stored.store.mode = 0o4755;
    client.call(stored);
    let stat = Stat { base: WirePath::default(), paths: vec![at("there").path], follow: Follow::No };
    let Answer::Stats(stats) = client.call(stat).1 else { panic!() };
    let identity = stats.items[0].0.as_ref().unwrap().identity;
    client.call(SetMetadata { thing: at("there"), identity, mode: 0o2750, metadata });
    client.call(MakeLink {
        operation: operation(3),
        link: at("link"),
        target: b"/etc/\x1bpasswd".to_vec(),
        modified: Time::from_ns(0),
        existing: Existing::Keep,
        expected: None,
        metadata: None,
    });
    drop(client);
    assert!(towd.stop().success());
    let lines = lines(&audit);
    let of =
        |event: &str| lines.iter().find(|line| line["event"] == event).unwrap_or_else(|| panic!("{event}"));
    let hash = Hash::of(b"hello").0.iter().fold(String::new(), |hash, byte| format!("{hash}{byte:02x}"));
    let owner = r"4321 (somebody\x1b)";
    for (event, mode) in [("uploaded", "4755"), ("set_metadata", "2750")] {
        let line = of(event);
        let told = [&line["mode"], &line["owner"], &line["group"], &line["attributes"]];
        assert_eq!(told, [mode, owner, owner, "user.note"], "{line}");
    }
    assert_eq!(of("uploaded")["hash"], hash);
    assert_eq!(of("made_link")["target"], r"/etc/\x1bpasswd");
}
