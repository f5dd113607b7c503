//! From a server to a link: finds the server, connects, begins the session. What goes wrong is told in words that say what to do.
//! Every way has a deadline, and is given up by dropping its future.

pub mod askpass;
mod child;
pub mod install;
mod patience;
mod reach;
pub mod ssh;
mod tls;
mod unix;

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use tokio::time::Instant;
use towpath_protocol::display::PeerText;
use towpath_protocol::pairing::{KeyHash, PairingCode};
use towpath_secure::SecureFault;

use super::keyring::{Keyring, KeyringFault};
use super::{BEGIN_TIME, GreetingFault, Link};
use crate::model::target::Server;

pub use child::child;

/// Why there is no link.
#[derive(Debug, thiserror::Error)]
pub enum DialFault {
    #[error("host not found ({0})")]
    UnknownHost(io::Error),
    #[error("connection refused; is towd running?")]
    Refused,
    #[error("no such socket; is towd running with --unix?")]
    NoSocket,
    #[error("no permission to use that socket")]
    NotOurs,
    #[error("the socket belongs to another user (uid {uid}); refusing to connect")]
    AnotherUsers { uid: u32 },
    #[error("no answer within {} seconds", BEGIN_TIME.as_secs())]
    TimedOut,
    #[error("cannot be reached ({0})")]
    Unreachable(io::Error),
    /// To be given by a person, or beforehand; then the same server can be dialled with it.
    #[error(
        "not paired with this server: run `towd pair` there and enter the code at tow's prompt, in TOW_PAIR or with \
         --pair-file FILE"
    )]
    CodeWanted,
    #[error(
        "the pairing code is wrong, used, older than ten minutes, replaced by a newer one or tried wrong three times; run \
         `towd pair` there for a new one"
    )]
    WrongCode,
    /// The server looks at no code for a while: in its words, for how long.
    #[error(
        "the server takes no pairing code for now: {0}; if the code is refused then, run `towd pair` there for a new one"
    )]
    NoTries(PeerText),
    #[error("the pairing code is another server's: the key there is {found}")]
    CodeOfAnother { found: KeyHash },
    #[error(
        "THE SERVER'S KEY HAS CHANGED. Known: {known}. Found: {found}. Somebody may be listening in, or towd was set up \
         anew there. Nothing was sent. If you know why it changed: run `tow forget {address}` and pair again"
    )]
    KeyChanged { known: KeyHash, found: KeyHash, address: String },
    #[error("{0}; is that towd?")]
    NoHandshake(SecureFault),
    #[error(transparent)]
    Keyring(#[from] KeyringFault),
    #[error("the program for the connection cannot be started ({0})")]
    NoProgram(io::Error),
    #[error("interrupted")]
    Interrupted,
    #[error("no ssh on this machine, or TOW_SSH names no program")]
    NoSsh,
    #[error("{}", ssh::in_words(.said))]
    Ssh { said: String },
    /// ssh works, and neither towd nor this tow is there, or what is there does not run; `system` as `uname -s` and `-m` say it.
    #[error("{found} ({system}); --install copies this program to {}", install::place(system))]
    NothingThere { system: String, found: Found },
    /// ssh was let in, and what it ran ended.
    #[error("{why}{}", said_there(said))]
    EndedThere { why: &'static str, said: String },
    #[error("logged in, and {why}{}", said_there(said))]
    SilentShell { why: &'static str, said: String },
    #[error("cannot copy tow there: {0}")]
    NotInstalled(#[from] install::InstallFault),
    #[error(transparent)]
    Greeting(#[from] GreetingFault),
    #[error("{fault}; it said: {said}")]
    ProgramFailed { fault: GreetingFault, said: String },
}

impl DialFault {
    /// The same after the copy was replaced: to do that again is no help.
    #[must_use]
    pub fn after_install(self) -> Self {
        match self {
            Self::NothingThere { found: Found::MuteCopy { fault, said }, .. } if said.is_empty() => {
                fault.into()
            }
            Self::NothingThere { found: Found::MuteCopy { fault, said }, .. } => {
                Self::ProgramFailed { fault, said }
            }
            fault => fault,
        }
    }
}

/// The programs of this project that were found on a host where no session can begin.
#[derive(Debug, thiserror::Error)]
pub enum Found {
    #[error("neither towd nor this version of tow is there")]
    Nothing,
    #[error("the tow there does not run, and otherwise neither towd nor this version of tow is there")]
    BrokenCopy,
    #[error("the towd there does not run, and this version of tow is not there")]
    BrokenTowd,
    /// The copy tells its version, and says no hello.
    #[error("the tow there begins no session: {}", install::mute(fault, said))]
    MuteCopy { fault: GreetingFault, said: String },
}

fn said_there(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!("; it said: {said}") }
}

/// Connects and begins a session, within [`BEGIN_TIME`]; over ssh within two minutes. Nobody is asked for anything: [`ssh::dial`] is the
/// one that asks. Must be called within a tokio runtime. Where a pairing code is needed and neither `code` nor the keyring has one, the
/// fault is [`DialFault::CodeWanted`].
pub async fn dial(
    server: &Server,
    keyring: &Arc<Keyring>,
    code: Option<PairingCode>,
) -> Result<Link, DialFault> {
    let deadline = Instant::now() + BEGIN_TIME;
    match server {
        Server::Tow { host, port } => tls::dial(host, *port, keyring, code).await,
        Server::Ssh(host) => ssh::dial(host, ssh::Prompts::Nobody, keyring).await,
        Server::Unix { socket } => {
            unix::dial(Path::new(OsStr::from_bytes(socket)), deadline, keyring.wire()).await
        }
    }
}
