//! What is kept of a large file on request, where its copy goes on after it was cut off, and where it takes over what is there.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, PermissionsExt, chown};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::fs::XattrFlags;
use serde_json::Value;

use super::{SOME_GROUP, SOMEBODY, World, assert_same, kept, set_modified, told};

const PATIENCE: Duration = Duration::from_mins(1);
/// So much that there is time to cut it off after the first of it.
const BYTES: usize = 96 << 20;
const CUT_AFTER_BYTES: u64 = 24 << 20;

/// Gives a file everything that is kept on request, told from any other time.
fn mark(file: &Path, number: u32) {
    chown(file, Some(SOMEBODY + number), Some(SOME_GROUP + number)).unwrap();
    let _ = rustix::fs::setxattr(file, "user.comment", &[number as u8 + 1; 40], XattrFlags::empty());
    fs::set_permissions(file, fs::Permissions::from_mode(0o4711 + number)).unwrap();
    set_modified(file, 1_600_000_000 + i64::from(number), 123_456_789);
}

/// Runs it until enough of the file has come into `folder`, and kills it.
fn cut_off(world: &World, words: &[&str], folder: &Path) {
    let mut tow = world.command(words, "state").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let began = Instant::now();
    let received = || {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.filter_map(|entry| Some(entry.metadata().ok()?.len())).max().unwrap_or_default()
    };
    while received() < CUT_AFTER_BYTES {
        assert!(began.elapsed() < PATIENCE && tow.try_wait().unwrap().is_none(), "too late to be cut off");
        std::thread::yield_now();
    }
    tow.kill().unwrap();
    tow.wait().unwrap();
    assert!(!folder.join("large").exists(), "half a file has the name of a whole one");
}

#[test]
fn a_copy_that_goes_on_or_takes_over_keeps_as_much_as_any() {
    if !rustix::process::geteuid().is_root() {
        crate::skip::skip("only root gives files away");
        return;
    }
    let world = World::new(Some("list,read,write,delete,owner"));
    let flags = ["--json", "--preserve", "--overwrite", "always", "-T"];
    let (up, down) = (world.served("up"), world.served("down"));
    for (words, from, to) in [
        (["put", "tree", &up], "local/tree", "served/up"),
        (["get", &down, "back"], "served/down", "local/back"),
    ] {
        let (from, to) = (world.at(from), world.at(to));
        fs::create_dir(&from).unwrap();
        let large = from.join("large");
        let mut content = vec![0; BYTES];
        for (index, page) in content.chunks_mut(4096).enumerate() {
            page[..8].copy_from_slice(&index.to_le_bytes());
        }
        fs::write(&large, &content).unwrap();
        mark(&large, 0);
        let words = [&words[..1], &flags, &words[1..]].concat();
        cut_off(&world, &words, &to);
        for (number, counted) in [(1, "resumed"), (2, "saved")] {
            let output = world.done(&words);
            let done: Value = serde_json::from_slice(&output.stdout).unwrap();
            assert!(done[counted].as_u64() >= Some(8 << 20), "{words:?} {counted}: {}", told(&output));
            assert_eq!(done["unset"], 0, "{words:?}: {}", told(&output));
            assert_same(&kept(&from), &kept(&to));
            assert_eq!(fs::read_dir(&to).unwrap().count(), 1, "{words:?}: something was left");
            // An edit in place, and everything else anew.
            File::options().write(true).open(&large).unwrap().write_all_at(b"edited", 50_000_000).unwrap();
            mark(&large, number);
        }
    }
}
