//! Links of a page that are copied as the files that they lead to, where that was asked for.

use towpath_protocol::entry::Kind;
use towpath_protocol::fault::Fault;
use towpath_protocol::path::Location;

use super::{Found, Parent, Plan, join};
use crate::transfer::job::{Fact, Verb, Within};
use crate::transfer::links::{Chase, End, Stays, follow};

impl Plan<'_> {
    /// Makes each link that leads to a file within its bounds into that file, under the link's name; tells why the others stay.
    pub(super) async fn followed(&self, mut found: Vec<Found>) -> Result<Vec<Found>, Fault> {
        let job = &self.shared.job;
        let Some(within) = job.on_request.follow.filter(|_| job.verb == Verb::Copy) else {
            return Ok(found);
        };
        let is_meant = |found: &Found| {
            found.attributes.kind == Kind::Link && !matches!(self.parent(&found.below), Parent::LeftOut)
        };
        let (mut chased, mut chases) = (Vec::new(), Vec::new());
        for (index, found) in found.iter().enumerate().filter(|(_, found)| is_meant(found)) {
            match self.chase(found, within)? {
                Ok(chase) => {
                    chased.push(index);
                    chases.push(chase);
                }
                Err(stays) => self.stays(found, stays).await?,
            }
        }
        let ends = follow(&job.source, &self.from.base, chases).await?;
        for (index, end) in chased.into_iter().zip(ends) {
            let found = &mut found[index];
            match end {
                Ok(End { path, attributes: Some(file) }) if file.kind == Kind::File => {
                    found.from = Some(Location { base: self.from.base.clone(), path });
                    found.attributes = file;
                }
                Ok(_) => self.stays(found, Stays::Folder).await?,
                Err(stays) => self.stays(found, stays).await?,
            }
        }
        Ok(found)
    }

    fn chase(&self, found: &Found, within: Within) -> Result<Result<Chase, Stays>, Fault> {
        let Some(target) = &found.attributes.link else { return Ok(Err(Stays::Unreadable)) };
        let path = join(&self.from, &found.below)?.path;
        let floor = match within {
            // The item is the link: what it leads to is beside it, if anywhere.
            Within::Item if !found.below.is_root() => {
                self.from.path.names().len().saturating_sub(self.above.1.names().len())
            }
            _ => 0,
        };
        let folder = path.names().split_last().map_or(&[][..], |(_, folder)| folder);
        Ok(Chase::of(folder, floor, &target.bytes))
    }

    async fn stays(&self, found: &Found, stays: Stays) -> Result<(), Fault> {
        let path = join(&self.from, &found.below)?.whole().unwrap_or_default();
        self.shared.tell(Fact::Noticed(path, stays.text().into())).await;
        Ok(())
    }
}
