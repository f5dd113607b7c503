//! A real `towd` on a free port, for as long as a test runs.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;

use rustix::process::{Pid, Signal, kill_process};

/// A running server. Dropped, it is ended.
pub struct Towd {
    child: Child,
    listening: serde_json::Value,
    state: PathBuf,
}

/// The server's program: `TOWD_BIN`, or the one beside `tow`, brought up to date: where the tests of this package are run alone, nobody
/// else builds it.
pub fn program() -> PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| std::env::var_os("TOWD_BIN").map_or_else(build, PathBuf::from)).clone()
}

fn build() -> PathBuf {
    let folder = Path::new(env!("CARGO_BIN_EXE_tow")).parent().unwrap();
    let profile = if folder.ends_with("release") { "release" } else { "dev" };
    let mut cargo = Command::new(env!("CARGO"));
    // What cargo tells this test about its package would make the build scripts of dependencies run again, and once more in the next
    // build outside a test: minutes, each time.
    for (name, _) in std::env::vars_os() {
        let name_text = name.to_string_lossy();
        if name_text.starts_with("CARGO_PKG_") || name_text.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(&name);
        }
    }
    let built = cargo
        .args(["build", "--quiet", "--package", "towpath-server", "--bin", "towd", "--profile", profile])
        .arg("--target-dir")
        .arg(folder.parent().unwrap())
        .status()
        .unwrap();
    assert!(built.success(), "towd cannot be built");
    folder.join("towd")
}

impl Towd {
    /// Serves `root` on a unix socket in `state`, where nobody needs a key; `arguments` are added.
    pub fn start(root: &Path, state: &Path, arguments: &[&str]) -> Self {
        let socket = state.join("socket");
        Self::listening_on(&["--unix", socket.to_str().unwrap()], root, state, arguments)
    }

    /// Serves `root` on a free port of the loopback, for paired clients.
    pub fn start_tls(root: &Path, state: &Path, arguments: &[&str]) -> Self {
        Self::listening_on(&["--listen", "127.0.0.1:0"], root, state, arguments)
    }

    /// As one that was killed, for the same clients at the same address.
    pub fn start_tls_again(address: &str, root: &Path, state: &Path, arguments: &[&str]) -> Self {
        Self::listening_on(&["--listen", address], root, state, arguments)
    }

    fn listening_on(door: &[&str], root: &Path, state: &Path, arguments: &[&str]) -> Self {
        std::fs::create_dir_all(state).unwrap();
        let mut child = Command::new(program())
            .arg("--json")
            .args(door)
            .arg("--root")
            .arg(root)
            .args(arguments)
            .env("TOW_STATE_DIR", state)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let listening = serde_json::from_str(&line).unwrap();
        Self { child, listening, state: state.to_owned() }
    }

    /// What is typed to reach PATH there.
    pub fn target(&self, path: &str) -> String {
        match self.listening["unix"].as_str() {
            Some(socket) if path.is_empty() => format!("unix:{socket}"),
            Some(socket) => format!("unix:{socket}?path={path}"),
            None => format!("tow://{}/{path}", self.address()),
        }
    }

    /// Where it listens on TCP.
    pub fn address(&self) -> &str {
        self.listening["address"].as_str().unwrap()
    }

    /// Its key.
    pub fn fingerprint(&self) -> &str {
        self.listening["fingerprint"].as_str().unwrap()
    }

    /// The pairing code that it printed; none where it listens on no TCP port.
    pub fn first_code(&self) -> Option<&str> {
        self.listening["pair"].as_str()
    }

    /// A new pairing code.
    pub fn code(&self) -> String {
        self.says(&["pair"]).trim().to_owned()
    }

    /// What `towd WORDS` says on the same state folder.
    pub fn says(&self, words: &[&str]) -> String {
        let said = self.command(words).output().unwrap();
        assert!(said.status.success(), "{words:?}: {}", String::from_utf8_lossy(&said.stderr));
        String::from_utf8(said.stdout).unwrap()
    }

    /// `towd WORDS` on the same state folder.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.args(words).env("TOW_STATE_DIR", &self.state);
        command
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it in order, and waits for that.
    pub fn stop(mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.child.wait().unwrap()
    }

    /// Ends it without warning.
    pub fn kill(mut self) {
        self.signal(Signal::KILL);
        self.child.wait().unwrap();
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

impl Drop for Towd {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
