//! Moves after a power cut: each file is whole, as its source, as its copy, or once the next start has given it back its name.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, UNIX_EPOCH};

use rustix::process::{Pid, Signal, kill_process};

use crate::image::Disk;
use crate::towd::Towd;

/// Trees that one round moves, one after the other.
const TREES: usize = 8;
/// Small files of a tree; one large one is beside them.
const FILES: usize = 30;

/// Where a move goes, and what it meets there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Within,
    /// The destination is equal, and was never flushed.
    WithinOntoEqual,
    Up,
    UpOntoEqual,
    Down,
    DownOntoOther,
}

impl Way {
    const ALL: [Self; 6] =
        [Self::Within, Self::WithinOntoEqual, Self::Up, Self::UpOntoEqual, Self::Down, Self::DownOntoOther];

    const fn is_up(self) -> bool {
        matches!(self, Self::Up | Self::UpOntoEqual)
    }

    const fn is_down(self) -> bool {
        matches!(self, Self::Down | Self::DownOntoOther)
    }
}

/// One power cut, on a disk that a server serves.
struct Round<'a> {
    disk: &'a Disk,
    number: usize,
    way: Way,
}

impl Round<'_> {
    /// The records of both programs are on the disk that loses its power every second time. `tow` makes its folder itself.
    fn state(&self, name: &str) -> PathBuf {
        let is_on_disk = self.number / Way::ALL.len() % 2 == 1;
        if is_on_disk { self.disk.at(name) } else { self.disk.beside(name) }
    }

    fn serve(&self) -> Towd {
        let root = self.disk.at("root");
        fs::create_dir_all(&root).unwrap();
        Towd::start(&root, &self.state("state of towd"), &["--limit", "disk_reserve_bytes=0"])
    }

    fn source(&self, tree: usize) -> PathBuf {
        let name = format!("source-{tree}");
        if self.way.is_up() { self.disk.beside(&name) } else { self.disk.at("root").join(name) }
    }

    fn copy(&self, tree: usize) -> PathBuf {
        let name = format!("copy-{tree}");
        if self.way.is_down() { self.disk.beside(&name) } else { self.disk.at("root").join(name) }
    }

    /// The operand for a place of the test.
    fn operand(&self, server: &Towd, at: &Path) -> String {
        match at.strip_prefix(self.disk.at("root")) {
            Ok(within) => server.target(&format!("/{}", within.display())),
            Err(_) => at.display().to_string(),
        }
    }

    fn fill(&self) {
        for tree in 0..TREES {
            write(&self.source(tree), "", tree);
        }
        rustix::fs::syncfs(File::open(self.disk.at("")).unwrap()).unwrap();
        for tree in 0..TREES {
            match self.way {
                Way::WithinOntoEqual | Way::UpOntoEqual => write(&self.copy(tree), "", tree),
                Way::DownOntoOther => write(&self.copy(tree), "older ", tree),
                Way::Within | Way::Up | Way::Down => {}
            }
        }
    }

    fn tow(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tow"));
        command.env("TOW_STATE_DIR", self.state("state of tow")).args(words);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Moves tree after tree, cuts the power after `pause`, and returns how many moves were called done.
    fn move_until_cut(&self, server: &Towd, pause: Duration) -> usize {
        let began = Instant::now();
        let mut done = 0;
        let cut = |moving: Option<&mut std::process::Child>| {
            self.disk.cut();
            if let Some(moving) = moving {
                let _ = kill_process(Pid::from_child(moving), Signal::KILL);
                let _ = moving.wait();
            }
        };
        for tree in 0..TREES {
            let (from, to) = (self.source(tree), self.copy(tree));
            let (from, to) = (self.operand(server, &from), self.operand(server, &to));
            let overwrite = if self.way == Way::DownOntoOther { "always" } else { "never" };
            let mut moving =
                self.tow(&["mv", "--quiet", "-T", "--overwrite", overwrite, &from, &to]).spawn().unwrap();
            loop {
                if began.elapsed() >= pause {
                    cut(Some(&mut moving));
                    return done;
                }
                if let Some(status) = moving.try_wait().unwrap() {
                    assert!(status.success(), "{:?}: a move failed before the power went", self.way);
                    done += 1;
                    break;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        cut(None);
        done
    }

    /// Every file of the trees: at its copy where the move was called done, else there or at its source.
    fn check(&self, done: usize) {
        for tree in 0..TREES {
            for (name, content) in files("", tree) {
                let (source, copy) = (self.source(tree).join(&name), self.copy(tree).join(&name));
                let is_whole = |at: &Path| fs::read(at).is_ok_and(|found| found == content);
                let is_right = is_whole(&copy) || (tree >= done && is_whole(&source));
                let told =
                    format!("cut {}, {:?}, {done} moves done, tree {tree}, {name}", self.number, self.way);
                let seen = |at: &Path| fs::read(at).map(|found| found.len());
                assert!(
                    is_right,
                    "{told}: source {:?}, copy {:?} of {} bytes; beside it {:?}",
                    seen(&source),
                    seen(&copy),
                    content.len(),
                    names(source.parent().unwrap())
                );
            }
        }
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

fn files(word: &str, tree: usize) -> BTreeMap<String, Vec<u8>> {
    let small = (0..FILES).map(|file| (file.to_string(), format!("{word}{tree} {file} ").repeat(file + 1)));
    let large = ("large".to_owned(), format!("{word}{tree} large ").repeat(30_000));
    small.chain([large]).map(|(name, text)| (name, text.into_bytes())).collect()
}

fn write(folder: &Path, word: &str, tree: usize) {
    fs::create_dir_all(folder).unwrap();
    for (name, content) in files(word, tree) {
        let path = folder.join(name);
        fs::write(&path, content).unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_mins(25_000_000)).unwrap();
    }
}

fn remove_all(folder: &Path, is_ours: impl Fn(&str) -> bool) {
    for name in names(folder).into_iter().filter(|name| is_ours(name)) {
        fs::remove_dir_all(folder.join(name)).unwrap();
    }
}

/// `TOWPATH_POWER_CUTS` says how often.
#[test]
fn f80_after_a_power_cut_every_file_of_a_move_is_whole_at_its_source_or_its_copy() {
    let cuts = std::env::var("TOWPATH_POWER_CUTS").map_or(6, |cuts| cuts.parse().unwrap());
    let Some(mut disk) = Disk::new("xfs") else { return };
    let (mut done_in_all, mut cut_short) = (0, 0);
    for number in 0..cuts {
        let round = Round { disk: &disk, number, way: Way::ALL[number % Way::ALL.len()] };
        let server = round.serve();
        round.fill();
        let pause = Duration::from_millis(20 + (number as u64 * 137) % 700);
        let done = round.move_until_cut(&server, pause);
        drop(server);
        disk.restart();
        let round = Round { disk: &disk, number, way: Way::ALL[number % Way::ALL.len()] };
        // The next start of each gives back what was aside.
        let server = round.serve();
        let listed = round.tow(&["ls", &server.target("/")]).status().unwrap();
        assert!(listed.success(), "cut {number}: the next start fails");
        drop(server);
        round.check(done);
        done_in_all += done;
        cut_short += usize::from(done < TREES);
        remove_all(&disk.at(""), |_| true);
        remove_all(&disk.beside(""), |name| name.contains('-') || name.starts_with("state"));
    }
    eprintln!("{cuts} cuts, {done_in_all} moves called done before, {cut_short} cut short");
    assert!(cut_short > 0, "the power always went too late");
    disk.unmount();
}
