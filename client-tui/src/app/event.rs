//! What can happen.

use crossterm::event::KeyEvent;
use towpath_protocol::entry::{Attributes, Entry};
use towpath_protocol::fault::Fault;
use towpath_protocol::path::WirePath;

use crate::model::{JobId, JobView, LinkId, Place, Side};

/// Something happened. What answers an older question than the newest carries its generation, and is ignored.
#[derive(Debug)]
pub enum Event {
    Key(KeyEvent),
    Paste(String),
    /// The half second in which a second key may follow Esc is over.
    EscapeOver,
    Listed {
        side: Side,
        generation: u64,
        total: u64,
        entries: Vec<Entry>,
    },
    ListEnded {
        side: Side,
        generation: u64,
        outcome: Result<(), Fault>,
    },
    Free {
        side: Side,
        generation: u64,
        bytes: u64,
    },
    /// How much a delete would take away, or a folder holds.
    Measured {
        place: Place,
        files: u64,
        folders: u64,
        bytes: u64,
    },
    Connected {
        side: Side,
        link: LinkId,
        name: String,
        path: WirePath,
        round_trip_ms: Option<u64>,
    },
    Disconnected {
        link: LinkId,
        why: String,
    },
    JobProgress(JobView),
    JobConflict {
        id: JobId,
        to: WirePath,
        source: Attributes,
        there: Attributes,
    },
    JobEnded {
        id: JobId,
        good: bool,
        text: String,
    },
    /// A fault of one item, an answer in words, and the like.
    Said {
        good: bool,
        text: String,
    },
    /// Something changed on this link.
    Changed {
        link: LinkId,
    },
    /// The program is asked to end.
    End,
}
