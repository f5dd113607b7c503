//! A running `towd`, and a client of it in plain blocking calls.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Condvar, LazyLock, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::frame::{Decoder, encode_to_server};
use towpath_protocol::hello::{Hello, Limits, PREAMBLE, PROTOCOL_VERSION, Welcome};
use towpath_protocol::message::{Answer, Input, Request, RequestId, Session, ToServer};
use towpath_protocol::pairing::Pairing;
use towpath_protocol::path::{Location, WirePath};

/// What nothing in these tests takes, unless it hangs.
const PATIENCE: Duration = Duration::from_mins(3);

/// The program, with nothing of the caller's own settings, and a state folder of this test run.
pub(crate) fn towd() -> Command {
    static STATE: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());
    let mut command = Command::new(env!("CARGO_BIN_EXE_towd"));
    command.env_remove("TOWD_LOG").env_remove("SSH_CONNECTION").stdin(Stdio::null());
    command.env("TOW_STATE_DIR", STATE.path().join("state"));
    command
}

/// A state folder that nothing is in yet, and `towd` with it.
pub(crate) struct State {
    path: PathBuf,
    /// Taken away with this, where it is this one's.
    _dir: Option<tempfile::TempDir>,
}

impl State {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { path: dir.path().join("state"), _dir: Some(dir) }
    }

    /// In a folder that the test has.
    pub(crate) fn in_folder(folder: &Path) -> Self {
        Self { path: folder.join("state"), _dir: None }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.path.clone()
    }

    pub(crate) fn towd(&self) -> Command {
        let mut command = towd();
        command.env("TOW_STATE_DIR", self.path());
        command
    }

    /// What it prints, from `towd WORDS`.
    pub(crate) fn says(&self, words: &[&str]) -> String {
        let mut command = self.towd();
        command.args(words);
        let output = output_of(command);
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

/// Runs it to its end.
pub(crate) fn run<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Output {
    let mut command = towd();
    command.args(arguments);
    output_of(command)
}

/// The output of a program that ends by itself; one that does not is killed, and the test fails.
pub(crate) fn output_of(mut command: Command) -> Output {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let pid = Pid::from_child(&child);
    let (sender, ended) = std::sync::mpsc::sync_channel(1);
    std::thread::spawn(move || sender.send(child.wait_with_output()));
    ended.recv_timeout(PATIENCE).map_or_else(
        |_| {
            let _ = kill_process(pid, Signal::KILL);
            panic!("{command:?} does not end")
        },
        Result::unwrap,
    )
}

/// Lines as they come, collected by a thread.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<(Mutex<Vec<String>>, Condvar)>);

impl Lines {
    fn of(stream: impl Read + Send + 'static) -> Self {
        let lines = Self::default();
        let collected = lines.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                collected.0.0.lock().unwrap().push(line);
                collected.0.1.notify_all();
            }
        });
        lines
    }

    /// Waits for a line that holds `text`.
    pub(crate) fn wait_for(&self, text: &str) -> String {
        let end = Instant::now() + PATIENCE;
        let mut lines = self.0.0.lock().unwrap();
        loop {
            if let Some(line) = lines.iter().find(|line| line.contains(text)) {
                return line.clone();
            }
            let left = end.checked_duration_since(Instant::now());
            let left = left.unwrap_or_else(|| panic!("no {text:?} in {lines:#?}"));
            lines = self.0.1.wait_timeout(lines, left).unwrap().0;
        }
    }

    pub(crate) fn all(&self) -> Vec<String> {
        self.0.0.lock().unwrap().clone()
    }
}

/// A server that is ready. Dropped, it is killed.
pub(crate) struct Towd {
    pub(crate) child: Child,
    /// What `--json` printed.
    pub(crate) listening: Value,
    /// What comes on standard output after that: nothing.
    stdout: BufReader<std::process::ChildStdout>,
    pub(crate) log: Lines,
    socket: Option<tempfile::TempDir>,
}

impl Towd {
    /// Serves `root` with these arguments besides `--json`.
    pub(crate) fn start<A: AsRef<OsStr>>(root: &Path, arguments: impl IntoIterator<Item = A>) -> Self {
        let mut command = towd();
        command.arg("--json").arg("--root").arg(root).args(arguments);
        Self::spawn(command)
    }

    /// On a unix socket of its own: nobody needs a key there.
    pub(crate) fn on_socket(root: &Path) -> Self {
        Self::on_socket_with(root, &[])
    }

    pub(crate) fn on_socket_with(root: &Path, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("socket");
        let mut all = vec!["--unix", socket.to_str().unwrap()];
        all.extend(arguments);
        let mut towd = Self::start(root, all);
        towd.socket = Some(folder);
        towd
    }

    /// On a free port of the loopback.
    pub(crate) fn on_tcp(root: &Path) -> Self {
        Self::start(root, ["--listen", "127.0.0.1:0"])
    }

    pub(crate) fn spawn(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let log = Lines::of(child.stderr.take().unwrap());
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let listening = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line:?}, {:?}", log.all()));
        Self { child, listening, stdout, log, socket: None }
    }

    pub(crate) fn address(&self) -> &str {
        self.listening["address"].as_str().unwrap()
    }

    pub(crate) fn connect(&self) -> Client<UnixStream, UnixStream> {
        Client::over_unix(self.listening["unix"].as_str().unwrap().as_ref())
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end, and that it has printed nothing more.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let status = self.child.wait().unwrap();
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "");
        status
    }

    pub(crate) fn stop(mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait()
    }
}

impl Drop for Towd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client that has been greeted.
pub(crate) struct Client<R, W> {
    reader: R,
    writer: W,
    decoder: Decoder,
    pub(crate) welcome: Option<Welcome>,
    next_id: u32,
}

impl Client<UnixStream, UnixStream> {
    pub(crate) fn over_unix(path: &Path) -> Self {
        Self::on(UnixStream::connect(path).unwrap())
    }

    pub(crate) fn on(stream: UnixStream) -> Self {
        Self::ask_in(stream, hello()).unwrap()
    }

    /// As [`on`](Self::on), for somebody who may be refused.
    pub(crate) fn ask_in(stream: UnixStream, hello: Hello) -> Result<Self, Fault> {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self::say_hello(stream.try_clone().unwrap(), stream, hello)
    }
}

impl Client<UnixStream, UnixStream> {
    /// Nothing has come, not even the end.
    pub(crate) fn assert_silent(&mut self) {
        self.reader.set_nonblocking(true).unwrap();
        let read = self.reader.read(&mut [0; 1]);
        assert!(read.as_ref().is_err_and(|error| error.kind() == ErrorKind::WouldBlock), "{read:?}");
        self.reader.set_nonblocking(false).unwrap();
    }
}

impl<R: Read, W: Write> Client<R, W> {
    pub(crate) fn greet(reader: R, writer: W) -> Self {
        Self::try_greet(reader, writer, Limits::OURS, None).unwrap()
    }

    /// The error is what Hello is answered with.
    pub(crate) fn try_greet(
        reader: R,
        writer: W,
        limits: Limits,
        pairing: Option<Pairing>,
    ) -> Result<Self, Fault> {
        Self::say_hello(reader, writer, Hello { limits, pairing, ..hello() })
    }

    /// With whatever is said in Hello.
    pub(crate) fn say_hello(reader: R, mut writer: W, hello: Hello) -> Result<Self, Fault> {
        writer.write_all(PREAMBLE).unwrap();
        let mut decoder = Decoder::new();
        decoder.allow_frames_up_to(Limits::OURS.frame_bytes as usize);
        let mut client = Self { reader, writer, decoder, welcome: None, next_id: 1 };
        client.say(0, &ToServer::Session(Session::Hello(hello)));
        let mut preamble = [0; 8];
        client.reader.read_exact(&mut preamble).unwrap();
        assert_eq!(&preamble, PREAMBLE);
        match client.hear() {
            Some((0, Answer::Welcome(welcome))) => client.welcome = Some(welcome),
            Some((0, Answer::Fault(fault))) => return Err(fault),
            other => panic!("{other:?}"),
        }
        Ok(client)
    }

    pub(crate) fn say(&mut self, id: u32, message: &ToServer) {
        let encoded = encode_to_server(RequestId(id), message).unwrap();
        self.writer.write_all(&encoded.head).unwrap();
        self.writer.write_all(&encoded.data).unwrap();
        self.writer.flush().unwrap();
    }

    /// The next answer; none at the end of the stream.
    pub(crate) fn hear(&mut self) -> Option<(u32, Answer)> {
        loop {
            if let Some(incoming) = self.decoder.next_answer().unwrap() {
                return Some((incoming.id.0, incoming.message.unwrap()));
            }
            let mut bytes = vec![0; 64 * 1024];
            match self.reader.read(&mut bytes).unwrap() {
                0 => return None,
                read => self.decoder.push(&bytes[..read]),
            }
        }
    }

    /// Whatever bytes these are.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.writer.write_all(bytes).unwrap();
    }

    /// The next answer that ends an exchange.
    pub(crate) fn hear_final(&mut self) -> Option<(u32, Answer)> {
        std::iter::from_fn(|| self.hear()).find(|(_, answer)| answer.is_final())
    }

    /// Begins a request; its id.
    pub(crate) fn begin(&mut self, request: impl Into<Request>) -> u32 {
        let id = self.next_id;
        self.next_id += 1;
        self.say(id, &ToServer::Request(request.into()));
        id
    }

    pub(crate) fn input(&mut self, id: u32, input: impl Into<Input>) {
        self.say(id, &ToServer::Input(input.into()));
    }

    /// The final answer of a request that is the only one; what came before it is returned first.
    pub(crate) fn call(&mut self, request: impl Into<Request>) -> (Vec<Answer>, Answer) {
        let id = self.begin(request);
        let mut before = Vec::new();
        loop {
            let (heard, answer) = self.hear().expect("the server has closed the connection");
            assert_eq!(heard, id);
            if answer.is_final() {
                return (before, answer);
            }
            before.push(answer);
        }
    }

    /// The fault of a request that must fail.
    pub(crate) fn refused(&mut self, request: impl Into<Request>) -> FaultCode {
        match self.call(request).1 {
            Answer::Fault(fault) => fault.code,
            other => panic!("{other:?}"),
        }
    }
}

/// What a client says that asks for nothing.
pub(crate) fn hello() -> Hello {
    Hello {
        protocol: PROTOCOL_VERSION,
        agent: "test\x1b/1".into(),
        capabilities: Vec::new(),
        limits: Limits::OURS,
        pairing: None,
        join: None,
    }
}

/// A folder with these files.
pub(crate) fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        write(&folder.path().join(name), content);
    }
    folder
}

pub(crate) fn write(path: &Path, content: &[u8]) {
    std::fs::write(path, content).unwrap();
}

pub(crate) fn at(path: &str) -> Location {
    Location { base: WirePath::root(), path: WirePath::parse(path.as_bytes()).unwrap() }
}
