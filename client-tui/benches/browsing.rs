//! A folder is opened while a file goes up, or comes down, on a thin link: how long until all its entries are there, beside what it takes
//! when nothing else goes on. One session, a real `towd`, encrypted, through `examples/slow_link`; or with `BROWSING_ROUTED=1` (Linux, root)
//! over the system's own TCP between network namespaces, with a router that `tc tbf` makes slow.
//!
//!     cargo build --release --workspace --bins --examples && cargo bench -p towpath --bench browsing
//!
//! `BROWSING_MBIT` asks for another link than 100 Mbit/s, `BROWSING_DELAY_MS` for a delay by `slow_link`; the buffer before the link is 30 ms.
#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark prints, builds a fixture, and ends where it cannot go on"
)]

#[path = "support/routed.rs"]
mod routed;
#[path = "support/towd.rs"]
mod towd;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use towpath::link::Link;
use towpath::link::dial::dial;
use towpath::model::Choice;
use towpath::model::target::Server;
use towpath::transfer;
use towpath::transfer::excludes::Excludes;
use towpath::transfer::job::{
    ExistingPolicy, FACTS_QUEUED_MAX, Item, Job, OnRequest, Progress, Reports, Summary, Verb,
};
use towpath_files::root::RootSpec;
use towpath_files::service::{Service, ServiceConfig};
use towpath_protocol::hello::Access;
use towpath_protocol::path::WirePath;
use towpath_protocol::request::{Direction, Durability, Hidden, SortKey};

use routed::{Routed, SERVER_HOST};
use towd::Towd;

/// Entries of the folder that is opened.
const ENTRIES: usize = 1000;
/// Enough to keep the link busy all the while.
const FILE_BYTES: usize = 256 * 1024 * 1024;
const ROUNDS: usize = 50;
const BUFFER_MS: &str = "30";
/// Names the server's namespace to this program, run again in the client's.
const NAMESPACE: &str = "BROWSING_SERVER_NAMESPACE";

fn asked(name: &str, usual: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| usual.to_owned())
}

fn rate_mbit() -> String {
    asked("BROWSING_MBIT", "100")
}

/// The link between them, ended with this.
struct SlowLink {
    child: Child,
    server: Server,
}

impl SlowLink {
    fn to(server: &Server) -> Self {
        let Server::Tow { host, port } = server else { unreachable!("it listens on TCP") };
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/release/examples/slow_link");
        let mut child = Command::new(program)
            .args(["--to", &format!("{host}:{port}"), "--rate-mbit", &rate_mbit()])
            .args(["--delay-ms", &asked("BROWSING_DELAY_MS", "0"), "--buffer-ms", BUFFER_MS])
            .stdout(Stdio::piped())
            .spawn()
            .expect("examples/slow_link; is it built?");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("its port");
        let port = line.trim().parse().expect("a port");
        Self { child, server: Server::Tow { host: host.clone(), port } }
    }
}

impl Drop for SlowLink {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn path(text: &str) -> WirePath {
    WirePath::parse(text.as_bytes()).expect("a path")
}

/// How long a folder takes: until its first page is there, and until all is, sorted, each the slower half and the slowest of a hundred.
async fn open_folder(link: &Link) -> (Vec<Duration>, Vec<Duration>) {
    let (mut firsts, mut alls) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let mut listing = link.list(&path("many"), SortKey::Name, Direction::Ascending, Hidden::Shown);
        let mut first = None;
        while listing.next_page().await.expect("a listing").is_some() {
            first.get_or_insert_with(|| begun.elapsed());
        }
        firsts.push(first.expect("a page"));
        alls.push(begun.elapsed());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    firsts.sort();
    alls.sort();
    (firsts, alls)
}

/// Copies a file until it is told to stop.
async fn copy(source: Link, destination: Link, name: &str, cancel: CancellationToken) -> Summary {
    let (facts, mut taken) = mpsc::channel(FACTS_QUEUED_MAX);
    let reports = Reports {
        progress: Arc::new(watch::channel(Progress::default()).0),
        facts,
        cancel,
        leave: CancellationToken::new(),
        throttle: Arc::default(),
        undecided: Arc::default(),
    };
    let job = Job {
        verb: Verb::Copy,
        source,
        destination,
        items: vec![Item { from: path("big"), to: path(name) }],
        existing: ExistingPolicy::Always(Choice::Overwrite),
        excludes: Excludes::default(),
        durability: Durability::Relaxed,
        is_resumed: false,
        is_dry: false,
        placed: None,
        on_request: OnRequest::default(),
    };
    let (summary, ()) =
        tokio::join!(transfer::run(job, reports), async { while taken.recv().await.is_some() {} });
    summary
}

fn tell(what: &str, times: &(Vec<Duration>, Vec<Duration>)) -> Duration {
    let ms = |times: &[Duration], at: usize| times[at].as_secs_f64() * 1000.0;
    let (first, all) = times;
    let last = ROUNDS - 1;
    println!(
        "{what}: first entries {:.1} ms ({:.1} at most), all {ENTRIES} {:.1} ms ({:.1} at most)",
        ms(first, ROUNDS / 2),
        ms(first, last),
        ms(all, ROUNDS / 2),
        ms(all, last)
    );
    all[ROUNDS / 2]
}

async fn measure(folder: &Path) {
    let namespace = std::env::var(NAMESPACE).ok();
    let host = namespace.as_ref().map_or("127.0.0.1", |_| SERVER_HOST);
    let towd = Towd::start_in(namespace.as_deref(), host, folder, &[]);
    let slow = namespace.is_none().then(|| SlowLink::to(&towd.server));
    let server = slow.as_ref().map_or(&towd.server, |slow| &slow.server);
    let remote = dial(server, &towd.keyring(folder), None).await.expect("a session");
    let here = ServiceConfig {
        root: RootSpec::Jailed(folder.join("here")),
        access: Access::ReadWrite,
        home: WirePath::root(),
    };
    let local = Link::in_process(Arc::new(Service::new(here).expect("a folder")));
    let idle = tell("nothing else goes on", &open_folder(&remote).await);
    for (what, source, destination) in
        [("a file goes up", &local, &remote), ("a file comes down", &remote, &local)]
    {
        let cancel = CancellationToken::new();
        let copying = tokio::spawn(copy(source.clone(), destination.clone(), "copy", cancel.clone()));
        tokio::time::sleep(Duration::from_secs(1)).await;
        let busy = tell(what, &open_folder(&remote).await);
        let is_done = copying.is_finished();
        cancel.cancel();
        let summary = copying.await.expect("a job");
        assert!(!is_done, "the file was there too early: {summary:?}");
        let allowed = 2 * idle + Duration::from_millis(30);
        println!("    {:.2} of what is allowed ({allowed:.1?})", busy.as_secs_f64() / allowed.as_secs_f64());
    }
}

fn main() {
    // Only where it is asked for: the tests run every benchmark's program too.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    if std::env::var_os("BROWSING_ROUTED").is_some() && std::env::var_os(NAMESPACE).is_none() {
        let routed = Routed::new(&rate_mbit(), BUFFER_MS);
        assert!(routed.run_again(NAMESPACE).success(), "the benchmark within the namespaces");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    for side in ["root", "here"] {
        fs::create_dir_all(folder.path().join(side)).expect("a folder");
        let file = fs::File::create(folder.path().join(side).join("big")).expect("a file");
        let mut noise = blake3::Hasher::new().update(side.as_bytes()).finalize_xof();
        let mut piece = vec![0; 1 << 20];
        for _ in 0..FILE_BYTES >> 20 {
            noise.fill(&mut piece);
            std::io::Write::write_all(&mut &file, &piece).expect("room");
        }
    }
    fs::create_dir(folder.path().join("root/many")).expect("a folder");
    for entry in 0..ENTRIES {
        fs::write(folder.path().join(format!("root/many/{entry:04}")), b"").expect("a file");
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(measure(folder.path()));
}
