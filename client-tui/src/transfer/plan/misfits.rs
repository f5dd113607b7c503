//! What of a page cannot simply take its place at the destination: names that it takes for one, paths that become too long, folders
//! where something else is.

use std::sync::Arc;

use towpath_protocol::entry::Attributes;
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::hello::NameCase;
use towpath_protocol::path::{Location, WirePath};

use super::{Found, Plan, fault_at, join, too_long};
use crate::model::{Choice, ConflictKind};
use crate::transfer::conflicts::FolderClash;
use crate::transfer::job::{ExistingPolicy, Fact};
use crate::transfer::work::Folder;

/// Names that differ only in case, and are told of one item.
const CASES_TOLD_MAX: usize = 20;

impl Plan<'_> {
    /// Whether the destination takes a name for another one that differs only in case. Where it does not, others may.
    pub(super) async fn is_one_name(&mut self, below: &WirePath) -> Result<bool, Fault> {
        if self.shared.job.destination.welcome().name_case == NameCase::Insensitive {
            return Ok(true);
        }
        self.cases += 1;
        if self.cases <= CASES_TOLD_MAX {
            let path = join(&self.from, below)?.whole().unwrap_or_default();
            let what = "another name there differs only in case; some systems take the two for one";
            self.shared.tell(Fact::Noticed(path, what.into())).await;
        }
        Ok(false)
    }

    /// Tells what has no place at the destination since its path becomes too long, and leaves it out.
    pub(super) async fn nameable(&mut self, found: Vec<Found>) -> Result<Vec<Found>, Fault> {
        let mut nameable = Vec::with_capacity(found.len());
        let mut is_any_left_out = false;
        for found in found {
            if is_any_left_out && self.is_left_out(&found.below) {
                self.folders.insert(found.below, None);
            } else if let Err(fault) = join(&self.to, &found.below) {
                let from = join(&self.from, &found.below)?.whole().unwrap_or_default();
                self.shared.failed(fault.at(from)).await;
                self.folders.insert(found.below, None);
                is_any_left_out = true;
            } else {
                nameable.push(found);
            }
        }
        Ok(nameable)
    }

    /// A folder that something else has the name of is left to those who settle conflicts.
    pub(super) async fn put_aside(
        &self,
        kind: ConflictKind,
        found: &Found,
        to: Location,
        (parent, there): (Option<Arc<Folder>>, Option<&Attributes>),
    ) -> Result<Option<Folder>, Fault> {
        let (from, attributes) = (join(&self.from, &found.below)?, found.attributes.clone());
        let may_stay = matches!(
            self.shared.job.existing,
            ExistingPolicy::Ask | ExistingPolicy::Always(Choice::KeepBoth)
        );
        let Some(folders) = self.queues.folders.as_ref().filter(|_| may_stay || kind == ConflictKind::Case)
        else {
            let fault = fault_at(FaultCode::NotAFolder, &to);
            return Err(fault.because("a folder cannot take the place of a file"));
        };
        let below = self.above.1.join_path(&found.below).map_err(too_long)?;
        let (there, own, bounds) = (there.cloned(), self.own.clone(), self.bounds.clone());
        let clash = FolderClash { kind, from, to, below, attributes, there, parent, own, bounds };
        folders.send(clash).await.map_err(|_| FaultCode::Cancelled)?;
        Ok(None)
    }
}
