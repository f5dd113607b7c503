//! The wire, from outside the crate: golden bytes, properties, hostile streams, the fuzz body's seeds, and PROTOCOL.md against the
//! tables it describes.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod arbitrary;
mod attributes;
mod document;
mod frames;
mod golden;
mod hostile;
mod properties;
mod samples;
mod seeds;

use towpath_protocol::frame::{Decoder, Encoded, FrameError, Incoming, encode_answer, encode_to_server};
use towpath_protocol::limits::FRAME_BYTES_MAX;
use towpath_protocol::message::{Answer, RequestId, ToServer};

/// A message of either direction.
#[derive(Debug, Clone, PartialEq)]
enum Message {
    ToServer(ToServer),
    Answer(Answer),
}

/// Who is taken to have sent some bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Sender {
    Client,
    Server,
}

impl Message {
    fn sender(&self) -> Sender {
        match self {
            Self::ToServer(_) => Sender::Client,
            Self::Answer(_) => Sender::Server,
        }
    }

    fn kind(&self) -> (u16, &'static str) {
        match self {
            Self::ToServer(ToServer::Session(message)) => (message.kind(), message.name()),
            Self::ToServer(ToServer::Request(message)) => (message.kind(), message.name()),
            Self::ToServer(ToServer::Input(message)) => (message.kind(), message.name()),
            Self::Answer(message) => (message.kind(), message.name()),
        }
    }

    fn encode(&self, id: u32) -> Vec<u8> {
        let Encoded { mut head, data } = match self {
            Self::ToServer(message) => encode_to_server(RequestId(id), message).unwrap(),
            Self::Answer(message) => encode_answer(RequestId(id), message).unwrap(),
        };
        head.extend_from_slice(&data);
        head
    }
}

/// A decoder of an open session.
fn open_decoder() -> Decoder {
    let mut decoder = Decoder::new();
    decoder.allow_frames_up_to(FRAME_BYTES_MAX);
    decoder
}

fn next(decoder: &mut Decoder, sender: Sender) -> Result<Option<Incoming<Message>>, FrameError> {
    fn either<M>(incoming: Incoming<M>, either: impl Fn(M) -> Message) -> Incoming<Message> {
        Incoming { id: incoming.id, message: incoming.message.map(either) }
    }
    match sender {
        Sender::Client => {
            decoder.next_to_server().map(|incoming| incoming.map(|m| either(m, Message::ToServer)))
        }
        Sender::Server => decoder.next_answer().map(|incoming| incoming.map(|m| either(m, Message::Answer))),
    }
}

/// The first thing that `bytes` are to an open session.
fn decode(bytes: &[u8], sender: Sender) -> Result<Option<Incoming<Message>>, FrameError> {
    let mut decoder = open_decoder();
    decoder.push(bytes);
    next(&mut decoder, sender)
}

fn received(id: u32, message: Message) -> Incoming<Message> {
    Incoming { id: RequestId(id), message: Ok(message) }
}
