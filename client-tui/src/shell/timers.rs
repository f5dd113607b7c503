//! What the thinking wing waits for: a moment for each name.

use std::time::{Duration, Instant};

use crate::app::effect::Timer;

/// The moments to come.
#[derive(Debug, Default)]
pub(super) struct Timers(Vec<(Timer, Instant)>);

impl Timers {
    /// A new moment takes the place of an older one of the same name.
    pub(super) fn set(&mut self, timer: Timer, ms: u64) {
        self.0.retain(|(known, _)| *known != timer);
        self.0.push((timer, Instant::now() + Duration::from_millis(ms)));
    }

    /// The nearest.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.iter().map(|(_, at)| *at).min()
    }

    /// Takes those that are over.
    pub(super) fn take_due(&mut self) -> Vec<Timer> {
        let now = Instant::now();
        self.0.extract_if(.., |(_, at)| *at <= now).map(|(timer, _)| timer).collect()
    }
}
