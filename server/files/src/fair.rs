//! Lets clients have the program's asynchronous threads in turn: while several of them have work, only a few of one client's tasks go on at
//! a time, and the others wait here. So what a client waits for is one step of another one, and not one of each of its thousands of tasks.
//! A client that is alone has all threads.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

/// Time that a task may run before it yields.
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
    /// Tasks that are called or polled.
    active: usize,
    /// Tasks that have something to do and wait for their turn, by their kind. Those that are not in the state `Waiting` are passed over.
    waiting: [VecDeque<Arc<Ticket>>; 2],
    /// The kind of the task called last.
    called: Kind,
}

/// Both have their turn alternately: however many requests a client has open, its sessions are heard, and end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Kind {
    #[default]
    Session,
    Request,
}

/// A task's handle for its wakers. A wake-up puts the task into the line; the runtime's own queues hold it once it is called.
#[derive(Debug)]
struct Ticket {
    share: Share,
    kind: Kind,
    /// Of the whole task. Locked for a moment, and never together with the line.
    task: Mutex<Option<Waker>>,
    /// Changed with the line locked.
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It has nothing to do.
    Idle,
    Waiting,
    /// It is about to be polled, and counts as active.
    Called,
    Polled {
        is_woken: bool,
    },
    Gone,
}

/// A task of a client.
#[derive(Debug)]
pub(crate) struct Fair<F> {
    ticket: Arc<Ticket>,
    waker: Waker,
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
        let (waker, state) = (Mutex::default(), Mutex::new(State::Idle));
        let ticket = Arc::new(Ticket { share: self.clone(), kind, task: waker, state });
        Fair { waker: ticket.clone().into(), ticket, task }
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.0.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_room(&self, line: &Line) -> bool {
        line.active < self.0.server.at_once || self.0.server.clients.load(Ordering::Relaxed) <= 1
    }

    /// One that was active is not any more: calls those that may go on now.
    fn release(&self, mut line: MutexGuard<'_, Line>) {
        line.active -= 1;
        let mut called = Vec::new();
        while self.has_room(&line)
            && let Some(next) = line.next()
        {
            line.active += 1;
            called.push(next);
        }
        drop(line);
        for ticket in &called {
            ticket.call();
        }
    }
}

impl Line {
    /// The next one that waits, which is called from now on.
    fn next(&mut self) -> Option<Arc<Ticket>> {
        let order = match self.called {
            Kind::Session => [Kind::Request, Kind::Session],
            Kind::Request => [Kind::Session, Kind::Request],
        };
        for kind in order {
            while let Some(ticket) = self.waiting[kind as usize].pop_front() {
                let mut state = ticket.state();
                if *state == State::Waiting {
                    *state = State::Called;
                    drop(state);
                    self.called = kind;
                    return Some(ticket);
                }
            }
        }
        None
    }
}

impl Ticket {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn task(&self) -> MutexGuard<'_, Option<Waker>> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn call(&self) {
        let task = self.task().clone();
        task.into_iter().for_each(Waker::wake);
    }

    fn wait(self: &Arc<Self>, line: &mut Line) {
        *self.state() = State::Waiting;
        line.waiting[self.kind as usize].push_back(self.clone());
    }
}

impl Wake for Ticket {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut line = self.share.line();
        let state = *self.state();
        match state {
            State::Idle if self.share.has_room(&line) => {
                *self.state() = State::Called;
                line.active += 1;
                drop(line);
                self.call();
            }
            State::Idle => self.wait(&mut line),
            State::Polled { .. } => *self.state() = State::Polled { is_woken: true },
            State::Waiting | State::Called | State::Gone => {}
        }
    }
}

/// While a task is polled.
struct Polled<'a>(&'a Arc<Ticket>);

impl Drop for Polled<'_> {
    fn drop(&mut self) {
        let share = &self.0.share;
        let mut line = share.line();
        let state = *self.0.state();
        if state == (State::Polled { is_woken: true }) {
            self.0.wait(&mut line);
        } else {
            *self.0.state() = State::Idle;
        }
        share.release(line);
    }
}

impl<F: Future + Unpin> Future for Fair<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let Self { ticket, waker, task } = &mut *self;
        {
            let mut known = ticket.task();
            if !known.as_ref().is_some_and(|known| known.will_wake(context.waker())) {
                *known = Some(context.waker().clone());
            }
        }
        let mut line = ticket.share.line();
        let state = *ticket.state();
        if state != State::Called {
            if !ticket.share.has_room(&line) {
                if state == State::Idle {
                    ticket.wait(&mut line);
                }
                return Poll::Pending;
            }
            line.active += 1;
        }
        *ticket.state() = State::Polled { is_woken: false };
        drop(line);
        let _polled = Polled(ticket);
        Pin::new(task).poll(&mut Context::from_waker(waker))
    }
}

impl<F> Drop for Fair<F> {
    fn drop(&mut self) {
        *self.ticket.task() = None;
        let share = &self.ticket.share;
        let mut line = share.line();
        line.tasks -= 1;
        if line.tasks == 0 {
            share.0.server.clients.fetch_sub(1, Ordering::Relaxed);
        }
        let state = std::mem::replace(&mut *self.ticket.state(), State::Gone);
        if state == State::Called {
            share.release(line);
        }
    }
}

/// Time that a task has run. A task that always has something to do looks at it between its steps.
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
        assert_eq!(eve.line().active, 0);
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
