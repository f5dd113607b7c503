//! The command line: one-job commands and the prompt, for people and for scripts.
//!
//! It knows links and transfers, and nothing of the screen. What it prints, and its exit codes, are a promise to other
//! people's scripts.

mod answers;
pub mod args;
mod asking;
pub mod askpass;
mod code;
pub mod command_word;
mod copy;
pub mod exit;
mod forget;
mod help;
mod lines;
mod listed;
mod ls;
mod mkdir;
pub mod output;
pub mod patterns;
mod pinned;
mod place;
mod planned;
mod progress;
mod rm;
mod running;
mod shell;
mod size_command;
mod sources;
pub mod ssh;
pub mod stdio;
mod usage;

use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use towpath_files::service::Service;

use args::Command;
use copy::Word;
use exit::{Exit, Failure};
use pinned::Pins;
use place::Places;
use ssh::Consent;

use crate::config::Settings;
use crate::link::keyring::Keyring;

/// Runs one command to its end, with its errors on standard error.
pub async fn run(
    command: Command,
    local: Arc<Service>,
    (keyring, settings): (Arc<Keyring>, &Settings),
    consent: Consent,
) -> Exit {
    let pins = Pins::new(settings.state_dir.clone(), settings.parts_kept);
    let mut places = Places::new(local, keyring, settings.bookmarks.clone(), consent);
    // A transfer takes an interrupt itself, to leave nothing half; so does the prompt, which it does not end, and a removal, which says
    // what it leaves.
    let takes_interrupts = matches!(
        command,
        Command::Get(_)
            | Command::Put(_)
            | Command::Cp(_)
            | Command::Mv(_)
            | Command::Rm(_)
            | Command::Shell(_)
    );
    let outcome = tokio::select! {
        outcome = perform(command, &mut places, &pins) => outcome,
        () = interrupted(), if !takes_interrupts => Ok(Exit::Interrupted),
    };
    places.bye().await;
    outcome.unwrap_or_else(|failure| {
        if !failure.message.is_empty() {
            output::error(&failure.message);
        }
        failure.exit
    })
}

async fn perform(command: Command, places: &mut Places, pins: &Pins) -> Result<Exit, Failure> {
    match command {
        Command::Ls(args) => ls::run(&args, places).await,
        Command::Size(args) => size_command::run(&args, places).await,
        Command::Get(args) => copy::run(&args, Word::Get, places, pins).await,
        Command::Put(args) => copy::run(&args, Word::Put, places, pins).await,
        Command::Cp(args) => copy::run(&args, Word::Cp, places, pins).await,
        Command::Mv(args) => copy::run(&args, Word::Mv, places, pins).await,
        Command::Rm(args) => rm::run(&args, places).await,
        Command::Mkdir(args) => mkdir::run(&args, places).await,
        Command::Forget(args) => forget::run(&args, places).await,
        Command::Shell(args) => shell::run(&args, places).await,
        // The panes are another program's part.
        Command::Connect(_) => Err(Failure::usage("connect: opens the panes; it takes no other command")),
        // Answered where the command line is read.
        Command::Help(_) => Err(Failure::usage("help: takes a command or a topic")),
        Command::Find(_) => Err(reserved("find")),
        Command::Du(_) => Err(reserved("du")),
        Command::Sum(_) => Err(reserved("sum")),
        Command::Cat(_) => Err(reserved("cat")),
    }
}

fn reserved(word: &str) -> Failure {
    Failure::usage(format!("{word}: not available in this version; for a folder of that name write ./{word}"))
}

/// Ends when the person or the system asks the program to.
async fn interrupted() {
    let Ok(mut terminated) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminated.recv() => {}
    }
}
