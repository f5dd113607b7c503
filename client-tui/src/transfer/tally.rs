//! Counts what a job has found and done, knows which large files are under way, and tells how far it is.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use towpath_protocol::answer::Unset;
use towpath_protocol::fault::Fault;
use towpath_protocol::metadata::Parts;
use towpath_protocol::path::{Location, WirePath};

use super::job::{Progress, Summary};
use super::rate::{Rate, time_for};

/// A job's counters. All of them only for people: no decision hangs on them.
#[derive(Debug)]
pub(super) struct Tally {
    begun: Instant,
    files: Counter,
    /// Of what arrived.
    bytes: Counter,
    /// Of what is under way as well.
    moved: Counter,
    files_total: Counter,
    bytes_total: Counter,
    /// Of what arrived, there already from a copy that was cut off.
    resumed: Counter,
    /// Of what arrived, taken over from what was there already.
    saved: Counter,
    /// Of what moved, taken over from what was there already, and left there by an interrupted copy.
    reused: Counter,
    taken_up: Counter,
    /// Files that arrived and count as unchanged, since they were found once more.
    found_again: Counter,
    /// The most bytes that were shown.
    shown: AtomicU64,
    /// Large files that were given up and not yet tried again or counted as failed.
    given_up: Mutex<Vec<GivenUp>>,
    /// Of what moved, bytes that did not arrive.
    lost: Counter,
    /// Counts files that were renamed.
    renamed: Counter,
    /// Bytes of those.
    renamed_bytes: Counter,
    /// Counts verified files.
    verified: Counter,
    unchanged: Counter,
    compared: Counter,
    skipped: Counter,
    special: Counter,
    failed: Counter,
    /// Things that lack some of their metadata, and the bits of what one or another lacks.
    unset: Counter,
    unset_parts: AtomicU8,
    planning: AtomicBool,
    large: Mutex<Vec<Large>>,
    /// A small file that was done since progress was told.
    small: Mutex<Option<(WirePath, u64)>>,
    wants_small: AtomicBool,
    rate: Mutex<Rate>,
}

/// A sum that stays at its end where it would go beyond: sizes are what a peer or a disk says, and need not fit.
#[derive(Debug, Default)]
struct Counter(AtomicU64);

impl Counter {
    fn value(&self) -> u64 {
        self.0.load(Relaxed)
    }

    fn add(&self, more: u64) {
        let _ = self.0.fetch_update(Relaxed, Relaxed, |sum| Some(sum.saturating_add(more)));
    }

    fn subtract(&self, less: u64) {
        let _ = self.0.fetch_update(Relaxed, Relaxed, |sum| Some(sum.saturating_sub(less)));
    }
}

/// A large file under way.
#[derive(Debug)]
struct Large {
    path: WirePath,
    moved: Arc<Counter>,
    size: u64,
}

/// The bytes of a large file that did not arrive.
#[derive(Debug)]
struct GivenUp {
    path: WirePath,
    moved: u64,
    reused: u64,
    taken_up: u64,
}

/// Counts one large file's bytes. They stay in what is shown if it is dropped before the file has arrived: progress never falls back.
#[derive(Debug)]
pub(super) struct UnderWay<'a> {
    tally: &'a Tally,
    path: WirePath,
    moved: Arc<Counter>,
    saved: Counter,
    taken_up: Counter,
    has_arrived: bool,
}

impl Tally {
    pub(super) fn new() -> Self {
        Self {
            begun: Instant::now(),
            files: Counter::default(),
            bytes: Counter::default(),
            moved: Counter::default(),
            files_total: Counter::default(),
            bytes_total: Counter::default(),
            resumed: Counter::default(),
            saved: Counter::default(),
            reused: Counter::default(),
            taken_up: Counter::default(),
            found_again: Counter::default(),
            shown: AtomicU64::default(),
            given_up: Mutex::default(),
            lost: Counter::default(),
            renamed: Counter::default(),
            renamed_bytes: Counter::default(),
            verified: Counter::default(),
            unchanged: Counter::default(),
            compared: Counter::default(),
            skipped: Counter::default(),
            special: Counter::default(),
            failed: Counter::default(),
            unset: Counter::default(),
            unset_parts: AtomicU8::new(0),
            planning: AtomicBool::new(true),
            large: Mutex::default(),
            small: Mutex::default(),
            wants_small: AtomicBool::new(true),
            rate: Mutex::default(),
        }
    }

    /// Something to carry was found.
    pub(super) fn found(&self, files: u64, bytes: u64) {
        self.files_total.add(files);
        self.bytes_total.add(bytes);
    }

    /// Something that was found is not carried after all.
    pub(super) fn not_carried(&self, bytes: u64) {
        self.files_total.subtract(1);
        self.bytes_total.subtract(bytes);
    }

    /// Something that was found failed. Bytes of it that had moved stay in what is shown, and in the total.
    pub(super) fn not_arrived(&self, file: &Location, bytes: u64) {
        let moved = self.given_up_of(file).map_or(0, |given_up| given_up.moved);
        self.not_carried(bytes.saturating_sub(moved));
    }

    fn given_up_of(&self, file: &Location) -> Option<GivenUp> {
        let mut given_up = lock(&self.given_up);
        if given_up.is_empty() {
            return None;
        }
        let path = file.whole().ok()?;
        let at = given_up.iter().position(|file| file.path == path)?;
        Some(given_up.swap_remove(at))
    }

    /// Something that was found has another size by now.
    pub(super) fn resized(&self, before: u64, now: u64) {
        self.bytes_total.add(now);
        self.bytes_total.subtract(before);
    }

    /// No more will be found.
    pub(super) fn all_found(&self) {
        self.planning.store(false, Relaxed);
    }

    /// Something moved by its name alone, and so many bytes with it.
    pub(super) fn renamed(&self, bytes: u64) {
        self.renamed.add(1);
        self.renamed_bytes.add(bytes);
    }

    /// Something that arrived was verified.
    pub(super) fn verified(&self) {
        self.verified.add(1);
    }

    /// Files that arrived will be found again, as unchanged.
    pub(super) fn found_again(&self, files: u64) {
        self.files.subtract(files);
        self.found_again.add(files);
    }

    /// So many bytes of a file that arrived had come before.
    pub(super) fn resumed(&self, bytes: u64) {
        self.resumed.add(bytes);
    }

    pub(super) fn unchanged(&self) {
        self.unchanged.add(1);
    }

    /// Counts an unchanged file that was compared.
    pub(super) fn compared(&self) {
        self.compared.add(1);
    }

    pub(super) fn skipped(&self) {
        self.skipped.add(1);
    }

    /// A fifo, socket or device stayed where it is.
    pub(super) fn special(&self) {
        self.special.add(1);
    }

    /// Returns whether something was not copied, which was told.
    pub(super) fn leaves_something(&self) -> bool {
        self.skipped.value() > 0 || self.special.value() > 0 || self.failed.value() > 0
    }

    pub(super) fn failed(&self, count: u64) {
        self.failed.add(count);
    }

    /// So many things lack some of their metadata.
    pub(super) fn unset(&self, unset: Unset) {
        self.unset.add(unset.things);
        self.unset_parts.fetch_or(unset.parts.bits(), Relaxed);
    }

    /// What could not be kept so far.
    pub(super) fn all_unset(&self) -> Unset {
        Unset { things: self.unset.value(), parts: Parts::from_bits(self.unset_parts.load(Relaxed)) }
    }

    /// Files and links are in place; their bytes were counted as [`moved`](Self::moved) already.
    pub(super) fn arrived(&self, files: u64, bytes: u64) {
        self.files.add(files);
        self.bytes.add(bytes);
    }

    /// Bytes moved.
    pub(super) fn moved(&self, bytes: u64) {
        self.moved.add(bytes);
    }

    /// All bytes of a small file moved at once.
    pub(super) fn small_moved(&self, file: &Location, bytes: u64) {
        self.moved(bytes);
        // A name ten times a second is all that anybody sees.
        if self.wants_small.swap(false, Relaxed) {
            *lock(&self.small) = file.whole().ok().map(|path| (path, bytes));
        }
    }

    /// A large file is begun.
    pub(super) fn begin(&self, file: &Location, size: u64) -> UnderWay<'_> {
        if let Some(given_up) = self.given_up_of(file) {
            self.lost.subtract(given_up.moved);
            self.take_back(given_up.moved, given_up.reused, given_up.taken_up);
        }
        let moved = Arc::<Counter>::default();
        let path = file.whole().unwrap_or_default();
        lock(&self.large).push(Large { path: path.clone(), moved: moved.clone(), size });
        let (saved, taken_up) = Default::default();
        UnderWay { tally: self, path, moved, saved, taken_up, has_arrived: false }
    }

    fn take_back(&self, moved: u64, reused: u64, taken_up: u64) {
        self.moved.subtract(moved);
        self.reused.subtract(reused);
        self.taken_up.subtract(taken_up);
    }

    /// Bytes that have moved so far and take room at the destination.
    pub(super) fn progress_bytes(&self) -> u64 {
        self.moved.value().saturating_sub(self.lost.value())
    }

    pub(super) fn progress(&self) -> Progress {
        let (bytes, bytes_total) = (self.moved.value(), self.bytes_total.value());
        let elapsed = self.begun.elapsed();
        // Bytes that were there already do not count as speed, nor do renames.
        let taken_up = self.taken_up.value();
        let reused = self.reused.value().saturating_add(taken_up).saturating_add(self.renamed_bytes.value());
        let bytes_per_second = lock(&self.rate).observe(elapsed, bytes.saturating_sub(reused));
        // A file that is tried again moves from its start.
        let bytes = self.shown.fetch_max(bytes, Relaxed).max(bytes);
        let bytes_total = bytes_total.max(bytes);
        let found_again = self.found_again.value();
        let growing = self.planning.load(Relaxed);
        let left = time_for(bytes_total.saturating_sub(bytes), bytes_per_second).filter(|_| !growing);
        self.wants_small.store(true, Relaxed);
        Progress {
            files: self.files.value().saturating_add(found_again),
            bytes,
            arrived_bytes: self.bytes.value(),
            files_total: self.files_total.value(),
            saved: self.reused.value(),
            resumed: taken_up,
            renamed: self.renamed_bytes.value(),
            bytes_total,
            growing,
            current: self.current(),
            elapsed,
            bytes_per_second,
            left,
        }
    }

    fn current(&self) -> Option<(WirePath, u64, u64)> {
        let large = lock(&self.large).first().map(|file| {
            let moved = file.moved.value();
            (file.path.clone(), moved, file.size.max(moved))
        });
        large.or_else(|| lock(&self.small).clone().map(|(path, bytes)| (path, bytes, bytes)))
    }

    pub(super) fn summary(&self, stopped: Option<Fault>, cancelled: bool) -> Summary {
        Summary {
            files: self.files.value(),
            verified: self.verified.value(),
            bytes: self.bytes.value(),
            seconds: self.begun.elapsed().as_secs_f64(),
            resumed: self.resumed.value(),
            saved: self.saved.value(),
            renamed: self.renamed.value(),
            renamed_bytes: self.renamed_bytes.value(),
            unchanged: self.unchanged.value(),
            compared: self.compared.value(),
            skipped: self.skipped.value(),
            special: self.special.value(),
            unset: self.unset.value(),
            failed: self.failed.value().saturating_add(stopped.is_some().into()),
            cancelled,
            stopped,
        }
    }
}

impl UnderWay<'_> {
    pub(super) fn moved(&self, bytes: u64) {
        self.moved.add(bytes);
        self.tally.moved(bytes);
    }

    /// Of what moved, so much was taken over from what was there.
    pub(super) fn saved(&self, bytes: u64) {
        self.saved.add(bytes);
        self.tally.reused.add(bytes);
    }

    /// So much of it had come before.
    pub(super) fn took_up(&self, bytes: u64) {
        self.taken_up.add(bytes);
        self.tally.taken_up.add(bytes);
        self.moved(bytes);
    }

    /// As [`moved`](Self::moved), where it is known how much has moved by now in all.
    pub(super) fn moved_up_to(&self, bytes: u64) {
        self.moved(bytes.saturating_sub(self.moved.value()));
    }

    /// The file is copied from its start in another way.
    pub(super) fn begun_anew(mut self) {
        self.tally.take_back(self.moved.value(), self.saved.value(), self.taken_up.value());
        self.has_arrived = true;
    }

    pub(super) fn arrived(mut self) {
        self.tally.saved.add(self.saved.value());
        self.has_arrived = true;
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        lock(&self.tally.large).retain(|file| !Arc::ptr_eq(&file.moved, &self.moved));
        let moved = self.moved.value();
        if !self.has_arrived && moved > 0 {
            let (reused, taken_up) = (self.saved.value(), self.taken_up.value());
            let path = std::mem::take(&mut self.path);
            self.tally.lost.add(moved);
            lock(&self.tally.given_up).push(GivenUp { path, moved, reused, taken_up });
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str) -> Location {
        Location::of(&WirePath::parse(name.as_bytes()).unwrap())
    }

    #[test]
    fn the_large_file_begun_first_is_the_one_shown() {
        let tally = Tally::new();
        tally.small_moved(&file("small"), 7);
        assert_eq!(tally.progress().current.unwrap(), (file("small").whole().unwrap(), 7, 7));
        let (first, second) = (tally.begin(&file("first"), 100), tally.begin(&file("second"), 50));
        second.moved(50);
        first.moved(30);
        assert_eq!(tally.progress().current.unwrap(), (file("first").whole().unwrap(), 30, 100));
        first.arrived();
        assert_eq!(tally.progress().current.unwrap(), (file("second").whole().unwrap(), 50, 50));
        assert_eq!(tally.progress().bytes, 87);
    }

    #[test]
    fn bytes_of_what_did_not_arrive_stay_in_what_is_shown_and_count_in_no_summary() {
        let tally = Tally::new();
        tally.found(2, 200);
        let under_way = tally.begin(&file("a"), 100);
        under_way.moved_up_to(60);
        under_way.moved_up_to(80);
        under_way.saved(20);
        let shown = || (tally.progress().bytes, tally.progress().bytes_total, tally.progress().saved);
        assert_eq!(shown(), (80, 200, 20));
        drop(under_way);
        assert_eq!((shown(), tally.progress().current), ((80, 200, 20), None));
        // Tried again, it is counted once.
        let under_way = tally.begin(&file("a"), 100);
        assert_eq!(shown(), (80, 200, 0));
        under_way.moved(90);
        assert_eq!(shown(), (90, 200, 0));
        drop(under_way);
        tally.not_arrived(&file("a"), 100);
        assert_eq!(shown(), (90, 190, 0));
        let other = tally.begin(&file("b"), 100);
        other.moved(100);
        other.arrived();
        tally.arrived(1, 100);
        assert_eq!(shown(), (190, 190, 0));
        let summary = tally.summary(None, false);
        assert_eq!((summary.files, summary.bytes, summary.saved), (1, 100, 0));
    }

    #[test]
    fn what_is_found_again_as_unchanged_stays_in_what_is_shown() {
        let tally = Tally::new();
        tally.found(3, 30);
        tally.arrived(3, 0);
        tally.found_again(3);
        tally.found(7, 70);
        tally.all_found();
        assert_eq!((tally.progress().files, tally.progress().files_total), (3, 10));
        assert_eq!(tally.summary(None, false).files, 0);
    }

    #[test]
    fn what_had_come_before_counts_as_done_and_not_as_speed() {
        let tally = Tally::new();
        tally.found(1, 1_000_000);
        tally.all_found();
        let under_way = tally.begin(&file("a"), 1_000_000);
        under_way.took_up(900_000);
        let now = tally.progress();
        assert_eq!((now.bytes, now.resumed, now.bytes_per_second, now.left), (900_000, 900_000, 0, None));
        under_way.moved(1_000);
        assert!(tally.progress().bytes_per_second > 0);
        drop(under_way);
        assert_eq!((tally.progress().bytes, tally.progress().resumed), (901_000, 900_000));
    }

    #[test]
    fn what_moves_by_its_name_is_no_speed() {
        let tally = Tally::new();
        tally.found(1, 1_000_000);
        tally.all_found();
        tally.small_moved(&file("a"), 1_000_000);
        tally.renamed(1_000_000);
        tally.arrived(1, 1_000_000);
        let now = tally.progress();
        assert_eq!((now.bytes, now.renamed, now.bytes_per_second), (1_000_000, 1_000_000, 0));
        let summary = tally.summary(None, false);
        assert_eq!((summary.files, summary.verified, summary.renamed_bytes), (1, 0, 1_000_000));
    }

    #[test]
    fn nothing_is_left_to_say_about_time_while_the_total_grows() {
        let tally = Tally::new();
        tally.found(1, 100);
        tally.moved(50);
        assert_eq!(tally.progress().left, None);
        tally.all_found();
        tally.moved(10);
        assert!(tally.progress().left.is_some());
    }
}
