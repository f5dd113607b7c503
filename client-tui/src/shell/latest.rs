//! Latest-value slots: what is only worth knowing in its newest form, such as how far a job has come. A value that nobody
//! took in time is replaced, so a busy job never floods the loop and a busy loop never holds up a job.

use std::collections::BTreeMap;
use std::mem;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

/// One slot for each key. Shared between who fills and who takes.
#[derive(Debug)]
pub(super) struct Latest<K, V> {
    slots: Mutex<BTreeMap<K, V>>,
    filled: Notify,
}

impl<K: Ord, V> Latest<K, V> {
    pub(super) fn new() -> Self {
        Self { slots: Mutex::new(BTreeMap::new()), filled: Notify::new() }
    }

    /// Puts a value in its slot, in place of what was there.
    pub(super) fn put(&self, key: K, value: V) {
        self.lock().insert(key, value);
        self.filled.notify_one();
    }

    /// Empties a slot: what was in it is not worth knowing any more.
    pub(super) fn forget(&self, key: &K) {
        self.lock().remove(key);
    }

    /// Waits until a slot is filled. Dropped while it waits, it loses nothing.
    pub(super) async fn filled(&self) {
        self.filled.notified().await;
    }

    /// Takes what is in the slots.
    pub(super) fn take(&self) -> BTreeMap<K, V> {
        mem::take(&mut *self.lock())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<K, V>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_newest_value_of_each_slot_is_taken() {
        let latest = Latest::new();
        latest.put(1, "old");
        latest.put(2, "other");
        latest.put(1, "new");
        latest.filled().await;
        assert_eq!(latest.take(), BTreeMap::from([(1, "new"), (2, "other")]));
        assert!(latest.take().is_empty());
        latest.put(3, "gone");
        latest.forget(&3);
        assert!(latest.take().is_empty());
    }
}
