//! A byte stream that misbehaves by a seed: short reads and writes, delays, and an end at some byte: in order, with an error, or by
//! never moving again.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// How a stream ends before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// As if the other side had closed.
    End,
    Reset,
    /// Nothing moves any more, and nobody says so.
    Stall,
    /// Nothing moves any more, until the system gives it up after so long.
    TimeOut(Duration),
}

/// A small generator of numbers: good enough to choose faults, the same for the same seed.
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// 0 to `below - 1`.
    pub(crate) fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % below
    }
}

/// One end of a pipe, with faults in both of its directions.
#[derive(Debug)]
pub(crate) struct FaultLink {
    stream: DuplexStream,
    dice: Dice,
    /// After so many bytes, of both directions together.
    cut: Option<(u64, Cut)>,
    moved: u64,
    pauses_ms_max: u64,
    /// When the system gives it up, once it stands still.
    given_up_at: Option<Instant>,
    read_pause: Pin<Box<Sleep>>,
    write_pause: Pin<Box<Sleep>>,
}

impl FaultLink {
    pub(crate) fn new(stream: DuplexStream, seed: u64, cut: Option<(u64, Cut)>) -> Self {
        let pause = || Box::pin(sleep(Duration::ZERO));
        Self {
            stream,
            dice: Dice::new(seed),
            cut,
            moved: 0,
            pauses_ms_max: 20,
            given_up_at: None,
            read_pause: pause(),
            write_pause: pause(),
        }
    }

    /// One whose pauses are shorter than this: for time that is not virtual.
    pub(crate) fn pausing_less_than(self, pauses_ms_max: u64) -> Self {
        Self { pauses_ms_max, ..self }
    }

    /// How many bytes may move now.
    fn step(&mut self, wanted: usize, is_read: bool, cx: &mut Context<'_>) -> Poll<Result<usize, Cut>> {
        let step = 1 + self.dice.roll(match self.dice.0 % 4 {
            0 => 3,
            1 => 100,
            _ => 100_000,
        }) as usize;
        let step = step.min(wanted);
        match self.cut {
            Some((at, cut)) if self.moved >= at => match cut {
                Cut::Stall => Poll::Pending,
                Cut::TimeOut(after) => {
                    let at = *self.given_up_at.get_or_insert_with(|| Instant::now() + after);
                    let pause = self.pause(is_read);
                    pause.as_mut().reset(at);
                    pause.as_mut().poll(cx).map(|()| Err(Cut::Reset))
                }
                Cut::End | Cut::Reset => Poll::Ready(Err(cut)),
            },
            Some((at, _)) => Poll::Ready(Ok(step.min((at - self.moved) as usize))),
            None => Poll::Ready(Ok(step)),
        }
    }

    /// After a move, a pause comes before the next one now and then.
    fn moved(&mut self, bytes: usize, is_read: bool) {
        self.moved += bytes as u64;
        if self.dice.roll(4) == 0 {
            let until = Instant::now() + Duration::from_millis(self.dice.roll(self.pauses_ms_max));
            self.pause(is_read).as_mut().reset(until);
        }
    }

    fn pause(&mut self, is_read: bool) -> &mut Pin<Box<Sleep>> {
        if is_read { &mut self.read_pause } else { &mut self.write_pause }
    }
}

impl AsyncRead for FaultLink {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        ready!(this.read_pause.as_mut().poll(cx));
        let step = match ready!(this.step(buf.remaining(), true, cx)) {
            Ok(step) => step,
            Err(Cut::Reset) => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            Err(Cut::End | Cut::Stall | Cut::TimeOut(_)) => return Poll::Ready(Ok(())),
        };
        let mut part = vec![0; step];
        let mut part = ReadBuf::new(&mut part);
        ready!(Pin::new(&mut this.stream).poll_read(cx, &mut part))?;
        buf.put_slice(part.filled());
        this.moved(part.filled().len(), true);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for FaultLink {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        ready!(this.write_pause.as_mut().poll(cx));
        let Ok(step) = ready!(this.step(buf.len(), false, cx)) else {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        };
        let written = ready!(Pin::new(&mut this.stream).poll_write(cx, &buf[..step]))?;
        this.moved(written, false);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
