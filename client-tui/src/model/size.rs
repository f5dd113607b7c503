//! Sizes in words and digits. A megabyte is 10^6 bytes.

use super::number::{noun, thousands};

/// Bytes in a megabyte.
const MEGABYTE: u64 = 1_000_000;

/// Megabytes with two decimals, and as many more as the first non-zero digit needs: `24.61`, `0.000002`, `0.00`.
pub fn megabytes(bytes: u64) -> String {
    let decimals = match bytes {
        1..10 => 6,
        10..100 => 5,
        100..1_000 => 4,
        1_000..10_000 => 3,
        _ => 2,
    };
    // Rounded half up in integers: a double would be exact enough, but need not be trusted.
    let unit = 10_u64.pow(6 - decimals);
    let rounded = bytes / unit + u64::from(bytes % unit >= unit.div_ceil(2) && unit > 1);
    let per_megabyte = 10_u64.pow(decimals);
    format!("{}.{:0width$}", rounded / per_megabyte, rounded % per_megabyte, width = decimals as usize)
}

/// As `megabytes`, thousands apart: `1 932.11`.
pub fn megabytes_grouped(bytes: u64) -> String {
    let text = megabytes(bytes);
    match text.split_once('.') {
        Some((whole, part)) => format!("{}.{part}", thousands(whole.parse().unwrap_or_default())),
        None => text,
    }
}

/// Megabytes as an exact decimal number without trailing zeros: `24.612345`, `0.000002`, `3`.
pub fn megabytes_exact(bytes: u64) -> String {
    let text = format!("{}.{:06}", bytes / MEGABYTE, bytes % MEGABYTE);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// `0.000002 MB (2 bytes)`.
pub fn megabytes_and_bytes(bytes: u64) -> String {
    format!("{} MB ({bytes} {})", megabytes(bytes), noun(bytes, "byte", "bytes"))
}

/// In the unit that fits: `24.61 MB`, `2 B`.
pub fn human(bytes: u64) -> String {
    humansize::format_size(bytes, humansize::DECIMAL)
}

/// Bytes a second in the unit that fits; a time too short to measure counts as a millisecond.
pub fn rate(bytes: u64, seconds: f64) -> String {
    format!("{}/s", human((bytes as f64 / seconds.max(0.001)) as u64))
}

/// `text`, in which a server says how many bytes it needs and how many are free, with `shown` sizes instead. Bytes that it keeps free are
/// not free.
pub fn needed_and_free(text: &str, shown: impl Fn(u64) -> String) -> String {
    const NEEDED: &str = " bytes needed, ";
    const KEPT: (&str, &str) = (" free, ", " of them kept free");
    let Some((before, after)) = text.split_once(NEEDED) else { return text.to_owned() };
    let start = before.rfind(|c: char| !c.is_ascii_digit()).map_or(0, |at| at + 1);
    let Ok(needed) = before[start..].parse() else { return text.to_owned() };
    let mut said = format!("{}{} needed, ", &before[..start], shown(needed));
    let kept = after.split_once(KEPT.0).and_then(|(free, rest)| Some((free, rest.split_once(KEPT.1)?)));
    if let Some((free, (kept, rest))) = kept
        && let (Ok(free), Ok(kept)) = (free.parse::<u64>(), kept.parse())
    {
        return format!("{said}{} free{rest}", shown(free.saturating_sub(kept)));
    }
    let mut rest = after;
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        let number = &rest[at..];
        let end = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
        said.push_str(&rest[..at]);
        said.push_str(&number[..end].parse().map_or_else(|_| number[..end].to_owned(), &shown));
        rest = &number[end..];
    }
    said.push_str(rest);
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_needed_and_free_are_shown_in_units() {
        let server = "no space left at the destination (125829120 bytes needed, 20971520 free, 1000000 of them kept free)";
        let shown = "no space left at the destination (125.83 MB needed, 19.97 MB free)";
        assert_eq!(needed_and_free(server, human), shown);
        assert_eq!(needed_and_free("(9 bytes needed, 5 free)", human), "(9 B needed, 5 B free)");
        let quota = "125829120 bytes needed, 20971520 left of the 104857600 for this client";
        let shown = "125.83 MB needed, 20.97 MB left of the 104.86 MB for this client";
        assert_eq!(needed_and_free(quota, human), shown);
        for other in ["permission denied", " bytes needed, ", "x bytes needed, 3 free"] {
            assert_eq!(needed_and_free(other, human), other);
        }
    }

    #[test]
    fn megabytes_show_two_decimals_and_the_first_digit_that_counts() {
        let table = [
            (0, "0.00"),
            (1, "0.000001"),
            (2, "0.000002"),
            (99, "0.00010"),
            (123, "0.0001"),
            (999, "0.0010"),
            (5_000, "0.005"),
            (10_000, "0.01"),
            (14_999, "0.01"),
            (15_000, "0.02"),
            (999_999, "1.00"),
            (1_000_000, "1.00"),
            (24_612_345, "24.61"),
            (u64::MAX, "18446744073709.55"),
        ];
        for (bytes, text) in table {
            assert_eq!(megabytes(bytes), text, "{bytes}");
        }
    }

    #[test]
    fn thousands_stand_apart() {
        assert_eq!(megabytes_grouped(1_932_110_000), "1 932.11");
        assert_eq!(megabytes_grouped(2), "0.000002");
    }

    #[test]
    fn exact_megabytes_lose_nothing() {
        for (bytes, text) in
            [(0, "0"), (2, "0.000002"), (1_500_000, "1.5"), (24_612_345, "24.612345"), (3_000_000, "3")]
        {
            assert_eq!(megabytes_exact(bytes), text);
        }
    }
}
