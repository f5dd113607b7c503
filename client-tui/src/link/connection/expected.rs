//! What a request may be answered with before its final answer, and how much of it: so that an exchange's queue has room for all
//! that an honest server can send, and what goes beyond is a broken rule and no reason to wait.

use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::limits::{DATA_BYTES_MAX, PAGES_CREDIT_MAX, READ_BYTES_MAX, UPLOAD_CREDIT_BYTES_MAX};
use towpath_protocol::message::{Answer, Request};

/// Acknowledgements that may wait: one for each full data frame within the largest credit, and once more as many for smaller frames.
const ACKS_MAX: usize = 2 * (UPLOAD_CREDIT_BYTES_MAX as usize / DATA_BYTES_MAX);
/// Progress that may wait. More is dropped: the counters only grow, and the final answer has them all.
const PROGRESS_MAX: usize = 8;

/// What may still come in an exchange before its final answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    /// Nothing but the final answer.
    Final,
    /// Pages of a listing, as many as were granted and not yet sent.
    ListPages(u32),
    /// Pages of a walk, likewise.
    WalkPages(u32),
    /// The head of a read, then at most so many data frames.
    ReadHead(usize),
    /// At most so many data frames, holes counted too.
    Data(usize),
    /// The answer that an upload may begin, then acknowledgements.
    UploadReady,
    Acks,
    Progress,
}

/// What becomes of an answer that is not final.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Deliver,
    /// Deliver if there is room.
    Lossy,
    /// The server breaks the protocol.
    Violation,
}

impl Expected {
    pub(super) fn after(request: &Request) -> Self {
        match request {
            Request::List(request) => Self::ListPages(request.pages.min(PAGES_CREDIT_MAX)),
            Request::Walk(request) => Self::WalkPages(request.pages.min(PAGES_CREDIT_MAX)),
            Request::Read(request) => {
                let full = (request.len.min(READ_BYTES_MAX) as usize).div_ceil(DATA_BYTES_MAX);
                // Each hole is as long as a full frame, and the data before it may be less than one.
                Self::ReadHead(if request.holes { 2 * full + 1 } else { full })
            }
            Request::BeginUpload(_) => Self::UploadReady,
            Request::Measure(_) | Request::Copy(_) | Request::Remove(_) => Self::Progress,
            Request::Stat(_)
            | Request::Blocks(_)
            | Request::Space(_)
            | Request::Put(_)
            | Request::MakeFolder(_)
            | Request::MakeLink(_)
            | Request::SetMode(_)
            | Request::SetTimes(_)
            | Request::Rename(_)
            | Request::Flush(_)
            | Request::ReadMetadata(_)
            | Request::SetMetadata(_) => Self::Final,
        }
    }

    /// Room for all that can wait at a time, the final answer too.
    pub(super) const fn queue_len(self) -> usize {
        1 + match self {
            Self::Final => 0,
            Self::ListPages(_) | Self::WalkPages(_) => PAGES_CREDIT_MAX as usize,
            Self::ReadHead(frames) => 1 + frames,
            Self::Data(frames) => frames,
            Self::UploadReady => 1 + ACKS_MAX,
            Self::Acks => ACKS_MAX,
            Self::Progress => PROGRESS_MAX,
        }
    }

    /// Takes note of an answer that is not final.
    pub(super) const fn take(&mut self, answer: &Answer) -> Verdict {
        let next = match (*self, answer) {
            (Self::ListPages(pages @ 1..), Answer::ListPage(_)) => Self::ListPages(pages - 1),
            (Self::WalkPages(pages @ 1..), Answer::WalkPage(_)) => Self::WalkPages(pages - 1),
            (Self::ReadHead(frames), Answer::ReadHead(_)) => Self::Data(frames),
            (Self::Data(frames @ 1..), Answer::Data(_) | Answer::Hole(_)) => Self::Data(frames - 1),
            (Self::UploadReady, Answer::UploadReady(_)) | (Self::Acks, Answer::UploadAck(_)) => Self::Acks,
            (Self::Progress, Answer::Progress(_)) => return Verdict::Lossy,
            _ => return Verdict::Violation,
        };
        *self = next;
        Verdict::Deliver
    }

    /// Takes note of pages that are granted while `queued` answers wait to be taken.
    pub(super) fn grant(&mut self, pages: u32, queued: usize) -> Result<(), Fault> {
        // To a removal that has set its thing aside, it says to go on.
        if *self == Self::Progress {
            return Ok(());
        }
        let (Self::ListPages(credit) | Self::WalkPages(credit)) = self else {
            return Err(Fault::new(FaultCode::OutOfOrder).because("only a listing or a walk has pages"));
        };
        let granted = credit
            .checked_add(pages)
            .filter(|granted| *granted as usize + queued <= PAGES_CREDIT_MAX as usize);
        *credit = granted.ok_or_else(|| {
            Fault::new(FaultCode::LimitExceeded)
                .because(format!("more than {PAGES_CREDIT_MAX} pages granted and not taken"))
        })?;
        Ok(())
    }
}
