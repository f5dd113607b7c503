//! Lets clients have the program's asynchronous threads in turn: while several of them have work, only a few of one client's tasks go on at
//! a time, and the others wait here. So what a client waits for is one step of another one, and not one of each of its thousands of tasks.
//! A client that is alone has all threads.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// How long a task may go on before it lets others have their turn.
const STEP: Duration = Duration::from_micros(500);

/// One client's part of the threads. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub struct Share(Arc<Client>);

#[derive(Debug)]
struct Client {
    server: Arc<Server>,
    line: Mutex<Line>,
}

#[derive(Debug)]
struct Server {
    /// Tasks of one client that go on at a time, where it is not alone.
    at_once: usize,
    /// Clients that have tasks.
    clients: AtomicUsize,
}

#[derive(Debug, Default)]
struct Line {
    tasks: usize,
    /// Tasks that are being polled.
    going_on: usize,
    /// Tasks that wait for their turn, by their kind and the order in which they came.
    waiting: [BTreeMap<u64, Waker>; 2],
    last: u64,
    /// Of which kind the last one was that was called.
    called: Kind,
}

/// Both have their turn alternately: however many requests a client has open, its sessions are heard, and end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Kind {
    #[default]
    Session,
    Request,
}

/// A task of a client.
#[derive(Debug)]
pub(crate) struct Fair<F> {
    share: Share,
    kind: Kind,
    /// Its place in the line, until it goes on.
    place: Option<u64>,
    task: F,
}

impl Share {
    /// For the first client of a server on this machine.
    pub(crate) fn of_server() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self::with_at_once(threads.saturating_sub(1).max(1))
    }

    fn with_at_once(at_once: usize) -> Self {
        Self::new(Arc::new(Server { at_once, clients: AtomicUsize::new(0) }))
    }

    fn new(server: Arc<Server>) -> Self {
        Self(Arc::new(Client { server, line: Mutex::default() }))
    }

    /// For another client of the same server.
    pub(crate) fn of_another(&self) -> Self {
        Self::new(self.0.server.clone())
    }

    pub(crate) fn task<F: Future + Unpin>(&self, kind: Kind, task: F) -> Fair<F> {
        let mut line = self.line();
        line.tasks += 1;
        if line.tasks == 1 {
            self.0.server.clients.fetch_add(1, Ordering::Relaxed);
        }
        drop(line);
        Fair { share: self.clone(), kind, place: None, task }
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.0.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a task may go on now; else it is called later.
    fn may_go_on(&self, kind: Kind, place: &mut Option<u64>, waker: &Waker) -> bool {
        let is_alone = self.0.server.clients.load(Ordering::Relaxed) <= 1;
        let mut line = self.line();
        if is_alone || line.going_on < self.0.server.at_once {
            if let Some(place) = place.take() {
                line.waiting[kind as usize].remove(&place);
            }
            line.going_on += 1;
            return true;
        }
        line.last += 1;
        let place = *place.get_or_insert(line.last);
        line.waiting[kind as usize].entry(place).or_insert_with(|| waker.clone()).clone_from(waker);
        false
    }
}

impl Line {
    /// Calls the next one that waits.
    fn call(&mut self) -> Option<Waker> {
        let order = match self.called {
            Kind::Session => [Kind::Request, Kind::Session],
            Kind::Request => [Kind::Session, Kind::Request],
        };
        let (kind, waker) = order.into_iter().find_map(|kind| {
            let (_, waker) = self.waiting[kind as usize].pop_first()?;
            Some((kind, waker))
        })?;
        self.called = kind;
        Some(waker)
    }
}

/// While a task goes on.
struct GoingOn<'a>(&'a Share);

impl Drop for GoingOn<'_> {
    fn drop(&mut self) {
        let mut line = self.0.line();
        line.going_on -= 1;
        let next = line.call();
        drop(line);
        if let Some(next) = next {
            next.wake();
        }
    }
}

impl<F: Future + Unpin> Future for Fair<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let Self { share, kind, place, task } = &mut *self;
        if !share.may_go_on(*kind, place, context.waker()) {
            return Poll::Pending;
        }
        let _going_on = GoingOn(share);
        Pin::new(task).poll(context)
    }
}

impl<F> Drop for Fair<F> {
    fn drop(&mut self) {
        let mut line = self.share.line();
        line.tasks -= 1;
        if line.tasks == 0 {
            self.share.0.server.clients.fetch_sub(1, Ordering::Relaxed);
        }
        let Some(place) = self.place else { return };
        // One that was called and goes calls the next.
        let was_called = line.waiting[self.kind as usize].remove(&place).is_none();
        let next = if was_called { line.call() } else { None };
        drop(line);
        if let Some(next) = next {
            next.wake();
        }
    }
}

/// How long a task has gone on. A task that always has something to do looks at it between its steps.
#[derive(Debug)]
pub(crate) struct Step(Instant);

impl Step {
    pub(crate) fn begin() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn is_over(&self) -> bool {
        self.0.elapsed() >= STEP
    }

    /// Lets others have their turn where this one has had its own.
    pub(crate) async fn pause(&mut self) {
        if self.is_over() {
            tokio::task::yield_now().await;
            *self = Self::begin();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use tokio::task::JoinSet;

    use super::*;

    /// Notes how many of a client's tasks go on at a time.
    #[derive(Default)]
    struct Seen {
        now: AtomicUsize,
        most: AtomicUsize,
        steps: AtomicUsize,
    }

    async fn work(seen: Arc<Seen>, ends: Arc<AtomicBool>) {
        while !ends.load(Ordering::Relaxed) {
            let now = seen.now.fetch_add(1, Ordering::Relaxed) + 1;
            seen.most.fetch_max(now, Ordering::Relaxed);
            std::thread::sleep(Duration::from_micros(50));
            seen.now.fetch_sub(1, Ordering::Relaxed);
            seen.steps.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn f70_beside_another_client_one_task_of_each_goes_on_at_a_time_and_all_have_their_turn() {
        let eve = Share::with_at_once(1);
        let ann = eve.of_another();
        let (seen, ends) = (Arc::new(Seen::default()), Arc::new(AtomicBool::new(false)));
        // Ann is there, and says nothing.
        let idle = tokio::spawn(ann.task(Kind::Session, Box::pin(std::future::pending::<()>())));
        let mut tasks = JoinSet::new();
        for number in 0..200 {
            let kind = if number % 2 == 0 { Kind::Session } else { Kind::Request };
            tasks.spawn(eve.task(kind, Box::pin(work(seen.clone(), ends.clone()))));
        }
        // Some of them go while they wait.
        let gone = |number: u32| {
            let task = eve.task(Kind::Request, Box::pin(work(seen.clone(), ends.clone())));
            let task = tokio::spawn(task);
            async move {
                (0..number).for_each(|_| std::thread::yield_now());
                task.abort();
            }
        };
        for number in 0..100 {
            gone(number).await;
        }
        while seen.steps.load(Ordering::Relaxed) < 2000 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(seen.most.load(Ordering::Relaxed), 1);
        ends.store(true, Ordering::Relaxed);
        tasks.join_all().await;
        idle.abort();
        let _ = idle.await;
        assert_eq!(eve.0.server.clients.load(Ordering::Relaxed), 0);
        assert!(eve.line().waiting.iter().all(BTreeMap::is_empty));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_client_that_is_alone_has_all_threads() {
        let ann = Share::with_at_once(1);
        let (seen, ends) = (Arc::new(Seen::default()), Arc::new(AtomicBool::new(false)));
        let mut tasks = JoinSet::new();
        for _ in 0..4 {
            tasks.spawn(ann.task(Kind::Request, Box::pin(work(seen.clone(), ends.clone()))));
        }
        while seen.most.load(Ordering::Relaxed) < 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        ends.store(true, Ordering::Relaxed);
        tasks.join_all().await;
    }
}
