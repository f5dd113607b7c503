//! ssh: the system's own, with its configuration, agent, known hosts and jump hosts. It runs one constant command there, and another one
//! for each further stream of a session; nothing that anybody typed, and no path, is ever part of them. `master` is how further streams
//! go by the first one's connection.
//!
//! The program is `ssh`, or what the environment variable `TOW_SSH` names.

mod configured;
mod master;

use std::ffi::OsString;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use tokio::process::Command;
use tokio::time::Instant;
use towpath_protocol::display::DisplayName;

use super::askpass::Desk;
use super::child::{ChildFault, Login, SSH_FAILED, Times, begin};
use super::patience::{Patience, Questions};
use super::{DialFault, Found};
use crate::link::keyring::Keyring;
use crate::link::{BEGIN_TIME, GreetingFault, Link};
use crate::model::target::SshHost;
use configured::Configured;
use master::Master;

/// How long a session may take to begin: somebody may have to look for a second factor.
const CONNECT_TIME: Duration = Duration::from_mins(2);
/// Says on standard output that nothing of ours is there; the system's and the processor's names follow.
const NOTHING: &str = "tow-finds-nothing-here:";
/// Stands behind them where the copy of this program is there and does not run.
const BROKEN_COPY: &str = "broken";
/// The same of a towd in PATH.
const BROKEN_TOWD: &str = "towd";

/// Starts ssh deaf to the terminal's interrupt, which is meant for tow: tow ends a word, a transfer or itself by it, in order. Whoever
/// types a password can still give up.
const START: &str = r#"trap "" INT QUIT; command -v "$0" >/dev/null 2>&1 || exit 126; exec "$0" "$@""#;
/// What [`START`] ends with, in silence, where there is no ssh.
const NO_SSH: i32 = 126;

/// Runs a program with a time limit, where the system has a `timeout`: one that hangs does not run. It ends all that the program
/// started, which may keep its output open.
macro_rules! limited {
    () => {
        r#"l="timeout -s 9 4"; $l true >/dev/null 2>&1 || l="#
    };
}
pub(super) use limited;

/// Prefers the very version that [`install`](super::install) put there, then towd, also where `cargo install` puts it. What does not
/// run counts as not there: a home may be of several machines, and a copy may have been cut off. One line in single quotes, without `!`
/// and `\`: every login shell, csh and fish too, passes that on to sh as it is. What it prints where it finds nothing is in two pieces, so
/// that a server which repeats the command says something else. It tells when it tries the copy, and when it goes on to something else.
macro_rules! run {
    ($flag:literal) => {
        concat!(
            r#"exec sh -c 'echo tow-begins-here >&2; s=$(uname -s); m=$(uname -m); b=; t="$HOME/"#,
            ".local/share/towpath/bin/tow-",
            env!("CARGO_PKG_VERSION"),
            r#"-$s-$m"; "#,
            limited!(),
            r#"; runs() { case $($l "$1" --version 2>/dev/null </dev/null) in tow*) return 0;; esac; return 1; };"#,
            r#" if [ -e "$t" ]; then echo "tow-tries-its-copy: $s $m" >&2;"#,
            concat!(r#" if runs "$t"; then exec "$t" "#, $flag, "; fi; b=broken; echo tow-tries-its-copy: >&2; fi;"),
            r#" PATH="$PATH:/usr/local/bin:$HOME/.local/bin:$HOME/.cargo/bin";"#,
            concat!(" if runs towd; then exec towd ", $flag, "; fi;"),
            " command -v towd >/dev/null && b=${b:-towd};",
            r#" echo "tow-finds-""nothing-here: $s $m $b"; exit 127'"#
        )
    };
}
const SERVE: &str = run!("--stdio");
const JOIN: &str = run!("--join");
/// Says that the login shell runs commands, in two pieces.
const PROBE: &str = r#"exec sh -c 'echo "tow-begins-""here"'"#;

/// Who can be asked for a password, a passphrase, a second factor or a new host's key.
#[derive(Debug, Clone, Copy)]
pub enum Prompts<'a> {
    /// ssh asks on the terminal.
    Terminal,
    /// The terminal is taken: ssh asks here; or by the person's own program, where `SSH_ASKPASS_REQUIRE` wants that of every ssh.
    Desk(&'a Desk),
    /// Nobody: an attempt that would have to ask fails.
    Nobody,
}

/// Connects and begins a session, within two minutes. Must be called within a tokio runtime.
pub async fn dial(host: &SshHost, prompts: Prompts<'_>, keyring: &Arc<Keyring>) -> Result<Link, DialFault> {
    let (wire, began) = (keyring.wire(), Instant::now());
    let configured = Configured::of_host(host).await;
    let master = if wire.streams > 1 { Master::find(&configured, keyring).await } else { None };
    let mut first = configured.of_first();
    first.extend(master.as_ref().map(Master::of_first).unwrap_or_default());
    // Who gives connecting more time has a host that needs it.
    let total = configured.connect_time.map_or(BEGIN_TIME, |time| time.max(BEGIN_TIME));
    let login = Login {
        is_told: configured.tells_login,
        patience: Patience { began, total, questions: prompts.questions() },
        probe: master.as_ref().map(|master| master.probe(host, configured.arguments())),
    };
    let further = master.map(|master| master.further(host, wire, configured.arguments()));
    let command = command(host, prompts, &first, SERVE);
    let times = Times { begin: CONNECT_TIME, login: Some(login) };
    begin(command, times, wire, further).await.map_err(worded)
}

impl Prompts<'_> {
    fn questions(self) -> Questions {
        match self {
            // ssh asks on /dev/tty; where there is none, it cannot.
            Prompts::Terminal if has_own_askpass() || has_terminal() => Questions::Unseen,
            Prompts::Desk(_) if has_own_askpass() => Questions::Unseen,
            Prompts::Desk(desk) => Questions::Timed(desk.asking()),
            Prompts::Terminal | Prompts::Nobody => Questions::None,
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "the terminal, a name of the system's")]
fn has_terminal() -> bool {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    rustix::fs::open("/dev/tty", flags, Mode::empty()).is_ok()
}

/// ssh that runs something else than a session there, under the same rules.
pub(super) async fn command_of(host: &SshHost, prompts: Prompts<'_>, remote: &'static str) -> Command {
    command(host, prompts, &Configured::of_host(host).await.arguments(), remote)
}

/// ssh with such arguments, told to run `remote` on `host` without a terminal, forwardings or a command of the configuration's own.
pub(super) fn command(
    host: &SshHost,
    prompts: Prompts<'_>,
    arguments: &[OsString],
    remote: &'static str,
) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", START]).arg(variable("TOW_SSH").unwrap_or_else(|| "ssh".into()));
    let options = ["ClearAllForwardings=yes", "PermitLocalCommand=no", "RemoteCommand=none"];
    command.args(["-T", "-a", "-x"]);
    for option in options {
        command.args(["-o", option]);
    }
    command.args(arguments);
    match prompts {
        Prompts::Terminal => {}
        Prompts::Desk(_) if has_own_askpass() => drop(command.env("SSH_ASKPASS_REQUIRE", "force")),
        Prompts::Desk(desk) => drop(command.envs(desk.environment())),
        // A jump host's ssh takes the environment over, not the option.
        Prompts::Nobody => drop(
            command
                .args(["-o", "BatchMode=yes"])
                .env("SSH_ASKPASS", "false")
                .env("SSH_ASKPASS_REQUIRE", "force"),
        ),
    }
    if let Some(port) = host.port {
        command.args(["-p", &port.to_string()]);
    }
    if let Some(user) = &host.user {
        command.args(["-l", user]);
    }
    command.args(["--", &host.host, remote]);
    command
}

/// Whether the person wants to be asked by a program of their own, by every ssh.
fn has_own_askpass() -> bool {
    let is_required =
        variable("SSH_ASKPASS_REQUIRE").is_some_and(|required| required == "force" || required == "prefer");
    is_required && variable("SSH_ASKPASS").is_some()
}

/// Of the environment; an empty one is as good as none.
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

fn worded(fault: ChildFault) -> DialFault {
    let (fault, said, status, is_let_in) = match fault {
        ChildFault::NotStarted(error) => return DialFault::NoProgram(error),
        ChildFault::NoSession { fault, said, copy: Some(system), status, .. }
            if is_no_session(&fault, status) =>
        {
            return DialFault::NothingThere { system, found: Found::MuteCopy { fault, said } };
        }
        // Its exit status after the end of its input does not tell why it was silent.
        ChildFault::NoSession { said, silence: Some(silence), .. } => {
            return DialFault::SilentShell { why: silence.text(), said };
        }
        ChildFault::NoSession { fault, said, status, is_let_in, .. } => (fault, said, status, is_let_in),
    };
    let there = match &fault {
        GreetingFault::NotTowpath { said } => nothing_there(said),
        _ => None,
    };
    match (status.and_then(|status| status.code()), there) {
        (_, Some((system, found))) => DialFault::NothingThere { system, found },
        _ if repeats_command(&fault) => DialFault::EndedThere { why: REPEATED, said },
        (Some(SSH_FAILED), _) if !is_let_in => DialFault::Ssh { said },
        (Some(NO_SSH), _) if said.is_empty() && !is_let_in => DialFault::NoSsh,
        (Some(code @ (SSH_FAILED | 126 | 127)), _) => DialFault::EndedThere { why: ended(code), said },
        _ if said.is_empty() => fault.into(),
        _ => DialFault::ProgramFailed { fault, said },
    }
}

/// Returns whether the copy of this program, which was started, began no session: it is of no use. A connection that broke tells nothing of
/// it, and a refusal is a session's beginning.
fn is_no_session(fault: &GreetingFault, status: Option<ExitStatus>) -> bool {
    !matches!(fault, GreetingFault::Refused(_)) && status.and_then(|status| status.code()) != Some(SSH_FAILED)
}

/// The server answers with the command that it was to run.
const REPEATED: &str =
    "logged in, and the server there does not run commands: it repeats what it was to run (a ForceCommand?)";

fn repeats_command(fault: &GreetingFault) -> bool {
    let GreetingFault::NotTowpath { said } = fault else { return false };
    let begin = &SERVE.as_bytes()[..SERVE.len().min(24)];
    said.windows(begin.len()).any(|window| window == begin)
}

/// The end of a program on a machine that ssh has logged in to.
const fn ended(code: i32) -> &'static str {
    match code {
        127 => "logged in, and the login shell there finds no program to run (exit 127): its PATH has no sh",
        126 => "logged in, and the program there may not be run, or is for another machine (exit 126)",
        _ => "logged in, and the program there was killed, or the connection broke (exit 255)",
    }
}

/// Whether somebody has to do something before it can work: the same attempt without them ends the same, and may be counted against them.
pub(crate) fn wants_somebody(said: &str) -> bool {
    let signs = ["Permission denied", "Host key verification failed", "Too many authentication failures"];
    signs.iter().any(|sign| said.contains(sign))
}

/// What ssh said when it could not connect, and what that means.
pub(super) fn in_words(said: &str) -> String {
    let table = [
        (
            "has changed and you have requested strict checking",
            "THE HOST'S KEY HAS CHANGED. Someone may be intercepting the connection, or the host was \
             reinstalled. Nothing was sent. ssh",
        ),
        (
            "Host key verification failed",
            "ssh does not know this host's key: connect once with ssh itself, compare the key there, say yes. It",
        ),
        ("Could not resolve hostname", "host not found; ssh"),
        ("Permission denied", "not let in: no key or password that the server takes; ssh"),
        ("Too many authentication failures", "not let in: more keys were tried than the server allows; ssh"),
        ("Connection refused", "no ssh server listens there; ssh"),
        ("timed out", "no ssh server answers there; ssh"),
        ("No route to host", "there is no way to that host; ssh"),
        ("Network is unreachable", "there is no way to that host; ssh"),
    ];
    let known = table.iter().find(|(sign, _)| said.contains(sign));
    match known {
        _ if said.is_empty() => "ssh could not connect, and does not say why".to_owned(),
        Some((_, words)) => format!("{words} says: {said}"),
        None => format!("ssh could not connect: {said}"),
    }
}

/// Parses what the command found instead of a program of ours that runs: the system's and the processor's names, and what is there.
fn nothing_there(said: &[u8]) -> Option<(String, Found)> {
    let said = String::from_utf8_lossy(said);
    let (_, found) = said.rsplit_once(NOTHING)?;
    let mut words: Vec<&str> = found.lines().next()?.split_whitespace().collect();
    let found = match words.last() {
        Some(&BROKEN_COPY) => Found::BrokenCopy,
        Some(&BROKEN_TOWD) => Found::BrokenTowd,
        _ => Found::Nothing,
    };
    if !matches!(found, Found::Nothing) {
        words.pop();
    }
    Some((DisplayName::new(words.join(" ").as_bytes()).to_string(), found))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::connection::TRIES_COPY;

    fn arguments(host: &SshHost, prompts: Prompts<'_>) -> Vec<String> {
        let command = command(host, prompts, &[], SERVE);
        command.as_std().get_args().map(|argument| argument.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn a_host_is_an_argument_and_never_part_of_the_command() {
        let host = SshHost { user: Some("ann".into()), host: "box".into(), port: Some(2222) };
        let arguments = arguments(&host, Prompts::Terminal);
        assert_eq!(arguments[arguments.len() - 7..], ["-p", "2222", "-l", "ann", "--", "box", SERVE]);
        assert!(!arguments.contains(&"BatchMode=yes".to_owned()));
        // Nobody is asked where nobody called for the connection.
        assert!(self::arguments(&host, Prompts::Nobody).contains(&"BatchMode=yes".to_owned()));
    }

    #[test]
    fn what_ssh_says_comes_with_what_it_means() {
        let table = [
            ("ssh: Could not resolve hostname box: Name or service not known", "host not found; ssh says: "),
            (
                "ssh: connect to host box port 22: Connection refused",
                "no ssh server listens there; ssh says: ",
            ),
            ("ann@box: Permission denied (publickey).", "not let in: "),
            ("Host key verification failed.", "ssh does not know this host's key: "),
            (
                "Host key for box has changed and you have requested strict checking. / Host key verification failed.",
                "THE HOST'S KEY HAS CHANGED. ",
            ),
            ("kex_exchange_identification: read", "ssh could not connect: "),
        ];
        for (said, begin) in table {
            let words = in_words(said);
            assert!(words.starts_with(begin) && words.ends_with(said), "{words}");
        }
        assert_eq!(in_words(""), "ssh could not connect, and does not say why");
    }

    #[test]
    fn every_login_shell_passes_the_command_on_as_it_is() {
        for command in [SERVE, JOIN, PROBE, crate::link::dial::install::INSTALL] {
            let inside =
                command.strip_prefix("exec sh -c '").and_then(|rest| rest.strip_suffix('\'')).unwrap();
            assert!(!inside.contains(['\'', '!', '\\', '\n']), "{inside}");
        }
    }

    #[test]
    fn what_was_found_is_read_behind_a_shells_noise() {
        let found = |said: &[u8]| nothing_there(said).map(|(system, found)| (system, format!("{found:?}")));
        let expected = |found: &str| Some(("Linux x86_64".to_owned(), found.to_owned()));
        assert_eq!(found(b"Welcome!\ntow-finds-nothing-here: Linux x86_64\n"), expected("Nothing"));
        let said = b"tow-finds-nothing-here: Linux x86_64 broken\r\nlogout\n";
        assert_eq!(found(said), expected("BrokenCopy"));
        assert_eq!(found(b"tow-finds-nothing-here: Linux x86_64 towd\n"), expected("BrokenTowd"));
        assert_eq!(found(b"Welcome!\n"), None);
        // A server that repeats what it was told to run.
        assert_eq!(found(format!("unknown command: {SERVE}\n").as_bytes()), None);
    }

    #[test]
    fn the_command_tells_of_the_copy_in_the_words_that_are_heard() {
        for command in [SERVE, JOIN] {
            assert!(command.contains(&format!("{TRIES_COPY} $s $m")), "{command}");
            assert!(command.contains(&format!("echo {TRIES_COPY} >&2")), "{command}");
        }
    }
}
