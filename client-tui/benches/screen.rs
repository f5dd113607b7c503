//! From a key to the bytes of the finished frame: update, draw, compare with the last frame, encode. What it costs must depend on what
//! the screen shows, not on what the folder holds.
//!
//!     cargo bench -p towpath --bench screen
//!
//! Criterion has the means; the table printed first has the 50th and 99th percentile and the bytes that go to the terminal.
#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark prints, and ends where it cannot go on"
)]

use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;
use std::time::{Duration, Instant};

use criterion::Criterion;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use jiff::tz::TimeZone;
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;
use ratatui::{Terminal, TerminalOptions, Viewport};
use towpath::app::App;
use towpath::app::effect::{Effect, Timer};
use towpath::app::event::Event;
use towpath::app::pane::Pane;
use towpath::app::update::update;
use towpath::config::{Background, Colors};
use towpath::model::{LinkId, Place, Side};
use towpath::ui::{Look, render};
use towpath_protocol::entry::{Attributes, Entry, Kind};
use towpath_protocol::path::{Name, WirePath};
use towpath_protocol::time::Time;

const COLUMNS: u16 = 120;
const ROWS: u16 = 40;
const NOW_NS: i64 = 1_795_452_300_000_000_000;
/// Keys of a series whose percentiles are printed.
const KEYS_SAMPLED: usize = 2_000;

/// What a frame writes.
#[derive(Debug, Clone, Default)]
struct Bytes(Rc<RefCell<Vec<u8>>>);

impl Write for Bytes {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(part);
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The program without its doing wing.
struct Screen {
    app: App,
    look: Look,
    terminal: Terminal<CrosstermBackend<Bytes>>,
    bytes: Bytes,
}

impl Screen {
    /// Both panes on a folder of so many entries.
    fn of(entries: usize) -> Self {
        let pane = || {
            Pane::new(Place { link: LinkId::LOCAL, path: WirePath::parse(b"/srv/photos").expect("a path") })
        };
        let bytes = Bytes::default();
        let viewport = Viewport::Fixed(Rect::new(0, 0, COLUMNS, ROWS));
        let terminal =
            Terminal::with_options(CrosstermBackend::new(bytes.clone()), TerminalOptions { viewport });
        let mut screen = Self {
            app: App::new(pane(), pane(), WirePath::root()),
            look: Look::new(Colors::True, Background::Dark, TimeZone::UTC),
            terminal: terminal.expect("a terminal of a fixed size asks for nothing"),
            bytes,
        };
        update(&mut screen.app, Event::Resized { columns: COLUMNS, rows: ROWS });
        for side in [Side::Left, Side::Right] {
            let Some(Effect::List { generation, .. }) = screen.app.reload(side) else { continue };
            let all: Vec<Entry> = (0..entries).map(entry).collect();
            let total = all.len() as u64;
            update(&mut screen.app, Event::Listed { generation, total, entries: all });
            update(&mut screen.app, Event::ListEnded { generation, outcome: Ok(()) });
        }
        screen.draw();
        screen
    }

    /// A key, to the bytes of its frame. Where it leaves rows to be looked through later, the longest of all parts, each with its frame.
    fn press(&mut self, key: KeyEvent) -> (Duration, usize) {
        let (mut longest, mut first_bytes) = (Duration::ZERO, None);
        let mut next = Some(Event::Key(key));
        while let Some(event) = next.take() {
            let begun = Instant::now();
            let effects = update(&mut self.app, event);
            let bytes = self.draw();
            longest = longest.max(begun.elapsed());
            first_bytes.get_or_insert(bytes);
            let looks_on = |effect: &Effect| matches!(effect, Effect::Wait { timer: Timer::Rows, .. });
            next = effects.iter().any(looks_on).then_some(Event::Waited(Timer::Rows));
        }
        (longest, first_bytes.unwrap_or_default())
    }

    fn draw(&mut self) -> usize {
        self.bytes.0.borrow_mut().clear();
        let frame = self.terminal.draw(|frame| drop(render(&self.app, &self.look, NOW_NS, frame)));
        frame.expect("writing into memory");
        self.bytes.0.borrow().len()
    }
}

fn entry(number: usize) -> Entry {
    let modified = Time::from_ns(NOW_NS - number as i64 * 1_000_000_000);
    let attributes = Attributes {
        kind: if number.is_multiple_of(50) { Kind::Folder } else { Kind::File },
        size: number as u64 * 1_234,
        modified,
        changed: modified,
        mode: 0o644,
        identity: number as u64,
        is_unknown: false,
        link: None,
    };
    Entry { name: Name::new(format!("raw-{number:07}.dng").as_bytes()).expect("a name"), attributes }
}

const fn key(code: KeyCode) -> KeyEvent {
    KeyEvent::new(code, KeyModifiers::NONE)
}

/// A series of keys: what it is called, in a folder of how many entries, what is pressed and measured, and what is pressed to get back.
struct Series {
    name: &'static str,
    entries: usize,
    before: &'static [KeyCode],
    pressed: KeyCode,
    back: Option<KeyCode>,
}

const fn series(name: &'static str, entries: usize, pressed: KeyCode, back: Option<KeyCode>) -> Series {
    Series { name, entries, before: &[], pressed, back }
}

const FEW: usize = 100;
const MANY: usize = 1_000_000;

const ALL: [Series; 10] = [
    series("cursor down", FEW, KeyCode::Down, Some(KeyCode::Up)),
    series("cursor down", MANY, KeyCode::Down, Some(KeyCode::Up)),
    series("a page down", FEW, KeyCode::PageDown, Some(KeyCode::PageUp)),
    series("a page down", MANY, KeyCode::PageDown, Some(KeyCode::PageUp)),
    series("to the end", MANY, KeyCode::End, Some(KeyCode::Home)),
    series("mark, a row down", FEW, KeyCode::Insert, Some(KeyCode::Up)),
    series("mark, a row down", MANY, KeyCode::Insert, Some(KeyCode::Up)),
    Series {
        before: &[KeyCode::Char('f')],
        ..series("a key of the filter", 100_000, KeyCode::Char('9'), Some(KeyCode::Backspace))
    },
    Series {
        before: &[KeyCode::Char('f')],
        ..series("a key of the filter", MANY, KeyCode::Char('9'), Some(KeyCode::Backspace))
    },
    Series {
        before: &[KeyCode::Char('/')],
        ..series("find what is nowhere", MANY, KeyCode::Char('z'), Some(KeyCode::Backspace))
    },
];

impl Series {
    fn screen(&self) -> Screen {
        let mut screen = Screen::of(self.entries);
        for code in self.before {
            screen.press(key(*code));
        }
        screen
    }

    /// How long so many presses took each, and what the first wrote.
    fn times(&self, screen: &mut Screen, count: usize) -> (Vec<Duration>, usize) {
        let mut first_bytes = 0;
        let times = (0..count).map(|at| {
            let (took, bytes) = screen.press(key(self.pressed));
            if at == 0 {
                first_bytes = bytes;
            }
            if let Some(back) = self.back {
                screen.press(key(back));
            }
            took
        });
        let times = times.collect();
        (times, first_bytes)
    }
}

fn main() {
    let mut criterion = Criterion::default().sample_size(20).configure_from_args();
    println!(
        "{:<20} {:>9}  {:>9} {:>9} {:>9}  {:>6}",
        "key", "entries", "p50 µs", "p99 µs", "max µs", "bytes"
    );
    for series in &ALL {
        let mut screen = series.screen();
        let count = if series.before.is_empty() { KEYS_SAMPLED } else { KEYS_SAMPLED / 10 };
        let (mut times, bytes) = series.times(&mut screen, count);
        times.sort_unstable();
        let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64() * 1e6;
        println!(
            "{:<20} {:>9}  {:>9.0} {:>9.0} {:>9.0}  {bytes:>6}",
            series.name,
            series.entries,
            at(50),
            at(99),
            at(100)
        );
        let name = format!("{}/{}", series.name, series.entries);
        criterion.bench_function(&name, |bencher| {
            bencher.iter_custom(|count| {
                let count = usize::try_from(count).unwrap_or(usize::MAX);
                series.times(&mut screen, count).0.into_iter().sum()
            });
        });
    }
    criterion.final_summary();
}
