//! Room for what uploads have sent and the disk has not taken yet: one budget of the whole service, so that many uploads at once
//! cannot hold many full windows.

use std::sync::{Arc, Mutex, PoisonError};

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
    left: Mutex<u64>,
    share_max: u64,
}

/// What one upload may hold. Given back when dropped.
#[derive(Debug)]
pub(super) struct Share {
    room: Room,
    taken: u64,
}

impl Room {
    /// `bytes` for all uploads together, and `share_max` for each at most.
    pub(super) fn new(bytes: u64, share_max: u64) -> Self {
        Self(Arc::new(Budget { left: Mutex::new(bytes), share_max }))
    }

    /// What a client asks for, or what is usual, but no more than half of what is left: whoever comes later still finds some.
    pub(super) fn share(&self, wanted: Option<u64>) -> Share {
        let mut left = self.0.left.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = (*left / 2).min(self.0.share_max).min(wanted.unwrap_or(SHARE_BYTES_USUAL));
        *left -= taken;
        Share { room: self.clone(), taken }
    }
}

impl Share {
    /// Bytes that may be sent and not yet written.
    pub(super) fn bytes(&self) -> u64 {
        self.taken.max(SHARE_BYTES_LEAST)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        *self.room.0.left.lock().unwrap_or_else(PoisonError::into_inner) += self.taken;
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
        assert!(eight <= ROOM_BYTES + SHARE_BYTES_LEAST, "{eight} bytes");
        drop(shares);
        assert_eq!(room.share(None).bytes(), SHARE_BYTES_USUAL);
    }

    #[test]
    fn a_client_far_away_gets_more_and_leaves_as_much() {
        let room = Room::new(ROOM_BYTES, 18 << 20);
        let near = room.share(Some(0));
        assert_eq!(near.bytes(), SHARE_BYTES_LEAST);
        let far = room.share(Some(u64::MAX));
        assert_eq!(far.bytes(), 18 << 20, "as its session allows");
        let second = room.share(Some(12 << 20));
        assert_eq!(second.bytes(), 11 << 20, "half of what is left");
    }
}
