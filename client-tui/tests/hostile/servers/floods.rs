//! An evil server that says too much, or never comes to an end.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use towpath_protocol::message::{Input, ToServer};

use super::super::evil::{
    FILE, FOLDER, PONG, UPLOAD_ACK, WELCOME, attributes, data, done, entry, item, list_page, walk_page,
    welcome,
};
use super::super::memory::wait;
use super::super::pack::{Map, Number, frame};
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
        ("more pages than were granted", |id| list_page(id, Vec::new())),
        ("acknowledgements in a listing", |id| {
            frame(UPLOAD_ACK, id, &Map(vec![("received", Number(1)), ("credit_bytes", Number(u64::MAX))]))
        }),
    ];
    for (what, one) in into {
        refused(what, LS, "broke the protocol", instead(is_list, move |id| one(id).repeat(20_000)));
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

#[test]
fn f50_a_listing_and_a_walk_without_end_take_no_memory_and_can_be_interrupted() {
    let is_more = |message: &ToServer| matches!(message, ToServer::Input(Input::More(_)));
    interrupted("a listing without end", LS, 100, move |id, message| {
        let entries =
            || (0..1000).map(|n: u64| entry(format!("{n:0200}").as_bytes(), attributes(FILE, 5, None)));
        (is_list(message) || is_more(message)).then(|| list_page(id, entries().collect()))
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
