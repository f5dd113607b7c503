//! Walk: a whole tree in pages, as it is read. Between its pages it holds the folders on the way, and no thread.

use std::sync::Arc;
use std::time::{Duration, Instant};

use towpath_protocol::answer::{Done, WalkItem, WalkPage};
use towpath_protocol::fault::Fault;
use towpath_protocol::limits::{PAGE_BYTES_TARGET, PAGE_ENTRIES_MAX};
use towpath_protocol::message::Answer;
use towpath_protocol::request::Walk;

use super::blocking_pool::Class;
use super::credit::{Pages, Sent};
use super::list::entry_bytes;
use super::tree::{Met, Tree};
use super::turns::Turn;
use super::{Service, at};
use crate::exchange::Exchange;

/// A page is sent when its first item is that old, so that whoever waits can begin.
const PAGE_AGE_MAX: Duration = Duration::from_millis(20);

pub(super) async fn walk(service: Arc<Service>, request: Walk, exchange: Exchange) -> Result<Answer, Fault> {
    let pages = Pages::new(exchange, request.pages)?;
    let place = request.start.clone();
    let opened = service.clone().blocking(&place, move |service| {
        let mut tree = Tree::open(service, &request.start)?;
        let ahead = tree.next().transpose()?;
        Ok(Walking { tree, pages, ahead, fault: None, items: Vec::new(), bytes: 0, begun: None })
    });
    let mut walking = opened.await?;
    loop {
        let (back, sent) = service.in_turns(Class::Prompt, &place, walking, Walking::send).await?;
        walking = back;
        match sent {
            Sent::Until(missing) => walking.pages.wait_for(missing).await?,
            Sent::All => break,
        }
    }
    walking.fault.map_or_else(|| Ok(Done {}.into()), |fault| Err(at(&place)(fault)))
}

/// A tree that is being walked.
struct Walking {
    tree: Tree,
    pages: Pages,
    /// The first item of the next page: only with one it needs credit. None at the end.
    ahead: Option<Met>,
    /// Why the start could not be read to its end; told when all that was read has been sent.
    fault: Option<Fault>,
    /// The page that is being made.
    items: Vec<WalkItem>,
    bytes: usize,
    begun: Option<Instant>,
}

impl Walking {
    /// Makes and sends pages until all are sent, or something is missing. None where its turn is over before.
    fn send(_: &Service, walking: &mut Self, turn: &Turn) -> Result<Option<Sent>, Fault> {
        while walking.ahead.is_some() {
            if let Some(missing) = walking.pages.begin(PAGE_ENTRIES_MAX)? {
                return Ok(Some(Sent::Until(missing)));
            }
            let Some(page) = walking.page(turn)? else { return Ok(None) };
            if let Some(missing) = walking.pages.send(page)? {
                return Ok(Some(Sent::Until(missing)));
            }
        }
        Ok(Some(Sent::All))
    }

    /// The next page. None where the turn is over before.
    fn page(&mut self, turn: &Turn) -> Result<Option<WalkPage>, Fault> {
        let Self { tree, pages, ahead, fault: broken, items, bytes, begun } = self;
        let since = *begun.get_or_insert_with(Instant::now);
        while let Some(Met { depth, entry, fault, .. }) = ahead.take() {
            pages.check()?;
            *bytes += entry_bytes(&entry.name, &entry.attributes);
            items.push(WalkItem { depth: depth as u16, entry, fault });
            match tree.next().transpose() {
                Ok(next) => *ahead = next,
                Err(fault) => *broken = Some(fault),
            }
            let is_full = items.len() >= PAGE_ENTRIES_MAX || *bytes >= PAGE_BYTES_TARGET;
            if is_full || since.elapsed() >= PAGE_AGE_MAX {
                break;
            }
            if turn.is_over() && ahead.is_some() {
                return Ok(None);
            }
        }
        (*bytes, *begun) = (0, None);
        Ok(Some(WalkPage { items: std::mem::take(items) }))
    }
}
