//! The configuration file, `config.toml`: what a person has set, and the bookmarks, which `tow` itself adds and takes out.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use serde::Deserialize;
use towpath_protocol::display::DisplayName;
use towpath_protocol::request::Durability;

use super::Background;
use super::edit::with_bookmark;
use super::place::{self, ConfigPlace};
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
pub fn read(path: &Path) -> anyhow::Result<ConfigFile> {
    match place::read(path) {
        Ok(text) => parse(&text).with_context(|| shown(path)),
        Err(error) if place::is_absent(path, &error) => Ok(ConfigFile::default()),
        Err(error) => Err(error).with_context(|| shown(path)),
    }
}

fn shown(path: &Path) -> String {
    DisplayName::new(path.as_os_str().as_bytes()).to_string()
}

fn parse(text: &str) -> anyhow::Result<ConfigFile> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let raw: Raw = toml::from_str(text).map_err(|error| {
        let line =
            error.span().map_or(1, |span| 1 + text[..span.start.min(text.len())].matches('\n').count());
        let why = error.message().replacen("unknown variant", "unknown value", 1);
        anyhow::anyhow!("line {line}: {}", DisplayName::new(why.as_bytes()))
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

/// Writes a bookmark into the file, or takes it out if there is no target. Everything else in the file stays, and so do its mode and the
/// links that lead to it; a file with one name is replaced in one step. Blocks.
pub fn keep_bookmark(path: &Path, name: &str, target: Option<&str>) -> anyhow::Result<()> {
    let shown = || shown(path);
    let place = ConfigPlace::open(path).with_context(shown)?;
    let text = place.text().with_context(shown)?;
    let edited = with_bookmark(&text, name, target).with_context(shown)?;
    // A text that would not be read again as intended is not written.
    let mut expected = parse(&text).with_context(shown)?.bookmarks;
    expected.set(name, target);
    let written = parse(&edited).with_context(shown)?;
    anyhow::ensure!(written.bookmarks == expected, "{}: add {name} by hand", shown());
    place.replace(&edited).with_context(shown)
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
            ("compress = \"always\"", "line 1: unknown value"),
            ("theme = \"pink\"", "line 1: unknown value"),
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

    fn kept(before: impl FnOnce(&Path)) -> (tempfile::TempDir, anyhow::Result<()>) {
        let dir = tempfile::tempdir().unwrap();
        before(dir.path());
        let kept = keep_bookmark(&dir.path().join("config.toml"), "new", Some("/tmp"));
        (dir, kept)
    }

    #[test]
    fn mode_links_and_line_ends_stay_and_nothing_else_is_left_beside() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let private = std::fs::Permissions::from_mode(0o600);
        let (dir, done) = kept(|dir| {
            std::fs::write(dir.join("config.toml"), "jobs = 2\r\n").unwrap();
            std::fs::set_permissions(dir.join("config.toml"), private).unwrap();
        });
        done.unwrap();
        let path = dir.path().join("config.toml");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, "jobs = 2\r\n\r\n[bookmarks]\r\nnew = \"/tmp\"\r\n");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        // A link that leads to nothing yet, by way of another.
        let (dir, done) = kept(|dir| {
            std::fs::create_dir(dir.join("dots")).unwrap();
            symlink("other.toml", dir.join("config.toml")).unwrap();
            symlink("dots/real.toml", dir.join("other.toml")).unwrap();
        });
        done.unwrap();
        assert!(std::fs::symlink_metadata(dir.path().join("config.toml")).unwrap().is_symlink());
        assert!(std::fs::symlink_metadata(dir.path().join("other.toml")).unwrap().is_symlink());
        assert_eq!(read(&dir.path().join("dots/real.toml")).unwrap().bookmarks.target("new"), Some("/tmp"));
    }

    #[test]
    fn a_file_with_another_name_keeps_it() {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};
        let long = format!("# {}\n[bookmarks]\nold = \"/tmp\"\n", "x".repeat(10_000));
        let (dir, done) = kept(|dir| {
            std::fs::write(dir.join("config.toml"), &long).unwrap();
            std::fs::set_permissions(dir.join("config.toml"), std::fs::Permissions::from_mode(0o640))
                .unwrap();
            std::fs::hard_link(dir.join("config.toml"), dir.join("dotfiles.toml")).unwrap();
        });
        done.unwrap();
        let (path, other) = (dir.path().join("config.toml"), dir.path().join("dotfiles.toml"));
        keep_bookmark(&path, "old", None).unwrap();
        for path in [&path, &other] {
            let text = std::fs::read_to_string(path).unwrap();
            assert!(text.starts_with("# xxx") && text.ends_with("[bookmarks]\nnew = \"/tmp\"\n"), "{text}");
        }
        let metadata = std::fs::metadata(&other).unwrap();
        assert_eq!((metadata.nlink(), metadata.permissions().mode() & 0o777), (2, 0o640));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2, "nothing is left beside");
    }

    #[test]
    fn what_is_no_file_is_refused_and_stays_and_nothing_waits_for_it() {
        use std::os::unix::fs::{FileTypeExt, symlink};
        let fifo = |path: &Path| {
            let made = std::process::Command::new("mkfifo").arg(path).status().unwrap();
            assert!(made.success());
        };
        let (dir, done) = kept(|dir| fifo(&dir.join("config.toml")));
        let path = dir.path().join("config.toml");
        assert!(format!("{:#}", done.unwrap_err()).contains("not a file"));
        assert!(format!("{:#}", read(&path).unwrap_err()).contains("not a file"));
        assert!(std::fs::symlink_metadata(&path).unwrap().file_type().is_fifo());
        let (dir, done) = kept(|dir| symlink("config.toml", dir.join("config.toml")).unwrap());
        assert!(done.is_err());
        assert!(std::fs::symlink_metadata(dir.path().join("config.toml")).unwrap().is_symlink());
        let (dir, done) = kept(|dir| symlink("/dev/null", dir.join("config.toml")).unwrap());
        assert!(format!("{:#}", done.unwrap_err()).contains("not a file"));
        assert_eq!(read(&dir.path().join("config.toml")).unwrap(), ConfigFile::default());
        let (_dir, done) = kept(|dir| symlink("none/real.toml", dir.join("config.toml")).unwrap());
        assert!(done.is_err(), "no folders are made where a link leads");
    }

    #[test]
    fn bookmarks_that_two_keep_at_once_are_both_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        std::thread::scope(|scope| {
            for number in 0..8 {
                let path = &path;
                scope.spawn(move || keep_bookmark(path, &format!("b{number}"), Some("/tmp")).unwrap());
            }
        });
        assert_eq!(read(&path).unwrap().bookmarks.iter().count(), 8);
    }
}
