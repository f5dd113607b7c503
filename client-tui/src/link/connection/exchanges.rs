//! The open exchanges of a connection: who waits for which answers, what is still to be sent, and whether the connection lives.
//! The links put requests in, the writer takes them out, the reader brings their answers. Nobody waits here for anybody: it is
//! plain data behind one lock that is never held for long.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::input::Cancel;
use towpath_protocol::message::{Answer, Input, Lane, Request, RequestId, ToServer};

use super::delay::Delay;
use super::expected::{Expected, Verdict};

/// Exchanges that may be open, most of them waiting to be sent. One more is refused.
const OPEN_MAX: usize = 65_536;

pub(super) type AnswerSender = mpsc::Sender<(RequestId, Answer)>;
pub(super) type AnswerReceiver = mpsc::Receiver<(RequestId, Answer)>;

/// All open exchanges of one connection.
#[derive(Debug)]
pub(super) struct Exchanges {
    table: Mutex<Table>,
    /// There is something for the primary stream's writer.
    work: Notify,
    /// There is something for whichever stream takes the bulk.
    bulk_work: Notify,
    /// A request was opened that moves a file's bytes.
    moving: Notify,
    /// A request was sent, or never will be.
    advanced: Notify,
    gone: CancellationToken,
    /// The orderly end was said, and nothing more can be.
    bye_said: CancellationToken,
}

#[derive(Debug)]
struct Table {
    open: HashMap<RequestId, Open>,
    control: Waiting,
    bulk: Waiting,
    /// Exchanges of which the server has yet to be told that nobody wants them: in the lanes of their requests, which that must not
    /// overtake.
    cancels: VecDeque<RequestId>,
    bulk_cancels: VecDeque<RequestId>,
    /// Requests sent and not finally answered.
    in_flight: usize,
    in_flight_max: usize,
    last_id: u32,
    last_turn: u64,
    delay: Delay,
    /// Reads sent and not finally answered.
    reads: usize,
    /// Set by the orderly end: nothing more is opened.
    is_ending: bool,
    lost: Option<Fault>,
}

/// Requests that wait to be sent, in the order in which they were opened.
type Waiting = BTreeMap<u64, RequestId>;

#[derive(Debug)]
struct Open {
    /// None once its answers go nowhere any more.
    answers: Option<AnswerSender>,
    expected: Expected,
    lane: Lane,
    is_read: bool,
    progress: Stage,
}

#[derive(Debug)]
enum Stage {
    /// With its turn among those that wait.
    Waiting(u64, Box<ToServer>),
    /// Since then.
    Sent(Instant),
    /// Sent, and no longer wanted. The id stays reserved until the final answer.
    Cancelled,
}

impl Exchanges {
    pub(super) fn new(in_flight_max: usize, round_trip: Option<Duration>) -> Self {
        let table = Table {
            open: HashMap::new(),
            control: Waiting::new(),
            bulk: Waiting::new(),
            cancels: VecDeque::new(),
            bulk_cancels: VecDeque::new(),
            in_flight: 0,
            in_flight_max,
            last_id: 0,
            last_turn: 0,
            delay: Delay::new(round_trip),
            reads: 0,
            is_ending: false,
            lost: None,
        };
        Self {
            table: Mutex::new(table),
            work: Notify::new(),
            bulk_work: Notify::new(),
            moving: Notify::new(),
            advanced: Notify::new(),
            gone: CancellationToken::new(),
            bye_said: CancellationToken::new(),
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a request in, to be sent in its turn.
    pub(super) fn open(&self, request: Request) -> (RequestId, AnswerReceiver) {
        let expected = Expected::after(&request);
        let (sender, receiver) = mpsc::channel(expected.queue_len());
        let moves = matches!(request, Request::Read(_) | Request::Put(_) | Request::BeginUpload(_));
        let mut table = self.table();
        let Some(id) = table.enter(request, expected, sender.clone()) else {
            let fault = table.lost.clone().unwrap_or_else(|| table.refusal());
            drop(table);
            let _ = sender.try_send((RequestId::NONE, fault.into()));
            return (RequestId::NONE, receiver);
        };
        drop(table);
        self.wake();
        if moves {
            self.moving.notify_one();
        }
        (id, receiver)
    }

    pub(super) fn wake(&self) {
        self.work.notify_one();
        self.bulk_work.notify_one();
    }

    /// An exchange that the server need not be asked for.
    pub(super) fn refused(fault: Fault) -> (RequestId, AnswerReceiver) {
        let (sender, receiver) = mpsc::channel(1);
        let _ = sender.try_send((RequestId::NONE, fault.into()));
        (RequestId::NONE, receiver)
    }

    /// Nobody wants the rest. What was not sent yet never will be; else the server is told, and the final answer still comes.
    pub(super) fn cancel(&self, id: RequestId) {
        if self.table().cancel(id) {
            self.wake();
        }
        self.advanced.notify_waiters();
    }

    /// Waits until the request was sent. Err once its exchange has ended.
    pub(super) async fn sent(&self, id: RequestId) -> Result<(), Fault> {
        loop {
            let mut advanced = std::pin::pin!(self.advanced.notified());
            advanced.as_mut().enable();
            if self.table().is_sent(id)? {
                return Ok(());
            }
            advanced.await;
        }
    }

    /// Takes note of an input that is about to go out.
    pub(super) fn note_input(&self, id: RequestId, input: &Input) -> Result<(), Fault> {
        let Input::More(more) = input else { return Ok(()) };
        let mut table = self.table();
        let Some(open) = table.open.get_mut(&id) else { return Err(FaultCode::Cancelled.into()) };
        let queued = open.answers.as_ref().map_or(0, |answers| answers.max_capacity() - answers.capacity());
        open.expected.grant(more.pages, queued)
    }

    /// Whether an input still has somebody who waits for what comes of it.
    pub(super) fn is_wanted(&self, id: RequestId) -> bool {
        matches!(self.table().open.get(&id), Some(Open { progress: Stage::Sent(_), .. }))
    }

    /// The next thing to be sent in this lane.
    pub(super) fn next_message(&self, lane: Lane) -> Option<(RequestId, ToServer)> {
        let message = match lane {
            Lane::Control => self.table().next_control(),
            Lane::Bulk => self.table().next_bulk(),
        };
        if matches!(message, Some((_, ToServer::Request(_)))) {
            self.advanced.notify_waiters();
        }
        message
    }

    /// Returns at once where something has come since the last call.
    pub(super) async fn work(&self) {
        self.work.notified().await;
    }

    /// The same, of the bulk lane.
    pub(super) async fn bulk_work(&self) {
        self.bulk_work.notified().await;
    }

    /// Returns at once where a request that moves a file's bytes was opened since the last call.
    pub(super) async fn moving(&self) {
        self.moving.notified().await;
    }

    /// Whether file data is on its way here, or waits to be sent.
    pub(super) fn has_bulk(&self) -> bool {
        let table = self.table();
        table.reads > 0 || !table.bulk.is_empty()
    }

    /// A request that cannot be sent after all ends with `fault`.
    pub(super) fn refuse(&self, id: RequestId, fault: Fault) {
        self.table().finish(id, fault.into());
        self.wake();
    }

    /// Passes an answer on. Err where the server breaks the protocol. One for an exchange that is not open is ignored: a newer
    /// server may send notices.
    pub(super) fn answer(&self, id: RequestId, answer: Answer) -> Result<(), Fault> {
        let mut table = self.table();
        table.hear(id);
        if answer.is_final() {
            if !table.delay.pong(id, &answer) {
                table.finish(id, answer);
                drop(table);
                self.wake();
            }
            return Ok(());
        }
        let Some(open) = table.open.get_mut(&id) else { return Ok(()) };
        let verdict = match open.progress {
            Stage::Waiting(..) => return Ok(()),
            Stage::Sent(_) | Stage::Cancelled => open.expected.take(&answer),
        };
        // The last place is the final answer's.
        let has_room = open.answers.as_ref().is_none_or(|answers| answers.capacity() > 1);
        match (verdict, has_room) {
            (Verdict::Violation, _) => {
                Err(Fault::new(FaultCode::Malformed).because(format!("{} was not asked for", answer.name())))
            }
            (Verdict::Deliver, false) => {
                Err(Fault::new(FaultCode::LimitExceeded).because("more came than was asked for"))
            }
            (Verdict::Lossy, false) => Ok(()),
            (Verdict::Deliver | Verdict::Lossy, true) => {
                if let Some(answers) = &open.answers {
                    let _ = answers.try_send((id, answer));
                }
                Ok(())
            }
        }
    }

    /// An answer that cannot be understood ends its exchange for us; the server is told that nobody wants the rest.
    pub(super) fn undecodable(&self, id: RequestId, fault: Fault) {
        let mut table = self.table();
        let Some(open) = table.open.get_mut(&id) else { return };
        if let Some(answers) = open.answers.take() {
            let _ = answers.try_send((id, fault.into()));
        }
        table.cancel(id);
        drop(table);
        self.wake();
    }

    /// Asks the server whether it is there, if it is not being asked already.
    pub(super) fn ping(&self) {
        let mut table = self.table();
        if !table.delay.is_asked() {
            let id = table.fresh_id();
            table.delay.ask(id);
            drop(table);
            self.work.notify_one();
        }
    }

    pub(super) fn round_trip(&self) -> Option<Duration> {
        self.table().delay.last()
    }

    /// The shortest one so far; zero while none is known.
    pub(super) fn round_trip_min(&self) -> Duration {
        self.table().delay.least()
    }

    /// Begins the orderly end.
    pub(super) fn end(&self) {
        self.table().is_ending = true;
        self.work.notify_one();
    }

    /// Whether nothing waits for an answer.
    pub(super) fn is_empty(&self) -> bool {
        self.table().open.is_empty()
    }

    pub(super) fn has_said_bye(&self) {
        self.bye_said.cancel();
    }

    /// Resolves once the orderly end was said.
    pub(super) async fn bye_said(&self) {
        self.bye_said.cancelled().await;
    }

    pub(super) fn is_ending(&self) -> bool {
        self.table().is_ending
    }

    /// The connection is gone: everybody who waits is told `why`. Only the first reason counts.
    pub(super) fn lose(&self, why: Fault) {
        let mut table = self.table();
        if table.lost.is_none() {
            table.lost = Some(why);
        }
        let open = std::mem::take(&mut table.open);
        table.control.clear();
        table.bulk.clear();
        table.cancels.clear();
        table.bulk_cancels.clear();
        drop(table);
        drop(open);
        self.gone.cancel();
        self.advanced.notify_waiters();
    }

    /// Why the connection is gone.
    pub(super) fn loss(&self) -> Fault {
        self.table().lost.clone().unwrap_or_else(|| FaultCode::Disconnected.into())
    }

    pub(super) fn is_gone(&self) -> bool {
        self.gone.is_cancelled()
    }

    pub(super) fn gone(&self) -> WaitForCancellationFutureOwned {
        self.gone.clone().cancelled_owned()
    }
}

impl Table {
    fn fresh_id(&mut self) -> RequestId {
        loop {
            self.last_id = self.last_id.wrapping_add(1);
            let id = RequestId(self.last_id);
            if id != RequestId::NONE && !self.delay.is_ping(id) && !self.open.contains_key(&id) {
                return id;
            }
        }
    }

    fn enter(&mut self, request: Request, expected: Expected, answers: AnswerSender) -> Option<RequestId> {
        if self.lost.is_some() || self.is_ending || self.open.len() >= OPEN_MAX {
            return None;
        }
        let id = self.fresh_id();
        self.last_turn += 1;
        let turn = self.last_turn;
        let is_read = matches!(request, Request::Read(_));
        let message = Box::new(ToServer::Request(request));
        let lane = message.lane();
        self.waiting(lane).insert(turn, id);
        let progress = Stage::Waiting(turn, message);
        self.open.insert(id, Open { answers: Some(answers), expected, lane, is_read, progress });
        Some(id)
    }

    /// Why nothing more is opened on a connection that lives.
    fn refusal(&self) -> Fault {
        if self.is_ending {
            return Fault::new(FaultCode::Disconnected).because("the session is being ended");
        }
        Fault::new(FaultCode::LimitExceeded).because(format!("{OPEN_MAX} requests are open already"))
    }

    const fn waiting(&mut self, lane: Lane) -> &mut Waiting {
        match lane {
            Lane::Control => &mut self.control,
            Lane::Bulk => &mut self.bulk,
        }
    }

    /// True where the server is to be told.
    fn cancel(&mut self, id: RequestId) -> bool {
        let Some(open) = self.open.get_mut(&id) else { return false };
        match open.progress {
            Stage::Waiting(turn, _) => {
                let (lane, answers) = (open.lane, open.answers.take());
                self.waiting(lane).remove(&turn);
                self.open.remove(&id);
                if let Some(answers) = answers {
                    let _ = answers.try_send((id, Answer::Fault(FaultCode::Cancelled.into())));
                }
                false
            }
            Stage::Sent(_) => {
                open.progress = Stage::Cancelled;
                match open.lane {
                    Lane::Control => self.cancels.push_back(id),
                    Lane::Bulk => self.bulk_cancels.push_back(id),
                }
                true
            }
            Stage::Cancelled => false,
        }
    }

    /// Err once its exchange has ended.
    fn is_sent(&self, id: RequestId) -> Result<bool, Fault> {
        match self.open.get(&id).map(|open| &open.progress) {
            Some(Stage::Waiting(..)) => Ok(false),
            Some(Stage::Sent(_)) => Ok(true),
            Some(Stage::Cancelled) => Err(FaultCode::Cancelled.into()),
            None => Err(self.lost.clone().unwrap_or_else(|| FaultCode::Cancelled.into())),
        }
    }

    fn next_control(&mut self) -> Option<(RequestId, ToServer)> {
        while let Some(id) = self.cancels.pop_front() {
            // Answered meanwhile, it needs none.
            if self.open.contains_key(&id) {
                return Some((id, ToServer::Input(Cancel {}.into())));
            }
        }
        if let Some(ping) = self.delay.next_message() {
            return Some(ping);
        }
        if self.is_ending || self.in_flight >= self.in_flight_max {
            return None;
        }
        let (_, id) = self.control.pop_first()?;
        self.send(id)
    }

    fn next_bulk(&mut self) -> Option<(RequestId, ToServer)> {
        while let Some(id) = self.bulk_cancels.pop_front() {
            if self.open.contains_key(&id) {
                return Some((id, ToServer::Input(Cancel {}.into())));
            }
        }
        // Small files in flight leave room for a person's listing.
        if self.is_ending || self.in_flight + self.in_flight_max.div_ceil(16) >= self.in_flight_max {
            return None;
        }
        let (_, id) = self.bulk.pop_first()?;
        self.send(id)
    }

    fn send(&mut self, id: RequestId) -> Option<(RequestId, ToServer)> {
        let open = self.open.get_mut(&id)?;
        let stage = std::mem::replace(&mut open.progress, Stage::Sent(Instant::now()));
        let Stage::Waiting(_, message) = stage else { return None };
        self.in_flight += 1;
        self.reads += usize::from(open.is_read);
        Some((id, *message))
    }

    fn hear(&mut self, id: RequestId) {
        if let Some(Open { progress: Stage::Sent(since), .. }) = self.open.get(&id) {
            self.delay.heard(*since);
        }
    }

    /// Ends an exchange that was sent: its id and its slot are free again.
    fn finish(&mut self, id: RequestId, answer: Answer) {
        let is_sent = self.open.get(&id).is_some_and(|open| !matches!(open.progress, Stage::Waiting(..)));
        let Some(open) = is_sent.then(|| self.open.remove(&id)).flatten() else { return };
        self.in_flight -= 1;
        self.reads -= usize::from(open.is_read);
        if let Some(answers) = open.answers {
            // There is room: the last place is kept for it.
            let _ = answers.try_send((id, answer));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;
    use towpath_protocol::answer::Done;
    use towpath_protocol::path::WirePath;
    use towpath_protocol::request::Space;

    #[tokio::test(start_paused = true)]
    async fn the_quickest_answer_tells_how_long_a_round_trip_is_at_most() {
        let exchanges = Exchanges::new(4, Some(Duration::from_millis(90)));
        for (took, known) in [(200, 90), (40, 40), (41, 40)] {
            let (id, _answers) = exchanges.open(Space { path: WirePath::root() }.into());
            advance(Duration::from_secs(1)).await;
            exchanges.next_message(Lane::Control).unwrap();
            advance(Duration::from_millis(took)).await;
            exchanges.answer(id, Done {}.into()).unwrap();
            assert_eq!(exchanges.round_trip_min(), Duration::from_millis(known));
        }
        // One that never was sent tells nothing.
        let (id, _answers) = exchanges.open(Space { path: WirePath::root() }.into());
        exchanges.next_message(Lane::Control).unwrap();
        exchanges.refuse(id, FaultCode::Internal.into());
        assert_eq!(exchanges.round_trip_min(), Duration::from_millis(40));
    }
}
