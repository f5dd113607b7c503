//! Disks that refuse: no inode is left, or files may not be that long. Mounting needs root; without it that test says so and does
//! nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::world::{World, check_between, check_whole, check_words, ended, parts, tree};

const SMALL_FILES: usize = 40;
const LARGE_BYTES: usize = 300_000;

/// A tmpfs with few inodes, unmounted when dropped.
struct Few<'a>(&'a Path);

impl<'a> Few<'a> {
    fn mount(at: &'a Path) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        if mount(&["-t", "tmpfs", "-o", "size=64m,nr_inodes=20", "none"], at) {
            return Some(Self(at));
        }
        eprintln!("skipped: no file system could be mounted");
        None
    }

    fn give_more(&self) {
        assert!(mount(&["-o", "remount,nr_inodes=1000"], self.0));
    }
}

impl Drop for Few<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

fn mount(words: &[&str], at: &Path) -> bool {
    let mut mount = Command::new("mount");
    mount.args(words).arg(at).stdin(Stdio::null()).output().is_ok_and(|output| output.status.success())
}

#[test]
fn f51_without_inodes_what_finds_none_fails_by_name_and_later_it_completes() {
    for verb in ["put", "get", "cp"] {
        let world = World::new(SMALL_FILES, LARGE_BYTES);
        let new = tree(&world.at("local/tree"));
        if verb == "get" {
            fs::rename(world.at("local/tree"), world.at("served/tree")).unwrap();
        }
        let few = world.at(if verb == "put" { "served/few" } else { "local/few" });
        let Some(mounted) = Few::mount(&few) else { return };
        let towd = world.serve();
        let (from, to) = match verb {
            "put" => ("tree".to_owned(), towd.target("/few/")),
            "get" => (towd.target("/tree"), "few/".to_owned()),
            _ => ("tree".to_owned(), "few/".to_owned()),
        };
        let words = [verb, "--overwrite", "always", &from, &to];
        let output = world.run(&words);
        check_words(&output, verb);
        assert_eq!(output.status.code(), Some(1), "{verb}: {output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("no space"), "{verb}: {output:?}");
        check_between(&few.join("tree"), &tree(Path::new("/nowhere")), &new, verb);
        assert_eq!(parts(&few), Vec::<PathBuf>::new(), "{verb}");
        mounted.give_more();
        let output = world.run(&words);
        assert!(output.status.success(), "{verb}: {output:?}");
        check_whole(&few.join("tree"), &new, verb);
    }
}

#[test]
fn whichever_write_is_one_too_many_leaves_old_or_whole_files() {
    for verb in ["get", "cp"] {
        // In blocks of 512 bytes or of 1024, as the shell has it.
        for blocks in [1, 2, 8, 30, 130, 290, 4000] {
            let what = format!("{verb}: files of {blocks} blocks at most");
            let world = World::new(SMALL_FILES, LARGE_BYTES);
            let new = tree(&world.at("local/tree"));
            let old = tree(&world.at("local/in/tree"));
            if verb == "get" {
                fs::rename(world.at("local/tree"), world.at("served/tree")).unwrap();
            }
            let towd = world.serve();
            let from = if verb == "get" { towd.target("/tree") } else { "tree".to_owned() };
            let words = [verb, "--overwrite", "always", &from, "in/"];
            // Without the signal a write beyond the limit is an error as any other.
            let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\"");
            let output = ended(world.tow_under(&["sh", "-c", &script, "sh"], &words).spawn().unwrap());
            check_words(&output, &what);
            check_between(&world.at("local/in/tree"), &old, &new, &what);
            assert_eq!(parts(&world.at("local/in")), Vec::<PathBuf>::new(), "{what}");
            assert_eq!(output.status.code(), Some(i32::from(blocks < 4000)), "{what}: {output:?}");
            let output = world.run(&words);
            assert!(output.status.success(), "{what}: {output:?}");
            check_whole(&world.at("local/in/tree"), &new, &what);
        }
    }
}
