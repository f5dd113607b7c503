//! One pane: frame, headings, the rows that show, counts.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Paragraph};
use towpath_protocol::display::DisplayName;
use towpath_protocol::entry::{Entry, Kind};
use towpath_protocol::request::{Direction, SortKey};
use towpath_protocol::time::Time;

use super::{Scene, rect, text};
use crate::app::command::Command;
use crate::app::hits::Spot;
use crate::app::layout::{Area, Layout};
use crate::app::pane::Pane;
use crate::app::servers::{Loss, Server, State};
use crate::app::{App, Unit};
use crate::model::Side;
use crate::model::number::{counted, thousands};
use crate::model::size::human;

/// Cells of a pane's frame and title that nothing else takes.
const TITLE_LEAST: usize = 12;

/// Turns while something is waited for.
const SPINNER: [char; 8] = ['⠋', '⠙', '⠸', '⠴', '⠦', '⠇', '⠏', '⠛'];

pub(super) fn render(scene: &Scene<'_>, side: Side, frame: &mut Frame<'_>, layout: &Layout) {
    let area = rect(layout.panes[side as usize]);
    frame.render_widget(block(scene, side, area.width as usize), area);
    let list = rect(layout.list(side));
    let head = Rect { y: area.y + 1, height: 1, ..list };
    let columns = Columns::of(list.width as usize);
    frame.render_widget(headings(scene, side, &columns), head);
    columns.hit(scene, side, head);
    rows(scene, side, &columns, frame, list);
}

/// Frame, title and state above, counts below.
fn block(scene: &Scene<'_>, side: Side, width: usize) -> Block<'static> {
    let (app, theme, pane) = (scene.app, scene.theme, scene.app.pane(side));
    let is_active = app.active == side;
    let (frame_style, title_style, border) = if is_active {
        (theme.frame_active, theme.strong, theme.border_active)
    } else {
        (theme.frame, theme.dim, BorderType::Rounded)
    };
    let state = state(scene, pane, width);
    let filter =
        filter(scene, pane, width.saturating_sub(state.as_ref().map_or(0, |state| state.width() + 1)));
    let beside = [&state, &filter].into_iter().flatten().map(|line| line.width() + 1).sum::<usize>();
    let room = width.saturating_sub(5 + beside);
    let title = text::fitted_path(&app.shown_place(&pane.place), room);
    let mut block = Block::bordered()
        .border_type(border)
        .border_style(frame_style)
        .title(Span::styled(format!(" {title} "), title_style));
    for line in [filter, state].into_iter().flatten() {
        block = block.title(line.right_aligned());
    }
    let room = width.saturating_sub(5);
    let below = counts(app, pane);
    let fits = below.iter().find(|counts| text::columns(counts) <= room).or_else(|| below.last());
    let counts = text::fitted(fits.map_or("", String::as_str), room);
    let used = text::columns(&counts) + 4;
    let counts_style = if pane.rows.marks.is_empty() { theme.dim } else { theme.mark };
    block = block.title_bottom(Span::styled(format!(" {counts} "), counts_style));
    let free =
        pane.free.filter(|_| !pane.loading || pane.is_quiet).map(|bytes| format!(" {} free ", human(bytes)));
    if let Some(free) = free.filter(|free| used + text::columns(free) + 2 <= width) {
        block = block.title_bottom(Line::styled(free, theme.dim).right_aligned());
    }
    block
}

/// The filter, and the marks that it hides: nothing is done to them unseen.
fn filter(scene: &Scene<'_>, pane: &Pane, width: usize) -> Option<Line<'static>> {
    let rows = &pane.rows;
    if rows.filter.is_empty() {
        return None;
    }
    let hidden = rows.marks_hidden() as u64;
    let (long, short) = match hidden {
        0 => (String::new(), String::new()),
        _ => (format!(" · {} marked hidden", thousands(hidden)), format!(" · {} hidden", thousands(hidden))),
    };
    // The path keeps some cells.
    let room = width.saturating_sub(TITLE_LEAST);
    let whole = format!("filter: {}{long}", rows.filter);
    let text = if text::columns(&whole) <= room {
        whole
    } else {
        format!("{}{short}", text::fitted(&rows.filter, room.saturating_sub(text::columns(&short)).max(3)))
    };
    Some(Line::styled(format!(" {text} "), scene.theme.mark))
}

/// How the connection of a server's pane is.
fn state(scene: &Scene<'_>, pane: &Pane, width: usize) -> Option<Line<'static>> {
    let server = scene.app.server(pane.place.link)?;
    let narrow = width < 30;
    let (text, style) = match &server.state {
        State::Connecting { loss: Some(Loss { at_ns: Some(_), .. }), .. } if width < 60 => {
            (format!(" ○ lost {} ", turn(scene.app)), scene.theme.bad)
        }
        State::Connecting { loss: Some(Loss { at_ns: Some(at_ns), .. }), .. } => {
            let since = scene.dates.long(Time::from_ns(*at_ns));
            (format!(" ○ disconnected {since} · {} connecting ", turn(scene.app)), scene.theme.bad)
        }
        State::Connecting { .. } if narrow => (format!(" {} ", turn(scene.app)), scene.theme.mark),
        State::Connecting { .. } => (format!(" {} connecting ", turn(scene.app)), scene.theme.mark),
        State::Lost(_) if narrow => (" ○ lost ".to_owned(), scene.theme.bad),
        State::Lost(Loss { at_ns, retry, .. }) => {
            let is_short = width < 60;
            let what = match at_ns {
                None => "not connected".to_owned(),
                Some(_) if is_short => "lost".to_owned(),
                Some(at_ns) => format!("disconnected {}", scene.dates.long(Time::from_ns(*at_ns))),
            };
            let again = retry.map_or_else(String::new, |retry| {
                let words = if is_short { "" } else { "retry in " };
                format!(" · {words}{} s", scene.dates.seconds_until(retry.again_at_ns))
            });
            (format!(" ○ {what}{again} "), scene.theme.bad)
        }
        State::Live { round_trip_ms: Some(ms) } if !narrow => (format!(" ● {ms} ms "), scene.theme.good),
        State::Live { .. } => (" ● ".to_owned(), scene.theme.good),
    };
    Some(Line::styled(text, style))
}

const fn turn(app: &App) -> char {
    SPINNER[app.ticks as usize % SPINNER.len()]
}

fn is_connecting(app: &App, pane: &Pane) -> bool {
    app.server(pane.place.link).is_some_and(|server| matches!(server.state, State::Connecting { .. }))
}

/// What may stand below a pane, the best first: the first that fits will.
fn counts(app: &App, pane: &Pane) -> Vec<String> {
    let rows = &pane.rows;
    if let Some(loss) = app.server(pane.place.link).and_then(Server::loss).filter(|loss| loss.retry.is_some())
    {
        return vec![
            format!("{}; any key retries, Esc gives up", loss.why),
            "any key retries, Esc gives up".to_owned(),
            "Esc gives up".to_owned(),
        ];
    }
    if let Some(server) = app.server(pane.place.link)
        && let State::Lost(Loss { why, .. }) = &server.state
    {
        return vec![format!("{why}; C reconnects"), "C reconnects".to_owned(), "C connects".to_owned()];
    }
    if is_connecting(app, pane) {
        return vec![format!("{} connecting …  Esc gives up", turn(app)), turn(app).to_string()];
    }
    if pane.loading && !pane.is_quiet {
        let (read, total) = (thousands(pane.come() as u64), thousands(pane.total));
        let counts = if pane.total == 0 { "…".to_owned() } else { format!("{read} of {total}") };
        return vec![format!("{} reading {counts}", turn(app)), format!("{} {read}", turn(app))];
    }
    if pane.fault.is_some() && rows.entries.is_empty() {
        return vec!["not read".to_owned()];
    }
    let items = counted(rows.entries.len() as u64, "item", "items");
    let (bytes, megabytes) = (rows.marked_bytes(), text::megabytes(rows.bytes()));
    let counts = if !rows.marks.is_empty() {
        let all = thousands(rows.entries.len() as u64);
        let marked = thousands(rows.marks.len() as u64);
        let some = text::megabytes(bytes);
        // Nothing but folders of unknown size: what they hold is not zero.
        let known = if bytes == 0 { String::new() } else { format!(" · {some} of {megabytes} MB") };
        let short = if bytes == 0 { String::new() } else { format!(" · {some} MB") };
        vec![
            format!("{marked} of {all} marked{known}"),
            format!("{marked} marked{short}"),
            format!("{marked}{short}"),
        ]
    } else if rows.filter.is_empty() {
        if rows.bytes() == 0 { vec![items] } else { vec![format!("{items} · {megabytes} MB"), items] }
    } else {
        let shown = thousands(rows.shown.len() as u64);
        vec![format!("{shown} of {items}"), shown]
    };
    let range = if rows.is_ranging() { "range · " } else { "" };
    counts.into_iter().map(|counts| format!("{range}{counts}")).collect()
}

/// What fits: a narrow pane has short dates, a narrower one none, the narrowest names alone.
struct Columns {
    name: usize,
    size: usize,
    date: usize,
}

impl Columns {
    /// Cells for a mark and a sign before the name.
    const MARK: usize = 2;
    const DATE_LONG: usize = 12;

    const fn of(width: usize) -> Self {
        let (size, date) = match width {
            0..24 => (0, 0),
            24..34 => (9, 0),
            34..46 => (9, 8),
            _ => (11, Self::DATE_LONG),
        };
        let blanks = (if size > 0 { 2 } else { 0 }) + (if date > 0 { 2 } else { 0 });
        Self { name: width.saturating_sub(Self::MARK + size + date + blanks), size, date }
    }

    /// A click on a heading sorts by it.
    fn hit(&self, scene: &Scene<'_>, side: Side, head: Rect) {
        let mut hits = scene.hits.borrow_mut();
        let end = head.x + head.width;
        let mut x = head.x;
        for (width, command) in [
            (Self::MARK + self.name, Command::SortName),
            (if self.size > 0 { self.size + 2 } else { 0 }, Command::SortSize),
            (if self.date > 0 { self.date + 2 } else { 0 }, Command::SortTime),
        ] {
            let width = (width as u16).min(end.saturating_sub(x));
            if width > 0 {
                hits.push(Area::new(x, head.y, width, 1), Spot::Heading(side, command));
                x += width;
            }
        }
    }

    /// The cells of a row behind its mark and sign.
    fn lay_out(&self, name: (&str, Style), size: (&str, Style), date: (&str, Style)) -> Vec<Span<'static>> {
        let mut spans = vec![Span::styled(text::padded(name.0, self.name), name.1)];
        if self.size > 0 {
            spans.push(Span::styled(format!(" {:>width$} ", size.0, width = self.size), size.1));
        }
        if self.date > 0 {
            spans.push(Span::styled(format!(" {:<width$} ", date.0, width = self.date), date.1));
        }
        spans
    }
}

fn headings(scene: &Scene<'_>, side: Side, columns: &Columns) -> Line<'static> {
    let (app, theme, pane) = (scene.app, scene.theme, scene.app.pane(side));
    let arrow = if pane.direction == Direction::Ascending { '▴' } else { '▾' };
    let accent = if app.active == side { theme.frame_active } else { theme.dim };
    let heading = |text: &str, is_key: bool| {
        if is_key { (format!("{text} {arrow}"), accent) } else { (text.to_owned(), theme.dim) }
    };
    let name = if pane.sort == SortKey::Extension { "Name .ext" } else { "Name" };
    let name = heading(name, matches!(pane.sort, SortKey::Name | SortKey::Extension));
    let unit = match app.unit {
        Unit::Megabytes => "Size MB",
        Unit::Human => "Size",
        Unit::Bytes => "Bytes",
    };
    let size = heading(unit, pane.sort == SortKey::Size);
    let modified = if columns.date < Columns::DATE_LONG { "Date" } else { "Modified" };
    let date = heading(modified, pane.sort == SortKey::Modified);
    let mut spans = vec![Span::raw("  ")];
    spans.extend(columns.lay_out((&name.0, name.1), (&size.0, size.1), (&date.0, date.1)));
    Line::from(spans)
}

/// Only the rows around the cursor are looked at.
fn rows(scene: &Scene<'_>, side: Side, columns: &Columns, frame: &mut Frame<'_>, area: Rect) {
    let (app, theme, pane) = (scene.app, scene.theme, scene.app.pane(side));
    let height = area.height as usize;
    let first = pane.rows.first_row(height);
    let is_lost = app.server(pane.place.link).is_some_and(|server| !server.is_live());
    let is_bare = is_lost || theme.cursor_covers;
    for (y, row) in (first..pane.rows.len().min(first + height)).enumerate() {
        let area = Rect { y: area.y + y as u16, height: 1, ..area };
        let cursor = (row == pane.rows.cursor).then_some(if app.active == side {
            theme.cursor
        } else {
            theme.cursor_dim
        });
        let line = match pane.rows.entry(row) {
            None => Line::from(vec![Span::raw("  "), Span::styled("../", theme.folder)]),
            Some(entry) => {
                entry_line(scene, (entry, pane.rows.is_marked(row)), pane.rows.size_of(entry), columns)
            }
        };
        frame.render_widget(line.style(cursor.unwrap_or_default()), area);
        if is_lost {
            frame.buffer_mut().set_style(area, theme.dim);
        }
        if let Some(cursor) = cursor
            && is_bare
        {
            frame.buffer_mut().set_style(area, cursor);
        }
    }
    if pane.rows.shown.is_empty() {
        let up = (pane.rows.up as u16).min(area.height);
        let area = Rect { y: area.y + up, height: area.height - up, ..area };
        nothing(scene, pane, frame, area);
    }
}

/// Why there are no entries.
fn nothing(scene: &Scene<'_>, pane: &Pane, frame: &mut Frame<'_>, area: Rect) {
    let room = (area.width as usize).saturating_sub(3);
    let (text, style) = match &pane.fault {
        Some(fault) => (format!("✗ {fault}"), scene.theme.bad),
        None if pane.loading || is_connecting(scene.app, pane) => return,
        None if pane.rows.entries.is_empty() => ("empty".to_owned(), scene.theme.dim),
        None => (format!("no name holds {}", pane.rows.filter), scene.theme.dim),
    };
    let lines = text::wrapped(&text, room).into_iter().map(|line| Line::styled(format!("  {line}"), style));
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), area);
}

fn entry_line(
    scene: &Scene<'_>,
    (entry, is_marked): (&Entry, bool),
    size: Option<u64>,
    columns: &Columns,
) -> Line<'static> {
    let theme = scene.theme;
    let (sign, style) = sign_of(scene, entry);
    let style = if is_marked { theme.mark } else { style };
    let size = match size {
        Some(bytes)
            if matches!(entry.attributes.kind, Kind::File | Kind::Folder) && !entry.attributes.is_unknown =>
        {
            (size_in(scene.app.unit, bytes, columns.size), Style::new())
        }
        _ if entry.attributes.is_unknown => ("?".to_owned(), theme.dim),
        _ => ("–".to_owned(), theme.dim),
    };
    let date = match columns.date {
        0 => String::new(),
        _ if entry.attributes.is_unknown => "unknown".to_owned(),
        Columns::DATE_LONG => scene.dates.long(entry.attributes.modified),
        _ => scene.dates.short(entry.attributes.modified),
    };
    let mut spans =
        vec![Span::styled(if is_marked { "▌" } else { " " }, theme.mark), Span::styled(sign, style)];
    spans.extend(columns.lay_out(
        (&shown_name(entry, columns.name), style),
        (&size.0, size.1),
        (&date, theme.dim),
    ));
    Line::from(spans)
}

/// In the unit that was chosen; where that is too long, in the one that fits.
fn size_in(unit: Unit, bytes: u64, room: usize) -> String {
    let text = match unit {
        Unit::Megabytes => text::megabytes(bytes),
        Unit::Human => return human(bytes),
        Unit::Bytes => bytes.to_string(),
    };
    if text.len() <= room { text } else { human(bytes) }
}

/// What a thing is: a sign and its colour. Folders and links need no sign: a slash and an arrow follow their names. One that leads
/// nowhere has one.
fn sign_of(scene: &Scene<'_>, entry: &Entry) -> (&'static str, Style) {
    let (theme, attributes) = (scene.theme, &entry.attributes);
    match attributes.kind {
        Kind::Folder => (" ", theme.folder),
        Kind::Link if attributes.link.as_ref().is_some_and(|link| link.kind.is_none()) => ("!", theme.link),
        Kind::Link => (" ", theme.link),
        Kind::File if attributes.mode & 0o111 != 0 => ("*", theme.program),
        Kind::File => (" ", Style::new()),
        Kind::Fifo => ("|", theme.special),
        Kind::Socket => ("=", theme.special),
        _ => ("#", theme.special),
    }
}

/// A name and what follows it; of a link that is too long the target goes first, the arrow last.
fn shown_name(entry: &Entry, room: usize) -> String {
    const ARROW: &str = " → ";
    /// Cells of a target that are worth showing.
    const TARGET_MIN: usize = 6;
    let name = entry.name.display().to_string();
    let Some(link) = &entry.attributes.link else {
        return if entry.attributes.kind == Kind::Folder { name + "/" } else { name };
    };
    let target = DisplayName::new(&link.bytes).to_string();
    let left = room.saturating_sub(text::columns(&name) + ARROW.len() - 2);
    if left >= text::columns(&target).min(TARGET_MIN) {
        format!("{name}{ARROW}{}", text::fitted_path(&target, left))
    } else {
        format!("{} →", text::fitted(&name, room.saturating_sub(2)))
    }
}
