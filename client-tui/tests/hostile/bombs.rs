//! Packed frames that unpack to more than they may, to something else than they say, or to nothing: on a real line, against either
//! program as it is shipped.

use std::sync::Arc;

use super::clients::world::{Client, World};
use super::evil::{DONE, PONG, Script, welcome_with};
use super::pack::{Map, Value, frame};
use super::servers::{Home, LS, instead, is_hello, is_list, told};
use towpath_protocol::message::{Answer, ToServer};

const PING: u16 = 3;
const PACKED_BY_CLIENT: u16 = 7;
const PACKED_BY_SERVER: u16 = 134;
const MIB: usize = 1 << 20;
/// What one block of zstd holds at most.
const BLOCK_BYTES: usize = 128 * 1024;
/// Frames that each unpack to as much as they may, one after the other.
const MANY: usize = 300;

/// A zstd frame by hand (RFC 8878): what it begins with, then so many zeros in blocks of four bytes each. What it says of its length may
/// be a lie, or nothing.
fn zstd(says: Option<u64>, begins: &[u8], zeros: usize) -> Vec<u8> {
    const RAW: usize = 0;
    const RUN: usize = 1;
    let mut packed = vec![0x28, 0xb5, 0x2f, 0xfd];
    match says {
        // Eight bytes of length, and no window.
        Some(len) => packed.extend([&[0xe0][..], &len.to_le_bytes()].concat()),
        // No length, and a window of 1 MiB.
        None => packed.extend([0x00, 10 << 3]),
    }
    let mut block = |is_last: bool, kind: usize, len: usize, content: &[u8]| {
        let head = usize::from(is_last) | kind << 1 | len << 3;
        packed.extend_from_slice(&head.to_le_bytes()[..3]);
        packed.extend_from_slice(content);
    };
    block(zeros == 0, RAW, begins.len(), begins);
    let runs = zeros.div_ceil(BLOCK_BYTES);
    for number in 0..runs {
        let len = BLOCK_BYTES.min(zeros - number * BLOCK_BYTES);
        block(number + 1 == runs, RUN, len, &[0]);
    }
    packed
}

fn packed(kind: u16, content: Vec<u8>) -> Vec<u8> {
    frame(kind, 0, &Map(vec![("frame", Value::Bytes(content))]))
}

/// A frame's content with a field that nobody knows, of so many zeros that still have to follow it.
fn begun(kind: u16, id: u32, zeros: usize) -> Vec<u8> {
    let mut content = vec![0x93, 0xcd];
    content.extend_from_slice(&kind.to_be_bytes());
    content.push(0xce);
    content.extend_from_slice(&id.to_be_bytes());
    content.extend_from_slice(&[0x81, 0xa1, b'x', 0xc6]);
    content.extend_from_slice(&(zeros as u32).to_be_bytes());
    content
}

/// A sound one that unpacks to 1 MiB, the most that is allowed.
fn largest(kind: u16, id: u32) -> Vec<u8> {
    let head = begun(kind, id, 0).len();
    let zeros = MIB - head;
    zstd(Some(MIB as u64), &begun(kind, id, zeros), zeros)
}

fn bombs() -> Vec<(&'static str, Vec<u8>)> {
    let inner = largest(PING, 7);
    vec![
        ("a byte more than is allowed", zstd(Some(MIB as u64 + 1), b"", MIB + 1)),
        ("64 MiB", zstd(Some(64 << 20), b"", 64 << 20)),
        ("all the bytes that there can be", zstd(Some(u64::MAX), b"", 1000)),
        ("1 GiB that says it is 1 MiB", zstd(Some(MIB as u64), b"", 1 << 30)),
        ("1 GiB that says nothing", zstd(None, b"", 1 << 30)),
        ("less than it says", zstd(Some(MIB as u64), b"", 1000)),
        ("nothing", zstd(Some(0), b"", 0)),
        ("no zstd", vec![0; 5000]),
        ("zeros", zstd(Some(MIB as u64), b"", MIB)),
        ("cut off", inner[..inner.len() - 1].to_vec()),
        ("two", inner.repeat(2)),
        ("one in another", {
            let within = packed(PACKED_BY_CLIENT, inner.clone());
            zstd(Some(within.len() as u64 - 4), &within[4..], 0)
        }),
    ]
}

#[test]
fn f40_a_packed_bomb_ends_the_session_of_tow_with_a_word_and_takes_no_memory() {
    for (what, bomb) in bombs() {
        let home = Home::new();
        let said = packed(PACKED_BY_SERVER, bomb);
        let script: Script = Arc::new(move |id, message: &ToServer| match message {
            message if is_hello(message) => Some(welcome_with(id, &["zstd"])),
            message if is_list(message) => Some(said.clone()),
            _ => None,
        });
        let ended = told(&home, what, LS, script);
        let why = "broke the protocol";
        assert!(ended.status.code() != Some(0) && ended.said().contains(why), "{what}: {}", ended.said());
    }
    // Not agreed, and so not even looked at.
    let home = Home::new();
    let ended =
        told(&home, "not agreed", LS, instead(is_list, |_| packed(PACKED_BY_SERVER, largest(PONG, 1))));
    assert!(
        ended.status.code() != Some(0) && ended.said().contains("broke the protocol"),
        "{}",
        ended.said()
    );
}

#[test]
fn f40_packed_frames_as_large_as_they_may_be_take_no_more_memory_than_one() {
    // Answers to nobody behind the one that is waited for.
    for many in [0, MANY] {
        let script: Script = Arc::new(move |id, message: &ToServer| match message {
            message if is_hello(message) => Some(welcome_with(id, &["zstd"])),
            message if is_list(message) => {
                let done = packed(PACKED_BY_SERVER, largest(DONE, id));
                Some([done, packed(PACKED_BY_SERVER, largest(PONG, 4_000_000)).repeat(many)].concat())
            }
            _ => None,
        });
        let ended = told(&Home::new(), "as large as may be", LS, script);
        assert!(
            many > 0 || ended.status.code() == Some(0),
            "a sound frame, if a large one: {}",
            ended.said()
        );
    }

    let mut world = World::new();
    let mut evil = Client::greet_with(&world.socket(), &["zstd"]);
    let asking = std::thread::spawn({
        let mut evil = evil.again();
        move || {
            for _ in 0..MANY {
                evil.say(&packed(PACKED_BY_CLIENT, largest(PING, 7))).unwrap();
            }
        }
    });
    for _ in 0..MANY {
        assert!(matches!(evil.hear(), Some((7, Answer::Pong(_)))), "a sound frame, if a large one");
    }
    asking.join().unwrap();
    world.check("as large as may be, many times");
}

#[test]
fn f40_a_packed_bomb_ends_its_session_of_towd_and_no_other() {
    let mut world = World::new();
    for (what, bomb) in bombs() {
        let mut evil = Client::greet_with(&world.socket(), &["zstd"]);
        let _ = evil.say(&packed(PACKED_BY_CLIENT, bomb));
        assert!(!evil.faults_to_the_end().is_empty(), "{what}: it was not told why");
        world.check(what);
    }
    let mut evil = world.evil();
    let _ = evil.say(&packed(PACKED_BY_CLIENT, largest(PING, 7)));
    assert!(!evil.faults_to_the_end().is_empty(), "not agreed");
    world.check("not agreed");
}
