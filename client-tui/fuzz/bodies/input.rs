//! Any bytes as what a terminal sends: the same input however they are split, no more of it than bytes, and a key behind it is a key.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use towpath::shell::input::Input;
use towpath::shell::input::parser::Parser;

/// Bytes of a paste that are kept.
const PASTE_BYTES_MAX: usize = 1 << 20;

pub(crate) fn input(bytes: &[u8]) {
    let whole = parsed(bytes.chunks(bytes.len().max(1)));
    assert_eq!(whole, parsed(bytes.chunks(1)), "bytes that come one by one are others");
    let pasted: usize =
        whole.iter().map(|input| if let Input::Paste(text) = input { text.len() } else { 0 }).sum();
    // Bytes that are no text come as a character of three bytes.
    assert!(whole.len() <= bytes.len() && pasted <= 3 * bytes.len().min(PASTE_BYTES_MAX * whole.len()));
    // A pause behind each byte, and one at the end alone.
    for step in [1, bytes.len().max(1)] {
        let mut parser = Parser::default();
        for piece in bytes.chunks(step) {
            parser.feed(piece, &mut |_| {});
            parser.give_up(&mut |_| {});
            assert_eq!(parser.patience(), None, "it waits for something after a pause");
        }
        let mut behind = Vec::new();
        parser.feed(b"q", &mut |input| behind.push(input));
        assert_eq!(behind, [Input::Key(KeyEvent::new(KeyCode::Char('q'), KeyModifiers::NONE))]);
    }
}

fn parsed<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<Input> {
    let (mut parser, mut all) = (Parser::default(), Vec::new());
    pieces.for_each(|piece| parser.feed(piece, &mut |input| all.push(input)));
    all
}
