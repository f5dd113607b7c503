//! How much a client may store: what must stay free on the disk, what its folder may hold, and how many uploads it may have open.
//! Knows no request and no path.

use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::limits::{REQUESTS_IN_FLIGHT_MAX, SMALL_FILE_BYTES_MAX, UPLOAD_CREDIT_BYTES_MAX};

use super::room::ROOM_BYTES;
use crate::disk::writing::free_bytes;

/// Bounds of what clients store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreLimits {
    /// Bytes that stay free on the disk, whatever is stored.
    pub disk_reserve_bytes: u64,
    /// Uploads that one client may have open.
    pub uploads_max: usize,
    /// Bytes that one upload may have sent and the disk has not taken.
    pub credit_bytes: u64,
    /// Bytes that all uploads together may have sent and the disk has not taken.
    pub room_bytes: u64,
    /// Bytes of memory for all that is taken in for clients, or kept for them.
    pub memory_bytes: u64,
    /// How long what was received of a file that was cut off waits for another upload; none waits where this is zero.
    pub parts_kept: Duration,
}

impl Default for StoreLimits {
    /// As much as the disk holds and the protocol allows.
    fn default() -> Self {
        Self {
            disk_reserve_bytes: 0,
            uploads_max: REQUESTS_IN_FLIGHT_MAX,
            credit_bytes: UPLOAD_CREDIT_BYTES_MAX,
            room_bytes: ROOM_BYTES,
            memory_bytes: u64::MAX,
            parts_kept: Duration::from_hours(7 * 24),
        }
    }
}

/// One client's, shared by its sessions.
#[derive(Debug)]
pub(super) struct Allowance {
    limits: StoreLimits,
    uploads: Arc<Semaphore>,
    quota: Option<Quota>,
}

#[derive(Debug)]
struct Quota {
    bytes_max: u64,
    used: Mutex<Used>,
    /// Held by whoever counts.
    counting: tokio::sync::Mutex<()>,
}

/// Bytes of a client's folder.
#[derive(Debug, Default)]
struct Used {
    /// As counted last, and kept up since.
    stored: u64,
    /// Whether that can be relied on; else it is to be counted before anything begins.
    is_known: bool,
    /// Of what is being stored.
    held: u64,
}

/// Bytes that are being stored. Dropped, they are given back.
#[derive(Debug)]
pub(super) struct Hold {
    allowance: Arc<Allowance>,
    bytes: u64,
}

impl Allowance {
    pub(super) fn new(limits: StoreLimits, quota_bytes: Option<u64>) -> Self {
        let quota = quota_bytes.map(|bytes_max| Quota {
            bytes_max,
            used: Mutex::default(),
            counting: tokio::sync::Mutex::default(),
        });
        Self { limits, uploads: Arc::new(Semaphore::new(limits.uploads_max)), quota }
    }

    pub(super) const fn limits(&self) -> StoreLimits {
        self.limits
    }

    /// A place among the uploads that are open.
    pub(super) fn upload(&self) -> Result<OwnedSemaphorePermit, Fault> {
        self.uploads.clone().try_acquire_owned().map_err(|_| {
            let detail = format!("{} uploads are open, and more may not be", self.limits.uploads_max);
            Fault::new(FaultCode::LimitExceeded).because(detail)
        })
    }

    /// Counts with `count` what the folder holds, where that is not known.
    pub(super) async fn learn_used(
        &self,
        count: impl Future<Output = Result<u64, Fault>>,
    ) -> Result<(), Fault> {
        let Some(quota) = &self.quota else { return Ok(()) };
        if quota.used().is_known {
            return Ok(());
        }
        let _turn = quota.counting.lock().await;
        if !quota.used().is_known {
            let stored = count.await?;
            let mut used = quota.used();
            (used.stored, used.is_known) = (stored, true);
        }
        Ok(())
    }

    /// So many bytes were removed.
    pub(super) fn freed(&self, bytes: u64) {
        if let Some(quota) = &self.quota {
            let mut used = quota.used();
            used.stored = used.stored.saturating_sub(bytes);
        }
    }

    /// What may still be stored, and what may be in all, where there is a quota.
    pub(super) fn left(&self) -> Option<(u64, u64)> {
        let quota = self.quota.as_ref()?;
        let used = quota.used().total();
        Some((quota.bytes_max.saturating_sub(used), quota.bytes_max))
    }

    /// Begins to store `bytes` in `folder`.
    pub(super) fn hold(self: &Arc<Self>, folder: impl AsFd, bytes: u64) -> Result<Hold, Fault> {
        self.hold_on(folder, bytes, 0)
    }

    /// Goes on to store `bytes` in `folder`, of which `there` were stored and kept before.
    pub(super) fn hold_on(
        self: &Arc<Self>,
        folder: impl AsFd,
        bytes: u64,
        there: u64,
    ) -> Result<Hold, Fault> {
        let mut hold = Hold { allowance: self.clone(), bytes: 0 };
        self.check_room(folder, bytes.saturating_sub(there))?;
        self.freed(there);
        match hold.take(bytes) {
            Ok(()) => Ok(hold),
            Err(fault) => {
                hold.keep(there);
                Err(fault)
            }
        }
    }

    /// Whether `folder` has room for `bytes` beside what stays free. Where nothing need stay free a small file is simply written.
    fn check_room(&self, folder: impl AsFd, bytes: u64) -> Result<(), Fault> {
        if self.limits.disk_reserve_bytes == 0 && bytes <= SMALL_FILE_BYTES_MAX as u64 {
            return Ok(());
        }
        let Some(free) = free_bytes(folder)? else { return Ok(()) };
        let reserve = self.limits.disk_reserve_bytes;
        if free >= bytes.saturating_add(reserve) {
            return Ok(());
        }
        let kept = if reserve > 0 { format!(", {reserve} of them kept free") } else { String::new() };
        Err(Fault::new(FaultCode::NoSpace).because(format!("{bytes} bytes needed, {free} free{kept}")))
    }
}

impl Quota {
    fn used(&self) -> MutexGuard<'_, Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Used {
    const fn total(&self) -> u64 {
        self.stored.saturating_add(self.held)
    }
}

impl Hold {
    /// There are `bytes` in all now, maybe more than were announced.
    pub(super) fn reach(&mut self, folder: impl AsFd, bytes: u64) -> Result<(), Fault> {
        self.allowance.check_room(folder, 0)?;
        self.take(bytes.saturating_sub(self.bytes))
    }

    /// They are stored, and stay: so many in the end.
    pub(super) fn keep(mut self, bytes: u64) {
        if let Some(quota) = &self.allowance.quota {
            let mut used = quota.used();
            used.held -= self.bytes;
            used.stored = used.stored.saturating_add(bytes);
        }
        self.bytes = 0;
    }

    fn take(&mut self, more: u64) -> Result<(), Fault> {
        if let Some(quota) = &self.allowance.quota {
            let mut used = quota.used();
            let total = used.total();
            if total.saturating_add(more) > quota.bytes_max {
                // Somebody else may have made room: the next change counts anew.
                used.is_known = false;
                let left = quota.bytes_max.saturating_sub(total);
                let detail =
                    format!("{more} bytes needed, {left} left of the {} for this client", quota.bytes_max);
                return Err(Fault::new(FaultCode::NoSpace).because(detail));
            }
            used.held += more;
        }
        self.bytes += more;
        Ok(())
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Some(quota) = &self.allowance.quota {
            quota.used().held -= self.bytes;
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "fixtures")]
mod tests {
    use super::*;

    fn allowance(quota_bytes: u64) -> Arc<Allowance> {
        Arc::new(Allowance::new(StoreLimits::default(), Some(quota_bytes)))
    }

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    fn hold(allowance: &Arc<Allowance>, bytes: u64) -> Result<Hold, FaultCode> {
        let folder = folder();
        let open =
            rustix::fs::open(folder.path(), rustix::fs::OFlags::RDONLY, rustix::fs::Mode::empty()).unwrap();
        allowance.hold(open, bytes).map_err(|fault| fault.code)
    }

    #[tokio::test]
    async fn what_is_given_up_is_given_back_and_what_is_kept_counts() {
        let allowance = allowance(100);
        allowance.learn_used(async { Ok(40) }).await.unwrap();
        let first = hold(&allowance, 50).unwrap();
        assert_eq!(allowance.left(), Some((10, 100)));
        drop(first);
        hold(&allowance, 50).unwrap().keep(30);
        assert_eq!(allowance.left(), Some((30, 100)));
        allowance.freed(20);
        assert_eq!(allowance.left(), Some((50, 100)));
        hold(&allowance, 50).unwrap().keep(50);
        assert!(hold(&allowance, 0).is_ok());
    }

    #[tokio::test]
    async fn after_a_refusal_it_is_counted_anew() {
        let allowance = allowance(100);
        allowance.learn_used(async { Ok(100) }).await.unwrap();
        allowance.learn_used(async { panic!("it is known") }).await.unwrap();
        assert_eq!(hold(&allowance, 1).unwrap_err(), FaultCode::NoSpace);
        allowance.learn_used(async { Ok(10) }).await.unwrap();
        assert_eq!(allowance.left(), Some((90, 100)));
    }

    #[tokio::test]
    async fn more_than_was_announced_is_taken_as_it_comes() {
        let allowance = allowance(100);
        allowance.learn_used(async { Ok(0) }).await.unwrap();
        let mut hold = hold(&allowance, 0).unwrap();
        let folder = folder();
        let open =
            rustix::fs::open(folder.path(), rustix::fs::OFlags::RDONLY, rustix::fs::Mode::empty()).unwrap();
        hold.reach(&open, 60).unwrap();
        hold.reach(&open, 50).unwrap();
        assert_eq!(allowance.left(), Some((40, 100)));
        assert_eq!(hold.reach(&open, 101).unwrap_err().code, FaultCode::NoSpace);
    }
}
