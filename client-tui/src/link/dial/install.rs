//! Puts this very program on another machine over ssh, under the user's home, where [`ssh`](super::ssh) finds it. It serves standard
//! input and output as towd does. Written beside, hashed there, run once, and renamed; what other versions put there stays.

use std::fs::File;
use std::io::{self, Read};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use ring::digest::{SHA256, digest};
use rustix::fs::{Mode, OFlags};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;
use towpath_protocol::display::DisplayName;

use super::Found;
use super::ssh::{Prompts, command_of, in_words, limited};
use crate::link::GreetingFault;
use crate::link::connection::LastWords;
use crate::model::target::SshHost;

/// Where it is put, as people write it, on a `system` as [`install`] takes it.
pub fn place(system: &str) -> String {
    concat!("~/.local/share/towpath/bin/tow-", env!("CARGO_PKG_VERSION"), "-").to_owned()
        + &system.replace(' ', "-")
}

/// How long it may take, however slow the line.
const INSTALL_TIME: Duration = Duration::from_mins(30);

/// Reads the SHA-256 in hex as a line, then the program up to the end of the input. Under the same rules as the command that serves.
pub(super) const INSTALL: &str = concat!(
    r#"exec sh -c 'umask 077; d="$HOME/.local/share/towpath/bin";"#,
    r#" read -r h && mkdir -p "$d" && cd "$d" || exit 65; p=.part-$$;"#,
    " n=tow-",
    env!("CARGO_PKG_VERSION"),
    r#"-$(uname -s)-$(uname -m);"#,
    // The program would be moved into it.
    r#" if test -d "$n"; then echo "$n is a folder" >&2; exit 65; fi;"#,
    r#" trap "rm -f $p" 0; trap "exit 65" 1 2 13 15;"#,
    r#" cat >$p && chmod 700 $p || exit 65;"#,
    r#" s=$(sha256sum <$p 2>/dev/null || shasum -a 256 <$p 2>/dev/null || openssl dgst -sha256 -r <$p 2>/dev/null)"#,
    r#" || exit 67;"#,
    r#" case $s in "$h"*) ;; *) exit 66;; esac;"#,
    " ",
    limited!(),
    r#"; $l ./$p --version >/dev/null </dev/null || exit 68;"#,
    r#" mv -f $p "$n" || exit 65'"#
);

/// Why this program is not there now.
#[derive(Debug, thiserror::Error)]
pub enum InstallFault {
    #[error("this tow is for {here}, and that is {there}: install towd there")]
    OtherSystem { here: String, there: String },
    #[error("this program cannot be read ({0})")]
    Unreadable(io::Error),
    #[error("ssh cannot be started ({0})")]
    NoSsh(io::Error),
    #[error("{}", in_words(.0))]
    Ssh(String),
    #[error("~/.local/share/towpath/bin cannot be written there: {0}")]
    NotWritten(String),
    #[error("what arrived there is not what was sent: its SHA-256 differs; it was removed")]
    HashDiffers,
    #[error("nothing there can check what arrived (sha256sum, shasum or openssl); it was removed")]
    NoHash,
    #[error("this tow does not run there: {0}; it was removed. Install towd there")]
    DoesNotRun(String),
    #[error("it was not done within {} minutes", INSTALL_TIME.as_secs() / 60)]
    TimedOut,
    #[error("it ended early: {0}")]
    Ended(String),
}

/// What a person is asked first. `there` as [`install`] takes it.
pub fn question(host: &SshHost, there: &str, found: &Found) -> String {
    let host = shown(host);
    let place = place(there);
    match found {
        Found::MuteCopy { fault, said } => {
            let why = mute(fault, said);
            format!(
                "The tow on {host} ({there}) begins no session: {why}. Replace {place} there by this tow?"
            )
        }
        _ => format!(
            "Neither towd nor this version of tow is on {host} ({there}). Copy this tow to {place} there?"
        ),
    }
}

/// Why a copy is of no use.
pub(super) fn mute(fault: &GreetingFault, said: &str) -> String {
    let why = match fault {
        // The fault's own text also guesses at another program, which is no question here.
        GreetingFault::Silent { .. } => "it hangs".to_owned(),
        GreetingFault::ClosedAtOnce | GreetingFault::Lost(_) => "it ends at once".to_owned(),
        GreetingFault::NotTowpath { .. } => "it is something else".to_owned(),
        other => other.to_string(),
    };
    if said.is_empty() { why } else { format!("{why}; it said: {said}") }
}

/// What a person is told afterwards.
pub fn done(host: &SshHost) -> String {
    format!("tow is now {} on {}", place(&here()), shown(host))
}

fn shown(host: &SshHost) -> DisplayName<'_> {
    DisplayName::new(host.host.as_bytes())
}

/// Copies this program to `host`, which said that it is `there` (`uname -s` and `-m`). Needs nothing but ssh, offline too.
pub async fn install(host: &SshHost, there: &str, prompts: Prompts<'_>) -> Result<(), InstallFault> {
    let here = here();
    if here != there {
        return Err(InstallFault::OtherSystem { here, there: there.to_owned() });
    }
    let program = tokio::task::spawn_blocking(own_program).await;
    let program = program.unwrap_or_else(|panicked| Err(io::Error::other(panicked)));
    let program = program.map_err(InstallFault::Unreadable)?;
    timeout(INSTALL_TIME, send(host, prompts, &program)).await.map_err(|_elapsed| InstallFault::TimedOut)?
}

async fn send(host: &SshHost, prompts: Prompts<'_>, program: &[u8]) -> Result<(), InstallFault> {
    let mut command = command_of(host, prompts, INSTALL).await;
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(InstallFault::NoSsh)?;
    let (Some(mut stdin), Some(stderr)) = (child.stdin.take(), child.stderr.take()) else {
        return Err(InstallFault::NoSsh(io::Error::other("it has no pipes")));
    };
    let last_words = LastWords::of(stderr);
    let hash =
        digest(&SHA256, program).as_ref().iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    let sending = async move {
        stdin.write_all(format!("{hash}\n").as_bytes()).await?;
        stdin.write_all(program).await?;
        stdin.shutdown().await
    };
    // Where it failed, how ssh ended tells why.
    let sent = sending.await;
    let status = child.wait().await.map_err(InstallFault::NoSsh)?;
    let said = last_words.text().await;
    judge(status, said)?;
    sent.map_err(|error| InstallFault::Ended(error.to_string()))
}

fn judge(status: ExitStatus, said: String) -> Result<(), InstallFault> {
    match status.code() {
        Some(0) => Ok(()),
        Some(255) => Err(InstallFault::Ssh(said)),
        Some(65) => Err(InstallFault::NotWritten(said)),
        Some(66) => Err(InstallFault::HashDiffers),
        Some(67) => Err(InstallFault::NoHash),
        Some(68) => Err(InstallFault::DoesNotRun(said)),
        _ => Err(InstallFault::Ended(if said.is_empty() { status.to_string() } else { said })),
    }
}

/// The program that runs, also where another has taken its name since.
#[allow(clippy::disallowed_methods, reason = "this program's own executable, which no peer names")]
fn own_program() -> io::Result<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let file = match rustix::fs::open("/proc/self/exe", flags, Mode::empty()) {
        Ok(file) => file,
        Err(_) => rustix::fs::open(std::env::current_exe()?, flags, Mode::empty())?,
    };
    let mut program = Vec::new();
    File::from(file).read_to_end(&mut program)?;
    Ok(program)
}

/// What this program was built for, as `uname -s` and `-m` say it.
fn here() -> String {
    let system = match std::env::consts::OS {
        "linux" => "Linux",
        "macos" => "Darwin",
        "freebsd" => "FreeBSD",
        other => other,
    };
    let processor = match (std::env::consts::OS, std::env::consts::ARCH) {
        ("macos", "aarch64") => "arm64",
        ("freebsd", "x86_64") => "amd64",
        (_, "x86") => "i686",
        (_, "arm") => "armv7l",
        (_, other) => other,
    };
    format!("{system} {processor}")
}
