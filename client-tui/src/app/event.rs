//! What can happen.

use crossterm::event::{KeyEvent, MouseEvent};
use towpath_protocol::answer::Totals;
use towpath_protocol::entry::Entry;
use towpath_protocol::fault::Fault;
use towpath_protocol::path::{Name, WirePath};
use towpath_protocol::permissions::Permissions;

use super::effect::Timer;
use super::hits::Spot;
use crate::model::kept::LeftJob;
use crate::model::{Conflict, JobId, JobProgress, LinkId, Outlook, Question};

/// Something happened. A listing's answers carry its generation, other answers the ticket they were asked with; what nobody waits for
/// any more is ignored.
#[derive(Debug, Clone)]
pub enum Event {
    Key(KeyEvent),
    Paste(String),
    Mouse {
        event: MouseEvent,
        /// What the newest frame shows there.
        spot: Option<Spot>,
        /// Since some moment in the past.
        at_ms: u64,
    },
    /// The size of the screen, in cells.
    Resized {
        columns: u16,
        rows: u16,
    },
    /// A frame has come to the screen as the state is now. `is_whole`: the topmost layer shows with all its buttons.
    Drawn {
        is_whole: bool,
    },
    /// The terminal is looked at again after something else was: files may have changed meanwhile.
    LookedAtAgain,
    /// What `Effect::Wait` has asked for.
    Waited(Timer),
    /// As much time has passed as `App::tick_ms` says.
    Tick,
    Listed {
        generation: u64,
        total: u64,
        entries: Vec<Entry>,
    },
    ListEnded {
        generation: u64,
        outcome: Result<(), Fault>,
    },
    Free {
        generation: u64,
        bytes: u64,
    },
    /// How much there is.
    Measured {
        ticket: u64,
        outcome: Result<Totals, Fault>,
    },
    /// Whether it is a folder; none where nothing is.
    Looked {
        ticket: u64,
        outcome: Result<Option<bool>, Fault>,
    },
    /// Names in a folder, and whether each is a folder.
    Names {
        ticket: u64,
        names: Vec<(Name, bool)>,
    },
    Connected {
        link: LinkId,
        /// As typed, without a path.
        name: String,
        path: WirePath,
        round_trip_ms: Option<u64>,
    },
    /// What the server lets this client do; comes before `Connected`.
    Allowed {
        link: LinkId,
        may: Permissions,
    },
    NotConnected {
        link: LinkId,
        why: String,
        outlook: Outlook,
        at_ns: i64,
    },
    /// Targets that were connected to lately, the newest first, and hosts of ssh's configuration.
    TargetsKnown {
        recent: Vec<String>,
        hosts: Vec<String>,
    },
    /// The server does not know this client yet: a person has its pairing code.
    CodeWanted {
        link: LinkId,
    },
    /// On the way to a connection that a person wants, ssh asks something.
    Questioned {
        link: LinkId,
        question: Question,
    },
    /// ssh waits for no answer to that any more.
    QuestionOver {
        ticket: u64,
    },
    /// ssh has connected, and nothing of ours is there; `text` asks whether this program may be put there.
    InstallOffered {
        link: LinkId,
        system: String,
        text: String,
    },
    Disconnected {
        link: LinkId,
        why: String,
        at_ns: i64,
    },
    JobProgress {
        id: JobId,
        now: JobProgress,
    },
    /// Something is in the way.
    JobConflict {
        id: JobId,
        conflict: Conflict,
    },
    /// That conflict does not wait any more.
    JobSettled {
        id: JobId,
        conflict: u64,
    },
    /// Whether both sides of a conflict hold the same.
    JobCompared {
        id: JobId,
        conflict: u64,
        outcome: Result<bool, Fault>,
    },
    /// What was found so far needs more bytes than are free at the destination.
    JobShort {
        id: JobId,
        needed: u64,
        free: u64,
    },
    JobEnded {
        id: JobId,
        good: bool,
        /// Why it ended before its end, where it did.
        stopped: Option<Fault>,
        text: String,
        /// The sources that arrived whole, or are gone whole.
        done: Vec<WirePath>,
    },
    /// Something about one path of a job.
    JobSaid {
        id: JobId,
        good: bool,
        /// At the source or at the destination; none where no path has to do with it.
        path: Option<WirePath>,
        text: String,
    },
    /// Jobs that an earlier `tow` did not bring to their end, the oldest first.
    JobsLeft(Vec<LeftJob>),
    /// There can be no journal, and why.
    NoJournal(String),
    /// An answer in words, and the like.
    Said {
        good: bool,
        text: String,
    },
    /// The result of a small change.
    Done {
        ticket: u64,
        link: LinkId,
        outcome: Result<(), Fault>,
    },
    /// A small change was tried: these may be different now.
    Changed {
        link: LinkId,
        paths: Vec<WirePath>,
        /// What is new.
        made: Option<WirePath>,
    },
    /// The program is asked to end.
    End,
}
