//! What holds for any state at any size: drawing never fails, rows are exactly as wide as the screen, and no cell holds what a terminal
//! would obey.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use proptest::prelude::*;
use ratatui::buffer::Buffer;
use towpath::app::event::Event;
use towpath::config::Colors;
use towpath::model::LinkId;
use towpath_protocol::fault::FaultCode;
use unicode_width::UnicodeWidthStr;

use crate::names::nasty_names;
use crate::picture::{cells, shown};
use crate::world::{World, file, key};

const KEYS: &[&str] = &[
    "Up",
    "Down",
    "PageUp",
    "PageDown",
    "Home",
    "End",
    "Enter",
    "Backspace",
    "Tab",
    "Left",
    "Right",
    "Esc",
    "Space",
    "Insert",
    "Delete",
    "F1",
    "F2",
    "F5",
    "F6",
    "F7",
    "F8",
    "Ctrl-a",
    "Ctrl-l",
    "Ctrl-r",
    "Alt-5",
    "Shift-Down",
    "Shift-Up",
    "g",
    ",",
    "n",
    "s",
    "t",
    "e",
    "/",
    "f",
    ":",
    "*",
    "+",
    "-",
    ".",
    "#",
    "X",
    "=",
    "H",
    "L",
    "E",
    "C",
    "z",
    "w",
    "v",
    "x",
    "y",
    "q",
    "a",
    "日",
    "\u{301}",
    "1",
];

fn a_step() -> impl Strategy<Value = Option<KeyEvent>> {
    prop_oneof![
        12 => (0..KEYS.len()).prop_map(|at| Some(key(KEYS[at]))),
        2 => any::<char>().prop_map(|c| Some(KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE))),
        1 => Just(None),
    ]
}

/// Something that comes by itself.
fn event(at: usize) -> Event {
    match at % 5 {
        0 => Event::Said { good: at.is_multiple_of(2), text: "\u{1f600} wide and long ".repeat(at % 12) },
        1 => Event::Paste("日本\x1b[31m\n語".to_owned()),
        2 => Event::Disconnected { link: LinkId(1), why: "gone".to_owned(), at_ns: 0 },
        3 => Event::Listed { generation: at as u64, total: 9, entries: vec![file("late", 1, 1)] },
        _ => Event::EscapeOver,
    }
}

fn a_world() -> World {
    let mut world = World::connected();
    let nasty =
        nasty_names().into_iter().enumerate().map(|(at, name)| file(name, 1 << (at % 63), at as i64 * 99));
    world.folder(LinkId::LOCAL, "/home/ann", nasty.collect());
    world.fault(LinkId::LOCAL, "/home", FaultCode::PermissionDenied);
    world
}

fn assert_fills(buffer: &Buffer) {
    for y in 0..buffer.area.height {
        let cells = shown(buffer, y);
        let width: usize = cells.iter().map(|cell| cell.symbol().width().max(1)).sum();
        assert_eq!(width, buffer.area.width as usize, "row {y}");
        let text: String = cells.iter().map(|cell| cell.symbol()).collect();
        assert!(!text.contains(is_obeyed), "row {y}: {text:?}");
    }
}

/// What moves a cursor, or hides or turns text round.
fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_state_fits_any_screen(
        size in (1..=240_u16, 1..=70_u16),
        steps in prop::collection::vec(a_step(), 0..60),
        colors in prop_oneof![Just(Colors::True), Just(Colors::Off)],
    ) {
        let mut world = a_world();
        world.resize(size);
        for (at, step) in steps.into_iter().enumerate() {
            world.send(step.map_or_else(|| event(at), Event::Key));
            if at % 8 == 0 {
                assert_fills(&cells(&world.app, colors, size));
            }
        }
        assert_fills(&cells(&world.app, colors, size));
    }
}

#[test]
fn the_first_screen_fits_every_screen() {
    let mut world = a_world();
    for columns in 1..=240 {
        let size = (columns, columns % 70 + 1);
        // Also before the state has heard of the size.
        assert_fills(&cells(&world.app, Colors::True, size));
        world.resize(size);
        assert_fills(&cells(&world.app, Colors::True, size));
    }
}
