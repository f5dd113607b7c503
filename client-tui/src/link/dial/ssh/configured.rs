//! The user's ssh configuration of a host, as `ssh -G` prints it. A login may be configured otherwise than a session
//! needs: what would keep a session from beginning is overridden, everything else stays. Options that a version of ssh does not tell are
//! not set either, since it would refuse them.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::process::Command;
use tokio::time::timeout;

use super::{Prompts, SERVE, command};
use crate::link::BEGIN_TIME;
use crate::model::target::SshHost;

/// Time limit for `ssh -G`.
const CONFIGURATION_TIME: Duration = Duration::from_millis(1500);

/// Runs what `Match exec` names, which ssh hands to `$SHELL -c`. With this program, which knows no such option, all of that is false and
/// nothing runs: it may be slow, or ask something, and is to run once for each connection. What stands below such a condition is not known.
const NO_SHELL: (&str, &str) = ("SHELL", "/usr/bin/env");

/// Bytes of its output; OpenSSH prints less.
const CONFIGURATION_BYTES_MAX: u64 = 256 * 1024;

/// Options that a version of ssh may not know, and what a session needs of each.
const NEEDED: [(&str, &str); 4] = [
    ("sessiontype", "SessionType=default"),
    ("stdinnull", "StdinNull=no"),
    ("forkafterauthentication", "ForkAfterAuthentication=no"),
    ("requesttty", "RequestTTY=no"),
];

/// The default knows nothing about the host.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Configured {
    /// `None` if it is not known.
    pub(super) sharing: Option<Sharing>,
    /// For every ssh of the session.
    options: Vec<String>,
    /// True if ssh logs a successful login. Not where the configuration has ssh talk anyway: then a jump host's ssh tells
    /// the same of itself.
    pub(super) tells_login: bool,
    /// The user's own time limit for connecting; `None` if there is none.
    pub(super) connect_time: Option<Duration>,
}

/// Configured connection sharing.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sharing {
    /// Nothing: it is ours to do.
    Nothing,
    /// By this socket, where there is a master.
    Shared(PathBuf),
    /// The user is asked about each channel.
    Asks,
}

impl Configured {
    /// Like ssh itself.
    pub(super) async fn of_host(host: &SshHost) -> Self {
        let mut asking = command(host, Prompts::Nobody, &["-G".into()], SERVE);
        runs_no_condition(&mut asking);
        let said = timeout(CONFIGURATION_TIME, said_by(asking)).await.ok().flatten();
        said.map_or_else(Self::default, |said| Self::of(&said))
    }

    /// Parses lines of a word and its value. Without a host's name among them it is no OpenSSH that answered.
    fn of(said: &[u8]) -> Self {
        let value = |word: &str| {
            let mut lines = said.split(|byte| *byte == b'\n');
            lines.find_map(|line| line.strip_prefix(word.as_bytes())?.strip_prefix(b" "))
        };
        if value("hostname").is_none() {
            return Self::default();
        }
        let sharing = match (value("controlpath"), value("controlmaster")) {
            (None, _) => Sharing::Nothing,
            (Some(_), Some(b"ask" | b"autoask")) => Sharing::Asks,
            (Some(path), _) => Sharing::Shared(PathBuf::from(OsStr::from_bytes(path))),
        };
        let needed = NEEDED.iter().filter(|(word, _)| value(word).is_some());
        let mut options: Vec<String> = needed.map(|(_, option)| (*option).to_owned()).collect();
        let connect_time =
            value("connecttimeout").and_then(|time| std::str::from_utf8(time).ok()?.parse().ok());
        let connect_time = connect_time.filter(|seconds| *seconds > 0).map(Duration::from_secs);
        if matches!(value("connecttimeout"), Some(b"none" | b"0")) {
            options.push(format!("ConnectTimeout={}", BEGIN_TIME.as_secs()));
        }
        let tells_login = matches!(value("loglevel"), Some(b"QUIET" | b"FATAL" | b"ERROR" | b"INFO"));
        Self { sharing: Some(sharing), options, tells_login, connect_time }
    }

    /// Arguments for every ssh of the session.
    pub(super) fn arguments(&self) -> Vec<OsString> {
        self.options.iter().flat_map(|option| ["-o".into(), option.into()]).collect()
    }

    /// Arguments for the first one, which connects.
    pub(super) fn of_first(&self) -> Vec<OsString> {
        let mut arguments = self.arguments();
        if self.tells_login {
            arguments.extend(["-o", "LogLevel=VERBOSE"].map(OsString::from));
        }
        arguments
    }
}

/// The configuration's programs do not run for this ssh, which makes no connection of its own.
pub(super) fn runs_no_condition(command: &mut Command) {
    command.env(NO_SHELL.0, NO_SHELL.1);
}

/// `None` if it says too much, or fails.
async fn said_by(mut asking: Command) -> Option<Vec<u8>> {
    asking.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let mut asked = asking.spawn().ok()?;
    let mut said = Vec::new();
    let mut stdout = asked.stdout.take()?.take(CONFIGURATION_BYTES_MAX + 1);
    stdout.read_to_end(&mut said).await.ok()?;
    let is_bounded = said.len() as u64 <= CONFIGURATION_BYTES_MAX;
    (is_bounded && asked.wait().await.ok()?.success()).then_some(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn f73_an_ssh_that_says_without_end_how_it_is_configured_is_left_alone() {
        let says = |script: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", script]);
            said_by(command)
        };
        assert_eq!(says("echo hostname h").await.as_deref(), Some(&b"hostname h\n"[..]));
        assert_eq!(says("echo hostname h; exec yes").await, None);
        assert_eq!(says("echo hostname h; exit 1").await, None);
    }

    #[test]
    fn what_ssh_says_of_its_configuration_tells_whose_master_it_is() {
        let table = [
            (&b"user ann\nhostname h\ncontrolmaster false\ncontrolpersist no\n"[..], Some(Sharing::Nothing)),
            (
                b"hostname h\ncontrolmaster auto\ncontrolpath /run/a b\n",
                Some(Sharing::Shared("/run/a b".into())),
            ),
            (
                b"controlpath /run/x\ncontrolmaster false\nhostname h\n",
                Some(Sharing::Shared("/run/x".into())),
            ),
            (b"hostname h\ncontrolmaster autoask\ncontrolpath /run/x\n", Some(Sharing::Asks)),
            // Another program, which took it for something else.
            (b"", None),
            (b"WARNING: Ignoring unknown option -G\n", None),
        ];
        for (said, expected) in table {
            assert_eq!(Configured::of(said).sharing, expected);
        }
    }

    #[test]
    fn what_keeps_a_session_from_beginning_is_overridden_where_this_ssh_knows_the_option() {
        let table: [(&str, &[&str], bool, Option<u64>); 5] = [
            (
                "hostname h\nsessiontype default\nstdinnull no\nconnecttimeout 3\n",
                &["SessionType=default", "StdinNull=no"],
                false,
                Some(3),
            ),
            ("hostname h\nconnecttimeout none\nloglevel INFO\n", &["ConnectTimeout=10"], true, None),
            (
                "hostname h\nsessiontype none\nstdinnull true\n",
                &["SessionType=default", "StdinNull=no"],
                false,
                None,
            ),
            (
                "hostname h\nforkafterauthentication yes\nrequesttty force\nloglevel DEBUG3\n",
                &["ForkAfterAuthentication=no", "RequestTTY=no"],
                false,
                None,
            ),
            ("stdinnull yes\n", &[], false, None),
        ];
        for (said, options, tells_login, connect_time) in table {
            let configured = Configured::of(said.as_bytes());
            assert_eq!(
                (configured.options.as_slice(), configured.tells_login, configured.connect_time),
                (
                    &options.iter().map(|o| (*o).to_owned()).collect::<Vec<_>>()[..],
                    tells_login,
                    connect_time.map(Duration::from_secs)
                ),
                "{said}"
            );
        }
    }
}
