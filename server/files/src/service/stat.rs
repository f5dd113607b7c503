//! Stat: attributes of many things in one request.

use std::sync::Arc;

use towpath_protocol::answer::{StatItem, Stats};
use towpath_protocol::entry::{Attributes, Kind};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::message::Answer;
use towpath_protocol::path::{Location, WirePath};
use towpath_protocol::request::{Follow, Stat};

use super::Service;
use crate::disk;
use crate::root::Root;

pub(super) async fn stat(service: Arc<Service>, request: Stat) -> Result<Answer, Fault> {
    let base = Location::through(&request.base);
    service
        .blocking(&base, move |service| {
            let Stat { base, paths, follow } = request;
            let items = paths.into_iter().map(|path| {
                let location = Location { base: base.clone(), path };
                StatItem(look(&service.root, &location, follow).map_err(|fault| fault.code))
            });
            Ok(Stats { items: items.collect() }.into())
        })
        .await
}

fn look(root: &Root, location: &Location, follow: Follow) -> Result<Attributes, Fault> {
    let mut attributes = disk::stat_open(root.thing(location)?)?;
    if attributes.kind != Kind::Link {
        return Ok(attributes);
    }
    let whole: WirePath = location.whole().map_err(|_| FaultCode::NameTooLong)?;
    match follow {
        Follow::Yes => disk::stat_open(root.thing(&Location::through(&whole))?),
        Follow::No => {
            if let Some(link) = &mut attributes.link {
                link.kind = root.kind_behind(&whole);
            }
            Ok(attributes)
        }
    }
}
