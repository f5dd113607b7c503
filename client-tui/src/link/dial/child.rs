//! A program of which standard input and output are the connection, or a further stream of one: `towd --stdio` here, or the ssh that runs
//! it elsewhere.

use std::io;
use std::pin::Pin;
use std::process::{ExitStatus, Stdio};
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncRead, AsyncReadExt as _, ReadBuf};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::time::{Instant, sleep, timeout};
use towpath_protocol::hello::PREAMBLE_NOISE_BYTES_MAX;

use super::DialFault;
use super::patience::Patience;
use crate::link::connection::{Asks, Further, LastWords, RUNS};
use crate::link::{BEGIN_TIME, GreetingFault, Link};
use crate::model::wire::Wire;

/// Time that a login shell may be silent before a probe asks why.
const PROBE_AFTER: Duration = Duration::from_secs(2);
/// Time by which a session's command may begin after a later one that has no input.
const RUNS_AFTER: Duration = Duration::from_secs(2);
/// The exit code of ssh if ssh itself fails.
pub(super) const SSH_FAILED: i32 = 255;
/// How long the program may take to leave once its connection is gone.
const LEAVE_TIME: Duration = Duration::from_secs(2);

/// Why no session began over a program's pipes.
#[derive(Debug)]
pub(super) enum ChildFault {
    NotStarted(io::Error),
    NoSession {
        fault: GreetingFault,
        /// Its last lines on standard error, escaped.
        said: String,
        /// The exit status; `None` if it had to be killed.
        status: Option<ExitStatus>,
        /// Returns whether it is an ssh that logged a successful login.
        is_let_in: bool,
        /// Why nothing is said there, if that is the fault.
        silence: Option<Silence>,
        /// The system and the processor of a host whose copy of this program was started there.
        copy: Option<String>,
    },
}

/// Starts the program and begins a session over its pipes. It is ended when the link goes, and reaped. What it says on its standard
/// error is drained, and its last lines become part of the fault when it fails.
pub async fn child(command: Command) -> Result<Link, DialFault> {
    let times = Times { begin: BEGIN_TIME, login: None };
    begin(command, times, Wire::default(), None).await.map_err(|fault| match fault {
        ChildFault::NotStarted(error) => DialFault::NoProgram(error),
        ChildFault::NoSession { fault, said, .. } if said.is_empty() => fault.into(),
        ChildFault::NoSession { fault, said, .. } => DialFault::ProgramFailed { fault, said },
    })
}

/// Time limit for the begin of a session.
#[derive(Debug)]
pub(super) struct Times {
    pub(super) begin: Duration,
    /// `None` if it is no ssh.
    pub(super) login: Option<Login>,
}

/// The time between the server's word that ssh is let in and the first word of the program there.
#[derive(Debug)]
pub(super) struct Login {
    /// True if ssh logs a successful login. Otherwise the first sign of it is that the command runs.
    pub(super) is_told: bool,
    pub(super) patience: Patience,
    /// A further ssh on the same connection, without input, whose command says [`RUNS`]: a login shell that says nothing has
    /// put itself in its command's place, or reads the command's input.
    pub(super) probe: Option<Command>,
}

impl Login {
    /// Waits until it is certain that no session begins.
    async fn silence(self, last_words: &LastWords) -> Silence {
        let Self { patience, probe, .. } = self;
        let found = async {
            sleep(PROBE_AFTER).await;
            if let Some(probe) = probe
                && !last_words.runs()
                && let Some(silence) = explained(probe).await
                && !last_words.runs()
            {
                return silence;
            }
            std::future::pending().await
        };
        let found = timeout(patience.left(), found).await;
        found.unwrap_or_else(|_elapsed| if last_words.runs() { Silence::Runs } else { Silence::Unexplained })
    }
}

/// Why a session's command does not run, as a command of the same login shell without input tells. `None` if it tells nothing.
async fn explained(mut probe: Command) -> Option<Silence> {
    probe.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let mut probe = probe.spawn().ok()?;
    let mut said = Vec::new();
    let mut stdout = probe.stdout.take()?.take(PREAMBLE_NOISE_BYTES_MAX as u64);
    stdout.read_to_end(&mut said).await.ok()?;
    if said.windows(RUNS.len()).any(|window| window == RUNS.as_bytes()) {
        // The session's command began before this one, and has input.
        sleep(RUNS_AFTER).await;
        return Some(Silence::ReadsInput);
    }
    // One that says more says it in the session, too.
    let has_ended = said.len() < PREAMBLE_NOISE_BYTES_MAX;
    let code = if has_ended { probe.wait().await.ok()?.code() } else { None };
    code.is_some_and(|code| code != SSH_FAILED).then_some(Silence::RunsNothing)
}

/// Why nothing is said after a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Silence {
    Unexplained,
    /// Without input it ends, and has not run its command.
    RunsNothing,
    /// Without input it runs its command.
    ReadsInput,
    /// The command runs, and what it started says nothing.
    Runs,
}

impl Silence {
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Unexplained => {
                "the login shell there is silent: its startup file may start another shell, or wait for a line"
            }
            Self::RunsNothing => {
                "the login shell there is silent: it does not run the command; does its startup file start another shell?"
            }
            Self::ReadsInput => {
                "the login shell there is silent: its startup file reads the input that is meant for the command"
            }
            Self::Runs => "towd there is silent: it hangs, or a startup file sends its output elsewhere",
        }
    }
}

/// The same, with all that is known where it fails.
pub(super) async fn begin(
    command: Command,
    times: Times,
    wire: Wire,
    further: Option<Further>,
) -> Result<Link, ChildFault> {
    let deadline = Instant::now() + times.begin;
    let Started { mut child, stdin, stdout, stderr } = start(command).map_err(ChildFault::NotStarted)?;
    let is_told = times.login.as_ref().is_some_and(|login| login.is_told);
    let last_words = if is_told { LastWords::of_ssh(stderr) } else { LastWords::of(stderr) };
    let asks = Asks { wire, ..Asks::default() };
    let silent = async {
        let Some(login) = times.login else { return std::future::pending().await };
        last_words.let_in().await;
        let let_in_at = Instant::now();
        let silence = login.silence(&last_words).await;
        (GreetingFault::Silent { seconds: let_in_at.elapsed().as_secs() }, Some(silence))
    };
    let begun = tokio::select! {
        begun = Link::begin(stdout, stdin, deadline, last_words.clone(), asks, further) => {
            begun.map_err(|fault| (fault, None))
        }
        silence = silent => Err(silence),
    };
    match begun {
        Ok(link) => {
            tokio::spawn(end_with(link.lost(), child));
            Ok(link)
        }
        Err((fault, silence)) => {
            let (said, status) = if silence.is_some() {
                // Its word about the signal is not worth hearing, nor is the time that it may take.
                let said = last_words.text_so_far();
                terminate(&mut child).await;
                (said, None)
            } else {
                let status = end(&mut child).await;
                (last_words.text().await, status)
            };
            let (is_let_in, copy) = (last_words.is_let_in(), last_words.copy());
            Err(ChildFault::NoSession { fault, said, status, is_let_in, silence, copy })
        }
    }
}

/// A program whose pipes are a further stream. It is ended when the first of them is dropped.
pub(super) fn stream(command: Command) -> io::Result<(Output, ChildStdin)> {
    let Started { child, stdin, stdout, stderr } = start(command)?;
    // Drained, and in the log.
    LastWords::of(stderr);
    Ok((Output { stdout, _child: child }, stdin))
}

/// The standard output of a program that lives no longer than this.
#[derive(Debug)]
pub(super) struct Output {
    stdout: ChildStdout,
    _child: Child,
}

impl AsyncRead for Output {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stdout).poll_read(context, into)
    }
}

/// A program and its pipes. Dropped, it is killed.
struct Started {
    child: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
    stderr: ChildStderr,
}

fn start(mut command: Command) -> io::Result<Started> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn()?;
    match (child.stdin.take(), child.stdout.take(), child.stderr.take()) {
        (Some(stdin), Some(stdout), Some(stderr)) => {
            towpath_stdio::widen(&stdin);
            towpath_stdio::widen(&stdout);
            Ok(Started { child, stdin, stdout, stderr })
        }
        _ => Err(io::Error::other("it has no pipes")),
    }
}

/// Its pipes are closed by then: it has every reason to leave.
async fn end_with<T>(link_lost: impl Future<Output = T>, mut child: Child) {
    link_lost.await;
    end(&mut child).await;
}

/// Ends a program that waits for something that does not come. ssh closes its connection and removes its socket by itself.
async fn terminate(child: &mut Child) {
    if let Some(pid) = child.id().and_then(|pid| Pid::from_raw(pid.cast_signed())) {
        // It may have ended.
        let _ = kill_process(pid, Signal::TERM);
    }
    end(child).await;
}

/// Waits for a program that has every reason to leave, and ends it if it does not.
async fn end(child: &mut Child) -> Option<ExitStatus> {
    let status = timeout(LEAVE_TIME, child.wait()).await;
    if status.is_err() {
        let _ = child.kill().await;
    }
    status.ok()?.ok()
}
