//! Folders that do not answer: a mounted file system whose server is gone.

use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::pty::Pty;
use crate::silent::Silent;
use crate::skip::skip;
use crate::stage::{CTRL_U, Folders, go_to, quit, write};
use crate::towd::Towd;

const CTRL_L: &str = "\x0c";
const BACKSPACE: &str = "\x7f";

/// A mount that does not answer, a file beside it, and links that lead into it. None, and said so, if that cannot be.
fn stage() -> Option<(Folders, Silent)> {
    let folders = Folders::new();
    write(folders.left("apple.txt"), "apple");
    write(folders.right("olive.txt"), "");
    let silent = Silent::mount(&folders.left("mnt")).inspect_err(|why| skip(why)).ok()?;
    symlink("mnt", folders.left("onto")).unwrap();
    for number in 0..12 {
        symlink(folders.left("mnt/deep"), folders.left(format!("into-{number}"))).unwrap();
    }
    Some((folders, silent))
}

#[test]
fn a_folder_that_does_not_answer_hides_nothing_beside_it_and_is_left_by_any_key() {
    let Some((folders, _silent)) = stage() else { return };
    let (right, mount) = (folders.right(""), folders.left("mnt"));
    let mut pty = Pty::start(folders.tow(&[".", right.to_str().unwrap()]), 140, 40);
    for shown in ["apple.txt", "onto", "into-11", "unknown", "olive.txt"] {
        pty.wait_for(shown);
    }
    let there = |screen: &vt100::Screen| screen.contents().contains("mnt ─");
    let ask = |pty: &mut Pty| {
        pty.press(CTRL_L);
        pty.wait_for("╭ Go to ");
        pty.press(&format!("{CTRL_U}{}", mount.display()));
        pty.wait_until("the path", |screen| screen.contents().contains("mnt ") && !screen.hide_cursor());
        pty.press("\r");
        pty.wait_for("working …");
    };
    // The window does not keep the keys from the panes.
    ask(&mut pty);
    pty.wait_until("no window", |screen| !screen.contents().contains("╭ Go to "));
    pty.wait_for("No answer yet");
    pty.wait_until("the folder", there);
    pty.press(&format!("\t\t{BACKSPACE}"));
    pty.wait_for("apple.txt");
    // Closed before, it leads nowhere.
    ask(&mut pty);
    pty.press("\x1b");
    pty.wait_until("no window", |screen| !screen.contents().contains("╭ Go to "));
    assert!(pty.contents().contains("apple.txt") && !pty.contents().contains("mnt ─"), "{}", pty.contents());
    // Esc in the pane leads back, and `q` leaves though nothing has answered.
    for _ in 0..2 {
        go_to(&mut pty, "mnt");
        pty.press("\r");
        pty.wait_until("the folder", there);
        pty.press("\x1b");
        pty.wait_for("Stayed here");
        pty.wait_for("apple.txt");
    }
    go_to(&mut pty, "mnt");
    pty.press("\r");
    pty.wait_until("the folder", there);
    quit(pty);
}

fn tow(folders: &Folders, arguments: &[&str]) -> Command {
    let mut tow = Command::new(env!("CARGO_BIN_EXE_tow"));
    tow.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    tow.current_dir(folders.left("")).env("TOW_STATE_DIR", folders.state());
    tow
}

/// The rest is listed, and what is not known is told.
fn assert_lists_the_rest(folders: &Folders, target: &str) {
    let output = tow(folders, &["ls", target]).output().unwrap();
    let (listed, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(listed.contains("apple.txt") && listed.contains("into-11"), "{listed}\n{said}");
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("no answer in time"), "{said}");
}

/// One that comes while the program starts can be lost: between the system's hand-over of the signal and the first who listens.
fn assert_ends_by_an_interrupt(mut tow: Child) {
    let status = loop {
        kill_process(Pid::from_child(&tow), Signal::INT).unwrap();
        std::thread::sleep(Duration::from_millis(100));
        if let Some(status) = tow.try_wait().unwrap() {
            break status;
        }
    };
    assert!(status.code() == Some(130) || status.signal() == Some(Signal::INT.as_raw()), "{status}");
}

#[test]
fn a_listing_tells_what_does_not_answer_and_an_interrupt_ends_one_of_it() {
    let Some((folders, _silent)) = stage() else { return };
    assert_lists_the_rest(&folders, ".");
    assert_ends_by_an_interrupt(tow(&folders, &["ls", "mnt"]).spawn().unwrap());
    let copied = tow(&folders, &["cp", "apple.txt", folders.right("").to_str().unwrap()]).status().unwrap();
    assert!(copied.success());
    // A tree is counted but for what is unknown.
    let size = tow(&folders, &["size", "."]).output().unwrap();
    assert_eq!(size.status.code(), Some(1), "{}", String::from_utf8_lossy(&size.stderr));
}

#[test]
fn a_server_whose_folder_holds_what_does_not_answer_serves_the_rest_and_ends() {
    let Some((folders, _silent)) = stage() else { return };
    let towd = Towd::start(&folders.left(""), &folders.state(), &[]);
    let waiting = tow(&folders, &["ls", &towd.target("mnt")]).spawn().unwrap();
    assert_lists_the_rest(&folders, &towd.target(""));
    let got = folders.right("got");
    assert!(
        tow(&folders, &["get", &towd.target("apple.txt"), got.to_str().unwrap()]).status().unwrap().success()
    );
    assert_eq!(std::fs::read_to_string(got).unwrap(), "apple");
    assert_ends_by_an_interrupt(waiting);
    assert!(towd.stop().success());
}

/// What is beside the mount is there, the mount is named, and the exit code says that something is missing.
#[track_caller]
fn assert_does_the_rest(folders: &Folders, arguments: &[&str], made: &str) {
    let output = tow(folders, arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
    assert!(said.contains("mnt: no answer in time"), "{arguments:?}: {said}");
    for (name, content) in [("apple.txt", "apple"), ("zebra.txt", "zebra"), ("sub/fig.txt", "fig")] {
        let there = std::fs::read_to_string(folders.right(made).join(name));
        assert_eq!(there.ok().as_deref(), Some(content), "{arguments:?}: {name}: {said}");
    }
}

fn fill(folders: &Folders) {
    write(folders.left("zebra.txt"), "zebra");
    std::fs::create_dir(folders.left("sub")).unwrap();
    write(folders.left("sub/fig.txt"), "fig");
}

#[test]
fn d5_copies_of_a_folder_that_holds_what_does_not_answer_bring_the_rest_and_tell() {
    let Some((folders, _silent)) = stage() else { return };
    fill(&folders);
    let left = folders.left("");
    let left = left.to_str().unwrap().trim_end_matches('/');
    let to = |name: &str| folders.right(name).to_str().unwrap().to_owned();
    let towd = Towd::start(folders.left("").parent().unwrap(), &folders.state(), &[]);
    for name in ["content", "named"] {
        std::fs::create_dir(folders.right(name)).unwrap();
    }
    let (there, got) = (towd.target("left"), to("got"));
    let (put, between) = (towd.target("right/put"), towd.target("right/between"));
    let (copied, content, named) = (to("copied"), to("content"), to("named"));
    // By the program itself, what is in it, of several operands, from a server, to one, within one. Each waits for its time.
    let ways: [(&[&str], &str); 6] = [
        (&["cp", "-T", left, &copied], "copied"),
        (&["cp", ".", &content], "content"),
        (&["cp", "mnt", "apple.txt", "zebra.txt", "sub", &named], "named"),
        (&["get", "-T", &there, &got], "got"),
        (&["put", "-T", left, &put], "put"),
        (&["cp", "-T", &there, &between], "between"),
    ];
    std::thread::scope(|scope| {
        for (arguments, made) in ways {
            let folders = &folders;
            scope.spawn(move || assert_does_the_rest(folders, arguments, made));
        }
    });
    // Joined.
    std::fs::remove_file(folders.right("copied/zebra.txt")).unwrap();
    assert_does_the_rest(&folders, &["cp", "-T", left, &copied], "copied");
    assert_does_the_rest(&folders, &["mv", "-T", left, &towd.target("right/moved")], "moved");
    assert!(!folders.left("apple.txt").exists(), "moved");
    assert!(towd.stop().success());
}

#[test]
fn d5_a_removal_of_a_folder_that_holds_what_does_not_answer_takes_the_rest_and_tells() {
    let Some((folders, _silent)) = stage() else { return };
    fill(&folders);
    let left = folders.left("");
    let left = left.to_str().unwrap().trim_end_matches('/');
    let output = tow(&folders, &["rm", "-r", "-y", left]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("mnt: on another file system"), "{said}");
    let left: Vec<_> = std::fs::read_dir(left).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["mnt"], "{said}");
}

#[test]
fn d5_an_interrupt_ends_every_command_that_waits_for_what_does_not_answer() {
    let Some((folders, _silent)) = stage() else { return };
    fill(&folders);
    let left = folders.left("").to_str().unwrap().trim_end_matches('/').to_owned();
    let to = |name: &str| folders.right(name).to_str().unwrap().to_owned();
    for arguments in [
        &["cp", "-T", &left, &to("copied")][..],
        &["cp", "mnt", "apple.txt", &to("")],
        &["cp", "apple.txt", "mnt/deep/"],
        &["size", "mnt"],
        &["size", "."],
        &["rm", "-r", "-y", "mnt/deep"],
        &["ls", "mnt/deep"],
    ] {
        assert_ends_by_an_interrupt(tow(&folders, arguments).spawn().unwrap());
    }
}
