//! The list of jobs: what each does, how far it is, how fast, and how long it will take.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Paragraph};

use super::block;
use crate::app::hits::Spot;
use crate::app::jobs::{Hold, Job, Over};
use crate::model::number::{counted, thousands};
use crate::model::size::human;
use crate::ui::jobs::{sparkline, state, time};
use crate::ui::{Scene, area, text};

/// Keys of the list.
pub(in crate::ui) const KEYS: &str =
    " p pause · x cancel · R retry · o answer · J K move · % limit · L limit all · c clear · Esc closes ";

/// Wider than this nobody reads a line.
const COLUMNS_MAX: u16 = 120;
/// Rows of one job: what it does, and how far it is.
const JOB_ROWS: usize = 2;
/// Shorter silence is worth no word.
const IDLE_MS_MIN: u64 = 3_000;

pub(super) fn list(scene: &Scene<'_>, cursor: usize, frame: &mut Frame<'_>) {
    let (whole, theme) = (frame.area(), scene.theme);
    let width = whole.width.min(COLUMNS_MAX);
    let place = Rect {
        x: whole.x + (whole.width - width) / 2,
        y: whole.y + 1,
        width,
        height: (scene.app.job_rows().max(1) * JOB_ROWS + 2).min(whole.height.saturating_sub(2) as usize)
            as u16,
    };
    let title = scene
        .app
        .limit
        .map_or_else(|| "Jobs".to_owned(), |limit| format!("Jobs · {}/s in all", human(limit)));
    let keys = [
        KEYS,
        " p pause · x cancel · R retry · o answer · J K move · % L limit · c clear ",
        " p x R o J K % L c · Esc closes ",
    ];
    let keys = keys.into_iter().find(|keys| text::columns(keys) + 2 <= width as usize).unwrap_or_default();
    let block = block(&title, theme.frame_active, theme).title_bottom(Span::styled(keys, theme.dim));
    let inner = block.inner(place);
    frame.render_widget(Clear, place);
    frame.render_widget(block, place);
    scene.hits.borrow_mut().push(area(place), Spot::Window);
    let shown = (inner.height as usize / JOB_ROWS).max(1);
    let first = cursor.saturating_sub(shown - 1);
    let width = inner.width as usize;
    let jobs = scene.app.jobs.iter().map(|job| lines(scene, job, width));
    let over = scene.app.over.iter().map(|over| over_lines(scene, over, width));
    for (row, lines) in jobs.chain(over).enumerate().skip(first).take(shown) {
        let y = inner.y + ((row - first) * JOB_ROWS) as u16;
        let height = (JOB_ROWS as u16).min(inner.y + inner.height - y);
        let place = Rect { y, height, ..inner };
        let style = if row == cursor { theme.cursor } else { ratatui::style::Style::new() };
        frame.render_widget(Paragraph::new(lines).style(style), place);
        scene.hits.borrow_mut().push(area(place), Spot::Row(row));
    }
    if scene.app.job_rows() == 0 {
        frame.render_widget(Line::styled("No jobs", theme.dim), inner);
    }
}

fn lines(scene: &Scene<'_>, job: &Job, width: usize) -> Vec<Line<'static>> {
    let theme = scene.theme;
    let first = title(scene, job, width);
    let now = &job.now;
    let files = if now.growing { "… files".to_owned() } else { counted(now.files_total, "file", "files") };
    let megabytes = if now.growing { "…".to_owned() } else { text::megabytes(now.bytes_total) };
    let mut parts = vec![
        format!("{} of {files}", thousands(now.files)),
        format!("{} of {megabytes} MB", text::megabytes(now.bytes)),
    ];
    if job.hold == Some(Hold::Connection) {
        parts.push("waits for its connection".to_owned());
    } else if let Some(state) = state(job) {
        parts.push(state.to_owned());
    } else {
        if job.idle_ms() >= IDLE_MS_MIN {
            parts.push(format!("nothing for {}", time(job.idle_ms() / 1_000)));
        }
        if now.bytes_per_second > 0 {
            parts.push(format!("{}/s", human(now.bytes_per_second)));
        }
        parts.extend(now.left_seconds.map(|left| format!("{} left", time(left))));
    }
    if !job.conflicts.is_empty() {
        parts
            .push(format!("{} (o)", counted(job.conflicts.len() as u64, "conflict waits", "conflicts wait")));
    }
    if job.short.is_some() {
        parts.push("not enough room (o)".to_owned());
    }
    if job.failures > 0 {
        // Of what was skipped too.
        parts.push(format!("{} (E)", counted(job.failures, "problem", "problems")));
    }
    parts.extend(job.limit.map(|limit| format!("at most {}/s", human(limit))));
    let figures =
        |parts: &[String]| format!("  {:3.0}%  {}", (job.part_done() * 100.0).floor(), parts.join(" · "));
    // The strip shows bytes and rate too; then the limit goes.
    for end in [" MB", "/s", "/s"] {
        let at = parts.iter().position(|part| part.ends_with(end));
        if let Some(at) = at.filter(|_| text::columns(&figures(&parts)) > width) {
            parts.remove(at);
        }
    }
    let figures = text::fitted(&figures(&parts), width);
    let room = width.saturating_sub(text::columns(&figures) + 2);
    let mut second = Line::styled(figures, theme.dim);
    second.push_span(Span::styled(format!("  {}", sparkline(&job.rates, room)), theme.bar));
    vec![first, second]
}

/// What goes where; and what went wrong last, in the rest of the row.
fn title(scene: &Scene<'_>, job: &Job, width: usize) -> Line<'static> {
    let theme = scene.theme;
    let room = if job.failure.is_some() { width * 2 / 5 } else { width };
    let title = text::fitted(&format!("{} {}", job.arrow(), job.title), room);
    let rest = width.saturating_sub(text::columns(&title) + 4);
    let mut line = Line::styled(title, theme.strong);
    if let Some(failure) = &job.failure {
        line.push_span(Span::styled(format!("  ✗ {}", text::fitted_path(failure, rest)), theme.bad));
    }
    line
}

/// A job that is over: how it ended.
fn over_lines(scene: &Scene<'_>, over: &Over, width: usize) -> Vec<Line<'static>> {
    let theme = scene.theme;
    let (sign, style) = if over.good { ('✓', theme.good) } else { ('✗', theme.bad) };
    let mut first = title(scene, &over.job, width.saturating_sub(2));
    first.spans.iter_mut().take(1).for_each(|title| title.style = theme.dim);
    first.spans.insert(0, Span::styled(format!("{sign} "), style));
    vec![first, Line::styled(text::fitted(&format!("  {}", over.text), width), theme.dim)]
}
