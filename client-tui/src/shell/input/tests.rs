//! The parser, held to what terminals send, to what they must not be taken for, and to any bytes at all.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEventKind};
use proptest::prelude::*;

use super::parser::Parser;
use super::*;

fn parsed(bytes: &[u8]) -> Vec<Input> {
    let mut input = Vec::new();
    Parser::default().feed(bytes, &mut |one| input.push(one));
    input
}

/// Like `parsed`, with no further input.
fn parsed_to_the_end(bytes: &[u8]) -> Vec<Input> {
    let mut input = Vec::new();
    let mut parser = Parser::default();
    parser.feed(bytes, &mut |one| input.push(one));
    parser.give_up(&mut |one| input.push(one));
    assert_eq!(parser.patience(), None, "{bytes:?}");
    input
}

fn key(code: KeyCode, modifiers: KeyModifiers) -> Input {
    Input::Key(KeyEvent::new(code, modifiers))
}

fn typed(c: char) -> Input {
    key(KeyCode::Char(c), KeyModifiers::NONE)
}

const NONE: KeyModifiers = KeyModifiers::NONE;
const SHIFT: KeyModifiers = KeyModifiers::SHIFT;
const ALT: KeyModifiers = KeyModifiers::ALT;
const CONTROL: KeyModifiers = KeyModifiers::CONTROL;

#[test]
fn keys_are_what_terminals_send_for_them() {
    use KeyCode::*;
    let table: &[(&str, KeyCode, KeyModifiers)] = &[
        ("a", Char('a'), NONE),
        ("A", Char('A'), SHIFT),
        ("é", Char('é'), NONE),
        ("Ж", Char('Ж'), SHIFT),
        ("😀", Char('😀'), NONE),
        ("\r", Enter, NONE),
        ("\n", Char('j'), CONTROL),
        ("\t", Tab, NONE),
        ("\x7f", Backspace, NONE),
        ("\x08", Backspace, NONE),
        ("\0", Char(' '), CONTROL),
        ("\x1a", Char('z'), CONTROL),
        ("\x1c", Char('4'), CONTROL),
        ("\x1ba", Char('a'), ALT),
        ("\x1bB", Char('B'), SHIFT.union(ALT)),
        ("\x1bж", Char('ж'), ALT),
        ("\x1b\r", Enter, ALT),
        ("\x1b[A", Up, NONE),
        ("\x1bOB", Down, NONE),
        ("\x1b[1;5C", Right, CONTROL),
        ("\x1b[;5D", Left, CONTROL),
        ("\x1b[1;2:1A", Up, SHIFT),
        ("\x1bOa", Up, CONTROL),
        ("\x1b[b", Down, SHIFT),
        ("\x1b[Z", BackTab, SHIFT),
        ("\x1bOP", F(1), NONE),
        ("\x1b[[B", F(2), NONE),
        ("\x1bOR", F(3), NONE),
        ("\x1b[1;5R", F(3), CONTROL),
        ("\x1b[15~", F(5), NONE),
        ("\x1b[21;2~", F(10), SHIFT),
        ("\x1b[24~", F(12), NONE),
        ("\x1b[28~", F(15), NONE),
        ("\x1b[34~", F(20), NONE),
        ("\x1b[28$", F(15), SHIFT),
        ("\x1b[3^", Delete, CONTROL),
        ("\x1b[5@", PageUp, SHIFT.union(CONTROL)),
        ("\x1b[6~", PageDown, NONE),
        ("\x1bOq", Char('1'), NONE),
        ("\x1bOj", Char('*'), NONE),
        ("\x1bOM", Enter, NONE),
        ("\x1b[97u", Char('a'), NONE),
        ("\x1b[97;2u", Char('A'), SHIFT),
        ("\x1b[49:33;2u", Char('!'), NONE),
        ("\x1b[27u", Esc, NONE),
        ("\x1b[9;2u", BackTab, SHIFT),
        ("\x1b[57400u", Char('1'), NONE),
        // Ctrl-о of a Cyrillic layout whose terminal says which key it is.
        ("\x1b[1086::106;5u", Char('j'), CONTROL),
        ("\x1b[27;5;105~", Char('i'), CONTROL),
    ];
    for (bytes, code, modifiers) in table {
        assert_eq!(parsed(bytes.as_bytes()), [key(*code, *modifiers)], "{bytes:?}");
    }
    let released = KeyEvent::new_with_kind(Char('a'), NONE, KeyEventKind::Release);
    assert_eq!(parsed(b"\x1b[97;1:3u"), [Input::Key(released)]);
    assert_eq!(parsed(b"\x1b[I\x1b[O"), [Input::Focus(true), Input::Focus(false)]);
}

#[test]
fn f85_reports_and_replies_are_no_keys_and_the_next_key_is() {
    let swallowed: &[&[u8]] = &[
        b"\x1b[0;0R",
        b"\x1b[12;40R",
        b"\x1b[?12;40R",
        b"\x1b[>0;276;0c",
        b"\x1b[=0c",
        b"\x1b[?997;1n",
        b"\x1b[0n",
        b"\x1b[?2026;2$y",
        b"\x1b[4;2$y",
        b"\x1b[?1u",
        b"\x1b[8;24;80t",
        b"\x1b[M \x00!",
        b"\x1b[M  !",
        b"\x1b[M\xff\xff\xff",
        b"\x1b[<999;1;1M",
        b"\x1b[<;;M",
        b"\x1b[99999999999999999999;5u",
        b"\x1b[97;9u",
        b"\x1b[57441;2u",
        b"\x1b[1;2;3;4;5;6;7;8;9z",
        b"\x1bP!|00000000\x1b\\",
        b"\x1bP>|tmux 3.3a\x1b\\",
        b"\x1bP1+r524742=38\x1b\\",
        b"\x1bP1$r0m\x1b\\",
        b"\x1b]10;rgb:d0d0/dddd/d0d0\x07",
        b"\x1b]4;1;rgb:cccc/6666/6666\x07",
        b"\x1b]52;c;ZHlkeQ==\x07",
        b"\x1b]l\xd0\xb4dy\x1b\\",
        b"\x1b_Gi=31;OK\x1b\\",
        b"\x1b^private\x1b\\",
        b"\x1bXstart of string\x1b\\",
        b"\x1b\\",
        b"\x9b5;7R",
        b"\xc2\x9b5;7R",
        b"\x905;7dy\x9c",
        b"\x9d52;c;dy\x07",
        b"\x9c",
        b"\xff\xfe",
        b"\xc3",
    ];
    for bytes in swallowed {
        let with_a_key = [*bytes, b"q"].concat();
        assert_eq!(parsed(&with_a_key), [typed('q')], "{}", bytes.escape_ascii());
        // Also where only a part has come: what was begun is dropped whole, and the next key counts.
        for end in 2..bytes.len() {
            let input = parsed_to_the_end(&bytes[..end]);
            assert!(!input.iter().any(is_printable), "{}: {input:?}", bytes[..end].escape_ascii());
        }
    }
}

#[test]
fn a_background_is_dark_or_light_in_every_form_of_the_answer() {
    for (text, background) in [
        ("rgb:1e1e/1e1e/2e2e", Some(Background::Dark)),
        ("rgb:ffff/ffff/ffff", Some(Background::Light)),
        ("rgb:f/f/e", Some(Background::Light)),
        ("rgba:00/00/00/ff", Some(Background::Dark)),
        ("#fdf6e3", Some(Background::Light)),
        ("#002b36", Some(Background::Dark)),
        ("?", None),
        ("rgb:ffff/ffff", None),
        ("rgb:fffff/0/0", None),
        ("rgb:-1/+f/0", None),
        ("#fé", None),
        ("", None),
    ] {
        for end in ["\x07", "\x1b\\"] {
            let input = parsed(format!("\x1b]11;{text}{end}").as_bytes());
            assert_eq!(input, background.map(Input::Background).into_iter().collect::<Vec<_>>(), "{text}");
        }
    }
    assert_eq!(parsed(b"\x1b[?62;4c"), [Input::Attributes]);
}

#[test]
fn a_mouse_outside_the_screen_is_at_its_edge() {
    let mouse = |bytes: &[u8]| match parsed(bytes)[..] {
        [Input::Mouse(event)] => (event.kind, event.column, event.row),
        ref other => panic!("{}: {other:?}", bytes.escape_ascii()),
    };
    let left = MouseButton::Left;
    assert_eq!(mouse(b"\x1b[<0;12;3M"), (MouseEventKind::Down(left), 11, 2));
    assert_eq!(mouse(b"\x1b[<0;12;3m"), (MouseEventKind::Up(left), 11, 2));
    assert_eq!(mouse(b"\x1b[<64;0;5M"), (MouseEventKind::ScrollUp, 0, 4));
    assert_eq!(mouse(b"\x1b[<32;-3;-7M"), (MouseEventKind::Drag(left), 0, 0));
    assert_eq!(mouse(b"\x1b[<0;70000;2M"), (MouseEventKind::Down(left), u16::MAX, 1));
    assert_eq!(mouse(b"\x1b[32;0;5M"), (MouseEventKind::Down(left), 0, 4));
    assert_eq!(mouse(b"\x1b[M !!"), (MouseEventKind::Down(left), 0, 0));
    assert_eq!(mouse(b"\x1b[M`\xff\xff"), (MouseEventKind::ScrollUp, 222, 222));
}

#[test]
fn a_key_whose_bytes_come_apart_is_one_key_and_a_lone_esc_is_a_key_soon() {
    let mut parser = Parser::default();
    for byte in b"\x1b[1;5" {
        parser.feed(&[*byte], &mut |input| panic!("{input:?}"));
        assert!(parser.patience().is_some_and(|patience| patience >= Duration::from_millis(100)));
    }
    let mut input = Vec::new();
    parser.feed(b"A", &mut |one| input.push(one));
    assert_eq!(input, [key(KeyCode::Up, CONTROL)]);
    assert_eq!(parser.patience(), None);

    assert_eq!(parsed(b"\x1b"), []);
    assert_eq!(parsed_to_the_end(b"\x1b"), [key(KeyCode::Esc, NONE)]);
    assert_eq!(parsed(b"\x1b\x1b[A"), [key(KeyCode::Esc, NONE), key(KeyCode::Up, NONE)]);
    // Alt-[ typed, and thought about.
    assert_eq!(parsed_to_the_end(b"\x1b["), []);
}

#[test]
fn a_paste_is_text_whatever_it_holds_and_ends_though_its_end_is_lost() {
    let text = "dy\n\x1b[A \x1b[201 \x1b\x1b[20é";
    let pasted = format!("\x1b[200~{text}\x1b[201~q");
    assert_eq!(parsed(pasted.as_bytes()), [Input::Paste(text.to_owned()), typed('q')]);
    assert_eq!(parsed_to_the_end(b"\x1b[200~dy"), [Input::Paste("dy".to_owned())]);
    assert_eq!(parsed(b"\x1b[201~q"), [typed('q')]);
    let long = [b"\x1b[200~".as_slice(), &vec![b'x'; 3 << 20], b"\x1b[201~q"].concat();
    let input = parsed(&long);
    assert!(matches!(&input[..], [Input::Paste(text), _] if text.len() <= 1 << 20 && !text.is_empty()));
}

#[test]
fn f85_what_never_ends_does_not_swallow_the_keys_behind_it_for_long() {
    let feed = |parser: &mut Parser, bytes: &[u8]| {
        let mut input = Vec::new();
        parser.feed(bytes, &mut |one| input.push(one));
        input
    };
    let give_up = |parser: &mut Parser| {
        let mut input = Vec::new();
        parser.give_up(&mut |one| input.push(one));
        input
    };
    for begun in ["\x1b[200~text", "\x1b]0;title", "\x1bPtext", "\x1b_text"] {
        let mut parser = Parser::default();
        assert_eq!(feed(&mut parser, begun.as_bytes()), []);
        assert!(parser.patience().unwrap() <= Duration::from_secs(1), "{begun:?}");
        // An Esc at its end is a key.
        feed(&mut parser, b"\x1b");
        assert!(parser.patience().unwrap() <= Duration::from_secs(1), "{begun:?}");
        assert_eq!(give_up(&mut parser).last(), Some(&key(KeyCode::Esc, NONE)), "{begun:?}");
        assert_eq!(feed(&mut parser, b"q"), [typed('q')], "{begun:?}");
        // A Ctrl-C that came alone is one at once.
        feed(&mut parser, begun.as_bytes());
        parser.interrupt();
        assert_eq!(feed(&mut parser, b"\x03"), [key(KeyCode::Char('c'), CONTROL)], "{begun:?}");
    }
    // A paste that only paused goes on; its end is none of a key.
    for (rest, text) in [("d\x1b[201~", "d"), ("delete all of them\ny", "delete all of them\ny")] {
        let mut parser = Parser::default();
        feed(&mut parser, b"\x1b[200~some");
        assert_eq!(give_up(&mut parser), [Input::Paste("some".to_owned())]);
        let mut input = feed(&mut parser, rest.as_bytes());
        if parser.patience().is_some() {
            input.extend(give_up(&mut parser));
        }
        assert_eq!(input, [Input::Paste(text.to_owned())]);
        assert_eq!(feed(&mut parser, b"\x1b[B"), [key(KeyCode::Down, NONE)]);
    }
}

fn is_printable(input: &Input) -> bool {
    matches!(input, Input::Key(KeyEvent { code: KeyCode::Char(_), .. }))
}

/// Bytes that sequences are made of are likelier than others.
fn soup() -> impl Strategy<Value = Vec<u8>> {
    let likely = prop::sample::select(
        b"\x1b\x1b\x1b[]PO_^X\\?<>=;:$0123456789~MmuRcnyAZ \x07\x18\x9b\x9d\xc3\xa9\xff".to_vec(),
    );
    prop::collection::vec(prop_oneof![4 => likely, 1 => any::<u8>()], 0..64)
}

/// A sequence that is no key: its introducer, its body, its end.
fn foreign() -> impl Strategy<Value = Vec<u8>> {
    let private = ("\x1b\\[[<>=?][0-9;:]{0,20}[ -/]{0,2}", "[@-LN-Zl^`a-ln-z|}]")
        .prop_map(|(a, b)| (a + &b).into_bytes());
    let intermediate = "\x1b\\[[0-9;]{0,8};[0-9]{0,3}[ -/]{1,2}[@-~]".prop_map(String::into_bytes);
    let text = ("\x1b[\\]P_^X]", "[ -~]{0,40}", prop::sample::select(vec!["\x1b\\", "\x1b\\"]))
        .prop_map(|(begin, body, end)| (begin + &body + end).into_bytes());
    let bell = ("\x1b\\]", "[ -~éж]{0,40}").prop_map(|(begin, body)| (begin + &body + "\x07").into_bytes());
    prop_oneof![private, intermediate, text, bell]
}

proptest! {
    #[test]
    fn f85_any_bytes_split_anywhere_give_the_same_and_never_a_panic(
        bytes in soup(),
        cuts in prop::collection::vec(0_usize..64, 0..6),
    ) {
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let (mut parser, mut input) = (Parser::default(), Vec::new());
        for pair in cuts.windows(2) {
            parser.feed(&bytes[pair[0]..pair[1]], &mut |one| input.push(one));
        }
        prop_assert_eq!(&input, &parsed(&bytes));
        // Pauses anywhere: other input perhaps, but the parser is at rest after each, and a key is a key again.
        let mut parser = Parser::default();
        for pair in cuts.windows(2) {
            parser.feed(&bytes[pair[0]..pair[1]], &mut |_| {});
            parser.give_up(&mut |_| {});
            prop_assert_eq!(parser.patience(), None);
        }
        let mut after = Vec::new();
        parser.feed(b"q", &mut |one| after.push(one));
        prop_assert_eq!(after, [typed('q')]);
    }

    #[test]
    fn f85_what_is_no_key_gives_none_whole_or_cut_and_hides_none(bytes in foreign(), cut in 2_usize..64) {
        let whole = parsed(&[&bytes[..], b"q"].concat());
        prop_assert_eq!(whole.iter().filter(|input| is_printable(input)).count(), 1, "{:?}", whole);
        prop_assert_eq!(whole.last(), Some(&typed('q')));
        let cut = parsed_to_the_end(&bytes[..cut.min(bytes.len())]);
        prop_assert!(!cut.iter().any(is_printable), "{:?}", cut);
    }

    #[test]
    fn what_is_typed_comes_as_it_was_typed(text in "[^\\x00-\\x1f\\x7f-\\u{9f}]{0,20}") {
        let typed: String = parsed(text.as_bytes())
            .into_iter()
            .filter_map(|input| match input {
                Input::Key(KeyEvent { code: KeyCode::Char(c), .. }) => Some(c),
                _ => None,
            })
            .collect();
        prop_assert_eq!(typed, text);
    }
}
