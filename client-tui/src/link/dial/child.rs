//! A program of which standard input and output are the connection: `towd --stdio` here, or the ssh that runs it elsewhere.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::time::{Instant, timeout};

use super::DialFault;
use crate::link::connection::{Asks, LastWords};
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
    begin(command, BEGIN_TIME, Wire::default()).await.map_err(|fault| match fault {
        ChildFault::NotStarted(error) => DialFault::NoProgram(error),
        ChildFault::NoSession { fault, said, .. } if said.is_empty() => fault.into(),
        ChildFault::NoSession { fault, said, .. } => DialFault::ProgramFailed { fault, said },
    })
}

/// The same, with all that is known where it fails.
pub(super) async fn begin(mut command: Command, time: Duration, wire: Wire) -> Result<Link, ChildFault> {
    let deadline = Instant::now() + time;
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(ChildFault::NotStarted)?;
    let (Some(stdin), Some(stdout), Some(stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(ChildFault::NotStarted(io::Error::other("it has no pipes")));
    };
    let last_words = LastWords::of(stderr);
    let asks = Asks { wire, ..Asks::default() };
    match Link::begin(stdout, stdin, deadline, last_words.clone(), asks, None).await {
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
