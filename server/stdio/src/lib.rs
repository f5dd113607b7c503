//! Standard input and output as the stream of a session, and further streams of the same session: what `towd` and `tow` do alike with
//! `--stdio` and `--join`. It knows no session and no files.
//!
//! ssh starts a program of its own for each channel of a connection. The first one serves the session, and waits at a [`Rendezvous`] for
//! others. Each further one only joins ([`join()`]): it reads Hello, finds the first by the ticket in there, hands its standard input and output
//! over to it, and stays until it is done with them, since sshd closes a channel when its program ends.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;

use rustix::fs::FileType;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tokio::net::unix::pipe;

mod closed;
#[cfg(target_os = "linux")]
mod join;
#[cfg(not(target_os = "linux"))]
#[path = "elsewhere.rs"]
mod rendezvous;
#[cfg(target_os = "linux")]
mod rendezvous;

pub use closed::stdout_was_closed;
#[cfg(target_os = "linux")]
pub use join::join;
#[cfg(not(target_os = "linux"))]
pub use rendezvous::join;
pub use rendezvous::{Handed, Joiner, Rendezvous};

/// Where bytes come from.
pub type Input = Pin<Box<dyn AsyncRead + Send>>;
/// Where bytes go.
pub type Output = Pin<Box<dyn AsyncWrite + Send>>;

/// Bytes gathered for a write where standard output is neither pipe nor socket.
const WRITE_BYTES: usize = 256 * 1024;

/// What a pipe is to hold: as much as is read at a time. With more, what a person asks for would wait behind it on a slow line.
#[cfg(target_os = "linux")]
const PIPE_BYTES: usize = 256 * 1024;

/// Why this program did not become a further stream of a session.
#[derive(Debug, thiserror::Error)]
pub enum JoinFault {
    #[error("standard input: {0}")]
    Input(#[source] io::Error),
    #[error("standard input did not say within {seconds} seconds which session to join")]
    Late { seconds: u64 },
    #[error(
        "standard input does not say which session to join; `--join` is for tow, as a further channel of its ssh connection"
    )]
    NoTicket,
    #[error("no session of this user has that ticket here")]
    NoSession,
    #[error("standard input and output cannot be handed over: {0}")]
    NotHandedOver(#[source] io::Error),
}

/// Opens both. Pipes and sockets are read and written directly; anything else (a file, a terminal) through tokio's threads. Must be
/// called within a tokio runtime.
pub fn open() -> io::Result<(Input, Output)> {
    let input = reader(io::stdin().as_fd().try_clone_to_owned()?)?;
    let output = writer(io::stdout().as_fd().try_clone_to_owned()?)?;
    let gathering = || tokio::io::BufWriter::with_capacity(WRITE_BYTES, tokio::io::stdout());
    Ok((
        input.unwrap_or_else(|| Box::pin(tokio::io::stdin())),
        output.unwrap_or_else(|| Box::pin(gathering())),
    ))
}

/// Lets a pipe hold more than the 64 KiB that it begins with, where the system can and lets us: so many bytes cost fewer changes
/// between the programs at its ends.
pub fn widen(pipe: impl AsFd) {
    #[cfg(target_os = "linux")]
    let _ = rustix::pipe::fcntl_setpipe_size(pipe, PIPE_BYTES);
    #[cfg(not(target_os = "linux"))]
    let _ = pipe;
}

/// None for what the system cannot say of when it is ready.
fn reader(file: OwnedFd) -> io::Result<Option<Input>> {
    Ok(match kind(&file)? {
        FileType::Fifo => {
            widen(&file);
            Some(Box::pin(pipe::Receiver::from_owned_fd(file)?))
        }
        FileType::Socket => Some(Box::pin(socket(file)?)),
        _ => None,
    })
}

/// As [`reader`].
fn writer(file: OwnedFd) -> io::Result<Option<Output>> {
    Ok(match kind(&file)? {
        FileType::Fifo => {
            widen(&file);
            Some(Box::pin(pipe::Sender::from_owned_fd(file)?))
        }
        FileType::Socket => Some(Box::pin(socket(file)?)),
        _ => None,
    })
}

fn kind(file: &OwnedFd) -> io::Result<FileType> {
    Ok(FileType::from_raw_mode(rustix::fs::fstat(file)?.st_mode))
}

fn socket(file: OwnedFd) -> io::Result<UnixStream> {
    let stream = std::os::unix::net::UnixStream::from(file);
    stream.set_nonblocking(true)?;
    UnixStream::from_std(stream)
}
