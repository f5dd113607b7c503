//! Help beyond what clap makes of the options: examples, the forms of a TARGET, and topics (`tow help copying`).
//!
//! A test runs every line below `Examples:` that begins with four blanks and a command.

use std::ffi::OsStr;

use clap::Command;
use towpath_protocol::display::DisplayName;

use super::command_word::nearest_of;
use super::exit::Failure;

pub(super) const ROOT: &str = "\
TARGET is a folder or file on this machine, or
    tow://HOST[:PORT]/PATH           a towd over TLS (port 7171)
    ssh://[USER@]HOST[:PORT]/PATH    over ssh; /~/PATH is below the home folder
    unix:SOCKET_FILE[?path=PATH]     a towd on this machine
    NAME[:PATH]                      a bookmark
See tow help targets for more, tow help copying for get, put, cp and mv.

Examples:
    tow                                     # two panes on the current folder
    tow . tow://box/                        # the current folder and a server
    tow ls tow://box/photos                 # list a folder of a server
    tow put notes.md tow://box/backup/      # upload a file
    tow get ssh://ann@box/~/photos .        # download a folder over ssh

Exit codes:
    0 done                  3 could not connect or pair
    1 some items failed     4 not found
      or were skipped       5 permission denied
    2 wrong usage           130 interrupted";

pub(super) const LS: &str = "\
Examples:
    tow ls                                  # the current folder
    tow ls -l --sort size photos            # biggest first
    tow ls -a --human tow://box/photos
    tow ls --json tow://box/photos          # an object for each entry";

pub(super) const SIZE: &str = "\
Examples:
    tow size photos
    tow size tow://box/photos tow://box/backup
    tow size --json tow://box/photos";

pub(super) const GET: &str = "\
A DEST that is an existing folder or ends in / receives each SOURCE under its
own name; otherwise DEST is the new name. tow help copying tells the rest.

Examples:
    tow get tow://box/photos .              # arrives as ./photos
    tow get tow://box/photos here           # arrives as ./here
    tow get -n tow://box/photos .           # print what would be done
    tow get ssh://ann@box/~/notes.md .";

pub(super) const PUT: &str = "\
A DEST that is an existing folder or ends in / receives each SOURCE under its
own name; otherwise DEST is the new name. tow help copying tells the rest.

Examples:
    tow put photos tow://box/backup/        # arrives as backup/photos
    tow put photos tow://box/archive        # arrives as archive
    tow put --overwrite newer photos notes.md tow://box/backup/
    tow put --exclude '*.tmp' photos tow://box/backup/";

pub(super) const CP: &str = "\
A DEST that is an existing folder or ends in / receives each SOURCE under its
own name; otherwise DEST is the new name. tow help copying tells the rest.

Examples:
    tow cp photos backup/                   # on this machine
    tow cp tow://box/photos tow://box/backup/    # the server copies by itself
    tow cp tow://box/photos ssh://ann@box/~/backup/";

pub(super) const MV: &str = "\
A SOURCE is removed once its copy is verified and on the disk. A DEST that is an
existing folder or ends in / receives each SOURCE under its own name; otherwise
DEST is the new name. tow help copying tells the rest.

Examples:
    tow mv notes.md tow://box/backup/
    tow mv tow://box/notes.md tow://box/notes.old    # a rename on the server
    tow mv -n photos tow://box/backup/      # print what would be done";

pub(super) const RM: &str = "\
Asks for confirmation; without a terminal it needs -y. There is no trash.

Examples:
    tow rm -y notes.md
    tow rm -r -y tow://box/old              # a folder and everything in it";

pub(super) const MKDIR: &str = "\
Examples:
    tow mkdir tow://box/new
    tow mkdir -p tow://box/backup/2026/07";

pub(super) const FORGET: &str = "\
Examples:
    tow forget tow://box/                   # the next contact pairs again";

pub(super) const SHELL: &str = "\
The words: connme ls size upload download rm byebye; help lists them.

Examples:
    tow shell --connect tow://box/
    echo 'size photos' | tow shell --connect tow://box/";

pub(super) const CONNECT: &str = "\
Examples:
    tow connect                             # pick a bookmark, host or target
    tow connect tow://box/photos";

/// Texts of their own, by name.
const TOPICS: &[(&str, &str)] = &[("copying", COPYING), ("targets", TARGETS)];

const COPYING: &str = "\
get, put, cp and mv copy in the same way. get copies to this machine, put from
this machine, cp between any two sides; mv also removes each SOURCE once its
copy is verified and on the disk.

Where a SOURCE arrives
    A DEST that is an existing folder or ends in / receives each SOURCE under
    its own name; otherwise DEST is the new name. -T takes DEST as the new name
    even if it is a folder. get and put make missing folders above DEST; cp and
    mv do not. SOURCE/. means the content of the folder SOURCE.

Existing files (--overwrite WHEN)
    A file of the same size and time counts as unchanged and is not sent. For
    one that differs, WHEN is
    ask          one question for each kind of conflict (default on a terminal)
    never        keep it and name it on standard error (default in scripts)
    always       replace it; unchanged files are sent again too
    newer        replace it if the source was modified later
    different    replace it if the content differs
    resume       complete it if it is the beginning of the source
    keep-both    keep it, and name the new one 'name (2).ext'
    --checksum compares contents instead of sizes and times. A folder and a file
    never replace each other.

What is copied
    --exclude PATTERN leaves out what matches, in gitignore's syntax without !,
    relative to each SOURCE; give it several times for several patterns.
    --include PATTERN keeps what a later --exclude would leave out, and
    --exclude-from FILE has patterns as .gitignore has them. They apply in the
    order of the command line, and the first match decides.
    --files-from FILE copies only what FILE names, relative to each SOURCE: a
    name a line, or with NUL bytes between names; - is standard input. A folder
    comes with all in it. A name that is missing is told, the others are copied.
    Symbolic links stay links. --follow copies a link within SOURCE as what it
    leads to. Fifos, sockets and devices are skipped and named; --skip-special
    keeps them from making the exit code 1.

What is kept
    Content, names, permission bits (without those of the umask), modification
    times, links, holes of sparse files. --preserve adds owner, group, special
    mode bits and extended attributes, as far as the receiver may set them.

Interrupted copies
    Ctrl-C, a lost connection or a kill loses nothing: give the same command
    again, and it resumes where it was. A copy counts as done once it is on the
    disk; --no-sync does not wait for that.

Scripts
    -n prints what would be done and changes nothing. --json prints one object a
    line. The last line counts files, bytes, and what was unchanged, skipped or
    failed. The exit code is 0 only if everything is at DEST.

Examples:
    tow put -n photos tow://box/backup/             # what would be sent
    tow put --overwrite different photos tow://box/backup/
    tow put --exclude '*.tmp' --exclude cache/ photos tow://box/backup/
    tow put photos/. tow://box/backup/              # content, not folder
    tow get -T tow://box/photos backup              # merge into ./backup
    tow get --json tow://box/photos . > result.json
    tow cp --preserve photos backup/
    tow mv --checksum photos tow://box/backup/";

const TARGETS: &str = "\
    photos, ./photos, /srv          on this machine
    tow://HOST[:PORT]/PATH          a towd over TLS (port 7171); PATH is below
                                    the folder that it serves
    ssh://[USER@]HOST[:PORT]/PATH   over ssh, with its configuration and keys;
                                    /PATH is absolute, /~/PATH in the home
    unix:SOCKET_FILE[?path=PATH]    a towd on this machine, by its socket
    NAME[:PATH]                     a bookmark of ~/.config/towpath/config.toml

Every command takes any of them. Patterns (*, ?) are not expanded on a server.
./NAME is the file of that name, if a bookmark or a command has it too.

The first contact with a towd needs a pairing code, printed by towd pair.
A terminal asks for it; a script gives it in TOW_PAIR or with --pair-file FILE.

Over ssh the machine needs towd or this version of tow; tow offers to copy
itself there, and does so without asking with --install.

Examples:
    tow ls tow://box/photos
    tow ls ssh://ann@box/~/photos
    tow ls box:photos                       # bookmark box = \"tow://box/\"";

/// Prints the help of a command or a topic; the overview without one.
pub(super) fn of(mut command: Command, topic: Option<&OsStr>) -> Result<String, Failure> {
    let Some(topic) = topic else { return Ok(command.render_help().to_string()) };
    if let Some((_, text)) = TOPICS.iter().find(|(name, _)| *name == topic) {
        return Ok((*text).to_owned());
    }
    // Now each subcommand knows the global options, and by what words it is called.
    command.build();
    if let Some(found) = command.find_subcommand_mut(topic).filter(|found| !found.is_hide_set()) {
        return Ok(found.render_help().to_string());
    }
    let shown = DisplayName::new(topic.as_encoded_bytes()).to_string();
    let names = command.get_subcommands().filter(|known| !known.is_hide_set()).map(Command::get_name);
    let nearest = nearest_of(&shown, names.chain(TOPICS.iter().map(|(name, _)| *name)));
    let meant = nearest.map_or_else(
        || "topics: copying, targets".to_owned(),
        |nearest| format!("did you mean 'tow help {nearest}'?"),
    );
    Err(Failure::usage(format!("help: no command or topic '{shown}'; {meant}")))
}
