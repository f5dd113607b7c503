//! What became of recent changes, so that a request repeated after a lost answer gets that same answer and does nothing
//! twice. A repeat that comes while the first is still at work waits for it. Knows no disk and no request, only operation
//! ids and final answers.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::frame::{Frame, HEADER_BYTES, encode_answer};
use towpath_protocol::message::{Answer, RequestId};
use towpath_protocol::request::OperationId;

use super::grant::ClientId;

/// Outcomes remembered of one client; its oldest goes first, and no other client's.
pub(super) const OUTCOMES_MAX: usize = 1024;
/// Bytes that they take, as they travel: faults name paths of kilobytes.
const OUTCOME_BYTES_MAX: usize = 1024 * 1024;
/// The same of all clients together: where that is reached, the client with the most gives up its oldest.
const OUTCOMES_OF_ALL_MAX: usize = 64 * 1024;
const OUTCOME_BYTES_OF_ALL_MAX: usize = 8 * 1024 * 1024;

/// Whose operation it is, and which of theirs: nobody is told what became of somebody else's.
pub(super) type Operation = (ClientId, OperationId);

/// How one change ended.
type Outcome = Result<Answer, Fault>;

/// The same as a message, which takes the least memory.
type Remembered = Arc<[u8]>;

/// The outcomes of one service.
#[derive(Debug, Default)]
pub(super) struct Outcomes(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    /// Finished ones, and those at work: none within.
    known: HashMap<Operation, watch::Receiver<Option<Remembered>>>,
    clients: HashMap<ClientId, Finished>,
    /// Of all clients.
    finished: usize,
    bytes: usize,
}

/// One client's finished operations with the bytes that each takes, the oldest first.
#[derive(Debug, Default)]
struct Finished {
    operations: VecDeque<(OperationId, usize)>,
    bytes: usize,
}

/// Somebody asks what became of an operation.
enum Claim<'a> {
    /// Nobody knows it: the one who asks is to do it.
    Ours(AtWork<'a>),
    /// It is done, or somebody is at it.
    Known(watch::Receiver<Option<Remembered>>),
}

/// Held while an operation is at work. Dropped without an outcome, it forgets the operation.
struct AtWork<'a> {
    outcomes: &'a Outcomes,
    operation: Operation,
    outcome: watch::Sender<Option<Remembered>>,
}

impl Outcomes {
    /// Runs `work` unless the operation is known; then gives its outcome, waiting for it if need be. What was cancelled is
    /// not done and not remembered: a repeat takes it up again.
    pub(super) async fn once(
        &self,
        operation: Operation,
        cancel: &CancellationToken,
        work: impl Future<Output = Outcome>,
    ) -> Outcome {
        loop {
            let mut known = match self.claim(operation) {
                Claim::Ours(at_work) => {
                    let outcome = work.await;
                    at_work.finish(&outcome);
                    return outcome;
                }
                Claim::Known(known) => known,
            };
            let found = tokio::select! {
                biased;
                () = cancel.cancelled() => return Err(FaultCode::Cancelled.into()),
                found = known.wait_for(Option::is_some) => found.ok().and_then(|outcome| outcome.clone()),
            };
            // None where the work was given up, without an outcome to tell.
            if let Some(outcome) = found {
                return recall(&outcome);
            }
        }
    }

    fn claim(&self, operation: Operation) -> Claim<'_> {
        let mut table = self.table();
        if let Some(known) = table.known.get(&operation) {
            return Claim::Known(known.clone());
        }
        let (outcome, known) = watch::channel(None);
        table.known.insert(operation, known);
        Claim::Ours(AtWork { outcomes: self, operation, outcome })
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AtWork<'_> {
    fn finish(self, outcome: &Outcome) {
        if let Some(remembered) = remembered(outcome) {
            self.outcomes.table().remember(self.operation, remembered.len());
            self.outcome.send_replace(Some(remembered));
        }
    }
}

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        if self.outcome.borrow().is_none() {
            self.outcomes.table().known.remove(&self.operation);
        }
    }
}

impl Table {
    fn remember(&mut self, operation: Operation, bytes: usize) {
        let (client, id) = operation;
        let own = self.clients.entry(client).or_default();
        own.operations.push_back((id, bytes));
        own.bytes += bytes;
        self.finished += 1;
        self.bytes += bytes;
        while self.clients.get(&client).is_some_and(Finished::are_too_many) {
            self.forget_oldest_of(client);
        }
        while (self.finished > OUTCOMES_OF_ALL_MAX || self.bytes > OUTCOME_BYTES_OF_ALL_MAX)
            && let Some(fullest) = self.fullest()
        {
            self.forget_oldest_of(fullest);
        }
    }

    /// The client that takes most of what there is too much of.
    fn fullest(&self) -> Option<ClientId> {
        let by_bytes = self.bytes > OUTCOME_BYTES_OF_ALL_MAX;
        let taken = |own: &Finished| if by_bytes { own.bytes } else { own.operations.len() };
        let fullest = self.clients.iter().max_by_key(|(_, own)| taken(own));
        fullest.map(|(client, _)| *client)
    }

    fn forget_oldest_of(&mut self, client: ClientId) {
        let Some(own) = self.clients.get_mut(&client) else { return };
        if let Some((oldest, bytes)) = own.operations.pop_front() {
            self.known.remove(&(client, oldest));
            own.bytes -= bytes;
            self.finished -= 1;
            self.bytes -= bytes;
        }
        if own.operations.is_empty() {
            self.clients.remove(&client);
        }
    }
}

impl Finished {
    fn are_too_many(&self) -> bool {
        self.operations.len() > OUTCOMES_MAX || self.bytes > OUTCOME_BYTES_MAX
    }
}

/// `None` for what was cancelled: a repeat takes it up again.
fn remembered(outcome: &Outcome) -> Option<Remembered> {
    let answer = match outcome {
        Err(fault) if fault.code == FaultCode::Cancelled => return None,
        Err(fault) => encode_answer(RequestId::NONE, &Answer::Fault(fault.clone())),
        Ok(answer) => encode_answer(RequestId::NONE, answer),
    };
    Some(answer.ok()?.head[HEADER_BYTES..].into())
}

fn recall(remembered: &[u8]) -> Outcome {
    let answer = Frame::from(Bytes::copy_from_slice(remembered)).answer();
    match answer.ok().and_then(|incoming| incoming.message.ok()) {
        Some(Answer::Fault(fault)) => Err(fault),
        Some(answer) => Ok(answer),
        None => Err(FaultCode::Internal.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::sync::oneshot;
    use towpath_protocol::answer::Progress;
    use towpath_protocol::path::{Name, WirePath};

    use super::*;

    fn answer(files: u64) -> Answer {
        Answer::Progress(Progress { files, ..Progress::default() })
    }

    fn operation(number: u32) -> Operation {
        let mut id = [0; 16];
        id[..4].copy_from_slice(&number.to_be_bytes());
        (ClientId::NOBODY, OperationId(id))
    }

    #[tokio::test]
    async fn a_repeat_gets_the_first_outcome_and_does_nothing() {
        let outcomes = Outcomes::default();
        let cancel = CancellationToken::new();
        let first = outcomes.once(operation(1), &cancel, async { Ok(answer(1)) }).await;
        let second = outcomes.once(operation(1), &cancel, async { panic!("done twice") }).await;
        assert_eq!(first, Ok(answer(1)));
        assert_eq!(second, first);
    }

    #[tokio::test]
    async fn nobody_is_told_what_became_of_somebody_elses_operation() {
        let outcomes = Outcomes::default();
        let cancel = CancellationToken::new();
        let (_, id) = operation(1);
        for client in [1, 2] {
            let outcome = outcomes.once((ClientId(client), id), &cancel, async { Ok(answer(client.into())) });
            assert_eq!(outcome.await, Ok(answer(client.into())));
        }
    }

    #[tokio::test]
    async fn a_repeat_during_the_work_waits_for_it() {
        let outcomes = Arc::new(Outcomes::default());
        let cancel = CancellationToken::new();
        let (go, wait) = oneshot::channel::<()>();
        let runs = AtomicU32::new(0);
        let first = outcomes.once(operation(1), &cancel, async {
            runs.fetch_add(1, Ordering::Relaxed);
            let _ = wait.await;
            Ok(answer(1))
        });
        let repeat = outcomes.once(operation(1), &cancel, async { panic!("done twice") });
        let release = async { go.send(()).unwrap() };
        let (first, repeat, ()) = tokio::join!(first, repeat, release);
        assert_eq!((first, runs.into_inner()), (Ok(answer(1)), 1));
        assert_eq!(repeat, Ok(answer(1)));
    }

    #[tokio::test]
    async fn what_was_cancelled_or_given_up_is_done_again() {
        let outcomes = Outcomes::default();
        let cancel = CancellationToken::new();
        let cancelled = async { Err(FaultCode::Cancelled.into()) };
        assert!(outcomes.once(operation(1), &cancel, cancelled).await.is_err());
        let given_up = outcomes.once(operation(1), &cancel, std::future::pending());
        assert!(poll_once(given_up).await.is_none());
        assert_eq!(outcomes.once(operation(1), &cancel, async { Ok(answer(2)) }).await, Ok(answer(2)));
    }

    #[tokio::test]
    async fn the_oldest_outcomes_are_forgotten_first() {
        let outcomes = Outcomes::default();
        let cancel = CancellationToken::new();
        for number in 0..=OUTCOMES_MAX as u32 {
            let _ = outcomes.once(operation(number), &cancel, async { Ok(answer(1)) }).await;
        }
        assert_eq!(outcomes.once(operation(0), &cancel, async { Ok(answer(2)) }).await, Ok(answer(2)));
        assert_eq!(outcomes.once(operation(9), &cancel, async { Ok(answer(2)) }).await, Ok(answer(1)));
        assert_eq!(outcomes.table().known.len(), OUTCOMES_MAX);
    }

    #[tokio::test]
    async fn f78_one_client_makes_the_server_forget_nothing_of_another() {
        let outcomes = Outcomes::default();
        let cancel = CancellationToken::new();
        let (_, first) = operation(0);
        let of = |client| (ClientId(client), first);
        let _ = outcomes.once(of(1), &cancel, async { Ok(answer(1)) }).await;
        for number in 1..=2 * OUTCOMES_MAX as u32 {
            let (_, id) = operation(number);
            let refused = async { Err(FaultCode::NotFound.into()) };
            let _ = outcomes.once((ClientId(2), id), &cancel, refused).await;
        }
        let again = outcomes.once(of(1), &cancel, async { panic!("done twice") }).await;
        assert_eq!(again, Ok(answer(1)));
        assert_eq!(outcomes.table().known.len(), OUTCOMES_MAX + 1);
    }

    #[tokio::test]
    async fn f78_where_all_have_too_much_the_one_with_the_most_forgets() {
        let outcomes = Outcomes::default();
        let cancel = CancellationToken::new();
        let long = WirePath::new(vec![Name::new([b'x'; 255]).unwrap(); 15]).unwrap();
        let refused = Fault::new(FaultCode::Io).at(long);
        let few = |client| (ClientId(client), operation(0).1);
        let _ = outcomes.once(few(999), &cancel, async { Ok(answer(1)) }).await;
        for client in 0..2 * (OUTCOME_BYTES_OF_ALL_MAX / OUTCOME_BYTES_MAX) as u32 {
            for number in 0..OUTCOMES_MAX as u32 {
                let operation = (ClientId(client), operation(number).1);
                let _ = outcomes.once(operation, &cancel, async { Err(refused.clone()) }).await;
            }
            assert!(outcomes.table().clients[&ClientId(client)].bytes <= OUTCOME_BYTES_MAX);
        }
        assert!(outcomes.table().bytes <= OUTCOME_BYTES_OF_ALL_MAX);
        let last = (ClientId(0), operation(OUTCOMES_MAX as u32).1);
        assert_eq!(outcomes.once(last, &cancel, async { Err(refused.clone()) }).await, Err(refused.clone()));
        let again = outcomes.once(last, &cancel, async { panic!("done twice") }).await;
        assert_eq!(again, Err(refused), "with its path");
        let again = outcomes.once(few(999), &cancel, async { panic!("done twice") }).await;
        assert_eq!(again, Ok(answer(1)));
    }

    /// Polls a future once and drops it.
    async fn poll_once<F: Future>(future: F) -> Option<F::Output> {
        let mut future = Box::pin(future);
        std::future::poll_fn(|context| {
            std::task::Poll::Ready(match future.as_mut().poll(context) {
                std::task::Poll::Ready(output) => Some(output),
                std::task::Poll::Pending => None,
            })
        })
        .await
    }
}
