//! The last step of a move: its source goes, and never the only copy. Where the copy took a name that nothing had before, the source is
//! another thing, and goes once the copy is on the disk. Everywhere else both may be one file by two ways (two mounts, names that
//! differ in case): the source is set aside first, and goes only if the copy is seen, on the disk and as it was, while the source is
//! out of the way.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use futures_util::future::join_all;
use towpath_protocol::entry::{Attributes, Version};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::hello::Capability;
use towpath_protocol::input::More;
use towpath_protocol::message::Answer;
use towpath_protocol::path::{Location, WirePath};
use towpath_protocol::request::{Depth, Flush, Remove};

use super::carry;
use super::plan::look_at;
use super::shared::Shared;
use super::start::SAME_FILE;
use crate::link::Link;
use crate::link::calls::operation_id;

/// Tries with a source whose time of change is another each time.
pub(super) const TRIES_MAX: u32 = 100;

/// Attributes of the copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Copied {
    /// It took a name that nothing had before, and is on the disk.
    New,
    /// It took a name that nothing had before, and has to be brought to the disk.
    NotFlushed,
    /// Something had its name before, perhaps the source itself. As it was when its content was last known.
    Replaced(Box<Attributes>),
}

/// Removes the source of a copy, if it is still what was copied. One whose time of change alone is another is compared with the copy
/// once more: a second name of the same file went meanwhile, perhaps by this very job.
pub(super) async fn leave(
    shared: &Shared,
    (from, to): (&Location, &Location),
    source: &Attributes,
    copied: &Copied,
) -> Result<(), Fault> {
    let stays = |fault| stays(from, fault);
    if *copied == Copied::NotFlushed {
        shared.flushed(to).await.map_err(stays)?;
    }
    let (mut source, mut alone) = (source.clone(), None);
    for tries in 1.. {
        let version = source.version();
        let left = match copied {
            Copied::New | Copied::NotFlushed => remove(shared, from, version).await,
            Copied::Replaced(there) => remove_seeing(shared, (from, to), version, there).await,
        };
        match left {
            Err(fault) if fault.code == FaultCode::Changed && tries < TRIES_MAX => {
                // All that share a file try again one after the other: then each is disturbed by first tries alone.
                if alone.is_none() {
                    alone = Some(shared.again.lock().await);
                }
                source =
                    changed_in_name_only(shared, (from, to), &source).await?.ok_or(fault).map_err(stays)?;
            }
            Ok(()) => {
                return Ok(());
            }
            Err(fault) => return Err(stays(fault)),
        }
    }
    Err(FaultCode::Internal.into())
}

fn stays(source: &Location, fault: Fault) -> Fault {
    let fault = match (&fault.path, source.whole()) {
        (None, Ok(path)) => fault.at(path),
        _ => fault,
    };
    let why = if fault.detail.is_empty() { String::new() } else { format!(" ({})", fault.detail) };
    fault.because(format!("copied, but the source stays{why}"))
}

async fn remove(shared: &Shared, thing: &Location, expected: Version) -> Result<(), Fault> {
    let (operation, thing, expected) = (operation_id()?, thing.clone(), Some(expected));
    let request = Remove { operation, thing, depth: Depth::Single, expected, aside: false };
    removed(&shared.job.source.call(request).await?)
}

fn removed(answer: &Answer) -> Result<(), Fault> {
    match answer {
        Answer::Totals(totals) if totals.failed == 0 => Ok(()),
        Answer::Totals(totals) => Err(totals.faults.first().cloned().unwrap_or_else(|| FaultCode::Io.into())),
        _ => Err(FaultCode::Malformed.into()),
    }
}

/// Sets the source aside, looks at the copy, and only then removes the source; else the source gets its name back.
async fn remove_seeing(
    shared: &Shared,
    (from, to): (&Location, &Location),
    expected: Version,
    copy: &Attributes,
) -> Result<(), Fault> {
    let job = &shared.job;
    knows_how(&job.source, "source")?;
    knows_how(&job.destination, "destination")?;
    let _permit = job.source.aside().await;
    let (operation, thing, expected) = (operation_id()?, from.clone(), Some(expected));
    let mut removal =
        job.source.open(Remove { operation, thing, depth: Depth::Single, expected, aside: true });
    // The only answer before it goes says that it is out of the way.
    let Answer::Progress(_) = removal.next().await? else { return Err(FaultCode::Malformed.into()) };
    let seen = look(&job.destination, to, copy).await;
    if seen.is_ok() {
        removal.send(More { pages: 1 }).await?;
    } else {
        removal.cancel();
    }
    let ended = loop {
        match removal.next().await {
            Ok(answer) if !answer.is_final() => {}
            ended => break ended,
        }
    };
    match (seen, ended) {
        (Ok(()), Ok(answer)) => removed(&answer),
        (Err(why), Err(fault)) if fault.code == FaultCode::Cancelled => Err(why),
        (_, Err(fault)) => Err(fault),
        (Err(_), Ok(_)) => Err(FaultCode::Malformed.into()),
    }
}

fn knows_how(link: &Link, side: &str) -> Result<(), Fault> {
    if link.welcome().has(Capability::ASIDE) {
        return Ok(());
    }
    let why = format!("the server of the {side} is too old to remove what may be the same file");
    Err(Fault::new(FaultCode::Unsupported).because(why))
}

/// Brings the copy to the disk and finds it as it was, while its source is out of the way.
async fn look(destination: &Link, copy: &Location, was: &Attributes) -> Result<(), Fault> {
    match destination.call(Flush { folder: copy.clone() }).await {
        Ok(Answer::Stored(now)) if is_still(was, &now.attributes) => Ok(()),
        Ok(Answer::Stored(_)) => {
            Err(Fault::new(FaultCode::Changed).because("the copy changed, or is the same file as the source"))
        }
        Ok(_) => Err(FaultCode::Malformed.into()),
        Err(fault) if fault.code == FaultCode::NotFound => {
            Err(Fault::new(FaultCode::IntoItself).because(SAME_FILE))
        }
        Err(fault) => Err(fault),
    }
}

/// The target of a link may have moved, perhaps by this job; the link is still the same.
fn is_still(was: &Attributes, now: &Attributes) -> bool {
    let target = |attributes: &Attributes| attributes.link.as_ref().map(|link| link.bytes.clone());
    was.kind == now.kind && was.version() == now.version() && target(was) == target(now)
}

/// The source as it is now, where only its time of change is another, and its content is that of the copy; none where more has changed.
async fn changed_in_name_only(
    shared: &Shared,
    (from, to): (&Location, &Location),
    was: &Attributes,
) -> Result<Option<Attributes>, Fault> {
    let (source, destination) = (&shared.job.source, &shared.job.destination);
    for _ in 0..TRIES_MAX {
        let now = look_at(source, from).await?;
        if !is_touched_only(was, &now) {
            return Ok(None);
        }
        let there = look_at(destination, to).await?;
        match carry::is_same(source, destination, (from, &now), (to, &there)).await {
            // One more name went while it was read.
            Err(fault) if fault.code == FaultCode::Changed => {}
            is_same => return Ok(is_same?.then_some(now)),
        }
    }
    Ok(None)
}

/// Returns whether it is the same but for its ctime, which a new or removed hard link changes.
pub(super) fn is_touched_only(was: &Attributes, now: &Attributes) -> bool {
    was.changed != now.changed && is_still(was, &Attributes { changed: was.changed, ..now.clone() })
}

/// Flushes of folders at the destination: one for all that waits, and what comes meanwhile waits for the next one.
#[derive(Debug, Default)]
pub(super) struct Flushes {
    waiting: Mutex<Waiting>,
    done: tokio::sync::Mutex<Done>,
}

#[derive(Debug, Default)]
struct Waiting {
    asked: u64,
    folders: Vec<WirePath>,
}

#[derive(Debug, Default)]
struct Done {
    /// All that asked up to then is on the disk.
    up_to: u64,
    /// But in these folders.
    failed: BTreeMap<WirePath, Fault>,
}

impl Shared {
    /// Returns once the name that something has at the destination is on the disk.
    pub(super) async fn flushed(&self, thing: &Location) -> Result<(), Fault> {
        let Some(folder) = thing.whole().ok().and_then(|whole| whole.parent()) else {
            return Err(FaultCode::NameTooLong.into());
        };
        let Flushes { waiting, done } = &self.flushes;
        let ours = {
            let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.asked += 1;
            waiting.folders.push(folder.clone());
            waiting.asked
        };
        let mut done = done.lock().await;
        if done.up_to < ours {
            // They stay in the list until they are on the disk: this may be given up on the way.
            let (asked, mut folders) = {
                let waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
                (waiting.asked, waiting.folders.clone())
            };
            let taken = folders.len();
            folders.sort_unstable();
            folders.dedup();
            let flushes = folders.into_iter().map(|folder| async move {
                let flush = Flush { folder: Location::through(&folder) };
                (self.job.destination.call(flush).await, folder)
            });
            for (flushed, folder) in join_all(flushes).await {
                if let Err(fault) = flushed {
                    done.failed.insert(folder, fault);
                }
            }
            done.up_to = asked;
            waiting.lock().unwrap_or_else(PoisonError::into_inner).folders.drain(..taken);
        }
        done.failed.get(&folder).map_or(Ok(()), |fault| Err(fault.clone()))
    }
}
