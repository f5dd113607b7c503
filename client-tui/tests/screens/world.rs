//! A made-up machine behind the screen: keys and events go in, effects are answered as the doing wing would.

use std::collections::BTreeMap;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use towpath::app::App;
use towpath::app::effect::Effect;
use towpath::app::event::Event;
use towpath::app::pane::Pane;
use towpath::app::update::update;
use towpath::model::{LinkId, Place, Side};
use towpath_protocol::answer::Totals;
use towpath_protocol::entry::{Attributes, Entry, Kind, LinkTarget};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::path::{Name, WirePath};
use towpath_protocol::time::Time;

use crate::picture::NOW_NS;

const HOUR_NS: i64 = 3_600_000_000_000;

/// An app, and the folders that it can see.
pub struct World {
    pub app: App,
    folders: BTreeMap<(LinkId, String), Result<Vec<Entry>, Fault>>,
    /// Listings are answered; else they stay under way.
    pub answers: bool,
    /// What was asked for and is nothing that this machine does by itself.
    pub effects: Vec<Effect>,
}

impl World {
    /// Both panes on this machine, nothing read yet.
    pub fn new(left: &str, right: &str) -> Self {
        let pane = |text: &str| Pane::new(Place { link: LinkId::LOCAL, path: path(text) });
        let app = App::new(pane(left), pane(right), path("/home/ann"));
        Self { app, folders: BTreeMap::new(), answers: true, effects: Vec::new() }
    }

    /// A folder of photographs on the left, a server's on the right.
    pub fn connected() -> Self {
        let mut world = Self::new("/home/ann/photos", "/home/ann");
        world.folder(LinkId::LOCAL, "/home/ann/photos", photos());
        world.folder(LinkId::LOCAL, "/home/ann", vec![folder("photos", 30)]);
        world.folder(LinkId(1), "/backup", backup());
        world.begin();
        world.connect();
        world
    }

    pub fn folder(&mut self, link: LinkId, path: &str, entries: Vec<Entry>) {
        self.folders.insert((link, path.to_owned()), Ok(entries));
    }

    pub fn fault(&mut self, link: LinkId, path: &str, code: FaultCode) {
        self.folders.insert((link, path.to_owned()), Err(Fault::new(code)));
    }

    /// Both panes are read.
    pub fn begin(&mut self) {
        for side in [Side::Left, Side::Right] {
            let effect = self.app.reload(side);
            self.perform(effect.into_iter().collect());
        }
    }

    /// The right pane shows a server.
    pub fn connect(&mut self) {
        let effect = self.app.open_on(Side::Right, "tow://box/");
        let Effect::Connect { link, .. } = effect else { panic!("{effect:?}") };
        let (name, path) = ("tow://box".to_owned(), path("/backup"));
        self.send(Event::Connected { link, name, path, round_trip_ms: Some(1) });
    }

    pub fn send(&mut self, event: Event) {
        let effects = update(&mut self.app, event);
        self.app.check();
        // A frame shows it before the next thing happens.
        update(&mut self.app, Event::Drawn { is_whole: true });
        self.perform(effects);
    }

    /// The screen has this size from now on.
    pub fn resize(&mut self, (columns, rows): (u16, u16)) {
        self.send(Event::Resized { columns, rows });
    }

    fn perform(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::List { generation, place, .. } if self.answers => self.list(generation, &place),
                Effect::Look { ticket, .. } => self.send(Event::Looked { ticket, outcome: Ok(Some(true)) }),
                effect => self.effects.push(effect),
            }
        }
    }

    fn list(&mut self, generation: u64, place: &Place) {
        let known = self.folders.get(&(place.link, format!("/{}", place.path.display()))).cloned();
        let outcome = match known.unwrap_or_else(|| Err(Fault::new(FaultCode::NotFound))) {
            Ok(entries) => {
                let total = entries.len() as u64;
                self.send(Event::Listed { generation, total, entries });
                Ok(())
            }
            Err(fault) => Err(Fault { path: Some(place.path.clone()), ..fault }),
        };
        let is_read = outcome.is_ok();
        self.send(Event::ListEnded { generation, outcome });
        if is_read {
            self.send(Event::Free { generation, bytes: 118_400_000_000 });
        }
    }

    /// The newest question how much there is gets its answer.
    pub fn measured(&mut self, files: u64, folders: u64, bytes: u64) {
        self.measured_but_for(0, Totals { files, folders, bytes, ..Totals::default() });
    }

    /// The same where so many folders could not be read.
    pub fn measured_but_for(&mut self, failed: u64, totals: Totals) {
        let ticket = self.effects.iter().rev().find_map(|effect| match effect {
            Effect::Measure { ticket, .. } => Some(*ticket),
            _ => None,
        });
        let outcome = Ok(Totals { failed, ..totals });
        self.send(Event::Measured { ticket: ticket.unwrap(), outcome });
    }

    /// Keys by their names, parted by blanks: `Down Space Ctrl-a F8`.
    pub fn press(&mut self, keys: &str) {
        for name in keys.split(' ') {
            self.send(Event::Key(key(name)));
        }
    }

    /// Text, a key a character.
    pub fn write(&mut self, text: &str) {
        for c in text.chars() {
            self.send(Event::Key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE)));
        }
    }
}

/// The key of a name.
pub fn key(name: &str) -> KeyEvent {
    let (modifiers, base) = match name.split_once('-') {
        Some(("Ctrl", base)) => (KeyModifiers::CONTROL, base),
        Some(("Alt", base)) => (KeyModifiers::ALT, base),
        Some(("Shift", base)) => (KeyModifiers::SHIFT, base),
        _ => (KeyModifiers::NONE, name),
    };
    let code = match base {
        "Up" => KeyCode::Up,
        "Down" => KeyCode::Down,
        "Left" => KeyCode::Left,
        "Right" => KeyCode::Right,
        "PageUp" => KeyCode::PageUp,
        "PageDown" => KeyCode::PageDown,
        "Home" => KeyCode::Home,
        "End" => KeyCode::End,
        "Enter" => KeyCode::Enter,
        "Esc" => KeyCode::Esc,
        "Tab" => KeyCode::Tab,
        "Backspace" => KeyCode::Backspace,
        "Insert" => KeyCode::Insert,
        "Delete" => KeyCode::Delete,
        "Space" => KeyCode::Char(' '),
        _ => match base.strip_prefix('F').and_then(|number| number.parse().ok()) {
            Some(number) => KeyCode::F(number),
            None => KeyCode::Char(base.chars().next().unwrap()),
        },
    };
    KeyEvent::new(code, modifiers)
}

pub fn path(text: &str) -> WirePath {
    WirePath::parse(text.as_bytes()).unwrap()
}

pub fn name(text: impl AsRef<[u8]>) -> Name {
    Name::new(text.as_ref()).unwrap()
}

/// Attributes of something that was changed so many hours ago.
pub const fn attributes(kind: Kind, size: u64, hours: i64) -> Attributes {
    let modified = Time::from_ns(NOW_NS - hours * HOUR_NS);
    Attributes {
        kind,
        size,
        modified,
        changed: modified,
        mode: 0o644,
        identity: 0,
        is_unknown: false,
        link: None,
    }
}

pub fn file(text: impl AsRef<[u8]>, size: u64, hours: i64) -> Entry {
    Entry { name: name(text), attributes: attributes(Kind::File, size, hours) }
}

pub fn folder(text: &str, hours: i64) -> Entry {
    Entry { name: name(text), attributes: attributes(Kind::Folder, 0, hours) }
}

pub fn link(text: &str, target: &str, kind: Option<Kind>) -> Entry {
    let target = LinkTarget { bytes: target.as_bytes().into(), kind };
    Entry { name: name(text), attributes: Attributes { link: Some(target), ..attributes(Kind::Link, 0, 40) } }
}

pub fn program(text: &str) -> Entry {
    Entry { name: name(text), attributes: Attributes { mode: 0o755, ..attributes(Kind::File, 2_100, 5) } }
}

/// What the left pane shows.
pub fn photos() -> Vec<Entry> {
    let mut entries = vec![folder("2023", 9_000), folder("2024", 75), folder("exports", 31)];
    entries.push(link("latest", "raw-0005.dng", Some(Kind::File)));
    entries.push(file("contact-sheet.pdf", 3_812_000, 33));
    entries.push(file("notes.md", 9_800, 31));
    entries.push(program("publish.sh"));
    for number in 1..=30 {
        entries.push(file(format!("raw-{number:04}.dng"), 24_000_000 + number * 123_456, 40 + number as i64));
    }
    entries.push(file("tour-of-the-whole-archive-with-a-very-long-name-2019.tar.gz", 1_932_110_000, 40_000));
    entries
}

/// What the right pane shows.
pub fn backup() -> Vec<Entry> {
    vec![
        folder("2023", 9_000),
        folder("incoming", 3),
        file("index.db", 96_110_000, 4),
        file("README", 12, 500),
    ]
}
