//! This program as ssh's askpass: ssh runs it for each question that it has while the panes are on the terminal, and reads the answer from
//! its standard output.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use crate::link::dial::askpass::{SOCKET_VARIABLE, ask};

/// Asks where ssh has started this program for that, and ends; none where it was started for anything else.
pub fn asked(typed: &[OsString]) -> Option<ExitCode> {
    let [program, question] = typed else { return None };
    let socket = std::env::var_os(SOCKET_VARIABLE)?;
    // Whatever else runs below ssh inherits its environment, but is not called by this name.
    if std::env::var_os("SSH_ASKPASS")? != *program {
        return None;
    }
    let answered = ask(Path::new(&socket), question).and_then(|answer| match answer {
        None => Ok(ExitCode::FAILURE),
        Some(answer) => {
            let mut out = io::stdout().lock();
            out.write_all(&answer)?;
            out.write_all(b"\n")?;
            out.flush().map(|()| ExitCode::SUCCESS)
        }
    });
    Some(answered.unwrap_or(ExitCode::FAILURE))
}
