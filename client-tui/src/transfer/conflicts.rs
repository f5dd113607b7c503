//! Decides about files that are in the way, one question at a time, while everything else runs.

use tokio::sync::{mpsc, oneshot};
use towpath_protocol::entry::{Attributes, Kind};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::path::{Location, Name};
use towpath_protocol::request::{Existing, Follow};

use super::job::{Conflict, Decision, ExistingPolicy, Fact};
use super::plan::Step;
use super::pump;
use super::run::Shared;

/// Names that are tried for a second copy.
const COPIES_MAX: u32 = 10_000;

/// Takes conflicts until there are no more, and sends on what is to be done.
pub(super) async fn decide(
    shared: &Shared,
    mut conflicts: mpsc::Receiver<Step>,
    steps: mpsc::Sender<Step>,
) -> Result<(), Fault> {
    let mut policy = shared.job.existing;
    while let Some(step) = conflicts.recv().await {
        let Some(there) = step.there.clone() else { continue };
        if there.kind == Kind::Folder {
            let fault = Fault::new(FaultCode::IsAFolder).because("a file cannot take the place of a folder");
            shared.step_failed(&step, fault.at(step.to.whole().unwrap_or_default())).await?;
            continue;
        }
        let decided = if policy == ExistingPolicy::Ask {
            ask(shared, &step, &there, &mut policy).await
        } else {
            policy
        };
        if let Some(step) = apply(shared, decided, step, &there).await? {
            steps.send(step).await.map_err(|_| FaultCode::Cancelled)?;
        }
    }
    Ok(())
}

async fn ask(
    shared: &Shared,
    step: &Step,
    there: &Attributes,
    policy: &mut ExistingPolicy,
) -> ExistingPolicy {
    let (answer, decision) = oneshot::channel();
    let conflict = Conflict {
        from: step.from.whole().unwrap_or_default(),
        to: step.to.whole().unwrap_or_default(),
        source: step.attributes.clone(),
        there: there.clone(),
        answer,
    };
    if shared.reports.facts.send(Fact::Conflict(conflict)).await.is_err() {
        return ExistingPolicy::Skip;
    }
    let decision = tokio::select! {
        decision = decision => decision.ok(),
        () = shared.reports.cancel.cancelled() => None,
    };
    let decision = decision.unwrap_or(Decision { policy: ExistingPolicy::Skip, for_all: false });
    if decision.for_all {
        *policy = decision.policy;
    }
    decision.policy
}

/// The step as it is to be done; none where what is there stays.
async fn apply(
    shared: &Shared,
    policy: ExistingPolicy,
    step: Step,
    there: &Attributes,
) -> Result<Option<Step>, Fault> {
    let replace = match policy {
        ExistingPolicy::Ask | ExistingPolicy::Skip => false,
        ExistingPolicy::Replace => true,
        ExistingPolicy::Newer => step.attributes.modified_ns > there.modified_ns,
        ExistingPolicy::Different => match pump::is_same_content(shared, &step, there).await {
            Ok(true) => {
                shared.not_needed(&step);
                return Ok(None);
            }
            Ok(false) => true,
            Err(fault) => {
                shared.step_failed(&step, fault).await?;
                return Ok(None);
            }
        },
        ExistingPolicy::KeepBoth => return Ok(Some(beside(shared, step).await?)),
    };
    if replace {
        return Ok(Some(Step { existing: Existing::Replace, ..step }));
    }
    shared
        .step_skipped(
            &step,
            if policy == ExistingPolicy::Newer { "exists and is not older" } else { "exists" },
        )
        .await;
    Ok(None)
}

/// The step under the first free name of the kind `name (2).ext`.
async fn beside(shared: &Shared, step: Step) -> Result<Step, Fault> {
    let whole = step.to.whole().map_err(|_| FaultCode::NameTooLong)?;
    let (Some(name), Some(folder)) = (whole.name(), whole.parent()) else {
        return Err(FaultCode::Internal.into());
    };
    for number in 2..COPIES_MAX {
        let path = folder.join(&numbered(name, number)?).map_err(|_| FaultCode::NameTooLong)?;
        if shared
            .job
            .destination
            .stat(&path, Follow::No)
            .await
            .is_err_and(|fault| fault.code == FaultCode::NotFound)
        {
            return Ok(Step { to: Location::of(&path), there: None, ..step });
        }
    }
    Err(Fault::new(FaultCode::AlreadyExists).because("and so do all names like it").at(whole))
}

/// `name (2).ext`; the number goes before the last dot that is not the name's first byte.
fn numbered(name: &Name, number: u32) -> Result<Name, Fault> {
    let bytes = name.as_bytes();
    let dot = bytes.iter().rposition(|byte| *byte == b'.').filter(|dot| *dot > 0).unwrap_or(bytes.len());
    let new = [&bytes[..dot], format!(" ({number})").as_bytes(), &bytes[dot..]].concat();
    Name::new(new).map_err(|_| FaultCode::NameTooLong.into())
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
