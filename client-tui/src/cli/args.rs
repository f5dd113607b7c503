//! What was typed: flags and words, as clap reads them. Nothing is resolved here.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{ArgMatches, Args as ClapArgs, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use super::exit::Failure;
use super::patterns::{self, PatternArg};
use super::{command_word, help, usage};

/// Headings of the options.
const WHERE: &str = "Existing files";
const WHAT: &str = "What to copy";
const HOW: &str = "How to copy";
const OUTPUT: &str = "Output";
const GLOBAL: &str = "Global options";

/// Two panes, two machines: a file manager in the terminal.
#[derive(Debug, Parser)]
#[command(
    name = "tow",
    version,
    disable_help_subcommand = true,
    override_usage = "tow [OPTIONS] [LEFT [RIGHT]]\n       tow COMMAND …",
    after_help = help::ROOT
)]
pub struct Args {
    /// Folder or TARGET of the left pane [default: the current folder]
    pub left: Option<OsString>,
    /// Folder or TARGET of the right pane [default: the current folder]
    pub right: Option<OsString>,
    /// Open the current folder on the left and TARGET on the right
    #[arg(long, value_name = "TARGET", conflicts_with_all = ["left", "right"])]
    pub connect: Option<OsString>,
    /// Keep tow's key, known servers, journal and log in DIR [env: `TOW_STATE_DIR`] [default: `~/.local/state/towpath`]
    #[arg(long, value_name = "DIR", global = true, help_heading = GLOBAL)]
    pub state_dir: Option<PathBuf>,
    /// Read the pairing code for a first contact from FILE, which only its owner may read [env: `TOW_PAIR` has the code]
    #[arg(long, value_name = "FILE", global = true, help_heading = GLOBAL)]
    pub pair_file: Option<PathBuf>,
    /// Over ssh, copy this program to the host without asking if neither towd nor this tow is there
    #[arg(long, global = true, help_heading = GLOBAL)]
    pub install: bool,
    /// Serves one session on standard input and output, as towd --stdio does
    #[arg(long, hide = true, conflicts_with_all = ["left", "right", "connect", "pair_file", "install"])]
    pub stdio: bool,
    /// Makes standard input and output a further stream of a session that --stdio serves here, as towd --join does
    #[arg(long, hide = true, conflicts_with_all = ["left", "right", "connect", "pair_file", "install", "stdio"])]
    pub join: bool,
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// One job, no screen.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List a folder: sizes and names, the total last
    #[command(after_help = help::LS)]
    Ls(LsArgs),
    /// Print the size of a file, or of all files below a folder
    #[command(after_help = help::SIZE)]
    Size(SizeArgs),
    /// Copy from a TARGET to this machine
    #[command(override_usage = "tow get [OPTIONS] SOURCE… DEST", after_help = help::GET)]
    Get(TransferArgs),
    /// Copy from this machine to a TARGET
    #[command(override_usage = "tow put [OPTIONS] SOURCE… DEST", after_help = help::PUT)]
    Put(TransferArgs),
    /// Copy between any two sides
    #[command(override_usage = "tow cp [OPTIONS] SOURCE… DEST", after_help = help::CP)]
    Cp(TransferArgs),
    /// Move between any two sides
    #[command(override_usage = "tow mv [OPTIONS] SOURCE… DEST", after_help = help::MV)]
    Mv(TransferArgs),
    /// Remove files, links and folders
    #[command(after_help = help::RM)]
    Rm(RmArgs),
    /// Make folders
    #[command(after_help = help::MKDIR)]
    Mkdir(MkdirArgs),
    /// Forget the key of a server, so that the next contact pairs again
    #[command(after_help = help::FORGET)]
    Forget(ForgetArgs),
    /// Open a prompt with the words connme ls size upload download rm byebye
    #[command(after_help = help::SHELL)]
    Shell(ShellArgs),
    /// Open the two panes and connect to TARGET, or ask for one
    #[command(after_help = help::CONNECT)]
    Connect(ConnectArgs),
    /// Print the help of a command or a topic: copying, targets
    Help(HelpArgs),
    #[command(hide = true)]
    Find(ReservedArgs),
    #[command(hide = true)]
    Du(ReservedArgs),
    #[command(hide = true)]
    Sum(ReservedArgs),
    #[command(hide = true)]
    Cat(ReservedArgs),
}

/// Whatever follows a word that is promised and does nothing yet: it must not open a folder of that name meanwhile.
#[derive(Debug, ClapArgs)]
#[command(disable_help_flag = true)]
pub struct ReservedArgs {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub words: Vec<OsString>,
}

/// What every command's output can be.
#[derive(Debug, Clone, Copy, Default, ClapArgs)]
pub struct OutputArgs {
    /// Print one JSON object a line
    #[arg(long, help_heading = OUTPUT)]
    pub json: bool,
    /// Print errors only
    #[arg(long, short, conflicts_with = "progress", help_heading = OUTPUT)]
    pub quiet: bool,
    /// Show progress also without a terminal; with --json as objects
    #[arg(long, help_heading = OUTPUT)]
    pub progress: bool,
}

#[allow(clippy::struct_excessive_bools, reason = "flags as they are typed")]
#[derive(Debug, ClapArgs)]
#[command(disable_help_flag = true)]
pub struct LsArgs {
    /// Folders or files, here or on a TARGET
    #[arg(default_value = ".", value_name = "TARGET")]
    pub targets: Vec<OsString>,
    /// Print kind, mode and modification time too
    #[arg(short, long)]
    pub long: bool,
    /// Sort by name, size or time
    #[arg(long, value_enum, default_value_t = SortBy::Name, value_name = "ORDER", hide_possible_values = true)]
    pub sort: SortBy,
    /// Reverse the order
    #[arg(long)]
    pub reverse: bool,
    /// Show names that begin with a dot too
    #[arg(long, short)]
    pub all: bool,
    /// Print exact bytes
    #[arg(long, conflicts_with = "human")]
    pub bytes: bool,
    /// Print sizes in units that fit (kB, MB, GB)
    #[arg(long, short = 'h')]
    pub human: bool,
    /// Print help
    #[arg(long, action = clap::ArgAction::Help)]
    pub help: Option<bool>,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// What a listing is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SortBy {
    Name,
    Size,
    Time,
}

#[derive(Debug, ClapArgs)]
pub struct SizeArgs {
    /// Files or folders, here or on a TARGET
    #[arg(required = true)]
    pub targets: Vec<OsString>,
    #[command(flatten)]
    pub output: OutputArgs,
}

#[allow(clippy::struct_excessive_bools, reason = "flags as they are typed")]
#[derive(Debug, ClapArgs)]
pub struct TransferArgs {
    /// One SOURCE or more, then DEST
    // Two at least, which is not said here: clap would want them without a flag between them.
    #[arg(required = true, value_name = "OPERAND", hide = true)]
    pub operands: Vec<OsString>,
    /// Take DEST as the new name, even if it is an existing folder
    #[arg(short = 'T', long, help_heading = WHERE)]
    pub no_target_folder: bool,
    /// Leave out what matches PATTERN (gitignore's syntax without !); may be repeated, the first match decides
    #[arg(long, value_name = "PATTERN", help_heading = WHAT)]
    pub exclude: Vec<String>,
    /// Keep what matches PATTERN, whatever a later --exclude says
    #[arg(long, value_name = "PATTERN", help_heading = WHAT)]
    pub include: Vec<String>,
    /// Leave out what matches a pattern of FILE: lines as in .gitignore, or pieces between NUL bytes
    #[arg(long, value_name = "FILE", help_heading = WHAT)]
    pub exclude_from: Vec<PathBuf>,
    /// Copy only what FILE names, relative to each SOURCE: lines, or pieces between NUL bytes; - is standard input
    #[arg(long, value_name = "FILE", help_heading = WHAT)]
    pub files_from: Option<PathBuf>,
    /// The patterns of those options in their order.
    #[arg(skip)]
    pub patterns: Vec<PatternArg>,
    #[command(flatten)]
    pub conflicts: ConflictArgs,
    /// Do not wait for data to reach the disk: a power cut may undo the copy
    #[arg(long, help_heading = HOW)]
    pub no_sync: bool,
    /// Print what would be done and change nothing; exit 1 if something would fail, be skipped or asked about
    #[arg(short = 'n', long, help_heading = HOW)]
    pub dry_run: bool,
    /// Keep owner, group, special mode bits and extended attributes too, as far as the receiving side may set them
    #[arg(short, long, help_heading = WHAT)]
    pub preserve: bool,
    /// Compare contents instead of sizes and times
    #[arg(long, help_heading = WHERE)]
    pub checksum: bool,
    /// Copy symbolic links within SOURCE as what they lead to
    #[arg(long, help_heading = WHAT)]
    pub follow: bool,
    /// Do not exit with 1 because of fifos, sockets and devices, which are never copied
    #[arg(long, help_heading = WHAT)]
    pub skip_special: bool,
    /// Folders are always copied whole; accepted for the sake of habit
    #[arg(short = 'r', short_alias = 'a', long, hide = true)]
    pub recursive: bool,
    #[command(flatten)]
    pub output: OutputArgs,
}

#[derive(Debug, Clone, Copy, Default, ClapArgs)]
pub struct ConflictArgs {
    /// Replace an existing file that differs: ask, never, always, newer, different, resume or keep-both
    /// [default: ask on a terminal, else never]
    #[arg(long, value_enum, value_name = "WHEN", hide_possible_values = true, help_heading = WHERE)]
    pub overwrite: Option<Overwrite>,
}

/// What happens to a file that exists at the destination and differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Overwrite {
    /// Ask: one question for each kind of conflict
    Ask,
    /// Keep it and name it on standard error
    Never,
    /// Replace it
    Always,
    /// Replace it where the source was modified later
    Newer,
    /// Replace it where the content differs
    Different,
    /// Complete it where it is the beginning of the source, as its hash proves, else keep it
    Resume,
    /// Keep it, and call the new one `name (2).ext`
    KeepBoth,
}

#[derive(Debug, ClapArgs)]
pub struct RmArgs {
    /// Files, links or folders, here or on a TARGET
    #[arg(required = true)]
    pub targets: Vec<OsString>,
    /// Remove folders with everything in them
    #[arg(short, long, short_alias = 'R')]
    pub recursive: bool,
    /// Do not ask for confirmation
    #[arg(short, long)]
    pub yes: bool,
    #[command(flatten)]
    pub output: OutputArgs,
}

#[derive(Debug, ClapArgs)]
pub struct MkdirArgs {
    /// Folders to make, here or on a TARGET
    #[arg(required = true)]
    pub targets: Vec<OsString>,
    /// Make missing parents too; no error if the folder exists
    #[arg(short, long)]
    pub parents: bool,
    #[command(flatten)]
    pub output: OutputArgs,
}

#[derive(Debug, ClapArgs)]
pub struct ForgetArgs {
    /// Servers as they were typed: HOST, HOST:PORT, a tow:// target or a bookmark
    #[arg(required = true, value_name = "HOST")]
    pub hosts: Vec<OsString>,
    #[command(flatten)]
    pub output: OutputArgs,
}

#[derive(Debug, ClapArgs)]
pub struct ShellArgs {
    /// Connect to TARGET first
    #[arg(long, value_name = "TARGET")]
    pub connect: Option<OsString>,
    /// Let rm remove without confirmation
    #[arg(short, long)]
    pub yes: bool,
    #[command(flatten)]
    pub conflicts: ConflictArgs,
}

#[derive(Debug, ClapArgs)]
pub struct ConnectArgs {
    /// Folder or TARGET of the right pane
    pub target: Option<OsString>,
}

#[derive(Debug, ClapArgs)]
pub struct HelpArgs {
    /// A command, copying or targets
    #[arg(value_name = "TOPIC")]
    pub topic: Option<OsString>,
}

impl Args {
    /// Reads what was typed, the program's name first. Err is what to print on standard output where that was asked for (`--help`,
    /// `--version`), else why it makes no sense. `is_there` tells whether this machine has a file or folder of that name here.
    pub fn read(
        typed: &[OsString],
        is_there: impl Fn(&OsStr) -> bool,
    ) -> Result<Self, Result<String, Failure>> {
        let command = Self::command();
        let matches = command.clone().try_get_matches_from(command_word::word_first(&command, typed));
        let args = matches.and_then(|matches| Self::of(&matches));
        let args = args.map_err(|error| match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Ok(error.render().to_string()),
            _ => Err(mistyped_word(&command, typed, &is_there)
                .unwrap_or_else(|| Failure::usage(usage::in_one_line(&command, &error, typed, is_there)))),
        })?;
        match (&args.left, &args.command) {
            (None, Some(Command::Help(help))) => Err(help::of(command, help.topic.as_deref())),
            (Some(_), Some(_)) => Err(Err(Failure::usage(
                "the command's word stands before its operands; for a folder of that name write ./WORD",
            ))),
            _ => Ok(args),
        }
    }

    fn of(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut args = Self::from_arg_matches(matches)?;
        if let (
            Some(
                Command::Get(transfer)
                | Command::Put(transfer)
                | Command::Cp(transfer)
                | Command::Mv(transfer),
            ),
            Some((_, matches)),
        ) = (&mut args.command, matches.subcommand())
        {
            transfer.patterns = patterns::in_order(matches);
        }
        Ok(args)
    }
}

/// Finds a mistyped command in a line that clap refuses.
fn mistyped_word(
    command: &clap::Command,
    typed: &[OsString],
    is_there: &impl Fn(&OsStr) -> bool,
) -> Option<Failure> {
    let word = &typed[command_word::first_word(command, typed)?];
    if command_word::is_command(command, word) || is_there(word) {
        return None;
    }
    command_word::no_command(command, word)
}
