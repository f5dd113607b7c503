//! Two folders, `left` and `right`, the links that lead to them, and short words to transfer between them.

use std::collections::BTreeMap;
use std::fs;
use std::num::NonZeroU64;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use towpath::link::Link;
use towpath::link::dial::dial;
use towpath::link::keyring::Keyring;
use towpath::model::target::Server;
use towpath::model::{Choice, Conflict, Scope};
use towpath::transfer::excludes::{Excludes, Verdict};
use towpath::transfer::job::{
    ExistingPolicy, FACTS_QUEUED_MAX, Fact, Item, Job, OnRequest, Planned, Progress, Reports, Summary, Verb,
};
use towpath::transfer::throttle::Throttle;
use towpath::transfer::undecided::Undecided;
use towpath_files::root::RootSpec;
use towpath_files::service::{Service, ServiceConfig};
use towpath_files::session::{SessionOptions, serve};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::hello::Access;
use towpath_protocol::path::WirePath;
use towpath_protocol::request::Durability;

/// Longer than anything here takes; only so that a fault ends a test and does not hang it.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Which way the bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// From one service in this process to another.
    Across,
    /// To a server over a socket.
    Up,
    /// From a server over a socket.
    Down,
    /// Within one service in this process.
    Within,
    /// Both sides are one server.
    WithinServer,
}

impl Way {
    pub(crate) const ALL: [Self; 4] = [Self::Across, Self::Up, Self::Down, Self::Within];
    pub(crate) const BETWEEN: [Self; 3] = [Self::Across, Self::Up, Self::Down];
}

/// `left` and `right` on the disk, and a link to each side.
pub(crate) struct World {
    dir: TempDir,
    pub(crate) source: Link,
    pub(crate) destination: Link,
    /// Set, it cuts the socket.
    pub(crate) cut: CancellationToken,
}

/// How a transfer went, told from outside.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) summary: Summary,
    pub(crate) failed: Vec<Fault>,
    pub(crate) unnamed: u64,
    pub(crate) skipped: Vec<String>,
    pub(crate) noticed: Vec<String>,
    /// What was noticed of each.
    pub(crate) whys: Vec<String>,
    pub(crate) asked: Vec<String>,
    pub(crate) settled: Vec<u64>,
    pub(crate) short: Option<(u64, u64)>,
    pub(crate) planned: Vec<Planned>,
}

impl Told {
    pub(crate) fn codes(&self) -> Vec<FaultCode> {
        self.failed.iter().map(|fault| fault.code).collect()
    }

    /// Nothing was refused, left or asked.
    pub(crate) fn check_clean(&self) {
        assert!(self.failed.is_empty() && self.skipped.is_empty() && self.asked.is_empty(), "{self:#?}");
        assert_eq!((self.summary.failed, self.summary.skipped, self.summary.cancelled), (0, 0, false));
        assert_eq!(self.summary.stopped, None);
    }
}

impl World {
    pub(crate) async fn new(way: Way) -> Self {
        Self::with(way, Access::ReadWrite).await
    }

    /// `access` is the destination's.
    pub(crate) async fn with(way: Way, access: Access) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for side in ["left", "right"] {
            fs::create_dir(dir.path().join(side)).unwrap();
        }
        let cut = CancellationToken::new();
        let (source, destination) = links(dir.path(), way, access, &cut).await;
        Self { dir, source, destination, cut }
    }

    /// New services on both sides, and new connections to them, as after a restart.
    pub(crate) async fn restart(&mut self, way: Way) {
        self.cut = CancellationToken::new();
        (self.source, self.destination) = links(self.dir.path(), way, Access::ReadWrite, &self.cut).await;
    }

    /// Another service on both sides.
    pub(crate) fn service(&self) -> Arc<Service> {
        serve_files(self.dir.path(), Access::ReadWrite)
    }

    pub(crate) fn at(&self, path: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(path)
    }

    /// Makes the folders that lead there too.
    pub(crate) fn write(&self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(crate) fn folder(&self, path: &str) {
        fs::create_dir_all(self.at(path)).unwrap();
    }

    pub(crate) fn link(&self, path: &str, target: &str) {
        symlink(target, self.at(path)).unwrap();
    }

    pub(crate) fn read(&self, path: &str) -> String {
        String::from_utf8(fs::read(self.at(path)).unwrap()).unwrap()
    }

    pub(crate) fn exists(&self, path: &str) -> bool {
        fs::symlink_metadata(self.at(path)).is_ok()
    }

    pub(crate) fn mode(&self, path: &str, mode: u32) {
        fs::set_permissions(self.at(path), fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Seconds since 1970, and a bit.
    pub(crate) fn modified(&self, path: &str, seconds: u64) {
        let time = SystemTime::UNIX_EPOCH + Duration::new(seconds, 123_456_789);
        fs::File::open(self.at(path)).unwrap().set_modified(time).unwrap();
    }

    /// Names in a folder, in order.
    pub(crate) fn names(&self, path: &str) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.at(path))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    /// Everything below a folder: kind, mode, time, content.
    pub(crate) fn tree(&self, path: &str) -> BTreeMap<Vec<u8>, String> {
        let mut tree = BTreeMap::new();
        collect(&self.at(path), &self.at(path), &mut tree);
        tree
    }

    pub(crate) fn check_equal(&self, left: &str, right: &str) {
        let (left, right) = (self.tree(left), self.tree(right));
        for (path, thing) in &left {
            assert_eq!(Some(thing), right.get(path), "{}", String::from_utf8_lossy(path));
        }
        assert_eq!(left.len(), right.len(), "there is more than there should be");
    }

    /// Unfinished files, anywhere.
    pub(crate) fn parts(&self) -> Vec<PathBuf> {
        fn find(folder: &Path, parts: &mut Vec<PathBuf>) {
            for entry in fs::read_dir(folder).unwrap() {
                let entry = entry.unwrap();
                if entry.file_name().as_bytes().starts_with(b".towpath-part-") {
                    parts.push(entry.path());
                } else if entry.file_type().unwrap().is_dir() {
                    find(&entry.path(), parts);
                }
            }
        }
        let mut parts = Vec::new();
        find(self.dir.path(), &mut parts);
        parts
    }

    pub(crate) fn check_no_parts(&self) {
        assert_eq!(self.parts(), Vec::<PathBuf>::new(), "left behind");
    }

    pub(crate) fn job(&self, verb: Verb, items: &[(&str, &str)]) -> Job {
        let item = |&(from, to): &(&str, &str)| Item { from: path(from), to: path(to) };
        Job {
            verb,
            source: self.source.clone(),
            destination: self.destination.clone(),
            items: items.iter().map(item).collect(),
            existing: ExistingPolicy::Ask,
            excludes: Excludes::default(),
            durability: Durability::Synced,
            is_resumed: false,
            is_dry: false,
            placed: None,
            on_request: OnRequest::default(),
        }
    }

    pub(crate) async fn copy(&self, from: &str, to: &str) -> Told {
        run(self.job(Verb::Copy, &[(from, to)]), |_| no_answer()).await
    }

    pub(crate) async fn move_to(&self, from: &str, to: &str) -> Told {
        run(self.job(Verb::Move, &[(from, to)]), |_| no_answer()).await
    }

    pub(crate) async fn copy_with(&self, choice: Choice, from: &str, to: &str) -> Told {
        let job = Job { existing: ExistingPolicy::Always(choice), ..self.job(Verb::Copy, &[(from, to)]) };
        run(job, |_| no_answer()).await
    }
}

pub(crate) fn path(text: &str) -> WirePath {
    WirePath::parse(text.as_bytes()).unwrap()
}

pub(crate) fn globs(globs: &[&str]) -> Excludes {
    Excludes::new(globs.iter().map(|glob| (Verdict::Exclude, *glob))).unwrap()
}

fn no_answer() -> Decision {
    panic!("nobody expected a question")
}

/// An answer to a question.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Decision {
    choice: Choice,
    is_for_all: bool,
}

pub(crate) const fn once(choice: Choice) -> Decision {
    Decision { choice, is_for_all: false }
}

pub(crate) const fn for_all(choice: Choice) -> Decision {
    Decision { choice, is_for_all: true }
}

/// Runs a job to its end and collects what it says; questions are answered by `answer`.
pub(crate) async fn run(job: Job, mut answer: impl FnMut(&Conflict) -> Decision) -> Told {
    let mut running = Running::start(job);
    let mut told = Told::default();
    while let Some(conflict) = running.until_asked(&mut told).await {
        told.asked.push(conflict.to.whole().unwrap().display());
        let Decision { choice, is_for_all } = answer(&conflict);
        let scope = if is_for_all { Scope::All } else { Scope::One(conflict.id) };
        running.undecided.decide(scope, choice);
    }
    running.end(told).await
}

/// A job at work.
pub(crate) struct Running {
    pub(crate) facts: mpsc::Receiver<Fact>,
    pub(crate) progress: watch::Receiver<Progress>,
    pub(crate) cancel: CancellationToken,
    throttle: Arc<Throttle>,
    pub(crate) undecided: Arc<Undecided>,
    task: tokio::task::JoinHandle<Summary>,
}

impl Running {
    pub(crate) fn start(job: Job) -> Self {
        Self::start_at(job, None)
    }

    /// At so many bytes a second at most.
    pub(crate) fn start_at(job: Job, bytes_per_second: Option<u64>) -> Self {
        Self::begin(job, true, |throttle| throttle.limit(bytes_per_second.and_then(NonZeroU64::new)))
    }

    /// From its beginning on nobody hears what it says.
    pub(crate) fn start_unheard(job: Job) -> Self {
        Self::begin(job, false, |_| {})
    }

    fn begin(job: Job, is_heard: bool, hold: impl FnOnce(&Throttle)) -> Self {
        let throttle = Arc::new(Throttle::default());
        hold(&throttle);
        let (facts_sender, mut facts) = mpsc::channel(FACTS_QUEUED_MAX);
        if !is_heard {
            facts.close();
        }
        let (progress_sender, progress) = watch::channel(Progress::default());
        let (cancel, undecided) = (CancellationToken::new(), Arc::new(Undecided::default()));
        let reports = Reports {
            progress: Arc::new(progress_sender),
            facts: facts_sender,
            cancel: cancel.clone(),
            leave: CancellationToken::new(),
            throttle: throttle.clone(),
            undecided: undecided.clone(),
        };
        let task = tokio::spawn(towpath::transfer::run(job, reports));
        Self { facts, progress, cancel, throttle, undecided, task }
    }

    /// So many bytes a second at most, from now on.
    pub(crate) fn limit(&self, bytes_per_second: u64) {
        self.throttle.limit(NonZeroU64::new(bytes_per_second));
    }

    pub(crate) fn pause(&self) {
        self.throttle.pause();
    }

    pub(crate) fn resume(&self) {
        self.throttle.resume();
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.task.is_finished()
    }

    /// As fast as it goes, from now on.
    pub(crate) fn cancel_limit(&self) {
        self.throttle.limit(None);
    }

    /// The next question; none where there are no more.
    pub(crate) async fn until_asked(&mut self, told: &mut Told) -> Option<Conflict> {
        loop {
            let fact = tokio::time::timeout(PATIENCE, self.facts.recv()).await.expect("the job hangs");
            match fact? {
                Fact::Failed(fault) => told.failed.push(fault),
                Fact::Unnamed(_, count) => told.unnamed += count,
                Fact::Skipped(path, _) => told.skipped.push(path.display()),
                Fact::Noticed(path, what) => {
                    told.noticed.push(path.display());
                    told.whys.push(what.into_owned());
                }
                Fact::Conflict(conflict) => return Some(conflict),
                Fact::Settled(id) => told.settled.push(id),
                // Looks for the new files on the disk.
                Fact::Made(_) => {}
                Fact::Short { needed, free } => told.short = Some((needed, free)),
                Fact::Planned(planned) => told.planned.push(planned),
            }
        }
    }

    /// Waits for the end; nothing more is asked.
    pub(crate) async fn end(mut self, mut told: Told) -> Told {
        assert!(self.until_asked(&mut told).await.is_none(), "a question too many");
        told.summary = self.task.await.unwrap();
        told.skipped.sort();
        told
    }
}

/// A service of another folder.
pub(crate) fn service_at(folder: &Path) -> Arc<Service> {
    serve_files(folder, Access::ReadWrite)
}

fn serve_files(folder: &Path, access: Access) -> Arc<Service> {
    let root = RootSpec::Jailed(folder.to_owned());
    Arc::new(Service::new(ServiceConfig { root, access, home: WirePath::root() }).unwrap())
}

/// Links to the source and to the destination.
async fn links(dir: &Path, way: Way, access: Access, cut: &CancellationToken) -> (Link, Link) {
    let service = |access| serve_files(dir, access);
    let socket = dir.join("socket");
    match way {
        Way::Across => (Link::in_process(service(Access::ReadWrite)), Link::in_process(service(access))),
        Way::Up => {
            (Link::in_process(service(Access::ReadWrite)), connected(service(access), &socket, cut).await)
        }
        Way::Down => {
            (connected(service(Access::ReadWrite), &socket, cut).await, Link::in_process(service(access)))
        }
        Way::Within => {
            let link = Link::in_process(service(access));
            (link.clone(), link)
        }
        Way::WithinServer => {
            let link = connected(service(access), &socket, cut).await;
            (link.clone(), link)
        }
    }
}

/// Serves one session on a socket of its own and connects to it.
async fn connected(service: Arc<Service>, socket: &Path, cut: &CancellationToken) -> Link {
    let listener = UnixListener::bind(socket).unwrap();
    let cut = cut.clone();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let (reader, writer) = stream.into_split();
        tokio::select! {
            _ = serve(reader, writer, service, SessionOptions::default()) => {}
            () = cut.cancelled() => {}
        }
    });
    let server = Server::Unix { socket: socket.as_os_str().as_bytes().to_vec() };
    let keyring = Arc::new(Keyring::new(None, "ann@box".to_owned(), None));
    let link = dial(&server, &keyring, None).await.unwrap();
    fs::remove_file(socket).unwrap();
    link
}

fn collect(top: &Path, folder: &Path, tree: &mut BTreeMap<Vec<u8>, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let metadata = fs::symlink_metadata(&path).unwrap();
        let kind = metadata.file_type();
        let content = if kind.is_symlink() {
            format!("-> {}", fs::read_link(&path).unwrap().display())
        } else if kind.is_dir() {
            collect(top, &path, tree);
            "folder".to_owned()
        } else if kind.is_file() {
            format!("{} {}", metadata.len(), blake3::hash(&fs::read(&path).unwrap()))
        } else {
            "special".to_owned()
        };
        let told =
            format!("{:o} {}.{:09} {content}", metadata.mode(), metadata.mtime(), metadata.mtime_nsec());
        tree.insert(path.strip_prefix(top).unwrap().as_os_str().as_bytes().to_vec(), told);
    }
}

/// Bytes that repeat nowhere near.
pub(crate) fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}
