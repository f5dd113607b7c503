//! Threads for short work on the disk. A few of them take what waits, one piece after the other, so that thousands of small files
//! cost no change of threads each; where a disk is slow or hangs, more of them come. Knows no request and no disk.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

/// Hands that begin at once. With more, they wait for one another in the system, at the folder that they all write to.
const HANDS_AT_ONCE: usize = 2;
/// Hands in all, for disks that let each wait for long.
const HANDS_MAX: usize = 64;
/// How long work may wait before another hand comes for it: longer than a busy machine keeps a thread waiting for its turn.
const PATIENCE: Duration = Duration::from_millis(10);

type Job = Box<dyn FnOnce() + Send>;

/// Cheap to clone; all clones share their threads.
#[derive(Clone, Default)]
pub(super) struct Hands(Arc<Mutex<Desk>>);

#[derive(Default)]
struct Desk {
    waiting: VecDeque<Job>,
    at_work: usize,
}

impl std::fmt::Debug for Hands {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hands").finish_non_exhaustive()
    }
}

impl Hands {
    /// Does `work` in its turn, also where nobody waits for it any more. None where it panicked, or the program ends.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let (sender, mut done) = oneshot::channel();
        self.desk().waiting.push_back(Box::new(move || drop(sender.send(work()))));
        self.come(HANDS_AT_ONCE);
        loop {
            match timeout(PATIENCE, &mut done).await {
                Ok(done) => return done.ok(),
                Err(_elapsed) => self.come(HANDS_MAX),
            }
        }
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends for one more hand, where work waits and fewer than `most` are at it.
    fn come(&self, most: usize) {
        let mut desk = self.desk();
        if !desk.waiting.is_empty() && desk.at_work < most {
            desk.at_work += 1;
            drop(desk);
            let hands = self.clone();
            tokio::task::spawn_blocking(move || hands.work());
        }
    }

    fn work(&self) {
        while let Some(job) = self.next() {
            // Whoever waits for it notices that no result comes.
            let _ = catch_unwind(AssertUnwindSafe(job));
        }
    }

    /// The next job; none where this hand may rest.
    fn next(&self) -> Option<Job> {
        let mut desk = self.desk();
        let job = desk.waiting.pop_front();
        if job.is_none() {
            desk.at_work -= 1;
        }
        job
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;

    #[tokio::test]
    async fn work_that_hangs_does_not_hold_up_the_rest() {
        let hands = Hands::default();
        let (go, wait) = sync_channel::<()>(0);
        let wait = Arc::new(Mutex::new(wait));
        let hung: Vec<_> = (0..HANDS_AT_ONCE)
            .map(|_| {
                let (hands, wait) = (hands.clone(), wait.clone());
                tokio::spawn(async move { hands.run(move || wait.lock().unwrap().recv().is_ok()).await })
            })
            .collect();
        tokio::task::yield_now().await;
        assert_eq!(hands.run(|| 7).await, Some(7));
        // Whichever of them waits first is the first to go on.
        tokio::task::spawn_blocking(move || (0..HANDS_AT_ONCE).for_each(|_| go.send(()).unwrap()))
            .await
            .unwrap();
        for task in hung {
            assert_eq!(task.await.unwrap(), Some(true));
        }
    }

    #[tokio::test]
    async fn a_panic_ends_one_job_and_not_the_hand() {
        let hands = Hands::default();
        assert_eq!(hands.run(|| panic!("a fault of the program")).await, None::<u8>);
        let results = (0..100).map(|n| {
            let hands = hands.clone();
            tokio::spawn(async move { hands.run(move || n).await })
        });
        for (n, result) in results.collect::<Vec<_>>().into_iter().enumerate() {
            assert_eq!(result.await.unwrap(), Some(n));
        }
    }

    #[tokio::test]
    async fn all_hands_rest_when_the_work_is_done() {
        let hands = Hands::default();
        hands.run(|| ()).await;
        while hands.desk().at_work > 0 {
            tokio::task::yield_now().await;
        }
    }
}
