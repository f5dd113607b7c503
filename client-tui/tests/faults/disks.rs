//! Disks that refuse: no byte or no inode is left, files may not be that long, or nothing may be written any more. Mounting needs root;
//! without it those tests say so and do nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::towd::Towd;
use crate::world::{
    Tree, World, check_between, check_whole, check_words, ended, is_long, parts, swept, tree,
};

const SMALL_FILES: usize = 40;
const LARGE_BYTES: usize = 300_000;

/// A tmpfs of some size, unmounted when dropped.
struct Small<'a>(&'a Path);

impl<'a> Small<'a> {
    fn mount(at: &'a Path, options: &str) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        if mount(&["-t", "tmpfs", "-o", options, "none"], at) {
            return Some(Self(at));
        }
        crate::skip::skip("no file system could be mounted");
        None
    }

    /// Whether it has these options from now on.
    fn remount(&self, options: &str) -> bool {
        mount(&["-o", &format!("remount,{options}")], self.0)
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

fn mount(words: &[&str], at: &Path) -> bool {
    let mut mount = Command::new("mount");
    mount.args(words).arg(at).stdin(Stdio::null()).output().is_ok_and(|output| output.status.success())
}

/// A copy to a disk of its own.
struct Round {
    world: World,
    verb: &'static str,
    new: Tree,
    towd: Towd,
    /// Where the disk is.
    disk: PathBuf,
}

impl Round {
    fn new(verb: &'static str, small_files: usize) -> Self {
        let world = World::new(small_files, LARGE_BYTES);
        let new = tree(&world.at("local/tree"));
        if verb == "get" {
            fs::rename(world.at("local/tree"), world.at("served/tree")).unwrap();
        }
        let disk = world.at(if verb == "put" { "served/disk" } else { "local/disk" });
        let towd = world.serve();
        Self { world, verb, new, towd, disk }
    }

    fn command(&self) -> Command {
        let (from, to) = match self.verb {
            "put" => ("tree".to_owned(), self.towd.target("/disk/")),
            "get" => (self.towd.target("/tree"), "disk/".to_owned()),
            _ => ("tree".to_owned(), "disk/".to_owned()),
        };
        self.world.tow(&[self.verb, "--overwrite", "always", &from, &to])
    }

    fn run(&self) -> Output {
        ended(self.command().spawn().unwrap())
    }

    fn destination(&self) -> PathBuf {
        self.disk.join("tree")
    }

    fn check_between(&self, output: &Output, what: &str) {
        check_words(output, what);
        check_between(&self.destination(), &Tree::new(), &self.new, what);
    }

    fn check_repeat(&self, what: &str) {
        let output = self.run();
        assert!(output.status.success(), "{what}: the repetition failed: {output:?}");
        check_whole(&self.destination(), &self.new, what);
        assert_eq!(swept(&self.disk), Vec::<PathBuf>::new(), "{what}");
    }
}

#[test]
fn f51_without_inodes_what_finds_none_fails_by_name_and_later_it_completes() {
    for verb in ["put", "get", "cp"] {
        let round = Round::new(verb, SMALL_FILES);
        let Some(disk) = Small::mount(&round.disk, "size=64m,nr_inodes=20") else { return };
        let output = round.run();
        round.check_between(&output, verb);
        assert_eq!(output.status.code(), Some(1), "{verb}: {output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("no space"), "{verb}: {output:?}");
        assert_eq!(parts(&round.disk), Vec::<PathBuf>::new(), "{verb}");
        assert!(disk.remount("nr_inodes=1000"));
        round.check_repeat(verb);
    }
}

#[test]
fn f51_on_a_full_disk_what_finds_no_room_fails_by_name_and_the_rest_goes_on() {
    for verb in ["put", "get", "cp"] {
        // From hardly anything, over all but the large file, to all but a little.
        let sizes_kib: &[usize] = &[8, 40, 160, 420, 560];
        let sizes_kib: Vec<usize> =
            if is_long() { (1..150).map(|n| 4 * n).collect() } else { sizes_kib.to_vec() };
        for size_kib in sizes_kib {
            let what = format!("{verb}: a disk of {size_kib} KiB");
            let round = Round::new(verb, SMALL_FILES);
            let Some(disk) = Small::mount(&round.disk, &format!("size={size_kib}k")) else { return };
            let output = round.run();
            round.check_between(&output, &what);
            assert_eq!(output.status.code(), Some(1), "{what}: {output:?}");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(said.lines().all(|line| line.contains("no space")), "{what}: {output:?}");
            let arrived = tree(&round.destination());
            for path in round.new.keys().filter(|path| !arrived.contains_key(*path)) {
                assert!(
                    said.contains(&path.display().to_string()),
                    "{what}: {} was not named",
                    path.display()
                );
            }
            assert_eq!(parts(&round.disk), Vec::<PathBuf>::new(), "{what}");
            assert!(disk.remount("size=64m"));
            round.check_repeat(&what);
        }
    }
}

#[test]
fn on_a_disk_that_becomes_read_only_nothing_half_stays() {
    for verb in ["put", "get"] {
        let round = Round::new(verb, 200);
        let Some(disk) = Small::mount(&round.disk, "size=64m") else { return };
        let mut tow = round.command().spawn().unwrap();
        let began = Instant::now();
        // Refused while a file is open for writing.
        let is_read_only = loop {
            let has_begun = fs::read_dir(round.destination()).is_ok_and(|entries| entries.count() > 0);
            if has_begun && disk.remount("ro") {
                break true;
            }
            if tow.try_wait().unwrap().is_some() {
                break false;
            }
            assert!(began.elapsed() < Duration::from_mins(15), "{verb} hangs");
        };
        let output = ended(tow);
        round.check_between(&output, verb);
        if is_read_only && !output.status.success() {
            assert_eq!(output.status.code(), Some(5), "{verb}: {output:?}");
            assert!(String::from_utf8_lossy(&output.stderr).contains("read-only"), "{verb}: {output:?}");
        }
        disk.remount("rw");
        round.check_repeat(verb);
    }
}

#[test]
fn whichever_write_is_one_too_many_leaves_old_or_whole_files() {
    for verb in ["put", "get", "cp"] {
        // The last one is more than any file has.
        let bytes_max: &[u64] = &[512, 1024, 4096, 15_360, 66_560, 148_480, 2_048_000];
        for bytes in bytes_max {
            let what = format!("{verb}: files of {bytes} bytes at most");
            let world = World::new(SMALL_FILES, LARGE_BYTES);
            let new = tree(&world.at("local/tree"));
            let side = if verb == "put" { "served/in" } else { "local/in" };
            let old = tree(&world.at(side).join("tree"));
            if verb == "get" {
                fs::rename(world.at("local/tree"), world.at("served/tree")).unwrap();
            }
            let towd = world.serve();
            let from = if verb == "get" { towd.target("/tree") } else { "tree".to_owned() };
            let to = if verb == "put" { towd.target("/in/") } else { "in/".to_owned() };
            let words = [verb, "--overwrite", "always", &from, &to];
            let output = if verb == "put" {
                limit_files(&towd, Some(*bytes));
                world.run(&words)
            } else {
                // Without the signal a write beyond the limit is an error as any other. In blocks of 512 bytes or of 1024, as the
                // shell has it.
                let script = format!("trap '' XFSZ; ulimit -f {}; exec \"$@\"", bytes / 512);
                ended(world.tow_under(&["sh", "-c", &script, "sh"], &words).spawn().unwrap())
            };
            check_words(&output, &what);
            check_between(&world.at(side).join("tree"), &old, &new, &what);
            assert_eq!(parts(&world.at(side)), Vec::<PathBuf>::new(), "{what}");
            assert_eq!(output.status.code(), Some(i32::from(*bytes < 1_000_000)), "{what}: {output:?}");
            limit_files(&towd, None);
            let output = world.run(&words);
            assert!(output.status.success(), "{what}: {output:?}");
            check_whole(&world.at(side).join("tree"), &new, &what);
        }
    }
}

/// From now on the server may write no longer files than this.
fn limit_files(towd: &Towd, bytes: Option<u64>) {
    let pid = Pid::from_raw(towd.pid().cast_signed());
    prlimit(pid, Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap();
}
