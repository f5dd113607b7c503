//! Measure: files, folders and bytes below some things. Space: free bytes where a path is.

use std::sync::Arc;

use towpath_protocol::answer::SpaceInfo;
use towpath_protocol::entry::Kind;
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::message::Answer;
use towpath_protocol::path::{Location, Name, WirePath};
use towpath_protocol::request::{Measure, Space};

use super::Service;
use super::blocking_pool::Class;
use super::ledger::Recount;
use super::tally::Tally;
use super::tree::{Met, Tree};
use super::turns::Turn;
use crate::disk;
use crate::exchange::Exchange;

pub(super) async fn measure(
    service: Arc<Service>,
    request: Measure,
    exchange: Exchange,
) -> Result<Answer, Fault> {
    let root = Location::through(&WirePath::root());
    let tally = Tally::new(&exchange, WirePath::root());
    let measuring = Measuring { things: request.things.into_iter(), at: None, tally };
    let (Measuring { tally, .. }, ()) =
        service.in_turns(Class::Turn, &root, measuring, Measuring::go_on).await?;
    Ok(tally.finish().into())
}

/// Things that are being measured.
struct Measuring {
    things: std::vec::IntoIter<Location>,
    /// Which of them, and how far.
    at: Option<(Location, Counting)>,
    tally: Tally,
}

/// A tree that is being counted.
struct Counting {
    tree: Tree,
    below: Vec<Name>,
}

impl Measuring {
    fn go_on(service: &Service, measuring: &mut Self, turn: &Turn) -> Result<Option<()>, Fault> {
        let Self { things, at, tally } = measuring;
        tally.step()?;
        loop {
            let Some((thing, mut counting)) = at.take() else {
                let Some(thing) = things.next() else { return Ok(Some(())) };
                match Tree::open(service, &thing) {
                    Ok(tree) => *at = Some((thing, Counting { tree, below: Vec::new() })),
                    Err(fault) => tally.failed(super::at(&thing)(fault))?,
                }
                continue;
            };
            match counting.count(&thing, tally, turn) {
                Ok(true) => {}
                Ok(false) => {
                    *at = Some((thing, counting));
                    return Ok(None);
                }
                Err(fault) => tally.failed(super::at(&thing)(fault))?,
            }
        }
    }
}

impl Counting {
    /// Returns whether the whole tree was walked.
    fn count(&mut self, thing: &Location, tally: &mut Tally, turn: &Turn) -> Result<bool, Fault> {
        let Self { tree, below } = self;
        for met in tree {
            tally.step()?;
            let Met { depth, entry, fault, is_again } = met?;
            // The start itself has depth 0, and its own name is the thing's last.
            below.truncate(depth.saturating_sub(1));
            if depth > 0 {
                below.push(entry.name);
            }
            match entry.attributes.kind {
                Kind::Folder if is_again => {}
                Kind::Folder => tally.folder(),
                _ => tally.file(entry.attributes.size),
            }
            if let Some(code) = fault {
                tally.failed(at_below(thing, below, code))?;
            }
            if turn.is_over() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// A fault of something below a thing; of the thing itself where that lies deeper than any path can say.
fn at_below(thing: &Location, below: &[Name], code: FaultCode) -> Fault {
    let path = WirePath::new(below.to_vec()).and_then(|below| thing.whole()?.join_path(&below));
    path.or_else(|_| thing.whole()).map_or_else(|_| code.into(), |path| Fault::new(code).at(path))
}

/// Goes through all that is below a folder, unfinished files too, and tells `recount` what is there; says whether all could be looked at.
pub(super) async fn count_again(
    service: Arc<Service>,
    folder: Location,
    recount: Recount,
) -> Result<(Recount, bool), Fault> {
    let place = folder.clone();
    let open = move |service: &Service| {
        let tree = Tree::open(service, &folder)?.looking_at_parts();
        Ok(CountingAgain { tree, recount, is_whole: true })
    };
    let counting = service.clone().blocking(&place, open).await?;
    let (CountingAgain { recount, is_whole, .. }, ()) =
        service.in_turns(Class::Turn, &place, counting, CountingAgain::go_on).await?;
    Ok((recount, is_whole))
}

/// A tree that is being looked through for what a client stored.
struct CountingAgain {
    tree: Tree,
    recount: Recount,
    is_whole: bool,
}

impl CountingAgain {
    fn go_on(service: &Service, counting: &mut Self, turn: &Turn) -> Result<Option<()>, Fault> {
        let Self { tree, recount, is_whole } = counting;
        let ledger = service.allowance.ledger();
        loop {
            let met = tree.next();
            for (identity, bytes) in tree.parts() {
                ledger.meet(recount, identity, bytes);
            }
            let Some(met) = met else { return Ok(Some(())) };
            match met {
                Err(_) | Ok(Met { is_again: true, .. }) => *is_whole = false,
                Ok(Met { entry, fault, .. }) => {
                    *is_whole &= fault.is_none() || tree.is_kept();
                    ledger.meet(recount, entry.attributes.identity, entry.attributes.size);
                }
            }
            if turn.is_over() {
                return Ok(None);
            }
        }
    }
}

/// Where a client has a quota, no more than is left of it.
pub(super) async fn space(service: Arc<Service>, request: Space) -> Result<Answer, Fault> {
    let place = Location::through(&request.path);
    service.clone().count_again().await?;
    service
        .blocking(&place.clone(), move |service| {
            let SpaceInfo { free, total } = disk::space(service.root.thing(&place)?)?;
            let kept = service.allowance.limits().reserve_of(total);
            let (left, quota) = service.allowance.left().unwrap_or((u64::MAX, u64::MAX));
            Ok(SpaceInfo { free: free.saturating_sub(kept).min(left), total: total.min(quota) }.into())
        })
        .await
}
