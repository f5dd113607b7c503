//! The fuzz body over its committed seeds, over every golden frame, and over damaged ones.

use std::path::Path;

use proptest::prelude::*;
use towpath_protocol::fuzz::{fuzz_body, fuzz_one_body, fuzz_pairing, fuzz_path};

use super::golden::{from_hex, lines};

/// The seeds in a folder of this package, with their names.
#[allow(clippy::disallowed_methods, reason = "a test's own data")]
fn seeds(folder: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.map(|file| (file.display().to_string(), std::fs::read(file).unwrap())).collect()
}

#[test]
fn the_fuzz_bodies_hold_for_their_seeds() {
    type Row = (&'static str, fn(&[u8]), usize);
    let bodies: [Row; 4] = [
        ("tests/seeds", fuzz_body, 16),
        ("fuzz/seeds/bodies", fuzz_one_body, 41),
        ("fuzz/seeds/paths", fuzz_path, 8),
        ("fuzz/seeds/pairing", fuzz_pairing, 6),
    ];
    for (folder, body, least) in bodies {
        let seeds = seeds(folder);
        assert!(seeds.len() >= least, "{folder}: {}", seeds.len());
        for (name, bytes) in seeds {
            for cut in (0..=bytes.len()).rev().take(200) {
                let run = || body(&bytes[..cut]);
                std::panic::catch_unwind(run).unwrap_or_else(|_| panic!("{name} cut to {cut}"));
            }
        }
    }
}

#[test]
fn the_fuzz_body_holds_for_golden_frames_alone_and_together() {
    let frames: Vec<Vec<u8>> = lines().iter().map(|line| from_hex(line.hex)).collect();
    for frame in &frames {
        fuzz_body(frame);
    }
    fuzz_body(&frames.concat());
}

proptest! {
    #[test]
    fn the_fuzz_body_holds_for_damaged_frames(
        which in any::<prop::sample::Index>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let golden = lines();
        let mut bytes = from_hex(which.get(&golden).hex);
        let len = bytes.len();
        for (place, byte) in damage {
            // The header stays, else most of what is tried is one error.
            bytes[4 + place.index(len - 4)] = byte;
        }
        fuzz_body(&bytes);
        fuzz_body(&bytes[..cut.index(len)]);
    }

    #[test]
    fn the_fuzz_body_holds_for_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        fuzz_body(&bytes);
        let framed = [&(bytes.len() as u32).to_be_bytes()[..], &bytes].concat();
        fuzz_body(&framed);
    }

    #[test]
    fn the_fuzz_bodies_of_paths_and_codes_hold_for_any_text(text in "\\PC{0,40}", name in prop::collection::vec(any::<u8>(), 0..300)) {
        fuzz_path(text.as_bytes());
        fuzz_path(&name);
        fuzz_pairing(text.as_bytes());
        fuzz_pairing(&[b"tow1", text.as_bytes()].concat());
    }
}
