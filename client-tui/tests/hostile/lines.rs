//! A line that damages what it carries: between the real `tow` and the real `towd`, over TLS and over a plain socket, it flips, drops,
//! repeats or cuts bytes somewhere, in either direction.

use std::cell::Cell;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tempfile::TempDir;

use super::memory::{Ended, MEMORY_KIB_MAX, run};
use super::towd::Towd;

/// After the damage, a line on which nothing moves for so long is cut: else the programs would wait for the rest, as they should.
const QUIET: Duration = Duration::from_millis(300);
/// Tries of each kind of damage, over each kind of line.
const TRIES: u64 = 6;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Damage {
    None,
    Flip,
    Drop,
    Repeat,
    Cut,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    ToServer,
    ToClient,
}

/// Where it happens: so many bytes into one direction.
#[derive(Debug, Clone, Copy)]
struct Plan {
    damage: Damage,
    way: Way,
    at: u64,
}

trait Stream: Read + Write + Send + Sync + Sized + 'static {
    fn second(&self) -> Self;
    fn close(&self);
    fn be_quick(&self);
}

macro_rules! stream {
    ($type:ty) => {
        impl Stream for $type {
            fn second(&self) -> Self {
                self.try_clone().unwrap()
            }
            fn close(&self) {
                let _ = self.shutdown(Shutdown::Both);
            }
            fn be_quick(&self) {
                let _ = self.set_read_timeout(Some(QUIET));
            }
        }
    };
}
stream!(TcpStream);
stream!(UnixStream);

/// Bytes that went each way.
type Moved = Arc<[AtomicU64; 2]>;

/// Carries one connection until one side ends it, with one damage.
fn carry<S: Stream>(client: &S, server: &S, plan: Plan, moved: &Moved) {
    std::thread::scope(|scope| {
        for (way, from, to) in [(Way::ToServer, client, server), (Way::ToClient, server, client)] {
            let plan = Plan { damage: if plan.way == way { plan.damage } else { Damage::None }, ..plan };
            scope.spawn(move || {
                let _ = one_way(from, to, plan, &moved[way as usize]);
                from.close();
                to.close();
            });
        }
    });
}

fn one_way<S: Stream>(from: &S, to: &S, plan: Plan, moved: &AtomicU64) -> io::Result<()> {
    let (mut reader, mut writer) = (from.second(), to.second());
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = reader.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        let before = moved.fetch_add(read as u64, Ordering::Relaxed);
        let here = plan.at.checked_sub(before).filter(|here| *here < read as u64).map(|here| here as usize);
        let mut bytes = buffer[..read].to_vec();
        let Some(here) = here.filter(|_| plan.damage != Damage::None) else {
            writer.write_all(&bytes)?;
            continue;
        };
        let end = (here + 7).min(read);
        match plan.damage {
            Damage::None => {}
            Damage::Flip => bytes[here] ^= 1 << (plan.at % 8),
            Damage::Drop => drop(bytes.drain(here..end)),
            Damage::Repeat => {
                let again = bytes[here..end].to_vec();
                bytes.splice(here..here, again);
            }
            Damage::Cut => {
                writer.write_all(&bytes[..here])?;
                return Ok(());
            }
        }
        writer.write_all(&bytes)?;
        from.be_quick();
        to.be_quick();
    }
}

/// A served tree, a server, a folder of the client's, and a line between them.
struct World {
    dir: TempDir,
    towd: Towd,
    is_tls: bool,
    copies: Cell<usize>,
}

const FILES: usize = 12;
const LARGE_BYTES: usize = 400_000;

impl World {
    fn new(is_tls: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["served/docs", "here/docs", "outside"] {
            let folder = dir.path().join(folder);
            fs::create_dir_all(&folder).unwrap();
            if folder.ends_with("docs") {
                fill(&folder);
            }
        }
        let (root, state) = (dir.path().join("served"), dir.path().join("towd"));
        let towd = if is_tls { Towd::start_tls(&root, &state, &[]) } else { Towd::start(&root, &state, &[]) };
        let world = Self { dir, towd, is_tls, copies: Cell::default() };
        if is_tls {
            let code = world.towd.code();
            let ended = run(world.tow().env("TOW_PAIR", code).args(["ls", &world.towd.target("")]));
            assert!(ended.status.success(), "{}", ended.said());
        }
        world
    }

    fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    fn tow(&self) -> Command {
        let mut tow = Command::new(env!("CARGO_BIN_EXE_tow"));
        tow.current_dir(self.path("here")).env("TOW_STATE_DIR", self.path("state")).env_remove("TOW_PAIR");
        tow
    }

    /// A line for one connection; the target behind it.
    fn line(&self, plan: Plan, moved: Moved) -> String {
        if self.is_tls {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap().to_string();
            // Known by its key, at whatever address.
            let known = self.path("state/client/known_servers");
            let text = fs::read_to_string(&known).unwrap();
            fs::write(known, format!("{text}{address} {}\n", self.towd.fingerprint())).unwrap();
            let server = self.towd.address().to_owned();
            std::thread::spawn(move || {
                let client = listener.accept().unwrap().0;
                carry(&client, &TcpStream::connect(server).unwrap(), plan, &moved);
            });
            return format!("tow://{address}/");
        }
        let front = self.path("line");
        let _ = fs::remove_file(&front);
        let listener = UnixListener::bind(&front).unwrap();
        let server = self.path("towd/socket");
        std::thread::spawn(move || {
            let client = listener.accept().unwrap().0;
            carry(&client, &UnixStream::connect(server).unwrap(), plan, &moved);
        });
        format!("unix:{}?path=", front.display())
    }

    /// Copies `docs` over a line, down or up, to a place where nothing is and was: a server that was cut off may still be at work at the
    /// last one. How that ended, the copy, and the bytes moved.
    fn copy(&self, is_upload: bool, plan: Plan) -> (Ended, PathBuf, [u64; 2]) {
        let moved = Moved::default();
        let target = self.line(plan, moved.clone());
        let copy = format!("copy{}", self.copies.replace(self.copies.get() + 1));
        let ended = if is_upload {
            run(self.tow().args(["put", "docs", &format!("{target}{copy}")]))
        } else {
            run(self.tow().args(["get", &format!("{target}docs"), &copy]))
        };
        let copy = self.path(if is_upload { "served" } else { "here" }).join(copy);
        (ended, copy, [moved[0].load(Ordering::Relaxed), moved[1].load(Ordering::Relaxed)])
    }

    fn check(&self, ended: &Ended, copy: &Path, plan: Plan) {
        let said = format!("{plan:?}, {:?}: {}", ended.status.code(), ended.said());
        assert!(ended.status.code().is_some() && !ended.said().contains("panicked"), "{said}");
        assert!(ended.held_kib < MEMORY_KIB_MAX, "{said}: {} KiB", ended.held_kib);
        assert!(ended.status.success() || ended.said().starts_with("tow: "), "{said}");
        assert_eq!(fs::read_dir(self.path("outside")).unwrap().count(), 0, "{said}");
        for folder in ["served", "here"] {
            for entry in fs::read_dir(self.path(folder)).unwrap() {
                let name = entry.unwrap().file_name();
                let is_ours = name == "docs" || name.to_string_lossy().starts_with("copy");
                assert!(is_ours || !self.is_tls, "{said}: {}", name.display());
            }
        }
        if !self.is_tls {
            return;
        }
        let whole = tree();
        let mut arrived = 0;
        for entry in fs::read_dir(copy).into_iter().flatten().map(|entry| entry.unwrap()) {
            let name = entry.file_name().into_string().unwrap();
            // A server that was cut off removes its part when it notices.
            if name.starts_with(".towpath-part-") && copy.starts_with(self.path("served")) {
                continue;
            }
            let (_, content) = whole
                .iter()
                .find(|(known, _)| *known == name)
                .unwrap_or_else(|| panic!("{said}: {name} is no name of theirs"));
            assert!(fs::read(entry.path()).unwrap() == *content, "{said}: {name} is damaged");
            arrived += 1;
        }
        assert!(!ended.status.success() || arrived == whole.len(), "{said}: {arrived} arrived");
    }
}

fn tree() -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> =
        (0..FILES).map(|file| (format!("small{file}"), vec![file as u8; 500 * file])).collect();
    files.push(("large".to_owned(), (0..LARGE_BYTES).map(|byte| (byte % 251) as u8).collect()));
    files
}

fn fill(folder: &Path) {
    for (name, content) in tree() {
        fs::write(folder.join(name), content).unwrap();
    }
}

fn damage_everything(is_tls: bool) {
    let world = World::new(is_tls);
    let mut dice = 0x9e37_79b9_7f4a_7c15_u64;
    let mut failed = 0;
    for is_upload in [false, true] {
        let sound = Plan { damage: Damage::None, way: Way::ToServer, at: 0 };
        let (ended, copy, all) = world.copy(is_upload, sound);
        assert!(ended.status.success(), "{}", ended.said());
        world.check(&ended, &copy, sound);
        for damage in [Damage::Flip, Damage::Drop, Damage::Repeat, Damage::Cut] {
            for n in 0..TRIES {
                let way = if n % 2 == 0 { Way::ToServer } else { Way::ToClient };
                dice ^= dice << 13;
                dice ^= dice >> 7;
                dice ^= dice << 17;
                // Half of them in the first bytes, where everything is negotiated.
                let within = if n % 4 < 2 { all[way as usize] } else { 2000 };
                let plan = Plan { damage, way, at: dice % within };
                let (ended, copy, _) = world.copy(is_upload, plan);
                failed += u64::from(!ended.status.success());
                world.check(&ended, &copy, plan);
            }
        }
    }
    assert!(failed > TRIES, "hardly any damage was noticed");
}

#[test]
fn f65_bytes_that_are_damaged_on_an_encrypted_line_end_it_and_nothing_wrong_arrives() {
    damage_everything(true);
}

#[test]
fn bytes_that_are_damaged_on_a_plain_line_harm_nobody() {
    damage_everything(false);
}
