//! The time zone that dates are shown in, as the C library understands `TZ`.

use std::ffi::OsStr;
use std::sync::OnceLock;

use jiff::tz::TimeZone;

/// When summer time begins and ends in a `TZ` that names one and says no more: glibc's rule.
const SUMMER: &str = ",M3.2.0,M11.1.0";

/// The zone of this process, read once.
pub fn local() -> &'static TimeZone {
    static LOCAL: OnceLock<TimeZone> = OnceLock::new();
    LOCAL.get_or_init(|| std::env::var_os("TZ").and_then(|tz| named(&tz)).unwrap_or_else(TimeZone::system))
}

/// The zone of a `TZ` that jiff reads otherwise than the C library: one of the variants that zones are also installed in, and one such as
/// `CET-1CEST`, which POSIX refuses without a rule. `None` if it is anything else.
fn named(tz: &OsStr) -> Option<TimeZone> {
    let tz = tz.to_str()?;
    let tz = tz.strip_prefix(':').unwrap_or(tz);
    if let Some(name) = tz.strip_prefix("posix/").or_else(|| tz.strip_prefix("right/")) {
        return TimeZone::get(name).ok();
    }
    if tz.contains([',', '/']) || TimeZone::posix(tz).is_ok() || TimeZone::get(tz).is_ok() {
        return None;
    }
    TimeZone::posix(&format!("{tz}{SUMMER}")).ok()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn a_zone_that_names_its_summer_time_only_has_the_rule_of_the_c_library() {
        for (tz, winter, summer) in [
            ("CET-1CEST", "13:00", "14:00"),
            (":CET-1CEST", "13:00", "14:00"),
            ("GMT0BST", "12:00", "13:00"),
            ("CET-1CEST-3", "13:00", "15:00"),
            ("posix/Europe/Berlin", "13:00", "14:00"),
            ("<+0330>-3:30<+0430>", "15:30", "16:30"),
        ] {
            let zone = named(OsStr::new(tz)).unwrap_or_else(|| panic!("{tz}"));
            let at = |moment: &str| {
                let moment: Timestamp = moment.parse().unwrap();
                moment.to_zoned(zone.clone()).strftime("%H:%M").to_string()
            };
            assert_eq!(at("2026-01-15T12:00:00Z"), winter, "{tz}");
            assert_eq!(at("2026-07-01T12:00:00Z"), summer, "{tz}");
        }
        for tz in [
            "",
            "UTC",
            "UTC0",
            "Europe/Berlin",
            "EST5EDT",
            "EST5EDT,M3.2.0,M11.1.0",
            "JST-9",
            "Nonsense/Zone",
            "CET",
            "a",
        ] {
            assert_eq!(named(OsStr::new(tz)), None, "{tz}");
        }
    }
}
