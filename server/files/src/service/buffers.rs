//! Buffers for the data of large files, used again as soon as what was read into them has left: new room for each step costs as much
//! as the reading. They last as long as somebody reads. Knows no file.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::Bytes;
use towpath_protocol::fault::Fault;

/// Free buffers that are kept: what one reader has on its way at a time.
const FREE_MAX: usize = 16;

type Free = Mutex<Vec<Vec<u8>>>;

/// Where readers meet, so that all of them share their buffers. Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub(super) struct Buffers(Arc<Mutex<Weak<Free>>>);

/// Buffers for one reader.
#[derive(Debug, Clone)]
pub(super) struct Lender(Arc<Free>);

/// What was read, until nobody holds it any more.
struct Lent {
    buffer: Vec<u8>,
    free: Weak<Free>,
}

impl Buffers {
    pub(super) fn lender(&self) -> Lender {
        let mut shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let free = shared.upgrade().unwrap_or_default();
        *shared = Arc::downgrade(&free);
        Lender(free)
    }
}

impl Lender {
    /// What `fill` has put into an empty buffer.
    pub(super) fn fill(&self, fill: impl FnOnce(&mut Vec<u8>) -> Result<(), Fault>) -> Result<Bytes, Fault> {
        let buffer = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        let mut lent = Lent { buffer, free: Arc::downgrade(&self.0) };
        fill(&mut lent.buffer)?;
        Ok(Bytes::from_owner(lent))
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let Some(free) = self.free.upgrade() else { return };
        let mut free = free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < FREE_MAX {
            self.buffer.clear();
            free.push(std::mem::take(&mut self.buffer));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(lender: &Lender, bytes: &[u8]) -> Bytes {
        let fill = |buffer: &mut Vec<u8>| {
            buffer.extend_from_slice(bytes);
            Ok(())
        };
        lender.fill(fill).unwrap()
    }

    #[test]
    fn a_buffer_is_lent_again_when_its_last_part_is_dropped() {
        let buffers = Buffers::default();
        let (one, other) = (buffers.lender(), buffers.lender());
        let data = filled(&one, &[1; 1000]);
        let (at, part) = (data.as_ptr(), data.slice(10..20));
        drop(data);
        let meanwhile = filled(&other, &[2; 1000]);
        assert_ne!(meanwhile.as_ptr(), at, "a part of it is still held");
        assert_eq!(&part[..], [1; 10]);
        drop(part);
        let again = filled(&other, &[3; 500]);
        assert_eq!((again.as_ptr(), &again[..]), (at, &[3; 500][..]));
    }

    #[test]
    fn nothing_is_kept_when_nobody_reads() {
        let buffers = Buffers::default();
        let data = filled(&buffers.lender(), &[1; 1000]);
        assert!(buffers.0.lock().unwrap().upgrade().is_none());
        drop(data);
    }
}
