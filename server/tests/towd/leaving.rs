//! How towd ends: in order at the first signal, at once at the second.

use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::process::{Pid, Signal, kill_process};
use towpath_protocol::answer::Stored;
use towpath_protocol::fault::FaultCode;
use towpath_protocol::hash::Hash;
use towpath_protocol::input::{CommitUpload, UploadData};
use towpath_protocol::message::{Answer, Bye};
use towpath_protocol::path::WirePath;
use towpath_protocol::request::{BeginUpload, Durability, Existing, OperationId, Space, StoreAs};
use towpath_protocol::time::Time;

use super::tls::House;
use super::world::{Client, Towd, at, folder, towd};

fn upload(path: &str, size: u64) -> BeginUpload {
    let store = StoreAs {
        mode: 0o644,
        modified: Time::from_ns(0),
        existing: Existing::Keep,
        expected: None,
        durability: Durability::Relaxed,
        metadata: None,
    };
    BeginUpload {
        operation: OperationId([7; 16]),
        file: at(path),
        store,
        size,
        resume: None,
        basis: None,
        window_bytes: None,
        stored_bytes: None,
    }
}

#[test]
fn a_signal_tells_every_client_and_ends_with_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let root = folder(&[]);
        let mut towd = Towd::on_socket(root.path());
        let mut clients = [towd.connect(), towd.connect()];
        let began = Instant::now();
        towd.signal(signal);
        for client in &mut clients {
            assert_eq!(client.hear(), Some((0, Bye {}.into())));
            assert_eq!(client.hear(), None);
        }
        drop(clients);
        assert_eq!(towd.wait().code(), Some(0));
        assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    }
}

#[test]
fn idle_clients_hear_bye_at_once_whatever_they_do_then() {
    let root = folder(&[]);
    let socket = root.path().join("socket");
    let mut house = House::new(root.path(), &["--unix", socket.to_str().unwrap()]);
    let ann = house.paired("ann@box", &[]);
    let mut encrypted = house.meet(&ann, None).unwrap();
    encrypted.call(Space { path: WirePath::root() });
    let mut plain = Client::over_unix(&socket);
    let _never_greeted = UnixStream::connect(&socket).unwrap();
    let began = Instant::now();
    house.towd.signal(Signal::TERM);
    for client in [&mut encrypted, &mut plain] {
        assert_eq!(client.hear(), Some((0, Bye {}.into())));
        assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    }
    // Neither closes: what is waited for is that they have taken the last word.
    assert_eq!(house.towd.wait().code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    drop((encrypted, plain));
}

#[test]
fn a_running_upload_may_finish_while_nobody_else_gets_in() {
    let root = folder(&[]);
    let mut towd = Towd::on_socket(root.path());
    let mut client = towd.connect();
    let id = client.begin(upload("file", 5));
    assert!(matches!(client.hear(), Some((_, Answer::UploadReady(_)))));
    towd.signal(Signal::TERM);
    towd.log.wait_for("leaving");
    let end = Instant::now() + Duration::from_secs(5);
    while UnixStream::connect(towd.listening["unix"].as_str().unwrap()).is_ok() {
        assert!(Instant::now() < end, "still listening");
        std::thread::yield_now();
    }
    assert_eq!(client.refused(Space { path: WirePath::root() }), FaultCode::ShuttingDown);
    client.input(id, UploadData { offset: 0, data: Bytes::from_static(b"hello") });
    client.input(id, CommitUpload { len: 5, hash: Hash::of(b"hello") });
    let stored = std::iter::from_fn(|| client.hear())
        .find_map(|(_, answer)| if let Answer::Stored(stored) = answer { Some(stored) } else { None });
    assert!(matches!(stored, Some(Stored { attributes, .. }) if attributes.size == 5));
    assert_eq!(client.hear(), Some((0, Bye {}.into())));
    drop(client);
    assert_eq!(towd.wait().code(), Some(0));
}

#[test]
fn the_second_signal_ends_it_at_once() {
    let root = folder(&[]);
    let mut towd = Towd::on_socket(root.path());
    let mut client = towd.connect();
    client.begin(upload("file", 5));
    assert!(matches!(client.hear(), Some((_, Answer::UploadReady(_)))));
    towd.signal(Signal::TERM);
    towd.log.wait_for("leaving");
    let began = Instant::now();
    towd.signal(Signal::TERM);
    assert_eq!(towd.wait().code(), Some(143));
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_session_on_standard_input_leaves_in_order_too() {
    let root = folder(&[]);
    let mut child = towd()
        .arg("--stdio")
        .arg("--root")
        .arg(root.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut client = Client::greet(child.stdout.take().unwrap(), child.stdin.take().unwrap());
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(client.hear(), Some((0, Bye {}.into())));
    assert_eq!(client.hear(), None);
    drop(client);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
