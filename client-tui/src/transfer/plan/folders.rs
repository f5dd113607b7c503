//! The folders of a page: made level by level, or joined where they are there already, before anything goes into them.

use std::sync::Arc;

use futures_util::{StreamExt, stream};
use towpath_protocol::entry::{Attributes, Kind};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::message::Answer;
use towpath_protocol::path::Location;
use towpath_protocol::request::{Existing, MakeFolder};

use super::{Found, Parent, Plan, fault_at, join};
use crate::link::calls::operation_id;
use crate::model::ConflictKind;
use crate::transfer::conflicts::is_listed;
use crate::transfer::job::{Action, Verb};
use crate::transfer::listed::Part;
use crate::transfer::metadata;
use crate::transfer::placed::Claim;
use crate::transfer::work::Folder;

/// Folders that are being made at a time.
const FOLDERS_AT_ONCE: usize = 128;

impl Plan<'_> {
    /// Makes folders, level by level, those of one level at once.
    pub(super) async fn folders(&mut self, mut folders: Vec<Found>) -> Result<(), Fault> {
        folders.sort_by_key(|folder| folder.below.names().len());
        let mut rest = folders.into_iter().peekable();
        while let Some(first) = rest.next() {
            let depth = first.below.names().len();
            let mut level = vec![first];
            while let Some(next) = rest.next_if(|next| next.below.names().len() == depth) {
                level.push(next);
            }
            self.level(level).await?;
        }
        Ok(())
    }

    async fn level(&mut self, level: Vec<Found>) -> Result<(), Fault> {
        let level = self.with_there(level).await?;
        let this = &*self;
        // Those that the destination may take for another one come after that.
        let (alike, others): (Vec<_>, Vec<_>) = level.into_iter().partition(|(found, ..)| found.is_alike);
        let mut made = Vec::with_capacity(alike.len() + others.len());
        for (level, at_once) in [(others, FOLDERS_AT_ONCE), (alike, 1)] {
            let level = stream::iter(level).map(|(found, parent, there)| async move {
                let made = this.folder(&found, parent, there.as_ref()).await;
                (found, made)
            });
            made.extend(level.buffered(at_once).collect::<Vec<_>>().await);
        }
        for (found, made) in made {
            let folder = match made {
                Ok(folder) => folder.map(Arc::new),
                Err(fault) => {
                    self.shared.failed(fault).await;
                    None
                }
            };
            if let (Some(code), Some(_)) = (found.fault, &folder) {
                self.shared.failed(fault_at(code, &join(&self.from, &found.below)?)).await;
            }
            self.folders.insert(found.below, folder);
        }
        Ok(())
    }

    /// Makes a folder, or joins the one that is there; none where it is left out.
    async fn folder(
        &self,
        found: &Found,
        parent: Parent,
        there: Option<&Attributes>,
    ) -> Result<Option<Folder>, Fault> {
        let parent = match parent {
            Parent::LeftOut => return Ok(None),
            Parent::Above => self.above.0.clone(),
            Parent::Folder(parent) => Some(parent),
        };
        let to = join(&self.to, &found.below)?;
        if self.shared.is_one_machine() && self.is_own(found.attributes.identity) {
            return Err(fault_at(FaultCode::IntoItself, &join(&self.from, &found.below)?));
        }
        let is_dry = self.shared.job.is_dry;
        // A folder that several items have is joined; one that the destination takes for another one is not.
        let is_alike = self.shared.placed.claim(&to) == Claim::Alike || found.is_alike;
        let identity = match there {
            _ if found.clashes => {
                return self.put_aside(ConflictKind::Case, found, to, (parent, there)).await;
            }
            Some(_) if is_alike && !is_listed(self.shared, &to).await? => {
                return self.put_aside(ConflictKind::Case, found, to, (parent, there)).await;
            }
            Some(there) if there.kind == Kind::Folder => Some(there.identity),
            Some(_) => return self.put_aside(ConflictKind::Folder, found, to, (parent, there)).await,
            None if is_dry => {
                let from = join(&self.from, &found.below)?;
                self.shared.planned(Action::Copy, (&from, &to), &found.attributes, None).await;
                None
            }
            None => {
                let existing = if is_alike { Existing::Keep } else { Existing::Replace };
                let made = match self.make(&to, found.attributes.mode, existing).await {
                    Err(fault)
                        if fault.code == FaultCode::PermissionDenied
                            && self.shared.open_up(parent.as_deref()).await =>
                    {
                        self.make(&to, found.attributes.mode, existing).await
                    }
                    made => made,
                };
                match made {
                    Err(fault) if is_alike && fault.code == FaultCode::AlreadyExists => {
                        return self.put_aside(ConflictKind::Case, found, to, (parent, there)).await;
                    }
                    made => Some(made?),
                }
            }
        };
        if let Some(identity) = identity {
            self.own.1.get_or_init(|| identity);
        }
        let places = (join(&self.from, &found.below)?, to);
        let mut folder = Folder::new(places, found.attributes.clone(), there, parent, &self.shared.hand_over);
        folder.identity = identity.unwrap_or_default();
        folder.is_way = self.part(&found.below) == Part::Way;
        if self.shared.job.verb == Verb::Move || metadata::is_kept(self.shared) {
            folder.touch();
        }
        Ok(Some(folder))
    }

    /// Joins one that was made this very moment, and never replaces anything else. Returns its identity.
    async fn make(&self, folder: &Location, mode: u16, existing: Existing) -> Result<u64, Fault> {
        let (operation, folder) = (operation_id()?, folder.clone());
        let request = MakeFolder { operation, folder, mode, existing };
        match self.shared.job.destination.call(request).await? {
            Answer::Stored(stored) => Ok(stored.attributes.identity),
            _ => Err(FaultCode::Malformed.into()),
        }
    }

    fn is_own(&self, folder: u64) -> bool {
        self.own.0 == Some(folder) || self.own.1.get() == Some(&folder)
    }
}
