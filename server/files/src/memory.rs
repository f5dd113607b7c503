//! One budget of memory for a server, of which each client and each of its sessions has a part: what is taken in for them, or kept for them,
//! is charged before it is allocated. A client gets at most as much as it leaves for others, so one alone has half of it at most, and one that
//! comes always finds some. What is over it waits, or is refused.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;
use towpath_protocol::answer::{ListPage, WalkPage};
use towpath_protocol::entry::Attributes;
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::message::{Answer, Request};
use towpath_protocol::metadata::Extended;
use towpath_protocol::path::{Name, WirePath};

/// For a server where its owner says nothing else.
pub const MEMORY_BYTES: u64 = 96 * 1024 * 1024;
/// The minimum of every session: a request and its answer.
const SESSION_BYTES_LEAST: usize = 16 * 1024;
/// A session may hold so many times what is left of its client's part.
const SESSION_FACTOR: usize = 4;
/// Memory of an open request: a task, a queue, its state.
const REQUEST_BYTES: usize = 6 * 1024;
/// Memory of a name besides its bytes.
const NAME_BYTES: usize = 48;
/// Shorter final answers are paid for with their request.
const ANSWER_BYTES_FREE: usize = 2 * 1024;
/// Memory of a file that is stored and not yet in place: two open files, its name.
const PART_BYTES: usize = 8 * 1024;
/// Memory of an entry of a page besides name and link.
const ENTRY_BYTES: usize = NAME_BYTES + 2 * size_of::<Attributes>();

/// Interval at which waiters look for memory of other clients.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// The purpose of a charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// It goes by itself: what comes in and is worked on, what goes out.
    Passing,
    /// Work holds it to its end, and needs more that passes meanwhile, to which it leaves a sixth.
    Held,
    /// It stays until its client goes on. It leaves a third to the others, so that a client that holds much can still be served.
    Parked,
}

#[derive(Debug)]
struct Server {
    bytes_max: usize,
    /// Of all clients.
    used: Mutex<usize>,
}

#[derive(Debug)]
struct Client {
    server: Arc<Server>,
    /// Changed with the server's lock held.
    used: AtomicUsize,
    /// Something was given back.
    freed: Notify,
}

/// One client's part. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub(crate) struct ClientMemory(Arc<Client>);

/// The memory of one session. It is given back when the last clone is dropped.
#[derive(Debug, Clone)]
pub struct Memory(Arc<Session>);

#[derive(Debug)]
struct Session {
    client: Arc<Client>,
    used: AtomicUsize,
    /// Held by what waits: the rest waits behind. What is to be [held](Use::Held) has a line of its own, since what passes makes room for it.
    waiting: [tokio::sync::Mutex<()>; 2],
}

/// Bytes that are charged, given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Charge {
    memory: Memory,
    bytes: usize,
}

impl ClientMemory {
    /// A server's budget, for its first client.
    pub(crate) fn of_server(bytes_max: u64) -> Self {
        let bytes_max = usize::try_from(bytes_max).unwrap_or(usize::MAX / 8).min(usize::MAX / 8);
        Self::new(Arc::new(Server { bytes_max, used: Mutex::default() }))
    }

    fn new(server: Arc<Server>) -> Self {
        Self(Arc::new(Client { server, used: AtomicUsize::new(0), freed: Notify::new() }))
    }

    /// For another client of the same server.
    pub(crate) fn of_another(&self) -> Self {
        Self::new(self.0.server.clone())
    }

    pub(crate) fn session(&self) -> Memory {
        Memory(Arc::new(Session {
            client: self.0.clone(),
            used: AtomicUsize::new(0),
            waiting: Default::default(),
        }))
    }
}

impl Server {
    fn used(&self) -> MutexGuard<'_, usize> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    /// A session without a limit of its own.
    pub fn unlimited() -> Self {
        ClientMemory::of_server(u64::MAX).session()
    }

    /// Charges nothing yet.
    pub(crate) fn nothing(&self) -> Charge {
        Charge { memory: self.clone(), bytes: 0 }
    }

    /// Charges so many bytes; `None` if that is more than there is now for this session.
    pub(crate) fn try_take(&self, bytes: usize, what: Use) -> Option<Charge> {
        self.add(bytes, what).then(|| Charge { memory: self.clone(), bytes })
    }

    /// Charges so many bytes if there are so many and nothing of this session waits for any.
    pub(crate) fn take_now(&self, bytes: usize, what: Use) -> Option<Charge> {
        let _turn = self.0.waiting[usize::from(what != Use::Passing)].try_lock().ok()?;
        self.try_take(bytes, what)
    }

    /// Charges so many bytes as soon as there are so many. What is more than there can ever be has to wait for ever.
    pub(crate) async fn take(&self, bytes: usize, what: Use) -> Charge {
        let _turn = self.0.waiting[usize::from(what != Use::Passing)].lock().await;
        loop {
            let mut freed = std::pin::pin!(self.0.client.freed.notified());
            freed.as_mut().enable();
            if let Some(charge) = self.try_take(bytes, what) {
                // There may be enough for the next one too.
                self.0.client.freed.notify_one();
                return charge;
            }
            tokio::select! {
                () = freed => {}
                // Another client may have given memory back, which this one is not notified of.
                () = sleep(LOOK_EVERY) => {}
            }
        }
    }

    fn add(&self, bytes: usize, what: Use) -> bool {
        let Session { client, used: of_session, .. } = &*self.0;
        let mut used = client.server.used();
        let free = client.server.bytes_max.saturating_sub(*used);
        let (ours, session) = (client.used.load(Ordering::Relaxed), of_session.load(Ordering::Relaxed));
        let for_client = match what {
            Use::Passing => free,
            Use::Held => free / 6 * 5,
            Use::Parked => free / 3 * 2,
        };
        let for_session = for_client.saturating_sub(ours).saturating_mul(SESSION_FACTOR);
        let fits = ours + bytes <= for_client && session + bytes <= for_session;
        if !fits && session + bytes > SESSION_BYTES_LEAST {
            return false;
        }
        *used += bytes;
        client.used.store(ours + bytes, Ordering::Relaxed);
        of_session.store(session + bytes, Ordering::Relaxed);
        true
    }

    /// Charges so many bytes that are there already.
    pub(crate) fn add_anyway(&self, bytes: usize) {
        let Session { client, used: of_session, .. } = &*self.0;
        let mut used = client.server.used();
        *used += bytes;
        client.used.fetch_add(bytes, Ordering::Relaxed);
        of_session.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Gives back bytes of a [forgotten](Charge::forget) charge.
    pub(crate) fn give_back(&self, bytes: usize) {
        let Session { client, used: of_session, .. } = &*self.0;
        let mut used = client.server.used();
        let bytes = bytes.min(of_session.load(Ordering::Relaxed));
        of_session.fetch_sub(bytes, Ordering::Relaxed);
        client.used.fetch_sub(bytes, Ordering::Relaxed);
        *used -= bytes;
        drop(used);
        if bytes > 0 {
            client.freed.notify_one();
        }
    }

    /// The refusal of what is over the budget.
    pub(crate) fn refusal(what: &str) -> Fault {
        Fault::new(FaultCode::LimitExceeded).because(format!(
            "{what} more memory than the server has left for this client; its owner sets the limit `memory_bytes`"
        ))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let bytes = *self.used.get_mut();
        *self.client.server.used() -= bytes;
        self.client.used.fetch_sub(bytes, Ordering::Relaxed);
        self.client.freed.notify_one();
    }
}

impl Charge {
    /// Charges more; false if there is no more.
    pub(crate) fn try_grow(&mut self, bytes: usize, what: Use) -> bool {
        let has_grown = self.memory.add(bytes, what);
        self.bytes += if has_grown { bytes } else { 0 };
        has_grown
    }

    /// Is so many bytes from now on, of which those that are more were charged already.
    pub(crate) const fn adopt(&mut self, bytes: usize) {
        self.bytes = bytes;
    }

    /// Is so many bytes from now on: more where they were charged elsewhere until now, or less.
    pub(crate) fn set(&mut self, bytes: usize) {
        match bytes.checked_sub(self.bytes) {
            Some(more) => self.memory.add_anyway(more),
            None => self.memory.give_back(self.bytes - bytes),
        }
        self.bytes = bytes;
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Leaves the bytes charged until they are [given back](Memory::give_back), or the session is gone.
    pub(crate) fn forget(mut self) {
        self.bytes = 0;
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.memory.give_back(self.bytes);
    }
}

/// About what a name takes.
pub(crate) fn of_name(name: &Name) -> usize {
    name.as_bytes().len() + NAME_BYTES
}

/// About what a path takes.
pub(crate) fn of_path(path: &WirePath) -> usize {
    path.names().iter().map(of_name).sum()
}

/// About what a request takes while it is open, of which the frame had so many bytes.
pub(crate) fn of_request(request: &Request, frame_bytes: usize) -> usize {
    let of = |path: &WirePath| path.names().len() * NAME_BYTES;
    // Two paths at most, for all but the first.
    let paths = frame_bytes.min(2 * 1024) * (NAME_BYTES / 3);
    let besides: usize = match request {
        // An answer for each, which is paid for with the request.
        Request::Stat(stat) => stat.paths.iter().map(|path| of(path) + size_of::<Attributes>()).sum(),
        Request::Measure(measure) => {
            measure.things.iter().map(|thing| of(&thing.base) + of(&thing.path)).sum()
        }
        Request::Put(_) | Request::BeginUpload(_) => paths + PART_BYTES,
        _ => paths,
    };
    REQUEST_BYTES + 2 * frame_bytes + besides
}

/// About what a page of so many entries takes that is to be made, if they have usual names.
pub(crate) const fn of_page(entries: usize) -> usize {
    entries * (ENTRY_BYTES + 64)
}

/// About what takes the target of a link, if it is one.
pub(crate) fn of_link(attributes: &Attributes) -> usize {
    attributes.link.as_ref().map_or(0, |link| 2 * link.bytes.len())
}

/// About what a fault takes that names what it is about.
pub(crate) fn of_fault(fault: &Fault) -> usize {
    2 * size_of::<Fault>() + fault.path.as_ref().map_or(0, |path| 2 * of_path(path))
}

/// About what an answer takes on its way out; nothing for what is paid for with its request.
pub(crate) fn of_answer(answer: &Answer) -> usize {
    let of =
        |name: &Name, attributes: &Attributes| 2 * name.as_bytes().len() + of_link(attributes) + ENTRY_BYTES;
    let bytes: usize = match answer {
        Answer::ListPage(ListPage { entries, .. }) => {
            entries.iter().map(|entry| of(&entry.name, &entry.attributes)).sum()
        }
        Answer::WalkPage(WalkPage { items }) => {
            items.iter().map(|item| of(&item.entry.name, &item.entry.attributes)).sum()
        }
        Answer::Data(data) => data.data.len(),
        Answer::FileWhole(whole) => 2 * whole.data.len(),
        Answer::BlockHashes(hashes) => 2 * 32 * hashes.hashes.len(),
        Answer::Metadata(metadata) => {
            metadata.extended.iter().map(|Extended { name, value }| 2 * (name.len() + value.len())).sum()
        }
        Answer::Stats(stats) => stats.items.iter().filter_map(|item| item.0.as_ref().ok()).map(of_link).sum(),
        Answer::Totals(totals) => totals.faults.iter().map(of_fault).sum(),
        _ => 0,
    };
    if bytes < ANSWER_BYTES_FREE { 0 } else { bytes }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    /// Takes as much as it gets.
    fn hog(memory: &Memory, what: Use) -> Charge {
        let mut charge = memory.try_take(0, what).unwrap();
        while charge.try_grow(4 * 1024, what) {}
        charge
    }

    #[test]
    fn f71_nobody_gets_more_than_is_left_for_others() {
        let first = ClientMemory::of_server(96 * MIB as u64);
        let clients: Vec<_> =
            std::iter::once(first.clone()).chain((0..20).map(|_| first.of_another())).collect();
        let sessions: Vec<_> = clients.iter().map(ClientMemory::session).collect();
        let held: Vec<_> = sessions.iter().map(|session| hog(session, Use::Passing)).collect();
        assert!(held[0].bytes() <= 48 * MIB && held[0].bytes() > 40 * MIB, "{}", held[0].bytes());
        assert!(held.iter().all(|charge| charge.bytes() >= SESSION_BYTES_LEAST));
        let all: usize = held.iter().map(Charge::bytes).sum();
        assert!(all <= 97 * MIB, "{all}");
        drop(held);
        assert_eq!(*clients[0].0.server.used(), 0, "all of it was given back");
    }

    #[test]
    fn f71_what_is_parked_leaves_some_for_what_passes() {
        let client = ClientMemory::of_server(96 * MIB as u64);
        let sessions: Vec<_> = (0..64).map(|_| client.session()).collect();
        let parked: Vec<_> = sessions.iter().map(|session| hog(session, Use::Parked)).collect();
        assert!(parked[0].bytes() > 32 * MIB, "a million names: {}", parked[0].bytes());
        assert!(sessions[0].try_take(2 * MIB, Use::Passing).is_some());
        assert!(sessions[0].try_take(16 * 1024, Use::Parked).is_none());
    }

    #[test]
    fn f71_with_a_session_goes_what_it_held() {
        let client = ClientMemory::of_server(96 * MIB as u64);
        let session = client.session();
        session.try_take(MIB, Use::Passing).unwrap().forget();
        session.try_take(MIB, Use::Passing).unwrap().forget();
        session.give_back(MIB);
        assert_eq!(*client.0.server.used(), MIB);
        drop(session);
        assert_eq!((*client.0.server.used(), client.0.used.load(Ordering::Relaxed)), (0, 0));
    }

    #[tokio::test]
    async fn f71_what_is_over_the_budget_waits_until_some_is_given_back() {
        let client = ClientMemory::of_server(MIB as u64);
        let (session, other) = (client.session(), client.session());
        let held = hog(&session, Use::Passing);
        let mut waiting = std::pin::pin!(other.take(200 * 1024, Use::Passing));
        assert!(futures_pending(waiting.as_mut()).await);
        drop(held);
        assert_eq!(waiting.await.bytes(), 200 * 1024);
    }

    async fn futures_pending(mut future: std::pin::Pin<&mut impl Future>) -> bool {
        std::future::poll_fn(|context| std::task::Poll::Ready(future.as_mut().poll(context).is_pending()))
            .await
    }
}
