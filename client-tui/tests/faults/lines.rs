//! Lines that are slow and are cut at some byte, each by its seed, and the same copy again over other lines until it is done.
//! A seed that fails is named; `TOWPATH_FAULT_SEED=N` runs it alone.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::fs::FlockOperation;
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use towpath::link::Link;
use towpath::model::Choice;
use towpath::transfer::excludes::Excludes;
use towpath::transfer::job::{
    ExistingPolicy, FACTS_QUEUED_MAX, Fact, Item, Job, OnRequest, Progress, Reports, Summary, Verb,
};
use towpath_files::service::{Service, StoreLimits};
use towpath_files::session::{SessionEnd, SessionOptions, serve};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::path::WirePath;
use towpath_protocol::request::Durability;

use crate::fault_link::{Cut, Dice, FaultLink};
use crate::world::{
    Thing, Tree, check_between, check_whole, fill, is_part, noise, older, parts, service, shown_parts, sweep,
    tree,
};

const SMALL_FILES: usize = 30;
/// In several messages, and begun anew where it was cut off.
const MEDIUM_BYTES: usize = 2_500_000;
/// Goes on where it was cut off.
const LARGE_BYTES: usize = (17 << 20) + 4321;
/// All of it, with what is said about it.
const LINE_BYTES: u64 = 22 << 20;
/// What goes on does so in pieces of this size, and from two of them on.
pub(crate) const PIECE: u64 = 4 << 20;
/// Cut lines of a copy, before one that is only slow.
const CUTS_MAX: u64 = 3;
/// As many as there are unless somebody says otherwise.
const SEEDS: u64 = 60;
/// Seeds under way at a time: a line mostly waits.
const AT_ONCE: usize = 16;
/// Longer than anything here takes on a busy machine; only so that a fault ends a test and does not hang it.
const PATIENCE: Duration = Duration::from_mins(15);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Up,
    Down,
}

/// What came of a seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// Nobody came back, and so many parts were swept.
    Swept(usize),
    /// The repetition completed it, and this much of it had come before.
    Completed(u64),
}

/// What all seeds copy.
struct Source {
    dir: TempDir,
    new: Tree,
}

impl Source {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fill(dir.path(), SMALL_FILES, LARGE_BYTES);
        fs::write(dir.path().join("tree/medium"), noise(MEDIUM_BYTES, 2000)).unwrap();
        let new = tree(&dir.path().join("tree"));
        Self { dir, new }
    }
}

/// One copy of all that, over one line after the other.
struct Story {
    seed: u64,
    dice: Dice,
    way: Way,
    source: Arc<Source>,
    dir: TempDir,
    old: Tree,
    /// Of the far side; it is the same all the time.
    far: Arc<Service>,
    durability: Durability,
}

impl Story {
    fn new(seed: u64, source: Arc<Source>) -> Self {
        let mut dice = Dice::new(seed);
        let way = if seed.is_multiple_of(2) { Way::Up } else { Way::Down };
        let dir = tempfile::tempdir().unwrap();
        let to = dir.path().join("tree");
        let there = dice.roll(3);
        if there > 0 {
            fs::create_dir_all(to.join("1")).unwrap();
            for name in ["large", "medium", "1/1", "1/5"] {
                fs::write(to.join(name), "an older one").unwrap();
            }
        }
        if there > 1 {
            // Much of the new one.
            fs::write(to.join("large"), older(&source.dir.path().join("tree/large"))).unwrap();
        }
        let old = tree(&to);
        let far =
            service(if way == Way::Up { dir.path() } else { source.dir.path() }, StoreLimits::default());
        let durability = if dice.roll(8) == 0 { Durability::Synced } else { Durability::Relaxed };
        Self { seed, dice, way, source, dir, old, far, durability }
    }

    fn to(&self) -> PathBuf {
        self.dir.path().join("tree")
    }

    /// A line, and its far end. None where it was cut before the session had begun.
    async fn line(&mut self, is_sound: bool) -> (Option<Link>, JoinHandle<SessionEnd>) {
        let (ours, theirs) = tokio::io::duplex(32_768 + self.dice.roll(200_000) as usize);
        let (reader, writer) = tokio::io::split(theirs);
        let served = tokio::spawn(serve(reader, writer, self.far.clone(), SessionOptions::default()));
        // Some where there is only talk, some anywhere, some where much has moved: several ranges are under way at a time.
        let (from, within) = match self.dice.roll(4) {
            0 => (0, 20_000),
            1 => (0, LINE_BYTES),
            _ => (LINE_BYTES / 2, LINE_BYTES / 2),
        };
        let at = from + self.dice.roll(within);
        let cut = match self.dice.roll(3) {
            0 => Cut::End,
            1 => Cut::Reset,
            _ => Cut::TimeOut(Duration::from_millis(self.dice.roll(200))),
        };
        let cut = (!is_sound).then_some((at, cut));
        let line = FaultLink::new(ours, self.dice.roll(u64::MAX), cut).pausing_less_than(3);
        let (reader, writer) = tokio::io::split(line);
        (Link::over(reader, writer).await.ok(), served)
    }

    fn job(&self, far: Link, choice: Choice) -> Job {
        let near = if self.way == Way::Up { self.source.dir.path() } else { self.dir.path() };
        let near = Link::in_process(service(near, StoreLimits::default()));
        let (source, destination) = if self.way == Way::Up { (near, far) } else { (far, near) };
        let tree = WirePath::parse(b"tree").unwrap();
        Job {
            verb: Verb::Copy,
            source,
            destination,
            items: vec![Item { from: tree.clone(), to: tree }],
            existing: ExistingPolicy::Always(choice),
            excludes: Excludes::default(),
            durability: self.durability,
            is_resumed: false,
            is_dry: false,
            placed: None,
            on_request: OnRequest::default(),
        }
    }

    /// Over one line, as far as it goes. None where nothing had begun.
    async fn copy(&mut self, is_sound: bool, choice: Choice) -> Option<(Summary, Vec<Fault>)> {
        let (far, served) = self.line(is_sound).await;
        let ended = match far {
            Some(far) => {
                let ended = run(self.job(far.clone(), choice)).await;
                far.bye().await;
                Some(ended)
            }
            None => None,
        };
        served.await.unwrap();
        ended
    }

    /// What holds after any end: each file is absent, old or new, and nobody is shown anything else.
    async fn check(&self, what: &str) {
        check_between(&self.to(), &self.old, &self.source.new, what);
        assert_eq!(shown_parts(self.dir.path()).await, Vec::<String>::new(), "{what}");
    }

    async fn tell(mut self) -> (Way, Outcome) {
        let cuts = 1 + self.dice.roll(CUTS_MAX);
        for number in 0..cuts {
            let what = format!("seed {}, {:?}, line {number}", self.seed, self.way);
            let ended = self.copy(false, Choice::Overwrite).await;
            self.check(&what).await;
            if let Some((summary, failed)) = ended {
                assert!(failed.is_empty() && summary.failed <= 1, "{what}: {failed:?} {summary:?}");
                match summary.stopped.as_ref().map(|fault| fault.code) {
                    None => check_whole(&self.to(), &self.source.new, &what),
                    code => assert_eq!(code, Some(FaultCode::Disconnected), "{what}"),
                }
            }
        }
        let left = left_of_large(&self.to()).await;
        if self.dice.roll(4) == 0 {
            // Nobody comes back.
            let what = format!("seed {}, {:?}, after the sweep", self.seed, self.way);
            let swept = parts(self.dir.path()).len();
            sweep(self.dir.path()).await;
            self.check(&what).await;
            assert_eq!(parts(self.dir.path()), Vec::<PathBuf>::new(), "{what}");
            return (self.way, Outcome::Swept(swept));
        }
        let what = format!("seed {}, {:?}, the sound line", self.seed, self.way);
        let (summary, failed) = self.copy(true, Choice::Overwrite).await.expect("a line that is only slow");
        assert!(failed.is_empty(), "{what}: {failed:?}");
        assert_eq!((summary.failed, summary.skipped, &summary.stopped), (0, 0, &None), "{what}");
        let goes_on = if left < 2 * PIECE { 0 } else { left / PIECE * PIECE };
        assert_eq!(summary.resumed, goes_on, "{what}: {left} bytes were left");
        check_whole(&self.to(), &self.source.new, &what);
        assert_eq!(parts(self.dir.path()), Vec::<PathBuf>::new(), "{what}");
        // `always` sends everything, so this uses `newer`: nothing is newer, and all is unchanged.
        let (again, failed) = self.copy(true, Choice::NewerOnly).await.expect("a line that is only slow");
        assert!(failed.is_empty(), "{what}, again: {failed:?}");
        let sent = (again.files, again.skipped, again.failed, &again.stopped);
        assert_eq!(sent, (0, 0, 0, &None), "{what}, again: {again:?}");
        let things = self.source.new.values().filter(|thing| !matches!(thing, Thing::Folder)).count();
        assert_eq!(again.unchanged, things as u64, "{what}, again: {again:?}");
        (self.way, Outcome::Completed(summary.resumed))
    }
}

/// Bytes that wait for the large file to go on, once nobody is at them any more; other parts go away by themselves.
pub(crate) async fn left_of_large(folder: &Path) -> u64 {
    let began = Instant::now();
    loop {
        let found: Vec<_> =
            fs::read_dir(folder).into_iter().flatten().flatten().map(|it| it.path()).collect();
        let found: Vec<_> = found.into_iter().filter(|path| is_part(path)).collect();
        let lengths: Vec<_> = found.iter().filter_map(|part| length_if_left(part)).collect();
        match lengths.as_slice() {
            [] if found.is_empty() => return 0,
            [left] if found.len() == 1 => return *left,
            _ => {}
        }
        assert!(began.elapsed() < PATIENCE, "somebody is still at {found:?}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn length_if_left(part: &Path) -> Option<u64> {
    let file = File::open(part).ok()?;
    rustix::fs::flock(file.as_fd(), FlockOperation::NonBlockingLockShared).ok()?;
    // Whoever was at it may have removed it on leaving.
    fs::metadata(part).ok().map(|there| there.len())
}

async fn run(job: Job) -> (Summary, Vec<Fault>) {
    let (facts_sender, mut facts) = mpsc::channel(FACTS_QUEUED_MAX);
    let (progress, _shown) = watch::channel(Progress::default());
    let reports = Reports {
        progress: Arc::new(progress),
        facts: facts_sender,
        cancel: CancellationToken::new(),
        leave: CancellationToken::new(),
        throttle: Arc::default(),
        undecided: Arc::default(),
    };
    let running = tokio::spawn(towpath::transfer::run(job, reports));
    let mut failed = Vec::new();
    while let Some(fact) = facts.recv().await {
        match fact {
            Fact::Failed(fault) => failed.push(fault),
            fact => panic!("nobody expected {fact:?}"),
        }
    }
    (running.await.unwrap(), failed)
}

/// `TOWPATH_FAULT_SEEDS` says how many.
pub(crate) fn seeds(short: u64) -> Vec<u64> {
    let number = |name| std::env::var(name).ok().map(|number| number.parse().unwrap());
    number("TOWPATH_FAULT_SEED")
        .map_or_else(|| (0..number("TOWPATH_FAULT_SEEDS").unwrap_or(short)).collect(), |seed| vec![seed])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wherever_a_line_is_cut_files_are_absent_old_or_whole_and_the_repeat_completes() {
    let source = Arc::new(Source::new());
    let seeds = seeds(SEEDS);
    let (mut stories, mut outcomes) = (JoinSet::new(), Vec::new());
    for seed in &seeds {
        if stories.len() >= AT_ONCE {
            outcomes.push(stories.join_next().await.unwrap().unwrap());
        }
        let (seed, story) = (*seed, Story::new(*seed, source.clone()));
        stories.spawn(async move {
            // They share the processors: one that takes 6 seconds alone on an idle machine took a quarter of an hour among others.
            let told = timeout(PATIENCE * AT_ONCE as u32, story.tell()).await;
            told.unwrap_or_else(|_| panic!("seed {seed} hangs"))
        });
    }
    outcomes.extend(stories.join_all().await);
    let count = |is: fn(&(Way, Outcome)) -> bool| outcomes.iter().filter(|it| is(it)).count();
    let went_on = [
        count(|it| matches!(it, (Way::Up, Outcome::Completed(1..)))),
        count(|it| matches!(it, (Way::Down, Outcome::Completed(1..)))),
    ];
    let anew = count(|it| matches!(it, (_, Outcome::Completed(0))));
    let swept = count(|it| matches!(it, (_, Outcome::Swept(1..))));
    eprintln!("{went_on:?} uploads and downloads went on, {anew} began anew, {swept} were swept");
    let shows_all = went_on.iter().all(|count| *count > 0) && anew > 0 && swept > 0;
    assert!((seeds.len() as u64) < SEEDS || shows_all, "these seeds show too little");
}
