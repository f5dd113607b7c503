//! The bodies of fuzz tests as ordinary functions: any bytes in, and everything that must hold for whatever comes out. Run over their
//! seeds by the tests of this crate; the targets in `protocol/fuzz` call them as they are.

use crate::display::DisplayName;
use crate::frame::{Decoder, Encoded, FrameError, Incoming, encode_answer, encode_to_server};
use crate::limits::{FRAME_BYTES_MAX, NAME_BYTES_MAX, PATH_BYTES_MAX, PATH_COMPONENTS_MAX};
use crate::message::{Answer, Input, Request, RequestId, Session};
use crate::pairing::{KeyHash, PairingCode};
use crate::path::{Name, WirePath};

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

/// Takes the first byte for a kind of message, by its number where there is such a kind, and the rest for its body; else as
/// [`fuzz_body`]. So that a fuzzer need not find out what a frame is before it comes to what is in one.
pub fn fuzz_one_body(bytes: &[u8]) {
    let Some((choice, body)) = bytes.split_first() else { return };
    let kinds = [Session::KINDS, Request::KINDS, Input::KINDS, Answer::KINDS].concat();
    let named = kinds.iter().find(|(number, _)| *number == u16::from(*choice));
    let kind = named.unwrap_or_else(|| &kinds[usize::from(*choice) % kinds.len()]).0;
    let content = [&[0x93, 0xcd][..], &kind.to_be_bytes(), &[7], body].concat();
    if content.len() <= FRAME_BYTES_MAX {
        fuzz_body(&[&(content.len() as u32).to_be_bytes()[..], &content].concat());
    }
}

/// Takes `bytes` for a path as a person types it and for a name. Panics where a path comes out that could lead anywhere else than
/// down, or that is another one when it is written and read again.
pub fn fuzz_path(bytes: &[u8]) {
    if let Ok(name) = Name::new(bytes) {
        assert_eq!(name.as_bytes(), bytes);
        assert_sound(&name);
    }
    let Ok(path) = WirePath::parse(bytes) else { return };
    path.names().iter().for_each(assert_sound);
    assert!(path.names().len() <= PATH_COMPONENTS_MAX && path.to_bytes().len() <= PATH_BYTES_MAX);
    assert_eq!(WirePath::parse(&path.to_bytes()).as_ref(), Ok(&path), "written and read again");
    assert_safe(&path.display());
    if let (Some(parent), Some(name)) = (path.parent(), path.name()) {
        assert_eq!(parent.join(name).as_ref(), Ok(&path));
        assert!(path.starts_with(&parent) && !parent.starts_with(&path));
    }
}

fn assert_sound(name: &Name) {
    let bytes = name.as_bytes();
    assert!((1..=NAME_BYTES_MAX).contains(&bytes.len()) && bytes != b"." && bytes != b"..");
    assert!(!bytes.contains(&b'/') && !bytes.contains(&0));
    assert_safe(&name.display().to_string());
}

fn assert_safe(shown: &str) {
    assert!(!shown.chars().any(char::is_control), "{shown:?}");
    assert_eq!(DisplayName::new(shown.as_bytes()).to_string(), shown, "what was shown is safe to show");
}

/// Takes `bytes` for a pairing code and for a fingerprint, as they are typed and as our own files hold them.
pub fn fuzz_pairing(bytes: &[u8]) {
    let Ok(typed) = std::str::from_utf8(bytes) else { return };
    if let Ok(code) = PairingCode::parse(typed) {
        let again = PairingCode::parse(&code.text()).map_err(|why| why.to_string());
        let same = again.map(|again| (again.secret.bytes() == code.secret.bytes(), again.pin().to_string()));
        assert_eq!(same, Ok((true, code.pin().to_string())), "written and read again");
    }
    if let Ok(key) = typed.parse::<KeyHash>() {
        assert_eq!(key.to_string().parse::<KeyHash>().ok(), Some(key));
    }
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
