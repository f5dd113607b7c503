//! What went wrong, in a number that programs branch on and words that people read.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::display::PeerText;
use crate::path::WirePath;
use crate::wire::numbered;

numbered! {
    /// Grouped by what a client should do about it: below 100 the file system said no; 100 to 199 try again with what is
    /// true now; 200 to 299 the session or its limits; 300 and above the request itself is wrong.
    pub enum FaultCode: u16 else Unknown {
        NotFound = 1,
        PermissionDenied = 2,
        AlreadyExists = 3,
        NotAFolder = 4,
        IsAFolder = 5,
        NotEmpty = 6,
        /// A fifo, socket or device where a file is needed.
        SpecialFile = 7,
        /// A path leads out of the root, or through a symbolic link where none may be followed.
        OutsideRoot = 8,
        /// Links that lead in a circle.
        LinkLoop = 9,
        NameTooLong = 10,
        /// The file system or the server takes no changes.
        ReadOnly = 11,
        /// No space, no inodes or no quota left.
        NoSpace = 12,
        FileTooLarge = 13,
        /// The file system under the path cannot do that (a link, a time, a name with those bytes).
        NotSupportedHere = 14,
        Busy = 15,
        /// A folder into itself, a file onto itself.
        IntoItself = 16,
        OtherFileSystem = 17,
        /// The disk failed.
        Io = 18,
        TooManyOpenFiles = 19,

        /// The file changed since the version that the request names.
        Changed = 100,
        /// What arrived is not what was announced.
        HashMismatch = 101,
        /// No upload with that token; begin a new one.
        UnknownUpload = 102,

        Cancelled = 200,
        /// More requests, pages, bytes or paths than the session allows.
        LimitExceeded = 201,
        /// The server is about to leave.
        ShuttingDown = 202,
        /// Not sent by a server: the connection was lost before the answer came.
        Disconnected = 203,
        /// No answer in time: from a mounted file system, from a stream, or, for clients, from the server.
        TimedOut = 204,
        /// The change may or may not have happened; look before trying again.
        OutcomeUnknown = 205,
        /// The server does not know this client's key; pair with it first.
        NotPaired = 206,
        /// The proof of a pairing code does not hold: another code, or one that was used or is too old.
        PairingFailed = 207,

        /// A kind of request, or a part of one, that this side does not know.
        Unsupported = 300,
        /// Not a valid message.
        Malformed = 301,
        /// A valid message at the wrong moment.
        OutOfOrder = 302,
        /// A fault of the program itself.
        Internal = 303,
        /// A code that this side does not know; never sent.
        Unknown = 65535,
    }
}

impl FaultCode {
    /// In words, lower case, without a full stop.
    pub const fn text(self) -> &'static str {
        match self {
            Self::NotFound => "no such file or folder",
            Self::PermissionDenied => "permission denied",
            Self::AlreadyExists => "already exists",
            Self::NotAFolder => "not a folder",
            Self::IsAFolder => "is a folder",
            Self::NotEmpty => "folder is not empty",
            Self::SpecialFile => "not a regular file (fifo, socket or device)",
            Self::OutsideRoot => "leads outside the served folder",
            Self::LinkLoop => "symbolic links lead in a circle",
            Self::NameTooLong => "name too long",
            Self::ReadOnly => "read-only",
            Self::NoSpace => "no space left at the destination",
            Self::FileTooLarge => "file too large for the file system",
            Self::NotSupportedHere => "not supported by the file system there",
            Self::Busy => "busy",
            Self::IntoItself => "cannot be put onto or into itself",
            Self::OtherFileSystem => "on another file system",
            Self::Io => "the disk reported an error",
            Self::TooManyOpenFiles => "too many open files",
            Self::Changed => "changed meanwhile",
            Self::HashMismatch => "what arrived differs from what was sent",
            Self::UnknownUpload => "the upload is not known any more",
            Self::Cancelled => "cancelled",
            Self::LimitExceeded => "a limit of the session is exceeded",
            Self::ShuttingDown => "the server is shutting down",
            Self::Disconnected => "the connection was lost",
            Self::TimedOut => "no answer in time",
            Self::OutcomeUnknown => "outcome unknown",
            Self::NotPaired => "not paired with this server",
            Self::PairingFailed => "the pairing code is wrong, used or too old",
            Self::Unsupported => "not supported by the other side",
            Self::Malformed => "not a valid message",
            Self::OutOfOrder => "a message at the wrong moment",
            Self::Internal => "an error in the program",
            Self::Unknown => "unknown error code",
        }
    }
}

/// A failed request or item: what kind of failure, on which path, and a detail in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub struct Fault {
    pub code: FaultCode,
    /// What it concerns, relative to the root (base and path joined); none where no single path is to blame.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<WirePath>,
    /// More for a person; may be empty. Never text that came from the peer.
    #[serde(default, skip_serializing_if = "PeerText::is_empty")]
    pub detail: PeerText,
}

impl Fault {
    pub const fn new(code: FaultCode) -> Self {
        Self { code, path: None, detail: PeerText::EMPTY }
    }

    #[must_use]
    pub fn at(self, path: WirePath) -> Self {
        Self { path: Some(path), ..self }
    }

    /// With words of ours, cut to the limit.
    #[must_use]
    pub fn because(self, detail: impl Into<String>) -> Self {
        Self { detail: detail.into().into(), ..self }
    }
}

impl From<FaultCode> for Fault {
    fn from(code: FaultCode) -> Self {
        Self::new(code)
    }
}

/// `PATH: WHY (DETAIL)`, safe for a terminal.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = &self.path {
            write!(f, "{}: ", if path.is_root() { "/".to_owned() } else { path.display() })?;
        }
        f.write_str(self.code.text())?;
        if !self.detail.is_empty() {
            write!(f, " ({})", self.detail)?;
        }
        Ok(())
    }
}
