//! The body of a fuzz test as an ordinary function: any bytes in, both sides' decoders over them, and everything that must hold
//! for whatever comes out. Run over its seeds by the tests of this crate; a fuzzer can call it as it is.

use crate::frame::{Decoder, Encoded, FrameError, Incoming, encode_answer, encode_to_server};
use crate::limits::FRAME_BYTES_MAX;
use crate::message::RequestId;

/// Lengths of the pieces that bytes arrive in, over and over; zero is a read that brings nothing.
const PIECES: [usize; 8] = [1, 2, 0, 3, 5, 1, 64, 4099];

/// What a decoder made of a stream: its messages, and the error that ended it.
type Heard<M> = (Vec<Incoming<M>>, Option<FrameError>);

/// Takes `bytes` for what a client and a server said. Panics where a promise of this crate is broken: decoding never panics,
/// does not depend on how the bytes were cut, and what was decoded can be encoded and decoded again to the same.
pub fn fuzz_body(bytes: &[u8]) {
    both_cuts_agree(bytes, Decoder::next_to_server, encode_to_server);
    both_cuts_agree(bytes, Decoder::next_answer, encode_answer);
}

fn both_cuts_agree<M: PartialEq + std::fmt::Debug>(
    bytes: &[u8],
    next: impl Fn(&mut Decoder) -> Result<Option<Incoming<M>>, FrameError>,
    encode: impl Fn(RequestId, &M) -> Result<Encoded, rmp_serde::encode::Error>,
) {
    for is_open in [false, true] {
        let decoder = || {
            let mut decoder = Decoder::new();
            if is_open {
                decoder.allow_frames_up_to(FRAME_BYTES_MAX);
            }
            decoder
        };
        let at_once = hear(decoder(), std::iter::once(bytes), &next);
        let in_pieces = hear(decoder(), pieces(bytes), &next);
        assert_eq!(at_once, in_pieces, "the same bytes, cut in another way");
        for Incoming { id, message } in at_once.0 {
            let Ok(message) = message else { continue };
            let encoded = encode(id, &message).map_err(|error| error.to_string());
            let again = encoded.map(|Encoded { head, data }| hear(decoder(), [&head[..], &data[..]], &next));
            let expected = (vec![Incoming { id, message: Ok(message) }], None);
            // Bodies may come as arrays, which are shorter than the maps we write: only those may be too long for us.
            let is_too_long = matches!(again, Ok((_, Some(FrameError::TooLong { .. }))));
            assert!(is_too_long || again == Ok(expected), "encoded and decoded again: {again:?}");
        }
    }
}

fn hear<'a, M>(
    mut decoder: Decoder,
    pieces: impl IntoIterator<Item = &'a [u8]>,
    next: impl Fn(&mut Decoder) -> Result<Option<Incoming<M>>, FrameError>,
) -> Heard<M> {
    let mut messages = Vec::new();
    for piece in pieces {
        decoder.push(piece);
        loop {
            match next(&mut decoder) {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(error) => return (messages, Some(error)),
            }
        }
    }
    (messages, None)
}

fn pieces(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut lengths = PIECES.iter().cycle();
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let (piece, rest) = bytes.split_at(bytes.len().min(*lengths.next()?));
        bytes = rest;
        Some(piece)
    })
}
