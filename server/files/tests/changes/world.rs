//! A served folder beside one that is not, and short words to talk to the service.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use towpath_files::exchange::{ANSWERS_QUEUED_MAX, Answers, Exchange, INPUTS_QUEUED_MAX};
use towpath_files::root::RootSpec;
use towpath_files::service::{Service, ServiceConfig};
use towpath_protocol::answer::{Stored, Totals};
use towpath_protocol::entry::Version;
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::hash::Hash;
use towpath_protocol::input::{AbortUpload, CommitUpload, UploadData};
use towpath_protocol::message::{Answer, Input, Request, RequestId};
use towpath_protocol::path::{Location, WirePath};
use towpath_protocol::request::{
    BeginUpload, Copy, Depth, Durability, Existing, Follow, MakeFolder, MakeLink, OperationId, Put, Remove,
    Rename, Stat, StoreAs,
};
use towpath_protocol::time::Time;

/// 2020-09-13T12:26:40Z and a bit.
pub(crate) const SOME_TIME_NS: i64 = 1_600_000_000_123_456_789;
/// Whole pages, as near to 8 EiB as a file may be: the sum of three of them is more than a `u64` holds.
pub(crate) const IMMENSE_BYTES: u64 = (i64::MAX as u64) - 4095;
pub(crate) const SECRET: &str = "nobody may touch this";

/// `served/` is the service's root; `outside/` must never change.
pub(crate) struct World {
    dir: TempDir,
    pub(crate) service: Arc<Service>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::in_folder(tempfile::tempdir().unwrap())
    }

    /// In memory where the system has a place for that: for thousands of changes, one after the other.
    pub(crate) fn in_memory() -> Self {
        Self::in_folder(tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap())
    }

    fn in_folder(dir: TempDir) -> Self {
        for folder in ["served", "outside", "outside/folder"] {
            fs::create_dir(dir.path().join(folder)).unwrap();
        }
        fs::write(dir.path().join("outside/file"), SECRET).unwrap();
        fs::write(dir.path().join("outside/folder/file"), SECRET).unwrap();
        let service = serve(&dir.path().join("served"), Access::ReadWrite);
        Self { dir, service }
    }

    /// A path on the disk, below the served folder.
    pub(crate) fn at(&self, path: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join("served").join(path)
    }

    pub(crate) fn outside(&self) -> PathBuf {
        self.dir.path().join("outside")
    }

    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        fs::write(self.at(path), content).unwrap();
    }

    /// An empty file of the largest size that there is; false on a file system that has no such sizes.
    pub(crate) fn write_immense(&self, path: &str) -> bool {
        fs::File::create(self.at(path)).unwrap().set_len(IMMENSE_BYTES).is_ok()
    }

    pub(crate) fn folder(&self, path: &str) {
        fs::create_dir_all(self.at(path)).unwrap();
    }

    pub(crate) fn link(&self, path: &str, target: impl AsRef<Path>) {
        symlink(target, self.at(path)).unwrap();
    }

    pub(crate) fn read(&self, path: &str) -> Vec<u8> {
        fs::read(self.at(path)).unwrap()
    }

    pub(crate) fn mode(&self, path: &str) -> u32 {
        fs::symlink_metadata(self.at(path)).unwrap().permissions().mode() & 0o7777
    }

    pub(crate) fn modified(&self, path: &str) -> i64 {
        let metadata = fs::symlink_metadata(self.at(path)).unwrap();
        metadata.mtime() * 1_000_000_000 + metadata.mtime_nsec()
    }

    pub(crate) fn exists(&self, path: &str) -> bool {
        fs::symlink_metadata(self.at(path)).is_ok()
    }

    /// Nothing outside changed, and no part is left anywhere.
    pub(crate) fn check(&self) {
        let outside = names(&self.outside());
        assert_eq!(outside, ["file", "folder"], "something was made or removed outside");
        assert_eq!(names(&self.outside().join("folder")), ["file"], "something was made or removed outside");
        for file in ["file", "folder/file"] {
            let file = self.outside().join(file);
            assert_eq!(fs::read_to_string(&file).unwrap(), SECRET);
            assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o644 & !umask());
        }
        assert_eq!(self.parts(), Vec::<PathBuf>::new(), "a part was left");
    }

    /// Part files anywhere in the served folder.
    pub(crate) fn parts(&self) -> Vec<PathBuf> {
        fn collect(folder: &Path, parts: &mut Vec<PathBuf>) {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                if entry.file_name().as_bytes().starts_with(b".towpath-part-") {
                    parts.push(entry.path());
                } else if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    collect(&entry.path(), parts);
                }
            }
        }
        let mut parts = Vec::new();
        collect(&self.at(""), &mut parts);
        parts
    }

    /// An unfinished file of 1 MiB that a client left in a folder and may resume; its path.
    pub(crate) async fn leave_part(&self, folder: &str) -> String {
        const BYTES: usize = 1 << 20;
        let place = format!("{folder}/coming").trim_start_matches('/').to_owned();
        let begin = BeginUpload { resume: Some(BYTES as u64), ..begin(&place, 2 * BYTES, Existing::Keep) };
        let before = self.parts();
        let mut talk = self.open(begin);
        talk.send_all(&vec![7; BYTES]).await.unwrap();
        talk.send(AbortUpload { keep: true }).await;
        talk.end().await.unwrap();
        let part = self.parts().into_iter().find(|part| !before.contains(part)).unwrap();
        part.strip_prefix(self.at("")).unwrap().to_str().unwrap().to_owned()
    }

    pub(crate) fn open(&self, request: impl Into<Request>) -> Talk {
        Talk::open(&self.service, request.into())
    }

    /// The final answer.
    pub(crate) async fn ask(&self, request: impl Into<Request>) -> Result<Answer, Fault> {
        self.open(request).end().await
    }

    pub(crate) async fn stored(&self, request: impl Into<Request>) -> Stored {
        match self.ask(request).await.unwrap() {
            Answer::Stored(stored) => stored,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn totals(&self, request: impl Into<Request>) -> Totals {
        match self.ask(request).await.unwrap() {
            Answer::Totals(totals) => totals,
            other => panic!("{other:?}"),
        }
    }

    /// What a file is now.
    pub(crate) async fn version(&self, path: &str) -> Version {
        let Location { base, path } = below(path);
        let Answer::Stats(stats) =
            self.ask(Stat { base, paths: vec![path], follow: Follow::No }).await.unwrap()
        else {
            panic!("a stat is answered otherwise")
        };
        stats.items[0].0.as_ref().unwrap().version()
    }

    pub(crate) async fn refused(&self, request: impl Into<Request>) -> FaultCode {
        self.ask(request).await.unwrap_err().code
    }

    /// A whole upload, sent as credit allows.
    pub(crate) async fn upload(&self, begin: BeginUpload, content: &[u8]) -> Result<Answer, Fault> {
        let mut talk = self.open(begin);
        talk.send_all(content).await?;
        talk.send(commit(content)).await;
        talk.end().await
    }
}

pub(crate) use towpath_protocol::hello::Access;

pub(crate) fn serve(root: &Path, access: Access) -> Arc<Service> {
    let root = RootSpec::Jailed(root.to_owned());
    Arc::new(Service::new(ServiceConfig { root, access, home: WirePath::root() }).unwrap())
}

/// One exchange.
pub(crate) struct Talk {
    pub(crate) answers: mpsc::Receiver<(RequestId, Answer)>,
    pub(crate) inputs: mpsc::Sender<Input>,
    pub(crate) cancel: CancellationToken,
}

impl Talk {
    pub(crate) fn open(service: &Arc<Service>, request: Request) -> Self {
        let (sender, answers) = mpsc::channel(ANSWERS_QUEUED_MAX);
        let (inputs, receiver) = mpsc::channel(INPUTS_QUEUED_MAX);
        let cancel = CancellationToken::new();
        let exchange = Exchange {
            answers: Answers::new(RequestId(1), sender),
            inputs: receiver.into(),
            cancel: cancel.clone(),
            lost: CancellationToken::new(),
        };
        tokio::spawn(service.clone().serve(request, exchange));
        Self { answers, inputs, cancel }
    }

    pub(crate) async fn next(&mut self) -> Result<Answer, Fault> {
        match self.answers.recv().await.expect("the final answer came already").1 {
            Answer::Fault(fault) => Err(fault),
            answer => Ok(answer),
        }
    }

    /// The final answer; exactly one comes.
    pub(crate) async fn end(mut self) -> Result<Answer, Fault> {
        loop {
            let answer = self.next().await;
            if answer.as_ref().is_ok_and(|answer| !answer.is_final()) {
                continue;
            }
            assert!(self.answers.recv().await.is_none(), "something came after the final answer");
            return answer;
        }
    }

    pub(crate) async fn send(&self, input: impl Into<Input>) {
        let _ = self.inputs.send(input.into()).await;
    }

    pub(crate) async fn send_data(&self, offset: usize, data: &[u8]) {
        self.send(UploadData { offset: offset as u64, data: Bytes::copy_from_slice(data) }).await;
    }

    /// Sends everything, waiting for credit.
    pub(crate) async fn send_all(&mut self, content: &[u8]) -> Result<(), Fault> {
        let mut allowed = 0;
        for (index, data) in content.chunks(64 * 1024).enumerate() {
            let offset = index * 64 * 1024;
            while allowed < (offset + data.len()) as u64 {
                allowed = match self.next().await? {
                    Answer::UploadReady(ready) => ready.offset + ready.credit_bytes,
                    Answer::UploadAck(ack) => ack.received + ack.credit_bytes,
                    other => panic!("{other:?}"),
                };
            }
            self.send_data(offset, data).await;
        }
        Ok(())
    }
}

pub(crate) fn commit(content: &[u8]) -> CommitUpload {
    CommitUpload { len: content.len() as u64, hash: Hash::of(content) }
}

/// The names in a folder, sorted.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

pub(crate) fn umask() -> u32 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let octal = status.lines().find_map(|line| line.strip_prefix("Umask:")).unwrap();
    u32::from_str_radix(octal.trim(), 8).unwrap()
}

pub(crate) fn make_fifo(path: &Path) {
    rustix::fs::mkfifoat(rustix::fs::CWD, path, rustix::fs::Mode::from_raw_mode(0o644)).unwrap();
}

/// Below the root: the base is the root itself.
pub(crate) fn below(path: &str) -> Location {
    Location { base: WirePath::root(), path: WirePath::parse(path.as_bytes()).unwrap() }
}

/// An operation id that no other has in this process.
pub(crate) fn operation() -> OperationId {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut id = [0; 16];
    id[..8].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    OperationId(id)
}

pub(crate) fn store(existing: Existing) -> StoreAs {
    StoreAs {
        mode: 0o644,
        modified: Time::from_ns(SOME_TIME_NS),
        existing,
        expected: None,
        durability: Durability::Relaxed,
        metadata: None,
    }
}

pub(crate) fn put(path: &str, content: &[u8], existing: Existing) -> Put {
    Put {
        operation: operation(),
        file: below(path),
        store: store(existing),
        hash: Hash::of(content),
        data: content.to_vec(),
    }
}

pub(crate) fn begin(path: &str, size: usize, existing: Existing) -> BeginUpload {
    BeginUpload {
        operation: operation(),
        file: below(path),
        store: store(existing),
        size: size as u64,
        resume: None,
        basis: None,
        window_bytes: None,
        stored_bytes: None,
    }
}

pub(crate) fn make_folder(path: &str, existing: Existing) -> MakeFolder {
    MakeFolder { operation: operation(), folder: below(path), mode: 0o755, existing }
}

pub(crate) fn make_link(path: &str, target: &[u8], existing: Existing) -> MakeLink {
    MakeLink {
        operation: operation(),
        link: below(path),
        target: target.to_vec(),
        modified: Time::from_ns(SOME_TIME_NS),
        existing,
        expected: None,
        metadata: None,
    }
}

pub(crate) fn rename(from: &str, to: &str, existing: Existing) -> Rename {
    Rename { operation: operation(), from: below(from), to: below(to), existing, expected: None }
}

pub(crate) fn copy(from: &str, to: &str, existing: Existing) -> Copy {
    Copy {
        operation: operation(),
        from: below(from),
        to: below(to),
        existing,
        durability: Durability::Relaxed,
        expected: None,
        preserve: false,
    }
}

pub(crate) fn remove(path: &str, depth: Depth) -> Remove {
    Remove { operation: operation(), thing: below(path), depth, expected: None, aside: false }
}
