//! A moment as a file system keeps it: seconds and nanoseconds, before 1678 and after 2262 too.

use std::fmt;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const SECOND_NS: i64 = 1_000_000_000;

/// Seconds since 1970-01-01T00:00:00Z and nanoseconds after them. On the wire an i64 of nanoseconds if it fits, else
/// `[seconds, nanoseconds]`; a peer without [`Capability::ATTRIBUTES`](crate::hello::Capability::ATTRIBUTES) knows the i64 only.
// Packed, since a listing holds two of them for each entry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(Rust, packed(4))]
pub struct Time {
    seconds: i64,
    /// Below 1,000,000,000.
    nanoseconds: u32,
}

impl Time {
    /// The last moment that an i64 of nanoseconds can say. A peer that knows no other form sends it for all later ones.
    pub const LAST_NS: Self = Self::from_ns(i64::MAX);
    /// The first moment that an i64 of nanoseconds can say. A peer that knows no other form sends it for all earlier ones.
    pub const FIRST_NS: Self = Self::from_ns(i64::MIN);

    /// Nanoseconds beyond a second are left out.
    pub const fn new(seconds: i64, nanoseconds: u32) -> Self {
        let most = SECOND_NS as u32 - 1;
        Self { seconds, nanoseconds: if nanoseconds > most { most } else { nanoseconds } }
    }

    pub const fn from_ns(ns: i64) -> Self {
        Self { seconds: ns.div_euclid(SECOND_NS), nanoseconds: ns.rem_euclid(SECOND_NS) as u32 }
    }

    /// Nanoseconds since 1970, `None` if an i64 cannot hold them.
    pub const fn ns(self) -> Option<i64> {
        let ns = self.wide_ns();
        if ns < i64::MIN as i128 || ns > i64::MAX as i128 { None } else { Some(ns as i64) }
    }

    /// Nanoseconds since 1970.
    pub const fn wide_ns(self) -> i128 {
        self.seconds as i128 * SECOND_NS as i128 + self.nanoseconds as i128
    }

    pub const fn seconds(self) -> i64 {
        self.seconds
    }

    pub const fn nanoseconds(self) -> u32 {
        self.nanoseconds
    }

    /// The nearest moment that an i64 of nanoseconds can say.
    #[must_use]
    pub const fn narrowed(self) -> Self {
        match self.ns() {
            Some(_) => self,
            None if self.seconds < 0 => Self::FIRST_NS,
            None => Self::LAST_NS,
        }
    }

    /// Returns whether an older peer may mean any time before or after this one by it.
    pub fn is_end(self) -> bool {
        self == Self::FIRST_NS || self == Self::LAST_NS
    }

    /// Returns whether a file system with coarse times rounds `exact` to this, or keeps it: less than a step away, and a multiple of that step. The steps
    /// are those that are in use: 100 ns (NTFS, SMB), 1 µs, 1 ms, 10 ms (exFAT), a second (HFS+, ext3), two (FAT).
    pub const fn is_rounded_from(self, exact: Self) -> bool {
        const STEPS_NS: [i128; 6] = [100, 1_000, 1_000_000, 10_000_000, 1_000_000_000, 2_000_000_000];
        let (here, there) = (self.wide_ns(), exact.wide_ns());
        let apart = (here - there).abs();
        if apart == 0 {
            return true;
        }
        let mut at = 0;
        while at < STEPS_NS.len() {
            if apart < STEPS_NS[at] && here % STEPS_NS[at] == 0 {
                return true;
            }
            at += 1;
        }
        false
    }

    /// The same moment, or one of the two is what an older peer says for the other.
    pub fn agrees_with(self, other: Self) -> bool {
        self == other || (self.narrowed() == other.narrowed() && (self.is_end() || other.is_end()))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.ns() {
            Some(ns) => ns.serialize(serializer),
            None => (self.seconds, self.nanoseconds).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;

        impl<'de> Visitor<'de> for Form {
            type Value = Time;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("nanoseconds, or seconds and nanoseconds")
            }

            fn visit_i64<E: Error>(self, ns: i64) -> Result<Time, E> {
                Ok(Time::from_ns(ns))
            }

            fn visit_u64<E: Error>(self, ns: u64) -> Result<Time, E> {
                i64::try_from(ns)
                    .map(Time::from_ns)
                    .map_err(|_| E::custom("a time beyond an i64 of nanoseconds"))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Time, A::Error> {
                let (Some(seconds), Some(nanoseconds)) = (seq.next_element()?, seq.next_element::<u32>()?)
                else {
                    return Err(A::Error::invalid_length(0, &self));
                };
                if seq.next_element::<serde::de::IgnoredAny>()?.is_some() {
                    return Err(A::Error::invalid_length(3, &self));
                }
                let time = Time::new(seconds, nanoseconds);
                // Each moment has one form.
                if time.nanoseconds != nanoseconds || time.ns().is_some() {
                    return Err(A::Error::custom("a time in seconds and nanoseconds that has another form"));
                }
                Ok(time)
            }
        }

        deserializer.deserialize_any(Form)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_of_the_narrow_form_agrees_with_all_that_it_may_stand_for() {
        let (early, late) = (Time::new(-20_000_000_000, 5), Time::new(20_000_000_000, 5));
        assert_eq!((early.narrowed(), late.narrowed()), (Time::FIRST_NS, Time::LAST_NS));
        assert!(early < Time::FIRST_NS && Time::LAST_NS < late);
        assert!(late.agrees_with(Time::LAST_NS) && Time::FIRST_NS.agrees_with(early));
        assert!(!late.agrees_with(Time::new(20_000_000_000, 6)), "both say what they mean");
        assert!(!late.agrees_with(early) && !Time::from_ns(1).agrees_with(Time::from_ns(2)));
    }

    #[test]
    fn a_rounded_time_is_a_multiple_of_a_step_that_is_less_than_that_away() {
        let exact = Time::new(1_714_885_505, 123_456_789);
        for (seconds, nanoseconds) in [
            (0, 123_456_789),
            (0, 123_456_700),
            (0, 123_456_000),
            (0, 123_000_000),
            (0, 120_000_000),
            (0, 0),
            (-1, 0),
            (1, 0),
        ] {
            assert!(
                Time::new(1_714_885_505 + seconds, nanoseconds).is_rounded_from(exact),
                "{seconds} {nanoseconds}"
            );
        }
        for (seconds, nanoseconds) in
            [(0, 123_456_788), (0, 123_456_600), (0, 1), (-2, 0), (2, 0), (3, 0), (-1, 1)]
        {
            assert!(
                !Time::new(1_714_885_505 + seconds, nanoseconds).is_rounded_from(exact),
                "{seconds} {nanoseconds}"
            );
        }
        assert!(Time::new(-2, 0).is_rounded_from(Time::new(-1, 5)), "before 1970 too");
        let late = Time::new(i64::MAX, 999_999_999);
        assert!(late.is_rounded_from(late) && !late.is_rounded_from(Time::new(i64::MIN, 0)));
    }

    #[test]
    fn each_moment_has_one_form() {
        let read = |bytes: &[u8]| rmp_serde::from_slice::<Time>(bytes);
        assert_eq!(read(&[0xff]).unwrap(), Time::new(-1, 999_999_999));
        let seconds = rmp_serde::to_vec(&Time::new(1 << 40, 7)).unwrap();
        assert_eq!(read(&seconds).unwrap(), Time::new(1 << 40, 7));
        for wrong in
            [&[0x92, 1, 2][..], &[0x91, 1], &[0x93, 1, 2, 3], &[0xc0], &[0xcf, 255, 0, 0, 0, 0, 0, 0, 0]]
        {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
        let many = rmp_serde::to_vec(&(1_i64 << 40, 1_000_000_000_u32)).unwrap();
        assert!(read(&many).is_err(), "more nanoseconds than a second has");
    }
}
