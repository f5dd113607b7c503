//! Listening on TCP. What comes there is a stranger until the gate has looked at it.

use std::io::ErrorKind;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;
/// Bytes that the system may hold unsent: enough to keep a line busy, little enough that what is urgent is soon out.
#[cfg(target_os = "linux")]
const UNSENT_BYTES_MAX: u32 = 128 * 1024;
/// After so much silence the system asks whether the other side is still there.
const KEEPALIVE_TIME: Duration = Duration::from_mins(1);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// Turns `ADDR:PORT` into one address.
pub(crate) fn resolve(text: &str) -> anyhow::Result<SocketAddr> {
    let found: Vec<_> =
        text.to_socket_addrs().with_context(|| format!("--listen {text}: not an ADDR:PORT"))?.collect();
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

/// Sets up an accepted connection. What the system does not know is left as it is.
pub(crate) fn tune(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_TIME).with_interval(KEEPALIVE_INTERVAL);
    let _ = socket.set_tcp_keepalive(&keepalive);
    #[cfg(target_os = "linux")]
    let _ = socket.set_tcp_notsent_lowat(UNSENT_BYTES_MAX);
}
