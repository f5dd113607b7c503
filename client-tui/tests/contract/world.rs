//! A served folder beside one that is not, a link to it through one of the doors, and short words to talk through it.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::timeout;
use towpath::config::GivenCode;
use towpath::link::calls::operation_id;
use towpath::link::dial::{child, dial};
use towpath::link::keyring::Keyring;
use towpath::link::{Exchange, Link};
use towpath::model::target::Target;
use towpath_files::root::RootSpec;
use towpath_files::service::{Service, ServiceConfig};
use towpath_files::session::{SessionOptions, serve};
use towpath_protocol::answer::{Stored, Totals};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::hash::{Hash, RangeMerger};
use towpath_protocol::hello::{Access, RootKind};
use towpath_protocol::input::{CommitUpload, UploadData};
use towpath_protocol::limits::DATA_BYTES_MAX;
use towpath_protocol::message::{Answer, Request};
use towpath_protocol::path::{Location, WirePath};
use towpath_protocol::request::{BeginUpload, Durability, Existing, Put, Read, StoreAs, Wants};
use towpath_protocol::time::Time;

use crate::towd::{Towd, program};

/// Longer than anything here takes; only so that a fault ends a test and does not hang it.
const PATIENCE: Duration = Duration::from_mins(1);
/// 2020-09-13T12:26:40Z and a bit.
pub(crate) const SOME_TIME_NS: i64 = 1_600_000_000_123_456_789;
const SECRET: &str = "nobody may touch this";

/// How a link leads to the service.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Door {
    InProcess,
    Pipe,
    Tls,
    Unix,
    Child,
}

/// `served/` is the service's root; `outside/` must never change.
pub(crate) struct World {
    dir: TempDir,
    pub(crate) link: Link,
    _towd: Option<Towd>,
}

impl World {
    /// Tells one story, looks at what is left, and ends the session in order.
    pub(crate) async fn run<S, F>(door: Door, story: S)
    where
        S: FnOnce(Arc<Self>) -> F,
        F: Future<Output = ()>,
    {
        let told = timeout(PATIENCE, async {
            let world = Arc::new(Self::open(door).await);
            assert_eq!(world.link.welcome().root_kind, RootKind::Jailed);
            story(world.clone()).await;
            world.check();
            world.link.bye().await;
        });
        told.await.expect("a story hangs");
    }

    async fn open(door: Door) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (served, outside) = (dir.path().join("served"), dir.path().join("outside"));
        fs::create_dir(&served).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("secret"), SECRET).unwrap();
        let mut towd = None;
        let link = match door {
            Door::InProcess => Link::in_process(service(&served)),
            Door::Pipe => over_a_pipe(service(&served)).await,
            Door::Tls | Door::Unix => {
                let state = dir.path().join("state");
                let start = if matches!(door, Door::Tls) { Towd::start_tls } else { Towd::start };
                let towd = towd.insert(start(&served, &state, &[]));
                dial_typed(OsStr::new(&towd.target("")), &state, towd.first_code()).await
            }
            Door::Child => {
                let mut command = Command::new(program());
                command.args(["--stdio", "--root"]).arg(&served).stderr(Stdio::null());
                command.env("TOW_STATE_DIR", dir.path().join("state"));
                child(command).await.unwrap()
            }
        };
        Self { dir, link, _towd: towd }
    }

    /// A path on the disk, below the served folder.
    pub(crate) fn at(&self, path: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join("served").join(path)
    }

    pub(crate) fn outside(&self) -> PathBuf {
        self.dir.path().join("outside")
    }

    pub(crate) fn write(&self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) {
        fs::write(self.at(path), content).unwrap();
    }

    /// Nothing outside changed, and no part of an upload is left.
    fn check(&self) {
        assert_eq!(fs::read_dir(self.outside()).unwrap().count(), 1);
        assert_eq!(fs::read_to_string(self.outside().join("secret")).unwrap(), SECRET);
        assert_no_parts(&self.at(""));
    }

    /// The whole file, by ranges of `range` bytes, checked against the server's hashes.
    pub(crate) async fn download(&self, path: &str, range: u64) -> Result<Vec<u8>, Fault> {
        let (mut content, mut merger, mut ranges) = (Vec::new(), RangeMerger::new(), 0);
        loop {
            let offset = content.len() as u64;
            let request = Read {
                file: location(path),
                version: None,
                offset,
                len: range,
                wants: Wants::Data,
                holes: false,
            };
            let (data, hash) = read(self.link.open(request), offset).await?;
            let len = data.len() as u64;
            content.extend_from_slice(&data);
            if ranges == 0 && len < range {
                assert_eq!(hash, Some(Hash::of(&content)));
                return Ok(content);
            }
            if len > 0 {
                merger.push(hash.expect("an aligned range has a hash"));
                ranges += 1;
            }
            if len < range {
                break;
            }
        }
        let whole = if ranges == 1 { None } else { merger.finish() };
        assert!(whole.is_none_or(|whole| whole == Hash::of(&content)));
        Ok(content)
    }

    pub(crate) async fn put(&self, path: &str, data: &[u8]) -> Result<Stored, Fault> {
        let request = Put {
            operation: operation_id()?,
            file: location(path),
            store: store_as(),
            hash: Hash::of(data),
            data: data.to_vec(),
        };
        stored(self.link.call(request).await)
    }

    /// Sends a file as its acknowledgements allow.
    pub(crate) async fn upload(&self, path: &str, content: &[u8], hash: Hash) -> Result<Stored, Fault> {
        let mut exchange = self.begin_upload(path, content.len() as u64);
        let Answer::UploadReady(ready) = exchange.next().await? else { panic!("not UploadReady") };
        let mut credit_end = ready.offset + ready.credit_bytes;
        let mut offset = 0;
        for data in content.chunks(DATA_BYTES_MAX) {
            while offset + data.len() as u64 > credit_end {
                let Answer::UploadAck(ack) = exchange.next().await? else { panic!("not UploadAck") };
                credit_end = ack.received + ack.credit_bytes;
            }
            exchange.send(UploadData { offset, data: Bytes::copy_from_slice(data) }).await?;
            offset += data.len() as u64;
        }
        exchange.send(CommitUpload { len: offset, hash }).await?;
        loop {
            match exchange.next().await? {
                Answer::UploadAck(_) => {}
                answer => return stored(Ok(answer)),
            }
        }
    }

    pub(crate) fn begin_upload(&self, path: &str, size: u64) -> Exchange {
        let operation = operation_id().unwrap();
        self.link.open(BeginUpload {
            operation,
            file: location(path),
            store: store_as(),
            size,
            resume: None,
            basis: None,
            window_bytes: None,
            stored_bytes: None,
        })
    }

    /// The totals of long work.
    pub(crate) async fn totals(&self, request: impl Into<Request>) -> Result<Totals, Fault> {
        match self.link.call(request).await? {
            Answer::Totals(totals) => Ok(totals),
            answer => panic!("{} instead of Totals", answer.name()),
        }
    }
}

/// All data of one read, in order and without gaps.
pub(crate) async fn read(mut exchange: Exchange, offset: u64) -> Result<(Vec<u8>, Option<Hash>), Fault> {
    let mut content = Vec::new();
    loop {
        match exchange.next().await? {
            Answer::FileWhole(whole) => return Ok((whole.data, Some(whole.hash))),
            Answer::ReadHead(_) => assert!(content.is_empty()),
            Answer::Data(data) => {
                assert_eq!(data.offset, offset + content.len() as u64);
                content.extend_from_slice(&data.data);
            }
            Answer::ReadDone(done) => {
                assert_eq!(done.len, content.len() as u64);
                return Ok((content, done.hash));
            }
            answer => panic!("{} in a read", answer.name()),
        }
    }
}

pub(crate) const fn store_as() -> StoreAs {
    StoreAs {
        mode: 0o640,
        modified: Time::from_ns(SOME_TIME_NS),
        existing: Existing::Replace,
        expected: None,
        durability: Durability::Relaxed,
        metadata: None,
    }
}

pub(crate) fn stored(answer: Result<Answer, Fault>) -> Result<Stored, Fault> {
    match answer? {
        Answer::Stored(stored) => Ok(stored),
        answer => panic!("{} instead of Stored", answer.name()),
    }
}

pub(crate) fn path(text: &str) -> WirePath {
    WirePath::parse(text.as_bytes()).unwrap()
}

pub(crate) fn location(text: &str) -> Location {
    Location::of(&path(text))
}

pub(crate) fn code<T: std::fmt::Debug>(result: Result<T, Fault>) -> FaultCode {
    result.unwrap_err().code
}

/// Bytes that repeat nowhere near.
pub(crate) fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = vec![0; len];
    for chunk in bytes.chunks_mut(8) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        chunk.copy_from_slice(&state.to_le_bytes()[..chunk.len()]);
    }
    bytes
}

fn service(root: &Path) -> Arc<Service> {
    let root = RootSpec::Jailed(root.to_owned());
    let config = ServiceConfig { root, access: Access::ReadWrite, home: WirePath::root() };
    Arc::new(Service::new(config).unwrap())
}

async fn over_a_pipe(service: Arc<Service>) -> Link {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let (reader, writer) = tokio::io::split(theirs);
    tokio::spawn(serve(reader, writer, service, SessionOptions::default()));
    let (reader, writer) = tokio::io::split(ours);
    Link::over(reader, writer).await.unwrap()
}

async fn dial_typed(typed: &OsStr, state: &Path, code: Option<&str>) -> Link {
    let Target::Remote { server, .. } = Target::parse(typed).unwrap() else { panic!("not a server") };
    let given = code.map(|code| GivenCode::Text(code.to_owned().into()));
    let keyring = Keyring::new(Some(state.to_owned()), "ann@box".to_owned(), given);
    dial(&server, &Arc::new(keyring), None).await.unwrap()
}

fn assert_no_parts(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        assert!(!entry.file_name().as_bytes().starts_with(b".towpath-part-"), "{entry:?} was left");
        if entry.file_type().unwrap().is_dir() {
            assert_no_parts(&entry.path());
        }
    }
}
