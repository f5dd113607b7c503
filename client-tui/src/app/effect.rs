//! What is to be done by the doing wing.

use towpath_protocol::path::WirePath;
use towpath_protocol::permissions::Permission;
use towpath_protocol::request::{Direction, Hidden, SortKey};

use crate::model::kept::{KeptId, KeptJob};
use crate::model::{Asking, Carry, Choice, Conflict, JobId, LinkId, Place, Scope, Secret};

/// What is waited for. A new wait takes the place of an older one of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timer {
    /// A digit may follow Esc.
    Digit,
    /// The topmost layer takes no keys until the fingers pause.
    Hands,
    /// The key that opened a layer may still be held down.
    Held,
    /// The newest line has been read.
    News,
    /// A window's answer takes too long to keep the keys from the panes.
    Answer,
    /// A frame may be drawn before more rows are looked through.
    Rows,
    /// A lost connection is tried again.
    Reconnect(LinkId),
}

/// Plain data, so that a test can look at it. What is asked with a ticket is answered with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    List {
        generation: u64,
        /// A listing that nobody waits for any more.
        instead_of: u64,
        place: Place,
        sort: SortKey,
        direction: Direction,
        hidden: Hidden,
    },
    Measure {
        ticket: u64,
        link: LinkId,
        paths: Vec<WirePath>,
    },
    /// Asks a server for what it will refuse, so that its audit log has that. The answer changes nothing here.
    AskRefused {
        link: LinkId,
        permission: Permission,
        path: WirePath,
    },
    /// Whether something is there, and whether it is a folder.
    Look {
        ticket: u64,
        place: Place,
    },
    /// The names in a folder, for completion.
    Names {
        ticket: u64,
        place: Place,
    },
    MakeFolder {
        ticket: u64,
        place: Place,
    },
    MakeFile {
        ticket: u64,
        place: Place,
    },
    Rename {
        ticket: u64,
        link: LinkId,
        from: WirePath,
        to: WirePath,
    },
    Remove {
        job: JobId,
        link: LinkId,
        paths: Vec<WirePath>,
        /// Files, folders and bytes that were counted before; zero where they were not.
        counted: (u64, u64),
    },
    Carry {
        job: JobId,
        carry: Carry,
        source: LinkId,
        items: Vec<(WirePath, WirePath)>,
        destination: LinkId,
        /// What was said about everything that is in the way; none where that is asked.
        existing: Option<Choice>,
    },
    /// About what is in the way of a job.
    Decide {
        job: JobId,
        scope: Scope,
        choice: Choice,
    },
    /// Whether both sides of a conflict hold the same.
    Compare {
        job: JobId,
        conflict: Box<Conflict>,
        source: LinkId,
        destination: LinkId,
    },
    CancelJob(JobId),
    /// As `CancelJob`, but what came of it waits until it goes on.
    LeaveJob(JobId),
    /// Writes a job into the journal, or what has become of it since.
    Keep {
        job: JobId,
        kept: KeptJob,
    },
    /// The journal need not know of it any more.
    Forget(KeptId),
    /// In the journal it waits for the next start.
    Leave(KeptId),
    /// What an earlier `tow` left is a job of this one now.
    TakeUp {
        ticket: u64,
        job: JobId,
    },
    /// What earlier ones left comes as `Event::JobsLeft`, where there is something.
    FindLeft,
    PauseJob(JobId),
    ResumeJob(JobId),
    /// So many bytes a second, of one job or of all together; none: as fast as it goes.
    Limit {
        job: Option<JobId>,
        bytes_per_second: Option<u64>,
    },
    /// Something that took long is over: whoever looks elsewhere is told.
    Ring(String),
    Connect {
        link: LinkId,
        target: String,
        asking: Asking,
    },
    /// As Connect, with the code that a person has typed.
    Pair {
        link: LinkId,
        target: String,
        code: Secret,
    },
    /// To what ssh asked.
    Reply {
        ticket: u64,
        answer: Secret,
    },
    /// Puts this program on the server, which is such a system, and connects.
    Install {
        link: LinkId,
        target: String,
        system: String,
    },
    /// Targets of late, and ssh's hosts.
    KnownTargets,
    /// A target was connected to.
    NoteTarget(String),
    ForgetTarget(String),
    /// Writes a bookmark into the configuration file; none takes it out.
    KeepBookmark {
        name: String,
        target: Option<String>,
    },
    /// Ends a connection in order, or the attempt to make one.
    Disconnect(LinkId),
    /// `Event::Waited` comes after so many milliseconds.
    Wait {
        timer: Timer,
        ms: u64,
    },
    Suspend,
    Quit,
}
