//! What was typed: flags and words, as clap reads them. Nothing is resolved here.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args as ClapArgs, CommandFactory, Parser, Subcommand, ValueEnum};

use super::command_word;
use super::exit::Failure;

const TARGETS: &str = "\
A TARGET is a local folder or file, or one of
  tow://HOST[:PORT]/[PATH]         a towd over TLS (port 7171); PATH is relative to its root
  ssh://[USER@]HOST[:PORT]/[PATH]  the system's ssh; PATH is absolute, ~/PATH and none are in the home folder
  unix:SOCKET_FILE[?path=PATH]     a towd on this machine
  NAME[:PATH]                      a bookmark; ./NAME is the file of that name
A subcommand's word wins over a folder of that name: write ./ls for the folder.

Exit codes: 0 done; 1 some items failed or were skipped; 2 wrong usage; 3 could not connect; 4 not found;
5 permission denied; 130 interrupted.";

/// Two panes, two machines: a file manager in the terminal.
#[derive(Debug, Parser)]
#[command(name = "tow", version, after_help = TARGETS)]
pub struct Args {
    /// What the left pane shows: a folder or a TARGET [default: the current folder]
    pub left: Option<OsString>,
    /// What the right pane shows: a folder or a TARGET [default: the current folder]
    pub right: Option<OsString>,
    /// Opens the current folder on the left and TARGET on the right
    #[arg(long, value_name = "TARGET", conflicts_with_all = ["left", "right"])]
    pub connect: Option<OsString>,
    /// Where tow keeps its key, the servers that it knows, and its log [env: `TOW_STATE_DIR`] [default: `$XDG_STATE_HOME/towpath`]
    #[arg(long, value_name = "DIR", global = true)]
    pub state_dir: Option<PathBuf>,
    /// Reads the pairing code for a first contact from FILE, which others may not read; `TOW_PAIR` is the other way
    #[arg(long, value_name = "FILE", global = true)]
    pub pair_file: Option<PathBuf>,
    /// Over ssh, where neither towd nor this tow is found: copies this program to ~/.local/share/towpath/bin there without asking
    #[arg(long, global = true)]
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
    /// Lists a folder: sizes and names, the total last
    Ls(LsArgs),
    /// Prints the size of a file, or of all files below a folder
    Size(SizeArgs),
    /// Copies from a TARGET to this machine
    #[command(override_usage = "tow get [OPTIONS] SOURCE… DEST")]
    Get(TransferArgs),
    /// Copies from this machine to a TARGET
    #[command(override_usage = "tow put [OPTIONS] SOURCE… DEST")]
    Put(TransferArgs),
    /// Copies between any two sides
    #[command(override_usage = "tow cp [OPTIONS] SOURCE… DEST")]
    Cp(TransferArgs),
    /// Moves between any two sides
    #[command(override_usage = "tow mv [OPTIONS] SOURCE… DEST")]
    Mv(TransferArgs),
    /// Removes files, links and folders
    Rm(RmArgs),
    /// Makes folders
    Mkdir(MkdirArgs),
    /// Forgets the key of a server, so that the next contact pairs anew
    Forget(ForgetArgs),
    /// A prompt with the words: connme ls size upload download rm byebye
    Shell(ShellArgs),
    /// Opens the two panes and connects to TARGET, or asks where to
    Connect(ConnectArgs),
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
    /// Prints one JSON object a line
    #[arg(long)]
    pub json: bool,
    /// Prints errors only
    #[arg(long, short, conflicts_with = "progress")]
    pub quiet: bool,
    /// Shows progress even where standard error is no terminal; with --json as objects on standard output
    #[arg(long)]
    pub progress: bool,
}

#[allow(clippy::struct_excessive_bools, reason = "flags as they are typed")]
#[derive(Debug, ClapArgs)]
#[command(disable_help_flag = true)]
pub struct LsArgs {
    /// Folders or files, here or on a TARGET
    #[arg(default_value = ".", value_name = "TARGET")]
    pub targets: Vec<OsString>,
    /// Also kind, mode and time of modification
    #[arg(short, long)]
    pub long: bool,
    #[arg(long, value_enum, default_value_t = SortBy::Name, value_name = "ORDER")]
    pub sort: SortBy,
    /// The other way round
    #[arg(long)]
    pub reverse: bool,
    /// Also names that begin with a dot
    #[arg(long, short)]
    pub all: bool,
    /// Exact bytes
    #[arg(long, conflicts_with = "human")]
    pub bytes: bool,
    /// Units that fit (kB, MB, GB)
    #[arg(long, short = 'h')]
    pub human: bool,
    /// Print help
    #[arg(long, action = clap::ArgAction::HelpLong)]
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
    /// One SOURCE or more, then DEST: a DEST that is an existing folder or ends in / receives each SOURCE under its own name;
    /// otherwise DEST is the new name
    // Two at least, which is not said here: clap would want them without a flag between them.
    #[arg(required = true, value_name = "OPERAND")]
    pub operands: Vec<OsString>,
    /// Takes DEST as the name itself, also where it is an existing folder
    #[arg(short = 'T', long)]
    pub no_target_folder: bool,
    /// Leaves out what matches PATTERN, in gitignore's syntax without `!`, relative to each SOURCE; may be repeated
    #[arg(long, value_name = "PATTERN")]
    pub exclude: Vec<String>,
    #[command(flatten)]
    pub conflicts: ConflictArgs,
    /// Does not wait until what was copied is on the disk: done then means verified, and a power cut may undo it
    #[arg(long)]
    pub no_sync: bool,
    /// Prints what would be done, and what it comes to, and changes nothing on either side; exit 1 where something would fail, be
    /// skipped or be asked about
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Keeps owner and group (by name, else by number), setuid, setgid and sticky bits, all permission bits and extended attributes,
    /// access lists among them, as far as the receiving side may give them; tells what it could not keep
    #[arg(short, long)]
    pub preserve: bool,
    /// Compares the contents of files of one size, whatever their times say: the same content is unchanged, another one is a conflict
    #[arg(long)]
    pub checksum: bool,
    /// Copies a relative symbolic link to a file or folder as what it leads to, where that lies within SOURCE; a SOURCE that is a link
    /// itself as whatever it leads to. All other links, those to a folder that holds them too, stay links and are named
    #[arg(long)]
    pub follow: bool,
    /// Fifos, sockets and devices, which are never copied, do not make the exit code 1
    #[arg(long)]
    pub skip_special: bool,
    /// Folders are always copied whole; accepted for the sake of habit
    #[arg(short = 'r', short_alias = 'a', long, hide = true)]
    pub recursive: bool,
    #[command(flatten)]
    pub output: OutputArgs,
}

#[derive(Debug, Clone, Copy, Default, ClapArgs)]
pub struct ConflictArgs {
    /// What happens to an existing file that differs [default: ask on a terminal, else never]
    #[arg(long, value_enum, value_name = "WHEN")]
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
    /// Folders with all that is in them
    #[arg(short, long, short_alias = 'R')]
    pub recursive: bool,
    /// Answers the confirmation
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
    /// Missing parents too; no error where the folder exists
    #[arg(short, long)]
    pub parents: bool,
    #[command(flatten)]
    pub output: OutputArgs,
}

#[derive(Debug, ClapArgs)]
pub struct ForgetArgs {
    /// Servers as they were typed: HOST[:PORT], tow://HOST[:PORT]/ or a bookmark
    #[arg(required = true, value_name = "HOST")]
    pub hosts: Vec<OsString>,
    #[command(flatten)]
    pub output: OutputArgs,
}

#[derive(Debug, ClapArgs)]
pub struct ShellArgs {
    /// Connects at once
    #[arg(long, value_name = "TARGET")]
    pub connect: Option<OsString>,
    /// rm asks nothing
    #[arg(short, long)]
    pub yes: bool,
    #[command(flatten)]
    pub conflicts: ConflictArgs,
}

#[derive(Debug, ClapArgs)]
pub struct ConnectArgs {
    /// What the right pane shows
    pub target: Option<OsString>,
}

impl Args {
    /// Reads what was typed, the program's name first. Err is what to print on standard output where that was asked for (`--help`,
    /// `--version`), else why it makes no sense. `is_there` tells whether this machine has a file or folder of that name here.
    pub fn read(
        typed: &[OsString],
        is_there: impl Fn(&OsStr) -> bool,
    ) -> Result<Self, Result<String, Failure>> {
        let command = Self::command();
        let args = Self::try_parse_from(command_word::word_first(&command, typed));
        let args = args.map_err(|error| match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Ok(error.render().to_string()),
            _ => Err(mistyped_word(&command, typed, is_there)
                .unwrap_or_else(|| Failure::usage(in_one_line(&error.render().to_string(), typed)))),
        })?;
        match (&args.left, &args.command) {
            (Some(_), Some(_)) => Err(Err(Failure::usage(
                "the command's word stands before its operands; for a folder of that name write ./WORD",
            ))),
            _ => Ok(args),
        }
    }
}

/// What clap refuses may begin with a word that was meant as a command.
fn mistyped_word(
    command: &clap::Command,
    typed: &[OsString],
    is_there: impl Fn(&OsStr) -> bool,
) -> Option<Failure> {
    let word = &typed[command_word::first_word(command, typed)?];
    if command_word::is_command(command, word) || is_there(word) {
        return None;
    }
    command_word::no_command(command, word)
}

/// clap's paragraphs as `WHAT: WHY; what to do`.
fn in_one_line(rendered: &str, typed: &[OsString]) -> String {
    let root = Args::command();
    let word = command_word::first_word(&root, typed).and_then(|at| typed[at].to_str());
    let command = word.filter(|word| root.find_subcommand(word).is_some());
    let paragraphs = rendered.trim_start_matches("error: ").split("\n\n").map(str::trim);
    let told = paragraphs.filter(|paragraph| {
        !paragraph.is_empty()
            && !paragraph.starts_with("Usage:")
            && !paragraph.starts_with("For more information")
            && !suggests_hidden(&root, paragraph)
    });
    let told: Vec<String> =
        told.map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let is_force = |word: &OsString| {
        word == "--force"
            || word
                .to_str()
                .is_some_and(|word| word.starts_with('-') && !word.starts_with("--") && word.contains('f'))
    };
    if command == Some("rm") && typed.iter().any(is_force) {
        return "rm: there is no -f: write tow rm -r -y to remove folders without a question".to_owned();
    }
    let program = command.map_or_else(|| "tow".to_owned(), |command| format!("tow {command}"));
    let what = command.map_or_else(String::new, |command| format!("{command}: "));
    format!("{what}{}; see {program} --help", told.join("; "))
}

/// Whether a tip is an option that no help shows.
fn suggests_hidden(root: &clap::Command, paragraph: &str) -> bool {
    let all = std::iter::once(root).chain(root.get_subcommands()).flat_map(clap::Command::get_arguments);
    let mut hidden = all.filter(|arg| arg.is_hide_set()).filter_map(clap::Arg::get_long);
    paragraph.starts_with("tip:") && hidden.any(|long| paragraph.contains(&format!("'--{long}'")))
}
