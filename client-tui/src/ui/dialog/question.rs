//! Questions before something is lost: each names what will go, and the safe answer has the focus.

use ratatui::Frame;
use ratatui::text::Line;
use towpath_protocol::path::{Name, WirePath};

use super::{ButtonRow, inner_width, window};
use crate::app::dialog::{Confirm, Delete, Doomed, Short, Stop, Then};
use crate::app::jobs::Work;
use crate::model::Place;
use crate::model::number::{counted, thousands};
use crate::ui::{Scene, text};

/// Names that a question shows; the rest is counted.
const NAMES_SHOWN_MAX: usize = 20;
/// Lines for them.
const NAME_LINES_MAX: usize = 3;

pub(super) fn delete(scene: &Scene<'_>, delete: &Delete, buttons: Vec<ButtonRow>, frame: &mut Frame<'_>) {
    let (theme, width) = (scene.theme, inner_width(frame.area()));
    let Delete { link, paths, totals, .. } = delete;
    let names: Vec<&Name> = paths.iter().filter_map(WirePath::name).collect();
    let (what, size) = match totals {
        None => (format!("{}, counting …", counted(names.len() as u64, "item", "items")), String::new()),
        Some(totals) => {
            let files = counted(totals.files, "file", "files");
            let what = match totals.folders {
                0 => files,
                folders => format!("{files} and {}", counted(folders, "folder", "folders")),
            };
            (what, format!("{} MB", text::megabytes(totals.bytes)))
        }
    };
    let unread = totals.as_ref().map_or(0, |totals| totals.failed);
    let what = if unread > 0 { format!("at least {what}") } else { what };
    // Count and size in one row where they have room.
    let both = format!("{what}    {size}");
    let counts = if text::columns(&both) <= width { vec![both] } else { vec![what, size] };
    let folder = paths.first().and_then(WirePath::parent).unwrap_or_default();
    let from = scene.app.shown_place(&Place { link: *link, path: folder });
    let from = text::fitted_path(&from, width.saturating_sub(5));
    let mut lines = vec![Line::default()];
    lines.extend(counts.into_iter().map(|line| Line::styled(line, theme.strong)));
    lines.extend([Line::styled(format!("from {from}"), theme.dim), Line::default()]);
    lines.extend(shown_names(&names, width).into_iter().map(|line| Line::styled(line, theme.mark)));
    if unread > 0 {
        let unread = format!(
            "Contents unreadable: {}. What they hold is not counted.",
            counted(unread, "entry", "entries")
        );
        lines.push(Line::default());
        lines.extend(text::wrapped(&unread, width).into_iter().map(|line| Line::styled(line, theme.bad)));
    }
    lines.extend([Line::default(), Line::raw("Deleted permanently. Cannot be undone."), Line::default()]);
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
    let mut hints = vec!["Stop: cancel; partial files are removed."];
    if stop.can_keep {
        hints.insert(0, "Keep: resume at the next start.");
    }
    for hint in hints {
        lines.extend(text::wrapped(hint, width).into_iter().map(|line| Line::styled(line, theme.dim)));
    }
    lines.push(Line::default());
    let title = if stop.then == Then::Quit { "Quit" } else { "Disconnect" };
    window((title, theme.bad), lines, buttons, scene, frame);
}

/// Before something is given up.
pub(super) fn confirm(scene: &Scene<'_>, confirm: &Confirm, buttons: Vec<ButtonRow>, frame: &mut Frame<'_>) {
    let (theme, width) = (scene.theme, inner_width(frame.area()));
    let (title, subject, facts) = match &confirm.what {
        Doomed::Job(id) => {
            let Some(job) = scene.app.jobs.iter().find(|job| job.id == *id) else { return };
            let done = if job.is_waiting() {
                "It has not begun.".to_owned()
            } else {
                format!("{}% done", (job.part_done() * 100.0).floor())
            };
            let hint = match job.work {
                Work::Delete => "What is deleted already stays deleted.",
                Work::Carry(_) => "What has arrived whole stays; partial files are removed.",
            };
            ("Cancel the job", job.title.clone(), vec![done, hint.to_owned()])
        }
        Doomed::Left => {
            let count = counted(scene.app.left.len() as u64, "unfinished job", "unfinished jobs");
            let hint = "Not offered again. What has arrived whole stays; partial files are removed.";
            ("Discard", count, vec![hint.to_owned()])
        }
        Doomed::Bookmark { name, target } => {
            ("Remove the bookmark", name.clone(), vec![text::fitted_path(target, width)])
        }
    };
    let mut lines = vec![Line::default(), Line::styled(text::fitted(&subject, width), theme.mark)];
    for fact in facts {
        lines.extend(text::wrapped(&fact, width).into_iter().map(|line| Line::styled(line, theme.dim)));
    }
    lines.push(Line::default());
    window((title, theme.bad), lines, buttons, scene, frame);
}

pub(super) fn short(scene: &Scene<'_>, short: &Short, buttons: Vec<ButtonRow>, frame: &mut Frame<'_>) {
    let (theme, width) = (scene.theme, inner_width(frame.area()));
    let Short { job, needed, free, .. } = short;
    let title = scene.app.jobs.iter().find(|known| known.id == *job).map_or("", |job| &job.title);
    let mut lines =
        vec![Line::default(), Line::styled(text::fitted(title, width), theme.mark), Line::default()];
    for (label, bytes) in [("needed so far", needed), ("free there", free)] {
        lines.push(Line::raw(format!("{label:<14}{:>13} MB", text::megabytes(*bytes))));
    }
    let what = "What fits still goes there while this is open; what does not fit will fail.";
    lines.push(Line::default());
    lines.extend(text::wrapped(what, width).into_iter().map(Line::raw));
    lines.push(Line::default());
    window(("Not enough room", theme.bad), lines, buttons, scene, frame);
}
