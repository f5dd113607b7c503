//! One ssh connection for all streams of a session. The ssh of the first stream is a master of others (`ControlMaster`), on a socket for
//! this user alone; that of each further stream is a channel of it, and fails where it is not there: it never connects by itself, so nobody
//! is asked for anything again. Whose own configuration shares connections keeps that: further streams go by the same master then.
//!
//! ssh removes the socket when it ends, and ends when tow does, however that ends: its standard input does.
#![allow(
    clippy::disallowed_methods,
    reason = "a socket of a name that is made up here, in folders of this user's"
)]

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use tokio::process::Command;
use tokio::time::timeout;
use towpath_files::private_files::PrivateFolder;

use super::configured::{Configured, Sharing, runs_no_condition};
use super::{JOIN, PROBE, Prompts, command};
use crate::link::connection::Further;
use crate::link::dial::{DialFault, child};
use crate::link::keyring::Keyring;
use crate::model::target::SshHost;
use crate::model::wire::Wire;

/// How long a place for the socket may be looked for; a folder on another machine may not answer.
const PLACE_TIME: Duration = Duration::from_secs(2);
/// What names of our sockets begin with, before sixteen digits.
const PREFIX: &str = "tow-ssh-";
const DIGITS: usize = 16;
/// ssh makes the socket under its name and this much more, and links it to its place.
const BESIDE: &str = ".0123456789abcdef";
/// Of a folder that holds more, only so many are looked at.
const NAMES_MAX: usize = 10_000;

/// Where further streams are opened.
#[derive(Debug)]
pub(super) struct Master {
    socket: PathBuf,
    /// Dropped, the socket is removed: no further stream comes.
    is_ours: bool,
}

impl Master {
    /// `None` if there are to be no further streams, for whatever reason.
    pub(super) async fn find(configured: &Configured, keyring: &Arc<Keyring>) -> Option<Self> {
        match configured.sharing.as_ref()? {
            Sharing::Asks => None,
            Sharing::Shared(socket) => Some(Self { socket: socket.clone(), is_ours: false }),
            Sharing::Nothing => {
                let keyring = keyring.clone();
                let finding = tokio::task::spawn_blocking(move || socket(&keyring));
                let socket = timeout(PLACE_TIME, finding).await.ok()?.ok()??;
                Some(Self { socket, is_ours: true })
            }
        }
    }

    /// Arguments for the ssh of the first stream.
    pub(super) fn of_first(&self) -> Vec<OsString> {
        if !self.is_ours {
            return Vec::new();
        }
        let mut arguments =
            ["-o", "ControlMaster=yes", "-o", "ControlPersist=no"].map(OsString::from).to_vec();
        arguments.extend(self.at_socket());
        arguments
    }

    /// For those of further ones: whoever finds no master has no way to connect.
    fn of_further(&self) -> Vec<OsString> {
        let mut arguments =
            ["-o", "ControlMaster=no", "-o", "ProxyCommand=false"].map(OsString::from).to_vec();
        arguments.extend(self.at_socket());
        arguments
    }

    /// In which ssh would read a `%` as the beginning of a pattern.
    fn at_socket(&self) -> [OsString; 2] {
        let path = self.socket.as_os_str().as_bytes();
        let doubled =
            path.iter().flat_map(|byte| if *byte == b'%' { &b"%%"[..] } else { std::slice::from_ref(byte) });
        ["-S".into(), OsString::from_vec(doubled.copied().collect())]
    }

    /// An ssh that finds out whether the login shell there runs a command at all.
    pub(super) fn probe(&self, host: &SshHost, mut arguments: Vec<OsString>) -> Command {
        arguments.extend(self.of_further());
        let mut command = command(host, Prompts::Nobody, &arguments, PROBE);
        runs_no_condition(&mut command);
        command
    }

    /// `arguments` are for every ssh of the session.
    pub(super) fn further(self, host: &SshHost, wire: Wire, mut arguments: Vec<OsString>) -> Further {
        let host = host.clone();
        arguments.extend(self.of_further());
        Further::of(wire, move || {
            // It removes the socket once no further stream comes.
            let _master = &self;
            let mut command = command(&host, Prompts::Nobody, &arguments, JOIN);
            runs_no_condition(&mut command);
            async move { child::stream(command).map_err(DialFault::NoProgram) }
        })
    }
}

impl Drop for Master {
    fn drop(&mut self) {
        if self.is_ours {
            // ssh may have done it.
            let _ = std::fs::remove_file(&self.socket);
        }
    }
}

/// A place for a socket of ours; none where ssh could not make one. Blocks.
fn socket(keyring: &Keyring) -> Option<PathBuf> {
    let run = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    // Never made: whoever should have done that may still come.
    let run = run.filter(|run| run.is_absolute() && run.is_dir());
    let run = run.and_then(|run| PrivateFolder::open(&run).ok());
    run.into_iter().chain(keyring.folder().ok()).find_map(|folder| {
        sweep(&folder);
        let made = try_socket(&folder);
        made.inspect_err(|why| tracing::info!(?folder, %why, "no place for ssh's socket")).ok()
    })
}

/// Makes one as ssh does, and takes it away again: where that fails, ssh would end.
fn try_socket(folder: &PrivateFolder) -> io::Result<PathBuf> {
    let mut random = [0; DIGITS / 2];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let name = format!("{PREFIX}{:0DIGITS$x}", u64::from_ne_bytes(random));
    let (socket, beside) = (folder.path_of(&name), folder.path_of(&format!("{name}{BESIDE}")));
    if socket.as_os_str().as_bytes().contains(&b'$') {
        return Err(io::Error::other("ssh would read a variable in its name"));
    }
    let listener = UnixListener::bind(&beside)?;
    let linked = std::fs::hard_link(&beside, &socket);
    for path in [&beside, &socket] {
        let _ = std::fs::remove_file(path);
    }
    drop(listener);
    linked.map(|()| socket)
}

/// Removes sockets whose ssh was killed.
fn sweep(folder: &PrivateFolder) {
    for name in folder.names(NAMES_MAX).unwrap_or_default() {
        let is_one = name.strip_prefix(PREFIX).is_some_and(|digits| digits.len() == DIGITS);
        let socket = folder.path_of(&name);
        if is_one && is_dead(&socket) {
            let _ = std::fs::remove_file(socket);
        }
    }
}

/// Without waiting: an ssh that is stopped does not take who comes, and is not dead.
fn is_dead(socket: &Path) -> bool {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let stream = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None);
    let (Ok(stream), Ok(address)) = (stream, SocketAddrUnix::new(socket)) else { return false };
    rustix::net::connect(&stream, &address) == Err(Errno::CONNREFUSED)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_further_ssh_has_no_way_to_connect_by_itself() {
        let arguments = |is_ours| {
            let master = Master { socket: "/nowhere/50%".into(), is_ours };
            (master.of_first(), master.of_further())
        };
        let further = ["-o", "ControlMaster=no", "-o", "ProxyCommand=false", "-S", "/nowhere/50%%"];
        let first = ["-o", "ControlMaster=yes", "-o", "ControlPersist=no", "-S", "/nowhere/50%%"];
        assert_eq!(
            arguments(true),
            (first.map(OsString::from).to_vec(), further.map(OsString::from).to_vec())
        );
        // The configuration says it all.
        assert_eq!(arguments(false).0, [""; 0]);
    }

    #[test]
    fn a_place_is_one_where_ssh_can_make_its_socket_and_dead_ones_are_swept() {
        let dir = tempfile::tempdir().unwrap();
        let folder = PrivateFolder::open(&dir.path().join("private")).unwrap();
        let (dead, alive) =
            (folder.path_of("tow-ssh-00000000000000aa"), folder.path_of("tow-ssh-00000000000000bb"));
        drop(UnixListener::bind(&dead).unwrap());
        let _alive = UnixListener::bind(&alive).unwrap();
        fs::write(folder.path_of("tow-ssh-of-another"), "").unwrap();
        sweep(&folder);
        let socket = try_socket(&folder).unwrap();
        let mut left = folder.names(10).unwrap();
        left.sort();
        assert_eq!(left, ["tow-ssh-00000000000000bb", "tow-ssh-of-another"]);
        // Longer than a socket's path may be.
        let deep = dir.path().join("x".repeat(100 - dir.path().as_os_str().len()));
        try_socket(&PrivateFolder::open(&deep).unwrap()).unwrap_err();
        fs::write(&socket, "").unwrap();
        drop(Master { socket: socket.clone(), is_ours: true });
        assert!(!socket.exists());
    }
}
