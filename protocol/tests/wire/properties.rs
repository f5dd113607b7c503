//! What holds for all messages: they come back as they were, however their bytes are cut.

use proptest::prelude::*;
use towpath_protocol::frame::Incoming;

use super::arbitrary::{answers, to_server};
use super::golden::all_kinds;
use super::{Message, Sender, next, open_decoder, received};

/// Everything heard when `bytes` arrive in pieces of these lengths, over and over.
fn hear(bytes: &[u8], pieces: &[usize], sender: Sender) -> Vec<Incoming<Message>> {
    let mut decoder = open_decoder();
    let mut heard = Vec::new();
    let (mut rest, mut lengths) = (bytes, pieces.iter().cycle());
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rest.len().min(*lengths.next().unwrap()));
        rest = after;
        decoder.push(piece);
        while let Some(incoming) = next(&mut decoder, sender).unwrap() {
            heard.push(incoming);
        }
    }
    assert!(decoder.is_empty());
    heard
}

fn comes_back(messages: Vec<(u32, Message)>, pieces: &[usize], sender: Sender) -> Result<(), TestCaseError> {
    let bytes: Vec<u8> = messages.iter().flat_map(|(id, message)| message.encode(*id)).collect();
    let sent: Vec<_> = messages.into_iter().map(|(id, message)| received(id, message)).collect();
    prop_assert_eq!(&hear(&bytes, &[bytes.len()], sender), &sent);
    prop_assert_eq!(&hear(&bytes, pieces, sender), &sent);
    Ok(())
}

fn pieces() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(prop_oneof![1..8_usize, 1..5000_usize], 1..8)
}

fn several(message: impl Strategy<Value = Message>) -> impl Strategy<Value = Vec<(u32, Message)>> {
    prop::collection::vec((any::<u32>(), message), 1..4)
}

proptest! {
    #[test]
    fn what_a_client_says_comes_back_however_it_is_cut(
        messages in several(prop::strategy::Union::new(to_server())), pieces in pieces(),
    ) {
        comes_back(messages, &pieces, Sender::Client)?;
    }

    #[test]
    fn what_a_server_says_comes_back_however_it_is_cut(
        messages in several(prop::strategy::Union::new(answers())), pieces in pieces(),
    ) {
        comes_back(messages, &pieces, Sender::Server)?;
    }
}

#[test]
fn arbitrary_messages_are_of_all_kinds() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let kinds = to_server().into_iter().chain(answers()).map(|strategy| {
        let tree = strategy.new_tree(&mut runner).unwrap();
        proptest::strategy::ValueTree::current(&tree).kind()
    });
    assert_eq!(kinds.collect::<std::collections::BTreeSet<_>>(), all_kinds());
}
