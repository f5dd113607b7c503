//! When the screen is drawn: at once after a change, at most sixty times a second, and never for nothing.

use std::time::{Duration, Instant};

/// The shortest time from one frame to the next.
const FRAME_INTERVAL: Duration = Duration::from_micros(16_667);

/// Knows what changed since the last frame and when the next one may come.
#[derive(Debug, Default)]
pub(super) struct Pace {
    changed: bool,
    last_frame: Option<Instant>,
}

impl Pace {
    /// Something that the screen shows may be different now.
    pub(super) const fn change(&mut self) {
        self.changed = true;
    }

    /// When to draw; none while nothing changed.
    pub(super) fn next_frame(&self, now: Instant) -> Option<Instant> {
        let soonest = self.last_frame.map_or(now, |last| last + FRAME_INTERVAL);
        self.changed.then_some(soonest.max(now))
    }

    /// A frame was drawn.
    pub(super) const fn drawn(&mut self, now: Instant) {
        self.changed = false;
        self.last_frame = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_after_a_rest_is_drawn_at_once_and_the_next_one_waits_its_turn() {
        let start = Instant::now();
        let mut pace = Pace::default();
        assert_eq!(pace.next_frame(start), None);
        pace.change();
        assert_eq!(pace.next_frame(start), Some(start));
        pace.drawn(start);
        assert_eq!(pace.next_frame(start), None);
        let soon = start + Duration::from_millis(3);
        pace.change();
        assert_eq!(pace.next_frame(soon), Some(start + FRAME_INTERVAL));
        let later = start + Duration::from_secs(1);
        assert_eq!(pace.next_frame(later), Some(later));
    }
}
