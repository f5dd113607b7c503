//! Listening on TCP. What comes there is a stranger until the gate has looked at it.

use std::io::ErrorKind;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use towpath_tcp::Line;

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;
/// After so much silence the system asks whether the client is still there.
const SILENCE: Duration = Duration::from_mins(1);

/// Turns `ADDR:PORT` into one address.
pub(crate) fn resolve(text: &str) -> anyhow::Result<SocketAddr> {
    let found: Vec<_> = text
        .to_socket_addrs()
        .with_context(|| format!("--listen {text}: not an ADDR:PORT, e.g. 127.0.0.1:7171"))?
        .collect();
    let first = found.iter().find(|address| address.is_ipv4()).or_else(|| found.first());
    first.copied().ok_or_else(|| anyhow!("--listen {text}: the name has no address"))
}

pub(crate) fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
    let listening = socket.and_then(|socket| {
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    });
    listening.map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => anyhow!(
            "{address}: address already in use; is another towd running? `--listen {}` takes a free port",
            SocketAddr::new(address.ip(), 0)
        ),
        ErrorKind::PermissionDenied => anyhow!("{address}: permission denied; ports below 1024 are root's"),
        _ => anyhow::Error::new(error).context(address.to_string()),
    })
}

/// Sets up an accepted connection.
pub(crate) fn line(stream: TcpStream) -> Line {
    Line::new(stream, SILENCE)
}
