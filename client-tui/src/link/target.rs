//! A TARGET as a person types it, taken apart. Its path is literal bytes, never percent-decoded.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;

use towpath_protocol::display::DisplayName;

/// Where towd listens if nobody says otherwise.
pub const PORT_DEFAULT: u16 = 7171;

/// Where something is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A path on this machine.
    Local(Vec<u8>),
    Remote {
        server: Server,
        path: Vec<u8>,
    },
}

/// Which server, without a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Server {
    /// `tow://HOST[:PORT]/`; an IPv6 address without its brackets.
    Tow { host: String, port: u16 },
    /// `unix:SOCKET_FILE`
    Unix { socket: Vec<u8> },
}

/// Why a text is no TARGET.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    #[error("no host; write tow://HOST[:PORT]/[PATH]")]
    NoHost,
    #[error("a host does not begin with '-', and has no blanks or user in it")]
    BadHost,
    #[error("not a port between 1 and 65535")]
    BadPort,
    #[error("no socket file; write unix:SOCKET_FILE[?path=PATH]")]
    NoSocket,
    #[error(
        "ssh:// is not available in this version; forward a port instead: ssh -L 7171:127.0.0.1:7171 HOST"
    )]
    Ssh,
}

impl Target {
    /// Takes a text apart. What has none of the known beginnings is a local path.
    pub fn parse(text: &OsStr) -> Result<Self, TargetError> {
        let bytes = text.as_bytes();
        if let Some(rest) = bytes.strip_prefix(b"tow://") {
            let slash = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
            let server = authority(&rest[..slash])?;
            let path = rest.get(slash + 1..).unwrap_or_default();
            return Ok(Self::Remote { server, path: path.to_vec() });
        }
        if let Some(rest) = bytes.strip_prefix(b"unix:") {
            let mark = rest.windows(6).position(|part| part == b"?path=");
            let (socket, path) = mark.map_or((rest, &b""[..]), |mark| (&rest[..mark], &rest[mark + 6..]));
            if socket.is_empty() {
                return Err(TargetError::NoSocket);
            }
            let server = Server::Unix { socket: socket.to_vec() };
            return Ok(Self::Remote { server, path: path.to_vec() });
        }
        if bytes.starts_with(b"ssh://") {
            return Err(TargetError::Ssh);
        }
        Ok(Self::Local(bytes.to_vec()))
    }
}

fn authority(text: &[u8]) -> Result<Server, TargetError> {
    let text = std::str::from_utf8(text).map_err(|_| TargetError::BadHost)?;
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => (host, rest.strip_prefix(':')),
        None => text.rsplit_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    if host.is_empty() {
        return Err(TargetError::NoHost);
    }
    if host.starts_with('-') || host.contains(|c: char| c.is_whitespace() || c.is_control() || c == '@') {
        return Err(TargetError::BadHost);
    }
    let port = match port {
        None => PORT_DEFAULT,
        Some(port) => port.parse().ok().filter(|port| *port > 0).ok_or(TargetError::BadPort)?,
    };
    Ok(Server::Tow { host: host.to_owned(), port })
}

/// As it is typed, escaped for a terminal.
impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tow { host, port } if host.contains(':') => write!(f, "tow://[{host}]:{port}"),
            Self::Tow { host, port } => write!(f, "tow://{host}:{port}"),
            Self::Unix { socket } => write!(f, "unix:{}", DisplayName::new(socket)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tow(host: &str, port: u16, path: &str) -> Result<Target, TargetError> {
        let server = Server::Tow { host: host.to_owned(), port };
        Ok(Target::Remote { server, path: path.into() })
    }

    fn unix(socket: &str, path: &str) -> Result<Target, TargetError> {
        Ok(Target::Remote { server: Server::Unix { socket: socket.into() }, path: path.into() })
    }

    #[test]
    fn targets_come_apart() {
        let local = |path: &str| Ok(Target::Local(path.into()));
        let table = [
            ("tow://box", tow("box", 7171, "")),
            ("tow://box/", tow("box", 7171, "")),
            ("tow://box:80/a b/%20/", tow("box", 80, "a b/%20/")),
            ("tow://[::1]:7/x", tow("::1", 7, "x")),
            ("tow://[::1]/x", tow("::1", 7171, "x")),
            ("tow:///x", Err(TargetError::NoHost)),
            ("tow://-oProxy/x", Err(TargetError::BadHost)),
            ("tow://user@box/x", Err(TargetError::BadHost)),
            ("tow://box:0/", Err(TargetError::BadPort)),
            ("tow://box:x/", Err(TargetError::BadPort)),
            ("unix:/run/t", unix("/run/t", "")),
            ("unix:/run/t?path=a/b", unix("/run/t", "a/b")),
            ("unix:", Err(TargetError::NoSocket)),
            ("ssh://box/", Err(TargetError::Ssh)),
            ("a:b", local("a:b")),
            ("-x", local("-x")),
            ("", local("")),
        ];
        for (text, expected) in table {
            assert_eq!(Target::parse(OsStr::new(text)), expected, "{text}");
        }
    }
}
