//! Output to the terminal. A thread of its own writes it, so that a terminal that stops reading stops nothing else, and a descriptor
//! that does not block loses nothing. A frame is drawn only once the last one is out: nothing piles up.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::termios::{QueueSelector, tcflush};
use tokio::sync::Notify;

/// Bytes of one write: what is under way once all else is thrown away.
const WRITE_BYTES_MAX: usize = 4096;
/// Bytes that may wait besides a frame.
const EXTRA_BYTES_MAX: usize = 4096;
/// Time limit for the last output to a terminal that does not read; older output is dropped for it.
const FLUSH_PATIENCE: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
struct Output {
    waiting: Mutex<Waiting>,
    changed: Condvar,
    is_out: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    bytes: Vec<u8>,
    /// So many of them are being written.
    writing: usize,
    /// The terminal is gone.
    failed: Option<Errno>,
}

impl Waiting {
    const fn is_out(&self) -> bool {
        self.bytes.is_empty() && self.writing == 0
    }
}

/// One process has one terminal.
static OUTPUT: OnceLock<Arc<Output>> = OnceLock::new();

/// Starts the thread that writes, once.
pub(super) fn start() -> io::Result<()> {
    if OUTPUT.get().is_none() {
        let output = Arc::new(Output::default());
        if OUTPUT.set(output.clone()).is_ok() {
            std::thread::Builder::new().name("output".into()).spawn(move || output.run())?;
        }
    }
    Ok(())
}

/// Hands `bytes` to the terminal. Returns at once.
pub(super) fn send(bytes: &[u8]) {
    if let Some(output) = OUTPUT.get() {
        output.lock().bytes.extend_from_slice(bytes);
        output.changed.notify_all();
    }
}

/// Like `send`, unless the terminal has fallen behind.
pub(super) fn send_if_there_is_room(bytes: &[u8]) {
    if OUTPUT.get().is_some_and(|output| output.lock().bytes.len() < EXTRA_BYTES_MAX) {
        send(bytes);
    }
}

/// Returns whether the terminal has taken all that was sent.
pub(super) fn is_out() -> bool {
    OUTPUT.get().is_none_or(|output| {
        let waiting = output.lock();
        waiting.failed.is_none() && waiting.is_out()
    })
}

/// Waits until all that was sent is with the terminal. Err if the terminal is gone.
pub(super) async fn out() -> io::Result<()> {
    let Some(output) = OUTPUT.get() else { return Ok(()) };
    loop {
        let is_out = output.is_out.notified();
        {
            let waiting = output.lock();
            if let Some(error) = waiting.failed {
                return Err(error.into());
            }
            if waiting.is_out() {
                return Ok(());
            }
        }
        is_out.await;
    }
}

/// Sends the last words and waits for them, for a short while. What a terminal does not read before them is thrown away.
pub(super) fn send_last(bytes: &[u8]) {
    let Some(output) = OUTPUT.get() else { return };
    if !output.flush(FLUSH_PATIENCE) {
        output.lock().bytes.clear();
        // Also what the system holds, so that there is room again. Half a sequence may be left before it; this ends any.
        let _ = tcflush(rustix::stdio::stdout(), QueueSelector::OFlush);
        output.flush(FLUSH_PATIENCE);
        send(b"\x1b\\");
    }
    send(bytes);
    output.flush(FLUSH_PATIENCE);
}

impl Output {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        loop {
            let part = self.next_part();
            let mut rest = part.as_slice();
            while !rest.is_empty() {
                match write_some(rest) {
                    Ok(written) => rest = &rest[written.min(rest.len())..],
                    Err(error) => {
                        self.lock().failed = Some(error);
                        break;
                    }
                }
            }
            let mut waiting = self.lock();
            waiting.writing = 0;
            if waiting.failed.is_some() {
                waiting.bytes.clear();
            }
            if waiting.is_out() {
                self.changed.notify_all();
                self.is_out.notify_waiters();
            }
        }
    }

    fn next_part(&self) -> Vec<u8> {
        let mut waiting = self.lock();
        while waiting.bytes.is_empty() {
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        let length = waiting.bytes.len().min(WRITE_BYTES_MAX);
        waiting.writing = length;
        waiting.bytes.drain(..length).collect()
    }

    /// Waits until all output is written, or the deadline passes.
    fn flush(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        let mut waiting = self.lock();
        while !waiting.is_out() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            waiting = self.changed.wait_timeout(waiting, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

/// Writes what the terminal takes now; waits while it takes nothing.
fn write_some(bytes: &[u8]) -> Result<usize, Errno> {
    let output = rustix::stdio::stdout();
    loop {
        match rustix::io::write(output, bytes) {
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => match poll(&mut [PollFd::new(&output, PollFlags::OUT)], None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            },
            written => return written,
        }
    }
}
