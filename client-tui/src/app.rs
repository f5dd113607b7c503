//! The thinking wing: all state of the screen, and [`update::update`], which decides everything and touches nothing.

pub mod command;
pub mod dialog;
pub mod effect;
pub mod event;
mod line;
mod obey;
pub mod pane;
pub mod update;

use dialog::Dialog;
use effect::Effect;
use pane::Pane;

use crate::model::{JobView, LinkId, Side};

/// Lines that the log keeps.
const LOG_LINES_MAX: usize = 500;

/// What the newest line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Good,
    Bad,
    Plain,
}

/// How sizes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Megabytes,
    Human,
    Bytes,
}

/// A server that a pane may show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    pub link: LinkId,
    /// As typed, without a path.
    pub name: String,
    pub round_trip_ms: Option<u64>,
    pub lost: bool,
}

/// Everything that the screen shows.
#[derive(Debug)]
pub struct App {
    pub panes: [Pane; 2],
    pub active: Side,
    pub dialogs: Vec<Dialog>,
    pub jobs: Vec<JobView>,
    pub servers: Vec<Server>,
    pub news: (Tone, String),
    pub log: Vec<(Tone, String)>,
    pub unit: Unit,
    /// The local home folder, shown as `~`.
    pub home: towpath_protocol::path::WirePath,
    /// A first key that waits for its second (`g`, `,`, Esc).
    pub pending: Option<char>,
    pub next_job: u32,
    pub history: Vec<String>,
}

impl App {
    /// Both panes on local folders.
    pub fn new(left: Pane, right: Pane, home: towpath_protocol::path::WirePath) -> Self {
        Self {
            panes: [left, right],
            active: Side::Left,
            dialogs: Vec::new(),
            jobs: Vec::new(),
            servers: Vec::new(),
            news: (Tone::Plain, String::new()),
            log: Vec::new(),
            unit: Unit::Megabytes,
            home,
            pending: None,
            next_job: 1,
            history: Vec::new(),
        }
    }

    pub const fn pane(&self, side: Side) -> &Pane {
        &self.panes[side as usize]
    }

    pub const fn pane_mut(&mut self, side: Side) -> &mut Pane {
        &mut self.panes[side as usize]
    }

    pub(crate) const fn here(&self) -> &Pane {
        self.pane(self.active)
    }

    pub(crate) const fn here_mut(&mut self) -> &mut Pane {
        self.pane_mut(self.active)
    }

    pub(crate) const fn there(&self) -> &Pane {
        self.pane(self.active.other())
    }

    /// The newest line, kept in the log too.
    pub(crate) fn say(&mut self, tone: Tone, text: impl Into<String>) {
        let line = (tone, text.into());
        self.news = line.clone();
        self.log.push(line);
        if self.log.len() > LOG_LINES_MAX {
            self.log.remove(0);
        }
    }

    /// The effect that fills a pane again, its cursor kept on its name.
    pub(crate) fn reload(&mut self, side: Side) -> Effect {
        self.pane_mut(side).begin_listing(side)
    }

    pub fn server(&self, link: LinkId) -> Option<&Server> {
        self.servers.iter().find(|server| server.link == link)
    }

    /// What must always hold; tests call it after every event.
    pub fn check(&self) {
        for pane in &self.panes {
            assert!(pane.cursor < pane.rows().max(1), "a cursor is outside its list");
        }
    }
}
