//! The layers over the panes: what each kind of layer is drawn with, and the window that questions have in common.

mod input;
mod question;
mod scrolled;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Clear, Padding, Paragraph};

use super::Scene;
use super::theme::Theme;
use crate::app::dialog::Dialog;

/// Inside a window, however wide the screen is.
const COLUMNS_MAX: usize = 72;
const COLUMNS_MIN: usize = 36;

pub(super) fn render(scene: &Scene<'_>, dialog: &Dialog, frame: &mut Frame<'_>) {
    match dialog {
        Dialog::Input { title, label, line, purpose } => {
            input::render(scene, (title, label), line, purpose, frame);
        }
        Dialog::Delete { place, names, totals, yes } => {
            question::delete(scene, place, names, *totals, *yes, frame);
        }
        Dialog::Quit { yes } => question::quit(scene, *yes, frame),
        Dialog::Conflict { to, source, there, focus, for_all, .. } => {
            question::conflict(scene, to, (source, there), *focus, *for_all, frame);
        }
        Dialog::Help { scroll } => scrolled::help(scene, *scroll, frame),
        Dialog::Log { scroll } => scrolled::log(scene, *scroll, frame),
    }
}

/// Cells inside a window on this screen.
fn inner_width(area: Rect) -> usize {
    (area.width as usize).saturating_sub(6).min(COLUMNS_MAX)
}

/// What can be pressed, in one row or as many as it takes. The focused one has a sign as well as a colour.
fn buttons(buttons: &[(&str, Style, bool)], width: usize, theme: &Theme) -> Vec<Line<'static>> {
    let mut lines = vec![Line::default()];
    for (name, style, is_focused) in buttons {
        let style = if *is_focused { theme.button_focus } else { *style };
        let button = Span::styled(format!("{} {name} ", if *is_focused { '▸' } else { ' ' }), style);
        let used = lines.last().map_or(0, Line::width);
        if used > 0 && used + 1 + button.width() > width {
            lines.push(Line::default());
        }
        if let Some(line) = lines.last_mut() {
            if !line.spans.is_empty() {
                line.push_span(Span::raw(" "));
            }
            line.push_span(button);
        }
    }
    lines
}

/// A window around lines and, to the right below them, buttons; its inner area. Where the screen is low, empty lines go first.
fn window(
    (title, style): (&str, Style),
    lines: Vec<Line<'_>>,
    buttons: Vec<Line<'_>>,
    theme: &Theme,
    frame: &mut Frame<'_>,
) -> Rect {
    let area = frame.area();
    let wide = lines.iter().chain(&buttons).map(Line::width).max().unwrap_or(0);
    let wide = wide.max(COLUMNS_MIN).min(inner_width(area)) as u16;
    let mut lines = lines;
    lines.extend(buttons.into_iter().map(Line::right_aligned));
    let room = area.height.saturating_sub(2) as usize;
    while lines.len() > room {
        let Some(empty) = lines.iter().position(|line| line.width() == 0) else { break };
        lines.remove(empty);
    }
    let (width, height) = (wide + 4, (lines.len() as u16 + 2).min(area.height));
    let place =
        Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 3, width, height };
    let block = block(title, style, theme);
    let inner = block.inner(place);
    frame.render_widget(Clear, place);
    frame.render_widget(Paragraph::new(lines).block(block), place);
    inner
}

fn block(title: &str, style: Style, theme: &Theme) -> Block<'static> {
    Block::bordered()
        .border_type(BorderType::Rounded)
        .border_style(style)
        .title(Span::styled(format!(" {title} "), style.patch(theme.strong)))
        .padding(Padding::horizontal(1))
        .style(theme.dialog)
}
