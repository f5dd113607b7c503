//! What a service does alone, within its root: copies and renames of files and of whole trees, with its counters shown as ours.

use tokio::time::timeout;
use towpath_protocol::answer::{Progress, Totals};
use towpath_protocol::entry::{Attributes, Version};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::message::Answer;
use towpath_protocol::path::Location;
use towpath_protocol::request::{Copy, Existing, Follow, Rename};

use super::job::{Fact, Item, Verb};
use super::metadata;
use super::shared::{STOP_TIME, Shared};
use super::throttle::Throttle;
use super::work::Step;
use crate::link::calls::operation_id;

/// What became of one file or link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Copied {
        bytes: u64,
    },
    /// The source is gone with it.
    Renamed,
    /// Nothing: bytes are held back, and pass one by one.
    GaveWay,
}

/// A service's result of a copy.
enum Copied {
    Whole(Totals),
    /// Bytes are held back; what it had done when it was told to stop.
    GaveWay(Option<Totals>),
}

/// The result for a whole folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tree {
    Done,
    /// It cannot be one step.
    Apart,
    /// Bytes are held back: what is there by now is there, and the rest is copied file by file.
    GaveWay,
}

/// Copies or moves a folder to a place where nothing is.
pub(super) async fn tree(shared: &Shared, item: &Item) -> Result<Tree, Fault> {
    let (from, to) = (Location::of(&item.from), Location::of(&item.to));
    if shared.job.verb == Verb::Move {
        let renamed = rename(shared, from, to, Existing::Keep, None).await?;
        if renamed {
            shared.touch();
            shared.tally.found(1, 0);
            shared.tally.arrived(1, 0);
            shared.tally.renamed(0);
        }
        return Ok(if renamed { Tree::Done } else { Tree::Apart });
    }
    let under_way = shared.tally.begin(&from, 0);
    let mut shown = Progress::default();
    let copying = copy_request(shared, from, to, Existing::Keep, None)?;
    let copied = copy(shared, copying, Throttle::holds_back, |progress| {
        let (files, bytes) =
            (progress.files.saturating_sub(shown.files), progress.bytes.saturating_sub(shown.bytes));
        shared.tally.found(files, bytes);
        under_way.moved_up_to(progress.bytes);
        shared.tally.arrived(files, 0);
        shown = progress;
    })
    .await?;
    let Copied::Whole(totals) = copied else {
        // It is found again, and what is there by now is unchanged.
        shared.tally.found_again(shown.files);
        under_way.arrived();
        return Ok(Tree::GaveWay);
    };
    let (files, bytes) = (totals.files.saturating_sub(shown.files), totals.bytes.saturating_sub(shown.bytes));
    shared.tally.found(files, bytes);
    shared.tally.arrived(files, totals.bytes);
    under_way.moved_up_to(totals.bytes);
    under_way.arrived();
    tell_faults(shared, totals, item).await;
    Ok(Tree::Done)
}

/// Gives a thing another spelling of its name. False where that is another thing's name.
pub(super) async fn spelling(shared: &Shared, item: &Item, source: &Attributes) -> Result<bool, Fault> {
    let (from, to) = (Location::of(&item.from), Location::of(&item.to));
    match rename(shared, from, to, Existing::Keep, None).await {
        Ok(true) => {
            shared.touch();
            shared.tally.found(1, source.size);
            shared.tally.moved(source.size);
            shared.tally.arrived(1, source.size);
            shared.tally.renamed(source.size);
            Ok(true)
        }
        Ok(false) => Ok(false),
        Err(fault) if fault.code == FaultCode::AlreadyExists => Ok(false),
        Err(fault) => Err(fault),
    }
}

async fn tell_faults(shared: &Shared, totals: Totals, item: &Item) {
    let unnamed = totals.failed.saturating_sub(totals.faults.len() as u64);
    for fault in totals.faults {
        match fault {
            Fault { code: FaultCode::SpecialFile, path: Some(path), .. } => {
                shared.count_special();
                let there = shared.job.source.stat(&path, Follow::No).await;
                let why = there.map_or(FaultCode::SpecialFile.text(), |there| there.kind.special_text());
                shared.tell(Fact::Skipped(path, why)).await;
            }
            fault => shared.failed(fault).await,
        }
    }
    if unnamed > 0 {
        shared.tally.failed(unnamed);
        shared.tell(Fact::Unnamed(item.from.clone(), unnamed)).await;
    }
}

/// Copies or moves one file or link.
pub(super) async fn file(shared: &Shared, step: &Step) -> Result<Outcome, Fault> {
    let Step { from, to, existing, .. } = step;
    if shared.job.verb == Verb::Move
        && rename(shared, from.clone(), to.clone(), *existing, step.expected()).await?
    {
        shared.tally.small_moved(from, step.attributes.size);
        shared.tally.renamed(step.attributes.size);
        return Ok(Outcome::Renamed);
    }
    let under_way = shared.tally.begin(from, step.attributes.size);
    let is_in_process = shared.job.destination.is_in_process();
    let totals = loop {
        let moved = |progress: Progress| under_way.moved_up_to(progress.bytes);
        let copying = copy_request(shared, from.clone(), to.clone(), *existing, step.expected())?;
        // In this process the bytes of a file can be passed one by one. Elsewhere a file passes whole, and only a pause stops it.
        let gives_way = if is_in_process {
            Throttle::holds_back
        } else {
            shared.unless_stopped(shared.reports.throttle.pass(step.attributes.size)).await?;
            Throttle::is_paused
        };
        match copy(shared, copying, gives_way, moved).await? {
            Copied::Whole(totals) => break totals,
            // It was done already.
            Copied::GaveWay(Some(totals)) if totals.files == 1 && totals.failed == 0 => break totals,
            Copied::GaveWay(_) if is_in_process => {
                under_way.begun_anew();
                return Ok(Outcome::GaveWay);
            }
            Copied::GaveWay(_) => {}
        }
    };
    let is_one = totals.failed == 0 && totals.files == 1;
    if let Some(fault) = totals.faults.into_iter().next() {
        return Err(fault);
    }
    if !is_one {
        let what = format!("the server says that it copied {} files in place of one", totals.files);
        return Err(Fault::new(FaultCode::Io).because(what));
    }
    under_way.moved_up_to(totals.bytes);
    under_way.arrived();
    Ok(Outcome::Copied { bytes: totals.bytes })
}

/// False where it would have to copy.
async fn rename(
    shared: &Shared,
    from: Location,
    to: Location,
    existing: Existing,
    expected: Option<Version>,
) -> Result<bool, Fault> {
    let operation = operation_id()?;
    match shared.job.destination.call(Rename { operation, from, to, existing, expected }).await {
        Ok(Answer::Done(_)) => Ok(true),
        Ok(_) => Err(FaultCode::Malformed.into()),
        Err(fault) if fault.code == FaultCode::OtherFileSystem => Ok(false),
        Err(fault) => Err(fault),
    }
}

fn copy_request(
    shared: &Shared,
    from: Location,
    to: Location,
    existing: Existing,
    expected: Option<Version>,
) -> Result<Copy, Fault> {
    let (operation, durability) = (operation_id()?, shared.durability());
    let preserve = metadata::is_kept(shared);
    Ok(Copy { operation, from, to, existing, durability, expected, preserve })
}

/// Waits for the service to stop where the job stops. A service copies as fast as its disk does: where that must not be, it gives way.
async fn copy(
    shared: &Shared,
    request: Copy,
    gives_way: fn(&Throttle) -> bool,
    mut moved: impl FnMut(Progress),
) -> Result<Copied, Fault> {
    let throttle = &shared.reports.throttle;
    if gives_way(throttle) {
        return Ok(Copied::GaveWay(None));
    }
    let mut copy = shared.job.destination.open(request);
    loop {
        let answer = tokio::select! {
            answer = copy.next() => answer?,
            () = shared.stop.cancelled() => {
                copy.cancel();
                let _ = timeout(STOP_TIME, async { while copy.next().await.is_ok() {} }).await;
                return Err(FaultCode::Cancelled.into());
            }
            () = throttle.until(gives_way) => {
                copy.cancel();
                let ended = async {
                    loop {
                        match copy.next().await {
                            Ok(Answer::Totals(totals)) => return Some(totals),
                            Ok(_) => {}
                            Err(_) => return None,
                        }
                    }
                };
                return Ok(Copied::GaveWay(timeout(STOP_TIME, ended).await.ok().flatten()));
            }
        };
        match answer {
            Answer::Progress(progress) => moved(progress),
            Answer::Totals(totals) => {
                shared.tally.unset(totals.unset);
                return Ok(Copied::Whole(totals));
            }
            _ => return Err(FaultCode::Malformed.into()),
        }
    }
}
