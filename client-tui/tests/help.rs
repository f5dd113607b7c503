//! The help of the shipped program: what it lists, and that every example in it does what it says, against a real tree, a real `towd`
//! and a real sshd.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr,
    unreachable_pub,
    reason = "tests"
)]

#[allow(dead_code, reason = "other tests use more of it")]
#[path = "support/pty.rs"]
mod pty;
#[path = "support/skip.rs"]
mod skip;
#[allow(dead_code, reason = "other tests use more of it")]
#[path = "support/sshd.rs"]
mod sshd;
#[allow(dead_code, reason = "other tests use more of it")]
#[path = "support/towd.rs"]
mod towd;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, SystemTime};

use pty::Pty;
use sshd::Sshd;
use tempfile::TempDir;
use towd::Towd;

/// Columns of the texts that are not wrapped.
const COLUMNS_MAX: usize = 80;
const TOPICS: [&str; 2] = ["copying", "targets"];
/// 2026-01-02T03:04:05Z, of every file: what both sides have is unchanged.
const SOME_TIME: u64 = 1_767_323_045;

fn tow(words: &[&str]) -> Output {
    let state = tempfile::tempdir().unwrap();
    let mut tow = Command::new(env!("CARGO_BIN_EXE_tow"));
    tow.args(words).env("TOW_STATE_DIR", state.path()).stdin(Stdio::null()).output().unwrap()
}

fn help(words: &[&str]) -> String {
    let output = tow(words);
    assert!(output.status.success() && output.stderr.is_empty(), "{words:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Lines from the one that is `heading` to an empty one.
fn section<'a>(text: &'a str, heading: &str) -> Vec<&'a str> {
    let lines = text.lines().skip_while(|line| *line != heading).skip(1);
    lines.take_while(|line| !line.is_empty()).collect()
}

fn commands() -> Vec<String> {
    let help = help(&["help"]);
    let commands = section(&help, "Commands:");
    commands.iter().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

/// The command of each example, without its remark.
fn examples(text: &str) -> Vec<String> {
    let lines = section(text, "Examples:").into_iter().map(str::trim);
    lines.map(|line| line.split(" #").next().unwrap().trim().to_owned()).collect()
}

/// A machine's folder: what both have, and one file more, so that there is something to copy.
fn fill(folder: &Path, own: &str) {
    for (path, content) in [
        ("photos/a.jpg", "a picture"),
        ("photos/deep/c.jpg", "another"),
        ("photos/b.tmp", "left over"),
        (&*format!("photos/{own}"), own),
        ("backup/older", "older"),
        ("old/x", "x"),
        ("notes.md", "notes"),
        (own, own),
    ] {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(SOME_TIME);
        fs::File::open(&path).unwrap().set_modified(time).unwrap();
    }
}

/// A paired client, its server, and a host of ssh where this machine has an sshd.
struct World {
    dir: TempDir,
    towd: Towd,
    sshd: Option<Sshd>,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for name in ["root", "local", "programs", "home/.config/towpath"] {
            fs::create_dir_all(at(name)).unwrap();
        }
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_tow"), at("programs/tow")).unwrap();
        let towd = Towd::start_tls(&at("root"), &at("towd"), &[]);
        fs::write(
            at("home/.config/towpath/config.toml"),
            format!("[bookmarks]\nbox = \"{}\"\n", towd.target("")),
        )
        .unwrap();
        let sshd = match sshd::missing() {
            None => {
                Some(Sshd::start(&format!("{}:/usr/bin:/bin", towd::program().parent().unwrap().display())))
            }
            Some(missing) => {
                skip::skip(&format!("examples over ssh (needs {missing})"));
                None
            }
        };
        let world = Self { dir, towd, sshd };
        world.pair();
        world
    }

    fn pair(&self) {
        let mut tow = self.shell("tow ls tow://box/", &self.at("root"));
        let output = tow.env("TOW_PAIR", self.towd.code()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The example with this world's targets; none where it has no such host.
    fn meant(&self, example: &str) -> Option<String> {
        if example.contains("ssh://") && self.sshd.is_none() {
            return None;
        }
        let text = example.replace("tow://box/", &self.towd.target(""));
        Some(text.replace("ssh://ann@box/", "ssh://plain@box/"))
    }

    /// Fresh folders everywhere; returns the one of this machine.
    fn folders(&self) -> PathBuf {
        let local = self.at("local");
        let home = self.sshd.as_ref().map(|sshd| sshd.home("plain"));
        for (folder, own) in [(self.at("root"), "far"), (local.clone(), "near")] {
            // The served folder itself stays.
            for entry in fs::read_dir(&folder).unwrap().map(Result::unwrap) {
                let path = entry.path();
                if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
            }
            fill(&folder, own);
        }
        if let Some(home) = home {
            for name in ["photos", "backup"] {
                let _ = fs::remove_dir_all(home.join(name));
            }
            fill(&home, "over-ssh");
        }
        local
    }

    fn shell(&self, line: &str, folder: &Path) -> Command {
        let mut shell = Command::new("sh");
        shell.args(["-c", &self.meant(line).unwrap()]).current_dir(folder).stdin(Stdio::null()).env_clear();
        let path = std::env::var("PATH").unwrap();
        shell.env("PATH", format!("{}:{path}", self.at("programs").display())).env("LANG", "C.UTF-8");
        shell.env("HOME", self.at("home")).env("TOW_STATE_DIR", self.at("home/state"));
        if let Some(sshd) = &self.sshd {
            shell.env("TOW_SSH", sshd.ssh());
        }
        shell
    }

    fn run(&self, example: &str) {
        let folder = self.folders();
        let Some(line) = self.meant(example) else { return };
        let words: Vec<&str> = line.split_whitespace().collect();
        if let ["tow"] | ["tow", "." | "connect", ..] = words[..] {
            return self.open_panes(&words[1..], &folder);
        }
        let output = self.shell(example, &folder).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{example}: {output:?}");
        if example.starts_with("tow forget") {
            self.pair();
        }
    }

    /// Each pane shows what is there; what only asks for a target says so.
    fn open_panes(&self, words: &[&str], folder: &Path) {
        let mut command = pty::command(env!("CARGO_BIN_EXE_tow"), &self.at("home"));
        command.args(words);
        command.cwd(folder);
        let mut pty = Pty::start(command, 120, 30);
        pty.wait_for("near");
        match words {
            ["connect"] => {
                pty.wait_for("Enter connects");
                pty.press("\x1b");
                pty.wait_until("no dialog", |screen| !screen.contents().contains("Enter connects"));
            }
            [] => {}
            _ => pty.wait_for("far"),
        }
        pty.press("q");
        assert_eq!(pty.wait_for_end().exit_code(), 0, "{words:?}");
    }
}

#[test]
fn every_example_of_the_help_runs() {
    let world = World::new();
    let mut count = 0;
    for name in commands().iter().map(String::as_str).chain(TOPICS).chain([""]) {
        let text = if name.is_empty() { help(&["--help"]) } else { help(&["help", name]) };
        let examples = examples(&text);
        assert!(!examples.is_empty() || name == "help", "{name} has no examples:\n{text}");
        for example in examples {
            world.run(&example);
            count += 1;
        }
    }
    assert!(count > 30, "{count} examples");
}

#[test]
fn examples_arrive_where_their_remarks_say() {
    let world = World::new();
    for (example, arrived) in [
        ("tow get tow://box/photos .", "local/photos/far"),
        ("tow get tow://box/photos here", "local/here/far"),
        ("tow put photos tow://box/backup/", "root/backup/photos/near"),
        ("tow put photos tow://box/archive", "root/archive/near"),
        ("tow put photos/. tow://box/backup/", "root/backup/near"),
        ("tow get -T tow://box/photos backup", "local/backup/far"),
    ] {
        let told = commands().into_iter().chain(TOPICS.map(str::to_owned));
        let told = told.flat_map(|name| examples(&help(&["help", &name])));
        assert!(told.into_iter().any(|told| told == example), "no help has {example}");
        world.run(example);
        assert!(world.at(arrived).exists(), "{example}: {arrived} is not there");
    }
}

#[test]
fn options_stand_in_groups_and_the_long_ones_are_told_once() {
    for command in ["get", "put", "cp", "mv"] {
        let text = help(&["help", command]);
        for heading in ["Existing files:", "What to copy:", "How to copy:", "Output:", "Global options:"] {
            assert!(!section(&text, heading).is_empty(), "{command} has no {heading}\n{text}");
        }
        assert!(text.contains("tow help copying"), "{text}");
        // One text, however it is asked for, and short enough to be read at once.
        assert_eq!(text, help(&[command, "--help"]));
        assert_eq!(text, help(&[command, "-h"]));
        assert!(text.lines().count() <= 60, "{} lines\n{text}", text.lines().count());
    }
    let copying = help(&["help", "copying"]);
    let text = help(&["help", "cp"]);
    for when in ["ask", "never", "always", "newer", "different", "resume", "keep-both"] {
        assert!(copying.contains(&format!("\n    {when} ")), "{when}\n{copying}");
        assert!(text.contains(when), "{when}\n{text}");
    }
}

#[test]
fn texts_fit_a_terminal_of_eighty_columns() {
    let all = commands().into_iter().chain(TOPICS.map(str::to_owned)).map(|name| help(&["help", &name]));
    for text in all.chain([help(&["help"])]) {
        // clap wraps the options by the width of the terminal; the rest stands as it is.
        let begin = if text.contains("Usage:") {
            text.find("\nTARGET is").or_else(|| text.find("\nExamples:")).unwrap_or(text.len())
        } else {
            0
        };
        for line in text[begin..].lines() {
            assert!(line.chars().count() <= COLUMNS_MAX, "{} columns: {line}", line.chars().count());
        }
    }
}

#[test]
fn an_unknown_topic_is_told_the_nearest() {
    for (topic, words) in [
        ("copyng", "did you mean 'tow help copying'?"),
        ("lss", "did you mean 'tow help ls'?"),
        ("colours", "topics: copying, targets"),
        ("find", "topics: copying, targets"),
    ] {
        let output = tow(&["help", topic]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert_eq!(said, format!("tow: help: no command or topic '{topic}'; {words}\n"));
    }
}
