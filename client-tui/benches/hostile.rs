//! A client that may only list does its worst with all its sessions, and a friend asks one short question after the other meanwhile. Prints
//! how long the friend waits for its answers without the other one and beside it, what the server holds in memory, and how long the removal of
//! the client takes. A real `towd`, encrypted, over loopback.
//!
//!     cargo build --release --workspace && cargo bench -p towpath --bench hostile
//!
//! `HOSTILE_SESSIONS`, `HOSTILE_SECONDS` and `HOSTILE_ENTRIES` ask for other numbers than 64, 20 and 20000; `BENCH_TOWD` names another server
//! program than `target/release/towd`.
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

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use towpath::link::Link;
use towpath::link::dial::dial;
use towpath::model::target::Server;
use towpath_protocol::frame::{Decoder, encode_to_server};
use towpath_protocol::hello::{Hello, Limits, PREAMBLE, PROTOCOL_VERSION};
use towpath_protocol::input::Cancel;
use towpath_protocol::message::{Input, Request, RequestId, Session, ToServer};
use towpath_protocol::pairing::{Pairing, PairingCode, Pin, ProofBinding};
use towpath_protocol::path::{Location, WirePath};
use towpath_protocol::request::{Direction, Follow, Hidden, List, Measure, SortKey, Stat, Walk};
use towpath_secure::{Identity, connect};

use load::asked;
use towd::Towd;

/// Requests that each session has open.
const OPEN: u32 = 512;
/// Sessions that begin at the same time.
const BEGINNING: usize = 16;
/// How the client calls itself.
const EVE: &str = "eve";

fn frame(id: u32, message: &ToServer) -> Vec<u8> {
    let encoded = encode_to_server(RequestId(id), message).expect("a frame");
    [&encoded.head[..], &encoded.data[..]].concat()
}

fn root() -> Location {
    Location::through(&WirePath::root())
}

/// What a session does.
#[derive(Debug, Clone, Copy)]
enum Deed {
    /// Listings of a large folder that wait for their credit.
    Park,
    /// Listings with all the credit there is, of which nothing is taken.
    TakeNothing,
    /// Trees that are measured, one after the other.
    Measure,
    /// Questions with as many paths as one may have.
    Ask,
    /// Walks that wait, and listings by size that are given up at once.
    GiveUp,
    /// Messages for nobody, without end.
    Rave,
}

impl Deed {
    const ALL: [Self; 6] =
        [Self::Park, Self::TakeNothing, Self::Measure, Self::Ask, Self::GiveUp, Self::Rave];

    fn list(sort: SortKey, pages: u32) -> Request {
        let (direction, hidden) = (Direction::Ascending, Hidden::Shown);
        List { folder: root(), sort, direction, hidden, pages }.into()
    }

    fn request(self, id: u32) -> Request {
        match self {
            Self::Park => Self::list(SortKey::Name, 1),
            Self::TakeNothing => Self::list(SortKey::Modified, 256),
            Self::Measure => Measure { things: vec![root(); 256] }.into(),
            Self::Ask | Self::Rave => {
                let paths = vec![WirePath::root(); 256];
                Stat { base: WirePath::root(), paths, follow: Follow::Yes }.into()
            }
            Self::GiveUp if id.is_multiple_of(2) => Walk { start: root(), pages: 1 }.into(),
            Self::GiveUp => Self::list(SortKey::Size, 1),
        }
    }

    /// Whether a final answer is followed by the same request again.
    const fn goes_on(self) -> bool {
        matches!(self, Self::Measure | Self::Ask | Self::GiveUp)
    }
}

/// Who does it.
struct Eve {
    identity: Identity,
    address: String,
    server: towpath_protocol::pairing::KeyHash,
    /// Of very many that begin at the same time, the server would drop most.
    beginning: Semaphore,
    begun: AtomicUsize,
}

impl Eve {
    /// Lets itself in with a code, and says Hello.
    async fn meet(
        &self,
        code: Option<&PairingCode>,
    ) -> impl AsyncReadExt + AsyncWriteExt + Unpin + Send + 'static {
        let line = TcpStream::connect(&self.address).await.expect("a connection");
        let mut secure = connect(line, &self.identity, Pin::Known(self.server)).await.expect("a handshake");
        let pairing = code.map(|code| {
            let client = self.identity.hash();
            let bound = ProofBinding {
                channel: &secure.channel,
                client: &client,
                server: &self.server,
                name: EVE.as_bytes(),
            };
            Pairing { name: EVE.into(), proof: code.secret.proof(&bound) }
        });
        let hello = Hello {
            protocol: PROTOCOL_VERSION,
            agent: EVE.into(),
            capabilities: Vec::new(),
            limits: Limits::OURS,
            pairing,
            join: None,
        };
        let hello = [&PREAMBLE[..], &frame(0, &ToServer::Session(Session::Hello(hello)))].concat();
        secure.stream.write_all(&hello).await.expect("a greeting");
        secure.stream.flush().await.expect("a greeting");
        secure.stream
    }

    /// Until the server ends it. What is there for a session that takes nothing is taken once `removed` is set.
    async fn do_worst(&self, deed: Deed, mut removed: watch::Receiver<bool>) {
        let session = {
            let _turn = self.beginning.acquire().await;
            self.meet(None).await
        };
        self.begun.fetch_add(1, Ordering::Relaxed);
        let (mut reader, mut writer) = tokio::io::split(session);
        let (again, mut ids) = mpsc::channel(OPEN as usize);
        let speaking = async {
            for id in 1..=OPEN {
                writer.write_all(&frame(id, &ToServer::Request(deed.request(id)))).await?;
            }
            writer.flush().await?;
            let for_nobody: Vec<u8> = (1..=1000).flat_map(|id| frame(OPEN + id, &cancel())).collect();
            if matches!(deed, Deed::Rave) {
                loop {
                    writer.write_all(&for_nobody).await?;
                }
            }
            while let Some(id) = ids.recv().await {
                writer.write_all(&frame(id, &ToServer::Request(deed.request(id)))).await?;
                if matches!(deed, Deed::GiveUp) {
                    writer.write_all(&frame(id, &cancel())).await?;
                }
                writer.flush().await?;
            }
            std::io::Result::Ok(())
        };
        let hearing = async {
            let mut decoder = Decoder::new();
            decoder.allow_frames_up_to(Limits::OURS.frame_bytes as usize);
            let mut buffer = vec![0; 64 * 1024];
            reader.read_exact(&mut buffer[..PREAMBLE.len()]).await?;
            if matches!(deed, Deed::TakeNothing) {
                let _ = removed.wait_for(|removed| *removed).await;
            }
            loop {
                match reader.read(&mut buffer).await? {
                    0 => return std::io::Result::Ok(()),
                    read => decoder.push(&buffer[..read]),
                }
                while let Ok(Some(incoming)) = decoder.next_answer() {
                    if incoming.message.is_ok_and(|answer| answer.is_final()) && deed.goes_on() {
                        let _ = again.try_send(incoming.id.0);
                    }
                }
            }
        };
        let speaking_on = async {
            let _ = speaking.await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            _ = hearing => {}
            () = speaking_on => {}
        }
    }
}

fn cancel() -> ToServer {
    ToServer::Input(Input::from(Cancel {}))
}

/// How long the friend waits for each of its answers until then.
async fn wait_times(friend: &Link, until: Instant) -> Vec<Duration> {
    let mut times = Vec::new();
    while Instant::now() < until {
        let began = Instant::now();
        friend.stat(&WirePath::root(), Follow::No).await.expect("an answer");
        times.push(began.elapsed());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    times.sort_unstable();
    times
}

fn tell(what: &str, times: &[Duration]) {
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize].as_secs_f64() * 1000.0;
    println!(
        "{what}: {} answers, half within {:.1} ms, 99 % within {:.1} ms, the slowest {:.1} ms",
        times.len(),
        at(0.5),
        at(0.99),
        at(1.0)
    );
}

/// The friend, in a thread of its own: what it waits for is the server.
fn friend(folder: &Path, towd: &Towd) -> impl Fn(Duration) -> Vec<Duration> + use<> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let keyring = towd.keyring(folder);
    let link = runtime.block_on(dial(&towd.server, &keyring, None)).expect("a session");
    move |time| runtime.block_on(wait_times(&link, Instant::now() + time))
}

async fn attack(eve: Arc<Eve>, sessions: usize, removed: watch::Receiver<bool>) {
    let mut all = JoinSet::new();
    for number in 0..sessions {
        let (eve, removed) = (eve.clone(), removed.clone());
        all.spawn(async move { eve.do_worst(Deed::ALL[number % Deed::ALL.len()], removed).await });
    }
    all.join_all().await;
}

fn measure(folder: &Path) {
    let sessions = asked("HOSTILE_SESSIONS", 64);
    let time = Duration::from_secs(asked("HOSTILE_SECONDS", 20) as u64);
    let limit = format!("sessions_per_client={}", sessions.max(64));
    let limits = ["--limit", &limit, "--limit", "sessions=4096"];
    let towd = Towd::start(folder, &limits);
    let friend = friend(folder, &towd);
    tell("alone", &friend(time / 4));
    let before = towd.kib("VmRSS:");

    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let code = towd.says(&["pair", "--allow", "list"]);
    let code = PairingCode::parse(code.trim()).expect("a code");
    let Server::Tow { host, port } = &towd.server else { return };
    let eve = Eve {
        identity: Identity::passing().expect("a key"),
        address: format!("{host}:{port}"),
        server: towd.fingerprint.parse().expect("a fingerprint"),
        beginning: Semaphore::new(BEGINNING),
        begun: AtomicUsize::new(0),
    };
    drop(runtime.block_on(eve.meet(Some(&code))));
    let (is_removed, removed) = watch::channel(false);
    let eve = Arc::new(eve);
    let attack = runtime.spawn(attack(eve.clone(), sessions, removed));
    tell("while it begins", &friend(time / 4));
    tell(&format!("beside {sessions} sessions that do their worst"), &friend(time));
    println!("{} sessions began", eve.begun.load(Ordering::Relaxed));
    println!("towd: {before} KiB before, {} KiB now, {} KiB at most", towd.kib("VmRSS:"), towd.kib("VmHWM:"));

    let began = Instant::now();
    towd.says(&["clients", "remove", "2"]);
    let _ = is_removed.send(true);
    let ended = runtime.block_on(async { timeout(Duration::from_mins(1), attack).await });
    let took = began.elapsed().as_secs_f64();
    println!(
        "removed: all its sessions are over after {took:.2} s ({})",
        if ended.is_ok() { "all" } else { "not all" }
    );
    tell("afterwards", &friend(time / 4));
    println!("towd: {} KiB in the end", towd.kib("VmRSS:"));
}

fn main() {
    let fill = |root: &Path| {
        for entry in 0..asked("HOSTILE_ENTRIES", 20_000) {
            fs::write(root.join(format!("an entry of some length {entry:06}")), b"").expect("a file");
        }
    };
    if let Some(folder) = load::prepared(fill) {
        measure(folder.path());
    }
}
