//! What a hostile frame can make the decoder allocate, measured. One test, since the count is the whole process's.

#[path = "support/counting.rs"]
mod counting;

use towpath_protocol::frame::{Decoder, Incoming, Undecodable};
use towpath_protocol::limits::FRAME_BYTES_MAX;

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
}
