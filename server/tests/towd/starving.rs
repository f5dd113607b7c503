//! One client does its worst with what it may do; another one is served meanwhile, and the owner can end it.

use std::time::{Duration, Instant};

use towpath_protocol::fault::FaultCode;
use towpath_protocol::input::More;
use towpath_protocol::message::Answer;
use towpath_protocol::path::WirePath;
use towpath_protocol::request::{Direction, Follow, Hidden, List, Measure, SortKey, Stat, Walk};

use super::limits::{resident_bytes, threads};
use super::tls::{House, Session};
use super::world::{at, folder, write};

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

fn house() -> (tempfile::TempDir, House) {
    let files: Vec<_> = (0..ENTRIES).map(|number| format!("file {number}")).collect();
    let files: Vec<(&str, &[u8])> = files.iter().map(|name| (name.as_str(), &b""[..])).collect();
    let root = folder(&files);
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
