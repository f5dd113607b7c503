//! The bytes of every kind of message, written down: they change only with the protocol's version.

use std::collections::BTreeSet;

use towpath_protocol::message::{Answer, Input, Request, Session};
use towpath_protocol::permissions::Permissions;

use super::samples;
use super::{Message, Sender, decode, received};

const GOLDEN: &str = include_str!("../golden.txt");

/// One line of the file.
pub(super) struct Golden {
    pub(super) kind: u16,
    pub(super) name: &'static str,
    pub(super) hex: &'static str,
}

pub(super) fn lines() -> Vec<Golden> {
    let lines = GOLDEN.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let [kind, name, hex] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
            Golden { kind: kind.parse().unwrap(), name, hex }
        })
        .collect()
}

/// Number and name of every kind there is.
pub(super) fn all_kinds() -> BTreeSet<(u16, &'static str)> {
    [Session::KINDS, Request::KINDS, Input::KINDS, Answer::KINDS].into_iter().flatten().copied().collect()
}

fn to_hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

pub(super) fn from_hex(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

#[test]
fn every_kind_has_one_golden_line_and_no_number_is_used_twice() {
    let kinds = all_kinds();
    let numbers: BTreeSet<u16> = kinds.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers.len(), kinds.len());
    let golden: Vec<_> = lines().iter().map(|line| (line.kind, line.name)).collect();
    assert_eq!(golden, kinds.into_iter().collect::<Vec<_>>());
}

#[test]
fn messages_have_their_golden_bytes() {
    let line = |(id, message): &(u32, Message)| {
        let (kind, name) = message.kind();
        format!("{kind} {name} {}\n", to_hex(&message.encode(*id)))
    };
    let expected: String = samples::all().iter().map(line).collect();
    let written: String = GOLDEN.split_inclusive('\n').filter(|line| !line.starts_with('#')).collect();
    assert!(written == expected, "golden.txt differs from what is encoded:\n{expected}");
}

#[test]
fn golden_bytes_decode_to_their_messages() {
    for (golden, (id, message)) in lines().iter().zip(samples::all()) {
        let bytes = from_hex(golden.hex);
        let decoded = decode(&bytes, message.sender());
        assert_eq!(decoded, Ok(Some(received(id, message))), "{}", golden.name);
    }
}

#[test]
fn a_welcome_of_a_server_that_knows_no_permissions_allows_everything() {
    let golden = lines().into_iter().find(|line| line.name == "Welcome").unwrap();
    // Without the field `may`: five bytes and one entry of the map less.
    let before =
        golden.hex.replacen("a36d617907", "", 1).replacen("000000e6", "000000e1", 1).replacen("8b", "8a", 1);
    let decoded = decode(&from_hex(&before), Sender::Server).unwrap().unwrap();
    let Ok(Message::Answer(Answer::Welcome(welcome))) = decoded.message else { panic!("{before}") };
    assert_eq!(welcome.may, Permissions::ALL);
}

#[test]
fn every_prefix_of_a_frame_is_incomplete_and_never_more() {
    for (golden, (_, message)) in lines().iter().zip(samples::all()) {
        let bytes = from_hex(golden.hex);
        for len in 0..bytes.len() {
            assert_eq!(decode(&bytes[..len], message.sender()), Ok(None), "{} cut at {len}", golden.name);
        }
    }
}
