//! A stream's first bytes, kept: what speaks there, where a handshake comes to nothing; and looked at before they are read.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes that are kept: a line of somebody else's protocol.
const KEPT_BYTES: usize = 80;

/// Passes everything on.
#[derive(Debug)]
pub(crate) struct Beginning<S> {
    stream: S,
    kept: Vec<u8>,
    /// Of those kept, how many have been read by the caller.
    read: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Beginning<S> {
    pub(crate) fn of(stream: S) -> Self {
        Self { stream, kept: Vec::new(), read: 0 }
    }

    /// The first bytes that have come.
    pub(crate) fn heard(&self) -> &[u8] {
        &self.kept
    }

    /// Waits for the first bytes; they are still to be read afterwards. None at the end of the stream.
    pub(crate) async fn peek(&mut self) -> io::Result<&[u8]> {
        if self.kept.is_empty() {
            let mut bytes = [0; KEPT_BYTES];
            let mut buffer = ReadBuf::new(&mut bytes);
            poll_fn(|context| Pin::new(&mut self.stream).poll_read(context, &mut buffer)).await?;
            self.kept.extend_from_slice(buffer.filled());
        }
        Ok(&self.kept)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Beginning<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.read < this.kept.len() {
            let count = buffer.remaining().min(this.kept.len() - this.read);
            buffer.put_slice(&this.kept[this.read..this.read + count]);
            this.read += count;
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(context, buffer))?;
        if this.kept.len() < KEPT_BYTES {
            let new = &buffer.filled()[before..];
            this.kept.extend_from_slice(&new[..new.len().min(KEPT_BYTES - this.kept.len())]);
            this.read = this.kept.len();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Beginning<S> {
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
