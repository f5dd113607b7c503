//! One pane: frame, headings, the rows that show, counts.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Paragraph};
use towpath_protocol::display::DisplayName;
use towpath_protocol::entry::{Entry, Kind};
use towpath_protocol::request::{Direction, SortKey};

use super::text;
use super::theme::Theme;
use crate::app::pane::Pane;
use crate::app::{App, Unit};
use crate::model::Side;

const DATE_COLUMNS: usize = 12;
const SIZE_COLUMNS: usize = 11;

pub(super) fn render(app: &App, side: Side, theme: &Theme, now_ns: i64, frame: &mut Frame<'_>, area: Rect) {
    let pane = app.pane(side);
    let is_active = app.active == side;
    let frame_style = if is_active { theme.frame_active } else { theme.frame };
    let title_style = if is_active { theme.strong } else { theme.dim };
    let state = state(app, pane);
    let room = (area.width as usize).saturating_sub(6 + state.chars().count());
    let mut block = Block::bordered()
        .border_type(BorderType::Rounded)
        .border_style(frame_style)
        .title(Span::styled(format!(" {} ", text::fitted(&title(app, pane), room)), title_style));
    if !state.is_empty() {
        let lost = app.server(pane.place.link).is_some_and(|server| server.lost);
        block = block.title(
            Line::styled(format!(" {state} "), if lost { theme.bad } else { theme.good }).right_aligned(),
        );
    }
    let (counts, free) = counts(pane);
    let counts_style = if pane.marks.is_empty() { theme.dim } else { theme.mark };
    block = block.title_bottom(Span::styled(
        format!(" {} ", text::fitted(&counts, (area.width as usize).saturating_sub(6))),
        counts_style,
    ));
    if counts.chars().count() + free.chars().count() + 8 < area.width as usize && !free.is_empty() {
        block = block.title_bottom(Line::styled(format!(" {free} "), theme.dim).right_aligned());
    }
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let [head, list] = Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(inner);
    let columns = Columns::of(inner.width as usize);
    frame.render_widget(Paragraph::new(headings(app, pane, &columns, theme)), head);
    rows(app, side, &columns, (theme, now_ns), frame, list);
}

/// Which columns fit: a narrow pane drops the date, then the size.
struct Columns {
    name: usize,
    size: bool,
    date: bool,
}

impl Columns {
    const fn of(width: usize) -> Self {
        let date = width >= 44;
        let size = width >= 24;
        let used = 2 + if size { SIZE_COLUMNS + 1 } else { 0 } + if date { DATE_COLUMNS + 2 } else { 0 };
        Self { name: width.saturating_sub(used), size, date }
    }
}

fn title(app: &App, pane: &Pane) -> String {
    let path = &pane.place.path;
    match app.server(pane.place.link) {
        Some(server) => format!("{}/{}", server.name, path.display()),
        None if !app.home.is_root() && path.starts_with(&app.home) => {
            let below = &path.names()[app.home.names().len()..];
            below.iter().fold("~".to_owned(), |text, name| format!("{text}/{}", name.display()))
        }
        None => format!("/{}", path.display()),
    }
}

fn state(app: &App, pane: &Pane) -> String {
    match app.server(pane.place.link) {
        Some(server) if server.lost => "○ disconnected".to_owned(),
        Some(server) => server.round_trip_ms.map_or_else(|| "●".to_owned(), |ms| format!("● {ms} ms")),
        None => String::new(),
    }
}

fn counts(pane: &Pane) -> (String, String) {
    let free = pane.free.map_or_else(String::new, |bytes| format!("{} free", text::human(bytes)));
    if pane.loading {
        return (format!("reading … {} of {}", pane.entries.len(), pane.total), free);
    }
    let bytes: u64 = if pane.marks.is_empty() { 0 } else { pane.marked_bytes() };
    if !pane.marks.is_empty() {
        return (format!("{} marked · {} MB", pane.marks.len(), text::megabytes(bytes)), free);
    }
    let items = |count: usize| if count == 1 { "1 item".to_owned() } else { format!("{count} items") };
    let counts = if pane.filter.is_empty() {
        items(pane.entries.len())
    } else {
        format!("{} of {} · filter: {}", pane.shown.len(), items(pane.entries.len()), pane.filter)
    };
    (counts, free)
}

fn headings(app: &App, pane: &Pane, columns: &Columns, theme: &Theme) -> Line<'static> {
    let arrow = if pane.direction == Direction::Ascending { "▴" } else { "▾" };
    let heading = |key: SortKey, text: &str| {
        if pane.sort == key {
            (format!("{text} {arrow}"), theme.frame_active)
        } else {
            (text.to_owned(), theme.dim)
        }
    };
    let (name, name_style) = if pane.sort == SortKey::Extension {
        (format!("Name .ext {arrow}"), theme.frame_active)
    } else {
        heading(SortKey::Name, "Name")
    };
    let mut spans = vec![Span::raw("  "), Span::styled(text::padded(&name, columns.name), name_style)];
    if columns.size {
        let unit = match app.unit {
            Unit::Megabytes => "Size MB",
            Unit::Human => "Size",
            Unit::Bytes => "Bytes",
        };
        let (size, style) = heading(SortKey::Size, unit);
        spans.push(Span::styled(format!("{size:>SIZE_COLUMNS$} "), style));
    }
    if columns.date {
        let (date, style) = heading(SortKey::Modified, "Modified");
        spans.push(Span::styled(format!(" {date:<DATE_COLUMNS$}"), style));
    }
    Line::from(spans)
}

/// Only the rows around the cursor are looked at.
fn rows(
    app: &App,
    side: Side,
    columns: &Columns,
    (theme, now_ns): (&Theme, i64),
    frame: &mut Frame<'_>,
    area: Rect,
) {
    let pane = app.pane(side);
    if let Some(fault) = &pane.fault
        && pane.entries.is_empty()
    {
        frame.render_widget(
            Paragraph::new(fault.clone()).style(theme.bad).wrap(ratatui::widgets::Wrap { trim: true }),
            area,
        );
        return;
    }
    let height = area.height as usize;
    let first = pane.cursor.saturating_sub(height / 2).min(pane.rows().saturating_sub(height));
    let lost = app.server(pane.place.link).is_some_and(|server| server.lost);
    for (y, row) in (first..pane.rows().min(first + height)).enumerate() {
        let mut line = match pane.entry(row) {
            None => Line::from(vec![Span::raw("  "), Span::styled("../", theme.folder)]),
            Some(entry) => entry_line(app, pane, entry, columns, theme, now_ns),
        };
        if lost {
            line = line.style(theme.dim);
        }
        if row == pane.cursor {
            line = line.style(if app.active == side { theme.cursor } else { theme.cursor_dim });
        }
        let area = Rect { y: area.y + y as u16, height: 1, ..area };
        frame.render_widget(line, area);
    }
}

fn entry_line(
    app: &App,
    pane: &Pane,
    entry: &Entry,
    columns: &Columns,
    theme: &Theme,
    now_ns: i64,
) -> Line<'static> {
    let is_marked = pane.marks.contains(&entry.name);
    let style = if is_marked { theme.mark } else { style_of(entry, theme) };
    let mark = if is_marked { "▌ " } else { "  " };
    let mut spans = vec![
        Span::styled(mark, theme.mark),
        Span::styled(text::padded(&shown_name(entry), columns.name), style),
    ];
    if columns.size {
        let size = match pane.size_of(entry) {
            None => "-".to_owned(),
            Some(bytes) => match app.unit {
                Unit::Megabytes => text::megabytes(bytes),
                Unit::Human => text::human(bytes),
                Unit::Bytes => bytes.to_string(),
            },
        };
        spans.push(Span::raw(format!("{size:>SIZE_COLUMNS$} ")));
    }
    if columns.date {
        let date = text::date(entry.attributes.modified_ns, now_ns);
        spans.push(Span::styled(format!(" {date:<DATE_COLUMNS$}"), theme.dim));
    }
    Line::from(spans)
}

fn style_of(entry: &Entry, theme: &Theme) -> Style {
    match entry.attributes.kind {
        Kind::Folder => theme.folder,
        Kind::Link => theme.link,
        Kind::File if entry.attributes.mode & 0o111 != 0 => theme.program,
        Kind::File => Style::new(),
        _ => theme.special,
    }
}

fn shown_name(entry: &Entry) -> String {
    let name = entry.name.display();
    match &entry.attributes.link {
        Some(link) => format!("{name} → {}", DisplayName::new(&link.bytes)),
        None if entry.attributes.kind == Kind::Folder => format!("{name}/"),
        None => name.to_string(),
    }
}
