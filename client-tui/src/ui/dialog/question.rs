//! Questions before something is lost: each names what will go, and the safe answer has the focus.

use ratatui::Frame;
use ratatui::text::{Line, Span};
use towpath_protocol::entry::Attributes;
use towpath_protocol::path::{Name, WirePath};

use super::{ButtonRow, inner_width, window};
use crate::app::dialog::{Conflict, Delete, Stop, Then};
use crate::model::number::{counted, thousands};
use crate::model::{LinkId, Place};
use crate::ui::{Scene, pane, text};

/// Names that a question shows; the rest is counted.
const NAMES_SHOWN_MAX: usize = 20;
/// Lines for them.
const NAME_LINES_MAX: usize = 3;

pub(super) fn delete(scene: &Scene<'_>, delete: &Delete, buttons: Vec<ButtonRow>, frame: &mut Frame<'_>) {
    let (theme, width) = (scene.theme, inner_width(frame.area()));
    let Delete { link, paths, totals, .. } = delete;
    let names: Vec<&Name> = paths.iter().filter_map(WirePath::name).collect();
    let (what, size) = match totals {
        None => (format!("{}, counting …", counted(names.len() as u64, "thing", "things")), String::new()),
        Some(totals) => {
            let files = counted(totals.files, "file", "files");
            let what = match totals.folders {
                0 => files,
                folders => format!("{files} and {}", counted(folders, "folder", "folders")),
            };
            (what, format!("{} MB", text::megabytes(totals.bytes)))
        }
    };
    // Count and size in one row where they have room.
    let both = format!("{what}    {size}");
    let counts = if text::columns(&both) <= width { vec![both] } else { vec![what, size] };
    let folder = paths.first().and_then(WirePath::parent).unwrap_or_default();
    let from = pane::title(scene.app, &Place { link: *link, path: folder });
    let from = text::fitted_path(&from, width.saturating_sub(5));
    let mut lines = vec![Line::default()];
    lines.extend(counts.into_iter().map(|line| Line::styled(line, theme.strong)));
    lines.extend([Line::styled(format!("from {from}"), theme.dim), Line::default()]);
    lines.extend(shown_names(&names, width).into_iter().map(|line| Line::styled(line, theme.mark)));
    lines.extend([Line::default(), Line::raw("Goes for good; cannot be undone."), Line::default()]);
    window(("Delete", theme.bad), lines, buttons, scene, frame);
}

/// As many names as find room, and how many more there are.
fn shown_names(names: &[&Name], width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut shown = 0;
    for name in names.iter().take(NAMES_SHOWN_MAX) {
        let name = text::fitted(&name.display().to_string(), width);
        let has_room =
            lines.last().is_some_and(|line| text::columns(line) + 3 + text::columns(&name) <= width);
        if !has_room && lines.len() == NAME_LINES_MAX {
            break;
        }
        match lines.last_mut() {
            Some(line) if has_room => {
                line.push_str("   ");
                line.push_str(&name);
            }
            _ => lines.push(name),
        }
        shown += 1;
    }
    if shown < names.len() {
        lines.push(format!("and {} more", thousands((names.len() - shown) as u64)));
    }
    lines
}

pub(super) fn stop(scene: &Scene<'_>, stop: &Stop, buttons: Vec<ButtonRow>, frame: &mut Frame<'_>) {
    let (theme, width) = (scene.theme, inner_width(frame.area()));
    let waiting = scene.app.jobs.iter().filter(|job| job.is_waiting()).count();
    let running = counted((scene.app.jobs.len() - waiting) as u64, "job is", "jobs are");
    let waiting =
        if waiting == 0 { String::new() } else { format!(", {} waiting", thousands(waiting as u64)) };
    let warning = if scene.app.jobs.is_empty() {
        "Nothing is running any more.".to_owned()
    } else {
        format!("{running} running{waiting}.")
    };
    let mut lines = vec![Line::default()];
    lines.extend(text::wrapped(&warning, width).into_iter().map(|line| Line::styled(line, theme.strong)));
    lines.push(Line::default());
    let mut hints = vec!["Stop: what is under way is given up; nothing half is left behind."];
    if stop.can_keep {
        hints.insert(0, "Keep: what has come waits; the next tow asks whether to go on.");
    }
    for hint in hints {
        lines.extend(text::wrapped(hint, width).into_iter().map(|line| Line::styled(line, theme.dim)));
    }
    lines.push(Line::default());
    let title = if stop.then == Then::Quit { "Quit" } else { "Disconnect" };
    window((title, theme.bad), lines, buttons, scene, frame);
}

pub(super) fn conflict(
    scene: &Scene<'_>,
    conflict: &Conflict,
    buttons: Vec<ButtonRow>,
    frame: &mut Frame<'_>,
) {
    let (theme, width) = (scene.theme, inner_width(frame.area()));
    let Conflict { job, to, source, there, .. } = conflict;
    let link =
        scene.app.jobs.iter().find(|known| known.id == *job).map_or(LinkId::LOCAL, |job| job.destination);
    let path = text::fitted_path(&pane::title(scene.app, &Place { link, path: to.clone() }), width);
    let age = |one: &Attributes, other: &Attributes| {
        if one.modified_ns > other.modified_ns { "newer" } else { "" }
    };
    let side = |name: &str, attributes: &Attributes, age: &str| {
        let size = format!("{} MB", text::megabytes(attributes.size));
        let date = scene.dates.long(attributes.modified_ns);
        Line::from(vec![
            Span::styled(format!("{name:<5}"), theme.dim),
            Span::raw(format!("{size:>13}  {date:<12}")),
            Span::styled(format!("  {age}"), theme.strong),
        ])
    };
    let mut lines = vec![
        Line::default(),
        Line::styled(path, theme.mark),
        Line::default(),
        side("there", there, age(there, source)),
        side("new", source, age(source, there)),
    ];
    if source.size == there.size {
        lines.push(Line::styled("Both are of the same size.", theme.dim));
    }
    lines.push(Line::default());
    window(("Already there", theme.mark), lines, buttons, scene, frame);
}
