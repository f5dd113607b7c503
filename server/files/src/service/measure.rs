//! Measure: files, folders and bytes below some things. Space: free bytes where a path is.

use std::sync::Arc;

use towpath_protocol::answer::SpaceInfo;
use towpath_protocol::entry::Kind;
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::message::Answer;
use towpath_protocol::path::{Location, Name, WirePath};
use towpath_protocol::request::{Measure, Space};

use super::Service;
use super::tally::Tally;
use super::tree::{Met, Tree};
use crate::disk;
use crate::exchange::Exchange;
use crate::root::Root;

pub(super) async fn measure(
    service: Arc<Service>,
    request: Measure,
    exchange: Exchange,
) -> Result<Answer, Fault> {
    let root = Location::through(&WirePath::root());
    service
        .blocking(&root, move |service| {
            let mut tally = Tally::new(&exchange, WirePath::root());
            for thing in &request.things {
                let tree = Tree::open(&service.root, thing);
                if let Err(fault) = tree.and_then(|tree| count(thing, tree, &mut tally)) {
                    tally.failed(super::at(thing)(fault))?;
                }
            }
            Ok(tally.finish().into())
        })
        .await
}

fn count(thing: &Location, tree: Tree, tally: &mut Tally) -> Result<(), Fault> {
    let mut below: Vec<Name> = Vec::new();
    for met in tree {
        tally.step()?;
        let Met { depth, entry, fault } = met?;
        // The start itself has depth 0, and its own name is the thing's last.
        below.truncate(depth.saturating_sub(1));
        if depth > 0 {
            below.push(entry.name);
        }
        match entry.attributes.kind {
            Kind::Folder => tally.folder(),
            _ => tally.file(entry.attributes.size),
        }
        if let Some(code) = fault {
            tally.failed(at_below(thing, &below, code))?;
        }
    }
    Ok(())
}

/// A fault of something below a thing; of the thing itself where that lies deeper than any path can say.
fn at_below(thing: &Location, below: &[Name], code: FaultCode) -> Fault {
    let path = WirePath::new(below.to_vec()).and_then(|below| thing.whole()?.join_path(&below));
    path.or_else(|_| thing.whole()).map_or_else(|_| code.into(), |path| Fault::new(code).at(path))
}

/// Of all files below a folder, those that wait for their upload to go on too; what cannot be looked at counts nothing.
pub(super) fn bytes_below(root: &Root, folder: &Location) -> Result<u64, Fault> {
    let mut tree = Tree::open(root, folder)?.counting_parts();
    let met = tree.by_ref().flatten();
    let bytes = met.map(|met| met.entry.attributes.size).fold(0, u64::saturating_add);
    Ok(bytes.saturating_add(tree.parts_bytes()))
}

/// Where a client has a quota, no more than is left of it.
pub(super) async fn space(service: Arc<Service>, request: Space) -> Result<Answer, Fault> {
    let place = Location::through(&request.path);
    service.allowance.learn_used(service.clone().used_bytes()).await?;
    service
        .blocking(&place.clone(), move |service| {
            let SpaceInfo { free, total } = disk::space(service.root.thing(&place)?)?;
            let kept = service.allowance.limits().disk_reserve_bytes;
            let (left, quota) = service.allowance.left().unwrap_or((u64::MAX, u64::MAX));
            Ok(SpaceInfo { free: free.saturating_sub(kept).min(left), total: total.min(quota) }.into())
        })
        .await
}
