//! A TARGET as a person types it, taken apart: which server, and the path on it. Pure: it knows no network and no file system. A
//! path is literal bytes, never percent-decoded, and need not be UTF-8.
//!
//! A bookmark's name is replaced before (`bookmarks`), so whatever has none of the known beginnings is a path on this machine.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::net::Ipv6Addr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use towpath_protocol::display::DisplayName;
use towpath_protocol::path::{PathError, WirePath};

/// Where towd listens if nobody says otherwise.
pub const PORT_DEFAULT: u16 = 7171;

/// What stands between a socket's file and the path behind it; a socket's file cannot contain it.
const UNIX_PATH: &[u8] = b"?path=";

/// Where something is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// A path on this machine.
    Local(Vec<u8>),
    /// A path on a server, as typed behind the `/` that begins it.
    Remote { server: Server, path: Vec<u8> },
}

/// Which server, without a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Server {
    /// `tow://HOST[:PORT]/`; an IPv6 address without its brackets.
    Tow { host: String, port: u16 },
    /// `ssh://[USER@]HOST[:PORT]/`; HOST may be a name of ssh's own configuration.
    Ssh(SshHost),
    /// `unix:SOCKET_FILE`
    Unix { socket: Vec<u8> },
}

/// Where ssh is to go. What is not said is up to ssh's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SshHost {
    pub user: Option<String>,
    /// An IPv6 address without its brackets.
    pub host: String,
    pub port: Option<u16>,
}

/// A path on a server as it was typed: from the root, or from where the session begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemotePath {
    from_home: bool,
    below: WirePath,
}

impl RemotePath {
    /// `path` as [`Target::Remote`] holds it. An empty one is where the session begins; over ssh so is `~`.
    pub fn parse(server: &Server, path: &[u8]) -> Result<Self, PathError> {
        let from_home = match (server, path) {
            (Server::Ssh(_), [b'~']) => Some(&path[1..]),
            (Server::Ssh(_), [b'~', b'/', rest @ ..]) => Some(rest),
            _ => None,
        };
        let below = WirePath::parse(from_home.unwrap_or(path))?;
        // Over ssh `//` is the whole system's root; elsewhere a session begins at its root.
        let is_unsaid = if matches!(server, Server::Ssh(_)) { path.is_empty() } else { below.is_root() };
        Ok(Self { from_home: from_home.is_some() || is_unsaid, below })
    }

    /// Without a name of its own.
    pub fn is_nameless(&self) -> bool {
        self.below.is_root()
    }

    /// The path, now that it is known where the session begins.
    pub fn on(&self, home: &WirePath) -> Result<WirePath, PathError> {
        if self.from_home { home.join_path(&self.below) } else { Ok(self.below.clone()) }
    }
}

/// Why an argument is not a TARGET.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    #[error("no host; write tow://HOST[:PORT]/[PATH] or ssh://[USER@]HOST[:PORT]/[PATH]")]
    NoHost,
    #[error("a host's name does not begin with '-'")]
    LeadingDash,
    #[error("'{0}' is not a host's name or address")]
    BadHost(String),
    #[error("an IPv6 address stands in brackets: [::1]")]
    BareIpv6,
    #[error("'{0}' is not a port between 1 and 65535")]
    BadPort(String),
    #[error("tow:// takes no user name")]
    NoUsers,
    #[error("no socket file; write unix:SOCKET_FILE[?path=PATH]")]
    NoSocket,
    #[error("'{0}' is not a user's name; a password is never written into a target")]
    BadUser(String),
    #[error("'{0}://' is not known; use tow://, ssh:// or unix:, or ./{0}: for a folder of that name")]
    UnknownScheme(String),
}

impl Target {
    /// Takes an argument apart. Only its shape is judged: nothing is looked up.
    pub fn parse(typed: &OsStr) -> Result<Self, TargetError> {
        let bytes = typed.as_bytes();
        if let Some(rest) = bytes.strip_prefix(b"tow://") {
            return parse_tow(rest);
        }
        if let Some(rest) = bytes.strip_prefix(b"ssh://") {
            return parse_ssh(rest);
        }
        if let Some(rest) = bytes.strip_prefix(b"unix:") {
            return parse_unix(rest);
        }
        match scheme(bytes).as_deref() {
            Some(scheme) => Err(TargetError::UnknownScheme(scheme.to_owned())),
            None => Ok(Self::Local(bytes.to_vec())),
        }
    }

    /// The path as typed; on a server without the `/` that begins it.
    pub fn path(&self) -> &[u8] {
        match self {
            Self::Local(path) | Self::Remote { path, .. } => path,
        }
    }

    /// Whether the path was typed with a `/` at its end: a folder is meant.
    pub fn ends_in_slash(&self) -> bool {
        self.path().ends_with(b"/")
    }

    /// As it can be typed again, byte for byte.
    pub fn to_os_string(&self) -> OsString {
        let (mut text, path) = match self {
            Self::Local(path) => (Vec::new(), path),
            Self::Remote { server, path } => {
                let mut text = server.to_bytes();
                match server {
                    Server::Tow { .. } | Server::Ssh(_) => text.push(b'/'),
                    Server::Unix { .. } if path.is_empty() => {}
                    Server::Unix { .. } => text.extend_from_slice(UNIX_PATH),
                }
                (text, path)
            }
        };
        text.extend_from_slice(path);
        OsString::from_vec(text)
    }
}

impl Server {
    fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Tow { host, port } => {
                let port = if *port == PORT_DEFAULT { String::new() } else { format!(":{port}") };
                format!("tow://{}{port}", bracketed(host)).into_bytes()
            }
            Self::Ssh(SshHost { user, host, port }) => {
                let user = user.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
                let port = port.map(|port| format!(":{port}")).unwrap_or_default();
                format!("ssh://{user}{}{port}", bracketed(host)).into_bytes()
            }
            Self::Unix { socket } => [b"unix:", &socket[..]].concat(),
        }
    }
}

/// A host as it stands before a port.
fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

/// As it can be typed again, with escapes where a terminal must not see the bytes.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        DisplayName::new(self.to_os_string().as_bytes()).fmt(f)
    }
}

/// As it is typed, escaped for a terminal.
impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        DisplayName::new(&self.to_bytes()).fmt(f)
    }
}

/// The word before `://`, where an argument has one.
fn scheme(bytes: &[u8]) -> Option<String> {
    let end = bytes.windows(3).position(|window| window == b"://")?;
    let word = bytes.get(..end)?;
    let is_word = word.first().is_some_and(u8::is_ascii_alphabetic)
        && word.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte));
    is_word.then(|| shown(word))
}

fn parse_tow(rest: &[u8]) -> Result<Target, TargetError> {
    let slash = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
    let authority = &rest[..slash];
    if authority.contains(&b'@') {
        return Err(TargetError::NoUsers);
    }
    let (host, port) = parse_host_and_port(authority, parse_host)?;
    let path = rest.get(slash + 1..).unwrap_or_default().to_vec();
    Ok(Target::Remote { server: Server::Tow { host, port: port.unwrap_or(PORT_DEFAULT) }, path })
}

fn parse_ssh(rest: &[u8]) -> Result<Target, TargetError> {
    let slash = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
    let authority = &rest[..slash];
    let at = authority.iter().rposition(|byte| *byte == b'@');
    let user = at.map(|at| parse_user(&authority[..at])).transpose()?;
    let host = at.map_or(authority, |at| &authority[at + 1..]);
    let (host, port) = parse_host_and_port(host, parse_ssh_host)?;
    let path = rest.get(slash + 1..).unwrap_or_default().to_vec();
    Ok(Target::Remote { server: Server::Ssh(SshHost { user, host, port }), path })
}

/// A user as ssh takes it, but for a `$`, which a condition in its configuration would hand to a shell.
fn parse_user(bytes: &[u8]) -> Result<String, TargetError> {
    match bytes {
        [] | [b'-', ..] | [.., b'\\'] => Err(TargetError::BadUser(shown(bytes))),
        // A blank before a '-' would begin an option.
        _ if is_plain(bytes, b":") && !bytes.windows(2).any(|two| two == b" -") => Ok(shown(bytes)),
        // What stands behind a colon may be a password: it is not repeated.
        _ => Err(TargetError::BadUser(shown(bytes.split(|byte| *byte == b':').next().unwrap_or_default()))),
    }
}

fn parse_unix(rest: &[u8]) -> Result<Target, TargetError> {
    let at = rest.windows(UNIX_PATH.len()).position(|window| window == UNIX_PATH);
    let (socket, path) = at.map_or((rest, &[][..]), |at| (&rest[..at], &rest[at + UNIX_PATH.len()..]));
    if socket.is_empty() {
        return Err(TargetError::NoSocket);
    }
    // It begins at the root with or without a `/`.
    let slashes = path.iter().take_while(|byte| **byte == b'/').count();
    let server = Server::Unix { socket: socket.to_vec() };
    Ok(Target::Remote { server, path: path[slashes..].to_vec() })
}

fn parse_host_and_port(
    bytes: &[u8],
    parse_host: impl Fn(&[u8]) -> Result<String, TargetError>,
) -> Result<(String, Option<u16>), TargetError> {
    if let Some(rest) = bytes.strip_prefix(b"[") {
        let bad = || TargetError::BadHost(shown(bytes));
        let end = rest.iter().position(|byte| *byte == b']').ok_or_else(bad)?;
        let host = parse_ipv6(&rest[..end])?;
        return match &rest[end + 1..] {
            [] => Ok((host, None)),
            [b':', port @ ..] => Ok((host, Some(parse_port(port)?))),
            _ => Err(bad()),
        };
    }
    let mut parts = bytes.split(|byte| *byte == b':');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(host), None, _) => Ok((parse_host(host)?, None)),
        (Some(host), Some(port), None) => Ok((parse_host(host)?, Some(parse_port(port)?))),
        _ => Err(TargetError::BareIpv6),
    }
}

/// An address, with the zone of a link-local one (`fe80::1%eth0`).
fn parse_ipv6(bytes: &[u8]) -> Result<String, TargetError> {
    let text = shown(bytes);
    let (address, zone) = text.split_once('%').map_or((text.as_str(), None), |(a, z)| (a, Some(z)));
    let is_zone = |zone: &str| {
        !zone.is_empty() && zone.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    };
    if address.parse::<Ipv6Addr>().is_ok() && zone.is_none_or(is_zone) {
        return Ok(text);
    }
    Err(TargetError::BadHost(text))
}

fn parse_host(bytes: &[u8]) -> Result<String, TargetError> {
    match bytes {
        [] => Err(TargetError::NoHost),
        [b'-', ..] => Err(TargetError::LeadingDash),
        _ if bytes.len() <= 253
            && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(byte)) =>
        {
            Ok(shown(bytes))
        }
        _ => Err(TargetError::BadHost(shown(bytes))),
    }
}

/// A host as ssh takes it: a name of its configuration may be anything that no shell has a meaning for.
fn parse_ssh_host(bytes: &[u8]) -> Result<String, TargetError> {
    match bytes {
        [] => Err(TargetError::NoHost),
        [b'-', ..] => Err(TargetError::LeadingDash),
        _ if is_plain(bytes, b"\\ ") => Ok(shown(bytes)),
        _ => Err(TargetError::BadHost(shown(bytes))),
    }
}

/// Text without what ssh refuses: signs of a shell, what cannot be seen, and `other` bytes.
fn is_plain(bytes: &[u8], other: &[u8]) -> bool {
    const SIGNS: &[u8] = b"'`\"$;&<>|(){}";
    let is_whole = |text: &str| text == shown(bytes) && !text.contains('\u{3000}');
    !bytes.iter().any(|byte| SIGNS.contains(byte) || other.contains(byte))
        && std::str::from_utf8(bytes).is_ok_and(is_whole)
}

fn parse_port(bytes: &[u8]) -> Result<u16, TargetError> {
    let text = shown(bytes);
    let is_number = !bytes.is_empty() && bytes.iter().all(u8::is_ascii_digit);
    match text.parse() {
        Ok(port) if is_number && port > 0 => Ok(port),
        _ => Err(TargetError::BadPort(text)),
    }
}

fn shown(bytes: &[u8]) -> String {
    DisplayName::new(bytes).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Target, TargetError> {
        Target::parse(OsStr::new(text))
    }

    fn tow(host: &str, port: u16, path: &str) -> Target {
        let server = Server::Tow { host: host.to_owned(), port };
        Target::Remote { server, path: path.into() }
    }

    fn ssh(user: Option<&str>, host: &str, port: Option<u16>, path: &str) -> Target {
        let server = Server::Ssh(SshHost { user: user.map(str::to_owned), host: host.to_owned(), port });
        Target::Remote { server, path: path.into() }
    }

    fn unix(socket: &str, path: &str) -> Target {
        Target::Remote { server: Server::Unix { socket: socket.into() }, path: path.into() }
    }

    #[test]
    fn targets_come_apart() {
        let table = [
            ("tow://box", tow("box", 7171, "")),
            ("tow://box/", tow("box", 7171, "")),
            ("tow://box:80/a b/%20?c#d:e@f/", tow("box", 80, "a b/%20?c#d:e@f/")),
            ("tow://127.0.0.1:99//a", tow("127.0.0.1", 99, "/a")),
            ("tow://[::1]:7/x", tow("::1", 7, "x")),
            ("tow://[::1]/x", tow("::1", 7171, "x")),
            ("tow://[fe80::1%eth0]/", tow("fe80::1%eth0", 7171, "")),
            ("ssh://box", ssh(None, "box", None, "")),
            ("ssh://ann@box/", ssh(Some("ann"), "box", None, "")),
            ("ssh://ann@corp@box:22//a@b", ssh(Some("ann@corp"), "box", Some(22), "/a@b")),
            ("ssh://ann@[::1]:2222/~/x", ssh(Some("ann"), "::1", Some(2222), "~/x")),
            (r"ssh://CORP\ann@box/x", ssh(Some(r"CORP\ann"), "box", None, "x")),
            ("ssh://jörg@büro:22/", ssh(Some("jörg"), "büro", Some(22), "")),
            ("ssh://a+b@x~y/", ssh(Some("a+b"), "x~y", None, "")),
            ("ssh://domain users@a+b/", ssh(Some("domain users"), "a+b", None, "")),
            ("ssh://ann%corp@my_host/", ssh(Some("ann%corp"), "my_host", None, "")),
            ("unix:/run/t", unix("/run/t", "")),
            ("unix:/run/t?path=a/b", unix("/run/t", "a/b")),
            ("unix:/run/t?path=//a", unix("/run/t", "a")),
        ];
        for (text, expected) in table {
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_server_is_refused() {
        let bad_host = |host: &str| TargetError::BadHost(host.to_owned());
        let table = [
            ("tow:///x", TargetError::NoHost),
            ("tow://:80/x", TargetError::NoHost),
            ("tow://-oProxyCommand=x/", TargetError::LeadingDash),
            ("tow://me@box/", TargetError::NoUsers),
            ("tow://::1/", TargetError::BareIpv6),
            ("tow://[::1/", bad_host("[::1")),
            ("tow://[::1]x/", bad_host("[::1]x")),
            ("tow://a b/", bad_host("a b")),
            ("tow://a\x1b[2J/", bad_host("a\\x1b[2J")),
            ("unix:", TargetError::NoSocket),
            ("unix:?path=a", TargetError::NoSocket),
            ("ssh:///x", TargetError::NoHost),
            ("ssh://-oProxyCommand=x/", TargetError::LeadingDash),
            ("ssh://ann@-oProxyCommand=x/", TargetError::LeadingDash),
            ("ssh://-lroot@box/", TargetError::BadUser("-lroot".to_owned())),
            ("ssh://@box/", TargetError::BadUser(String::new())),
            ("ssh://ann:secret@box/", TargetError::BadUser("ann".to_owned())),
            ("ssh://a%h`id`@box/", TargetError::BadUser("a%h`id`".to_owned())),
            ("ssh://$(id)/", bad_host("$(id)")),
            ("ssh://a b/", bad_host("a b")),
            (r"ssh://a\b/", bad_host(r"a\b")),
            ("ssh://a\u{202e}b/", bad_host(r"a\u{202e}b")),
            ("ssh://ann -oProxyCommand=x@box/", TargetError::BadUser("ann -oProxyCommand=x".to_owned())),
            ("ssh://$HOME@box/", TargetError::BadUser("$HOME".to_owned())),
            (r"ssh://CORP\@box/", TargetError::BadUser(r"CORP\".to_owned())),
            ("http://box/", TargetError::UnknownScheme("http".to_owned())),
        ];
        for (text, expected) in table {
            assert_eq!(parse(text), Err(expected), "{text}");
        }
        for port in ["", "0", "65536", "+1", "7x"] {
            assert_eq!(parse(&format!("tow://box:{port}/")), Err(TargetError::BadPort(port.to_owned())));
        }
    }

    #[test]
    fn everything_else_is_a_path_on_this_machine() {
        for path in ["", ".", "a", "/a/b", "name:path", "a:", "C:\\x", "./http://x", "-x", "~"] {
            assert_eq!(parse(path), Ok(Target::Local(path.into())));
        }
    }

    #[test]
    fn over_ssh_a_path_is_absolute_and_a_tilde_is_home() {
        let home = WirePath::parse(b"home/ann").unwrap();
        let table = [
            ("ssh://box", "home/ann"),
            ("ssh://box/", "home/ann"),
            ("ssh://box/~", "home/ann"),
            ("ssh://box/~/", "home/ann"),
            ("ssh://box/~/a/b", "home/ann/a/b"),
            ("ssh://box/~ann", "~ann"),
            ("ssh://box/etc", "etc"),
            ("ssh://box//", ""),
            ("tow://box/~/a", "~/a"),
            ("tow://box//", "home/ann"),
        ];
        for (typed, expected) in table {
            let Ok(Target::Remote { server, path }) = parse(typed) else { panic!("{typed}") };
            let path = RemotePath::parse(&server, &path).unwrap().on(&home).unwrap();
            assert_eq!(path, WirePath::parse(expected.as_bytes()).unwrap(), "{typed}");
        }
    }

    #[test]
    fn a_path_is_literal_bytes() {
        let typed = OsStr::from_bytes(b"tow://box/\xff\n");
        let target = Target::parse(typed).unwrap();
        assert_eq!(target.path(), b"\xff\n");
        assert_eq!(target.to_os_string(), typed);
        assert_eq!(target.to_string(), "tow://box/\\xff\\x0a");
    }

    #[test]
    fn a_slash_at_the_end_says_that_a_folder_is_meant() {
        for (text, is_folder) in
            [("tow://box/", false), ("tow://box/a", false), ("tow://box/a/", true), ("a/", true)]
        {
            assert_eq!(parse(text).unwrap().ends_in_slash(), is_folder, "{text}");
        }
    }

    #[test]
    fn a_target_shown_can_be_typed_again() {
        let typed = [
            "tow://box/a b/",
            "tow://[::1]:99/",
            "tow://box//a",
            "ssh://ann@[::1]:22/~/a",
            "ssh://box/etc",
            "unix:/run/t?path=x/y",
            "unix:/run/t",
            "../a",
        ];
        for text in typed {
            let target = parse(text).unwrap();
            assert_eq!(target.to_string(), text);
            assert_eq!(Target::parse(&target.to_os_string()), Ok(target));
        }
    }
}
