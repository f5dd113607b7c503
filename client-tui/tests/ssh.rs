//! `ssh://` with the system's ssh and a real OpenSSH server: shells that talk, csh, jump hosts, what goes wrong in words, and putting
//! tow where nothing of ours is.
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
#[allow(dead_code, reason = "other tests use more of it")]
#[path = "support/sshd.rs"]
mod sshd;
#[allow(dead_code, reason = "other tests use more of it")]
#[path = "support/towd.rs"]
mod towd;

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use portable_pty::CommandBuilder;
use pty::Pty;
use sshd::Sshd;

const INSTALLED: &str = concat!(".local/share/towpath/bin/tow-", env!("CARGO_PKG_VERSION"));
const BARE: &str = "/usr/bin:/bin";

/// A server where towd is in the PATH.
fn with_towd() -> Option<Sshd> {
    let folder = towd::program().parent().unwrap().to_owned();
    start(&format!("{}:{BARE}", folder.display()))
}

/// None, and said so, where this machine has not what it takes.
fn start(path_there: &str) -> Option<Sshd> {
    if let Some(missing) = sshd::missing() {
        eprintln!("skipped: there is no {missing} here");
        return None;
    }
    Some(Sshd::start(path_there))
}

fn tow(sshd: &Sshd, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tow"));
    command.args(arguments).stdin(Stdio::null());
    command.env("TOW_SSH", sshd.ssh()).env("TOW_STATE_DIR", sshd.dir.path().join("state"));
    command.env_remove("SSH_ASKPASS");
    command
}

fn run(sshd: &Sshd, arguments: &[&str]) -> Output {
    tow(sshd, arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn assert_done(output: &Output) {
    assert!(output.status.success(), "{}: {}", output.status, text(&output.stderr));
}

fn assert_refused(output: &Output, words: &str) {
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.starts_with("tow: ssh://") && said.contains(words), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

/// `tow ARGUMENTS` in a terminal.
fn at_a_terminal(sshd: &Sshd, arguments: &[&str]) -> Pty {
    let state = sshd.dir.path().join("person");
    fs::create_dir_all(&state).unwrap();
    let mut command: CommandBuilder = pty::command(env!("CARGO_BIN_EXE_tow"), &state);
    command.args(arguments);
    command.cwd(&state);
    command.env("TOW_SSH", sshd.ssh());
    Pty::start(command, 120, 30)
}

fn installed(sshd: &Sshd, user: &str) -> PathBuf {
    sshd.home(user).join(INSTALLED)
}

/// Nothing half is left beside what was put there.
fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn files_go_and_come_over_ssh_whatever_the_login_shell() {
    let Some(sshd) = with_towd() else { return };
    let here = sshd.dir.path().join("here.txt");
    fs::write(&here, "over ssh").unwrap();
    let here = here.to_str().unwrap();
    for user in ["plain", "noisy", "csh"] {
        let target = format!("ssh://{user}@box/~/");
        assert_done(&run(&sshd, &["put", here, &target]));
        assert_eq!(fs::read_to_string(sshd.home(user).join("here.txt")).unwrap(), "over ssh", "{user}");
        let back = sshd.dir.path().join(format!("back-{user}"));
        let from = format!("ssh://{user}@box{}/here.txt", sshd.home(user).display());
        assert_done(&run(&sshd, &["get", &from, back.to_str().unwrap()]));
        assert_eq!(fs::read_to_string(back).unwrap(), "over ssh", "{user}");
    }
}

#[test]
fn what_a_login_shell_prints_is_skipped_and_reported_once_and_safely() {
    let Some(sshd) = with_towd() else { return };
    let output = run(&sshd, &["ls", "ssh://noisy@box/"]);
    assert_done(&output);
    let said = text(&output.stderr);
    assert!(said.contains("skipped what the login shell there prints: 'Welcome to the box"), "{said}");
    assert!(said.contains("\\x1b[2J") && !said.contains('\x1b'), "{said}");
    assert!(!text(&output.stdout).contains("Welcome"));
    assert_eq!(text(&run(&sshd, &["ls", "ssh://plain@box/"]).stderr), "");
}

#[test]
fn a_port_in_the_target_and_a_jump_host_of_the_configuration_are_taken() {
    let Some(sshd) = with_towd() else { return };
    assert_done(&run(&sshd, &["ls", &format!("ssh://plain@127.0.0.1:{}/", sshd.port)]));
    assert_done(&run(&sshd, &["ls", "ssh://csh@inner/"]));
}

#[test]
fn what_keeps_ssh_from_connecting_is_told_in_words() {
    let Some(sshd) = with_towd() else { return };
    let ls = |target: &str| run(&sshd, &["ls", target]);
    assert_refused(
        &ls("ssh://nobody-here@box/"),
        "not let in: no key or password that the server takes; ssh says: ",
    );
    // Bound and given back: nobody listens there.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    assert_refused(&ls(&format!("ssh://plain@box:{port}/")), "no ssh server listens there; ssh says: ");
    let unknown = tow(&sshd, &["ls", "ssh://no-such-host.invalid/"]).env("TOW_SSH", "ssh").output().unwrap();
    assert_refused(&unknown, "no host of that name; ssh says: ");
    sshd.set_known_hosts("");
    assert_refused(&ls("ssh://plain@box/"), "ssh does not know this host's key: ");
    let other = fs::read_to_string(sshd.dir.path().join("other.pub")).unwrap();
    sshd.set_known_hosts(&format!("[127.0.0.1]:{} {other}", sshd.port));
    assert_refused(&ls("ssh://plain@box/"), "THE HOST'S KEY HAS CHANGED. ");
    let none = tow(&sshd, &["ls", "ssh://plain@box/"]).env("TOW_SSH", "/no/such/ssh").output().unwrap();
    assert_refused(&none, "there is no ssh on this machine, or TOW_SSH names no program");
}

#[test]
fn a_script_puts_nothing_anywhere_unless_it_says_so() {
    let Some(sshd) = start(BARE) else { return };
    assert_refused(
        &run(&sshd, &["ls", "ssh://noisy@box/"]),
        "neither towd nor this version of tow is there (",
    );
    assert!(!sshd.home("noisy").join(".local").exists());
    let older = sshd.home("noisy").join(".local/share/towpath/bin/tow-0.0.1");
    fs::create_dir_all(older.parent().unwrap()).unwrap();
    fs::write(&older, "old").unwrap();
    assert_done(&run(&sshd, &["ls", "--install", "ssh://noisy@box/"]));
    let ours = fs::read(env!("CARGO_BIN_EXE_tow")).unwrap();
    assert!(fs::read(installed(&sshd, "noisy")).unwrap() == ours, "another program arrived");
    assert_eq!(names_in(older.parent().unwrap()), ["tow-0.0.1", INSTALLED.rsplit('/').next().unwrap()]);
    // From now on it is just there.
    assert_done(&run(&sshd, &["ls", "ssh://noisy@box/"]));
}

#[test]
fn what_arrives_otherwise_than_it_was_sent_is_not_kept() {
    let Some(sshd) = start(BARE) else { return };
    // A line that turns one byte: the eighth of what it carries first, which is the hash.
    let ssh = sshd.ssh();
    let broken = sshd.dir.path().join("broken");
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *'read -r h'*) sed '1s/^......./0000000/' | {ssh} \"$@\";; *) exec {ssh} \"$@\";; esac\n",
        ssh = ssh.display()
    );
    fs::write(&broken, script).unwrap();
    fs::set_permissions(&broken, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let output = tow(&sshd, &["ls", "--install", "ssh://csh@box/"]).env("TOW_SSH", &broken).output().unwrap();
    assert_refused(&output, "its SHA-256 differs; it was removed");
    assert_eq!(names_in(installed(&sshd, "csh").parent().unwrap()), [""; 0]);
}

#[test]
fn a_person_is_asked_before_anything_is_put_there() {
    let Some(sshd) = start(BARE) else { return };
    let mut refusing = at_a_terminal(&sshd, &["ls", "ssh://csh@box/"]);
    refusing.wait_for("Copy this tow to ~/.local/share/towpath/bin/tow-");
    refusing.press("\r");
    assert_eq!(refusing.wait_for_end().exit_code(), 3);
    assert!(!sshd.home("csh").join(".local").exists());
    let mut agreeing = at_a_terminal(&sshd, &["--connect", "ssh://csh@box/"]);
    agreeing.wait_for("[y/N]");
    agreeing.press("y\r");
    agreeing.wait_for("connected to ssh://csh@box");
    assert!(installed(&sshd, "csh").exists());
    agreeing.press("q");
    assert_eq!(agreeing.wait_for_end().exit_code(), 0);
    agreeing.assert_given_back();
}

#[test]
fn the_terminals_interrupt_does_not_reach_ssh() {
    let Some(sshd) = with_towd() else { return };
    fs::write(sshd.home("plain").join("there.txt"), "there!").unwrap();
    let mut shell = at_a_terminal(&sshd, &["shell", "--connect", "ssh://plain@box/"]);
    fs::File::create(sshd.dir.path().join("person/long")).unwrap().set_len(3 << 30).unwrap();
    let prompts = |count: usize| {
        move |screen: &vt100::Screen| screen.contents().matches("ssh://plain@box/> ").count() == count
    };
    shell.wait_until("a prompt", prompts(1));
    shell.press("upload long\r");
    shell.wait_for("% ");
    // The terminal is as ssh found it: it sends the signal to all that it has in the foreground.
    shell.press("\x03");
    shell.wait_until("the prompt again", prompts(2));
    shell.press("size there.txt\r");
    shell.wait_for("(6 bytes)");
    shell.wait_until("the prompt again", prompts(3));
    shell.press("byebye\r");
    shell.wait_for_end();
    assert_eq!(sshd.connections(), 1);
    assert!(!sshd.home("plain").join("long").exists());
}

#[test]
fn ssh_asks_on_the_terminal_and_an_interrupt_there_leaves_it_as_it_was() {
    let Some(sshd) = with_towd() else { return };
    let key = sshd.dir.path().join("key");
    let locked =
        Command::new("ssh-keygen").args(["-q", "-p", "-P", "", "-N", "open sesame", "-f"]).arg(&key).status();
    assert!(locked.unwrap().success());
    let target = "ssh://plain@box/";
    let mut answered = at_a_terminal(&sshd, &["ls", target]);
    answered.wait_for("Enter passphrase for key");
    answered.press("open sesame\r");
    answered.wait_for("in 0 entries");
    assert_eq!(answered.wait_for_end().exit_code(), 0);
    let mut given_up = at_a_terminal(&sshd, &["ls", target]);
    given_up.wait_for("Enter passphrase for key");
    given_up.press("\x03");
    let code = given_up.wait_for_end().exit_code();
    assert_eq!(code, 130, "{}", given_up.contents());
    given_up.assert_given_back();
    // Nobody to ask, and so no answer.
    assert_refused(&run(&sshd, &["ls", target]), "not let in: ");
}

#[test]
fn a_password_is_asked_for_on_the_terminal_or_by_the_persons_own_program() {
    let Some(sshd) = with_towd() else { return };
    let target = "ssh://plain@by-password/";
    let mut at_terminal = at_a_terminal(&sshd, &["ls", target]);
    for (word, count) in [("wrong", 1), (sshd::PASSWORD, 2)] {
        at_terminal
            .wait_until("the question", |screen| screen.contents().matches("password: ").count() == count);
        at_terminal.press(&format!("{word}\r"));
    }
    at_terminal.wait_for("in 0 entries");
    assert_eq!(at_terminal.wait_for_end().exit_code(), 0);
    at_terminal.assert_given_back();
    let asks = sshd.dir.path().join("asks");
    fs::write(&asks, format!("#!/bin/sh\necho '{}'\n", sshd::PASSWORD)).unwrap();
    fs::set_permissions(&asks, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut asked = tow(&sshd, &["ls", target]);
    assert_done(&asked.env("SSH_ASKPASS", &asks).env("SSH_ASKPASS_REQUIRE", "force").output().unwrap());
}
