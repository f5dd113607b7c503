//! Whether and how fast a job's bytes may pass, changed while it runs by whoever holds the other end. Knows no job.

use std::future::{pending, poll_fn};
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// What may pass at once after a rest: a smoother flow needs more wake-ups than it is worth.
const BURST: Duration = Duration::from_millis(50);

/// A gate for bytes. Open and without a limit at first.
#[derive(Debug, Default)]
pub struct Throttle {
    state: Mutex<State>,
    changed: Notify,
    /// Of all jobs together.
    above: Option<Arc<Self>>,
}

#[derive(Debug, Default)]
struct State {
    is_paused: bool,
    bytes_per_second: Option<NonZeroU64>,
    /// When what has passed so far has been paid for.
    free_at: Option<Instant>,
}

/// What is to be waited for.
enum Turn {
    Pass,
    At(Instant),
    Change,
}

impl Throttle {
    /// One that what passes must pass as well as `above`.
    pub fn below(above: Arc<Self>) -> Self {
        Self { above: Some(above), ..Self::default() }
    }

    pub fn pause(&self) {
        self.state().is_paused = true;
        self.changed.notify_waiters();
    }

    pub fn resume(&self) {
        self.state().is_paused = false;
        self.changed.notify_waiters();
    }

    /// Bytes a second from now on; none: as fast as it goes.
    pub fn limit(&self, bytes_per_second: Option<NonZeroU64>) {
        let mut state = self.state();
        (state.bytes_per_second, state.free_at) = (bytes_per_second, None);
        drop(state);
        self.changed.notify_waiters();
    }

    /// Waits until so many bytes may pass; none wait for nothing but the end of a pause. To be given up by dropping it.
    pub async fn pass(&self, bytes: u64) {
        self.pass_one(bytes).await;
        if let Some(above) = &self.above {
            above.pass_one(bytes).await;
        }
    }

    /// Returns whether a pause or limit, of the job or of all, holds bytes back.
    pub fn holds_back(&self) -> bool {
        let state = self.state();
        let holds = state.is_paused || state.bytes_per_second.is_some();
        drop(state);
        holds || self.above.as_ref().is_some_and(|above| above.holds_back())
    }

    /// Returns whether a pause holds everything back, of the job or of all.
    pub fn is_paused(&self) -> bool {
        self.state().is_paused || self.above.as_ref().is_some_and(|above| above.is_paused())
    }

    /// Waits until `is_so` holds after a change.
    pub async fn until(&self, is_so: fn(&Self) -> bool) {
        loop {
            let above = async {
                match &self.above {
                    Some(above) => above.changed.notified().await,
                    None => pending().await,
                }
            };
            tokio::select! {
                biased;
                () = self.changed.notified() => {}
                () = above => {}
                // Looked at once every change would be heard of.
                () = poll_fn(|_| if is_so(self) { Poll::Ready(()) } else { Poll::Pending }) => return,
            }
        }
    }

    async fn pass_one(&self, bytes: u64) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            match self.turn(bytes) {
                Turn::Pass => return,
                Turn::At(moment) => tokio::select! {
                    () = sleep_until(moment) => {}
                    () = changed => {}
                },
                Turn::Change => changed.await,
            }
        }
    }

    fn turn(&self, bytes: u64) -> Turn {
        let mut state = self.state();
        if state.is_paused {
            return Turn::Change;
        }
        let Some(rate) = state.bytes_per_second.filter(|_| bytes > 0) else { return Turn::Pass };
        let now = Instant::now();
        match state.free_at {
            Some(free_at) if free_at > now + BURST => Turn::At(free_at - BURST),
            free_at => {
                let cost = Duration::from_secs_f64(bytes as f64 / rate.get() as f64);
                state.free_at = Some(free_at.unwrap_or(now).max(now) + cost);
                Turn::Pass
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How long so many bytes take in parts of a thousand.
    async fn time_of(throttle: &Throttle, bytes: u64) -> f64 {
        let begun = Instant::now();
        for _ in 0..bytes / 1_000 {
            throttle.pass(1_000).await;
        }
        begun.elapsed().as_secs_f64()
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_pass_at_the_rate_that_is_set_and_a_change_holds_at_once() {
        let throttle = Throttle::default();
        assert!(time_of(&throttle, 1_000_000).await < 0.001, "no limit");
        throttle.limit(NonZeroU64::new(100_000));
        let seconds = time_of(&throttle, 1_000_000).await;
        assert!((9.8..10.1).contains(&seconds), "{seconds}");
        // One that waits for a long time is not kept waiting.
        throttle.limit(NonZeroU64::new(1));
        throttle.pass(1_000).await;
        let waiting = throttle.pass(1_000);
        tokio::pin!(waiting);
        assert!(tokio::time::timeout(Duration::from_secs(5), &mut waiting).await.is_err());
        throttle.limit(None);
        tokio::time::timeout(Duration::from_secs(1), waiting).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_bytes_to_be_held_back_hears_of_a_pause_and_of_a_limit_of_all() {
        let changes: [fn(&Throttle, &Throttle); 4] = [
            |one, _| one.pause(),
            |one, _| one.limit(NonZeroU64::new(1)),
            |_, all| all.pause(),
            |_, all| all.limit(NonZeroU64::new(1)),
        ];
        for change in changes {
            let all = Arc::new(Throttle::default());
            let one = Throttle::below(all.clone());
            let waiting = one.until(Throttle::holds_back);
            tokio::pin!(waiting);
            assert!(tokio::time::timeout(Duration::from_hours(1), &mut waiting).await.is_err());
            change(&one, &all);
            waiting.await;
            assert!(one.holds_back());
            one.until(Throttle::holds_back).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_passes_a_pause() {
        let throttle = Throttle::default();
        throttle.pause();
        let waiting = throttle.pass(0);
        tokio::pin!(waiting);
        assert!(tokio::time::timeout(Duration::from_hours(1), &mut waiting).await.is_err());
        throttle.resume();
        waiting.await;
    }

    #[tokio::test(start_paused = true)]
    async fn all_jobs_together_pass_at_the_rate_of_all() {
        let all = Arc::new(Throttle::default());
        all.limit(NonZeroU64::new(100_000));
        let (one, other) = (Throttle::below(all.clone()), Throttle::below(all));
        let begun = Instant::now();
        tokio::join!(time_of(&one, 500_000), time_of(&other, 500_000));
        let seconds = begun.elapsed().as_secs_f64();
        assert!((9.8..10.2).contains(&seconds), "{seconds}");
    }
}
