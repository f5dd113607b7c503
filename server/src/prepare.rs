//! All that is done while there is one thread: names are resolved, the root is opened, towd's own folders and files are made and found to
//! be where they may be; then the wall is raised around everything that follows. It knows no clients.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use rustix::process::{Resource, getrlimit};
use towpath_files::asides::Asides;
use towpath_files::private_files::PrivateFolder;
use towpath_files::root::{RootError, RootSpec, home_folder};
use towpath_files::service::{Service, ServiceConfig, StoreLimits};
use towpath_protocol::hello::Access;
use towpath_protocol::path::WirePath;

use crate::config::{Config, Doors, NO_STATE_DIR};
use crate::listen::tcp;
use crate::log::audit::AuditFile;
use crate::log::shown;
use crate::wall::{self, Within};
use crate::{EXIT_USAGE, Failure, gate};

/// Memory for what one person's session takes in or waits for: a folder of many millions.
const STDIO_MEMORY_BYTES: u64 = 1024 * 1024 * 1024;

/// What the server begins with.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) service: Service,
    /// To be listened on.
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) audit: Option<AuditFile>,
    /// The first lines of the log: what the sandbox lacks, and what was restored after an interrupted move.
    pub(crate) warnings: Vec<String>,
}

pub(crate) fn prepare(config: &Config) -> Result<Prepared, Failure> {
    let (addresses, socket) = match &config.doors {
        Doors::Stdio => (Vec::new(), None),
        Doors::Listen { addresses, unix } => (resolve(addresses)?, unix.as_deref()),
    };
    let mut service = open_service(config)?;
    let root = config.root.as_deref();
    let state = if addresses.is_empty() { None } else { Some(make_state_folder(config)?) };
    let mut warnings = Vec::new();
    if !config.read_only
        && let Some(state) = &config.state_dir
        && !addresses.is_empty()
    {
        // Clients over TCP have identities, and their usage is kept next to their list.
        let folder = gate::open_folder(state).map_err(anyhow::Error::from)?;
        warnings = service.remember_in(folder).map_err(anyhow::Error::from)?;
    }
    keep_from_clients(&mut service, config, socket)?;
    let audit = config.audit.as_deref().map(|path| open_audit(path, config)).transpose()?;
    if audit.is_some() {
        service.write_refusals_down();
    }
    let (asides, restored) = restore(&mut service, config);
    warnings.extend(restored);
    let within = Within {
        root,
        read_only: config.read_only,
        state: state.as_deref(),
        listed: config.state_dir.iter().chain(&config.other_state_dirs).map(PathBuf::as_path).collect(),
        asides: asides.as_deref(),
        audit: config.audit.as_deref().map(folder_of),
        socket: socket.map(folder_of),
    };
    warnings.extend(wall::raise(&within));
    Ok(Prepared { service, addresses, audit, warnings })
}

/// Gives what an interrupted move left aside its name back, and tells that. The folder where moves are written down, if there is one.
fn restore(service: &mut Service, config: &Config) -> (Option<PathBuf>, Vec<String>) {
    let Some(state) = config.state_dir.as_deref().filter(|_| !config.read_only) else {
        return (None, Vec::new());
    };
    let folder = gate::folder_in(state).join("asides");
    let asides = Asides::at(folder.clone());
    let restored = asides.restore().iter().map(ToString::to_string).collect();
    service.write_asides_down(asides);
    // Made now: behind the wall it could not be. Where it cannot be made, no source goes that would be set aside.
    let made = PrivateFolder::open(&folder).is_ok();
    (made.then_some(folder), restored)
}

fn resolve(addresses: &[String]) -> Result<Vec<SocketAddr>, Failure> {
    let resolved = addresses.iter().map(|text| tcp::resolve(text)).collect::<anyhow::Result<_>>();
    resolved.map_err(|error| Failure { code: EXIT_USAGE, error })
}

/// Opens the root; a session on the whole file system begins in the home folder.
fn open_service(config: &Config) -> Result<Service, Failure> {
    let access = if config.read_only { Access::ReadOnly } else { Access::ReadWrite };
    let (root, home) = match &config.root {
        Some(path) => (RootSpec::Jailed(path.clone()), WirePath::root()),
        None => (RootSpec::Whole, home_folder()),
    };
    let mut limits = StoreLimits { open_files_max: open_files_max(), ..config.limits.store() };
    if matches!(config.doors, Doors::Stdio) {
        // All of it belongs to one user.
        limits.memory_bytes = limits.memory_bytes.max(STDIO_MEMORY_BYTES);
    }
    let service = Service::with_limits(ServiceConfig { root, access, home }, limits);
    Ok(service.context("--root")?)
}

/// Files that the system lets this process have open.
fn open_files_max() -> usize {
    let most = getrlimit(Resource::Nofile).current;
    most.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX)
}

/// Where the key and the list of clients are, for whoever comes over TCP.
fn make_state_folder(config: &Config) -> anyhow::Result<PathBuf> {
    let state = config.state_dir.as_deref().context(NO_STATE_DIR)?;
    gate::open_folder(state)?;
    Ok(gate::folder_in(state))
}

/// Protects towd's own files from clients: a client that could read them could pair itself or impersonate this server, and one that could
/// change it, or what leads to it, would decide what the next towd does.
fn keep_from_clients(service: &mut Service, config: &Config, socket: Option<&Path>) -> anyhow::Result<()> {
    // Where the whole file system is served it is the user's own session, by ssh: it may do what a shell there may.
    if let Some(root) = &config.root {
        config.state_dir.iter().try_for_each(|state| keep_state(service, root, state))?;
        for other in &config.other_state_dirs {
            match keep_state(service, root, other) {
                // No towd of this user gets there either.
                Ok(()) | Err(RootError::PermissionDenied(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    let mut files = config.file.iter().map(PathBuf::as_path).chain(socket);
    files.try_for_each(|file| service.keep_from_clients(file))?;
    written_to().try_for_each(|file| service.keep_from_clients(&file))?;
    config.audit.iter().try_for_each(|audit| service.keep_log_from_clients(audit))?;
    Ok(())
}

/// Keeps a state folder, or only what is in it if that is where the served folder lies.
fn keep_state(service: &mut Service, root: &Path, state: &Path) -> Result<(), RootError> {
    if !lies_in(root, state) {
        return service.keep_from_clients(state);
    }
    let own = [gate::folder_in(state), state.join("client"), state.join("tow.log")];
    own.iter().try_for_each(|own| service.keep_from_clients(own))
}

/// The files that standard output and standard error go to: announcement and log.
#[allow(
    clippy::disallowed_methods,
    reason = "what towd itself was started with, nothing that a client names"
)]
fn written_to() -> impl Iterator<Item = PathBuf> {
    let links = ["/proc/self/fd/1", "/proc/self/fd/2"].into_iter();
    links.filter_map(|link| std::fs::read_link(link).ok()).filter(|path| path.is_file())
}

fn open_audit(path: &Path, config: &Config) -> anyhow::Result<AuditFile> {
    if config.root.as_deref().is_some_and(|root| lies_in(folder_of(path), root)) {
        let shown = shown(path);
        return Err(anyhow!(
            "--audit {shown}: is in the served folder, where clients could read and change it"
        ));
    }
    AuditFile::open(path, config.limits.audit())
}

fn folder_of(file: &Path) -> &Path {
    file.parent().unwrap_or(file)
}

/// Whether a folder is in another one, wherever links lead; false where that cannot be told.
#[allow(clippy::disallowed_methods, reason = "towd's own folders, nothing that a client names")]
fn lies_in(folder: &Path, other: &Path) -> bool {
    match (folder.canonicalize(), other.canonicalize()) {
        (Ok(folder), Ok(other)) => folder.starts_with(other),
        _ => false,
    }
}
