//! A job that changes nothing: what its plan hands over is told, and not done.

use tokio::sync::mpsc;
use towpath_protocol::entry::{Attributes, Kind};
use towpath_protocol::path::{Location, WirePath};
use towpath_protocol::request::Existing;

use super::carry;
use super::conflicts;
use super::job::{Action, Fact, Planned, Verb};
use super::shared::Shared;
use super::work::{Step, Work};

/// Takes work until there is no more.
pub(super) async fn tell_all(shared: &Shared, mut work: mpsc::Receiver<Work>) {
    while let Ok(Some(work)) = shared.unless_stopped(work.recv()).await {
        // Folders have nothing to be finished for.
        if let Work::Carry(step) = work {
            tell(shared, step).await;
        }
    }
}

async fn tell(shared: &Shared, mut step: Step) {
    if step.is_twin && (shared.job.verb == Verb::Move || shared.compares()) {
        let same = carry::holds_same(shared, &mut step).await;
        match same {
            Ok(true) => shared.tally.compared(),
            Ok(false) => match conflicts::settle_different(shared, step).await {
                Some(differs) => step = differs,
                None => return,
            },
            Err(fault) => return shared.failed(fault).await,
        }
    }
    let step = &step;
    let places = (&step.from, &step.to);
    let (action, reason) = match (step, shared.job.verb) {
        (Step { is_twin: true, .. }, Verb::Move) => {
            (Action::Unchanged, Some("the same is there; the source would be removed"))
        }
        (Step { is_twin: true, .. }, Verb::Copy) if shared.compares() => (Action::Unchanged, None),
        (Step { is_twin: true, .. }, Verb::Copy) => {
            (Action::Unchanged, Some("the same size and time, another mode"))
        }
        (Step { existing: Existing::Keep, .. }, _) => (Action::Copy, None),
        _ => (Action::Replace, None),
    };
    shared.planned(action, places, &step.attributes, reason).await;
}

impl Shared {
    /// Of a job that changes nothing.
    pub(super) async fn planned(
        &self,
        action: Action,
        (from, to): (&Location, &Location),
        attributes: &Attributes,
        reason: Option<&'static str>,
    ) {
        let (from, to) = (Some(from.whole().unwrap_or_default()), to.whole().unwrap_or_default());
        let (kind, size) = (attributes.kind, attributes.size);
        self.tell(Fact::Planned(Planned { action, from, to, kind, size, reason })).await;
    }

    /// A folder would be made above the place of an item.
    pub(super) async fn to_be_made(&self, to: WirePath) {
        let (action, kind) = (Action::Make, Kind::Folder);
        self.tell(Fact::Planned(Planned { action, from: None, to, kind, size: 0, reason: None })).await;
    }

    /// Something stays as it is: told as done where the job does anything, else as what would be.
    pub(super) async fn left(
        &self,
        (from, to): (&Location, &Location),
        attributes: &Attributes,
        why: &'static str,
    ) {
        let is_special = attributes.kind.is_special();
        if is_special {
            self.count_special();
        } else {
            self.tally.skipped();
        }
        if self.job.is_dry {
            let action = if is_special && self.job.on_request.skips_special {
                Action::SkipSpecial
            } else {
                Action::Skip
            };
            self.planned(action, (from, to), attributes, Some(why)).await;
        } else {
            let place = if is_special { from } else { to };
            self.tell(Fact::Skipped(place.whole().unwrap_or_default(), why)).await;
        }
    }

    /// A fifo, socket or device stays where it is.
    pub(super) fn count_special(&self) {
        if self.job.on_request.skips_special { self.tally.special() } else { self.tally.skipped() }
    }

    /// What is at the destination is the same already.
    pub(super) async fn unchanged(&self, places: (&Location, &Location), attributes: &Attributes) {
        self.tally.unchanged();
        if self.job.is_dry {
            self.planned(Action::Unchanged, places, attributes, None).await;
        }
    }
}
