//! A unix socket: a server on this machine, guarded by the socket file's own permissions. A server of another user is told nothing:
//! it may have taken a path where ours was expected.

use std::io::ErrorKind;
use std::path::Path;

use rustix::process::geteuid;
use tokio::net::UnixStream;
use tokio::time::{Instant, timeout_at};

use super::DialFault;
use crate::link::connection::{Asks, Further, LastWords};
use crate::link::{BEGIN_TIME, Link};
use crate::model::wire::Wire;

pub(super) async fn dial(socket: &Path, deadline: Instant, wire: Wire) -> Result<Link, DialFault> {
    let (reader, writer) = reach(socket, deadline).await?.into_split();
    let socket = socket.to_owned();
    let further = Further::of(wire, move || {
        let socket = socket.clone();
        async move { reach(&socket, Instant::now() + BEGIN_TIME).await.map(UnixStream::into_split) }
    });
    Ok(Link::begin(
        reader,
        writer,
        deadline,
        LastWords::none(),
        Asks { wire, ..Asks::default() },
        Some(further),
    )
    .await?)
}

async fn reach(socket: &Path, deadline: Instant) -> Result<UnixStream, DialFault> {
    let connected = timeout_at(deadline, UnixStream::connect(socket)).await;
    let stream = connected.map_err(|_elapsed| DialFault::TimedOut)?.map_err(|error| match error.kind() {
        ErrorKind::NotFound => DialFault::NoSocket,
        ErrorKind::ConnectionRefused => DialFault::Refused,
        ErrorKind::PermissionDenied => DialFault::NotOurs,
        _ => DialFault::Unreachable(error),
    })?;
    let uid = stream.peer_cred().map_err(DialFault::Unreachable)?.uid();
    if uid != geteuid().as_raw() {
        return Err(DialFault::AnotherUsers { uid });
    }
    Ok(stream)
}
