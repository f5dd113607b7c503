//! The layers over the panes. Buttons come first where there is little room, long names lose their middle.

use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Clear, Paragraph};
use towpath_protocol::entry::Attributes;
use unicode_width::UnicodeWidthStr;

use super::text;
use super::theme::Theme;
use crate::app::command::TABLE;
use crate::app::dialog::{CHOICES, Dialog, Purpose};
use crate::app::{App, Tone};

#[allow(clippy::too_many_lines, reason = "a table of layers")]
pub(super) fn render(
    app: &App,
    dialog: &Dialog,
    theme: &Theme,
    now_ns: i64,
    frame: &mut Frame<'_>,
    area: Rect,
) {
    match dialog {
        Dialog::Input { title, label, line, purpose } => {
            if matches!(purpose, Purpose::Command | Purpose::Find | Purpose::Filter) {
                prompt(label, purpose, line, theme, frame, area);
            } else {
                input(title, label, line, theme, frame, area);
            }
        }
        Dialog::Delete { place, names, totals, yes } => {
            let width = inner_width(area);
            let what = match totals {
                None => "counting …".to_owned(),
                Some((files, folders, bytes)) => {
                    format!("{files} files and {folders} folders    {} MB", text::megabytes(*bytes))
                }
            };
            let shown: Vec<String> = names.iter().take(20).map(|name| name.display().to_string()).collect();
            let mut shown = shown.join("   ");
            if names.len() > 20 {
                shown = format!("{shown}   and {} more", names.len() - 20);
            }
            let server = app.server(place.link).map(|server| server.name.clone()).unwrap_or_default();
            let lines = vec![
                Line::styled(what, theme.strong),
                Line::styled(
                    text::fitted(&format!("from {server}/{}", place.path.display()), width),
                    theme.dim,
                ),
                Line::styled(text::fitted(&shown, width), theme.mark),
                Line::styled("Goes for good; it cannot be undone.", theme.dim),
                Line::default(),
                buttons(&[("Keep", !yes), ("Delete y", *yes)], theme),
            ];
            window("Delete", theme.bad, lines, theme, frame, area);
        }
        Dialog::Quit { yes } => {
            let lines = vec![
                Line::raw(format!(
                    "{} running; what is under way is stopped, nothing half is left.",
                    jobs(app)
                )),
                Line::default(),
                buttons(&[("Stay", !yes), ("Quit y", *yes)], theme),
            ];
            window("Quit", theme.bad, lines, theme, frame, area);
        }
        Dialog::Conflict { to, source, there, focus, for_all, .. } => {
            let width = inner_width(area);
            let newer = source.modified_ns > there.modified_ns;
            let names: Vec<String> = CHOICES.iter().map(|(name, key)| format!("{name} {key}")).collect();
            let shown: Vec<(&str, bool)> =
                names.iter().enumerate().map(|(at, name)| (name.as_str(), at == *focus)).collect();
            let lines = vec![
                Line::styled(text::fitted(&to.display(), width), theme.mark),
                Line::raw(format!(
                    "there: {}{}",
                    side(there, now_ns),
                    if newer { "" } else { "  newer or as old" }
                )),
                Line::raw(format!("new:   {}{}", side(source, now_ns), if newer { "  newer" } else { "" })),
                Line::styled(
                    format!("[{}] for all that follow (a)", if *for_all { "x" } else { " " }),
                    theme.dim,
                ),
                buttons(&shown, theme),
            ];
            window("Already there", theme.mark, lines, theme, frame, area);
        }
        Dialog::Help { scroll } => {
            let rows = TABLE.iter().map(|row| {
                Line::from(vec![Span::styled(format!("{:<20}", row.keys), theme.focus), Span::raw(row.does)])
            });
            scrolled("Keys", rows.collect(), *scroll, theme, frame, area);
        }
        Dialog::Log { scroll } => {
            let style = |tone: &Tone| match tone {
                Tone::Good => theme.good,
                Tone::Bad => theme.bad,
                Tone::Plain => theme.dim,
            };
            let lines = app.log.iter().rev().map(|(tone, text)| Line::styled(text.clone(), style(tone)));
            scrolled("Log, the newest first", lines.collect(), *scroll, theme, frame, area);
        }
    }
}

fn jobs(app: &App) -> String {
    format!("{} job{}", app.jobs.len(), if app.jobs.len() == 1 { " is" } else { "s are" })
}

fn side(attributes: &Attributes, now_ns: i64) -> String {
    format!("{:>10} MB  {}", text::megabytes(attributes.size), text::date(attributes.modified_ns, now_ns))
}

fn inner_width(area: Rect) -> usize {
    (area.width as usize).saturating_sub(6).min(72)
}

fn buttons(buttons: &[(&str, bool)], theme: &Theme) -> Line<'static> {
    let mut spans = Vec::new();
    for (name, is_focused) in buttons {
        let (style, left, right) =
            if *is_focused { (theme.button_focus, "▸", " ") } else { (theme.button, " ", " ") };
        spans.push(Span::styled(format!("{left}{name}{right}"), style));
        spans.push(Span::raw(" "));
    }
    Line::from(spans)
}

fn window(title: &str, style: Style, lines: Vec<Line<'_>>, theme: &Theme, frame: &mut Frame<'_>, area: Rect) {
    let wide = lines.iter().map(Line::width).max().unwrap_or(0).max(36).min(inner_width(area));
    let (width, height) = (wide as u16 + 4, (lines.len() as u16 + 2).min(area.height));
    let place =
        Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 3, width, height };
    frame.render_widget(Clear, place);
    let block = Block::bordered()
        .border_type(BorderType::Rounded)
        .border_style(style)
        .title(Span::styled(format!(" {title} "), style))
        .padding(ratatui::widgets::Padding::horizontal(1))
        .style(theme.dialog);
    frame.render_widget(Paragraph::new(lines).block(block), place);
}

fn scrolled(
    title: &str,
    lines: Vec<Line<'_>>,
    scroll: usize,
    theme: &Theme,
    frame: &mut Frame<'_>,
    area: Rect,
) {
    let place = Rect {
        x: area.x + area.width.saturating_sub(84) / 2,
        y: area.y + 1,
        width: area.width.min(84),
        height: area.height - 2,
    };
    let rows = place.height as usize - 2;
    let first = scroll.min(lines.len().saturating_sub(rows));
    let lines: Vec<Line<'_>> = lines.into_iter().skip(first).take(rows).collect();
    frame.render_widget(Clear, place);
    let block = Block::bordered()
        .border_type(BorderType::Rounded)
        .border_style(theme.frame_active)
        .title(Span::styled(format!(" {title} "), theme.strong))
        .title_bottom(Span::styled(" ↑ ↓ move, any other key closes ", theme.dim))
        .padding(ratatui::widgets::Padding::horizontal(1))
        .style(theme.dialog);
    frame.render_widget(Paragraph::new(lines).block(block), place);
}

fn input(
    title: &str,
    label: &str,
    line: &crate::app::dialog::Line,
    theme: &Theme,
    frame: &mut Frame<'_>,
    area: Rect,
) {
    let width = inner_width(area);
    let (shown, cursor) = visible(line, width);
    let lines = vec![
        Line::styled(text::fitted(label, width), theme.dim),
        Line::styled(text::padded(&shown, width), theme.button),
        Line::styled("Enter does it, Esc leaves it", theme.dim),
    ];
    window(title, theme.frame_active, lines, theme, frame, area);
    let (x, y) = (area.x + (area.width - (width as u16 + 4)) / 2 + 2, area.y + (area.height - 5) / 3 + 2);
    frame.set_cursor_position(Position { x: x + cursor as u16, y });
}

/// The command line, filter and find stand where the news is.
fn prompt(
    label: &str,
    purpose: &Purpose,
    line: &crate::app::dialog::Line,
    theme: &Theme,
    frame: &mut Frame<'_>,
    area: Rect,
) {
    let label = match purpose {
        Purpose::Find => "/",
        Purpose::Filter => "filter: ",
        _ => label,
    };
    let place = Rect { y: area.y + area.height - 2, height: 1, ..area };
    let (shown, cursor) = visible(line, (area.width as usize).saturating_sub(label.width() + 2));
    frame.render_widget(Clear, place);
    let spans = vec![Span::styled(label.to_owned(), theme.focus), Span::raw(shown)];
    frame.render_widget(Line::from(spans), place);
    frame.set_cursor_position(Position { x: place.x + (label.width() + cursor) as u16, y: place.y });
}

/// The end of a line that is too long, up to its cursor, and the cursor's column.
fn visible(line: &crate::app::dialog::Line, columns: usize) -> (String, usize) {
    let (before, after) = line.text.split_at(line.cursor);
    let mut start = 0;
    while before[start..].width() >= columns.max(2) {
        start += before[start..].chars().next().map_or(1, char::len_utf8);
    }
    let shown = format!("{}{after}", &before[start..]);
    (shown, before[start..].width())
}
