//! Any bytes as what a client says, to a real session of the file service on a real folder: nobody panics, whatever is answered can
//! be understood and is final once, and nothing outside the folder changes.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::{Instant, timeout};
use towpath_files::root::RootSpec;
use towpath_files::service::{Service, ServiceConfig};
use towpath_files::session::{SessionOptions, serve};
use towpath_protocol::frame::{Decoder, encode_to_server};
use towpath_protocol::hello::{Access, Hello, Limits, PREAMBLE, PROTOCOL_VERSION};
use towpath_protocol::message::{RequestId, Session, ToServer};
use towpath_protocol::path::WirePath;

/// Longer than any session with a client that has said all that it will.
const PATIENCE: Duration = Duration::from_mins(1);
const SECRET: &str = "nobody may touch this";

/// A served folder, one beside it, and the service; made once, and filled anew for each session.
pub(crate) struct Ground {
    dir: TempDir,
    service: Arc<Service>,
    runtime: tokio::runtime::Runtime,
}

impl Ground {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        for folder in ["served", "outside"] {
            fs::create_dir(dir.path().join(folder)).unwrap();
        }
        fs::write(dir.path().join("outside/file"), SECRET).unwrap();
        let root = RootSpec::Jailed(dir.path().join("served"));
        let config = ServiceConfig { root, access: Access::ReadWrite, home: WirePath::root() };
        let service = Arc::new(Service::new(config).unwrap());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        Self { dir, service, runtime }
    }

    /// An odd first byte puts preamble and Hello before the rest, so that a fuzzer need not find them.
    pub(crate) fn session(&self, bytes: &[u8]) {
        let Some((choice, said)) = bytes.split_first() else { return };
        let greeting = if choice % 2 == 1 { hello() } else { Vec::new() };
        self.fill();
        self.runtime.block_on(self.play(&[&greeting, said].concat()));
        let outside = self.dir.path().join("outside");
        assert_eq!(names(&outside), ["file"], "something was made or removed outside");
        assert_eq!(fs::read_to_string(outside.join("file")).unwrap(), SECRET);
        assert_eq!(names(self.dir.path()), ["outside", "served"], "something was made or removed outside");
    }

    fn fill(&self) {
        let served = self.dir.path().join("served");
        for entry in fs::read_dir(&served).unwrap().map(|entry| entry.unwrap()) {
            let path = entry.path();
            let removed = if entry.file_type().unwrap().is_dir() {
                fs::remove_dir_all(path)
            } else {
                fs::remove_file(path)
            };
            removed.unwrap();
        }
        fs::create_dir_all(served.join("docs/old")).unwrap();
        for file in ["docs/a.txt", "a.txt", "b.bin", "docs/old/deep"] {
            fs::write(served.join(file), file).unwrap();
        }
        symlink("../outside", served.join("out")).unwrap();
        symlink("docs", served.join("link")).unwrap();
    }

    async fn play(&self, said: &[u8]) {
        let (client, server) = tokio::io::duplex(64 * 1024);
        let options = SessionOptions {
            hello_deadline: Instant::now() + PATIENCE,
            drain_time: Duration::from_millis(200),
            ..SessionOptions::default()
        };
        let (reader, writer) = tokio::io::split(server);
        let session = serve(reader, writer, self.service.clone(), options);
        let both = timeout(PATIENCE, async { tokio::join!(session, hear(client, said)) }).await;
        assert!(both.is_ok(), "the session hangs");
    }
}

/// Says everything, closes, and takes in what comes. Our own side of the pipe is read all the while.
async fn hear(client: DuplexStream, said: &[u8]) {
    let (mut reader, mut writer) = tokio::io::split(client);
    let saying = async {
        // The session may end before it has heard all.
        let _ = writer.write_all(said).await;
        let _ = writer.shutdown().await;
    };
    let hearing = async {
        let mut heard = Vec::new();
        reader.read_to_end(&mut heard).await.unwrap();
        heard
    };
    let ((), heard) = tokio::join!(saying, hearing);
    let Some(answers) = heard.strip_prefix(PREAMBLE) else { panic!("a server greets first: {heard:?}") };
    let mut decoder = Decoder::new();
    decoder.allow_frames_up_to(Limits::OURS.frame_bytes as usize);
    decoder.push(answers);
    let (mut asked, mut ended) = (0, BTreeSet::new());
    while let Some(incoming) = decoder.next_answer().expect("a frame of ours is broken") {
        let answer = incoming.message.expect("an answer of ours cannot be understood");
        if answer.is_final() && incoming.id != RequestId::NONE {
            asked += 1;
            ended.insert(incoming.id);
        }
    }
    assert!(asked <= said.len(), "more is answered than can have been asked");
    assert!(ended.len() <= asked);
}

fn hello() -> Vec<u8> {
    let hello = Hello {
        protocol: PROTOCOL_VERSION,
        agent: "fuzz".into(),
        capabilities: Vec::new(),
        limits: Limits::OURS,
        pairing: None,
        join: None,
    };
    let frame = encode_to_server(RequestId(1), &ToServer::Session(Session::Hello(hello))).unwrap();
    [&PREAMBLE[..], &frame.head].concat()
}

fn names(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = names.map(|name| name.to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
