//! A job of the panes as it is kept for the next time `tow` starts.

use towpath_protocol::path::WirePath;

use super::{Carry, Choice, JobId};

/// What goes where, and all that was said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptJob {
    pub carry: Carry,
    /// The server as a TARGET without a path; empty for this machine.
    pub source: String,
    pub destination: String,
    /// What is still to be carried: each path at the source, and the one that it gets.
    pub items: Vec<(WirePath, WirePath)>,
    /// What was said about everything that is in the way.
    pub existing: Option<Choice>,
    /// Bytes a second at most.
    pub limit: Option<u64>,
    /// Files and bytes in all, once they are known.
    pub totals: Option<(u64, u64)>,
    /// Where it stood in the queue: behind those with a lower number, which may have gone since.
    pub place: u64,
    /// Bytes a second at most that all jobs together were allowed.
    pub limit_of_all: Option<u64>,
}

/// Names what the journal holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeptId {
    /// A job of this `tow`.
    Job(JobId),
    /// One that an earlier `tow` left, by its ticket, about which nobody has decided yet.
    Left(u64),
}

/// A job that an earlier `tow` did not bring to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftJob {
    /// Names it until somebody has said what is to become of it.
    pub ticket: u64,
    /// When it was queued, in nanoseconds since 1970.
    pub begun_ns: i64,
    pub job: KeptJob,
}
