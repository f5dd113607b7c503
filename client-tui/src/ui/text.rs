//! Text in cells: safe to show, widths, elision, padding, wrapping, sizes and bars.

use crate::model::number::thousands;
use std::borrow::Cow;

use towpath_protocol::display::DisplayName;
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// Without anything that a terminal would obey: the last wall before the screen, whatever was escaped before. Text that is
/// escaped stays as it is.
pub(super) fn safe(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(DisplayName::new(text.as_bytes()).to_string())
    }
}

/// How many cells a text takes: each grapheme by itself, as the screen lays them out.
pub(super) fn columns(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.graphemes(true).map(UnicodeWidthStr::width).sum() }
}

/// The longest beginning that fits, and its width.
pub(super) fn head(text: &str, room: usize) -> (&str, usize) {
    let (mut end, mut used) = (0, 0);
    for (at, grapheme) in text.grapheme_indices(true) {
        if used + grapheme.width() > room {
            break;
        }
        used += grapheme.width();
        end = at + grapheme.len();
    }
    (&text[..end], used)
}

/// The longest end that fits, and its width.
pub(super) fn tail(text: &str, room: usize) -> (&str, usize) {
    let (mut start, mut used) = (text.len(), 0);
    for (at, grapheme) in text.grapheme_indices(true).rev() {
        if used + grapheme.width() > room {
            break;
        }
        used += grapheme.width();
        start = at;
    }
    (&text[start..], used)
}

/// At most `room` wide: the middle of what is longer is left out, so that its end (an extension, a number) stays.
pub(super) fn fitted(text: &str, room: usize) -> String {
    let text = safe(text);
    let text = text.as_ref();
    if columns(text) <= room {
        return text.to_owned();
    }
    let room = room.saturating_sub(1);
    let (end, used) = tail(text, (room / 3).max(room.min(8)).min(room));
    let (beginning, _) = head(text, room - used);
    format!("{beginning}…{end}")
}

/// A message, at most `room` wide: its longest path loses its middle before the rest loses anything.
pub(super) fn fitted_message(text: &str, room: usize) -> String {
    const PATH_COLUMNS_MIN: usize = 12;
    let too_many = columns(&safe(text)).saturating_sub(room);
    let words = text.split(' ').filter(|word| word.contains('/'));
    match words.max_by_key(|word| columns(word)) {
        Some(path) if too_many > 0 && columns(path) >= too_many + PATH_COLUMNS_MIN => {
            let fitted_path = fitted(path, columns(path) - too_many);
            fitted(&text.replacen(path, &fitted_path, 1), room)
        }
        _ => fitted(text, room),
    }
}

/// A path, at most `room` wide: what is longer keeps its end, from a whole part on where that leaves enough of it.
pub(super) fn fitted_path(path: &str, room: usize) -> String {
    let path = safe(path);
    let path = path.as_ref();
    if columns(path) <= room {
        return path.to_owned();
    }
    let (end, used) = tail(path, room.saturating_sub(1));
    // Of several slashes in a row the last one.
    let whole = end.find('/').map(|at| at + end[at..].find(|c| c != '/').map_or(0, |run| run - 1));
    match whole {
        Some(at) if columns(&end[..at]) * 2 < used => format!("…{}", &end[at..]),
        _ => format!("…{end}"),
    }
}

/// Exactly `room` wide.
pub(super) fn padded(text: &str, room: usize) -> String {
    let mut fitted = fitted(text, room);
    let blanks = room.saturating_sub(columns(&fitted));
    fitted.extend(std::iter::repeat_n(' ', blanks));
    fitted
}

/// Lines of at most `room` cells, parted at blanks where there are any, and where the text has line ends of its own.
pub(super) fn wrapped(text: &str, room: usize) -> Vec<String> {
    text.split('\n').flat_map(|line| wrapped_line(&safe(line), room.max(2))).collect()
}

fn wrapped_line(text: &str, room: usize) -> Vec<String> {
    let (mut lines, mut rest) = (Vec::new(), text);
    while columns(rest) > room {
        let (line, _) = head(rest, room);
        let cut = match line.rfind(' ') {
            // A blank right behind the line is as good as one within it.
            _ if rest[line.len()..].starts_with(' ') => line.len(),
            Some(at) if at * 2 > line.len() => at,
            _ => line.len(),
        };
        lines.push(rest[..cut].to_owned());
        rest = rest[cut..].trim_start_matches(' ');
    }
    lines.push(rest.to_owned());
    lines
}

/// Two decimals and thousands apart: `1 932.11`; `<0.01` for what rounds to nothing.
pub(super) fn megabytes(bytes: u64) -> String {
    if bytes > 0 && bytes < 5_000 {
        return "<0.01".to_owned();
    }
    let hundredths = bytes / 10_000 + u64::from(bytes % 10_000 >= 5_000);
    format!("{}.{:02}", thousands(hundredths / 100), hundredths % 100)
}

/// Eighth blocks up to `part` of the columns, then `rest`.
pub(super) fn bar(part: f64, columns: usize, rest: char) -> String {
    const EIGHTHS: [char; 7] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    let eighths = (part.clamp(0.0, 1.0) * (columns * 8) as f64).floor() as usize;
    let mut bar = "█".repeat(eighths / 8);
    if !eighths.is_multiple_of(8) {
        bar.push(EIGHTHS[eighths % 8 - 1]);
    }
    bar.extend(std::iter::repeat_n(rest, columns - eighths.div_ceil(8)));
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_megabytes_with_thousands_apart() {
        let table = [
            (0, "0.00"),
            (1, "<0.01"),
            (4_999, "<0.01"),
            (5_000, "0.01"),
            (24_612_345, "24.61"),
            (1_932_110_000, "1 932.11"),
        ];
        for (bytes, text) in table {
            assert_eq!(megabytes(bytes), text);
        }
    }

    #[test]
    fn what_is_too_long_loses_its_middle_and_keeps_its_width() {
        let texts = [
            "short.txt",
            "a-very-long-name-of-a-file.tar.gz",
            "長い名前のファイル.txt",
            "e\u{301}\u{301}xyz",
        ];
        for text in texts {
            for room in 0..30 {
                let padded = padded(text, room);
                assert_eq!(columns(&padded), room.max(1), "{text} in {room}: {padded}");
                assert!(columns(&fitted_path(text, room)) <= room.max(1), "{text} in {room}");
                assert!(
                    wrapped(text, room).iter().all(|line| columns(line) <= room.max(2)),
                    "{text} in {room}"
                );
            }
        }
        assert!(fitted("a-very-long-name-of-a-file.tar.gz", 16).ends_with(".tar.gz"));
    }

    #[test]
    fn a_message_that_is_too_long_loses_the_middle_of_its_path() {
        let path = format!("/srv/{}/photos", "deep/".repeat(20));
        let message = format!("no space in {path} (125.83 MB needed, 20.97 MB free)");
        let fitted = fitted_message(&message, 76);
        assert!(fitted.starts_with("no space in /srv/deep/"), "{fitted}");
        assert!(fitted.ends_with("photos (125.83 MB needed, 20.97 MB free)"), "{fitted}");
        assert_eq!(columns(&fitted), 76);
        let words = "word ".repeat(30);
        assert_eq!(fitted_message(&words, 76), super::fitted(&words, 76));
        assert_eq!(fitted_message("a/b: no", 76), "a/b: no");
    }

    #[test]
    fn a_path_that_is_too_long_keeps_its_end() {
        let path = "/home/ann/photos/of the year/until it is too long";
        assert_eq!(fitted_path(path, 80), path);
        assert_eq!(fitted_path(path, 40), "…/of the year/until it is too long");
        assert_eq!(fitted_path(path, 24), "…/until it is too long");
        assert_eq!(fitted_path(path, 9), "…too long");
        assert_eq!(fitted_path("tow://box/backup", 13), "…/box/backup");
    }

    #[test]
    fn long_lines_are_parted_at_blanks() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("onetwothree", 4), ["onet", "woth", "ree"]);
        assert_eq!(wrapped("one\n\ntwo \x1b", 9), ["one", "", "two \\x1b"]);
    }
}
