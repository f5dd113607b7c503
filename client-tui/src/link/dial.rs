//! Opens connections to servers: from a target to a [`Link`], or to words that say why not.

use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};
use tokio::process::Command;
use tokio::time::timeout;
use towpath_protocol::fault::Fault;

use super::Link;
use super::connection::Connection;
use super::target::Server;

/// From the first packet to Welcome.
const DIAL_SECONDS_MAX: u64 = 10;
/// What may wait in the kernel of ours, so that a key press never queues behind more (`TCP_NOTSENT_LOWAT`).
const UNSENT_BYTES_MAX: u32 = 128 * 1024;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum DialFault {
    #[error("unknown host")]
    UnknownHost,
    #[error(
        "connections are not encrypted in this version, so only this machine's own addresses can be dialled; \
             forward a port instead: ssh -L 7171:127.0.0.1:7171 {0}"
    )]
    NotLoopback(String),
    #[error("nothing listens there; is towd running?")]
    Refused,
    #[error("no such socket; is towd running with --unix?")]
    NoSocket,
    #[error("permission denied")]
    PermissionDenied,
    #[error("no answer within {DIAL_SECONDS_MAX} seconds")]
    TimedOut,
    #[error("what answers there is not towd ({0})")]
    NotTowpath(&'static str),
    #[error("the server closed the connection before it said anything")]
    Closed,
    #[error("the server refuses: {0}")]
    ServerRefuses(Fault),
    #[error("cannot connect: {0}")]
    Io(std::io::Error),
}

impl From<std::io::Error> for DialFault {
    fn from(error: std::io::Error) -> Self {
        use std::io::ErrorKind as Kind;
        match error.kind() {
            Kind::ConnectionRefused => Self::Refused,
            Kind::NotFound => Self::NoSocket,
            Kind::PermissionDenied => Self::PermissionDenied,
            Kind::TimedOut => Self::TimedOut,
            Kind::ConnectionReset | Kind::BrokenPipe | Kind::UnexpectedEof => Self::Closed,
            _ => Self::Io(error),
        }
    }
}

/// Connects and says Hello, within ten seconds. Dropped, it leaves nothing behind.
pub async fn dial(server: &Server) -> Result<Link, DialFault> {
    let dialled = async {
        match server {
            Server::Tow { host, port } => tcp(host, *port).await,
            Server::Unix { socket } => {
                let socket = Path::new(std::ffi::OsStr::from_bytes(socket));
                let (reader, writer) = UnixStream::connect(socket).await?.into_split();
                Connection::open(reader, writer, None).await
            }
        }
    };
    let connection = timeout(Duration::from_secs(DIAL_SECONDS_MAX), dialled).await;
    connection.unwrap_or(Err(DialFault::TimedOut)).map(Link::connection)
}

/// Runs a command that serves one session on its standard input and output (`towd --stdio`). It is ended with the link.
pub async fn child(mut command: Command) -> Result<Link, DialFault> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
    let (Some(writer), Some(reader)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(DialFault::Closed);
    };
    let opened =
        timeout(Duration::from_secs(DIAL_SECONDS_MAX), Connection::open(reader, writer, Some(child)));
    opened.await.unwrap_or(Err(DialFault::TimedOut)).map(Link::connection)
}

async fn tcp(host: &str, port: u16) -> Result<Connection, DialFault> {
    let addresses: Vec<SocketAddr> =
        tokio::net::lookup_host((host, port)).await.map_err(|_| DialFault::UnknownHost)?.collect();
    if addresses.is_empty() {
        return Err(DialFault::UnknownHost);
    }
    if !addresses.iter().all(|address| address.ip().is_loopback()) {
        return Err(DialFault::NotLoopback(host.to_owned()));
    }
    let stream = TcpStream::connect(&addresses[..]).await?;
    stream.set_nodelay(true)?;
    #[cfg(target_os = "linux")]
    socket2::SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT_BYTES_MAX)?;
    let (reader, writer) = stream.into_split();
    Connection::open(reader, writer, None).await
}
