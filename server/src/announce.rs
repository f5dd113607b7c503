//! What towd prints on standard output: once, when it is ready, or as the answer to an errand. Nothing else in this program writes
//! there.

use std::fmt::Write as _;
use std::io::{self, ErrorKind, Write as _};
use std::net::SocketAddr;
use std::path::Path;

use anyhow::Context as _;
use rustix::io::Errno;
use serde_json::{Map, Value};
use towpath_protocol::display::DisplayName;
use towpath_protocol::pairing::{KeyHash, PairingCode};

use crate::clients::Clients;
use crate::pairing::OPEN_SECONDS;

/// What is listened on.
pub(crate) struct Announcement<'a> {
    pub(crate) root: &'a str,
    pub(crate) addresses: &'a [SocketAddr],
    pub(crate) unix: Option<&'a Path>,
    pub(crate) read_only: bool,
    /// Of the key that clients meet over TCP.
    pub(crate) fingerprint: Option<KeyHash>,
    /// For the first client.
    pub(crate) pair: Option<&'a PairingCode>,
    /// Those that are paired: why there is no code.
    pub(crate) paired: Option<&'a Clients>,
}

impl Announcement<'_> {
    /// Prints it, as one JSON line or for a person. A standard output that is closed or not read is no error. One
    /// that is full is an error.
    pub(crate) fn print(&self, json: bool) -> anyhow::Result<()> {
        let text = if json { self.json() } else { self.text() };
        match print(&text) {
            Err(error) if is_closed(&error) => Ok(()),
            printed => printed,
        }
    }

    fn json(&self) -> String {
        let mut line = Map::new();
        line.insert("event".to_owned(), "listening".into());
        if let Some(address) = self.addresses.first() {
            line.insert("address".to_owned(), address.to_string().into());
            let all: Vec<_> = self.addresses.iter().map(|address| Value::from(address.to_string())).collect();
            line.insert("addresses".to_owned(), all.into());
        }
        if let Some(path) = self.unix {
            line.insert("unix".to_owned(), path.to_string_lossy().into());
        }
        line.insert("root".to_owned(), self.root.into());
        if let Some(fingerprint) = self.fingerprint {
            line.insert("fingerprint".to_owned(), fingerprint.to_string().into());
        }
        if let Some(code) = self.pair {
            line.insert("pair".to_owned(), code.text().as_str().into());
        } else if let Some(paired) = self.paired {
            line.insert("paired".to_owned(), paired.len().into());
        }
        line.insert("connect".to_owned(), self.targets().into_iter().next().unwrap_or_default().into());
        format!("{}\n", Value::Object(line))
    }

    fn text(&self) -> String {
        let only = if self.read_only { " (read-only)" } else { "" };
        let mut text = format!("towd {} serves {}{only}\n", env!("CARGO_PKG_VERSION"), self.root);
        for address in self.addresses {
            let _ = writeln!(text, "listening on {address}");
        }
        if let Some(path) = self.unix {
            let _ = writeln!(text, "listening on {}", crate::log::shown(path));
        }
        if let Some(fingerprint) = self.fingerprint {
            let _ = writeln!(text, "key {fingerprint}");
        }
        text.push_str("connect with:\n");
        for target in self.targets() {
            let _ = writeln!(text, "    tow --connect {}", quoted(&target));
        }
        if let Some(code) = self.pair {
            let _ = writeln!(text, "{}\n    {}", code_words(), code.text().as_str());
        } else if let Some(paired) = self.paired {
            let are = if paired.len() == 1 { "is" } else { "are" };
            let _ = writeln!(
                text,
                "no pairing code: {} {are} paired already; `towd pair` prints one for another client",
                paired.summary()
            );
        }
        text
    }

    fn targets(&self) -> Vec<String> {
        let tcp = self.addresses.iter().map(target);
        let unix = self.unix.map(|path| format!("unix:{}", path.to_string_lossy()));
        tcp.chain(unix).collect()
    }
}

/// What a pairing code is good for.
pub(crate) fn code_words() -> String {
    format!("pairing code, for one client within {} minutes; tow asks for it:", OPEN_SECONDS / 60)
}

/// Prints what an errand found, for a person or a script. Fails where nothing takes it.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    let printed = if towpath_stdio::stdout_was_closed() {
        Err(Errno::BADF.into())
    } else {
        stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush())
    };
    printed.context("cannot write the output")
}

fn is_closed(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| {
        error.kind() == ErrorKind::BrokenPipe || error.raw_os_error() == Some(Errno::BADF.raw_os_error())
    })
}

/// What a client is told to connect to. An address that stands for all of this machine's is of no use elsewhere: its name may be.
fn target(address: &SocketAddr) -> String {
    if address.ip().is_unspecified() {
        let system = rustix::system::uname();
        format!("tow://{}:{}/", system.nodename().to_string_lossy(), address.port())
    } else {
        format!("tow://{address}/")
    }
}

/// As one word for a shell.
fn quoted(word: &str) -> String {
    let shown = DisplayName::new(word.as_bytes()).to_string();
    if shown.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/:._-@%+=,[]".contains(&byte)) {
        shown
    } else {
        format!("'{}'", shown.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_addresses_are_all_listed_and_the_first_is_the_one_to_connect_to() {
        let addresses = ["127.0.0.1:7171".parse().unwrap(), "[::1]:7172".parse().unwrap()];
        let announcement = Announcement {
            root: "/srv/files",
            addresses: &addresses,
            unix: None,
            read_only: true,
            fingerprint: None,
            pair: None,
            paired: None,
        };
        let json: Value = serde_json::from_str(&announcement.json()).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "event": "listening", "address": "127.0.0.1:7171", "addresses": ["127.0.0.1:7171", "[::1]:7172"],
                "root": "/srv/files", "connect": "tow://127.0.0.1:7171/",
            })
        );
        let text = announcement.text();
        assert!(text.contains("serves /srv/files (read-only)\n"), "{text}");
        assert!(text.contains("    tow --connect tow://[::1]:7172/\n"), "{text}");
    }

    #[test]
    fn an_address_for_every_interface_is_announced_by_the_machines_name() {
        for address in ["0.0.0.0:7171", "[::]:7171"] {
            let target = target(&address.parse().unwrap());
            assert!(target.starts_with("tow://") && target.ends_with(":7171/"), "{target}");
            assert!(!target.contains("0.0.0.0") && !target.contains("[::]"), "{target}");
        }
    }

    #[test]
    fn a_socket_whose_path_has_a_space_can_be_pasted() {
        let announcement = Announcement {
            root: "/",
            addresses: &[],
            unix: Some(Path::new("/tmp/my socket")),
            read_only: false,
            fingerprint: None,
            pair: None,
            paired: None,
        };
        assert!(announcement.text().contains("tow --connect 'unix:/tmp/my socket'\n"));
    }
}
