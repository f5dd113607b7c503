//! Decides about what is in the way, while everything else runs: as was said for all, or as it is told meanwhile.

use std::sync::{Arc, OnceLock};

use futures_util::{StreamExt, stream};
use tokio::sync::mpsc;
use towpath_protocol::entry::{Attributes, Kind};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::limits::NAME_BYTES_MAX;
use towpath_protocol::path::{Location, Name, WirePath};
use towpath_protocol::request::{Direction, Existing, Hidden, SortKey};

use super::carry;
use super::job::{Action, ExistingPolicy, Fact, Verb};
use super::placed::Claim;
use super::plan::{Bounds, Plan, Queues, fault_at, look, look_at, may_be_unchanged};
use super::prefix;
use super::run::ANOTHER_CONTENT;
use super::shared::{Shared, ends_all};
use super::undecided::{Asked, UNDECIDED_MAX};
use super::work::{Folder, Step, Work};
use crate::model::conflict::{Choice, Conflict, ConflictKind};

/// The highest number of a copy that is kept beside others.
const COPIES_MAX: u32 = 10_000;
/// Conflicts settled at a time where nobody is asked.
const SETTLED_AT_ONCE: usize = 16;
/// Bytes of a name that stay in front of its number.
const STEM_BYTES_MIN: usize = 16;
/// Names looked at in one request.
const NAMES_AT_ONCE: u32 = 16;
/// Why something stays.
const EXISTS: &str = "exists";
const OTHER_TIME: &str = "exists with the same size and another time; its content was not compared";
const NOT_OLDER: &str = "exists and is not older";
const NO_BEGINNING: &str = "exists and is not the beginning of the source";
const FOLDER_AND_FILE: &str = "exists, one of them being a folder and the other not";
const SAME_BUT_FOR_CASE: &str =
    "another source has its name at the destination, or one that is the same there";

/// Returns whether something was skipped by a decision.
pub fn is_decided(why: &str) -> bool {
    is_kept(why)
        || why == NOT_OLDER
        || why == NO_BEGINNING
        || why == FOLDER_AND_FILE
        || why == SAME_BUT_FOR_CASE
}

/// Returns whether something was skipped because it exists and no flag says to replace it.
pub fn is_kept(why: &str) -> bool {
    why == EXISTS || why == OTHER_TIME
}

/// A folder that cannot take its place at the destination.
#[derive(Debug)]
pub(super) struct FolderClash {
    pub(super) kind: ConflictKind,
    pub(super) from: Location,
    pub(super) to: Location,
    /// Its path below the item.
    pub(super) below: WirePath,
    pub(super) attributes: Attributes,
    pub(super) there: Option<Attributes>,
    /// What it is in, at the destination.
    pub(super) parent: Option<Arc<Folder>>,
    /// The folder at the destination that the item goes into, and the one that it becomes.
    pub(super) own: (Option<u64>, OnceLock<u64>),
    /// What links in it are held to.
    pub(super) bounds: Bounds,
}

/// What is in the way of what.
struct Sides<'a> {
    places: (&'a Location, &'a Location),
    source: &'a Attributes,
    there: Option<&'a Attributes>,
}

/// Takes conflicts until there are no more, and sends on what is to be done. As many wait for a decision as
/// [`UNDECIDED_MAX`], then whoever sends them waits.
pub(super) async fn settle_all(shared: &Shared, conflicts: mpsc::Receiver<Step>, work: mpsc::Sender<Work>) {
    let work = &work;
    each(shared, conflicts, |step| async move {
        if let Some(step) = settle(shared, step).await {
            // Nobody wants it where the job has stopped.
            let _ = work.send(Work::Carry(step)).await;
        }
    })
    .await;
}

/// The same for folders: one that is kept beside what is there is walked for itself.
pub(super) async fn settle_folders(shared: &Shared, clashes: mpsc::Receiver<FolderClash>, queues: Queues) {
    let queues = &queues;
    each(shared, clashes, |clash| async move {
        let settled = settle_folder(shared, clash, queues.clone()).await;
        if let Err(fault) = settled {
            shared.failed(fault).await;
        }
    })
    .await;
}

async fn each<T, F: Future<Output = ()>>(shared: &Shared, queue: mpsc::Receiver<T>, settle: impl Fn(T) -> F) {
    let is_asked = shared.job.existing == ExistingPolicy::Ask;
    let at_once = if is_asked { UNDECIDED_MAX } else { SETTLED_AT_ONCE };
    let all = stream::unfold(queue, async |mut queue| queue.recv().await.map(|next| (next, queue)));
    all.for_each_concurrent(at_once, settle).await;
}

async fn settle_folder(shared: &Shared, clash: FolderClash, queues: Queues) -> Result<(), Fault> {
    let FolderClash { kind, from, to, attributes, there, .. } = &clash;
    let sides = Sides { places: (from, to), source: attributes, there: there.as_ref() };
    match choose(shared, *kind, &sides).await? {
        Some(Choice::KeepBoth) => {
            let to = free_name(shared, to).await?;
            let plan = Plan::beside(shared, clash, to, queues);
            shared.unless_stopped(Box::pin(plan.run())).await?
        }
        Some(_) => {
            shared.left((from, to), attributes, why_left(*kind)).await;
            Ok(())
        }
        None => Ok(()),
    }
}

/// The step as it is to be done; none where what is there stays, which has been told.
pub(super) async fn settle(shared: &Shared, step: Step) -> Option<Step> {
    let size = step.attributes.size;
    let settled = decide(shared, step).await;
    // What the end of the job leaves undecided is still to be done.
    let is_left = match &settled {
        Ok(settled) => settled.is_none() && !shared.stop.is_cancelled(),
        Err(fault) => !ends_all(fault.code) && !shared.stop.is_cancelled(),
    };
    if is_left {
        shared.tally.not_carried(size);
    }
    match settled {
        Ok(Some(step)) => {
            Box::pin(shared.mind_room(&step)).await;
            Some(step)
        }
        Ok(None) => None,
        Err(fault) => {
            shared.failed(fault).await;
            None
        }
    }
}

/// Something was at the place after all, when the step was to be done.
pub(super) async fn settle_late(shared: &Shared, step: Step) -> Option<Step> {
    match look_at(&shared.job.destination, &step.to).await {
        Ok(there) => settle(shared, Step { there: Some(there), ..step }).await,
        Err(fault) => {
            shared.has_failed(&step, fault).await;
            None
        }
    }
}

/// Two files look the same, contents decide, and differ.
pub(super) async fn settle_different(shared: &Shared, step: Step) -> Option<Step> {
    let step = Step { is_twin: false, ..step };
    if shared.job.existing == ExistingPolicy::Always(Choice::Different) {
        return Some(Step { existing: Existing::Replace, ..step });
    }
    if shared.job.on_request.checksum {
        return settle(shared, step).await;
    }
    shared.tally.not_carried(step.attributes.size);
    shared.left((&step.from, &step.to), &step.attributes, ANOTHER_CONTENT).await;
    None
}

/// Claims a place, unless another source of the job has it.
async fn claimed(shared: &Shared, step: Step) -> Option<Step> {
    if step.is_claimed || shared.placed.claim(&step.to) != Claim::Taken {
        return Some(Step { is_claimed: true, ..step });
    }
    shared.left((&step.from, &step.to), &step.attributes, why_left(ConflictKind::Case)).await;
    None
}

/// The same to do as for what is there already.
async fn same(shared: &Shared, step: Step) -> Option<Step> {
    if shared.job.verb == Verb::Move {
        // Only the removal of the source is left.
        return Some(Step { is_twin: true, ..step });
    }
    shared.unchanged((&step.from, &step.to), &step.attributes).await;
    None
}

/// A time that a file system rounded is no conflict, where the content is the same.
async fn is_only_rounded(shared: &Shared, step: &Step) -> Result<bool, Fault> {
    let replaces = matches!(shared.job.existing, ExistingPolicy::Always(Choice::Overwrite));
    let may_be = step.there.as_ref().is_some_and(|there| may_be_unchanged(&step.attributes, there));
    Ok(may_be && !replaces && !step.clashes && is_same(shared, step).await?)
}

async fn decide(shared: &Shared, step: Step) -> Result<Option<Step>, Fault> {
    if is_only_rounded(shared, &step).await? {
        return Ok(same(shared, step).await);
    }
    let kind = match &step.there {
        _ if step.clashes => ConflictKind::Case,
        None => return Ok(Some(step)),
        Some(_) if shared.placed.has_alike(&step.to) && !is_listed(shared, &step.to).await? => {
            ConflictKind::Case
        }
        Some(there) => ConflictKind::of(&step.attributes, there),
    };
    let Step { from, to, attributes, there, .. } = &step;
    let sides = Sides { places: (from, to), source: attributes, there: there.as_ref() };
    let Some(choice) = choose(shared, kind, &sides).await? else { return Ok(None) };
    match choice {
        Choice::KeepBoth => {
            let to = Box::pin(free_name(shared, to)).await?;
            // None of the sources of this name replaces it.
            shared.placed.give(&to);
            let (there, existing) = (None, Existing::Keep);
            return Ok(Some(Step { to, there, existing, clashes: false, is_claimed: true, ..step }));
        }
        Choice::Different if is_same(shared, &step).await? => {
            if shared.job.verb == Verb::Move {
                // What is left to be done of it is that the source goes.
                return Ok(claimed(shared, Step { is_twin: true, ..step }).await);
            }
            shared.tally.compared();
            shared.unchanged((from, to), attributes).await;
        }
        _ => match why_not(shared, &step, choice, kind).await? {
            None => return Ok(claimed(shared, Step { existing: Existing::Replace, ..step }).await),
            Some(why) => shared.left((from, to), attributes, why).await,
        },
    }
    Ok(None)
}

/// Why a step is not done after all, where it is not.
async fn why_not(
    shared: &Shared,
    step: &Step,
    choice: Choice,
    kind: ConflictKind,
) -> Result<Option<&'static str>, Fault> {
    let is_newer = kind == ConflictKind::Newer
        || step.there.as_ref().is_some_and(|there| step.attributes.modified > there.modified);
    Ok(match choice {
        Choice::Skip if !is_compared(shared) && is_of_another_time(step) => Some(OTHER_TIME),
        Choice::Skip => Some(why_left(kind)),
        _ if !kind.offers(choice) && kind != ConflictKind::LinkOrFile => Some(why_left(kind)),
        Choice::NewerOnly if !is_newer => Some(NOT_OLDER),
        Choice::Resume if !is_beginning(shared, step).await? => Some(NO_BEGINNING),
        _ => None,
    })
}

/// Returns whether contents decide what is unchanged.
fn is_compared(shared: &Shared) -> bool {
    shared.job.on_request.checksum
}

/// Returns whether only the time tells a file from what is there: it may be the same, where a time could not be kept.
fn is_of_another_time(step: &Step) -> bool {
    let source = &step.attributes;
    step.there.as_ref().is_some_and(|there| {
        (source.kind, there.kind) == (Kind::File, Kind::File)
            && source.size == there.size
            && source.modified != there.modified
    })
}

const fn why_left(kind: ConflictKind) -> &'static str {
    match kind {
        ConflictKind::Folder => FOLDER_AND_FILE,
        ConflictKind::Case => SAME_BUT_FOR_CASE,
        _ => EXISTS,
    }
}

/// Returns whether a name is in its destination folder in exactly this spelling.
pub(super) async fn is_listed(shared: &Shared, place: &Location) -> Result<bool, Fault> {
    let whole = place.whole().map_err(|_| FaultCode::NameTooLong)?;
    let (Some(name), Some(folder)) = (whole.name(), whole.parent()) else { return Ok(false) };
    let _permit = shared.checks.acquire().await;
    let link = &shared.job.destination;
    let mut listing = link.list(&folder, SortKey::Name, Direction::Ascending, Hidden::Shown);
    while let Some(page) = listing.next_page().await? {
        if page.entries.iter().any(|entry| entry.name == *name) {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn is_same(shared: &Shared, step: &Step) -> Result<bool, Fault> {
    let _permit = shared.checks.acquire().await;
    // Boxed: many wait for a decision, and few are compared.
    Box::pin(carry::holds_same(shared, &mut step.clone())).await
}

async fn is_beginning(shared: &Shared, step: &Step) -> Result<bool, Fault> {
    let _permit = shared.checks.acquire().await;
    Box::pin(prefix::is_beginning(shared, step)).await
}

/// What to do about a conflict: as was said for all, or as somebody says now. None where this is only told, since nothing is done.
async fn choose(shared: &Shared, kind: ConflictKind, sides: &Sides<'_>) -> Result<Option<Choice>, Fault> {
    let (from, to) = sides.places;
    match shared.job.existing {
        ExistingPolicy::Always(Choice::KeepBoth) => return Ok(Some(Choice::KeepBoth)),
        // Nothing that was said for all makes one of these out of the other.
        ExistingPolicy::Always(_) if kind == ConflictKind::Folder => return Err(no_place(sides)),
        ExistingPolicy::Always(choice) => return Ok(Some(choice)),
        ExistingPolicy::Ask if shared.job.is_dry => {
            shared.tally.skipped();
            shared.planned(Action::Ask(kind), (from, to), sides.source, None).await;
            return Ok(None);
        }
        ExistingPolicy::Ask => {}
    }
    let (id, decided) = match shared.reports.undecided.ask(kind) {
        Asked::Decided(choice) => return Ok(Some(choice)),
        Asked::Open(id, decided) => (id, decided),
    };
    let (from, to) = (from.clone(), to.clone());
    let conflict = Conflict { id, kind, from, to, source: sides.source.clone(), there: sides.there.cloned() };
    let asking = async {
        // Where nobody listens, what is there stays.
        match shared.reports.facts.send(Fact::Conflict(conflict)).await {
            Ok(()) => decided.await.unwrap_or(Choice::Skip),
            Err(_) => Choice::Skip,
        }
    };
    let choice = shared.unless_stopped(asking).await;
    shared.reports.undecided.withdraw(id);
    shared.tell(Fact::Settled(id)).await;
    choice.map(Some)
}

fn no_place(Sides { places: (_, to), source, .. }: &Sides<'_>) -> Fault {
    if source.kind == Kind::Folder {
        fault_at(FaultCode::NotAFolder, to).because("a folder cannot take the place of a file")
    } else {
        fault_at(FaultCode::IsAFolder, to).because("a file cannot take the place of a folder")
    }
}

/// The first free name of the kind `name (2).ext`.
async fn free_name(shared: &Shared, place: &Location) -> Result<Location, Fault> {
    let (Some(name), Some(folder)) = (place.path.name(), place.path.parent()) else {
        return Err(FaultCode::Internal.into());
    };
    for first in (2..COPIES_MAX).step_by(NAMES_AT_ONCE as usize) {
        let paths: Vec<WirePath> = (first..first + NAMES_AT_ONCE)
            .map(|number| folder.join(&numbered(name, number)?).map_err(|_| FaultCode::NameTooLong))
            .collect::<Result<_, _>>()
            .map_err(|code| fault_at(code, place).because("and there is no room for a number in it"))?;
        let looked = look(&shared.job.destination, place.base.clone(), paths.clone()).await?;
        let free = looked.iter().zip(paths).find(|(there, _)| matches!(there, Err(FaultCode::NotFound)));
        if let Some((_, path)) = free {
            return Ok(Location { base: place.base.clone(), path });
        }
    }
    Err(fault_at(FaultCode::AlreadyExists, place).because("and so do all names like it"))
}

/// `name (2).ext`; the number goes before the last dot that is not the name's first byte. The stem of a long name is shortened, never
/// within a character.
fn numbered(name: &Name, number: u32) -> Result<Name, FaultCode> {
    let bytes = name.as_bytes();
    let number = format!(" ({number})");
    let room = |rest: &[u8]| NAME_BYTES_MAX.saturating_sub(number.len() + rest.len());
    let dot = bytes.iter().rposition(|byte| *byte == b'.').filter(|dot| *dot > 0);
    // A dot behind which hardly anything fits begins no extension.
    let dot = dot.filter(|dot| room(&bytes[*dot..]) >= STEM_BYTES_MIN.min(*dot)).unwrap_or(bytes.len());
    let (stem, extension) = bytes.split_at(dot);
    let mut end = stem.len().min(room(extension));
    while end > 0 && stem.get(end).is_some_and(|byte| byte & 0b1100_0000 == 0b1000_0000) {
        end -= 1;
    }
    let new = [&stem[..end], number.as_bytes(), extension].concat();
    Name::new(new).map_err(|_| FaultCode::NameTooLong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_copy_keeps_its_extension() {
        for (name, expected) in
            [("a.txt", "a (2).txt"), ("a", "a (2)"), (".rc", ".rc (2)"), ("a.tar.gz", "a.tar (2).gz")]
        {
            let numbered = numbered(&Name::try_from(name).unwrap(), 2).unwrap();
            assert_eq!(numbered.as_bytes(), expected.as_bytes());
        }
    }

    #[test]
    fn a_long_name_is_shortened_for_its_number_between_two_characters() {
        let long = |text: &str, count: usize| text.repeat(count);
        for (name, expected) in [
            (long("x", 255), long("x", 251) + " (2)"),
            (long("x", 251) + ".txt", long("x", 247) + " (2).txt"),
            (long("日", 85), long("日", 83) + " (2)"),
            ("a.".to_owned() + &long("x", 253), "a.".to_owned() + &long("x", 249) + " (2)"),
        ] {
            let numbered = numbered(&Name::try_from(name.as_str()).unwrap(), 2).unwrap();
            assert_eq!(String::from_utf8_lossy(numbered.as_bytes()), expected);
        }
        let bytes = Name::new([0xff; 255]).unwrap();
        assert_eq!(numbered(&bytes, 9_999).unwrap().as_bytes().len(), 255);
    }
}
