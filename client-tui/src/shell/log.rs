//! The program's own log: a file in the state folder, never the screen. Every command that fails leaves a line there. That it cannot be
//! written is no reason not to run.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::OFlags;
use towpath_protocol::display::DisplayName;
use tracing_subscriber::EnvFilter;

use crate::cli::exit::Exit;
use crate::cli::output::Errors;

/// About as much as stands before the text of a line.
const LINE_HEAD_BYTES: u64 = 60;
/// Bytes of an error that a line of the log holds.
const ERROR_BYTES_MAX: usize = 2_000;
/// Letters from which on a word that begins like a pairing code is taken for one.
const CODE_BYTES_LEAST: usize = 20;
/// A log longer than this is put aside when the program starts; one older log is kept.
const LOG_BYTES_MAX: u64 = 4_000_000;

/// Begins to log into `tow.log` below `state_dir`, which is made (0700) where it is missing. Gives the log's path, none where it
/// cannot be written. `filter` is a list of directives as `TOW_LOG` has it (`debug`, `towpath::link=trace`); none means `info`.
pub fn start(state_dir: &Path, filter: Option<&str>) -> Option<PathBuf> {
    let path = state_dir.join("tow.log");
    let file = open(state_dir, &path).ok()?;
    let filter = EnvFilter::builder().parse_lossy(filter.unwrap_or("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::sync::Mutex::new(file))
        .with_ansi(false)
        .try_init()
        .ok()?;
    Some(path)
}

/// Adds the line of a command that failed: when, which command, its exit code and its first error.
pub fn failed(state_dir: &Path, command: &str, code: u8, Errors { first, more }: Errors) {
    let Ok(mut file) = open(state_dir, &state_dir.join("tow.log")) else { return };
    let error = first.as_deref().map_or_else(
        || {
            let told = match code {
                code if code == Exit::Interrupted as u8 => "interrupted",
                code if code == Exit::Partly as u8 => {
                    "some items failed, were skipped or would be; standard output told which"
                }
                _ => "the program printed no error",
            };
            told.to_owned()
        },
        loggable,
    );
    let more = if more > 0 { format!(" (and {more} more)") } else { String::new() };
    let time = jiff::Timestamp::now();
    // In one piece: other programs may write there too.
    let _ = file.write_all(format!("{time:.6} ERROR {command}: exit {code}: {error}{more}\n").as_bytes());
}

/// Notes an error that the panes have shown; of one process no more than a log may hold.
pub(super) fn shown(text: &str) {
    static BYTES: AtomicU64 = AtomicU64::new(0);
    let text = loggable(text);
    let before = BYTES.fetch_add(text.len() as u64 + LINE_HEAD_BYTES, Ordering::Relaxed);
    if before < LOG_BYTES_MAX {
        tracing::error!("{text}");
    }
}

/// One line, of bounded length, without what may be a secret.
fn loggable(error: &str) -> String {
    let line: Vec<_> = error.lines().map(str::trim).collect();
    let mut text = DisplayName::new(without_secrets(&line.join(" | ")).as_bytes()).to_string();
    if text.len() > ERROR_BYTES_MAX {
        text.truncate(text.floor_char_boundary(ERROR_BYTES_MAX));
        text.push('…');
    }
    text
}

/// Replaces pairing codes, and passwords in addresses: people type them where they do not belong, and errors quote what was typed.
fn without_secrets(text: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric();
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(is_part) {
        let (before, word) = rest.split_at(at);
        let end = word.find(|c| !is_part(c)).unwrap_or(word.len());
        let (word, after) = word.split_at(end);
        kept.push_str(before);
        // A code that was cut or has a typing error in it is most of a code.
        let is_code = word.get(..4).is_some_and(|head| head.eq_ignore_ascii_case("tow1"))
            && word.len() >= CODE_BYTES_LEAST;
        kept.push_str(if is_code { "tow1…" } else { word });
        rest = after;
    }
    kept.push_str(rest);
    without_passwords(&kept)
}

/// `scheme://user:password@host` without the password.
fn without_passwords(text: &str) -> String {
    let (mut kept, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find("://") {
        let (before, authority) = rest.split_at(at + 3);
        kept.push_str(before);
        let end = authority.find(|c: char| c == '/' || c.is_whitespace()).unwrap_or(authority.len());
        let (authority, after) = authority.split_at(end);
        match authority.rsplit_once('@').and_then(|(user, host)| Some((user.split_once(':')?.0, host))) {
            Some((user, host)) => kept.extend([user, ":…@", host]),
            None => kept.push_str(authority),
        }
        rest = after;
    }
    kept + rest
}

#[allow(clippy::disallowed_methods, reason = "our own log, never a person's file")]
fn open(state_dir: &Path, path: &Path) -> io::Result<File> {
    DirBuilder::new().recursive(true).mode(0o700).create(state_dir)?;
    let append = || {
        OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed())
            .open(path)
    };
    let file = append()?;
    let metadata = file.metadata()?;
    // A pipe or device that has the name would hold us up, or takes all.
    if !metadata.is_file() {
        return Err(io::Error::other("not a file"));
    }
    if metadata.len() <= LOG_BYTES_MAX {
        return Ok(file);
    }
    std::fs::rename(path, path.with_extension("log.old"))?;
    append()
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "fixtures")]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_log_and_its_folder_are_for_their_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state/towpath");
        let path = state.join("tow.log");
        open(&state, &path).unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&state), mode(&path)), (0o700, 0o600));
    }

    fn error(first: &str, more: u64) -> Errors {
        Errors { first: Some(first.to_owned()), more }
    }

    #[test]
    fn a_command_that_failed_leaves_one_line_without_secrets() {
        let dir = tempfile::tempdir().unwrap();
        let code = "tow1bqv6w9m6m1w7p2297qkm6w69myy9bfraap8dvyek17sr3qshg7anbeny";
        failed(dir.path(), "tow ls", 4, error(&format!("{code}: no such file\nsee {}", &code[..40]), 2));
        failed(dir.path(), "tow get", 2, error("ssh://ann:hunter2@box/x and tow://box:7171/a@b:c: no", 0));
        failed(dir.path(), "tow cp", 130, Errors::default());
        failed(dir.path(), "tow cp", 1, error(&format!("\x1b[2J{}", "é".repeat(ERROR_BYTES_MAX)), 0));
        let text = std::fs::read_to_string(dir.path().join("tow.log")).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        let is_time = |line: &str| line[..27].parse::<jiff::Timestamp>().is_ok();
        assert!(lines.iter().all(|line| is_time(line) && line.len() < ERROR_BYTES_MAX + 100), "{text}");
        let said: Vec<_> = lines.iter().map(|line| &line[27..]).collect();
        assert_eq!(said[0], " ERROR tow ls: exit 4: tow1…: no such file | see tow1… (and 2 more)");
        assert_eq!(said[1], " ERROR tow get: exit 2: ssh://ann:…@box/x and tow://box:7171/a@b:c: no");
        assert_eq!(said[2], " ERROR tow cp: exit 130: interrupted");
        assert!(said[3].starts_with(r" ERROR tow cp: exit 1: \x1b[2Jé") && said[3].ends_with('…'), "{text}");
    }

    #[test]
    fn the_log_stays_within_its_size_however_many_commands_fail() {
        let dir = tempfile::tempdir().unwrap();
        let long = "x".repeat(ERROR_BYTES_MAX);
        let lines = usize::try_from(LOG_BYTES_MAX).unwrap() * 3 / ERROR_BYTES_MAX;
        for _ in 0..lines {
            failed(dir.path(), "tow ls", 1, error(&long, 0));
        }
        let bytes: u64 = ["tow.log", "tow.log.old"]
            .iter()
            .map(|name| dir.path().join(name).metadata().unwrap().len())
            .sum();
        assert!(bytes <= 2 * (LOG_BYTES_MAX + 2 * ERROR_BYTES_MAX as u64), "{bytes}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_log_that_is_no_file_holds_nobody_up() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tow.log");
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RWXU).unwrap();
        failed(dir.path(), "tow ls", 1, error("no", 0));
        assert!(open(dir.path(), &path).is_err());
    }

    #[test]
    fn a_log_that_has_grown_long_is_put_aside() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tow.log");
        File::create(&path).unwrap().set_len(LOG_BYTES_MAX + 1).unwrap();
        assert_eq!(open(dir.path(), &path).unwrap().metadata().unwrap().len(), 0);
        assert_eq!(dir.path().join("tow.log.old").metadata().unwrap().len(), LOG_BYTES_MAX + 1);
    }

    #[test]
    fn a_log_that_is_a_link_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tow.log");
        std::os::unix::fs::symlink(dir.path().join("elsewhere"), &path).unwrap();
        assert!(open(dir.path(), &path).is_err());
    }
}
