//! From an operand as it was typed to a link and a path on it.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use towpath_files::root::{local_path, nearest_working_folder, working_folder};
use towpath_files::service::Service;
use towpath_protocol::display::DisplayName;
use towpath_protocol::entry::{Attributes, Kind};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::path::{Name, WirePath};
use towpath_protocol::request::Follow;

use super::code;
use super::exit::Failure;
use super::output;
use super::ssh::{self, Consent};
use crate::link::Link;
use crate::link::dial::{DialFault, dial};
use crate::link::keyring::Keyring;
use crate::model::bookmarks::Bookmarks;
use crate::model::mistyped::Mistyped;
use crate::model::target::{RemotePath, Server, Target};

/// Where something is, and how the person wrote it.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) link: Link,
    pub(super) path: WirePath,
    /// None for this machine.
    pub(super) server: Option<Server>,
    /// As typed, escaped for the terminal.
    pub(super) typed: String,
    /// Written with a `/` at its end: a folder is meant.
    pub(super) is_folder: bool,
    /// Written without a name of its own (`.`, `..`, a whole root): what is in it is meant, under its own names.
    pub(super) is_content: bool,
}

/// The links that a command has opened: one a server, and one to this machine's own files.
#[derive(Debug)]
pub(super) struct Places {
    local: Link,
    keyring: Arc<Keyring>,
    bookmarks: Bookmarks,
    consent: Consent,
    remote: Vec<(Server, Link)>,
}

impl Places {
    pub(super) fn new(
        local: Arc<Service>,
        keyring: Arc<Keyring>,
        bookmarks: Bookmarks,
        consent: Consent,
    ) -> Self {
        Self { local: Link::in_process(local), keyring, bookmarks, consent, remote: Vec::new() }
    }

    pub(super) fn keyring(&self) -> Arc<Keyring> {
        self.keyring.clone()
    }

    pub(super) const fn bookmarks(&self) -> &Bookmarks {
        &self.bookmarks
    }

    /// A TARGET, with or without a bookmark, or a local path.
    pub(super) async fn resolve(&mut self, operand: &OsStr) -> Result<Place, Failure> {
        let operand = &*self.bookmarks.expand(operand);
        let typed = DisplayName::new(operand.as_bytes()).to_string();
        let target = Target::parse(operand).map_err(|error| Failure::usage(format!("{typed}: {error}")))?;
        let Target::Remote { server, path: path_bytes } = target else {
            return self.resolve_named_local(operand).await;
        };
        let bad = |error| Failure::usage(format!("{typed}: {error}"));
        let path = RemotePath::parse(&server, &path_bytes).map_err(bad)?;
        let is_content = path.is_nameless() || is_content(&path_bytes);
        let is_folder = path_bytes.ends_with(b"/");
        let link = self.link(server.clone(), &typed).await?;
        let path = path.on(&link.welcome().home).map_err(bad)?;
        Ok(Place { link, path, server: Some(server), typed, is_folder, is_content })
    }

    /// A path on this machine, unless it looks remote and nothing here has its first name.
    pub(super) async fn resolve_named_local(&self, operand: &OsStr) -> Result<Place, Failure> {
        if let Some(mistyped) = Mistyped::of(operand.as_bytes()) {
            let first = local_path(Path::new(OsStr::from_bytes(&mistyped.first)));
            let there = match first {
                Ok(first) => self.local.stat(&first, Follow::No).await,
                Err(fault) => Err(fault),
            };
            if there.is_err_and(|fault| fault.code == FaultCode::NotFound) {
                return Err(Failure::usage(mistyped.message()));
            }
        }
        self.resolve_local(operand)
    }

    /// The working folder; the nearest one above it that is still there if it is gone.
    pub(super) fn here(&self) -> Place {
        let path = nearest_working_folder();
        let typed = ".".to_owned();
        Place { link: self.local.clone(), path, server: None, typed, is_folder: false, is_content: true }
    }

    /// A path on this machine, whatever it looks like.
    pub(super) fn resolve_local(&self, operand: &OsStr) -> Result<Place, Failure> {
        let typed = DisplayName::new(operand.as_bytes()).to_string();
        let path = local_path(Path::new(operand)).map_err(|fault| Failure::at(&typed, &fault))?;
        let (is_folder, is_content) = (operand.as_bytes().ends_with(b"/"), is_content(operand.as_bytes()));
        Ok(Place { link: self.local.clone(), path, server: None, typed, is_folder, is_content })
    }

    async fn link(&mut self, server: Server, typed: &str) -> Result<Link, Failure> {
        if let Some((_, link)) = self.remote.iter().find(|(known, link)| *known == server && !link.is_lost())
        {
            return Ok(link.clone());
        }
        let link = match &server {
            Server::Ssh(host) => ssh::dial(host, typed, self.consent, &self.keyring).await,
            _ => match dial(&server, &self.keyring, None).await {
                Err(DialFault::CodeWanted) => match code::ask(typed).await? {
                    Some(code) => dial(&server, &self.keyring, Some(code)).await,
                    None => Err(DialFault::CodeWanted),
                },
                dialled => dialled,
            },
        };
        let link = link.map_err(|fault| Failure::not_connected(typed, &fault))?;
        if let Some(note) = link.note() {
            output::note(&format!("tow: {typed}: {note}"));
        }
        self.remote.push((server, link.clone()));
        Ok(link)
    }

    /// Ends every connection but this one.
    pub(super) async fn bye_but(&mut self, stays: &Link) {
        for (_, link) in self.remote.extract_if(.., |(_, link)| !link.is_same(stays)) {
            link.bye().await;
        }
    }

    /// Ends every connection in order.
    pub(super) async fn bye(&mut self) {
        for (_, link) in self.remote.drain(..) {
            link.bye().await;
        }
    }
}

impl Place {
    /// Looks at it. A `/` or `.` at the end means the folder that a link leads to, and never a file.
    pub(super) async fn stat(&self, follow: Follow) -> Result<Attributes, Failure> {
        let means_folder = self.is_folder || self.is_content;
        let follow = if means_folder { Follow::Yes } else { follow };
        let attributes = self.link.stat(&self.path, follow).await.map_err(|fault| self.not_there(&fault))?;
        if means_folder && attributes.kind != Kind::Folder {
            return Err(self.failed(&FaultCode::NotAFolder.into()));
        }
        Ok(attributes)
    }

    /// The same of what may not be there, with what was probably meant.
    pub(super) fn not_there(&self, fault: &Fault) -> Failure {
        let mut failure = self.failed(fault);
        if fault.code == FaultCode::NotFound && self.server.is_some() {
            let last = self.path.name().map(Name::as_bytes).unwrap_or_default();
            if last.iter().any(|byte| b"*?[".contains(byte)) {
                failure.message += "; patterns are not expanded on a server: name each file, or its folder";
            } else if let Some(meant) = self.in_home() {
                failure.message =
                    format!("{}; the path is absolute; for the home folder write {meant}", failure.message);
            }
        }
        failure
    }

    /// The same path below the home folder, if it was written as an absolute one over ssh: `ssh://box/~/photos`.
    fn in_home(&self) -> Option<String> {
        let Some(Server::Ssh(_)) = self.server else { return None };
        let (host, path) = self.typed.strip_prefix("ssh://")?.split_once('/')?;
        (!path.starts_with('~')).then(|| format!("ssh://{host}/~/{path}"))
    }

    /// The fault in the words of the operand.
    pub(super) fn failed(&self, fault: &Fault) -> Failure {
        Failure::at(&self.typed, fault)
    }

    /// The same place, meant as a folder that receives things under their own names.
    #[must_use]
    pub(super) fn into_folder(self) -> Self {
        Self { is_folder: true, ..self }
    }

    /// A path relative to this place; a `/` in front begins at the root.
    pub(super) fn below(&self, operand: &OsString) -> Result<Self, Failure> {
        let bytes = operand.as_bytes();
        let typed = DisplayName::new(bytes).to_string();
        let bad = |error| Failure::usage(format!("{typed}: {error}"));
        let path = WirePath::parse(bytes).map_err(bad)?;
        let path = if bytes.starts_with(b"/") { path } else { self.path.join_path(&path).map_err(bad)? };
        Ok(Self {
            link: self.link.clone(),
            path,
            server: self.server.clone(),
            typed,
            is_folder: bytes.ends_with(b"/"),
            is_content: is_content(bytes),
        })
    }

    /// A path of the same side as people write it, from the root on: `/home/ann/a`, `tow://box/a`.
    pub(super) fn name_of(&self, path: &WirePath) -> String {
        match &self.server {
            None => format!("/{}", path.display()),
            Some(server) => Target::Remote { server: server.clone(), path: path.to_bytes() }.to_string(),
        }
    }

    /// The same, from the working folder on where it lies below that: `./a`.
    pub(super) fn short_name_of(&self, path: &WirePath) -> String {
        let here = working_folder().ok().filter(|here| self.server.is_none() && path.starts_with(here));
        let below = here.and_then(|here| WirePath::new(path.names()[here.names().len()..].to_vec()).ok());
        below.map_or_else(|| self.name_of(path), |below| format!("./{}", below.display()))
    }

    /// The same, byte for byte.
    pub(super) fn bytes_of(&self, path: &WirePath) -> Vec<u8> {
        match &self.server {
            None => [b"/", &path.to_bytes()[..]].concat(),
            Some(server) => {
                let target = Target::Remote { server: server.clone(), path: path.to_bytes() };
                target.to_os_string().into_encoded_bytes()
            }
        }
    }

    /// Its own name, under which it arrives in a folder; none for a root.
    pub(super) fn name(&self) -> Option<&Name> {
        self.path.name()
    }
}

/// Whether a typed path ends without a name of its own.
fn is_content(typed: &[u8]) -> bool {
    let last = typed.split(|byte| *byte == b'/').rfind(|part| !part.is_empty());
    matches!(last, None | Some(b"." | b".."))
}
