//! The connect screen: the line for a target, and what may be meant, with the state of its connection.

use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Paragraph};

use super::block;
use super::input::{line_shown, visible};
use crate::app::connect::{Connect, From, Offer};
use crate::app::hits::Spot;
use crate::app::servers::State;
use crate::ui::{Scene, area, text};

/// Wider than this nobody reads a line.
const COLUMNS_MAX: u16 = 84;
/// Rows around the list: the frame, the line, what is wrong with it or how to go on, an empty one.
const ROWS_AROUND: u16 = 5;
const ROWS_MAX: u16 = 16;
/// Cells of a bookmark's name, and of where an offer comes from.
const NAME: usize = 14;
const STATE: usize = 13;

pub(super) fn screen(scene: &Scene<'_>, screen: &Connect, frame: &mut Frame<'_>) {
    let (whole, theme) = (frame.area(), scene.theme);
    let rows = screen.rows();
    let room = whole.height.saturating_sub(2).saturating_sub(ROWS_AROUND);
    let list = (rows.len().max(1) as u16).min(ROWS_MAX).min(room.max(1));
    let (width, height) = (whole.width.min(COLUMNS_MAX), (list + ROWS_AROUND).min(whole.height));
    let place = Rect { x: (whole.width - width) / 2, y: (whole.height - height) / 3, width, height };
    let keys = [
        " Enter connects · Tab completes · ^b bookmark · ^d disconnect · Del forgets ",
        " Enter connects · Esc closes ",
    ];
    let keys = keys.into_iter().find(|keys| text::columns(keys) + 2 <= width as usize).unwrap_or_default();
    let block = block("Connect", theme.frame_active, theme).title_bottom(Span::styled(keys, theme.dim));
    let inner = block.inner(place);
    frame.render_widget(Clear, place);
    frame.render_widget(block, place);
    let mut hits = scene.hits.borrow_mut();
    hits.push(area(place), Spot::Window);
    let line = Rect { height: 1, ..inner };
    let (shown, cursor) = visible(&screen.line, inner.width as usize);
    frame.render_widget(line_shown(&screen.line, shown, theme, theme.field), line);
    if screen.cursor.is_none() {
        frame.set_cursor_position(Position { x: line.x + cursor as u16, y: line.y });
    }
    let (hint, style) = match &screen.problem {
        Some(problem) => (problem.as_str(), theme.bad),
        None => ("tow://HOST/PATH   ssh://[USER@]HOST/PATH   unix:SOCKET   NAME[:PATH]", theme.dim),
    };
    frame.render_widget(
        Line::styled(text::fitted(hint, inner.width as usize), style),
        Rect { y: line.y + 1, ..line },
    );
    let first = screen.cursor.map_or(0, |cursor| cursor.saturating_sub(list as usize - 1));
    for (at, offer) in rows.iter().enumerate().skip(first).take(list as usize) {
        let y = inner.y + 3 + (at - first) as u16;
        if y >= inner.y + inner.height {
            break;
        }
        let row = Rect { y, height: 1, ..inner };
        let style = if screen.cursor == Some(at) { theme.cursor } else { Style::new() };
        frame.render_widget(Paragraph::new(offer_line(scene, offer, inner.width as usize)).style(style), row);
        hits.push(area(row), Spot::Row(at));
    }
    if rows.is_empty() && inner.height > 3 {
        let row = Rect { y: inner.y + 3, height: 1, ..inner };
        let text = if screen.line.text.is_empty() {
            "no bookmarks or hosts yet"
        } else {
            "No matching bookmark or host"
        };
        frame.render_widget(Line::styled(text, theme.dim), row);
    }
}

fn offer_line(scene: &Scene<'_>, offer: &Offer, width: usize) -> Line<'static> {
    let theme = scene.theme;
    let from = match offer.from {
        From::Session => "",
        From::Bookmark => "bookmark",
        From::Recent => "recent",
        From::Ssh => "ssh config",
    };
    let (sign, state, style) = match scene.app.state_of(&offer.target) {
        Some(State::Live { .. }) => ("● ", "connected", theme.good),
        Some(State::Connecting { .. }) => ("◌ ", "connecting", theme.mark),
        Some(State::Lost(_)) => ("○ ", "disconnected", theme.bad),
        None => ("  ", from, theme.dim),
    };
    let has_room = width >= NAME + STATE + 24;
    let (name_room, state_room) = if has_room { (NAME, STATE) } else { (0, 0) };
    let target_room = width.saturating_sub(2 + name_room + state_room);
    let target = match &offer.name {
        Some(name) if !has_room => format!("{name} → {}", offer.target),
        _ => offer.target.clone(),
    };
    let name = text::padded(offer.name.as_deref().unwrap_or_default(), name_room.saturating_sub(1));
    let mut spans = vec![Span::styled(sign, style)];
    if has_room {
        spans.push(Span::styled(format!("{name} "), theme.strong));
    }
    spans.push(Span::raw(text::padded(&target, target_room)));
    if has_room {
        spans.push(Span::styled(format!("{state:>STATE$}"), style));
    }
    Line::from(spans)
}
