//! Large buffers are for connections that are busy: so many of all that this program has, and small ones for the rest. So peers that begin
//! to say or hear much, and then stop, hold little.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Connections that have a large buffer, each way.
const LARGE_MAX: usize = 64;

static LARGE: AtomicUsize = AtomicUsize::new(0);

/// The right to a large buffer, given back with this.
#[derive(Debug)]
pub(crate) struct Large(());

impl Large {
    /// `None` if as many as may be have one.
    pub(crate) fn get() -> Option<Self> {
        let before = LARGE.fetch_add(1, Ordering::Relaxed);
        if before < LARGE_MAX {
            return Some(Self(()));
        }
        LARGE.fetch_sub(1, Ordering::Relaxed);
        None
    }

    /// Returns whether other connections may need it more than an idle one.
    pub(crate) fn are_scarce() -> bool {
        LARGE.load(Ordering::Relaxed) > LARGE_MAX / 2
    }
}

impl Drop for Large {
    fn drop(&mut self) {
        LARGE.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f71_so_many_have_a_large_buffer_and_no_more() {
        let mut held: Vec<_> = (0..2 * LARGE_MAX).filter_map(|_| Large::get()).collect();
        assert!(!held.is_empty() && held.len() <= LARGE_MAX && Large::are_scarce());
        assert!(Large::get().is_none());
        held.pop();
        assert!(Large::get().is_some());
    }
}
