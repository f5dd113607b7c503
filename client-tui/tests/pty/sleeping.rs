//! A laptop that slept, as far as a stopped process is one: either side is stopped in the middle of a job for longer than the server waits
//! for anybody, and goes on; and so does the job, by itself and not from its beginning.

use std::fs;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::keeping::{CUT_AFTER_BYTES, connect, kept, large, limit, send};
use crate::pty::Pty;
use crate::stage::{DOWN, F5, Folders, part_bytes, parts, quit, wait_for_disk};
use crate::towd::Towd;

const LIMITS: [&str; 4] = ["--limit", "idle_seconds=1", "--limit", "stall_seconds=1"];
/// Several times as long as that.
const ASLEEP: Duration = Duration::from_secs(4);
const TOWD_STOPPED_SECONDS: &str = "TOWPATH_TOWD_STOPPED_SECONDS";

fn serve_tls(folders: &Folders) -> Towd {
    Towd::start_tls(&folders.right(""), &folders.state().join("towd"), &LIMITS)
}

fn connect_tls(folders: &Folders, server: &Towd) -> Pty {
    let mut tow = folders.tow(&["--connect", &server.target("")]);
    tow.env("TOW_PAIR", server.first_code().unwrap());
    let pty = Pty::start(tow, 120, 40);
    pty.wait_for("connected to");
    pty
}

fn ends_well(folders: &Folders, pty: Pty, arrived: &std::path::Path, content: &[u8]) {
    pty.wait_for("copied and verified: 1 file");
    assert!(fs::read(arrived).unwrap() == content);
    assert_eq!(parts(arrived.parent().unwrap()), []);
    wait_for_disk(&pty, "an empty journal", || kept(folders).is_empty());
    quit(pty);
}

#[test]
fn an_upload_goes_on_when_its_client_wakes() {
    let folders = Folders::new();
    let (content, server) = (large(&folders), serve_tls(&folders));
    let mut pty = connect_tls(&folders, &server);
    send(&folders, &mut pty);
    pty.signal(Signal::STOP);
    std::thread::sleep(ASLEEP);
    pty.signal(Signal::CONT);
    pty.wait_for("copied and verified: 1 file");
    // The server has waited: what it is owed is the client's to bring.
    assert!(!pty.contents().contains("disconnected today"), "{}", pty.contents());
    ends_well(&folders, pty, &folders.right("large"), &content);
}

#[test]
fn a_download_whose_server_has_given_its_client_up_goes_on_by_bytes_when_that_wakes() {
    let folders = Folders::new();
    let content = large(&folders);
    fs::rename(folders.left("large"), folders.right("large")).unwrap();
    let server = Towd::start(&folders.right(""), &folders.state(), &LIMITS);
    let mut pty = connect(&folders, &server);
    limit(&mut pty, 20);
    pty.press(&format!("\t{DOWN}{F5}"));
    pty.wait_for("Copy large to");
    pty.press("\r");
    wait_for_disk(&pty, "the first of it", || part_bytes(&folders.left("")) > CUT_AFTER_BYTES);
    pty.signal(Signal::STOP);
    std::thread::sleep(ASLEEP);
    pty.signal(Signal::CONT);
    pty.wait_for("connected again");
    pty.wait_for("copied and verified: 1 file");
    assert!(pty.contents().contains("MB of it there from before"), "{}", pty.contents());
    ends_well(&folders, pty, &folders.left("large"), &content);
}

/// `TOWPATH_TOWD_STOPPED_SECONDS` says for how long: after 45 the client has given it up, and comes back by itself.
#[test]
fn an_upload_goes_on_when_its_server_wakes() {
    let folders = Folders::new();
    let (content, server) = (large(&folders), serve_tls(&folders));
    let mut pty = connect_tls(&folders, &server);
    send(&folders, &mut pty);
    let towd = Pid::from_raw(server.pid().cast_signed()).unwrap();
    let stopped = std::env::var(TOWD_STOPPED_SECONDS).map(|it| Duration::from_secs(it.parse().unwrap()));
    kill_process(towd, Signal::STOP).unwrap();
    std::thread::sleep(*stopped.as_ref().unwrap_or(&ASLEEP));
    kill_process(towd, Signal::CONT).unwrap();
    pty.wait_for("copied and verified: 1 file");
    if stopped.is_ok_and(|it| it > Duration::from_mins(1)) {
        assert!(pty.contents().contains("MB of it there from before"), "{}", pty.contents());
    }
    ends_well(&folders, pty, &folders.right("large"), &content);
}
