//! Killed before any call that changes something, a move leaves the whole file under the name of the source or of the copy; or the next
//! start gives it its name back, and says so.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use crate::folding::Folding;
use crate::world::{World, mount};

/// More than any of these moves makes of one of them.
const CALLS_MAX: usize = 60;
const CALLS: [&str; 5] = ["renameat", "renameat2", "unlinkat", "fsync", "linkat"];

/// Kills `tow mv` before its `at`th call of a kind. None where it came to its end.
fn killed(world: &World, call: &str, at: usize, words: &[&str]) -> Option<()> {
    let inject = format!("inject={call}:signal=KILL:when={at}");
    let trace = format!("trace={call}");
    let strace = ["strace", "-f", "-o", "/dev/null", "-e", &trace, "-e", &inject];
    let output = world.command_under(&strace, words).stderr(Stdio::null()).output().unwrap();
    // strace ends as what it runs did.
    (output.status.signal() == Some(9) || output.status.code() == Some(137)).then_some(())
}

fn has_strace() -> bool {
    let has = Command::new("strace").args(["-f", "-o", "/dev/null", "true"]).stderr(Stdio::null()).status();
    let has = has.is_ok_and(|status| status.success());
    if !has {
        crate::skip::skip("programs cannot be traced here (strace)");
    }
    has
}

/// Kills a move everywhere; `fill` makes source and destination anew.
fn check(world: &World, what: &str, words: &[&str], places: [&str; 2], fill: impl Fn()) {
    let (mut kills, mut restored) = (0, 0);
    for call in CALLS {
        for at in 1.. {
            assert!(at < CALLS_MAX, "{what}: it makes no end of {call}");
            fill();
            if killed(world, call, at, words).is_none() {
                break;
            }
            kills += 1;
            let is_whole = |place: &&str| world.read(place).as_deref() == Some("precious");
            let before = places.iter().any(is_whole);
            let next = world.tow(&["ls", "."]);
            let said = String::from_utf8_lossy(&next.stderr).into_owned();
            let told = format!("{what}: killed before {call} number {at}: {next:?}");
            assert!(places.iter().any(is_whole), "{told}: it is lost: {:?}", world.files("."));
            if !before {
                restored += 1;
                assert!(said.contains("restored"), "{told}: nothing was said");
            }
            // Given again, it comes to its end, and nothing of the first attempt is left.
            let again = world.tow(words);
            // Both names are one there.
            let is_done =
                String::from_utf8_lossy(&again.stderr).contains("source and destination are the same file");
            assert!(again.status.success() || is_done || !is_whole(&places[0]), "{told}: {again:?}");
            assert_eq!(world.read(places[1]).as_deref(), Some("precious"), "{told}: {again:?}");
            world.check_nothing_aside("near", &told);
            world.check_nothing_aside("far", &told);
        }
    }
    assert!(kills > 0, "{what}: nothing was killed");
    eprintln!("{what}: killed {kills} times, {restored} times something was restored");
}

#[test]
fn f80_killed_before_any_call_a_move_has_lost_nothing() {
    if !has_strace() {
        return;
    }
    for kind in ["new", "same", "replaced"] {
        let world = World::new();
        fs::create_dir_all(world.at("far")).unwrap();
        let Some(_far) = mount(&["mount", "-t", "tmpfs", "none"], &world.at("far")) else { return };
        let words = ["mv", "-T", "--overwrite", "always", "near/file", "far/file"];
        let words = if kind == "same" {
            ["mv", "-T", "--overwrite", "never", "near/file", "far/file"]
        } else {
            words
        };
        check(&world, kind, &words, ["near/file", "far/file"], || {
            let _ = fs::remove_file(world.at("far/file"));
            world.write("near/file", "precious");
            world.modified("near/file", 1_500_000_000);
            if kind != "new" {
                world.write("far/file", if kind == "same" { "precious" } else { "old" });
                world.modified("far/file", 1_500_000_000);
            }
        });
    }
}

#[test]
fn f80_killed_before_any_call_another_spelling_of_a_name_has_lost_nothing() {
    if !has_strace() {
        return;
    }
    for options in [&[][..], &["spellings"]] {
        let world = World::new();
        fs::create_dir_all(world.at("far")).unwrap();
        let Some(_folding) = Folding::mount(&world.at("near"), options) else { return };
        check(&world, "spelling", &["mv", "near/file", "near/FILE"], ["near/file", "near/FILE"], || {
            for name in world.names("near") {
                fs::remove_file(world.at(&format!("near/{name}"))).unwrap();
            }
            world.write("near/file", "precious");
        });
    }
}

#[test]
fn d10_a_copy_that_was_killed_and_is_given_again_leaves_no_part() {
    if !has_strace() {
        return;
    }
    let world = World::new();
    world.write("near/t/large", vec![b'x'; 20 << 20]);
    world.write("near/t/middle", vec![b'y'; 300 << 10]);
    world.write("near/t/small", "small");
    world.write("near/t/empty", "");
    world.write("near/t/sub/small", "another");
    symlink("small", world.at("near/t/link")).unwrap();
    fs::create_dir_all(world.at("far")).unwrap();
    fs::create_dir_all(world.at("there/t")).unwrap();
    let towd = world.serve("near");
    let served = towd.target("t");
    let mut left = 0;
    // Made by the copy itself, joined, replaced, and from another machine: what is new has no name until it is complete, and leaves none.
    for (is_there, words) in [
        (false, &["cp", "-T", "near/t", "far/t"][..]),
        (false, &["cp", "-T", "near/t", "there/t"]),
        (false, &["get", "-T", &served, "far/t"]),
        (false, &["get", "-T", &served, "there/t"]),
        (false, &["cp", "-T", "near/t/small", "there/t/small"]),
        (true, &["cp", "--overwrite", "always", "-T", "near/t", "there/t"]),
        (true, &["get", "--overwrite", "always", "-T", &served, "there/t"]),
    ] {
        let to = words[words.len() - 1].split('/').next().unwrap();
        for (call, last) in [("fsync", 2), ("linkat", 4), ("renameat2", 16), ("renameat", 4), ("syncfs", 1)] {
            for at in 1..=last {
                let _ = fs::remove_dir_all(world.at(to));
                fs::create_dir_all(world.at(if to == "far" { "far" } else { "there/t" })).unwrap();
                for name in ["large", "middle", "small"].iter().filter(|_| is_there) {
                    world.write(&format!("there/t/{name}"), "another one");
                }
                if killed(&world, call, at, words).is_none() {
                    break;
                }
                left += parts(&world, to);
                let again = world.tow(words);
                let what = format!("{words:?} killed before {call} number {at}");
                assert!(again.status.success(), "{what}: {again:?}");
                assert_eq!(parts(&world, to), 0, "{what}: {:?}", world.files(to).keys());
            }
        }
    }
    assert!(left > 0, "no kill left anything, so this shows nothing");
}

fn parts(world: &World, folder: &str) -> usize {
    world.files(folder).into_keys().filter(|at| at.contains(".towpath-part-")).count()
}
