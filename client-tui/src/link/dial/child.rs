//! A program of which standard input and output are the connection, or a further stream of one: `towd --stdio` here, or the ssh that runs
//! it elsewhere.

use std::io;
use std::pin::Pin;
use std::process::{ExitStatus, Stdio};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::time::{Instant, timeout};

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
        /// How it ended; none where it had to be ended.
        status: Option<ExitStatus>,
    },
}

/// Starts the program and begins a session over its pipes. It is ended when the link goes, and reaped. What it says on its standard
/// error is drained, and its last lines become part of the fault when it fails.
pub async fn child(command: Command) -> Result<Link, DialFault> {
    begin(command, BEGIN_TIME, Wire::default(), None).await.map_err(|fault| match fault {
        ChildFault::NotStarted(error) => DialFault::NoProgram(error),
        ChildFault::NoSession { fault, said, .. } if said.is_empty() => fault.into(),
        ChildFault::NoSession { fault, said, .. } => DialFault::ProgramFailed { fault, said },
    })
}

/// The same, with all that is known where it fails.
pub(super) async fn begin(
    command: Command,
    time: Duration,
    wire: Wire,
    further: Option<Further>,
) -> Result<Link, ChildFault> {
    let deadline = Instant::now() + time;
    let Started { mut child, stdin, stdout, stderr } = start(command).map_err(ChildFault::NotStarted)?;
    let last_words = LastWords::of(stderr);
    let asks = Asks { wire, ..Asks::default() };
    match Link::begin(stdout, stdin, deadline, last_words.clone(), asks, further).await {
        Ok(link) => {
            tokio::spawn(end_with(link.lost(), child));
            Ok(link)
        }
        Err(fault) => {
            let status = end(&mut child).await;
            Err(ChildFault::NoSession { fault, said: last_words.text().await, status })
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
