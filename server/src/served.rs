//! The folders that are served with one state folder: written down by each towd that listens on TCP, so that `towd pair` and
//! `towd clients set` can look at a client's folder before a client asks for it. It knows no sockets and no codes.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use rustix::process::{Pid, getpid, test_kill_process};
use serde::{Deserialize, Serialize};
use towpath_files::private_files::{PrivateFault, PrivateFolder};
use towpath_files::root::RootSpec;
use towpath_files::service::{Service, ServiceConfig};
use towpath_protocol::hello::Access;
use towpath_protocol::path::WirePath;

use crate::gate::open_folder;
use crate::log::shown;
use crate::rights::Rights;

/// The file in the private folder.
const SERVED_FILE: &str = "served.json";
/// Roots that are kept of towds that no longer run.
const ENDED_MAX: usize = 1;

/// The towds that run, and the last one that ran, the newest last.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
struct Served(Vec<Root>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Root {
    root: PathBuf,
    pid: i32,
}

impl Root {
    /// A process of another user that has the number by now counts as one that runs: then one folder more is looked at.
    fn is_served(&self) -> bool {
        Pid::from_raw(self.pid)
            .is_some_and(|pid| !matches!(test_kill_process(pid), Err(rustix::io::Errno::SRCH)))
    }
}

impl Served {
    /// A file that cannot be parsed counts as absent.
    fn load(folder: &PrivateFolder) -> Result<Self, PrivateFault> {
        let content = folder.read(SERVED_FILE)?;
        Ok(content.and_then(|content| serde_json::from_slice(&content).ok()).unwrap_or_default())
    }
}

/// Writes down that this process serves `root`. A root that is not UTF-8 is not written down.
pub(crate) fn note(folder: &PrivateFolder, root: &Path) -> Result<(), PrivateFault> {
    let locked = folder.lock()?;
    let mut served = Served::load(folder)?;
    let ours = getpid().as_raw_nonzero().get();
    served.0.retain(|root| root.pid != ours);
    let running: Vec<bool> = served.0.iter().map(Root::is_served).collect();
    let ended = running.iter().filter(|is_running| !**is_running).count();
    let (mut running, mut surplus) = (running.into_iter(), ended.saturating_sub(ENDED_MAX));
    served.0.retain(|_| {
        let goes = !running.next().unwrap_or(false) && surplus > 0;
        surplus -= usize::from(goes);
        !goes
    });
    served.0.push(Root { root: root.to_owned(), pid: ours });
    let Ok(text) = serde_json::to_vec(&served) else { return Ok(()) };
    locked.write(SERVED_FILE, &text)
}

/// Looks at the folder of these rights in every root that is served now; where no towd runs, in the last one that was. Fails if it is in
/// none of them. Returns false if no root is known.
pub(crate) fn check_folder(state: &Path, rights: &Rights) -> anyhow::Result<bool> {
    let mut served = Served::load(&open_folder(state)?)?.0;
    if served.iter().any(Root::is_served) {
        served.retain(Root::is_served);
    } else {
        served.drain(..served.len().saturating_sub(1));
    }
    let mut why = None;
    for Root { root, .. } in &served {
        match look(root, state, rights) {
            Ok(()) => return Ok(true),
            Err(error) => drop(why.get_or_insert(error)),
        }
    }
    why.map_or(Ok(false), Err)
}

/// Opens the folder like a session of the client.
fn look(root: &Path, state: &Path, rights: &Rights) -> anyhow::Result<()> {
    let what = || format!("--folder {} in {}", rights.folder(), shown(root));
    let config = ServiceConfig {
        root: RootSpec::Jailed(root.to_owned()),
        access: Access::ReadOnly,
        home: WirePath::root(),
    };
    let mut service = Service::new(config).with_context(what)?;
    service.keep_from_clients(&crate::gate::folder_in(state)).with_context(what)?;
    let grant = rights.grant(0, None).ok_or_else(|| anyhow!("not a path")).with_context(what)?;
    service.for_client(&grant).map(drop).map_err(|fault| anyhow!("{fault}")).with_context(what)
}
