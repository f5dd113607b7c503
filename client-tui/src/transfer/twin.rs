//! Work left if the destination has the same content: attributes, and in a move the source. Where contents decide they are
//! compared first.

use towpath_protocol::entry::{Attributes, Kind};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::metadata::{Part, Parts};
use towpath_protocol::request::{Existing, SetTimes};

use super::carry;
use super::conflicts;
use super::job::Verb;
use super::leaving::{Copied, leave};
use super::metadata;
use super::plan::{has_other_mode, look_at};
use super::shared::Shared;
use super::work::Step;

impl Shared {
    /// A move takes the source away, of which so many bytes were copied.
    pub(super) async fn leave(
        &self,
        step: &Step,
        bytes: u64,
        there: Option<Attributes>,
    ) -> Result<(), Fault> {
        if bytes < step.attributes.size {
            let why = format!(
                "copied, but the source stays: it has {} bytes, and gave {bytes}",
                step.attributes.size
            );
            return Err(Fault::new(FaultCode::Changed)
                .at(step.from.whole().unwrap_or_default())
                .because(why));
        }
        let copied = match (step.existing, there) {
            // A service flushes its own copies, links too.
            (Existing::Keep, Some(_)) if step.attributes.kind == Kind::Link => Copied::NotFlushed,
            (Existing::Keep, _) => Copied::New,
            (_, Some(there)) => Copied::Replaced(Box::new(there)),
            (_, None) => Copied::Replaced(Box::new(self.look_at_copy(step, bytes).await?)),
        };
        leave(self, (&step.from, &step.to), &step.attributes, &copied).await
    }

    async fn look_at_copy(&self, step: &Step, bytes: u64) -> Result<Attributes, Fault> {
        let there = look_at(&self.job.destination, &step.to).await?;
        if there.kind == step.attributes.kind && there.size == bytes {
            return Ok(there);
        }
        Err(Fault::new(FaultCode::Changed).because("copied, but the source stays: the copy has changed"))
    }

    /// Content that the destination has is not copied; its mode may differ, and a move removes the source. Gives the step back where
    /// contents decide, and differ.
    pub(super) async fn twin(&self, mut step: Step) -> Option<Step> {
        let is_move = self.job.verb == Verb::Move;
        let is_same =
            if is_move || self.compares() { carry::holds_same(self, &mut step).await } else { Ok(true) };
        match is_same {
            Ok(true) => {
                self.tally.not_carried(step.attributes.size);
                self.finish_twin(step).await;
                None
            }
            Ok(false) => conflicts::settle_different(self, step).await,
            Err(fault) => {
                self.has_failed(&step, fault).await;
                None
            }
        }
    }

    async fn finish_twin(&self, step: Step) {
        let is_compared = self.job.verb == Verb::Move || self.compares();
        let done = match self.job.verb {
            Verb::Move => self.leave_twin(&step).await,
            Verb::Copy => self.set_attributes_of_twin(&step).await,
        };
        match done {
            Ok(()) => {
                self.tally.unchanged();
                if is_compared {
                    self.tally.compared();
                }
            }
            Err(fault) => self.failed(fault).await,
        }
    }

    async fn set_attributes_of_twin(&self, step: &Step) -> Result<(), Fault> {
        let Some(there) = &step.there else { return Err(FaultCode::Internal.into()) };
        let mut unset = Parts::NONE;
        if has_other_mode(&step.attributes, there) || metadata::may_differ(self, &step.attributes) {
            unset = self.set_attributes((&step.from, &step.attributes), (&step.to, there.identity)).await?;
        }
        metadata::count(self, unset.and_also(self.set_time_of_twin(step).await?));
        Ok(())
    }

    /// Sets the attributes of a file with the same content. Returns those that could not be set.
    async fn set_time_of_twin(&self, step: &Step) -> Result<Parts, Fault> {
        let modified = step.attributes.modified;
        if step.there.as_ref().is_none_or(|there| there.modified == modified) {
            return Ok(Parts::NONE);
        }
        self.touch();
        let set = self.job.destination.call(SetTimes { thing: step.to.clone(), modified }).await;
        metadata::unless(Part::Modified, set.map(drop))
    }

    /// Removes the source of what holds the same.
    async fn leave_twin(&self, step: &Step) -> Result<(), Fault> {
        metadata::count(self, self.set_time_of_twin(step).await?);
        let Some(was) = &step.there else { return Err(FaultCode::Internal.into()) };
        let there = if was.modified == step.attributes.modified {
            was.clone()
        } else {
            self.look_at_copy(step, step.attributes.size).await?
        };
        leave(self, (&step.from, &step.to), &step.attributes, &Copied::Replaced(Box::new(there))).await
    }
}
