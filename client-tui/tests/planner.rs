//! What a tree of millions of files costs, with a source and a destination that make up what they are asked for: as much memory as one
//! of thousands, on both sides. One test, since the count is the whole process's.
//!
//! `TOWPATH_PLANNED_FILES=10000000` is the long form.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, reason = "a test")]

#[path = "../../protocol/tests/support/counting.rs"]
mod counting;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use counting::Held;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use towpath::link::Link;
use towpath::model::Choice;
use towpath::transfer::excludes::Excludes;
use towpath::transfer::job::{
    ExistingPolicy, FACTS_QUEUED_MAX, Fact, Item, Job, OnRequest, Progress, Reports, Summary, Verb, Within,
};
use towpath_files::exchange::Exchange;
use towpath_files::session::{Serve, SessionOptions, serve};
use towpath_protocol::answer::{Done, FileWhole, StatItem, Stats, Stored, WalkItem, WalkPage};
use towpath_protocol::entry::{Attributes, Entry, Kind, LinkTarget};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::hash::Hash;
use towpath_protocol::hello::{Access, Limits, NameCase, PROTOCOL_VERSION, RootKind, Welcome};
use towpath_protocol::input::More;
use towpath_protocol::message::{Answer, Input, Request};
use towpath_protocol::metadata::Parts;
use towpath_protocol::path::{Name, WirePath};
use towpath_protocol::permissions::Permissions;
use towpath_protocol::request::{Durability, Stat, Walk};
use towpath_protocol::time::Time;

/// Files in each folder of the tree.
const FILES_EACH: u64 = 250;
const PAGE_ITEMS: usize = 1000;
/// More than a whole transfer holds at any time, with both ends of both sessions.
const HELD_BYTES_MAX: usize = 24 << 20;
/// What is held at a time hangs a little on who waits for whom. With a byte more for each file, the longer forms would differ by more.
const SLACK_BYTES: usize = 4 << 20;
const PIPE_BYTES: usize = 256 * 1024;

/// What a side holds of `tree/FOLDER/FILE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    All,
    /// The folders, and in them other files of the same names.
    Others,
    Nothing,
}

/// One side. What is put there is counted and forgotten.
struct MadeUp {
    welcome: Welcome,
    holds: Holds,
    files: u64,
    /// The folder beside links to it, where there is nothing else in the tree.
    links_to: Option<&'static str>,
    stored: AtomicU64,
}

impl MadeUp {
    fn new(holds: Holds, files: u64, links_to: Option<&'static str>) -> Arc<Self> {
        let welcome = Welcome {
            protocol: PROTOCOL_VERSION,
            agent: "a test".into(),
            capabilities: Vec::new(),
            limits: Limits::OURS,
            root_name: "/".into(),
            root_kind: RootKind::Jailed,
            access: Access::ReadWrite,
            may: Permissions::ALL,
            name_case: NameCase::Sensitive,
            home: WirePath::root(),
            machine: None,
            ticket: None,
        };
        Arc::new(Self { welcome, holds, files, links_to, stored: AtomicU64::new(0) })
    }

    fn file(&self) -> Attributes {
        let (size, modified) = if self.holds == Holds::Others { (8, 2) } else { (7, 1) };
        let (modified, changed) = (Time::from_ns(modified), Time::default());
        let (mode, identity, link) = (0o644, 1, None);
        Attributes { kind: Kind::File, size, modified, changed, mode, identity, is_unknown: false, link }
    }

    async fn answer(&self, request: Request, exchange: &mut Exchange) -> Result<Answer, Fault> {
        match request {
            Request::Walk(walk) => self.walk(&walk, exchange).await,
            Request::Stat(stat) => Ok(self.stat(&stat).into()),
            Request::Read(_) => {
                let data = vec![7; 7];
                Ok(FileWhole { attributes: self.file(), hash: Hash::of(&data), grown: false, data }.into())
            }
            Request::Put(_) => {
                self.stored.fetch_add(1, Ordering::Relaxed);
                Ok(Stored { attributes: self.file(), unset: Parts::NONE }.into())
            }
            Request::MakeFolder(_) | Request::SetMode(_) | Request::SetTimes(_) => {
                Ok(Stored { attributes: folder(), unset: Parts::NONE }.into())
            }
            Request::Flush(_) => Ok(Done {}.into()),
            request => panic!("nobody expected {}", request.name()),
        }
    }

    fn stat(&self, Stat { base, paths, .. }: &Stat) -> Stats {
        let look = |path: &WirePath| {
            let depth = base.names().len() + path.names().len();
            StatItem(match (depth, self.holds) {
                (0, _) | (1 | 2, Holds::All | Holds::Others) => Ok(folder()),
                (_, Holds::Nothing) => Err(FaultCode::NotFound),
                _ => Ok(self.file()),
            })
        };
        Stats { items: paths.iter().map(look).collect() }
    }

    async fn walk(&self, walk: &Walk, exchange: &mut Exchange) -> Result<Answer, Fault> {
        let (mut credit, mut items) = (walk.pages, self.items(walk).peekable());
        while items.peek().is_some() {
            while credit == 0 {
                let Some(Input::More(More { pages })) = exchange.inputs.recv().await else {
                    return Err(FaultCode::Cancelled.into());
                };
                credit += pages;
            }
            credit -= 1;
            exchange.answers.send(WalkPage { items: items.by_ref().take(PAGE_ITEMS).collect() }).await?;
        }
        Ok(Done {}.into())
    }

    fn items(&self, walk: &Walk) -> Box<dyn Iterator<Item = WalkItem> + Send> {
        let item = |depth, name: String, attributes| {
            let name = Name::try_from(name.as_str()).unwrap();
            WalkItem { depth, entry: Entry { name, attributes }, fault: None }
        };
        let (file, files) = (self.file(), self.files);
        let top = item(0, "tree".to_owned(), folder());
        match self.links_to {
            None => Box::new(std::iter::once(top).chain((0..files).flat_map(move |number| {
                let is_first = number.is_multiple_of(FILES_EACH);
                let name = format!("folder {}", number / FILES_EACH);
                let folder = is_first.then(|| item(1, name, folder()));
                folder.into_iter().chain([item(2, format!("file {number}"), file.clone())])
            }))),
            // Nothing but links to one folder, which is walked for each of them.
            Some(target) if walk.start.whole().unwrap().names().len() == 1 => {
                let link = Attributes { kind: Kind::Link, link: Some(link_to_folder(target)), ..self.file() };
                let links = (0..files / FILES_EACH)
                    .map(move |number| item(1, format!("link {number}"), link.clone()));
                Box::new([top, item(1, target.to_owned(), folder())].into_iter().chain(links))
            }
            Some(target) => {
                let files =
                    (0..FILES_EACH).map(move |number| item(1, format!("file {number}"), file.clone()));
                Box::new(std::iter::once(item(0, target.to_owned(), folder())).chain(files))
            }
        }
    }
}

fn link_to_folder(target: &str) -> LinkTarget {
    LinkTarget { bytes: target.as_bytes().into(), kind: Some(Kind::Folder) }
}

const fn folder() -> Attributes {
    let (modified, changed) = (Time::from_ns(1), Time::from_ns(0));
    let (size, mode, identity, link) = (0, 0o755, 2, None);
    Attributes { kind: Kind::Folder, size, modified, changed, mode, identity, is_unknown: false, link }
}

impl Serve for MadeUp {
    fn welcome(&self) -> &Welcome {
        &self.welcome
    }

    async fn serve(self: Arc<Self>, request: Request, mut exchange: Exchange) {
        let outcome = self.answer(request, &mut exchange).await;
        let _ = exchange.answers.send(outcome.unwrap_or_else(Answer::Fault)).await;
    }
}

async fn link_to(side: Arc<MadeUp>) -> Link {
    let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
    let (reader, writer) = tokio::io::split(theirs);
    tokio::spawn(serve(reader, writer, side, SessionOptions::default()));
    let (reader, writer) = tokio::io::split(ours);
    Link::over(reader, writer).await.unwrap()
}

/// Copies a tree of so many files to a side that holds something already; how it went, and the most bytes held meanwhile.
async fn copy(files: u64, holds: Holds, links_to: Option<&'static str>) -> (Summary, usize) {
    let (source, destination) = (MadeUp::new(Holds::All, files, links_to), MadeUp::new(holds, files, None));
    let follow = links_to.map(|_| Within::Item);
    let tree = WirePath::parse(b"tree").unwrap();
    let job = Job {
        verb: Verb::Copy,
        source: link_to(source).await,
        destination: link_to(destination.clone()).await,
        items: vec![Item { from: tree.clone(), to: tree }],
        existing: ExistingPolicy::Always(Choice::Skip),
        excludes: Excludes::default(),
        durability: Durability::Synced,
        is_resumed: false,
        is_dry: false,
        placed: None,
        on_request: OnRequest { follow, ..OnRequest::default() },
    };
    let (facts_sender, mut facts) = mpsc::channel(FACTS_QUEUED_MAX);
    let (progress, _shown) = watch::channel(Progress::default());
    let reports = Reports {
        progress: Arc::new(progress),
        facts: facts_sender,
        cancel: CancellationToken::new(),
        leave: CancellationToken::new(),
        throttle: Arc::default(),
        undecided: Arc::default(),
    };
    let held = Held::from_now_on();
    let running = tokio::spawn(towpath::transfer::run(job, reports));
    while let Some(fact) = facts.recv().await {
        assert!(matches!(fact, Fact::Skipped(..)), "{fact:?}");
    }
    let summary = running.await.unwrap();
    let held = held.most();
    assert_eq!(destination.stored.load(Ordering::Relaxed), summary.files);
    (summary, held)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tree_of_millions_of_files_takes_no_more_memory_than_one_of_thousands() {
    let many = std::env::var("TOWPATH_PLANNED_FILES").map_or(300_000, |files| files.parse().unwrap());
    // What is carried takes ten times as long as what is only looked at.
    for (holds, many, links_to) in [
        (Holds::All, many, None),
        (Holds::Others, many / 5, None),
        (Holds::Nothing, many / 10, None),
        (Holds::All, many, Some("folder")),
    ] {
        let (_, few_held) = copy(20_000, holds, links_to).await;
        let (summary, held) = copy(many, holds, links_to).await;
        eprintln!(
            "{holds:?} {links_to:?}: {} KiB for {many} files, {} KiB for 20000",
            held >> 10,
            few_held >> 10
        );
        let told = match holds {
            Holds::All => summary.unchanged,
            Holds::Others => summary.skipped,
            Holds::Nothing => summary.files,
        };
        assert_eq!((told, summary.failed, &summary.stopped), (many, 0, &None), "{holds:?}");
        assert!(held <= HELD_BYTES_MAX, "{holds:?}: {held} bytes");
        assert!(
            held <= few_held + SLACK_BYTES,
            "{holds:?}: {held} bytes, and {few_held} for a tree of thousands"
        );
    }
}
