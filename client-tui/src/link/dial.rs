//! From a server to a link: finds the server, connects, begins the session. What goes wrong is told in words that say what to do.
//! Every way has a deadline, and is given up by dropping its future.

mod child;
mod tcp;
mod unix;

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use tokio::time::Instant;

use super::target::Server;
use super::{BEGIN_TIME, GreetingFault, Link};

pub use child::child;

/// Why there is no link.
#[derive(Debug, thiserror::Error)]
pub enum DialFault {
    #[error("no host of that name ({0})")]
    UnknownHost(io::Error),
    #[error("nothing listens there; is towd running?")]
    Refused,
    #[error("no such socket; is towd running with --unix?")]
    NoSocket,
    #[error("no permission to use that socket")]
    NotOurs,
    #[error("no answer within {} seconds", BEGIN_TIME.as_secs())]
    TimedOut,
    #[error("cannot be reached ({0})")]
    Unreachable(io::Error),
    #[error(
        "is another machine, and encrypted sessions come in a later version; until then use a tunnel: \
         ssh -N -L 7171:127.0.0.1:{port} {host}, and tow://127.0.0.1/"
    )]
    NotEncrypted { host: String, port: u16 },
    #[error("the program for the connection cannot be started ({0})")]
    NoProgram(io::Error),
    #[error(transparent)]
    Greeting(#[from] GreetingFault),
    #[error("{fault}; it said: {said}")]
    ProgramFailed { fault: GreetingFault, said: String },
}

/// Connects and begins a session, within [`BEGIN_TIME`]. Must be called within a tokio runtime.
pub async fn dial(server: &Server) -> Result<Link, DialFault> {
    let deadline = Instant::now() + BEGIN_TIME;
    match server {
        Server::Tow { host, port } => tcp::dial(host, *port, deadline).await,
        Server::Unix { socket } => unix::dial(Path::new(OsStr::from_bytes(socket)), deadline).await,
    }
}
