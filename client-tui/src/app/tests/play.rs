//! A small language to play the panes with: `app().with(["a", "b/"]).press("v j j F5")`.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use towpath_protocol::entry::{Attributes, Entry, Kind};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::path::{Location, Name, WirePath};
use towpath_protocol::time::Time;

use crate::app::App;
use crate::app::dialog::{Ask, Dialog};
use crate::app::effect::{Effect, Timer};
use crate::app::event::Event;
use crate::app::hits::Spot;
use crate::app::pane::Pane;
use crate::app::update::update;
use crate::model::{Conflict, ConflictKind, JobId, LinkId, Place, Side};

/// The panes, and what they asked for last.
pub(super) struct Play {
    pub(super) app: App,
    pub(super) effects: Vec<Effect>,
    /// Of those, what is for the journal, which comes beside everything else.
    pub(super) notes: Vec<Effect>,
}

/// Two panes of this machine, on `/left` and `/right`, both empty.
pub(super) fn app() -> Play {
    let pane = |text: &str| Pane::new(Place { link: LinkId::LOCAL, path: path(text) });
    let app = App::new(pane("left"), pane("right"), path("home/me"));
    let mut play = Play { app, effects: Vec::new(), notes: Vec::new() };
    for side in [Side::Left, Side::Right] {
        play.effects.extend(play.app.reload(side));
        play = play.lists(side, []);
    }
    play
}

pub(super) fn path(text: &str) -> WirePath {
    WirePath::parse(text.as_bytes()).unwrap()
}

pub(super) fn local(text: &str) -> Place {
    Place { link: LinkId::LOCAL, path: path(text) }
}

/// `name`, `name/` for a folder, `name=7` for a file of seven bytes.
pub(super) fn entry(text: &str) -> Entry {
    let (name, size) = text.split_once('=').map_or((text, 0), |(name, size)| (name, size.parse().unwrap()));
    let kind = if name.ends_with('/') { Kind::Folder } else { Kind::File };
    let name = Name::try_from(name.trim_end_matches('/')).unwrap();
    Entry { name, attributes: attributes(kind, size, 0) }
}

pub(super) fn attributes(kind: Kind, size: u64, modified: i64) -> Attributes {
    let (modified, changed) = (Time::from_ns(modified), Time::default());
    Attributes { kind, size, modified, changed, mode: 0o644, identity: 1, is_unknown: false, link: None }
}

/// A file that is newer than the one at its place.
pub(super) fn newer(id: u64, to: &str) -> Conflict {
    let (source, there) = (attributes(Kind::File, 5, 20), attributes(Kind::File, 7, 10));
    let (from, to) = (Location::of(&path("left/a")), Location::of(&path(to)));
    Conflict { id, kind: ConflictKind::Newer, from, to, source, there: Some(there) }
}

impl Play {
    /// Something happens, and a frame shows what came of it.
    pub(super) fn event(self, event: Event) -> Self {
        let mut play = self.unseen(event);
        let nothing = update(&mut play.app, Event::Drawn { is_whole: true });
        assert_eq!(nothing, [], "a frame asks for nothing");
        play
    }

    /// Something happens, and no frame shows it yet.
    pub(super) fn unseen(mut self, event: Event) -> Self {
        let is_note = |effect: &Effect| {
            matches!(
                effect,
                Effect::Keep { .. } | Effect::Forget(_) | Effect::Leave(_) | Effect::TakeUp { .. }
            )
        };
        // How long a line stands, a key is held and a window waits is no part of what is played.
        let is_of_time = |effect: &Effect| {
            matches!(effect, Effect::Wait { timer: Timer::News | Timer::Held | Timer::Answer, .. })
        };
        let effects = update(&mut self.app, event).into_iter().filter(|effect| !is_of_time(effect));
        (self.notes, self.effects) = effects.partition(is_note);
        self.app.check();
        self
    }

    /// Keys that come in one piece: no frame is drawn between them.
    pub(super) fn burst(mut self, keys: &str) -> Self {
        for key in keys.split_whitespace() {
            self = self.unseen(Event::Key(key_of(key)));
        }
        self
    }

    /// A key that was pressed once is let go.
    pub(super) fn lets_go(self) -> Self {
        self.waits([Timer::Held])
    }

    /// So much time passes.
    pub(super) fn waits<const N: usize>(self, timers: [Timer; N]) -> Self {
        timers.into_iter().fold(self, |play, timer| play.event(Event::Waited(timer)))
    }

    /// The left pane's folder holds these.
    pub(super) fn with<const N: usize>(self, names: [&str; N]) -> Self {
        self.reload(Side::Left).lists(Side::Left, names)
    }

    /// The right pane's folder holds these.
    pub(super) fn there<const N: usize>(self, names: [&str; N]) -> Self {
        self.reload(Side::Right).lists(Side::Right, names)
    }

    fn reload(mut self, side: Side) -> Self {
        self.effects = self.app.reload(side).into_iter().collect();
        self
    }

    /// The listing under way ends with these in it.
    pub(super) fn lists<const N: usize>(self, side: Side, names: [&str; N]) -> Self {
        let generation = self.app.pane(side).generation;
        let entries: Vec<Entry> = names.into_iter().map(entry).collect();
        let total = entries.len() as u64;
        self.event(Event::Listed { generation, total, entries })
            .event(Event::ListEnded { generation, outcome: Ok(()) })
    }

    pub(super) fn listing_fails(self, side: Side, code: FaultCode) -> Self {
        let generation = self.app.pane(side).generation;
        let outcome = Err(Fault::new(code).at(self.app.pane(side).place.path.clone()));
        self.event(Event::ListEnded { generation, outcome })
    }

    /// Keys apart by blanks: `j`, `F5`, `Space`, `C-a`, `S-Down`, `A-1`.
    pub(super) fn press(mut self, keys: &str) -> Self {
        for key in keys.split_whitespace() {
            self = self.event(Event::Key(key_of(key)));
        }
        self
    }

    /// Text, letter by letter.
    pub(super) fn types(mut self, text: &str) -> Self {
        for c in text.chars() {
            self = self.event(Event::Key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE)));
        }
        self
    }

    /// A line of the command line.
    pub(super) fn line(self, text: &str) -> Self {
        self.press(":").types(text).press("Enter")
    }

    /// The right pane is connected to `tow://box:7171` and shows `/srv` with these in it.
    pub(super) fn connected<const N: usize>(self, names: [&str; N]) -> Self {
        let play = self.line("connme tow://box/srv");
        let Some(Effect::Connect { link, .. }) = play.effects.first().cloned() else {
            panic!("{:?}", play.effects)
        };
        let name = "tow://box:7171".to_owned();
        play.event(Event::Connected { link, name, path: path("srv"), round_trip_ms: Some(1) })
            .lists(Side::Right, names)
    }

    pub(super) fn link(&self, side: Side) -> LinkId {
        self.app.pane(side).place.link
    }

    pub(super) fn mouse(
        self,
        kind: MouseEventKind,
        (column, row): (u16, u16),
        spot: Option<Spot>,
        at_ms: u64,
    ) -> Self {
        let event = MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE };
        self.event(Event::Mouse { event, spot, at_ms })
    }

    pub(super) fn click(self, at: (u16, u16), at_ms: u64) -> Self {
        self.mouse(MouseEventKind::Down(MouseButton::Left), at, None, at_ms).mouse(
            MouseEventKind::Up(MouseButton::Left),
            at,
            None,
            at_ms,
        )
    }

    /// The name under a pane's cursor.
    pub(super) fn on(&self, side: Side) -> String {
        let current = self.app.pane(side).rows.current();
        current.map_or_else(|| "../".to_owned(), |entry| entry.name.display().to_string())
    }

    pub(super) fn here(&self) -> String {
        self.on(self.app.active)
    }

    /// The marked names of the left pane, by blanks.
    pub(super) fn marked(&self) -> String {
        let rows = &self.app.pane(Side::Left).rows;
        let names = rows.marks.iter().map(|index| rows.entries[index].name.display().to_string());
        names.collect::<Vec<_>>().join(" ")
    }

    /// The names that a pane shows, by blanks.
    pub(super) fn shown(&self, side: Side) -> String {
        let rows = &self.app.pane(side).rows;
        let names = rows.shown.iter().map(|index| rows.entries[*index as usize].name.display().to_string());
        names.collect::<Vec<_>>().join(" ")
    }

    pub(super) fn said(&self) -> &str {
        &self.app.news.1
    }

    pub(super) fn ask(&self) -> &Ask {
        match self.app.dialogs.last() {
            Some(Dialog::Ask(ask)) => ask,
            other => panic!("no line is asked for: {other:?}"),
        }
    }

    pub(super) fn prompt_text(&self) -> &str {
        match self.app.dialogs.last() {
            Some(Dialog::Prompt(prompt)) => &prompt.line.text,
            other => panic!("no line is open: {other:?}"),
        }
    }

    /// What is carried where, of the newest effect.
    pub(super) fn carried(&self) -> Vec<(String, String)> {
        match self.effects.as_slice() {
            [Effect::Carry { items, .. }] => {
                items.iter().map(|(from, to)| (from.display(), to.display())).collect()
            }
            other => panic!("nothing is carried: {other:?}"),
        }
    }

    /// The newest job.
    pub(super) fn job(&self) -> JobId {
        self.app.jobs.last().unwrap().id
    }

    pub(super) fn job_ends(self, id: JobId, good: bool, done: &[&str]) -> Self {
        let done = done.iter().map(|text| path(text)).collect();
        self.event(Event::JobEnded { id, good, stopped: None, text: "over".to_owned(), done })
    }

    /// The folders that the newest effects read.
    pub(super) fn read_again(&self) -> Vec<String> {
        let lists = self.effects.iter().filter_map(|effect| match effect {
            Effect::List { place, .. } => Some(place.path.display()),
            _ => None,
        });
        lists.collect()
    }
}

pub(super) fn key_of(text: &str) -> KeyEvent {
    let (modifiers, base) = match text.split_once('-') {
        Some(("C", base)) => (KeyModifiers::CONTROL, base),
        Some(("S", base)) => (KeyModifiers::SHIFT, base),
        Some(("A", base)) => (KeyModifiers::ALT, base),
        _ => (KeyModifiers::NONE, text),
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
        "BackTab" => KeyCode::BackTab,
        "Space" => KeyCode::Char(' '),
        "Backspace" => KeyCode::Backspace,
        "Insert" => KeyCode::Insert,
        "Delete" => KeyCode::Delete,
        _ if base.len() > 1 && base.starts_with('F') => KeyCode::F(base[1..].parse().unwrap()),
        _ => KeyCode::Char(base.chars().next().unwrap()),
    };
    KeyEvent::new(code, modifiers)
}
