//! Streams that no honest peer sends. A broken frame ends the session; a sound frame with a bad body is refused, and the next
//! frame is heard.

use towpath_protocol::frame::{Decoder, FrameError, Undecodable};
use towpath_protocol::limits::{
    DATA_BYTES_MAX, DEPTH_MAX, FRAME_BYTES_MAX, FRAME_BYTES_MAX_BEFORE_HELLO, PAGE_ENTRIES_MAX,
};
use towpath_protocol::message::{Answer, Pong};

use super::Sender::{Client, Server};
use super::{Message, Sender, decode, next, open_decoder, received};

const LIST: u8 = 16;
const STAT: u8 = 18;
const UPLOAD_DATA: u8 = 34;
const LIST_PAGE: u8 = 144;
const DATA: u8 = 149;

/// A frame with this content.
fn frame(content: &[u8]) -> Vec<u8> {
    let mut frame = (content.len() as u32).to_be_bytes().to_vec();
    frame.extend_from_slice(content);
    frame
}

/// `[kind, 7, body]`, the body as it is.
fn with_body(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut content = vec![0x93, 0xcc, kind, 0x07];
    content.extend_from_slice(body);
    frame(&content)
}

/// A map with one field.
fn field(name: &str, value: &[u8]) -> Vec<u8> {
    let mut map = vec![0x81, 0xa0 | name.len() as u8];
    map.extend_from_slice(name.as_bytes());
    map.extend_from_slice(value);
    map
}

/// Pong with a field that nobody knows.
fn pong_with(extra: &[u8]) -> Vec<u8> {
    with_body(131, &field("extra", extra))
}

fn refused(bytes: &[u8], sender: Sender) -> Undecodable {
    decode(bytes, sender).unwrap().unwrap().message.unwrap_err()
}

#[test]
fn a_frame_too_long_is_refused_from_its_header() {
    let mut decoder = Decoder::new();
    decoder.push(&(FRAME_BYTES_MAX_BEFORE_HELLO as u32 + 1).to_be_bytes());
    let too_long = FrameError::TooLong {
        announced: FRAME_BYTES_MAX_BEFORE_HELLO + 1,
        allowed: FRAME_BYTES_MAX_BEFORE_HELLO,
    };
    assert_eq!(next(&mut decoder, Client), Err(too_long));

    for announced in [FRAME_BYTES_MAX as u32 + 1, u32::MAX] {
        let mut decoder = open_decoder();
        decoder.push(&announced.to_be_bytes());
        let error = FrameError::TooLong { announced: announced as usize, allowed: FRAME_BYTES_MAX };
        assert_eq!(next(&mut decoder, Server), Err(error));
        assert!(decoder.space(0, 0).capacity() < 64, "nothing is allocated for it");
    }
}

#[test]
fn no_offer_of_a_peer_raises_the_limit() {
    let mut decoder = Decoder::new();
    decoder.allow_frames_up_to(usize::MAX);
    decoder.push(&(FRAME_BYTES_MAX as u32 + 1).to_be_bytes());
    assert!(matches!(next(&mut decoder, Server), Err(FrameError::TooLong { .. })));
}

#[test]
fn a_decoder_holds_no_more_than_was_announced() {
    let mut decoder = open_decoder();
    decoder.push(&(FRAME_BYTES_MAX as u32).to_be_bytes());
    for _ in 0..FRAME_BYTES_MAX / 4096 - 1 {
        assert_eq!(next(&mut decoder, Client), Ok(None));
        decoder.push(&[0x90; 4096]);
        assert!(decoder.space(0, 0).capacity() <= FRAME_BYTES_MAX + 4);
    }
}

#[test]
fn an_empty_frame_and_what_is_no_message_end_the_session() {
    let not_messages: &[&[u8]] = &[
        &[],
        &[0x80],
        &[0xc1],
        &[0x92, 0x02, 0x00],
        &[0x94, 0x02, 0x00, 0x80, 0x80],
        &[0x93, 0xff, 0x00, 0x80],
        &[0x93, 0xce, 0x00, 0x01, 0x00, 0x00, 0x00, 0x80],
        &[0x93, 0x02, 0xcf, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x80],
        &[0x93, 0x02, 0xa1, b'1', 0x80],
        &[0x93],
        &[0x93, 0x02],
    ];
    for content in not_messages {
        for sender in [Client, Server] {
            assert_eq!(decode(&frame(content), sender), Err(FrameError::NotAMessage), "{content:02x?}");
        }
    }
}

#[test]
fn bytes_left_over_in_a_frame_end_the_session() {
    for extra in [&[0x80][..], &[0xc1], &[0x00, 0x00], &[0xdb, 0xff]] {
        let content = [&[0x93, 0xcc, 131, 0x07, 0x80][..], extra].concat();
        assert_eq!(decode(&frame(&content), Server), Err(FrameError::LeftOver), "{extra:02x?}");
    }
}

#[test]
fn an_unknown_kind_is_told_and_the_next_message_is_heard() {
    for sender in [Client, Server] {
        let mut decoder = open_decoder();
        decoder.push(&frame(&[0x93, 0xcd, 0x7f, 0xff, 0x07, 0xc1, 0xc1]));
        decoder.push(&frame(&[0x93, 0x03, 0x08, 0x80]));
        decoder.push(&with_body(131, &[0x80]));
        let first = next(&mut decoder, sender).unwrap().unwrap();
        assert_eq!((first.id.0, first.message), (7, Err(Undecodable::UnknownKind(0x7fff))));
        if sender == Server {
            // Ping is a client's word.
            let ping = next(&mut decoder, sender).unwrap().unwrap();
            assert_eq!(ping.message, Err(Undecodable::UnknownKind(3)));
            let pong = received(7, Message::Answer(Answer::Pong(Pong {})));
            assert_eq!(next(&mut decoder, sender), Ok(Some(pong)));
        }
    }
}

#[test]
fn a_bad_body_is_told_and_the_session_lives() {
    let name_with_slash = [&field("base", &[0x91, 0xc4, 0x03])[..], b"a/b"].concat();
    let bad: &[(u8, &[u8], Sender)] = &[
        (LIST, &[0x80], Client),
        (LIST, &[0xc0], Client),
        (LIST, &[0x01], Client),
        (LIST, &[], Client),
        (LIST, &[0x81], Client),
        (LIST, &field("pages", &[0xca, 0x3f, 0x80, 0x00, 0x00]), Client),
        (STAT, &name_with_slash, Client),
        (5, &field("pages", &[0xff]), Client),
        (5, &field("pages", &[0xcf, 0, 0, 0, 1, 0, 0, 0, 0]), Client),
        (UPLOAD_DATA, &[0x92, 0x00, 0xc4, 0x00], Client),
        (UPLOAD_DATA, &[0x92, 0x00, 0xc4, 0x02, 0x61], Client),
        (UPLOAD_DATA, &[0x92, 0x00, 0xc4, 0x01, 0x61, 0x61], Client),
        (UPLOAD_DATA, &[0x92, 0xff, 0xc4, 0x01, 0x61], Client),
        (DATA, &[0x92, 0x00, 0xa1, 0x61], Server),
        (DATA, &[0x93, 0x00, 0x00, 0xc4, 0x01, 0x61], Server),
        (LIST_PAGE, &field("entries", &[0x90]), Server),
    ];
    for (kind, body, sender) in bad {
        assert_eq!(
            refused(&with_body(*kind, body), *sender),
            Undecodable::BadBody(u16::from(*kind)),
            "{kind} {body:02x?}"
        );
    }
}

#[test]
fn data_of_more_than_64_kib_is_refused() {
    for (kind, sender) in [(UPLOAD_DATA, Client), (DATA, Server)] {
        let body =
            |len: usize| [&[0x92, 0x00, 0xc6][..], &(len as u32).to_be_bytes(), &vec![0; len]].concat();
        assert!(decode(&with_body(kind, &body(DATA_BYTES_MAX)), sender).unwrap().unwrap().message.is_ok());
        let refusal = refused(&with_body(kind, &body(DATA_BYTES_MAX + 1)), sender);
        assert_eq!(refusal, Undecodable::BadBody(u16::from(kind)));
    }
}

#[test]
fn fields_that_nobody_knows_are_skipped() {
    let pong = received(7, Message::Answer(Answer::Pong(Pong {})));
    for extra in [&[0xc0][..], &[0x01], &[0xa1, 0x61], &[0xd4, 0x01, 0x02], &[0x92, 0x90, 0x80]] {
        assert_eq!(decode(&pong_with(extra), Server), Ok(Some(pong.clone())), "{extra:02x?}");
    }
}

#[test]
fn nesting_is_refused_beyond_its_limit() {
    // The frame's array and the body's map are two of the levels.
    let nested = |levels: usize| pong_with(&[vec![0x91; levels - 3], vec![0x90]].concat());
    assert!(decode(&nested(DEPTH_MAX), Server).unwrap().unwrap().message.is_ok());
    assert_eq!(refused(&nested(DEPTH_MAX + 1), Server), Undecodable::BadBody(131));
    let maps = |levels: usize| pong_with(&[[0x81, 0x01].repeat(levels - 3), vec![0x80]].concat());
    assert!(decode(&maps(DEPTH_MAX), Server).unwrap().unwrap().message.is_ok());
    assert_eq!(refused(&maps(DEPTH_MAX + 1), Server), Undecodable::BadBody(131));
    // As deep as a frame can say: no stack overflows.
    assert_eq!(refused(&pong_with(&vec![0x91; FRAME_BYTES_MAX - 64]), Server), Undecodable::BadBody(131));
}

#[test]
fn lists_are_bounded_by_their_count() {
    let entry = [0x92, 0xc4, 0x01, b'a', 0x98, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xc0, 0xc0];
    let page = |count: usize| {
        let list = [&[0xdd][..], &(count as u32).to_be_bytes(), &entry.repeat(count)].concat();
        let mut body = [&[0x82, 0xa5][..], b"total", &[0x00, 0xa7], b"entries"].concat();
        body.extend_from_slice(&list);
        with_body(LIST_PAGE, &body)
    };
    assert!(decode(&page(PAGE_ENTRIES_MAX), Server).unwrap().unwrap().message.is_ok());
    assert_eq!(refused(&page(PAGE_ENTRIES_MAX + 1), Server), Undecodable::BadBody(144));
    // More announced than there is.
    let body = [&field("entries", &[0xdd, 0xff, 0xff, 0xff, 0xff])[..], &entry].concat();
    assert_eq!(refused(&with_body(LIST_PAGE, &body), Server), Undecodable::BadBody(144));
}

/// Bytes that break a writer's rules and need not be refused (PROTOCOL.md, chapter 1).
#[test]
fn what_a_receiver_need_not_refuse_it_takes_as_the_page_says() {
    let understood = |bytes: &[u8], sender| decode(bytes, sender).unwrap().unwrap().message.is_ok();
    // Texts where byte strings belong; a body as an array of its values.
    let paths =
        |name: &[u8]| [&[0x82, 0xa4][..], b"base", &[0x91], name, &[0xa5], b"paths", &[0x90]].concat();
    for name in [&[0xc4, 1, b'a'][..], &[0xa1, b'a']] {
        let follow = [&paths(name)[..], &[0xa6], b"follow", &[0x00]].concat();
        let body = [&[0x83][..], &follow[1..]].concat();
        assert!(understood(&with_body(STAT, &body), Client), "{name:02x?}");
    }
    for body in [&[0x80][..], &[0x90]] {
        assert!(understood(&with_body(131, body), Server), "{body:02x?}");
    }
    // Unknown values: floats too.
    for extra in [&[0xca, 0x3f, 0x80, 0, 0][..], &[0xcb, 0, 0, 0, 0, 0, 0, 0, 0], &[0xc7, 1, 5, 0]] {
        assert!(understood(&pong_with(extra), Server), "{extra:02x?}");
    }
    // A field that comes twice, and what is no MessagePack behind a kind and an id that can be read.
    let pages = [&[0xa5][..], b"pages", &[0x04]].concat();
    let twice = [&[0x82][..], &pages, &pages].concat();
    assert_eq!(refused(&with_body(5, &twice), Client), Undecodable::BadBody(5));
    assert!(understood(&with_body(5, &[&[0x81][..], &pages].concat()), Client));
    assert_eq!(refused(&with_body(5, &[0xc1]), Client), Undecodable::BadBody(5));
    assert_eq!(refused(&with_body(STAT, &[0xc1, 0xc1]), Client), Undecodable::BadBody(u16::from(STAT)));
}
