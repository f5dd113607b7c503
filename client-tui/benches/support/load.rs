//! Setup shared by the benchmarks of many sessions.

use std::path::Path;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The number that an environment variable asks for.
pub(crate) fn asked(name: &str, usual: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// A folder whose `root` was filled, and room for as many open files as there may be. `None` if the program was not asked to measure: the
/// tests run every benchmark too.
pub(crate) fn prepared(fill: impl FnOnce(&Path)) -> Option<tempfile::TempDir> {
    if !std::env::args().any(|argument| argument == "--bench") {
        return None;
    }
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).expect("open files");
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("root");
    std::fs::create_dir_all(&root).expect("a folder");
    fill(&root);
    Some(folder)
}
