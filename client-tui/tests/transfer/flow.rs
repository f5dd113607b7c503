//! The flow starts at once: what the first page of a walk holds is at the destination before there is a second one.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use towpath::link::Link;
use towpath::transfer::job::{Job, Verb};
use towpath_files::exchange::{ANSWERS_QUEUED_MAX, Answers, Exchange};
use towpath_files::service::Service;
use towpath_files::session::{Serve, SessionOptions, serve};
use towpath_protocol::hello::Welcome;
use towpath_protocol::message::{Answer, Request, RequestId};

use crate::world::{Running, Told, Way, World};

/// More than a page.
const FILES: usize = 3000;
const PATIENCE: Duration = Duration::from_mins(1);

/// A service whose walks give a page for each permit.
struct Halting {
    service: Arc<Service>,
    pages: Arc<Semaphore>,
}

impl Serve for Halting {
    fn welcome(&self) -> &Welcome {
        self.service.welcome()
    }

    async fn serve(self: Arc<Self>, request: Request, exchange: Exchange) {
        let Exchange { answers: out, inputs, cancel, lost } = exchange;
        let (sender, mut answers) = mpsc::channel(ANSWERS_QUEUED_MAX);
        let exchange = Exchange { answers: Answers::new(RequestId::NONE, sender), inputs, cancel, lost };
        let served = tokio::spawn(self.service.clone().serve(request, exchange));
        while let Some((_, answer)) = answers.recv().await {
            if matches!(answer, Answer::WalkPage(_)) {
                self.pages.acquire().await.unwrap().forget();
            }
            let _ = out.send(answer).await;
        }
        served.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_arrive_and_the_total_grows_while_the_source_is_still_walked() {
    let world = World::new(Way::Across).await;
    for number in 0..FILES {
        world.write(format!("left/tree/{number}"), format!("content of {number}"));
    }
    let pages = Arc::new(Semaphore::new(1));
    let halting = Arc::new(Halting { service: world.service(), pages: pages.clone() });
    let (ours, theirs) = tokio::io::duplex(1 << 20);
    let (reader, writer) = tokio::io::split(theirs);
    let session = tokio::spawn(serve(reader, writer, halting, SessionOptions::default()));
    let (reader, writer) = tokio::io::split(ours);
    let source = Link::over(reader, writer).await.unwrap();
    let job = Job { source, ..world.job(Verb::Copy, &[("left/tree", "right/tree")]) };
    let mut running = Running::start(job);

    let all_found_are_there = |least: u64| {
        move |told: &towpath::transfer::job::Progress| told.files >= least && told.files == told.files_total
    };
    let (mut found, mut least) = (Vec::new(), 1);
    while found.last().is_none_or(|found| *found < FILES as u64 / 2) {
        let waiting = timeout(PATIENCE, running.progress.wait_for(all_found_are_there(least))).await;
        let told = waiting.expect("nothing arrives before the walk is over").unwrap().clone();
        assert!(told.growing && told.left.is_none(), "{told:?}");
        assert!(world.names("right/tree").len() as u64 >= told.files, "{told:?}");
        found.push(told.files_total);
        least = told.files + 1;
        pages.add_permits(1);
    }
    pages.add_permits(FILES);
    let told = running.end(Told::default()).await;
    told.check_clean();
    assert_eq!(told.summary.files, FILES as u64);
    assert!(found.len() > 1 && found.is_sorted() && found[0] < FILES as u64 / 2, "{found:?}");
    session.await.unwrap();
    world.check_equal("left/tree", "right/tree");
}
