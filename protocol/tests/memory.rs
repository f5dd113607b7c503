//! What a hostile frame can make the decoder allocate, measured. One test, since the count is the whole process's.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[path = "support/counting.rs"]
mod counting;

use bytes::{BufMut as _, Bytes};
use towpath_protocol::frame::{Decoder, Incoming, ROOMS_BYTES_MAX, Undecodable, encode_to_server};
use towpath_protocol::input::UploadData;
use towpath_protocol::limits::{DATA_BYTES_MAX, FRAME_BYTES_MAX};
use towpath_protocol::message::{Input, RequestId, ToServer};

use counting::Held;

/// Most bytes that were held at a time during `work`, beyond those held before.
fn peak_of(work: impl FnOnce()) -> usize {
    let held = Held::from_now_on();
    work();
    held.most()
}

/// A frame of 1 MiB: `[kind, 7, {field: [0x90, 0x90, …]}]`, a list of a million empty lists.
fn bomb(kind: u8, field: &str) -> Vec<u8> {
    let mut content = vec![0x93, 0xcc, kind, 0x07, 0x81, 0xa0 | field.len() as u8];
    content.extend_from_slice(field.as_bytes());
    let items = FRAME_BYTES_MAX - content.len() - 5;
    content.push(0xdd);
    content.extend_from_slice(&(items as u32).to_be_bytes());
    content.resize(FRAME_BYTES_MAX, 0x90);
    [&(content.len() as u32).to_be_bytes()[..], &content].concat()
}

fn upload_data(bytes: usize) -> Vec<u8> {
    let input = Input::from(UploadData { offset: 0, data: vec![7; bytes].into() });
    let frame = encode_to_server(RequestId(1), &ToServer::Input(input)).unwrap();
    [&frame.head[..], &frame.data[..]].concat()
}

/// The data of an upload that is kept of what a peer sends, where every piece comes between frames that are not kept. It is read as a
/// session reads.
fn pieces_kept(piece_bytes: usize, count: usize) -> Vec<Bytes> {
    let (piece, other) = (upload_data(piece_bytes), upload_data(DATA_BYTES_MAX));
    let mut decoder = Decoder::new();
    decoder.allow_frames_up_to(FRAME_BYTES_MAX);
    let mut kept = Vec::new();
    for _ in 0..count {
        for sent in [&piece, &other, &other, &other, &other] {
            for part in sent.chunks(64 * 1024) {
                decoder.space(part.len(), 256 * 1024).put_slice(part);
            }
            while let Ok(Some(Incoming { message: Ok(message), .. })) = decoder.next_to_server() {
                let ToServer::Input(Input::UploadData(UploadData { data, .. })) = message else {
                    panic!("something else was sent")
                };
                kept.extend((data.len() == piece_bytes).then_some(data));
            }
        }
    }
    kept
}

#[test]
fn a_mebibyte_of_empty_lists_takes_no_more_than_its_frame() {
    let open = || {
        let mut decoder = Decoder::new();
        decoder.allow_frames_up_to(FRAME_BYTES_MAX);
        decoder
    };
    for (kind, field) in [(18, "paths"), (21, "things"), (16, "folder"), (16, "unknown")] {
        let bytes = bomb(kind, field);
        let peak = peak_of(|| {
            let mut decoder = open();
            decoder.push(&bytes);
            let Ok(Some(Incoming { message, .. })) = decoder.next_to_server() else { panic!("no frame") };
            assert_eq!(message, Err(Undecodable::BadBody(u16::from(kind))));
        });
        assert!(peak < FRAME_BYTES_MAX + 64 * 1024, "{kind} {field}: {peak} bytes");
    }
    for (kind, field) in [(144, "entries"), (145, "items"), (146, "items"), (164, "faults")] {
        let bytes = bomb(kind, field);
        let peak = peak_of(|| {
            let mut decoder = open();
            decoder.push(&bytes);
            let Ok(Some(Incoming { message, .. })) = decoder.next_answer() else { panic!("no frame") };
            assert_eq!(message, Err(Undecodable::BadBody(u16::from(kind))));
        });
        assert!(peak < FRAME_BYTES_MAX + 64 * 1024, "{kind} {field}: {peak} bytes");
    }
    // Whatever comes between, data that is kept holds little more than itself.
    for (piece_bytes, count) in [(1, 500), (10_000, 200), (40_000, 100)] {
        let mut kept = Vec::new();
        let peak = peak_of(|| kept = pieces_kept(piece_bytes, count));
        assert_eq!(kept.len(), count);
        let most = count * (piece_bytes + 200) + ROOMS_BYTES_MAX + 2 * FRAME_BYTES_MAX;
        assert!(peak < most, "f71: {count} pieces of {piece_bytes} bytes hold {peak} bytes");
    }
}
