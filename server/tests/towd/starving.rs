//! One client does its worst with what it may do; another one is served meanwhile, and the owner can end it.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use towpath_protocol::fault::FaultCode;
use towpath_protocol::input::More;
use towpath_protocol::message::{Answer, Request};
use towpath_protocol::path::WirePath;
use towpath_protocol::request::{
    BeginUpload, Depth, Direction, Follow, Hidden, List, Measure, OperationId, Put, Read, Remove, SortKey,
    Stat, Walk, Wants,
};

use super::limits::{resident_bytes, threads};
use super::log::put;
use super::tls::{House, Person, Session};
use super::world::{State, Towd, at, folder, write};

/// Sessions of the client that does its worst: enough to take every thread that there is where waiting took one.
const SESSIONS: usize = 8;
const REQUESTS: usize = 128;
/// Entries of the folder: more than one page.
const ENTRIES: usize = 300;
/// Trees that one request measures.
const THINGS: usize = 16;
/// A deadline for everything here.
const PATIENCE: Duration = Duration::from_mins(3);

fn list(pages: u32) -> List {
    let (sort, direction, hidden) = (SortKey::Name, Direction::Ascending, Hidden::Shown);
    List { folder: at(""), sort, direction, hidden, pages }
}

fn stat() -> Stat {
    Stat { base: WirePath::root(), paths: vec![WirePath::root()], follow: Follow::No }
}

fn entries() -> tempfile::TempDir {
    let files: Vec<_> = (0..ENTRIES).map(|number| format!("file {number}")).collect();
    let files: Vec<(&str, &[u8])> = files.iter().map(|name| (name.as_str(), &b""[..])).collect();
    folder(&files)
}

fn house() -> (tempfile::TempDir, House) {
    let root = entries();
    let house = House::new(root.path(), &[]);
    (root, house)
}

/// More than no client may make a server hold.
const RESIDENT_MAX: u64 = 256 << 20;

fn assert_served(friend: &mut Session) {
    assert!(matches!(friend.call(stat()).1, Answer::Stats(_)));
}

#[test]
fn f70_listings_that_wait_for_their_client_hold_no_thread_and_removal_ends_them() {
    let (_root, house) = house();
    let eve = house.paired("eve@box", &["--allow", "list"]);
    let ann = house.paired("ann@box", &[]);
    let mut friend = house.meet(&ann, None).unwrap();
    let mut sessions: Vec<_> = (0..SESSIONS).map(|_| house.meet(&eve, None).unwrap()).collect();
    for session in &mut sessions {
        for number in 0..REQUESTS {
            match number % 2 {
                0 => session.begin(list(1)),
                _ => session.begin(Walk { start: at(""), pages: 0 }),
            };
        }
    }
    for session in &mut sessions {
        (0..REQUESTS / 2).for_each(|_| assert!(matches!(session.hear(), Some((_, Answer::ListPage(_))))));
    }
    // All of them wait now. Their own session is served, so is another client, and a new one is admitted.
    assert!(threads(&house.towd) < 64, "{} threads", threads(&house.towd));
    assert_served(&mut sessions[0]);
    assert_served(&mut friend);
    assert_served(&mut house.meet(&ann, None).unwrap());
    // And each goes on when it may.
    sessions[1].input(1, More { pages: 256 });
    while !matches!(sessions[1].hear(), Some((1, Answer::Done(_)))) {}
    house.state.says(&["clients", "remove", "1"]);
    for session in &mut sessions {
        let (_, last) = std::iter::from_fn(|| session.hear()).last().unwrap();
        assert!(matches!(last, Answer::Fault(fault) if fault.code == FaultCode::NotPaired));
    }
    assert!(house.meet(&eve, None).is_err_and(|fault| fault.code == FaultCode::NotPaired));
    assert_served(&mut friend);
}

#[test]
fn f70_trees_that_are_measured_wait_for_one_another_and_keep_nobody_waiting() {
    let (_root, house) = house();
    let eve = house.paired("eve@box", &["--allow", "list"]);
    let ann = house.paired("ann@box", &[]);
    let mut friend = house.meet(&ann, None).unwrap();
    let mut evil = house.meet(&eve, None).unwrap();
    let things = vec![at(""); THINGS];
    for _ in 0..96 {
        evil.begin(Measure { things: things.clone() });
    }
    assert_served(&mut friend);
    assert!(threads(&house.towd) < 64, "{} threads", threads(&house.towd));
    for _ in 0..96 {
        let (_, last) = evil.hear_final().unwrap();
        assert!(matches!(last, Answer::Totals(totals) if totals.files == (THINGS * ENTRIES) as u64));
    }
}

#[test]
fn f70_a_client_that_takes_nothing_is_ended_by_its_removal() {
    let (_root, house) = house();
    let eve = house.paired("eve@box", &["--allow", "list"]);
    let ann = house.paired("ann@box", &[]);
    let mut friend = house.meet(&ann, None).unwrap();
    let mut evil = house.meet(&eve, None).unwrap();
    for _ in 0..400 {
        evil.begin(list(256));
    }
    assert_served(&mut friend);
    house.state.says(&["clients", "remove", "1"]);
    house.towd.log.wait_for("the server has removed this client");
    // Its requests are cancelled: the session is gone with all its work.
    let end = Instant::now() + PATIENCE;
    while threads(&house.towd) >= 64 {
        assert!(Instant::now() < end, "{} threads", threads(&house.towd));
        std::thread::yield_now();
    }
    assert_served(&mut friend);
}

/// Waits until a server holds less than that much more than before.
fn assert_given_back(house: &House, most: u64) {
    let end = Instant::now() + PATIENCE;
    while resident_bytes(&house.towd) >= most {
        assert!(Instant::now() < end, "{} bytes are held", resident_bytes(&house.towd));
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn f71_large_folders_that_wait_for_their_client_take_a_part_of_the_memory_and_are_refused_beyond() {
    const ENTRIES: usize = 20_000;
    let root = folder(&[]);
    (0..ENTRIES).for_each(|number| write(&root.path().join(format!("a name of some length {number}")), b""));
    let house = House::new(root.path(), &[]);
    let eve = house.paired("eve@box", &["--allow", "list"]);
    let ann = house.paired("ann@box", &[]);
    let mut friend = house.meet(&ann, None).unwrap();
    let before = resident_bytes(&house.towd);
    let mut sessions: Vec<_> = (0..4).map(|_| house.meet(&eve, None).unwrap()).collect();
    let mut refused = 0;
    for session in &mut sessions {
        for _ in 0..64 {
            session.begin(list(1));
        }
        for _ in 0..64 {
            match session.hear().unwrap().1 {
                Answer::ListPage(_) => {}
                Answer::Fault(fault) => {
                    assert_eq!(fault.code, FaultCode::LimitExceeded);
                    assert!(fault.to_string().contains("memory_bytes"), "{fault}");
                    refused += 1;
                }
                other => panic!("{other:?}"),
            }
        }
    }
    assert!(refused > 0 && refused < 4 * 64, "{refused} were refused");
    assert!(resident_bytes(&house.towd) < RESIDENT_MAX, "{} bytes", resident_bytes(&house.towd));
    // There is enough for the other one, and for short questions of the same.
    assert!(
        matches!(friend.begin(list(1)), id if matches!(friend.hear(), Some((heard, Answer::ListPage(_))) if heard == id))
    );
    assert_served(&mut sessions[0]);
    house.state.says(&["clients", "remove", "1"]);
    for session in &mut sessions {
        while session.hear().is_some() {}
    }
    assert_given_back(&house, before + (24 << 20));
}

#[test]
fn f76_connections_that_prove_a_key_and_say_nothing_keep_no_friend_out() {
    let root = folder(&[]);
    let house = House::new(root.path(), &["--limit", "greeting=8"]);
    let eve = house.paired("eve@box", &["--allow", "list"]);
    let ann = house.paired("ann@box", &[]);
    for _ in 0..20 {
        let _silent: Vec<_> = (0..16).map(|_| house.prove(&eve)).collect();
        let _new: Vec<_> = (0..4).map(|_| house.arrive(&eve)).collect();
        assert_served(&mut house.meet(&ann, None).unwrap());
    }
}

/// What the system lets the server have open in these tests.
const OPEN_FILES: usize = 256;

fn house_with_few_open_files(root: &Path) -> House {
    let state = State::new();
    let towd = state.towd();
    let mut command = Command::new("sh");
    let script = format!("ulimit -n {OPEN_FILES}; exec \"$@\"");
    command.args(["-c", &script, "sh"]).arg(towd.get_program()).stdin(Stdio::null());
    for (name, value) in towd.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.args(["--json", "--listen", "127.0.0.1:0", "--root"]).arg(root);
    House { state, towd: Towd::spawn(command) }
}

fn open_files(house: &House) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", house.towd.pid())).unwrap().count()
}

fn aside(number: usize) -> Request {
    let operation = operation(number);
    let thing = at(&format!("file {number}"));
    Remove { operation, thing, depth: Depth::Single, expected: None, aside: true }.into()
}

fn upload(number: usize) -> Request {
    BeginUpload { operation: operation(number), ..begin_upload(&format!("new {number}")) }.into()
}

fn operation(number: usize) -> OperationId {
    OperationId((number as u128 + 1).to_be_bytes())
}

fn begin_upload(name: &str) -> BeginUpload {
    BeginUpload {
        operation: operation(0),
        file: at(name),
        store: put("", b"").store,
        size: 1,
        resume: None,
        basis: None,
        window_bytes: None,
        stored_bytes: None,
    }
}

/// All that a friend does: a session of its own, a listing, a small file, and a large one as far as it waits for data.
fn assert_works(house: &House, ann: &Person, round: usize) {
    let mut friend = house.meet(ann, None).unwrap();
    assert_served(&mut friend);
    assert!(matches!(friend.call(list(256)).1, Answer::Done(_)));
    let small = Put { operation: operation(6000 + round), ..put(&format!("small {round}"), b"small") };
    let stored = friend.call(small);
    assert!(matches!(stored.1, Answer::Stored(_)), "{stored:?}");
    friend
        .begin(BeginUpload { operation: operation(5000 + round), ..begin_upload(&format!("large {round}")) });
    let ready = friend.hear();
    assert!(matches!(ready, Some((_, Answer::UploadReady(_)))), "{ready:?}");
}

#[test]
fn f70_what_waits_for_one_client_leaves_descriptors_to_the_others() {
    let root = entries();
    let house = house_with_few_open_files(root.path());
    let eve = house.paired("eve@box", &[]);
    let ann = house.paired("ann@box", &[]);
    let kinds: [fn(usize) -> Request; 3] = [aside, upload, |_| list(1).into()];
    for (round, request) in kinds.into_iter().enumerate() {
        let mut sessions: Vec<_> = (0..4).map(|_| house.meet(&eve, None).unwrap()).collect();
        for (number, session) in sessions.iter_mut().enumerate() {
            for one in 0..ENTRIES / 4 {
                session.begin(request(number * ENTRIES / 4 + one));
            }
        }
        let mut refused = 0;
        for session in &mut sessions {
            for _ in 0..ENTRIES / 4 {
                match session.hear().unwrap().1 {
                    Answer::Fault(fault) => {
                        assert_eq!(fault.code, FaultCode::LimitExceeded, "{round}: {fault}");
                        assert!(fault.to_string().contains("files open"), "{round}: {fault}");
                        refused += 1;
                    }
                    answer => assert!(!answer.is_final(), "{round}: {answer:?}"),
                }
            }
        }
        assert!(refused > 0 && refused < ENTRIES - 20, "{round}: {refused} were refused");
        assert!(open_files(&house) < OPEN_FILES * 3 / 4, "{round}: {} are open", open_files(&house));
        assert_works(&house, &ann, round);
        assert_served(&mut sessions[0]);
    }
}

#[test]
fn f70_what_is_read_and_not_taken_leaves_descriptors_to_the_others() {
    let root = entries();
    write(&root.path().join("large"), &vec![7; 1 << 20]);
    let house = house_with_few_open_files(root.path());
    let eve = house.paired("eve@box", &[]);
    let ann = house.paired("ann@box", &[]);
    let read = || Read {
        file: at("large"),
        version: None,
        offset: 0,
        len: 1 << 20,
        wants: Wants::Data,
        holes: false,
    };
    let mut sessions: Vec<_> = (0..4).map(|_| house.meet(&eve, None).unwrap()).collect();
    for session in &mut sessions {
        for _ in 0..128 {
            session.begin(read());
        }
    }
    for (round, session) in sessions.iter_mut().enumerate() {
        assert!(matches!(session.hear(), Some((_, Answer::ReadHead(_)))));
        assert_works(&house, &ann, round);
        assert!(open_files(&house) < OPEN_FILES * 3 / 4, "{} are open", open_files(&house));
    }
    // With the sessions their places go; one that takes nothing for long may have been ended before.
    drop(sessions);
    let mut session = house.meet(&eve, None).unwrap();
    for _ in 0..128 {
        session.begin(read());
    }
    for _ in 0..128 {
        assert!(matches!(session.hear_final(), Some((_, Answer::ReadDone(_)))));
    }
}
