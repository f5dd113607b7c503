//! Room for what uploads have sent and the disk has not taken yet: one budget of the whole service, so that many uploads at once
//! cannot hold many full windows.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes for all uploads together, beyond the least of each.
pub(super) const ROOM_BYTES: u64 = 40 * 1024 * 1024;
/// How far one upload may be ahead of what is written, where there is room and its client does not ask for more.
const SHARE_BYTES_USUAL: u64 = 8 * 1024 * 1024;
/// What every upload has, however many there are.
const SHARE_BYTES_LEAST: u64 = 256 * 1024;

/// Cheap to clone; all clones are one budget.
#[derive(Debug, Clone)]
pub(super) struct Room(Arc<Budget>);

#[derive(Debug)]
struct Budget {
    left: Mutex<Left>,
    share_max: u64,
}

#[derive(Debug)]
struct Left {
    bytes: u64,
    /// How much of that those may have whose line holds little: they are as fast with less, and what they hold is memory in use, while
    /// the most of a long line's window is on its way.
    usual_bytes: u64,
}

/// What one upload may hold. Given back when dropped.
#[derive(Debug)]
pub(super) struct Share {
    room: Room,
    taken: u64,
    is_usual: bool,
}

impl Room {
    /// `bytes` for all uploads together, and `share_max` for each at most.
    pub(super) fn new(bytes: u64, share_max: u64) -> Self {
        let left = Left { bytes, usual_bytes: bytes / 5 * 2 };
        Self(Arc::new(Budget { left: Mutex::new(left), share_max }))
    }

    /// What a client asks for, and what is usual at least, but no more than half of what is left: whoever comes later still finds some.
    pub(super) fn share(&self, wanted: Option<u64>) -> Share {
        let wanted = wanted.unwrap_or_default().max(SHARE_BYTES_USUAL);
        let is_usual = wanted == SHARE_BYTES_USUAL;
        let mut left = self.left();
        let free = if is_usual { left.bytes.min(left.usual_bytes) } else { left.bytes };
        let taken = (free / 2).min(self.0.share_max).min(wanted);
        left.bytes -= taken;
        left.usual_bytes -= if is_usual { taken } else { 0 };
        Share { room: self.clone(), taken, is_usual }
    }

    fn left(&self) -> MutexGuard<'_, Left> {
        self.0.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    /// No more than what every upload has.
    pub(super) fn least(mut self) -> Self {
        let mut left = self.room.left();
        left.bytes += self.taken;
        left.usual_bytes += if self.is_usual { self.taken } else { 0 };
        drop(left);
        self.taken = 0;
        self
    }

    /// Bytes that may be sent and not yet written.
    pub(super) fn bytes(&self) -> u64 {
        self.taken.max(SHARE_BYTES_LEAST)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut left = self.room.left();
        left.bytes += self.taken;
        left.usual_bytes += if self.is_usual { self.taken } else { 0 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uploads_share_one_budget_and_none_goes_without() {
        let room = Room::new(ROOM_BYTES, u64::MAX);
        let shares: Vec<_> = (0..200).map(|_| room.share(None)).collect();
        assert_eq!(shares[0].bytes(), SHARE_BYTES_USUAL);
        assert!(shares.iter().all(|share| share.bytes() >= SHARE_BYTES_LEAST));
        let eight: u64 = shares[..8].iter().map(Share::bytes).sum();
        assert!(eight <= ROOM_BYTES / 5 * 2 + 2 * SHARE_BYTES_LEAST, "{eight} bytes");
        drop(shares);
        assert_eq!(room.share(None).bytes(), SHARE_BYTES_USUAL);
    }

    #[test]
    fn a_client_far_away_gets_more_and_leaves_as_much() {
        let room = Room::new(ROOM_BYTES, 18 << 20);
        let far = room.share(Some(u64::MAX));
        assert_eq!(far.bytes(), 18 << 20, "as its session allows");
        let second = room.share(Some(12 << 20));
        assert_eq!(second.bytes(), 11 << 20, "half of what is left");
        let near = room.share(Some(0));
        assert_eq!(near.bytes(), (11 << 20) / 2, "what is usual, as far as there is room");
        assert!(room.share(None).bytes() < near.bytes());
    }
}
