//! The n-th call of a kind fails, for n until nothing fails any more: every place where a disk may report an error, to the program that
//! a person runs and to the server. A call is counted in each thread by itself, so several may fail in one go.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::{Duration, UNIX_EPOCH};

use crate::strace::{Tracer, has_strace};
use crate::towd::Towd;
use crate::world::{
    PART, Thing, Tree, World, check_between, check_whole, check_words, ended, is_long, parts, swept, tree,
};

const SMALL_FILES: usize = 9;
const LARGE_BYTES: usize = 300_000;
/// Of a file that goes on where it was cut off.
const RESUMED_BYTES: usize = (16 << 20) + 4321;
/// More than there are calls of a kind.
const CALLS_MAX: usize = 400;

/// Whose calls fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Client,
    Server,
}

/// What is copied from where to where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Copying {
    Put,
    Get,
    /// On this side of the line, or on the other one.
    Within(Side),
    /// A move to the server.
    Move,
}

impl Copying {
    const fn verb(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::Get => "get",
            Self::Within(_) => "cp",
            Self::Move => "mv",
        }
    }

    const fn from(self) -> Side {
        match self {
            Self::Put | Self::Move => Side::Client,
            Self::Get => Side::Server,
            Self::Within(side) => side,
        }
    }

    const fn to(self) -> Side {
        match self {
            Self::Put | Self::Move => Side::Server,
            Self::Get => Side::Client,
            Self::Within(side) => side,
        }
    }
}

/// A world, what is copied in it, and what was there.
struct Round {
    world: World,
    copying: Copying,
    towd: Option<Towd>,
    old: Tree,
    new: Tree,
}

impl Round {
    fn new(copying: Copying) -> Self {
        Self::with(copying, SMALL_FILES, LARGE_BYTES)
    }

    fn with(copying: Copying, small_files: usize, large_bytes: usize) -> Self {
        let world = World::new(small_files, large_bytes);
        let new = tree(&world.at("local/tree"));
        if copying.from() == Side::Server {
            fs::rename(world.at("local/tree"), world.at("served/tree")).unwrap();
        }
        let towd = (copying != Copying::Within(Side::Client)).then(|| world.serve());
        let mut round = Self { world, copying, towd, old: Tree::new(), new };
        round.old = tree(&round.destination());
        round
    }

    fn folder(&self) -> PathBuf {
        self.world.at(if self.copying.to() == Side::Server { "served/in" } else { "local/in" })
    }

    fn destination(&self) -> PathBuf {
        self.folder().join("tree")
    }

    fn words(&self) -> [String; 5] {
        let place = |side, path: &str| match (side, &self.towd) {
            (Side::Server, Some(towd)) => towd.target(&format!("/{path}")),
            _ => path.to_owned(),
        };
        let (from, to) = (place(self.copying.from(), "tree"), place(self.copying.to(), "in/"));
        [self.copying.verb().to_owned(), "--overwrite".to_owned(), "always".to_owned(), from, to]
    }

    fn tow(&self, under: &[&str]) -> Output {
        let words = self.words();
        ended(self.world.tow_under(under, &words.each_ref().map(String::as_str)).spawn().unwrap())
    }

    /// The part of the large file. Its name depends on the file itself, so it is known only for an existing one:
    /// one that was cut off before anything had come, with which the copy goes on.
    fn part(&self) -> PathBuf {
        let side = if self.copying.from() == Side::Server { "served/tree/large" } else { "local/tree/large" };
        let source = fs::metadata(self.world.at(side)).unwrap();
        let modified = i128::from(source.mtime()) * 1_000_000_000 + i128::from(source.mtime_nsec());
        let client = 0_u32.to_be_bytes();
        let of = [&client[..], b"large/", &source.len().to_be_bytes(), &modified.to_be_bytes()].concat();
        let id = blake3::hash(&of);
        let id = &id.as_bytes()[..6];
        let made = self.destination().join("made");
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&made).unwrap();
        let file = file.metadata().unwrap();
        let born = file.created().map_or(Duration::ZERO, |born| born.duration_since(UNIX_EPOCH).unwrap());
        let (seconds, nanoseconds) = (born.as_secs().to_be_bytes(), born.subsec_nanos().to_be_bytes());
        let of = [b"towpath part ", id, b"file", &file.ino().to_be_bytes(), &seconds, &nanoseconds].concat();
        let tag = blake3::hash(&of).to_hex();
        let id = id.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        let part = self.destination().join(format!("{PART}{id}-{}", &tag[..16]));
        fs::rename(made, &part).unwrap();
        part
    }

    /// Copies while the `how` of `calls` is spoilt on one side, of calls on `path` alone where there is one: what came of it, and whether
    /// anything was spoilt. None where a running program cannot be traced here.
    fn copy_spoilt(
        &self,
        spoilt: Side,
        calls: &str,
        how: &str,
        path: Option<&Path>,
    ) -> Option<(Output, bool)> {
        let (trace, inject) = (format!("trace={calls}"), format!("inject={calls}:{how}"));
        let log = self.world.at("strace.log");
        let mut options = vec!["-f", "-o", log.to_str().unwrap(), "-e", &trace, "-e", &inject];
        options.extend(path.into_iter().flat_map(|path| ["-P", path.to_str().unwrap()]));
        let output = match (spoilt, &self.towd) {
            (Side::Server, Some(towd)) => {
                let tracer = Tracer::attach(towd, &options)?;
                let output = self.tow(&[]);
                drop(tracer);
                output
            }
            _ => self.tow(&[&["strace", "-qq"][..], &options].concat()),
        };
        let is_spoilt = fs::read_to_string(log).unwrap().contains("(INJECTED)");
        Some((output, is_spoilt))
    }

    /// What holds after any end, and that the same again completes it, with the same server.
    fn check(&self, output: &Output, what: &str) {
        check_words(output, what);
        check_between(&self.destination(), &self.old, &self.new, what);
        if self.copying == Copying::Move {
            let (here, there) = (tree(&self.world.at("local/tree")), tree(&self.destination()));
            for (path, thing) in &self.new {
                let is_somewhere = here.get(path) == Some(thing) || there.get(path) == Some(thing);
                assert!(is_somewhere, "{what}: {} is lost", path.display());
            }
        }
        if output.status.success() {
            check_whole(&self.destination(), &self.new, what);
            assert_eq!(parts(&self.folder()), Vec::<PathBuf>::new(), "{what}");
            return;
        }
        let is_left = self.copying != Copying::Move || self.world.at("local/tree").exists();
        if is_left {
            let again = self.tow(&[]);
            assert!(again.status.success(), "{what}: the repetition failed: {again:?}");
        }
        check_whole(&self.destination(), &self.new, what);
        assert_eq!(swept(&self.folder()), Vec::<PathBuf>::new(), "{what}");
    }
}

/// Copies with the n-th of `calls` failing on one side, for n until none is left to fail, with a world of its own each time.
fn fail_each(copying: Copying, spoilt: Side, calls: &str, error: &str) {
    fail_each_in(|| (Round::new(copying), None), spoilt, calls, error);
}

/// As [`fail_each`], of the calls on the part of a file that goes on where it was cut off.
fn fail_each_on_the_part(copying: Copying, calls: &str, error: &str) {
    let round = || {
        let round = Round::with(copying, SMALL_FILES, RESUMED_BYTES);
        let part = round.part();
        (round, Some(part))
    };
    fail_each_in(round, copying.to(), calls, error);
}

fn fail_each_in(round: impl Fn() -> (Round, Option<PathBuf>), spoilt: Side, calls: &str, error: &str) {
    let mut number = 1;
    loop {
        let (round, path) = round();
        let what = format!("{:?}, {spoilt:?}: {calls} number {number} fails with {error}", round.copying);
        let how = format!("error={error}:when={number}");
        let spoiling = round.copy_spoilt(spoilt, calls, &how, path.as_deref());
        let Some((output, is_spoilt)) = spoiling else { return };
        round.check(&output, &what);
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(said.contains(words_for(error)), "{what}: {output:?}");
            let codes: &[i32] = if error == "EACCES" { &[1, 5] } else { &[1] };
            assert!(output.status.code().is_some_and(|code| codes.contains(&code)), "{what}: {output:?}");
        }
        if !is_spoilt {
            assert!(output.status.success(), "{what}: {output:?}");
            // Some file systems share content, or flush nothing.
            assert!(number > 1 || calls == "copy_file_range", "{what}: there is no such call");
            return;
        }
        number += if is_long() || number < 3 { 1 } else { number };
        assert!(number < CALLS_MAX, "{what}: it never ends");
    }
}

fn words_for(error: &str) -> &'static str {
    match error {
        "ENOSPC" | "EDQUOT" => "no space",
        "EACCES" => "permission denied",
        _ => "the disk reported an error",
    }
}

#[test]
fn whichever_change_to_the_disk_fails_a_copy_leaves_old_or_whole_files() {
    if !has_strace() {
        return;
    }
    for side in [Side::Client, Side::Server] {
        for calls in ["mkdirat", "fchmod", "utimensat", "renameat,renameat2", "fsync,syncfs"] {
            fail_each(Copying::Within(side), side, calls, "EIO");
        }
        for error in ["EIO", "ENOSPC"] {
            fail_each(Copying::Within(side), side, "copy_file_range", error);
        }
    }
}

#[test]
fn whichever_change_to_the_disk_fails_a_download_leaves_old_or_whole_files() {
    if !has_strace() {
        return;
    }
    for calls in ["mkdirat", "symlinkat", "fchmod", "utimensat", "renameat,renameat2", "fsync,syncfs"] {
        fail_each(Copying::Get, Side::Client, calls, "EIO");
    }
}

#[test]
fn whichever_change_to_the_servers_disk_fails_an_upload_leaves_old_or_whole_files() {
    if !has_strace() {
        return;
    }
    for calls in ["symlinkat", "fchmod", "utimensat", "fsync,syncfs"] {
        fail_each(Copying::Put, Side::Server, calls, "EIO");
    }
    fail_each(Copying::Put, Side::Server, "mkdirat", "EDQUOT");
    fail_each(Copying::Put, Side::Server, "renameat,renameat2", "ENOSPC");
    fail_each(Copying::Put, Side::Server, "openat,openat2", "EACCES");
    fail_each(Copying::Put, Side::Server, "newfstatat", "EIO");
}

#[test]
fn whichever_look_at_the_servers_disk_fails_a_download_leaves_old_or_whole_files() {
    if !has_strace() {
        return;
    }
    for calls in ["openat,openat2", "newfstatat", "getdents64", "pread64", "readlinkat"] {
        fail_each(Copying::Get, Side::Server, calls, "EIO");
    }
}

#[test]
fn whichever_write_of_a_large_file_fails_it_is_old_or_whole() {
    if !has_strace() {
        return;
    }
    for copying in [Copying::Put, Copying::Get] {
        for (calls, error) in [
            ("write,pwrite64", "EIO"),
            ("write,pwrite64", "ENOSPC"),
            ("fsync,fdatasync,syncfs", "EIO"),
            ("fchmod", "EIO"),
        ] {
            fail_each_on_the_part(copying, calls, error);
        }
    }
}

#[test]
fn whichever_removal_fails_a_move_loses_nothing() {
    if !has_strace() {
        return;
    }
    fail_each(Copying::Move, Side::Client, "unlinkat", "EACCES");
}

#[test]
fn f52_what_a_server_could_not_flush_is_no_done_file() {
    if !has_strace() {
        return;
    }
    let round = Round::new(Copying::Put);
    let calls = "fsync,fdatasync,syncfs";
    let Some((output, is_spoilt)) = round.copy_spoilt(Side::Server, calls, "error=EIO", None) else { return };
    assert!(is_spoilt && output.status.code() == Some(1), "{output:?}");
    let mut found = tree(&round.destination());
    // A link and a folder are flushed after they have their names.
    found.retain(|_, thing| matches!(thing, Thing::File(_)));
    let mut old = round.old.clone();
    old.retain(|_, thing| matches!(thing, Thing::File(_)));
    assert!(found == old, "{:?} are there although no flush went well", found.keys());
    round.check(&output, "no flush goes well");
}

#[test]
fn a_disk_that_cannot_rename_without_replacing_is_written_to_in_other_ways() {
    if !has_strace() {
        return;
    }
    for copying in [Copying::Put, Copying::Within(Side::Server)] {
        let round = Round::new(copying);
        let Some((output, is_spoilt)) = round.copy_spoilt(Side::Server, "renameat2", "error=EINVAL", None)
        else {
            return;
        };
        assert!(is_spoilt && output.status.success(), "{copying:?}: {output:?}");
        round.check(&output, "no renameat2");
    }
}
