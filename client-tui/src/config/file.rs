//! The configuration file, `config.toml`: what a person has set, and the bookmarks, which `tow` itself adds and takes out line by line,
//! so that everything else in it stays as it was written.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use serde::Deserialize;
use towpath_protocol::display::DisplayName;
use towpath_protocol::request::Durability;

use super::Background;
use crate::model::bookmarks::{Bookmarks, is_name};
use crate::model::wire::{STREAMS_DEFAULT, STREAMS_MAX, Wire};

/// Jobs that run at once where nobody says otherwise, and at most.
pub const JOBS_AT_ONCE: u8 = 2;
pub const JOBS_AT_ONCE_MAX: u8 = 8;

/// For how long what came of a file that was cut off waits for the rest, and a job for the next start, where nobody says otherwise, and
/// at most.
pub const PARTS_KEPT_DAYS: u16 = 7;
const PARTS_KEPT_DAYS_MAX: u16 = 365;

/// A job of so many seconds rings the bell at its end where nobody says otherwise.
pub const BELL_SECONDS: u32 = 10;

/// Where the bookmarks stand.
const SECTION: &str = "[bookmarks]";

/// What the file says; what it does not say is up to the environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigFile {
    pub background: Option<Background>,
    pub wire: Wire,
    pub jobs_at_once: Option<u8>,
    pub durability: Option<Durability>,
    pub preserve: Option<bool>,
    pub parts_kept: Option<Duration>,
    /// None where it says nothing of it; zero for no bell.
    pub bell_seconds: Option<u32>,
    pub bookmarks: Bookmarks,
}

/// So many days.
pub const fn days(days: u16) -> Duration {
    Duration::from_hours(24 * days as u64)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    theme: Option<ThemeName>,
    streams: Option<u8>,
    compress: Option<Compress>,
    jobs: Option<u8>,
    sync: Option<bool>,
    preserve: Option<bool>,
    parts_kept_days: Option<u16>,
    bell_seconds: Option<u32>,
    #[serde(default)]
    bookmarks: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Compress {
    Auto,
    Never,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum ThemeName {
    Auto,
    Dark,
    Light,
}

/// Reads it. One that is not there, or in a folder that this user may not look into, says nothing; Err names the line that makes no
/// sense.
#[allow(clippy::disallowed_methods, reason = "our own configuration, nothing that a server names")]
pub fn read(path: &Path) -> anyhow::Result<ConfigFile> {
    match std::fs::read_to_string(path) {
        Ok(text) => parse(&text).with_context(|| shown(path)),
        Err(_) if std::fs::metadata(path).is_err() => Ok(ConfigFile::default()),
        Err(error) => Err(error).with_context(|| shown(path)),
    }
}

fn shown(path: &Path) -> String {
    DisplayName::new(path.as_os_str().as_bytes()).to_string()
}

fn parse(text: &str) -> anyhow::Result<ConfigFile> {
    let raw: Raw = toml::from_str(text).map_err(|error| {
        let line =
            error.span().map_or(1, |span| 1 + text[..span.start.min(text.len())].matches('\n').count());
        anyhow::anyhow!("line {line}: {}", DisplayName::new(error.message().as_bytes()))
    })?;
    if let Some(jobs) = raw.jobs.filter(|jobs| !(1..=JOBS_AT_ONCE_MAX).contains(jobs)) {
        anyhow::bail!("jobs = {jobs}: between 1 and {JOBS_AT_ONCE_MAX} run at once");
    }
    if let Some(days) = raw.parts_kept_days.filter(|days| *days > PARTS_KEPT_DAYS_MAX) {
        anyhow::bail!("parts_kept_days = {days}: {PARTS_KEPT_DAYS_MAX} at most");
    }
    if let Some(streams) = raw.streams.filter(|streams| !(1..=STREAMS_MAX).contains(streams)) {
        anyhow::bail!("streams = {streams}: between 1 and {STREAMS_MAX} connections make one session");
    }
    if let Some(name) = raw.bookmarks.keys().find(|name| !is_name(name)) {
        anyhow::bail!("bookmarks: {name:?} is no name; letters, digits, - and _ make one");
    }
    let background = match raw.theme {
        Some(ThemeName::Dark) => Some(Background::Dark),
        Some(ThemeName::Light) => Some(Background::Light),
        Some(ThemeName::Auto) | None => None,
    };
    let durability = raw.sync.map(|sync| if sync { Durability::Synced } else { Durability::Relaxed });
    let bookmarks = Bookmarks::new(raw.bookmarks);
    let parts_kept = raw.parts_kept_days.map(days);
    let wire = Wire {
        streams: raw.streams.unwrap_or(STREAMS_DEFAULT),
        compresses: !matches!(raw.compress, Some(Compress::Never)),
    };
    let (jobs_at_once, preserve, bell_seconds) = (raw.jobs, raw.preserve, raw.bell_seconds);
    Ok(ConfigFile {
        background,
        wire,
        jobs_at_once,
        durability,
        preserve,
        parts_kept,
        bell_seconds,
        bookmarks,
    })
}

/// Writes a bookmark into the file, or takes it out where there is no target. The file is replaced in one step; a symbolic link stays
/// one. Blocks.
#[allow(clippy::disallowed_methods, reason = "our own configuration, nothing that a server names")]
pub fn keep_bookmark(path: &Path, name: &str, target: Option<&str>) -> anyhow::Result<()> {
    let shown = || shown(path);
    let path: PathBuf = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).with_context(shown),
    };
    let text = with_bookmark(&text, name, target);
    // What would not be read again is not written.
    let written = parse(&text).with_context(shown)?;
    anyhow::ensure!(written.bookmarks.target(name) == target, "{}: add {name} by hand", shown());
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(shown)?;
    }
    let beside = path.with_extension("toml.new");
    std::fs::write(&beside, text).and_then(|()| std::fs::rename(&beside, &path)).with_context(shown)
}

/// The text with this bookmark, and every other line as it was.
fn with_bookmark(text: &str, name: &str, target: Option<&str>) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let line = target.map(|target| format!("{name} = {}", quoted(target)));
    let Some(head) = lines.iter().position(|line| line.trim() == SECTION) else {
        if let Some(line) = line {
            if !lines.is_empty() {
                lines.push(String::new());
            }
            lines.extend([SECTION.to_owned(), line]);
        }
        return joined(&lines);
    };
    let rest = head + 1;
    let end = lines[rest..].iter().position(|line| line.trim_start().starts_with('['));
    let end = end.map_or(lines.len(), |at| rest + at);
    let is_it = |line: &String| {
        line.split_once('=').is_some_and(|(key, _)| key.trim().trim_matches(['"', '\'']) == name)
    };
    match (lines[rest..end].iter().position(is_it), line) {
        (Some(at), Some(line)) => lines[rest + at] = line,
        (Some(at), None) => drop(lines.remove(rest + at)),
        (None, Some(line)) => {
            let last = lines[rest..end].iter().rposition(|line| !line.trim().is_empty());
            lines.insert(last.map_or(rest, |at| rest + at + 1), line);
        }
        (None, None) => {}
    }
    joined(&lines)
}

/// As a string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.extend(format!("\\u{:04X}", u32::from(c)).chars()),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

fn joined(lines: &[String]) -> String {
    lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect()
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "fixtures")]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_read_and_what_makes_no_sense_is_named_with_its_line() {
        let text = "theme = \"light\"\njobs = 3\nsync = false\npreserve = true\nparts_kept_days = 2\nbell_seconds = 0\nstreams = 1\ncompress = \"never\"\n[bookmarks]\nbox = \"tow://box/srv\"\n";
        let file = parse(text).unwrap();
        assert_eq!((file.background, file.jobs_at_once), (Some(Background::Light), Some(3)));
        assert_eq!((file.durability, file.preserve), (Some(Durability::Relaxed), Some(true)));
        assert_eq!(file.wire, Wire { streams: 1, compresses: false });
        assert_eq!((file.parts_kept, file.bell_seconds), (Some(Duration::from_hours(48)), Some(0)));
        assert_eq!(file.bookmarks.target("box"), Some("tow://box/srv"));
        assert_eq!(parse("").unwrap(), ConfigFile::default());
        for (text, part) in [
            ("theme = \"light\"\ncolour = 1\n", "line 2: unknown field `colour`"),
            ("jobs = 9", "between 1 and 8"),
            ("jobs = 0", "between 1 and 8"),
            ("parts_kept_days = 366", "365 at most"),
            ("streams = 0", "between 1 and 16"),
            ("streams = 17", "between 1 and 16"),
            ("compress = \"always\"", "line 1: unknown variant"),
            ("theme = \"pink\"", "line 1: unknown variant"),
            ("[bookmarks]\n\"a b\" = \"x\"", "no name"),
            ("[bookmarks]\ntow = \"x\"", "no name"),
            ("x", "line 1"),
        ] {
            let error = format!("{:#}", parse(text).unwrap_err());
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_looked_for_says_nothing_and_one_that_cannot_be_read_is_told() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file"), "").unwrap();
        assert_eq!(read(&dir.path().join("file/config.toml")).unwrap(), ConfigFile::default());
        assert_eq!(read(&dir.path().join("none/config.toml")).unwrap(), ConfigFile::default());
        assert!(read(dir.path()).is_err(), "a folder");
    }

    #[test]
    fn a_bookmark_is_written_and_every_other_line_stays_as_it_was() {
        let table = [
            ("", "a", Some("x"), "[bookmarks]\na = \"x\"\n"),
            ("# mine\njobs = 2\n", "a", Some("x"), "# mine\njobs = 2\n\n[bookmarks]\na = \"x\"\n"),
            (
                "[bookmarks]\nb = \"y\" # old\n\n[x]\na = 1\n",
                "a",
                Some("z"),
                "[bookmarks]\nb = \"y\" # old\na = \"z\"\n\n[x]\na = 1\n",
            ),
            (
                "[bookmarks]\n# c\n\"a\" = \"y\"\nb = \"z\"\n",
                "a",
                Some("x"),
                "[bookmarks]\n# c\na = \"x\"\nb = \"z\"\n",
            ),
            ("[bookmarks]\na = \"y\"\nb = \"z\"\n", "a", None, "[bookmarks]\nb = \"z\"\n"),
            ("jobs = 2\n", "a", None, "jobs = 2\n"),
        ];
        for (text, name, target, expected) in table {
            assert_eq!(with_bookmark(text, name, target), expected, "{text:?}");
        }
    }

    #[test]
    fn a_bookmark_that_is_kept_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let (real, path) = (dir.path().join("dotfiles.toml"), dir.path().join("towpath/config.toml"));
        let odd = "unix:/run/a \"b\" \\ \u{1b} c";
        keep_bookmark(&path, "odd", Some(odd)).unwrap();
        assert_eq!(read(&path).unwrap().bookmarks.target("odd"), Some(odd));
        // A symbolic link stays one.
        std::fs::rename(&path, &real).unwrap();
        std::os::unix::fs::symlink(&real, &path).unwrap();
        keep_bookmark(&path, "box", Some("tow://box/")).unwrap();
        keep_bookmark(&path, "odd", None).unwrap();
        assert!(std::fs::symlink_metadata(&path).unwrap().is_symlink());
        assert_eq!(std::fs::read_to_string(&real).unwrap(), "[bookmarks]\nbox = \"tow://box/\"\n");
        // One that is broken is left alone.
        std::fs::write(&real, "jobs = x\n").unwrap();
        assert!(keep_bookmark(&path, "a", Some("b")).is_err());
        assert_eq!(std::fs::read_to_string(&real).unwrap(), "jobs = x\n");
    }
}
