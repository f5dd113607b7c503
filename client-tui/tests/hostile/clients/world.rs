//! A client that says what it likes, a server, and an honest client of the same server.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use towpath_protocol::fault::FaultCode;
use towpath_protocol::frame::{Decoder, encode_to_server};
use towpath_protocol::hello::{Capability, Hello, Limits, PROTOCOL_VERSION};
use towpath_protocol::message::{Answer, RequestId, Session, ToServer};
use towpath_protocol::path::WirePath;
use towpath_protocol::request::Space;

use super::super::memory::{MEMORY_KIB_MAX, PATIENCE, held_kib};
use super::super::towd::program;

const SECRET: &str = "nobody may touch this";
/// What an honest client waits for an answer, whatever the evil one does meanwhile.
const PROMPT: Duration = Duration::from_secs(10);

/// A served folder, one beside it, the server, and an honest client of it.
pub(crate) struct World {
    pub(crate) dir: TempDir,
    towd: Child,
    honest: Client,
}

impl World {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["served", "outside"] {
            fs::create_dir(dir.path().join(folder)).unwrap();
            fs::write(dir.path().join(folder).join("file"), SECRET).unwrap();
        }
        let socket = dir.path().join("socket");
        let mut towd = Command::new(program())
            .args(["--json", "--unix"])
            .arg(&socket)
            .arg("--root")
            .arg(dir.path().join("served"))
            .env("TOW_STATE_DIR", dir.path().join("state"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(dir.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let mut ready = [0; 1];
        towd.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
        let honest = Client::greet(&socket);
        Self { dir, towd, honest }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("socket")
    }

    pub(crate) fn evil(&self) -> Client {
        Client::greet(&self.socket())
    }

    /// What must hold after whatever was done.
    pub(crate) fn check(&mut self, what: &str) {
        let began = Instant::now();
        match self.honest.ask(&ToServer::Request(Space { path: WirePath::root() }.into())) {
            Some(Answer::SpaceInfo(_)) => {}
            other => panic!("{what}: an honest client is answered {other:?}"),
        }
        assert!(began.elapsed() < PROMPT, "{what}: an honest client waited for {:?}", began.elapsed());
        let names = |folder: &str| fs::read_dir(self.dir.path().join(folder)).unwrap().count();
        assert_eq!((names("served"), names("outside")), (1, 1), "{what}: something was made or removed");
        for folder in ["served", "outside"] {
            assert_eq!(
                fs::read_to_string(self.dir.path().join(folder).join("file")).unwrap(),
                SECRET,
                "{what}"
            );
        }
        let held = held_kib(self.towd.id()).unwrap();
        assert!(held < MEMORY_KIB_MAX, "{what}: {held} KiB");
        let log = fs::read(self.dir.path().join("log")).unwrap();
        assert!(
            !String::from_utf8_lossy(&log).contains("panicked"),
            "{what}: {}",
            String::from_utf8_lossy(&log)
        );
        assert!(!log.contains(&0x1b), "{what}: an escape in the log");
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.towd.kill();
        let _ = self.towd.wait();
    }
}

/// A client that says what it likes.
pub(crate) struct Client {
    pub(crate) stream: UnixStream,
    decoder: Decoder,
}

impl Client {
    pub(crate) fn silent(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        let mut client = Self { stream, decoder: Decoder::new() };
        let mut preamble = [0; 8];
        client.stream.read_exact(&mut preamble).unwrap();
        client.decoder.allow_frames_up_to(1024 * 1024);
        client
    }

    pub(crate) fn greet(socket: &Path) -> Self {
        Self::greet_with(socket, &[])
    }

    pub(crate) fn greet_with(socket: &Path, capabilities: &[&str]) -> Self {
        let mut client = Self::silent(socket);
        client.stream.write_all(b"TOWPATH1").unwrap();
        let hello = Hello {
            protocol: PROTOCOL_VERSION,
            agent: "evil\u{1b}[2J".into(),
            capabilities: capabilities.iter().map(|name| Capability::new(name)).collect(),
            limits: Limits::OURS,
            pairing: None,
            join: None,
        };
        match client.ask(&ToServer::Session(Session::Hello(hello))) {
            Some(Answer::Welcome(_)) => client,
            other => panic!("{other:?}"),
        }
    }

    /// The same session, for somebody who only says what is to be heard here.
    pub(crate) fn again(&self) -> Self {
        Self { stream: self.stream.try_clone().unwrap(), decoder: Decoder::new() }
    }

    /// Says it under id 9; the answer, none where the server has closed the connection.
    pub(crate) fn ask(&mut self, message: &ToServer) -> Option<Answer> {
        let encoded = encode_to_server(RequestId(9), message).unwrap();
        let _ = self.say(&[&encoded.head[..], &encoded.data[..]].concat());
        self.hear().map(|(_, answer)| answer)
    }

    /// Err where the server wants no more.
    pub(crate) fn say(&mut self, said: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(said)
    }

    pub(crate) fn hear(&mut self) -> Option<(u32, Answer)> {
        loop {
            if let Some(incoming) = self.decoder.next_answer().unwrap() {
                return Some((incoming.id.0, incoming.message.unwrap()));
            }
            let mut buffer = vec![0; 64 * 1024];
            match self.stream.read(&mut buffer) {
                Ok(0) | Err(_) => return None,
                Ok(read) => self.decoder.push(&buffer[..read]),
            }
        }
    }

    /// The codes of all faults that come until the session ends.
    pub(crate) fn faults_to_the_end(&mut self) -> Vec<FaultCode> {
        let mut codes = Vec::new();
        while let Some((_, answer)) = self.hear() {
            if let Answer::Fault(fault) = answer {
                codes.push(fault.code);
            }
        }
        codes
    }

    /// The code of the fault that this frame, under id 7, is answered with; the session lives on.
    pub(crate) fn refused(&mut self, said: &[u8], what: &str) -> FaultCode {
        self.say(said).unwrap();
        match self.hear() {
            Some((7, Answer::Fault(fault))) => fault.code,
            other => panic!("{what}: {other:?}"),
        }
    }
}
