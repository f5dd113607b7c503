//! Arguments and the configuration file → one resolved [`Config`]. It may not open a socket nor a root.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Parser;
use serde::Deserialize;

/// Where towd listens if nobody says otherwise.
const LISTEN_DEFAULT: &str = "127.0.0.1:7171";

/// The headless server of Towpath: serves one folder to tow.
#[derive(Debug, Parser)]
#[command(name = "towd", version, about, max_term_width = 100)]
struct Args {
    /// The folder to serve; nothing leads out of it [default: the current folder; with --stdio the whole file system]
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Listen on this address; a loopback one, since connections are not encrypted yet. Port 0 takes a free port. May be
    /// given several times [default: 127.0.0.1:7171]
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Vec<String>,
    /// Listen on a unix socket, for this user only
    #[arg(long, value_name = "PATH")]
    unix: Option<PathBuf>,
    /// Serve one session on standard input and output, as `ssh HOST towd --stdio` does
    #[arg(long, conflicts_with_all = ["listen", "unix"])]
    stdio: bool,
    /// Refuse every change
    #[arg(long)]
    read_only: bool,
    /// Take `root`, `listen`, `unix` and `read_only` from a TOML file; arguments win
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print what is listened on as one JSON line, and log as JSON, an object a line on standard error
    #[arg(long)]
    json: bool,
}

/// The configuration file. A key that it does not know is an error.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// Relative to the file's own folder.
    root: Option<PathBuf>,
    listen: Option<OneOrMany>,
    /// Relative to the file's own folder.
    unix: Option<PathBuf>,
    read_only: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "an address such as \"127.0.0.1:7171\", or a list of them")]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// What towd is to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Config {
    /// Absolute; none for the whole file system.
    pub(crate) root: Option<PathBuf>,
    pub(crate) doors: Doors,
    pub(crate) read_only: bool,
    pub(crate) json: bool,
}

/// Where clients come in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Doors {
    Stdio,
    Listen {
        addresses: Vec<String>,
        /// Absolute.
        unix: Option<PathBuf>,
    },
}

/// Why there is no [`Config`].
#[derive(Debug)]
pub(crate) enum ConfigError {
    /// Wrong arguments, or `--help` and `--version`, which clap knows how to answer.
    Arguments(clap::Error),
    Other(anyhow::Error),
}

impl Config {
    pub(crate) fn resolve(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, ConfigError> {
        let args = Args::try_parse_from(arguments).map_err(ConfigError::Arguments)?;
        Self::merge(args).map_err(ConfigError::Other)
    }

    fn merge(args: Args) -> anyhow::Result<Self> {
        let file = args.config.as_deref().map(read_file).transpose()?.unwrap_or_default();
        let doors = if args.stdio {
            Doors::Stdio
        } else {
            let unix = args.unix.or(file.unix);
            let unix = unix.map(|path| std::path::absolute(&path)).transpose().context("--unix")?;
            let in_file = match file.listen {
                Some(OneOrMany::One(address)) => vec![address],
                Some(OneOrMany::Many(addresses)) => addresses,
                None => Vec::new(),
            };
            let mut addresses = if args.listen.is_empty() { in_file } else { args.listen };
            if addresses.is_empty() && unix.is_none() {
                addresses.push(LISTEN_DEFAULT.to_owned());
            }
            Doors::Listen { addresses, unix }
        };
        let root = args.root.or(file.root).or_else(|| (!args.stdio).then(|| PathBuf::from(".")));
        let root = root.map(|path| absolute(&path)).transpose()?;
        let read_only = args.read_only || file.read_only.unwrap_or_default();
        Ok(Self { root, doors, read_only, json: args.json })
    }
}

/// `.` and the like made absolute, `..` left to the system, which alone knows what it means behind a link.
fn absolute(path: &Path) -> anyhow::Result<PathBuf> {
    if path == Path::new(".") {
        return std::env::current_dir().context("the current folder");
    }
    std::path::absolute(path).with_context(|| format!("{}", path.display()))
}

fn read_file(path: &Path) -> anyhow::Result<File> {
    let shown = crate::log::shown(path);
    #[allow(clippy::disallowed_methods, reason = "towd's own configuration, nothing that a client names")]
    let text = std::fs::read_to_string(path).with_context(|| shown.clone())?;
    let mut file: File = toml::from_str(&text).with_context(|| shown)?;
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    file.root = file.root.map(|root| folder.join(root));
    file.unix = file.unix.map(|unix| folder.join(unix));
    Ok(file)
}
