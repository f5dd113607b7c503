//! The line that moves while a transfer runs.

use std::time::Instant;

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use crate::model::size;

/// Columns of the bar.
const BAR_COLUMNS: usize = 24;
/// Columns that a name may take.
const NAME_COLUMNS: usize = 28;

/// A bar of `columns` cells with eighth blocks; `part` from 0 to 1.
pub(super) fn bar(part: f64, columns: usize) -> String {
    const EIGHTHS: [char; 7] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    let eighths = (part.clamp(0.0, 1.0) * (columns * 8) as f64).floor() as usize;
    let mut bar = "█".repeat(eighths / 8);
    if !eighths.is_multiple_of(8) {
        bar.push(EIGHTHS[eighths % 8 - 1]);
    }
    let filled = eighths.div_ceil(8);
    bar.extend(std::iter::repeat_n('░', columns - filled));
    bar
}

/// What the line shows.
#[derive(Debug, Clone, Default)]
pub(super) struct Shown {
    /// The file under way, already escaped for a terminal.
    pub(super) name: String,
    pub(super) bytes: u64,
    pub(super) bytes_total: u64,
    /// Of `bytes`, those that did not move.
    pub(super) reused: u64,
    /// Whether the total still grows.
    pub(super) growing: bool,
    /// The largest part that was shown as done.
    pub(super) part_least: f64,
}

impl Shown {
    /// The part that is done, 0 to 1, which never falls. `None` while the total grows.
    pub(super) fn part_done(&self) -> Option<f64> {
        let part = if self.bytes_total == 0 { 0.0 } else { self.bytes as f64 / self.bytes_total as f64 };
        (!self.growing).then_some(part.max(self.part_least))
    }
}

/// Bar, percent, megabytes, rate and time left in one line.
pub(super) fn line(shown: &Shown, begun: Instant, now: Instant) -> String {
    let seconds = now.duration_since(begun).as_secs_f64();
    let part = shown.part_done();
    let moved = shown.bytes.saturating_sub(shown.reused);
    let left = if moved == 0 || shown.growing {
        String::new()
    } else {
        let bytes_left = shown.bytes_total.saturating_sub(shown.bytes);
        let seconds_left = (seconds * bytes_left as f64 / moved as f64).ceil() as u64;
        format!("  {}:{:02} left", seconds_left / 60, seconds_left % 60)
    };
    format!(
        "{} {} {:>4}  {}/{} MB  {}{left}",
        fitted(&shown.name),
        bar(part.unwrap_or_default(), BAR_COLUMNS),
        part.map_or_else(|| "…".to_owned(), |part| format!("{:.0}%", (part * 100.0).floor())),
        size::megabytes(shown.bytes),
        if shown.growing { "…".to_owned() } else { size::megabytes(shown.bytes_total) },
        size::rate(moved, seconds),
    )
}

/// The end of a name that is too long, since that is where names differ; padded by its width on the screen.
fn fitted(name: &str) -> String {
    let mut columns = name.width();
    if columns <= NAME_COLUMNS {
        return format!("{name}{}", " ".repeat(NAME_COLUMNS - columns));
    }
    let mut graphemes = name.graphemes(true);
    while columns > NAME_COLUMNS - 1 {
        columns -= graphemes.next().map_or(columns, UnicodeWidthStr::width);
    }
    format!("…{}{}", graphemes.as_str(), " ".repeat(NAME_COLUMNS - 1 - columns))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_bar_fills_by_eighths() {
        assert_eq!(bar(0.0, 4), "░░░░");
        assert_eq!(bar(0.5, 4), "██░░");
        assert_eq!(bar(0.54, 4), "██▏░");
        assert_eq!(bar(1.0, 4), "████");
        assert_eq!(bar(7.0, 4), "████");
    }

    #[test]
    fn what_was_there_already_is_neither_speed_nor_time_left() {
        let begun = Instant::now();
        let at = |bytes, reused| {
            let shown = Shown { bytes, reused, bytes_total: 2_000_000, ..Shown::default() };
            line(&shown, begun, begun + Duration::from_secs(10))
        };
        let resumed = at(1_500_000, 1_000_000);
        assert!(resumed.contains(&size::rate(500_000, 10.0)) && resumed.ends_with("0:10 left"), "{resumed}");
        let taken_up = at(1_000_000, 1_000_000);
        assert!(taken_up.ends_with(&size::rate(0, 10.0)), "{taken_up}");
    }

    #[test]
    fn no_percentage_is_shown_while_the_total_grows_and_none_falls() {
        let begun = Instant::now();
        let shown = Shown { bytes: 500_000, bytes_total: 1_000_000, ..Shown::default() };
        let at = |shown: &Shown| line(shown, begun, begun + Duration::from_secs(10));
        assert!(at(&shown).contains(" 50%  0.50/1.00 MB"), "{}", at(&shown));
        let growing = at(&Shown { growing: true, ..shown.clone() });
        assert!(growing.contains("    …  0.50/… MB") && !growing.contains('█'), "{growing}");
        let grown = at(&Shown { bytes_total: 2_000_000, part_least: 0.5, ..shown });
        assert!(grown.contains(" 50%  0.50/2.00 MB"), "{grown}");
    }

    #[test]
    fn long_names_keep_their_end_and_their_columns() {
        for name in ["short", &"長い名前".repeat(9), &"x".repeat(99)] {
            assert_eq!(fitted(name).width(), NAME_COLUMNS, "{name}");
        }
    }
}
