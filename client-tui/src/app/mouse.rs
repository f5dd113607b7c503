//! The mouse: clicks, double clicks, the wheel, and the line between the panes. It goes by the same geometry as the drawing.

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};

use super::command::Command;
use super::dialog::Dialog;
use super::effect::Effect;
use super::hits::Spot;
use super::layout::Layout;
use super::obey::obey;
use super::{App, answer, conflicts, connect};
use crate::model::Side;

/// The longest time between the two clicks of a double click.
const DOUBLE_CLICK_MS: u64 = 400;
/// Rows that one turn of the wheel moves.
const WHEEL_ROWS: isize = 3;

/// What the mouse is about.
#[derive(Debug, Default)]
pub(super) struct Mouse {
    /// The newest click: when, and on which row of which pane.
    clicked: Option<(u64, Side, usize)>,
    drags_divider: bool,
}

pub(super) fn moved(app: &mut App, event: MouseEvent, spot: Option<Spot>, at_ms: u64) -> Vec<Effect> {
    // Terminals report what lies beside their window, too: a drag may end there, and nothing else is meant.
    let (columns, rows) = app.screen;
    let is_outside = event.column >= columns || event.row >= rows;
    let (x, y) = (event.column.min(columns.saturating_sub(1)), event.row.min(rows.saturating_sub(1)));
    match event.kind {
        MouseEventKind::Down(_) | MouseEventKind::ScrollDown | MouseEventKind::ScrollUp if is_outside => {
            Vec::new()
        }
        MouseEventKind::Down(MouseButton::Left) => pressed(app, (x, y), spot, at_ms),
        MouseEventKind::Drag(MouseButton::Left) if app.mouse.drags_divider => {
            app.left_permille = (u32::from(x) * 1000 / u32::from(app.screen.0.max(1))).min(1000) as u16;
            Vec::new()
        }
        MouseEventKind::Up(_) => {
            app.mouse.drags_divider = false;
            Vec::new()
        }
        MouseEventKind::ScrollDown => wheel(app, (x, y), WHEEL_ROWS),
        MouseEventKind::ScrollUp => wheel(app, (x, y), -WHEEL_ROWS),
        _ => Vec::new(),
    }
}

fn pressed(app: &mut App, (x, y): (u16, u16), spot: Option<Spot>, at_ms: u64) -> Vec<Effect> {
    if !app.is_meant() {
        return Vec::new();
    }
    if !app.dialogs.is_empty() {
        return on_layer(app, spot);
    }
    match spot {
        Some(Spot::Key(command)) => return obey(app, command),
        Some(Spot::Heading(side, command)) => {
            app.active = side;
            return obey(app, command);
        }
        _ => {}
    }
    let Some(layout) = Layout::of(app, app.screen) else { return Vec::new() };
    if layout.is_divider(x, y) {
        app.mouse.drags_divider = true;
        return Vec::new();
    }
    if layout.jobs.contains(x, y) {
        return obey(app, Command::Jobs);
    }
    for side in [Side::Left, Side::Right] {
        if layout.panes[side as usize].contains(x, y) {
            app.active = side;
            let list = layout.list(side);
            if list.contains(x, y) {
                return on_row(app, side, usize::from(y - list.y), at_ms);
            }
        }
    }
    Vec::new()
}

/// A click on a row: the cursor goes there; a second one opens it.
fn on_row(app: &mut App, side: Side, row: usize, at_ms: u64) -> Vec<Effect> {
    let height = app.page_rows(side);
    let rows = &mut app.pane_mut(side).rows;
    let row = rows.first_row(height) + row;
    if row >= rows.len() {
        return Vec::new();
    }
    rows.go_to(row);
    let is_second = app.mouse.clicked.take().is_some_and(|(then_ms, then_side, then_row)| {
        at_ms.saturating_sub(then_ms) <= DOUBLE_CLICK_MS && (then_side, then_row) == (side, row)
    });
    if is_second {
        return obey(app, Command::Open);
    }
    app.mouse.clicked = Some((at_ms, side, row));
    Vec::new()
}

/// Only the topmost layer is there to be clicked. What is only read is closed by a click beside it.
fn on_layer(app: &mut App, spot: Option<Spot>) -> Vec<Effect> {
    let last_job = app.job_rows().saturating_sub(1);
    match (app.dialogs.last_mut(), spot) {
        (_, Some(Spot::Button(meant))) => return answer::answer(app, meant),
        (Some(Dialog::Ask(ask)), Some(Spot::Line)) => ask.focus = None,
        (Some(Dialog::Question(asked)), Some(Spot::Line)) => asked.focus = None,
        (Some(Dialog::Conflicts(_)), Some(Spot::Row(row))) => conflicts::go_to_row(app, row),
        (Some(Dialog::Connect(_)), Some(Spot::Row(row))) => return connect::clicked(app, row),
        (Some(Dialog::Jobs { cursor }), Some(Spot::Row(row))) => {
            *cursor = row.min(last_job);
        }
        (
            Some(Dialog::Help { .. } | Dialog::Log { .. } | Dialog::Jobs { .. } | Dialog::Words { .. }),
            None,
        ) => {
            drop(app.dialogs.pop());
        }
        _ => {}
    }
    Vec::new()
}

fn wheel(app: &mut App, (x, y): (u16, u16), rows: isize) -> Vec<Effect> {
    match app.dialogs.last_mut() {
        Some(Dialog::Help { scroll } | Dialog::Log { scroll } | Dialog::Words { scroll }) => {
            *scroll = scroll.saturating_add_signed(rows);
            answer::limit_scroll(app);
        }
        Some(Dialog::Conflicts(_)) => conflicts::scrolled(app, rows),
        Some(_) => {}
        None => {
            let Some(layout) = Layout::of(app, app.screen) else { return Vec::new() };
            for side in [Side::Left, Side::Right] {
                if layout.panes[side as usize].contains(x, y) {
                    let height = app.page_rows(side);
                    app.pane_mut(side).rows.scroll_by(rows, height);
                }
            }
        }
    }
    Vec::new()
}
