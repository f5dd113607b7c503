//! The thinking wing: all state of the screen, and [`update::update`], which decides everything and touches nothing.

mod allowed;
mod answer;
mod badge;
pub mod carry;
mod changes;
pub mod command;
pub mod complete;
pub mod conflicts;
pub mod connect;
mod delete;
pub mod dialog;
pub mod effect;
pub mod event;
mod hands;
pub mod hits;
pub mod jobs;
mod keep;
mod keyboard;
mod keys;
pub mod layout;
pub mod left;
mod line;
mod marking;
pub mod marks;
mod mouse;
mod obey;
pub mod pane;
pub mod prompt;
mod questions;
mod queue;
pub mod rows;
pub mod servers;
pub mod sift;
#[cfg(test)]
mod tests;
mod typed;
pub mod update;

use towpath_protocol::path::{Name, WirePath};

use carry::Clipboard;
use dialog::Dialog;
use effect::{Effect, Timer};
use jobs::{Job, Over};
use layout::Layout;
use pane::Pane;
use servers::{Server, State};

use crate::model::bookmarks::Bookmarks;
use crate::model::kept::LeftJob;
use crate::model::{JobId, LinkId, Place, Side};

/// Lines that the log keeps.
const LOG_LINES_MAX: usize = 500;
/// How often what turns on the screen turns on, and what counts seconds counts.
const TURN_MS: u64 = 100;
/// Time that the newest message stays, and time that an error stays.
const NEWS_MS: u64 = 8_000;
const BAD_NEWS_MS: u64 = 20_000;
const COUNT_MS: u64 = 1_000;

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

/// Everything that the screen shows.
#[derive(Debug)]
pub struct App {
    pub panes: [Pane; 2],
    pub active: Side,
    /// Of a thousand parts of the width, the left pane's.
    pub left_permille: u16,
    /// Columns and rows of the screen.
    pub screen: (u16, u16),
    pub dialogs: Vec<Dialog>,
    /// Those that run and those that wait, in the order of the queue.
    pub jobs: Vec<Job>,
    /// Those that are over and not yet cleared, the newest first.
    pub over: Vec<Over>,
    pub jobs_at_once: u8,
    /// A job that took so long rings a bell when it is over; none where no job does.
    pub rings_after_ms: Option<u64>,
    /// Whether there is a journal, from which the next start can go on.
    pub keeps_jobs: bool,
    /// Bytes a second of all jobs together.
    pub limit: Option<u64>,
    pub servers: Vec<Server>,
    pub bookmarks: Bookmarks,
    pub clipboard: Option<Clipboard>,
    pub news: (Tone, String),
    /// Lines that were said so far.
    said: u64,
    pub log: Vec<(Tone, String)>,
    /// Errors that the log in the state folder does not have yet.
    failures: Vec<String>,
    pub unit: Unit,
    /// The local home folder, shown as `~`.
    pub home: WirePath,
    /// A first key that waits for its second (`g`, `,`, Esc).
    pub pending: Option<char>,
    /// Goes up while something turns.
    pub ticks: u64,
    pub history: Vec<String>,
    /// Jobs that an earlier `tow` left, until the user resumes or discards them.
    pub left: Vec<LeftJob>,
    hands: hands::Hands,
    /// More rows will be looked through.
    looks_on: bool,
    mouse: mouse::Mouse,
    /// Destinations that are looked at, and sizes that are counted: by ticket.
    looks: Vec<(u64, Place)>,
    measuring: Vec<delete::Measuring>,
    changes: Vec<changes::Change>,
    /// Jobs that the journal knows.
    noted: Vec<JobId>,
    next_job: u32,
    next_link: u32,
    next_generation: u64,
    next_ticket: u64,
}

impl App {
    /// Both panes on local folders, which are yet to be read.
    pub fn new(left: Pane, right: Pane, home: WirePath) -> Self {
        Self {
            panes: [left, right],
            active: Side::Left,
            left_permille: 500,
            screen: (80, 24),
            dialogs: Vec::new(),
            jobs: Vec::new(),
            over: Vec::new(),
            jobs_at_once: 2,
            rings_after_ms: Some(10_000),
            keeps_jobs: true,
            limit: None,
            servers: Vec::new(),
            bookmarks: Bookmarks::default(),
            clipboard: None,
            news: (Tone::Plain, String::new()),
            said: 0,
            log: Vec::new(),
            failures: Vec::new(),
            unit: Unit::Megabytes,
            home,
            pending: None,
            ticks: 0,
            history: Vec::new(),
            left: Vec::new(),
            hands: hands::Hands::default(),
            looks_on: false,
            mouse: mouse::Mouse::default(),
            looks: Vec::new(),
            measuring: Vec::new(),
            changes: Vec::new(),
            noted: Vec::new(),
            next_job: 1,
            next_link: 1,
            next_generation: 1,
            next_ticket: 1,
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
        if tone == Tone::Bad && self.failures.len() < LOG_LINES_MAX {
            self.failures.push(line.1.clone());
        }
        self.news = line.clone();
        self.said += 1;
        self.log.push(line);
        if self.log.len() > LOG_LINES_MAX {
            self.log.remove(0);
        }
    }

    /// Errors that were said since this was asked last, for the log in the state folder.
    pub(crate) fn take_failures(&mut self) -> Vec<String> {
        std::mem::take(&mut self.failures)
    }

    /// The newest line, of no use later.
    pub(crate) fn hint(&mut self, text: impl Into<String>) {
        self.news = (Tone::Plain, text.into());
        self.said += 1;
    }

    /// The newest line goes once it could be read. `said`: how many lines there were before.
    fn forget_news(&self, said: u64) -> Option<Effect> {
        let ms = if self.news.0 == Tone::Bad { BAD_NEWS_MS } else { NEWS_MS };
        (self.said > said && !self.news.1.is_empty()).then_some(Effect::Wait { timer: Timer::News, ms })
    }

    /// How often ticks are wanted, in milliseconds: where something turns on the screen, or seconds are counted.
    pub fn tick_ms(&self) -> Option<u64> {
        let is_connecting = |server: &Server| matches!(server.state, State::Connecting { .. });
        if self.panes.iter().any(|pane| pane.loading) || self.servers.iter().any(is_connecting) {
            return Some(TURN_MS);
        }
        self.servers.iter().any(|server| server.retry().is_some()).then_some(COUNT_MS)
    }

    /// Rows of entries that a pane shows.
    pub fn page_rows(&self, side: Side) -> usize {
        Layout::of(self, self.screen).map_or(1, |layout| layout.list(side).height.max(1).into())
    }

    /// The effect that reads a pane's folder again; none where its connection does not stand.
    pub fn reload(&mut self, side: Side) -> Option<Effect> {
        if !self.is_live(self.pane(side).place.link) {
            return None;
        }
        let generation = self.next_generation;
        self.next_generation += 1;
        Some(self.pane_mut(side).begin_listing(generation))
    }

    /// A pane goes to a folder, its cursor to `wanted`; words where its connection does not stand.
    fn go(&mut self, side: Side, place: Place, wanted: Option<Name>) -> Vec<Effect> {
        if !self.is_usable(place.link) {
            return Vec::new();
        }
        self.pane_mut(side).leave_for(place, wanted);
        self.reload(side).into_iter().collect()
    }

    fn side_of(&self, generation: u64) -> Option<Side> {
        [Side::Left, Side::Right].into_iter().find(|side| self.pane(*side).generation == generation)
    }

    /// The pane whose listing under way this is.
    fn listing(&mut self, generation: u64) -> Option<&mut Pane> {
        self.panes.iter_mut().find(|pane| pane.generation == generation && pane.loading)
    }

    const fn next_ticket(&mut self) -> u64 {
        self.next_ticket += 1;
        self.next_ticket
    }

    /// Cursors stay on the screen, whatever happened.
    fn settle(&mut self) {
        for side in [Side::Left, Side::Right] {
            let height = self.page_rows(side);
            self.pane_mut(side).rows.settle(height);
        }
        questions::settle(self);
        conflicts::settle(self);
    }

    /// What must always hold; tests call it after every event.
    pub fn check(&self) {
        for side in [Side::Left, Side::Right] {
            let (pane, height) = (self.pane(side), self.page_rows(side));
            pane.check();
            let rows = &pane.rows;
            assert!(
                rows.top <= rows.cursor && rows.cursor < rows.top + height,
                "the cursor is not on the screen"
            );
            assert!(pane.generation < self.next_generation, "a generation nobody gave");
            let link = pane.place.link;
            assert!(link == LinkId::LOCAL || self.server(link).is_some(), "a pane of a server that is gone");
        }
        let [left, right] = &self.panes;
        assert!(
            left.generation != right.generation || left.generation == 0,
            "two listings of one generation"
        );
        for (at, dialog) in self.dialogs.iter().enumerate() {
            match dialog {
                Dialog::Conflicts(shown) => {
                    let is_same =
                        |other: &Dialog| matches!(other, Dialog::Conflicts(other) if other.job == shown.job);
                    assert!(
                        !self.dialogs[at + 1..].iter().any(is_same),
                        "two dialogs of one job's conflicts"
                    );
                    let job = self.jobs.iter().find(|job| job.id == shown.job);
                    let open = job.and_then(|job| job.conflicts.get(shown.cursor));
                    assert!(open.is_some(), "a question about nothing");
                }
                Dialog::Short(short) => {
                    assert!(
                        self.jobs.iter().any(|job| job.id == short.job),
                        "a question of a job that is over"
                    );
                }
                Dialog::Question(dialog::Questioned { link, .. })
                | Dialog::Install(dialog::Install { link, .. }) => {
                    let server = self.server(*link).map(|server| &server.state);
                    assert!(
                        matches!(server, Some(State::Connecting { by_itself: false, .. })),
                        "a question for a connection that nobody waits for"
                    );
                }
                Dialog::Left(_) => assert!(!self.left.is_empty(), "a question about no jobs"),
                Dialog::Jobs { cursor } => {
                    assert!(*cursor < self.job_rows().max(1), "a cursor outside the jobs");
                }
                _ => {}
            }
            let focused = dialog.buttons().iter().filter(|button| button.is_focused).count();
            assert!(focused <= 1, "two buttons have the focus");
        }
        let running = |job: &&Job| !job.is_waiting() && job.effect.is_none();
        assert_eq!(self.jobs.iter().filter(running).count(), 0, "a job that nothing has begun");
        assert!(self.log.len() <= LOG_LINES_MAX, "the log grows without end");
        let mut ids: Vec<_> = self.jobs.iter().map(|job| job.id).collect();
        ids.dedup();
        assert_eq!(ids.len(), self.jobs.len(), "two jobs of one name");
    }
}
