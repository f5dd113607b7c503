//! `tow`: reads the command line and starts one job, the prompt, or the two panes.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use towpath::cli;
use towpath::cli::args::Args;
use towpath::cli::exit::Exit;
use towpath_files::root::{RootSpec, local_path};
use towpath_files::service::{Service, ServiceConfig};
use towpath_protocol::hello::Access;

fn main() -> ExitCode {
    let args = Args::parse();
    match start(args) {
        Ok(exit) => ExitCode::from(exit as u8),
        Err(error) => {
            cli::output::error(&format!("{error:#}"));
            ExitCode::from(Exit::Partly as u8)
        }
    }
}

fn start(args: Args) -> anyhow::Result<Exit> {
    let home = std::env::home_dir().and_then(|home| local_path(&home).ok()).unwrap_or_default();
    let local = ServiceConfig { root: RootSpec::Whole, access: Access::ReadWrite, home };
    let local = Arc::new(Service::new(local)?);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let exit = match args.command {
        Some(command) => runtime.block_on(cli::run(command, local)),
        None => Exit::Usage,
    };
    Ok(exit)
}
