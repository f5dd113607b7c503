//! What lies over the panes. The topmost takes the keys; Esc takes it away.

use towpath_protocol::entry::Attributes;
use towpath_protocol::path::{Name, WirePath};

pub use super::line::Line;
use crate::model::{Carry, JobId, LinkId, Place};

/// A layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dialog {
    /// A line to be typed.
    Input {
        title: String,
        label: String,
        line: Line,
        purpose: Purpose,
    },
    /// Yes or no; the safe answer has the focus first.
    Delete {
        place: Place,
        names: Vec<Name>,
        totals: Option<(u64, u64, u64)>,
        yes: bool,
    },
    Conflict {
        job: JobId,
        to: WirePath,
        source: Attributes,
        there: Attributes,
        focus: usize,
        for_all: bool,
    },
    Quit {
        yes: bool,
    },
    Help {
        scroll: usize,
    },
    Log {
        scroll: usize,
    },
}

/// What a typed line is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    Command,
    GoTo,
    Filter,
    Find,
    MakeFolder,
    MakeFile,
    Rename(Name),
    Mark(bool),
    Carry { carry: Carry, source: LinkId, from: Vec<WirePath> },
}

/// The answers to a conflict, in their order.
pub const CHOICES: [(&str, char); 4] =
    [("Overwrite", 'o'), ("Skip", 's'), ("Keep both", 'b'), ("Newer only", 'w')];
