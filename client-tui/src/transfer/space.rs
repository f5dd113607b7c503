//! Whether what the plan has found so far finds room at the destination. It is told once, and nothing waits for it: what fits still
//! goes there.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};

use tokio::sync::OnceCell;
use towpath_protocol::entry::{Attributes, Kind};
use towpath_protocol::path::WirePath;

use super::job::{Fact, Verb};
use super::large;
use super::shared::Shared;
use super::work::Step;

/// Jobs of less are not worth asking for.
const BYTES_ASKED_FROM: u64 = 1_000_000;

/// What is known of it.
#[derive(Debug, Default)]
pub(super) struct Room {
    needed: AtomicU64,
    /// Free when it was asked for, and what this job had written by then; none where nobody can tell.
    free: OnceCell<Option<u64>>,
    is_told: AtomicBool,
}

impl Shared {
    /// An item is about to begin: of one that is known to need its room that is asked for now, beside what else is asked for.
    pub(super) async fn ask_room_for(&self, source: &Attributes, to: &WirePath) {
        let is_worth_asking =
            source.kind == Kind::File && source.size >= BYTES_ASKED_FROM && !self.job.is_dry;
        if let Some(folder) = to.parent().filter(|_| is_worth_asking)
            && let Some(free) = self.ask_free(&folder).await
        {
            let _ = self.room.free.set(Some(free));
        }
    }

    /// A step is to be carried that needs its room.
    pub(super) async fn mind_room(&self, step: &Step) {
        let is_rename = self.job.verb == Verb::Move && self.is_one_root();
        if self.job.is_dry || is_rename || step.is_twin || self.room.is_told.load(Relaxed) {
            return;
        }
        let freed = step.expected().map_or(0, |there| there.size);
        let added = step.attributes.size.saturating_sub(freed);
        let more = |needed: u64| Some(needed.saturating_add(added));
        let before = self.room.needed.fetch_update(Relaxed, Relaxed, more).unwrap_or_default();
        let needed = before.saturating_add(added);
        if needed < BYTES_ASKED_FROM {
            return;
        }
        let free = *self.room.free.get_or_init(|| self.ask_free(&step.to.base)).await;
        let Some(free) = free.filter(|free| needed > *free) else { return };
        // A sparse file stores less; it is asked only if that matters.
        let holes = self.holes_of(step).await.min(added);
        let needed = self.room.needed.fetch_sub(holes, Relaxed).saturating_sub(holes);
        if needed > free && !self.room.is_told.swap(true, Relaxed) {
            self.tell(Fact::Short { needed, free }).await;
        }
    }

    /// Bytes of a step's file that its source does not store.
    async fn holes_of(&self, step: &Step) -> u64 {
        let Step { from, attributes, .. } = step;
        if attributes.kind != Kind::File || attributes.size < BYTES_ASKED_FROM {
            return 0;
        }
        let stored = large::stored_bytes(&self.job.source, from, attributes.version()).await;
        stored.map_or(0, |stored| attributes.size.saturating_sub(stored))
    }

    async fn ask_free(&self, folder: &WirePath) -> Option<u64> {
        let space = self.job.destination.space(folder).await.ok()?;
        // What has gone there already took its part.
        Some(space.free.saturating_add(self.tally.progress_bytes()))
    }
}
