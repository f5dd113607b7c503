//! Somebody swaps a folder for a link to the outside, and back, as fast as the system can, while the service works in it: nothing
//! outside is changed, and nothing of it is told. Each verb, each way to name a place, links of both kinds.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use towpath_protocol::fault::Fault;
use towpath_protocol::message::{Answer, Request};
use towpath_protocol::path::{Location, WirePath};
use towpath_protocol::request::{
    BeginUpload, Blocks, Copy, Depth, Direction, Existing, Follow, Hidden, List, MakeFolder, MakeLink,
    Measure, Put, Read, Remove, Rename, SetMode, SetTimes, SortKey, Space, Stat, Walk, Wants,
};
use towpath_protocol::time::Time;

use super::world::{World, begin, below, commit, copy, make_folder, make_link, put, remove, rename};

/// Requests of each verb in each way.
const ROUNDS: usize = 500;

/// What is in the folder that is swapped: nothing that has a name outside.
const MINE: &[u8] = b"mine!";

/// How a place in the swapped folder is named.
type At = fn(&str) -> Location;

/// The folder as a part of the path, where no link is ever followed.
fn in_path(name: &str) -> Location {
    below(&format!("sub/{name}"))
}

/// The folder as the base, where links are followed as far as they stay inside.
fn in_base(name: &str) -> Location {
    Location { base: below("sub").path, path: below(name).path }
}

/// The swapped folder itself, by the same two ways.
fn folder(at: At) -> Location {
    let one = at("x");
    let path = one.path.parent().unwrap();
    Location { base: one.base, path }
}

fn name_of(verb: &str, round: usize) -> String {
    format!("{verb}{round}")
}

/// A world with `sub`, a folder, and `trap`, a link to the outside, which change places until told to stop.
struct Swapped {
    world: World,
    outside: Sentinel,
    stop: Arc<AtomicBool>,
    swapper: Option<JoinHandle<()>>,
}

impl Swapped {
    fn new(target: &str) -> Self {
        let world = World::in_memory();
        world.folder("sub/deep");
        world.write("sub/mine", MINE);
        world.write("sub/deep/mine", MINE);
        world.write("source", "source");
        let target = if target.is_empty() { world.outside() } else { PathBuf::from(target) };
        symlink(target, world.at("trap")).unwrap();
        let outside = Sentinel::of(&world.outside());
        let stop = Arc::new(AtomicBool::new(false));
        let swapper = std::thread::spawn({
            let (sub, trap, stop) = (world.at("sub"), world.at("trap"), stop.clone());
            move || {
                while !stop.load(Ordering::Relaxed) {
                    renameat_with(CWD, &sub, CWD, &trap, RenameFlags::EXCHANGE).unwrap();
                }
            }
        });
        Self { world, outside, stop, swapper: Some(swapper) }
    }

    /// All answers of a request; an upload sends its content.
    async fn ask(&self, request: Request) -> Result<Vec<Answer>, Fault> {
        let is_upload = matches!(request, Request::BeginUpload(_));
        let mut talk = self.world.open(request);
        if is_upload {
            talk.send_all(b"planted").await?;
            talk.send(commit(b"planted")).await;
        }
        let mut answers = Vec::new();
        loop {
            let answer = talk.next().await?;
            let is_final = answer.is_final();
            answers.push(answer);
            if is_final {
                return Ok(answers);
            }
        }
    }

    fn finish(mut self, verb: &str) {
        self.stop.store(true, Ordering::Relaxed);
        self.swapper.take().unwrap().join().unwrap();
        assert_eq!(self.outside, Sentinel::of(&self.world.outside()), "{verb} changed something outside");
        self.world.check();
    }
}

impl Drop for Swapped {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// All that a system says of each thing in a tree, so that no change of any kind goes unseen.
#[derive(Debug, PartialEq, Eq)]
struct Sentinel(BTreeMap<PathBuf, [i64; 7]>);

impl Sentinel {
    fn of(tree: &Path) -> Self {
        let (mut things, mut left) = (BTreeMap::new(), vec![tree.to_owned()]);
        while let Some(path) = left.pop() {
            let stat = fs::symlink_metadata(&path).unwrap();
            if stat.is_dir() {
                left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            }
            let times = (stat.mtime(), stat.mtime_nsec(), stat.ctime(), stat.ctime_nsec());
            let numbers = [stat.ino() as i64, stat.mode().into(), stat.size() as i64];
            let [inode, mode, size] = numbers;
            things.insert(path, [inode, mode, size, times.0, times.1, times.2, times.3]);
        }
        Self(things)
    }
}

/// A verb, and its requests by round.
type Verb = (&'static str, fn(usize, At) -> Request);

const CHANGES: &[Verb] = &[
    ("Put", |round, at| {
        Put { file: at(&name_of("put", round)), ..put("x", b"planted", Existing::Keep) }.into()
    }),
    ("Put over", |_, at| Put { file: at("file"), ..put("x", b"planted", Existing::Replace) }.into()),
    ("BeginUpload", |round, at| {
        BeginUpload { file: at(&name_of("upload", round)), ..begin("x", 7, Existing::Keep) }.into()
    }),
    ("BeginUpload over", |_, at| BeginUpload { file: at("file"), ..begin("x", 7, Existing::Replace) }.into()),
    ("MakeFolder", |round, at| {
        MakeFolder { folder: at(&name_of("folder", round)), ..make_folder("x", Existing::Keep) }.into()
    }),
    ("MakeFolder, joining", |_, at| {
        MakeFolder { folder: at("folder"), ..make_folder("x", Existing::Replace) }.into()
    }),
    ("MakeLink", |round, at| {
        MakeLink { link: at(&name_of("link", round)), ..make_link("x", b"target", Existing::Keep) }.into()
    }),
    ("SetMode", |_, at| SetMode { thing: at("file"), mode: 0o777 }.into()),
    ("SetTimes", |_, at| SetTimes { thing: at("file"), modified: Time::from_ns(1) }.into()),
    ("Rename from", |round, at| {
        Rename { from: at("file"), ..rename("x", &name_of("taken", round), Existing::Keep) }.into()
    }),
    ("Rename to", |_, at| Rename { to: at("file"), ..rename("source", "x", Existing::Replace) }.into()),
    ("Copy from", |round, at| {
        Copy { from: at("file"), ..copy("x", &name_of("taken", round), Existing::Keep) }.into()
    }),
    ("Copy to", |_, at| Copy { to: at("file"), ..copy("source", "x", Existing::Replace) }.into()),
    ("Remove", |_, at| Remove { thing: at("file"), ..remove("x", Depth::Single) }.into()),
    ("Remove a tree", |_, at| Remove { thing: at("folder"), ..remove("x", Depth::Tree) }.into()),
];

const LOOKS: &[Verb] = &[
    ("List", |_, at| {
        let (sort, direction, hidden) = (SortKey::Name, Direction::Ascending, Hidden::Shown);
        List { folder: folder(at), sort, direction, hidden, pages: 8 }.into()
    }),
    ("Walk", |_, at| Walk { start: folder(at), pages: 8 }.into()),
    ("Stat", |_, at| {
        let Location { base, path } = at("file");
        Stat { base, paths: vec![path], follow: Follow::No }.into()
    }),
    ("Stat, following", |_, at| {
        let paths = vec![at("file").whole().unwrap()];
        Stat { base: WirePath::root(), paths, follow: Follow::Yes }.into()
    }),
    ("Read", |_, at| {
        Read { file: at("file"), version: None, offset: 0, len: 65_536, wants: Wants::Data, holes: false }
            .into()
    }),
    ("Blocks", |_, at| {
        Blocks { file: at("file"), version: None, offset: 0, len: 16_384, block_bytes: 16_384 }.into()
    }),
    ("Measure", |_, at| Measure { things: vec![at("file"), at("folder")] }.into()),
    ("Space", |_, at| Space { path: at("file").whole().unwrap() }.into()),
];

/// How places are named, and where the link leads: in a path no link is followed, so there its target makes no difference. An empty
/// target is the outside by its absolute path.
const WAYS: [(At, &str); 3] = [(in_path, ""), (in_base, ""), (in_base, "../outside")];

#[tokio::test]
async fn f07_no_verb_changes_anything_behind_a_link_that_is_swapped_in() {
    let mut worked = 0;
    for (at, target) in WAYS {
        for (verb, request) in CHANGES {
            let swapped = Swapped::new(target);
            for round in 0..ROUNDS {
                // Many fail, each as it should.
                worked += usize::from(swapped.ask(request(round, at)).await.is_ok());
            }
            swapped.finish(verb);
        }
    }
    assert!(worked > ROUNDS, "hardly anything worked at all: {worked}");
}

/// Whether an answer tells of anything that is only outside.
fn tells(answer: &Answer) -> bool {
    match answer {
        Answer::ListPage(page) => page.entries.iter().any(|entry| is_outside(entry.name.as_bytes())),
        Answer::WalkPage(page) => page.items.iter().any(|item| is_outside(item.entry.name.as_bytes())),
        Answer::Stats(stats) => stats.items.iter().any(|item| item.0.is_ok()),
        Answer::FileWhole(_) | Answer::ReadHead(_) | Answer::BlockHashes(_) | Answer::SpaceInfo(_) => true,
        Answer::Totals(totals) => totals.files + totals.folders + totals.bytes > 0,
        _ => false,
    }
}

fn is_outside(name: &[u8]) -> bool {
    matches!(name, b"file" | b"folder")
}

#[tokio::test]
async fn f07_no_verb_tells_anything_behind_a_link_that_is_swapped_in() {
    for (at, target) in WAYS {
        for (verb, request) in LOOKS {
            let swapped = Swapped::new(target);
            for round in 0..ROUNDS {
                if let Ok(answers) = swapped.ask(request(round, at)).await {
                    assert!(!answers.iter().any(tells), "{verb} told what is outside: {answers:?}");
                }
            }
            swapped.finish(verb);
        }
    }
}

type TreeVerb = (&'static str, fn(usize) -> Request);

/// Work on a whole tree, in the middle of which a folder is swapped for a link.
const TREES: &[TreeVerb] = &[
    ("Walk", |_| Walk { start: below("tree"), pages: 8 }.into()),
    ("Measure", |_| Measure { things: vec![below("tree")] }.into()),
    ("Copy", |round| copy("tree", &name_of("taken", round), Existing::Keep).into()),
    ("Remove", |_| remove("tree", Depth::Tree).into()),
];

#[tokio::test]
async fn f07_a_tree_swapped_for_a_link_while_it_is_worked_on_leads_nowhere() {
    for (verb, request) in TREES {
        let world = World::in_memory();
        let outside = Sentinel::of(&world.outside());
        for round in 0..ROUNDS {
            world.folder("tree/sub/deep");
            world.write("tree/sub/deep/mine", MINE);
            if !world.exists("trap") {
                symlink(world.outside(), world.at("trap")).unwrap();
            }
            let (sub, trap) = (world.at("tree/sub"), world.at("trap"));
            let swapper = std::thread::spawn(move || {
                for _ in 0..50 {
                    let _ = renameat_with(CWD, &sub, CWD, &trap, RenameFlags::EXCHANGE);
                }
            });
            let mut talk = world.open(request(round));
            while let Ok(answer) = talk.next().await {
                let is_told = match &answer {
                    Answer::WalkPage(page) => {
                        page.items.iter().any(|item| is_outside(item.entry.name.as_bytes()))
                    }
                    Answer::Totals(totals) => totals.bytes > MINE.len() as u64,
                    _ => false,
                };
                assert!(!is_told, "{verb}: {answer:?}");
                if answer.is_final() {
                    break;
                }
            }
            swapper.join().unwrap();
            let taken = name_of("taken", round);
            let sub = fs::symlink_metadata(world.at(format!("{taken}/sub")));
            let is_folder = sub.is_ok_and(|sub| sub.is_dir());
            assert!(!is_folder || !world.exists(&format!("{taken}/sub/file")), "{verb} took what is outside");
            for path in ["tree", &taken, "trap"] {
                let _ = world.ask(remove(path, Depth::Tree)).await;
            }
        }
        assert_eq!(outside, Sentinel::of(&world.outside()), "{verb} changed something outside");
        world.check();
    }
}
