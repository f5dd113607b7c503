//! What is in the way of a job: how many of each kind, the list of them, both sides of the one under the cursor, and what can be done.
//! Only the rows that show are made.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Paragraph};
use towpath_protocol::entry::{Attributes, Kind};

use super::{ButtonRow, block, buttons};
use crate::app::conflicts::{Content, Open};
use crate::app::dialog::{Conflicts, Dialog};
use crate::app::hits::Spot;
use crate::app::jobs::Job;
use crate::app::layout::Area;
use crate::model::number::{counted, thousands};
use crate::model::{Conflict, ConflictKind, Place};
use crate::ui::{Scene, area, text};

/// Wider than this nobody reads a line.
const COLUMNS_MAX: u16 = 110;
/// Rows of the list at most.
const ROWS_MAX: usize = 24;
/// Columns of a size, of a date, and of what is different.
const SIZE: usize = 10;
const DATE: usize = 12;
const WORD: usize = 9;
/// Below this a row of the list has no dates.
const DATES_FROM: usize = 84;
/// Below this sizes stand close to their names.
const ROOMY_FROM: usize = 44;
/// Below this it has only a name.
const SIZES_FROM: usize = 56;

pub(super) fn list(scene: &Scene<'_>, shown: &Conflicts, frame: &mut Frame<'_>) {
    let (whole, theme) = (frame.area(), scene.theme);
    let Some(job) = scene.app.jobs.iter().find(|job| job.id == shown.job) else { return };
    let Some(open) = job.conflicts.get(shown.cursor) else { return };
    let width = whole.width.saturating_sub(2).min(COLUMNS_MAX);
    let room = (width as usize).saturating_sub(4);
    let buttons = buttons(scene, &Dialog::Conflicts(shown.clone()), room);
    let sides = sides(scene, job, open, room);
    // Where the screen is low, the list goes first, then how many there are.
    let rows_max = (whole.height as usize).saturating_sub(2);
    let needed = sides.len() + buttons.len();
    let counts = if needed < rows_max { counts(scene, job, room) } else { Line::default() };
    let rest = rows_max.saturating_sub(needed + 1);
    let has_list = rest >= 5;
    let rows = if has_list { job.conflicts.len().min(ROWS_MAX).min(rest - 3) } else { 0 };
    let mut lines = Vec::with_capacity(rows_max);
    if needed < rows_max {
        lines.push(counts);
    }
    if has_list {
        lines.push(Line::default());
    }
    let list_at = lines.len();
    let first = first_row(job.conflicts.row_of(shown.cursor), rows, job.conflicts.len());
    let listed = job.conflicts.iter().skip(first).take(rows);
    lines.extend(listed.map(|row| list_row(scene, row, row.conflict.id == shown.cursor, room)));
    if has_list {
        lines.push(Line::default());
    }
    lines.extend(sides);
    if has_list {
        lines.push(Line::default());
    }
    let height = (lines.len() + buttons.len() + 2).min(whole.height as usize) as u16;
    let place = Rect {
        x: whole.x + (whole.width - width) / 2,
        y: whole.y + (whole.height - height) / 3,
        width,
        height,
    };
    let title = format!("Already there · {}", text::fitted(&job.title, room.saturating_sub(18)));
    let keys = [" ↑ ↓ choose · = compares · Esc: later (o opens it again) ", " Esc: later (o) "];
    let keys = keys.into_iter().find(|keys| text::columns(keys) + 2 <= width as usize).unwrap_or_default();
    let block = block(&title, theme.mark, theme).title_bottom(Span::styled(keys, theme.dim));
    let inner = block.inner(place);
    frame.render_widget(Clear, place);
    frame.render_widget(block, place);
    put_hits(scene, place, (inner, list_at as u16), first..first + rows);
    let at = inner.y + lines.len() as u16;
    frame.render_widget(Paragraph::new(lines), inner);
    put_buttons(scene, buttons, (inner, at), frame);
}

/// The list scrolls as little as it must, with the cursor in its middle where it scrolls.
const fn first_row(cursor: usize, rows: usize, all: usize) -> usize {
    let last_first = all.saturating_sub(rows);
    let first = cursor.saturating_sub(rows / 2);
    if first < last_first { first } else { last_first }
}

fn put_hits(scene: &Scene<'_>, place: Rect, (inner, list_at): (Rect, u16), rows: std::ops::Range<usize>) {
    let mut hits = scene.hits.borrow_mut();
    hits.push(area(place), Spot::Window);
    for (row, y) in rows.zip(inner.y + list_at..) {
        hits.push(Area::new(inner.x, y, inner.width, 1), Spot::Row(row));
    }
}

fn put_buttons(scene: &Scene<'_>, rows: Vec<ButtonRow>, (inner, at): (Rect, u16), frame: &mut Frame<'_>) {
    for (row, y) in rows.into_iter().zip(at..inner.y + inner.height) {
        let width = row.line.width() as u16;
        let x = inner.x + inner.width.saturating_sub(width);
        for (offset, columns, answer) in row.buttons {
            scene.hits.borrow_mut().push(Area::new(x + offset, y, columns, 1), Spot::Button(answer));
        }
        frame.render_widget(row.line, Rect { x, y, width: width.min(inner.width), height: 1 });
    }
}

/// How many there are of each kind, and whether there may be more.
fn counts(scene: &Scene<'_>, job: &Job, room: usize) -> Line<'static> {
    let counts = job.conflicts.counts();
    let parts: Vec<String> = ConflictKind::ALL
        .into_iter()
        .zip(counts)
        .filter(|(_, count)| *count > 0)
        .map(|(kind, count)| {
            let (one, many) = short_text(kind);
            counted(count as u64, one, many)
        })
        .collect();
    let more = if job.now.growing { " · …" } else { "" };
    Line::styled(text::fitted(&format!("{}{more}", parts.join(" · ")), room), scene.theme.strong)
}

/// Of one, and of several.
const fn short_text(kind: ConflictKind) -> (&'static str, &'static str) {
    match kind {
        ConflictKind::Newer => ("source newer", "sources newer"),
        ConflictKind::Older => ("source older", "sources older"),
        ConflictKind::SameTime => ("other size", "other sizes"),
        ConflictKind::LinkOrFile => ("link and file", "links and files"),
        ConflictKind::Folder => ("folder and file", "folders and files"),
        ConflictKind::Case => ("same but for case", "same but for case"),
    }
}

const fn word(kind: ConflictKind) -> &'static str {
    match kind {
        ConflictKind::Newer => "newer",
        ConflictKind::Older => "older",
        ConflictKind::SameTime => "same time",
        ConflictKind::LinkOrFile => "link",
        ConflictKind::Folder => "folder",
        ConflictKind::Case => "case",
    }
}

fn size(attributes: &Attributes) -> String {
    match attributes.kind {
        Kind::Folder => "folder".to_owned(),
        Kind::Link => "link".to_owned(),
        _ => format!("{} MB", text::megabytes(attributes.size)),
    }
}

/// A conflict in one row: its name, what comes, what is there, and how they differ.
fn list_row(scene: &Scene<'_>, open: &Open, is_here: bool, room: usize) -> Line<'static> {
    let theme = scene.theme;
    let conflict = &open.conflict;
    let date = |attributes: &Attributes| {
        if room >= DATES_FROM {
            format!("  {:<DATE$}", scene.dates.long(attributes.modified))
        } else {
            String::new()
        }
    };
    let side = |attributes: &Attributes| format!("{:>SIZE$}{}", size(attributes), date(attributes));
    let figures = match &conflict.there {
        _ if room < SIZES_FROM => String::new(),
        None => format!("  {}", side(&conflict.source)),
        Some(there) => format!("  {} → {}", side(&conflict.source), side(there)),
    };
    let sign = match open.content {
        Content::Same => "=",
        Content::Different => "≠",
        Content::Comparing => "…",
        _ => " ",
    };
    let tail = format!("{figures}  {:<WORD$} {sign}", word(conflict.kind));
    let name = conflict.to.path.display();
    let name_room = room.saturating_sub(text::columns(&tail) + 2);
    let style = if is_here { theme.cursor } else { Style::new() };
    let mark = if is_here { "▸ " } else { "  " };
    let name = text::padded(&text::fitted_path(&name, name_room), name_room);
    Line::from(vec![
        Span::styled(mark, theme.focus),
        Span::raw(name),
        Span::styled(tail, if is_here { Style::new() } else { theme.dim }),
    ])
    .style(style)
}

/// Returns whether the sides differ by less than the short form of size and time shows.
fn same_in_short(scene: &Scene<'_>, conflict: &Conflict) -> (bool, bool) {
    let Some(there) = &conflict.there else { return (false, false) };
    let here = &conflict.source;
    let is_close = |time, other| time != other && scene.dates.long(time) == scene.dates.long(other);
    (here.size != there.size && size(here) == size(there), is_close(here.modified, there.modified))
}

/// Both sides of the one under the cursor.
fn sides(scene: &Scene<'_>, job: &Job, open: &Open, room: usize) -> Vec<Line<'static>> {
    let theme = scene.theme;
    let conflict = &open.conflict;
    let path = conflict.to.whole().unwrap_or_default();
    let path = scene.app.shown_place(&Place { link: job.destination, path });
    let newer = |one: &Attributes, other: Option<&Attributes>| {
        other.is_some_and(|other| one.modified > other.modified)
    };
    let (by_bytes, by_seconds) = same_in_short(scene, conflict);
    let side = |name: &'static str, attributes: &Attributes, is_newer: bool| {
        let columns = if room < ROOMY_FROM { SIZE } else { SIZE + 3 };
        let size = match attributes.kind {
            Kind::File if by_bytes => format!("{} B", thousands(attributes.size)),
            _ => size(attributes),
        };
        let date = if by_seconds {
            scene.dates.exact(attributes.modified)
        } else {
            scene.dates.long(attributes.modified)
        };
        let figures = format!("{size:>columns$}  {date:<DATE$}");
        Line::from(vec![
            Span::styled(format!("{name:<6}"), theme.dim),
            Span::raw(figures),
            Span::styled(if is_newer { " newer" } else { "" }, theme.strong),
        ])
    };
    let there = conflict.there.as_ref();
    let mut lines = vec![Line::styled(text::fitted_path(&path, room), theme.mark)];
    lines.push(side("new", &conflict.source, newer(&conflict.source, there)));
    lines.push(match there {
        Some(there) => side("there", there, newer(there, Some(&conflict.source))),
        None => Line::styled("there  another name that differs only in case", theme.dim),
    });
    // What is known of the contents stands beside where there is room.
    let (said, style) = match &open.content {
        Content::Unknown => return lines,
        Content::Comparing => ("comparing the contents …".to_owned(), theme.dim),
        Content::Same => ("both hold the same".to_owned(), theme.good),
        Content::Different => ("their contents differ".to_owned(), theme.strong),
        Content::Failed(why) => (format!("cannot be compared: {why}"), theme.bad),
    };
    if let Some(last) = lines.last_mut() {
        let said = text::fitted(&said, room.saturating_sub(last.width() + 2));
        last.push_span(Span::styled(format!("  {said}"), style));
    }
    lines
}
