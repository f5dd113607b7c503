//! What is to be done by the doing wing.

use towpath_protocol::path::{Name, WirePath};
use towpath_protocol::request::{Direction, Hidden, SortKey};

use crate::model::{Carry, Choice, JobId, LinkId, Place, Side};

/// Plain data, so that a test can look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    List {
        side: Side,
        generation: u64,
        place: Place,
        sort: SortKey,
        direction: Direction,
        hidden: Hidden,
    },
    Measure {
        link: LinkId,
        paths: Vec<WirePath>,
        about: Place,
    },
    MakeFolder(Place),
    MakeFile(Place),
    Rename {
        link: LinkId,
        from: WirePath,
        to: WirePath,
    },
    Remove {
        job: JobId,
        link: LinkId,
        folder: WirePath,
        names: Vec<Name>,
    },
    Carry {
        job: JobId,
        carry: Carry,
        source: LinkId,
        items: Vec<(WirePath, WirePath)>,
        destination: LinkId,
    },
    Answer {
        job: JobId,
        choice: Choice,
        for_all: bool,
    },
    CancelJob(JobId),
    Connect {
        side: Side,
        target: String,
    },
    Disconnect(LinkId),
    /// Half a second for a digit after Esc.
    WaitForDigit,
    Suspend,
    Quit,
}
