//! Parts of a file that come, or are told, when all before them has been.

use tokio::task::JoinHandle;
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::hash::Hash;
use towpath_protocol::message::Answer;

use crate::link::Exchange;
use crate::transfer::large::compare::{Compared, Run};

/// Something that comes, or is to be told, when all before it has been.
#[derive(Debug)]
pub(super) enum Part {
    Asked(Asked),
    Same(Run),
    Zeros { offset: u64, len: u64, values: JoinHandle<Vec<Hash>> },
}

/// Bytes that were asked for.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) exchange: Exchange,
    pub(super) len: u64,
    pub(super) end: u64,
    /// A range, whose hash merges into the file's. Else the hash of its range is known already.
    pub(super) is_range: bool,
}

/// What has come of the first part, or of a comparison.
pub(super) enum Came {
    Answer(Answer),
    Ready(Vec<Hash>),
    Compared(Option<Compared>),
}

impl Part {
    pub(super) const fn len(&self) -> u64 {
        match self {
            Self::Asked(Asked { len, .. }) | Self::Same(Run { len, .. }) | Self::Zeros { len, .. } => *len,
        }
    }

    /// The first byte of the file behind it.
    pub(super) const fn end(&self) -> u64 {
        match self {
            Self::Asked(Asked { end, .. }) => *end,
            Self::Same(Run { offset, len, .. }) | Self::Zeros { offset, len, .. } => *offset + *len,
        }
    }

    /// Waits for what comes next of it; nothing is lost where that is given up.
    pub(super) async fn next(&mut self) -> Result<Came, Fault> {
        match self {
            Self::Asked(asked) => asked.exchange.next().await.map(Came::Answer),
            Self::Same(_) => Ok(Came::Ready(Vec::new())),
            Self::Zeros { values, .. } => {
                values.await.map(Came::Ready).map_err(|_| FaultCode::Internal.into())
            }
        }
    }
}
