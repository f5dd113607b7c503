//! `tow`: reads the command line and starts one job, the prompt, or the two panes.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::CommandFactory;
use towpath::cli;
use towpath::cli::args::{Args, Command};
use towpath::cli::command_word;
use towpath::cli::exit::{Exit, Failure};
use towpath::cli::ssh::Consent;
use towpath::config::{Settings, given_code};
use towpath::link::keyring::Keyring;
use towpath::model::bookmarks::Bookmarks;
use towpath::shell;
use towpath::shell::panes::Opening;
use towpath_files::asides::Asides;
use towpath_files::root::{RootSpec, home_folder};
use towpath_files::service::{Service, ServiceConfig, StoreLimits};
use towpath_protocol::fault::Fault;
use towpath_protocol::hello::Access;

fn main() -> ExitCode {
    let typed: Vec<OsString> = std::env::args_os().collect();
    if let Some(exit) = cli::askpass::asked(&typed) {
        return exit;
    }
    let (state_dir, code) = match Args::read(&typed, is_there) {
        Ok(args) if args.join => return cli::stdio::join(),
        Ok(args) if args.stdio => {
            return serve(args.state_dir).unwrap_or_else(|error| ExitCode::from(told(&error)));
        }
        Ok(args) => (args.state_dir.clone(), start(args).unwrap_or_else(|error| told(&error))),
        Err(said) => (command_word::named_state_dir(&typed), answer(said)),
    };
    if code != 0
        && let Some(state_dir) = Settings::resolve(state_dir, |name| std::env::var_os(name)).state_dir
    {
        let command = command_word::name(&Args::command(), &typed);
        shell::log::failed(&state_dir, &command, code, cli::output::errors());
    }
    ExitCode::from(code)
}

fn told(error: &anyhow::Error) -> u8 {
    cli::output::error(&format!("{error:#}"));
    Exit::Partly as u8
}

/// To `--help` and `--version`, and to what makes no sense.
fn answer(said: Result<String, Failure>) -> u8 {
    match said.map(|text| cli::output::write_line(text.trim_end())) {
        Ok(Ok(())) => 0,
        Ok(Err(error)) => refusal(&error.into()),
        Err(failure) => refusal(&failure),
    }
}

/// The files of this machine.
fn files() -> ServiceConfig {
    ServiceConfig { root: RootSpec::Whole, access: Access::ReadWrite, home: home_folder() }
}

/// One session on standard input and output.
fn serve(state_dir: Option<PathBuf>) -> anyhow::Result<ExitCode> {
    let settings = Settings::resolve(state_dir, |name| std::env::var_os(name));
    let local = Arc::new(restoring(Service::new(files())?, settings.state_dir.as_deref()));
    cli::stdio::gain_no_rights();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let exit = runtime.block_on(cli::stdio::serve(local))?;
    // An uninterruptible read of standard input is left behind.
    runtime.shutdown_background();
    Ok(ExitCode::from(exit as u8))
}

/// One job, the prompt, or the panes. Returns the exit code.
fn start(args: Args) -> anyhow::Result<u8> {
    let settings = match Settings::resolve(args.state_dir, |name| std::env::var_os(name)).configured() {
        Ok(settings) => settings,
        Err(error) => return Ok(refusal(&Failure::usage(format!("{error:#}")))),
    };
    let limits = StoreLimits { parts_kept: settings.parts_kept, ..StoreLimits::default() };
    let local = Arc::new(restoring(Service::with_limits(files(), limits)?, settings.state_dir.as_deref()));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    // An empty code is as good as none where a person can be asked for one; a script is told that it is empty.
    let is_asked = cli::output::is_interactive();
    let variable = |name: &str| std::env::var_os(name).filter(|value| !is_asked || !value.is_empty());
    let given = given_code(args.pair_file, variable);
    let name = settings.client_name.clone();
    let keyring = Arc::new(Keyring::new(settings.state_dir.clone(), name, given).with_wire(settings.wire));
    let consent = if args.install { Consent::Given } else { Consent::Asked };
    let (command, connect) = match args.command {
        Some(Command::Connect(connect)) => (None, Some(connect.target)),
        command => (command, None),
    };
    let opens_connect = connect == Some(None);
    let connect = args.connect.or_else(|| connect.flatten());
    if let Some(command) = command {
        let exit = runtime.block_on(cli::run(command, local, (keyring, &settings), consent));
        // A thread that still waits for a line of input is left behind.
        runtime.shutdown_timeout(Duration::from_secs(2));
        return Ok(exit as u8);
    }
    let filter = settings.log_filter.as_deref();
    let log = settings.state_dir.as_deref().and_then(|folder| shell::log::start(folder, filter));
    shell::panic::install(log);
    let bookmarks = &settings.bookmarks;
    let expanded = |typed: Option<OsString>| typed.map(|typed| bookmarks.expand(&typed));
    if let Some(failure) = no_command(args.left.as_deref(), bookmarks) {
        return Ok(refusal(&failure));
    }
    let (left, right) = (expanded(args.left), expanded(args.right.or(connect)));
    let opening = Opening { left, right, opens_connect };
    let ready = match runtime.block_on(shell::panes::connect_first(&opening, consent, &keyring)) {
        Ok(ready) => ready,
        Err(failure) => return Ok(refusal(&failure)),
    };
    let panes = runtime.block_on(shell::panes::run(opening, &settings, local, keyring, ready));
    runtime.shutdown_timeout(Duration::from_secs(2));
    panes.or_else(|error| Ok(refusal(&not_opened(&error))))
}

/// Refuses a first operand that is neither a folder nor a bookmark.
fn no_command(left: Option<&OsStr>, bookmarks: &Bookmarks) -> Option<Failure> {
    let word = left.filter(|word| !is_there(word) && bookmarks.expand(word) == **word)?;
    command_word::no_command(&Args::command(), word)
}

/// Returns whether this machine has a file or folder of that name.
#[allow(clippy::disallowed_methods, reason = "an operand of the person who runs this program")]
fn is_there(operand: &OsStr) -> bool {
    Path::new(operand).symlink_metadata().is_ok()
}

/// With a place to write down what a move sets aside. What an interrupted move left aside gets its name back, and that is said.
fn restoring(mut service: Service, state_dir: Option<&Path>) -> Service {
    if let Some(state_dir) = state_dir {
        let asides = Asides::at(state_dir.join("client/asides"));
        for found in asides.restore() {
            cli::output::error(&found.to_string());
        }
        service.write_asides_down(asides);
    }
    service
}

/// The screen never came up: a pane's folder is not there, what was typed makes no sense, or there is no terminal.
fn not_opened(error: &anyhow::Error) -> Failure {
    let exit = error.downcast_ref::<Fault>().map_or(Exit::Usage, Exit::of);
    Failure { exit, message: format!("{error:#}") }
}

fn refusal(failure: &Failure) -> u8 {
    if !failure.message.is_empty() {
        cli::output::error(&failure.message);
    }
    failure.exit as u8
}
