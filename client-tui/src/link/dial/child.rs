//! A program of which standard input and output are the connection: `towd --stdio` here, or the ssh that runs it elsewhere.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::time::{Instant, timeout};

use super::DialFault;
use crate::link::connection::LastWords;
use crate::link::{BEGIN_TIME, Link};

/// How long the program may take to leave once its connection is gone.
const LEAVE_TIME: Duration = Duration::from_secs(2);

/// Starts the program and begins a session over its pipes. It is ended when the link goes, and reaped. What it says on its standard
/// error is drained, and its last lines become part of the fault when it fails.
pub async fn child(mut command: Command) -> Result<Link, DialFault> {
    let deadline = Instant::now() + BEGIN_TIME;
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(DialFault::NoProgram)?;
    let (Some(stdin), Some(stdout), Some(stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(DialFault::NoProgram(std::io::Error::other("it has no pipes")));
    };
    let last_words = LastWords::of(stderr);
    match Link::over_until(stdout, stdin, deadline, last_words.clone()).await {
        Ok(link) => {
            tokio::spawn(end_with(link.lost(), child));
            Ok(link)
        }
        Err(fault) => {
            let _ = child.kill().await;
            let said = last_words.text().await;
            Err(if said.is_empty() { fault.into() } else { DialFault::ProgramFailed { fault, said } })
        }
    }
}

/// Its pipes are closed by then: it has every reason to leave.
async fn end_with<T>(link_lost: impl Future<Output = T>, mut child: Child) {
    link_lost.await;
    if timeout(LEAVE_TIME, child.wait()).await.is_err() {
        let _ = child.kill().await;
    }
}
