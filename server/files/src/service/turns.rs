//! Scheduling of a request's work: in one piece, or in turns of a few milliseconds between which others have theirs. While a request
//! waits for its client, for room or for its turn, it holds no thread.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::path::Location;

use super::blocking_pool::Class;
use super::{Service, at};

/// Time of one turn.
const TURN: Duration = Duration::from_millis(10);

tokio::task_local! {
    /// Cancelled together with the request of this task.
    static CANCEL: CancellationToken;
}

/// Does the work of one request, which `cancel` ends.
pub(super) async fn cancelled_by<T>(cancel: CancellationToken, work: impl Future<Output = T>) -> T {
    CANCEL.scope(cancel, work).await
}

/// Returns once the request of this task is cancelled.
pub(super) async fn cancelled() {
    match CANCEL.try_with(Clone::clone) {
        Ok(cancel) => cancel.cancelled_owned().await,
        Err(_) => std::future::pending().await,
    }
}

/// One turn at work.
#[derive(Debug)]
pub(super) struct Turn {
    until: Instant,
}

impl Turn {
    fn begin() -> Self {
        Self { until: Instant::now() + TURN }
    }

    /// Returns whether the turn is over. To be checked between steps.
    pub(super) fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }
}

impl Service {
    /// Does work on the disk in a thread of this client's. Work that has not begun ends with `Cancelled` when its request is cancelled. A
    /// fault that names no path is of `location`.
    pub(super) fn blocking<T: Send + 'static>(
        self: Arc<Self>,
        location: &Location,
        work: impl FnOnce(&Self) -> Result<T, Fault> + Send + 'static,
    ) -> impl Future<Output = Result<T, Fault>> {
        self.in_class(Class::Prompt, location, work)
    }

    /// As [`blocking`](Self::blocking), in threads for work of that class.
    pub(super) fn in_class<T: Send + 'static>(
        self: Arc<Self>,
        class: Class,
        location: &Location,
        work: impl FnOnce(&Self) -> Result<T, Fault> + Send + 'static,
    ) -> impl Future<Output = Result<T, Fault>> {
        let cancel = CANCEL.try_with(Clone::clone).ok();
        let done = self.run(class, cancel, work);
        async move { done.await.map_err(at(location)) }
    }

    /// Like [`blocking`](Self::blocking), for work that is done also when its request is cancelled before it begins.
    pub(super) fn certainly<T: Send + 'static>(
        self: Arc<Self>,
        location: &Location,
        work: impl FnOnce(&Self) -> Result<T, Fault> + Send + 'static,
    ) -> impl Future<Output = Result<T, Fault>> {
        let done = self.run(Class::Prompt, None, work);
        async move { done.await.map_err(at(location)) }
    }

    /// Does work that takes many steps in turns. `step` gives `None` once its turn is over, and goes on from `state` in the next. Where the
    /// request is cancelled before the first one, `state` is dropped; later `step` notices, and ends what it has begun.
    pub(super) async fn in_turns<S: Send + 'static, T: Send + 'static>(
        self: &Arc<Self>,
        class: Class,
        location: &Location,
        state: S,
        step: impl Fn(&Self, &mut S, &Turn) -> Result<Option<T>, Fault> + Copy + Send + 'static,
    ) -> Result<(S, T), Fault> {
        let cancel = CANCEL.try_with(Clone::clone).ok();
        self.turn_by_turn(class, cancel, location, state, step).await
    }

    /// As [`in_turns`](Self::in_turns), ended by `cancel` before the first turn; by nothing for a `state` that is not to be dropped unseen.
    pub(super) async fn turn_by_turn<S: Send + 'static, T: Send + 'static>(
        self: &Arc<Self>,
        class: Class,
        mut cancel: Option<CancellationToken>,
        location: &Location,
        mut state: S,
        step: impl Fn(&Self, &mut S, &Turn) -> Result<Option<T>, Fault> + Copy + Send + 'static,
    ) -> Result<(S, T), Fault> {
        loop {
            let turn = move |service: &Self| {
                let outcome = step(service, &mut state, &Turn::begin());
                Ok((state, outcome))
            };
            let (back, outcome) = self.clone().run(class, cancel.take(), turn).await.map_err(at(location))?;
            state = back;
            if let Some(done) = outcome.map_err(at(location))? {
                return Ok((state, done));
            }
        }
    }

    fn run<T: Send + 'static>(
        self: Arc<Self>,
        class: Class,
        cancel: Option<CancellationToken>,
        work: impl FnOnce(&Self) -> Result<T, Fault> + Send + 'static,
    ) -> impl Future<Output = Result<T, Fault>> {
        let (pool, owner) = (self.pool.clone(), self.owner);
        let done = pool.run((owner, class), cancel, move || work(&self));
        async move { done.await.unwrap_or_else(|code: FaultCode| Err(code.into())) }
    }
}
