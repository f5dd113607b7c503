//! Settings, resolved: what the environment and the command line say, read once at the start and passed on as values.
//!
//! Nothing else in the client reads the environment, but for what concerns ssh alone (`link/dial/ssh`).

mod edit;
pub mod file;
mod place;
pub mod ssh_hosts;
pub mod zone;

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use towpath_files::machine::user_name;
use towpath_protocol::limits::CLIENT_NAME_BYTES_MAX;
use towpath_protocol::request::Durability;
use zeroize::Zeroizing;

use crate::model::bookmarks::Bookmarks;
use crate::model::wire::Wire;
use file::{BELL_SECONDS, ConfigFile, JOBS_AT_ONCE, PARTS_KEPT_DAYS, days};

/// What the program goes by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where keys, journal and log are kept; none where neither a flag, nor `TOW_STATE_DIR`, `XDG_STATE_HOME` or `HOME` names a folder.
    pub state_dir: Option<PathBuf>,
    /// Where the configuration file is, or would be: `towpath/config.toml` in `XDG_CONFIG_HOME`, else in `~/.config`.
    pub config_file: Option<PathBuf>,
    pub home: Option<PathBuf>,
    pub colors: Colors,
    pub background: Background,
    /// Returns whether to ask the terminal for its background: if no setting says, colours are used, and the terminal can be asked.
    pub asks_background: bool,
    /// Columns and rows of a terminal that does not say how many it has.
    pub screen_size: (u16, u16),
    /// How connections are used.
    pub wire: Wire,
    pub bookmarks: Bookmarks,
    /// Jobs that run at once; the others wait.
    pub jobs_at_once: u8,
    /// What is known of a file in the panes before it counts as done.
    pub durability: Durability,
    /// Whether a copy in the panes keeps owner, special bits and extended attributes too.
    pub preserve: bool,
    /// For how long this machine keeps what came of files that were cut off, and the journal jobs that were.
    pub parts_kept: Duration,
    /// A job of the panes that took so many seconds rings the bell at its end; zero: none does.
    pub bell_seconds: u32,
    /// What is logged, in the directives of `tracing`; none for the default.
    pub log_filter: Option<String>,
    pub client_name: ClientName,
}

/// How many colours the screen may use. Meaning never hangs on colour alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colors {
    Off,
    Sixteen,
    /// 256.
    Indexed,
    True,
}

/// What the terminal writes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Background {
    Dark,
    Light,
}

/// This client's name for servers that it pairs with: `user@host`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientName {
    Known(String),
    /// The user that this program runs as; if the system has no name for it, the one of `USER` or `LOGNAME`.
    OfUser {
        said: Option<String>,
    },
}

impl From<String> for ClientName {
    fn from(name: String) -> Self {
        Self::Known(name)
    }
}

impl ClientName {
    /// At most [`CLIENT_NAME_BYTES_MAX`] bytes. May wait for a directory service.
    pub fn text(&self) -> String {
        let system = rustix::system::uname();
        let (user, host) = match self {
            Self::Known(name) => return name.clone(),
            Self::OfUser { said } => {
                (user_name().or_else(|| said.clone()), system.nodename().to_string_lossy())
            }
        };
        client_name(user, &host, rustix::process::geteuid().as_raw())
    }
}

/// Where a pairing code was given, other than at a prompt.
pub enum GivenCode {
    /// In the environment.
    Text(Zeroizing<String>),
    /// In a file that others may not read.
    File(PathBuf),
}

/// Where, never what.
impl fmt::Debug for GivenCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text(_) => "Text",
            Self::File(_) => "File",
        })
    }
}

impl Settings {
    /// From the environment, as `variable` gives it, and `--state-dir`.
    pub fn resolve(state_dir: Option<PathBuf>, variable: impl Fn(&str) -> Option<OsString>) -> Self {
        // An empty variable is as good as none (https://no-color.org, the XDG base directories).
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let absolute = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let state_dir = state_dir
            .or_else(|| variable("TOW_STATE_DIR").map(PathBuf::from))
            .or_else(|| absolute("XDG_STATE_HOME").map(|home| home.join("towpath")))
            .or_else(|| absolute("HOME").map(|home| home.join(".local/state/towpath")));
        Self {
            state_dir,
            config_file: absolute("XDG_CONFIG_HOME")
                .or_else(|| absolute("HOME").map(|home| home.join(".config")))
                .map(|folder| folder.join("towpath/config.toml")),
            home: absolute("HOME"),
            colors: colors(variable),
            background: background(variable).unwrap_or(Background::Dark),
            asks_background: asks_background(variable),
            screen_size: screen_size(variable),
            wire: Wire::default(),
            bookmarks: Bookmarks::default(),
            jobs_at_once: JOBS_AT_ONCE,
            durability: Durability::Synced,
            preserve: false,
            parts_kept: days(PARTS_KEPT_DAYS),
            bell_seconds: BELL_SECONDS,
            log_filter: variable("TOW_LOG").and_then(|filter| filter.into_string().ok()),
            client_name: ClientName::OfUser {
                said: ["USER", "LOGNAME"]
                    .into_iter()
                    .find_map(variable)
                    .map(|user| user.to_string_lossy().into_owned()),
            },
        }
    }
}

impl Settings {
    /// With what the configuration file says. Err names the file, and its line, where that makes no sense.
    pub fn configured(self) -> anyhow::Result<Self> {
        let file = self.config_file.as_deref().map(file::read).transpose()?.unwrap_or_default();
        let ConfigFile {
            background,
            wire,
            jobs_at_once,
            durability,
            preserve,
            parts_kept,
            bell_seconds,
            bookmarks,
        } = file;
        Ok(Self {
            background: background.unwrap_or(self.background),
            asks_background: self.asks_background && background.is_none(),
            wire,
            jobs_at_once: jobs_at_once.unwrap_or(self.jobs_at_once),
            durability: durability.unwrap_or(self.durability),
            preserve: preserve.unwrap_or(self.preserve),
            parts_kept: parts_kept.unwrap_or(self.parts_kept),
            bell_seconds: bell_seconds.unwrap_or(self.bell_seconds),
            bookmarks,
            ..self
        })
    }
}

/// What the terminal says that it can, unless the person wants none.
fn colors(variable: impl Fn(&str) -> Option<OsString>) -> Colors {
    let text =
        |name: &str| variable(name).map(|value| value.to_string_lossy().into_owned()).unwrap_or_default();
    let term = text("TERM");
    if variable("NO_COLOR").is_some() || term == "dumb" {
        Colors::Off
    } else if matches!(text("COLORTERM").as_str(), "truecolor" | "24bit") || term.ends_with("-direct") {
        Colors::True
    } else if term.contains("256color") {
        Colors::Indexed
    } else {
        Colors::Sixteen
    }
}

/// `COLUMNS` and `LINES`, or the size that all terminals once had.
fn screen_size(variable: impl Fn(&str) -> Option<OsString>) -> (u16, u16) {
    let number = |name: &str| {
        let number = variable(name).and_then(|value| value.to_str()?.trim().parse().ok());
        number.filter(|number| *number > 0)
    };
    (number("COLUMNS").unwrap_or(80), number("LINES").unwrap_or(24))
}

/// The background by `COLORFGBG` (`15;0`, foreground first): the sixteen colours' white and light ones are a light background. `None` if it says
/// nothing.
fn background(variable: impl Fn(&str) -> Option<OsString>) -> Option<Background> {
    let colors = variable("COLORFGBG")?.into_string().ok()?;
    match colors.rsplit(';').next()?.parse::<u8>().ok()? {
        7 | 9..=15 => Some(Background::Light),
        _ => Some(Background::Dark),
    }
}

/// The Linux console, and what has no colours, is not asked.
fn asks_background(variable: impl Fn(&str) -> Option<OsString> + Copy) -> bool {
    let is_console = variable("TERM").is_none_or(|term| term == "linux");
    !is_console && colors(variable) != Colors::Off && background(variable).is_none()
}

/// A pairing code from `--pair-file`, or from `TOW_PAIR` as `variable` gives it, also where that is empty: that was a mistake.
pub fn given_code(file: Option<PathBuf>, variable: impl Fn(&str) -> Option<OsString>) -> Option<GivenCode> {
    let text = |value: OsString| Zeroizing::new(value.to_string_lossy().into_owned());
    file.map(GivenCode::File).or_else(|| variable("TOW_PAIR").map(text).map(GivenCode::Text))
}

/// A part that is not known says so: it never looks like a name.
fn client_name(user: Option<String>, host: &str, uid: u32) -> String {
    let user = user.unwrap_or_else(|| format!("unknown-user-{uid}"));
    // Linux's own word for a system that was given no name.
    let host = if matches!(host, "" | "(none)") { "unknown-host" } else { host };
    let mut name = format!("{user}@{host}");
    name.truncate(name.floor_char_boundary(CLIENT_NAME_BYTES_MAX));
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(flag: Option<&str>, environment: &[(&str, &str)]) -> Settings {
        Settings::resolve(flag.map(PathBuf::from), |name| {
            environment.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value))
        })
    }

    fn state_dir(flag: Option<&str>, environment: &[(&str, &str)]) -> Option<String> {
        resolve(flag, environment).state_dir.map(|path| path.to_string_lossy().into_owned())
    }

    #[test]
    fn the_state_folder_is_the_nearest_that_is_named() {
        let mut environment =
            vec![("TOW_STATE_DIR", "/tow"), ("XDG_STATE_HOME", "/xdg"), ("HOME", "/home/ann")];
        assert_eq!(state_dir(Some("/flag"), &environment).as_deref(), Some("/flag"));
        assert_eq!(state_dir(None, &environment).as_deref(), Some("/tow"));
        environment.remove(0);
        assert_eq!(state_dir(None, &environment).as_deref(), Some("/xdg/towpath"));
        environment.remove(0);
        assert_eq!(state_dir(None, &environment).as_deref(), Some("/home/ann/.local/state/towpath"));
        assert_eq!(state_dir(None, &[]), None);
    }

    #[test]
    fn the_configuration_file_is_where_xdg_says_or_in_the_home_folder() {
        let file = |environment: &[(&str, &str)]| resolve(None, environment).config_file;
        let xdg = [("XDG_CONFIG_HOME", "/c"), ("HOME", "/h")];
        assert_eq!(file(&xdg), Some("/c/towpath/config.toml".into()));
        assert_eq!(file(&xdg[1..]), Some("/h/.config/towpath/config.toml".into()));
        assert_eq!(file(&[]), None);
    }

    #[test]
    fn a_relative_or_empty_variable_names_no_state_folder() {
        let environment = [("TOW_STATE_DIR", ""), ("XDG_STATE_HOME", "here"), ("HOME", "/h")];
        assert_eq!(state_dir(None, &environment).as_deref(), Some("/h/.local/state/towpath"));
    }

    #[test]
    fn a_client_is_called_after_its_user_and_machine_and_says_what_is_not_known() {
        let said = |environment: &[(&str, &str)]| match resolve(None, environment).client_name {
            ClientName::OfUser { said } => said,
            ClientName::Known(name) => panic!("{name}"),
        };
        assert_eq!(said(&[("USER", "ann"), ("LOGNAME", "bob")]).as_deref(), Some("ann"));
        assert_eq!(said(&[("USER", ""), ("LOGNAME", "bob")]).as_deref(), Some("bob"));
        assert_eq!(said(&[]), None);
        assert_eq!(client_name(Some("ann".to_owned()), "box", 1000), "ann@box");
        assert_eq!(client_name(None, "vm", 0), "unknown-user-0@vm");
        assert_eq!(client_name(None, "(none)", 7), "unknown-user-7@unknown-host");
        assert!(client_name(Some("é".repeat(100)), "box", 0).len() <= CLIENT_NAME_BYTES_MAX);
    }

    #[test]
    fn no_color_is_honoured_unless_it_is_empty() {
        assert_eq!(resolve(None, &[("NO_COLOR", "1"), ("COLORTERM", "truecolor")]).colors, Colors::Off);
        assert_eq!(resolve(None, &[("NO_COLOR", "")]).colors, Colors::Sixteen);
        assert_eq!(resolve(None, &[("TERM", "dumb")]).colors, Colors::Off);
    }

    #[test]
    fn a_terminal_that_says_no_size_has_the_one_in_the_environment_or_that_of_old() {
        let size = |environment: &[(&str, &str)]| resolve(None, environment).screen_size;
        assert_eq!(size(&[]), (80, 24));
        assert_eq!(size(&[("COLUMNS", "100"), ("LINES", "30")]), (100, 30));
        assert_eq!(size(&[("COLUMNS", "0"), ("LINES", "-3")]), (80, 24));
        assert_eq!(size(&[("COLUMNS", "70000"), ("LINES", "")]), (80, 24));
    }

    #[test]
    fn a_terminal_that_says_so_has_a_light_background() {
        for (says, background) in [
            ("0;15", Background::Light),
            ("0;default;7", Background::Light),
            ("15;0", Background::Dark),
            ("7;8", Background::Dark),
            ("", Background::Dark),
        ] {
            assert_eq!(resolve(None, &[("COLORFGBG", says)]).background, background, "{says}");
        }
    }

    #[test]
    fn only_a_terminal_that_nobody_speaks_for_is_asked_for_its_background() {
        let asks = |environment: &[(&str, &str)]| resolve(None, environment).asks_background;
        assert!(asks(&[("TERM", "xterm")]));
        assert!(asks(&[("TERM", "xterm"), ("COLORFGBG", "default;default")]));
        for other in
            [("COLORFGBG", "0;15"), ("NO_COLOR", "1"), ("TERM", "linux"), ("TERM", "dumb"), ("TERM", "")]
        {
            assert!(!asks(&[other, ("TERM", "xterm")]), "{other:?}");
        }
    }

    #[test]
    fn there_are_as_many_colours_as_the_terminal_says() {
        let table: [(&[(&str, &str)], Colors); 5] = [
            (&[("TERM", "xterm")], Colors::Sixteen),
            (&[("TERM", "xterm-256color")], Colors::Indexed),
            (&[("TERM", "xterm-256color"), ("COLORTERM", "24bit")], Colors::True),
            (&[("TERM", "linux"), ("COLORTERM", "yes")], Colors::Sixteen),
            (&[("TERM", "xterm-direct")], Colors::True),
        ];
        for (environment, colors) in table {
            assert_eq!(resolve(None, environment).colors, colors, "{environment:?}");
        }
    }
}
