//! The open exchanges of a session: what the router puts in, and the outbox takes out when the final answer leaves. A slot is
//! free only then, so a cancelled request holds its slot until its work has stopped.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};
use towpath_protocol::credit::Charges;
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::input::{UploadData, UploadSpan};
use towpath_protocol::limits::SPAN_CREDIT_BYTES;
use towpath_protocol::message::{Answer, Input, Request, RequestId};

use super::record::{Deed, Records, SessionEvent, SessionLog};
use crate::exchange::{self, Done, Inputs};
use crate::memory::{self, Charge, Memory, Use};
use crate::queue::{NotPut, QueueSender};

/// Bytes that an upload may send before it has credit: nothing, but for a frame that a peer counts otherwise.
const UNTOLD_CREDIT_BYTES: u64 = 64 * 1024;
/// Less data than this is copied: it would hold all that came with it.
const DATA_BYTES_LEAST: usize = 32 * 1024;

/// What is known of one open request.
#[derive(Debug)]
struct Open {
    /// None once the client can say no more in it.
    inputs: Option<QueueSender<Input>>,
    cancel: CancellationToken,
    /// Unacknowledged bytes, if it is an upload.
    credit: Credit,
    /// Charge of the request.
    _charge: Arc<Charge>,
    /// What its final answer is to be, whatever the work says: the client broke a rule in it.
    refusal: Option<Fault>,
    /// For the log.
    deed: Deed,
}

/// A slot that was taken, as the request's work gets it.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) inputs: Inputs,
    pub(super) cancel: CancellationToken,
    pub(super) done: Done,
    pub(super) charge: Arc<Charge>,
}

/// Why a request cannot be opened.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NotOpened {
    /// As many as the session allows are open.
    TooMany,
    /// The id belongs to an open request.
    IdInUse,
    /// It takes more memory than the client may have now.
    NoMemory,
}

/// An input came beyond all credit.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct InboxFull;

/// An upload's credit as its client knows it: what has come beyond that is taken in no further.
#[derive(Debug, Default)]
struct Credit {
    /// None until the client was told.
    bytes: Option<u64>,
    charges: Charges,
}

impl Credit {
    /// Takes note of an answer that is about to leave.
    fn note(&mut self, answer: &Answer) {
        match answer {
            Answer::UploadReady(ready) => self.bytes = Some(ready.credit_bytes),
            Answer::UploadAck(ack) => {
                self.bytes = Some(ack.credit_bytes);
                self.charges.acknowledge(ack.received);
            }
            _ => {}
        }
    }

    /// Returns whether this frame may come.
    fn allows(&mut self, input: &Input) -> bool {
        match input {
            Input::UploadData(UploadData { offset, data }) => {
                self.charges.add(offset.saturating_add(data.len() as u64), data.len() as u64);
            }
            Input::UploadSpan(UploadSpan { offset, len, .. }) => {
                self.charges.add(offset.saturating_add(*len), SPAN_CREDIT_BYTES);
            }
            Input::More(_) | Input::Cancel(_) | Input::CommitUpload(_) | Input::AbortUpload(_) => {
                return true;
            }
        }
        self.charges.total() <= self.bytes.unwrap_or(UNTOLD_CREDIT_BYTES)
    }
}

impl Open {
    /// Whatever the work says, this is the final answer once it has stopped.
    fn refuse(&mut self, fault: Fault) {
        self.refusal.get_or_insert(fault);
        self.inputs = None;
        self.cancel.cancel();
    }
}

#[derive(Debug)]
struct Table {
    open: HashMap<RequestId, Open>,
    records: Records,
}

/// All open exchanges of one session.
pub(super) struct Exchanges {
    table: Mutex<Table>,
    open_max: usize,
    /// The client knows the narrow form of attributes only.
    narrows: bool,
    memory: Memory,
    emptied: Notify,
    all: CancellationToken,
    log: Arc<dyn SessionLog>,
}

impl std::fmt::Debug for Exchanges {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exchanges").field("table", &self.table).finish_non_exhaustive()
    }
}

impl Exchanges {
    pub(super) fn new(open_max: usize, narrows: bool, memory: Memory, log: Arc<dyn SessionLog>) -> Self {
        let table = Mutex::new(Table { open: HashMap::new(), records: Records::new(&memory) });
        let (emptied, all) = (Notify::new(), CancellationToken::new());
        Self { table, open_max, narrows, memory, emptied, all, log }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Set when the session ends.
    pub(super) fn end(&self) -> CancellationToken {
        self.all.clone()
    }

    /// Takes a slot for `request`, which came in a frame of so many bytes.
    pub(super) fn open(
        &self,
        id: RequestId,
        request: &Request,
        frame_bytes: usize,
    ) -> Result<Opened, NotOpened> {
        let mut table = self.table();
        let Table { open, records } = &mut *table;
        if open.len() >= self.open_max && !open.contains_key(&id) {
            return Err(NotOpened::TooMany);
        }
        let Entry::Vacant(slot) = open.entry(id) else { return Err(NotOpened::IdInUse) };
        let bytes = memory::of_request(request, frame_bytes);
        let charge = self.memory.try_take(bytes, Use::Passing).ok_or(NotOpened::NoMemory)?;
        let charge = Arc::new(charge);
        let (sender, inputs) = exchange::inputs(&self.memory);
        let cancel = self.all.child_token();
        let deed = records.begin(request);
        let done = deed.done();
        slot.insert(Open {
            inputs: Some(sender),
            cancel: cancel.clone(),
            credit: Credit::default(),
            _charge: charge.clone(),
            refusal: None,
            deed,
        });
        Ok(Opened { inputs, cancel, done, charge })
    }

    /// Passes an input on. One for an exchange that is not open is ignored: its final answer may have crossed it.
    pub(super) fn input(&self, id: RequestId, mut input: Input) -> Result<(), InboxFull> {
        let mut table = self.table();
        let Some(open) = table.open.get_mut(&id) else { return Ok(()) };
        match input {
            Input::Cancel(_) => {
                open.cancel.cancel();
                return Ok(());
            }
            Input::UploadData(UploadData { ref mut data, .. }) => {
                open.deed.add_bytes(data.len());
                if data.len() < DATA_BYTES_LEAST {
                    *data = Bytes::copy_from_slice(data);
                }
            }
            Input::CommitUpload(ref commit) => open.deed.set_hash(commit.hash),
            Input::More(_) | Input::UploadSpan(_) | Input::AbortUpload(_) => {}
        }
        let Some(inputs) = &open.inputs else { return Ok(()) };
        let refusal = if open.credit.allows(&input) {
            match inputs.try_put(input) {
                Err(NotPut::NoMemory) => Memory::refusal("what was said within the request takes"),
                Err(NotPut::Full) => return Err(InboxFull),
                // The work has ended, and its final answer is on the way.
                Ok(()) | Err(NotPut::Closed) => return Ok(()),
            }
        } else {
            Fault::new(FaultCode::LimitExceeded).because("more data than the credit allows")
        };
        open.refuse(refusal);
        Ok(())
    }

    /// Ends an open exchange with `fault` as its final answer, once its work has stopped. False where none is open.
    pub(super) fn refuse(&self, id: RequestId, fault: Fault) -> bool {
        let mut table = self.table();
        let Some(open) = table.open.get_mut(&id) else { return false };
        open.refuse(fault);
        true
    }

    /// Takes note of an answer that is about to leave: a final one frees the slot. Returns what is to be said instead.
    pub(super) fn answered(&self, id: RequestId, mut answer: Answer) -> Answer {
        self.memory.give_back(memory::of_answer(&answer));
        if self.narrows {
            answer.narrow();
        }
        let mut table = self.table();
        let Table { open, records } = &mut *table;
        let Some(exchange) = open.get_mut(&id) else { return answer };
        if !answer.is_final() {
            exchange.credit.note(&answer);
            if let (Some(inputs), Some(credit_bytes)) = (&exchange.inputs, exchange.credit.bytes) {
                inputs.pay_for(exchange::inputs_paid_with(credit_bytes));
            }
            exchange.deed.note(&answer);
            return answer;
        }
        let Some(exchange) = open.remove(&id) else { return answer };
        let answer = exchange.refusal.map_or(answer, Answer::Fault);
        let work = records.end(&exchange.deed, &answer);
        let is_empty = open.is_empty();
        drop(table);
        for work in work {
            self.log.record(SessionEvent::Done(&work));
        }
        if is_empty {
            self.emptied.notify_one();
        }
        answer
    }

    pub(super) fn is_empty(&self) -> bool {
        self.table().open.is_empty()
    }

    /// Returns at once where one has become empty since the last call.
    pub(super) async fn emptied(&self) {
        self.emptied.notified().await;
    }

    /// The client can say no more in any exchange; their work goes on.
    pub(super) fn close_inputs(&self) {
        self.table().open.values_mut().for_each(|open| open.inputs = None);
    }

    /// Asks all work to stop.
    pub(super) fn cancel_all(&self) {
        self.all.cancel();
    }

    pub(super) fn cancel_all_on_drop(&self) -> DropGuard {
        self.all.clone().drop_guard()
    }

    /// The connection is gone: nothing more comes in, and nobody waits for answers.
    pub(super) fn stop(&self) {
        self.cancel_all();
        self.close_inputs();
    }

    /// After the end: what has not come to an end by now, and what was read in part, is logged as that.
    pub(super) fn lost(&self) {
        let mut table = self.table();
        let Table { open, records } = &mut *table;
        let lost = Answer::Fault(FaultCode::Disconnected.into());
        let mut work: Vec<_> =
            open.drain().flat_map(|(_, exchange)| records.end(&exchange.deed, &lost)).collect();
        work.extend(records.rest());
        drop(table);
        for work in work {
            self.log.record(SessionEvent::Done(&work));
        }
    }
}
