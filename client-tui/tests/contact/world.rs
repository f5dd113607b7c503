//! A served folder, the server with its log, and clients with a state folder each.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use portable_pty::CommandBuilder;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::pty;
use crate::towd::program;

pub(crate) struct World {
    pub(crate) dir: TempDir,
}

/// A server that prints for people. Dropped, it is killed.
pub(crate) struct Server {
    child: Child,
    /// All that it printed when it was ready.
    pub(crate) printed: String,
    log: PathBuf,
}

impl World {
    /// Serves `root`, which has one file.
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("root")).unwrap();
        fs::write(dir.path().join("root/there.txt"), "there").unwrap();
        fs::create_dir(dir.path().join("here")).unwrap();
        fs::write(dir.path().join("here/mine.txt"), "mine").unwrap();
        Self { dir }
    }

    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    /// Starts a server at `address` with the state folder `state`; printed is all up to the line that holds `last`.
    pub(crate) fn serve(&self, address: &str, state: &str, arguments: &[&str], last: &str) -> Server {
        let log = self.at("towd.log");
        let mut child = Command::new(program())
            .args(["--listen", address, "--root"])
            .arg(self.at("root"))
            .args(arguments)
            .env("TOW_STATE_DIR", self.at(state))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut printed = String::new();
        while !printed.contains(last) {
            let read = stdout.read_line(&mut printed).unwrap();
            assert!(read > 0, "{printed}{}", fs::read_to_string(&log).unwrap());
        }
        Server { child, printed, log }
    }

    /// The output of `towd WORDS` with this state folder.
    pub(crate) fn towd(&self, state: &str, words: &[&str]) -> String {
        let output =
            Command::new(program()).args(words).env("TOW_STATE_DIR", self.at(state)).output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// `tow` of a client, without a terminal.
    pub(crate) fn tow(&self, client: &str, words: &[&str], code: Option<&str>) -> Output {
        let mut tow = Command::new(env!("CARGO_BIN_EXE_tow"));
        tow.args(words).current_dir(self.at("here")).stdin(Stdio::null());
        tow.env("TOW_STATE_DIR", self.at(client)).env_remove("TOW_PAIR").env("HOME", self.at("home"));
        tow.envs(code.map(|code| ("TOW_PAIR", code))).output().unwrap()
    }

    /// The same at a terminal.
    pub(crate) fn at_terminal(&self, client: &str, words: &[&str]) -> CommandBuilder {
        fs::create_dir_all(self.at("home")).unwrap();
        let mut command = pty::command(env!("CARGO_BIN_EXE_tow"), &self.at("home"));
        command.args(words);
        command.env("TOW_STATE_DIR", self.at(client));
        command.cwd(self.at("here"));
        command
    }

    /// The names in `towd clients`.
    pub(crate) fn names(&self, state: &str) -> Vec<String> {
        let listed = self.towd(state, &["clients"]);
        let rows = listed.lines().skip(1);
        rows.map(|row| row.split_whitespace().nth(1).unwrap().to_owned()).collect()
    }
}

impl Server {
    /// The line below `connect with:`, as it is to be pasted.
    pub(crate) fn connect_line(&self) -> Vec<String> {
        let line = self.printed.lines().skip_while(|line| *line != "connect with:").nth(1).unwrap();
        line.split_whitespace().map(str::to_owned).collect()
    }

    pub(crate) fn target(&self) -> String {
        self.connect_line().pop().unwrap()
    }

    pub(crate) fn address(&self) -> String {
        self.target().trim_start_matches("tow://").trim_end_matches('/').to_owned()
    }

    pub(crate) fn code(&self) -> String {
        let line = self.printed.lines().map(str::trim).find(|line| line.starts_with("tow1"));
        line.unwrap_or_else(|| panic!("no code in {}", self.printed)).to_owned()
    }

    /// Ends it in order. Returns its log.
    pub(crate) fn end(mut self) -> String {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        assert!(self.child.wait().unwrap().success());
        fs::read_to_string(&self.log).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The lines of an audit log.
pub(crate) fn audited(path: &Path) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
