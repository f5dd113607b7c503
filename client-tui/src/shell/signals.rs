//! Signals: which ones end the program, how Ctrl-Z stops it and `fg` brings it back, and that the terminal has another size.

use std::io;

use futures_util::FutureExt;
use rustix::process::{Signal as Kill, getpid, getsid, kill_current_process_group};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::terminal::{self, Terminal};

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Leave in order, with this exit code.
    End(u8),
    /// Stop until continued.
    Suspend,
    /// The program was stopped and goes on: the screen may hold somebody else's text.
    Continued,
    /// The terminal has another size, or had one meanwhile: what it shows of the last frame is its own affair.
    Resized,
}

/// The signals that the program listens to, from its making on.
#[derive(Debug)]
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
    stop: Signal,
    carry_on: Signal,
    // crossterm tells of it too, behind the keys that wait.
    window_change: Signal,
}

impl Signals {
    /// Must be called within a tokio runtime.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            stop: signal(SignalKind::from_raw(Kill::TSTP.as_raw()))?,
            carry_on: signal(SignalKind::from_raw(Kill::CONT.as_raw()))?,
            window_change: signal(SignalKind::window_change())?,
        })
    }

    /// Waits for the next one. Dropped while it waits, it loses none.
    pub async fn next(&mut self) -> Asked {
        let ended_by = |signal: Kill| Asked::End(128 + signal.as_raw() as u8);
        tokio::select! {
            _ = self.interrupt.recv() => ended_by(Kill::INT),
            _ = self.terminate.recv() => ended_by(Kill::TERM),
            _ = self.hang_up.recv() => ended_by(Kill::HUP),
            _ = self.stop.recv() => Asked::Suspend,
            _ = self.carry_on.recv() => Asked::Continued,
            _ = self.window_change.recv() => Asked::Resized,
        }
    }

    /// Gives the terminal back, stops the process (and whoever started it in the same job, as the terminal itself would), and takes the
    /// terminal again once somebody continues it. Does nothing where nobody could: `tow` is all that the terminal runs.
    pub async fn suspend(&mut self, terminal: &mut Terminal) -> io::Result<()> {
        if getsid(None)? == getpid() {
            return Ok(());
        }
        while self.carry_on.recv().now_or_never().is_some() {}
        terminal::give_back();
        kill_current_process_group(Kill::STOP)?;
        // The stop reaches each thread in its own time; only the continuation tells that it is over.
        self.carry_on.recv().await;
        terminal.take_again()
    }
}
