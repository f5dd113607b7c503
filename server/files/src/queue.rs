//! A bounded queue whose items are charged while they wait. The first of them are paid for by what the queue belongs to; for each further
//! one there must be memory.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc::error::{TryRecvError, TrySendError};
use tokio::sync::mpsc::{self, Receiver, Sender};

use crate::memory::{Charge, Memory, Use};

/// Takes items out. Made of a plain queue, it charges nothing.
#[derive(Debug)]
pub struct Queue<T> {
    queue: Receiver<T>,
    waiting: Option<Arc<Waiting>>,
}

/// Puts items in.
#[derive(Debug)]
pub(crate) struct QueueSender<T> {
    queue: Sender<T>,
    waiting: Arc<Waiting>,
}

/// Why an item was not put in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotPut {
    Full,
    /// Nothing is taken out any more.
    Closed,
    NoMemory,
}

/// Queued data beyond the charge.
#[derive(Debug)]
struct Waiting {
    /// Items that are paid for.
    paid: AtomicUsize,
    item_bytes: usize,
    charge: Mutex<Charge>,
}

/// A queue of so many items, of which the first `paid` ones are not charged.
pub(crate) fn queue<T>(
    memory: &Memory,
    items_max: usize,
    paid: usize,
    item_bytes: usize,
) -> (QueueSender<T>, Queue<T>) {
    let (sender, receiver) = mpsc::channel(items_max);
    let (paid, charge) = (AtomicUsize::new(paid), Mutex::new(memory.nothing()));
    let waiting = Arc::new(Waiting { paid, item_bytes, charge });
    (
        QueueSender { queue: sender, waiting: waiting.clone() },
        Queue { queue: receiver, waiting: Some(waiting) },
    )
}

impl<T> Queue<T> {
    /// The next item; `None` once no more can come.
    pub async fn recv(&mut self) -> Option<T> {
        let item = self.queue.recv().await;
        self.taken();
        item
    }

    /// The next item if it is there.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        let item = self.queue.try_recv();
        self.taken();
        item
    }

    fn taken(&self) {
        if let Some(waiting) = &self.waiting {
            waiting.shrink_to(self.queue.len());
        }
    }
}

impl<T> From<Receiver<T>> for Queue<T> {
    fn from(queue: Receiver<T>) -> Self {
        Self { queue, waiting: None }
    }
}

impl<T> QueueSender<T> {
    /// Never waits.
    pub(crate) fn try_put(&self, item: T) -> Result<(), NotPut> {
        let waiting = self.queue.max_capacity() - self.queue.capacity();
        if !self.waiting.grow_to(waiting + 1) {
            return Err(NotPut::NoMemory);
        }
        self.queue.try_send(item).map_err(|error| match error {
            TrySendError::Full(_) => NotPut::Full,
            TrySendError::Closed(_) => NotPut::Closed,
        })
    }

    /// From now on so many items are paid for.
    pub(crate) fn pay_for(&self, items: usize) {
        self.waiting.paid.store(items, Ordering::Relaxed);
    }
}

impl Waiting {
    fn bytes_of(&self, items: usize) -> usize {
        items.saturating_sub(self.paid.load(Ordering::Relaxed)) * self.item_bytes
    }

    fn grow_to(&self, items: usize) -> bool {
        let mut charge = self.charge.lock().unwrap_or_else(PoisonError::into_inner);
        let more = self.bytes_of(items).saturating_sub(charge.bytes());
        more == 0 || charge.try_grow(more, Use::Passing)
    }

    fn shrink_to(&self, items: usize) {
        let mut charge = self.charge.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = self.bytes_of(items);
        if bytes < charge.bytes() {
            charge.set(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::ClientMemory;

    #[tokio::test]
    async fn f71_what_waits_beyond_what_is_paid_for_is_charged_until_it_is_taken() {
        const ITEM_BYTES: usize = 1024;
        let memory = ClientMemory::of_server(1 << 20).session();
        let (sender, mut queue) = queue(&memory, 4096, 16, ITEM_BYTES);
        (0..16).for_each(|item| sender.try_put(item).unwrap());
        assert_eq!(queue.waiting.as_ref().unwrap().charge.lock().unwrap().bytes(), 0);
        let put = (16..4096).take_while(|item| sender.try_put(*item).is_ok()).count();
        assert!((100..4080).contains(&put), "{put}");
        assert_eq!(sender.try_put(0), Err(NotPut::NoMemory));
        for item in 0..16 + put {
            assert_eq!(queue.recv().await, Some(item));
        }
        assert_eq!(queue.waiting.as_ref().unwrap().charge.lock().unwrap().bytes(), 0, "given back");
        assert_eq!(sender.try_put(7), Ok(()));
        sender.pay_for(4096);
        (1..4096).for_each(|item| sender.try_put(item).unwrap());
        assert_eq!(sender.try_put(0), Err(NotPut::Full));
        drop(queue);
        assert_eq!(sender.try_put(0), Err(NotPut::Closed));
    }
}
