//! Done means on the disk: what is flushed, in how many goes, what a flush that fails does, and what a power cut leaves.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr,
    unreachable_pub,
    reason = "tests"
)]

#[allow(dead_code, reason = "other tests use more of it")]
#[path = "support/image.rs"]
mod image;
#[path = "support/skip.rs"]
mod skip;
#[allow(dead_code, reason = "other tests use more of it")]
#[path = "support/towd.rs"]
mod towd;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use image::Disk;
use rustix::process::{Pid, Signal, kill_process};
use towd::Towd;

/// More than one lot.
const MANY: usize = 300;

fn tow(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tow"));
    command.env("TOW_STATE_DIR", dir.join("state")).stdin(Stdio::null());
    command
}

/// A folder with so many small files, and what each holds.
fn fill(folder: &Path, files: usize) -> BTreeMap<PathBuf, Vec<u8>> {
    let named = |number: usize| PathBuf::from(format!("{}/{number}", number % 10));
    let files: BTreeMap<_, _> =
        (0..files).map(|number| (named(number), format!("{number} ").repeat(number).into_bytes())).collect();
    for (path, content) in &files {
        fs::create_dir_all(folder.join(path).parent().unwrap()).unwrap();
        fs::write(folder.join(path), content).unwrap();
    }
    files
}

/// `tow cp ARGUMENTS` under strace, which says how often anything of them was flushed, and does to flushes what `inject` says. Our own
/// journal is another matter.
fn copy_traced(dir: &Path, inject: &[&str], arguments: &[&Path]) -> Option<(Output, usize)> {
    if Command::new("strace").arg("-V").output().is_err() {
        skip::skip("there is no strace");
        return None;
    }
    let log = dir.join("strace.log");
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-y", "-e", "trace=fsync,fdatasync,syncfs", "-o"]).arg(&log).args(inject);
    command.arg(env!("CARGO_BIN_EXE_tow")).arg("cp").args(arguments);
    let state = dir.join("state");
    command.env("TOW_STATE_DIR", &state).stdin(Stdio::null());
    let output = command.output().unwrap();
    let log = fs::read_to_string(log).unwrap();
    let is_ours = |line: &str| line.contains(state.to_str().unwrap());
    let flushes = log.lines().filter(|line| line.contains("sync") && !is_ours(line)).count();
    Some((output, flushes))
}

#[test]
fn a_copy_is_flushed_in_few_goes_and_not_at_all_where_nobody_wants_it() {
    let dir = tempfile::tempdir().unwrap();
    let [from, to, relaxed] = ["from", "to", "relaxed"].map(|name| dir.path().join(name));
    let files = fill(&from, MANY);
    let Some((output, flushes)) = copy_traced(dir.path(), &[], &[&from, &to]) else { return };
    assert!(output.status.success(), "{output:?}");
    assert!((1..MANY / 10).contains(&flushes), "{flushes} flushes for {MANY} files");
    for (path, content) in &files {
        assert_eq!(&fs::read(to.join(path)).unwrap(), content);
    }
    let no_sync = Path::new("--no-sync");
    let (output, flushes) = copy_traced(dir.path(), &[], &[no_sync, &from, &relaxed]).unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(flushes, 0);
}

#[test]
fn one_file_is_flushed_and_not_all_that_waits_for_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "content").unwrap();
    let (from, to) = (dir.path().join("file"), dir.path().join("copy"));
    let Some((output, flushes)) = copy_traced(dir.path(), &[], &[&from, &to]) else { return };
    assert!(output.status.success(), "{output:?}");
    let log = fs::read_to_string(dir.path().join("strace.log")).unwrap();
    assert!(!log.contains("syncfs"), "{log}");
    assert_eq!(flushes, 2, "the file and its folder: {log}");
}

#[test]
fn f52_what_could_not_be_flushed_is_no_done_file() {
    let dir = tempfile::tempdir().unwrap();
    let [from, to] = ["from", "to"].map(|name| dir.path().join(name));
    fill(&from, MANY);
    let worn_out = ["-e", "inject=fsync,fdatasync,syncfs:error=EIO:when=1"];
    let Some((output, _)) = copy_traced(dir.path(), &worn_out, &[&from, &to]) else { return };
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("the disk reported an error"), "{said}");
    // All of the first lot were in that flush.
    assert!(!to.join("0/0").exists() && !to.join("5/5").exists());
    assert_eq!(parts(&to), Vec::<PathBuf>::new());
}

fn parts(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().unwrap().is_dir() {
            found.extend(parts(&entry.path()));
        } else if entry.file_name().to_string_lossy().starts_with(".towpath-part-") {
            found.push(entry.path());
        }
    }
    found
}

/// What is somewhere: a file by its content, a link by its target, a folder by its time.
fn look(at: &Path) -> Option<Vec<u8>> {
    let there = fs::symlink_metadata(at).ok()?;
    if there.is_dir() {
        return Some(format!("folder of {}.{}", there.mtime(), there.mtime_nsec()).into_bytes());
    }
    let target = fs::read_link(at).map(|target| format!("link to {}", target.display()).into_bytes());
    target.or_else(|_| fs::read(at)).ok()
}

/// A tree in which each file ends in `word`, and what is at each path of it.
fn tree(disk: &Disk, word: &str) -> (PathBuf, BTreeMap<PathBuf, Vec<u8>>) {
    let tree = disk.beside(word);
    let mut files = fill(&tree, 40);
    files.insert("large".into(), vec![7; 300_000]);
    for (path, content) in &files {
        fs::write(tree.join(path), [content, word.as_bytes()].concat()).unwrap();
    }
    fs::create_dir(tree.join("empty")).unwrap();
    symlink("large", tree.join("link")).unwrap();
    let folders = (0..10).map(|number| number.to_string()).chain(["empty".into(), String::new()]);
    let paths = files.into_keys().chain(folders.map(PathBuf::from)).chain(["link".into()]);
    let things = paths.map(|path| (path.clone(), look(&tree.join(path)).unwrap())).collect();
    (tree, things)
}

/// Puts the first tree at one place, the second over it, and so on at other places until the power is cut, `pause` after it began.
/// Gives how many of these copies were called done.
fn put_until_cut(disk: &Disk, server: &Towd, trees: [&Path; 2], round: usize, pause: Duration) -> usize {
    let began = Instant::now();
    for number in 0.. {
        let target = server.target(&format!("/{round}-{}", number / 2));
        let mut put = tow(&disk.beside(""));
        put.args(["put", "--quiet", "-T", "--overwrite", "always"]).arg(trees[number % 2]).arg(&target);
        let mut put = put.stderr(Stdio::null()).spawn().unwrap();
        loop {
            if began.elapsed() >= pause {
                disk.cut();
                // Whatever it says now, nobody hears it.
                let _ = kill_process(Pid::from_child(&put), Signal::KILL);
                let _ = put.wait();
                return number;
            }
            if let Some(status) = put.try_wait().unwrap() {
                assert!(status.success(), "a copy failed before the power went");
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    unreachable!("there are always more numbers")
}

/// `TOWPATH_POWER_CUTS` says how often.
#[test]
fn after_a_power_cut_what_was_called_done_is_whole_and_the_rest_absent_or_old() {
    let cuts = std::env::var("TOWPATH_POWER_CUTS").map_or(5, |cuts| cuts.parse().unwrap());
    let Some(mut disk) = Disk::new("xfs") else { return };
    let ((first, of_first), (second, of_second)) = (tree(&disk, "first"), tree(&disk, "second"));
    let (mut done_in_all, mut looked_at) = (0, 0);
    for round in 0..cuts {
        let server =
            Towd::start(&disk.at(""), &disk.beside("state of towd"), &["--limit", "disk_reserve_bytes=0"]);
        // Each time at another moment of a copy, first ones and later ones.
        let pause = Duration::from_millis(30 + (round as u64 * 137) % 1000);
        let done = put_until_cut(&disk, &server, [&first, &second], round, pause);
        drop(server);
        disk.restart();
        for place in 0..=done / 2 {
            let copies = (done - 2 * place).min(2);
            for (path, of_first) in &of_first {
                let found = look(&disk.at(&format!("{round}-{place}")).join(path));
                let (is_first, is_second) =
                    (found.as_ref() == Some(of_first), found.as_ref() == Some(&of_second[path]));
                // A folder that is being filled has no time yet that anybody was told about.
                let is_unfinished = copies < 2 && of_first.starts_with(b"folder of");
                let is_right = match copies {
                    0 => found.is_none() || is_first || is_unfinished,
                    1 => is_first || is_second || (is_unfinished && found.is_some()),
                    _ => is_second,
                };
                let path = path.display();
                assert!(is_right, "cut {round}, {copies} copies done to place {place}: {path} is {found:?}");
                looked_at += 1;
            }
        }
        done_in_all += done;
        for entry in fs::read_dir(disk.at("")).unwrap().flatten() {
            fs::remove_dir_all(entry.path()).unwrap();
        }
    }
    eprintln!("{cuts} cuts, {done_in_all} copies called done before, {looked_at} things looked at");
    assert!(done_in_all > 0 || cuts < 5, "nothing was ever done before the power went");
    disk.unmount();
}
