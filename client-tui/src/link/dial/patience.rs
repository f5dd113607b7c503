//! One time limit over all stages of a connection by ssh. The time in which ssh asks the user something does not count.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Time that the login shell and the program there have in any case, however slow the login was.
const LEFT_MIN: Duration = Duration::from_secs(5);

/// The time that a connection may take.
#[derive(Debug)]
pub(super) struct Patience {
    pub(super) began: Instant,
    pub(super) total: Duration,
    pub(super) questions: Questions,
}

/// The questions of an ssh.
#[derive(Debug)]
pub(super) enum Questions {
    /// It cannot ask.
    None,
    /// It asks here.
    Timed(Arc<Asking>),
    /// It asks by itself: the time until the login is its own.
    Unseen,
}

impl Patience {
    /// Returns the time that is left after a login.
    pub(super) fn left(&self) -> Duration {
        let asked = match &self.questions {
            Questions::None => Duration::ZERO,
            Questions::Timed(asking) => asking.time(),
            Questions::Unseen => return self.total,
        };
        let used = self.began.elapsed().saturating_sub(asked);
        self.total.saturating_sub(used).max(LEFT_MIN)
    }
}

/// A clock that runs while a question is open.
#[derive(Debug, Default)]
pub(super) struct Asking(Mutex<Clock>);

#[derive(Debug, Default, Clone, Copy)]
struct Clock {
    past: Duration,
    open: usize,
    open_since: Option<Instant>,
}

impl Asking {
    pub(super) fn begin(self: &Arc<Self>) -> OpenQuestion {
        let mut clock = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        clock.open += 1;
        clock.open_since.get_or_insert_with(Instant::now);
        OpenQuestion(self.clone())
    }

    fn time(&self) -> Duration {
        let clock = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        clock.past + clock.open_since.map_or(Duration::ZERO, |since| since.elapsed())
    }
}

/// A question of ssh's. Dropped, it is answered or withdrawn.
#[derive(Debug)]
pub(super) struct OpenQuestion(Arc<Asking>);

impl Drop for OpenQuestion {
    fn drop(&mut self) {
        let mut clock = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        clock.open = clock.open.saturating_sub(1);
        if clock.open == 0
            && let Some(since) = clock.open_since.take()
        {
            clock.past += since.elapsed();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn all_stages_share_one_limit_and_the_time_of_questions_does_not_count() {
        let asking = Arc::<Asking>::default();
        let patience = |questions| Patience { began: Instant::now(), total: 10 * SECOND, questions };
        let (timed, unseen, never) = (
            patience(Questions::Timed(asking.clone())),
            patience(Questions::Unseen),
            patience(Questions::None),
        );
        let left = || [&timed, &unseen, &never].map(|patience| patience.left().as_secs());
        advance(SECOND).await;
        assert_eq!(left(), [9, 10, 9]);
        // A jump host's question and the host's own.
        let questions = (asking.begin(), asking.begin());
        advance(30 * SECOND).await;
        assert_eq!(left(), [9, 10, 5]);
        drop(questions.0);
        advance(SECOND).await;
        drop(questions.1);
        advance(2 * SECOND).await;
        assert_eq!(left(), [7, 10, 5]);
        advance(7 * SECOND).await;
        assert_eq!(left(), [5, 10, 5]);
    }
}
