//! A real session over a line that misbehaves by a seed: everybody who waits gets an answer or is told that the connection is gone;
//! nothing hangs.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use towpath::link::Link;
use towpath_files::exchange::Exchange as ServiceExchange;
use towpath_files::session::{Serve, SessionOptions, serve};
use towpath_protocol::answer::{Done, ListPage, ReadDone, ReadHead, Stats, Stored, UploadAck, UploadReady};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::hash::Hash;
use towpath_protocol::hello::Welcome;
use towpath_protocol::input::{CommitUpload, More, UploadData};
use towpath_protocol::limits::DATA_BYTES_MAX;
use towpath_protocol::message::{Answer, Input, Request};
use towpath_protocol::metadata::Parts;
use towpath_protocol::path::{Location, WirePath};
use towpath_protocol::request::{BeginUpload, Durability, Existing, OperationId, StoreAs, UploadToken};
use towpath_protocol::time::Time;

use crate::fault_link::{Cut, Dice, FaultLink};
use crate::peer::{attributes, data, list, read, stat, welcome};

const PAGES: u32 = 6;
const READ_BYTES: u64 = 300_000;
const UPLOAD_BYTES: u64 = 300_000;
const CREDIT_BYTES: u64 = 128 * 1024;

/// A service without a disk, so that time is all virtual.
#[derive(Debug)]
struct Script(Welcome);

impl Serve for Script {
    fn welcome(&self) -> &Welcome {
        &self.0
    }

    async fn serve(self: Arc<Self>, request: Request, exchange: ServiceExchange) {
        let (answers, cancel) = (exchange.answers.clone(), exchange.cancel.clone());
        let outcome = tokio::select! {
            outcome = answer(request, exchange) => outcome,
            () = cancel.cancelled() => Err(FaultCode::Cancelled.into()),
        };
        let _ = answers.send(outcome.unwrap_or_else(Answer::Fault)).await;
    }
}

async fn answer(request: Request, mut exchange: ServiceExchange) -> Result<Answer, Fault> {
    let answers = exchange.answers.clone();
    match request {
        Request::List(list) => {
            let mut credit = list.pages;
            for _ in 0..PAGES {
                while credit == 0 {
                    match exchange.inputs.recv().await {
                        Some(Input::More(more)) => credit += more.pages,
                        _ => return Err(FaultCode::Cancelled.into()),
                    }
                }
                credit -= 1;
                answers.send(ListPage { total: 0, entries: Vec::new() }).await?;
            }
            Ok(Done {}.into())
        }
        Request::Read(read) => {
            answers.send(ReadHead { attributes: attributes(), stored_bytes: None }).await?;
            let mut offset = 0;
            while offset < read.len {
                let len = (read.len - offset).min(DATA_BYTES_MAX as u64);
                answers.send(data(offset, len as usize)).await?;
                offset += len;
            }
            Ok(ReadDone { len: read.len, hash: None, grown: false }.into())
        }
        Request::BeginUpload(_) => {
            let token = UploadToken([1; 16]);
            answers
                .send(UploadReady { token, offset: 0, credit_bytes: CREDIT_BYTES, kept: None, basis: false })
                .await?;
            let mut received = 0;
            loop {
                match exchange.inputs.recv().await {
                    Some(Input::UploadData(data)) => {
                        assert_eq!(data.offset, received, "data out of order");
                        received += data.data.len() as u64;
                        answers.send(UploadAck { received, credit_bytes: CREDIT_BYTES }).await?;
                    }
                    Some(Input::CommitUpload(commit)) => {
                        assert_eq!(commit.len, received);
                        return Ok(Stored { attributes: attributes(), unset: Parts::NONE }.into());
                    }
                    _ => return Err(FaultCode::Cancelled.into()),
                }
            }
        }
        _ => {
            sleep(Duration::from_millis(5)).await;
            Ok(Stats { items: Vec::new() }.into())
        }
    }
}

async fn list_all(link: Link) -> Result<(), Fault> {
    let mut exchange = link.open(list(2));
    let mut pages = 0;
    loop {
        match exchange.next().await? {
            Answer::ListPage(_) => {
                pages += 1;
                let _ = exchange.send(More { pages: 1 }).await;
            }
            _ => break assert_eq!(pages, PAGES),
        }
    }
    Ok(())
}

async fn read_all(link: Link) -> Result<(), Fault> {
    let mut exchange = link.open(read(READ_BYTES));
    let mut received = 0;
    loop {
        match exchange.next().await? {
            Answer::ReadHead(_) => {}
            Answer::Data(data) => {
                assert_eq!(data.offset, received);
                assert!(data.data.iter().all(|byte| *byte == 7));
                received += data.data.len() as u64;
            }
            _ => break assert_eq!(received, READ_BYTES),
        }
    }
    Ok(())
}

async fn upload_all(link: Link) -> Result<(), Fault> {
    let store = StoreAs {
        mode: 0o644,
        modified: Time::from_ns(0),
        existing: Existing::Keep,
        expected: None,
        durability: Durability::Relaxed,
        metadata: None,
    };
    let file = Location::through(&WirePath::root());
    let begin = BeginUpload {
        operation: OperationId([1; 16]),
        file,
        store,
        size: UPLOAD_BYTES,
        resume: None,
        basis: None,
        window_bytes: None,
        stored_bytes: None,
    };
    let mut exchange = link.open(begin);
    let Answer::UploadReady(ready) = exchange.next().await? else { panic!("not UploadReady") };
    let (mut offset, mut credit_end) = (0, ready.credit_bytes);
    while offset < UPLOAD_BYTES {
        let len = (UPLOAD_BYTES - offset).min(DATA_BYTES_MAX as u64);
        while offset + len > credit_end {
            let Answer::UploadAck(ack) = exchange.next().await? else { panic!("not UploadAck") };
            credit_end = ack.received + ack.credit_bytes;
        }
        exchange.send(UploadData { offset, data: Bytes::from(vec![7; len as usize]) }).await?;
        offset += len;
    }
    exchange.send(CommitUpload { len: offset, hash: Hash([0; 32]) }).await?;
    while !exchange.next().await?.is_final() {}
    Ok(())
}

/// Asks for something and loses interest at some moment.
async fn lose_interest(link: Link, after: Duration) -> Result<(), Fault> {
    let mut exchange = link.open(read(READ_BYTES));
    let _ =
        timeout(after, async { while exchange.next().await.is_ok_and(|answer| !answer.is_final()) {} }).await;
    Ok(())
}

async fn tell(seed: u64) {
    let mut dice = Dice::new(seed);
    let at = dice.roll(2_000_000);
    let cut = match seed % 4 {
        0 => None,
        1 => Some((at, Cut::End)),
        2 => Some((at, Cut::Reset)),
        _ => Some((at, Cut::Stall)),
    };
    let (ours, theirs) = tokio::io::duplex(1 + dice.roll(200_000) as usize);
    let (reader, writer) = tokio::io::split(theirs);
    let in_flight = 4 + dice.roll(30) as u32;
    let script = Arc::new(Script(welcome(in_flight)));
    let served = tokio::spawn(serve(reader, writer, script, SessionOptions::default()));
    let (reader, writer) = tokio::io::split(FaultLink::new(ours, seed, cut));
    let Ok(link) = Link::over(reader, writer).await else {
        assert!(cut.is_some(), "seed {seed}: no session over a line that is only slow");
        return;
    };
    let mut work: JoinSet<Result<(), Fault>> = JoinSet::new();
    for _ in 0..40 {
        match dice.roll(5) {
            0 => work.spawn(list_all(link.clone())),
            1 => work.spawn(read_all(link.clone())),
            2 => work.spawn(upload_all(link.clone())),
            3 => work.spawn(lose_interest(link.clone(), Duration::from_millis(dice.roll(200)))),
            _ => {
                let link = link.clone();
                work.spawn(async move { link.call(stat("x")).await.map(drop) })
            }
        };
    }
    while let Some(outcome) = work.join_next().await {
        match outcome.unwrap() {
            Ok(()) => {}
            Err(fault) => {
                assert!(cut.is_some(), "seed {seed}: {fault} on a line that is only slow");
                // The server may notice first, and cancel what it still can answer.
                let is_told = matches!(fault.code, FaultCode::Disconnected | FaultCode::Cancelled);
                assert!(is_told, "seed {seed}: {fault}");
            }
        }
    }
    link.bye().await;
    drop(link);
    if cut.is_none() {
        served.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_is_answered_or_told_over_two_hundred_bad_lines() {
    for seed in 0..200 {
        let told = timeout(Duration::from_mins(10), tell(seed)).await;
        assert!(told.is_ok(), "seed {seed} hangs");
    }
}
