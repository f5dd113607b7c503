//! Jobs that outlive the program, and connections that go under them: killed, hung up, quit with what is unfinished kept, a server that is
//! killed; the next start asks, and what had come goes on by bytes.

use std::fs;
use std::path::PathBuf;

use rustix::process::Signal;

use crate::pty::Pty;
use crate::stage::{
    DOWN, F5, F6, Folders, agree, close, go_to, open_jobs, open_question, part_bytes, parts, quit,
    wait_for_disk,
};
use crate::towd::Towd;

const BYTES: usize = 64 << 20;
/// What has come before somebody dies.
pub(super) const CUT_AFTER_BYTES: u64 = 24 << 20;
const QUESTION: &str = "╭ Unfinished jobs ─";

/// A file here that differs from any other at each of its pages.
pub(super) fn large(folders: &Folders) -> Vec<u8> {
    let mut content = vec![0; BYTES];
    for (index, page) in content.chunks_mut(4096).enumerate() {
        page[..8].copy_from_slice(&index.to_le_bytes());
    }
    fs::write(folders.left("large"), &content).unwrap();
    content
}

pub(super) fn serve(folders: &Folders) -> Towd {
    Towd::start(&folders.right(""), &folders.state(), &["--limit", "disk_reserve_bytes=0"])
}

pub(super) fn connect(folders: &Folders, server: &Towd) -> Pty {
    let pty = Pty::start(folders.tow(&["--connect", &server.target("")]), 120, 40);
    pty.wait_for("connected to");
    pty
}

/// So many MB a second: without a limit it is all there before anybody has looked.
pub(super) fn limit(pty: &mut Pty, megabytes: u32) {
    open_jobs(pty);
    pty.press("L");
    pty.wait_for("Limit for all jobs");
    pty.press(&format!("{megabytes}\r"));
    pty.wait_for(&format!("all jobs: at most {megabytes}"));
    close(pty);
}

/// The large file is on its way to the server, and a good part of it is there.
fn under_way(folders: &Folders, server: &Towd) -> Pty {
    let mut pty = connect(folders, server);
    send(folders, &mut pty);
    pty
}

pub(super) fn send(folders: &Folders, pty: &mut Pty) {
    limit(pty, 20);
    pty.press(&format!("{DOWN}{F5}"));
    pty.wait_for("Copy large to");
    pty.press("\r");
    wait_for_disk(pty, "the first of it", || part_bytes(&folders.right("")) > CUT_AFTER_BYTES);
}

/// Jobs that the journal holds.
pub(super) fn kept(folders: &Folders) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folders.state().join("state/client/journal")) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("panes-")).collect()
}

/// The next start asks about what is left, and goes on with it; nothing is left then.
fn goes_on(folders: &Folders, server: &Towd, content: &[u8]) {
    let mut pty = connect(folders, server);
    pty.wait_for("1 needs an answer (o)");
    assert!(!pty.contents().contains(QUESTION), "nobody has asked for it");
    assert!(!folders.right("large").exists(), "nobody has said that it may go on");
    open_question(&mut pty, "Later");
    pty.wait_for(QUESTION);
    pty.wait_for("large → unix:");
    pty.press("y");
    pty.wait_for("copied and verified: 1 file");
    assert!(pty.contents().contains("MB of it there from before"), "{}", pty.contents());
    assert!(fs::read(folders.right("large")).unwrap() == content);
    assert_eq!(parts(&folders.right("")), []);
    wait_for_disk(&pty, "an empty journal", || kept(folders).is_empty());
    quit(pty);
}

#[test]
fn a_tow_that_was_killed_asks_at_its_next_start_and_goes_on_by_bytes() {
    let folders = Folders::new();
    let (content, server) = (large(&folders), serve(&folders));
    for signal in [Signal::KILL, Signal::TERM, Signal::HUP] {
        let mut pty = under_way(&folders, &server);
        pty.signal(signal);
        pty.wait_for_end();
        assert_eq!(kept(&folders).len(), 1, "{signal:?}");
        goes_on(&folders, &server, &content);
        fs::remove_file(folders.right("large")).unwrap();
    }
}

#[test]
fn who_quits_may_keep_what_is_unfinished_or_stop_it() {
    let folders = Folders::new();
    let (content, server) = (large(&folders), serve(&folders));
    let mut pty = under_way(&folders, &server);
    pty.press("q");
    pty.wait_for("1 job is running");
    pty.press("k");
    assert!(pty.wait_for_end().success());
    pty.assert_given_back();
    wait_for_disk(&pty, "what came", || part_bytes(&folders.right("")) > 0);
    // Left for later it is there again, now and at the next start.
    let mut pty = connect(&folders, &server);
    for _ in 0..2 {
        open_question(&mut pty, "Later");
        pty.press("\r");
        pty.wait_until("no question", |screen| !screen.contents().contains(QUESTION));
    }
    quit(pty);
    goes_on(&folders, &server, &content);
    fs::remove_file(folders.right("large")).unwrap();
    let mut pty = under_way(&folders, &server);
    pty.press("q");
    pty.wait_for("1 job is running");
    pty.press("y");
    assert!(pty.wait_for_end().success());
    assert_eq!((parts(&folders.right("")), kept(&folders)), (vec![], vec![]));
}

#[test]
fn a_job_that_is_forgotten_is_asked_about_no_more() {
    let folders = Folders::new();
    large(&folders);
    let server = serve(&folders);
    let mut pty = under_way(&folders, &server);
    pty.signal(Signal::KILL);
    pty.wait_for_end();
    let mut pty = connect(&folders, &server);
    pty.wait_for("1 needs an answer (o)");
    // A key for the panes is no answer.
    pty.press("f");
    pty.wait_for("filter: ");
    pty.press("y\x03");
    pty.wait_until("no filter", |screen| !screen.contents().contains("filter: "));
    assert_eq!(kept(&folders).len(), 1, "{}", pty.contents());
    open_question(&mut pty, "Later");
    // Another tow meanwhile is not asked about the same job.
    let other = Pty::start(folders.tow(&[]), 120, 40);
    other.wait_for("large");
    pty.press("f");
    pty.wait_for("▸ Keep");
    assert_eq!(kept(&folders).len(), 1, "it asks");
    pty.press("y");
    pty.wait_for("1 unfinished job discarded");
    wait_for_disk(&pty, "an empty journal", || kept(&folders).is_empty());
    assert!(!other.contents().contains("an answer (o)"), "{}", other.contents());
    quit(other);
    quit(pty);
}

#[test]
fn a_download_that_a_kill_cut_off_goes_on_by_bytes_too() {
    let folders = Folders::new();
    let content = large(&folders);
    fs::rename(folders.left("large"), folders.right("large")).unwrap();
    let server = serve(&folders);
    let mut pty = connect(&folders, &server);
    limit(&mut pty, 20);
    pty.press(&format!("\t{DOWN}{F6}"));
    pty.wait_for("Move large to");
    pty.press("\r");
    wait_for_disk(&pty, "the first of it", || part_bytes(&folders.left("")) > CUT_AFTER_BYTES);
    pty.signal(Signal::KILL);
    pty.wait_for_end();
    // Never in a list.
    let mut pty = connect(&folders, &server);
    open_question(&mut pty, "Later");
    pty.wait_for("↓ large → /");
    assert!(!pty.contents().contains("towpath-part"), "{}", pty.contents());
    pty.press("y");
    pty.wait_for("moved and verified: 1 file");
    assert!(pty.contents().contains("MB of it there from before"), "{}", pty.contents());
    assert!(fs::read(folders.left("large")).unwrap() == content);
    assert!(!folders.right("large").exists());
    assert_eq!(parts(&folders.left("")), []);
    quit(pty);
}

#[test]
fn the_end_of_a_long_job_rings() {
    let folders = Folders::new();
    fs::create_dir_all(folders.state().join(".config/towpath")).unwrap();
    fs::write(folders.state().join(".config/towpath/config.toml"), "bell_seconds = 1\n").unwrap();
    fs::write(folders.left("two"), vec![7; 4_000_000]).unwrap();
    let server = serve(&folders);
    let mut pty = connect(&folders, &server);
    limit(&mut pty, 2);
    pty.press(&format!("{DOWN}{F5}"));
    pty.wait_for("Copy two to");
    pty.press("\r");
    pty.wait_for_bytes("\x1b]9;tow: copied and verified: 1 file");
    pty.wait_for_bytes("\x07\x07");
    quit(pty);
}

/// The server comes back, and all the rest happens by itself.
fn comes_back(folders: &Folders, mut pty: Pty, content: &[u8], restart: impl FnOnce() -> Towd) {
    pty.wait_for("disconnected today");
    pty.wait_for("waits");
    let server = restart();
    pty.wait_for("connected again");
    pty.wait_for("copied and verified: 1 file");
    assert!(pty.contents().contains("MB of it there from before"), "{}", pty.contents());
    assert!(fs::read(folders.right("large")).unwrap() == content);
    assert_eq!(parts(&folders.right("")), []);
    wait_for_disk(&pty, "an empty journal", || kept(folders).is_empty());
    pty.press("w");
    pty.wait_for("✓ ↑ large");
    close(&mut pty);
    quit(pty);
    drop(server);
}

#[test]
fn an_upload_goes_on_by_bytes_by_itself_when_a_killed_server_is_back() {
    let folders = Folders::new();
    let (content, server) = (large(&folders), serve(&folders));
    let pty = under_way(&folders, &server);
    server.kill();
    comes_back(&folders, pty, &content, || serve(&folders));
}

#[test]
fn over_tls_too_with_nobody_asked_for_a_code_again() {
    let folders = Folders::new();
    let content = large(&folders);
    let (root, state) = (folders.right(""), folders.state().join("towd"));
    let server = Towd::start_tls(&root, &state, &[]);
    let (address, code) = (server.address().to_owned(), server.first_code().unwrap().to_owned());
    let mut tow = folders.tow(&["--connect", &server.target("")]);
    tow.env("TOW_PAIR", code);
    let mut pty = Pty::start(tow, 120, 40);
    pty.wait_for("connected to");
    send(&folders, &mut pty);
    server.kill();
    comes_back(&folders, pty, &content, || Towd::start_tls_again(&address, &root, &state, &[]));
}

#[test]
fn the_queue_comes_back_in_its_order_and_with_the_rate_of_all() {
    let folders = Folders::new();
    let names = ["one.bin", "two.bin", "three.bin", "four.bin"];
    for name in names {
        fs::write(folders.left(name), vec![7; 24 << 20]).unwrap();
    }
    let server = serve(&folders);
    let mut pty = connect(&folders, &server);
    limit(&mut pty, 1);
    for name in names {
        go_to(&mut pty, name);
        pty.press(F5);
        agree(&mut pty, "Copy");
    }
    // The last one goes before the other that waits.
    open_jobs(&mut pty);
    pty.press("G");
    pty.wait_until("the cursor on the last one", |screen| {
        let shade_of = |name: &str| {
            let row = screen.rows(0, 120).position(|row| row.contains(&format!("↑ {name} →")))?;
            screen.cell(row as u16, 8).map(vt100::Cell::bgcolor)
        };
        shade_of("four.bin") != shade_of("two.bin")
    });
    pty.press("K");
    let is_reordered = || {
        let noted = kept(&folders).into_iter().filter_map(|path| fs::read_to_string(path).ok());
        let mut noted: Vec<String> = noted.filter(|job| job.contains("\"limit_of_all\":1000000")).collect();
        let place = |job: &String| {
            let rest = job.split("\"place\":").nth(1)?;
            rest.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u64>().ok()
        };
        noted.sort_by_key(place);
        // In base64: the third is now what was the fourth, and both are written.
        noted.len() == names.len()
            && noted[2].contains("Zm91ci5iaW4=")
            && noted.windows(2).all(|pair| place(&pair[0]) < place(&pair[1]))
    };
    wait_for_disk(&pty, "the order", is_reordered);
    pty.signal(Signal::KILL);
    pty.wait_for_end();

    let mut pty = connect(&folders, &server);
    pty.wait_for("4 need an answer (o)");
    open_question(&mut pty, "Later");
    let shown = pty.contents();
    let places = ["one.bin →", "two.bin →", "four.bin →", "three.bin →"].map(|name| shown.find(name));
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{shown}");
    pty.press("y");
    pty.wait_for("all jobs: at most 1");
    pty.signal(Signal::KILL);
    pty.wait_for_end();
}
