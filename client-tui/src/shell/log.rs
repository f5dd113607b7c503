//! The program's own log: a file in the state folder, never the screen. That it cannot be written is no reason not to run.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use tracing_subscriber::EnvFilter;

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

#[allow(clippy::disallowed_methods, reason = "our own log, never a person's file")]
fn open(state_dir: &Path, path: &Path) -> io::Result<File> {
    DirBuilder::new().recursive(true).mode(0o700).create(state_dir)?;
    let append = || {
        OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
            .open(path)
    };
    let file = append()?;
    if file.metadata()?.len() <= LOG_BYTES_MAX {
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
