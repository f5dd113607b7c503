//! A program of which standard input and output are the connection, or a further stream of one: `towd --stdio` here, or the ssh that runs
//! it elsewhere.

use std::io;
use std::pin::Pin;
use std::process::{ExitStatus, Stdio};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::time::{Instant, sleep, timeout};

use super::DialFault;
use crate::link::connection::{Asks, Further, LastWords};
use crate::link::{BEGIN_TIME, GreetingFault, Link};
use crate::model::wire::Wire;

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
        /// How it ended; `None` if it had to be ended.
        status: Option<ExitStatus>,
        /// Whether it is an ssh that told that the server had let it in.
        is_let_in: bool,
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

/// How long it may take until a session begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub(super) begin: Duration,
    /// Since the server has let ssh in; `None` if it is no ssh that tells.
    pub(super) login: Option<Duration>,
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
    let last_words = if times.login.is_some() { LastWords::of_ssh(stderr) } else { LastWords::of(stderr) };
    let asks = Asks { wire, ..Asks::default() };
    let silent = async {
        let Some(time) = times.login else { return std::future::pending().await };
        last_words.let_in().await;
        sleep(time).await;
        GreetingFault::Silent { seconds: time.as_secs() }
    };
    let begun = tokio::select! {
        begun = Link::begin(stdout, stdin, deadline, last_words.clone(), asks, further) => begun,
        fault = silent => Err(fault),
    };
    match begun {
        Ok(link) => {
            tokio::spawn(end_with(link.lost(), child));
            Ok(link)
        }
        Err(fault) => {
            let status = end(&mut child).await;
            let said = last_words.text().await;
            Err(ChildFault::NoSession { fault, said, status, is_let_in: last_words.is_let_in() })
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

/// Waits for a program that has every reason to leave, and ends it if it does not.
async fn end(child: &mut Child) -> Option<ExitStatus> {
    let status = timeout(LEAVE_TIME, child.wait()).await;
    if status.is_err() {
        let _ = child.kill().await;
    }
    status.ok()?.ok()
}
