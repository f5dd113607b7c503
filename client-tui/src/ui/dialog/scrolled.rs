//! What is read and not answered: the keys, and what was said so far.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Paragraph};

use super::block;
use crate::app::hits::Spot;
use crate::app::prompt::WORDS;
use crate::ui::keys;
use crate::ui::{Scene, area, text};

/// Wider than this nobody reads a line.
const LOG_COLUMNS_MAX: u16 = 120;
const WORDS_COLUMNS_MAX: u16 = 84;

pub(super) fn help(scene: &Scene<'_>, scroll: usize, frame: &mut Frame<'_>) {
    let area = frame.area();
    let columns = keys::help_columns(area.width);
    let width = (columns * keys::HELP_COLUMN + 4).min(area.width as usize) as u16;
    let rows = area.height.saturating_sub(2) as usize;
    let lines = keys::help(columns, rows, width as usize - 4, scene.theme);
    let height = (lines.len().min(rows) + 2) as u16;
    let place =
        Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 3, width, height };
    scrolled(scene, "Keys", lines, scroll, frame, place);
}

/// The words of the command line: each, what follows it, and what it does.
pub(super) fn words(scene: &Scene<'_>, scroll: usize, frame: &mut Frame<'_>) {
    let area = frame.area();
    let width = area.width.min(WORDS_COLUMNS_MAX);
    let room = (width as usize).saturating_sub(4);
    let mut lines = Vec::new();
    for (word, operands, does) in &WORDS {
        let mut line = Line::from(vec![
            Span::styled(format!("{word:<9}"), scene.theme.focus),
            Span::styled(format!("{operands:<19}"), scene.theme.mark),
        ]);
        // Beside it where there is room, else below.
        if line.width() + text::columns(does) <= room {
            line.push_span(*does);
            lines.push(line);
        } else {
            lines.push(line);
            let below = text::wrapped(does, room.saturating_sub(2));
            lines.extend(below.into_iter().map(|part| Line::raw(format!("  {part}"))));
        }
    }
    let height = (lines.len() as u16 + 2).min(area.height);
    let place =
        Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 3, width, height };
    scrolled(scene, "Words", lines, scroll, frame, place);
}

pub(super) fn log(scene: &Scene<'_>, scroll: usize, frame: &mut Frame<'_>) {
    let whole = frame.area();
    let width = whole.width.min(LOG_COLUMNS_MAX);
    let place = Rect {
        x: whole.x + (whole.width - width) / 2,
        y: whole.y + 1,
        width,
        height: whole.height.saturating_sub(2),
    };
    let mut lines = Vec::new();
    for (tone, said) in scene.app.log.iter().rev() {
        let (style, sign) = scene.theme.tone(*tone);
        for (row, part) in text::wrapped(said, (width as usize).saturating_sub(6)).into_iter().enumerate() {
            let sign = if row == 0 { sign } else { ' ' };
            lines.push(Line::styled(format!("{sign} {part}"), style));
        }
    }
    if lines.is_empty() {
        lines.push(Line::styled("no messages", scene.theme.dim));
    }
    scrolled(scene, "Message log, newest first", lines, scroll, frame, place);
}

fn scrolled(
    scene: &Scene<'_>,
    title: &str,
    lines: Vec<Line<'_>>,
    scroll: usize,
    frame: &mut Frame<'_>,
    place: Rect,
) {
    let theme = scene.theme;
    let (rows, total) = ((place.height as usize).saturating_sub(2), lines.len());
    let first = scroll.min(total.saturating_sub(rows));
    let shown: Vec<Line<'_>> = lines.into_iter().skip(first).take(rows).collect();
    let mut block = block(title, theme.frame_active, theme);
    if total > rows {
        let last = first + shown.len();
        block = block
            .title_bottom(Span::styled(" ↑ ↓ scroll, Esc closes ", theme.dim))
            .title_bottom(Line::styled(format!(" {last}/{total} "), theme.dim).right_aligned());
    } else {
        block = block.title_bottom(Span::styled(" Esc closes ", theme.dim));
    }
    scene.hits.borrow_mut().push(area(place), Spot::Window);
    frame.render_widget(Clear, place);
    frame.render_widget(Paragraph::new(shown).block(block), place);
}
