//! Sessions that come back: a real `towd` is killed and started again, jobs wait for it, and the connect screen finds it.

use std::fs;
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use crate::pty::Pty;
use crate::stage::{DOWN, F2, F5, F7, Folders, close, open_jobs, quit, wait_for_disk, write};
use crate::towd::Towd;

/// Always on the same socket.
fn serve(folders: &Folders) -> Towd {
    Towd::start(&folders.right(""), &folders.state(), &[])
}

fn connect(folders: &Folders, target: &str) -> Pty {
    Pty::start(folders.tow(&["--connect", target]), 140, 40)
}

#[test]
fn a_server_that_was_killed_is_connected_to_again_by_itself_and_the_pane_takes_up_where_it_was() {
    let folders = Folders::new();
    fs::create_dir(folders.right("folder")).unwrap();
    write(folders.right("folder/first"), "");
    write(folders.right("folder/second"), "");
    write(folders.left("mine"), "");
    let server = serve(&folders);
    let mut pty = connect(&folders, &server.target("folder"));
    pty.wait_for("second");
    // The cursor on the second, the first marked.
    pty.press("\t ");
    pty.wait_for("1 of 2 marked");
    pty.press("\t");
    server.kill();
    pty.wait_for("disconnected today");
    pty.wait_for("connection refused");
    assert!(pty.contents().contains("second") && pty.contents().contains("mine"), "{}", pty.contents());
    write(folders.right("folder/zwischenzeit"), "");
    let server = serve(&folders);
    pty.wait_for("connected again");
    pty.wait_for("zwischenzeit");
    pty.wait_for("1 of 3 marked");
    // The cursor is where it was: what F2 names is the second.
    pty.press(&format!("\t{F2}"));
    pty.wait_for("New name of second");
    close(&mut pty);
    drop(server);
    quit(pty);
}

#[test]
fn a_lost_pane_takes_no_changes_and_a_key_in_it_tries_at_once() {
    let folders = Folders::new();
    write(folders.right("a"), "");
    let server = serve(&folders);
    let mut pty = connect(&folders, &server.target(""));
    pty.wait_for("1 item");
    server.kill();
    pty.wait_for("connection refused");
    pty.press(&format!("\t{F7}"));
    pty.wait_for("not connected; retrying");
    assert!(!pty.contents().contains("New folder"), "{}", pty.contents());
    pty.wait_for("retry in");
    let _server = serve(&folders);
    pty.press("j");
    pty.wait_for("connected again");
    quit(pty);
}

#[test]
fn esc_stops_the_attempts_until_somebody_asks() {
    let folders = Folders::new();
    write(folders.right("a"), "");
    let server = serve(&folders);
    let mut pty = connect(&folders, &server.target(""));
    pty.wait_for("1 item");
    server.kill();
    pty.wait_for("disconnected today");
    pty.press("\t\x1b");
    pty.wait_for("given up; C reconnects");
    let _server = serve(&folders);
    pty.press("C");
    pty.wait_for("connected again");
    quit(pty);
}

#[test]
fn a_server_that_says_nothing_is_given_up_by_esc_at_once() {
    let folders = Folders::new();
    let socket = folders.state().join("silent");
    let _silent = UnixListener::bind(&socket).unwrap();
    let mut pty = connect(&folders, &format!("unix:{}", socket.display()));
    pty.wait_for("connecting");
    let pressed = Instant::now();
    pty.press("\x1b");
    pty.wait_for("given up");
    // Far less than it would take to give up by itself.
    assert!(pressed.elapsed() < Duration::from_secs(5), "{:?}", pressed.elapsed());
    quit(pty);
}

#[test]
fn tow_connect_asks_where_to_and_knows_bookmarks_and_the_hosts_of_ssh() {
    let folders = Folders::new();
    write(folders.right("far"), "");
    let server = serve(&folders);
    fs::create_dir_all(folders.state().join(".ssh")).unwrap();
    fs::write(folders.state().join(".ssh/config"), "Host web-1 *.example\n  User ann\n").unwrap();
    fs::create_dir_all(folders.state().join(".config/towpath")).unwrap();
    let config = format!("[bookmarks]\nbox = \"{}\"\n", server.target(""));
    fs::write(folders.state().join(".config/towpath/config.toml"), config).unwrap();
    let mut pty = Pty::start(folders.tow(&["connect"]), 120, 40);
    pty.wait_for("ssh://web-1");
    assert!(!pty.contents().contains("*.example"), "{}", pty.contents());
    pty.press("box\r");
    pty.wait_for("far");
    // It is one of the targets of late now, and a bookmark of another name is kept in the file.
    pty.press("m");
    pty.wait_for("Name for");
    pty.press("\x15again\r");
    pty.wait_for("bookmark again added");
    pty.press("'");
    pty.wait_for("connected");
    close(&mut pty);
    let kept = || fs::read_to_string(folders.state().join(".config/towpath/config.toml")).unwrap();
    wait_for_disk(&pty, "the bookmark in the file", || kept().contains("again = "));
    assert!(kept().contains("box = "), "{}", kept());
    quit(pty);
}

#[test]
fn folders_are_made_with_those_above_them() {
    let folders = Folders::new();
    let server = serve(&folders);
    let mut pty = connect(&folders, &server.target(""));
    pty.wait_for("connected to");
    pty.press(&format!("\t{F7}"));
    pty.wait_for("New folder");
    pty.press("a/b/c\r");
    pty.wait_for("a/");
    pty.wait_until("the cursor on the new folder", |screen| screen.contents().contains("1 item"));
    assert!(folders.right("a/b/c").is_dir());
    quit(pty);
}

/// Four files of 2 MB in a folder here, and `tow` in a state to copy them to the server slowly.
fn copying_slowly(folders: &Folders, server: &Towd) -> Pty {
    fs::create_dir(folders.left("many")).unwrap();
    for number in 0..4_u8 {
        fs::write(folders.left("many").join(format!("{number}.bin")), vec![number; 2_000_000]).unwrap();
    }
    let mut pty = connect(folders, &server.target(""));
    pty.wait_for("connected to");
    // The rate of all together first: without it a copy is over before anybody has looked.
    open_jobs(&mut pty);
    pty.press("L");
    pty.wait_for("Limit for all jobs");
    pty.press("1\r");
    pty.wait_for("all jobs: at most 1 MB/s");
    close(&mut pty);
    pty.press(&format!("{DOWN}{F5}"));
    pty.wait_for("Copy many to");
    pty.press("\r");
    pty.wait_for("many → ");
    pty
}

fn is_whole(folders: &Folders) -> bool {
    (0..4_u8).all(|number| {
        let there = fs::read(folders.right("many").join(format!("{number}.bin")));
        there.is_ok_and(|bytes| bytes == vec![number; 2_000_000])
    })
}

#[test]
fn a_copy_that_a_lost_connection_cut_off_goes_on_when_it_is_back() {
    let folders = Folders::new();
    let server = serve(&folders);
    let mut pty = copying_slowly(&folders, &server);
    server.kill();
    pty.wait_for("disconnected today");
    pty.wait_for("waits");
    let _server = serve(&folders);
    pty.wait_for("connected again");
    open_jobs(&mut pty);
    pty.press("L");
    pty.wait_for("Limit for all jobs");
    pty.press("\x15\r");
    pty.wait_for("copied and verified");
    assert!(is_whole(&folders), "{}", pty.contents());
    close(&mut pty);
    quit(pty);
}

#[test]
fn a_copy_is_paused_and_goes_on_and_stays_in_the_view_until_it_is_cleared() {
    let folders = Folders::new();
    let server = serve(&folders);
    let mut pty = copying_slowly(&folders, &server);
    open_jobs(&mut pty);
    pty.press("p");
    pty.wait_for("· paused");
    pty.press("L");
    pty.wait_for("Limit for all jobs");
    pty.press("\x15\r");
    pty.wait_for("all jobs: no limit");
    assert!(!is_whole(&folders), "it was paused");
    pty.press("p");
    pty.wait_for("copied and verified: 4 files");
    assert!(is_whole(&folders));
    // What is over stays until it is cleared.
    pty.wait_for("✓ ↑ many");
    pty.press("c");
    pty.wait_for("No jobs");
    close(&mut pty);
    quit(pty);
}

#[test]
fn a_server_that_is_met_for_the_first_time_is_paired_with_in_a_dialog_and_known_afterwards() {
    let folders = Folders::new();
    write(folders.right("far"), "");
    let server = Towd::start_tls(&folders.right(""), &folders.state().join("server"), &[]);
    let start = || Pty::start(folders.tow(&["connect"]), 120, 40);
    let mut pty = start();
    pty.wait_for("╭ Connect ");
    pty.press(&format!("{}\r", server.target("")));
    pty.wait_for("Pair with");
    pty.wait_until("the line", |screen| !screen.hide_cursor());
    pty.press("nonsense\r");
    pty.wait_until("a word against it, and the dialog still there", |screen| {
        screen.contents().contains("Pair with") && screen.contents().contains("a pairing code")
    });
    pty.press(&format!("\x15{}\r", server.first_code().unwrap()));
    pty.wait_for("connected to");
    pty.wait_for("far");
    quit(pty);
    // It is among the targets of late, and asks for nothing any more.
    let mut pty = start();
    pty.wait_for("recent");
    pty.press(DOWN);
    pty.wait_until("the cursor off the line, on the row", vt100::Screen::hide_cursor);
    pty.press("\r");
    pty.wait_for("connected to");
    pty.wait_for("far");
    quit(pty);
}
