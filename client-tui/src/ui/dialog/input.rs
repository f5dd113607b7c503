//! Lines that are typed: in a window, or where the news stands.

use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Clear;

use super::{inner_width, window};
use crate::app::dialog::{self, Purpose};
use crate::ui::{Scene, text};

pub(super) fn render(
    scene: &Scene<'_>,
    (title, label): (&str, &str),
    line: &dialog::Line,
    purpose: &Purpose,
    frame: &mut Frame<'_>,
) {
    match purpose {
        Purpose::Command => prompt(scene, ":", line, frame),
        Purpose::Find => prompt(scene, "/", line, frame),
        Purpose::Filter => prompt(scene, "filter: ", line, frame),
        _ => typed(scene, title, label, line, frame),
    }
}

fn typed(scene: &Scene<'_>, title: &str, label: &str, line: &dialog::Line, frame: &mut Frame<'_>) {
    let (theme, width) = (scene.theme, inner_width(frame.area()));
    let (shown, cursor) = visible(line, width);
    let mut lines = vec![Line::default()];
    if !label.is_empty() {
        lines.push(Line::styled(text::fitted_path(label, width), theme.dim));
    }
    let above = lines.len() as u16;
    lines.extend([
        Line::styled(shown, theme.field),
        Line::default(),
        Line::styled("Enter does it, Esc leaves it", theme.dim),
    ]);
    let title = text::fitted(title, width.saturating_sub(2));
    let inner = window((&title, theme.frame_active), lines, Vec::new(), theme, frame);
    // Where the screen is so low that the empty lines went, the typed line is a row higher.
    let above = if inner.height < above + 3 { above - 1 } else { above };
    frame.set_cursor_position(Position { x: inner.x + cursor as u16, y: inner.y + above });
}

/// The command line, filter and find stand where the news is.
fn prompt(scene: &Scene<'_>, label: &str, line: &dialog::Line, frame: &mut Frame<'_>) {
    let area = frame.area();
    let place = Rect { y: area.y + area.height - 2, height: 1, ..area };
    let room = (area.width as usize).saturating_sub(text::columns(label) + 1);
    let (shown, cursor) = visible(line, room);
    frame.render_widget(Clear, place);
    let spans = vec![Span::raw(" "), Span::styled(label.to_owned(), scene.theme.focus), Span::raw(shown)];
    frame.render_widget(Line::from(spans), place);
    let x = place.x + (1 + text::columns(label) + cursor) as u16;
    frame.set_cursor_position(Position { x, y: place.y });
}

/// What of a line shows, exactly as wide as there is room, so that the cursor is in it; and the cursor's column.
fn visible(line: &dialog::Line, room: usize) -> (String, usize) {
    let room = room.max(2);
    let (before, after) = line.text.split_at(line.cursor);
    let before = text::tail(before, room - 1).0;
    let cursor = text::columns(before);
    let after = text::head(after, room - cursor).0;
    (text::padded(&format!("{before}{after}"), room), cursor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_too_long_shows_the_part_around_its_cursor() {
        let mut line = dialog::Line::new("0123456789");
        assert_eq!(visible(&line, 5), ("6789 ".to_owned(), 4));
        line.cursor = 2;
        assert_eq!(visible(&line, 5), ("01234".to_owned(), 2));
        let mut wide = dialog::Line::new("日本語");
        assert_eq!(visible(&wide, 4), ("語  ".to_owned(), 2));
        wide.cursor = 0;
        assert_eq!(visible(&wide, 3), ("日 ".to_owned(), 0));
    }
}
