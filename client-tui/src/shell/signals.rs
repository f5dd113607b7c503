//! Signals: which ones end the program, how Ctrl-Z stops it and `fg` brings it back, and that the terminal has another size.

use std::future::poll_fn;
use std::io;
use std::task::Poll;

use futures_util::FutureExt;
use rustix::process::{Signal as Kill, kill_current_process_group};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::job_control::can_be_continued;
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

/// The exit code of a program whose terminal went away.
pub(super) const HUNG_UP: u8 = 128 + Kill::HUP.as_raw() as u8;

/// Signals that end a program by default: the terminal is restored and jobs are saved first.
const ENDING: [Kill; 11] = [
    Kill::INT,
    Kill::TERM,
    Kill::HUP,
    Kill::QUIT,
    Kill::USR1,
    Kill::USR2,
    Kill::ALARM,
    Kill::VTALARM,
    Kill::PROF,
    Kill::XCPU,
    Kill::POWER,
];

/// The signals that the program listens to, from its making on.
#[derive(Debug)]
pub struct Signals {
    ending: Vec<(Kill, Signal)>,
    stop: Signal,
    carry_on: Signal,
    window_change: Signal,
    /// Listened to and not acted on: what is too large for the user's limit fails as a full disk does, and ends nothing else.
    _file_size: Signal,
}

impl Signals {
    /// Must be called within a tokio runtime.
    pub fn listen() -> io::Result<Self> {
        let listen = |kill: Kill| signal(SignalKind::from_raw(kill.as_raw()));
        Ok(Self {
            ending: ENDING.into_iter().map(|kill| Ok((kill, listen(kill)?))).collect::<io::Result<_>>()?,
            stop: listen(Kill::TSTP)?,
            carry_on: listen(Kill::CONT)?,
            window_change: listen(Kill::WINCH)?,
            _file_size: listen(Kill::XFSZ)?,
        })
    }

    /// Waits for the next one. Dropped while it waits, it loses none.
    pub async fn next(&mut self) -> Asked {
        tokio::select! {
            biased;
            kill = any(&mut self.ending) => Asked::End(128 + kill.as_raw() as u8),
            _ = self.stop.recv() => Asked::Suspend,
            _ = self.carry_on.recv() => Asked::Continued,
            _ = self.window_change.recv() => Asked::Resized,
        }
    }

    /// Gives the terminal back, stops the process (and whoever started it in the same job, as the terminal itself would), and takes the
    /// terminal again once it is continued. Does nothing if no shell could continue it, like the kernel with a `SIGTSTP`.
    pub async fn suspend(&mut self, terminal: &mut Terminal) -> io::Result<()> {
        if !can_be_continued() {
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

async fn any(signals: &mut [(Kill, Signal)]) -> Kill {
    poll_fn(|context| {
        let mut came = signals
            .iter_mut()
            .filter_map(|(kill, signal)| signal.poll_recv(context).is_ready().then_some(*kill));
        came.next().map_or(Poll::Pending, Poll::Ready)
    })
    .await
}
