//! Plain data that both wings share: where something is, and what is shown of a job. It knows nothing else of the program.

pub mod size;
pub mod words;

use towpath_protocol::path::WirePath;

/// Names a link that the doing wing holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u32);

impl LinkId {
    /// The service in this process.
    pub const LOCAL: Self = Self(0);
}

/// A path on a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub link: LinkId,
    pub path: WirePath,
}

/// Names a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub u32);

/// What is shown of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobView {
    pub id: JobId,
    /// What goes where, escaped.
    pub title: String,
    pub files: u64,
    pub files_total: u64,
    pub bytes: u64,
    pub bytes_total: u64,
    pub growing: bool,
    /// The file under way: its name (escaped), bytes done, bytes in all.
    pub current: Option<(String, u64, u64)>,
    pub elapsed_ms: u64,
}

/// What to do about a file that is in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    Overwrite,
    Skip,
    KeepBoth,
    NewerOnly,
}

/// Whether the sources stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carry {
    Copy,
    Move,
}

/// The left pane or the right one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Left,
    Right,
}

impl Side {
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Left => Self::Right,
            Self::Right => Self::Left,
        }
    }
}
