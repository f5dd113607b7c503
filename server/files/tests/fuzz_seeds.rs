//! The fuzz body of a session over its seeds; the target in `server/fuzz` runs the same over whatever a fuzzer finds.
#![allow(clippy::disallowed_methods, reason = "fixtures are built and looked at with std::fs")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "all of this is tests")]

#[path = "../../fuzz/bodies/session.rs"]
mod session;

use std::fs;
use std::path::Path;

#[test]
fn a_session_holds_for_its_seeds_whole_and_cut() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds/session");
    let ground = session::Ground::new();
    let mut seeds = 0;
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let bytes = fs::read(&path).unwrap();
        for cut in [bytes.len(), bytes.len() / 2, bytes.len().saturating_sub(1)] {
            let run = std::panic::AssertUnwindSafe(|| ground.session(&bytes[..cut]));
            std::panic::catch_unwind(run).unwrap_or_else(|_| panic!("{} cut to {cut}", path.display()));
        }
        seeds += 1;
    }
    assert!(seeds > 20, "{seeds}");
}
