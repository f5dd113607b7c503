//! Text in cells: widths, elision, padding, sizes and bars. What comes here is escaped already.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// At most `columns` wide: the middle of what is longer is left out, so that its end (an extension, a number) stays.
pub(super) fn fitted(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let room = columns.saturating_sub(1);
    let tail_room = (room / 3).max(room.min(8));
    let mut tail = Vec::new();
    let mut width = 0;
    for grapheme in text.graphemes(true).rev() {
        if width + grapheme.width() > tail_room {
            break;
        }
        width += grapheme.width();
        tail.push(grapheme);
    }
    let mut head = String::new();
    for grapheme in text.graphemes(true) {
        if width + grapheme.width() > room {
            break;
        }
        width += grapheme.width();
        head.push_str(grapheme);
    }
    head.push('…');
    head.extend(tail.into_iter().rev());
    head
}

/// Exactly `columns` wide.
pub(super) fn padded(text: &str, columns: usize) -> String {
    let fitted = fitted(text, columns);
    let blanks = columns.saturating_sub(fitted.width());
    fitted + &" ".repeat(blanks)
}

/// Two decimals and thousands apart: `1 932.11`; `<0.01` for what rounds to nothing.
pub(super) fn megabytes(bytes: u64) -> String {
    if bytes > 0 && bytes < 5_000 {
        return "<0.01".to_owned();
    }
    let hundredths = bytes / 10_000 + u64::from(bytes % 10_000 >= 5_000);
    let whole = (hundredths / 100).to_string();
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            grouped.push('\u{a0}');
        }
        grouped.push(digit);
    }
    format!("{grouped}.{:02}", hundredths % 100)
}

pub(super) fn human(bytes: u64) -> String {
    humansize::format_size(bytes, humansize::DECIMAL)
}

/// Eighth blocks, then blanks of the bar's own background.
pub(super) fn bar(part: f64, columns: usize) -> String {
    const EIGHTHS: [char; 7] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    let eighths = (part.clamp(0.0, 1.0) * (columns * 8) as f64).floor() as usize;
    let mut bar = "█".repeat(eighths / 8);
    if !eighths.is_multiple_of(8) {
        bar.push(EIGHTHS[eighths % 8 - 1]);
    }
    bar.extend(std::iter::repeat_n(' ', columns - eighths.div_ceil(8)));
    bar
}

/// 12 cells: `today 06:58`, `19 Nov 14:02`, `19 Nov 2025`.
pub(super) fn date(modified_ns: i64, now_ns: i64) -> String {
    let at = |ns: i64| {
        let second = ns.div_euclid(1_000_000_000);
        Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(TimeZone::system())
    };
    let (then, now) = (at(modified_ns), at(now_ns));
    if then.date() == now.date() {
        then.strftime("today %H:%M").to_string()
    } else if then.year() == now.year() {
        then.strftime("%d %b %H:%M").to_string()
    } else {
        then.strftime("%d %b %Y").to_string()
    }
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
            (1_932_110_000, "1\u{a0}932.11"),
        ];
        for (bytes, text) in table {
            assert_eq!(megabytes(bytes), text);
        }
    }

    #[test]
    fn what_is_too_long_loses_its_middle_and_keeps_its_width() {
        for text in
            ["short.txt", "a-very-long-name-of-a-file.tar.gz", "長い名前のファイル.txt", "e\u{301}\u{301}xyz"]
        {
            for columns in 1..30 {
                assert_eq!(padded(text, columns).width(), columns, "{text} in {columns}");
            }
        }
        assert!(fitted("a-very-long-name-of-a-file.tar.gz", 16).ends_with(".tar.gz"));
    }
}
