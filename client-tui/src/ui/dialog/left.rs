//! Jobs that an earlier `tow` did not bring to their end: what goes where, since when, and how much of it there is.

use ratatui::Frame;
use ratatui::text::{Line, Span};
use towpath_protocol::path::WirePath;
use towpath_protocol::time::Time;

use super::{ButtonRow, inner_width, window};
use crate::app::left::title;
use crate::model::Carry;
use crate::model::kept::LeftJob;
use crate::model::number::{counted, thousands};
use crate::ui::{Scene, text};

/// Jobs that are named; the rest is counted.
const JOBS_SHOWN_MAX: usize = 6;
/// Rows of the window besides those of the jobs.
const OTHER_ROWS: usize = 10;

pub(super) fn left(scene: &Scene<'_>, buttons: Vec<ButtonRow>, frame: &mut Frame<'_>) {
    let (theme, width) = (scene.theme, inner_width(frame.area()));
    let jobs = &scene.app.left;
    let count = jobs.len();
    let room = (usize::from(frame.area().height).saturating_sub(OTHER_ROWS) / 2).clamp(1, JOBS_SHOWN_MAX);
    let what =
        format!("{} from an earlier start", counted(count as u64, "unfinished job", "unfinished jobs"));
    let mut lines =
        vec![Line::default(), Line::styled(text::fitted(&what, width), theme.strong), Line::default()];
    for job in jobs.iter().take(room) {
        lines.extend(shown(scene, job, width));
    }
    if count > room {
        lines.push(Line::styled(format!("and {} more", thousands((count - room) as u64)), theme.dim));
    }
    lines.push(Line::default());
    let hint = "Resume: what has arrived is not sent again.";
    lines.extend([Line::styled(text::fitted(hint, width), theme.dim), Line::default()]);
    window(("Unfinished jobs", theme.frame_active), lines, buttons, scene, frame);
}

/// A job in two rows.
fn shown(scene: &Scene<'_>, LeftJob { begun_ns, job, .. }: &LeftJob, width: usize) -> [Line<'static>; 2] {
    let theme = scene.theme;
    let arrow = match (job.source.is_empty(), job.destination.is_empty()) {
        (true, false) => "↑",
        (false, true) => "↓",
        _ => "→",
    };
    let from: Vec<_> = job.items.iter().map(|(from, _)| from.clone()).collect();
    let title = format!("{arrow} {}", title(&job.destination, &from, &job.items));
    let verb = if job.carry == Carry::Copy { "copy" } else { "move" };
    let mut parts = vec![format!("{verb} begun {}", scene.dates.long(Time::from_ns(*begun_ns)))];
    if let Some((files, bytes)) = job.totals {
        parts.push(format!("{}, {} MB", counted(files, "file", "files"), text::megabytes(bytes)));
    }
    let folder = from.first().and_then(WirePath::parent).unwrap_or_default();
    parts.push(format!("from {}/{}", job.source, folder.display()));
    let figures = text::fitted(&format!("  {}", parts.join(" · ")), width);
    [Line::from(Span::styled(text::fitted(&title, width), theme.mark)), Line::styled(figures, theme.dim)]
}
