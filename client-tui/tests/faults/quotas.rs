//! A disk that keeps a quota: much is free there, and not for whoever writes. This takes root and btrfs, whose quotas hold for
//! root as well; without them the test says so and does nothing.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::image::{Disk, ran};
use crate::towd::Towd;
use crate::world::{Tree, World, check_between, check_whole, check_words, ended, parts, swept, tree};

const SMALL_FILES: usize = 40;
const LARGE_BYTES: usize = 300_000;

/// How much a folder may have, where the disk keeps quotas.
fn is_set(folder: &Path, kib: u32) -> bool {
    ran(Command::new("btrfs").args(["qgroup", "limit", &format!("{kib}k")]).arg(folder))
}

/// A folder of a disk that has a quota of its own.
fn make_limited(disk: &Disk, folder: &Path, kib: u32) -> bool {
    ran(Command::new("btrfs").args(["quota", "enable"]).arg(disk.at("")))
        && ran(Command::new("btrfs").args(["subvolume", "create"]).arg(folder))
        && is_set(folder, kib)
}

#[test]
fn f51_beyond_a_quota_of_the_disk_what_finds_no_room_fails_by_name_and_later_it_completes() {
    for (verb, kib) in [("put", 160), ("put", 400), ("get", 400), ("cp", 160), ("cp", 400)] {
        let what = format!("{verb} with a quota of {kib} KiB");
        let world = World::new(SMALL_FILES, LARGE_BYTES);
        let new = tree(&world.at("local/tree"));
        let Some(disk) = Disk::new("btrfs") else { return };
        let folder = disk.at("ours");
        assert!(make_limited(&disk, &folder, kib), "no quota could be set");
        let served = if verb == "put" { folder.clone() } else { world.at("local") };
        let towd = Towd::start(&served, &world.at("state of towd"), &["--limit", "disk_reserve_bytes=0"]);
        let ours = format!("{}/", folder.display());
        let (from, to) = match verb {
            "put" => ("tree".to_owned(), towd.target("/")),
            "get" => (towd.target("/tree"), ours),
            _ => ("tree".to_owned(), ours),
        };
        let run = || ended(world.tow(&[verb, "--overwrite", "always", &from, &to]).spawn().unwrap());
        let output = run();
        check_words(&output, &what);
        assert_eq!(output.status.code(), Some(1), "{what}: {output:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        // A time takes room on the disk too, and what has arrived stays without it.
        let is_expected = |line: &str| line.contains("disk quota exceeded") || line.contains(": not kept: ");
        assert!(said.lines().all(is_expected), "{what}: {said}");
        check_between(&folder.join("tree"), &Tree::new(), &new, &what);
        let arrived = tree(&folder.join("tree"));
        for path in new.keys().filter(|path| !arrived.contains_key(*path)) {
            // Without its folder a file is not tried.
            let is_named = |path: &Path| said.contains(&format!("tree/{}: ", path.display()));
            assert!(path.ancestors().any(is_named), "{what}: {} was not named: {said}", path.display());
        }
        assert_eq!(parts(&folder), Vec::<PathBuf>::new(), "{what}");
        assert!(is_set(&folder, 100_000));
        let output = run();
        assert!(output.status.success(), "{what}: the repetition failed: {output:?}");
        check_whole(&folder.join("tree"), &new, &what);
        assert_eq!(swept(&folder), Vec::<PathBuf>::new(), "{what}");
    }
}
