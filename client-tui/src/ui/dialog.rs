//! The layers over the panes: what each kind of layer is drawn with, and the window that questions have in common.

mod conflicts;
mod connect;
mod input;
mod jobs;
mod left;
mod question;
mod questioned;
mod scrolled;

#[cfg(test)]
pub(super) use jobs::KEYS as JOB_KEYS;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Clear, Padding, Paragraph};

use super::Scene;
use super::theme::Theme;
use crate::app::dialog::{Answer, Dialog};
use crate::app::hits::Spot;
use crate::app::layout::Area;

/// Inside a window, however wide the screen is.
const COLUMNS_MAX: usize = 72;
const COLUMNS_MIN: usize = 36;

pub(super) fn render(scene: &Scene<'_>, dialog: &Dialog, frame: &mut Frame<'_>) {
    let buttons = buttons(scene, dialog, inner_width(frame.area()));
    match dialog {
        Dialog::Prompt(prompt) => input::prompt(scene, prompt, frame),
        Dialog::Ask(ask) => input::ask(scene, ask, buttons, frame),
        Dialog::Delete(delete) => question::delete(scene, delete, buttons, frame),
        Dialog::Stop(stop) => question::stop(scene, stop, buttons, frame),
        Dialog::Left(_) => left::left(scene, buttons, frame),
        Dialog::Confirm(confirm) => question::confirm(scene, confirm, buttons, frame),
        Dialog::Conflicts(shown) => conflicts::list(scene, shown, frame),
        Dialog::Short(short) => question::short(scene, short, buttons, frame),
        Dialog::Question(asked) => questioned::question(scene, asked, buttons, frame),
        Dialog::Install(install) => questioned::install(scene, install, buttons, frame),
        Dialog::Connect(screen) => connect::screen(scene, screen, frame),
        Dialog::Jobs { cursor } => jobs::list(scene, *cursor, frame),
        Dialog::Help { scroll } => scrolled::help(scene, *scroll, frame),
        Dialog::Log { scroll } => scrolled::log(scene, *scroll, frame),
        Dialog::Words { scroll } => scrolled::words(scene, *scroll, frame),
    }
}

/// Cells inside a window on this screen.
fn inner_width(area: Rect) -> usize {
    (area.width as usize).saturating_sub(6).min(COLUMNS_MAX)
}

/// A row of buttons: what each means, and its cells from the row's beginning.
struct ButtonRow {
    line: Line<'static>,
    buttons: Vec<(u16, u16, Answer)>,
}

/// What can be pressed, in one row or as many as it takes. The focused one has a sign as well as a colour; none has where no key is
/// taken yet.
fn buttons(scene: &Scene<'_>, dialog: &Dialog, width: usize) -> Vec<ButtonRow> {
    let theme = scene.theme;
    let is_deaf = scene.app.is_deaf() && scene.app.dialogs.last() == Some(dialog);
    let takes_away =
        matches!(dialog, Dialog::Delete(_) | Dialog::Stop(_) | Dialog::Short(_) | Dialog::Confirm(_));
    let mut rows: Vec<ButtonRow> = Vec::new();
    for button in dialog.buttons() {
        let style = match button.answer {
            _ if is_deaf => theme.dim,
            _ if button.is_focused => theme.button_focus,
            Answer::Yes if takes_away => theme.button_bad,
            _ => theme.button,
        };
        let key = button.key.map_or_else(String::new, |key| format!(" {key}"));
        let sign = if button.is_focused && !is_deaf { '▸' } else { ' ' };
        let span = Span::styled(format!("{sign} {}{key} ", button.label), style);
        let used = rows.last().map_or(0, |row| row.line.width());
        if rows.is_empty() || used + 1 + span.width() > width {
            rows.push(ButtonRow { line: Line::default(), buttons: Vec::new() });
        }
        if let Some(row) = rows.last_mut() {
            if !row.line.spans.is_empty() {
                row.line.push_span(Span::raw(" "));
            }
            row.buttons.push((row.line.width() as u16, span.width() as u16, button.answer));
            row.line.push_span(span);
        }
    }
    rows
}

/// A window around lines and, to the right below them, buttons; its inner area. Where the screen is low, empty lines go first.
fn window(
    (title, style): (&str, Style),
    lines: Vec<Line<'_>>,
    buttons: Vec<ButtonRow>,
    scene: &Scene<'_>,
    frame: &mut Frame<'_>,
) -> Rect {
    let (area, theme) = (frame.area(), scene.theme);
    let wide = lines.iter().chain(buttons.iter().map(|row| &row.line)).map(Line::width).max().unwrap_or(0);
    let wide = wide.max(COLUMNS_MIN).min(inner_width(area)) as u16;
    let mut lines = lines;
    let (rows, answers): (Vec<_>, Vec<_>) = buttons.into_iter().map(|row| (row.line, row.buttons)).unzip();
    let widths: Vec<u16> = rows.iter().map(|row| row.width() as u16).collect();
    lines.extend(rows.into_iter().map(Line::right_aligned));
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
    let mut hits = scene.hits.borrow_mut();
    hits.push(super::area(place), Spot::Window);
    let first = inner.y + (lines.len() - answers.len()) as u16;
    for ((buttons, width), y) in answers.into_iter().zip(widths).zip(first..) {
        for (x, columns, answer) in buttons {
            let x = inner.x + inner.width.saturating_sub(width) + x;
            hits.push(Area::new(x, y, columns, 1), Spot::Button(answer));
        }
    }
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
