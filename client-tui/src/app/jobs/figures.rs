//! The progress figures of a job. They never fall back, whatever cuts it off.

use super::{Job, Work};
use crate::model::JobProgress;

/// Rates that are kept of a job, one each half second.
const RATES_KEPT_MAX: usize = 60;
const RATE_EVERY_MS: u64 = 500;
/// Time after which the totals of a job are kept for a later start.
const NOTED_MS: u64 = 1_000;

/// Work of a job that was done before it was cut off.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::app) struct Before {
    /// Whole files, and their bytes.
    pub(in crate::app) done: (u64, u64),
    /// All files and bytes. `None` if they were not known yet.
    pub(in crate::app) totals: Option<(u64, u64)>,
}

impl Job {
    /// Of files where it deletes, of bytes else; 0 to 1. Never falls, also where more to do is found late.
    pub const fn part_done(&self) -> f64 {
        self.part
    }

    fn part_now(&self) -> f64 {
        let (done, all) = match self.work {
            Work::Delete => (self.now.files, self.now.files_total),
            Work::Carry(_) if self.now.bytes_total == 0 => (self.now.files, self.now.files_total),
            Work::Carry(_) => (self.now.bytes, self.now.bytes_total),
        };
        if all == 0 { 0.0 } else { (done as f64 / all as f64).min(1.0) }
    }

    /// Goes on from where another job was cut off: it shows how far that was until it is further.
    pub(super) fn follow(&mut self, other: Self) {
        let totals = (!other.now.growing).then_some((other.now.files_total, other.now.bytes_total));
        self.before = Before { done: other.arrived, totals };
        self.totals = other.totals.or(totals);
        (self.arrived, self.part) = (other.arrived, other.part);
        self.now = JobProgress {
            bytes_per_second: 0,
            left_seconds: None,
            current: None,
            elapsed_ms: 0,
            ..other.now
        };
        (self.failures, self.failure) = (other.failures, other.failure);
    }

    pub(super) fn take(&mut self, now: JobProgress) {
        let moved = now.bytes.saturating_sub(now.reused);
        let under_way = now.bytes.saturating_sub(now.arrived_bytes);
        let now = self.with_before(now);
        self.arrived = (now.files, now.bytes.saturating_sub(under_way));
        let now = self.not_back(now);
        if (now.bytes, now.files) != (self.now.bytes, self.now.files) {
            self.moved_ms = now.elapsed_ms;
        }
        let (then_ms, then_bytes) = self.sampled;
        let passed_ms = now.elapsed_ms.saturating_sub(then_ms);
        if passed_ms >= RATE_EVERY_MS {
            self.rates.push_back(moved.saturating_sub(then_bytes).saturating_mul(1000) / passed_ms);
            self.sampled = (now.elapsed_ms, moved);
            if self.rates.len() > RATES_KEPT_MAX {
                self.rates.pop_front();
            }
        }
        if !now.growing && self.totals.is_none() && now.elapsed_ms >= NOTED_MS {
            (self.totals, self.is_noted) = (Some((now.files_total, now.bytes_total)), false);
        }
        self.now = now;
        if !self.now.growing {
            self.part = self.part.max(self.part_now());
        }
    }

    /// Adds what was done before the job was cut off. Whole files are not found again; and where all was known then, all that is not
    /// found again is done.
    fn with_before(&self, now: JobProgress) -> JobProgress {
        let Before { done: (files_done, bytes_done), totals } = self.before;
        let sum = |before: u64, total: Option<u64>, (done, found): (u64, u64)| match total {
            Some(total) if now.growing => (before.saturating_add(done).min(total), total),
            Some(total) => {
                let total = total.max(before.saturating_add(found));
                (total.saturating_sub(found.saturating_sub(done)), total)
            }
            None => (before.saturating_add(done), before.saturating_add(found)),
        };
        let (files, files_total) =
            sum(files_done, totals.map(|(files, _)| files), (now.files, now.files_total));
        let (bytes, bytes_total) =
            sum(bytes_done, totals.map(|(_, bytes)| bytes), (now.bytes, now.bytes_total));
        let growing = now.growing && totals.is_none();
        JobProgress { files, files_total, bytes, bytes_total, growing, ..now }
    }

    /// Progress that never falls back behind what was shown: bytes that were under way move once more, or are still being looked for.
    fn not_back(&self, now: JobProgress) -> JobProgress {
        let (files, bytes) = (now.files.max(self.now.files), now.bytes.max(self.now.bytes));
        let (files_total, bytes_total) = (now.files_total.max(files), now.bytes_total.max(bytes));
        JobProgress { files, files_total, bytes, bytes_total, ..now }
    }
}
