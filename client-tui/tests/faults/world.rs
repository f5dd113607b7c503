//! A local folder and a served one, what is to be carried, and what may be found afterwards.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use towpath::link::Link;
use towpath_files::root::RootSpec;
use towpath_files::service::{Service, ServiceConfig, StoreLimits};
use towpath_protocol::entry::Kind;
use towpath_protocol::hello::Access;
use towpath_protocol::path::WirePath;
use towpath_protocol::request::{Direction, Hidden, SortKey};

use crate::towd::Towd;

/// Longer than anything here takes on a busy machine; only so that a fault ends a test and does not hang it.
const PATIENCE: Duration = Duration::from_mins(15);
pub(crate) const PART: &str = ".towpath-part-";

/// What there is below a folder: files by their content, links by their target.
pub(crate) type Tree = BTreeMap<PathBuf, Thing>;

#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Thing {
    File(Vec<u8>),
    Link(PathBuf),
    Folder,
}

pub(crate) struct World {
    dir: TempDir,
}

/// How many kills of each kind.
pub(crate) fn rounds(short: usize) -> usize {
    std::env::var("TOWPATH_FAULT_ROUNDS").map_or(short, |rounds| rounds.parse().unwrap())
}

/// Whether this is the long form.
pub(crate) fn is_long() -> bool {
    std::env::var_os("TOWPATH_FAULT_ROUNDS").is_some()
}

pub(crate) fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// From 0 to 1, another one for each seed.
pub(crate) fn fraction(seed: u64) -> f64 {
    f64::from(u32::from_le_bytes(noise(4, seed ^ 0x5eed).try_into().unwrap())) / f64::from(u32::MAX)
}

impl World {
    /// A tree at `local/tree`, and older copies of some of it at `served/in/tree` and `local/in/tree`.
    pub(crate) fn new(small_files: usize, large_bytes: usize) -> Self {
        let world = Self { dir: tempfile::tempdir().unwrap() };
        fill(&world.at("local"), small_files, large_bytes);
        for side in ["served/in/tree", "local/in/tree"] {
            let old = world.at(side);
            fs::create_dir_all(old.join("1")).unwrap();
            for name in ["large", "1/1"] {
                fs::write(old.join(name), "an older one").unwrap();
            }
        }
        world
    }

    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    pub(crate) fn serve(&self) -> Towd {
        Towd::start(&self.at("served"), &self.at("state of towd"), &["--limit", "disk_reserve_bytes=0"])
    }

    /// `tow WORDS`, in the local folder.
    pub(crate) fn tow(&self, words: &[&str]) -> Command {
        self.tow_under(&[], words)
    }

    /// As [`tow`](Self::tow), started by another program.
    pub(crate) fn tow_under(&self, other: &[&str], words: &[&str]) -> Command {
        let mut line = other.iter().copied().chain([env!("CARGO_BIN_EXE_tow")]).chain(words.iter().copied());
        let mut command = Command::new(line.next().unwrap());
        command
            .args(line)
            .current_dir(self.at("local"))
            .env("TOW_STATE_DIR", self.at("state"))
            .env("LANG", "C.UTF-8")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(&self, words: &[&str]) -> Output {
        ended(self.tow(words).spawn().unwrap())
    }
}

/// Makes `tree` in a folder, the same each time.
pub(crate) fn fill(folder: &Path, small_files: usize, large_bytes: usize) {
    let tree = folder.join("tree");
    fs::create_dir_all(&tree).unwrap();
    for number in 0..small_files {
        let folder = tree.join((number % 4).to_string());
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(number.to_string()), noise(number * 301, number as u64)).unwrap();
    }
    fs::write(tree.join("large"), noise(large_bytes, 1000)).unwrap();
    // A hole between two pieces of data.
    let mut sparse = fs::File::create(tree.join("sparse")).unwrap();
    sparse.write_all(&noise(5000, 1001)).unwrap();
    sparse.seek(SeekFrom::Start(large_bytes as u64 / 4)).unwrap();
    sparse.write_all(&noise(5000, 1002)).unwrap();
    fs::create_dir_all(tree.join("nothing in it")).unwrap();
    let _ = symlink("large", tree.join("link"));
}

/// An older one of a large file: every second MiB of it is another.
pub(crate) fn older(file: &Path) -> Vec<u8> {
    let mut content = fs::read(file).unwrap();
    for piece in content.chunks_mut(1 << 20).step_by(2) {
        for byte in piece {
            *byte = !*byte;
        }
    }
    content
}

/// A service of a folder, in this process.
pub(crate) fn service(root: &Path, limits: StoreLimits) -> Arc<Service> {
    let root = RootSpec::Jailed(root.to_owned());
    let config = ServiceConfig { root, access: Access::ReadWrite, home: WirePath::root() };
    Arc::new(Service::with_limits(config, limits).unwrap())
}

/// Parts that a listing or a walk shows of what is below a folder. There must be none.
pub(crate) async fn shown_parts(root: &Path) -> Vec<String> {
    let all = look_at_all(Link::in_process(service(root, StoreLimits::default()))).await;
    all.into_iter().map(|path| path.display()).filter(|path| path.contains(PART)).collect()
}

/// Looks at all folders as one does that keeps no part.
pub(crate) async fn sweep(root: &Path) {
    let limits = StoreLimits { parts_kept: Duration::ZERO, ..StoreLimits::default() };
    look_at_all(Link::in_process(service(root, limits))).await;
}

/// What a sweep leaves of what is unfinished. A link that was just made may be on its way, and is nobody's only later.
pub(crate) fn swept(root: &Path) -> Vec<PathBuf> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(sweep(root));
    let left =
        tree(root).into_iter().filter(|(path, thing)| is_part(path) && !matches!(thing, Thing::Link(_)));
    left.map(|(path, _)| path).collect()
}

/// Everything below a root, by listings alone.
async fn look_at_all(link: Link) -> Vec<WirePath> {
    let (mut folders, mut found) = (vec![WirePath::root()], Vec::new());
    while let Some(folder) = folders.pop() {
        let mut listing = link.list(&folder, SortKey::Name, Direction::Ascending, Hidden::Shown);
        while let Some(page) = listing.next_page().await.unwrap() {
            for entry in page.entries {
                let path = folder.join(&entry.name).unwrap();
                if entry.attributes.kind == Kind::Folder {
                    folders.push(path.clone());
                }
                found.push(path);
            }
        }
    }
    found
}

/// Waits for its end.
pub(crate) fn ended(child: Child) -> Output {
    ended_within(PATIENCE, child)
}

pub(crate) fn ended_within(patience: Duration, mut child: Child) -> Output {
    let deadline = Instant::now() + patience;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() >= deadline {
            let _ = child.kill();
            panic!("it does not end: {:?}", child.wait_with_output());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    child.wait_with_output().unwrap()
}

pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

pub(crate) fn tree(folder: &Path) -> Tree {
    let mut found = Tree::new();
    collect(folder, folder, &mut found);
    found
}

fn collect(top: &Path, folder: &Path, found: &mut Tree) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        // One that vanishes meanwhile is none.
        let (path, Ok(kind)) = (entry.path(), entry.file_type()) else { continue };
        let thing = if kind.is_dir() {
            collect(top, &path, found);
            Ok(Thing::Folder)
        } else if kind.is_symlink() {
            fs::read_link(&path).map(Thing::Link)
        } else {
            fs::read(&path).map(Thing::File)
        };
        if let Ok(thing) = thing {
            found.insert(path.strip_prefix(top).unwrap().to_owned(), thing);
        }
    }
}

pub(crate) fn is_part(path: &Path) -> bool {
    path.file_name().unwrap().to_string_lossy().starts_with(PART)
}

/// Unfinished files below a folder.
pub(crate) fn parts(folder: &Path) -> Vec<PathBuf> {
    tree(folder).into_keys().filter(|path| is_part(path)).collect()
}

/// Each file is the old one, the new one, or absent where there was none; and nothing else is there but parts.
pub(crate) fn check_between(folder: &Path, old: &Tree, new: &Tree, what: &str) {
    let found = tree(folder);
    for (path, thing) in found.iter().filter(|(path, _)| !is_part(path)) {
        let is_one = old.get(path) == Some(thing) || new.get(path) == Some(thing);
        assert!(is_one, "{what}: {} is neither the old one nor the new one", path.display());
    }
    for path in old.keys() {
        assert!(found.contains_key(path), "{what}: {} is gone", path.display());
    }
}

/// All is there, and nothing else but parts.
pub(crate) fn check_whole(folder: &Path, new: &Tree, what: &str) {
    let mut found = tree(folder);
    found.retain(|path, _| !is_part(path));
    for (path, thing) in new {
        assert!(found.get(path) == Some(thing), "{what}: {} did not arrive", path.display());
    }
    assert_eq!(found.len(), new.len(), "{what}: {:?}", found.keys());
}

/// Each line of an error says who speaks, and none is a panic.
pub(crate) fn check_words(output: &Output, what: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    for line in said.lines() {
        assert!(line.starts_with("tow: ") && !line.contains("panicked"), "{what}: {said}");
    }
    assert!(output.status.success() || !said.is_empty(), "{what}: it failed without a word");
}
