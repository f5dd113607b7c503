//! Threads for work on the disk, shared by all clients of a server. Each client has queues and threads of its own: its work waits for its
//! own work alone, never for another client's. Where a disk is slow or hangs, a client gets more threads. A thread takes what waits, one
//! piece after the other, so that thousands of small files cost no change of threads each. Knows no request and no disk.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use towpath_protocol::fault::FaultCode;

use super::grant::ClientId;
use usage::Usage;

mod usage;

/// Threads of all clients together. Beyond it each client still gets one for each class, ...
const THREADS_USUAL: usize = 64;
/// ... up to this. A program that waits for blocking work of its own needs room for more threads than these.
pub const THREADS_MAX: usize = 256;
/// Time that work waits before its client may get another thread: longer than a busy machine keeps a thread waiting for its turn.
const PATIENCE: Duration = Duration::from_millis(10);
/// A client of which nothing has begun for so long has threads that hang.
const HANGING: Duration = Duration::from_millis(100);

type Job = Box<dyn FnOnce() + Send>;

/// Work that waits, until it is begun or given up.
#[derive(Clone)]
struct Slot(Arc<Mutex<Option<Job>>>);

impl Slot {
    fn of(job: Job) -> Self {
        Self(Arc::new(Mutex::new(Some(job))))
    }

    fn slot(&self) -> MutexGuard<'_, Option<Job>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None` if it was begun or given up.
    fn take(&self) -> Option<Job> {
        self.slot().take()
    }

    fn is_given_up(&self) -> bool {
        self.slot().is_none()
    }
}

/// Work that was given up and still stands in a queue, before the queue is cleared of it.
const GIVEN_UP_MAX: usize = 64;

/// Clients, told apart for a fair share of everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Owner {
    /// All sessions of one paired client.
    Client(ClientId),
    /// One session of those that the system let in.
    Session(u64),
}

/// Work by how long it holds a thread. Each client's classes have their own queues and threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// A small file. With more threads at once they wait for one another in the system, at the folder that they all write to.
    Brief,
    /// A step that a client waits for: attributes, a page, a piece of a file.
    Prompt,
    /// A turn of work that takes many: a tree that is measured or removed, hashes of large files.
    Turn,
    /// Work that keeps its thread from beginning to end.
    Whole,
}

impl Class {
    const ALL: [Self; 4] = [Self::Brief, Self::Prompt, Self::Turn, Self::Whole];

    /// Threads that one client has at once, and the most that it gets where its disk lets them wait.
    fn threads(self, cores: usize) -> (usize, usize) {
        match self {
            Self::Brief => (2, 32),
            Self::Prompt => (cores.max(2), 32),
            Self::Turn => ((cores / 2).max(1), 8),
            Self::Whole => ((cores / 2).max(2), 8),
        }
    }
}

/// Cheap to clone; all clones share their threads.
#[derive(Clone, Default)]
pub(super) struct BlockingPool(Arc<Mutex<Desk>>);

struct Desk {
    cores: usize,
    owners: HashMap<Owner, Work>,
    /// Owners with work that waits, each once.
    turns: VecDeque<Owner>,
    running: usize,
    is_watched: bool,
}

/// One client's.
#[derive(Default)]
struct Work {
    queues: [Queue; Class::ALL.len()],
    has_turn: bool,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<(Instant, Slot)>,
    /// About so many of them were given up.
    given_up: usize,
    running: usize,
    /// Threads beyond the usual ones.
    extra: usize,
    begun: Option<Instant>,
    /// Recent work: its time, and how much of it was spent waiting for the disk.
    usage: Usage,
}

impl Default for Desk {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { cores, owners: HashMap::new(), turns: VecDeque::new(), running: 0, is_watched: false }
    }
}

impl std::fmt::Debug for BlockingPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlockingPool").finish_non_exhaustive()
    }
}

impl BlockingPool {
    /// Does `work` in its turn. `Cancelled` if it had not begun when `cancel` was set, and then it never does. What has begun is done, also
    /// if its request was cancelled. `Internal` if it panicked, or the program ends.
    ///
    /// The work is in the queue when this returns. The future is boxed: each of those that wait for it would hold it twice, and they are
    /// made and moved for each small file.
    pub(super) fn run<T: Send + 'static>(
        &self,
        of: (Owner, Class),
        cancel: Option<CancellationToken>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Pin<Box<dyn Future<Output = Result<T, FaultCode>> + Send>> {
        let (sender, done) = oneshot::channel();
        let job = move || {
            let _ = sender.send(work());
        };
        let slot = self.enter(of, Box::new(job));
        Box::pin(self.clone().outcome(of, slot, cancel, done))
    }

    async fn outcome<T>(
        self,
        (owner, class): (Owner, Class),
        slot: Slot,
        cancel: Option<CancellationToken>,
        mut done: oneshot::Receiver<T>,
    ) -> Result<T, FaultCode> {
        let given_up = async {
            match &cancel {
                Some(cancel) => cancel.cancelled().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            done = &mut done => return done.map_err(|_| FaultCode::Internal),
            () = given_up => {}
        }
        // Its memory is freed at once, at any place in the queue.
        if slot.take().is_some() {
            self.desk().given_up(owner, class);
            return Err(FaultCode::Cancelled);
        }
        done.await.map_err(|_| FaultCode::Internal)
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, (owner, class): (Owner, Class), job: Job) -> Slot {
        let slot = Slot::of(job);
        let mut desk = self.desk();
        desk.push(owner, class, slot.clone());
        drop(desk);
        self.begin();
        let mut desk = self.desk();
        if !desk.turns.is_empty() && !desk.is_watched {
            desk.is_watched = true;
            drop(desk);
            tokio::spawn(self.clone().watch());
        }
        slot
    }

    /// Gives threads to all that may have one now.
    fn begin(&self) {
        loop {
            let Some(next) = self.desk().next(None) else { return };
            let pool = self.clone();
            tokio::task::spawn_blocking(move || pool.work(next));
        }
    }

    fn work(&self, first: Next) {
        let mut next = Some(first);
        while let Some(Next { owner, class, slot }) = next {
            let before = Usage::sample(matches!(class, Class::Turn | Class::Whole));
            if let Some(job) = slot.take() {
                // The waiter notices that no result comes.
                let _ = catch_unwind(AssertUnwindSafe(job));
            }
            let usage = before.map(|before| before.until_now());
            let mut desk = self.desk();
            desk.finish(owner, class, usage);
            next = desk.next(Some(class));
            let others_wait = !desk.turns.is_empty();
            drop(desk);
            if others_wait {
                self.begin();
            }
        }
    }

    /// While work waits: gives more threads where those there are wait for a disk.
    async fn watch(self) {
        loop {
            sleep(PATIENCE).await;
            let mut desk = self.desk();
            if desk.turns.is_empty() {
                desk.is_watched = false;
                return;
            }
            desk.grow();
            drop(desk);
            self.begin();
        }
    }
}

/// The next step of a thread.
struct Next {
    owner: Owner,
    class: Class,
    slot: Slot,
}

impl Desk {
    fn push(&mut self, owner: Owner, class: Class, slot: Slot) {
        let work = self.owners.entry(owner).or_default();
        work.queues[class as usize].waiting.push_back((Instant::now(), slot));
        if !std::mem::replace(&mut work.has_turn, true) {
            self.turns.push_back(owner);
        }
    }

    /// The next job that may begin, of the owner whose turn is next; of the class that was `last` if there is one of it.
    fn next(&mut self, last: Option<Class>) -> Option<Next> {
        for _ in 0..self.turns.len() {
            let owner = self.turns.pop_front()?;
            let Some(work) = self.owners.get_mut(&owner) else { continue };
            let order = last.into_iter().chain(Class::ALL);
            let has_room = self.running < THREADS_USUAL && work.has_room(self.cores);
            let found = order.into_iter().find(|class| {
                let queue = &work.queues[*class as usize];
                // Work of one kind never waits for another kind's end.
                let has_room = has_room || (queue.running == 0 && self.running < THREADS_MAX);
                has_room && !queue.waiting.is_empty() && queue.running < queue.allowed(*class, self.cores)
            });
            let slot = found.and_then(|class| Some((class, work.queues[class as usize].take()?)));
            if work.queues.iter().any(|queue| !queue.waiting.is_empty()) {
                self.turns.push_back(owner);
            } else {
                work.has_turn = false;
            }
            if work.is_idle() {
                self.owners.remove(&owner);
            }
            if let Some((class, slot)) = slot {
                self.running += 1;
                return Some(Next { owner, class, slot });
            }
        }
        None
    }

    fn finish(&mut self, owner: Owner, class: Class, usage: Option<Usage>) {
        self.running -= 1;
        let Some(work) = self.owners.get_mut(&owner) else { return };
        let queue = &mut work.queues[class as usize];
        queue.running -= 1;
        if let Some(usage) = usage {
            queue.usage.add(usage);
        }
        if queue.waiting.is_empty() {
            queue.extra = 0;
        }
        if work.is_idle() {
            self.owners.remove(&owner);
        }
    }

    /// Work of this kind was given up before it began. Most of a queue is never of that kind: no memory or time is spent on work that no client
    /// waits for.
    fn given_up(&mut self, owner: Owner, class: Class) {
        let Some(work) = self.owners.get_mut(&owner) else { return };
        let queue = &mut work.queues[class as usize];
        queue.given_up += 1;
        if queue.given_up > GIVEN_UP_MAX && 2 * queue.given_up > queue.waiting.len() {
            queue.given_up = 0;
            queue.waiting.retain(|(_, slot)| !slot.is_given_up());
        }
    }

    fn grow(&mut self) {
        let now = Instant::now();
        for owner in &self.turns {
            let Some(work) = self.owners.get_mut(owner) else { continue };
            let has_room = work.has_room(self.cores);
            for class in Class::ALL {
                let queue = &mut work.queues[class as usize];
                let allowed = queue.allowed(class, self.cores);
                let waits = queue.waiting.front().is_some_and(|(since, _)| now - *since >= PATIENCE);
                let hangs = queue.begun.is_some_and(|begun| now - begun >= HANGING);
                if waits
                    && (queue.running >= allowed || !has_room)
                    && allowed < class.threads(self.cores).1
                    && (hangs || queue.usage.is_mostly_waiting())
                {
                    queue.extra += 1;
                }
            }
        }
    }
}

impl Work {
    /// Returns whether more work may run, of any class: no more than there are cores, unless a disk makes some of it wait.
    fn has_room(&self, cores: usize) -> bool {
        let running: usize = self.queues.iter().map(|queue| queue.running).sum();
        let extra: usize = self.queues.iter().map(|queue| queue.extra).sum();
        running < cores.max(2) + extra
    }

    fn is_idle(&self) -> bool {
        self.queues.iter().all(|queue| queue.waiting.is_empty() && queue.running == 0)
    }
}

impl Queue {
    fn allowed(&self, class: Class, cores: usize) -> usize {
        let (usual, most) = class.threads(cores);
        usual.max(most.min(usual + self.extra))
    }

    fn take(&mut self) -> Option<Slot> {
        let (_, slot) = self.waiting.pop_front()?;
        self.given_up -= usize::from(self.given_up > 0 && slot.is_given_up());
        self.running += 1;
        self.begun = Some(Instant::now());
        Some(slot)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

    use super::*;

    const ANN: Owner = Owner::Client(ClientId(1));
    const EVE: Owner = Owner::Client(ClientId(2));

    /// So many jobs that hang until they are let go.
    fn hang(pool: &BlockingPool, owner: Owner, class: Class, count: usize) -> (SyncSender<()>, Receiver<()>) {
        let (go, wait) = sync_channel::<()>(0);
        let (begun, has_begun) = sync_channel::<()>(count);
        let wait = Arc::new(Mutex::new(wait));
        for _ in 0..count {
            let (wait, begun) = (wait.clone(), begun.clone());
            let job = move || {
                let _ = begun.send(());
                let _ = wait.lock().unwrap().recv();
            };
            pool.enter((owner, class), Box::new(job));
        }
        (go, has_begun)
    }

    #[tokio::test]
    async fn f70_whatever_one_client_does_another_ones_work_begins_at_once() {
        let pool = BlockingPool::default();
        let held: Vec<_> = Class::ALL.map(|class| hang(&pool, EVE, class, 1000)).into();
        for class in Class::ALL {
            assert_eq!(pool.run((ANN, class), None, || 7).await, Ok(7), "{class:?}");
        }
        let eve: usize = Class::ALL.iter().map(|class| class.threads(pool.desk().cores).1).sum();
        assert!(pool.desk().running <= eve, "a client has no more threads than it may");
        drop(held);
        while pool.desk().running > 0 {
            tokio::task::yield_now().await;
        }
        assert!(pool.desk().owners.is_empty() && pool.desk().turns.is_empty(), "nothing is left of it");
    }

    #[tokio::test]
    async fn f70_many_clients_do_not_keep_one_more_out() {
        let pool = BlockingPool::default();
        let held: Vec<_> =
            (10..40).map(|number| hang(&pool, Owner::Session(number), Class::Prompt, 100)).collect();
        assert_eq!(pool.run((ANN, Class::Prompt), None, || 7).await, Ok(7));
        drop(held);
    }

    #[tokio::test]
    async fn work_that_hangs_does_not_hold_up_the_rest_of_its_client() {
        let pool = BlockingPool::default();
        let (usual, _) = Class::Brief.threads(pool.desk().cores);
        let (_go, has_begun) = hang(&pool, ANN, Class::Brief, usual);
        let all_begun = move || (0..usual).for_each(|_| has_begun.recv().unwrap());
        tokio::task::spawn_blocking(all_begun).await.unwrap();
        assert_eq!(pool.run((ANN, Class::Brief), None, || 7).await, Ok(7));
    }

    #[tokio::test]
    async fn f70_what_has_not_begun_is_given_up_at_once_and_never_begins() {
        let pool = BlockingPool::default();
        let (_, most) = Class::Whole.threads(pool.desk().cores);
        let (go, _begun) = hang(&pool, EVE, Class::Whole, most);
        let cancel = CancellationToken::new();
        let runs = Arc::new(AtomicUsize::new(0));
        let counted = runs.clone();
        let waiting = pool
            .run((EVE, Class::Whole), Some(cancel.clone()), move || counted.fetch_add(1, Ordering::Relaxed));
        let (outcome, ()) = tokio::join!(waiting, async { cancel.cancel() });
        assert_eq!(outcome, Err(FaultCode::Cancelled));
        drop(go);
        while pool.desk().running > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(runs.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn f71_what_is_given_up_leaves_nothing_behind_work_that_goes_on() {
        let pool = BlockingPool::default();
        let (_, most) = Class::Turn.threads(pool.desk().cores);
        let (go, _begun) = hang(&pool, EVE, Class::Turn, most);
        let held = Arc::new(());
        for _ in 0..10 * GIVEN_UP_MAX {
            let (cancel, memory) = (CancellationToken::new(), held.clone());
            let waiting = pool.run((EVE, Class::Turn), Some(cancel.clone()), move || drop(memory));
            let (outcome, ()) = tokio::join!(waiting, async { cancel.cancel() });
            assert_eq!(outcome, Err(FaultCode::Cancelled));
            assert_eq!(Arc::strong_count(&held), 1, "what it held is gone");
        }
        let waiting = pool.desk().owners[&EVE].queues[Class::Turn as usize].waiting.len();
        assert!(waiting <= 2 * (most + GIVEN_UP_MAX), "{waiting} wait");
        drop(go);
        while pool.desk().running > 0 {
            tokio::task::yield_now().await;
        }
        assert!(pool.desk().owners.is_empty(), "nothing is left of it");
    }

    #[tokio::test]
    async fn a_panic_ends_one_job_and_not_the_thread() {
        let pool = BlockingPool::default();
        let of = (ANN, Class::Brief);
        assert_eq!(
            pool.run(of, None, || panic!("a fault of the program")).await,
            Err::<u8, _>(FaultCode::Internal)
        );
        let results = (0..100).map(|n| {
            let pool = pool.clone();
            tokio::spawn(async move { pool.run(of, None, move || n).await })
        });
        for (n, result) in results.collect::<Vec<_>>().into_iter().enumerate() {
            assert_eq!(result.await.unwrap(), Ok(n));
        }
    }
}
