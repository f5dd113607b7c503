//! A real `towd` on a free port of the loopback, for as long as a benchmark runs, and the keys of a client that may come in.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use towpath::config::GivenCode;
use towpath::link::keyring::Keyring;
use towpath::model::target::Server;
use zeroize::Zeroizing;

/// A server, ended with this.
pub(crate) struct Towd {
    child: Child,
    pub(crate) server: Server,
    code: String,
    #[allow(dead_code, reason = "not every benchmark asks")]
    pub(crate) fingerprint: String,
    program: String,
    state: PathBuf,
}

impl Towd {
    /// Serves `root` in `folder`; `arguments` are added. `BENCH_TOWD` names another program than `target/release/towd`.
    #[allow(dead_code, reason = "not every benchmark starts it here")]
    pub(crate) fn start(folder: &Path, arguments: &[&str]) -> Self {
        Self::start_in(None, "127.0.0.1", folder, arguments)
    }

    /// The same in a network namespace, where one is named.
    pub(crate) fn start_in(namespace: Option<&str>, host: &str, folder: &Path, arguments: &[&str]) -> Self {
        let program = std::env::var("BENCH_TOWD")
            .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../target/release/towd").to_owned());
        let mut command = Command::new(namespace.map_or(program.as_str(), |_| "ip"));
        if let Some(namespace) = namespace {
            command.args(["netns", "exec", namespace, &program]);
        }
        let mut child = command
            .args(["--json", "--listen", &format!("{host}:0"), "--root"])
            .arg(folder.join("root"))
            .args(arguments)
            .env("TOW_STATE_DIR", folder.join("server"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("towd; is it built?");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("its line");
        let said: serde_json::Value = serde_json::from_str(&line).expect("its line is JSON");
        let text = |key: &str| said[key].as_str().expect(key).to_owned();
        let port =
            text("address").rsplit_once(':').and_then(|(_, port)| port.parse().ok()).expect("its port");
        let server = Server::Tow { host: host.to_owned(), port };
        let (code, fingerprint) = (text("pair"), text("fingerprint"));
        Self { child, server, code, fingerprint, program, state: folder.join("server") }
    }

    /// The output of `towd WORDS`.
    #[allow(dead_code, reason = "not every benchmark asks")]
    pub(crate) fn says(&self, words: &[&str]) -> String {
        let mut command = Command::new(&self.program);
        let output = command.args(words).env("TOW_STATE_DIR", &self.state).output().expect("towd");
        String::from_utf8(output.stdout).expect("text")
    }

    /// Keys of a client that may come in.
    pub(crate) fn keyring(&self, folder: &Path) -> Arc<Keyring> {
        let given = GivenCode::Text(Zeroizing::new(self.code.clone()));
        Arc::new(Keyring::new(Some(folder.join("client")), "bench".to_owned(), Some(given)))
    }

    /// Of a line of the system's own account, in KiB.
    #[allow(dead_code, reason = "not every benchmark asks")]
    pub(crate) fn kib(&self, line: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("its account");
        let found = status.lines().find_map(|text| text.strip_prefix(line)).expect("the line");
        found.trim_matches(|sign: char| !sign.is_ascii_digit()).parse().expect("a number")
    }
}

impl Drop for Towd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
