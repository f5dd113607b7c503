//! Listening on a unix socket that only this user can reach.
#![allow(
    clippy::disallowed_methods,
    reason = "the socket that was named on the command line, nothing that a client names"
)]

use std::io::ErrorKind;
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use rustix::fs::{AtFlags, CWD, FileType, Mode};
use rustix::process::{geteuid, umask};
use tokio::net::{UnixListener, UnixStream};

use crate::log::Log;
use crate::penalties::Source;

/// A socket in the file system, taken away when this is dropped.
#[derive(Debug)]
pub(crate) struct UnixDoor {
    listener: UnixListener,
    pub(crate) path: PathBuf,
    /// Device and inode: another towd may have put its own there meanwhile.
    identity: Option<(i128, i128)>,
}

impl UnixDoor {
    /// Binds `path`. A socket that nobody listens on is replaced; one that is alive, and anything else, is not.
    pub(crate) fn bind(path: &Path) -> anyhow::Result<Self> {
        let shown = crate::log::shown(path);
        if let Ok(stat) = rustix::fs::lstat(path) {
            if FileType::from_raw_mode(stat.st_mode) != FileType::Socket {
                bail!("--unix {shown}: exists and is not a socket");
            }
            match BlockingStream::connect(path) {
                Ok(_) => bail!("--unix {shown}: address already in use; is another towd running?"),
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                    rustix::fs::unlink(path)
                        .with_context(|| format!("--unix {shown}: cannot be replaced"))?;
                }
                Err(error) => return Err(error).with_context(|| format!("--unix {shown}")),
            }
        }
        // From its first moment nobody else can connect: a mode that is set afterwards comes too late.
        let before = umask(Mode::RWXG | Mode::RWXO | Mode::XUSR);
        let bound = UnixListener::bind(path);
        umask(before);
        let listener = bound.map_err(|error| match error.kind() {
            ErrorKind::InvalidInput => anyhow!("--unix {shown}: the path is too long for a socket"),
            _ => anyhow::Error::new(error).context(format!("--unix {shown}")),
        })?;
        Ok(Self { listener, path: path.to_owned(), identity: identity(path) })
    }

    /// The next connection of this user. The socket's mode keeps others out already; should somebody loosen it, this still does.
    pub(crate) async fn accept(&self, log: &Log) -> std::io::Result<UnixStream> {
        loop {
            let (stream, _) = self.listener.accept().await?;
            match stream.peer_cred() {
                Ok(credentials) if credentials.uid() == geteuid().as_raw() => return Ok(stream),
                Ok(_) => log.warning(&format!("{}: turned away: another user", peer(&stream))),
                Err(error) => log.warning(&format!("unix: turned away: who it is cannot be told: {error}")),
            }
        }
    }
}

impl Drop for UnixDoor {
    fn drop(&mut self) {
        if self.identity.is_some() && identity(&self.path) == self.identity {
            let _ = rustix::fs::unlinkat(CWD, &self.path, AtFlags::empty());
        }
    }
}

/// In a type that holds what any system numbers them with.
fn identity(path: &Path) -> Option<(i128, i128)> {
    let stat = rustix::fs::lstat(path).ok()?;
    Some((i128::from(stat.st_dev), i128::from(stat.st_ino)))
}

/// Who is at the other end, among those that are not let in yet.
pub(crate) fn source(stream: &UnixStream) -> Source {
    Source::User(stream.peer_cred().map_or(u32::MAX, |peer| peer.uid()))
}

/// Who is at the other end, for the log.
pub(crate) fn peer(stream: &UnixStream) -> String {
    let Ok(peer) = stream.peer_cred() else { return "unix".to_owned() };
    match peer.pid() {
        Some(pid) => format!("unix(uid {}, pid {pid})", peer.uid()),
        None => format!("unix(uid {})", peer.uid()),
    }
}
