//! Many sessions at once, idle and busy. In every run few and for a moment; by hand as many as `TOWD_IDLE`, `TOWD_BUSY` and
//! `TOWD_SECONDS` say, with the figures printed: `TOWD_IDLE=2000 TOWD_BUSY=50 TOWD_SECONDS=120 cargo test --test towd many -- --nocapture`.

use std::time::{Duration, Instant};

use towpath_protocol::message::Answer;
use towpath_protocol::path::WirePath;
use towpath_protocol::request::{Existing, OperationId, Put, Read, Space, Wants};

use super::limits::{allow_open_files, resident_bytes};
use super::log::put;
use super::tls::{House, Session};
use super::world::{at, folder};

const BIG_BYTES: usize = 1024 * 1024;

fn asked(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// Small files up and larger ones down until the end. How many of each, and the longest that anything took.
fn work(session: &mut Session, number: u32, end: Instant) -> (u64, Duration) {
    let (mut rounds, mut longest) = (0_u64, Duration::ZERO);
    while Instant::now() < end {
        let began = Instant::now();
        let mut operation = [0; 16];
        operation[..4].copy_from_slice(&number.to_be_bytes());
        operation[4..12].copy_from_slice(&rounds.to_be_bytes());
        let name = format!("file-{number}");
        let mut file = Put { operation: OperationId(operation), ..put(&name, &rounds.to_be_bytes()) };
        file.store.existing = Existing::Replace;
        match session.call(file).1 {
            Answer::Stored(_) => {}
            other => panic!("{other:?}"),
        }
        let read = Read {
            file: at("big"),
            version: None,
            offset: 0,
            len: BIG_BYTES as u64,
            wants: Wants::Data,
            holes: false,
        };
        match session.call(read) {
            (before, Answer::ReadDone(done)) => {
                assert_eq!((done.len, before.len() - 1), (BIG_BYTES as u64, BIG_BYTES / (64 * 1024)));
            }
            (_, other) => panic!("{other:?}"),
        }
        longest = longest.max(began.elapsed());
        rounds += 1;
    }
    (rounds, longest)
}

#[test]
fn many_sessions_idle_and_busy_go_on_beside_each_other() {
    let (idle, busy) = (asked("TOWD_IDLE", 100), asked("TOWD_BUSY", 4));
    let time = Duration::from_secs(asked("TOWD_SECONDS", 1));
    allow_open_files(4 * (idle + busy) + 1000);
    let root = folder(&[("big", &vec![7; BIG_BYTES])]);
    let limits = ["--limit", "sessions=4096", "--limit", "sessions_per_client=4096"];
    let house = House::new(root.path(), &limits);
    let ann = house.paired("ann@box", &[]);
    let before = resident_bytes(&house.towd);
    let mut idlers: Vec<_> = (0..idle).map(|_| house.meet(&ann, None).unwrap()).collect();
    let for_idle = resident_bytes(&house.towd).saturating_sub(before);
    let end = Instant::now() + time;
    let done: Vec<_> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..busy as u32)
            .map(|number| {
                let mut session = house.meet(&ann, None).unwrap();
                scope.spawn(move || work(&mut session, number, end))
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    });
    let at_most = resident_bytes(&house.towd);
    for session in &mut idlers {
        session.call(Space { path: WirePath::root() });
    }
    let rounds: u64 = done.iter().map(|(rounds, _)| rounds).sum();
    let longest = done.iter().map(|(_, longest)| *longest).max().unwrap_or_default();
    println!(
        "{idle} idle sessions: {} bytes each; {busy} busy ones for {time:?}: {rounds} files up and down, the slowest pair in \
         {longest:?}, {at_most} bytes in all, no errors",
        for_idle / idle.max(1)
    );
    assert!(done.iter().all(|(rounds, _)| *rounds > 0), "somebody did not come to work");
    assert!(for_idle / idle.max(1) < 256 * 1024, "{for_idle} bytes for {idle} idle sessions");
}
