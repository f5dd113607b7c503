//! Stat: attributes of many things in one request.

use std::sync::Arc;

use towpath_protocol::answer::{StatItem, Stats};
use towpath_protocol::entry::{Attributes, Kind};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::message::Answer;
use towpath_protocol::path::{Location, WirePath};
use towpath_protocol::request::{Follow, Stat};

use super::Service;
use super::blocking_pool::Class;
use super::turns::Turn;
use crate::disk;
use crate::exchange::{Answers, Exchange};
use crate::memory;
use crate::root::Root;

pub(super) async fn stat(service: Arc<Service>, request: Stat, exchange: Exchange) -> Result<Answer, Fault> {
    let base = Location::through(&request.base);
    let Stat { base: below, paths, follow } = request;
    let items = Vec::with_capacity(paths.len());
    let answers = exchange.answers;
    let looking = Looking { base: below, paths: paths.into_iter(), follow, items, answers };
    let (Looking { items, .. }, ()) = service
        .in_turns(Class::Prompt, &base, looking, |service, looking, turn| Ok(looking.go_on(service, turn)))
        .await?;
    Ok(Stats { items }.into())
}

/// Things that are being looked at.
struct Looking {
    base: WirePath,
    paths: std::vec::IntoIter<WirePath>,
    follow: Follow,
    items: Vec<StatItem>,
    answers: Answers,
}

impl Looking {
    fn go_on(&mut self, service: &Service, turn: &Turn) -> Option<()> {
        let Self { base, paths, follow, items, answers } = self;
        for path in paths {
            let location = Location { base: base.clone(), path };
            let found = look(&service.root, &location, *follow).map_err(|fault| fault.code);
            // A few paths may name very many bytes of links.
            let has_memory = |found: &Attributes| answers.try_pay_ahead(memory::of_link(found));
            items.push(StatItem(match found {
                Ok(found) if !has_memory(&found) => Err(FaultCode::LimitExceeded),
                found => found,
            }));
            if turn.is_over() {
                return None;
            }
        }
        Some(())
    }
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
                link.kind = root.kind_behind(&whole, None);
            }
            Ok(attributes)
        }
    }
}
