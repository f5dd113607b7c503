//! Standard input and output as a connection: what `ssh HOST towd --stdio` and a client's child process use.

use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;

use rustix::fs::FileType;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::unix::pipe;

pub(crate) type Input = Pin<Box<dyn AsyncRead + Send>>;
pub(crate) type Output = Pin<Box<dyn AsyncWrite + Send>>;

/// Bytes gathered for a write where standard output is neither pipe nor socket.
const WRITE_BYTES: usize = 256 * 1024;

/// Opens both. Pipes and sockets are read and written directly; anything else (a file, a terminal) through tokio's threads.
pub(crate) fn open() -> std::io::Result<(Input, Output)> {
    let input = std::io::stdin().as_fd().try_clone_to_owned()?;
    let output = std::io::stdout().as_fd().try_clone_to_owned()?;
    let input: Input = match kind(&input)? {
        FileType::Fifo => Box::pin(pipe::Receiver::from_owned_fd(input)?),
        FileType::Socket => Box::pin(socket(input)?),
        _ => Box::pin(tokio::io::stdin()),
    };
    let output: Output = match kind(&output)? {
        FileType::Fifo => Box::pin(pipe::Sender::from_owned_fd(output)?),
        FileType::Socket => Box::pin(socket(output)?),
        _ => Box::pin(tokio::io::BufWriter::with_capacity(WRITE_BYTES, tokio::io::stdout())),
    };
    Ok((input, output))
}

fn kind(file: &OwnedFd) -> std::io::Result<FileType> {
    Ok(FileType::from_raw_mode(rustix::fs::fstat(file)?.st_mode))
}

fn socket(file: OwnedFd) -> std::io::Result<tokio::net::UnixStream> {
    let stream = std::os::unix::net::UnixStream::from(file);
    stream.set_nonblocking(true)?;
    tokio::net::UnixStream::from_std(stream)
}

/// Who is at the other end, for the log: the address that sshd names, if it is ssh.
pub(crate) fn peer() -> String {
    let connection = std::env::var("SSH_CONNECTION").unwrap_or_default();
    let mut parts = connection.split(' ');
    match (parts.next(), parts.next()) {
        (Some(address), Some(port)) => {
            format!(
                "ssh({})",
                towpath_protocol::display::DisplayName::new(format!("{address}:{port}").as_bytes())
            )
        }
        _ => "stdio".to_owned(),
    }
}
