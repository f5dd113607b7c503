//! What holds for any state at any size: drawing never fails, rows are exactly as wide as the screen, and no cell holds what a terminal
//! would obey.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use towpath::app::effect::Timer;
use towpath::app::event::Event;
use towpath::app::hits::Hits;
use towpath::app::layout::{COLUMNS_MIN, ROWS_MIN};
use towpath::config::Colors;
use towpath::model::{Conflict, ConflictKind, JobId, JobProgress, LinkId, Question, QuestionKind};
use towpath_protocol::answer::Totals;
use towpath_protocol::entry::Kind;
use towpath_protocol::fault::FaultCode;
use towpath_protocol::path::Location;
use unicode_width::UnicodeWidthStr;

use crate::names::nasty_names;
use crate::picture::{drawn, shown};
use crate::world::{World, attributes, file, key, path};

/// Also some that mean nothing.
const KEYS: &str = "Up Down PageUp PageDown Home End Enter Backspace Tab Left Right Esc Space Insert Delete F1 F2 F5 F6 F7 F8 Ctrl-a \
                    Ctrl-l Ctrl-r Alt-5 Shift-Down Shift-Up g , n s t e / f : * + - . # X = H L E C z w v x y p q a 日 \u{301} 1";

/// One thing that happens.
#[derive(Debug, Clone)]
enum Step {
    Key(KeyEvent),
    /// A click, a drag or the wheel, at a cell.
    Mouse(MouseEventKind, u16, u16),
    /// Something that comes by itself, with some number in it.
    Other(u16),
}

fn a_step() -> impl Strategy<Value = Step> {
    let keys: Vec<KeyEvent> = KEYS.split(' ').map(key).collect();
    let kinds = vec![
        MouseEventKind::Down(MouseButton::Left),
        MouseEventKind::Drag(MouseButton::Left),
        MouseEventKind::Up(MouseButton::Left),
        MouseEventKind::ScrollDown,
    ];
    prop_oneof![
        12 => prop::sample::select(keys).prop_map(Step::Key),
        2 => any::<char>().prop_map(|c| Step::Key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE))),
        2 => (prop::sample::select(kinds), 0..240_u16, 0..70_u16).prop_map(|(kind, x, y)| Step::Mouse(kind, x, y)),
        4 => any::<u16>().prop_map(Step::Other),
    ]
}

/// Something that comes by itself. Jobs have the numbers that they get in a fresh state.
fn other(number: u16) -> Event {
    let (at, id) = (usize::from(number), JobId(u32::from(number % 3) + 1));
    match number % 12 {
        0 => Event::Said { good: number.is_multiple_of(4), text: "\u{1f600} wide and long ".repeat(at % 12) },
        1 => Event::Paste("日本\x1b[31m\n語".to_owned()),
        2 => Event::Disconnected { link: LinkId(1), why: "gone".to_owned(), at_ns: 0 },
        3 => Event::Listed { generation: u64::from(number % 8), total: 9, entries: vec![file("late", 1, 1)] },
        4 => Event::Tick,
        5 => Event::JobProgress {
            id,
            now: JobProgress {
                files: number.into(),
                files_total: u64::from(number) * 2,
                bytes: 1 << (number % 64),
                bytes_total: u64::MAX,
                arrived_bytes: 1 << (number % 50),
                reused: 1 << (number % 60),
                growing: number.is_multiple_of(3),
                current: Some(("日本語".repeat(at % 9), u64::from(number), 40_000)),
                elapsed_ms: u64::from(number) * 100,
                bytes_per_second: 1 << (number % 64),
                left_seconds: Some(u64::from(number) * 99),
            },
        },
        6 => Event::JobConflict {
            id,
            conflict: Conflict {
                id: u64::from(number),
                kind: ConflictKind::ALL[number as usize % ConflictKind::ALL.len()],
                from: Location::of(&path("/home/ann/photos/\u{202e}a name")),
                to: Location::of(&path("/home/ann/photos/\u{202e}a name/that is in the way/and rather long")),
                source: attributes(Kind::File, u64::MAX, 1),
                there: (!number.is_multiple_of(3)).then(|| attributes(Kind::File, 0, 1_000_000)),
            },
        },
        7 => Event::JobEnded {
            id,
            good: false,
            stopped: None,
            text: "\u{1b}[31mover".to_owned(),
            done: Vec::new(),
        },
        8 => Event::Measured {
            ticket: u64::from(number % 16),
            outcome: Ok(Totals { files: u64::MAX, folders: 1, bytes: u64::MAX, ..Totals::default() }),
        },
        9 => Event::Questioned { link: LinkId(1), question: question(at) },
        10 => {
            let text = "日本語 \x1b[31m".repeat(at % 99);
            Event::InstallOffered { link: LinkId(1), system: "\u{202e}".to_owned(), text }
        }
        _ => Event::Waited([Timer::Digit, Timer::Hands, Timer::Rows][at % 3]),
    }
}

/// Of a server that wants to fill the screen.
fn question(at: usize) -> Question {
    let kinds = [QuestionKind::Secret, QuestionKind::Confirm, QuestionKind::Notice];
    let text = "many lines\n\u{202e}日本\x1b[31m語 ".repeat(at % 99);
    Question { ticket: at as u64, kind: kinds[at % 3], text, is_again: at.is_multiple_of(2) }
}

fn a_world() -> World {
    let mut world = World::connected();
    let nasty =
        nasty_names().into_iter().enumerate().map(|(at, name)| file(name, 1 << (at % 63), at as i64 * 99));
    world.folder(LinkId::LOCAL, "/home/ann", nasty.collect());
    world.fault(LinkId::LOCAL, "/home", FaultCode::PermissionDenied);
    world
}

/// Draws, and looks at what came of it; what can be clicked.
fn assert_fills(world: &World, colors: Colors, size: (u16, u16)) -> Hits {
    let (buffer, hits) = drawn(&world.app, colors, size);
    for y in 0..size.1 {
        let cells = shown(&buffer, y);
        let width: usize = cells.iter().map(|cell| cell.symbol().width().max(1)).sum();
        assert_eq!(width, size.0 as usize, "row {y}");
        let text: String = cells.iter().map(|cell| cell.symbol()).collect();
        assert!(!text.contains(is_obeyed), "row {y}: {text:?}");
    }
    // A question that can be answered can be seen: all its buttons show wherever there is room for anything.
    if size.0 >= COLUMNS_MIN && size.1 >= ROWS_MIN {
        assert!(hits.is_whole(&world.app), "not all buttons show: {:?}", world.app.dialogs.last());
    }
    for (area, spot) in hits.iter() {
        assert!(area.right() <= size.0 && area.bottom() <= size.1, "{spot:?} at {area:?} is outside");
    }
    hits
}

/// What moves a cursor, or hides or turns text round.
fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 128,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(7),
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_state_fits_any_screen(
        size in (1..=240_u16, 1..=70_u16),
        steps in prop::collection::vec(a_step(), 0..60),
        colors in prop_oneof![Just(Colors::True), Just(Colors::Off)],
    ) {
        let mut world = a_world();
        world.resize(size);
        for (at, step) in steps.into_iter().enumerate() {
            world.send(match step {
                Step::Key(key) => Event::Key(key),
                Step::Other(number) => other(number),
                Step::Mouse(kind, x, y) => {
                    let (column, row) = (x % size.0, y % size.1);
                    let spot = assert_fills(&world, colors, size).at(column, row);
                    let event = MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE };
                    Event::Mouse { event, spot, at_ms: at as u64 * 200 }
                }
            });
        }
        assert_fills(&world, colors, size);
    }
}

#[test]
fn the_first_screen_fits_every_screen() {
    let mut world = a_world();
    for columns in 1..=240 {
        let size = (columns, columns % 70 + 1);
        // Also before the state has heard of the size.
        assert_fills(&world, Colors::True, size);
        world.resize(size);
        assert_fills(&world, Colors::True, size);
    }
}
