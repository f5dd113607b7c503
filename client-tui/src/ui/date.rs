//! Dates as a person reads them: nearer ones more exactly. Now and the time zone are given.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use towpath_protocol::time::Time;

/// Now, in the zone that all dates are shown in.
#[derive(Debug)]
pub(super) struct Dates<'a> {
    now: DateTime,
    now_ns: i64,
    zone: &'a TimeZone,
}

impl<'a> Dates<'a> {
    pub(super) fn new(now_ns: i64, zone: &'a TimeZone) -> Self {
        Self { now: at(Time::from_ns(now_ns), zone), now_ns, zone }
    }

    /// Rounded up; none are left of what is over.
    pub(super) const fn seconds_until(&self, ns: i64) -> u64 {
        let left_ns = ns.saturating_sub(self.now_ns);
        if left_ns > 0 { (left_ns as u64).div_ceil(1_000_000_000) } else { 0 }
    }

    /// 12 cells at most: `today 06:58`, `19 Nov 14:02`, `19 Nov 2025`.
    pub(super) fn long(&self, time: Time) -> String {
        let then = at(time, self.zone);
        if then.date() == self.now.date() {
            format!("today {:02}:{:02}", then.hour(), then.minute())
        } else if then.year() == self.now.year() {
            format!("{:02} {} {:02}:{:02}", then.day(), month(then), then.hour(), then.minute())
        } else {
            format!("{:02} {} {:04}", then.day(), month(then), then.year())
        }
    }

    /// To the nanosecond, as far as there is something: `2026-11-20 14:02:07.5`.
    pub(super) fn exact(&self, time: Time) -> String {
        let then = at(time, self.zone);
        let text = format!("{} {:02}:{:02}:{:02}", then.date(), then.hour(), then.minute(), then.second());
        match then.subsec_nanosecond() {
            0 => text,
            part => format!("{text}.{}", format!("{part:09}").trim_end_matches('0')),
        }
    }

    /// 8 cells at most: `06:58`, `19 Nov`, `Nov 2025`.
    pub(super) fn short(&self, time: Time) -> String {
        let then = at(time, self.zone);
        if then.date() == self.now.date() {
            format!("{:02}:{:02}", then.hour(), then.minute())
        } else if then.year() == self.now.year() {
            format!("{:02} {}", then.day(), month(then))
        } else {
            format!("{} {:04}", month(then), then.year())
        }
    }
}

/// The first or last moment of the years 1 to 9999 if they do not reach that far.
fn at(time: Time, zone: &TimeZone) -> DateTime {
    /// 0001-01-02T00:00:00Z: in year 1 in every zone.
    const FIRST: i64 = -62_135_510_400;
    zone.to_datetime(Timestamp::from_second(time.seconds().max(FIRST)).unwrap_or(Timestamp::MAX))
}

fn month(date: DateTime) -> &'static str {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    MONTHS.get(date.month() as usize - 1).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_the_more_exact_the_nearer_it_is() {
        let ns = |text: &str| text.parse::<Timestamp>().unwrap().as_nanosecond() as i64;
        let at = |text: &str| Time::from_ns(ns(text));
        let utc = TimeZone::UTC;
        let dates = Dates::new(ns("2026-11-23T16:45:00Z"), &utc);
        let table = [
            ("2026-11-23T06:58:59Z", "today 06:58", "06:58"),
            ("2026-11-22T23:59:00Z", "22 Nov 23:59", "22 Nov"),
            ("2026-01-01T00:00:00Z", "01 Jan 00:00", "01 Jan"),
            ("2025-12-31T23:59:59Z", "31 Dec 2025", "Dec 2025"),
            ("2027-02-03T00:00:00Z", "03 Feb 2027", "Feb 2027"),
            ("1960-05-06T00:00:00Z", "06 May 1960", "May 1960"),
        ];
        for (then, long, short) in table {
            assert_eq!((dates.long(at(then)).as_str(), dates.short(at(then)).as_str()), (long, short));
        }
        let east = TimeZone::fixed(jiff::tz::offset(9));
        assert_eq!(
            Dates::new(ns("2026-11-23T16:45:00Z"), &east).long(at("2026-11-23T06:58:00Z")),
            "23 Nov 15:58"
        );
        let after_2262 = Time::new(10_413_792_000, 0);
        assert_eq!(
            (dates.long(after_2262).as_str(), dates.short(after_2262).as_str()),
            ("01 Jan 2300", "Jan 2300")
        );
        for end in [Time::new(i64::MIN, 0), Time::FIRST_NS, Time::LAST_NS, Time::new(i64::MAX, 0)] {
            assert!(dates.long(end).len() <= 12 && dates.short(end).len() <= 8, "{}", dates.long(end));
        }
    }
}
