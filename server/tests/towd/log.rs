//! The log: who came, what was uploaded, downloaded and deleted, who left.

use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use towpath_protocol::entry::Kind;
use towpath_protocol::hash::Hash;
use towpath_protocol::limits::RANGE_BYTES;
use towpath_protocol::message::{Answer, Bye, Session, ToServer};
use towpath_protocol::request::{
    Depth, Durability, Existing, OperationId, Put, Read, Remove, StoreAs, Wants,
};
use towpath_protocol::time::Time;

use super::world::{Client, Towd, at, folder, towd};

const BIG_BYTES: u64 = 2 * RANGE_BYTES + 77;

pub(crate) fn put(path: &str, data: &[u8]) -> Put {
    let store = StoreAs {
        mode: 0o644,
        modified: Time::from_ns(0),
        existing: Existing::Keep,
        expected: None,
        durability: Durability::Relaxed,
        metadata: None,
    };
    Put { operation: OperationId([1; 16]), file: at(path), store, hash: Hash::of(data), data: data.to_vec() }
}

fn remove(path: &str) -> Remove {
    Remove {
        operation: OperationId([2; 16]),
        thing: at(path),
        depth: Depth::Tree,
        expected: None,
        aside: false,
    }
}

/// A day's work: one file up, one down in ranges, one deleted, one refused.
fn work<R: std::io::Read, W: std::io::Write>(client: &mut Client<R, W>) {
    match client.call(put("new\x1b[2J\u{202e}", b"hello")).1 {
        Answer::Stored(stored) => assert_eq!(stored.attributes.kind, Kind::File),
        other => panic!("{other:?}"),
    }
    for offset in (0..BIG_BYTES).step_by(RANGE_BYTES as usize) {
        let read = Read {
            file: at("big"),
            version: None,
            offset,
            len: RANGE_BYTES,
            wants: Wants::Data,
            holes: false,
        };
        assert!(matches!(client.call(read).1, Answer::ReadDone(_)));
    }
    assert!(matches!(client.call(remove("big")).1, Answer::Totals(totals) if totals.files == 1));
    client.refused(Read {
        file: at("missing"),
        version: None,
        offset: 0,
        len: 1,
        wants: Wants::Data,
        holes: false,
    });
    client.say(0, &ToServer::Session(Session::Bye(Bye {})));
    assert_eq!(client.hear(), Some((0, Bye {}.into())));
}

#[test]
fn with_json_every_line_is_an_object() {
    let root = folder(&[("big", &vec![7; BIG_BYTES as usize])]);
    let mut towd = Towd::on_socket(root.path());
    let mut client = towd.connect();
    work(&mut client);
    drop(client);
    towd.log.wait_for("\"left\"");
    towd.signal(rustix::process::Signal::TERM);
    towd.wait();
    let lines = towd.log.all();
    assert!(lines.iter().all(|line| !line.contains('\x1b')));
    let objects: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |event: &str| {
        let found: Vec<_> = objects.iter().filter(|object| object["event"] == event).collect();
        assert_eq!(found.len(), 1, "{event}: {objects:#?}");
        found[0].clone()
    };
    assert_eq!(of("connected")["agent"], r"test\x1b/1");
    let uploaded = of("uploaded");
    assert_eq!((&uploaded["path"], &uploaded["bytes"]), (&r"new\x1b[2J\u{202e}".into(), &5.into()));
    let downloaded = of("downloaded");
    assert_eq!((&downloaded["path"], &downloaded["bytes"]), (&"big".into(), &BIG_BYTES.into()));
    assert!(downloaded["seconds"].is_f64() && downloaded["outcome"] == "complete");
    let deleted = of("deleted");
    assert_eq!((&deleted["path"], &deleted["files"]), (&"big".into(), &1.into()));
    assert_eq!(of("not_downloaded")["fault"], "no such file or folder");
    let left = of("left");
    assert_eq!(left["peer"], of("connected")["peer"]);
    assert_eq!(left["reason"], "said goodbye");
    assert!(objects.iter().all(|object| object["time"].as_str().unwrap().ends_with('Z')));
}

#[test]
fn a_person_reads_one_line_an_event() {
    let root = folder(&[("big", &vec![7; BIG_BYTES as usize])]);
    let mut child = towd()
        .args([Path::new("--stdio"), Path::new("--root"), root.path()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .env("SSH_CONNECTION", "192.0.2.7 5022 192.0.2.8 22")
        .spawn()
        .unwrap();
    let mut client = Client::greet(child.stdout.take().unwrap(), child.stdin.take().unwrap());
    work(&mut client);
    drop(client);
    let log = String::from_utf8(child.wait_with_output().unwrap().stderr).unwrap();
    let lines: Vec<_> = log.lines().map(|line| line.split_once(' ').unwrap().1).collect();
    let expected = [
        r"ssh(192.0.2.7:5022) connected (test\x1b/1)".to_owned(),
        r"ssh(192.0.2.7:5022) uploaded new\x1b[2J\u{202e}: 5 bytes in ".to_owned(),
        format!("ssh(192.0.2.7:5022) downloaded big: {BIG_BYTES} bytes in "),
        "ssh(192.0.2.7:5022) deleted big: 1 file, 0 folders, ".to_owned(),
        "ssh(192.0.2.7:5022) could not download missing: no such file or folder".to_owned(),
        "ssh(192.0.2.7:5022) left after ".to_owned(),
    ];
    assert_eq!(lines.len(), expected.len(), "{log}");
    for (line, expected) in lines.iter().zip(&expected) {
        assert!(line.starts_with(expected), "{line}");
    }
}
