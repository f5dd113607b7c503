//! An evil server that says too much, or never comes to an end.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use towpath_protocol::message::{Input, ToServer};

use super::super::evil::{
    FILE, FOLDER, LIST_PAGE, PONG, UPLOAD_ACK, WELCOME, attributes, data, done, entry, item, list_page,
    walk_page, welcome,
};
use super::super::memory::{held_kib, wait};
use super::super::pack::{List, Map, Number, frame};
use super::super::pty::{self, Pty};
use super::*;

#[test]
fn f43_a_flood_of_frames_that_nobody_asked_for_costs_nothing() {
    // All of these go to nobody, and the listing that comes behind them is shown.
    let floods: Vec<Lie> = vec![
        ("answers to nothing", |id| frame(PONG, id.wrapping_add(7), &Map(Vec::new()))),
        ("kinds that nobody knows", |id| frame(9999, id.wrapping_add(7), &Map(Vec::new()))),
        ("data that nobody asked for", |id| data(id.wrapping_add(7), 0, &[7; 4096])),
        ("ends of nothing", |id| done(id.wrapping_add(7))),
    ];
    for (what, one) in floods {
        let flooding = instead(is_list, move |id| {
            let mut said = one(id).repeat(20_000);
            said.extend(list_page(id, vec![entry(b"small", attributes(FILE, 5, None))]));
            said.extend(done(id));
            said
        });
        let ended = told(&Home::new(), what, LS, flooding);
        assert_eq!(ended.status.code(), Some(0), "{what}: {}", ended.said());
    }
    // Into an exchange that wants something else, or wants no more of it.
    let into: Vec<Lie> = vec![
        ("data in a listing", |id| data(id, 0, &[7; 4096])),
        ("more pages than were granted", |id| page_of(id, u64::MAX, 1)),
        ("acknowledgements in a listing", |id| {
            frame(UPLOAD_ACK, id, &Map(vec![("received", Number(1)), ("credit_bytes", Number(u64::MAX))]))
        }),
    ];
    for (what, one) in into {
        refused(
            what,
            LS,
            "broke the protocol",
            instead(is_list, move |id| [one(id).repeat(20_000), done(id)].concat()),
        );
    }
}

/// Starts `tow` against a server that never comes to an end, and interrupts it once the server has been asked so often.
fn interrupted(
    what: &str,
    words: &[&str],
    asked_max: u64,
    script: impl Fn(u32, &ToServer) -> Option<Vec<u8>> + Send + Sync + 'static,
) {
    let home = Home::new();
    let asked = Arc::new(AtomicU64::new(0));
    let counted = asked.clone();
    let server = EvilServer::start(Arc::new(move |id, message| {
        let said = script(id, message);
        if said.is_some() {
            counted.fetch_add(1, Ordering::Relaxed);
        }
        said
    }));
    let words: Vec<String> = words.iter().map(|word| word.replace("{S}", &server.target("docs"))).collect();
    let mut tow = home.tow(&words.iter().map(String::as_str).collect::<Vec<_>>());
    let child = tow.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let pid = Pid::from_child(&child);
    std::thread::spawn(move || {
        while asked.load(Ordering::Relaxed) < asked_max {
            std::thread::sleep(Duration::from_millis(2));
        }
        let _ = kill_process(pid, Signal::INT);
    });
    let ended = wait(child);
    assert!(ended.held_kib < MEMORY_KIB_MAX, "{what}: {} KiB", ended.held_kib);
    assert_ne!(ended.status.code(), Some(0), "{what}");
    home.check(what);
}

/// A page that says of the whole listing what it likes.
fn page_of(id: u32, total: u64, entries: usize) -> Vec<u8> {
    let entries = (0..entries).map(|n| entry(format!("{n:0200}").as_bytes(), attributes(FILE, 5, None)));
    frame(LIST_PAGE, id, &Map(vec![("total", Number(total)), ("entries", List(entries.collect()))]))
}

fn is_more(message: &ToServer) -> bool {
    matches!(message, ToServer::Input(Input::More(_)))
}

#[test]
fn f50_a_listing_ends_where_it_said_that_it_would() {
    for (what, why, entries) in [
        ("more entries than it has", "more entries than were announced", 1000),
        ("pages of nothing", "a page without entries", 0),
    ] {
        let script: Script = Arc::new(move |id, message| {
            (is_list(message) || is_more(message)).then(|| page_of(id, 1500, entries))
        });
        refused(what, LS, why, script);
    }
}

#[test]
fn f50_panes_keep_no_listing_without_end() {
    let home = Home::new();
    let endless = |total: u64| -> Script {
        Arc::new(move |id, message| (is_list(message) || is_more(message)).then(|| page_of(id, total, 1000)))
    };
    for (total, why) in [(u64::MAX, "more than 4000000 entries"), (5000, "more entries than were announced")]
    {
        let server = EvilServer::start(endless(total));
        let mut command = pty::command(env!("CARGO_BIN_EXE_tow"), &home.path("state"));
        command.args(["--connect", &server.target("docs")]);
        command.cwd(home.path("here"));
        let mut pty = Pty::start(command, 240, 40);
        pty.wait_for(why);
        let held = held_kib(pty.process().as_raw_nonzero().get().cast_unsigned()).unwrap();
        assert!(held < MEMORY_KIB_MAX, "{held} KiB");
        pty.signal(Signal::TERM);
        pty.wait_for_end();
        home.check("an endless listing in a pane");
    }
}

#[test]
fn f50_a_listing_and_a_walk_without_end_take_no_memory_and_can_be_interrupted() {
    interrupted("a listing without end", LS, 100, move |id, message| {
        (is_list(message) || is_more(message)).then(|| page_of(id, u64::MAX, 1000))
    });
    interrupted("a walk without end", GET, 30, move |id, message| {
        // Special files, which are named and left: nothing fills the disk.
        let items = || (0..500).map(|n: u64| item(1, format!("{n:0200}").as_bytes(), attributes(3, 0, None)));
        if is_walk(message) {
            return Some(walk_page(id, vec![item(0, b"docs", attributes(FOLDER, 0, None))]));
        }
        is_more(message).then(|| walk_page(id, items().collect()))
    });
}

#[test]
fn f45_a_server_of_one_byte_a_second_can_be_interrupted_at_any_time() {
    let home = Home::new();
    let socket = home.path("state/socket");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let target = format!("unix:{}", socket.display());
    for after in [0, 5, 20] {
        let child = home.tow(&["ls", &target]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (mut stream, _) = listener.accept().unwrap();
        let said = [&b"TOWPATH1"[..], &frame(WELCOME, 1, &Map(welcome()))].concat();
        std::io::Write::write_all(&mut stream, &said[..after]).unwrap();
        std::thread::sleep(Duration::from_millis(200));
        std::io::Write::write_all(&mut stream, &said[after..=after]).unwrap();
        kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        let ended = wait(child);
        assert_ne!(ended.status.code(), Some(0));
        home.check("one byte at a time");
    }
}
