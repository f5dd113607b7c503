//! Draws the state. It gets `&App` and changes nothing; what a folder holds beyond what shows costs nothing.

mod date;
mod dialog;
mod jobs;
mod keys;
mod pane;
mod text;
mod theme;

use jiff::tz::TimeZone;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

use crate::app::App;
use crate::config::Colors;
use crate::model::Side;
use date::Dates;
use theme::Theme;

/// Below this there is no room for two panes.
const COLUMNS_MIN: u16 = 40;
const ROWS_MIN: u16 = 10;
/// From here on there is room for empty rows.
const ROWS_AMPLE: u16 = 30;

/// What the screen looks like whatever it shows: colours, and the zone of its dates.
#[derive(Debug)]
pub struct Look {
    theme: Theme,
    zone: TimeZone,
}

impl Look {
    pub const fn new(colors: Colors, zone: TimeZone) -> Self {
        Self { theme: Theme::of(colors), zone }
    }
}

/// What one frame is drawn from.
struct Scene<'a> {
    app: &'a App,
    theme: &'a Theme,
    dates: Dates<'a>,
}

/// Draws everything. `now_ns` is the wall clock, for dates of today.
pub fn render(app: &App, look: &Look, now_ns: i64, frame: &mut Frame<'_>) {
    let area = frame.area();
    let scene = Scene { app, theme: &look.theme, dates: Dates::new(now_ns, &look.zone) };
    if area.width < COLUMNS_MIN || area.height < ROWS_MIN {
        too_small(frame, area);
        return;
    }
    let rows = [
        Constraint::Length(1),
        Constraint::Min(4),
        Constraint::Length(jobs::rows(app, area.height)),
        Constraint::Length(1),
        Constraint::Length(1),
    ];
    let [top, panes, jobs, news, bar] = Layout::vertical(rows).areas(area);
    jobs::top_line(&scene, frame, top);
    let [left, right] = Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]).areas(panes);
    pane::render(&scene, Side::Left, frame, left);
    pane::render(&scene, Side::Right, frame, right);
    jobs::render(&scene, frame, jobs);
    frame.render_widget(news_line(&scene, news.width as usize), news);
    frame.render_widget(keys::bar(scene.theme, bar.width as usize), bar);
    for layer in &app.dialogs {
        dialog::render(&scene, layer, frame);
    }
}

/// The newest good news or error.
fn news_line(scene: &Scene<'_>, width: usize) -> Line<'static> {
    let (tone, text) = &scene.app.news;
    if text.is_empty() {
        return Line::default();
    }
    let (style, sign) = scene.theme.tone(*tone);
    Line::styled(format!(" {sign} {}", text::fitted(text, width.saturating_sub(4))), style)
}

fn too_small(frame: &mut Frame<'_>, area: Rect) {
    let text = format!(
        "tow needs {COLUMNS_MIN} columns and {ROWS_MIN} rows; here are {} and {}.",
        area.width, area.height
    );
    let lines = text::wrapped(&text, area.width as usize).into_iter().map(Line::raw).collect::<Vec<_>>();
    frame.render_widget(Paragraph::new(lines), area);
}
