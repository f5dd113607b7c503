//! Exit codes and the failures that lead to them.

use std::io;

use towpath_protocol::fault::{Fault, FaultCode};

use crate::link::dial::DialFault;
use crate::model::size;

/// How a command ended. The numbers are a contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Done = 0,
    /// Some items failed or were skipped, each named on standard error.
    Partly = 1,
    Usage = 2,
    NotConnected = 3,
    NotFound = 4,
    PermissionDenied = 5,
    Interrupted = 130,
}

impl Exit {
    /// The code for a job that failed as a whole with this fault.
    pub const fn of(fault: &Fault) -> Self {
        match fault.code {
            FaultCode::NotFound => Self::NotFound,
            FaultCode::PermissionDenied | FaultCode::ReadOnly | FaultCode::OutsideRoot => {
                Self::PermissionDenied
            }
            FaultCode::Disconnected => Self::NotConnected,
            _ => Self::Partly,
        }
    }

    /// The code for several operands: the only one's own, else that some failed.
    pub fn of_operands(failed: &[Self], operands: usize) -> Self {
        match failed {
            [] => Self::Done,
            [only] if operands == 1 => *only,
            failed if failed.contains(&Self::NotConnected) => Self::NotConnected,
            _ => Self::Partly,
        }
    }
}

/// Why a command could not go on: a message in words, and the code it ends with.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    pub exit: Exit,
    pub message: String,
}

impl Failure {
    pub fn usage(message: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, message: message.into() }
    }

    /// There is no connection to `what`. Whoever gave it up knows why.
    pub fn not_connected(what: &str, fault: &DialFault) -> Self {
        match fault {
            DialFault::Interrupted => Self { exit: Exit::Interrupted, message: String::new() },
            fault => Self { exit: Exit::NotConnected, message: format!("{what}: {fault}") },
        }
    }

    /// `WHAT: WHY`, the fault without its path, since `what` names it as the person typed it.
    pub fn at(what: &str, fault: &Fault) -> Self {
        Self { exit: Exit::of(fault), message: format!("{what}: {}", why(fault)) }
    }
}

/// Why, without the path.
pub fn why(fault: &Fault) -> String {
    let why = Fault { path: None, ..fault.clone() };
    size::needed_and_free(&why.to_string(), size::human)
}

impl From<io::Error> for Failure {
    /// Only output fails this way; a reader that has gone away needs no words.
    fn from(error: io::Error) -> Self {
        let message = match error.kind() {
            io::ErrorKind::BrokenPipe => String::new(),
            _ => format!("cannot write the output: {error}"),
        };
        Self { exit: Exit::Partly, message }
    }
}
