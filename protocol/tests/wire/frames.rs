//! What a decoder keeps.

use std::collections::{BTreeSet, VecDeque};

use towpath_protocol::answer::Data;
use towpath_protocol::frame::encode_answer;
use towpath_protocol::message::{Answer, RequestId};

use super::open_decoder;

#[test]
fn room_that_nobody_holds_is_read_into_again() {
    const ROOM: usize = 4096;
    let mut decoder = open_decoder();
    let frame = encode_answer(RequestId(1), &Data { offset: 0, data: vec![7; 1000].into() }.into()).unwrap();
    let frame = [&frame.head[..], &frame.data[..]].concat();
    let mut places = BTreeSet::new();
    let mut held = VecDeque::new();
    for _ in 0..1000 {
        let space = decoder.space(frame.len(), ROOM);
        places.insert(space.as_ptr() as usize);
        space.extend_from_slice(&frame);
        held.push_back(decoder.next_answer().unwrap().unwrap());
        if held.len() > 10 {
            held.pop_front();
        }
    }
    assert!(places.len() < 50, "a few rooms hold what is held: {}", places.len());
    let is_whole = |answer: &Answer| matches!(answer, Answer::Data(data) if data.data == vec![7; 1000]);
    assert!(held.iter().all(|incoming| incoming.message.as_ref().is_ok_and(is_whole)));
}
