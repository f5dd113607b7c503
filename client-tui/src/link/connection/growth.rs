//! When a session gets further streams: while data moves without a break over a line where an answer takes its time, and for as long as
//! that makes it faster. Pure: it is told what was measured, and says what to do.

use std::time::Duration;

/// How often is looked while data moves.
pub(super) const TICK: Duration = Duration::from_millis(250);
/// Where an answer takes less, one stream fills the line.
pub(super) const ROUND_TRIP_LEAST: Duration = Duration::from_millis(5);
/// Looks at a line that is busy, before the first further stream and to judge it.
const MEASURED: u32 = 2;
/// Looks that a new stream has to get up to speed.
const SETTLING: u32 = 3;
/// By how much more, in percent, the first further stream must have moved for others to follow.
const GAIN_PERCENT: u64 = 15;

/// What a tick has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Look {
    /// Bytes that moved since the tick before.
    pub(super) bytes: u64,
    /// Whether more is asked for, or waits to be sent.
    pub(super) is_busy: bool,
    /// The shortest there was.
    pub(super) round_trip: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// With one stream: so many looks at a busy line, and the bytes that moved meanwhile.
    Alone { looks: u32, bytes: u64 },
    /// With a second one: it had `before` bytes to beat.
    Trying { looks: u32, bytes: u64, before: u64 },
    /// All that there will be are there.
    Settled,
}

/// Decides for one session.
#[derive(Debug)]
pub(super) struct Growth {
    stage: Stage,
    further_max: usize,
}

impl Growth {
    /// For a session that may get so many further streams.
    pub(super) const fn new(further_max: usize) -> Self {
        let stage = if further_max == 0 { Stage::Settled } else { Stage::Alone { looks: 0, bytes: 0 } };
        Self { stage, further_max }
    }

    pub(super) fn is_settled(&self) -> bool {
        self.stage == Stage::Settled
    }

    /// None of them could be opened.
    pub(super) const fn give_up(&mut self) {
        self.stage = Stage::Settled;
    }

    /// How many further streams are to be opened now.
    pub(super) fn tick(&mut self, look: Look) -> usize {
        let is_busy = look.is_busy && look.bytes > 0;
        match &mut self.stage {
            Stage::Alone { looks, bytes } if is_busy && look.round_trip >= ROUND_TRIP_LEAST => {
                (*looks, *bytes) = (*looks + 1, *bytes + look.bytes);
                if *looks < MEASURED {
                    return 0;
                }
                self.stage = Stage::Trying { looks: 0, bytes: 0, before: *bytes };
                1
            }
            Stage::Alone { looks, bytes } => {
                (*looks, *bytes) = (0, 0);
                0
            }
            Stage::Trying { looks, bytes, before } if is_busy => {
                *looks += 1;
                if *looks > SETTLING {
                    *bytes += look.bytes;
                }
                if *looks < SETTLING + MEASURED {
                    return 0;
                }
                let is_faster = *bytes >= before.saturating_mul(100 + GAIN_PERCENT) / 100;
                self.stage = Stage::Settled;
                if is_faster { self.further_max - 1 } else { 0 }
            }
            Stage::Trying { looks, bytes, .. } => {
                // What moves later is measured anew.
                (*looks, *bytes) = (SETTLING, 0);
                0
            }
            Stage::Settled => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAR: Duration = Duration::from_millis(40);

    fn look(bytes: u64) -> Look {
        Look { bytes, is_busy: true, round_trip: FAR }
    }

    /// What is opened at each tick.
    fn opened(growth: &mut Growth, looks: impl IntoIterator<Item = Look>) -> Vec<usize> {
        looks.into_iter().map(|look| growth.tick(look)).collect()
    }

    #[test]
    fn a_second_stream_comes_after_half_a_second_and_the_others_where_it_has_helped() {
        let mut growth = Growth::new(3);
        assert_eq!(opened(&mut growth, [look(100), look(100)]), [0, 1]);
        let faster = [look(100), look(100), look(150), look(120), look(120)];
        assert_eq!(opened(&mut growth, faster), [0, 0, 0, 0, 2]);
        assert!(growth.is_settled());
        assert_eq!(opened(&mut growth, [look(900); 9]), [0; 9]);
    }

    #[test]
    fn no_third_stream_comes_where_the_second_did_not_help() {
        let mut growth = Growth::new(3);
        let looks = [look(100), look(100), look(100), look(150), look(100), look(110), look(110)];
        assert_eq!(opened(&mut growth, looks), [0, 1, 0, 0, 0, 0, 0]);
        assert!(growth.is_settled());
    }

    #[test]
    fn none_comes_to_a_line_that_rests_or_answers_at_once_or_where_one_is_enough() {
        let near = Look { round_trip: Duration::from_millis(4), ..look(1000) };
        assert_eq!(opened(&mut Growth::new(3), [near; 20]), [0; 20]);
        let rests = Look { is_busy: false, ..look(1000) };
        assert_eq!(opened(&mut Growth::new(3), [look(1), rests, look(1), rests]), [0; 4]);
        assert_eq!(opened(&mut Growth::new(3), [look(0); 20]), [0; 20], "stuck");
        assert!(Growth::new(0).is_settled());
    }

    #[test]
    fn a_pause_in_the_middle_of_a_try_decides_nothing() {
        let mut growth = Growth::new(3);
        let rests = Look { is_busy: false, ..look(0) };
        let looks = [look(100), look(100), look(1), look(1), look(1), look(1), rests, look(200), look(200)];
        assert_eq!(opened(&mut growth, looks), [0, 1, 0, 0, 0, 0, 0, 0, 2]);
    }
}
