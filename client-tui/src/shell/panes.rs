//! Starts the two panes: what each shows first, then the loop.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use jiff::tz::TimeZone;
use towpath_files::root::{local_path, working_folder};
use towpath_files::service::Service;
use towpath_protocol::display::DisplayName;

use super::effects::Effects;
use super::runtime;
use crate::app::App;
use crate::app::effect::Effect;
use crate::app::pane::Pane;
use crate::config::Settings;
use crate::link::Link;
use crate::link::target::Target;
use crate::model::{LinkId, Place, Side};
use crate::ui::Look;

/// What each pane shows first; none for the current folder.
#[derive(Debug, Clone, Default)]
pub struct Opening {
    pub left: Option<OsString>,
    pub right: Option<OsString>,
}

/// Runs the panes to their end. Err before the screen is taken where something typed makes no sense.
pub async fn run(opening: Opening, settings: &Settings, local: Arc<Service>) -> anyhow::Result<u8> {
    let home = local.welcome().home.clone();
    let mut first = Vec::new();
    let left = pane(opening.left.as_deref(), Side::Left, &mut first)?;
    let right = pane(opening.right.as_deref(), Side::Right, &mut first)?;
    let mut app = App::new(left, right, home);
    for side in [Side::Left, Side::Right] {
        first.push(app.pane_mut(side).begin_listing(side));
    }
    let look = Look::new(settings.colors, TimeZone::system());
    let (effects, events) = Effects::new(Link::in_process(local));
    runtime::run(app, first, &look, effects, events).await
}

/// A pane on a local folder; a TARGET is connected to once the screen stands.
fn pane(typed: Option<&OsStr>, side: Side, first: &mut Vec<Effect>) -> anyhow::Result<Pane> {
    let shown = |typed: &OsStr| DisplayName::new(typed.as_bytes()).to_string();
    let path = match typed {
        None => working_folder(),
        Some(typed) => {
            match Target::parse(typed).map_err(|error| anyhow::anyhow!("{}: {error}", shown(typed)))? {
                Target::Local(_) => local_path(Path::new(typed)),
                Target::Remote { .. } => {
                    first.push(Effect::Connect { side, target: typed.to_string_lossy().into_owned() });
                    working_folder()
                }
            }
        }
    };
    let path = path.map_err(|fault| anyhow::anyhow!("{}: {fault}", shown(typed.unwrap_or_default())))?;
    Ok(Pane::new(Place { link: LinkId::LOCAL, path }))
}
