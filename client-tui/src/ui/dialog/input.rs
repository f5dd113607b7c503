//! Lines that are typed: in a window, or where the news stands.

use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Clear;

use super::{ButtonRow, inner_width, window};
use crate::app::complete::Completion;
use crate::app::dialog::{self, Ask, Label, Prompt, PromptKind};
use crate::app::hits::Spot;
use crate::app::layout::Area;
use crate::ui::theme::Theme;
use crate::ui::{Scene, text};

/// A window with a line to be typed.
pub(super) fn ask(scene: &Scene<'_>, ask: &Ask, buttons: Vec<ButtonRow>, frame: &mut Frame<'_>) {
    let (theme, width) = (scene.theme, inner_width(frame.area()));
    let (shown, cursor) = visible(&ask.line, width);
    let mut lines = vec![Line::default()];
    lines.push(Line::styled(label(&ask.label, width), theme.dim));
    let above = lines.len() as u16;
    lines.push(line_shown(&ask.line, shown, theme, theme.field));
    if ask.is_busy() {
        lines.push(Line::styled("working …  Esc closes", theme.dim));
    } else if let Some(problem) = &ask.problem {
        lines.extend(text::wrapped(problem, width).into_iter().map(|line| Line::styled(line, theme.bad)));
    } else {
        let hint = if ask.focus.is_some() { "↑ edits the line" } else { "Enter confirms · Esc cancels" };
        lines.push(Line::styled(hint, theme.dim));
    }
    lines.push(Line::default());
    let title = text::fitted(&ask.title, width.saturating_sub(2));
    let rows = (lines.len() + buttons.len()) as u16;
    let inner = window((&title, theme.frame_active), lines, buttons, scene, frame);
    // Where the screen is so low that the empty lines went, the typed line is a row higher.
    let above = if inner.height < rows { above - 1 } else { above };
    let line = Area::new(inner.x, inner.y + above, inner.width, 1);
    scene.hits.borrow_mut().push(line, Spot::Line);
    if ask.focus.is_none() && !scene.app.is_deaf() {
        frame.set_cursor_position(Position { x: line.x + cursor as u16, y: line.y });
    }
}

/// The label; if it is too long, the middle of its subject is cut.
fn label(label: &Label, width: usize) -> String {
    let room = width.saturating_sub(text::columns(&label.before) + text::columns(&label.after));
    let about = if label.about.contains('/') {
        text::fitted_path(&label.about, room)
    } else {
        text::fitted(&label.about, room)
    };
    text::fitted(&format!("{}{about}{}", label.before, label.after), width)
}

/// The command line, filter and find stand where the news is; what Tab offers above them.
pub(super) fn prompt(scene: &Scene<'_>, prompt: &Prompt, frame: &mut Frame<'_>) {
    let label = match prompt.kind {
        PromptKind::Command => ":",
        PromptKind::Find => "/",
        PromptKind::Filter => "filter: ",
    };
    let area = frame.area();
    let place = Rect { y: area.y + area.height - 2, height: 1, ..area };
    let room = (area.width as usize).saturating_sub(text::columns(label) + 1);
    let (shown, cursor) = visible(&prompt.line, room);
    frame.render_widget(Clear, place);
    let mut line = line_shown(&prompt.line, shown, scene.theme, Style::new());
    line.spans.insert(0, Span::styled(format!(" {label}"), scene.theme.focus));
    frame.render_widget(line, place);
    if let Some(problem) = prompt.problem {
        let room = text::columns(problem) as u16 + 2;
        let right = Rect { x: place.right().saturating_sub(room), width: room.min(place.width), ..place };
        frame.render_widget(Line::styled(format!(" {problem} "), scene.theme.bad), right);
    }
    let x = place.x + (1 + text::columns(label) + cursor) as u16;
    frame.set_cursor_position(Position { x, y: place.y });
    if let Some(completion) = &prompt.completion {
        let place = Rect { y: place.y - 1, ..place };
        frame.render_widget(Clear, place);
        frame.render_widget(offers(scene, completion, area.width as usize), place);
    }
}

/// A typed line as wide as its room; what is offered shows that typing will replace it.
pub(super) fn line_shown(line: &dialog::Line, shown: String, theme: &Theme, style: Style) -> Line<'static> {
    if !line.is_selected {
        return Line::styled(shown, style);
    }
    let text = shown.trim_end_matches(' ').len();
    let blanks = shown[text..].to_owned();
    Line::from(vec![Span::styled(shown[..text].to_owned(), theme.button_focus), Span::styled(blanks, style)])
}

/// What Tab offers, from the one that stands in the line on.
fn offers(scene: &Scene<'_>, completion: &Completion, width: usize) -> Line<'static> {
    let mut line = Line::default();
    for (at, candidate) in completion.candidates.iter().enumerate().skip(completion.at.unwrap_or(0)) {
        let style = if completion.at == Some(at) { scene.theme.focus } else { scene.theme.dim };
        let span = Span::styled(format!("  {candidate}"), style);
        if line.width() + span.width() > width.saturating_sub(2) {
            line.push_span(Span::styled(" …", scene.theme.dim));
            break;
        }
        line.push_span(span);
    }
    line
}

/// What of a line shows, exactly as wide as there is room, so that the cursor is in it; and the cursor's column.
pub(super) fn visible(line: &dialog::Line, room: usize) -> (String, usize) {
    let room = room.max(2);
    let (before, after) = line.text.split_at(line.cursor);
    let (before, after) = (text::safe(before), text::safe(after));
    let before = text::tail(&before, room - 1).0;
    let cursor = text::columns(before);
    let after = text::head(&after, room - cursor).0;
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
