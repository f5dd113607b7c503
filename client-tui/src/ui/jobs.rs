//! What moves: the summary in the top line, and two rows a job below the panes.

use std::collections::VecDeque;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::{Scene, text};
use crate::app::layout::JOBS_SHOWN_MAX;
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
        left.push(Span::styled(format!(" {}", text::counted(jobs.len() as u64, "job", "jobs")), theme.dim));
    }
    frame.render_widget(Line::from(left), area);
    if jobs.is_empty() {
        return;
    }
    let Some(traffic) = scene.app.traffic() else { return };
    let (done, files) =
        jobs.iter().fold((0, 0), |(done, all), job| (done + job.now.files, all + job.now.files_total));
    let files = format!("{} of {}", text::thousands(done), text::counted(files, "file", "files"));
    let left = traffic.left_seconds.map_or_else(String::new, |left| format!(" · {} left", time(left)));
    let ways = format!("↑{} ↓{}", traffic.up, traffic.down);
    let text = format!("{ways} · {}/s · {files}{left} ", human(traffic.bytes_per_second));
    frame.render_widget(Line::styled(text, theme.dim).right_aligned(), area);
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
        if area.height > 1 {
            let (name, done, size) = job.now.current.clone().unwrap_or_default();
            let rates = sparkline(&job.rates, LEFT);
            lines.push(row(&format!("   {name}"), Some((done, size)), &rates, theme.bar_dim, scene, width));
        }
        let whole = (!job.now.growing).then_some((job.now.bytes, job.now.bytes_total));
        let left = if job.is_stopping {
            "stops".to_owned()
        } else {
            job.now.left_seconds.map(time).unwrap_or_default()
        };
        let title = format!(" {} {}", job.arrow(), job.title);
        lines.push(row(&title, whole, &left, theme.bar, scene, width));
    }
    frame.render_widget(Paragraph::new(lines), area);
}

/// A name, and what fits besides: a bar and its percent always, sizes and time left where there is room.
fn row(
    name: &str,
    part: Option<(u64, u64)>,
    left: &str,
    bar: Style,
    scene: &Scene<'_>,
    width: usize,
) -> Line<'static> {
    let theme = scene.theme;
    let sizes = if width >= 70 { SIZES + 2 } else { 0 };
    let room = width.saturating_sub(PERCENT + 2 + sizes + LEFT + 2);
    let name_room = (room / 2).min(38);
    let mut spans = vec![Span::raw(text::padded(name, name_room)), Span::raw(" ")];
    if let Some((done, size)) = part {
        let part = if size == 0 { 0.0 } else { done as f64 / size as f64 };
        spans.push(Span::styled(text::bar(part, room - name_room, theme.bar_rest), bar));
        spans.push(Span::styled(format!(" {:3.0}%", (part * 100.0).floor()), theme.strong));
        if sizes > 0 {
            let text = format!("{} / {} MB", text::megabytes(done), text::megabytes(size));
            spans.push(Span::styled(format!("  {text:<SIZES$}"), theme.dim));
        }
    }
    spans.push(Span::styled(format!(" {left:>LEFT$} "), theme.strong));
    Line::from(spans)
}
