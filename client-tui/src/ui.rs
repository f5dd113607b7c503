//! Draws the state. It gets `&App` and changes nothing; what a folder holds beyond what shows costs nothing.

mod date;
mod dialog;
mod jobs;
mod keys;
mod pane;
mod text;
mod theme;

use std::cell::RefCell;

use jiff::tz::TimeZone;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

use crate::app::App;
use crate::app::hits::Hits;
use crate::app::layout::{Area, COLUMNS_MIN, Layout, ROWS_MIN};
use crate::config::{Background, Colors};
use crate::model::Side;
use date::Dates;
use theme::Theme;

/// What the screen looks like whatever it shows: colours, and the zone of its dates.
#[derive(Debug)]
pub struct Look {
    colors: Colors,
    theme: Theme,
    zone: TimeZone,
}

impl Look {
    pub const fn new(colors: Colors, background: Background, zone: TimeZone) -> Self {
        Self { colors, theme: Theme::of(colors, background), zone }
    }

    /// The terminal's background is known now, or has changed.
    pub const fn set_background(&mut self, background: Background) {
        self.theme = Theme::of(self.colors, background);
    }
}

/// What one frame is drawn from.
struct Scene<'a> {
    app: &'a App,
    theme: &'a Theme,
    dates: Dates<'a>,
    /// What can be clicked.
    hits: RefCell<Hits>,
}

/// Draws everything, and tells what can be clicked. `now_ns` is the wall clock, for dates of today.
pub fn render(app: &App, look: &Look, now_ns: i64, frame: &mut Frame<'_>) -> Hits {
    let area = frame.area();
    let Some(layout) = Layout::of(app, (area.width, area.height)) else {
        too_small(app, frame, area);
        return Hits::default();
    };
    let dates = Dates::new(now_ns, &look.zone);
    let scene = Scene { app, theme: &look.theme, dates, hits: RefCell::new(Hits::of_frame()) };
    jobs::top_line(&scene, frame, rect(layout.top));
    for side in [Side::Left, Side::Right] {
        pane::render(&scene, side, frame, &layout);
    }
    jobs::render(&scene, frame, rect(layout.jobs));
    frame.render_widget(news_line(&scene, layout.news.width as usize), rect(layout.news));
    keys::bar(&scene, frame, layout.bar);
    for layer in &app.dialogs {
        scene.hits.borrow_mut().clear();
        dialog::render(&scene, layer, frame);
    }
    scene.hits.into_inner()
}

const fn rect(area: Area) -> Rect {
    Rect { x: area.x, y: area.y, width: area.width, height: area.height }
}

const fn area(rect: Rect) -> Area {
    Area::new(rect.x, rect.y, rect.width, rect.height)
}

/// What a first key waits for, else the newest good news or error.
fn news_line(scene: &Scene<'_>, width: usize) -> Line<'static> {
    if let Some(second) = keys::second(scene, width) {
        return second;
    }
    let (tone, text) = &scene.app.news;
    if text.is_empty() {
        return Line::default();
    }
    let (style, sign) = scene.theme.tone(*tone);
    Line::styled(format!(" {sign} {}", text::fitted_message(text, width.saturating_sub(4))), style)
}

fn too_small(app: &App, frame: &mut Frame<'_>, area: Rect) {
    let text = format!(
        "tow needs {COLUMNS_MIN} columns and {ROWS_MIN} rows; here are {} and {}.\n{}",
        area.width, area.height, app.news.1
    );
    let lines = text::wrapped(&text, area.width as usize).into_iter().map(Line::raw).collect::<Vec<_>>();
    frame.render_widget(Paragraph::new(lines), area);
}
