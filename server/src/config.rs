//! Arguments and the configuration file → one resolved [`Config`]. It may not open a socket nor a root.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use serde::Deserialize;

use crate::clients::{ClientName, given_name};
use crate::limits::{self, Limits};
use crate::rights::RightsArgs;

/// Where towd listens if nobody says otherwise.
const LISTEN_DEFAULT: &str = "127.0.0.1:7171";

/// What is missing where nothing names a state folder.
pub(crate) const NO_STATE_DIR: &str = "no folder for towd's key: set HOME, or name one with --state-dir";

/// The headless server of Towpath: serves one folder to tow.
#[allow(clippy::struct_excessive_bools, reason = "flags as they are typed")]
#[derive(Debug, Parser)]
#[command(name = "towd", version, about, max_term_width = 100)]
struct Args {
    #[command(subcommand)]
    errand: Option<ErrandArgs>,
    /// The folder to serve; nothing leads out of it [default: the current folder; with --stdio the whole file system]
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Listen on this address, for paired clients (TLS 1.3). Port 0 takes a free port. May be given several times
    /// [default: 127.0.0.1:7171]
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Vec<String>,
    /// Listen on a unix socket, for this user only
    #[arg(long, value_name = "PATH")]
    unix: Option<PathBuf>,
    /// Serve one session on standard input and output, as `ssh HOST towd --stdio` does
    #[arg(long, conflicts_with_all = ["listen", "unix"])]
    stdio: bool,
    /// Make standard input and output a further stream of a session that `--stdio` serves here, as tow does over one ssh
    /// connection
    #[arg(long, conflicts_with_all = ["root", "listen", "unix", "stdio", "read_only", "audit", "limit", "config", "json"])]
    join: bool,
    /// Refuse every change, whoever asks
    #[arg(long)]
    read_only: bool,
    /// Write every session, refusal and change into FILE, one JSON line each
    #[arg(long, value_name = "FILE")]
    audit: Option<PathBuf>,
    /// Move a limit, see below. May be given several times
    #[arg(long, value_name = "NAME=VALUE")]
    limit: Vec<String>,
    /// Take `root`, `listen`, `unix`, `read_only`, `audit` and `[limits]` from a TOML file; arguments win
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print what is listened on as one JSON line, and log as JSON, an object a line on standard error
    #[arg(long)]
    json: bool,
    /// Where towd keeps its key and the list of paired clients [env: `TOW_STATE_DIR`] [default: `$XDG_STATE_HOME/towpath`]
    #[arg(long, value_name = "DIR", global = true)]
    state_dir: Option<PathBuf>,
}

/// What is done at once, for a towd that runs or not.
#[derive(Debug, Subcommand)]
enum ErrandArgs {
    /// Print a new pairing code, for every towd of this state folder: open for ten minutes, for one client, which
    /// may then do what is said here, or everything
    Pair {
        /// The client's name in `towd clients`, the log and the audit log; without it, what the client calls itself, user@host
        #[arg(long, value_name = "NAME", value_parser = given_name)]
        name: Option<ClientName>,
        #[command(flatten)]
        rights: RightsArgs,
    },
    /// List the paired clients and what they may do
    Clients {
        #[command(subcommand)]
        change: Option<ClientsArgs>,
    },
}

fn client_number(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| "not a client's number, e.g. 1; `towd clients` lists them".to_owned())
}

#[derive(Debug, Subcommand)]
enum ClientsArgs {
    /// Take a client off the list; its sessions end
    Remove {
        /// As `towd clients` numbers it
        #[arg(value_parser = client_number)]
        id: u32,
    },
    /// Give a client another name. Sessions that are open keep the one before in the log
    Rename {
        /// As `towd clients` numbers it
        #[arg(value_parser = client_number)]
        id: u32,
        /// The new name
        #[arg(value_parser = given_name)]
        name: ClientName,
    },
    /// Change what a client may do; its sessions end, and come back with that
    Set {
        /// As `towd clients` numbers it
        #[arg(value_parser = client_number)]
        id: u32,
        #[command(flatten)]
        rights: RightsArgs,
    },
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
    /// Relative to the file's own folder.
    audit: Option<PathBuf>,
    #[serde(default)]
    limits: BTreeMap<String, NumberOrText>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "a number, or a text such as \"64MiB\"")]
enum NumberOrText {
    Number(u64),
    Text(String),
}

#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "an address such as \"127.0.0.1:7171\", or a list of them")]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// What towd is to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Serve(Box<Config>),
    Join,
    Errand { errand: Errand, state_dir: PathBuf },
}

/// What is done at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Errand {
    Pair(Option<ClientName>, RightsArgs),
    ListClients,
    RemoveClient(u32),
    RenameClient(u32, ClientName),
    SetClient(u32, RightsArgs),
}

/// How to serve.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Config {
    /// Absolute; none for the whole file system.
    pub(crate) root: Option<PathBuf>,
    pub(crate) doors: Doors,
    pub(crate) read_only: bool,
    pub(crate) json: bool,
    /// Absolute.
    pub(crate) audit: Option<PathBuf>,
    /// The configuration file. Absolute.
    pub(crate) file: Option<PathBuf>,
    pub(crate) limits: Limits,
    /// Absolute; none where nothing names one.
    pub(crate) state_dir: Option<PathBuf>,
    /// The state folders that other `towd`s of this user have unless they name one. Absolute.
    pub(crate) other_state_dirs: Vec<PathBuf>,
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

impl Order {
    pub(crate) fn resolve(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, ConfigError> {
        let command = Args::command().after_help(limits::help());
        let matches = command.try_get_matches_from(arguments).map_err(ConfigError::Arguments)?;
        if let Some(conflict) = serving_option(&matches) {
            return Err(ConfigError::Arguments(conflict));
        }
        let args = Args::from_arg_matches(&matches).map_err(ConfigError::Arguments)?;
        Self::of(args).map_err(ConfigError::Other)
    }

    fn of(mut args: Args) -> anyhow::Result<Self> {
        let state_dirs = state_dirs(args.state_dir.take(), |name| std::env::var_os(name));
        let state_dirs = state_dirs.iter().map(std::path::absolute).collect::<Result<Vec<_>, _>>();
        let mut state_dirs = state_dirs.context("--state-dir")?.into_iter();
        let state_dir = state_dirs.next();
        let errand = match args.errand {
            None if args.join => return Ok(Self::Join),
            None => {
                let config = Config::merge(args, state_dir, state_dirs.collect())?;
                return Ok(Self::Serve(Box::new(config)));
            }
            Some(ErrandArgs::Pair { name, rights }) => Errand::Pair(name, rights),
            Some(ErrandArgs::Clients { change: None }) => Errand::ListClients,
            Some(ErrandArgs::Clients { change: Some(ClientsArgs::Set { id, rights }) }) => {
                ensure!(!rights.is_empty(), "nothing to change: --folder, --allow, --read-only or --quota");
                Errand::SetClient(id, rights)
            }
            Some(ErrandArgs::Clients { change: Some(ClientsArgs::Rename { id, name }) }) => {
                Errand::RenameClient(id, name)
            }
            Some(ErrandArgs::Clients { change: Some(ClientsArgs::Remove { id }) }) => {
                Errand::RemoveClient(id)
            }
        };
        let state_dir = state_dir.context(NO_STATE_DIR)?;
        Ok(Self::Errand { errand, state_dir })
    }
}

/// Refuses an option of serving that stands before an errand's word; `--state-dir` alone is for both.
fn serving_option(matches: &ArgMatches) -> Option<clap::Error> {
    let errand = matches.subcommand_name()?;
    let mut command = Args::command();
    let is_given = |arg: &&Arg| {
        let id = arg.get_id().as_str();
        id != "state_dir"
            && matches.try_contains_id(id).is_ok()
            && matches.value_source(id) == Some(ValueSource::CommandLine)
    };
    let option = command.get_arguments().find(is_given)?.get_long().unwrap_or_default().to_owned();
    Some(command.error(ErrorKind::ArgumentConflict, format!("--{option} is for serving, not for '{errand}'")))
}

/// All state folders that are named, nearest first; an empty or, but for `TOW_STATE_DIR`, a relative variable names none.
fn state_dirs(named: Option<PathBuf>, variable: impl Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let variable = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let absolute = |name: &str| variable(name).filter(|path| path.is_absolute());
    let all = [
        named,
        variable("TOW_STATE_DIR"),
        absolute("XDG_STATE_HOME").map(|home| home.join("towpath")),
        absolute("HOME").map(|home| home.join(".local/state/towpath")),
    ];
    all.into_iter().flatten().collect()
}

impl Config {
    fn merge(args: Args, state_dir: Option<PathBuf>, other_state_dirs: Vec<PathBuf>) -> anyhow::Result<Self> {
        let (file, mut limits) = args.config.as_deref().map(read_file).transpose()?.unwrap_or_default();
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
        let audit = args.audit.or(file.audit);
        let audit = audit.map(|path| std::path::absolute(&path)).transpose().context("--audit")?;
        let named = args.config.as_deref().map(std::path::absolute).transpose().context("--config")?;
        for pair in &args.limit {
            limits.set_pair(pair).context("--limit")?;
        }
        let (json, file) = (args.json, named);
        Ok(Self { root, doors, read_only, json, audit, file, limits, state_dir, other_state_dirs })
    }
}

/// `.` and the like made absolute, `..` left to the system, which alone knows what it means behind a link.
fn absolute(path: &Path) -> anyhow::Result<PathBuf> {
    if path == Path::new(".") {
        return std::env::current_dir().context("the current folder");
    }
    std::path::absolute(path).with_context(|| format!("{}", path.display()))
}

fn read_file(path: &Path) -> anyhow::Result<(File, Limits)> {
    let shown = crate::log::shown(path);
    #[allow(clippy::disallowed_methods, reason = "towd's own configuration, nothing that a client names")]
    let text = std::fs::read_to_string(path).with_context(|| shown.clone())?;
    let mut file: File = toml::from_str(&text).with_context(|| shown.clone())?;
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    file.root = file.root.map(|root| folder.join(root));
    file.unix = file.unix.map(|unix| folder.join(unix));
    file.audit = file.audit.map(|audit| folder.join(audit));
    let mut limits = Limits::default();
    for (name, value) in &file.limits {
        let value = match value {
            NumberOrText::Number(number) => &number.to_string(),
            NumberOrText::Text(text) => text,
        };
        limits.set(name, value).context(shown.clone())?;
    }
    Ok((file, limits))
}
