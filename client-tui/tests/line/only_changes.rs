//! What crosses the line with the shipped programs, counted on the socket between them: of a large file that changed a little, a
//! little; of a sparse file, what it stores.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use crate::towd::Towd;
use crate::{Way, here_and_there};

const MIB: u64 = 1 << 20;

/// A server, and a socket before its own that counts what passes.
struct World {
    dir: TempDir,
    _towd: Towd,
    passed: Arc<AtomicU64>,
}

impl World {
    fn new() -> Self {
        let dir = here_and_there();
        let towd = Towd::start(&dir.path().join("there"), &dir.path().join("state of towd"), &[]);
        let passed = Arc::default();
        count(dir.path().join("state of towd/socket"), &dir.path().join("counted"), &passed);
        Self { dir, _towd: towd, passed }
    }

    /// Where the file comes from and where it goes.
    fn paths(&self, way: Way) -> [PathBuf; 2] {
        way.paths(self.dir.path())
    }

    /// Copies the file, and gives what `tow` said last and how many bytes crossed the line.
    fn copy(&self, way: Way, arguments: &[&str]) -> (String, u64) {
        let there = format!("unix:{}?path=file", self.dir.path().join("counted").display());
        let here = self.dir.path().join("here/file");
        let mut tow = Command::new(env!("CARGO_BIN_EXE_tow"));
        tow.env("TOW_STATE_DIR", self.dir.path().join("state")).stdin(Stdio::null());
        match way {
            Way::Up => tow.arg("put").args(arguments).arg(here).arg(there),
            Way::Down => tow.arg("get").args(arguments).arg(there).arg(here),
        };
        let before = self.passed.load(Ordering::Relaxed);
        let output = tow.output().unwrap();
        assert!(output.status.success(), "{way:?}: {output:?}");
        let said = String::from_utf8(output.stdout).unwrap();
        (said.lines().last().unwrap_or_default().to_owned(), self.passed.load(Ordering::Relaxed) - before)
    }
}

/// Passes every connection to `socket` on to `to`, and counts the bytes of both directions.
fn count(to: PathBuf, socket: &Path, passed: &Arc<AtomicU64>) {
    let listener = UnixListener::bind(socket).unwrap();
    let passed = passed.clone();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (client, server) = (client.unwrap(), UnixStream::connect(&to).unwrap());
            for (from, to) in [(&client, &server), (&server, &client)] {
                let (from, to, passed) = (from.try_clone().unwrap(), to.try_clone().unwrap(), passed.clone());
                std::thread::spawn(move || pass_on(from, to, &passed));
            }
        }
    });
}

fn pass_on(mut from: UnixStream, mut to: UnixStream, passed: &AtomicU64) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        // Counted before anybody can have it.
        passed.fetch_add(read as u64, Ordering::Relaxed);
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

/// Bytes that no other place has, nor any other seed.
fn noise(len: u64, seed: u64) -> Vec<u8> {
    let mut content = vec![0; len as usize];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut content);
    content
}

fn write(path: &Path, content: &[u8], age: Duration) {
    fs::write(path, content).unwrap();
    File::options().write(true).open(path).unwrap().set_modified(SystemTime::now() - age).unwrap();
}

fn stored(path: &Path) -> u64 {
    fs::metadata(path).unwrap().blocks() * 512
}

#[test]
fn of_a_large_file_that_changed_a_little_a_little_crosses_the_line() {
    const SIZE: u64 = 96 * MIB;

    let before = noise(SIZE, 1);
    let mut after = before.clone();
    // In place, and at the end.
    for edit in noise(4096, 2).chunks(8).take(60) {
        let at = u64::from_le_bytes(edit.try_into().unwrap()) % (SIZE - 4096);
        after[at as usize..at as usize + 4096].fill(7);
    }
    after.extend_from_slice(&noise(100_000, 3));
    for way in [Way::Up, Way::Down] {
        let world = World::new();
        let [from, to] = world.paths(way);
        write(&to, &before, Duration::from_hours(1));
        write(&from, &after, Duration::ZERO);
        let (said, crossed) = world.copy(way, &["--json", "--overwrite", "always"]);
        assert!(fs::read(&to).unwrap() == after, "{way:?}");
        let done: serde_json::Value = serde_json::from_str(&said).unwrap();
        let saved = done["saved"].as_u64().unwrap();
        assert_eq!(done["bytes"], after.len() as u64, "{said}");
        assert!(saved > SIZE - 121 * 16 * 1024, "{way:?}: {said}");
        // What differs, the hashes of one side, and some words.
        let needed = after.len() as u64 - saved + SIZE / 16_384 * 32;
        assert!(
            crossed >= needed && crossed < needed + needed / 10,
            "{way:?}: {crossed} bytes, {needed} needed"
        );
        assert!(crossed < SIZE / 30, "{way:?}: {crossed} bytes crossed the line");
        // For a person, of one that did not change but for its time.
        write(&from, &after, Duration::from_mins(1));
        let (said, crossed) = world.copy(way, &["--overwrite", "always"]);
        assert!(said.contains(", 100.76 MB of it there already"), "{said}");
        assert!(crossed < MIB, "{way:?}: {crossed} bytes crossed the line");
    }
}

#[test]
fn of_a_sparse_file_what_it_stores_crosses_the_line() {
    const SIZE: u64 = 2048 * MIB;

    for way in [Way::Up, Way::Down] {
        let world = World::new();
        let [from, to] = world.paths(way);
        let file = File::create(&from).unwrap();
        file.set_len(SIZE).unwrap();
        let islands = [(0, 4096), (300 * MIB + 4096, 500_000), (SIZE - 500_000, 500_000)];
        for (at, len) in islands {
            file.write_all_at(&noise(len, at), at).unwrap();
        }
        if stored(&from) > 64 * MIB {
            crate::skip::skip("this file system has no holes");
            return;
        }
        let (_, crossed) = world.copy(way, &["--json"]);
        assert!(crossed < 1_200_000, "{way:?}: {crossed} bytes crossed the line");
        let copied = File::open(&to).unwrap();
        assert_eq!(copied.metadata().unwrap().len(), SIZE);
        for (at, len) in islands {
            let mut content = vec![0; len as usize];
            copied.read_exact_at(&mut content, at).unwrap();
            assert!(content == noise(len, at), "{way:?}, at {at}");
        }
        assert!(stored(&to) < stored(&from) + MIB, "{way:?}: {} bytes are stored", stored(&to));
    }
}
