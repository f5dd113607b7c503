//! Writes a batch of encoded messages with as few calls as possible, without copying their data.

use std::io::{self, IoSlice};

use bytes::Buf;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use towpath_protocol::frame::Encoded;

/// Slices of one vectored write: two a message.
const SLICES_MAX: usize = 64;

/// Writes all of `batch`, flushes, and leaves it empty.
pub(super) async fn write_all(
    writer: &mut (impl AsyncWrite + Unpin),
    batch: &mut Vec<Encoded>,
) -> io::Result<()> {
    let mut pieces: std::collections::VecDeque<bytes::Bytes> = batch
        .drain(..)
        .flat_map(|frame| [bytes::Bytes::from(frame.head), frame.data])
        .filter(|piece| !piece.is_empty())
        .collect();
    while !pieces.is_empty() {
        let slices: Vec<IoSlice<'_>> =
            pieces.iter().take(SLICES_MAX).map(|piece| IoSlice::new(piece)).collect();
        let mut written = writer.write_vectored(&slices).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        while let Some(first) = pieces.front_mut().filter(|_| written > 0) {
            let step = written.min(first.len());
            first.advance(step);
            written -= step;
            if first.is_empty() {
                pieces.pop_front();
            }
        }
    }
    writer.flush().await
}
