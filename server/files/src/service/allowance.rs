//! Limits of a client's storage: the disk's reserve, its quota, and its open uploads. What
//! it has stored is in the `ledger`. Knows no request and no path.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use towpath_protocol::entry::Attributes;
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::limits::{REQUESTS_IN_FLIGHT_MAX, SMALL_FILE_BYTES_MAX, UPLOAD_CREDIT_BYTES_MAX};

use super::grant::ClientId;
use super::ledger::{Charge, Identity, Ledger, Recount, Seal, Taken, Thing};
use super::room::ROOM_BYTES;
use crate::disk;
use crate::disk::holes::in_blocks;
use crate::disk::writing::{Free, free_space};

/// Bytes of a quota for each inode that it allows: an empty file, a link and a folder take one each.
const QUOTA_BYTES_PER_INODE: u64 = 4096;
/// Inodes that every quota allows.
const QUOTA_INODES_LEAST: u64 = 16;
/// Bytes of the reserve for each inode that stays free as well, of a disk that has a number of them.
const RESERVE_BYTES_PER_INODE: u64 = 16 * 1024;
/// No larger part of a disk's inodes stays free.
const RESERVE_INODES_PART: u64 = 20;
/// A count of all that is there takes no more than this part of the time.
const COUNTING_PART: u32 = 10;

/// Bounds of what clients store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreLimits {
    /// Bytes that stay free on the disk, whatever is stored; of inodes a fitting number.
    pub disk_reserve_bytes: u64,
    /// No larger part of a disk stays free than so many percent of it.
    pub disk_reserve_percent: u64,
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
    /// Files that the program may have open, of which each client has a part.
    pub open_files_max: usize,
}

impl StoreLimits {
    /// Bytes that stay free on a disk of `total` bytes.
    pub(super) fn reserve_of(&self, total: u64) -> u64 {
        match self.disk_reserve_percent {
            100.. => self.disk_reserve_bytes,
            percent => self.disk_reserve_bytes.min(total / 100 * percent + total % 100 * percent / 100),
        }
    }
}

impl Default for StoreLimits {
    /// As much as the disk holds and the protocol allows.
    fn default() -> Self {
        Self {
            disk_reserve_bytes: 0,
            disk_reserve_percent: 100,
            uploads_max: REQUESTS_IN_FLIGHT_MAX,
            credit_bytes: UPLOAD_CREDIT_BYTES_MAX,
            room_bytes: ROOM_BYTES,
            memory_bytes: u64::MAX,
            parts_kept: Duration::from_hours(7 * 24),
            open_files_max: usize::MAX,
        }
    }
}

/// One client's, shared by its sessions.
#[derive(Debug)]
pub(super) struct Allowance {
    limits: StoreLimits,
    uploads: Arc<Semaphore>,
    ledger: Ledger,
    client: ClientId,
    quota: Option<Quota>,
}

#[derive(Debug)]
struct Quota {
    most: Charge,
    /// A write was refused: local users may have made room since.
    is_count_due: AtomicBool,
    /// Held during a count: when the last one ended, and how long it took.
    counting: tokio::sync::Mutex<Option<(Instant, Duration)>>,
}

/// Room for something that is being stored. Dropped, it is given back.
#[derive(Debug)]
pub(super) struct Hold {
    allowance: Arc<Allowance>,
    taken: Taken,
}

/// The replaced file, if the disk has freed it: no other name leads to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[must_use]
pub(super) struct Gone(pub(super) Option<Identity>);

impl Allowance {
    pub(super) fn new(
        limits: StoreLimits,
        ledger: Ledger,
        client: ClientId,
        quota_bytes: Option<u64>,
    ) -> Self {
        let quota = quota_bytes.map(|bytes| Quota {
            most: Charge { bytes, inodes: (bytes / QUOTA_BYTES_PER_INODE).max(QUOTA_INODES_LEAST) },
            is_count_due: AtomicBool::new(false),
            counting: tokio::sync::Mutex::default(),
        });
        Self { limits, uploads: Arc::new(Semaphore::new(limits.uploads_max)), ledger, client, quota }
    }

    pub(super) const fn limits(&self) -> StoreLimits {
        self.limits
    }

    pub(super) const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    pub(super) const fn client(&self) -> ClientId {
        self.client
    }

    /// A place among the uploads that are open.
    pub(super) fn upload(&self) -> Result<OwnedSemaphorePermit, Fault> {
        self.uploads.clone().try_acquire_owned().map_err(|_| {
            let detail = format!("{} uploads are open, and more may not be", self.limits.uploads_max);
            Fault::new(FaultCode::LimitExceeded).because(detail)
        })
    }

    /// Returns whether a write was refused since the last count.
    pub(super) fn is_count_due(&self) -> bool {
        self.quota.as_ref().is_some_and(|quota| quota.is_count_due.load(Ordering::Relaxed))
    }

    /// Counts again with `count` if a write was refused since the last count and that is long enough ago. `count` says
    /// whether it saw all that is there.
    pub(super) async fn count_again<C>(&self, count: impl FnOnce(Recount) -> C) -> Result<(), Fault>
    where
        C: Future<Output = Result<(Recount, bool), Fault>>,
    {
        let Some(quota) = self.quota.as_ref().filter(|quota| quota.is_count_due.load(Ordering::Relaxed))
        else {
            return Ok(());
        };
        let mut last = quota.counting.lock().await;
        let is_soon = last.is_some_and(|(ended, took)| ended.elapsed() < took * (COUNTING_PART - 1));
        if is_soon || !quota.is_count_due.swap(false, Ordering::Relaxed) {
            return Ok(());
        }
        let begun = Instant::now();
        let counted = count(self.ledger.begin_recount(self.client)).await;
        *last = Some((Instant::now(), begun.elapsed()));
        let (recount, is_whole) = counted?;
        if is_whole {
            self.ledger.end_recount(&recount);
        }
        Ok(())
    }

    /// What may still be stored, and what may be in all, where there is a quota.
    pub(super) fn left(&self) -> Option<(u64, u64)> {
        let most = self.quota.as_ref()?.most;
        let total = self.ledger.total(self.client);
        let left = if total.inodes < most.inodes { most.bytes.saturating_sub(total.bytes) } else { 0 };
        Some((left, most.bytes))
    }

    /// Begins to store a file, link or folder of `bytes` in `folder`, in the place of what `goes`.
    pub(super) fn hold(
        self: &Arc<Self>,
        folder: impl AsFd,
        bytes: u64,
        goes: Option<Identity>,
    ) -> Result<Hold, Fault> {
        self.hold_charge(folder, Charge::thing(in_blocks(bytes)), 0, goes)
    }

    /// Goes on to store a file of `bytes` of which `there` are on the disk already, as something that the client began before.
    pub(super) fn hold_on(
        self: &Arc<Self>,
        folder: impl AsFd,
        bytes: u64,
        there: u64,
        goes: Option<Identity>,
    ) -> Result<Hold, Fault> {
        self.hold_charge(folder, Charge::thing(in_blocks(bytes).max(there)), there, goes)
    }

    /// Begins to give attributes to something that is there.
    pub(super) fn hold_attributes(self: &Arc<Self>, thing: impl AsFd, bytes: u64) -> Result<Hold, Fault> {
        self.hold_charge(thing, Charge { bytes, inodes: 0 }, 0, None)
    }

    fn hold_charge(
        self: &Arc<Self>,
        place: impl AsFd,
        need: Charge,
        there: u64,
        goes: Option<Identity>,
    ) -> Result<Hold, Fault> {
        let most = self.quota.as_ref().map(|quota| quota.most);
        let taken = self.ledger.take(self.client, need, goes, most);
        let taken = taken.map_err(|left| self.refusal(need, left))?;
        let hold = Hold { allowance: self.clone(), taken };
        self.check_room(place, need.bytes.saturating_sub(there), hold.taken.credit().bytes)?;
        Ok(hold)
    }

    fn refusal(&self, need: Charge, left: Charge) -> Fault {
        let Some(quota) = &self.quota else { return FaultCode::NoSpace.into() };
        quota.is_count_due.store(true, Ordering::Relaxed);
        let Charge { bytes, inodes } = quota.most;
        let why = if left.inodes < need.inodes {
            format!("{inodes} files, folders and links are there by this client, and more may not be")
        } else {
            format!("{} bytes needed, {} left of the {bytes} for this client", need.bytes, left.bytes)
        };
        Fault::new(FaultCode::NoSpace).because(why)
    }

    /// Checks that there is room for `bytes` besides the reserve, if `going` bytes will be freed. If nothing need stay
    /// free a small file is simply written.
    fn check_room(&self, place: impl AsFd, bytes: u64, going: u64) -> Result<(), Fault> {
        if self.limits.disk_reserve_bytes == 0 && bytes <= SMALL_FILE_BYTES_MAX as u64 {
            return Ok(());
        }
        let Some(Free { bytes: free, total, inodes }) = free_space(place)? else { return Ok(()) };
        let reserve = self.limits.reserve_of(total);
        let kept = if reserve > 0 { format!(", {reserve} of them kept free") } else { String::new() };
        if free < bytes || free.saturating_add(going) < bytes.saturating_add(reserve) {
            return Err(
                Fault::new(FaultCode::NoSpace).because(format!("{bytes} bytes needed, {free} free{kept}"))
            );
        }
        if let Some((free, total)) = inodes {
            let kept = (reserve / RESERVE_BYTES_PER_INODE).min(total / RESERVE_INODES_PART);
            if free <= kept {
                let why = format!("{free} inodes free, {kept} of them kept free");
                return Err(Fault::new(FaultCode::NoSpace).because(why));
            }
        }
        Ok(())
    }

    /// The part of an unfinished upload stays as it was.
    pub(super) fn part_stays(&self, part: Identity, bytes: u64) {
        let thing = Thing { client: self.client, seal: None, charge: Charge::thing(bytes) };
        self.ledger.store(&Taken::default(), part, thing, None);
    }

    /// Returns whether a file is this client's: made by it, and unchanged since.
    pub(super) fn is_own(&self, thing: impl AsFd, found: &Attributes) -> bool {
        self.client != ClientId::NOBODY
            && self.ledger.is_of(self.client, found.identity, disk::seal(thing, found))
    }

    /// Returns whether this client made what has this identity. It may have been changed since.
    pub(super) fn is_by_client(&self, identity: Identity) -> bool {
        self.client != ClientId::NOBODY && self.ledger.is_by(self.client, identity)
    }

    /// This client has changed a thing of its own.
    pub(super) fn changed(&self, thing: impl AsFd) -> Result<(), Fault> {
        let found = disk::stat_open(&thing)?;
        self.ledger.reseal(self.client, found.identity, disk::seal(thing, &found));
        Ok(())
    }
}

impl Hold {
    /// There are `bytes` in all now, maybe more than were announced.
    pub(super) fn reach(&mut self, folder: impl AsFd, bytes: u64) -> Result<(), Fault> {
        let Self { allowance, taken } = self;
        allowance.check_room(folder, 0, taken.credit().bytes)?;
        let need = Charge { bytes: in_blocks(bytes).max(taken.need().bytes), ..taken.need() };
        let most = allowance.quota.as_ref().map(|quota| quota.most);
        let reached = allowance.ledger.take_up_to(allowance.client, taken, need, most);
        reached.map_err(|left| allowance.refusal(need, left))
    }

    /// It is stored and stays, with so many bytes on the disk; what was in its place may be gone.
    pub(super) fn store(self, made: &Attributes, seal: Seal, bytes: u64, Gone(gone): Gone) {
        self.enter(made.identity, Some(seal), bytes, gone);
    }

    /// Its part waits to be resumed.
    pub(super) fn store_part(self, part: Identity, bytes: u64) {
        self.enter(part, None, bytes, None);
    }

    /// Attributes of something that is there have changed.
    pub(super) fn store_attributes(self, thing: Identity, before: u64, after: u64) {
        self.allowance.ledger.attributes_changed(self.allowance.client, thing, before, after);
    }

    fn enter(mut self, identity: Identity, seal: Option<Seal>, bytes: u64, gone: Option<Identity>) {
        let taken = std::mem::take(&mut self.taken);
        let thing = Thing { client: self.allowance.client, seal, charge: Charge::thing(bytes) };
        self.allowance.ledger.store(&taken, identity, thing, gone);
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.allowance.ledger.give_back(self.allowance.client, &self.taken);
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "fixtures")]
mod tests {
    use towpath_protocol::entry::Kind;
    use towpath_protocol::time::Time;

    use super::*;

    const BLOCK: u64 = 4096;

    fn allowance(quota_bytes: u64) -> Arc<Allowance> {
        let (limits, ledger) = (StoreLimits::default(), Ledger::default());
        Arc::new(Allowance::new(limits, ledger, ClientId(1), Some(quota_bytes)))
    }

    fn folder() -> std::os::fd::OwnedFd {
        let folder = tempfile::tempdir().unwrap();
        rustix::fs::open(folder.path(), rustix::fs::OFlags::RDONLY, rustix::fs::Mode::empty()).unwrap()
    }

    fn hold(allowance: &Arc<Allowance>, bytes: u64) -> Result<Hold, FaultCode> {
        allowance.hold(folder(), bytes, None).map_err(|fault| fault.code)
    }

    fn made(identity: u64) -> Attributes {
        Attributes {
            kind: Kind::File,
            size: 0,
            modified: Time::from_ns(0),
            changed: Time::from_ns(0),
            mode: 0,
            identity,
            link: None,
            is_unknown: false,
        }
    }

    fn left(allowance: &Allowance) -> u64 {
        allowance.left().unwrap().0 / BLOCK
    }

    #[test]
    fn what_is_given_up_is_given_back_and_what_is_stored_counts_until_it_is_gone() {
        let allowance = allowance(100 * BLOCK);
        let first = hold(&allowance, 50 * BLOCK).unwrap();
        assert_eq!(left(&allowance), 50);
        drop(first);
        hold(&allowance, 50 * BLOCK).unwrap().store(&made(1), 0, 30 * BLOCK, Gone(None));
        assert_eq!(left(&allowance), 70);
        assert_eq!(hold(&allowance, 71 * BLOCK).unwrap_err(), FaultCode::NoSpace);
        allowance.ledger.gone(1);
        assert_eq!(left(&allowance), 100);
    }

    #[test]
    fn what_goes_makes_room_and_only_once() {
        let allowance = allowance(100 * BLOCK);
        hold(&allowance, 60 * BLOCK).unwrap().store(&made(1), 0, 60 * BLOCK, Gone(None));
        let over = |allowance: &Arc<Allowance>| allowance.hold(folder(), 60 * BLOCK, Some(1));
        let replacing = over(&allowance).unwrap();
        assert_eq!(over(&allowance).unwrap_err().code, FaultCode::NoSpace, "it goes once");
        replacing.store(&made(2), 0, 60 * BLOCK, Gone(Some(1)));
        assert_eq!(left(&allowance), 40);
        drop(allowance.hold(folder(), 60 * BLOCK, Some(2)).unwrap());
        assert!(allowance.hold(folder(), 60 * BLOCK, Some(2)).is_ok(), "given up, it may go for another");
    }

    #[tokio::test]
    async fn f75_a_count_loses_nothing_that_is_stored_meanwhile() {
        let allowance = allowance(100 * BLOCK);
        for identity in [1, 2] {
            hold(&allowance, 40 * BLOCK).unwrap().store(&made(identity), 0, 40 * BLOCK, Gone(None));
        }
        let count = |mut recount: Recount| {
            allowance.ledger.meet(&mut recount, 1, 40 * BLOCK);
            hold(&allowance, 20 * BLOCK).unwrap().store(&made(3), 0, 20 * BLOCK, Gone(None));
            std::future::ready(Ok((recount, true)))
        };
        allowance.count_again(|_| async { panic!("nobody was refused") }).await.unwrap();
        assert!(hold(&allowance, 30 * BLOCK).is_err());
        allowance.count_again(count).await.unwrap();
        // One was not met any more, and one came meanwhile.
        assert_eq!(left(&allowance), 40);
    }

    #[tokio::test]
    async fn f75_a_count_that_did_not_see_all_frees_nothing() {
        let allowance = allowance(100 * BLOCK);
        hold(&allowance, 90 * BLOCK).unwrap().store(&made(1), 0, 90 * BLOCK, Gone(None));
        assert!(hold(&allowance, 30 * BLOCK).is_err());
        allowance.count_again(|recount| std::future::ready(Ok((recount, false)))).await.unwrap();
        assert_eq!(left(&allowance), 10);
        // A folder that is renamed meanwhile may hide what is in it.
        assert!(hold(&allowance, 30 * BLOCK).is_err());
        let count = |recount| {
            allowance.ledger.moved();
            std::future::ready(Ok((recount, true)))
        };
        allowance.count_again(count).await.unwrap();
        assert_eq!(left(&allowance), 10);
    }

    #[test]
    fn empty_files_and_links_count_by_their_number() {
        let allowance = allowance(32 * BLOCK);
        for identity in 0..32 {
            hold(&allowance, 0).unwrap().store(&made(identity), 0, 0, Gone(None));
        }
        let fault = allowance.hold(folder(), 0, None).unwrap_err();
        assert!(fault.code == FaultCode::NoSpace && fault.detail.to_string().contains("32 files"), "{fault}");
        assert_eq!(allowance.left(), Some((0, 32 * BLOCK)));
    }

    #[test]
    fn more_than_was_announced_is_taken_as_it_comes() {
        let allowance = allowance(100 * BLOCK);
        let mut hold = hold(&allowance, 0).unwrap();
        hold.reach(folder(), 60 * BLOCK).unwrap();
        hold.reach(folder(), 50 * BLOCK).unwrap();
        assert_eq!(left(&allowance), 40);
        assert_eq!(hold.reach(folder(), 101 * BLOCK).unwrap_err().code, FaultCode::NoSpace);
        assert_eq!(left(&allowance), 40);
    }
}
