//! A frame as text: what stands in each cell, then one letter a cell for its style, and what the letters mean.

use std::fmt::Write;

use jiff::tz::TimeZone;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier, Style};
use towpath::app::App;
use towpath::app::hits::Hits;
use towpath::config::{Background, Colors};
use towpath::ui::{Look, render};
use unicode_width::UnicodeWidthStr;

/// 2026-11-23T16:45:00Z: no picture depends on a clock.
pub const NOW_NS: i64 = 1_795_452_300_000_000_000;

/// The cells of a frame, and what can be clicked.
pub fn drawn(app: &App, colors: Colors, (columns, rows): (u16, u16)) -> (Buffer, Hits) {
    drawn_on(app, (colors, Background::Dark), (columns, rows))
}

fn drawn_on(
    app: &App,
    (colors, background): (Colors, Background),
    (columns, rows): (u16, u16),
) -> (Buffer, Hits) {
    let look = Look::new(colors, background, TimeZone::UTC);
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
    let mut hits = Hits::default();
    terminal.draw(|frame| hits = render(app, &look, NOW_NS, frame)).unwrap();
    (terminal.backend().buffer().clone(), hits)
}

/// The cells of a row that a terminal shows: not those behind a wide character.
pub fn shown(buffer: &Buffer, y: u16) -> Vec<&Cell> {
    let (mut cells, mut x) = (Vec::new(), 0);
    while x < buffer.area.width {
        let cell = &buffer[(x, y)];
        cells.push(cell);
        x += cell.symbol().width().max(1) as u16;
    }
    cells
}

/// Text, styles and legend. Blanks at the ends of rows are left out.
pub fn picture(app: &App, colors: Colors, background: Background, size: (u16, u16)) -> String {
    let (buffer, _) = drawn_on(app, (colors, background), size);
    let mut styles: Vec<Style> = Vec::new();
    let (mut text, mut grid) = (String::new(), String::new());
    for y in 0..size.1 {
        let (mut row, mut letters) = (String::new(), String::new());
        for cell in shown(&buffer, y) {
            row.push_str(cell.symbol());
            let letter = letter(&mut styles, cell.style());
            letters.extend(std::iter::repeat_n(letter, cell.symbol().width().max(1)));
        }
        writeln!(text, "{}", row.trim_end()).unwrap();
        writeln!(grid, "{}", letters.trim_end_matches('.')).unwrap();
    }
    let mut legend = String::new();
    for (at, style) in styles.iter().enumerate() {
        writeln!(legend, "{} {}", char::from(b'a' + at as u8), described(*style)).unwrap();
    }
    format!("{text}\n{grid}\n{legend}")
}

fn letter(styles: &mut Vec<Style>, style: Style) -> char {
    if described(style).is_empty() {
        return '.';
    }
    let at = styles.iter().position(|known| *known == style).unwrap_or_else(|| {
        styles.push(style);
        styles.len() - 1
    });
    char::from(b'a' + at as u8)
}

fn described(style: Style) -> String {
    let mut words = Vec::new();
    for (name, color) in [("", style.fg), ("on ", style.bg)] {
        match color {
            None | Some(Color::Reset) => {}
            Some(color) => words.push(format!("{name}{color}")),
        }
    }
    words.extend(style.add_modifier.iter_names().map(|(name, _): (&str, Modifier)| name.to_lowercase()));
    words.join(" ")
}
