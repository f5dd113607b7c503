//! Paths as people type them: absolute or relative, on this machine or on a server, with `~`, `.` and `..`.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use towpath_protocol::display::DisplayName;
use towpath_protocol::path::{Name, WirePath};

use super::App;
use crate::model::mistyped::Mistyped;
use crate::model::target::Target;
use crate::model::{LinkId, Place};

/// Where `text` leads: `tow://box/x` to a server that is connected, `NAME:x` to where its bookmark says, `/x` to the root of
/// `absolute_on`, all else to something below `base`. Err in words.
pub(super) fn place_of(app: &App, base: &Place, absolute_on: LinkId, text: &[u8]) -> Result<Place, String> {
    let expanded = app.bookmarks.expand(OsStr::from_bytes(text));
    // A bookmark of a path is one of this machine.
    let absolute_on = if expanded.as_bytes() == text { absolute_on } else { LinkId::LOCAL };
    let text = expanded.as_bytes();
    let of_server = app.servers.iter().find_map(|server| {
        let rest = text.strip_prefix(server.name.as_bytes())?;
        (rest.is_empty() || rest.starts_with(b"/")).then_some((server.link, rest))
    });
    let (link, folder, rest) = match of_server {
        Some((link, rest)) => (link, WirePath::root(), rest),
        None if text.windows(3).any(|part| part == b"://") => {
            return Err(format!("{}: not connected to it; connme TARGET connects", DisplayName::new(text)));
        }
        None if text.starts_with(b"/") => (absolute_on, WirePath::root(), text),
        None if text == b"~" || text.starts_with(b"~/") && absolute_on == LinkId::LOCAL => {
            (LinkId::LOCAL, app.home.clone(), &text[1..])
        }
        None => (base.link, base.path.clone(), text),
    };
    let mut path = folder;
    for part in rest.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => path = path.parent().unwrap_or_default(),
            name => {
                let further = Name::new(name).and_then(|name| path.join(&name));
                path = further.map_err(|error| format!("{}: {error}", DisplayName::new(text)))?;
            }
        }
    }
    Ok(Place { link, path })
}

/// Refuses a destination that looks remote and is no TARGET, unless `base` shows an entry of its first name. Err in words.
pub(super) fn check_not_remote(app: &App, base: &Place, text: &[u8]) -> Result<(), String> {
    let Some(mistyped) = Mistyped::of(app.bookmarks.expand(OsStr::from_bytes(text)).as_bytes()) else {
        return Ok(());
    };
    let panes = || app.panes.iter().filter(|pane| pane.place == *base);
    let is_there =
        Name::new(&*mistyped.first).is_ok_and(|first| panes().any(|pane| pane.rows.find(&first).is_some()));
    if is_there { Ok(()) } else { Err(mistyped.message()) }
}

/// Whether a target is meant to be on a server, and not a path. What is wrong with it is told by whoever connects.
pub(super) fn is_remote(target: &str) -> bool {
    !matches!(Target::parse(OsStr::new(target)), Ok(Target::Local(_)))
}

/// Whether the text itself says that it means a folder.
pub(super) fn is_folder_text(text: &[u8]) -> bool {
    matches!(text, b"." | b".." | b"~")
        || text.ends_with(b"/")
        || text.ends_with(b"/.")
        || text.ends_with(b"/..")
}
