//! Decides about files that are in the way, one question at a time, while everything else runs.

use tokio::sync::{mpsc, oneshot};
use towpath_protocol::entry::{Attributes, Kind};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::path::{Location, Name, WirePath};
use towpath_protocol::request::Existing;

use super::carry;
use super::job::{Conflict, Decision, ExistingPolicy, Fact};
use super::plan::{fault_at, look, look_at};
use super::shared::Shared;
use super::work::{Step, Work};

/// The highest number of a copy that is kept beside others.
const COPIES_MAX: u32 = 10_000;
/// Names looked at in one request.
const NAMES_AT_ONCE: u32 = 16;

/// Takes conflicts until there are no more, and sends on what is to be done.
pub(super) async fn settle_all(
    shared: &Shared,
    mut conflicts: mpsc::Receiver<Step>,
    work: mpsc::Sender<Work>,
) {
    while let Some(step) = conflicts.recv().await {
        if let Some(step) = settle(shared, step).await
            && work.send(Work::Carry(step)).await.is_err()
        {
            return;
        }
    }
}

/// The step as it is to be done; none where what is there stays, which has been told.
pub(super) async fn settle(shared: &Shared, step: Step) -> Option<Step> {
    let size = step.attributes.size;
    let settled = decide(shared, step).await;
    if !matches!(settled, Ok(Some(_))) {
        shared.tally.not_carried(size);
    }
    match settled {
        Ok(step) => step,
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
            shared.tally.not_carried(step.attributes.size);
            shared.failed(fault).await;
            None
        }
    }
}

async fn decide(shared: &Shared, step: Step) -> Result<Option<Step>, Fault> {
    let Some(there) = step.there.clone() else { return Ok(Some(step)) };
    if there.kind == Kind::Folder {
        let fault = fault_at(FaultCode::IsAFolder, &step.to);
        return Err(fault.because("a file cannot take the place of a folder"));
    }
    match ask(shared, &step, &there).await? {
        ExistingPolicy::Newer if step.attributes.modified_ns <= there.modified_ns => {
            shared.skipped(&step.to, "exists and is not older").await;
            Ok(None)
        }
        ExistingPolicy::Different if carry::is_same_content(shared, &step).await? => {
            shared.tally.unchanged();
            Ok(None)
        }
        ExistingPolicy::Replace | ExistingPolicy::Newer | ExistingPolicy::Different => {
            Ok(Some(Step { existing: Existing::Replace, ..step }))
        }
        ExistingPolicy::KeepBoth => beside(shared, step).await.map(Some),
        ExistingPolicy::Ask | ExistingPolicy::Skip => {
            shared.skipped(&step.to, "exists").await;
            Ok(None)
        }
    }
}

/// What to do about a conflict: as was said for all, or what a person says now. One question is open at a time.
async fn ask(shared: &Shared, step: &Step, there: &Attributes) -> Result<ExistingPolicy, Fault> {
    let mut for_all = shared.existing.lock().await;
    if *for_all != ExistingPolicy::Ask {
        return Ok(*for_all);
    }
    let (answer, decision) = oneshot::channel();
    let conflict = Conflict {
        from: step.from.whole().unwrap_or_default(),
        to: step.to.whole().unwrap_or_default(),
        source: step.attributes.clone(),
        there: there.clone(),
        answer,
    };
    let asking = async {
        // Where nobody listens, or answers, what is there stays.
        let _ = shared.reports.facts.send(Fact::Conflict(conflict)).await;
        decision.await.unwrap_or(Decision { policy: ExistingPolicy::Skip, for_all: false })
    };
    let decision = shared.unless_stopped(asking).await?;
    if decision.for_all {
        *for_all = decision.policy;
    }
    Ok(decision.policy)
}

/// The step under the first free name of the kind `name (2).ext`.
async fn beside(shared: &Shared, step: Step) -> Result<Step, Fault> {
    let (Some(name), Some(folder)) = (step.to.path.name(), step.to.path.parent()) else {
        return Err(FaultCode::Internal.into());
    };
    for first in (2..COPIES_MAX).step_by(NAMES_AT_ONCE as usize) {
        let paths: Vec<WirePath> = (first..first + NAMES_AT_ONCE)
            .map(|number| folder.join(&numbered(name, number)?).map_err(|_| FaultCode::NameTooLong))
            .collect::<Result<_, _>>()?;
        let looked = look(&shared.job.destination, step.to.base.clone(), paths.clone()).await?;
        let free = looked.iter().zip(paths).find(|(there, _)| matches!(there, Err(FaultCode::NotFound)));
        if let Some((_, path)) = free {
            let to = Location { base: step.to.base.clone(), path };
            return Ok(Step { to, there: None, existing: Existing::Keep, ..step });
        }
    }
    Err(fault_at(FaultCode::AlreadyExists, &step.to).because("and so do all names like it"))
}

/// `name (2).ext`; the number goes before the last dot that is not the name's first byte.
fn numbered(name: &Name, number: u32) -> Result<Name, FaultCode> {
    let bytes = name.as_bytes();
    let dot = bytes.iter().rposition(|byte| *byte == b'.').filter(|dot| *dot > 0).unwrap_or(bytes.len());
    let new = [&bytes[..dot], format!(" ({number})").as_bytes(), &bytes[dot..]].concat();
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
}
