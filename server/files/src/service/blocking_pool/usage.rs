//! Measures how much of its time work waited for the disk, by the thread's system counters.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// One in so many short jobs is measured: to ask the system takes as long as a part of it.
const SAMPLED: u32 = 16;

thread_local! {
    /// Short work of this thread that was not looked at since.
    static PASSED: Cell<u32> = const { Cell::new(SAMPLED) };
}

/// After work of this total time, older work counts half.
const MEMORY: Duration = Duration::from_millis(200);

/// The time of some work.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Usage {
    took: Duration,
    waited: Duration,
}

/// The beginning of some work.
pub(super) struct Before {
    at: Instant,
    thread: Thread,
}

impl Usage {
    /// `None` for short work that is not looked at.
    pub(super) fn sample(is_long: bool) -> Option<Before> {
        let passed = PASSED.get() + 1;
        let is_sampled = is_long || passed >= SAMPLED;
        PASSED.set(if is_sampled { 0 } else { passed });
        is_sampled.then(Self::now)
    }

    fn now() -> Before {
        Before { at: Instant::now(), thread: Thread::now() }
    }

    pub(super) fn add(&mut self, more: Self) {
        self.took += more.took;
        self.waited += more.waited;
        if self.took > MEMORY {
            (self.took, self.waited) = (self.took / 2, self.waited / 2);
        }
    }

    /// Returns whether more threads would help: those there are mostly wait for a disk, not for one another at the processor.
    pub(super) fn is_mostly_waiting(&self) -> bool {
        !self.took.is_zero() && self.waited > self.took / 2
    }
}

impl Before {
    /// Must be called by the same thread.
    pub(super) fn until_now(&self) -> Usage {
        let took = self.at.elapsed();
        let now = Thread::now();
        // A thread that never gave its processor away waited for no disk, at most for a processor.
        let has_waited = now.waits > self.thread.waits;
        let worked = now.worked.saturating_sub(self.thread.worked);
        Usage { took, waited: if has_waited { took.saturating_sub(worked) } else { Duration::ZERO } }
    }
}

/// The system's counters of this thread.
struct Thread {
    worked: Duration,
    /// Number of voluntary context switches.
    waits: i64,
}

impl Thread {
    #[cfg(target_os = "linux")]
    fn now() -> Self {
        use nix::sys::resource::{UsageWho, getrusage};

        let Ok(usage) = getrusage(UsageWho::RUSAGE_THREAD) else { return Self::UNKNOWN };
        let time = |time: nix::sys::time::TimeVal| {
            Duration::from_secs(time.tv_sec() as u64) + Duration::from_micros(time.tv_usec() as u64)
        };
        Self {
            worked: time(usage.user_time()) + time(usage.system_time()),
            waits: usage.voluntary_context_switches(),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn now() -> Self {
        Self::UNKNOWN
    }

    #[allow(dead_code, reason = "of systems that count nothing for a thread")]
    const UNKNOWN: Self = Self { worked: Duration::ZERO, waits: 0 };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_sleeps_waits_and_one_that_counts_does_not() {
        let before = Usage::now();
        std::thread::sleep(Duration::from_millis(20));
        let mut usage = before.until_now();
        if cfg!(target_os = "linux") {
            assert!(usage.is_mostly_waiting());
        }
        let before = Usage::now();
        let until = Instant::now() + Duration::from_millis(5);
        while Instant::now() < until {}
        let worked = before.until_now();
        usage.add(worked);
        assert!(worked.took >= Duration::from_millis(5));
    }

    #[test]
    fn of_short_work_a_part_is_looked_at_and_of_long_work_all() {
        let sampled = (0..10 * SAMPLED).filter(|_| Usage::sample(false).is_some()).count();
        assert_eq!(sampled, 10);
        assert!((0..10).all(|_| Usage::sample(true).is_some()));
    }
}
