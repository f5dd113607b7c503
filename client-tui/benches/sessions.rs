//! Many clients at one server: idle sessions, and busy ones beside them that list, read and ask. Prints what a session costs the
//! server in memory, what the busy ones got done, and every error. Real clients, a real `towd`, encrypted, over loopback.
//!
//!     cargo build --release --workspace && cargo bench -p towpath --bench sessions
//!
//! `SESSIONS_IDLE`, `SESSIONS_BUSY` and `SESSIONS_SECONDS` ask for other numbers than 2000, 50 and 120; `BENCH_TOWD` names
//! another server program than `target/release/towd`.
#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark prints, builds a fixture, and ends where it cannot go on"
)]

#[path = "support/load.rs"]
mod load;
#[path = "support/towd.rs"]
mod towd;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use towpath::link::Link;
use towpath::link::dial::dial;
use towpath::link::keyring::Keyring;
use towpath_protocol::fault::Fault;
use towpath_protocol::message::Answer;
use towpath_protocol::path::{Location, WirePath};
use towpath_protocol::request::{Direction, Follow, Hidden, Read, SortKey, Wants};

use load::asked;
use towd::Towd;

/// Entries of the folder that the busy ones list.
const ENTRIES: usize = 1000;
/// Bytes of the file that they read.
const FILE_BYTES: usize = 1024 * 1024;
/// Sessions that begin at the same time.
const BEGINNING: usize = 4;

/// What all the busy ones have done.
#[derive(Default)]
struct Done {
    rounds: usize,
    slowest: Duration,
    errors: BTreeMap<String, usize>,
}

/// One round: a listing of a thousand, a mebibyte of a file, one question.
async fn round(link: &Link) -> Result<(), Fault> {
    let folder = WirePath::parse(b"many").expect("a path");
    let mut listing = link.list(&folder, SortKey::Name, Direction::Ascending, Hidden::Shown);
    while listing.next_page().await?.is_some() {}
    let file = WirePath::parse(b"file").expect("a path");
    let read = Read {
        file: Location::of(&file),
        version: None,
        offset: 0,
        len: FILE_BYTES as u64,
        wants: Wants::Data,
        holes: false,
    };
    let mut reading = link.open(read);
    while !matches!(reading.next().await?, Answer::ReadDone(_)) {}
    link.stat(&file, Follow::No).await.map(drop)
}

async fn busy(link: Link, until: Instant) -> Done {
    let mut done = Done::default();
    while Instant::now() < until && !link.is_lost() {
        let began = Instant::now();
        match round(&link).await {
            Ok(()) => done.rounds += 1,
            Err(fault) => *done.errors.entry(fault.to_string()).or_default() += 1,
        }
        done.slowest = done.slowest.max(began.elapsed());
    }
    done
}

async fn begin(towd: &Towd, keyring: &Arc<Keyring>, count: usize) -> Vec<Link> {
    let mut links = Vec::new();
    let mut beginning = JoinSet::new();
    for _ in 0..count {
        if beginning.len() == BEGINNING
            && let Some(link) = beginning.join_next().await
        {
            links.push(link.expect("a task"));
        }
        let (server, keyring) = (towd.server.clone(), keyring.clone());
        beginning.spawn(async move { dial(&server, &keyring, None).await.expect("a session") });
    }
    links.extend(beginning.join_all().await);
    links
}

async fn measure(folder: &Path) {
    let (idle, working) = (asked("SESSIONS_IDLE", 2000), asked("SESSIONS_BUSY", 50));
    let seconds = asked("SESSIONS_SECONDS", 120);
    let limit = |name| format!("{name}={}", 2 * (idle + working));
    let limits = [limit("sessions"), limit("sessions_per_client")];
    let towd = Towd::start(folder, &["--limit", &limits[0], "--limit", &limits[1]]);
    let keyring = towd.keyring(folder);
    let first = begin(&towd, &keyring, 1).await;
    let before = towd.kib("VmRSS:");
    let began = Instant::now();
    let idlers = begin(&towd, &keyring, idle).await;
    println!("{idle} sessions began in {:.1} s", began.elapsed().as_secs_f64());
    let with_idle = towd.kib("VmRSS:");
    let each = (with_idle - before) as f64 / idle as f64;
    println!(
        "towd: {before} KiB with one session, {with_idle} KiB with {idle} idle ones more: {each:.1} KiB each"
    );

    let until = Instant::now() + Duration::from_secs(seconds as u64);
    let workers = begin(&towd, &keyring, working).await;
    let tasks: JoinSet<Done> = workers.into_iter().map(|link| busy(link, until)).collect();
    let mut all = Done::default();
    for done in tasks.join_all().await {
        all.rounds += done.rounds;
        all.slowest = all.slowest.max(done.slowest);
        for (error, times) in done.errors {
            *all.errors.entry(error).or_default() += times;
        }
    }
    println!(
        "{working} busy ones for {seconds} s: {} rounds, the slowest {:.2} s, towd {} KiB at most",
        all.rounds,
        all.slowest.as_secs_f64(),
        towd.kib("VmHWM:")
    );
    println!("errors: {:?}", all.errors);
    let mut answered = 0;
    for link in first.iter().chain(&idlers) {
        answered += usize::from(link.stat(&WirePath::root(), Follow::No).await.is_ok());
    }
    println!("idle sessions that answer afterwards: {answered} of {}", idle + 1);
}

fn main() {
    let fill = |root: &Path| {
        fs::create_dir(root.join("many")).expect("a folder");
        for entry in 0..ENTRIES {
            fs::write(root.join(format!("many/{entry:04}")), b"").expect("a file");
        }
        fs::write(root.join("file"), vec![7; FILE_BYTES]).expect("a file");
    };
    let Some(folder) = load::prepared(fill) else { return };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(measure(folder.path()));
}
