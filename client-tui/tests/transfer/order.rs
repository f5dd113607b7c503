//! The order of changes at a destination, whatever the tree: a folder before what is in it, its mode and time after that.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use tokio::sync::mpsc;
use towpath::link::Link;
use towpath::model::Choice;
use towpath::transfer::job::{ExistingPolicy, Job, Verb};
use towpath_files::exchange::{ANSWERS_QUEUED_MAX, Answers, Exchange};
use towpath_files::service::Service;
use towpath_files::session::{Serve, SessionOptions, serve};
use towpath_protocol::hello::Welcome;
use towpath_protocol::message::{Request, RequestId};
use towpath_protocol::path::WirePath;

use crate::world::{Way, World, run};

/// What a request does to which path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Make,
    Fill,
    Finish,
}

/// One change: when it was asked for and when it was answered.
#[derive(Debug, Clone)]
struct Change {
    act: Act,
    path: WirePath,
    begun: usize,
    ended: Option<usize>,
}

#[derive(Debug, Default)]
struct Log {
    moment: usize,
    changes: Vec<Change>,
}

/// A service that writes down in which order it is asked and answers.
struct Recorder {
    service: Arc<Service>,
    log: Arc<Mutex<Log>>,
}

impl Serve for Recorder {
    fn welcome(&self) -> &Welcome {
        self.service.welcome()
    }

    async fn serve(self: Arc<Self>, request: Request, exchange: Exchange) {
        let Exchange { answers: out, inputs, cancel, lost } = exchange;
        let change = change_of(&request).map(|(act, path)| {
            let mut log = self.log.lock().unwrap();
            log.moment += 1;
            let begun = log.moment;
            log.changes.push(Change { act, path, begun, ended: None });
            log.changes.len() - 1
        });
        let (sender, mut answers) = mpsc::channel(ANSWERS_QUEUED_MAX);
        let exchange = Exchange { answers: Answers::new(RequestId::NONE, sender), inputs, cancel, lost };
        let served = tokio::spawn(self.service.clone().serve(request, exchange));
        while let Some((_, answer)) = answers.recv().await {
            if let Some(change) = change.filter(|_| answer.is_final()) {
                let mut log = self.log.lock().unwrap();
                log.moment += 1;
                log.changes[change].ended = Some(log.moment);
            }
            let _ = out.send(answer).await;
        }
        served.await.unwrap();
    }
}

fn change_of(request: &Request) -> Option<(Act, WirePath)> {
    let (act, place) = match request {
        Request::MakeFolder(make) => (Act::Make, &make.folder),
        Request::Put(put) => (Act::Fill, &put.file),
        Request::BeginUpload(upload) => (Act::Fill, &upload.file),
        Request::MakeLink(link) => (Act::Fill, &link.link),
        Request::SetMode(set) => (Act::Finish, &set.thing),
        Request::SetTimes(set) => (Act::Finish, &set.thing),
        _ => return None,
    };
    Some((act, place.whole().unwrap()))
}

impl Log {
    fn check(&self) {
        for change in &self.changes {
            for other in &self.changes {
                let is_below = other.path != change.path && other.path.starts_with(&change.path);
                let ended = change.ended.expect("every change is answered");
                match change.act {
                    Act::Make if is_below => assert!(ended < other.begun, "{change:?} came after {other:?}"),
                    Act::Finish if is_below => {
                        assert!(other.ended.unwrap() < change.begun, "{change:?} came before {other:?}");
                    }
                    _ => {}
                }
            }
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Thing {
    File(usize),
    Folder,
    Link,
}

fn things() -> impl Strategy<Value = Vec<(Vec<u8>, Thing)>> {
    let thing = prop_oneof![(0..200_000_usize).prop_map(Thing::File), Just(Thing::Folder), Just(Thing::Link)];
    let path = proptest::collection::vec(0..4_u8, 1..6);
    proptest::collection::vec((path, thing), 0..40)
}

/// What does not fit where something else is already is left out.
fn build(world: &World, top: &str, things: &[(Vec<u8>, Thing)]) {
    world.folder(top);
    for (names, thing) in things {
        let path: PathBuf = names.iter().map(|name| ["a", "b", "c", "d"][usize::from(*name)]).collect();
        let path = world.at(top).join(path);
        if std::fs::create_dir_all(path.parent().unwrap()).is_err() {
            continue;
        }
        let _ = match thing {
            Thing::File(_) if path.is_dir() => Ok(()),
            Thing::File(size) => std::fs::write(&path, vec![b'x'; *size]),
            Thing::Folder => std::fs::create_dir(&path),
            Thing::Link => std::os::unix::fs::symlink("somewhere", &path),
        };
    }
}

async fn copied_in_order(source: &[(Vec<u8>, Thing)], there: &[(Vec<u8>, Thing)]) {
    let world = World::new(Way::Across).await;
    build(&world, "left/tree", source);
    build(&world, "right/tree", there);
    let log = Arc::new(Mutex::new(Log::default()));
    let recorder = Arc::new(Recorder { service: world.service(), log: log.clone() });
    let (ours, theirs) = tokio::io::duplex(1 << 20);
    let (reader, writer) = tokio::io::split(theirs);
    let session = tokio::spawn(serve(reader, writer, recorder, SessionOptions::default()));
    let (reader, writer) = tokio::io::split(ours);
    let destination = Link::over(reader, writer).await.unwrap();
    let existing = ExistingPolicy::Always(Choice::KeepBoth);
    let job = Job { destination, existing, ..world.job(Verb::Copy, &[("left/tree", "right/tree")]) };
    let told = run(job, |_| panic!("asked")).await;
    assert_eq!(told.summary.stopped, None);
    session.await.unwrap();
    log.lock().unwrap().check();
    world.check_no_parts();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_folder_comes_before_its_content_and_its_time_after(source in things(), there in things()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(copied_in_order(&source, &there));
    }
}
