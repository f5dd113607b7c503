//! The pairing code, asked for on the terminal: never read from piped input, never taken from the command line.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Read, Write};

use rustix::fs::{Mode, OFlags};
use towpath_protocol::pairing::PairingCode;
use zeroize::Zeroizing;

use super::exit::{Exit, Failure};

/// Longer than any code, with whatever stands around it.
const LINE_BYTES_MAX: u64 = 1024;

/// Asks a person for the code of the server at `typed`; none where there is no terminal or nobody answers.
pub(super) async fn ask(typed: &str) -> Result<Option<PairingCode>, Failure> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Ok(None);
    }
    let question =
        format!("{typed}: not paired with this server.\nPairing code (run `towd pair` on the server): ");
    let asked = tokio::task::spawn_blocking(move || ask_on_terminal(&question)).await;
    let line = asked.unwrap_or_else(|panicked| Err(io::Error::other(panicked)));
    let failed = |why: &dyn std::fmt::Display| Failure {
        exit: Exit::NotConnected,
        message: format!("{typed}: the pairing code: {why}"),
    };
    let line = line.map_err(|error| failed(&error))?;
    if line.trim().is_empty() {
        return Ok(None);
    }
    PairingCode::parse(&line).map(Some).map_err(|why| failed(&why))
}

#[allow(clippy::disallowed_methods, reason = "this process's own terminal")]
fn ask_on_terminal(question: &str) -> io::Result<Zeroizing<String>> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let mut terminal = File::from(rustix::fs::open("/dev/tty", flags, Mode::empty())?);
    terminal.write_all(question.as_bytes())?;
    let mut line = Zeroizing::new(String::with_capacity(LINE_BYTES_MAX as usize));
    BufReader::new(terminal.take(LINE_BYTES_MAX)).read_line(&mut line)?;
    Ok(line)
}
