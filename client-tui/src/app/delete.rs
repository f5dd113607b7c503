//! Deleting, after a question that says how much will go; and how much things hold.

use towpath_protocol::answer::Totals;
use towpath_protocol::fault::Fault;
use towpath_protocol::path::WirePath;

use super::dialog::{Delete, Dialog};
use super::effect::Effect;
use super::jobs::Work;
use super::obey::chosen;
use super::{App, Tone};
use crate::model::number::counted;
use crate::model::size::megabytes_and_bytes;
use crate::model::{LinkId, Place};

/// Why something is measured, where no dialog waits for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Measuring {
    pub(super) ticket: u64,
    pub(super) place: Place,
}

/// F8: what is chosen.
pub(super) fn ask(app: &mut App) -> Vec<Effect> {
    let Some((place, names)) = chosen(app) else { return Vec::new() };
    let paths = names.iter().filter_map(|name| place.path.join(name).ok()).collect();
    vec![ask_about(app, place.link, paths)]
}

/// Asks whether these are to go, and has them counted meanwhile.
pub(super) fn ask_about(app: &mut App, link: LinkId, paths: Vec<WirePath>) -> Effect {
    let ticket = app.next_ticket();
    app.dialogs.push(Dialog::Delete(Delete { link, paths: paths.clone(), totals: None, ticket, focus: 0 }));
    Effect::Measure { ticket, link, paths }
}

/// Yes.
pub(super) fn confirmed(app: &mut App, delete: Delete) -> Vec<Effect> {
    let Delete { link, paths, totals, .. } = delete;
    if !app.is_usable(link) {
        return Vec::new();
    }
    let title = match paths.as_slice() {
        [path] => app.shown_place(&Place { link, path: path.clone() }),
        many => {
            let path = many.first().and_then(WirePath::parent).unwrap_or_default();
            format!("{} items in {}", many.len(), app.shown_place(&Place { link, path }))
        }
    };
    let counted = totals.map_or((0, 0), |totals| (totals.files.saturating_add(totals.folders), totals.bytes));
    let mut job = app.new_job(title, Work::Delete);
    (job.source, job.destination) = (link, link);
    job.sources.clone_from(&paths);
    job.effect = Some(Effect::Remove { job: job.id, link, paths, counted });
    app.enqueue(job);
    Vec::new()
}

/// `z`: what the chosen folders hold.
pub(super) fn measure_chosen(app: &mut App) -> Vec<Effect> {
    let Some((place, names)) = chosen(app) else { return Vec::new() };
    let paths = names.iter().filter_map(|name| place.path.join(name).ok());
    let places = paths.map(|path| Place { link: place.link, path }).collect();
    measure(app, places)
}

/// Has each counted; the answer is said, and shows in the pane.
pub(super) fn measure(app: &mut App, places: Vec<Place>) -> Vec<Effect> {
    let mut effects = Vec::new();
    for place in places {
        let ticket = app.next_ticket();
        effects.push(Effect::Measure { ticket, link: place.link, paths: vec![place.path.clone()] });
        app.measuring.push(Measuring { ticket, place });
    }
    if !effects.is_empty() {
        app.hint("counting …");
    }
    effects
}

/// It is known how much there is.
pub(super) fn measured(app: &mut App, ticket: u64, outcome: Result<Totals, Fault>) {
    let asks = |dialog: &Dialog| matches!(dialog, Dialog::Delete(delete) if delete.ticket == ticket);
    if let Some(at) = app.dialogs.iter().position(asks) {
        let Dialog::Delete(delete) = &mut app.dialogs[at] else { return };
        match outcome {
            Ok(totals) => delete.totals = Some(totals),
            Err(fault) => {
                let link = delete.link;
                app.dialogs.remove(at);
                app.say(Tone::Bad, app.fault_text(link, &fault));
            }
        }
        return;
    }
    let Some(at) = app.measuring.iter().position(|measuring| measuring.ticket == ticket) else { return };
    let place = app.measuring.remove(at).place;
    let totals = match outcome {
        Ok(totals) => totals,
        Err(fault) => return app.say(Tone::Bad, app.fault_text(place.link, &fault)),
    };
    let name = place.path.name().map_or_else(|| "/".to_owned(), |name| name.display().to_string());
    let mut text = format!("{name}: {}", megabytes_and_bytes(totals.bytes));
    if totals.folders > 0 || totals.files != 1 {
        let (files, folders) =
            (counted(totals.files, "file", "files"), counted(totals.folders, "folder", "folders"));
        text = format!("{text} in {files} and {folders}");
    }
    if totals.failed > 0 {
        let unread = counted(totals.failed, "entry", "entries");
        text =
            format!("{name}: contents unreadable ({unread}); at least {}", megabytes_and_bytes(totals.bytes));
        // A part is no size.
        return app.say(Tone::Bad, text);
    }
    app.say(Tone::Good, text);
    let (Some(folder), Some(name)) = (place.path.parent(), place.path.name()) else { return };
    for pane in &mut app.panes {
        if pane.place.link == place.link && pane.place.path == folder {
            pane.rows.measure(name, totals.bytes);
            // Once for all that is being counted.
            if app.measuring.is_empty() {
                pane.sort_measured();
            }
        }
    }
}
