//! Measure: files, folders and bytes below some things. Space: free bytes where a path is.

use std::sync::Arc;

use towpath_protocol::entry::Kind;
use towpath_protocol::fault::Fault;
use towpath_protocol::message::Answer;
use towpath_protocol::path::{Location, WirePath};
use towpath_protocol::request::{Measure, Space};

use super::Service;
use super::tally::Tally;
use super::tree::{Met, Tree};
use crate::disk;
use crate::exchange::Exchange;

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
                if let Err(fault) = tree.and_then(|tree| count(tree, &mut tally)) {
                    tally.failed(super::at(thing)(fault))?;
                }
            }
            Ok(tally.finish().into())
        })
        .await
}

fn count(tree: Tree, tally: &mut Tally) -> Result<(), Fault> {
    for met in tree {
        tally.step()?;
        match met {
            Ok(Met { entry, fault, .. }) => {
                match entry.attributes.kind {
                    Kind::Folder => tally.folder(),
                    _ => tally.file(entry.attributes.size),
                }
                if let Some(code) = fault {
                    tally.failed(
                        Fault::new(code).because(format!("{} cannot be read", entry.name.display())),
                    )?;
                }
            }
            Err(fault) => tally.failed(fault)?,
        }
    }
    Ok(())
}

pub(super) async fn space(service: Arc<Service>, request: Space) -> Result<Answer, Fault> {
    let place = Location::through(&request.path);
    service
        .blocking(&place.clone(), move |service| Ok(disk::space(service.root.thing(&place)?)?.into()))
        .await
}
