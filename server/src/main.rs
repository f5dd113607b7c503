//! `towd`, the headless server of Towpath: a thin shell around the file service. It turns arguments into doors, gives each
//! connection a session, and leaves in order when it is told to.
//!
//! It knows no client, no screen, and no files but its own. `config` resolves the arguments, `listen` holds the doors,
//! `gate` decides who comes in over TCP (by `clients`, the list, with the `rights` of each, and `pairing`, the code, with the
//! `penalties` of who guesses), `limits` is the table of all bounds, `prepare` is what is done before there are threads, `wall` is
//! what the kernel holds us to, `announce` prints what is ready, `log` is what the server says afterwards, `errand` is what is done
//! at once, and `served` which folders are.

mod announce;
mod clients;
mod config;
mod errand;
mod gate;
mod limits;
mod listen;
mod log;
mod pairing;
mod penalties;
mod prepare;
mod rights;
mod served;
#[cfg(test)]
#[path = "../../client-tui/tests/support/skip.rs"]
mod skip;
#[cfg(test)]
#[allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a fuzz test's body, over its seeds"
)]
#[path = "../fuzz/bodies/state.rs"]
mod state_seeds;
mod wall;

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::{Resource, Rlimit, geteuid, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use towpath_files::service::BLOCKING_THREADS_MAX;
use towpath_files::session::SessionEnd;
use towpath_protocol::display::DisplayName;
use towpath_stdio::Rendezvous;

use announce::Announcement;
use config::{Config, ConfigError, Doors, NO_STATE_DIR, Order};
use gate::Gate;
use limits::Limit;
use listen::unix::UnixDoor;
use listen::{Arrival, Host, stdio, tcp};
use log::audit::{Audit, AuditThread};
use log::{Log, shown};
use prepare::{Prepared, prepare};

/// Wrong usage, as documented.
const EXIT_USAGE: u8 = 2;
/// Could not start, or broke.
const EXIT_FAILED: u8 = 1;
/// Open files wanted: sessions, and what they read and write.
const OPEN_FILES_WANTED: u64 = 65_536;
/// Threads that work on files never takes: for letting clients in.
const GATE_THREADS: usize = 256;
/// After this the server leaves, whatever still runs.
const LEAVE_TIME: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let config = match Order::resolve(std::env::args_os()) {
        Ok(Order::Serve(config)) => config,
        Ok(Order::Join) => {
            return towpath_stdio::join()
                .map_or_else(|fault| fail(&fault.into(), EXIT_FAILED), |()| ExitCode::SUCCESS);
        }
        Ok(Order::Errand { errand, state_dir }) => {
            return errand::run(errand, &state_dir)
                .map_or_else(|error| fail(&error, EXIT_FAILED), |()| ExitCode::SUCCESS);
        }
        Err(ConfigError::Arguments(error)) => {
            return usage(&error);
        }
        Err(ConfigError::Other(error)) => return fail(&error, EXIT_USAGE),
    };
    match serve(&config) {
        Ok(code) => code,
        Err(Failure { code, error }) => fail(&error, code),
    }
}

/// Help and version go to standard output with 0, errors to standard error with 2, where what was typed is shown safely.
fn usage(error: &clap::Error) -> ExitCode {
    let text = error.render().to_string();
    if !error.use_stderr() {
        return announce::print(&text).map_or_else(|error| fail(&error, EXIT_FAILED), |()| ExitCode::SUCCESS);
    }
    complain(text.strip_prefix("error: ").unwrap_or(&text));
    ExitCode::from(EXIT_USAGE)
}

/// From one thread to many, and to the end of them all.
fn serve(config: &Config) -> Result<ExitCode, Failure> {
    let cannot_raise = raise_open_files().err();
    let Prepared { service, addresses, audit, warnings } = prepare(config)?;
    let (audit, audit_start) = audit.map(Audit::new).unzip();
    let (log, log_thread) = Log::start(config.json, audit).context("cannot start")?;
    let audit_thread = audit_start.map(|start| start.run(log.clone())).transpose().context("cannot start")?;
    for warning in warnings.into_iter().chain(cannot_raise) {
        log.warning(&warning);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS_MAX + GATE_THREADS)
        .build()
        .context("cannot start")?;
    let service = Arc::new(service);
    let host = Arc::new(Host::new(service.clone(), config.limits.clone(), log));
    let outcome = runtime.block_on(async {
        match &config.doors {
            Doors::Stdio => serve_stdio(&host).await,
            Doors::Listen { unix, .. } => listen(config, &addresses, unix.as_deref(), &host).await,
        }
    });
    service.finish_remembering();
    audit_thread.into_iter().for_each(AuditThread::end);
    log_thread.end();
    // Work that did not stop in time, and a read of standard input that nobody can interrupt, are left behind.
    runtime.shutdown_background();
    outcome
}

/// Why towd did not run, and its exit code.
struct Failure {
    code: u8,
    error: anyhow::Error,
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self { code: EXIT_FAILED, error }
    }
}

fn fail(error: &anyhow::Error, code: u8) -> ExitCode {
    complain(&format!("{error:#}"));
    ExitCode::from(code)
}

/// `towd: WHAT` on standard error, safe for a terminal line by line: what was typed or configured may be quoted in it.
fn complain(what: &str) {
    let lines = what.trim_end().lines().map(|line| DisplayName::new(line.as_bytes()).to_string());
    let _ = writeln!(std::io::stderr(), "towd: {}", lines.collect::<Vec<_>>().join("\n"));
}

/// One session on standard input and output, and its further streams.
async fn serve_stdio(host: &Arc<Host>) -> Result<ExitCode, Failure> {
    let (reader, writer) = towpath_stdio::open().context("standard input and output")?;
    let mut signals = Signals::new()?;
    let rendezvous = stdio::rendezvous(&host.limits);
    let ticket = rendezvous.as_ref().map(Rendezvous::ticket);
    let arrival = Arrival::now(stdio::peer(), None, host.limits.seconds(Limit::GreetingSeconds));
    let arrival = arrival.found_by(ticket);
    if let Some(rendezvous) = rendezvous {
        tokio::spawn(host.clone().accept_joiners(rendezvous));
    }
    let session = host.serve(reader, writer, arrival, None);
    tokio::pin!(session);
    let end = tokio::select! {
        end = &mut session => end,
        () = signals.first() => {
            host.leaving.cancel();
            tokio::select! {
                end = session => end,
                code = signals.second() => return Ok(code),
                () = tokio::time::sleep(LEAVE_TIME) => SessionEnd::Drained,
            }
        }
    };
    Ok(match end {
        SessionEnd::Bye | SessionEnd::Drained | SessionEnd::Silent | SessionEnd::Lost(None) => {
            ExitCode::SUCCESS
        }
        _ => ExitCode::from(EXIT_FAILED),
    })
}

/// Opens all doors, says so, and serves until a signal.
async fn listen(
    config: &Config,
    addresses: &[SocketAddr],
    unix: Option<&Path>,
    host: &Arc<Host>,
) -> Result<ExitCode, Failure> {
    let mut signals = Signals::new()?;
    let listeners: Vec<_> = addresses.iter().map(|address| tcp::bind(*address)).collect::<Result<_, _>>()?;
    let door = unix.map(UnixDoor::bind).transpose()?;
    let gate = if listeners.is_empty() { None } else { Some(open_gate(config, host)?) };
    let pair = gate.as_deref().map(Gate::first_code).transpose().context("a pairing code")?.flatten();
    let paired = gate.as_deref().map(Gate::clients).transpose().map_err(anyhow::Error::from)?;
    let bound: std::io::Result<Vec<SocketAddr>> = listeners.iter().map(TcpListener::local_addr).collect();
    let bound = bound.context("--listen")?;
    warn(config, &bound, &host.log);
    let root = shown(config.root.as_deref().unwrap_or_else(|| Path::new("/")));
    let fingerprint = gate.as_deref().map(Gate::fingerprint);
    let (pair, paired) = (pair.as_ref(), paired.as_ref());
    if let (Some(gate), Some(root)) = (&gate, &config.root)
        && let Err(fault) = gate.note_root(root)
    {
        host.log.warning(&format!("`towd clients set --folder` cannot look for folders here: {fault}"));
    }
    let read_only = config.read_only;
    Announcement { root: &root, addresses: &bound, unix, read_only, fingerprint, pair, paired }
        .print(config.json)?;

    if let Some(gate) = gate {
        for listener in listeners {
            host.sessions.spawn(host.clone().accept_tcp(listener, gate.clone()));
        }
        gate.watch(host.leaving.clone()).context("cannot start")?;
    }
    if let Some(door) = door {
        host.sessions.spawn(host.clone().accept_unix(door));
    }
    host.sessions.close();

    signals.first().await;
    let open = host.sessions.len().saturating_sub(addresses.len() + usize::from(unix.is_some()));
    let sessions = if open == 1 { "session is" } else { "sessions are" };
    host.log.info(&format!("leaving; {open} {sessions} told"));
    host.leaving.cancel();
    tokio::select! {
        () = host.sessions.wait() => Ok(ExitCode::SUCCESS),
        code = signals.second() => Ok(code),
        () = tokio::time::sleep(LEAVE_TIME) => {
            host.log.warning("some requests did not come to an end in time and are cut off");
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// With the key that clients know this server by.
fn open_gate(config: &Config, host: &Host) -> Result<Arc<Gate>, Failure> {
    let state = config.state_dir.as_deref().context(NO_STATE_DIR)?;
    Ok(Arc::new(Gate::open(state, host.service.clone(), host.limits.clone(), host.log.clone())?))
}

fn warn(config: &Config, addresses: &[SocketAddr], log: &Log) {
    if !geteuid().is_root() || config.read_only {
        return;
    }
    let wide = addresses.iter().find(|address| !address.ip().to_canonical().is_loopback());
    let wide = wide.map(|address| format!(", from other machines too ({address})")).unwrap_or_default();
    log.warning(&format!(
        "towd runs as root: whoever is let in can change every file below the served folder{wide}"
    ));
}

/// SIGINT and SIGTERM: the first asks to leave in order, the second to leave at once.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// Nobody waits for it. A file that grows beyond what this process may write (`ulimit -f`) fails alone, since somebody could.
    _file_too_large: Signal,
}

impl Signals {
    fn new() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).context("signals");
        let interrupt = listen(SignalKind::interrupt())?;
        let terminate = listen(SignalKind::terminate())?;
        let file_too_large = listen(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?;
        Ok(Self { interrupt, terminate, _file_too_large: file_too_large })
    }

    async fn first(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    /// With the exit code that shells give a program that such a signal ended.
    async fn second(&mut self) -> ExitCode {
        tokio::select! {
            _ = self.interrupt.recv() => ExitCode::from(130),
            _ = self.terminate.recv() => ExitCode::from(143),
        }
    }
}

/// As many open files as the system lets this user have, within reason.
fn raise_open_files() -> Result<(), String> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(OPEN_FILES_WANTED, |maximum| maximum.min(OPEN_FILES_WANTED));
    if current.is_some_and(|current| current < wanted)
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum })
    {
        return Err(format!("the limit of open files cannot be raised to {wanted}: {error}"));
    }
    Ok(())
}
