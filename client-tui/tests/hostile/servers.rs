//! `tow` against an evil server: how it is run, and what must hold whatever the server says.

mod floods;
mod lies;
mod planted;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use tempfile::TempDir;
use towpath_protocol::message::{Request, Session, ToServer};

use super::evil::{EvilServer, Script};
use super::memory::{Ended, MEMORY_KIB_MAX, run};
use super::pack::Value;

const SECRET: &str = "nobody may touch this";

/// A folder to copy into, and one beside it that nobody may touch.
pub(crate) struct Home {
    dir: TempDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["here", "outside", "state"] {
            fs::create_dir(dir.path().join(folder)).unwrap();
        }
        fs::write(dir.path().join("outside/file"), SECRET).unwrap();
        fs::write(dir.path().join("here/upload"), vec![7; 300_000]).unwrap();
        Self { dir }
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    pub(crate) fn tow(&self, words: &[&str]) -> Command {
        let mut tow = Command::new(env!("CARGO_BIN_EXE_tow"));
        tow.args(words).current_dir(self.path("here")).env("TOW_STATE_DIR", self.path("state"));
        tow.env("LANG", "C.UTF-8").env_remove("TOW_LOG");
        tow
    }

    /// Nothing lies anywhere but where things were to be copied to, and nothing of that leads or is more than it should.
    pub(crate) fn check(&self, what: &str) {
        assert_eq!(names(&self.path("")), ["here", "outside", "state"], "{what}");
        assert_eq!(names(&self.path("outside")), ["file"], "{what}");
        assert_eq!(fs::read_to_string(self.path("outside/file")).unwrap(), SECRET, "{what}");
        let allowed = ["copy", "upload"];
        for name in names(&self.path("here")) {
            assert!(allowed.contains(&name.as_str()), "{what}: {name} came out of nowhere");
        }
        let mut folders = vec![self.path("here")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap()) {
                let metadata = entry.metadata().unwrap();
                let name = entry.file_name().to_string_lossy().into_owned();
                assert!(!name.starts_with(".towpath-part-"), "{what}: a part was left");
                assert_eq!(metadata.permissions().mode() & 0o7000, 0, "{what}: {name} has special bits");
                if metadata.is_dir() {
                    folders.push(entry.path());
                }
            }
        }
    }
}

pub(crate) fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// What is said instead of the truth, by what is wrong with it.
type Lie = (&'static str, fn(u32) -> Vec<u8>);

/// Says these bytes to each message that `is_meant` finds, and goes on honestly.
pub(crate) fn instead(
    is_meant: fn(&ToServer) -> bool,
    say: impl Fn(u32) -> Vec<u8> + Send + Sync + 'static,
) -> Script {
    Arc::new(move |id, message| is_meant(message).then(|| say(id)))
}

pub(crate) const fn is_hello(message: &ToServer) -> bool {
    matches!(message, ToServer::Session(Session::Hello(_)))
}

pub(crate) const fn is_list(message: &ToServer) -> bool {
    matches!(message, ToServer::Request(Request::List(_)))
}

pub(crate) const fn is_walk(message: &ToServer) -> bool {
    matches!(message, ToServer::Request(Request::Walk(_)))
}

pub(crate) const fn is_read(message: &ToServer) -> bool {
    matches!(message, ToServer::Request(Request::Read(_)))
}

pub(crate) fn is_read_of_large(message: &ToServer) -> bool {
    let ToServer::Request(Request::Read(read)) = message else { return false };
    read.file.path.name().or_else(|| read.file.base.name()).is_some_and(|name| name.as_bytes() == b"large")
}

pub(crate) const fn is_upload(message: &ToServer) -> bool {
    matches!(message, ToServer::Request(Request::BeginUpload(_)))
}

pub(crate) const fn is_long_work(message: &ToServer) -> bool {
    matches!(message, ToServer::Request(Request::Measure(_) | Request::Remove(_) | Request::Copy(_)))
}

pub(crate) const fn is_stat(message: &ToServer) -> bool {
    matches!(message, ToServer::Request(Request::Stat(_)))
}

/// Runs `tow` against a script; checks what holds whatever the script does.
pub(crate) fn told(home: &Home, what: &str, words: &[&str], script: Script) -> Ended {
    let server = EvilServer::start(script);
    let words: Vec<String> = words.iter().map(|word| word.replace("{S}", &server.target("docs"))).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let ended = run(&mut home.tow(&words));
    assert!(ended.status.code().is_some(), "{what}: ended by a signal: {}", ended.said());
    assert!(!ended.said().contains("panicked"), "{what}: {}", ended.said());
    assert!(ended.held_kib < MEMORY_KIB_MAX, "{what}: {} KiB", ended.held_kib);
    for stream in [&ended.out, &ended.err] {
        let is_safe = !stream.contains(&0x1b) && !String::from_utf8_lossy(stream).contains('\u{9b}');
        assert!(is_safe, "{what}: a terminal would obey that: {}", String::from_utf8_lossy(stream));
    }
    home.check(what);
    ended
}

/// As [`told`], and it must have failed with a message that holds `why`.
pub(crate) fn refused(what: &str, words: &[&str], why: &str, script: Script) {
    let ended = told(&Home::new(), what, words, script);
    let said = ended.said();
    assert!(ended.status.code() != Some(0), "{what}: taken as it came; {said}");
    assert!(said.lines().any(|line| line.starts_with("tow: ")) && said.contains(why), "{what}: {said}");
}

pub(crate) const LS: &[&str] = &["ls", "{S}"];
pub(crate) const GET: &[&str] = &["get", "{S}", "copy"];
pub(crate) const PUT: &[&str] = &["put", "upload", "{S}/", "--overwrite", "always"];
