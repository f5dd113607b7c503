//! Files and folders of one client that stay open between two steps of a request: while it waits for its client, for the disk or for its
//! turn. A client has a part of what the system lets the program open, so that alone it never takes all. What is open within one step is
//! bounded by the threads.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use towpath_protocol::fault::{Fault, FaultCode};

use super::turns;

/// The part of a client for what stays open until the client goes on, ...
const PARKED_PART: usize = 3;
/// ... for what goes by itself, of files that are read, and as much of those that are stored, ...
const PASSING_PART: usize = 8;
/// ... and for one thread's copy, of which there are a few.
const COPY_PART: usize = 32;
/// No client has less: one upload, and the folders on the way to something.
const LEAST: usize = 16;

/// What stays open of a listing or a level of a tree.
pub(super) const OF_FOLDER: u32 = 1;
/// The folder of what is set aside, and its record.
pub(super) const OF_ASIDE: u32 = 2;
/// The folder, the part, and the file that parts are taken over from.
pub(super) const OF_UPLOAD: u32 = 3;
/// The folder and the part, until they are on the disk.
const OF_PUT: u32 = 2;

/// One client's. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub(super) struct OpenFiles {
    /// What the program may have open.
    most: usize,
    parked: Arc<Semaphore>,
    /// Apart from what is stored: reads wait here before they take memory, and what is stored has some already.
    read: Arc<Semaphore>,
    stored: Arc<Semaphore>,
}

/// Open files that are counted. Dropped, they are given back.
pub(super) type Counted = OwnedSemaphorePermit;

impl OpenFiles {
    /// For the first client of a program that may have so many open.
    pub(super) fn new(most: usize) -> Self {
        let part = |part: usize| Arc::new(Semaphore::new((most / part).clamp(LEAST, Semaphore::MAX_PERMITS)));
        let [parked, read, stored] = [PARKED_PART, PASSING_PART, PASSING_PART].map(part);
        Self { most, parked, read, stored }
    }

    /// For another client of the same program.
    pub(super) fn of_another(&self) -> Self {
        Self::new(self.most)
    }

    /// Counts what stays open until the client goes on, or a tree is done. `LimitExceeded` where the client has too many.
    pub(super) fn park(&self, files: u32) -> Result<Counted, Fault> {
        self.parked.clone().try_acquire_many_owned(files).map_err(|_| {
            let most = (self.most / PARKED_PART).max(LEAST);
            let why =
                format!("requests of this client that wait have {most} files open, and may not have more");
            Fault::new(FaultCode::LimitExceeded).because(why)
        })
    }

    /// Waits until one more file may be read or hashed. To be called before memory is waited for.
    pub(super) async fn read(&self) -> Result<Counted, Fault> {
        pass(&self.read, 1).await
    }

    /// Waits until one more small file may be open until it is on the disk.
    pub(super) async fn put(&self) -> Result<Counted, Fault> {
        pass(&self.stored, OF_PUT).await
    }

    /// Things, of `usual` at most, that a copy may have made and not put in place. Each has two open at most.
    pub(super) fn of_copy(&self, usual: usize) -> usize {
        (self.most / COPY_PART / 2).clamp(LEAST / 2, usual)
    }
}

/// Waits for so many places. `Cancelled` once the request is.
async fn pass(places: &Arc<Semaphore>, files: u32) -> Result<Counted, Fault> {
    if let Ok(counted) = places.clone().try_acquire_many_owned(files) {
        return Ok(counted);
    }
    // Boxed, since it is large and seldom needed.
    Box::pin(async {
        tokio::select! {
            biased;
            () = turns::cancelled() => Err(FaultCode::Cancelled.into()),
            counted = places.clone().acquire_many_owned(files) => counted.map_err(|_| FaultCode::Internal.into()),
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f70_what_waits_what_passes_and_copies_leave_some_of_few_files() {
        for most in [256, 1024, 4096, 65_536, usize::MAX] {
            let files = OpenFiles::new(most);
            let waiting = [&files.parked, &files.read, &files.stored].map(|part| part.available_permits());
            // Two threads copy.
            let all = waiting.iter().sum::<usize>() + 2 * 2 * files.of_copy(256);
            assert!(all <= most / 4 * 3, "{all} of {most}");
        }
    }

    #[test]
    fn what_is_refused_says_how_many_are_open_and_what_is_given_back_is_free() {
        let files = OpenFiles::new(300);
        let many: Vec<_> = (0..50).map(|_| files.park(OF_ASIDE).unwrap()).collect();
        let fault = files.park(OF_FOLDER).unwrap_err();
        assert_eq!(fault.code, FaultCode::LimitExceeded);
        assert!(fault.detail.to_string().contains("100 files open"), "{fault}");
        assert!(files.of_another().park(OF_FOLDER).is_ok());
        drop(many);
        assert!(files.park(OF_UPLOAD).is_ok());
    }
}
