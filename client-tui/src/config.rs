//! Settings, resolved: what the environment and the command line say, read once at the start and passed on as values.
//!
//! Nothing else in the client reads the environment.

use std::ffi::OsString;
use std::path::PathBuf;

/// What the program goes by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where the log is kept; none where neither a flag, nor `TOW_STATE_DIR`, `XDG_STATE_HOME` or `HOME` names a folder.
    pub state_dir: Option<PathBuf>,
    pub colors: Colors,
    /// What is logged, in the directives of `tracing`; none for the default.
    pub log_filter: Option<String>,
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
            colors: colors(variable),
            log_filter: variable("TOW_LOG").and_then(|filter| filter.into_string().ok()),
        }
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
    fn a_relative_or_empty_variable_names_no_state_folder() {
        let environment = [("TOW_STATE_DIR", ""), ("XDG_STATE_HOME", "here"), ("HOME", "/h")];
        assert_eq!(state_dir(None, &environment).as_deref(), Some("/h/.local/state/towpath"));
    }

    #[test]
    fn no_color_is_honoured_unless_it_is_empty() {
        assert_eq!(resolve(None, &[("NO_COLOR", "1"), ("COLORTERM", "truecolor")]).colors, Colors::Off);
        assert_eq!(resolve(None, &[("NO_COLOR", "")]).colors, Colors::Sixteen);
        assert_eq!(resolve(None, &[("TERM", "dumb")]).colors, Colors::Off);
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
