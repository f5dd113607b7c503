//! Beneath TLS: takes from the system as much as it has, and hands it on in the small pieces that TLS asks for. It holds nothing while
//! nothing comes, for most connections are idle most of the time. The first bytes are kept: they tell what speaks there, before a
//! handshake and where it comes to nothing.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::large::Large;

/// Bytes of room at first, and for a peer that says little.
const ROOM_BYTES_MIN: usize = 4 * 1024;
/// Bytes of room for a peer that fills it.
const ROOM_BYTES_MAX: usize = 256 * 1024;
/// A room that is filled is made so many times larger.
const GROWTH: usize = 4;
/// The same where many connections have so much.
const ROOM_BYTES_SMALL: usize = 16 * 1024;
/// Bytes that are kept of the beginning: a line of somebody else's protocol.
const HEARD_BYTES_MAX: usize = 80;
/// A room of which less than this part is filled is made smaller by half.
const SPARSE: usize = 16;

/// Reads ahead; writes pass through.
#[derive(Debug)]
pub(crate) struct ReadAhead<S> {
    stream: S,
    /// Empty while nothing comes.
    room: Vec<u8>,
    /// What in `room` is still to be handed on.
    begin: usize,
    end: usize,
    /// Bytes of the next room.
    room_bytes: usize,
    /// While that may be many.
    large: Option<Large>,
    /// The first bytes that came, also those that are still to be handed on.
    heard: Vec<u8>,
}

impl<S> ReadAhead<S> {
    pub(crate) const fn of(stream: S) -> Self {
        Self {
            stream,
            room: Vec::new(),
            begin: 0,
            end: 0,
            room_bytes: ROOM_BYTES_MIN,
            large: None,
            heard: Vec::new(),
        }
    }

    /// The first bytes that have come.
    pub(crate) fn heard(&self) -> &[u8] {
        &self.heard
    }
}

impl<S: AsyncRead + Unpin> ReadAhead<S> {
    /// Waits for the first bytes; they are still to be read afterwards. None at the end of the stream.
    pub(crate) async fn peek(&mut self) -> io::Result<&[u8]> {
        if self.heard.is_empty() {
            poll_fn(|context| self.poll_refill(context)).await?;
        }
        Ok(&self.heard)
    }

    /// Once all is handed on.
    fn poll_refill(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.room.len() != self.room_bytes {
            self.room = vec![0; self.room_bytes];
        }
        let mut room = ReadBuf::new(&mut self.room);
        match Pin::new(&mut self.stream).poll_read(context, &mut room) {
            Poll::Ready(read) => {
                let filled = room.filled().len();
                read?;
                (self.begin, self.end) = (0, filled);
                let missing = HEARD_BYTES_MAX - self.heard.len();
                self.heard.extend_from_slice(&self.room[..filled.min(missing)]);
                if filled == self.room_bytes {
                    if self.large.is_none() {
                        self.large = Large::get();
                    }
                    let most = if self.large.is_some() { ROOM_BYTES_MAX } else { ROOM_BYTES_SMALL };
                    self.room_bytes = most.min(self.room_bytes * GROWTH);
                } else if filled < self.room_bytes / SPARSE {
                    self.room_bytes = ROOM_BYTES_MIN.max(self.room_bytes / 2);
                }
                Poll::Ready(Ok(()))
            }
            Poll::Pending => {
                if self.large.is_some() && Large::are_scarce() {
                    (self.room_bytes, self.large) = (ROOM_BYTES_MIN, None);
                }
                if self.room_bytes == ROOM_BYTES_MIN {
                    (self.room, self.large) = (Vec::new(), None);
                }
                Poll::Pending
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ReadAhead<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.begin == self.end {
            ready!(self.poll_refill(context))?;
        }
        let count = buffer.remaining().min(self.end - self.begin);
        buffer.put_slice(&self.room[self.begin..self.begin + count]);
        self.begin += count;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ReadAhead<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    #[tokio::test]
    async fn every_byte_comes_once_and_in_order_while_the_room_grows_and_shrinks() {
        let (mut far, near) = duplex(2 * ROOM_BYTES_MAX);
        let mut near = ReadAhead::of(near);
        let counts = [1, ROOM_BYTES_MIN, 3 * ROOM_BYTES_MAX / 2, 2 * ROOM_BYTES_MAX, 5, 5, 5, 5, 5, 5, 5, 5];
        for (turn, count) in counts.into_iter().enumerate() {
            let sent: Vec<u8> = (0..count).map(|at| (at + turn) as u8).collect();
            far.write_all(&sent).await.unwrap();
            let mut came = vec![0; count];
            near.read_exact(&mut came).await.unwrap();
            assert!(came == sent, "of {count} bytes");
        }
        drop(far);
        assert_eq!(near.read(&mut [0; 8]).await.unwrap(), 0, "and then the end");
    }

    #[tokio::test]
    async fn a_stream_that_has_fallen_silent_holds_no_room() {
        let (mut far, near) = duplex(2 * ROOM_BYTES_MAX);
        let mut near = ReadAhead::of(near);
        far.write_all(&vec![1; 2 * ROOM_BYTES_MAX]).await.unwrap();
        near.read_exact(&mut vec![0; 2 * ROOM_BYTES_MAX]).await.unwrap();
        assert_eq!(near.room.len(), ROOM_BYTES_MAX);
        // A few words now and then.
        for _ in 0..10 {
            far.write_all(b"ping").await.unwrap();
            near.read_exact(&mut [0; 4]).await.unwrap();
        }
        let waited = poll_fn(|context| {
            let mut bytes = [0; 8];
            let mut buffer = ReadBuf::new(&mut bytes);
            Poll::Ready(Pin::new(&mut near).poll_read(context, &mut buffer).is_pending())
        });
        assert!(waited.await);
        assert_eq!(near.room.capacity(), 0);
    }
}
