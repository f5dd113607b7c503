//! The encrypted stream as its users see it: one read takes all records that have come, as far as there is room for them, where
//! TLS itself would give one of 16 KiB at a time; and while the line does not take what one write brought, nothing more is taken in,
//! for what is encrypted nothing overtakes.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustls::CommonState;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::{TlsStream, client, server};

use crate::large::Large;
use crate::read_ahead::ReadAhead;

/// Encrypted bytes that may wait for the system to take them: enough for one large write.
const WAITING_BYTES_MAX: usize = 128 * 1024;
/// The same where many connections have so much waiting.
const WAITING_BYTES_MIN: usize = 16 * 1024;

/// Reads and writes in clear what goes over the line encrypted.
#[derive(Debug)]
pub struct Encrypted<S> {
    tls: TlsStream<ReadAhead<S>>,
    /// Met behind bytes that were still to be handed on.
    failed: Option<io::Error>,
    /// While much may wait.
    large: Option<Large>,
}

impl<S> Encrypted<S> {
    pub(crate) const fn client(tls: client::TlsStream<ReadAhead<S>>) -> Self {
        Self { tls: TlsStream::Client(tls), failed: None, large: None }
    }

    pub(crate) const fn server(tls: server::TlsStream<ReadAhead<S>>) -> Self {
        Self { tls: TlsStream::Server(tls), failed: None, large: None }
    }

    /// Before a write: how much may wait.
    fn bound(&mut self) {
        if self.large.is_none() {
            self.large = Large::get();
        }
        let bytes = Some(if self.large.is_some() { WAITING_BYTES_MAX } else { WAITING_BYTES_MIN });
        match &mut self.tls {
            TlsStream::Client(tls) => tls.get_mut().1.set_buffer_limit(bytes),
            TlsStream::Server(tls) => tls.get_mut().1.set_buffer_limit(bytes),
        }
    }

    /// After a write: what the system has taken does not wait.
    fn unbound(&mut self) {
        if !self.session().wants_write() {
            self.large = None;
        }
    }

    pub(crate) fn session(&self) -> &CommonState {
        self.tls.get_ref().1
    }

    /// Bytes that only the two ends of this connection can know (RFC 8446, 7.5).
    pub(crate) fn export(&self, into: &mut [u8], label: &[u8]) -> Result<(), rustls::Error> {
        match &self.tls {
            TlsStream::Client(tls) => tls.get_ref().1.export_keying_material(into, label, None).map(|_| ()),
            TlsStream::Server(tls) => tls.get_ref().1.export_keying_material(into, label, None).map(|_| ()),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Encrypted<S> {
    /// Until nothing that is encrypted waits.
    fn poll_drain(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.session().wants_write() {
            Pin::new(&mut self.tls).poll_flush(context)
        } else {
            Poll::Ready(Ok(()))
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Encrypted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(error) = self.failed.take() {
            return Poll::Ready(Err(error));
        }
        let begin = buffer.filled().len();
        while buffer.remaining() > 0 {
            let before = buffer.filled().len();
            let read = Pin::new(&mut self.tls).poll_read(context, buffer);
            let has_some = before > begin;
            match read {
                Poll::Pending if has_some => break,
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) if has_some => {
                    self.failed = Some(error);
                    break;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                // The end; it is met again by the next read.
                Poll::Ready(Ok(())) if buffer.filled().len() == before => break,
                Poll::Ready(Ok(())) => {}
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Encrypted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_drain(context))?;
        self.bound();
        let written = Pin::new(&mut self.tls).poll_write(context, bytes);
        self.unbound();
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.tls).poll_flush(context);
        self.unbound();
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_drain(context))?;
        self.bound();
        let written = Pin::new(&mut self.tls).poll_write_vectored(context, slices);
        self.unbound();
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.tls.is_write_vectored()
    }
}
