//! A server that speaks the protocol by hand, and honestly, but for what a test's script has it say instead.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;

use tempfile::TempDir;
use towpath_protocol::frame::Decoder;
use towpath_protocol::hash::Hash;
use towpath_protocol::message::{Request, Session, ToServer};

use super::pack::{List, Map, Nil, No, Number, Value, bytes, frame, text};

pub(crate) const DONE: u16 = 128;
pub(crate) const FAULT: u16 = 129;
pub(crate) const WELCOME: u16 = 130;
pub(crate) const PONG: u16 = 131;
pub(crate) const BYE: u16 = 132;
pub(crate) const LIST_PAGE: u16 = 144;
pub(crate) const WALK_PAGE: u16 = 145;
pub(crate) const STATS: u16 = 146;
pub(crate) const FILE_WHOLE: u16 = 147;
pub(crate) const READ_HEAD: u16 = 148;
pub(crate) const DATA: u16 = 149;
pub(crate) const READ_DONE: u16 = 150;
pub(crate) const SPACE_INFO: u16 = 151;
pub(crate) const BLOCK_HASHES: u16 = 152;
pub(crate) const HOLE: u16 = 153;
pub(crate) const UPLOAD_READY: u16 = 160;
pub(crate) const UPLOAD_ACK: u16 = 161;
pub(crate) const STORED: u16 = 162;
pub(crate) const PROGRESS: u16 = 163;
pub(crate) const TOTALS: u16 = 164;

pub(crate) const SMALL: &[u8] = b"hello";
/// Longer than a file that comes in one answer.
pub(crate) const LARGE_BYTES: usize = 200_000;

/// What the script says to one message; none for what an honest server says.
pub(crate) type Script = Arc<dyn Fn(u32, &ToServer) -> Option<Vec<u8>> + Send + Sync>;

/// It listens until it is dropped.
pub(crate) struct EvilServer {
    folder: TempDir,
}

impl EvilServer {
    pub(crate) fn start(script: Script) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("socket")).unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let script = script.clone();
                std::thread::spawn(move || serve(stream, &script));
            }
        });
        Self { folder }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    pub(crate) fn target(&self, path: &str) -> String {
        format!("unix:{}?path={path}", self.socket().display())
    }
}

/// Until the client goes, or can bear no more.
fn serve(mut stream: UnixStream, script: &Script) {
    let mut preamble = [0; 8];
    if stream.write_all(b"TOWPATH1").is_err() || stream.read_exact(&mut preamble).is_err() {
        return;
    }
    let mut decoder = Decoder::new();
    decoder.allow_frames_up_to(1024 * 1024);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        while let Some(incoming) = decoder.next_to_server().unwrap() {
            let (id, message) = (incoming.id.0, incoming.message.unwrap());
            let answer = script(id, &message).unwrap_or_else(|| honest(id, &message));
            if stream.write_all(&answer).is_err() {
                return;
            }
            if answer.ends_with(HANG_UP) {
                let _ = stream.shutdown(std::net::Shutdown::Both);
                return;
            }
        }
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(read) => decoder.push(&buffer[..read]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

/// At the end of what a script says: the connection is closed behind it.
pub(crate) const HANG_UP: &[u8] = b"\0\0and that was all";

pub(crate) fn welcome() -> Vec<(&'static str, Value)> {
    let limits = vec![
        ("frame_bytes", Number(1024 * 1024)),
        ("requests_in_flight", Number(512)),
        ("upload_credit_bytes", Number(16 * 1024 * 1024)),
    ];
    vec![
        ("protocol", Number(1)),
        ("agent", text("evil")),
        ("capabilities", List(Vec::new())),
        ("limits", Map(limits)),
        ("root_name", text("/")),
        ("root_kind", Number(1)),
        ("access", Number(1)),
        ("name_case", Number(0)),
        ("home", List(Vec::new())),
    ]
}

/// An honest Welcome of a server that knows more than the first ones did.
pub(crate) fn welcome_with(id: u32, capabilities: &[&str]) -> Vec<u8> {
    let mut fields = welcome();
    fields.retain(|(name, _)| *name != "capabilities");
    fields.push(("capabilities", List(capabilities.iter().map(|name| text(name)).collect())));
    frame(WELCOME, id, &Map(fields))
}

/// `[kind, size, modified, changed, mode, identity, target, target_kind]`.
pub(crate) fn attributes(kind: u64, size: usize, target: Option<&[u8]>) -> Value {
    let (time, mode) = (Number(1_600_000_000_000_000_000), if kind == 1 { 0o755 } else { 0o644 });
    let target = target.map_or(Nil, bytes);
    List(vec![
        Number(kind),
        Number(size as u64),
        time.clone(),
        time,
        Number(mode),
        Number(1000 + kind + size as u64),
        target,
        Nil,
    ])
}

pub(crate) const FILE: u64 = 0;
pub(crate) const FOLDER: u64 = 1;
pub(crate) const LINK: u64 = 2;

/// An entry of a listing.
pub(crate) fn entry(name: &[u8], attributes: Value) -> Value {
    List(vec![bytes(name), attributes])
}

/// An item of a walk.
pub(crate) fn item(depth: u64, name: &[u8], attributes: Value) -> Value {
    List(vec![Number(depth), entry(name, attributes), Nil])
}

pub(crate) fn list_page(id: u32, entries: Vec<Value>) -> Vec<u8> {
    let total = Number(entries.len() as u64);
    frame(LIST_PAGE, id, &Map(vec![("total", total), ("entries", List(entries))]))
}

pub(crate) fn walk_page(id: u32, items: Vec<Value>) -> Vec<u8> {
    frame(WALK_PAGE, id, &Map(vec![("items", List(items))]))
}

pub(crate) fn done(id: u32) -> Vec<u8> {
    frame(DONE, id, &Map(Vec::new()))
}

pub(crate) fn fault(id: u32, code: u64, detail: &str) -> Vec<u8> {
    frame(FAULT, id, &Map(vec![("code", Number(code)), ("detail", text(detail))]))
}

pub(crate) fn whole(id: u32, content: &[u8], hash: &[u8]) -> Vec<u8> {
    let fields = vec![
        ("attributes", attributes(FILE, content.len(), None)),
        ("hash", bytes(hash)),
        ("grown", No),
        ("data", bytes(content)),
    ];
    frame(FILE_WHOLE, id, &Map(fields))
}

pub(crate) fn read_head(id: u32) -> Vec<u8> {
    frame(READ_HEAD, id, &Map(vec![("attributes", attributes(FILE, LARGE_BYTES, None))]))
}

pub(crate) fn data(id: u32, offset: u64, content: &[u8]) -> Vec<u8> {
    frame(DATA, id, &List(vec![Number(offset), bytes(content)]))
}

pub(crate) fn hole(id: u32, offset: u64, len: u64, beyond: u64) -> Vec<u8> {
    let fields = vec![("offset", Number(offset)), ("len", Number(len)), ("beyond", Number(beyond))];
    frame(HOLE, id, &Map(fields))
}

pub(crate) fn read_done(id: u32, len: u64, hash: Option<&[u8]>) -> Vec<u8> {
    let mut fields = vec![("len", Number(len)), ("grown", No)];
    fields.extend(hash.map(|hash| ("hash", bytes(hash))));
    frame(READ_DONE, id, &Map(fields))
}

/// `docs`, a folder with a small file and a large one of sevens; everything else is a file, or a folder where it has no name.
fn honest(id: u32, message: &ToServer) -> Vec<u8> {
    match message {
        ToServer::Session(Session::Hello(_)) => frame(WELCOME, id, &Map(welcome())),
        ToServer::Session(Session::Ping(_)) => frame(PONG, id, &Map(Vec::new())),
        ToServer::Session(Session::Bye(_)) => [&frame(BYE, 0, &Map(Vec::new()))[..], HANG_UP].concat(),
        ToServer::Session(Session::Numbered(_) | Session::Packed(_)) | ToServer::Input(_) => Vec::new(),
        ToServer::Request(request) => honest_answer(id, request),
    }
}

fn honest_answer(id: u32, request: &Request) -> Vec<u8> {
    match request {
        Request::Stat(stat) => {
            let of = |path: &towpath_protocol::path::WirePath| {
                let name =
                    path.name().or_else(|| stat.base.name()).map(towpath_protocol::path::Name::as_bytes);
                match name {
                    None | Some(b"docs") => attributes(FOLDER, 0, None),
                    Some(b"large") => attributes(FILE, LARGE_BYTES, None),
                    Some(_) => attributes(FILE, SMALL.len(), None),
                }
            };
            let items = stat.paths.iter().map(|path| List(vec![of(path), Nil])).collect();
            frame(STATS, id, &Map(vec![("items", List(items))]))
        }
        Request::List(_) => {
            let entries = vec![
                entry(b"large", attributes(FILE, LARGE_BYTES, None)),
                entry(b"small", attributes(FILE, SMALL.len(), None)),
            ];
            [list_page(id, entries), done(id)].concat()
        }
        Request::Walk(_) => {
            let items = vec![
                item(0, b"docs", attributes(FOLDER, 0, None)),
                item(1, b"large", attributes(FILE, LARGE_BYTES, None)),
                item(1, b"small", attributes(FILE, SMALL.len(), None)),
            ];
            [walk_page(id, items), done(id)].concat()
        }
        Request::Read(read) => {
            let name = read.file.path.name().or_else(|| read.file.base.name());
            if name.is_some_and(|name| name.as_bytes() == b"large") {
                let content = vec![7; LARGE_BYTES];
                let mut said = read_head(id);
                for (index, part) in content.chunks(65_536).enumerate() {
                    said.extend(data(id, index as u64 * 65_536, part));
                }
                said.extend(read_done(id, LARGE_BYTES as u64, Some(&Hash::of(&content).0)));
                return said;
            }
            whole(id, SMALL, &Hash::of(SMALL).0)
        }
        Request::Space(_) => {
            frame(SPACE_INFO, id, &Map(vec![("free", Number(1 << 40)), ("total", Number(1 << 41))]))
        }
        Request::BeginUpload(_) => {
            let fields = vec![
                ("token", bytes(&[1; 16])),
                ("offset", Number(0)),
                ("credit_bytes", Number(1024 * 1024)),
            ];
            frame(UPLOAD_READY, id, &Map(fields))
        }
        _ => frame(STORED, id, &Map(vec![("attributes", attributes(FILE, SMALL.len(), None))])),
    }
}
