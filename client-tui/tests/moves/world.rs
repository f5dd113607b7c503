//! A folder to work in, `tow` in it, and what is found there afterwards.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use crate::towd::Towd;

pub(crate) struct World {
    dir: TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    /// Makes the folders that lead there too.
    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(crate) fn modified(&self, path: &str, seconds: u64) {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        fs::File::open(self.at(path)).unwrap().set_modified(time).unwrap();
    }

    pub(crate) fn read(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.at(path)).ok()
    }

    /// Names in a folder, in order.
    pub(crate) fn names(&self, path: &str) -> Vec<String> {
        let entries = fs::read_dir(self.at(path)).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// Content of all files below a folder, by path.
    pub(crate) fn files(&self, path: &str) -> BTreeMap<String, String> {
        let mut files = BTreeMap::new();
        collect(&self.at(path), &self.at(path), &mut files);
        files
    }

    /// Contents of all files below a folder, each once.
    pub(crate) fn contents(&self, path: &str) -> Vec<String> {
        let mut contents: Vec<_> = self.files(path).into_values().collect();
        contents.sort();
        contents.dedup();
        contents
    }

    /// Serves a folder on a unix socket.
    pub(crate) fn serve(&self, path: &str) -> Towd {
        Towd::start(&self.at(path), &self.at("state of towd"), &[])
    }

    pub(crate) fn command(&self, words: &[&str]) -> Command {
        self.command_under(&[], words)
    }

    /// `tow` as an argument of another program.
    pub(crate) fn command_under(&self, program: &[&str], words: &[&str]) -> Command {
        let tow = env!("CARGO_BIN_EXE_tow");
        let mut command = match program.split_first() {
            Some((program, arguments)) => {
                let mut command = Command::new(program);
                command.args(arguments).arg(tow);
                command
            }
            None => Command::new(tow),
        };
        command.args(words).current_dir(self.dir.path()).env("TOW_STATE_DIR", self.at("state"));
        command.env("XDG_CONFIG_HOME", self.at("config")).env("LANG", "C.UTF-8").stdin(Stdio::null());
        command
    }

    pub(crate) fn tow(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    /// Nothing is left aside.
    pub(crate) fn check_nothing_aside(&self, path: &str, what: &str) {
        let left: Vec<_> = self.files(path).into_keys().filter(|at| at.contains("(moving ")).collect();
        assert_eq!(left, Vec::<String>::new(), "{what}");
    }

    /// Nothing is left aside, nor half.
    pub(crate) fn check_nothing_left(&self, path: &str, what: &str) {
        self.check_nothing_aside(path, what);
        let left: Vec<_> = self.files(path).into_keys().filter(|at| at.contains(".towpath-part-")).collect();
        assert_eq!(left, Vec::<String>::new(), "{what}");
    }
}

fn collect(top: &Path, folder: &Path, files: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_symlink() {
            let name =
                String::from_utf8_lossy(path.strip_prefix(top).unwrap().as_os_str().as_bytes()).into_owned();
            files.insert(name, format!("-> {}", fs::read_link(&path).unwrap().display()));
        } else if path.is_dir() {
            collect(top, &path, files);
        } else {
            let name =
                String::from_utf8_lossy(path.strip_prefix(top).unwrap().as_os_str().as_bytes()).into_owned();
            files.insert(name, String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned());
        }
    }
}

pub(crate) fn mount(words: &[&str], at: &Path) -> Option<Mounted> {
    fs::create_dir_all(at).unwrap();
    let (program, arguments) = words.split_first().unwrap();
    let mounted = Command::new(program).args(arguments).arg(at).stdin(Stdio::null()).output();
    if mounted.is_ok_and(|output| output.status.success()) {
        return Some(Mounted(at.to_owned()));
    }
    crate::skip::skip(&format!("nothing could be mounted by {words:?} (it takes root and that program)"));
    None
}

/// Unmounted when it is dropped.
pub(crate) struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
