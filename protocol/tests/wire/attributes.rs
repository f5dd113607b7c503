//! Times that an i64 of nanoseconds cannot hold, and attributes that are not known: their bytes, and what an older peer gets instead.

use towpath_protocol::answer::{ListPage, StatItem, Stats, Stored, WalkItem, WalkPage};
use towpath_protocol::entry::{Attributes, Entry, Kind};
use towpath_protocol::message::{Answer, Request};
use towpath_protocol::metadata::Parts;
use towpath_protocol::path::{Location, Name, WirePath};
use towpath_protocol::request::SetTimes;
use towpath_protocol::time::Time;

use super::golden::from_hex;
use super::{Message, Sender, decode};

const DOCUMENT: &str = include_str!("../../PROTOCOL.md");
const LATE: Time = Time::new(10_413_792_000, 0);
const EARLY: Time = Time::new(-11_676_096_000, 5);

fn attributes(modified: Time) -> Attributes {
    let (changed, mode, identity, is_unknown, link) = (Time::default(), 0o644, 1, false, None);
    Attributes { kind: Kind::File, size: 5, modified, changed, mode, identity, is_unknown, link }
}

fn entry(attributes: Attributes) -> Entry {
    Entry { name: Name::try_from("name").unwrap(), attributes }
}

/// Every answer that carries attributes, these.
fn answers(attributes: &Attributes) -> Vec<Answer> {
    let item = WalkItem { depth: 0, entry: entry(attributes.clone()), fault: None };
    vec![
        ListPage { total: 1, entries: vec![entry(attributes.clone())] }.into(),
        WalkPage { items: vec![item] }.into(),
        Stats { items: vec![StatItem(Ok(attributes.clone()))] }.into(),
        Stored { attributes: attributes.clone(), unset: Parts::NONE }.into(),
    ]
}

#[test]
fn the_examples_of_far_times_are_right() {
    let packed: String = DOCUMENT.chars().filter(|c| !c.is_whitespace()).collect();
    for (hex, time) in [("92cf000000026cb5db0000", LATE), ("92d3fffffffd480cea0005", EARLY)] {
        assert!(packed.contains(hex), "not in PROTOCOL.md: {hex}");
        assert_eq!(rmp_serde::from_slice::<Time>(&from_hex(hex)).unwrap(), time);
        assert_eq!(rmp_serde::to_vec(&time).unwrap(), from_hex(hex));
    }
}

#[test]
fn what_is_not_known_is_nil_and_never_nil_in_part() {
    let unknown = Attributes::unknown(Kind::File);
    let bytes = rmp_serde::to_vec(&unknown).unwrap();
    assert_eq!(bytes, from_hex("9800c0c0c0c0c0c0c0"));
    assert_eq!(rmp_serde::from_slice::<Attributes>(&bytes).unwrap(), unknown);
    let known = rmp_serde::to_vec(&attributes(Time::from_ns(7))).unwrap();
    for at in 2..=6 {
        let mut damaged = known.clone();
        // Size, both times, mode and identity: one byte each here, but for the mode of three.
        let at = if at == 6 { 8 } else { at };
        damaged.splice(at..if at == 5 { 8 } else { at + 1 }, [0xc0]);
        assert!(rmp_serde::from_slice::<Attributes>(&damaged).is_err(), "{damaged:02x?}");
    }
}

#[test]
fn an_older_client_gets_the_nearest_that_it_can_read() {
    for (told, read) in [
        (attributes(LATE), attributes(Time::LAST_NS)),
        (attributes(EARLY), attributes(Time::FIRST_NS)),
        (attributes(Time::from_ns(7)), attributes(Time::from_ns(7))),
        (
            Attributes::unknown(Kind::Folder),
            Attributes { is_unknown: false, ..Attributes::unknown(Kind::Folder) },
        ),
    ] {
        for (mut answer, narrow) in answers(&told).into_iter().zip(answers(&read)) {
            answer.narrow();
            assert_eq!(answer, narrow);
            let bytes = Message::Answer(answer.clone()).encode(3);
            let decoded = decode(&bytes, Sender::Server).unwrap().unwrap();
            assert_eq!(decoded.message, Ok(Message::Answer(answer)));
        }
    }
}

#[test]
fn an_older_server_is_asked_for_the_nearest_that_it_can_read() {
    let thing = Location::of(&WirePath::parse(b"a/b").unwrap());
    let mut request = Request::SetTimes(SetTimes { thing: thing.clone(), modified: LATE });
    request.narrow();
    assert_eq!(request, Request::SetTimes(SetTimes { thing, modified: Time::LAST_NS }));
}
