//! A TCP connection as both sides have it beneath TLS: small messages leave at once, a peer that vanished is noticed, and few bytes wait
//! in the system, where nothing goes ahead of them. How few, the line itself tells: one that is slow is kept short.
//!
//! It knows nothing of who speaks on it, and of what.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use towpath_protocol::pace::Pace;

/// Bytes that the system may hold unsent: enough to keep any line busy.
#[cfg(target_os = "linux")]
const UNSENT_BYTES_MAX: usize = 128 * 1024;
/// After so much silence the system asks again whether the other side is there.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// One connection.
#[derive(Debug)]
pub struct Line {
    stream: TcpStream,
    pace: Pace,
    /// Since when there are bytes that the system does not take.
    waiting: Option<Instant>,
}

impl Line {
    /// Sets it up; what the system does not know is left as it is, and the line is only slower by that. After so much silence the
    /// system asks for the first time whether the other side is still there.
    pub fn new(stream: TcpStream, silence: Duration) -> Self {
        let line = Self { stream, pace: Pace::new(), waiting: None };
        told(line.stream.set_nodelay(true), "TCP_NODELAY");
        let keepalive = TcpKeepalive::new().with_time(silence).with_interval(KEEPALIVE_INTERVAL);
        told(SockRef::from(&line.stream).set_tcp_keepalive(&keepalive), "SO_KEEPALIVE");
        line.limit_unsent();
        line
    }

    fn limit_unsent(&self) {
        #[cfg(target_os = "linux")]
        {
            let bytes = self.pace.ahead_bytes().unwrap_or(UNSENT_BYTES_MAX).min(UNSENT_BYTES_MAX) as u32;
            told(SockRef::from(&self.stream).set_tcp_notsent_lowat(bytes), "TCP_NOTSENT_LOWAT");
        }
        #[cfg(not(target_os = "linux"))]
        let _as_the_system_has_it = self;
    }

    /// Learns from a write how fast the line is.
    fn written(&mut self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &written {
            Poll::Pending => {
                self.waiting.get_or_insert_with(Instant::now);
            }
            Poll::Ready(Ok(bytes)) => {
                let waited = self.waiting.take().map_or(Duration::ZERO, |since| since.elapsed());
                if self.pace.wrote(*bytes, waited) {
                    self.limit_unsent();
                }
            }
            Poll::Ready(Err(_)) => {}
        }
        written
    }
}

fn told(done: io::Result<()>, what: &str) {
    if let Err(error) = done {
        tracing::debug!(%error, what, "the system refuses");
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.written(written)
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
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.written(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpSocket};

    fn unsent_bytes_max(line: &Line) -> usize {
        SockRef::from(&line.stream).tcp_notsent_lowat().unwrap() as usize
    }

    #[tokio::test]
    async fn little_waits_unsent_before_a_line_that_turns_out_to_be_slow() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let socket = TcpSocket::new_v4().unwrap();
        // So that what is not read is soon not sent.
        socket.set_recv_buffer_size(16 * 1024).unwrap();
        let mut far = socket.connect(listener.local_addr().unwrap()).await.unwrap();
        let mut line = Line::new(listener.accept().await.unwrap().0, Duration::from_mins(1));
        assert!(line.stream.nodelay().unwrap());
        assert_eq!(unsent_bytes_max(&line), UNSENT_BYTES_MAX);
        let reading = tokio::spawn(async move {
            let mut bytes = vec![0; 16 * 1024];
            while far.read(&mut bytes).await.unwrap() > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        let bytes = vec![0; 64 * 1024];
        while line.pace.ahead_bytes().is_none() {
            line.write_all(&bytes).await.unwrap();
        }
        assert_eq!(Some(unsent_bytes_max(&line)), line.pace.ahead_bytes());
        drop(line);
        reading.await.unwrap();
    }
}
