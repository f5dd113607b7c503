//! PROTOCOL.md says what the code does: every kind, every fault code, every example, every bound, and the sorted names.

use towpath_protocol::fault::FaultCode;
use towpath_protocol::limits;
use towpath_protocol::message::{Answer, Input, Request, Session};
use towpath_protocol::order::name_order;
use towpath_protocol::pairing::{KeyHash, PairingCode, PairingSecret, ProofBinding, SECRET_BYTES};

use super::golden::lines;
use super::samples;

const DOCUMENT: &str = include_str!("../../PROTOCOL.md");

#[track_caller]
fn stands(text: &str) {
    assert!(DOCUMENT.contains(text), "not in PROTOCOL.md: {text}");
}

#[test]
fn every_kind_has_its_chapter_and_its_row() {
    let client = [Session::KINDS, Request::KINDS, Input::KINDS].into_iter().flatten();
    let kinds = client.map(|kind| (kind, "client")).chain(Answer::KINDS.iter().map(|kind| (kind, "server")));
    for ((number, name), sender) in kinds {
        stands(&format!("\n### {number} `{name}`, {sender}"));
        stands(&format!("\n| {number} | `{name}` | {sender} | "));
    }
    let headings = DOCUMENT.lines().filter(|line| line.starts_with("### ") && line.contains("`, "));
    assert_eq!(headings.count(), lines().len(), "a heading for each kind and no other");
}

#[test]
fn final_answers_are_called_final() {
    for (_, message) in samples::all() {
        let super::Message::Answer(answer) = message else { continue };
        let (number, name) = (answer.kind(), answer.name());
        let word = if answer.is_final() { "final" } else { "not final" };
        stands(&format!("\n| {number} | `{name}` | server | {word} |\n"));
        let heading = if answer.is_final() { "server, final\n" } else { "server\n" };
        stands(&format!("\n### {number} `{name}`, {heading}"));
    }
}

#[test]
fn every_golden_frame_is_an_example() {
    let packed: String = DOCUMENT.chars().filter(|c| !c.is_whitespace()).collect();
    for golden in lines() {
        assert!(packed.contains(golden.hex), "{} {}: {}", golden.kind, golden.name, golden.hex);
    }
}

#[test]
fn every_fault_code_is_explained() {
    for code in FaultCode::ALL {
        stands(&format!("\n| {} | `{code:?}` | ", *code as u16));
    }
}

#[test]
fn every_bound_is_told() {
    let with_commas = |number: u64| {
        let digits = number.to_string();
        let groups =
            digits.as_bytes().rchunks(3).rev().map(|group| String::from_utf8_lossy(group).into_owned());
        groups.collect::<Vec<_>>().join(",")
    };
    let bounds = [
        limits::FRAME_BYTES_MAX_BEFORE_HELLO as u64,
        limits::FRAME_BYTES_MAX as u64,
        limits::FRAME_BYTES_LEAST as u64,
        limits::DATA_BYTES_MAX as u64,
        limits::DEPTH_MAX as u64,
        limits::NAME_BYTES_MAX as u64,
        limits::PATH_BYTES_MAX as u64,
        limits::PATH_COMPONENTS_MAX as u64,
        limits::LINK_TARGET_BYTES_MAX as u64,
        limits::PAGE_ENTRIES_MAX as u64,
        limits::PAGE_BYTES_TARGET as u64,
        u64::from(limits::PAGES_CREDIT_MAX),
        limits::PATHS_MAX as u64,
        limits::FAULTS_MAX as u64,
        limits::TEXT_BYTES_MAX as u64,
        limits::CAPABILITIES_MAX as u64,
        limits::REQUESTS_IN_FLIGHT_MAX as u64,
        limits::READ_BYTES_MAX,
        limits::RANGE_BYTES,
        limits::UPLOAD_CREDIT_BYTES_MAX,
        limits::HELLO_SECONDS_MAX,
        limits::CLIENT_NAME_BYTES_MAX as u64,
        limits::BLOCK_BYTES_LEAST,
        limits::BLOCKS_MAX as u64,
        limits::HOLE_BYTES_LEAST,
        limits::SPAN_BYTES_MAX,
        limits::SPAN_CREDIT_BYTES,
        limits::STREAMS_DEFAULT as u64,
        limits::HELD_BYTES_MAX as u64,
        limits::EXTENDED_MAX as u64,
        limits::EXTENDED_VALUE_BYTES_MAX as u64,
        limits::EXTENDED_BYTES_MAX as u64,
    ];
    let chapters = DOCUMENT.split_once("## 2 Opening").unwrap().1;
    let words: Vec<&str> = chapters.split(|c: char| !c.is_ascii_digit() && c != ',').collect();
    for bound in bounds {
        let text = with_commas(bound);
        let is_told = words.iter().any(|word| word.trim_end_matches(',') == text);
        assert!(is_told, "not in PROTOCOL.md: {text}");
    }
}

#[test]
fn the_names_given_as_sorted_are_sorted() {
    let example = DOCUMENT.split_once("\nSo: ").unwrap().1.split_once("\n\n").unwrap().0;
    let names: Vec<&str> = example.split('`').skip(1).step_by(2).collect();
    assert!(names.len() > 20);
    assert!(names.is_sorted_by(|a, b| name_order(a.as_bytes(), b.as_bytes()).is_lt()), "{names:?}");
}

#[test]
fn the_example_of_a_pairing_is_right() {
    let (server, client) = (KeyHash([7; 32]), KeyHash([9; 32]));
    let secret = PairingSecret::new([0xa5; SECRET_BYTES].into());
    stands(&format!("\n    code  = {}\n", *PairingCode::new(&server, secret.clone()).text()));
    let bound = ProofBinding { channel: &[1; 32], client: &client, server: &server, name: b"ann@box" };
    let proof: String = blake3::Hash::from_bytes(secret.proof(&bound).0).to_hex().to_string();
    stands(&format!("\n    proof = {proof}\n"));
}
