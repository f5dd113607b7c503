//! The keys: the bar at the bottom and the help, both out of the one table of commands.

use ratatui::Frame;
use ratatui::text::{Line, Span};

use super::theme::Theme;
use super::{Scene, rect, text};
use crate::app::command::{BAR, Command, Key, TABLE};
use crate::app::hits::Spot;
use crate::app::layout::Area;

/// Cells of one column of the help.
pub(super) const HELP_COLUMN: usize = 38;
/// Of these, for the keys.
const HELP_KEYS: usize = 15;

/// Commands that share a line of the help, and what they do.
type HelpLine = (&'static [Command], &'static str);

/// Keys of the list of jobs, and what they do.
const IN_JOBS: [(&str, &str); 4] = [
    ("w: p x R", "pause, cancel, retry"),
    ("w: o c", "answer, clear ended"),
    ("w: J K", "move down, up"),
    ("w: % L", "limit one, all"),
];

/// The heading above [`IN_JOBS`].
const JOBS: &str = "Jobs";

/// The help: what belongs together, under a heading.
const GROUPS: &[(&str, &[HelpLine])] = &[
    (
        "Move",
        &[
            (&[Command::Up, Command::Down], "a row up, down"),
            (&[Command::PageUp, Command::PageDown], "a page up, down"),
            (&[Command::HalfUp, Command::HalfDown], "half a page up, down"),
            (&[Command::Top, Command::Bottom], "first, last row"),
            (&[Command::Open, Command::Enter], "open the folder"),
            (&[Command::Parent], "to the folder above"),
            (&[Command::Back, Command::Forward], "back, forward"),
        ],
    ),
    (
        "Go",
        &[
            (&[Command::OtherPane], "to the other pane"),
            (&[Command::SwapPanes, Command::SameFolder], "swap, same folder"),
            (&[Command::GoTo, Command::Home, Command::Root], "to a path, home, root"),
        ],
    ),
    (
        "Mark",
        &[
            (&[Command::Mark], "mark, a row down"),
            (&[Command::Range], "mark with the cursor"),
            (&[Command::ExtendUp, Command::ExtendDown], "mark up, down"),
            (&[Command::MarkAll, Command::Invert], "all or none, invert"),
            (&[Command::MarkPattern, Command::UnmarkPattern], "(un)mark by pattern"),
        ],
    ),
    (
        "Do",
        &[
            (&[Command::Copy, Command::Move], "copy, move there"),
            (&[Command::Yank, Command::Cut, Command::Paste], "yank, cut, paste"),
            (&[Command::Rename], "rename"),
            (&[Command::MakeFolder, Command::MakeFile, Command::Make], "make a folder, a file"),
            (&[Command::Delete], "delete, after asking"),
        ],
    ),
    (
        "Look",
        &[
            (&[Command::Find, Command::FindNext, Command::FindPrevious], "find, next, previous"),
            (&[Command::Filter], "filter by name"),
            (&[Command::SortName, Command::SortSize], "sort by name, size"),
            (&[Command::SortTime, Command::SortExtension], "sort by time, ending"),
            (&[Command::Hidden, Command::Unit], "hidden files, unit"),
            (&[Command::FolderSize], "size of a folder"),
            (&[Command::Refresh], "read the folder again"),
        ],
    ),
    (JOBS, &[(&[Command::Jobs, Command::Answer], "jobs, open questions")]),
    (
        "More",
        &[
            (&[Command::Connect, Command::Bookmark, Command::Bookmarks], "connect, bookmarks"),
            (&[Command::CommandLine, Command::Log], "command line, log"),
            (&[Command::Help], "this help"),
            (&[Command::Suspend], "suspend (fg resumes)"),
            (&[Command::Quit], "quit"),
        ],
    ),
];

/// As many of the bar's keys as fit; the less important leave first.
pub(super) fn bar(scene: &Scene<'_>, frame: &mut Frame<'_>, place: Area) {
    let mut x = place.x;
    for key in bar_keys(place.width as usize) {
        let columns = bar_columns(key) as u16;
        let area = Area::new(x, place.y, columns, 1);
        let is_allowed = scene.app.is_allowed(key.command);
        let spans = vec![
            Span::styled(
                format!(" {}", key.key),
                if is_allowed { scene.theme.focus } else { scene.theme.dim },
            ),
            Span::styled(format!(" {} ", key.word), scene.theme.dim),
        ];
        frame.render_widget(Line::from(spans), rect(area));
        scene.hits.borrow_mut().push(area, Spot::Key(key.command));
        x += columns;
    }
}

fn bar_columns(key: &Key) -> usize {
    text::columns(key.key) + text::columns(key.word) + 3
}

fn bar_keys(width: usize) -> Vec<&'static Key> {
    let mut keys: Vec<&Key> = BAR.iter().collect();
    while keys.iter().map(|key| bar_columns(key)).sum::<usize>() > width
        && let Some(at) = (0..keys.len()).max_by_key(|at| keys[*at].rank)
    {
        keys.remove(at);
    }
    keys
}

/// The keys that may follow one that waits (`g`, `,`), as many as fit.
pub(super) fn second(scene: &Scene<'_>, width: usize) -> Option<Line<'static>> {
    let first = scene.app.pending.filter(char::is_ascii_graphic)?;
    let mut line = Line::from(Span::styled(format!(" {first}"), scene.theme.focus));
    for row in TABLE {
        let rest =
            row.keys.split(' ').find_map(|key| key.strip_prefix(first).filter(|rest| !rest.is_empty()));
        let Some(rest) = rest else { continue };
        let (key, does) = (rest.trim_start_matches('-'), row.does.split(';').next().unwrap_or_default());
        let key = Span::styled(format!("  {key}"), scene.theme.focus);
        let does = Span::styled(format!(" {does}"), scene.theme.dim);
        if line.width() + key.width() + does.width() > width {
            break;
        }
        line.spans.extend([key, does]);
    }
    Some(line)
}

/// How many columns the help has on a screen of this width.
pub(super) const fn help_columns(width: u16) -> usize {
    match width {
        0..80 => 1,
        80..118 => 2,
        _ => 3,
    }
}

/// The lines of the help, `width` cells wide: in `rows` if they fit, and then with groups apart.
pub(super) fn help(columns: usize, rows: usize, width: usize, theme: &Theme) -> Vec<Line<'static>> {
    let cells = cells(theme, width / columns);
    let fitting = |gap| (1..=rows).find_map(|rows| flow(&cells, columns, rows, gap));
    let laid_out = fitting(1)
        .or_else(|| fitting(0))
        .or_else(|| (rows..).find_map(|rows| flow(&cells, columns, rows, 0)))
        .unwrap_or_default();
    let blank = Line::raw(" ".repeat(width / columns));
    let spans_of =
        |at: &Option<usize>| at.map_or_else(|| blank.spans.clone(), |at| cells[at].1.spans.clone());
    laid_out.iter().map(|row| Line::from(row.iter().flat_map(spans_of).collect::<Vec<_>>())).collect()
}

/// Which cell stands where, column by column: `gap` rows between groups, and no heading at the end of a column. None where it does
/// not fit.
fn flow(
    cells: &[(bool, Line<'_>)],
    columns: usize,
    rows: usize,
    gap: usize,
) -> Option<Vec<Vec<Option<usize>>>> {
    let mut grid = vec![vec![None; columns]; rows];
    let (mut column, mut row) = (0, 0);
    for (at, (is_heading, _)) in cells.iter().enumerate() {
        if *is_heading && row > 0 {
            row += gap;
        }
        if row >= rows || (*is_heading && row + 1 == rows) {
            (column, row) = (column + 1, 0);
        }
        *grid.get_mut(row)?.get_mut(column)? = Some(at);
        row += 1;
    }
    Some(grid)
}

/// Headings (true) and keys in their order, each exactly `width` wide.
fn cells(theme: &Theme, width: usize) -> Vec<(bool, Line<'static>)> {
    let mut cells = Vec::new();
    let cell = |keys: &str, does: &str| {
        let does_width = width.saturating_sub(HELP_KEYS + 1);
        let keys = Span::styled(text::padded(keys, HELP_KEYS), theme.focus);
        (false, Line::from(vec![keys, Span::raw(format!(" {}", text::padded(does, does_width)))]))
    };
    for (name, group) in GROUPS {
        cells.push((true, Line::from(Span::styled(text::padded(name, width), theme.mark))));
        cells.extend(group.iter().map(|(commands, does)| cell(&keys_of(commands), does)));
        if *name == JOBS {
            cells.extend(IN_JOBS.iter().map(|(keys, does)| cell(keys, does)));
        }
    }
    let is_grouped = |command| {
        GROUPS.iter().any(|(_, lines)| lines.iter().any(|(commands, _)| commands.contains(&command)))
    };
    let others = TABLE.iter().filter(|row| !is_grouped(row.command));
    cells.extend(others.map(|row| cell(&keys_of(&[row.command]), row.does)));
    cells
}

/// The keys of commands that share a line, in turn: `↑ ↓ k j`. What finds no room is left out, the last first.
fn keys_of(commands: &[Command]) -> String {
    let rows: Vec<Vec<&str>> = commands
        .iter()
        .filter_map(|command| TABLE.iter().find(|row| row.command == *command))
        .map(|row| row.keys.split(' ').collect())
        .collect();
    let most = rows.iter().map(Vec::len).max().unwrap_or(0);
    let mut keys = String::new();
    for key in (0..most).flat_map(|nth| rows.iter().filter_map(move |row| row.get(nth))) {
        let key = short(key);
        if text::columns(&keys) + 1 + text::columns(&key) > HELP_KEYS {
            break;
        }
        if !keys.is_empty() {
            keys.push(' ');
        }
        keys.push_str(&key);
    }
    keys
}

/// A key as it is written on a keyboard.
fn short(key: &str) -> String {
    let (modifier, base) = match key.rsplit_once('-') {
        Some((modifier, base)) if !modifier.is_empty() && !base.is_empty() => (modifier, base),
        _ => ("", key),
    };
    let base = match base {
        "Up" => "↑",
        "Down" => "↓",
        "Left" => "←",
        "Right" => "→",
        "PageUp" => "PgUp",
        "PageDown" => "PgDn",
        "Backspace" => "Bksp",
        "Insert" => "Ins",
        "Delete" => "Del",
        base => base,
    };
    match modifier {
        "" => base.to_owned(),
        "Ctrl" => format!("^{base}"),
        "g" => format!("g{base}"),
        _ => format!("{modifier}-{base}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_one_line_in_the_help() {
        for row in TABLE {
            let lines = GROUPS.iter().flat_map(|(_, lines)| lines.iter());
            let count = lines.filter(|(commands, _)| commands.contains(&row.command)).count();
            assert_eq!(count, 1, "{:?}", row.command);
        }
    }

    #[test]
    fn the_bar_keeps_help_and_quit_at_every_width() {
        for width in 40..200 {
            let keys = bar_keys(width);
            assert!(keys.iter().map(|key| bar_columns(key)).sum::<usize>() <= width);
            for word in ["Help", "Quit"] {
                assert!(keys.iter().any(|key| key.word == word), "{word} at {width}");
            }
        }
    }

    #[test]
    fn keys_that_share_a_line_take_turns() {
        assert_eq!(keys_of(&[Command::Up, Command::Down]), "↑ ↓ k j");
        assert_eq!(keys_of(&[Command::PageUp, Command::PageDown]), "PgUp PgDn ^b ^f");
        assert_eq!(keys_of(&[Command::MarkPattern, Command::UnmarkPattern]), "+ -");
    }

    #[test]
    fn every_key_of_the_list_of_jobs_is_in_the_help() {
        for word in crate::ui::dialog::JOB_KEYS.trim().split(" · ") {
            let keys = word.split(' ').take_while(|key| key.len() == 1 && *key != "·");
            for key in keys {
                let is_there = IN_JOBS.iter().any(|(keys, _)| keys[2..].split(' ').any(|known| known == key));
                assert!(is_there, "{key}");
            }
        }
    }

    #[test]
    fn no_line_of_the_help_is_cut() {
        let lines = GROUPS.iter().flat_map(|(_, lines)| lines.iter().map(|(_, does)| does));
        for does in lines.chain(IN_JOBS.iter().map(|(_, does)| does)) {
            assert!(text::columns(does) + 1 < HELP_COLUMN - HELP_KEYS, "{does}");
        }
        assert_eq!(
            help(2, 22, 76, &Theme::of(crate::config::Colors::Off, crate::config::Background::Dark)).len(),
            22
        );
    }
}
