//! What ssh asks on the way to a server, and the offer to put this program there. What is typed as an answer shows as dots.

use ratatui::Frame;
use ratatui::layout::Position;
use ratatui::text::Line;

use super::{ButtonRow, inner_width, window};
use crate::app::dialog::{Install, Questioned};
use crate::app::hits::Spot;
use crate::app::layout::Area;
use crate::model::{LinkId, QuestionKind};
use crate::ui::{Scene, text};

/// Rows of a window that are not for the text: its frame and the buttons.
const OTHER_ROWS: usize = 3;
/// Those of a line to be typed, and of a word about it.
const LINE_ROWS: usize = 2;

pub(super) fn question(
    scene: &Scene<'_>,
    asked: &Questioned,
    buttons: Vec<ButtonRow>,
    frame: &mut Frame<'_>,
) {
    let (theme, width) = (scene.theme, inner_width(frame.area()));
    let has_line = asked.question.kind == QuestionKind::Secret;
    let is_deaf = scene.app.is_deaf();
    let mut lines = vec![Line::default()];
    let room =
        usize::from(frame.area().height).saturating_sub(OTHER_ROWS + if has_line { LINE_ROWS } else { 0 });
    lines.extend(elided(text::wrapped(&asked.question.text, width), room).into_iter().map(Line::raw));
    let dots = asked.typed.text().chars().count().min(width - 1);
    let line_row = lines.len();
    if has_line {
        lines.push(Line::styled(text::padded(&"•".repeat(dots), width), theme.field));
        lines.push(match (asked.question.is_again, asked.focus) {
            (true, _) => Line::styled("Wrong; ssh asks again.", theme.bad),
            (_, None) => Line::styled("Enter confirms · Esc cancels", theme.dim),
            _ => Line::styled("↑ edits the line", theme.dim),
        });
    }
    lines.push(Line::default());
    let rows = lines.len() + buttons.len();
    let title = format!("ssh asks for {}", target(scene, asked.link));
    let title = text::fitted(&title, width.saturating_sub(2));
    let inner = window((&title, theme.frame_active), lines, buttons, scene, frame);
    if has_line {
        // Where the screen is so low that the empty lines went, the typed line is a row higher.
        let y = inner.y + line_row as u16 - u16::from(usize::from(inner.height) < rows);
        let line = Area::new(inner.x, y, inner.width, 1);
        scene.hits.borrow_mut().push(line, Spot::Line);
        if asked.focus.is_none() && !is_deaf {
            frame.set_cursor_position(Position { x: line.x + dots as u16, y });
        }
    }
}

pub(super) fn install(scene: &Scene<'_>, install: &Install, buttons: Vec<ButtonRow>, frame: &mut Frame<'_>) {
    let (theme, width) = (scene.theme, inner_width(frame.area()));
    let mut lines = vec![Line::default()];
    let room = usize::from(frame.area().height).saturating_sub(OTHER_ROWS);
    lines.extend(elided(text::wrapped(&install.text, width), room).into_iter().map(Line::raw));
    lines.push(Line::default());
    let title = format!("Nothing of ours on {}", target(scene, install.link));
    let title = text::fitted(&title, width.saturating_sub(2));
    window((&title, theme.frame_active), lines, buttons, scene, frame);
}

/// Who is meant; `window` shows it, which escapes nothing.
fn target(scene: &Scene<'_>, link: LinkId) -> String {
    scene.app.server(link).map(|server| text::safe(&server.target).into_owned()).unwrap_or_default()
}

/// The middle of what is too long goes: what is asked stands at the end.
fn elided(mut lines: Vec<String>, room: usize) -> Vec<String> {
    let room = room.max(2);
    if lines.len() > room {
        let last = lines.pop();
        lines.truncate(room - 2);
        lines.push("… enlarge the window to see all".to_owned());
        lines.extend(last);
    }
    lines
}
