//! What ssh asks while the panes stand: a passphrase, a password, whether a host's key is right; and whether tow may be put where nothing of
//! ours is. A real OpenSSH server, and its client.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};

use crate::pty::Pty;
use crate::sshd::{self, Sshd};
use crate::stage::{Folders, quit, wait_for_disk};
use crate::towd;

const BARE: &str = "/usr/bin:/bin";
const PASSPHRASE: &str = "open sesame";

/// A server, with the folders of whoever connects to it.
struct Stage {
    sshd: Sshd,
    folders: Folders,
}

impl Stage {
    /// None, and said so, where this machine has not what it takes.
    fn new(path_there: &str) -> Option<Self> {
        if let Some(missing) = sshd::missing() {
            crate::skip::skip(&format!("there is no {missing} here"));
            return None;
        }
        let folders = Folders::new();
        fs::create_dir(folders.state().join("tmp")).unwrap();
        Some(Self { sshd: Sshd::start(path_there), folders })
    }

    /// Where towd is in the `PATH`.
    fn with_towd() -> Option<Self> {
        let folder = towd::program().parent().unwrap().to_owned();
        Self::new(&format!("{}:{BARE}", folder.display()))
    }

    /// The key that opens the server takes a passphrase from now on.
    fn lock_key(&self) {
        let mut lock = Command::new("ssh-keygen");
        lock.args(["-q", "-p", "-P", "", "-N", PASSPHRASE, "-f"]).arg(self.sshd.dir.path().join("key"));
        assert!(lock.status().unwrap().success());
    }

    /// Two panes, on their way to `target`.
    fn connecting(&self, target: &str) -> Pty {
        let mut command = self.folders.tow(&[]);
        command.env("TOW_SSH", self.sshd.ssh());
        command.env("TMPDIR", self.folders.state().join("tmp"));
        let mut pty = Pty::start(command, 120, 40);
        pty.wait_for("q Quit");
        connect(&mut pty, target);
        pty
    }

    fn installed(&self, user: &str) -> PathBuf {
        self.sshd.installed(user)
    }

    /// Nothing that was asked or answered is anywhere but where it belongs.
    fn assert_kept_secret(&self, pty: &Pty, secret: &str) {
        let log = fs::read_to_string(self.folders.state().join("state/tow.log")).unwrap();
        for text in [String::from_utf8_lossy(&pty.written()).into_owned(), pty.contents(), log] {
            assert!(!text.contains(secret), "{text}");
        }
        let left = || fs::read_dir(self.folders.state().join("tmp")).unwrap().count();
        wait_for_disk(pty, "the sockets gone", || left() == 0);
    }
}

fn connect(pty: &mut Pty, target: &str) {
    pty.press("C");
    pty.wait_for("╭ Connect ");
    pty.press(&format!("{target}\r"));
}

/// A line of ssh's stands, and keys go into it.
fn wait_for_line(pty: &Pty, words: &str) {
    pty.wait_until(words, |screen| screen.contents().contains(words) && !screen.hide_cursor());
}

#[test]
fn a_passphrase_is_asked_for_in_the_panes_again_where_it_is_wrong_and_shown_nowhere() {
    let Some(stage) = Stage::with_towd() else { return };
    stage.lock_key();
    let mut pty = stage.connecting("ssh://plain@box/");
    pty.wait_for("ssh asks for ssh://plain@box/");
    wait_for_line(&pty, "Enter passphrase for key");
    pty.press("wrong\r");
    wait_for_line(&pty, "Wrong; ssh asks again");
    pty.press(PASSPHRASE);
    pty.wait_for(&"•".repeat(PASSPHRASE.len()));
    pty.press("\r");
    pty.wait_for("connected to ssh://plain@box");
    stage.assert_kept_secret(&pty, PASSPHRASE);
    quit(pty);
}

#[test]
fn whoever_gives_ssh_no_answer_gives_the_connection_up_and_keeps_the_panes() {
    let Some(stage) = Stage::with_towd() else { return };
    stage.lock_key();
    fs::write(stage.folders.left("mine.txt"), "").unwrap();
    let mut pty = stage.connecting("ssh://plain@box/");
    for (key, words) in [("\x1b", "Enter passphrase"), ("\x03", "Enter passphrase")] {
        wait_for_line(&pty, words);
        pty.press(key);
        pty.wait_until("the panes", |screen| {
            screen.contents().contains("given up") && !screen.contents().contains("ssh asks")
        });
        assert_eq!(pty.contents().matches("mine.txt").count(), 2, "{}", pty.contents());
        stage.assert_kept_secret(&pty, PASSPHRASE);
        connect(&mut pty, "ssh://plain@box/");
    }
    wait_for_line(&pty, "Enter passphrase");
    pty.press(&format!("{PASSPHRASE}\r"));
    pty.wait_for("connected to ssh://plain@box");
    quit(pty);
}

#[test]
fn a_password_is_asked_for_in_the_panes_and_can_be_pasted() {
    let Some(stage) = Stage::with_towd() else { return };
    let mut pty = stage.connecting("ssh://plain@by-password/");
    wait_for_line(&pty, "'s password:");
    pty.press("wrong\r");
    wait_for_line(&pty, "Wrong; ssh asks again");
    // As it comes from a password manager.
    pty.press(&format!("\x1b[200~{}\x1b[201~\r", sshd::PASSWORD));
    pty.wait_for("connected to ssh://plain@by-password");
    stage.assert_kept_secret(&pty, sshd::PASSWORD);
    quit(pty);
}

#[test]
fn a_session_that_took_a_password_asks_for_it_when_somebody_wants_it_back_and_never_by_itself() {
    let Some(stage) = Stage::with_towd() else { return };
    fs::write(stage.sshd.home("plain").join("there.txt"), "").unwrap();
    let mut pty = stage.connecting("ssh://plain@by-password/");
    wait_for_line(&pty, "'s password:");
    pty.press(&format!("{}\r", sshd::PASSWORD));
    pty.wait_for("there.txt");
    kill_process(ssh_of(pty.process()), Signal::TERM).unwrap();
    // It is tried once without anybody's help, and not again.
    pty.wait_for("not let in: ");
    assert!(!pty.contents().contains("ssh asks"), "{}", pty.contents());
    pty.press("C");
    wait_for_line(&pty, "'s password:");
    pty.press(&format!("{}\r", sshd::PASSWORD));
    pty.wait_for("connected again");
    assert_eq!(stage.sshd.connections(), 3);
    quit(pty);
}

/// The one child of tow.
fn ssh_of(tow: Pid) -> Pid {
    let children = sshd::children_of(tow);
    let [ssh] = children[..] else { panic!("{children:?}") };
    ssh
}

#[test]
fn a_jump_host_asks_for_itself() {
    let Some(stage) = Stage::with_towd() else { return };
    stage.lock_key();
    let mut pty = stage.connecting("ssh://plain@inner/");
    for _ in ["the jump host", "the host behind it"] {
        pty.wait_until("an empty line", |screen| {
            let text = screen.contents();
            text.contains("Enter passphrase") && !text.contains('•') && !screen.hide_cursor()
        });
        assert!(!pty.contents().contains("Wrong; ssh asks again"), "{}", pty.contents());
        pty.press(PASSPHRASE);
        pty.wait_for(&"•".repeat(PASSPHRASE.len()));
        pty.press("\r");
    }
    pty.wait_for("connected to ssh://plain@inner");
    quit(pty);
}

#[test]
fn the_key_of_a_host_that_nobody_knows_is_asked_about_in_the_panes() {
    let Some(stage) = Stage::with_towd() else { return };
    stage.sshd.set_known_hosts("");
    let known = || fs::read_to_string(stage.sshd.dir.path().join("known_hosts")).unwrap();
    let mut pty = stage.connecting("ssh://plain@box/");
    pty.wait_for("ED25519 key fingerprint is SHA256:");
    // Enter takes the safe answer, once keys are taken at all.
    pty.wait_for("▸ No");
    pty.press("\r");
    pty.wait_for("given up");
    assert_eq!(known(), "");
    connect(&mut pty, "ssh://plain@box/");
    pty.wait_for("▸ No");
    pty.press("y");
    pty.wait_for("connected to ssh://plain@box");
    assert!(known().contains("ssh-ed25519"), "{}", known());
    quit(pty);
}

#[test]
fn tow_is_put_where_nothing_of_ours_is_if_a_person_agrees_in_the_panes() {
    let Some(stage) = Stage::new(BARE) else { return };
    let mut pty = stage.connecting("ssh://csh@box/");
    pty.wait_for("Neither towd nor this version of tow is on box");
    pty.wait_for("▸ Cancel");
    pty.press("\r");
    pty.wait_for("nothing was copied there");
    assert!(!stage.sshd.home("csh").join(".local").exists());
    connect(&mut pty, "ssh://csh@box/");
    pty.wait_for("▸ Cancel");
    pty.press("y");
    pty.wait_for("connected to ssh://csh@box");
    assert!(stage.installed("csh").exists());
    // The log tells where it is now, and what the login shell printed.
    pty.press("E");
    pty.wait_for("tow is now ~/.local/share/towpath/bin/tow-");
    pty.wait_for("csh is here");
    pty.press("\x1b");
    pty.wait_until("no log", |screen| !screen.contents().contains("tow is now"));
    quit(pty);
}
