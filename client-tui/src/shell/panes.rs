//! Starts the two panes: what each shows first, then the loop.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use towpath_files::root::{local_path, nearest_working_folder};
use towpath_files::service::Service;
use towpath_protocol::display::DisplayName;
use towpath_protocol::entry::Kind;
use towpath_protocol::fault::Fault;
use towpath_protocol::path::WirePath;
use towpath_protocol::request::Follow;

use super::effects::{Effects, Kept};
use super::runtime::{self, Screen};
use crate::app::App;
use crate::app::effect::Effect;
use crate::app::pane::Pane;
use crate::cli::exit::Failure;
use crate::cli::ssh::{self, Consent};
use crate::config::{Settings, zone};
use crate::link::Link;
use crate::link::keyring::Keyring;
use crate::model::mistyped::Mistyped;
use crate::model::target::{Server, Target};
use crate::model::{LinkId, Place, Side};
use crate::transfer::job::OnRequest;
use crate::ui::Look;

/// What each pane shows first; none for the current folder.
#[derive(Debug, Clone, Default)]
pub struct Opening {
    pub left: Option<OsString>,
    pub right: Option<OsString>,
    /// Asks at once where to connect to.
    pub opens_connect: bool,
}

/// Connections that stand before the screen does.
pub type Ready = HashMap<Server, Link>;

/// Connects to what is reached over ssh, while the terminal is free for ssh's questions and for ours.
pub async fn connect_first(
    opening: &Opening,
    consent: Consent,
    keyring: &Arc<Keyring>,
) -> Result<Ready, Failure> {
    let mut ready = Ready::new();
    for typed in [&opening.left, &opening.right].into_iter().flatten() {
        let Ok(Target::Remote { server, .. }) = Target::parse(typed) else { continue };
        if let (Server::Ssh(host), Entry::Vacant(place)) = (server.clone(), ready.entry(server)) {
            let typed = DisplayName::new(typed.as_bytes()).to_string();
            let link = ssh::dial(&host, &typed, consent, keyring).await;
            place.insert(link.map_err(|fault| Failure::not_connected(&typed, &fault))?);
        }
    }
    Ok(ready)
}

/// Runs the panes to their end. Err before the screen is taken where something typed makes no sense.
pub async fn run(
    opening: Opening,
    settings: &Settings,
    local: Arc<Service>,
    keyring: Arc<Keyring>,
    ready: Ready,
) -> anyhow::Result<u8> {
    let home = local.welcome().home.clone();
    let this_machine = Link::in_process(local);
    let left = Opens::at(opening.left.as_deref(), &this_machine).await?;
    let right = Opens::at(opening.right.as_deref(), &this_machine).await?;
    let here = || Place { link: LinkId::LOCAL, path: nearest_working_folder() };
    let mut app = App::new(Pane::new(here()), Pane::new(here()), home);
    app.bookmarks.clone_from(&settings.bookmarks);
    app.jobs_at_once = settings.jobs_at_once;
    app.rings_after_ms = (settings.bell_seconds > 0).then(|| u64::from(settings.bell_seconds) * 1_000);
    app.keeps_jobs = settings.state_dir.is_some();
    let mut first = Vec::new();
    for (side, opens) in [(Side::Left, left), (Side::Right, right)] {
        match opens {
            Opens::Local(path) => {
                *app.pane_mut(side) = Pane::opened(Place { link: LinkId::LOCAL, path });
                first.extend(app.reload(side));
            }
            Opens::Server(target) => first.push(app.open_on(side, &target)),
        }
    }
    let look = Look::new(settings.colors, settings.background, zone::local().clone());
    if opening.opens_connect {
        first.extend(app.open_connect());
    }
    first.push(Effect::FindLeft);
    let kept = Kept {
        state_dir: settings.state_dir.clone(),
        config_file: settings.config_file.clone(),
        home: settings.home.clone(),
        age_max: settings.parts_kept,
    };
    let (effects, events) = Effects::new(
        this_machine,
        keyring,
        ready,
        kept,
        (settings.durability, OnRequest { metadata: settings.preserve, ..OnRequest::default() }),
    );
    let (size_otherwise, asks_background) = (settings.screen_size, settings.asks_background);
    let screen = Screen { look, size_otherwise, asks_background, begun: Instant::now() };
    runtime::run(app, first, screen, effects, events).await
}

/// What a pane begins with.
enum Opens {
    Local(WirePath),
    /// A TARGET, which is connected to once the screen stands.
    Server(String),
}

impl Opens {
    /// A folder of this machine is looked for at once: a word misspelt is no reason to take the screen.
    async fn at(typed: Option<&OsStr>, this_machine: &Link) -> anyhow::Result<Self> {
        let Some(typed) = typed else { return Ok(Self::Local(nearest_working_folder())) };
        let shown = DisplayName::new(typed.as_bytes());
        match Target::parse(typed).map_err(|error| anyhow::anyhow!("{shown}: {error}"))? {
            Target::Local(_) => {
                let failed = |fault: Fault| {
                    anyhow::Error::new(Fault { path: None, ..fault }).context(shown.to_string())
                };
                let path = local_path(Path::new(typed)).map_err(failed)?;
                let attributes = this_machine.stat(&path, Follow::Yes).await;
                let mistyped = Mistyped::of(typed.as_bytes()).filter(|_| attributes.is_err());
                if let Some(mistyped) = mistyped {
                    return Err(anyhow::anyhow!(mistyped.message()));
                }
                match attributes.map_err(failed)?.kind {
                    Kind::Folder => Ok(Self::Local(path)),
                    _ => Err(anyhow::anyhow!("{shown}: not a folder; a pane shows a folder or a TARGET")),
                }
            }
            Target::Remote { .. } => Ok(Self::Server(typed.to_string_lossy().into_owned())),
        }
    }
}
