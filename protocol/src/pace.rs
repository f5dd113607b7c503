//! How fast a line takes what there is for it, and what follows from that for who writes. Pure: it knows no stream and no clock.

use std::time::Duration;

/// A line that takes more bytes a second is not slow.
const SLOW_BYTES_PER_SECOND: u64 = 50_000_000;
/// For so long a line must have kept its writer waiting, before it is judged, and before it is again.
const JUDGED_AFTER: Duration = Duration::from_millis(250);
/// Bytes that may wait where nothing urgent goes ahead of them: what the line takes in this part of a second, ...
const AHEAD_PER_SECOND: u64 = 2000;
/// ... but at least a few packets. From a most on it is not worth the writer's trouble.
const AHEAD_BYTES_LEAST: u64 = 4 * 1024;
const AHEAD_BYTES_MOST: u64 = 128 * 1024;

/// What is known of one line, one way.
#[derive(Debug, Default)]
pub struct Pace {
    /// Since it was last judged.
    bytes: u64,
    busy: Duration,
    /// None until it has been judged.
    bytes_per_second: Option<u64>,
}

impl Pace {
    pub const fn new() -> Self {
        Self { bytes: 0, busy: Duration::ZERO, bytes_per_second: None }
    }

    /// Takes note of a write: bytes that were taken, and how long the line kept them waiting. Returns whether it was judged by that.
    pub fn wrote(&mut self, bytes: usize, took: Duration) -> bool {
        self.bytes += bytes as u64;
        self.busy += took;
        let is_judged = self.busy >= JUDGED_AFTER;
        if is_judged {
            let per_second = u128::from(self.bytes) * 1_000_000 / self.busy.as_micros().max(1);
            let bytes_per_second = Some(u64::try_from(per_second).unwrap_or(u64::MAX));
            *self = Self { bytes_per_second, ..Self::new() };
        }
        is_judged
    }

    /// Whether it is worth the time to make things smaller for it.
    pub fn is_slow(&self) -> bool {
        self.bytes_per_second.is_some_and(|per_second| per_second < SLOW_BYTES_PER_SECOND)
    }

    /// Bytes that may wait in one place (a write, the system) where what is urgent cannot go ahead of them: the slower the line, the
    /// fewer. None where the line is fast, or not known.
    pub fn ahead_bytes(&self) -> Option<usize> {
        let bytes = (self.bytes_per_second? / AHEAD_PER_SECOND).max(AHEAD_BYTES_LEAST);
        (bytes < AHEAD_BYTES_MOST).then_some(bytes as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_line_is_judged_by_what_it_took_while_its_writer_waited_and_again_later() {
        let mut pace = Pace::new();
        assert!(!pace.wrote(1_000_000, JUDGED_AFTER / 2) && !pace.is_slow(), "nothing is known yet");
        assert!(pace.wrote(1_000_000, JUDGED_AFTER / 2) && pace.is_slow(), "8 MB/s");
        assert!(!pace.wrote(1_000_000_000, Duration::ZERO), "it never waited");
        assert!(pace.wrote(0, JUDGED_AFTER) && !pace.is_slow(), "a GB in between");
        assert!(pace.wrote(SLOW_BYTES_PER_SECOND as usize, SECOND) && !pace.is_slow());
        assert!(pace.wrote(SLOW_BYTES_PER_SECOND as usize - 1, SECOND) && pace.is_slow());
    }

    #[test]
    fn the_slower_it_is_the_less_waits_where_nothing_goes_ahead() {
        let ahead = |bytes: usize| {
            let mut pace = Pace::new();
            pace.wrote(bytes, SECOND);
            pace.ahead_bytes()
        };
        assert_eq!(Pace::new().ahead_bytes(), None);
        assert_eq!(ahead(1_000), Some(4 * 1024));
        assert_eq!(ahead(12_500_000), Some(6_250), "100 Mbit/s");
        assert_eq!(ahead(50_000_000), Some(25_000));
        assert_eq!(ahead(1_000_000_000), None);
    }
}
