//! How fast bytes move and how long the rest will take. Pure: whoever asks brings the time.

use std::collections::VecDeque;
use std::time::Duration;

/// How far back the rate looks.
const WINDOW: Duration = Duration::from_secs(5);
/// Samples within it; ten a second, and some.
const SAMPLES_MAX: usize = 64;

/// The rate of a count that grows, over the last few seconds.
#[derive(Debug, Default)]
pub(super) struct Rate {
    /// Time since the beginning and count then, the oldest first.
    samples: VecDeque<(Duration, u64)>,
}

impl Rate {
    /// Takes in how much had moved at `elapsed`, and tells how much that is a second.
    pub(super) fn observe(&mut self, elapsed: Duration, moved: u64) -> u64 {
        self.samples.push_back((elapsed, moved));
        while self.samples.len() > SAMPLES_MAX
            || self.samples.get(1).is_some_and(|(then, _)| *then + WINDOW <= elapsed)
        {
            self.samples.pop_front();
        }
        // The first sample stands for the beginning, when nothing had moved.
        let (then, before) =
            self.samples.front().filter(|_| self.samples.len() > 1).copied().unwrap_or_default();
        let seconds = elapsed.saturating_sub(then).as_secs_f64();
        if seconds > 0.0 { (moved.saturating_sub(before) as f64 / seconds) as u64 } else { 0 }
    }
}

/// How long `bytes` take at a rate, rounded up to seconds; none where nothing moves.
pub(super) fn time_for(bytes: u64, bytes_per_second: u64) -> Option<Duration> {
    (bytes_per_second > 0).then(|| Duration::from_secs(bytes.div_ceil(bytes_per_second)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(tenths: u64) -> Duration {
        Duration::from_millis(100 * tenths)
    }

    #[test]
    fn the_first_rate_counts_from_the_beginning() {
        assert_eq!(Rate::default().observe(at(10), 500), 500);
        assert_eq!(Rate::default().observe(Duration::ZERO, 0), 0);
    }

    #[test]
    fn a_rate_forgets_what_was_long_ago() {
        let mut rate = Rate::default();
        for tenth in 0..100 {
            rate.observe(at(tenth), tenth * 1000);
        }
        assert_eq!(rate.observe(at(100), 100_000), 10_000);
        // Nothing moves any more.
        for tenth in 101..200 {
            rate.observe(at(tenth), 100_000);
        }
        assert_eq!(rate.observe(at(200), 100_000), 0);
        assert!(rate.samples.len() <= SAMPLES_MAX);
    }

    #[test]
    fn bytes_that_did_not_arrive_after_all_are_no_negative_rate() {
        let mut rate = Rate::default();
        rate.observe(at(10), 1000);
        assert_eq!(rate.observe(at(20), 400), 0);
    }

    #[test]
    fn the_time_left_is_rounded_up() {
        assert_eq!(time_for(1001, 100), Some(Duration::from_secs(11)));
        assert_eq!(time_for(0, 100), Some(Duration::ZERO));
        assert_eq!(time_for(5, 0), None);
    }
}
