//! A large file whose copy is cut off by a kill, of the client or of the server, goes on where it was when the same command is given
//! again; and never with what another file left.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant, SystemTime};

use rustix::fs::FlockOperation;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::towd::Towd;
use crate::{Way, here_and_there};

const PATIENCE: Duration = Duration::from_mins(1);
/// So much that there is time to kill somebody after the first of it.
const BYTES: usize = 160 << 20;
const CUT_AFTER_BYTES: u64 = 24 << 20;

struct World {
    dir: TempDir,
    /// None where it was killed.
    towd: Option<Towd>,
}

impl World {
    fn new() -> Self {
        let dir = here_and_there();
        let towd = Some(serve(dir.path(), &[]));
        Self { dir, towd }
    }

    /// Where the file comes from and where it goes, for the test and for `tow`.
    fn paths(&self, way: Way) -> [PathBuf; 2] {
        way.paths(self.dir.path())
    }

    fn target(&self, path: &str) -> String {
        format!("unix:{}?path={path}", self.dir.path().join("state of towd/socket").display())
    }

    fn tow(&self, way: Way) -> Command {
        let here = self.dir.path().join("here/file");
        let there = self.target("file");
        let mut tow = Command::new(env!("CARGO_BIN_EXE_tow"));
        tow.env("TOW_STATE_DIR", self.dir.path().join("state")).stdin(Stdio::null());
        match way {
            Way::Up => tow.args(["put", "--json"]).arg(here).arg(there),
            Way::Down => tow.args(["get", "--json"]).arg(there).arg(here),
        };
        tow
    }

    fn kill_server(&mut self) {
        self.towd.take().unwrap().kill();
    }

    fn restart_server(&mut self, limits: &[&str]) {
        self.towd = Some(serve(self.dir.path(), limits));
    }

    /// Runs it again, to its end: what it said, and how much it had not to move again.
    fn run(&self, way: Way) -> (Output, u64) {
        let output = self.tow(way).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let done = said.lines().last().unwrap_or_default();
        let done: serde_json::Value = serde_json::from_str(done).unwrap_or_default();
        let resumed = done["resumed"].as_u64().unwrap_or_default();
        (output, resumed)
    }
}

fn serve(dir: &Path, limits: &[&str]) -> Towd {
    let limits = [&["--limit", "disk_reserve_bytes=0"], limits].concat();
    Towd::start(&dir.join("there"), &dir.join("state of towd"), &limits)
}

/// Bytes that no other seed has, and no other place.
fn noise(seed: u64) -> Vec<u8> {
    let mut content = vec![0; BYTES];
    for (index, piece) in content.chunks_mut(4096).enumerate() {
        piece[..8].copy_from_slice(&seed.to_le_bytes());
        piece[8..16].copy_from_slice(&index.to_le_bytes());
    }
    content
}

fn write(path: &Path, content: &[u8], modified: SystemTime) {
    fs::write(path, content).unwrap();
    File::options().write(true).open(path).unwrap().set_modified(modified).unwrap();
}

fn parts(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(".towpath-part-")).collect()
}

/// Waits until a part holds so much, and gives it.
fn wait_for_part(folder: &Path) -> PathBuf {
    let began = Instant::now();
    loop {
        let is_far = |path: &PathBuf| fs::metadata(path).is_ok_and(|part| part.len() > CUT_AFTER_BYTES);
        if let Some(part) = parts(folder).into_iter().find(is_far) {
            return part;
        }
        assert!(began.elapsed() < PATIENCE, "nothing arrives in {}", folder.display());
    }
}

/// Waits until nobody is at the part any more: a server notices that its client is gone.
fn wait_until_left(part: &Path) {
    let began = Instant::now();
    loop {
        let file = File::open(part).unwrap();
        if rustix::fs::flock(file.as_fd(), FlockOperation::NonBlockingLockExclusive).is_ok() {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "somebody is still at the part");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Copies until the cut, and gives what is left of it.
fn cut(world: &mut World, way: Way, kill_server: bool) -> PathBuf {
    let [_, to] = world.paths(way);
    let mut tow = world.tow(way).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let part = wait_for_part(to.parent().unwrap());
    if kill_server {
        world.kill_server();
        let status = tow.wait().unwrap();
        assert!(matches!(status.code(), Some(1 | 3)), "{status}");
    } else {
        tow.kill().unwrap();
        tow.wait().unwrap();
    }
    assert!(!to.exists(), "half a file has the name of a whole one");
    assert!(fs::metadata(&part).unwrap().len() < BYTES as u64, "it was cut off too late to show anything");
    wait_until_left(&part);
    part
}

#[test]
fn a_copy_that_was_killed_goes_on_where_it_was_and_is_verified_whole() {
    let content = noise(1);
    for way in [Way::Up, Way::Down] {
        for kill_server in [false, true] {
            let mut world = World::new();
            let [from, to] = world.paths(way);
            write(&from, &content, SystemTime::now());
            let part = cut(&mut world, way, kill_server);
            let left = fs::metadata(&part).unwrap().len();
            if kill_server {
                world.restart_server(&[]);
            }
            let (output, resumed) = world.run(way);
            let what = format!("{way:?}, server killed: {kill_server}: {output:?}");
            assert!(output.status.success(), "{what}");
            assert!(
                resumed + (4 << 20) > left && resumed <= left,
                "{resumed} of {left} bytes went on; {what}"
            );
            assert!(fs::read(&to).unwrap() == content, "{what}");
            assert_eq!(parts(to.parent().unwrap()), Vec::<PathBuf>::new(), "{what}");
        }
    }
}

#[test]
fn what_another_source_left_is_never_mixed_in() {
    let (first, second) = (noise(1), noise(2));
    for way in [Way::Up, Way::Down] {
        let mut world = World::new();
        let [from, to] = world.paths(way);
        let modified = SystemTime::now();
        write(&from, &first, modified);
        cut(&mut world, way, false);
        // As like the first as it can be without being it.
        write(&from, &second, modified);
        let (output, resumed) = world.run(way);
        assert!(output.status.success(), "{way:?}: {output:?}");
        assert_eq!(resumed, 0, "{way:?}");
        assert!(fs::read(&to).unwrap() == second, "{way:?}");
        assert_eq!(parts(to.parent().unwrap()), Vec::<PathBuf>::new(), "{way:?}");
    }
}

#[test]
fn an_interrupted_copy_goes_on_too_and_what_waits_is_not_listed() {
    let mut world = World::new();
    let [from, to] = world.paths(Way::Up);
    write(&from, &noise(1), SystemTime::now());
    cut(&mut world, Way::Up, false);
    let (state, target) = (world.dir.path().join("state"), world.target(""));
    let list = || {
        let mut ls = Command::new(env!("CARGO_BIN_EXE_tow"));
        ls.env("TOW_STATE_DIR", &state).args(["ls", "-a"]);
        ls.arg(&target).output().unwrap()
    };
    let listed = list();
    assert!(String::from_utf8_lossy(&listed.stdout).contains("0 entries"), "{listed:?}");
    // Another file is interrupted: what is left of it is its own, and it goes on with that.
    write(&from, &noise(2), SystemTime::UNIX_EPOCH);
    let left = parts(to.parent().unwrap());
    let mut tow = world.tow(Way::Up).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let began = Instant::now();
    let is_far = |part: &PathBuf| fs::metadata(part).is_ok_and(|part| part.len() > CUT_AFTER_BYTES);
    while !parts(to.parent().unwrap()).iter().any(|part| !left.contains(part) && is_far(part)) {
        assert!(began.elapsed() < PATIENCE, "the second copy does not begin");
    }
    kill_process(Pid::from_child(&tow), Signal::INT).unwrap();
    assert_eq!(tow.wait().unwrap().code(), Some(130));
    assert_eq!(parts(to.parent().unwrap()).len(), 2);
    let (output, resumed) = world.run(Way::Up);
    assert!(output.status.success() && resumed > 0, "{resumed}: {output:?}");
    assert!(fs::read(&to).unwrap() == noise(2));
    assert_eq!(parts(to.parent().unwrap()), left);
    // Where nothing is kept, whoever looks sweeps.
    world.kill_server();
    world.restart_server(&["--limit", "parts_kept_seconds=0"]);
    assert!(list().status.success());
    assert_eq!(parts(to.parent().unwrap()), Vec::<PathBuf>::new());
}
