//! The n-th call of a kind fails, for n until nothing fails any more: every place where a disk may report an error.

use std::process::Command;

use crate::towd::Towd;
use crate::world::{World, check_between, check_whole, check_words, ended, is_long, parts, tree};

const SMALL_FILES: usize = 9;
const LARGE_BYTES: usize = 300_000;
/// More than there are calls of a kind.
const CALLS_MAX: usize = 200;

fn has_strace() -> bool {
    let has = Command::new("strace").arg("-V").output().is_ok();
    if !has {
        eprintln!("skipped: there is no strace");
    }
    has
}

/// Runs `tow VERB … ` with the n-th `call` failing, for n as far as one fails, with a world of its own each time.
fn fail_each(call: &str, error: &str, verb: &str) {
    let mut number = 1;
    loop {
        let what = format!("{verb}: {call} number {number} fails with {error}");
        let world = World::new(SMALL_FILES, LARGE_BYTES);
        let new = tree(&world.at("local/tree"));
        let old = tree(&world.at("local/in/tree"));
        let towd: Option<Towd> = (verb == "get").then(|| {
            std::fs::rename(world.at("local/tree"), world.at("served/tree")).unwrap();
            world.serve()
        });
        let source = towd.as_ref().map_or_else(|| "tree".to_owned(), |towd| towd.target("/tree"));
        let words = [verb, "--overwrite", "always", &source, "in/"];
        let inject = format!("inject={call}:error={error}:when={number}");
        let trace = format!("trace={call}");
        let under = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject];
        let output = ended(world.tow_under(&under, &words).spawn().unwrap());
        check_words(&output, &what);
        let destination = world.at("local/in/tree");
        check_between(&destination, &old, &new, &what);
        assert_eq!(parts(&destination), Vec::<std::path::PathBuf>::new(), "{what}");
        if output.status.success() {
            check_whole(&destination, &new, &what);
            if number == 1 {
                // Some file systems share content, or flush nothing.
                eprintln!("skipped: {verb} makes no call of {call} here");
            }
            return;
        }
        assert_eq!(output.status.code(), Some(1), "{what}: {output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains(words_for(error)), "{what}: {output:?}");
        let output = world.run(&words);
        assert!(output.status.success(), "{what}: the repetition failed: {output:?}");
        check_whole(&destination, &new, &what);
        number += if is_long() || number < 3 { 1 } else { number };
        assert!(number < CALLS_MAX, "{what}: it never succeeds");
    }
}

fn words_for(error: &str) -> &'static str {
    if error == "EIO" { "the disk reported an error" } else { "no space" }
}

#[test]
fn whichever_change_to_the_disk_fails_a_copy_leaves_old_or_whole_files() {
    if !has_strace() {
        return;
    }
    for call in ["mkdirat", "copy_file_range", "fchmod", "utimensat", "renameat,renameat2", "fsync,syncfs"] {
        fail_each(call, "EIO", "cp");
    }
    fail_each("copy_file_range", "ENOSPC", "cp");
}

#[test]
fn whichever_change_to_the_disk_fails_a_download_leaves_old_or_whole_files() {
    if !has_strace() {
        return;
    }
    for call in ["mkdirat", "symlinkat", "fchmod", "utimensat", "renameat,renameat2", "fsync,syncfs"] {
        fail_each(call, "EIO", "get");
    }
}
