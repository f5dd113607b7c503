//! A line between the shipped programs that takes the frames apart which cross it: what is said where one side is older and has not
//! learnt what came since, and how much travels packed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::{FileExt, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use rustix::fs::XattrFlags;
use serde_json::Value;
use tempfile::TempDir;
use towpath_protocol::frame::{Decoder, encode_answer, encode_to_server};
use towpath_protocol::hello::Capability;
use towpath_protocol::input::SpanOf;
use towpath_protocol::message::{Answer, Input, Request, Session, ToServer};

use crate::here_and_there;
use crate::towd::Towd;

const PREAMBLE_BYTES: usize = 8;
/// Bytes that are read from a side at a time, and passed on at its pace.
const STEP_BYTES: usize = 64 * 1024;
/// What both sides have learnt since the first servers.
const CAPABILITIES: [&str; 4] =
    [Capability::BLOCKS, Capability::HOLES, Capability::METADATA, Capability::ZSTD];

/// How the line is.
#[derive(Debug, Clone, Copy)]
struct Kind {
    /// What neither side hears of the other's having.
    without: &'static [&'static str],
    bytes_per_second: Option<u32>,
}

/// What crossed it: frames that need a capability, by that, and bytes.
#[derive(Debug, Default, Clone)]
struct Crossed {
    needing: BTreeMap<&'static str, u64>,
    bytes: u64,
}

/// A server, a line to it, and a folder beside the served one.
struct World {
    dir: TempDir,
    _towd: Towd,
    crossed: Arc<Mutex<Crossed>>,
}

impl World {
    fn new(kind: Kind) -> Self {
        let dir = here_and_there();
        let towd = Towd::start(&dir.path().join("there"), &dir.path().join("state of towd"), &[]);
        let crossed = Arc::default();
        join(dir.path().join("state of towd/socket"), &dir.path().join("line"), kind, &crossed);
        Self { dir, _towd: towd, crossed }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    /// What was said, and what crossed the line meanwhile.
    fn tow(&self, words: &[&str]) -> (Output, Crossed) {
        let target = format!("unix:{}?path=", self.at("line").display());
        let mut tow = Command::new(env!("CARGO_BIN_EXE_tow"));
        tow.args(words.iter().map(|word| word.replace("{S}", &target)));
        tow.current_dir(self.at("here")).env("TOW_STATE_DIR", self.at("state")).env("LANG", "C.UTF-8");
        *self.crossed.lock().unwrap() = Crossed::default();
        let output = tow.stdin(Stdio::null()).output().unwrap();
        (output, self.crossed.lock().unwrap().clone())
    }
}

/// Passes each connection to `socket` on to `to`.
fn join(to: PathBuf, socket: &Path, kind: Kind, crossed: &Arc<Mutex<Crossed>>) {
    let listener = UnixListener::bind(socket).unwrap();
    let crossed = crossed.clone();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (client, server) = (client.unwrap(), UnixStream::connect(&to).unwrap());
            for is_up in [true, false] {
                let (from, to) = if is_up { (&client, &server) } else { (&server, &client) };
                let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                let crossed = crossed.clone();
                std::thread::spawn(move || pass_on(from, to, is_up, kind, &crossed));
            }
        }
    });
}

fn pass_on(mut from: UnixStream, mut to: UnixStream, is_up: bool, kind: Kind, crossed: &Mutex<Crossed>) {
    let mut preamble = [0; PREAMBLE_BYTES];
    if from.read_exact(&mut preamble).is_ok() && to.write_all(&preamble).is_ok() {
        let mut buffer = vec![0; STEP_BYTES];
        let (mut decoder, mut is_begun) = (Decoder::new(), false);
        decoder.allow_frames_up_to(1 << 20);
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            if let Some(rate) = kind.bytes_per_second {
                std::thread::sleep(Duration::from_secs(1) * read as u32 / rate);
            }
            decoder.push(&buffer[..read]);
            let mut said = Vec::new();
            {
                let mut crossed = crossed.lock().unwrap();
                crossed.bytes += read as u64;
                while let Some((greeting, needs)) = next(&mut decoder, is_up, kind.without) {
                    said.extend(greeting.into_iter().flatten());
                    if let Some(needs) = needs {
                        *crossed.needing.entry(needs).or_default() += 1;
                    }
                }
            }
            // The first frame is passed on as it was changed, the others as they came.
            let passed = if is_begun { &buffer[..read] } else { &said };
            is_begun |= !said.is_empty();
            if to.write_all(passed).is_err() {
                break;
            }
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

/// The next frame: of a greeting its bytes without what the other side is not to hear of, and which capability a frame needs.
fn next(
    decoder: &mut Decoder,
    is_up: bool,
    without: &[&str],
) -> Option<(Option<Vec<u8>>, Option<&'static str>)> {
    let stays = |capability: &Capability| !without.contains(&capability.as_str());
    if is_up {
        let incoming = decoder.next_to_server().unwrap()?;
        let mut message = incoming.message.unwrap();
        let ToServer::Session(Session::Hello(hello)) = &mut message else {
            return Some((None, needed_by_client(&message)));
        };
        hello.capabilities.retain(stays);
        let frame = encode_to_server(incoming.id, &message).unwrap();
        Some((Some([&frame.head[..], &frame.data[..]].concat()), None))
    } else {
        let incoming = decoder.next_answer().unwrap()?;
        let mut message = incoming.message.unwrap();
        let Answer::Welcome(welcome) = &mut message else {
            return Some((None, needed_by_server(&message)));
        };
        welcome.capabilities.retain(stays);
        let frame = encode_answer(incoming.id, &message).unwrap();
        Some((Some([&frame.head[..], &frame.data[..]].concat()), None))
    }
}

const fn needed_by_client(message: &ToServer) -> Option<&'static str> {
    match message {
        ToServer::Session(Session::Packed(_)) => Some(Capability::ZSTD),
        ToServer::Request(Request::Blocks(_)) => Some(Capability::BLOCKS),
        ToServer::Request(Request::BeginUpload(begin)) if begin.basis.is_some() => Some(Capability::BLOCKS),
        ToServer::Request(Request::Read(read)) if read.holes => Some(Capability::HOLES),
        ToServer::Input(Input::UploadSpan(span)) => Some(match span.of {
            SpanOf::Basis => Capability::BLOCKS,
            SpanOf::Zeros => Capability::HOLES,
        }),
        ToServer::Request(Request::ReadMetadata(_) | Request::SetMetadata(_)) => Some(Capability::METADATA),
        ToServer::Request(Request::Put(put)) if put.store.metadata.is_some() => Some(Capability::METADATA),
        ToServer::Request(Request::BeginUpload(begin)) if begin.store.metadata.is_some() => {
            Some(Capability::METADATA)
        }
        ToServer::Request(Request::MakeLink(link)) if link.metadata.is_some() => Some(Capability::METADATA),
        ToServer::Request(Request::Copy(copy)) if copy.preserve => Some(Capability::METADATA),
        ToServer::Request(Request::Remove(remove)) if remove.aside => Some(Capability::ASIDE),
        _ => None,
    }
}

const fn needed_by_server(message: &Answer) -> Option<&'static str> {
    match message {
        Answer::Packed(_) => Some(Capability::ZSTD),
        Answer::BlockHashes(_) => Some(Capability::BLOCKS),
        Answer::Hole(_) => Some(Capability::HOLES),
        Answer::Metadata(_) | Answer::MetadataSet(_) => Some(Capability::METADATA),
        _ => None,
    }
}

/// Bytes that repeat nowhere near.
fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

const LARGE_BYTES: usize = 9_000_001;
const COMMENT: &str = "user.comment";
const SPARSE_BYTES: u64 = 32 << 20;

/// A tree of all that a side may have to say in another way, and at its place an older one of a part of it.
fn fill(world: &World, tree: &str, older: &str) {
    let at = |path: &str| world.at(tree).join(path);
    fs::create_dir_all(at("sub/empty")).unwrap();
    fs::write(at("small"), "small").unwrap();
    // Some file systems have no such attributes.
    let _ = rustix::fs::setxattr(at("small"), COMMENT, b"kept", XattrFlags::empty());
    fs::write(at("sub/text"), "what repeats gets smaller, ".repeat(400_000)).unwrap();
    symlink("small", at("link")).unwrap();
    let mut large = noise(LARGE_BYTES, 1);
    fs::create_dir_all(world.at(older)).unwrap();
    fs::write(world.at(older).join("large"), &large).unwrap();
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    File::open(world.at(older).join("large")).unwrap().set_modified(long_ago).unwrap();
    large[5_000_000] ^= 1;
    fs::write(at("large"), &large).unwrap();
    let sparse = File::create(at("sparse")).unwrap();
    sparse.set_len(SPARSE_BYTES).unwrap();
    for offset in [0, SPARSE_BYTES / 2, SPARSE_BYTES - 5000] {
        sparse.write_all_at(&noise(5000, offset), offset).unwrap();
    }
}

fn has_comment(tree: &Path) -> bool {
    rustix::fs::getxattr(tree.join("small"), COMMENT, &mut [0; 16][..]).is_ok()
}

/// Every file and link below a folder, and what it holds.
fn content(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    fn collect(top: &Path, folder: &Path, all: &mut BTreeMap<PathBuf, Vec<u8>>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(top).unwrap().to_owned();
            if path.is_symlink() {
                all.insert(name, fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes());
            } else if path.is_dir() {
                all.insert(name, Vec::new());
                collect(top, &path, all);
            } else {
                all.insert(name, blake3::hash(&fs::read(&path).unwrap()).as_bytes().to_vec());
            }
        }
    }
    let mut all = BTreeMap::new();
    collect(folder, folder, &mut all);
    all
}

#[test]
fn a_side_that_is_older_gets_what_it_knows_and_all_of_it_arrives() {
    let mut lines: Vec<&'static [&'static str]> = vec![&[], &CAPABILITIES];
    lines.extend(CAPABILITIES.iter().map(std::slice::from_ref));
    for without in lines {
        // Slow enough for packing to be worth it.
        let world = World::new(Kind { without, bytes_per_second: Some(10_000_000) });
        for (words, from, to) in [
            (
                ["put", "--json", "-T", "--preserve", "--overwrite", "always", "tree", "{S}copy"],
                "here/tree",
                "there/copy",
            ),
            (
                ["get", "--json", "-T", "--preserve", "--overwrite", "always", "{S}tree", "copy"],
                "there/tree",
                "here/copy",
            ),
        ] {
            fill(&world, from, to);
            let (output, crossed) = world.tow(&words);
            let name = format!("{} without {without:?}: {output:?} {crossed:?}", words[0]);
            assert_eq!(output.status.code(), Some(0), "{name}");
            assert_eq!(content(&world.at(to)), content(&world.at(from)), "{name}");
            let lacks = |capability: &str| without.contains(&capability);
            for capability in CAPABILITIES {
                assert_eq!(
                    crossed.needing.contains_key(capability),
                    !lacks(capability),
                    "{name}: {capability}"
                );
            }
            let done: Value = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!(done["saved"].as_u64() > Some(0), !lacks(Capability::BLOCKS), "{name}");
            let told = String::from_utf8_lossy(&output.stderr).contains("is too old for that");
            assert_eq!(told, lacks(Capability::METADATA), "{name}");
            if has_comment(&world.at(from)) {
                assert_eq!(has_comment(&world.at(to)), !lacks(Capability::METADATA), "{name}");
            }
            // The repeat finds it all there, where it is not to be sent again whatever is there.
            let (again, _) = world.tow(&words.map(|word| if word == "always" { "newer" } else { word }));
            let done: Value = serde_json::from_slice(&again.stdout).unwrap();
            assert_eq!((again.status.code(), done["files"].as_u64()), (Some(0), Some(0)), "{name} {again:?}");
        }
    }
}

/// A file that may be reached by two paths is removed only by a server that can set it aside.
#[test]
fn f80_beside_an_older_side_a_source_goes_where_its_copy_is_new_and_else_stays() {
    for without in [&[][..], &[Capability::ASIDE]] {
        let world = World::new(Kind { without, bytes_per_second: None });
        for (from, to, words) in [
            ("here", "there", ["mv", "--overwrite", "always", "new", "same", "{S}"]),
            ("there", "here", ["mv", "--overwrite", "always", "{S}new", "{S}same", "."]),
        ] {
            for name in ["new", "same"] {
                fs::write(world.at(from).join(name), "precious").unwrap();
                let _ = fs::remove_file(world.at(to).join(name));
            }
            fs::write(world.at(to).join("same"), "older").unwrap();
            let (output, crossed) = world.tow(&words);
            let name = format!("{from} without {without:?}: {output:?}");
            let (is_old, is_source) = (!without.is_empty(), from == "there");
            assert_eq!(fs::read(world.at(to).join("new")).unwrap(), b"precious", "{name}");
            assert_eq!(fs::read(world.at(to).join("same")).unwrap(), b"precious", "{name}");
            assert_eq!(content(&world.at(from)).len(), usize::from(is_old), "{name}");
            assert_eq!(output.status.code(), Some(i32::from(is_old)), "{name}");
            assert_eq!(crossed.needing.contains_key(Capability::ASIDE), !is_old && is_source, "{name}");
            assert_eq!(String::from_utf8_lossy(&output.stderr).contains("too old"), is_old, "{name}");
            let _ = fs::remove_file(world.at(from).join("same"));
        }
    }
}

#[test]
fn what_does_not_get_smaller_crosses_a_slow_line_as_it_is() {
    let world = World::new(Kind { without: &[], bytes_per_second: Some(20_000_000) });
    let noise = noise(16 << 20, 2);
    let text = "what repeats gets smaller, ".repeat((16 << 20) / 27);
    for (name, content, is_packed) in [("noise", &noise[..], false), ("text", text.as_bytes(), true)] {
        fs::write(world.at("here").join(name), content).unwrap();
        let back = format!("back of {name}");
        for (words, copy) in [
            (vec!["put", name, "{S}"], world.at("there").join(name)),
            (vec!["get", &format!("{{S}}{name}"), &back], world.at("here").join(&back)),
        ] {
            let (output, crossed) = world.tow(&words);
            assert!(output.status.success(), "{output:?}");
            assert!(fs::read(copy).unwrap() == content, "{words:?}");
            let packed = crossed.needing.get(Capability::ZSTD).copied().unwrap_or_default();
            assert_eq!(packed > 0, is_packed, "{words:?}: {packed} packed frames");
            assert_eq!(
                crossed.bytes >= content.len() as u64,
                !is_packed,
                "{words:?}: {} bytes",
                crossed.bytes
            );
            // A word for each 64 KiB, and some more.
            assert!(crossed.bytes < content.len() as u64 + 200_000, "{words:?}: {} bytes", crossed.bytes);
        }
    }
}
