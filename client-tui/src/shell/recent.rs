//! The targets that were connected to lately, the newest first: a private file, a line each.

use std::path::Path;

use towpath_files::private_files::{PrivateFault, PrivateFolder};

/// The client's own files, below the state folder.
const FOLDER: &str = "client";
const FILE: &str = "recent_targets";
/// Targets that are kept.
const TARGETS_MAX: usize = 20;

/// None where nothing was noted, or nothing can be read: it is only an offer. Blocks.
pub(super) fn recent(state_dir: &Path) -> Vec<String> {
    let read = PrivateFolder::open(&state_dir.join(FOLDER)).and_then(|folder| folder.read(FILE));
    let content = read.inspect_err(|fault| tracing::warn!(%fault, "recent targets")).ok().flatten();
    content.map_or_else(Vec::new, |content| lines(&content))
}

/// Notes a target as the newest, or forgets it. Blocks.
pub(super) fn note(state_dir: &Path, target: &str, stays: bool) -> Result<(), PrivateFault> {
    let folder = PrivateFolder::open(&state_dir.join(FOLDER))?;
    let locked = folder.lock()?;
    let mut targets = locked.read(FILE)?.map_or_else(Vec::new, |content| lines(&content));
    targets.retain(|known| known != target);
    if stays && !target.contains('\n') {
        targets.insert(0, target.to_owned());
    }
    targets.truncate(TARGETS_MAX);
    let text: String = targets.iter().flat_map(|target| [target.as_str(), "\n"]).collect();
    locked.write(FILE, text.as_bytes())
}

fn lines(content: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(content).lines().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_target_is_the_first_and_each_is_there_once() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(recent(dir.path()), [""; 0]);
        for target in ["a", "b", "a", "c"] {
            note(dir.path(), target, true).unwrap();
        }
        assert_eq!(recent(dir.path()), ["c", "a", "b"]);
        note(dir.path(), "a", false).unwrap();
        assert_eq!(recent(dir.path()), ["c", "b"]);
        for number in 0..30 {
            note(dir.path(), &format!("t{number}"), true).unwrap();
        }
        assert_eq!(recent(dir.path()).len(), TARGETS_MAX);
    }
}
