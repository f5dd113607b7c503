//! PROTOCOL.md's rules for sessions, checked against a running server.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;

use towpath_protocol::answer::SpaceInfo;
use towpath_protocol::fault::FaultCode;
use towpath_protocol::frame::{Decoder, Encoded, encode_to_server};
use towpath_protocol::hello::{Capability, Hello, PREAMBLE};
use towpath_protocol::message::{
    Answer, Bye, NUMBERED_BY_CLIENT, Packed, Ping, RequestId, Session, ToServer,
};
use towpath_protocol::request::{BeginUpload, Existing, MakeFolder, OperationId, Space};

use super::log::put;
use super::tls::House;
use super::world::{Client, Towd, at, folder, hello};

#[test]
fn of_the_sessions_own_words_the_id_does_not_matter() {
    let root = folder(&[]);
    let towd = Towd::on_socket(root.path());
    // Its Hello was under id 0.
    let mut client = towd.connect();
    for id in [0, 77] {
        client.say(id, &ToServer::Session(Session::Ping(Ping {})));
        assert!(matches!(client.hear(), Some((heard, Answer::Pong(_))) if heard == id));
    }
    client.say(77, &ToServer::Session(Session::Bye(Bye {})));
    assert!(matches!(client.hear(), Some((_, Answer::Bye(_)))));
    assert!(client.hear().is_none());
}

#[test]
fn of_a_request_under_an_id_in_use_nothing_is_done_and_the_open_one_ends() {
    let root = folder(&[]);
    let towd = Towd::on_socket(root.path());
    let mut client = towd.connect();
    let begin = BeginUpload {
        operation: OperationId([5; 16]),
        file: at("file"),
        store: put("file", b"").store,
        size: 10,
        resume: None,
        basis: None,
        window_bytes: None,
        stored_bytes: None,
    };
    client.say(9, &ToServer::Request(begin.into()));
    assert!(matches!(client.hear(), Some((9, Answer::UploadReady(_)))));
    let folder = MakeFolder {
        operation: OperationId([6; 16]),
        folder: at("folder"),
        mode: 0o755,
        existing: Existing::Keep,
    };
    client.say(9, &ToServer::Request(folder.into()));
    assert!(matches!(client.hear(), Some((9, Answer::Fault(fault))) if fault.code == FaultCode::OutOfOrder));
    assert!(!root.path().join("folder").exists() && !root.path().join("file").exists());
    // The session goes on, and the id is free.
    client.say(9, &ToServer::Request(Space { path: at("").path }.into()));
    assert!(matches!(client.hear(), Some((9, Answer::SpaceInfo(_)))));
}

fn bytes_of(Encoded { head, data }: Encoded) -> Vec<u8> {
    [head, data.to_vec()].concat()
}

fn ping(id: u32) -> Encoded {
    encode_to_server(RequestId(id), &ToServer::Session(Session::Ping(Ping {}))).unwrap()
}

/// The next answer on a plain stream, with its id.
fn next_answer(stream: &mut UnixStream, decoder: &mut Decoder) -> (u32, Answer) {
    loop {
        if let Some(incoming) = decoder.next_answer().unwrap() {
            return (incoming.id.0, incoming.message.unwrap());
        }
        let mut bytes = vec![0; 4096];
        let read = stream.read(&mut bytes).unwrap();
        assert!(read > 0, "the server has closed the connection");
        decoder.push(&bytes[..read]);
    }
}

#[test]
fn welcome_comes_under_the_id_of_hello_and_a_packed_frame_under_any_id() {
    let root = folder(&[]);
    let towd = Towd::on_socket(root.path());
    for id in [0, 5, u32::MAX] {
        let mut stream = UnixStream::connect(towd.listening["unix"].as_str().unwrap()).unwrap();
        stream.set_read_timeout(Some(std::time::Duration::from_secs(30))).unwrap();
        let capabilities = vec![Capability::new(Capability::ZSTD)];
        let hello = Session::Hello(Hello { capabilities, ..hello() });
        let hello = encode_to_server(RequestId(id), &ToServer::Session(hello)).unwrap();
        stream.write_all(&[PREAMBLE.to_vec(), bytes_of(hello)].concat()).unwrap();
        let mut preamble = [0; PREAMBLE.len()];
        stream.read_exact(&mut preamble).unwrap();
        let mut decoder = Decoder::new();
        let (heard, answer) = next_answer(&mut stream, &mut decoder);
        let Answer::Welcome(welcome) = answer else { panic!("{answer:?}") };
        assert!(heard == id && welcome.has(Capability::ZSTD), "{welcome:?}");
        // Its content counts as if it came alone: with its own id.
        let frame = zstd::bulk::compress(&bytes_of(ping(77))[4..], 1).unwrap();
        let packed = Session::Packed(Packed { frame });
        let packed = encode_to_server(RequestId(id), &ToServer::Session(packed)).unwrap();
        stream.write_all(&bytes_of(packed)).unwrap();
        assert!(matches!(next_answer(&mut stream, &mut decoder), (77, Answer::Pong(_))));
    }
}

#[test]
fn a_client_that_is_removed_hears_not_paired_under_id_0() {
    let root = folder(&[]);
    let house = House::new(root.path(), &[]);
    let ann = house.paired("ann@box", &[]);
    let mut session = house.meet(&ann, None).unwrap();
    house.state.says(&["clients", "remove", "1"]);
    assert!(matches!(session.hear(), Some((0, Answer::Fault(fault))) if fault.code == FaultCode::NotPaired));
    assert!(session.hear().is_none());
}

#[test]
fn a_session_of_which_a_stream_hangs_hears_timed_out_under_id_0() {
    let root = folder(&[]);
    let house = House::new(root.path(), &["--limit", "stall_seconds=1"]);
    let ann = house.paired("ann@box", &[]);
    let mut session = house.meet_with_streams(&ann);
    let ticket = session.welcome.as_ref().and_then(|welcome| welcome.ticket);
    let _joined = house.try_join(&ann, ticket).unwrap();
    // Number 0 never comes.
    session.bytes(&bytes_of(ping(9).numbered(NUMBERED_BY_CLIENT, 1)));
    assert!(matches!(session.hear(), Some((0, Answer::Fault(fault))) if fault.code == FaultCode::TimedOut));
    assert!(session.hear().is_none());
}

/// Free bytes as a client is told.
fn free<R: std::io::Read, W: std::io::Write>(client: &mut Client<R, W>) -> u64 {
    match client.call(Space { path: at("").path }).1 {
        Answer::SpaceInfo(SpaceInfo { free, .. }) => free,
        other => panic!("{other:?}"),
    }
}

#[test]
fn free_is_what_users_have_without_the_reserve_and_no_more_than_the_rest_of_a_quota() {
    const QUOTA: u64 = 1 << 20;
    let root = folder(&[]);
    let disk = || {
        let disk = rustix::fs::statvfs(root.path()).unwrap();
        disk.f_bavail * disk.f_frsize
    };
    let before = disk();
    let reserve = before / 2;
    let limit = format!("disk_reserve_bytes={reserve}");
    let house = House::new(root.path(), &["--limit", &limit]);
    let ann = house.paired("ann@box", &[]);
    let told = free(&mut house.meet(&ann, None).unwrap());
    // Others write and remove meanwhile.
    let (least, most) = (before.min(disk()), before.max(disk()));
    let some = before / 20;
    assert!(
        (least - reserve - some..=most - reserve + some).contains(&told),
        "{told} of {before}, {reserve} kept free"
    );
    let bob = house.paired("bob@box", &["--quota", "1MiB"]);
    let mut session = house.meet(&bob, None).unwrap();
    assert_eq!(free(&mut session), QUOTA.min(told));
    assert!(matches!(session.call(put("file", &vec![7; 50_000])).1, Answer::Stored(_)));
    let stored = 50_000_u64.next_multiple_of(4096);
    assert_eq!(free(&mut session), (QUOTA - stored).min(told));
}
