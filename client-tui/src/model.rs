//! Plain data that both wings share: where something is, and what is shown of a job. It knows nothing else of the program.

pub mod bookmarks;
pub mod conflict;
pub mod kept;
pub mod mistyped;
pub mod number;
pub mod size;
pub mod target;
pub mod wire;
pub mod words;

use std::fmt;

pub use conflict::{Choice, Conflict, ConflictKind, Scope};
use towpath_protocol::path::WirePath;
use zeroize::{Zeroize, Zeroizing};

/// Names a link that the doing wing holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u32);

impl LinkId {
    /// The service in this process.
    pub const LOCAL: Self = Self(0);
}

/// A path on a link.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    pub link: LinkId,
    pub path: WirePath,
}

/// Names a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub u32);

/// How far a job is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobProgress {
    pub files: u64,
    pub files_total: u64,
    pub bytes: u64,
    pub bytes_total: u64,
    /// Of the bytes done, those of whole files.
    pub arrived_bytes: u64,
    /// Bytes done that did not move: the destination had them, or they were renamed.
    pub reused: u64,
    /// Whether the totals still grow.
    pub growing: bool,
    /// The file under way: its name (escaped), bytes done, bytes in all.
    pub current: Option<(String, u64, u64)>,
    pub elapsed_ms: u64,
    /// Over the last few seconds.
    pub bytes_per_second: u64,
    /// None while the total grows or nothing moves.
    pub left_seconds: Option<u64>,
}

/// Whether the sources stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carry {
    Copy,
    Move,
}

/// Whether a person may be asked for something on the way to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asking {
    Allowed,
    Forbidden,
}

/// Whether what failed may succeed later by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outlook {
    MayPass,
    Stays,
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

/// What kind of answer ssh wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuestionKind {
    /// A password, a passphrase, a second factor: a line that nobody else may see.
    Secret,
    /// Yes or no.
    Confirm,
    /// None: that a key be touched, say.
    Notice,
}

/// What ssh asks on the way to a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Names it, and no other one.
    pub ticket: u64,
    pub kind: QuestionKind,
    /// In lines, escaped.
    pub text: String,
    /// Whether the same ssh asked the same before, and was answered.
    pub is_again: bool,
}

/// What a person typed and nobody else may see: wiped from memory when dropped, and never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Default for Secret {
    fn default() -> Self {
        Self(Zeroizing::new(String::with_capacity(Self::BYTES_MAX)))
    }
}

impl Secret {
    /// ssh reads no more of an answer.
    pub const BYTES_MAX: usize = 1_000;

    pub fn of(text: &str) -> Self {
        let mut secret = Self::default();
        secret.push(text);
        secret
    }

    /// More of it is typed or pasted; none of what would be too long, since what grows leaves copies behind.
    pub fn push(&mut self, text: &str) {
        for c in text.chars().filter(|c| !c.is_control()) {
            if self.0.len() + c.len_utf8() <= Self::BYTES_MAX {
                self.0.push(c);
            }
        }
    }

    /// Takes the last letter back.
    pub fn pop(&mut self) {
        self.0.pop();
    }

    /// Takes all of it back.
    pub fn clear(&mut self) {
        self.0.zeroize();
    }

    pub fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}
