//! How it begins: on this machine, on a server that one pairs with, and where there is no server; and how a server is lost.

use std::fs;
use std::process::Stdio;

use crate::pty::Pty;
use crate::stage::{END, Folders, quit, write};
use crate::towd::Towd;

#[test]
fn both_panes_open_on_the_current_folder_and_q_gives_the_terminal_back() {
    let folders = Folders::new();
    write(folders.left("a.txt"), "a");
    let pty = Pty::start(folders.tow(&[]), 100, 30);
    pty.wait_until("the file in both panes", |screen| screen.contents().matches("a.txt").count() == 2);
    quit(pty);
    assert!(folders.state().join("state/tow.log").is_file());
}

#[test]
fn a_server_is_paired_with_once_and_known_ever_after() {
    let folders = Folders::new();
    write(folders.right("there.txt"), "there");
    let towd = Towd::start_tls(&folders.right(""), &folders.state().join("towd"), &[]);
    let mut pty = Pty::start(folders.tow(&["--connect", &towd.target("")]), 120, 40);
    pty.wait_for("Pair with");
    // Keys are taken once they have paused.
    pty.wait_until("the line", |screen| !screen.hide_cursor());
    // As it is pasted, and not as it is typed.
    pty.press(&format!("\x1b[200~{}\x1b[201~", towd.first_code().unwrap()));
    pty.press("\r");
    pty.wait_for("there.txt");
    pty.wait_for(&format!("connected to tow://{}", towd.address()));
    quit(pty);

    let pty = Pty::start(folders.tow(&["--connect", &towd.target("")]), 120, 40);
    pty.wait_for("there.txt");
    assert!(!pty.contents().contains("Pair with"));
    quit(pty);
    assert!(towd.stop().success());
}

#[test]
fn a_server_that_is_lost_costs_neither_the_program_nor_the_other_pane() {
    let folders = Folders::new();
    write(folders.left("here.txt"), "");
    write(folders.right("there.txt"), "");
    let (towd, mut pty) = folders.connected();
    pty.wait_for("there.txt");
    towd.kill();
    pty.wait_until("word of the loss", |screen| {
        let text = screen.contents().to_lowercase();
        text.contains("lost") || text.contains("disconnected")
    });
    pty.press(END);
    pty.wait_for("here.txt");
    quit(pty);
}

#[test]
fn a_server_that_is_not_there_is_named_and_the_program_goes_on() {
    let folders = Folders::new();
    write(folders.left("here.txt"), "");
    for (target, why) in [
        ("tow://127.0.0.1:1/", "127.0.0.1:1: connection refused"),
        ("unix:/no/such/socket", "/no/such/socket: no such socket"),
    ] {
        let pty = Pty::start(folders.tow(&["--connect", target]), 120, 40);
        pty.wait_for("here.txt");
        pty.wait_for(why);
        quit(pty);
    }
}

#[test]
fn a_target_that_is_none_is_refused_before_the_screen() {
    let folders = Folders::new();
    let mut pty = Pty::start(folders.tow(&["--connect", "tow://"]), 80, 24);
    assert_eq!(pty.wait_for_end().exit_code(), 2);
    assert!(pty.contents().starts_with("tow: "), "{}", pty.contents());
    pty.wait_until("no mode of the terminal touched", |screen| !screen.alternate_screen());
}

#[test]
fn without_a_terminal_it_says_so() {
    let folders = Folders::new();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_tow"))
        .env("TOW_STATE_DIR", folders.state())
        .current_dir(folders.left(""))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "");
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(words.starts_with("tow: ") && words.contains("is not a terminal"), "{words}");
    assert_eq!(fs::read_dir(folders.left("")).unwrap().count(), 0);
}
