//! What moves: the summary in the top line, and two rows a job below the panes.

use std::collections::VecDeque;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::{Scene, text};
use crate::app::jobs::{Hold, Job, Stage, Work};
use crate::app::layout::JOBS_SHOWN_MAX;
use crate::model::number::{counted, thousands};
use crate::model::size::human;

/// `100%`.
const PERCENT: usize = 4;
/// `15.50 / 1 932.11 MB`.
const SIZES: usize = 23;
/// `1:02:03`.
const LEFT: usize = 7;

/// The program, and how the jobs are all in all.
pub(super) fn top_line(scene: &Scene<'_>, frame: &mut Frame<'_>, area: Rect) {
    let (jobs, theme) = (&scene.app.jobs, scene.theme);
    let mut left = vec![Span::styled(" tow", theme.focus)];
    if !jobs.is_empty() {
        left.push(Span::styled(format!(" {}", counted(jobs.len() as u64, "job", "jobs")), theme.dim));
    }
    let wanted = scene.app.answers_wanted() as u64;
    if wanted > 0 {
        let text = format!("  ? {} an answer (o)", counted(wanted, "needs", "need"));
        left.push(Span::styled(text, theme.mark));
    }
    let left = Line::from(left);
    let used = left.width();
    frame.render_widget(left, area);
    if jobs.is_empty() {
        return;
    }
    let Some(traffic) = scene.app.traffic() else { return };
    let done = jobs.iter().fold(0_u64, |done, job| done.saturating_add(job.now.files));
    let files = jobs.iter().fold(0_u64, |all, job| all.saturating_add(job.now.files_total));
    let files = format!("{} of {}", thousands(done), counted(files, "file", "files"));
    let left = traffic.left_seconds.map_or_else(String::new, |left| format!(" · {} left", time(left)));
    let (ways, rate) = (format!("↑{} ↓{}", traffic.up, traffic.down), human(traffic.bytes_per_second));
    // As much as has room beside the other end.
    let room = (area.width as usize).saturating_sub(used + 2);
    let texts =
        [format!("{ways} · {rate}/s · {files}{left}"), format!("{rate}/s{left}"), format!("{rate}/s")];
    if let Some(text) = texts.into_iter().find(|text| text::columns(text) <= room) {
        frame.render_widget(Line::styled(format!("{text} "), theme.dim).right_aligned(), area);
    }
}

/// Eighth blocks, the newest rate last, the highest as high as there is room.
pub(super) fn sparkline(rates: &VecDeque<u64>, columns: usize) -> String {
    const EIGHTHS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let highest = rates.iter().max().copied().unwrap_or(0).max(1);
    let shown = rates.iter().skip(rates.len().saturating_sub(columns));
    shown.map(|rate| EIGHTHS[(u128::from(*rate) * 7 / u128::from(highest)) as usize]).collect()
}

pub(super) fn time(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// Two rows a job: the file under way, and the whole.
pub(super) fn render(scene: &Scene<'_>, frame: &mut Frame<'_>, area: Rect) {
    let (theme, width) = (scene.theme, area.width as usize);
    let mut lines = Vec::new();
    if area.height as usize > 2 * scene.app.jobs.len().min(JOBS_SHOWN_MAX) {
        lines.push(Line::default());
    }
    for job in scene.app.jobs.iter().take(JOBS_SHOWN_MAX) {
        let now = &job.now;
        if area.height > 1 {
            let rates = Span::styled(right(&sparkline(&job.rates, LEFT)), theme.frame_active);
            lines.push(match &now.current {
                Some((name, done, size)) => {
                    let part = if *size == 0 { 1.0 } else { *done as f64 / *size as f64 };
                    let sizes = format!("{} / {} MB", text::megabytes(*done), text::megabytes(*size));
                    row((&format!("   {name}"), "", &sizes, rates), Some(part), theme.bar_dim, scene, width)
                }
                None => Line::default(),
            });
        }
        let left = match state(job) {
            Some(state) => state.to_owned(),
            None => now.left_seconds.map(time).unwrap_or_default(),
        };
        let left = Span::styled(right(&left), theme.strong);
        let title = format!(" {} {}", job.arrow(), job.title);
        let part = (!now.growing).then(|| job.part_done());
        let badge = match job.answers_wanted() as u64 {
            0 => String::new(),
            wanted => format!(" {} (o)", thousands(wanted)),
        };
        lines.push(row((&title, &badge, &done_of(job), left), part, theme.bar, scene, width));
    }
    let hidden = scene.app.jobs.len().saturating_sub(JOBS_SHOWN_MAX) as u64;
    if hidden > 0 && (area.height as usize) > lines.len() {
        let text = format!("   and {} more; w shows all", counted(hidden, "job", "jobs"));
        lines.push(Line::styled(text, theme.dim));
    }
    frame.render_widget(Paragraph::new(lines), area);
}

/// In a word, where a job does not run.
pub(super) const fn state(job: &Job) -> Option<&'static str> {
    match (job.stage, job.hold) {
        (Stage::Stopping, _) => Some("stops"),
        (_, Some(Hold::Person)) => Some("paused"),
        (Stage::Waiting, _) => Some("waits"),
        (Stage::Running, _) => None,
    }
}

/// At the right end of a row.
fn right(text: &str) -> String {
    format!(" {text:>LEFT$} ")
}

/// How much of how much, as far as that is known.
fn done_of(job: &Job) -> String {
    let now = &job.now;
    let known = |total: String| if now.growing { "…".to_owned() } else { total };
    match job.work {
        Work::Delete => {
            format!("{} / {} files", thousands(now.files), known(thousands(now.files_total)))
        }
        Work::Carry(_) => {
            format!("{} / {} MB", text::megabytes(now.bytes), known(text::megabytes(now.bytes_total)))
        }
    }
}

/// A name, and what fits besides: a bar and its percent always, sizes and time left where there is room. No part is known while the
/// whole still grows.
fn row(
    (name, badge, sizes, right): (&str, &str, &str, Span<'static>),
    part: Option<f64>,
    bar: Style,
    scene: &Scene<'_>,
    width: usize,
) -> Line<'static> {
    let theme = scene.theme;
    let sizes_room = if width >= 70 { SIZES + 2 } else { 0 };
    let room = width.saturating_sub(PERCENT + 2 + sizes_room + LEFT + 2);
    let name_room = (room * 3 / 5).min(38);
    let percent = part.map_or_else(|| "…".to_owned(), |part| format!("{:.0}%", (part * 100.0).floor()));
    let mut spans = vec![
        Span::raw(text::padded(name, name_room.saturating_sub(text::columns(badge)))),
        Span::styled(format!("{badge} "), theme.mark),
        Span::styled(text::bar(part.unwrap_or_default(), room - name_room, theme.bar_rest), bar),
        Span::styled(format!(" {percent:>PERCENT$}"), theme.strong),
    ];
    if sizes_room > 0 {
        spans.push(Span::styled(format!("  {}", text::padded(sizes, SIZES)), theme.dim));
    }
    spans.push(right);
    Line::from(spans)
}
