//! Very many sessions that do their worst with the server's memory, and what it holds then. In every run fewer; by hand as many as
//! `HOSTILE_SESSIONS` says: `HOSTILE_SESSIONS=2000 cargo test --test towd f71_hostile -- --nocapture`.

use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use towpath_protocol::fault::FaultCode;
use towpath_protocol::frame::encode_to_server;
use towpath_protocol::hello::{Hello, PREAMBLE};
use towpath_protocol::input::{More, UploadData};
use towpath_protocol::message::{Answer, Input, Ping, Request, RequestId, Session, ToServer};
use towpath_protocol::path::WirePath;
use towpath_protocol::request::{
    BeginUpload, Direction, Durability, Existing, Follow, Hidden, List, OperationId, Put, Read, SortKey,
    Stat, Wants,
};

use super::limits::{allow_open_files, peak_bytes, resident_bytes};
use super::log::put;
use super::tls::{House, Person};
use super::world::{at, folder, hello, write};

/// In every run.
const SESSIONS: usize = 128;
/// Memory of a server under very many hostile sessions.
const RESIDENT_MAX: u64 = 256 << 20;
/// Entries of the folder that is listed.
const ENTRIES: usize = 5_000;
const BIG_BYTES: usize = 8 << 20;
/// A deadline for everything here.
const PATIENCE: Duration = Duration::from_mins(5);

fn frame(id: u32, message: &ToServer) -> Vec<u8> {
    let encoded = encode_to_server(RequestId(id), message).unwrap();
    [&encoded.head[..], &encoded.data[..]].concat()
}

fn ask(id: u32, request: impl Into<Request>) -> Vec<u8> {
    frame(id, &ToServer::Request(request.into()))
}

fn say(id: u32, input: impl Into<Input>) -> Vec<u8> {
    frame(id, &ToServer::Input(input.into()))
}

fn list(sort: SortKey, pages: u32) -> List {
    List { folder: at(""), sort, direction: Direction::Ascending, hidden: Hidden::Shown, pages }
}

fn operation(session: usize, id: u32) -> OperationId {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&(session as u64).to_be_bytes());
    bytes[8..12].copy_from_slice(&id.to_be_bytes());
    OperationId(bytes)
}

fn upload(session: usize, id: u32) -> BeginUpload {
    BeginUpload {
        operation: operation(session, id),
        file: at(&format!("upload {session} {id}")),
        store: put("", b"").store,
        size: 1 << 30,
        resume: None,
        basis: None,
        window_bytes: Some(u64::MAX),
        stored_bytes: None,
    }
}

/// Messages of a session that takes no answers: one for each kind of memory that a server keeps.
fn worst(session: usize) -> Vec<u8> {
    let ids = 1..=512_u32;
    let said: Vec<Vec<u8>> = match session % 9 {
        // Listings that wait, and credit for them in crumbs.
        0 => ids
            .flat_map(|id| [vec![ask(id, list(SortKey::Name, 1))], vec![say(id, More { pages: 0 }); 50]])
            .flatten()
            .collect(),
        // Pages that are never taken.
        1 => ids.map(|id| ask(id, list(SortKey::Modified, 256))).collect(),
        // A frame that has begun.
        2 => vec![(1_000_000_u32).to_be_bytes().to_vec(), vec![0x93; 300_000]],
        // Replies of the session itself.
        3 => vec![frame(0, &ToServer::Session(Session::Ping(Ping {}))); 1000],
        // Uploads in crumbs, each between frames for no request, which fill the read buffers.
        4 => ids
            .take(64)
            .flat_map(|id| {
                let crumbs = (0..20).flat_map(move |at| {
                    let data = |bytes: usize| UploadData { offset: at, data: vec![7; bytes].into() };
                    [say(id, data(1)), say(9999, data(8000))]
                });
                std::iter::once(ask(id, upload(session, id))).chain(crumbs)
            })
            .collect(),
        // Small files that wait for the disk.
        5 => ids
            .map(|id| {
                let name = format!("put {session} {id}");
                let mut put = Put { operation: operation(session, id), ..put(&name, &[7; 500]) };
                (put.store.durability, put.store.existing) = (Durability::Synced, Existing::Keep);
                ask(id, put)
            })
            .collect(),
        // Questions with long answers.
        6 => ids
            .map(|id| {
                let paths = vec![WirePath::parse(b"link").unwrap(); 200];
                ask(id, Stat { base: WirePath::root(), paths, follow: Follow::No })
            })
            .collect(),
        // Bytes of a large file.
        7 => ids
            .map(|id| {
                let (offset, len) = (0, BIG_BYTES as u64);
                ask(
                    id,
                    Read { file: at("big"), version: None, offset, len, wants: Wants::Data, holes: false },
                )
            })
            .collect(),
        // And of a small one.
        _ => ids
            .map(|id| {
                let (offset, len) = (0, 64 * 1024);
                ask(
                    id,
                    Read { file: at("small"), version: None, offset, len, wants: Wants::Data, holes: false },
                )
            })
            .collect(),
    };
    said.concat()
}

/// A connection that says what it has to say as far as it is taken, and takes nothing.
struct Hostile {
    line: UnixStream,
    said: Vec<u8>,
    at: usize,
}

impl Hostile {
    fn begin(house: &House, eve: &Person, number: usize) -> Self {
        let line = house.prove(eve);
        line.set_nonblocking(true).unwrap();
        let hello = frame(0, &ToServer::Session(Session::Hello(Hello { agent: "eve".into(), ..hello() })));
        Self { line, said: [PREAMBLE.to_vec(), hello, worst(number)].concat(), at: 0 }
    }

    /// Returns whether more was taken.
    fn say_on(&mut self) -> bool {
        let before = self.at;
        while self.at < self.said.len() {
            match self.line.write(&self.said[self.at..]) {
                Ok(written) => self.at += written,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // It is not taken now, or the server has ended the session.
                Err(_) => break,
            }
        }
        self.at > before
    }
}

#[test]
fn f71_hostile_sessions_by_the_hundred_hold_what_is_said_and_no_more() {
    let count = std::env::var("HOSTILE_SESSIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(SESSIONS);
    allow_open_files(4 * count as u64 + 1000);
    let root = folder(&[("big", &vec![7; BIG_BYTES]), ("small", &vec![7; 64 * 1024])]);
    std::os::unix::fs::symlink("x".repeat(4000), root.path().join("link")).unwrap();
    (0..ENTRIES).for_each(|number| write(&root.path().join(format!("a name of some length {number}")), b""));
    let limits = [
        "--limit",
        "sessions=8192",
        "--limit",
        "sessions_per_client=8192",
        "--limit",
        "disk_reserve_bytes=0",
    ];
    let house = House::new(root.path(), &limits);
    let eve = house.paired("eve@box", &[]);
    let ann = house.paired("ann@box", &[]);
    let mut friend = house.meet(&ann, None).unwrap();
    let before = resident_bytes(&house.towd);
    let end = Instant::now() + PATIENCE;
    let mut sessions = Vec::new();
    for number in 0..count {
        sessions.push(Hostile::begin(&house, &eve, number));
        sessions.iter_mut().rev().take(32).for_each(|session| {
            session.say_on();
        });
    }
    // Until hardly anything more is taken.
    let mut quiet = 0;
    while quiet < 20 && Instant::now() < end {
        let taken = sessions.iter_mut().map(Hostile::say_on).filter(|is_taken| *is_taken).count();
        quiet = if taken > 0 { 0 } else { quiet + 1 };
        let stat = Stat { base: WirePath::root(), paths: vec![WirePath::root()], follow: Follow::No };
        assert!(matches!(friend.call(stat).1, Answer::Stats(_)));
        std::thread::sleep(Duration::from_millis(20));
    }
    let (now, peak) = (resident_bytes(&house.towd), peak_bytes(&house.towd));
    println!("{count} hostile sessions: {before} bytes before, {now} now, {peak} at most");
    assert!(peak <= RESIDENT_MAX, "{count} sessions: {peak} bytes");
    // None of them is left once their client is gone.
    house.state.says(&["clients", "remove", "1"]);
    for Hostile { mut line, .. } in sessions {
        line.set_nonblocking(false).unwrap();
        line.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut rest = vec![0; 64 * 1024];
        while line.read(&mut rest).is_ok_and(|read| read > 0) {}
    }
    assert!(house.meet(&eve, None).is_err_and(|fault| fault.code == FaultCode::NotPaired));
    house.meet(&ann, None).unwrap();
}

#[test]
fn f71_hostile_sessions_beyond_those_that_a_client_may_have_are_refused_in_words() {
    let root = folder(&[]);
    let house = House::new(root.path(), &["--limit", "sessions_per_client=8"]);
    let (eve, ann) = (house.paired("eve@box", &[]), house.paired("ann@box", &[]));
    let sessions: Vec<_> = (0..40).map(|_| house.meet(&eve, None)).collect();
    let refused: Vec<_> = sessions.iter().filter_map(|session| session.as_ref().err()).collect();
    assert_eq!(refused.len(), 32);
    assert!(
        refused.iter().all(|fault| fault.to_string().contains("this client has 8 sessions")),
        "{refused:?}"
    );
    house.meet(&ann, None).unwrap();
}
