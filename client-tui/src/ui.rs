//! Draws the state. It gets `&App` and changes nothing; what a folder holds beyond what shows costs nothing.

mod dialog;
mod pane;
mod text;
mod theme;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

pub use theme::Theme;

use crate::app::command::BAR;
use crate::app::{App, Tone};
use crate::model::{JobView, Side};

/// Below this there is no room for two panes.
const COLUMNS_MIN: u16 = 40;
const ROWS_MIN: u16 = 10;
/// Jobs that show at a time; two rows each.
const JOBS_SHOWN_MAX: usize = 3;

/// Draws everything. `now_ns` is the wall clock, for dates of today.
pub fn render(app: &App, theme: &Theme, now_ns: i64, frame: &mut Frame<'_>) {
    let area = frame.area();
    if area.width < COLUMNS_MIN || area.height < ROWS_MIN {
        frame.render_widget(Paragraph::new("tow needs 40 columns and 10 rows"), area);
        return;
    }
    let jobs = app.jobs.len().min(JOBS_SHOWN_MAX) as u16;
    let job_rows = if area.height > ROWS_MIN + 4 { jobs * 2 } else { jobs.min(1) };
    let rows = [
        Constraint::Length(1),
        Constraint::Min(4),
        Constraint::Length(job_rows),
        Constraint::Length(1),
        Constraint::Length(1),
    ];
    let [top, panes, jobs, news, bar] = Layout::vertical(rows).areas(area);
    top_line(app, theme, frame, top);
    let [left, right] = Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]).areas(panes);
    pane::render(app, Side::Left, theme, now_ns, frame, left);
    pane::render(app, Side::Right, theme, now_ns, frame, right);
    job_lines(app, theme, frame, jobs);
    let (tone, text) = &app.news;
    let style = match tone {
        Tone::Good => theme.good,
        Tone::Bad => theme.bad,
        Tone::Plain => theme.dim,
    };
    let mark = match tone {
        Tone::Good => " ✓ ",
        Tone::Bad => " ✗ ",
        Tone::Plain => "   ",
    };
    let text = if text.is_empty() {
        String::new()
    } else {
        format!("{mark}{}", text::fitted(text, area.width as usize - 4))
    };
    frame.render_widget(Paragraph::new(Span::styled(text, style)), news);
    key_bar(theme, frame, bar);
    for layer in &app.dialogs {
        dialog::render(app, layer, theme, now_ns, frame, area);
    }
}

fn top_line(app: &App, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let mut left = vec![Span::styled(" tow", theme.focus)];
    if !app.jobs.is_empty() {
        let jobs = format!(" {} job{}", app.jobs.len(), if app.jobs.len() == 1 { "" } else { "s" });
        left.push(Span::styled(jobs, theme.dim));
    }
    frame.render_widget(Paragraph::new(Line::from(left)), area);
    if let Some(job) = app.jobs.first() {
        let text =
            format!("{}   {} of {} files   {} ", rate(job), job.files, job.files_total, left_time(job));
        frame.render_widget(Paragraph::new(Span::styled(text, theme.dim)).right_aligned(), area);
    }
}

fn rate(job: &JobView) -> String {
    format!("{}/s", text::human(job.bytes.saturating_mul(1_000) / job.elapsed_ms.max(1)))
}

fn left_time(job: &JobView) -> String {
    if job.growing || job.bytes == 0 {
        return "…".to_owned();
    }
    let left = job.bytes_total.saturating_sub(job.bytes);
    let seconds = (left as f64 * job.elapsed_ms as f64 / job.bytes as f64 / 1_000.0).ceil() as u64;
    format!("{}:{:02} left", seconds / 60, seconds % 60)
}

/// Two rows a job: the file under way, and the whole.
fn job_lines(app: &App, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let mut lines = Vec::new();
    for job in app.jobs.iter().take(JOBS_SHOWN_MAX) {
        if area.height as usize >= 2 * app.jobs.len().min(JOBS_SHOWN_MAX) {
            let (name, done, size) = job.current.clone().unwrap_or_default();
            lines.push(job_line(&format!(" {name}"), (done, size), "", theme.accent_bar, theme, area.width));
        }
        let rest = format!("{}  {}", rate(job), left_time(job));
        lines.push(job_line(
            &format!(" {}", job.title),
            (job.bytes, job.bytes_total),
            &rest,
            theme.dim_bar,
            theme,
            area.width,
        ));
    }
    frame.render_widget(Paragraph::new(lines), area);
}

fn job_line(
    name: &str,
    (done, size): (u64, u64),
    rest: &str,
    bar: ratatui::style::Style,
    theme: &Theme,
    width: u16,
) -> Line<'static> {
    let name_columns = (width as usize / 3).clamp(10, 36);
    let bar_columns = (width as usize).saturating_sub(name_columns + 50).clamp(6, 44);
    let part = if size == 0 { 0.0 } else { done as f64 / size as f64 };
    Line::from(vec![
        Span::raw(text::padded(name, name_columns)),
        Span::raw(" "),
        Span::styled(text::bar(part, bar_columns), bar),
        Span::styled(format!(" {:3.0}%", (part * 100.0).floor()), theme.strong),
        Span::styled(format!("  {}/{} MB  {rest}", text::megabytes(done), text::megabytes(size)), theme.dim),
    ])
}

fn key_bar(theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let mut spans = Vec::new();
    let mut columns = 0;
    for (key, word) in BAR {
        columns += key.len() + word.len() + 3;
        if columns > area.width as usize {
            break;
        }
        spans.push(Span::styled(format!(" {key}"), theme.focus));
        spans.push(Span::styled(format!(" {word} "), theme.dim));
    }
    frame.render_widget(Paragraph::new(Line::from(spans)), area);
}
