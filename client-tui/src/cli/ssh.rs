//! Connecting over ssh while the terminal is free: ssh may ask its questions on it, and where nothing of ours is found, so does tow.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;

use super::{answers, output};
use crate::link::Link;
use crate::link::dial::install;
use crate::link::dial::ssh::{self, Prompts};
use crate::link::dial::{DialFault, Found};
use crate::link::keyring::Keyring;
use crate::model::target::SshHost;

/// Whether this program may be copied to a machine that has none of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consent {
    /// By `--install`.
    Given,
    /// A person on the terminal is asked; where there is none, nothing is copied.
    Asked,
}

/// The terminal as it was; a password's prompt that is cut off leaves it without an echo.
struct Echo(Option<Termios>);

impl Drop for Echo {
    fn drop(&mut self) {
        if let Some(modes) = &self.0 {
            // That the terminal is gone is no matter.
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, modes);
        }
    }
}

/// How much later than ssh's own end, which it brings about, an interrupt may be heard.
const INTERRUPT_TIME: Duration = Duration::from_millis(100);

/// A session on `host`; `typed` is its target, escaped for the terminal. Offers to put this program there if need be. An interrupt gives
/// it up.
pub async fn dial(
    host: &SshHost,
    typed: &str,
    consent: Consent,
    keyring: &Arc<Keyring>,
) -> Result<Link, DialFault> {
    let _echo = Echo(tcgetattr(io::stdin()).ok());
    let Ok(mut interrupts) = signal(SignalKind::interrupt()) else {
        return dial_on(host, typed, consent, keyring).await;
    };
    tokio::select! {
        dialled = dial_on(host, typed, consent, keyring) => match dialled {
            Err(DialFault::Ssh { .. }) if timeout(INTERRUPT_TIME, interrupts.recv()).await.is_ok() => {
                Err(DialFault::Interrupted)
            }
            dialled => dialled,
        },
        _ = interrupts.recv() => Err(DialFault::Interrupted),
    }
}

async fn dial_on(
    host: &SshHost,
    typed: &str,
    consent: Consent,
    keyring: &Arc<Keyring>,
) -> Result<Link, DialFault> {
    let link = match ssh::dial(host, Prompts::Terminal, keyring).await {
        Err(DialFault::NothingThere { system, found }) => {
            if !agreed(host, &system, &found, consent).await {
                return Err(DialFault::NothingThere { system, found });
            }
            install::install(host, &system, Prompts::Terminal).await?;
            output::note(&install::done(host));
            ssh::dial(host, Prompts::Terminal, keyring).await.map_err(DialFault::after_install)?
        }
        dialled => dialled?,
    };
    if let Some(noise) = link.noise() {
        output::note(&format!("tow: {typed}: skipped what the login shell there prints: '{noise}'"));
    }
    Ok(link)
}

async fn agreed(host: &SshHost, system: &str, found: &Found, consent: Consent) -> bool {
    if consent == Consent::Given {
        return true;
    }
    if !output::is_interactive() {
        return false;
    }
    answers::confirmed(&format!("{} [y/N]", install::question(host, system, found))).await.unwrap_or(false)
}
