//! What moves: the summary in the top line, and two rows a job below the panes.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::{ROWS_AMPLE, Scene, text};
use crate::app::App;
use crate::model::JobView;
use crate::model::size::human;

/// Jobs that show at a time; two rows each.
const JOBS_SHOWN_MAX: usize = 3;
/// Up to this height a job has one row.
const ROWS_LOW: u16 = 14;
/// `100%`.
const PERCENT: usize = 4;
/// `15.50 / 1 932.11 MB`.
const SIZES: usize = 23;
/// `1:02:03`.
const LEFT: usize = 7;

/// Rows that the jobs take on a screen of this height.
pub(super) fn rows(app: &App, height: u16) -> u16 {
    let jobs = app.jobs.len().min(JOBS_SHOWN_MAX) as u16;
    match height {
        _ if jobs == 0 => 0,
        0..=ROWS_LOW => 1,
        ROWS_AMPLE.. => jobs * 2 + 2,
        _ => jobs * 2,
    }
}

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
    let rate: u64 = jobs.iter().map(rate).sum();
    let (done, files) =
        jobs.iter().fold((0, 0), |(done, all), job| (done + job.files, all + job.files_total));
    let files = format!("{} of {}", text::thousands(done), text::counted(files, "file", "files"));
    let left = jobs.iter().map(seconds_left).max().flatten().map(time);
    let left = left.map_or_else(String::new, |left| format!("   {left} left"));
    let text = format!("{}/s   {files}{left} ", human(rate));
    frame.render_widget(Line::styled(text, theme.dim).right_aligned(), area);
}

fn rate(job: &JobView) -> u64 {
    job.bytes.saturating_mul(1_000) / job.elapsed_ms.max(1)
}

fn seconds_left(job: &JobView) -> Option<u64> {
    let rate = rate(job);
    (!job.growing && rate > 0).then(|| job.bytes_total.saturating_sub(job.bytes).div_ceil(rate))
}

fn time(seconds: u64) -> String {
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
            let (name, done, size) = job.current.clone().unwrap_or_default();
            lines.push(row(&format!("   {name}"), Some((done, size)), "", theme.bar_dim, scene, width));
        }
        let whole = (!job.growing).then_some((job.bytes, job.bytes_total));
        let left = seconds_left(job).map(time).unwrap_or_default();
        lines.push(row(&format!(" {}", job.title), whole, &left, theme.bar, scene, width));
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
