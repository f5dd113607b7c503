//! Plain TCP, to this machine only: what leaves it is to be encrypted.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use socket2::SockRef;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout_at};

use super::DialFault;
use crate::link::Link;
use crate::link::connection::LastWords;

/// Bytes that may wait in the system for the line. Few, so that a listing does not wait behind a long queue of file data.
#[cfg(target_os = "linux")]
const UNSENT_BYTES_MAX: u32 = 128 * 1024;

pub(super) async fn dial(host: &str, port: u16, deadline: Instant) -> Result<Link, DialFault> {
    let stream =
        timeout_at(deadline, connect(host, port)).await.map_err(|_elapsed| DialFault::TimedOut)??;
    tune(&stream);
    let (reader, writer) = stream.into_split();
    Ok(Link::over_until(reader, writer, deadline, LastWords::none()).await?)
}

/// Tries the host's addresses one after the other.
async fn connect(host: &str, port: u16) -> Result<TcpStream, DialFault> {
    let found: Vec<SocketAddr> = lookup_host((host, port)).await.map_err(DialFault::UnknownHost)?.collect();
    let addresses: Vec<_> = found.iter().filter(|address| address.ip().is_loopback()).collect();
    if addresses.is_empty() && !found.is_empty() {
        return Err(DialFault::NotEncrypted { host: host.to_owned(), port });
    }
    let mut fault = DialFault::UnknownHost(io::Error::other("it has no address"));
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => fault = DialFault::Refused,
            Err(error) => fault = DialFault::Unreachable(error),
        }
    }
    Err(fault)
}

/// Small messages leave at once, and few bytes wait where no message can go ahead of them. Without it the link is only slower.
fn tune(stream: &TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY");
    }
    #[cfg(target_os = "linux")]
    if let Err(error) = SockRef::from(stream).set_tcp_notsent_lowat(UNSENT_BYTES_MAX) {
        tracing::debug!(%error, "TCP_NOTSENT_LOWAT");
    }
}
