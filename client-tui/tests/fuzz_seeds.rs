//! The fuzz body of the terminal's input over its seeds; the target in `client-tui/fuzz` runs the same over whatever a fuzzer finds.
#![allow(clippy::disallowed_methods, reason = "seeds are read with std::fs")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "all of this is tests")]

#[path = "../fuzz/bodies/input.rs"]
mod input;

use std::fs;
use std::path::Path;

#[test]
fn f85_the_input_parser_holds_for_its_seeds_whole_and_cut() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/input");
    let mut seeds = 0;
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let bytes = fs::read(&path).unwrap();
        for cut in 0..=bytes.len() {
            let run = || input::input(&bytes[..cut]);
            std::panic::catch_unwind(run).unwrap_or_else(|_| panic!("{} cut to {cut}", path.display()));
        }
        seeds += 1;
    }
    assert!(seeds >= 25, "{seeds}");
}
